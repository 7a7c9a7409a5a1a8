//! Holds the answers to a world whose truth is known: a model plants calls and changes, delivers them as CloudTrail
//! does, and says what every view must give of them.
//! In: seeds. Out: every row that an answer lacks, and every row or value that it claims without ground.
//! Never asks keytrail's code for the truth: the model has its own books, and the contract decides their columns.
//!
//! The usual run takes small worlds, one for each test; `KEYTRAIL_EXHAUSTIVE=1` takes twenty for the first of them,
//! with 100,000 records of background each.

mod actors;
mod background;
mod chains;
mod changes;
mod delivery;
mod dice;
mod documents;
mod lives;
mod model;
mod recipes;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::{Ended, Limits, is_exhaustive, keytrail_within, on_every_core};
use actors::{EAST, MAIN, PLAIN, SWITCHED, WEST, iso};
use delivery::{DeliveryPlan, deliver};
use model::{CallFact, FIRST_SECOND, HOURS, KmsAnswer, PlantedWorld, hour_of};
use truth::{OBJECTS, SHAPES, TruthRow, ViewShape, WorldTruth, key_of};

/// Seeds, and how many records of background each world has.
fn seeds() -> (Vec<u64>, usize) {
    if is_exhaustive() { ((1..=20).collect(), 100_000) } else { (vec![1], 15_000) }
}

fn world_of(seed: u64, background: usize) -> PlantedWorld {
    let mut world = PlantedWorld::new(seed);
    background::found(&mut world);
    chains::play_all(&mut world);
    lives::play_all(&mut world);
    background::fill(&mut world, background);
    truth::conclude(&mut world);
    world
}

fn plan(seed: u64) -> DeliveryPlan {
    DeliveryPlan { seed, records_a_file: 600, without: None }
}

fn asked(question: &str, location: &Path, more: &[&str]) -> Result<Vec<Value>, String> {
    let words = ["query", "-q", "-f", "json", question, "--from", location.to_str().unwrap()];
    let ended = slow(words.iter().chain(more));
    // A digest that names what is not here makes the answer incomplete, not wrong.
    match ended.code {
        Some(0 | 3) => ended.rows(),
        _ => Err(format!("{question}: {}", ended.story())),
    }
}

fn slow<'w>(words: impl Iterator<Item = &'w &'w str>) -> Ended {
    keytrail_within(words.copied(), Limits { time: Duration::from_secs(600), ..Limits::default() })
}

fn shape_of(view: &str) -> &'static ViewShape {
    SHAPES.iter().find(|shape| shape.view == view).unwrap_or_else(|| panic!("the model knows no {view}"))
}

/// Every difference between the truth and the answers over a location.
fn differences(truth: &WorldTruth, location: &Path, more: &[&str]) -> Vec<String> {
    let of_view = |shape: &&ViewShape| match asked(&truth.question(shape), location, more) {
        Ok(rows) => truth.differences(shape, &rows),
        Err(story) => vec![story],
    };
    let shapes: Vec<&ViewShape> = SHAPES.iter().collect();
    on_every_core(&shapes, of_view).into_iter().flatten().collect()
}

/// At most eight differences of each view.
fn in_short(wrong: Vec<String>) -> String {
    let mut of_view: BTreeMap<String, usize> = BTreeMap::new();
    let mut text = String::new();
    for one in &wrong {
        let count = of_view.entry(one.split(' ').next().unwrap_or_default().to_owned()).or_default();
        *count += 1;
        if *count <= 8 {
            text.push_str(&format!("\n{one}"));
        }
    }
    format!("{text}\n{} differences: {of_view:?}", wrong.len())
}

/// Delivers the world and gives its truth, with the numbers of records of this delivery.
fn delivered(world: &PlantedWorld, plan: &DeliveryPlan, logs: &Path) -> WorldTruth {
    let counts = deliver(world, plan, logs);
    let mut truth = world.truth.clone();
    truth.add(
        OBJECTS,
        json!({
            "records": counts.records, "kept": counts.kept, "duplicate": counts.duplicate, "filtered": counts.filtered,
        }),
    );
    truth
}

fn ingested(logs: &Path, store: &Path) {
    let ended = slow(["ingest", logs.to_str().unwrap(), "--store", store.to_str().unwrap()].iter());
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
}

