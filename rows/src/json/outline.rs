//! Finds an object's own members without parsing it.
//! In: the bytes of one object and the places of the colons of its members. Out: a member's value, as bytes.
//! Never checks that the bytes are JSON; the parser does.

use super::slots::NameSlots;

/// Returns true if the outline alone rules the object out.
pub type RecordScreen = fn(&Outline<'_>) -> bool;

/// An object's bytes and the places of its members' colons.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    bytes: &'a [u8],
    colons: &'a [u32],
}

/// The backslashes among the bytes of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backslashes {
    #[default]
    Absent,
    Present,
}

impl<'a> Outline<'a> {
    /// `colons` are the places, in order, of all colons outside strings and nested containers. Returns `None` if an
    /// escape could spell a letter, since the bytes then differ from their text.
    pub fn new(bytes: &'a [u8], colons: &'a [u32], backslashes: Backslashes) -> Option<Outline<'a>> {
        let may_spell = |rest: &[u8]| matches!(rest.get(1), Some(b'u' | b'/'));
        let plain = match backslashes {
            Backslashes::Absent => true,
            Backslashes::Present => memchr::memchr_iter(b'\\', bytes).all(|at| !may_spell(&bytes[at..])),
        };
        (plain && bytes.first() == Some(&b'{')).then_some(Outline { bytes, colons })
    }

    /// The bytes of each named member's value and all bytes up to the next value. Returns `None` if the object names a
    /// member twice or leaves room between a key and its colon.
    pub fn values<const N: usize>(&self, keys: &OutlineKeys<N>) -> Option<[Option<&'a [u8]>; N]> {
        let mut values = [None; N];
        for (index, &colon) in self.colons.iter().enumerate() {
            let colon = colon as usize;
            let before = self.bytes[..colon].strip_suffix(b"\"")?;
            let Some(place) = keys.find(before) else { continue };
            let end = self.colons.get(index + 1).map_or(self.bytes.len(), |&next| next as usize);
            if values[place].replace(self.bytes[colon + 1..end].trim_ascii_start()).is_some() {
                return None;
            }
        }
        Some(values)
    }
}

/// The names of members to look for, each of at least eight bytes and all with different ends.
#[derive(Debug)]
pub struct OutlineKeys<const N: usize> {
    names: [&'static str; N],
    /// By the last bytes of a name.
    slots: NameSlots<32>,
}

const TAIL: usize = 8;

impl<const N: usize> OutlineKeys<N> {
    /// Meant for constants.
    pub const fn new(names: [&'static str; N]) -> OutlineKeys<N> {
        let mut tails = [0; N];
        let mut at = 0;
        while at < N {
            let Some(tail) = names[at].as_bytes().last_chunk::<TAIL>() else { panic!("the name is too short") };
            tails[at] = u64::from_le_bytes(*tail);
            at += 1;
        }
        OutlineKeys { names, slots: NameSlots::new(&tails) }
    }

    /// The place of the name that these bytes end with as a whole key, its closing quote cut off.
    fn find(&self, before: &[u8]) -> Option<usize> {
        let place = self.slots.place_of(u64::from_le_bytes(*before.last_chunk::<TAIL>()?));
        let rest = before.strip_suffix(self.names.get(place)?.as_bytes())?.strip_suffix(b"\"")?;
        (rest.last() != Some(&b'\\')).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_their_whole_names() {
        let bytes = br#"{"xthe_name":1,"x\"the_name":2,"the_name": "n", "the_more":{"the_name":3}}"#;
        let colons: Vec<u32> = [12, 28, 41, 58].into();
        assert!(colons.iter().all(|&colon| bytes[colon as usize] == b':'));
        let outline = Outline::new(bytes, &colons, Backslashes::Present).unwrap();
        let [name, more, none] = outline.values(&OutlineKeys::new(["the_name", "the_more", "the_none"])).unwrap();
        assert!(name.unwrap().starts_with(b"\"n\""));
        assert!(more.unwrap().starts_with(b"{\"the_name\":3}"));
        assert_eq!(none, None);
    }

    #[test]
    fn doubt_gives_no_outline() {
        assert!(Outline::new(br#"{"n\u0061me":1}"#, &[12], Backslashes::Present).is_none());
        assert!(Outline::new(b"[1]", &[], Backslashes::Absent).is_none());
        let twice = Outline::new(br#"{"a_member":1,"a_member":2}"#, &[11, 24], Backslashes::Absent).unwrap();
        assert!(twice.values(&OutlineKeys::new(["a_member"])).is_none());
        let spaced = Outline::new(br#"{"a_member" :1}"#, &[12], Backslashes::Absent).unwrap();
        assert!(spaced.values(&OutlineKeys::new(["a_member"])).is_none());
    }
}
