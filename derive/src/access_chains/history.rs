//! Everything that decides who may use a key, as it was set over time: policies, grants, attachments, groups, boundaries.
//! In: successful changes, in any order. Out: the value of each place at each second, and the changes that made it.
//! Never decides an order within a second: a place that one second sets to two values is unknown after it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use keytrail_rows::arn::{Arn, service_of};
use xxhash_rust::xxh3::xxh3_128;

use super::deeds::{ChangeDeed, ChangedLink, GrantTerms, LeftDocument, VersionUse};
use crate::compact::{PackedEventId, PooledText, TextPool};
use crate::denial_facts::identity;
use crate::policy::{LoggedPolicy, PolicyDocument, PolicyReading};

/// Larger texts are no policies of AWS, and are unknown ones.
const DOCUMENT_BYTES_MAX: usize = 384 * 1024;
/// Documents that are held as read, which takes about ten times their text.
const READ_MAX: usize = 1000;
/// Rough size of a change with its deed, and its places.
const CHANGE_BYTES: usize = 480;

/// A text of a policy, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LoggedDocument(u32);

/// The texts of policies, each held once.
#[derive(Debug, Default)]
pub(super) struct DocumentPool {
    numbers: HashMap<u128, u32>,
    texts: Vec<Box<str>>,
    /// Those that were read lately: many runs ask for the same.
    read: RefCell<HashMap<LoggedDocument, Option<Rc<PolicyDocument>>>>,
}

impl DocumentPool {
    fn put(&mut self, text: &str) -> Option<LoggedDocument> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return None;
        }
        let next = u32::try_from(self.texts.len()).expect("four thousand million policies do not fit into memory");
        let number = *self.numbers.entry(xxh3_128(text.as_bytes())).or_insert(next);
        if number == next {
            self.texts.push(text.into());
        }
        Some(LoggedDocument(number))
    }

    /// The statements of a text; `None` if it cannot be read whole.
    pub fn read(&self, document: LoggedDocument) -> Option<Rc<PolicyDocument>> {
        let mut read = self.read.borrow_mut();
        if let Some(known) = read.get(&document) {
            return known.clone();
        }
        if read.len() >= READ_MAX {
            read.clear();
        }
        let text = &self.texts[document.0 as usize];
        let whole = match LoggedPolicy::read(text, "aws").reading {
            PolicyReading::Whole(whole) => Some(Rc::new(whole)),
            PolicyReading::Truncated | PolicyReading::Unparsed => None,
        };
        read.insert(document, whole.clone());
        whole
    }
}

/// A place that changes set, by the pool's numbers. Users, roles and groups are `ACCOUNT:KIND/NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AccessPlace {
    KeyPolicy(PooledText),
    /// Of a key, by its id.
    Grant(PooledText, PooledText),
    /// Of an owner, by its name.
    Inline(PooledText, PooledText),
    /// The default version of a policy.
    Managed(PooledText),
    /// Of a policy to an owner.
    Attachment(PooledText, PooledText),
    /// Of a user in a group.
    Membership(PooledText, PooledText),
    Boundary(PooledText),
    OrganizationPolicy(PooledText),
    /// Of a policy to a target.
    OrganizationAttachment(PooledText, PooledText),
    OrganizationKind(PooledText),
    EndpointPolicy(PooledText),
    Session(PooledText),
}

/// The value of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceValue {
    Document(LoggedDocument),
    /// Set to what the logs do not hold, or not known to be set.
    Unknown,
    /// Nothing is there: a deleted policy, an ended link or grant.
    Nothing,
    Linked,
    /// The terms of a grant, by their number.
    Granted(u32),
    /// The policy of a boundary.
    Named(PooledText),
}

/// One value of a place, from its change on.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceStep {
    pub second: i64,
    /// The number of the change.
    pub change: usize,
    pub value: PlaceValue,
}

/// A successful change as the rows tell of it.
#[derive(Debug)]
pub(super) struct LoggedChange {
    pub time: i64,
    pub id: PackedEventId,
    pub name: PooledText,
    pub by: PooledText,
    pub person: Option<PooledText>,
    pub person_source: Option<PooledText>,
    pub deed: ChangeDeed,
}

