//! The key grammar of CloudTrail's deliveries, and the folders that a scope excludes by it.
//! In: names of folders and files, one at a time from the root down. Out: the place in the grammar, or none if nothing
//! below can be in scope.
//!
//! ```text
//! [prefix/]AWSLogs/[o-ORG/]ACCOUNT/CloudTrail[-KIND]/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz
//! ```
//!
//! A copy may lack the upper folders, so ACCOUNT/CloudTrail and CloudTrail/REGION are recognized wherever they stand.
//! An organization's id can stand above AWSLogs too: Control Tower puts it into the prefix.
//! A key that does not follow the grammar is in every scope but that of an organization. Does no IO.

use chrono::NaiveDate;

use super::{ObjectPurpose, Scope, regions};
use crate::arn::is_region;
use crate::time::MICROS_PER_DAY;

/// The sibling folder of a trail that something lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FolderKind {
    #[default]
    Log,
    Digest,
    Insight,
    Aggregated,
    /// A folder of CloudTrail's of which nothing is known but its name.
    NewTrailKind,
    /// Files that are delivered beside the trail's, by other services or by CloudTrail Lake.
    OtherService,
    /// The log of a table, such as a store that lies beside the logs: JSON, and no record of CloudTrail unless it has the
    /// name of such a log.
    TableLog,
}

/// The organization that a path names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NamedOrganization {
    /// None; also where no organization is asked for.
    #[default]
    Absent,
    Asked,
    Other,
}

/// The reason that a scope leaves out a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// Its path names an account, a Region, a day or an organization that is not asked for.
    OutOfScope,
    /// An organization is asked for, and its path names none.
    WithoutOrganization,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum KeyStep {
    #[default]
    Outside,
    Logs,
    Organization,
    /// Twelve digits, which below AWSLogs are an account.
    Account,
    /// Twelve digits below anything else: an account only once a trail's folder follows.
    Digits,
    Trail,
    Region,
    Year(i32),
    Month(i32, u32),
}

/// Levels of folders above AWSLogs that are listed one by one.
const OUTSIDE_DEPTH_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListBy {
    Level,
    Whole,
}

/// A folder's position in the grammar, and the facts that its path has given so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPosition {
    step: KeyStep,
    kind: FolderKind,
    account: Option<u64>,
    organization: NamedOrganization,
    knows_region: bool,
    knows_day: bool,
    purpose: ObjectPurpose,
}

impl KeyPosition {
    /// The place of a folder inside this one; none if all below it is out of scope.
    pub(super) fn enter(self, name: &[u8], wanted: &ScopeFilter) -> Option<KeyPosition> {
        if name == b"AWSLogs" {
            return Some(KeyPosition {
                step: KeyStep::Logs,
                organization: self.organization,
                purpose: self.purpose,
                ..KeyPosition::default()
            });
        }
        if name == b"_delta_log" {
            return Some(KeyPosition { kind: FolderKind::TableLog, ..self }.off_grammar());
        }
        match self.step {
            KeyStep::Outside => Some(self.enter_outside(name, wanted)),
            KeyStep::Logs | KeyStep::Organization => self.enter_logs(name, wanted),
            KeyStep::Account | KeyStep::Digits => self.enter_account(name, wanted),
            KeyStep::Trail if is_region(name) => {
                let place = KeyPosition { step: KeyStep::Region, knows_region: true, ..self };
                Some(place.within(wanted.purpose_of_region(name)?))
            }
            KeyStep::Region | KeyStep::Year(_) | KeyStep::Month(..) => self.enter_date(name, wanted),
            KeyStep::Trail => Some(self.off_grammar()),
        }
    }

    fn enter_outside(self, name: &[u8], wanted: &ScopeFilter) -> KeyPosition {
        if let Some(kind) = trail_kind(name) {
            KeyPosition { step: KeyStep::Trail, kind, ..self }
        } else if let Some(account) = account_number(name) {
            KeyPosition { step: KeyStep::Digits, account: Some(account), ..self }
        } else {
            let organization = wanted.organization_outside(name).unwrap_or(self.organization);
            KeyPosition { organization, ..self.off_grammar() }
        }
    }