#[test]
fn answers_are_what_was_planted() {
    let (seeds, background) = seeds();
    for seed in seeds {
        let folder = tempfile::tempdir().unwrap();
        let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
        let truth = delivered(&world_of(seed, background), &plan(seed), &logs);
        let wrong = differences(&truth, &logs, &[]);
        assert!(wrong.is_empty(), "seed {seed}, logs: {}", in_short(wrong));
        ingested(&logs, &store);
        let wrong = differences(&truth, &store, &[]);
        assert!(wrong.is_empty(), "seed {seed}, store: {}", in_short(wrong));
    }
}

/// The same events in other files, under other names, in other orders, read by more threads.
#[test]
fn delivery_and_threads_change_no_row() {
    let world = world_of(3, if is_exhaustive() { 100_000 } else { 3_000 });
    let folder = tempfile::tempdir().unwrap();
    for (seed, threads, records_a_file) in [(101, "1", 2000), (102, "2", 40), (103, "8", 150)] {
        let logs = folder.path().join(threads);
        let truth = delivered(&world, &DeliveryPlan { seed, records_a_file, without: None }, &logs);
        let wrong = differences(&truth, &logs, &["--threads", threads]);
        assert!(wrong.is_empty(), "{threads} threads: {}", in_short(wrong));
    }
}

/// Periods by the columns of their begin and end: a store tells of those that reach into the interval, whole.
const PERIODS: [(&str, &str); 4] =
    [("grants", "ended_at"), ("key_aliases", "valid_to"), ("key_policies", "valid_to"), ("key_states", "valid_to")];

#[test]
fn a_store_tells_the_whole_of_each_period_that_reaches_into_the_interval() {
    let world = world_of(4, 1_000);
    let folder = tempfile::tempdir().unwrap();
    let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
    deliver(&world, &plan(4), &logs);
    ingested(&logs, &store);
    let since = iso(FIRST_SECOND + HOURS * 1800);
    for (view, end) in PERIODS {
        let shape = shape_of(view);
        // The last possible use is one of the interval's facts for some readers and of the history for others.
        let mut truth = world.truth.only(view, |row| row[end].as_str().is_none_or(|end| end > since.as_str()));
        truth.forget(view, &["last_possible_use".to_owned()]);
        assert!(!truth.rows(view).is_empty() && truth.rows(view).len() < world.truth.rows(view).len(), "{view}");
        let rows = asked(&truth.question(shape), &store, &["--since", &since]).unwrap();
        let wrong = truth.differences(shape, &rows);
        assert!(wrong.is_empty(), "{}", in_short(wrong));
    }
}

/// Logs that do not reach back leave a column NULL; they never give it another value.
#[test]
fn logs_from_a_later_day_on_claim_nothing_else() {
    let (world, folder) = (world_of(7, 1_000), tempfile::tempdir().unwrap());
    deliver(&world, &plan(7), folder.path());
    let since = iso(FIRST_SECOND + HOURS * 1800);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for shape in SHAPES.iter().filter(|shape| STEADY.iter().any(|(view, ..)| *view == shape.view)) {
        let rows =
            asked(&world.truth.question(shape), folder.path(), &["--since", &since, "--late-days", "0"]).unwrap();
        seen += rows.len();
        wrong.extend(false_values(&world, shape, &rows.into_iter().map(truth::row).collect::<Vec<_>>()));
    }
    assert!(seen > 0, "no row since {since}");
    assert!(wrong.is_empty(), "{}", in_short(wrong));
}

/// IAM's changes and the starts of sessions are logged in another Region than the one that is asked about.
#[test]
fn a_region_of_the_scope_keeps_the_changes_that_only_the_global_one_logs() {
    let shape = shape_of("access_chains");
    let (world, folder) = (world_of(8, 1_000), tempfile::tempdir().unwrap());
    let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
    deliver(&world, &plan(8), &logs);
    ingested(&logs, &store);
    let text = |row: &TruthRow, column: &str| row[column].as_str().unwrap().to_owned();
    let is_asked = |row: &TruthRow| {
        text(row, "key_arn").contains(&format!("{WEST}:{MAIN}")) && text(row, "principal").contains(MAIN)
    };
    let mut truth = world.truth.only("access_chains", is_asked);
    // Coverage of another Region than the one asked about is not read, or it is: the contract does not say.
    truth.forget("access_chains", &["evidence".to_owned(), "basis".to_owned()]);
    for location in [&logs, &store] {
        let rows = asked(&truth.question(shape), location, &["--account", MAIN, "--region", WEST]).unwrap();
        let wrong = truth.differences(shape, &rows);
        assert!(wrong.is_empty(), "{}: {}", location.display(), in_short(wrong));
    }
}

