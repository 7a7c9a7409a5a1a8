//! Everything that the page shows, as plain values.
//! In: the rows of each part, and what the run itself tells. Out: [`Facts`], and the id of the report.
//! Never reads a clock, and holds no engine.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::rows::{FactRow, FactRows, each};

/// Facts that no query tells: the run, its scope and its rules.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunFacts {
    pub version: String,
    /// The locations as given.
    pub locations: Vec<String>,
    /// The arguments that make the report again.
    pub command: String,
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// True if all input is accounted for and all that was expected is there.
    pub is_complete: bool,
    /// True if there was no log at all.
    pub has_no_log: bool,
    /// Sentences on what is not there, or on what the scope cannot judge.
    pub beside: Vec<String>,
    /// The things that the page is narrowed to: a kind and a name each.
    pub about: Vec<String>,
    /// Sentences on names that no record bears, or that several things do.
    pub names: Vec<String>,
    /// Parts, and the flags that do not narrow all of them.
    pub not_narrowed: Vec<(String, Vec<String>)>,
    /// Refusals that name no key, and may be of what the page is narrowed to; `None` where that names no key or table.
    pub unattributed: Option<u64>,
    /// The limits of logs.
    pub limits: Vec<String>,
    /// Of each rule the words of what must be in the logs for it.
    pub needs: Vec<(String, Vec<String>)>,
}

/// All facts of a page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    pub run: RunFacts,
    pub seen: Vec<SeenPlace>,
    pub inputs: Vec<InputKind>,
    pub objects: Listed<InputObject>,
    pub integrity: Vec<(Option<String>, u64)>,
    pub populations: Vec<(String, u64)>,
    pub severities: Vec<SeverityCount>,
    pub findings: Listed<Finding>,
    pub rules: Vec<Rule>,
    pub chains: Listed<Chain>,
    pub refused: Listed<RefusedPrincipal>,
    pub refusals: Listed<Refusal>,
    pub refusals_in_all: u64,
    pub harmless_in_all: u64,
    pub reasons: Vec<RefusalReason>,
    pub moments: Vec<Moment>,
    pub principals_keys: Crossing,
    pub principals_tables: Crossing,
    pub keys: Listed<KeyInQuestion>,
    pub people: Listed<Person>,
    pub sessions: SessionCount,
    pub spans: Vec<CoverageSpan>,
    pub lanes_in_all: u64,
    pub regions: Listed<CoverageOfRegion>,
    pub hours: CoverageHours,
    /// The ARN of an alias and of the one key that it names.
    pub aliases: Vec<(String, String)>,
}

/// Rows of which there may be more. Invariant: `of_all` is at least their number.
#[derive(Debug, Clone, Serialize)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub of_all: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Listed<T> {
        Listed { rows: Vec::new(), of_all: 0 }
    }
}

impl<T> Listed<T> {
    pub(super) fn new(rows: Vec<T>, of_all: u64) -> Listed<T> {
        let of_all = of_all.max(rows.len() as u64);
        Listed { rows, of_all }
    }