/// A key's policy as AWS told it when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ToldPolicy {
    second: i64,
    key: PooledText,
    text: String,
}

/// All changes so far, and what AWS told beside them.
#[derive(Debug, Default)]
pub(super) struct LoggedChanges {
    changes: Vec<LoggedChange>,
    told: Vec<ToldPolicy>,
    bytes: usize,
}

impl LoggedChanges {
    pub fn add(&mut self, change: LoggedChange) {
        let letters = match &change.deed {
            ChangeDeed::KeyPolicy { document, .. }
            | ChangeDeed::Version { document, .. }
            | ChangeDeed::OrganizationPolicy { document, .. }
            | ChangeDeed::Inline { document: LeftDocument::Written(document), .. }
            | ChangeDeed::EndpointPolicy { document, .. } => document.as_ref().map_or(0, String::len),
            ChangeDeed::GrantMade { terms, .. } => terms.operations.len() * 32,
            _ => 0,
        };
        self.bytes += CHANGE_BYTES + letters;
        self.changes.push(change);
    }

    pub fn add_told(&mut self, key: PooledText, time: i64, text: &str) {
        self.bytes += size_of::<ToldPolicy>() + text.len();
        self.told.push(ToldPolicy { second: second_of(time), key, text: text.to_owned() });
    }

    pub fn bytes_held(&self) -> usize {
        self.bytes
    }
}

/// The values of all places over time.
#[derive(Debug, Default)]
pub(super) struct AccessHistory {
    pub changes: Vec<LoggedChange>,
    pub documents: DocumentPool,
    pub grants: Vec<GrantTerms>,
    places: HashMap<AccessPlace, Vec<PlaceStep>>,
    /// The places of each owner, of the members of Organizations under their kind of deed.
    pub of_owner: HashMap<PooledText, Vec<AccessPlace>>,
    /// The grants of each key and grantee.
    pub of_grantee: HashMap<(PooledText, String), Vec<AccessPlace>>,
    /// The changes that Organizations logged, by their number in the order of time.
    pub of_organization: Vec<(usize, AccessPlace)>,
    /// The kind of each policy of Organizations, as `SERVICE_CONTROL_POLICY`.
    pub kinds: HashMap<PooledText, PooledText>,
    versions: HashMap<(PooledText, PooledText), PlaceValue>,
    /// The policy of each key as AWS told it, by second.
    told: HashMap<PooledText, Vec<(i64, PlaceValue)>>,
}

/// The name under which the grants of a grantee are found: a session's grants are with its role.
pub(super) fn grantee_name(principal: &str) -> String {
    let service = principal.strip_prefix("service:").unwrap_or(principal);
    if let Some(service) = service_of(service) {
        return format!("service:{service}");
    }
    let Some(arn) = Arn::parse(principal) else { return principal.to_owned() };
    let session = arn.resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
    match session.filter(|_| arn.service == "sts") {
        Some(role) => format!("{}:role/{role}", arn.account),
        None => identity(principal).unwrap_or_else(|| principal.to_owned()),
    }
}

impl AccessHistory {
    /// Puts changes into their places, in the order of time.
    pub fn of(logged: LoggedChanges, texts: &mut TextPool) -> AccessHistory {
        let mut changes = logged.changes;
        changes.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        changes.dedup_by(|a, b| (a.time, &a.id) == (b.time, &b.id));
        let mut history = AccessHistory::default();
        for (number, change) in changes.iter_mut().enumerate() {
            history.place(number, change, texts);
        }
        let mut told = logged.told;
        told.sort_unstable();
        for policy in told {
            let value = history.documents.put(&policy.text).map_or(PlaceValue::Unknown, PlaceValue::Document);
            history.told.entry(policy.key).or_default().push((policy.second, value));
        }
        history.changes = changes;
        history
    }