/// Columns of a view that must stay as they were, or become NULL, when an hour of the logs is lost: the view, what
/// names one of its rows in both answers, and the columns.
const STEADY: [(&str, &[&str], &[&str]); 5] = [
    (
        "grants",
        &["key_arn", "grant_id"],
        &["created_at", "created_by", "ended_at", "ended_by", "end_kind", "grantee_principal"],
    ),
    ("key_aliases", &["set_event_id"], &["alias_arn", "key_arn", "valid_from", "set_by"]),
    ("key_policies", &["set_event_id"], &["key_arn", "valid_from", "set_by", "reading"]),
    ("key_states", &["set_event_id"], &["key_arn", "state", "valid_from", "set_by"]),
    (
        "role_sessions",
        &["principal_id", "session_created"],
        &["assumed_by", "assumed_by_event_id", "person", "principal"],
    ),
];

/// The hour of a lane of the main account in which most chains have an event, and which is as any other.
fn busiest_hour(world: &PlantedWorld) -> i64 {
    let is_main = |row: &&TruthRow| row.contains_key("first_denied") && row["key_arn"].as_str().unwrap().contains(MAIN);
    let chains = world.truth.rows("access_chains").iter().filter(is_main);
    let seconds = |row: &TruthRow, column: &str| model::seconds_of(row[column].as_str().unwrap());
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for row in chains {
        for hour in hour_of(seconds(row, "first_denied"))..=hour_of(seconds(row, "first_allowed")) {
            *counts.entry(hour).or_default() += 1;
        }
    }
    counts.retain(|hour, _| (-1..2).all(|by| !world.odd.is_odd(hour + by)));
    counts.into_iter().max_by_key(|(_, count)| *count).expect("a chain was planted").0
}

#[test]
fn a_lost_hour_turns_no_verdict_into_another() {
    for seed in if is_exhaustive() { 5..15 } else { 5..6 } {
        let world = world_of(seed, 3_000);
        let (folder, hour) = (tempfile::tempdir().unwrap(), busiest_hour(&world));
        let lane = (MAIN, EAST, hour);
        deliver(&world, &DeliveryPlan { without: Some(lane), ..plan(seed) }, folder.path());
        let mut wrong = Vec::new();
        for shape in SHAPES.iter().filter(|shape| shape.view != OBJECTS) {
            let rows = asked(&world.truth.question(shape), folder.path(), &[]).unwrap();
            let rows: Vec<TruthRow> = rows.into_iter().map(truth::row).collect();
            match shape.view {
                "access_chains" => wrong.extend(false_chains(&world, hour, &rows)),
                "coverage" => wrong.extend(false_hours(&world, shape, (&rows, hour))),
                _ => wrong.extend(false_values(&world, shape, &rows)),
            }
        }
        assert!(wrong.is_empty(), "seed {seed}, hour {hour}: {}", in_short(wrong));
    }
}

/// Chains that are shown and were not, or that rest on the lost hour.
fn false_chains(world: &PlantedWorld, hour: i64, rows: &[TruthRow]) -> Vec<String> {
    let claim = |row: &TruthRow| {
        ["principal", "key_arn", "operation", "change_event_id", "allowed_event_id"]
            .map(|column| row[column].to_string())
            .join(" ")
    };
    let planted: BTreeSet<String> = world.truth.rows("access_chains").iter().map(claim).collect();
    let seconds = |row: &TruthRow, column: &str| model::seconds_of(row[column].as_str().unwrap());
    let rests = |row: &TruthRow| {
        let hours = hour_of(seconds(row, "first_denied"))..=hour_of(seconds(row, "first_allowed"));
        hours.contains(&hour) && row["key_arn"].as_str().unwrap().contains(&format!("{EAST}:{MAIN}"))
    };
    let is_false = |row: &&TruthRow| {
        row.get("evidence") == Some(&json!("shown")) && (!planted.contains(&claim(row)) || rests(row))
    };
    rows.iter().filter(is_false).map(|row| format!("shown without ground: {}", Value::Object(row.clone()))).collect()
}