    fn enter_logs(self, name: &[u8], wanted: &ScopeFilter) -> Option<KeyPosition> {
        if is_organization(name) && self.step == KeyStep::Logs {
            let organization = wanted.organization_below_logs(name);
            let place = KeyPosition { step: KeyStep::Organization, organization, ..self };
            return (organization != NamedOrganization::Other).then_some(place);
        }
        let Some(account) = account_number(name) else {
            return Some(self.off_grammar());
        };
        let place = KeyPosition { step: KeyStep::Account, account: Some(account), ..self };
        // No organization may be named further down, so those of the folders above decide.
        (self.organization != NamedOrganization::Other && wanted.has_account(account)).then_some(place)
    }

    fn enter_account(self, name: &[u8], wanted: &ScopeFilter) -> Option<KeyPosition> {
        if let Some(kind) = trail_kind(name) {
            let wanted = self.account.is_none_or(|account| wanted.has_account(account));
            return wanted.then_some(KeyPosition { step: KeyStep::Trail, kind, ..self });
        }
        if self.step == KeyStep::Digits {
            let unproven = KeyPosition { account: None, ..self };
            return Some(unproven.enter_outside(name, wanted));
        }
        // AWS gives each service a folder of its own here, and new services come.
        let kind = if name.starts_with(b"CloudTrail") { FolderKind::NewTrailKind } else { FolderKind::OtherService };
        Some(KeyPosition { kind, ..self }.off_grammar())
    }

    fn enter_date(self, name: &[u8], wanted: &ScopeFilter) -> Option<KeyPosition> {
        let number = |digits: usize| (name.len() == digits).then(|| decimal(name)).flatten();
        let (step, first, last) = match self.step {
            KeyStep::Region => {
                let Some(year) = number(4).map(|y| y as i32) else {
                    return Some(self.off_grammar());
                };
                (KeyStep::Year(year), day_number(year, 1, 1), day_number(year, 12, 31))
            }
            KeyStep::Year(year) => {
                let Some(month) = number(2).map(|m| m as u32) else {
                    return Some(self.off_grammar());
                };
                // Every month is taken to have 31 days: none has more, and a day too many excludes nothing.
                let first = day_number(year, month, 1);
                (KeyStep::Month(year, month), first, first.map(|day| day + 30))
            }
            KeyStep::Month(year, month) => {
                let day = number(2).and_then(|d| day_number(year, month, d as u32));
                (KeyStep::Outside, day, day)
            }
            _ => return Some(self.off_grammar()),
        };
        let (Some(first), Some(last)) = (first, last) else {
            return Some(self.off_grammar());
        };
        let knows_day = step == KeyStep::Outside;
        let place = KeyPosition { step, knows_day, ..self };
        Some(place.within(wanted.purpose_of_days(first, last)?))
    }

    /// The same place for this purpose, if the folders above are not for state alone.
    fn within(self, purpose: ObjectPurpose) -> KeyPosition {
        if self.purpose == ObjectPurpose::State { self } else { KeyPosition { purpose, ..self } }
    }

    fn off_grammar(self) -> KeyPosition {
        KeyPosition { step: KeyStep::Outside, ..self }
    }

    /// The way to list a folder of a bucket: level by level where its folders may be out of scope or can be listed side
    /// by side, whole where they cannot. `depth` is its distance below the folder that the user named.
    pub(super) fn listing(self, depth: usize, wanted: &ScopeFilter) -> ListBy {
        let is_known = self.knows_day || self.knows_region || self.kind != FolderKind::Log || self.account().is_some();
        match self.step {
            KeyStep::Outside if is_known || depth > OUTSIDE_DEPTH_MAX => ListBy::Whole,
            KeyStep::Month(year, month) => match day_number(year, month, 1) {
                Some(first) if wanted.has_days_whole(first, first + 30) => ListBy::Whole,
                _ => ListBy::Level,
            },
            _ => ListBy::Level,
        }
    }

