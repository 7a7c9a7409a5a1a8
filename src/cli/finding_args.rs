//! What a run is told of findings: rules, sets, suppressions, the expected use of keys, and the severity that fails it.
//! In: flags, and files of TOML and SQL. Out: options for the engine, and sentences on entries that do nothing.
//! Never hides a finding for ever: each suppression has a reason, an owner and an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use toml::Spanned;

use super::exit::Failure;
use super::toml_file::{self, EntryEnd};
use crate::output::times;
use crate::output::visible::visible;
use crate::source::Location;
use crate::sql::cards::{Card, CardKind, Severity};
use crate::sql::did_you_mean::did_you_mean;
use crate::sql::findings_said::{ExpectedKeyUse, FindingsSaid, SuppressedFindings};
use crate::sql::rules::{self, FindingRule, RuleSet};

#[derive(Args, Debug, Clone)]
pub struct FindingArgs {
    /// Rules of your own beside those of keytrail: a directory of .sql files (`keytrail queries --lint DIR` checks them)
    #[arg(long, value_name = "DIR", help_heading = "Findings")]
    pub rules: Option<PathBuf>,
    /// Which rules run: `baseline` adds those that compare with what was usual before --since
    #[arg(long, value_name = "SET", default_value = "default", help_heading = "Findings")]
    pub rules_set: RulesSet,
    /// Findings that somebody has looked at, as TOML: [[suppress]] with rule, principal, key, table (patterns), and
    /// reason, owner, expires, all three needed
    #[arg(long, value_name = "FILE", help_heading = "Findings")]
    pub suppress: Option<PathBuf>,
    /// List suppressed findings too
    #[arg(long, help_heading = "Findings")]
    pub show_suppressed: bool,
    /// Who is expected to use a key, as TOML: [[key]] with key, principals, services, tables, regions (patterns); any
    /// other use is a finding
    #[arg(long, value_name = "FILE", help_heading = "Findings")]
    pub expect_use: Option<PathBuf>,
    /// End with 1 if an open finding is of this severity or above
    #[arg(long, value_name = "SEVERITY", help_heading = "Findings")]
    pub fail_on: Option<Severity>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RulesSet {
    /// Those that need no history
    Default,
    /// All of them
    Baseline,
}

impl ValueEnum for Severity {
    fn value_variants<'a>() -> &'a [Severity] {
        &Severity::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

/// The options of a run, as its files have them.
#[derive(Debug, Clone)]
pub struct FindingOptions {
    pub rules: Arc<[FindingRule]>,
    pub said: Arc<FindingsSaid>,
    /// Sentences on entries that have ended or name nothing, and on those that hide everything.
    pub notes: Vec<String>,
}

impl FindingArgs {
    /// The files that are read beside the logs.
    pub fn files(&self) -> Vec<Location> {
        let named = [&self.rules, &self.suppress, &self.expect_use];
        named.into_iter().flatten().cloned().map(Location::Path).collect()
    }

    /// Reads the files that were named.
    pub fn options(&self, now_micros: i64) -> Result<FindingOptions, Failure> {
        let own = self.rules.as_deref().map_or(Ok(Vec::new()), user_rules)?;
        let is_run = |rule: &&FindingRule| self.rules_set == RulesSet::Baseline || rule.set == RuleSet::Default;
        let rules: Arc<[FindingRule]> = rules::all().iter().chain(&own).filter(is_run).cloned().collect();
        let names: Vec<&str> = rules::all().iter().chain(&own).map(|rule| rule.name).collect();
        let (mut said, mut notes) = (FindingsSaid::default(), Vec::new());
        if let Some(path) = &self.suppress {
            let hint =
                "an entry is [[suppress]] with rule, principal, key or table (patterns), reason, owner and expires";
            let read = toml_file::read(path, hint, |text| suppressions(text, now_micros, &names))?;
            (said.suppressed, notes) = read;
        }
        if let Some(path) = &self.expect_use {
            let hint = "an entry is [[key]] with key, and lists of principals, services, tables and regions (patterns)";
            said.expected_use = toml_file::read(path, hint, expected_use)?;
        }
        Ok(FindingOptions { rules, said: Arc::new(said), notes })
    }
}

/// Rules of a user, by name.
pub fn user_rules(folder: &Path) -> Result<Vec<FindingRule>, Failure> {
    let shown = visible(&folder.to_string_lossy()).into_owned();
    let world = |error: std::io::Error| Failure::world(format!("cannot read `{shown}`: {error}"));
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).map_err(world)?.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(world)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage(format!("`{shown}` has no .sql file")).hint("a rule is a file NAME.sql"));
    }
    files.iter().map(|path| user_rule(path)).collect()
}

