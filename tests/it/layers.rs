//! Holds the layers apart: no module names one above it or beside it, no files name each other in a circle, and each
//! outside crate stays behind its fence.
//! In: the text of our crates. Out: a list of arrows that point the wrong way.
//! Never parses Rust: it reads `use` lines and paths as text, and takes a macro at face value.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{SourceFile, source_files};

/// The layers, lowest first. Modules of one layer do not know each other, except in the lowest, which is vocabulary.
const LAYERS: [&[&str]; 10] = [
    &["arn", "glob", "json", "objects", "schema", "time"],
    &["source", "decode", "normalize", "output"],
    &["batch"],
    &["table", "derive"],
    &["store"],
    &["sql"],
    &["dataset"],
    &["audit"],
    &["report"],
    &["cli"],
];

/// Names that only some modules may use: there is one door to AWS, and the stages of the pipeline read no clock.
const FENCES: [(&str, &[&str]); 15] = [
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["cli"]),
    ("println!", &["cli"]),
    ("maud", &["report"]),
    ("datafusion", &["table", "store", "sql"]),
    ("deltalake", &["store"]),
    ("aws_config", &["source"]),
    ("aws_sdk_s3", &["source"]),
    ("aws_sdk_cloudtrail", &["source"]),
    ("aws_smithy_http_client", &["source"]),
    ("object_store", &["source", "store", "sql"]),
    ("SystemTime", &["time", "cli"]),
    ("Utc", &["time", "cli"]),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// Every word that stands right after `prefix`.
fn words_after<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(prefix).map(|(at, _)| text[at + prefix.len()..].split(|c| !is_word(c)).next().unwrap()).collect()
}

fn names(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        let ends = word.ends_with('!') || after.starts_with("::") || after.starts_with(';');
        ends && !line[..at].ends_with(is_word)
    })
}

fn wrong_arrows(module: &str, place: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
        let mut complain = |what: String| wrong.push(format!("{place}:{}: {what}", number + 1));
        for target in
            ["crate::", "keytrail_rows::"].iter().flat_map(|from| words_after(line, from)).filter(|t| *t != module)
        {
            match (layer(module), layer(target)) {
                (Some(0), Some(0)) => {}
                (Some(from), Some(to)) if to < from => {}
                (_, None) => {}
                _ => complain(format!("`{module}` names `{target}`, which is not below it")),
            }
        }
        for (name, allowed) in FENCES {
            if names(line, name) && !allowed.contains(&module) {
                complain(format!("`{name}` belongs in {allowed:?}"));
            }
        }
    }
    wrong
}

/// A path of modules and items.
type Names = Vec<String>;

/// `src/table/scan.rs` is `src`, `table`, `scan`; the head of a folder stands for the folder.
fn names_of(file: &SourceFile) -> Names {
    let place = file.place.trim_end_matches(".rs").trim_end_matches("/mod");
    [file.folder].into_iter().chain(place.split('/')).map(str::to_owned).collect()
}

/// The paths that a file names.
#[derive(Default)]
struct Paths {
    /// Paths of `use` lines, each with the name that it has in the file.
    used: Vec<(Names, String)>,
    /// Paths in all other code.
    inline: Vec<Names>,
}

/// The paths of a `use` line, each with its name.
fn paths_of_use(tree: &str) -> Vec<(Names, String)> {
    let Some((head, inner)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut names: Names = path.split("::").map(|name| name.trim().to_owned()).collect();
        if names.len() > 1 && names.last().is_some_and(|last| last == "self") {
            names.pop();
        }
        let known_as = if alias.is_empty() { names.last().unwrap().clone() } else { alias.trim().to_owned() };
        return vec![(names, known_as)];
    };
    let inner = inner.rsplit_once('}').unwrap().0;
    let (mut depth, mut from) = (0, 0);
    let mut paths = Vec::new();
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 && c == ',' && !inner[from..at].trim().is_empty() {
            paths.extend(paths_of_use(&format!("{head}{}", inner[from..at].trim())));
        }
        from = if depth == 0 && c == ',' { at + 1 } else { from };
    }
    paths
}

impl Paths {
    fn of(code: &str) -> Paths {
        let mut paths = Paths::default();
        for statement in code.split_inclusive(';') {
            let line = statement.rfind("\nuse ").map(|at| at + 1);
            let at = line.or_else(|| statement.rfind("pub use ")).or_else(|| statement.rfind(") use "));
            let at = at.or_else(|| statement.trim_start().starts_with("use ").then_some(0));
            let (before, tree) = statement.split_at(at.unwrap_or(statement.len()));
            if let Some((_, tree)) = tree.split_once("use ") {
                paths.used.extend(paths_of_use(tree.trim_end_matches(';').trim()));
            }
            let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let words = before.split(|c| !is_path(c)).filter(|word| word.contains("::"));
            paths.inline.extend(words.map(|word| word.split("::").map(str::to_owned).collect::<Names>()));
        }
        paths
    }

    /// The path behind a name that the file re-exports, so that other files may name it there.
    fn given_on(&self, name: &str) -> Option<&Names> {
        self.used.iter().find(|(path, known_as)| known_as == name && path[0] != name).map(|(path, _)| path)
    }
}

/// All files by their names, with the paths that they name.
struct Files(BTreeMap<Names, Paths>);

