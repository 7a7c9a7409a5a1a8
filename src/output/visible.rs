//! Makes hostile text visible: characters that a terminal or an editor would act on become `\x1b` or `\u{202e}`.
//! In: any text of a log, a path or an error. Out: text of one line that is safe to print.
//! Never used for the values of JSON, Parquet or a CSV file: those keep the text of the record.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// Marks that may follow one letter. No living script stacks as many as three; further marks are counted.
const MARKS_MAX: usize = 3;

/// The text on one line, with every character that acts written out.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    for c in text.chars() {
        let is_mark = !acts(c) && c.width() == Some(0);
        if !is_mark {
            note_marks(&mut out, marks);
            marks = 0;
            push_visible(&mut out, c);
            continue;
        }
        marks += 1;
        if marks <= MARKS_MAX {
            out.push(c);
        }
    }
    note_marks(&mut out, marks);
    Cow::Owned(out)
}

/// True if a terminal, an editor or a browser does anything with this character but draw it.
pub fn acts(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c,
        '\u{80}'..='\u{9f}'          // C1 controls: CSI and OSC in one byte
        | '\u{ad}' | '\u{34f}'       // soft hyphen, grapheme joiner
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' // letters that draw nothing
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'    // zero width, direction marks
        | '\u{2028}'..='\u{202e}'    // line and paragraph separators, direction overrides
        | '\u{2060}'..='\u{206f}'    // joiners, isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'  // tag characters and further variation selectors
    )
}

/// Cuts visible text to `columns` of a terminal in its middle, since names and messages differ at their ends.
pub fn cut_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let (mut head, mut tail) = (0, text.len());
    let mut left = room.div_ceil(2);
    for (at, c) in text.char_indices() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        (left, head) = (rest, at + c.len_utf8());
    }
    let mut left = room / 2;
    for (at, c) in text.char_indices().rev() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)).filter(|_| at >= head) else { break };
        (left, tail) = (rest, at);
    }
    Cow::Owned(format!("{}…{}", &text[..head], &text[tail..]))
}

/// Columns that visible text takes on a terminal.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(|c| c.width().unwrap_or(0)).sum() }
}

fn push_visible(out: &mut String, c: char) {
    if !acts(c) {
        return out.push(c);
    }
    let written = match c {
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", c as u32),
        c => write!(out, "\\u{{{:x}}}", c as u32),
    };
    written.expect("writing to a String cannot fail");
}

fn note_marks(out: &mut String, marks: usize) {
    if marks > MARKS_MAX {
        write!(out, "…(+{} marks)", marks - MARKS_MAX).expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The hostile values, written run-length where they are long.
    pub fn payloads() -> Vec<(String, String)> {
        #[derive(serde::Deserialize)]
        struct Payload {
            name: String,
            value: String,
            #[serde(default)]
            repeat: String,
            #[serde(default)]
            times: usize,
        }
        let list: Vec<Payload> = serde_json::from_str(include_str!("../../tests/bad/payloads.json")).unwrap();
        list.into_iter().map(|p| (p.name, p.value + &p.repeat.repeat(p.times))).collect()
    }

    /// The rule of the terminal by code point, written independently of `acts`.
    pub fn harmless(text: &str) -> bool {
        !text.chars().map(u32::from).any(|c| {
            c < 0x20
                || (0x7f..=0x9f).contains(&c)
                || (0x202a..=0x202e).contains(&c)
                || (0x2066..=0x2069).contains(&c)
                || [0x200b, 0x200d, 0x200e, 0x200f, 0x61c, 0x2028, 0x2029, 0xfeff].contains(&c)
                || (0xe0000..=0xe007f).contains(&c)
        })
    }

    #[test]
    fn shows_what_acts() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\x1b[31mred", "\\x1b[31mred"),
            ("a\u{85}b\u{9b}", "a\\u{85}b\\u{9b}"),
            ("\u{202e}exe", "\\u{202e}exe"),
            ("a\r\n\tb\0\x7f", "a\\r\\n\\tb\\x00\\x7f"),
            ("a\u{e0041}b\u{200b}", "a\\u{e0041}b\\u{200b}"),
            ("e\u{301}é漢", "e\u{301}é漢"),
            ("z\u{301}\u{301}\u{301}\u{301}\u{301}y", "z\u{301}\u{301}\u{301}…(+2 marks)y"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    /// Unicode's categories Cc, Cf, Zl and Zp, and its letters and marks that draw nothing. The selectors between
    /// U+FE00 and U+FE0F are absent: people write them behind their emoji.
    const ACTING: [std::ops::RangeInclusive<u32>; 26] = [
        0x00..=0x1f,
        0x7f..=0x9f,
        0xad..=0xad,
        0x34f..=0x34f,
        0x600..=0x605,
        0x61c..=0x61c,
        0x6dd..=0x6dd,
        0x70f..=0x70f,
        0x890..=0x891,
        0x8e2..=0x8e2,
        0x115f..=0x1160,
        0x17b4..=0x17b5,
        0x180b..=0x180f,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0x3164..=0x3164,
        0xfeff..=0xfeff,
        0xffa0..=0xffa0,
        0xfff9..=0xfffb,
        0x110bd..=0x110bd,
        0x110cd..=0x110cd,
        0x13430..=0x1343f,
        0x1bca0..=0x1bca3,
        0x1d173..=0x1d17a,
        0xe0000..=0xe0fff,
    ];

    #[test]
    fn each_character_that_acts_is_written_out() {
        for c in '\0'..=char::MAX {
            let does_act = ACTING.iter().any(|range| range.contains(&u32::from(c)));
            assert_eq!(acts(c), does_act, "U+{:04X}", u32::from(c));
            if does_act {
                let shown = visible(&format!("a{c}b")).into_owned();
                assert!(shown.starts_with("a\\") && shown.ends_with('b') && !shown.contains(c), "{shown:?}");
            }
        }
    }

    #[test]
    fn every_payload_is_harmless_and_bounded() {
        let payloads = payloads();
        assert_eq!(payloads.len(), 106);
        for (name, value) in payloads {
            let shown = visible(&value);
            assert!(harmless(&shown), "{name}");
            assert!(width(&cut_middle(&shown, 40)) <= 40, "{name}");
            let storm = shown.chars().filter(|c| c.width() == Some(0)).count();
            assert!(storm <= 3 * shown.chars().filter(|c| c.width() > Some(0)).count().max(1), "{name}");
        }
    }

    #[test]
    fn cuts_in_the_middle() {
        for (text, columns, cut) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc…fg"),
            ("漢字漢字漢字", 7, "漢…字"),
            ("a漢字漢字b", 7, "a漢…字b"),
            ("abc", 1, "…"),
        ] {
            assert_eq!(cut_middle(text, columns), cut);
            assert!(width(&cut_middle(text, columns)) <= columns);
        }
    }
}