    /// Takes the texts out of a deed and puts its value into its place.
    fn place(&mut self, number: usize, change: &mut LoggedChange, texts: &mut TextPool) {
        let second = change.second();
        let set =
            |history: &mut AccessHistory, place, value| history.set(place, PlaceStep { second, change: number, value });
        match &mut change.deed {
            ChangeDeed::KeyPolicy { key, document } => {
                let value = self.document(document);
                set(self, AccessPlace::KeyPolicy(texts.put(key)), value);
            }
            ChangeDeed::GrantMade { key, grant, terms } => {
                let key = texts.put(key);
                let place = AccessPlace::Grant(key, texts.put(grant));
                let value = PlaceValue::Granted(u32::try_from(self.grants.len()).unwrap_or(u32::MAX));
                let of = (key, grantee_name(&terms.grantee));
                self.grants.push(terms.clone());
                // A repeated request gives the same grant.
                if !self.places.contains_key(&place) {
                    self.of_grantee.entry(of).or_default().push(place);
                    set(self, place, value);
                }
            }
            ChangeDeed::GrantEnded { key, grant } => {
                set(self, AccessPlace::Grant(texts.put(key), texts.put(grant)), PlaceValue::Nothing);
            }
            ChangeDeed::Inline { owner, policy, document } => {
                let value = self.left(document);
                self.set_of(AccessPlace::Inline(texts.put(owner), texts.put(policy)), (second, number, value));
            }
            ChangeDeed::Version { policy, version, document, link } => {
                let (policy, value) = (texts.put(policy), self.document(document));
                if let Some(version) = version {
                    self.versions.insert((policy, texts.put(version)), value);
                }
                if *link == VersionUse::Default {
                    set(self, AccessPlace::Managed(policy), value);
                }
            }
            ChangeDeed::DefaultVersion { policy, version } => {
                let policy = texts.put(policy);
                let value = self.versions.get(&(policy, texts.put(version))).copied().unwrap_or(PlaceValue::Unknown);
                set(self, AccessPlace::Managed(policy), value);
            }
            ChangeDeed::Attachment { owner, policy, link } => {
                self.set_of(
                    AccessPlace::Attachment(texts.put(owner), texts.put(policy)),
                    (second, number, linked(*link)),
                );
            }
            ChangeDeed::Membership { user, group, link } => {
                self.set_of(
                    AccessPlace::Membership(texts.put(user), texts.put(group)),
                    (second, number, linked(*link)),
                );
            }
            ChangeDeed::Boundary { owner, policy } => {
                let value =
                    policy.as_deref().map_or(PlaceValue::Nothing, |policy| PlaceValue::Named(texts.put(policy)));
                self.set_of(AccessPlace::Boundary(texts.put(owner)), (second, number, value));
            }
            ChangeDeed::EndpointPolicy { endpoint, document } => {
                let value = self.document(document);
                set(self, AccessPlace::EndpointPolicy(texts.put(endpoint)), value);
            }
            ChangeDeed::SessionBegun { session } => {
                set(self, AccessPlace::Session(texts.put(session)), PlaceValue::Linked);
            }
            _ => self.place_of_organization(number, change, texts),
        }
    }

    fn place_of_organization(&mut self, number: usize, change: &mut LoggedChange, texts: &mut TextPool) {
        let second = change.second();
        let (place, value) = match &mut change.deed {
            ChangeDeed::OrganizationPolicy { policy, kind, document } => {
                let policy = texts.put(policy);
                if let Some(kind) = kind {
                    self.kinds.insert(policy, texts.put(kind));
                }
                (AccessPlace::OrganizationPolicy(policy), self.document(document))
            }
            ChangeDeed::OrganizationAttachment { policy, target, link } => {
                (AccessPlace::OrganizationAttachment(texts.put(policy), texts.put(target)), linked(*link))
            }
            ChangeDeed::OrganizationKind { kind, link } => {
                (AccessPlace::OrganizationKind(texts.put(kind)), linked(*link))
            }
            _ => unreachable!("all others have a place of their own"),
        };
        self.of_organization.push((number, place));
        if let AccessPlace::OrganizationAttachment(policy, _) = place
            && !self.places.contains_key(&place)
        {
            // The attachments of a policy are found by it.
            self.of_owner.entry(policy).or_default().push(place);
        }
        self.set(place, PlaceStep { second, change: number, value });
    }

    fn document(&mut self, text: &mut Option<String>) -> PlaceValue {
        let text = text.take();
        text.and_then(|text| self.documents.put(&text)).map_or(PlaceValue::Unknown, PlaceValue::Document)
    }