    /// The account that the path proves.
    pub(super) fn account(self) -> Option<u64> {
        self.account.filter(|_| self.step != KeyStep::Digits)
    }

    /// The reason that the scope leaves out all files of this folder, whatever their names.
    pub(super) fn left_out(self, wanted: &ScopeFilter) -> Option<LeftOut> {
        match self.organization {
            NamedOrganization::Absent if !wanted.organizations.is_empty() => Some(LeftOut::WithoutOrganization),
            NamedOrganization::Other => Some(LeftOut::OutOfScope),
            NamedOrganization::Absent | NamedOrganization::Asked => None,
        }
    }

    /// The same of a path that may lead out of the scope.
    pub(super) fn left_out_of(place: Option<KeyPosition>, wanted: &ScopeFilter) -> Option<LeftOut> {
        place.map_or(Some(LeftOut::OutOfScope), |place| place.left_out(wanted))
    }

    /// The kind of a file in this folder, by its own name and the folder's; none if its name is out of scope.
    pub(super) fn file_kind(self, name: &[u8], wanted: &ScopeFilter) -> Option<FolderKind> {
        let Some(facts) = file_facts(name) else {
            return Some(self.kind);
        };
        // The folders win over the file's name, so a misnamed file is read and not lost.
        let in_scope = (self.account().is_some() || wanted.has_account(facts.account))
            && self.purpose_of_name(&facts, wanted).is_some();
        let is_told_by_name = matches!(self.kind, FolderKind::Log | FolderKind::TableLog);
        let kind = if is_told_by_name { facts.kind } else { self.kind };
        in_scope.then_some(kind)
    }

    /// The purpose of a file in this folder, by its own name and the folder's.
    pub(super) fn file_purpose(self, name: &[u8], wanted: &ScopeFilter) -> ObjectPurpose {
        let by_name = || file_facts(name).and_then(|facts| self.purpose_of_name(&facts, wanted));
        match self.purpose {
            ObjectPurpose::Answer if wanted.has_state => by_name().unwrap_or_default(),
            known => known,
        }
    }

    /// The purpose that a file's name tells, as far as the folders do not; none if it is out of scope.
    fn purpose_of_name(self, facts: &FileFacts<'_>, wanted: &ScopeFilter) -> Option<ObjectPurpose> {
        let region = facts.region.filter(|_| !self.knows_region);
        let day = facts.day.filter(|_| !self.knows_day);
        let by_region = region.map_or(Some(ObjectPurpose::Answer), |region| wanted.purpose_of_region(region))?;
        let by_day = day.map_or(Some(ObjectPurpose::Answer), |day| wanted.purpose_of_days(day, day))?;
        Some(if by_region == ObjectPurpose::Answer { by_day } else { by_region })
    }

    /// The purpose of this folder.
    pub(super) fn purpose(self) -> ObjectPurpose {
        self.purpose
    }
}

/// The facts in the name of a delivered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFacts<'a> {
    pub(super) account: u64,
    kind: FolderKind,
    pub(super) region: Option<&'a [u8]>,
    pub(super) day: Option<i64>,
}

/// Reads ACCOUNT_CloudTrail[-KIND]_REGION_STAMP…; old names have nothing between the stamp and the unique part, and a
/// digest's name has the trail before the stamp.
pub(super) fn file_facts(name: &[u8]) -> Option<FileFacts<'_>> {
    let mut parts = name.split(|byte| *byte == b'_');
    let account = account_number(parts.next()?)?;
    let kind = trail_kind(parts.next()?)?;
    let region = parts.next().filter(|part| is_region(part));
    let day = parts.next().filter(|_| kind != FolderKind::Digest).and_then(stamp_day);
    Some(FileFacts { account, kind, region, day })
}