fn false_hours(world: &PlantedWorld, shape: &ViewShape, (rows, lost): (&[TruthRow], i64)) -> Vec<String> {
    let before: BTreeMap<String, &TruthRow> =
        world.truth.rows("coverage").iter().map(|row| (key_of(shape, row), row)).collect();
    let wrong = |row: &TruthRow| {
        let hour = hour_of(model::seconds_of(row["hour"].as_str().unwrap()));
        let is_lost = (&row["account_id"], &row["region"]) == (&json!(MAIN), &json!(EAST)) && hour == lost;
        // A late file of the lost hour may also have held records of other hours, which are missing then too.
        let is_worse = row["state"] == json!("missing");
        match before.get(&key_of(shape, row)) {
            _ if is_lost => (!is_worse).then(|| format!("the lost hour is {}", row["state"])),
            Some(was) if !is_worse && was["state"] != row["state"] => {
                Some(format!("{} was {}", Value::Object(row.clone()), was["state"]))
            }
            _ => None,
        }
    };
    rows.iter().filter_map(wrong).collect()
}

fn false_values(world: &PlantedWorld, shape: &ViewShape, rows: &[TruthRow]) -> Vec<String> {
    let Some((view, names, columns)) = STEADY.iter().find(|(view, ..)| *view == shape.view) else { return Vec::new() };
    let name = |row: &TruthRow| named(names, row);
    let before: BTreeMap<String, &TruthRow> = world.truth.rows(view).iter().map(|row| (name(row), row)).collect();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| !row[names[0]].is_null() && !world.truth.is_open(view, row)) {
        let Some(was) = before.get(&name(row)) else {
            wrong.push(format!("{view} claims {}", Value::Object(row.clone())));
            continue;
        };
        let differs =
            |column: &&&str| !row[**column].is_null() && was.get(**column).is_some_and(|was| *was != row[**column]);
        wrong.extend(
            columns
                .iter()
                .filter(differs)
                .map(|column| format!("{view} {}: {column} is now {}", name(row), row[*column])),
        );
    }
    wrong
}

fn named(names: &[&str], row: &TruthRow) -> String {
    names.iter().map(|column| row[*column].to_string()).collect::<Vec<_>>().join(" ")
}

/// A stretch of hours of a lane, and the verdict on a key there if nobody else used it.
struct HourStretch {
    lane: (&'static str, &'static str),
    hours: std::ops::Range<i64>,
    verdict: &'static str,
}

fn stretches(world: &PlantedWorld) -> Vec<HourStretch> {
    let odd = &world.odd;
    let calm = |from: i64| (from..HOURS - 5).find(|hour| (*hour..hour + 4).all(|hour| !odd.is_odd(hour))).unwrap();
    let stretch = |lane, from: i64, verdict| HourStretch { lane, hours: from..from + 4, verdict };
    vec![
        stretch((MAIN, EAST), calm(1), "none_in_complete_log"),
        stretch((MAIN, WEST), odd.quiet - 1, "none_in_complete_log"),
        stretch((MAIN, WEST), odd.lost - 3, "unknown"),
        stretch((PLAIN, EAST), calm(3), "none_seen"),
        stretch((PLAIN, WEST), odd.empty - 1, "none_seen"),
        stretch((SWITCHED, EAST), odd.excluded - 1, "unknown"),
        stretch((SWITCHED, WEST), odd.stopped - 1, "unknown"),
        stretch((SWITCHED, WEST), calm(5), "none_in_complete_log"),
    ]
}

#[test]
fn no_use_is_a_verdict_on_the_hours() {
    let (world, folder) = (world_of(6, 5_000), tempfile::tempdir().unwrap());
    let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
    deliver(&world, &plan(6), &logs);
    ingested(&logs, &store);
    let stretches = stretches(&world);
    // Logs of some hours alone do not say that the trail that was stopped is one of all Regions: the store does.
    let needs_history = |of: &HourStretch| of.hours.contains(&world.odd.stopped) && of.lane == (SWITCHED, WEST);
    let mut cases: Vec<(&Path, &HourStretch, &str)> = Vec::new();
    for (number, stretch) in stretches.iter().enumerate() {
        let location = if needs_history(stretch) || number == 0 { &store } else { &logs };
        cases.push((location, stretch, stretch.verdict));
        if number % 4 == 1 {
            cases.push((location, stretch, "used"));
        }
    }
    let wrong =
        on_every_core(&cases, |(location, stretch, verdict)| false_verdict(&world, location, (stretch, verdict)));
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", in_short(wrong));
}

