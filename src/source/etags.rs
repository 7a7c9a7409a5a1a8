//! ETags of a listing's objects, compact: the usual one is sixteen bytes written in hex.
//! In: ETags by the number of their object. Out: the same text again.
//! Never gives an ETag a meaning.

use std::collections::HashMap;
use std::fmt::Write;

#[derive(Debug, Default)]
pub(super) struct EtagList {
    /// Ends at the last object with an ETag, so it may be shorter than the list of objects.
    digests: Vec<[u8; 16]>,
    /// The ETags that are not 32 lower-case hex digits in quotes.
    odd: HashMap<u32, Box<str>>,
}

impl EtagList {
    /// The caller goes up through the numbers, which fit 32 bits.
    pub(super) fn set(&mut self, index: usize, etag: &str) {
        let digest = digest(etag);
        if digest.is_none() {
            self.odd.insert(index as u32, etag.into());
        }
        self.digests.resize(index, [0; 16]);
        self.digests.push(digest.unwrap_or_default());
    }

    pub(super) fn copy(&mut self, index: usize, from: &EtagList, from_index: usize) {
        if from_index < from.digests.len() {
            self.set(index, &from.get(from_index));
        }
    }

    /// Empty where there is none.
    pub(super) fn get(&self, index: usize) -> String {
        if let Some(odd) = self.odd.get(&(index as u32)) {
            return odd.to_string();
        }
        match self.digests.get(index) {
            None | Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => String::new(),
            Some(digest) => {
                let mut text = String::with_capacity(34);
                text.push('"');
                digest.iter().for_each(|byte| write!(text, "{byte:02x}").expect("writing to a String cannot fail"));
                text.push('"');
                text
            }
        }
    }
}

/// The sixteen bytes of `"…"`. Any other text has none, nor have sixteen zeros, which stand for no ETag.
pub(super) fn digest(etag: &str) -> Option<[u8; 16]> {
    let hex = etag.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digest = [0; 16];
    if hex.len() != 32 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (digest != [0; 16]).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_come_back_as_they_were() {
        let texts = [
            "\"0123456789abcdef0123456789abcdef\"",
            "\"0123456789ABCDEF0123456789abcdef\"",
            "0123456789abcdef0123456789abcdef",
            "\"0123456789abcdef0123456789abcdef-7\"",
            "W/\"0123456789abcdef0123456789abcdef\"",
            "\"00000000000000000000000000000000\"",
            "",
        ];
        let (mut etags, mut copy) = (EtagList::default(), EtagList::default());
        for (number, text) in texts.iter().enumerate() {
            etags.set(number * 2 + 1, text);
            copy.copy(number, &etags, number * 2 + 1);
        }
        for (number, text) in texts.iter().enumerate() {
            assert_eq!((etags.get(number * 2 + 1).as_str(), copy.get(number).as_str()), (*text, *text));
            assert_eq!(etags.get(number * 2), "");
        }
        assert_eq!(etags.get(100), "");
    }
}
