//! Runs the binary over a corpus of damaged and hostile logs, each in a child with little memory and little time.
//! In: `tools/badinputs.py` of the shared folder, which makes the corpus and the expected result of each case. Out: one
//! table of every disagreement. Never counts a case as passed unless it ran.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::{Ended, Limits, beside, has_program, keytrail_within, on_every_core};

/// Cases in which we think the manifest is wrong: id, keytrail's result, and the reason.
const DOUBTED: [(&str, &str, &str); 2] = [
    (
        "GZ-018",
        "gzip_crc",
        "the flipped bit changes the text but not its length, so that only the CRC tells: the same evidence as a wrong CRC",
    ),
    ("JS-077", "unknown_member", "lists and objects beside the records, which nobody writes, are never silent"),
];

/// The address space that a case may take beyond a control case, which already covers thread stacks and the
/// allocator's reservation.
const ADDRESS_SPACE_ABOVE_KIB: u64 = 512 << 10;
const RESIDENT_KIB_MAX: u64 = 256 << 10;
const TIME_MAX: Duration = Duration::from_secs(20);

const OBJECTS: &str =
    "select uri, status, error, records, kept, duplicate, filtered, quarantined, conflicts from objects order by uri";

struct Corpus {
    dir: tempfile::TempDir,
    manifest: Value,
    address_space_kib: u64,
}

impl Corpus {
    fn make() -> Option<Corpus> {
        let script = beside("tools/badinputs.py").filter(|_| has_program("python3", &["-c", ""]))?;
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("python3").arg(script).arg(dir.path()).args(["--tiny", "2000"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let manifest = serde_json::from_slice(&fs::read(dir.path().join("manifest.json")).unwrap()).unwrap();
        let control = dir.path().join("cases/GZ-001_control.json.gz");
        // The highest of several runs counts, since a short-lived child may end between two looks.
        let needs = (0..5).map(|_| ask(OBJECTS, &[&control], Limits::default()).peak_address_space_kib).max().unwrap();
        assert!(needs > 0, "the address space of a control case could not be seen");
        Some(Corpus { dir, manifest, address_space_kib: needs + ADDRESS_SPACE_ABOVE_KIB })
    }

    fn limits(&self) -> Limits {
        Limits { address_space_kib: Some(self.address_space_kib), open_files: Some(256), time: TIME_MAX }
    }

    fn cases(&self) -> Vec<Case<'_>> {
        self.manifest["cases"].as_array().unwrap().iter().map(|json| Case { json, dir: self.dir.path() }).collect()
    }
}

/// One entry of the manifest.
#[derive(Clone, Copy)]
struct Case<'c> {
    json: &'c Value,
    dir: &'c Path,
}

impl Case<'_> {
    fn id(&self) -> &str {
        self.json["id"].as_str().unwrap()
    }

    fn expect(&self, member: &str) -> &Value {
        &self.json["expect"][member]
    }

    fn disposition(&self) -> &str {
        // Root can open a file of mode 000, which then is an ordinary log.
        if self.id() == "FS-062" && File::open(self.path()).is_ok() { "ingest" } else { self.text("disposition") }
    }

    fn text(&self, member: &str) -> &str {
        self.expect(member).as_str().unwrap_or_default()
    }

    fn flags(&self) -> Vec<&str> {
        self.expect("flags").as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect()
    }

    fn path(&self) -> PathBuf {
        let Some(hex) = self.json["path_hex"].as_str() else {
            return self.dir.join(self.json["path"].as_str().unwrap());
        };
        self.dir.join(bytes_as_path(&unhex(hex)))
    }

    /// The path as `objects.uri` shows it, percent-escaped where the name is not UTF-8.
    fn uri(&self) -> String {
        let Some(hex) = self.json["path_hex"].as_str() else { return self.path().to_str().unwrap().to_owned() };
        let shown = unhex(hex).utf8_chunks().fold(String::new(), |mut shown, chunk| {
            shown.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|b| write!(shown, "%{b:02X}").unwrap());
            shown
        });
        self.dir.join(shown).to_str().unwrap().to_owned()
    }
}

pub fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn bytes_as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(bytes))
}

fn ask(sql: &str, locations: &[&Path], limits: Limits) -> Ended {
    let mut args: Vec<OsString> = ["query", "--events", "all", "-f", "json", sql].map(Into::into).into();
    for location in locations {
        args.push("--from".into());
        args.push(location.into());
    }
    keytrail_within(args, limits)
}

