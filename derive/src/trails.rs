//! The say of trails on the logging of KMS calls: what selectors and switches tell, and for which hours.
//! In: successful changes of trails, as CloudTrail logged them, and a place. Out: for each hour the worst that they
//! say.
//! Never looks at KMS's own records, and never takes a change that it cannot read for a harmless one.

use std::collections::{BTreeMap, HashMap};

use keytrail_rows::time::MICROS_PER_HOUR;
use serde_json::Value;

use super::parameters::{member, parsed};

/// The event source and the event name of a KMS call that uses a key without changing anything.
const KMS_SOURCE: &str = "kms.amazonaws.com";
const KMS_READ_NAME: &str = "Decrypt";

/// The name of the trail of a call that names none: all such calls of a place are taken for calls on one more trail.
const UNNAMED_TRAIL: &str = "";

/// What is known of the logging of KMS's read-only calls. The greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KmsLogging {
    Yes,
    Unknown,
    /// A selector leaves KMS out, or all that only reads.
    Excluded,
    /// Logging was off.
    Stopped,
}

impl KmsLogging {
    /// All of them, the best first.
    const ALL: [KmsLogging; 4] = [KmsLogging::Yes, KmsLogging::Unknown, KmsLogging::Excluded, KmsLogging::Stopped];

    /// As a column has it.
    pub fn word(self) -> &'static str {
        match self {
            KmsLogging::Yes => "yes",
            KmsLogging::Unknown => "unknown",
            KmsLogging::Excluded => "excluded",
            KmsLogging::Stopped => "stopped",
        }
    }
}

/// An account in a Region, as far as both are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrailPlace<'a> {
    pub account: &'a str,
    pub region: &'a str,
}

/// A place whose hours are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedPlace<'a> {
    pub place: TrailPlace<'a>,
    /// True where logs of it lie under the folder of an organization, so that trails of other accounts may be of it
    /// too.
    pub is_of_organization: bool,
}

/// A trail as its digests name it: `[ORGANIZATION/]HOMEREGION/NAME`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DigestTrail<'a> {
    pub is_of_organization: bool,
    home: &'a str,
    name: &'a str,
}

impl<'a> DigestTrail<'a> {
    /// `None` where the text is no such name.
    pub fn read(text: &'a str) -> Option<DigestTrail<'a>> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [home, name] => Some(DigestTrail { is_of_organization: false, home, name }),
            [organization, home, name] if organization.starts_with("o-") => {
                Some(DigestTrail { is_of_organization: true, home, name })
            }
            _ => None,
        }
    }
}

/// The texts of a call that changes a trail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrailCall<'a> {
    /// The account that the call was made in, and the Region: that of the trail's home.
    pub place: TrailPlace<'a>,
    pub event_name: &'a str,
    pub request: Option<&'a str>,
    pub response: Option<&'a str>,
}

/// A trail, by its home and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TrailName {
    account: String,
    region: String,
    name: String,
}

/// The part of a trail that a call changes. The greater, the worse is what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TrailChange {
    Created,
    Started,
    Updated,
    Selected(KmsLogging),
    /// Of a trail that the call does not name, or no longer in full.
    Unread,
    Stopped,
    Deleted,
}

/// The word of a call on the Regions, or on the accounts, that a trail is of. The greater, the worse is what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReachWord {
    /// It is of all.
    All,
    /// It is of its own alone, and the call did not make it so.
    Own,
    /// It is of its own alone from now on.
    OwnNow,
}

/// One successful change of a trail. Those of one second, whose order nobody knows, stand so that the worst is the
/// last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TrailSwitch {
    at: i64,
    change: TrailChange,
    /// `None` where the call does not tell.
    regions: Option<ReachWord>,
    accounts: Option<ReachWord>,
    trail: TrailName,
}

impl TrailSwitch {
    /// Rough size with its texts.
    pub const BYTES: usize = 288;

