//! Holds every function to at most four arguments besides its receiver, and none of them a `bool`.
//! In: the text of our crates without their tests. Out: the functions that break the rule.
//! Clippy's own lint counts the receiver and has no exact bound for both, so this test reads the text.

use crate::tree::source_files;

const ARGUMENTS_MAX: usize = 4;

/// The name of each function in the code, and its arguments without the receiver.
fn signatures(code: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(is_word));
    let signature = |(at, _): (usize, &str)| {
        let rest = &code[at + "fn ".len()..];
        let name = &rest[..rest.find(|c| !is_word(c))?];
        let all = arguments(after_generics(&rest[name.len()..])?.strip_prefix('(')?);
        let is_receiver = |argument: &&str| argument.split(':').next().unwrap().split([' ', '&']).any(|w| w == "self");
        Some((name, all.into_iter().filter(|argument| !is_receiver(argument)).collect()))
    };
    starts.filter_map(signature).collect()
}

/// The position at which the bracket around the text closes, and the positions of the commas directly inside it.
fn level_of(text: &str) -> (usize, Vec<usize>) {
    let (mut depth, mut before, mut commas) = (0, ' ', Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' if depth == 0 => return (at, commas),
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => commas.push(at),
            _ => {}
        }
        before = c;
    }
    (text.len(), commas)
}

fn after_generics(text: &str) -> Option<&str> {
    let Some(generics) = text.strip_prefix('<') else { return Some(text) };
    generics.get(level_of(generics).0 + 1..)
}

fn arguments(text: &str) -> Vec<&str> {
    let (end, commas) = level_of(text);
    let ends = commas.iter().copied().chain([end]);
    let starts = [0].into_iter().chain(commas.iter().map(|comma| comma + 1));
    let all = starts.zip(ends).map(|(from, to)| text[from..to].trim());
    all.filter(|argument| !argument.is_empty()).collect()
}

fn faults(code: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, arguments) in signatures(code) {
        if arguments.len() > ARGUMENTS_MAX {
            faults.push(format!("`{name}` has {} arguments", arguments.len()));
        }
        let flags =
            arguments.iter().filter(|argument| argument.split_once(':').is_some_and(|(_, of)| of.trim() == "bool"));
        faults.extend(flags.map(|flag| format!("`{name}` is told `{flag}`")));
    }
    faults
}

#[test]
fn functions_have_few_arguments_and_no_flags() {
    let files = source_files();
    let of_file =
        |(place, code): (String, String)| faults(&code).into_iter().map(move |fault| format!("{place}: {fault}"));
    let all: Vec<_> =
        files.iter().map(|file| (format!("{}/{}", file.folder, file.place), file.code())).flat_map(of_file).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_signature_is_read_as_it_stands() {
    let code = "impl X { pub fn a<'a, F: Fn(u8, u8) -> u8>(&'a mut self, f: F, b: (u8, bool), c: [u8; 2], d: u8) {} }\n\
        const fn b(mut self, is_set: bool) -> bool { true }\nfn c(\n    a: A<B, C>,\n    b: &dyn Fn(u8, bool),\n) {}\n\
        fn d(a: u8, b: u8, c: u8, d: u8, e: u8) {}\nlet f: fn(bool) = g;";
    let counts: Vec<_> = signatures(code).iter().map(|(name, arguments)| (*name, arguments.len())).collect();
    assert_eq!(counts, [("a", 4), ("b", 1), ("c", 2), ("d", 5)]);
    assert_eq!(faults(code), ["`b` is told `is_set: bool`", "`d` has 5 arguments"]);
}