/// Complaints about one object that did not come out as its case says.
fn judge(case: Case, object: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = match case.disposition() {
        "ingest" => "read",
        "ingest_flagged" => "flagged",
        "quarantine" => "quarantined",
        "skip" => "skipped",
        "refuse" => "refused",
        other => panic!("unknown disposition {other}"),
    };
    let error = object["error"].as_str().unwrap_or_default();
    if object["status"] != status {
        wrong.push(format!("status {} ({error}), not {status}", object["status"]));
    }
    let is_read = matches!(status, "read" | "flagged");
    let count = |member: &str| object[member].as_u64().unwrap_or(0);
    if count("records") != ["kept", "duplicate", "filtered", "quarantined"].map(count).iter().sum::<u64>() {
        wrong.push(format!("counts do not add up: {object}"));
    }
    if is_read {
        let pairs =
            [("records", "records_in"), ("kept", "ok"), ("duplicate", "duplicates"), ("quarantined", "quarantined")];
        for (ours, theirs) in pairs {
            let (expected, got) = (case.expect(theirs), count(ours));
            if !expected.is_null() && case.id() != "FS-062" && !is_within(got, expected) {
                wrong.push(format!("{ours} {got}, not {expected}"));
            }
        }
    } else if count("kept") != 0 {
        wrong.push(format!("gives {} rows", count("kept")));
    }
    if !is_read && !error.starts_with(case.text("error_class")) {
        wrong.push(format!("error `{error}`, not `{}`", case.text("error_class")));
    }
    for flag in case.flags() {
        if status == "flagged" && !error.contains(flag) {
            wrong.push(format!("flags `{error}`, without `{flag}`"));
        }
        if flag == "event_id_conflict:1" && count("conflicts") != 1 {
            wrong.push(format!("conflicts {}, not 1", count("conflicts")));
        }
    }
    wrong
}

/// True if a count matches a number of the manifest, or lies in its `[lowest, highest]`.
fn is_within(got: u64, expected: &Value) -> bool {
    match expected.as_array() {
        Some(bounds) => (bounds[0].as_u64().unwrap()..=bounds[1].as_u64().unwrap()).contains(&got),
        None => expected.as_u64() == Some(got),
    }
}

/// Complaints about the end of a run over one location, whatever it found there.
fn judge_run(ended: &Ended, objects: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_read = |o: &Value| o["status"] == "read" || o["status"] == "flagged";
    let is_whole = |o: &Value| (is_read(o) || o["status"] == "skipped") && o["quarantined"].as_u64() == Some(0);
    let code = if objects.iter().all(is_whole) && objects.iter().any(is_read) { 0 } else { 3 };
    if ended.code != Some(code) {
        wrong.push(format!("should exit {code}; {}", ended.story()));
    }
    if ended.stderr.contains("panicked") {
        wrong.push(format!("panic: {}", ended.stderr));
    }
    if ended.peak_resident_kib > RESIDENT_KIB_MAX {
        wrong.push(format!("{} MiB resident", ended.peak_resident_kib >> 10));
    }
    wrong
}

/// Runs a case that is one file.
fn run_alone(case: Case, limits: Limits) -> Vec<String> {
    let path = case.path();
    let ended = ask(OBJECTS, &[&path], limits);
    let objects = match ended.rows() {
        Ok(objects) if objects.len() == 1 => objects,
        Ok(objects) => return vec![format!("{} objects; {}", objects.len(), ended.story())],
        Err(error) => return vec![error],
    };
    let mut wrong = judge_run(&ended, &objects);
    wrong.extend(judge(case, &objects[0]));
    if objects[0]["quarantined"].as_u64() > Some(0) && !case.text("error_class").is_empty() {
        wrong.extend(judge_reasons(case, &ask("select reason from quarantine", &[&path], limits)));
    }
    if case.flags().iter().any(|f| matches!(*f, "lossy_text:1" | "event_id_odd:1" | "time_invalid:1")) {
        wrong.extend(judge_issues(&ask("select issues from events order by record_index", &[&path], limits)));
    }
    wrong
}

fn judge_reasons(case: Case, ended: &Ended) -> Option<String> {
    let rows = match ended.rows() {
        Ok(rows) => rows,
        Err(error) => return Some(error),
    };
    let reasons: Vec<&str> = rows.iter().filter_map(|r| r["reason"].as_str()).collect();
    let class = case.text("error_class");
    (!reasons.iter().any(|r| r.starts_with(class))).then(|| format!("record reasons {reasons:?}, not `{class}`"))
}

