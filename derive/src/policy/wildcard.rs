//! The wildcards of IAM policies: `*` stands for any characters, `?` for one.
//! In: a pattern and a text, or a second pattern. Out: true if the first takes in all of the second.
//! Never slower than the product of the two lengths, whatever the pattern, and no case is folded here.

/// True if the pattern matches the text. A text with wildcards is a pattern itself: then true only if every text that
/// it matches is matched by the first pattern too. Some patterns that would do so are not seen.
pub(crate) fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // The last `*`, and as far as it reached into the text.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(b'?') if text[read] != b'*' => {
                at += 1;
                read = char_end(text, read);
            }
            Some(&byte) if byte == text[read] && !matches!(byte, b'*' | b'?') => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((of, reached)) = star else { return false };
                star = Some((of, reached + 1));
                (at, read) = (of + 1, reached + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The end of the character that begins here, since `?` stands for a character and not for a byte.
fn char_end(text: &[u8], start: usize) -> usize {
    let rest = text[start + 1..].iter().take_while(|&&byte| byte & 0xC0 == 0x80).count();
    start + 1 + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_texts_and_other_patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "kms:Decrypt"),
            ("kms:*", "kms:Decrypt"),
            ("kms:?ecrypt", "kms:Decrypt"),
            ("kms:Generate*Plaintext", "kms:GenerateDataKeyWithoutPlaintext"),
            ("kms:?", "kms:é"),
            ("a*b*c", "aXbYbZc"),
            ("kms:*", "kms:Generate*"),
            ("kms:*", "kms:?ecrypt"),
            ("kms:?ecrypt", "kms:?ecrypt"),
            ("*", "*"),
            ("kms:Gen*", "kms:Gen*Key"),
        ] {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("kms:?", "kms:"),
            ("kms:?ecrypt", "kms:ReEncryptFrom"),
            ("kms:Decrypt", "kms:Decrypts"),
            ("kms:Generate*", "kms:*"),
            ("kms:?ecrypt", "kms:*ecrypt"),
            ("kms:Decrypt", "kms:?ecrypt"),
            ("a*b", "abX"),
            ("?", "*"),
        ] {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "*a".repeat(1000) + "b";
        assert!(!covers(&pattern, &"a".repeat(2000)));
    }
}
