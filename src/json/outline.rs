//! What can be told of an object without parsing it: where its own members stand.
//! In: the bytes of one object and the places of the colons of its members. Out: a member's value, as bytes.
//! Checks nothing: who acts on an outline acts on bytes that may turn out not to be JSON.

/// Decides by its outline whether an object is certainly not wanted.
pub type Screen = fn(&Outline<'_>) -> bool;

/// An object's bytes and where the colons of its members are.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    bytes: &'a [u8],
    colons: &'a [u32],
}

impl<'a> Outline<'a> {
    /// `colons` are the places, in order, of all colons outside strings and nested containers. `None` where an escape
    /// could spell a letter, since then bytes differ from what they say.
    pub fn new(bytes: &'a [u8], colons: &'a [u32], has_backslash: bool) -> Option<Outline<'a>> {
        let may_spell = |rest: &[u8]| matches!(rest.get(1), Some(b'u' | b'/'));
        let plain = !has_backslash || memchr::memchr_iter(b'\\', bytes).all(|at| !may_spell(&bytes[at..]));
        (plain && bytes.first() == Some(&b'{')).then_some(Outline { bytes, colons })
    }

    /// The bytes of each named member's value, with what follows it up to the next member's value; `None` where the
    /// object names a member twice or leaves room between a key and its colon.
    pub fn values<const N: usize>(&self, keys: &[Key; N]) -> Option<[Option<&'a [u8]>; N]> {
        let mut values = [None; N];
        for (index, &colon) in self.colons.iter().enumerate() {
            let (colon, next) = (colon as usize, self.colons.get(index + 1));
            let before = self.bytes[..colon].strip_suffix(b"\"")?;
            for (value, key) in values.iter_mut().zip(keys) {
                if key.ends(before) {
                    let end = next.map_or(self.bytes.len(), |&next| next as usize);
                    if value.replace(self.bytes[colon + 1..end].trim_ascii_start()).is_some() {
                        return None;
                    }
                }
            }
        }
        Some(values)
    }
}

/// The name of a member to look for.
#[derive(Debug)]
pub struct Key {
    name: &'static [u8],
    /// Its opening quote and its name, as far as eight bytes reach back from the end.
    tail: u64,
    mask: u64,
}

impl Key {
    pub const fn new(name: &'static str) -> Key {
        let name = name.as_bytes();
        let (mut tail, mut mask) = (b'"' as u64, 0xff);
        let mut at = 0;
        while at < name.len() {
            tail = tail << 8 | name[at] as u64;
            mask = mask << 8 | 0xff;
            at += 1;
        }
        Key { name, tail, mask }
    }

    /// Whether bytes that end with a key, its closing quote cut off, end with this one as a whole.
    fn ends(&self, before: &[u8]) -> bool {
        // One comparison decides nearly always.
        if before.last_chunk().is_some_and(|last| (u64::from_be_bytes(*last) ^ self.tail) & self.mask != 0) {
            return false;
        }
        let rest = before.strip_suffix(self.name).and_then(|rest| rest.strip_suffix(b"\""));
        rest.is_some_and(|rest| rest.last() != Some(&b'\\'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_their_whole_names() {
        let bytes = br#"{"xname":1,"x\"name":2,"name": "n", "more":{"name":3}}"#;
        let colons: Vec<u32> = [8, 20, 29, 42].into();
        assert!(colons.iter().all(|&colon| bytes[colon as usize] == b':'));
        let outline = Outline::new(bytes, &colons, true).unwrap();
        let [name, more, none] = outline.values(&["name", "more", "none"].map(Key::new)).unwrap();
        assert!(name.unwrap().starts_with(b"\"n\""));
        assert!(more.unwrap().starts_with(b"{\"name\":3}"));
        assert_eq!(none, None);
    }

    #[test]
    fn doubt_gives_no_outline() {
        assert!(Outline::new(br#"{"n\u0061me":1}"#, &[12], true).is_none());
        assert!(Outline::new(b"[1]", &[], false).is_none());
        let twice = Outline::new(br#"{"a":1,"a":2}"#, &[4, 10], false).unwrap();
        assert!(twice.values(&[Key::new("a")]).is_none());
        let spaced = Outline::new(br#"{"a" :1}"#, &[5], false).unwrap();
        assert!(spaced.values(&[Key::new("a")]).is_none());
    }
}
