//! Patterns of people: `*` stands for any text, `?` for one character.
//! In: a pattern and a text. Out: whether it fits as a whole.

/// Goes back to the last `*` where a character does not fit, so that it never takes longer than the two lengths multiplied.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text, mut star) = (0, 0, None);
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[in_text] => (at, in_text) = (at + 1, in_text + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, in_text) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_as_a_whole() {
        for (pattern, text, expected) in [
            ("s3://b/a.gz", "s3://b/a.gz", true),
            ("s3://b/*.gz", "s3://b/x/y/a.gz", true),
            ("*/2026/03/1?/*", "s3://b/2026/03/11/a.gz", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("s3://b/*.gz", "s3://b/a.gz.part", false),
            ("a?", "a", false),
            ("*a*b*a", "abba", true),
            ("*é", "né", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        let (pattern, text) = ("*a".repeat(200) + "b", "a".repeat(20_000));
        assert!(!fits(&pattern, &text));
    }
}
