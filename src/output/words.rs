//! Numbers as people read them.
//! In: counts, bytes, durations. Out: short text. Never rounds a count.

use std::time::Duration;

use super::visible::width;

/// `1,234,567`
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1.50 MiB`
pub fn bytes(n: u64) -> String {
    indicatif::BinaryBytes(n).to_string()
}

/// `0.3 s`
pub fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

/// The text with a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

/// The words of a text in lines of at most `columns`, where no word is longer; later lines begin with `indent`.
pub fn wrapped(text: &str, columns: usize, indent: &str) -> Vec<String> {
    let (mut lines, mut line, mut is_fresh) = (Vec::new(), String::new(), true);
    for word in text.split(' ') {
        if !is_fresh && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    lines.push(line);
    lines
}

/// The words of a text in lines of at most `columns`, later ones with `indent`. A list of texts breaks between its items,
/// and what is still too long wherever the line ends.
pub fn wrapped_anywhere(text: &str, columns: usize, indent: &str) -> Vec<String> {
    let (mut lines, mut line, mut is_fresh) = (Vec::new(), String::new(), true);
    let mut end = |line: &mut String| lines.push(std::mem::replace(line, indent.to_owned()).trim_end().to_owned());
    for part in text.split_inclusive(' ').flat_map(|word| word.split_inclusive("\",")) {
        if !is_fresh && width(&line) + width(part.trim_end()) > columns {
            end(&mut line);
        }
        for letter in part.chars() {
            let letter_width = width(letter.encode_utf8(&mut [0; 4]));
            if letter != ' ' && line.len() > indent.len() && width(&line) + letter_width > columns {
                end(&mut line);
            }
            line.push(letter);
        }
        is_fresh = false;
    }
    end(&mut line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_lists_between_items_and_long_words_anywhere() {
        assert_eq!(wrapped_anywhere(r#"a │ ["bc","de","fg"]"#, 12, "  "), [r#"a │ ["bc","#, r#"  "de","fg"]"#]);
        assert_eq!(wrapped_anywhere("abcdefgh", 4, "  "), ["abcd", "  ef", "  gh"]);
        assert_eq!(wrapped_anywhere("- one two three", 9, "  "), ["- one two", "  three"]);
    }

    #[test]
    fn wraps_words() {
        assert_eq!(wrapped("- one two three", 9, "  "), ["- one two", "  three"]);
        assert_eq!(wrapped("overlong words", 4, ""), ["overlong", "words"]);
        assert_eq!(wrapped("", 4, ""), [""]);
    }

    #[test]
    fn a_sentence_has_a_capital_and_a_stop() {
        assert_eq!((sentence("of é. b"), sentence("a."), sentence("")), ("Of é. b.".into(), "A.".into(), ".".into()));
    }

    #[test]
    fn groups_digits() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
    }
}