    /// Reads a call; `None` where it changes nothing that matters here.
    pub fn of(at: i64, call: &TrailCall<'_>) -> Option<TrailSwitch> {
        let (request, response) = (call.request.and_then(parsed), call.response.and_then(parsed));
        let (request, response) = (request.as_ref(), response.as_ref());
        let named = text(request, "name").or_else(|| text(request, "trailName")).or_else(|| text(request, "trailARN"));
        let arn = text(response, "trailARN").filter(|_| named.is_none_or(|named| !named.starts_with("arn:")));
        let named = arn.or(named).filter(|named| !named.is_empty());
        let trail = TrailName::of(named.unwrap_or(UNNAMED_TRAIL), call.place);
        let change = match (call.event_name, named) {
            ("CreateTrail", Some(_)) => TrailChange::Created,
            ("UpdateTrail", Some(_)) => TrailChange::Updated,
            ("DeleteTrail", Some(_)) => TrailChange::Deleted,
            ("StartLogging", Some(_)) => TrailChange::Started,
            ("StopLogging", Some(_)) => TrailChange::Stopped,
            ("PutEventSelectors", Some(_)) => TrailChange::Selected(selected(request)),
            // A trail that is made or started ends no logging, whichever it is.
            ("UpdateTrail" | "DeleteTrail" | "StopLogging" | "PutEventSelectors", None) => TrailChange::Unread,
            _ => return None,
        };
        // The answer has the whole trail as it is then, the request only what was asked to change.
        let reach = |name| match (flag(response, name).or_else(|| flag(request, name)), flag(request, name)) {
            (Some(true), _) => Some(ReachWord::All),
            (Some(false), None) if request.is_some() => Some(ReachWord::Own),
            (Some(false), _) => Some(ReachWord::OwnNow),
            (None, _) => (change == TrailChange::Created).then_some(ReachWord::OwnNow),
        };
        let (regions, accounts) = (reach("isMultiRegionTrail"), reach("isOrganizationTrail"));
        Some(TrailSwitch { at, change, regions, accounts, trail })
    }

    /// True of a change of a trail that has digests in an account. The account that an organization's trail is of is
    /// not among the names of its digests.
    pub fn is_of(&self, trail: DigestTrail<'_>, account: &str) -> bool {
        let is_of_account = trail.is_of_organization || self.trail.account == account;
        is_of_account && self.trail.region == trail.home && self.trail.name == trail.name
    }
}

impl TrailName {
    /// A trail named by its name or its ARN.
    fn of(named: &str, place: TrailPlace<'_>) -> TrailName {
        let parts: Vec<&str> = named.splitn(6, ':').collect();
        let name = |account: &str, region: &str, name: &str| TrailName {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        };
        match parts.as_slice() {
            ["arn", _, "cloudtrail", region, account, resource] => {
                name(account, region, resource.strip_prefix("trail/").unwrap_or(resource))
            }
            _ => name(place.account, place.region, named),
        }
    }
}

fn text<'v>(object: Option<&'v Value>, name: &str) -> Option<&'v str> {
    member(object?, name)?.as_str()
}