impl Files {
    fn of(files: &[SourceFile]) -> Files {
        Files(files.iter().map(|file| (names_of(file), Paths::of(&file.code()))).collect())
    }

    /// The file that defines the target of a path in `here`, even if another re-exports it; none outside our crates.
    fn target(&self, here: &Names, path: &[String]) -> Option<Names> {
        let (mut at, mut path) = (here.clone(), path.to_vec());
        // Our paths take fewer steps, but files that re-export each other's names would take ever more.
        for _ in 0..16 {
            match path.first()?.as_str() {
                "crate" => at.truncate(1),
                "keytrail_rows" => at = vec!["rows/src".to_owned()],
                "self" => {}
                "super" => drop(at.pop()),
                first if self.0.contains_key(&[at.as_slice(), &[first.to_owned()]].concat()) => {
                    at.push(first.to_owned());
                }
                first => {
                    let Some(to) = self.0.get(&at)?.given_on(first).filter(|_| at != *here) else { break };
                    path.splice(..1, to.iter().cloned());
                    continue;
                }
            }
            path.remove(0);
            if path.is_empty() {
                break;
            }
        }
        self.0.contains_key(&at).then_some(at)
    }

    /// The files that a file names, without the heads of its own folders: a head is the vocabulary of the files below.
    fn arrows(&self, from: &Names) -> BTreeSet<Names> {
        let Paths { used, inline } = &self.0[from];
        let paths = used.iter().map(|(path, _)| path).chain(inline);
        let targets = paths.filter_map(|path| self.target(from, path));
        targets.filter(|target| !from.starts_with(target)).collect()
    }

    /// Groups of files each of which leads to all the others.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows: BTreeMap<&Names, BTreeSet<Names>> = self.0.keys().map(|file| (file, self.arrows(file))).collect();
        let reached = |from: &Names| {
            let (mut reached, mut ahead) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(file) = ahead.pop() {
                ahead.extend(arrows[&file].iter().filter(|next| reached.insert((*next).clone())).cloned());
            }
            reached
        };
        let reached: BTreeMap<&Names, BTreeSet<Names>> = self.0.keys().map(|file| (file, reached(file))).collect();
        let in_circle = self.0.keys().filter(|file| reached[file].contains(*file));
        let group = |file: &Names| -> Vec<String> {
            let others = reached[file].iter().filter(|other| reached[*other].contains(file));
            others.map(|other| other.join("/")).collect()
        };
        in_circle.map(group).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[test]
fn arrows_point_down() {
    let files = source_files();
    let unknown: Vec<_> = files.iter().filter(|file| layer(file.module()).is_none()).map(|file| &file.place).collect();
    let wrong: Vec<_> = files.iter().flat_map(|file| wrong_arrows(file.module(), &file.place, &file.text)).collect();
    assert!(unknown.is_empty(), "in no layer: {unknown:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let is_there = |name: &&&str| files.iter().any(|file| file.module() == **name);
    let missing: Vec<_> = LAYERS.iter().copied().flatten().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "layers without a file: {missing:?}");
}

#[test]
fn files_make_no_circle() {
    let circles = Files::of(&source_files()).circles();
    assert!(circles.is_empty(), "files that name each other: {circles:#?}");
}

#[test]
fn a_circle_is_seen() {
    let file =
        |(place, text): (&str, &str)| SourceFile { folder: "src", place: place.to_owned(), text: text.to_owned() };
    let circles = |files: &[(&str, &str)]| Files::of(&files.iter().copied().map(file).collect::<Vec<_>>()).circles();
    // A head names and re-exports the items of a file below it; that is no circle.
    let head = ("a/mod.rs", "mod low;\nmod high;\npub use low::{Low, self};\npub struct Word;");
    let low = ("a/low.rs", "use super::Word;\npub struct Low;");
    assert_eq!(circles(&[head, low, ("a/high.rs", "use crate::a::Low;")]), Vec::<Vec<String>>::new());
    for names_high in [
        "use super::high;",
        "use std::fs;\nuse super::{Word, high::{self, High}};",
        "pub(super) use crate::a::high::High as Top;",
        "fn f() -> u8 { super::high::f(1) }",
    ] {
        let low = ("a/low.rs", names_high);
        let found = circles(&[head, low, ("a/high.rs", "use super::Word;\n\nuse super::Low;")]);
        assert_eq!(found, [["src/a/high", "src/a/low"]], "{names_high}");
    }
    let comment = ("a/low.rs", "// use super::high;\n#[cfg(test)]\nmod tests {\n    use super::super::high;\n}");
    assert_eq!(circles(&[head, comment, ("a/high.rs", "use super::Low;")]), Vec::<Vec<String>>::new());
}

#[test]
fn a_wrong_arrow_is_seen() {
    assert_eq!(wrong_arrows("decode", "x", "use crate::normalize::Row;\nuse crate::json;\nuse clap::Args;").len(), 2);
    assert_eq!(wrong_arrows("source", "x", "use keytrail_rows::normalize::Row;\nuse keytrail_rows::json;").len(), 1);
    assert_eq!(wrong_arrows("cli", "x", "use crate::sql::Engine;\nprintln!();\n// use datafusion::x").len(), 0);
}