/// One rule of a user. Its text lives as long as the process, as that of a rule which is compiled in.
fn user_rule(path: &Path) -> Result<FindingRule, Failure> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let shown = visible(&path.to_string_lossy()).into_owned();
    if rules::all().iter().any(|rule| rule.name == name) {
        return Err(Failure::usage(format!("`{shown}`: keytrail has a rule `{name}`")).hint("give yours another name"));
    }
    let sql = toml_file::read(path, "a rule opens with its card", |text| Ok(text.to_owned()))?;
    let (name, sql): (&'static str, &'static str) = (Box::leak(name.into_boxed_str()), Box::leak(sql.into_boxed_str()));
    let card = Card::read(CardKind::Finding, name, sql);
    let rule = card.and_then(|card| FindingRule::of(&card)).map_err(|error| Failure::usage(error.to_string()))?;
    match rule.objection() {
        Some(objection) => Err(Failure::usage(format!("`{shown}`: {objection}"))),
        None => Ok(rule),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressFile {
    #[serde(default)]
    suppress: Vec<Spanned<SuppressEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressEntry {
    rule: Option<String>,
    principal: Option<String>,
    key: Option<String>,
    table: Option<String>,
    reason: String,
    owner: String,
    expires: EntryEnd,
}

/// The entries that hold, and sentences on those that have ended, name no rule, or fit everything.
fn suppressions(text: &str, now_micros: i64, rules: &[&str]) -> Result<(Vec<SuppressedFindings>, Vec<String>), String> {
    let file: SuppressFile = toml_file::entries(text)?;
    let (mut suppressed, mut notes) = (Vec::new(), Vec::new());
    for entry in &file.suppress {
        let line = toml_file::line_of(text, entry.span().start);
        let SuppressEntry { rule, principal, key, table, reason, owner, expires } = entry.as_ref();
        toml_file::no_blank(line, &[("reason", reason), ("owner", owner)])?;
        let expires = expires.micros().map_err(|fault| format!("line {line}: {fault}"))?;
        let mut note = |what: String| notes.push(format!("--suppress, line {line}, of {owner}: {what}"));
        if let Some(rule) = rule
            && !rules.iter().any(|name| crate::glob::fits(rule, name))
        {
            let meant = did_you_mean(rule, rules.iter().copied()).map(|meant| format!("; {meant}")).unwrap_or_default();
            note(format!("there is no rule `{rule}`{meant}"));
        }
        if expires <= now_micros {
            note(format!("ended at {}: what it names is open again", times::rfc3339(expires)));
            continue;
        }
        let patterns = [rule, principal, key, table];
        if patterns.iter().all(|pattern| pattern.as_ref().is_none_or(|pattern| pattern.chars().all(|c| c == '*'))) {
            note("it fits every finding".to_owned());
        }
        let end = times::rfc3339(expires);
        let [rule, principal, key, table] = patterns.map(Clone::clone);
        let words = format!("{owner} until {end}: {reason}");
        suppressed.push(SuppressedFindings { rule, principal, key, table, words });
    }
    Ok((suppressed, notes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectUseFile {
    #[serde(default)]
    key: Vec<Spanned<ExpectUseEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectUseEntry {
    key: String,
    #[serde(default)]
    principals: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
}

fn expected_use(text: &str) -> Result<Vec<ExpectedKeyUse>, String> {
    let file: ExpectUseFile = toml_file::entries(text)?;
    let mut expected = Vec::new();
    for entry in file.key {
        let line = toml_file::line_of(text, entry.span().start);
        let ExpectUseEntry { key, principals, services, tables, regions } = entry.into_inner();
        toml_file::no_blank(line, &[("key", &key)])?;
        if [&principals, &services, &tables, &regions].iter().all(|patterns| patterns.is_empty()) {
            return Err(format!("line {line}: the entry of `{key}` expects anything; name who or what may use it"));
        }
        expected.push(ExpectedKeyUse { key, principals, services, tables, regions });
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-06-01";

    fn read(text: &str) -> Result<(Vec<SuppressedFindings>, Vec<String>), String> {
        suppressions(text, times::moment(NOW, 0).unwrap().micros, &["root-call", "first-use"])
    }

    #[test]
    fn a_suppression_needs_a_reason_an_owner_and_an_end() {
        let entry = "[[suppress]]\nrule = \"root-call\"\nreason = \"break glass drill\"\nowner = \"sec\"\nexpires = 2026-07-01\n";
        let (suppressed, notes) = read(entry).unwrap();
        assert_eq!((suppressed.len(), notes), (1, vec![]));
        assert_eq!(suppressed[0].words, "sec until 2026-07-01T00:00:00Z: break glass drill");
        for (text, fault) in [
            (entry.replace("reason = \"break glass drill\"\n", ""), "line 1: missing field `reason`"),
            (entry.replace("owner = \"sec\"\n", ""), "line 1: missing field `owner`"),
            (entry.replace("expires = 2026-07-01\n", ""), "line 1: missing field `expires`"),
            (entry.replace("\"sec\"", "\"\""), "line 1: the entry lacks owner"),
            (entry.replace("rule", "rul"), "line 2: unknown field `rul`"),
        ] {
            assert!(read(&text).unwrap_err().starts_with(fault), "{text}");
        }
    }

    #[test]
    fn an_entry_that_does_nothing_or_everything_is_told() {
        let entry = |rule: &str, expires: &str| {
            format!("[[suppress]]\nrule = \"{rule}\"\nreason = \"r\"\nowner = \"o\"\nexpires = {expires}\n")
        };
        for (text, holds, note) in [
            (entry("root-call", "2026-05-01"), 0, "ended at 2026-05-01T00:00:00Z"),
            (entry("root-cal", "2026-07-01"), 1, "there is no rule `root-cal`; did you mean"),
            (entry("*", "2026-07-01"), 1, "fits every finding"),
        ] {
            let (suppressed, notes) = read(&text).unwrap();
            assert_eq!((suppressed.len(), notes.len()), (holds, 1), "{text}");
            assert!(notes[0].contains(note), "{notes:?}");
        }
    }

    #[test]
    fn an_expectation_names_something() {
        let text = "[[key]]\nkey = \"1234*\"\nprincipals = [\"*:role/Orders*\"]\n";
        assert_eq!(expected_use(text).unwrap()[0].principals, ["*:role/Orders*"]);
        for (text, fault) in [
            ("[[key]]\nkey = \"1234*\"\n", "line 1: the entry of `1234*` expects anything"),
            ("[[key]]\nprincipals = []\n", "line 1: missing field `key`"),
            ("[[key]]\nkey = \"k\"\ntable = [\"t\"]\n", "line 3: unknown field `table`"),
        ] {
            assert!(expected_use(text).unwrap_err().starts_with(fault), "{text}");
        }
    }
}