/// Asks for the use of the lane's busiest key beyond all that used it, or beyond nobody.
fn false_verdict(world: &PlantedWorld, logs: &Path, (stretch, verdict): (&HourStretch, &str)) -> Vec<String> {
    let (account, region) = stretch.lane;
    let is_used = verdict == "used";
    let of_lane = |call: &&CallFact| {
        call.lane == stretch.lane && stretch.hours.contains(&hour_of(call.receipt.time)) && call.is_crypto
    };
    let calls: Vec<&CallFact> = world.calls.iter().filter(of_lane).collect();
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.answer == KmsAnswer::Done) {
        uses.entry(&call.key.as_ref().unwrap().arn).or_default().push(&call.who.principal);
    }
    let (key, users) = uses.into_iter().max_by_key(|(_, users)| users.len()).expect("a key of the lane is used");
    let is_refused = |call: &&&CallFact| {
        matches!(call.answer, KmsAnswer::Refused(..)) && (is_used || !users.contains(&call.who.principal.as_str()))
    };
    let named = |call: &&&CallFact| call.key.as_ref().is_some_and(|of| of.arn == key);
    let principals = if is_used { "role/nobody".to_owned() } else { users.join(",") };
    let (from, to) = (iso(FIRST_SECOND + stretch.hours.start * 3600), iso(FIRST_SECOND + stretch.hours.end * 3600));
    let lanes = stretch.hours.clone().map(|hour| (account, region, hour));
    let is_good = |lane: &model::LaneHour| !world.odd.is_bad(*lane) && world.odd.basis(*lane) != "none";
    let want = json!({
        "verdict": verdict, "uses": if is_used { users.len() } else { 0 },
        "refusals": calls.iter().filter(is_refused).filter(named).count(),
        "unattributed_refusals": calls.iter().filter(is_refused).filter(|call| call.key.is_none()).count(),
        "hours_asked": stretch.hours.clone().count(), "hours_good": lanes.filter(is_good).count(),
    });
    let (key_word, principals_word) = (format!("key={key}"), format!("principals={principals}"));
    let words = ["-p", &key_word, "-p", &principals_word, "--since", &from, "--until", &to];
    let rows = asked("key-use-outside", logs, &words).unwrap_or_else(|story| vec![json!({"verdict": story})]);
    let differs = |(column, want): (&String, &Value)| {
        let have = &rows[0][column];
        (have != want)
            .then(|| format!("{account} {region} {:?} {verdict}: {column} is {have}, not {want}", stretch.hours))
    };
    let wrong: Vec<String> = want.as_object().unwrap().iter().filter_map(differs).collect();
    if rows.len() == 1 { wrong } else { vec![format!("{} rows of a verdict", rows.len())] }
}

/// The comparison sees each kind of fault: a row too few, one too many, one twice, and a wrong value.
#[test]
fn a_fault_in_an_answer_is_seen() {
    let world = world_of(1, 500);
    for shape in SHAPES.iter().filter(|shape| shape.view != OBJECTS) {
        let right: Vec<Value> = world.truth.rows(shape.view).iter().cloned().map(Value::Object).collect();
        if right.is_empty() {
            continue;
        }
        let faults = |rows: &[Value]| world.truth.differences(shape, rows).len();
        assert_eq!(faults(&right), 0, "{}", shape.view);
        assert_eq!(faults(&right[1..]), 1, "{} without a row", shape.view);
        let with = |row: Value| right.iter().cloned().chain([row]).collect::<Vec<_>>();
        assert_eq!(faults(&with(right[0].clone())), 1, "{} with a row twice", shape.view);
        let mut other = right[0].clone();
        other[shape.keys[0]] = json!("another");
        assert_eq!(faults(&with(other)), 1, "{} with a row too many", shape.view);
        for column in world.truth.rows(shape.view)[0].keys().filter(|column| !shape.keys.contains(&column.as_str())) {
            let mut changed = right.clone();
            changed[0][column] = json!(["another"]);
            assert_eq!(faults(&changed), 1, "{} with another {column}", shape.view);
        }
    }
}

/// Each recipe is played in each world, and each kind of claim is among the rows.
#[test]
fn the_world_has_what_it_is_asked_about() {
    let world = world_of(1, 500);
    for shape in SHAPES.iter().filter(|shape| shape.view != OBJECTS) {
        assert!(!world.truth.rows(shape.view).is_empty(), "{} has no truth", shape.view);
    }
    for evidence in ["shown", "possible", "unexplained"] {
        let rows = world.truth.rows("access_chains").iter();
        let count = rows.filter(|row| row.get("evidence") == Some(&json!(evidence))).count();
        assert!(count >= 5, "{count} chains are {evidence}");
    }
}