    fn left(&mut self, document: &mut LeftDocument) -> PlaceValue {
        match document {
            LeftDocument::Written(text) => self.document(text),
            LeftDocument::Deleted => PlaceValue::Nothing,
        }
    }

    /// Sets a place that is found by its owner.
    fn set_of(&mut self, place: AccessPlace, (second, change, value): (i64, usize, PlaceValue)) {
        if !self.places.contains_key(&place) {
            let owner = match place {
                AccessPlace::Inline(owner, _) | AccessPlace::Attachment(owner, _) => owner,
                AccessPlace::Membership(owner, _) | AccessPlace::Boundary(owner) => owner,
                _ => unreachable!("no other place has an owner"),
            };
            self.of_owner.entry(owner).or_default().push(place);
        }
        self.set(place, PlaceStep { second, change, value });
    }

    /// Two values of one second leave the place unknown, but for a grant, which ends after it begins.
    fn set(&mut self, place: AccessPlace, mut step: PlaceStep) {
        let steps = self.places.entry(place).or_default();
        let is_grant = matches!(place, AccessPlace::Grant(..));
        if let Some(last) = steps.last()
            && last.second == step.second
            && last.value != step.value
        {
            step.value = if is_grant { PlaceValue::Nothing } else { PlaceValue::Unknown };
        }
        steps.push(step);
    }

    /// True if anything changed from a second to before another.
    pub fn changes_within(&self, from: i64, until: i64) -> bool {
        let first = self.changes.partition_point(|change| change.second() < from);
        self.changes.get(first).is_some_and(|change| change.second() < until)
    }

    /// The values of a place, in the order of time.
    pub fn steps(&self, place: AccessPlace) -> &[PlaceStep] {
        self.places.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The value before a second. Of a link that is first seen as it ends, it is that it was there.
    pub fn value_before(&self, place: AccessPlace, second: i64) -> PlaceValue {
        let steps = self.steps(place);
        let step = steps[..steps.partition_point(|step| step.second < second)].last();
        // What AWS told after the last change that is here holds, also where the change that made it is not.
        let told = self.told_before(place, second).filter(|(told, _)| step.is_none_or(|step| *told > step.second));
        match (told, step) {
            (Some((_, value)), _) => value,
            (None, Some(step)) => step.value,
            (None, None) => self.value_at_first(place),
        }
    }

    fn told_before(&self, place: AccessPlace, second: i64) -> Option<(i64, PlaceValue)> {
        let AccessPlace::KeyPolicy(key) = place else { return None };
        let told = self.told.get(&key)?;
        told[..told.partition_point(|(told, _)| *told < second)].last().copied()
    }

    /// The value before all changes that are here.
    pub fn value_at_first(&self, place: AccessPlace) -> PlaceValue {
        let first = self.steps(place).first().map(|step| step.value);
        match place {
            AccessPlace::Attachment(..) | AccessPlace::Membership(..) | AccessPlace::OrganizationAttachment(..) => {
                if first == Some(PlaceValue::Nothing) {
                    PlaceValue::Linked
                } else {
                    PlaceValue::Nothing
                }
            }
            AccessPlace::Grant(..) => PlaceValue::Nothing,
            _ => PlaceValue::Unknown,
        }
    }
}

fn second_of(time: i64) -> i64 {
    time.div_euclid(keytrail_rows::time::MICROS_PER_SECOND)
}

fn linked(link: ChangedLink) -> PlaceValue {
    match link {
        ChangedLink::Begun => PlaceValue::Linked,
        ChangedLink::Ended => PlaceValue::Nothing,
    }
}

impl LoggedChange {
    /// Changes of one second have no order.
    pub fn second(&self) -> i64 {
        second_of(self.time)
    }

    /// True of changes that the global Region of a partition logs.
    pub fn is_global(&self) -> bool {
        !matches!(
            self.deed,
            ChangeDeed::KeyPolicy { .. }
                | ChangeDeed::GrantMade { .. }
                | ChangeDeed::GrantEnded { .. }
                | ChangeDeed::EndpointPolicy { .. }
                | ChangeDeed::SessionBegun { .. }
        )
    }
}