fn flag(object: Option<&Value>, name: &str) -> Option<bool> {
    match member(object?, name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What the selectors of a PutEventSelectors say of KMS's read-only calls.
fn selected(request: Option<&Value>) -> KmsLogging {
    let lists = ["eventSelectors", "advancedEventSelectors"].map(|name| member(request?, name));
    let judge = [basic as fn(&Value) -> KmsLogging, advanced];
    let said = lists.into_iter().zip(judge).filter_map(|(list, judge)| {
        // An event is logged if any selector takes it; of no selector at all it is not said what that means.
        Some(list?.as_array()?.iter().map(judge).min().unwrap_or(KmsLogging::Unknown))
    });
    said.min().unwrap_or(KmsLogging::Unknown)
}

/// One of the older selectors, which takes management events unless it says otherwise.
fn basic(selector: &Value) -> KmsLogging {
    if flag(Some(selector), "includeManagementEvents") == Some(false) {
        return KmsLogging::Excluded;
    }
    let left_out = member(selector, "excludeManagementEventSources");
    let is_kms = |source: &Value| source.as_str().is_some_and(|source| source.eq_ignore_ascii_case(KMS_SOURCE));
    match (text(Some(selector), "readWriteType"), left_out) {
        (Some("WriteOnly"), _) => KmsLogging::Excluded,
        (Some("All" | "ReadOnly") | None, None) => KmsLogging::Yes,
        (Some("All" | "ReadOnly") | None, Some(Value::Array(sources))) => {
            if sources.iter().any(is_kms) {
                KmsLogging::Excluded
            } else {
                KmsLogging::Yes
            }
        }
        _ => KmsLogging::Unknown,
    }
}

/// One advanced selector: it takes the events that meet all its conditions.
fn advanced(selector: &Value) -> KmsLogging {
    let Some(Value::Array(fields)) = member(selector, "fieldSelectors") else { return KmsLogging::Unknown };
    // A selector without a category takes nothing that AWS documents.
    let category = fields.iter().find(|field| text(Some(field), "field") == Some("eventCategory"));
    let Some(category) = category else { return KmsLogging::Unknown };
    match meets(category, "Management") {
        Some(true) => fields.iter().map(condition).max().unwrap_or(KmsLogging::Unknown),
        Some(false) => KmsLogging::Excluded,
        None => KmsLogging::Unknown,
    }
}

/// The word of one condition on a read-only call of KMS.
fn condition(field: &Value) -> KmsLogging {
    let event = match text(Some(field), "field") {
        Some("eventCategory") => "Management",
        Some("readOnly") => "true",
        Some("eventSource") => KMS_SOURCE,
        Some("eventName") => KMS_READ_NAME,
        Some("eventType") => "AwsApiCall",
        // Some callers' events are left out, and others are not.
        _ => return KmsLogging::Unknown,
    };
    match meets(field, event) {
        Some(true) => KmsLogging::Yes,
        Some(false) => KmsLogging::Excluded,
        None => KmsLogging::Unknown,
    }
}

/// True if a value meets a condition; `None` where the condition cannot be read.
fn meets(field: &Value, value: &str) -> Option<bool> {
    type Comparison = fn(&str, &str) -> bool;
    const EQUALS: Comparison = |value, text| value.eq_ignore_ascii_case(text);
    const STARTS: Comparison = |value, text| value.starts_with(text);
    const ENDS: Comparison = |value, text| value.ends_with(text);
    let operators: [(&str, &str, Comparison); 3] =
        [("equals", "notEquals", EQUALS), ("startsWith", "notStartsWith", STARTS), ("endsWith", "notEndsWith", ENDS)];
    let texts = |name: &str| match member(field, name) {
        None => Some(Vec::new()),
        Some(list) => list.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<&str>>>(),
    };
    let (mut is_met, mut is_any) = (true, false);
    for (positive, negative, compare) in operators {
        let (wanted, unwanted) = (texts(positive)?, texts(negative)?);
        is_any |= !wanted.is_empty() || !unwanted.is_empty();
        is_met &= wanted.is_empty() || wanted.iter().any(|text| compare(value, text));
        is_met &= !unwanted.iter().any(|text| compare(value, text));
    }
    is_any.then_some(is_met)
}

/// The switch of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggingState {
    On,
    Off,
    /// A new trail logs nothing before it is started, and no earlier logging ends with it.
    NotStarted,
}

/// The Regions, or the accounts, that a trail is of besides its own.
#[derive(Debug, Clone, Copy, Default)]
struct TrailReach {
    /// `None` where it was not read.
    is_of_all: Option<bool>,
    /// Set once it has left the others of which it was, or may have been.
    has_left: Option<KmsLogging>,
}

impl TrailReach {
    /// Takes the word of a call.
    fn take(&mut self, said: Option<ReachWord>, change: TrailChange, before: TrailBefore) {
        self.has_left = match (said, self.is_of_all, change) {
            (None, ..) => self.has_left,
            (Some(ReachWord::All), ..) => None,
            // The others have lost a trail that is gone, if the new one of its name is not of them.
            (_, Some(true), TrailChange::Created) if before == TrailBefore::Gone => Some(KmsLogging::Stopped),
            (_, _, TrailChange::Created) => None,
            (_, Some(true), _) => Some(KmsLogging::Stopped),
            (_, Some(false), _) | (Some(ReachWord::Own), None, _) => self.has_left,
            (Some(ReachWord::OwnNow), None, _) => Some(KmsLogging::Unknown),
        };
        self.is_of_all = said.map(|said| said == ReachWord::All).or(self.is_of_all);
    }

    /// The word of the trail on a place that is not its own, where it says anything. `own` is that on its own.
    fn says(&self, own: Option<KmsLogging>, elsewhere: Elsewhere) -> Option<KmsLogging> {
        match (self.is_of_all, elsewhere) {
            (Some(true), _) => own,
            (_, Elsewhere::Never) => self.has_left.filter(|left| *left == KmsLogging::Stopped),
            (Some(false), Elsewhere::Maybe) => self.has_left,
            // It may be of this place too: nothing good follows from that, and nothing certain.
            (None, Elsewhere::Maybe) => {
                own.filter(|own| *own > KmsLogging::Yes).map(|_| KmsLogging::Unknown).or(self.has_left)
            }
        }
    }
}

/// The state of a trail before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailBefore {
    There,
    Gone,
}

/// A place that is not a trail's own: may a trail of which that was not read be of it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Maybe,
    Never,
}

/// The facts about a trail so far, `None` where they were not read.
#[derive(Debug, Clone, Default)]
struct TrailState {
    logging: Option<LoggingState>,
    selection: Option<KmsLogging>,
    regions: TrailReach,
    accounts: TrailReach,
    is_deleted: bool,
}