/// Judges cases whose second of three records is odd.
fn judge_issues(ended: &Ended) -> Option<String> {
    let rows = match ended.rows() {
        Ok(rows) => rows,
        Err(error) => return Some(error),
    };
    let odd: Vec<bool> = rows.iter().map(|r| r["issues"].as_array().is_some_and(|i| !i.is_empty())).collect();
    (odd != [false, true, false]).then(|| format!("records with issues: {odd:?}"))
}

/// Runs cases that only make sense together, and judges each object by its case.
fn run_together(cases: &[Case], locations: &[&Path], limits: Limits) -> Vec<(String, String)> {
    let ended = ask(OBJECTS, locations, limits);
    let all = |what: String| cases.iter().map(|c| (c.id().to_owned(), what.clone())).collect();
    let objects = match ended.rows() {
        Ok(objects) => objects,
        Err(error) => return all(error),
    };
    let by_uri: BTreeMap<&str, &Value> = objects.iter().filter_map(|o| Some((o["uri"].as_str()?, o))).collect();
    let mut wrong: Vec<(String, String)> = Vec::new();
    for case in cases {
        let complaints = by_uri.get(case.uri().as_str()).map(|object| judge(*case, object));
        let complaints = complaints.unwrap_or_else(|| vec![format!("no row in objects for {:?}", case.uri())]);
        wrong.extend(complaints.into_iter().map(|c| (case.id().to_owned(), c)));
    }
    if let run @ [_, ..] = judge_run(&ended, &objects).as_slice() {
        wrong.push((format!("{}…", cases[0].id()), run.join("; ")));
    }
    wrong
}

/// Runs a case of many files that has one row in the manifest.
fn run_tiny(case: Case, limits: Limits) -> Vec<String> {
    let sql =
        "select count(*) as objects, sum(records) as records, sum(kept) as kept from objects where status = 'read'";
    let ended = ask(sql, &[&case.path()], limits);
    let n = case.expect("records_in");
    match ended.rows() {
        Ok(rows) if ["objects", "records", "kept"].iter().all(|m| rows[0][m] == *n) && ended.code == Some(0) => vec![],
        Ok(rows) => vec![format!("{rows:?}, not {n} each; {}", ended.story())],
        Err(error) => vec![error],
    }
}

