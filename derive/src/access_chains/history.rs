//! Everything that decides who may use a key, as it was set over time: policies, grants, attachments, groups,
//! boundaries.
//! In: successful changes, in any order. Out: the value of each place at each second, and the changes that made it.
//! Never decides an order within a second: a place that one second sets to two values is unknown after it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use keytrail_rows::arn::{Arn, partition_of, service_of};
use xxhash_rust::xxh3::xxh3_128;

use super::deeds::{ChangeDeed, ChangedLink, FirstBoundary, GrantTerms, LeftDocument, OwnerFate, VersionUse};
use crate::compact::{PackedEventId, PooledText, TextPool};
use crate::denial_facts::identity;
use crate::moment::second_of;
use crate::policy::{LoggedPolicy, PolicyDocument, PolicyReading};

/// Larger texts are no policies of AWS, and are unknown ones.
const DOCUMENT_BYTES_MAX: usize = 384 * 1024;
/// The letters of documents that are held as read, and the times that what is read is larger than its text.
const READ_LETTERS_MAX: usize = 2 * 1024 * 1024;
const READ_TIMES: usize = 10;
/// Rough size of a change with its deed, its places, and its share of the indexes.
const CHANGE_BYTES: usize = 800;

/// A text of a policy, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LoggedDocument(u32);

