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

/// The part of a trail that a call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TrailChange {
    Created,
    Started,
    Stopped,
    Deleted,
    Updated,
    Selected(KmsLogging),
    /// Of a trail that the call does not name, or no longer in full.
    Unread,
}

/// One successful change of a trail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TrailSwitch {
    at: i64,
    event_id: String,
    trail: TrailName,
    change: TrailChange,
    /// `None` where the call does not tell.
    is_multi_region: Option<bool>,
    is_of_organization: Option<bool>,
}

impl TrailSwitch {
    /// Rough size with its texts.
    pub const BYTES: usize = 320;

    /// Reads a call; `None` where it changes nothing that matters here.
    pub fn of(at: i64, event_id: &str, call: &TrailCall<'_>) -> Option<TrailSwitch> {
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
        let flag = |name| flag(response, name).or_else(|| flag(request, name));
        let unless_said = (change == TrailChange::Created).then_some(false);
        Some(TrailSwitch {
            at,
            event_id: event_id.to_owned(),
            trail,
            change,
            is_multi_region: flag("isMultiRegionTrail").or(unless_said),
            is_of_organization: flag("isOrganizationTrail").or(unless_said),
        })
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

/// The facts about a trail so far, `None` where they were not read.
#[derive(Debug, Clone, Default)]
struct TrailState {
    logging: Option<LoggingState>,
    selection: Option<KmsLogging>,
    is_multi_region: Option<bool>,
    is_of_organization: Option<bool>,
    /// True once it has left the other Regions of which it was, or may have been.
    has_left_regions: Option<KmsLogging>,
    is_deleted: bool,
}

impl TrailState {
    fn take(&mut self, switch: &TrailSwitch) {
        if self.is_deleted && !matches!(switch.change, TrailChange::Created | TrailChange::Deleted) {
            // A trail of this name was made since, and nobody knows which.
            *self = TrailState {
                selection: Some(KmsLogging::Unknown),
                is_of_organization: self.is_of_organization,
                has_left_regions: (self.is_multi_region != Some(false)).then_some(KmsLogging::Unknown),
                ..TrailState::default()
            };
        }
        if switch.is_multi_region == Some(false) {
            self.has_left_regions = match (self.is_multi_region, switch.change) {
                // The Regions of a trail that is gone have lost it, if the new one of its name is not of them.
                (Some(true), TrailChange::Created) if self.is_deleted => Some(KmsLogging::Stopped),
                (_, TrailChange::Created) => None,
                (Some(true), _) => Some(KmsLogging::Stopped),
                (Some(false), _) => self.has_left_regions,
                (None, _) => Some(KmsLogging::Unknown),
            };
        } else if switch.is_multi_region == Some(true) {
            self.has_left_regions = None;
        }
        self.is_multi_region = switch.is_multi_region.or(self.is_multi_region);
        self.is_of_organization = switch.is_of_organization.or(self.is_of_organization);
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
    fn says(&self, trail: &TrailName, place: TrailPlace<'_>) -> Option<KmsLogging> {
        let is_here = trail.account == place.account || self.is_of_organization == Some(true);
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
        match self.is_multi_region {
            _ if !is_here => None,
            _ if trail.region == place.region => own,
            Some(true) => own,
            Some(false) => self.has_left_regions,
            // It may be of this Region too: nothing good follows from that, and nothing certain.
            None => own.filter(|own| *own > KmsLogging::Yes).map(|_| KmsLogging::Unknown).or(self.has_left_regions),
        }
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
    /// Puts the changes together that bear on a place. They are in the order of time.
    pub fn of(switches: &[TrailSwitch], place: TrailPlace<'_>) -> TrailHours {
        let (mut hours, mut trails) = (TrailHours::default(), HashMap::<&TrailName, TrailState>::new());
        let mut said = WorstOfTrails::default();
        for switch in switches {
            let state = trails.entry(&switch.trail).or_default();
            let (before, was_deleted) = (state.says(&switch.trail, place), state.is_deleted);
            let all_before = said.worst();
            state.take(switch);
            let after = state.says(&switch.trail, place);
            if before.is_none() && after.is_none() {
                continue;
            }
            said.replace((before, was_deleted), (after, state.is_deleted));
            let hour = switch.at.div_euclid(MICROS_PER_HOUR);
            let worst = said.worst();
            // The hour counts what the switch ended, of which nothing is known if it was not read. The worst of several
            // switches of an hour is true of a part of it.
            let in_hour = match before {
                None => KmsLogging::Unknown,
                Some(_) => all_before.max(worst).unwrap_or(KmsLogging::Unknown),
            };
            let known = hours.switched.entry(hour).or_insert(in_hour);
            *known = in_hour.max(*known);
            hours.from.insert(hour + 1, worst);
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

/// The number of trails that say each thing.
#[derive(Debug, Default)]
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
        TrailSwitch::of(minutes * 60_000_000, "id", &call).unwrap_or_else(|| panic!("{event_name} {request}"))
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
            TrailSwitch::of(at * 60_000_000, "id", &call)
        };
        let switches: Vec<TrailSwitch> = calls.iter().filter_map(read).collect();
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
            // A switch ends a state that was not read; in other Regions the trail may be too.
            (&[(70, "StopLogging", NAME)], "-usss", "-uuuu"),
            (&[excluded], "-ueee", "-uuuu"),
            (&[(70, "PutEventSelectors", INCLUDE)], "-uyyy", "-----"),
            (&[excluded, (130, "PutEventSelectors", INCLUDE)], "-ueyy", "-uu--"),
            (&[(10, "PutEventSelectors", INCLUDE), stopped], "uysss", "--uuu"),
            (&[(10, "PutEventSelectors", INCLUDE), stopped, (190, "StartLogging", NAME)], "uyssy", "--uu-"),
            // Logging is on, and nobody knows of what.
            (&[started], "-----", "-----"),
            (&[(10, "StopLogging", NAME), (70, "StartLogging", NAME)], "us---", "uu---"),
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
            (&[created, (70, "StopLogging", NAME)], "-usss", "-usss"),
            (&[created, started], "uyyyy", "uyyyy"),
            (&[(10, "CreateTrail", NAME), started], "uyyyy", "-----"),
            (&[created, started, (130, "UpdateTrail", single)], "uyyyy", "uysss"),
            (&[created, started, (130, "DeleteTrail", NAME)], "uysss", "uysss"),
            (
                &[created, started, (130, "DeleteTrail", NAME), (190, "CreateTrail", new), (191, "StartLogging", new)],
                "uysuy",
                "uysuy",
            ),
            // A trail that is changed is there, whatever was deleted before.
            (
                &[(10, "DeleteTrail", NAME), (70, "StartLogging", NAME), (71, "PutEventSelectors", INCLUDE)],
                "usyyy",
                "uuuuu",
            ),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "StartLogging", NAME)], "ussuu", "ussuu"),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "CreateTrail", NAME)], "uss--", "ussss"),
            (&[created, started, (70, "DeleteTrail", NAME), (130, "DeleteTrail", NAME)], "ussss", "ussss"),
            (&[(10, "DeleteTrail", NAME)], "ussss", "uuuuu"),
            // The worst of two trails.
            (&[created, started, (70, "PutEventSelectors", &other)], "uueee", "uuuuu"),
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
        assert_eq!((answered.trail.name.as_str(), answered.is_multi_region), ("t", Some(true)));
        let read = TrailCall { place: HOME, event_name: "GetTrail", request: Some(NAME), response: None };
        assert_eq!(TrailSwitch::of(0, "id", &read), None);
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
        let member = TrailPlace { account: "444455556666", ..HOME };
        assert_eq!(TrailHours::of(&calls, member).at(3), Some(KmsLogging::Stopped));
        assert_eq!(TrailHours::of(&calls[1..], member), TrailHours::default());
    }
}