/// `YYYYMMDDTHHmmZ`, as a prefix.
fn stamp_day(stamp: &[u8]) -> Option<i64> {
    let shaped = stamp.len() >= 14 && stamp[8] == b'T' && decimal(&stamp[9..13]).is_some() && stamp[13] == b'Z';
    let [year, month, day] = [0..4, 4..6, 6..8].map(|range| stamp.get(range).and_then(decimal));
    shaped.then_some(())?;
    day_number(year? as i32, month? as u32, day? as u32)
}

fn trail_kind(name: &[u8]) -> Option<FolderKind> {
    match name {
        b"CloudTrail" | b"CloudTrail-NetworkActivity" => Some(FolderKind::Log),
        b"CloudTrail-Digest" => Some(FolderKind::Digest),
        b"CloudTrail-Insight" => Some(FolderKind::Insight),
        b"CloudTrail-Aggregated" => Some(FolderKind::Aggregated),
        // Results of queries, which Lake saves as CSV with a signature.
        b"CloudTrail-Lake" => Some(FolderKind::OtherService),
        _ => None,
    }
}

fn account_number(name: &[u8]) -> Option<u64> {
    (name.len() == 12).then(|| decimal(name)).flatten()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digit = |value: u64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'));
    digits.iter().try_fold(0, digit)
}

fn is_organization(name: &[u8]) -> bool {
    name.len() > 2 && matches!(name[..2], [b'o' | b'O', b'-']) && name[2..].iter().all(u8::is_ascii_alphanumeric)
}

/// True of a name as long as AWS makes them: other folders may begin in the same way.
fn is_whole_organization(name: &[u8]) -> bool {
    is_organization(name) && (12..=34).contains(&name.len())
}

fn day_number(year: i32, month: u32, day: u32) -> Option<i64> {
    let epoch = NaiveDate::default();
    NaiveDate::from_ymd_opt(year, month, day).map(|date| (date - epoch).num_days())
}

/// The part of the scope that keys can answer.
#[derive(Debug)]
pub(super) struct ScopeFilter {
    first_day: i64,
    last_day: i64,
    /// Days before the first one that are wanted for state.
    baseline_days: i64,
    /// True if anything is wanted for state alone.
    has_state: bool,
    // An unparsable account matches nothing; it stays so that the list is not empty, which would mean "all".
    accounts: Vec<Option<u64>>,
    regions: Vec<Vec<u8>>,
    /// Regions that are wanted for state, beside those that are asked for.
    state_regions: Vec<&'static str>,
    organizations: Vec<Vec<u8>>,
}

impl ScopeFilter {
    pub(super) fn new(scope: &Scope) -> ScopeFilter {
        let day = |micros: i64| micros.div_euclid(MICROS_PER_DAY);
        let has_regions_of_state = scope.state.is_some() && !scope.regions.is_empty();
        let asked = scope.regions.iter().map(String::as_str).filter(|_| has_regions_of_state);
        let state_regions = regions::global_of(asked);
        ScopeFilter {
            // A folder's day is the day of delivery. No event is delivered before it happens; some are delivered late.
            first_day: scope.since.map_or(i64::MIN, day),
            last_day: scope
                .until
                .map_or(i64::MAX, |until| day(until.saturating_sub(1)).saturating_add(i64::from(scope.late_days))),
            baseline_days: i64::from(scope.baseline_days()),
            has_state: scope.baseline_days() > 0 || !state_regions.is_empty(),
            state_regions,
            accounts: scope.accounts.iter().map(|text| account_number(text.as_bytes())).collect(),
            regions: scope.regions.iter().map(|text| text.clone().into_bytes()).collect(),
            organizations: scope.org_ids.iter().map(|text| text.to_ascii_lowercase().into_bytes()).collect(),
        }
    }

    /// The purpose of a folder of these days; none if it is out of scope.
    fn purpose_of_days(&self, first: i64, last: i64) -> Option<ObjectPurpose> {
        if first > self.last_day || last < self.first_state_day() {
            return None;
        }
        Some(if last >= self.first_day { ObjectPurpose::Answer } else { ObjectPurpose::State })
    }