impl TrailState {
    fn take(&mut self, switch: &TrailSwitch) {
        if self.is_deleted && !matches!(switch.change, TrailChange::Created | TrailChange::Deleted) {
            // A trail of this name was made since, and nobody knows which.
            let has_left = (self.regions.is_of_all != Some(false)).then_some(KmsLogging::Unknown);
            *self = TrailState {
                selection: Some(KmsLogging::Unknown),
                regions: TrailReach { is_of_all: None, has_left },
                accounts: self.accounts,
                ..TrailState::default()
            };
        }
        let before = if self.is_deleted { TrailBefore::Gone } else { TrailBefore::There };
        self.regions.take(switch.regions, switch.change, before);
        self.accounts.take(switch.accounts, switch.change, before);
        match switch.change {
            // A new trail takes all management events.
            TrailChange::Created => {
                self.logging = Some(LoggingState::NotStarted);
                (self.selection, self.is_deleted) = (Some(KmsLogging::Yes), false);
            }
            TrailChange::Started => self.logging = Some(LoggingState::On),
            TrailChange::Stopped => self.logging = Some(LoggingState::Off),
            TrailChange::Deleted => (self.logging, self.is_deleted) = (Some(LoggingState::Off), true),
            TrailChange::Selected(selection) => self.selection = Some(selection),
            TrailChange::Updated => {}
            TrailChange::Unread => (self.logging, self.selection) = (None, Some(KmsLogging::Unknown)),
        }
    }

    /// What the trail says of a place, where it says anything.
    fn says(
        &self,
        trail: &TrailName,
        JudgedPlace { place, is_of_organization }: JudgedPlace<'_>,
    ) -> Option<KmsLogging> {
        let own = match (self.logging, self.selection) {
            (Some(LoggingState::Off), _) => Some(KmsLogging::Stopped),
            // Its start may be what was not read, so nothing good follows from a selector, and nothing certain.
            (Some(LoggingState::NotStarted), Some(selection)) if selection > KmsLogging::Yes => {
                Some(KmsLogging::Unknown)
            }
            (Some(LoggingState::NotStarted), _) => None,
            (Some(LoggingState::On) | None, Some(selection)) => Some(selection),
            // Logging is on, but nobody knows of what.
            (Some(LoggingState::On) | None, None) => None,
        };
        let of_region = if trail.region == place.region { own } else { self.regions.says(own, Elsewhere::Maybe) };
        if trail.account == place.account {
            return of_region;
        }
        self.accounts.says(of_region, if is_of_organization { Elsewhere::Maybe } else { Elsewhere::Never })
    }
}

/// What the trails of a place say, hour by hour.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TrailHours {
    /// From each of these hours on, until the next.
    from: BTreeMap<i64, Option<KmsLogging>>,
    /// The hours of switches, which have more than one state.
    switched: BTreeMap<i64, KmsLogging>,
}

impl TrailHours {
    /// Puts the changes together that bear on a place. They are in the order of [`TrailSwitch`].
    pub fn of<'s>(switches: impl IntoIterator<Item = &'s TrailSwitch>, place: JudgedPlace<'_>) -> TrailHours {
        let switches: Vec<&TrailSwitch> = switches.into_iter().collect();
        let (mut hours, mut trails) = (TrailHours::default(), TrailsSoFar::of(place));
        for second in switches.chunk_by(|switch, next| switch.at == next.at) {
            let hour = second[0].at.div_euclid(MICROS_PER_HOUR);
            // Nobody knows their order: the hour counts the worst of them forwards and backwards.
            let backwards = if second.len() > 1 { trails.tried_backwards(second) } else { None };
            let forwards = second.iter().filter_map(|switch| trails.take(switch)).max();
            if let Some(in_hour) = forwards.max(backwards) {
                let known = hours.switched.entry(hour).or_insert(in_hour);
                *known = in_hour.max(*known);
                hours.from.insert(hour + 1, trails.said.worst());
            }
        }
        hours
    }

    /// The hours in which something begins to be otherwise.
    pub fn changes(&self) -> impl Iterator<Item = i64> + '_ {
        self.from.keys().copied().chain(self.switched.keys().copied())
    }

    /// The worst that was said of an hour; `None` where nothing was.
    pub fn at(&self, hour: i64) -> Option<KmsLogging> {
        let switched = self.switched.get(&hour).copied();
        switched.or_else(|| self.from.range(..=hour).next_back().and_then(|(_, said)| *said))
    }
}

/// The trails as the switches have left them.
struct TrailsSoFar<'s, 'p> {
    place: JudgedPlace<'p>,
    states: HashMap<&'s TrailName, TrailState>,
    said: WorstOfTrails,
}

impl<'s, 'p> TrailsSoFar<'s, 'p> {
    fn of(place: JudgedPlace<'p>) -> TrailsSoFar<'s, 'p> {
        TrailsSoFar { place, states: HashMap::new(), said: WorstOfTrails::default() }
    }

