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
    pub fn values<const N: usize>(&self, names: [&str; N]) -> Option<[Option<&'a [u8]>; N]> {
        let mut values = [None; N];
        // Most members end in a letter that no name ends in.
        let letter = |text: &[u8]| text.last().map_or(0, |&byte| 1u32 << (byte & 31));
        let ends = names.iter().fold(0, |ends, name| ends | letter(name.as_bytes()));
        for (index, &colon) in self.colons.iter().enumerate() {
            let (colon, next) = (colon as usize, self.colons.get(index + 1));
            let before = self.bytes[..colon].strip_suffix(b"\"")?;
            if letter(before) & ends == 0 {
                continue;
            }
            for (value, name) in values.iter_mut().zip(names) {
                if is_key(before, name) {
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

/// Whether a key that ends here, its closing quote cut off, is `name` as a whole.
fn is_key(before: &[u8], name: &str) -> bool {
    let Some(rest) = before.len().checked_sub(name.len() + 1) else { return false };
    // The place of the opening quote decides nearly always.
    before[rest] == b'"' && before[rest + 1..] == *name.as_bytes() && before[..rest].last() != Some(&b'\\')
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
        let [name, more, none] = outline.values(["name", "more", "none"]).unwrap();
        assert!(name.unwrap().starts_with(b"\"n\""));
        assert!(more.unwrap().starts_with(b"{\"name\":3}"));
        assert_eq!(none, None);
    }

    #[test]
    fn doubt_gives_no_outline() {
        assert!(Outline::new(br#"{"n\u0061me":1}"#, &[12], true).is_none());
        assert!(Outline::new(b"[1]", &[], false).is_none());
        let twice = Outline::new(br#"{"a":1,"a":2}"#, &[4, 10], false).unwrap();
        assert!(twice.values(["a"]).is_none());
        let spaced = Outline::new(br#"{"a" :1}"#, &[5], false).unwrap();
        assert!(spaced.values(["a"]).is_none());
    }
}