    /// Rows with the number of all of them in a column `of_all`.
    fn of(rows: &dyn FactRows, read: impl Fn(FactRow<'_>) -> T) -> Listed<T> {
        Listed::new(each(rows, read), first_count(rows, "of_all"))
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct SeenPlace {
    pub account: Option<String>,
    pub region: Option<String>,
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
    pub events: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct InputKind {
    pub kind: String,
    pub status: String,
    pub objects: u64,
    pub records: u64,
    pub kept: u64,
    pub duplicate: u64,
    pub filtered: u64,
    pub quarantined: u64,
    pub conflicts: u64,
    pub bytes: u64,
    /// The objects of which a hash is known.
    pub hashed: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct InputObject {
    pub uri: String,
    pub kind: String,
    pub status: String,
    pub records: u64,
    pub bytes: u64,
    pub sha256: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SeverityCount {
    pub severity: String,
    pub status: String,
    pub findings: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub fingerprint: String,
    pub rule: String,
    pub title: String,
    pub severity: String,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub events: u64,
    pub account: Option<String>,
    pub region: Option<String>,
    pub principal: Option<String>,
    pub key: Option<String>,
    pub table: Option<String>,
    pub event_ids: Vec<String>,
    pub detail: String,
    pub suppressed_by: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    pub rule: String,
    pub title: String,
    pub severity: String,
    pub set: String,
    pub controls: Vec<String>,
    pub status: String,
    pub lacks: Option<String>,
    pub open: u64,
    /// Those of the open ones that tell of a control at work.
    pub open_info: u64,
    pub suppressed: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Chain {
    pub principal: String,
    pub key: Option<String>,
    pub operation: String,
    pub table: Option<String>,
    pub denied: u64,
    pub denied_unnamed: u64,
    pub first_denied: Option<i64>,
    pub last_denied: Option<i64>,
    pub reason: Option<String>,
    pub effect: Option<String>,
    pub change: Option<String>,
    pub change_id: Option<String>,
    pub changed_at: Option<i64>,
    pub changed_by: Option<String>,
    pub changed_by_self: Option<String>,
    pub changer_person: Option<String>,
    pub subject_person: Option<String>,
    pub other_changes: u64,
    pub lag_seconds: Option<i64>,
    pub first_allowed: Option<i64>,
    pub denied_id: Option<String>,
    pub allowed_id: Option<String>,
    pub data_id: Option<String>,
    pub evidence: String,
    pub basis: String,
    /// `None` where what could not be read may be of any hour.
    pub bad_hours: Option<u64>,
    pub described_since: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RefusedPrincipal {
    pub principal: String,
    pub refused: u64,
    pub keys: u64,
    pub not_harmless: u64,
    pub explicit: u64,
    pub let_in_later: u64,
    pub last: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    pub principal: String,
    pub operation: String,
    pub key: Option<String>,
    /// All that is known of a key that is not told.
    pub asked_for: Option<String>,
    pub reason: Option<String>,
    pub effect: Option<String>,
    pub noise: Option<String>,
    pub refused: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub let_in_since: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RefusalReason {
    pub reason: Option<String>,
    pub effect: Option<String>,
    pub refused: u64,
    pub principals: u64,
    pub keys: u64,
    pub let_in_later: u64,
    pub not_let_in: u64,
    pub harmless: u64,
}

/// The calls of one lane in one span of time.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    pub from: i64,
    pub seconds: i64,
    pub lane: String,
    pub calls: u64,
}

/// Rows and columns of names, and what is where they cross.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Crossing {
    pub cells: Vec<CrossingCell>,
    pub rows_in_all: u64,
    pub columns_in_all: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct CrossingCell {
    pub row: u64,
    /// `None` of all others together.
    pub row_name: Option<String>,
    pub column: u64,
    pub column_name: Option<String>,
    pub used: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct KeyInQuestion {
    pub key: String,
    pub findings: u64,
    pub chains: u64,
    pub refused: u64,
    pub kind: Option<String>,
    pub state: Option<String>,
    pub origin: Option<String>,
    pub is_multi_region: bool,
    pub created_at: Option<i64>,
    pub rotation: Option<String>,
    pub last_rotated: Option<i64>,
    pub deletion_date: Option<String>,
    pub last_use: Option<i64>,
    pub uses: u64,
    pub failed: u64,
    pub aliases: Vec<String>,
    pub policies: Listed<PolicyVersion>,
    pub grants: Listed<Grant>,
    pub states: Listed<KeyState>,
    pub dependents: Listed<Dependent>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PolicyVersion {
    pub version: Option<i64>,
    pub from: Option<i64>,
    pub set_by: Option<String>,
    pub event_id: Option<String>,
    pub reading: String,
    /// `None` where the version before is not known.
    pub added: Option<Vec<String>>,
    pub removed: Option<Vec<String>>,
    pub changed: Option<Vec<String>>,
    pub newly_allows: Option<Vec<String>>,
    pub notable: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Grant {
    pub id: String,
    pub grantee: Option<String>,
    pub operations: Vec<String>,
    pub resource: Option<String>,
    pub created_at: Option<i64>,
    pub created_by: Option<String>,
    pub ended_at: Option<i64>,
    pub end_kind: Option<String>,
    pub state: String,
    pub last_possible_use: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct KeyState {
    pub state: String,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub set_by: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Dependent {
    pub kind: String,
    pub name: String,
    pub calls: u64,
    pub last: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Person {
    pub person: String,
    pub source: String,
    pub role: String,
    pub sessions: u64,
    pub calls: u64,
    pub refused: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionCount {
    pub sessions: u64,
    pub with_person: u64,
    pub roles: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct CoverageSpan {
    pub account: Option<String>,
    pub region: Option<String>,
    pub lane: u64,
    pub from: i64,
    pub to: i64,
    pub hours: u64,
    pub state: String,
    pub basis: String,
    pub kms_logged: String,
    pub verdict: Option<String>,
    pub faults: u64,
    pub of_lane: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct CoverageOfRegion {
    pub account: Option<String>,
    pub region: Option<String>,
    pub hours: CoverageHours,
    pub faults: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CoverageHours {
    pub all: u64,
    pub by_digest: u64,
    pub by_objects: u64,
    pub bad: u64,
}

impl CoverageHours {
    pub fn untold(&self) -> u64 {
        self.all.saturating_sub(self.by_digest + self.by_objects + self.bad)
    }
}

impl Facts {
    /// Takes the rows of every part, by its name.
    pub fn of<'r>(run: RunFacts, rows_of: impl Fn(&str) -> &'r dyn FactRows) -> Facts {
        let (refused, coverage) = (rows_of("refused_principals"), rows_of("coverage"));
        let regions = rows_of("coverage_by_region");
        let pair = |rows: &dyn FactRows, name: &str| each(rows, |row| (row.text(name), row.count("events")));
        Facts {
            run,
            seen: each(rows_of("seen"), SeenPlace::of),
            inputs: each(rows_of("inputs"), InputKind::of),
            objects: Listed::of(rows_of("input_objects"), InputObject::of),
            integrity: pair(rows_of("integrity"), "integrity"),
            populations: each(rows_of("populations"), |row| (row.text_or_none("need"), row.count("events"))),
            severities: each(rows_of("severities"), SeverityCount::of),
            findings: Listed::of(rows_of("findings"), Finding::of),
            rules: each(rows_of("rules"), Rule::of),
            chains: Listed::of(rows_of("chains"), Chain::of),
            refused: Listed::of(refused, RefusedPrincipal::of),
            refusals: Listed::of(rows_of("refusals"), Refusal::of),
            refusals_in_all: first_count(refused, "refused_in_all"),
            harmless_in_all: first_count(refused, "harmless_in_all"),
            reasons: each(rows_of("refusal_reasons"), RefusalReason::of),
            moments: each(rows_of("timeline"), Moment::of).into_iter().flatten().collect(),
            principals_keys: Crossing::of(rows_of("principals_keys")),
            principals_tables: Crossing::of(rows_of("principals_tables")),
            keys: keys(&rows_of),
            people: Listed::of(rows_of("people"), Person::of),
            sessions: each(rows_of("sessions"), SessionCount::of).pop().unwrap_or_default(),
            spans: each(coverage, CoverageSpan::of).into_iter().flatten().collect(),
            lanes_in_all: first_count(coverage, "lanes_in_all"),
            regions: Listed::of(regions, CoverageOfRegion::of),
            hours: CoverageHours {
                all: first_count(regions, "hours_in_all"),
                by_digest: first_count(regions, "by_digest_in_all"),
                by_objects: first_count(regions, "by_objects_in_all"),
                bad: first_count(regions, "bad_in_all"),
            },
            aliases: each(rows_of("aliases"), |row| (row.text_or_none("alias_arn"), row.text_or_none("key_arn"))),
        }
    }

    /// SHA-256 of the facts: two pages with one id say the same.
    pub fn id(&self) -> String {
        let text = serde_json::to_vec(self).expect("plain values always become JSON");
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first and the last event.
    pub fn reach(&self) -> (Option<i64>, Option<i64>) {
        let first = self.seen.iter().filter_map(|place| place.first_event).min();
        (first, self.seen.iter().filter_map(|place| place.last_event).max())
    }

    /// Open findings of a severity.
    pub fn open(&self, severity: &str) -> u64 {
        let counts = self.severities.iter().filter(|count| count.severity == severity && count.status != "suppressed");
        counts.map(|count| count.findings).sum()
    }

    pub fn suppressed(&self) -> u64 {
        self.severities.iter().filter(|count| count.status == "suppressed").map(|count| count.findings).sum()
    }

    pub fn objects_in_all(&self) -> u64 {
        self.inputs.iter().map(|input| input.objects).sum()
    }
}

fn first_count(rows: &dyn FactRows, column: &str) -> u64 {
    let count = if rows.count() > 0 { rows.int(0, column) } else { None };
    count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

/// The keys in question, each with the rows that are about it.
fn keys<'r>(rows_of: &impl Fn(&str) -> &'r dyn FactRows) -> Listed<KeyInQuestion> {
    let mut keys = Listed::of(rows_of("keys"), KeyInQuestion::of);
    let policies = of_keys(rows_of("key_policies"), PolicyVersion::of);
    let grants = of_keys(rows_of("key_grants"), Grant::of);
    let states = of_keys(rows_of("key_states"), KeyState::of);
    let dependents = of_keys(rows_of("key_dependents"), Dependent::of);
    for key in &mut keys.rows {
        key.policies = about(&policies, &key.key);
        key.grants = about(&grants, &key.key);
        key.states = about(&states, &key.key);
        key.dependents = about(&dependents, &key.key);
    }
    keys
}

/// A row with its key, and the number of all rows of that key.
type OfKey<T> = (String, u64, T);

fn of_keys<T>(rows: &dyn FactRows, read: impl Fn(FactRow<'_>) -> T) -> Vec<OfKey<T>> {
    each(rows, |row| (row.text_or_none("key_arn"), row.count("of_key"), read(row)))
}

fn about<T: Clone>(rows: &[OfKey<T>], key: &str) -> Listed<T> {
    let of_key = rows.iter().filter(|(of, ..)| of == key);
    let of_all = of_key.clone().map(|(_, of_all, _)| *of_all).max().unwrap_or(0);
    Listed::new(of_key.map(|(.., row)| row.clone()).collect(), of_all)
}

impl SeenPlace {
    fn of(row: FactRow<'_>) -> SeenPlace {
        SeenPlace {
            account: row.text("account_id"),
            region: row.text("region"),
            first_event: row.time("first_event"),
            last_event: row.time("last_event"),
            events: row.count("events"),
        }
    }
}

impl InputKind {
    fn of(row: FactRow<'_>) -> InputKind {
        InputKind {
            kind: row.text_or_none("kind"),
            status: row.text_or_none("status"),
            objects: row.count("objects"),
            records: row.count("records"),
            kept: row.count("kept"),
            duplicate: row.count("duplicate"),
            filtered: row.count("filtered"),
            quarantined: row.count("quarantined"),
            conflicts: row.count("conflicts"),
            bytes: row.count("bytes"),
            hashed: row.count("hashed"),
        }
    }
}

impl InputObject {
    fn of(row: FactRow<'_>) -> InputObject {
        InputObject {
            uri: row.text_or_none("uri"),
            kind: row.text_or_none("kind"),
            status: row.text_or_none("status"),
            records: row.count("records"),
            bytes: row.count("bytes"),
            sha256: row.text("sha256"),
            error: row.text("error"),
        }
    }
}

impl SeverityCount {
    fn of(row: FactRow<'_>) -> SeverityCount {
        SeverityCount {
            severity: row.text_or_none("severity"),
            status: row.text_or_none("status"),
            findings: row.count("findings"),
        }
    }
}

impl Finding {
    fn of(row: FactRow<'_>) -> Finding {
        Finding {
            fingerprint: row.text_or_none("fingerprint"),
            rule: row.text_or_none("rule"),
            title: row.text_or_none("title"),
            severity: row.text_or_none("severity"),
            first: row.time("event_time"),
            last: row.time("last_time"),
            events: row.count("event_count"),
            account: row.text("account_id"),
            region: row.text("region"),
            principal: row.text("principal"),
            key: row.text("key_arn"),
            table: row.text("table_name"),
            event_ids: row.texts("event_ids").unwrap_or_default(),
            detail: row.text_or_none("detail"),
            suppressed_by: row.text("suppressed_by"),
        }
    }
}

impl Rule {
    fn of(row: FactRow<'_>) -> Rule {
        let controls = row.text("controls").unwrap_or_default();
        Rule {
            rule: row.text_or_none("rule"),
            title: row.text_or_none("title"),
            severity: row.text_or_none("severity"),
            set: row.text_or_none("rule_set"),
            controls: controls.split(", ").filter(|control| !control.is_empty()).map(str::to_owned).collect(),
            status: row.text_or_none("status"),
            lacks: row.text("lacks"),
            open: row.count("open"),
            open_info: row.count("open_info"),
            suppressed: row.count("suppressed"),
        }
    }
}

impl Chain {
    fn of(row: FactRow<'_>) -> Chain {
        Chain {
            principal: row.text_or_none("principal"),
            key: row.text("key_arn"),
            operation: row.text_or_none("operation"),
            table: row.text("table_name"),
            denied: row.count("denied_count"),
            denied_unnamed: row.count("denied_unnamed"),
            first_denied: row.time("first_denied"),
            last_denied: row.time("last_denied"),
            reason: row.text("denial_reason"),
            effect: row.text("denial_effect"),
            change: row.text("change_event_name"),
            change_id: row.text("change_event_id"),
            changed_at: row.time("changed_at"),
            changed_by: row.text("changed_by"),
            changed_by_self: row.text("changed_by_self"),
            changer_person: row.text("changer_person"),
            subject_person: row.text("subject_person"),
            other_changes: row.count("other_changes"),
            lag_seconds: row.int("lag_seconds"),
            first_allowed: row.time("first_allowed"),
            denied_id: row.text("denied_event_id"),
            allowed_id: row.text("allowed_event_id"),
            data_id: row.text("first_data_event_id"),
            evidence: row.text_or_none("evidence"),
            basis: row.text_or_none("basis"),
            bad_hours: row.int("bad_hours").and_then(|hours| u64::try_from(hours).ok()),
            described_since: row.time("described_since"),
        }
    }
}

impl RefusedPrincipal {
    fn of(row: FactRow<'_>) -> RefusedPrincipal {
        RefusedPrincipal {
            principal: row.text_or_none("principal"),
            refused: row.count("refused"),
            keys: row.count("keys"),
            not_harmless: row.count("not_harmless"),
            explicit: row.count("explicit"),
            let_in_later: row.count("let_in_later"),
            last: row.time("last_refused"),
        }
    }
}

impl Refusal {
    fn of(row: FactRow<'_>) -> Refusal {
        Refusal {
            principal: row.text_or_none("principal"),
            operation: row.text_or_none("event_name"),
            key: row.text("key_arn"),
            asked_for: row.text("asked_for"),
            reason: row.text("denial_reason"),
            effect: row.text("denial_effect"),
            noise: row.text("noise_class"),
            refused: row.count("refused"),
            first: row.time("first_refused"),
            last: row.time("last_refused"),
            let_in_since: row.time("let_in_since"),
        }
    }
}

impl RefusalReason {
    fn of(row: FactRow<'_>) -> RefusalReason {
        RefusalReason {
            reason: row.text("denial_reason"),
            effect: row.text("denial_effect"),
            refused: row.count("refused"),
            principals: row.count("principals"),
            keys: row.count("keys"),
            let_in_later: row.count("let_in_later"),
            not_let_in: row.count("not_let_in"),
            harmless: row.count("harmless"),
        }
    }
}

impl Moment {
    fn of(row: FactRow<'_>) -> Option<Moment> {
        Some(Moment {
            from: row.time("from_time")?,
            seconds: row.int("seconds")?,
            lane: row.text("lane")?,
            calls: row.count("calls"),
        })
    }
}

impl Crossing {
    fn of(rows: &dyn FactRows) -> Crossing {
        let cells = each(rows, |row| CrossingCell {
            row: row.count("row_place"),
            row_name: row.text("row_name"),
            column: row.count("column_place"),
            column_name: row.text("column_name"),
            used: row.count("used"),
            refused: row.count("refused"),
        });
        let (rows_in_all, columns_in_all) = (first_count(rows, "rows_in_all"), first_count(rows, "columns_in_all"));
        Crossing { cells, rows_in_all, columns_in_all }
    }
}

impl KeyInQuestion {
    fn of(row: FactRow<'_>) -> KeyInQuestion {
        KeyInQuestion {
            key: row.text_or_none("key_arn"),
            findings: row.count("findings"),
            chains: row.count("chains"),
            refused: row.count("refused"),
            kind: row.text("key_kind"),
            state: row.text("state"),
            origin: row.text("origin"),
            is_multi_region: row.flag("multi_region").unwrap_or(false),
            created_at: row.time("created_at"),
            rotation: row.text("rotation_setting"),
            last_rotated: row.time("last_rotated"),
            deletion_date: row.text("deletion_date"),
            last_use: row.time("last_use"),
            uses: row.count("uses"),
            failed: row.count("failed"),
            aliases: row.texts("aliases").unwrap_or_default(),
            ..KeyInQuestion::default()
        }
    }
}

impl PolicyVersion {
    fn of(row: FactRow<'_>) -> PolicyVersion {
        PolicyVersion {
            version: row.int("version"),
            from: row.time("valid_from"),
            set_by: row.text("set_by"),
            event_id: row.text("set_event_id"),
            reading: row.text_or_none("reading"),
            added: row.texts("added"),
            removed: row.texts("removed"),
            changed: row.texts("changed"),
            newly_allows: row.texts("newly_allows"),
            notable: row.texts("notable").unwrap_or_default(),
        }
    }
}

impl Grant {
    fn of(row: FactRow<'_>) -> Grant {
        Grant {
            id: row.text_or_none("grant_id"),
            grantee: row.text("grantee_principal"),
            operations: row.texts("operations").unwrap_or_default(),
            resource: row.text("table_name").or_else(|| row.text("resource_arn")),
            created_at: row.time("created_at"),
            created_by: row.text("created_by"),
            ended_at: row.time("ended_at"),
            end_kind: row.text("end_kind"),
            state: row.text_or_none("state"),
            last_possible_use: row.time("last_possible_use"),
        }
    }
}

impl KeyState {
    fn of(row: FactRow<'_>) -> KeyState {
        KeyState {
            state: row.text_or_none("state"),
            from: row.time("valid_from"),
            to: row.time("valid_to"),
            set_by: row.text("set_by"),
        }
    }
}

impl Dependent {
    fn of(row: FactRow<'_>) -> Dependent {
        Dependent {
            kind: row.text_or_none("kind"),
            name: row.text_or_none("dependent"),
            calls: row.count("calls"),
            last: row.time("last_seen"),
        }
    }
}

impl Person {
    fn of(row: FactRow<'_>) -> Person {
        Person {
            person: row.text_or_none("person"),
            source: row.text_or_none("person_source"),
            role: row.text_or_none("principal"),
            sessions: row.count("sessions"),
            calls: row.count("calls"),
            refused: row.count("refused"),
            first: row.time("first_seen"),
            last: row.time("last_seen"),
        }
    }
}

impl SessionCount {
    fn of(row: FactRow<'_>) -> SessionCount {
        SessionCount {
            sessions: row.count("sessions"),
            with_person: row.count("with_person"),
            roles: row.count("roles"),
        }
    }
}

impl CoverageSpan {
    fn of(row: FactRow<'_>) -> Option<CoverageSpan> {
        Some(CoverageSpan {
            account: row.text("account_id"),
            region: row.text("region"),
            lane: row.count("lane"),
            from: row.time("from_hour")?,
            to: row.time("until_hour")?,
            hours: row.count("hours"),
            state: row.text_or_none("state"),
            basis: row.text_or_none("basis"),
            kms_logged: row.text_or_none("kms_logged"),
            verdict: row.text("verdict"),
            faults: row.count("faults"),
            of_lane: row.count("of_lane"),
        })
    }
}

impl CoverageOfRegion {
    fn of(row: FactRow<'_>) -> CoverageOfRegion {
        CoverageOfRegion {
            account: row.text("account_id"),
            region: row.text("region"),
            hours: CoverageHours {
                all: row.count("hours"),
                by_digest: row.count("by_digest"),
                by_objects: row.count("by_objects"),
                bad: row.count("bad"),
            },
            faults: row.count("faults"),
        }
    }
}