    /// Takes a switch. Returns the worst that is true of a part of its hour, if it bears on the place.
    fn take(&mut self, switch: &'s TrailSwitch) -> Option<KmsLogging> {
        let state = self.states.entry(&switch.trail).or_default();
        let (before, was_deleted) = (state.says(&switch.trail, self.place), state.is_deleted);
        state.take(switch);
        let after = state.says(&switch.trail, self.place);
        if before.is_none() && after.is_none() {
            return None;
        }
        let all_before = self.said.worst();
        self.said.replace((before, was_deleted), (after, state.is_deleted));
        // The hour counts what the switch ended, of which nothing is known if it was not read.
        let unread = before.is_none().then_some(KmsLogging::Unknown);
        all_before.max(self.said.worst()).max(unread)
    }

    /// The worst that is true of the hour if switches came the other way round, after which all is as before.
    fn tried_backwards(&mut self, switches: &[&'s TrailSwitch]) -> Option<KmsLogging> {
        let states: Vec<(&TrailName, Option<TrailState>)> =
            switches.iter().map(|switch| (&switch.trail, self.states.get(&switch.trail).cloned())).collect();
        let said = self.said;
        let worst = switches.iter().rev().filter_map(|switch| self.take(switch)).max();
        self.said = said;
        for (trail, state) in states {
            match state {
                Some(state) => self.states.insert(trail, state),
                None => self.states.remove(trail),
            };
        }
        worst
    }
}

/// The number of trails that say each thing.
#[derive(Debug, Clone, Copy, Default)]
struct WorstOfTrails {
    live: [usize; KmsLogging::ALL.len()],
    deleted: [usize; KmsLogging::ALL.len()],
}

impl WorstOfTrails {
    /// Takes the new word of a trail for its old one; the flags tell if it was deleted then.
    fn replace(&mut self, old: (Option<KmsLogging>, bool), new: (Option<KmsLogging>, bool)) {
        if let Some(count) = self.count_of(old) {
            *count -= 1;
        }
        if let Some(count) = self.count_of(new) {
            *count += 1;
        }
    }

    fn count_of(&mut self, (said, is_deleted): (Option<KmsLogging>, bool)) -> Option<&mut usize> {
        let said = said?;
        let trails = if is_deleted { &mut self.deleted } else { &mut self.live };
        Some(&mut trails[said as usize])
    }