/// The texts of policies, each held once for each partition, which the ARNs of bare account ids get.
#[derive(Debug, Default)]
pub(super) struct DocumentPool {
    numbers: HashMap<(u128, &'static str), u32>,
    texts: Vec<(Box<str>, &'static str)>,
    read: RefCell<ReadDocuments>,
}

/// Documents that were read lately: many runs ask for the same.
#[derive(Debug, Default)]
struct ReadDocuments {
    known: HashMap<LoggedDocument, Option<Rc<PolicyDocument>>>,
    letters: usize,
}

impl DocumentPool {
    fn put(&mut self, text: &str, partition: &'static str) -> Option<LoggedDocument> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return None;
        }
        let next = u32::try_from(self.texts.len()).expect("four thousand million policies do not fit into memory");
        let number = *self.numbers.entry((xxh3_128(text.as_bytes()), partition)).or_insert(next);
        if number == next {
            self.texts.push((text.into(), partition));
        }
        Some(LoggedDocument(number))
    }

    /// The statements of a text; `None` if it cannot be read whole.
    pub fn read(&self, document: LoggedDocument) -> Option<Rc<PolicyDocument>> {
        let mut read = self.read.borrow_mut();
        if let Some(known) = read.known.get(&document) {
            return known.clone();
        }
        let (text, partition) = &self.texts[document.0 as usize];
        if read.letters + text.len() > READ_LETTERS_MAX {
            *read = ReadDocuments::default();
        }
        let whole = match LoggedPolicy::read(text, partition).reading {
            PolicyReading::Whole(whole) => Some(Rc::new(whole)),
            PolicyReading::Truncated | PolicyReading::Unparsed => None,
        };
        read.letters += text.len();
        read.known.insert(document, whole.clone());
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
    /// The unit or root that an account is in.
    AccountParent(PooledText),
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
    /// The policy of a boundary, or the unit or root of an account.
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
    /// A hash of all that its record says here: two records may have one id.
    pub content: u64,
    pub partition: &'static str,
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
    /// Of policies.
    letters: usize,
    bytes: usize,
}

impl LoggedChanges {
    pub fn add(&mut self, change: LoggedChange) {
        self.letters += change.deed.letters();
        self.bytes += CHANGE_BYTES + change.deed.bytes();
        self.changes.push(change);
    }

    pub fn add_told(&mut self, key: PooledText, time: i64, text: &str) {
        self.letters += text.len();
        self.bytes += size_of::<ToldPolicy>() + text.len();
        self.told.push(ToldPolicy { second: second_of(time), key, text: text.to_owned() });
    }

    /// With the policies that will be held as read.
    pub fn bytes_held(&self) -> usize {
        self.bytes + READ_TIMES * self.letters.min(READ_LETTERS_MAX)
    }
}

/// The values of all places over time.
#[derive(Debug, Default)]
pub(super) struct AccessHistory {
    pub changes: Vec<LoggedChange>,
    pub documents: DocumentPool,
    pub grants: Vec<GrantTerms>,
    places: HashMap<AccessPlace, Vec<PlaceStep>>,
    /// The places of each owner, and the attachments of each policy of Organizations.
    pub of_owner: HashMap<PooledText, Vec<AccessPlace>>,
    /// The places of each user, role, group and policy that may hold something, and the links to it.
    live: HashMap<PooledText, Vec<AccessPlace>>,
    /// The changes that made or deleted one of these.
    fates: HashMap<usize, OwnerFate>,
    /// The seconds in which each user, role and group was made or deleted, in the order of time.
    pub owner_fates: HashMap<PooledText, Vec<(i64, OwnerFate)>>,
    /// The second in which each was deleted last.
    deleted: HashMap<PooledText, i64>,
    /// The grants of each key and grantee.
    pub of_grantee: HashMap<(PooledText, String), Vec<AccessPlace>>,
    /// The places of the changes that Organizations logged, in the order of time.
    pub of_organization: Vec<AccessPlace>,
    /// The unit or root that each move of an account took it from.
    pub moved_from: HashMap<usize, PooledText>,
    /// The kind of each policy of Organizations, as `SERVICE_CONTROL_POLICY`.
    pub kinds: HashMap<PooledText, PooledText>,
    /// The versions of each policy with the second of their making.
    versions: HashMap<PooledText, HashMap<PooledText, (i64, PlaceValue)>>,
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
        changes.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        changes.dedup_by(|a, b| a.order() == b.order());
        let mut history = AccessHistory::default();
        for (number, change) in changes.iter_mut().enumerate() {
            history.place(number, change, texts);
        }
        let mut told = logged.told;
        told.sort_unstable();
        for policy in told {
            let partition = Arn::parse(texts.get(policy.key)).map_or("aws", |key| partition_of(key.region));
            let document = history.documents.put(&policy.text, partition);
            let value = document.map_or(PlaceValue::Unknown, PlaceValue::Document);
            let told = history.told.entry(policy.key).or_default();
            match told.last_mut().filter(|(second, _)| *second == policy.second) {
                // Two answers of one second that differ: nobody knows which was the later one.
                Some((_, known)) if *known != value => *known = PlaceValue::Unknown,
                Some(_) => {}
                None => told.push((policy.second, value)),
            }
        }
        history.changes = changes;
        history
    }

    /// Takes the texts out of a deed and puts its value into its place.
    fn place(&mut self, number: usize, change: &mut LoggedChange, texts: &mut TextPool) {
        let (second, partition) = (change.second(), change.partition);
        let step = |value| PlaceStep { second, change: number, value };
        match &mut change.deed {
            ChangeDeed::KeyPolicy { key, document } => {
                let value = self.document(document, partition);
                self.set(AccessPlace::KeyPolicy(texts.put(key)), step(value));
            }
            ChangeDeed::GrantMade { key, grant, terms } => {
                let place = AccessPlace::Grant(texts.put(key), texts.put(grant));
                self.set_grant(place, std::mem::take(terms), step(PlaceValue::Unknown));
            }
            ChangeDeed::GrantEnded { key, grant } => {
                self.set(AccessPlace::Grant(texts.put(key), texts.put(grant)), step(PlaceValue::Nothing));
            }
            ChangeDeed::EndpointPolicy { endpoint, document } => {
                let value = self.document(document, partition);
                self.set(AccessPlace::EndpointPolicy(texts.put(endpoint)), step(value));
            }
            ChangeDeed::AccountMoved { account, from, to } => {
                if let Some(from) = from {
                    self.moved_from.insert(number, texts.put(from));
                }
                let value = to.as_deref().map_or(PlaceValue::Nothing, |to| PlaceValue::Named(texts.put(to)));
                self.set(AccessPlace::AccountParent(texts.put(account)), step(value));
            }
            ChangeDeed::SessionBegun { session } => {
                self.set(AccessPlace::Session(texts.put(session)), step(PlaceValue::Linked));
            }
            ChangeDeed::OrganizationPolicy { .. }
            | ChangeDeed::OrganizationAttachment { .. }
            | ChangeDeed::OrganizationKind { .. } => self.place_of_organization(number, change, texts),
            _ => self.place_of_iam(number, change, texts),
        }
    }

    fn place_of_iam(&mut self, number: usize, change: &mut LoggedChange, texts: &mut TextPool) {
        let (second, partition) = (change.second(), change.partition);
        let step = |value| PlaceStep { second, change: number, value };
        if let Some(fate) = change.deed.fate() {
            self.fates.insert(number, fate);
        }
        match &mut change.deed {
            ChangeDeed::Inline { owner, policy, document } => {
                let value = self.left(document, partition);
                self.set_of(AccessPlace::Inline(texts.put(owner), texts.put(policy)), step(value));
            }
            ChangeDeed::Version { policy, version, document, link } => {
                let (policy, value) = (texts.put(policy), self.document(document, partition));
                if self.fates.contains_key(&number) {
                    self.end_all_of(policy, step(PlaceValue::Nothing));
                }
                if let Some(version) = version {
                    self.add_version((policy, texts.put(version)), (second, value));
                }
                if *link != VersionUse::Spare {
                    self.set(AccessPlace::Managed(policy), step(value));
                }
            }
            ChangeDeed::DefaultVersion { policy, version } => {
                let (policy, version) = (texts.put(policy), texts.put(version));
                let known = self.versions.get(&policy).and_then(|versions| versions.get(&version));
                let value = known.map_or(PlaceValue::Unknown, |(_, value)| *value);
                self.set(AccessPlace::Managed(policy), step(value));
            }
            ChangeDeed::PolicyDeleted { policy } => {
                let policy = texts.put(policy);
                self.end_all_of(policy, step(PlaceValue::Nothing));
                self.set(AccessPlace::Managed(policy), step(PlaceValue::Nothing));
            }
            ChangeDeed::Owner { owner, fate, boundary } => {
                let owner = texts.put(owner);
                self.owner_fates.entry(owner).or_default().push((second, *fate));
                self.end_all_of(owner, step(PlaceValue::Nothing));
                let boundary = match boundary {
                    FirstBoundary::None => PlaceValue::Nothing,
                    FirstBoundary::Policy(policy) => PlaceValue::Named(texts.put(policy)),
                    FirstBoundary::Unknown => PlaceValue::Unknown,
                };
                if *fate == OwnerFate::Made {
                    self.set_of(AccessPlace::Boundary(owner), step(boundary));
                }
            }
            ChangeDeed::Attachment { owner, policy, link } => {
                self.set_of(AccessPlace::Attachment(texts.put(owner), texts.put(policy)), step(linked(*link)));
            }
            ChangeDeed::Membership { user, group, link } => {
                self.set_of(AccessPlace::Membership(texts.put(user), texts.put(group)), step(linked(*link)));
            }
            ChangeDeed::Boundary { owner, policy } => {
                let value =
                    policy.as_deref().map_or(PlaceValue::Nothing, |policy| PlaceValue::Named(texts.put(policy)));
                self.set_of(AccessPlace::Boundary(texts.put(owner)), step(value));
            }
            _ => unreachable!("all others are not of IAM"),
        }
    }

    /// A repeated request gives the same grant. Two that differ in one second leave it unknown.
    fn set_grant(&mut self, place: AccessPlace, terms: GrantTerms, step: PlaceStep) {
        let AccessPlace::Grant(key, _) = place else { return };
        let is_other = |last: &PlaceStep| match last.value {
            PlaceValue::Granted(number) => {
                last.second == step.second && self.grants.get(number as usize).is_some_and(|known| *known != terms)
            }
            _ => false,
        };
        match self.places.get(&place).map(|steps| steps.last().is_some_and(is_other)) {
            Some(false) => {}
            Some(true) => self.places.entry(place).or_default().push(step),
            None => {
                let value = PlaceValue::Granted(u32::try_from(self.grants.len()).unwrap_or(u32::MAX));
                self.of_grantee.entry((key, grantee_name(&terms.grantee))).or_default().push(place);
                self.grants.push(terms);
                self.set(place, PlaceStep { value, ..step });
            }
        }
    }

    /// Two texts of one version in one second leave it unknown. Of a policy that is made again it has another.
    fn add_version(&mut self, (policy, version): (PooledText, PooledText), (second, value): (i64, PlaceValue)) {
        let versions = self.versions.entry(policy).or_default();
        let is_same = |known: &(i64, PlaceValue)| known.0 != second || known.1 == value;
        let is_told = versions.get(&version).is_none_or(is_same);
        versions.insert(version, (second, if is_told { value } else { PlaceValue::Unknown }));
    }

    /// Ends all that a user, role, group or policy has, and all links to it.
    fn end_all_of(&mut self, ended: PooledText, step: PlaceStep) {
        self.versions.remove(&ended);
        if self.fates.get(&step.change) == Some(&OwnerFate::Deleted) {
            self.deleted.insert(ended, step.second);
        }
        let mut places = self.live.remove(&ended).unwrap_or_default();
        places.retain(|place| {
            if self.holds(*place) {
                self.set(*place, step);
            }
            self.holds(*place)
        });
        self.live.insert(ended, places);
    }

    /// True if the last change of a place does not tell that nothing is there.
    fn holds(&self, place: AccessPlace) -> bool {
        self.steps(place).last().is_some_and(|last| last.value != PlaceValue::Nothing)
    }

    fn place_of_organization(&mut self, number: usize, change: &mut LoggedChange, texts: &mut TextPool) {
        let (second, partition) = (change.second(), change.partition);
        let fate = change.deed.fate();
        let step = |value| PlaceStep { second, change: number, value };
        let (place, value) = match &mut change.deed {
            ChangeDeed::OrganizationPolicy { policy, kind, document } => {
                let policy = texts.put(policy);
                if let Some(kind) = kind {
                    self.kinds.insert(policy, texts.put(kind));
                }
                let value = self.left(document, partition);
                if let Some(fate) = fate {
                    self.fates.insert(number, fate);
                    self.end_all_of(policy, step(value));
                }
                (AccessPlace::OrganizationPolicy(policy), value)
            }
            ChangeDeed::OrganizationAttachment { policy, target, link } => {
                (AccessPlace::OrganizationAttachment(texts.put(policy), texts.put(target)), linked(*link))
            }
            ChangeDeed::OrganizationKind { kind, link } => {
                (AccessPlace::OrganizationKind(texts.put(kind)), linked(*link))
            }
            _ => unreachable!("all others have a place of their own"),
        };
        self.of_organization.push(place);
        match place {
            // The attachments of a policy are found by it.
            AccessPlace::OrganizationAttachment(policy, _) => self.set_owned(place, [policy, policy], step(value)),
            _ => self.set(place, step(value)),
        }
    }

    fn document(&mut self, text: &mut Option<String>, partition: &'static str) -> PlaceValue {
        let text = text.take();
        text.and_then(|text| self.documents.put(&text, partition)).map_or(PlaceValue::Unknown, PlaceValue::Document)
    }

    fn left(&mut self, document: &mut LeftDocument, partition: &'static str) -> PlaceValue {
        match document {
            LeftDocument::Written(text) => self.document(text, partition),
            LeftDocument::Deleted => PlaceValue::Nothing,
        }
    }

    /// Sets a place of IAM that is found by its owner.
    fn set_of(&mut self, place: AccessPlace, step: PlaceStep) {
        let owners = match place {
            AccessPlace::Attachment(owner, to) | AccessPlace::Membership(owner, to) => [owner, to],
            AccessPlace::Inline(owner, _) | AccessPlace::Boundary(owner) => [owner, owner],
            _ => unreachable!("no other place has an owner"),
        };
        self.set_owned(place, owners, step);
    }

    /// Sets a place of the first, which ends with either.
    fn set_owned(&mut self, place: AccessPlace, owners: [PooledText; 2], mut step: PlaceStep) {
        if !self.places.contains_key(&place) {
            self.of_owner.entry(owners[0]).or_default().push(place);
        }
        let held = self.holds(place);
        // It may have been given before the deletion of the same second, or after it to one that was made anew.
        if step.value != PlaceValue::Nothing && owners.iter().any(|of| self.deleted.get(of) == Some(&step.second)) {
            step.value = PlaceValue::Unknown;
        }
        self.set(place, step);
        if !held && self.holds(place) {
            self.live.entry(owners[0]).or_default().push(place);
            if owners[1] != owners[0] {
                self.live.entry(owners[1]).or_default().push(place);
            }
        }
    }

    /// Two values of one second leave the place unknown, but for a grant, which ends after it begins, and for whatever
    /// is given to a thing in the second of its making.
    fn set(&mut self, place: AccessPlace, mut step: PlaceStep) {
        let steps = self.places.entry(place).or_default();
        let is_grant = matches!(place, AccessPlace::Grant(..));
        let fate = |step: &PlaceStep| self.fates.get(&step.change);
        if let Some(last) = steps.last()
            && last.second == step.second
            && last.value != step.value
            && (fate(last) != Some(&OwnerFate::Made) || fate(&step).is_some())
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

fn linked(link: ChangedLink) -> PlaceValue {
    match link {
        ChangedLink::Begun => PlaceValue::Linked,
        ChangedLink::Ended => PlaceValue::Nothing,
    }
}

impl LoggedChange {
    /// The place among all changes, which does not depend on the order in which they were read.
    fn order(&self) -> (i64, bool, i64, &PackedEventId, u64) {
        (self.second(), self.deed.fate() != Some(OwnerFate::Made), self.time, &self.id, self.content)
    }

    /// Changes of one second have no order, but that a thing is made first.
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
