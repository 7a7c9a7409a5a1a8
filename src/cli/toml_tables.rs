//! The part of TOML that lists of exceptions are written in: `[[name]]`, and below it `key = "text"` or `key = date`.
//! In: the text of a file. Out: its tables in order, each with the line that it begins at.
//! Refuses the rest of TOML by line, and never skips what it does not understand.

use std::collections::BTreeMap;

/// One `[[name]]` with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlTable {
    pub line: usize,
    pub values: BTreeMap<String, String>,
}

/// Reads all tables; every one of them must be called `name`.
pub fn read(text: &str, name: &str) -> Result<Vec<TomlTable>, String> {
    let mut tables: Vec<TomlTable> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (line, at) = (line.trim(), number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            let head = line.split('#').next().unwrap_or_default().trim_end();
            let found = head.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")).map(str::trim);
            if found != Some(name) {
                return Err(format!("line {at}: only tables `[[{name}]]` belong here"));
            }
            tables.push(TomlTable { line: at, values: BTreeMap::new() });
            continue;
        }
        let (key, value) = pair(line).map_err(|fault| format!("line {at}: {fault}"))?;
        let Some(table) = tables.last_mut() else {
            return Err(format!("line {at}: `{key}` stands before the first `[[{name}]]`"));
        };
        if table.values.insert(key.clone(), value).is_some() {
            return Err(format!("line {at}: `{key}` is there twice"));
        }
    }
    Ok(tables)
}

fn pair(line: &str) -> Result<(String, String), String> {
    let (key, rest) = line.split_once('=').ok_or("write `key = \"text\"`")?;
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err(format!("`{key}` is not a key"));
    }
    let (value, after) = value(rest.trim_start())?;
    match after.trim_start() {
        "" => Ok((key.to_owned(), value)),
        comment if comment.starts_with('#') => Ok((key.to_owned(), value)),
        other => Err(format!("`{other}` follows the value of `{key}`")),
    }
}

/// A value, and the text behind it.
fn value(text: &str) -> Result<(String, &str), String> {
    match text.chars().next() {
        Some('"') if text.starts_with("\"\"\"") => Err("text over several lines is not read here".to_owned()),
        Some('\'') if text.starts_with("'''") => Err("text over several lines is not read here".to_owned()),
        Some('"') => basic(&text[1..]),
        Some('\'') => match text[1..].split_once('\'') {
            Some((value, after)) => Ok((value.to_owned(), after)),
            None => Err("the text does not end".to_owned()),
        },
        Some('[' | '{') => Err("lists and inline tables are not read here".to_owned()),
        Some(_) => {
            let end = text.find('#').unwrap_or(text.len());
            Ok((text[..end].trim_end().to_owned(), &text[end..]))
        }
        None => Err("the value is missing".to_owned()),
    }
}

/// Text between double quotes, of which the first is gone.
fn basic(text: &str) -> Result<(String, &str), String> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next().map(|(_, c)| c) {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(c @ ('"' | '\\')) => c,
                Some(c @ ('u' | 'U')) => escaped(&mut chars, if c == 'u' { 4 } else { 8 })?,
                _ => return Err("an escape is not one of TOML's".to_owned()),
            }),
            c => value.push(c),
        }
    }
    Err("the text does not end".to_owned())
}

/// The character of so many hexadecimal digits.
fn escaped(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Result<char, String> {
    let hex: String = chars.take(digits).map(|(_, c)| c).collect();
    let code = if hex.len() == digits { u32::from_str_radix(&hex, 16).ok() } else { None };
    code.and_then(char::from_u32).ok_or_else(|| "an escape is not one of TOML's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_their_values() {
        let text = "# exceptions\n\n[[accept]] # first\nuri = \"s3://b/\\u0061\\\"*\" # glob\nreason = 'C:\\x # y'\nexpires = 2026-12-31 # soon\n[[ accept ]]\nuri = \"\"\n";
        let tables = read(text, "accept").unwrap();
        assert_eq!(tables.len(), 2);
        assert_eq!((tables[0].line, tables[1].line), (3, 7));
        let value = |key: &str| tables[0].values[key].as_str();
        assert_eq!((value("uri"), value("reason"), value("expires")), ("s3://b/a\"*", "C:\\x # y", "2026-12-31"));
        assert_eq!(tables[1].values["uri"], "");
    }

    #[test]
    fn the_rest_of_toml_is_refused_by_line() {
        for (text, fault) in [
            ("uri = \"x\"", "line 1: `uri` stands before"),
            ("[accept]", "line 1: only tables"),
            ("[[accepts]]", "line 1: only tables"),
            ("[[accept]]\nuri", "line 2: write"),
            ("[[accept]]\nuri = \"x\" y", "line 2: `y` follows"),
            ("[[accept]]\nuri = \"x", "line 2: the text does not end"),
            ("[[accept]]\nuri = [\"x\"]", "line 2: lists"),
            ("[[accept]]\nuri = \"\"\"x\"\"\"", "line 2: text over"),
            ("[[accept]]\nuri = \"\\x\"", "line 2: an escape"),
            ("[[accept]]\nuri = \"\\u00\"", "line 2: an escape"),
            ("[[accept]]\nuri = \"\\ud800\"", "line 2: an escape"),
            ("[[accept]]\nuri =", "line 2: the value is missing"),
            ("[[accept]]\na.b = 1", "line 2: `a.b` is not a key"),
            ("[[accept]]\nuri = 'x'\nuri = 'y'", "line 3: `uri` is there twice"),
        ] {
            let found = read(text, "accept").unwrap_err();
            assert!(found.starts_with(fault), "{text}: {found}");
        }
    }
}