    /// A trail that is gone says that logging is off, unless another is known to have taken over.
    fn worst(&self) -> Option<KmsLogging> {
        let worst_of = |trails: &[usize; KmsLogging::ALL.len()]| {
            KmsLogging::ALL.into_iter().rev().find(|said| trails[*said as usize] > 0)
        };
        let live = worst_of(&self.live);
        live.max(worst_of(&self.deleted).filter(|_| live != Some(KmsLogging::Yes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: TrailPlace<'static> = TrailPlace { account: "111122223333", region: "eu-west-1" };
    const ELSEWHERE: TrailPlace<'static> = TrailPlace { region: "us-east-1", ..HOME };

    fn switch(minutes: i64, event_name: &str, request: &str, response: Option<&str>) -> TrailSwitch {
        let call = TrailCall { place: HOME, event_name, request: Some(request), response };
        TrailSwitch::of(minutes * 60_000_000, &call).unwrap_or_else(|| panic!("{event_name} {request}"))
    }

    fn said(list: &str, selectors: &str) -> KmsLogging {
        selected(parsed(&format!(r#"{{"trailName":"t","{list}":{selectors}}}"#)).as_ref())
    }

    #[test]
    fn selectors_say_if_kms_is_logged() {
        use KmsLogging::{Excluded, Unknown, Yes};
        for (selectors, expected) in [
            (r#"[{"readWriteType":"All","includeManagementEvents":true}]"#, Yes),
            (r#"[{"readWriteType":"ReadOnly","includeManagementEvents":true}]"#, Yes),
            (r#"[{}]"#, Yes),
            (r#"[{"readWriteType":"WriteOnly","includeManagementEvents":true}]"#, Excluded),
            (r#"[{"readWriteType":"All","includeManagementEvents":false}]"#, Excluded),
            (r#"[{"readWriteType":"All","excludeManagementEventSources":["kms.amazonaws.com"]}]"#, Excluded),
            (r#"[{"readWriteType":"All","excludeManagementEventSources":["rdsdata.amazonaws.com"]}]"#, Yes),
            (r#"[{"readWriteType":"All","excludeManagementEventSources":[]}]"#, Yes),
            (r#"[{"readWriteType":"WriteOnly"},{"readWriteType":"ReadOnly"}]"#, Yes),
            (r#"[{"readWriteType":"All","excludeManagementEventSources":"kms.amazonaws.com"}]"#, Unknown),
            (r#"[{"readWriteType":"Odd"}]"#, Unknown),
            ("[]", Unknown),
            (r#""x""#, Unknown),
        ] {
            assert_eq!(said("eventSelectors", selectors), expected, "{selectors}");
        }
        let field = |field: &str, rest: &str| format!(r#"{{"field":"{field}",{rest}}}"#);
        let management = field("eventCategory", r#""equals":["Management"]"#);
        for (more, expected) in [
            (String::new(), Yes),
            (field("eventSource", r#""notEquals":["kms.amazonaws.com"]"#), Excluded),
            (field("eventSource", r#""notEquals":["rdsdata.amazonaws.com"]"#), Yes),
            (field("eventSource", r#""equals":["s3.amazonaws.com"]"#), Excluded),
            (field("eventSource", r#""notStartsWith":["kms"]"#), Excluded),
            (field("readOnly", r#""equals":["false"]"#), Excluded),
            (field("readOnly", r#""equals":["true"]"#), Yes),
            (field("eventName", r#""equals":["PutKeyPolicy"]"#), Excluded),
            (field("userIdentity.arn", r#""notEquals":["arn:aws:iam::111122223333:role/x"]"#), Unknown),
            (field("eventSource", r#""equals":"kms.amazonaws.com""#), Unknown),
            (field("eventSource", r#""near":["kms.amazonaws.com"]"#), Unknown),
        ] {
            let fields = if more.is_empty() { management.clone() } else { format!("{management},{more}") };
            let selector = format!(r#"[{{"name":"n","fieldSelectors":[{fields}]}}]"#);
            assert_eq!(said("advancedEventSelectors", &selector), expected, "{more}");
        }
        let data = field("eventCategory", r#""equals":["Data"]"#);
        let (data, all) =
            (format!(r#"{{"fieldSelectors":[{data}]}}"#), format!(r#"{{"fieldSelectors":[{management}]}}"#));
        assert_eq!(said("advancedEventSelectors", &format!("[{data}]")), Excluded);
        assert_eq!(said("advancedEventSelectors", &format!("[{data},{all}]")), Yes);
        assert_eq!(said("advancedEventSelectors", r#"[{"fieldSelectors":[]}]"#), Unknown);
        assert_eq!(selected(parsed(r#"{"trailName":"t","eventSelectors":[{"readWri"#).as_ref()), Unknown);
    }

    const EXCLUDE: &str =
        r#"{"trailName":"t","eventSelectors":[{"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#;
    const INCLUDE: &str = r#"{"trailName":"t","eventSelectors":[{"readWriteType":"All"}]}"#;
    const NAME: &str = r#"{"name":"t"}"#;
    const MULTI: &str = r#"{"name":"t","isMultiRegionTrail":true}"#;

    /// The words of hours 0 to 4, by their first letters; `-` where nothing is said.
    fn hours(place: TrailPlace<'_>, calls: &[(i64, &str, &str)]) -> String {
        let read = |(at, event_name, request): &(i64, &str, &str)| {
            let call = TrailCall { place: HOME, event_name, request: Some(request), response: None };
            TrailSwitch::of(at * 60_000_000, &call)
        };
        words(calls.iter().filter_map(read).collect(), lone(place))
    }

    fn lone(place: TrailPlace<'_>) -> JudgedPlace<'_> {
        JudgedPlace { place, is_of_organization: false }
    }

    fn words(mut switches: Vec<TrailSwitch>, place: JudgedPlace<'_>) -> String {
        switches.sort_unstable();
        let hours = TrailHours::of(&switches, place);
        (0..5).map(|hour| hours.at(hour).map_or('-', |said| said.word().chars().next().unwrap())).collect()
    }

    #[test]
    fn hours_have_the_worst_that_was_said_before() {
        let (created, started) = ((10, "CreateTrail", MULTI), (11, "StartLogging", NAME));
        let single = r#"{"name":"t","isMultiRegionTrail":false}"#;
        let new = r#"{"name":"new","isMultiRegionTrail":true}"#;
        let other = EXCLUDE.replace("\"t\"", "\"other\"");
        let (stopped, excluded) = ((130, "StopLogging", NAME), (70, "PutEventSelectors", EXCLUDE));
        for (calls, home, elsewhere) in [
            (&[][..], "-----", "-----"),
            // The hour of a switch has what it began, and no less; in other Regions the trail may be too.
            (&[(70, "StopLogging", NAME)], "-ssss", "-uuuu"),
            (&[excluded], "-eeee", "-uuuu"),
            (&[(70, "PutEventSelectors", INCLUDE)], "-uyyy", "-----"),
            (&[excluded, (130, "PutEventSelectors", INCLUDE)], "-eeyy", "-uu--"),
            (&[(10, "PutEventSelectors", INCLUDE), stopped], "uysss", "--uuu"),
            (&[(10, "PutEventSelectors", INCLUDE), stopped, (190, "StartLogging", NAME)], "uyssy", "--uu-"),
            // Logging is on, and nobody knows of what.
            (&[started], "-----", "-----"),
            (&[(10, "StopLogging", NAME), (70, "StartLogging", NAME)], "ss---", "uu---"),
            // The part of an hour between two switches counts, whatever its begin was.
            (&[(70, "StopLogging", NAME), (110, "StartLogging", NAME)], "-s---", "-u---"),
            (&[excluded, (110, "PutEventSelectors", INCLUDE)], "-eyyy", "-u---"),
            (&[(10, "PutEventSelectors", INCLUDE), excluded, (110, "PutEventSelectors", INCLUDE)], "ueyyy", "-u---"),
            // A new trail that nobody starts says nothing.
            (&[created], "-----", "-----"),
            // Its start may lie in a log that is gone.
            (&[created, excluded], "-uuuu", "-uuuu"),
            (&[created, (70, "PutEventSelectors", INCLUDE)], "-----", "-----"),
            (&[created, excluded, (130, "PutEventSelectors", INCLUDE)], "-uu--", "-uu--"),
            (&[created, excluded, (130, "StartLogging", NAME)], "-ueee", "-ueee"),
            (&[created, (70, "StopLogging", NAME)], "-ssss", "-ssss"),
            (&[created, started], "uyyyy", "uyyyy"),
            (&[(10, "CreateTrail", NAME), started], "uyyyy", "-----"),
            (&[created, started, (130, "UpdateTrail", single)], "uyyyy", "uysss"),
            (&[created, started, (130, "DeleteTrail", NAME)], "uysss", "uysss"),
            (
                &[created, started, (130, "DeleteTrail", NAME), (190, "CreateTrail", new), (191, "StartLogging", new)],
                "uyssy",
                "uyssy",
            ),
            // A trail that is changed is there, whatever was deleted before.
            (
                &[(10, "DeleteTrail", NAME), (70, "StartLogging", NAME), (71, "PutEventSelectors", INCLUDE)],
                "ssyyy",
                "uuuuu",
            ),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "StartLogging", NAME)], "ussuu", "ussuu"),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "CreateTrail", NAME)], "uss--", "ussss"),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "DeleteTrail", NAME)], "ussss", "ussss"),
            (&[(10, "DeleteTrail", NAME)], "sssss", "uuuuu"),
            // The worst of two trails.
            (&[created, started, (70, "PutEventSelectors", &other)], "ueeee", "uuuuu"),
            // Two switches of one hour.
            (&[created, started, stopped, (131, "StartLogging", NAME)], "uysyy", "uysyy"),
        ] {
            assert_eq!(
                (hours(HOME, calls), hours(ELSEWHERE, calls)),
                (home.to_owned(), elsewhere.to_owned()),
                "{calls:?}"
            );
        }
    }

    #[test]
    fn a_trail_is_the_same_by_name_and_by_arn() {
        let arn = r#"{"trailName":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/t"}"#;
        assert_eq!(switch(0, "StopLogging", NAME, None).trail, switch(0, "StopLogging", arn, None).trail);
        let answered = r#"{"trailARN":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/t","isMultiRegionTrail":true}"#;
        let answered = switch(0, "CreateTrail", NAME, Some(answered));
        assert_eq!((answered.trail.name.as_str(), answered.regions), ("t", Some(ReachWord::All)));
        let read = TrailCall { place: HOME, event_name: "GetTrail", request: Some(NAME), response: None };
        assert_eq!(TrailSwitch::of(0, &read), None);
    }

    #[test]
    fn a_change_that_names_no_trail_leaves_all_unknown() {
        let omitted = r#"{"omitted":true,"originalSize":110000,"reason":"requestParameters too large"}"#;
        for (event_name, request, home, elsewhere) in [
            ("PutEventSelectors", omitted, "uyuuu", "uyuuu"),
            ("StopLogging", r#"{"na"#, "uyuuu", "uyuuu"),
            ("UpdateTrail", r#"{"name":""}"#, "uyuuu", "uyuuu"),
            // What is made or started ends nothing.
            ("CreateTrail", omitted, "uyyyy", "uyyyy"),
            ("StartLogging", omitted, "uyyyy", "uyyyy"),
        ] {
            let calls = [(10, "CreateTrail", MULTI), (11, "StartLogging", NAME), (130, event_name, request)];
            assert_eq!((hours(HOME, &calls).as_str(), hours(ELSEWHERE, &calls).as_str()), (home, elsewhere));
        }
        let member = TrailPlace { account: "444455556666", ..HOME };
        assert_eq!(hours(member, &[(10, "PutEventSelectors", omitted)]), "-----");
    }

    #[test]
    fn a_trail_of_an_organization_is_of_all_accounts() {
        let calls = [
            switch(10, "CreateTrail", r#"{"name":"t","isOrganizationTrail":true}"#, None),
            switch(70, "StopLogging", NAME, None),
        ];
        let member = lone(TrailPlace { account: "444455556666", ..HOME });
        assert_eq!(TrailHours::of(&calls, member).at(3), Some(KmsLogging::Stopped));
        assert_eq!(TrailHours::of(&calls[1..], member), TrailHours::default());
    }

    #[test]
    fn a_trail_that_may_be_of_an_organization_proves_nothing_for_its_accounts() {
        let place = TrailPlace { account: "444455556666", ..HOME };
        let member = |is_of_organization| JudgedPlace { place, is_of_organization };
        let known = [
            switch(10, "CreateTrail", r#"{"name":"t","isOrganizationTrail":true,"isMultiRegionTrail":true}"#, None),
            switch(11, "StartLogging", NAME, None),
        ];
        let left = r#"{"name":"t","isOrganizationTrail":false}"#;
        let own = r#"{"name":"t","isOrganizationTrail":false,"isMultiRegionTrail":true}"#;
        for (is_known, event_name, request, response, under_folder, elsewhere) in [
            (false, "PutEventSelectors", EXCLUDE, None, "-uuuu", "-----"),
            (false, "StopLogging", NAME, None, "-uuuu", "-----"),
            (false, "DeleteTrail", NAME, None, "-uuuu", "-----"),
            (false, "PutEventSelectors", INCLUDE, None, "-----", "-----"),
            (false, "UpdateTrail", left, None, "-uuuu", "-----"),
            // The call changed something else.
            (false, "UpdateTrail", NAME, Some(own), "-----", "-----"),
            (true, "PutEventSelectors", EXCLUDE, None, "ueeee", "ueeee"),
            (true, "UpdateTrail", left, None, "ussss", "ussss"),
            (true, "UpdateTrail", NAME, Some(own), "ussss", "ussss"),
            (true, "DeleteTrail", NAME, None, "ussss", "ussss"),
        ] {
            let mut calls = if is_known { known.to_vec() } else { Vec::new() };
            calls.push(switch(70, event_name, request, response));
            assert_eq!(
                (words(calls.clone(), member(true)).as_str(), words(calls, member(false)).as_str()),
                (under_folder, elsewhere),
                "{is_known} {event_name} {request}"
            );
        }
        let mut again = known.to_vec();
        again.extend([switch(70, "DeleteTrail", NAME, None), switch(130, "CreateTrail", NAME, None)]);
        assert_eq!(words(again, member(true)), "ussss");
    }

    #[test]
    fn of_changes_in_one_second_the_worst_stands() {
        let multi = r#"{"name":"t","isMultiRegionTrail":true}"#;
        let single = r#"{"name":"t","isMultiRegionTrail":false}"#;
        let other = INCLUDE.replace("\"t\"", "\"other\"");
        for (first, second, home, elsewhere) in [
            (("StartLogging", NAME), ("StopLogging", NAME), "ysss", "ysss"),
            (("PutEventSelectors", EXCLUDE), ("PutEventSelectors", INCLUDE), "yeee", "yeee"),
            (("UpdateTrail", multi), ("UpdateTrail", single), "yyyy", "ysss"),
            (("StartLogging", NAME), ("DeleteTrail", NAME), "ysss", "ysss"),
            // Another trail may have taken over a moment too late.
            (("DeleteTrail", NAME), ("PutEventSelectors", &other), "ysyy", "ysss"),
        ] {
            for pair in [[first, second], [second, first]] {
                let mut calls = vec![(-60, "CreateTrail", multi), (-59, "StartLogging", NAME)];
                calls.extend(pair.map(|(event_name, request)| (70, event_name, request)));
                let found = (hours(HOME, &calls), hours(ELSEWHERE, &calls));
                assert_eq!((&found.0[..4], &found.1[..4]), (home, elsewhere), "{pair:?}");
            }
        }
    }

    #[test]
    fn digests_name_their_trail() {
        let stop = switch(0, "StopLogging", NAME, None);
        for (trail, account, expected) in [
            ("eu-west-1/t", "111122223333", true),
            ("eu-west-1/t", "444455556666", false),
            ("o-exampleorg/eu-west-1/t", "444455556666", true),
            ("eu-west-1/other", "111122223333", false),
            ("us-east-1/t", "111122223333", false),
        ] {
            let read = DigestTrail::read(trail).unwrap();
            assert_eq!(stop.is_of(read, account), expected, "{trail} {account}");
        }
        for digest in ["renamed.json.gz", "s3://b/o-exampleorg/renamed.json.gz", "a/b/renamed.json.gz"] {
            assert!(DigestTrail::read(digest).is_none(), "{digest}");
        }
    }
}