enum Unit<'c> {
    Alone(Case<'c>),
    Tiny(Case<'c>),
    /// The link cases, odd names and copies need their whole tree.
    Tree(Vec<Case<'c>>),
    /// Duplicates and conflicts across files.
    Across(Vec<Case<'c>>),
}

fn units<'c>(corpus: &'c Corpus) -> Vec<Unit<'c>> {
    let (mut tree, mut across, mut units) = (Vec::new(), Vec::new(), Vec::new());
    for case in corpus.cases() {
        match case.id() {
            "RC-303" | "RC-304" | "RC-305" => across.push(case),
            id if id.starts_with("FS-") => tree.push(case),
            id if id.starts_with("TN-") => units.push(Unit::Tiny(case)),
            _ => units.push(Unit::Alone(case)),
        }
    }
    units.extend([Unit::Tree(tree), Unit::Across(across)]);
    units
}

#[test]
fn every_bad_input_ends_as_its_manifest_says() {
    let Some(corpus) = Corpus::make() else { return };
    let limits = corpus.limits();
    let units = units(&corpus);
    let named = |case: Case, wrong: Vec<String>| wrong.into_iter().map(|w| (case.id().to_owned(), w)).collect();
    let results: Vec<Vec<(String, String)>> = on_every_core(&units, |unit| match unit {
        Unit::Alone(case) => named(*case, run_alone(*case, limits)),
        Unit::Tiny(case) => named(*case, run_tiny(*case, limits)),
        Unit::Tree(cases) => run_together(cases, &[&corpus.dir.path().join("fs")], limits),
        Unit::Across(cases) => {
            let paths: Vec<PathBuf> = cases.iter().map(Case::path).collect();
            run_together(cases, &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>(), limits)
        }
    });
    let wrong: Vec<(String, String)> = results.into_iter().flatten().collect();
    let (doubted, wrong): (Vec<_>, Vec<_>) = wrong
        .into_iter()
        .partition(|(id, what)| DOUBTED.iter().any(|(i, instead, _)| i == id && what.contains(instead)));
    let space = corpus.address_space_kib >> 10;
    eprintln!(
        "{} cases in {space} MiB of address space: {} doubted, {} wrong",
        corpus.cases().len(),
        doubted.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "\n{}", table(&corpus, &wrong));
    let stale: Vec<_> = DOUBTED.iter().filter(|(id, ..)| !doubted.iter().any(|(d, _)| d == id)).collect();
    assert!(stale.is_empty(), "doubted, but the manifest is met: {stale:?}");
}

fn table(corpus: &Corpus, wrong: &[(String, String)]) -> String {
    let cases = corpus.cases();
    wrong.iter().fold(String::new(), |mut table, (id, what)| {
        let about = cases.iter().find(|c| c.id() == id).and_then(|c| c.json["what"].as_str()).unwrap_or_default();
        writeln!(table, "{id:8} | {what:.300} | {about:.90}").unwrap();
        table
    })
}

/// Cases in which none of the whole records is found, and the reason: salvage inflates one or two gzips, reads UTF-8, and takes
/// apart what is damaged.
const NOT_SALVAGED: [(&str, &str); 11] = [
    ("GZ-005", "where a header is damaged, nobody knows where its content begins"),
    ("GZ-030", "the gzip is not at the start"),
    ("GZ-032", "three gzips"),
    ("GZ-033", "zlib"),
    ("GZ-034", "bare deflate"),
    ("GZ-043", "where a header is damaged, nobody knows where its content begins"),
    ("JS-002", "UTF-16"),
    ("JS-003", "UTF-16"),
    ("JS-004", "UTF-32"),
    ("JS-075", "nothing is damaged: the envelope is unknown"),
    ("JS-076", "nothing is damaged: the envelope is unknown"),
];

/// `--salvage` takes the whole records of a damaged object, no others, and says that it is damaged.
#[test]
fn salvage_takes_the_whole_records_and_no_others() {
    let Some(corpus) = Corpus::make() else { return };
    let is_damaged = |c: &Case| c.text("disposition") == "quarantine" && !c.id().starts_with("FS-");
    let cases: Vec<Case> = corpus.cases().into_iter().filter(is_damaged).collect();
    let wrong = on_every_core(&cases, |case| salvaged(*case, corpus.limits()).map(|what| (case.id().to_owned(), what)));
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", table(&corpus, &wrong));
}

fn salvaged(case: Case, limits: Limits) -> Option<String> {
    let path = case.path();
    let words = ["query", "--salvage", "--events", "all", "-f", "json", OBJECTS, "--from"].map(OsStr::new);
    let ended = keytrail_within(words.into_iter().chain([path.as_os_str()]), limits);
    let object = match ended.rows() {
        Ok(objects) if ended.code == Some(3) => objects[0].clone(),
        Ok(_) => return Some(ended.story()),
        Err(error) => return Some(error),
    };
    let whole = case.expect("salvage");
    let most = whole.as_u64().or(whole[1].as_u64()).unwrap_or(u64::MAX);
    let least = whole.as_u64().or(whole[0].as_u64()).unwrap_or(0);
    let is_salvaged = NOT_SALVAGED.iter().all(|(id, _)| *id != case.id());
    let expected = if is_salvaged { least..=most } else { 0..=0 };
    let is_right = object["status"] == "quarantined" && object["kept"].as_u64().is_some_and(|n| expected.contains(&n));
    (!is_right).then(|| format!("not {expected:?}: {object}"))
}

/// Short openings that, repeated, keep a parser with backtracking busy for hours.
const DOUBLING: [&str; 6] =
    ["CASE WHEN true THEN ", "CAST(", "ARRAY[", "substring(", "position(", "count(*) FILTER (WHERE "];

/// The SQL of a stranger is refused or answered, or runs into a bound; it always ends by itself, never crashes the program
/// and never writes a file.
#[test]
fn hostile_sql_is_refused_or_bounded() {
    let Some(corpus) = Corpus::make() else { return };
    let attacks = corpus.manifest["sql_attacks"].as_array().unwrap();
    let wrong = on_every_core(attacks, |attack| attacked(&corpus, attack["expect"].as_str()?, attack["sql"].as_str()?));
    let depths = [10, 30, 5000];
    let doubling: Vec<String> =
        DOUBLING.iter().flat_map(|text| depths.map(|depth| format!("SELECT {}1", text.repeat(depth)))).collect();
    let more = on_every_core(&doubling, |sql| attacked(&corpus, "refuse", sql));
    let wrong: Vec<String> = wrong.into_iter().chain(more).flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let written: Vec<_> = ["/tmp/pwn.csv", "/tmp/x.csv"].into_iter().filter(|p| Path::new(p).exists()).collect();
    assert!(written.is_empty(), "files of attacks: {written:?}");
}

/// Nobody waits so long for a statement that may compute for two seconds.
const HUNG: Duration = Duration::from_secs(120);
/// The memory that an attack may take, and what the process may have resident with it: the program itself is mapped.
const ATTACK_MEMORY: &str = "400M";
const ATTACK_RESIDENT_KIB_MAX: u64 = 512 << 10;
/// What clients of other databases send, which nothing here needs.
const OF_CLIENTS: [&str; 3] = ["SET ", "BEGIN", "COMMIT"];

fn attacked(corpus: &Corpus, expect: &str, sql: &str) -> Option<String> {
    // Some of these are too long to be one argument of a command.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("attack.sql");
    fs::write(&file, sql).unwrap();
    let log = corpus.dir.path().join("cases/GZ-001_control.json.gz");
    let head = ["query", "-f", "json", "--timeout", "2s", "--memory", ATTACK_MEMORY, "--file"].map(OsStr::new);
    let words = head.into_iter().chain([file.as_os_str(), "--from".as_ref(), log.as_os_str()]);
    let ended = keytrail_within(words, Limits { time: HUNG, ..Limits::default() });
    let is_right = match (expect, ended.code) {
        (_, _) if ended.stderr.contains("panicked") => false,
        ("refuse", code) => code == Some(2),
        // Over one small log some of them are answered.
        ("bound", code) => matches!(code, Some(0 | 2 | 5)),
        (_, code) if OF_CLIENTS.iter().any(|begin| sql.starts_with(begin)) => code == Some(2),
        (_, code) => code == Some(0),
    };
    let resident = ended.peak_resident_kib;
    let is_right = is_right && resident <= ATTACK_RESIDENT_KIB_MAX;
    let shown: String = sql.chars().take(90).collect();
    (!is_right).then(|| format!("{expect} | {} | {} MiB | {shown}", ended.story(), resident >> 10))
}

/// A client's values come out of JSON as they went in, and out of the other formats without characters that act.
#[test]
fn hostile_values_come_out_whole_in_json_and_harmless_elsewhere() {
    let Some(corpus) = Corpus::make() else { return };
    let payloads: Vec<Value> =
        serde_json::from_slice(&fs::read(corpus.dir.path().join("payloads.json")).unwrap()).unwrap();
    let fields = [
        ("IN-001", "user_agent"),
        ("IN-003", "error_message"),
        ("IN-006", "source_ip_address"),
        ("IN-008", "event_name"),
    ];
    let wrong = on_every_core(&fields, |(id, column)| {
        let case = corpus.cases().into_iter().find(|c| c.id() == *id).unwrap();
        let long = ["long_1m", "combining_64k"];
        let sent: Vec<&str> = payloads
            .iter()
            .filter(|p| *id == "IN-001" || !long.iter().any(|l| p["name"] == *l))
            .map(|p| p["value"].as_str().unwrap())
            .collect();
        let sql = format!("select {column} as cell from events order by record_index");
        let rows = ask(&sql, &[&case.path()], Limits::default()).rows().unwrap();
        let mut wrong = Vec::new();
        if rows.len() != sent.len() {
            wrong.push(format!("{id}: {} rows of {}", rows.len(), sent.len()));
        }
        for (row, sent) in rows.iter().zip(&sent) {
            let expected = if *id == "IN-003" { format!("User: {sent} is not authorized") } else { (*sent).to_owned() };
            let expected = if expected.is_empty() { Value::Null } else { Value::String(expected) };
            if row["cell"] != expected {
                wrong.push(format!("{id}: {:.80} became {:.80}", expected.to_string(), row["cell"].to_string()));
            }
        }
        wrong.extend(["table", "csv", "markdown"].iter().flat_map(|format| acting(&case, &sql, format)));
        wrong
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Characters and cells of one output that a terminal or a spreadsheet would act on. CSV to a program keeps the
/// characters of its cells, as RFC 4180 allows, so there only a formula counts.
fn acting(case: &Case, sql: &str, format: &str) -> Vec<String> {
    let path = case.path();
    let args = ["query", "--events", "all", "-f", format, sql, "--from"].map(OsStr::new);
    let ended = keytrail_within(args.into_iter().chain([path.as_os_str()]), Limits::default());
    if format == "csv" {
        return formulas(ended.text()).into_iter().map(|c| format!("{}: a formula in csv: {c:?}", case.id())).collect();
    }
    let is_bidi = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let acts = ended.text().chars().find(|c| (c.is_control() && *c != '\n') || is_bidi(*c));
    acts.map(|c| format!("{}: {c:?} in {format}", case.id())).into_iter().collect()
}

fn formulas(text: &str) -> Vec<String> {
    const STARTS: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.records().map(|r| r.expect("every row has the header's number of cells"));
    records.flat_map(|r| r.iter().filter(|c| c.starts_with(STARTS)).map(str::to_owned).collect::<Vec<_>>()).collect()
}