    fn has_days_whole(&self, first: i64, last: i64) -> bool {
        self.first_state_day() <= first && last <= self.last_day
    }

    fn first_state_day(&self) -> i64 {
        self.first_day.saturating_sub(self.baseline_days)
    }

    /// True if days before the interval are asked for.
    pub(super) fn has_baseline(&self) -> bool {
        self.baseline_days > 0
    }

    fn has_account(&self, account: u64) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&Some(account))
    }

    /// The purpose of a folder of this Region; none if it is out of scope.
    fn purpose_of_region(&self, name: &[u8]) -> Option<ObjectPurpose> {
        if self.regions.is_empty() || self.regions.iter().any(|region| region == name) {
            return Some(ObjectPurpose::Answer);
        }
        self.state_regions.iter().any(|region| region.as_bytes() == name).then_some(ObjectPurpose::State)
    }

    /// The same request without all that a record can answer: the part of it for files that the user named.
    pub(super) fn of_organizations(scope: &Scope) -> ScopeFilter {
        ScopeFilter::new(&Scope { org_ids: scope.org_ids.clone(), ..Scope::default() })
    }

    /// The organization that a folder in AWSLogs names.
    fn organization_below_logs(&self, name: &[u8]) -> NamedOrganization {
        if self.organizations.is_empty() {
            NamedOrganization::Absent
        } else if self.organizations.contains(&name.to_ascii_lowercase()) {
            NamedOrganization::Asked
        } else {
            NamedOrganization::Other
        }
    }

    /// The organization that a folder outside AWSLogs names; none where that is not its name.
    fn organization_outside(&self, name: &[u8]) -> Option<NamedOrganization> {
        let named = self.organization_below_logs(name);
        (named == NamedOrganization::Asked || is_whole_organization(name)).then_some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::super::StateReach;
    use super::*;

    fn micros(year: i32, month: u32, day: u32, hour: i64) -> Option<i64> {
        Some(day_number(year, month, day).unwrap() * MICROS_PER_DAY + hour * 3_600_000_000)
    }

    fn place(path: &str, scope: &Scope) -> Option<KeyPosition> {
        let wanted = ScopeFilter::new(scope);
        path.split('/').try_fold(KeyPosition::default(), |place, name| place.enter(name.as_bytes(), &wanted))
    }

    fn kept(path: &str, scope: &Scope) -> bool {
        place(path, scope).is_some()
    }

    const TRAIL: &str = "AWSLogs/111122223333/CloudTrail/us-east-1";

    #[test]
    fn grammar_holds_with_any_top() {
        let scope = Scope::default();
        let account = Some(111_122_223_333);
        for top in ["AWSLogs", "a/b/AWSLogs", "AWSLogs/o-abc123", "x/AWSLogs/O-EXAMPLE1", "copy", "AWSLogs/AWSLogs"] {
            for (folder, kind) in [
                ("CloudTrail", FolderKind::Log),
                ("CloudTrail-NetworkActivity", FolderKind::Log),
                ("CloudTrail-Digest", FolderKind::Digest),
                ("CloudTrail-Insight", FolderKind::Insight),
                ("CloudTrail-Aggregated", FolderKind::Aggregated),
            ] {
                for tail in ["", "/us-gov-west-1", "/eu-west-1/2026/02/28", "/eu-west-1/2026/13/45", "/x/y/2026"] {
                    let path = format!("{top}/111122223333/{folder}{tail}");
                    let place = place(&path, &scope).unwrap();
                    assert_eq!((place.kind, place.account()), (kind, account), "{path}");
                }
            }
        }
        for (folder, kind) in [
            ("vpcflowlogs/x", FolderKind::OtherService),
            ("BedrockModelInvocationLogs", FolderKind::OtherService),
            ("VPCLattice/eu-west-1/2026/03/02", FolderKind::OtherService),
            ("CloudTrail-Lake/Query/2026/03/02/db245136", FolderKind::OtherService),
            ("CloudTrail-Newer/eu-west-1", FolderKind::NewTrailKind),
            ("copy/CloudTrail", FolderKind::Log),
        ] {
            assert_eq!(place(&format!("AWSLogs/111122223333/{folder}"), &scope).unwrap().kind, kind, "{folder}");
        }
        assert_eq!(place("copy/111122223333/Config", &scope).unwrap().kind, FolderKind::Log, "no AWSLogs above");
        for path in ["store/events/_delta_log", "_delta_log/_sidecars"] {
            let place = place(path, &scope).unwrap();
            assert_eq!(place.kind, FolderKind::TableLog, "{path}");
            let wanted = ScopeFilter::new(&scope);
            let log = b"111122223333_CloudTrail_us-east-1_20260102T0305Z_AbCdEfGhIjKlMnOp.json.gz";
            assert_eq!(place.file_kind(log, &wanted), Some(FolderKind::Log), "{path}");
            assert_eq!(place.file_kind(b"00000000000000000000.json", &wanted), Some(FolderKind::TableLog), "{path}");
        }
        for path in ["a/111122223333", "a/111122223333/other", "AWSLogs/11112222333/CloudTrail", "AWSLogs/x/y"] {
            assert_eq!(place(path, &scope).unwrap().account(), None, "{path}");
        }
    }

    #[test]
    fn days_prune_to_the_delivery_window() {
        // 10 March 06:00 up to 12 March 00:00: the last day asked for is the 11th.
        let scope = |late_days| Scope {
            since: micros(2026, 3, 10, 6),
            until: micros(2026, 3, 12, 0),
            late_days,
            ..Scope::default()
        };
        for (late_days, day, expected) in [
            (2, 9, false),
            (2, 10, true),
            (2, 11, true),
            (2, 12, true),
            (2, 13, true),
            (2, 14, false),
            (0, 11, true),
            (0, 12, false),
        ] {
            let path = format!("{TRAIL}/2026/03/{day:02}");
            assert_eq!(kept(&path, &scope(late_days)), expected, "{path} late {late_days}");
        }
        for (path, expected) in [
            ("2025", false),
            ("2027", false),
            ("2026", true),
            ("2026/02", false),
            ("2026/03", true),
            ("2026/04", false),
            ("2026/3", true),
            ("2026/03/32", true),
            ("2026/03/9", true),
            ("26/03/09", true),
        ] {
            assert_eq!(kept(&format!("{TRAIL}/{path}"), &scope(2)), expected, "{path}");
        }
        assert!(kept("any/us-east-1/2026/03/01", &scope(2)), "no trail's folder above: read");
    }

    #[test]
    fn state_reaches_further_than_answers() {
        let scope = Scope {
            since: micros(2026, 3, 10, 6),
            until: micros(2026, 3, 12, 0),
            regions: vec!["eu-west-1".into()],
            state: Some(StateReach { baseline_days: 10 }),
            ..Scope::default()
        };
        let (answer, state) = (Some(ObjectPurpose::Answer), Some(ObjectPurpose::State));
        let wanted = ScopeFilter::new(&scope);
        for (path, expected) in [
            ("CloudTrail/eu-west-1/2026/03/10", answer),
            ("CloudTrail/eu-west-1/2026/03", answer),
            ("CloudTrail/eu-west-1/2026/03/09", state),
            ("CloudTrail/eu-west-1/2026/02/28", state),
            ("CloudTrail/eu-west-1/2026/02", state),
            ("CloudTrail/eu-west-1/2026/02/27", None),
            ("CloudTrail/eu-west-1/2026/03/12", None),
            ("CloudTrail/us-east-1/2026/03/10", state),
            ("CloudTrail/us-east-1/2026/02/28", state),
            ("CloudTrail/us-east-1/2026/02/27", None),
            ("CloudTrail/us-east-2/2026/03/10", None),
            ("CloudTrail/us-east-1/2026/03/10/AWSLogs/111122223333", state),
        ] {
            assert_eq!(place(path, &scope).map(KeyPosition::purpose), expected, "{path}");
            let without = Scope { state: None, ..scope.clone() };
            assert_eq!(
                place(path, &without).map(KeyPosition::purpose),
                expected.filter(|_| expected == answer),
                "{path}"
            );
        }
        for (name, expected) in [
            ("111122223333_CloudTrail_eu-west-1_20260310T0305Z_AbCdEfGhIjKlMnOp.json.gz", answer),
            ("111122223333_CloudTrail_eu-west-1_20260301T0305Z_AbCdEfGhIjKlMnOp.json.gz", state),
            ("111122223333_CloudTrail_us-east-1_20260310T0305Z_AbCdEfGhIjKlMnOp.json.gz", state),
            ("111122223333_CloudTrail_us-east-2_20260310T0305Z_AbCdEfGhIjKlMnOp.json.gz", None),
            ("any.json.gz", answer),
        ] {
            let flat = KeyPosition::default();
            let is_wanted = flat.file_kind(name.as_bytes(), &wanted).is_some();
            let found = is_wanted.then(|| flat.file_purpose(name.as_bytes(), &wanted));
            assert_eq!(found, expected, "{name}");
        }
    }

    /// Checks 800 days against windows of every length up to 40 days: a day is kept exactly if it can hold a delivery.
    #[test]
    fn year_month_and_day_agree_with_arithmetic() {
        let start = day_number(2023, 12, 1).unwrap();
        for (from, length, late_days) in [(0, 1, 0), (29, 3, 2), (60, 40, 2), (89, 1, 30), (395, 31, 5), (700, 7, 0)] {
            let scope = Scope {
                since: Some((start + from) * MICROS_PER_DAY + 1),
                until: Some((start + from + length) * MICROS_PER_DAY),
                late_days,
                ..Scope::default()
            };
            for offset in 0..800 {
                let date = NaiveDate::from_num_days_from_ce_opt(719_163 + (start + offset) as i32).unwrap();
                let path = format!("{TRAIL}/{}", date.format("%Y/%m/%d"));
                let inside = offset >= from && offset < from + length + i64::from(late_days);
                assert_eq!(kept(&path, &scope), inside, "{path}");
            }
        }
    }

    #[test]
    fn buckets_are_listed_by_level_down_to_what_is_wanted_whole() {
        let all = Scope::default();
        let days = Scope { since: micros(2026, 3, 10, 0), ..Scope::default() };
        for (path, scope, depth, by) in [
            ("", &all, 0, ListBy::Level),
            ("a/b", &all, 2, ListBy::Level),
            ("a/b/c", &all, 3, ListBy::Whole),
            ("AWSLogs/o-abc", &all, 9, ListBy::Level),
            (TRAIL, &all, 4, ListBy::Level),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03", &all, 6, ListBy::Whole),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03", &days, 6, ListBy::Level),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/04", &days, 6, ListBy::Whole),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/10", &days, 7, ListBy::Whole),
            ("AWSLogs/111122223333/vpcflowlogs", &all, 2, ListBy::Whole),
        ] {
            let place = place(path, scope).unwrap();
            assert_eq!(place.listing(depth, &ScopeFilter::new(scope)), by, "{path}");
        }
    }

    #[test]
    fn accounts_regions_and_organizations_prune() {
        let scope =
            Scope { accounts: vec!["111122223333".into()], regions: vec!["us-east-1".into()], ..Scope::default() };
        for (path, expected) in [
            (TRAIL, true),
            ("AWSLogs/111122223334", false),
            ("AWSLogs/o-abc/111122223333/CloudTrail", true),
            ("AWSLogs/o-abc/111122223334", false),
            ("AWSLogs/111122223333/CloudTrail/us-east-2", false),
            ("AWSLogs/111122223333/CloudTrail/us-east-1x", true),
            ("copy/111122223334", true),
            ("copy/111122223334/CloudTrail", false),
            ("copy/111122223334/notes", true),
            ("CloudTrail/us-east-2", false),
        ] {
            assert_eq!(kept(path, &scope), expected, "{path}");
        }
        let nonsense = Scope { accounts: vec!["prod".into()], ..Scope::default() };
        assert!(!kept(TRAIL, &nonsense));
    }

    #[test]
    fn a_path_proves_an_organization_or_is_left_out() {
        let scope = Scope { org_ids: vec!["o-ABCDE12345".into()], ..Scope::default() };
        let wanted = ScopeFilter::new(&scope);
        let (none, other) = (Some(LeftOut::WithoutOrganization), Some(LeftOut::OutOfScope));
        for (path, expected) in [
            ("AWSLogs/o-abcde12345/111122223333", None),
            ("AWSLogs/o-abcde54321/111122223333", other),
            ("AWSLogs/111122223333", none),
            ("AWSLogs/archive-copy/111122223333/CloudTrail", none),
            ("AWSLogs", none),
            ("copy/111122223333/CloudTrail", none),
            ("copy", none),
            ("o-abcde12345/AWSLogs/o-abcde12345/111122223333/CloudTrail", None),
            ("o-abcde12345/AWSLogs/111122223333/CloudTrail", None),
            ("o-abcde12345/team/AWSLogs/111122223333/CloudTrail", None),
            ("o-abcde12345/111122223333/CloudTrail/eu-west-1/2026/03/02", None),
            ("o-abcde54321/AWSLogs/111122223333/CloudTrail", other),
            ("o-abcde54321/111122223333/CloudTrail", other),
            // The folder in AWSLogs is CloudTrail's own, and the last one above is the nearest.
            ("o-abcde54321/AWSLogs/o-abcde12345/111122223333", None),
            ("o-abcde12345/AWSLogs/o-abcde54321/111122223333", other),
            ("o-abcde12345/o-ring/AWSLogs/111122223333", None),
        ] {
            assert_eq!(KeyPosition::left_out_of(place(path, &scope), &wanted), expected, "{path}");
            let all = Scope::default();
            assert_eq!(KeyPosition::left_out_of(place(path, &all), &ScopeFilter::new(&all)), None, "{path}");
        }
    }

    #[test]
    fn file_names_tell_where_folders_do_not() {
        let scope = Scope {
            since: micros(2026, 1, 2, 0),
            until: micros(2026, 1, 3, 0),
            accounts: vec!["111122223333".into()],
            ..Scope::default()
        };
        let wanted = ScopeFilter::new(&scope);
        let kind = |folder: &str, name: &str| place(folder, &scope).unwrap().file_kind(name.as_bytes(), &wanted);
        let log = "111122223333_CloudTrail_us-east-1_20260102T0305Z_AbCdEfGhIjKlMnOp.json.gz";
        let old = "111122223333_CloudTrail_us-east-1_20260102T0305ZAbCdEfGhIjKlMnOp.json.gz";
        let digest = "111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20260102T030000Z.json.gz";
        let late = "111122223333_CloudTrail_us-east-1_20260103T0000Z_AbCdEfGhIjKlMnOp.json.gz";
        let foreign = "999988887777_CloudTrail_us-east-1_20260102T0305Z_AbCdEfGhIjKlMnOp.json.gz";
        for (folder, name, expected) in [
            ("flat", log, Some(FolderKind::Log)),
            ("flat", old, Some(FolderKind::Log)),
            ("flat", digest, Some(FolderKind::Digest)),
            ("flat", late, None),
            ("flat", foreign, None),
            ("flat", "any.json.gz", Some(FolderKind::Log)),
            (TRAIL, late, None),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02", late, Some(FolderKind::Log)),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02", foreign, Some(FolderKind::Log)),
            ("AWSLogs/111122223333/CloudTrail-Insight", log, Some(FolderKind::Insight)),
        ] {
            assert_eq!(kind(folder, name), expected, "{folder} {name}");
        }
    }
}
