//! The changes that could have cured a refusal: each newly allowed the use, or took away what denied it, and still stood
//! at the success.
//! In: a refusal's reason, the use, the seconds that count, and the history. Out: the changes, each with what it allows
//! in the words of evidence.
//! Never takes a change for a cure whose text cannot be read, nor one that a later change undid before the success.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use keytrail_rows::arn::Arn;

use super::history::{AccessHistory, AccessPlace, LoggedDocument, PlaceValue, grantee_name};
use super::reach::{AskedUse, DocumentReach, StatementReach};
use crate::compact::{PooledText, TextPool};
use crate::denial_facts::identity;
use crate::policy::NamedAs;

/// The kind of change that can cure a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CureKind {
    /// A key policy, grant or document of IAM that newly allows.
    Allowed,
    /// A Deny that is gone from the key's policy, from IAM's documents, or from either.
    KeyDenyGone,
    IamDenyGone,
    AnyDenyGone,
    Boundary(WantedEffect),
    /// Of this kind of policy.
    Organization(&'static str, WantedEffect),
    Endpoint(WantedEffect),
    /// A session that began anew, with its own policy or none.
    Session,
    /// A role that could not be assumed uses no key.
    Untold,
}

/// The lack of an Allow, or a Deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedEffect {
    Allow,
    NoDeny,
}

impl CureKind {
    pub fn of(reason: Option<&str>, effect: Option<&str>) -> CureKind {
        let wanted = if effect == Some("explicit") { WantedEffect::NoDeny } else { WantedEffect::Allow };
        match (reason, wanted) {
            (Some("identity_policy"), WantedEffect::NoDeny) => CureKind::IamDenyGone,
            (Some("resource_policy"), WantedEffect::NoDeny) => CureKind::KeyDenyGone,
            (Some("permissions_boundary"), _) => CureKind::Boundary(wanted),
            (Some("scp"), _) => CureKind::Organization("SERVICE_CONTROL_POLICY", wanted),
            (Some("rcp"), _) => CureKind::Organization("RESOURCE_CONTROL_POLICY", wanted),
            (Some("vpc_endpoint_policy"), _) => CureKind::Endpoint(wanted),
            (Some("session_policy"), _) => CureKind::Session,
            (Some("role_trust_policy"), _) => CureKind::Untold,
            (Some("unspecified" | "unparsed") | None, WantedEffect::NoDeny) => CureKind::AnyDenyGone,
            _ => CureKind::Allowed,
        }
    }
}

/// The seconds that count: from the first to before the success.
#[derive(Debug, Clone, Copy)]
pub(super) struct CureSpan {
    pub from: i64,
    pub success: i64,
}

/// The way in which a change names the principal, for evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CureNaming {
    /// By its account or group, by a version, by everyone, or under a condition that is not the success's own.
    #[default]
    Loosely,
    /// The principal or its role, freely or under conditions that the success meets.
    Itself,
}

/// Changes by their number, each once, with the closest naming.
pub(super) type FoundCures = BTreeMap<usize, CureNaming>;

/// The way that the success took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SuccessRoute {
    /// The VPC endpoint.
    pub endpoint: Option<PooledText>,
    /// The session, by its id with its name.
    pub session: Option<PooledText>,
}

/// Places that together decide: a policy counts only while all links to it hold.
#[derive(Debug, Clone)]
struct PolicyPath {
    links: Vec<AccessPlace>,
    end: AccessPlace,
}

/// The search for what cured one run.
pub(super) struct CureSearch<'a> {
    pub history: &'a AccessHistory,
    pub texts: &'a TextPool,
    pub asked: AskedUse<'a>,
    pub span: CureSpan,
    read: HashMap<LoggedDocument, Option<Rc<DocumentReach>>>,
}

/// Of more changes on one path between a refusal and a success, the last are compared.
const STEPS_MAX: usize = 200;

/// The state of a path after a change; `None` if it cannot be told.
type PathReach = Option<Rc<DocumentReach>>;

/// One change on a path, with the state after it.
struct PathStep {
    change: usize,
    place: AccessPlace,
    reach: PathReach,
}

impl<'a> CureSearch<'a> {
    pub fn new(history: &'a AccessHistory, texts: &'a TextPool, asked: AskedUse<'a>, span: CureSpan) -> CureSearch<'a> {
        CureSearch { history, texts, asked, span, read: HashMap::new() }
    }

    /// All changes that could have cured a refusal of this kind on a key.
    pub fn cures(&mut self, kind: CureKind, key: PooledText, of_success: SuccessRoute) -> FoundCures {
        let mut found = FoundCures::new();
        if !self.history.changes_within(self.span.from, self.span.success) {
            return found;
        }
        let of_key = [PolicyPath { links: Vec::new(), end: AccessPlace::KeyPolicy(key) }];
        match kind {
            CureKind::Allowed => {
                let paths = [&of_key[..], &self.grants(key), &self.of_principal()].concat();
                paths.iter().for_each(|path| self.newly_allowed(path, &mut found));
            }
            CureKind::KeyDenyGone => self.no_longer_denied(&of_key, &mut found),
            CureKind::IamDenyGone => self.no_longer_denied(&self.of_principal(), &mut found),
            CureKind::AnyDenyGone => {
                self.no_longer_denied(&of_key, &mut found);
                self.no_longer_denied(&self.of_principal(), &mut found);
            }
            CureKind::Boundary(wanted) => self.boundary(wanted, &mut found),
            CureKind::Organization(of, wanted) => self.organization(of, wanted, &mut found),
            CureKind::Endpoint(wanted) => {
                let path = of_success
                    .endpoint
                    .map(|of| PolicyPath { links: Vec::new(), end: AccessPlace::EndpointPolicy(of) });
                let path: Vec<PolicyPath> = path.into_iter().collect();
                match wanted {
                    WantedEffect::Allow => path.iter().for_each(|path| self.newly_allowed(path, &mut found)),
                    WantedEffect::NoDeny => self.no_longer_denied(&path, &mut found),
                }
            }
            CureKind::Session => {
                let steps = of_success.session.map_or(&[][..], |of| self.history.steps(AccessPlace::Session(of)));
                let last = steps[..steps.partition_point(|step| step.second < self.span.success)].last();
                let begun = last.filter(|last| last.second >= self.span.from);
                found.extend(begun.map(|begun| (begun.change, CureNaming::Loosely)));
            }
            CureKind::Untold => {}
        }
        found
    }

    /// True if the key's policy at the success is known to leave the use to the account's own policies.
    pub fn is_delegated(&self, key: PooledText) -> bool {
        match self.history.value_before(AccessPlace::KeyPolicy(key), self.span.success) {
            PlaceValue::Document(document) => {
                self.history.documents.read(document).is_some_and(|document| self.asked.is_delegated_by(&document))
            }
            _ => false,
        }
    }

    fn grants(&self, key: PooledText) -> Vec<PolicyPath> {
        let account = super::deeds::account_of(self.asked.principal);
        let partition = Arn::parse(self.asked.key).map_or("aws", |key| key.partition);
        let root = account.map(|account| format!("arn:{partition}:iam::{account}:root"));
        let names = [Some(grantee_name(self.asked.principal)), root];
        let of = |name: Option<String>| self.history.of_grantee.get(&(key, name?));
        names.into_iter().filter_map(of).flatten().map(|place| PolicyPath { links: Vec::new(), end: *place }).collect()
    }

    /// The user or role in the words of IAM's requests.
    fn owner(&self) -> Option<PooledText> {
        self.texts.find(&identity(self.asked.principal)?)
    }

    fn places_of(&self, owner: PooledText) -> &'a [AccessPlace] {
        self.history.of_owner.get(&owner).map_or(&[], Vec::as_slice)
    }

    /// All policies that the principal has or had, by itself or by a group.
    fn of_principal(&self) -> Vec<PolicyPath> {
        let mut paths = Vec::new();
        let Some(owner) = self.owner() else { return paths };
        for place in self.places_of(owner) {
            match place {
                AccessPlace::Membership(_, group) => {
                    for of_group in self.places_of(*group) {
                        paths.extend(policy_path(&[*place], *of_group));
                    }
                }
                place => paths.extend(policy_path(&[], *place)),
            }
        }
        paths
    }

    fn reach_of(&mut self, links: &[PlaceValue], end: PlaceValue) -> PathReach {
        if links.contains(&PlaceValue::Nothing) || end == PlaceValue::Nothing {
            return Some(Rc::default());
        }
        if links.contains(&PlaceValue::Unknown) {
            return None;
        }
        match end {
            PlaceValue::Document(document) => self.reach_of_document(document),
            PlaceValue::Granted(number) => {
                let terms = self.history.grants.get(number as usize)?;
                Some(Rc::new(self.asked.of_grant(terms)))
            }
            _ => None,
        }
    }

    fn reach_of_document(&mut self, document: LoggedDocument) -> PathReach {
        let (history, asked) = (self.history, self.asked);
        let reach = self.read.entry(document);
        let read = || history.documents.read(document).map(|document| Rc::new(asked.of_document(&document)));
        reach.or_insert_with(read).clone()
    }

    /// The state before the first change of the span, and after each. `None` if nothing changes in it.
    fn steps(&mut self, path: &PolicyPath) -> Option<(PathReach, Vec<PathStep>)> {
        let span = self.span;
        let mut changes: Vec<(usize, AccessPlace, PlaceValue)> = Vec::new();
        for place in path.links.iter().chain([&path.end]) {
            let steps = self.history.steps(*place);
            let from = steps.partition_point(|step| step.second < span.from);
            let within = steps[from..].iter().take_while(|step| step.second < span.success);
            changes.extend(within.map(|step| (step.change, *place, step.value)));
        }
        if changes.is_empty() {
            return None;
        }
        // Changes are numbered in the order of time. One that ends links and sets a policy ends the links first.
        changes.sort_by_key(|(change, ..)| *change);
        let first = self.history.changes[changes[0].0].second();
        let value = |place: &AccessPlace| self.history.value_before(*place, first);
        let mut links: Vec<PlaceValue> = path.links.iter().map(value).collect();
        let mut end = value(&path.end);
        let early = changes.len().saturating_sub(STEPS_MAX);
        let mut before = if early == 0 { self.reach_of(&links, end) } else { None };
        let mut steps = Vec::new();
        for (number, (change, place, value)) in changes.into_iter().enumerate() {
            match path.links.iter().position(|link| *link == place) {
                Some(at) => links[at] = value,
                None => end = value,
            }
            if number + 1 == early {
                before = self.reach_of(&links, end);
            } else if number >= early {
                steps.push(PathStep { change, place, reach: self.reach_of(&links, end) });
            }
        }
        Some((before, steps))
    }

    fn newly_allowed(&mut self, path: &PolicyPath, found: &mut FoundCures) {
        let Some((mut before, steps)) = self.steps(path) else { return };
        for (at, step) in steps.iter().enumerate() {
            if let Some(reach) = &step.reach {
                let known = before.as_ref().map_or(&[][..], |before| &before.allows);
                let is_first = before.is_none();
                for new in reach.allows.iter().filter(|new| !known.iter().any(|known| known.takes_in(new))) {
                    let stands = |later: &PathStep| {
                        later.reach.as_ref().is_some_and(|reach| reach.allows.iter().any(|of| of.takes_in(new)))
                    };
                    let is_usual = is_first && self.is_own_root(step.place, new);
                    if !is_usual && steps[at + 1..].iter().all(stands) {
                        self.note(step, path, new, found);
                    }
                }
            }
            before.clone_from(&step.reach);
        }
    }

    /// The statement for its own account's root is in nearly every key policy: one that is first seen says nothing new.
    fn is_own_root(&self, place: AccessPlace, reach: &StatementReach) -> bool {
        let of_key = super::deeds::account_of(self.asked.key);
        matches!(place, AccessPlace::KeyPolicy(_))
            && reach.named == NamedAs::Account
            && of_key == super::deeds::account_of(self.asked.principal)
    }

    fn no_longer_denied(&mut self, paths: &[PolicyPath], found: &mut FoundCures) {
        for path in paths {
            let Some((mut before, steps)) = self.steps(path) else { continue };
            for (at, step) in steps.iter().enumerate() {
                let known = before.as_ref().map_or(&[][..], |before| &before.denies);
                for gone in known {
                    // From this change to the success no document on the path may deny as much.
                    let is_gone = |later: &PathStep| {
                        let reach = later.reach.as_ref();
                        reach.is_some_and(|reach| !reach.denies.iter().any(|of| of.denies_all_of(gone)))
                    };
                    if steps[at..].iter().all(is_gone) {
                        self.note(step, path, gone, found);
                    }
                }
                before.clone_from(&step.reach);
            }
        }
    }

    /// Takes a change in, with what it says of the principal.
    fn note(&self, step: &PathStep, path: &PolicyPath, reach: &StatementReach, found: &mut FoundCures) {
        let is_own = match step.place {
            AccessPlace::KeyPolicy(_) | AccessPlace::Grant(..) | AccessPlace::EndpointPolicy(_) => true,
            AccessPlace::Inline(..) => path.links.is_empty(),
            AccessPlace::Attachment(..) => path.links.len() == 1,
            _ => false,
        };
        let is_itself = is_own && reach.named == NamedAs::Itself && self.asked.meets(reach);
        let naming = if is_itself { CureNaming::Itself } else { CureNaming::Loosely };
        let known = found.entry(step.change).or_default();
        *known = naming.max(*known);
    }

    /// The last change of the boundary, and of the policy that is one.
    fn boundary(&mut self, wanted: WantedEffect, found: &mut FoundCures) {
        let Some(owner) = self.owner() else { return };
        let place = AccessPlace::Boundary(owner);
        let (history, span) = (self.history, self.span);
        let value = history.value_before(place, span.success);
        let could_allow = |search: &mut Self, policy: PooledText| match history
            .value_before(AccessPlace::Managed(policy), span.success)
        {
            PlaceValue::Document(document) => search.is_wanted(document, wanted),
            _ => None,
        };
        let could = match value {
            PlaceValue::Nothing => Some(true),
            PlaceValue::Named(policy) => could_allow(self, policy),
            _ => Some(false),
        };
        let steps = history.steps(place);
        let last = steps[..steps.partition_point(|step| step.second < span.success)].last();
        if let Some(last) = last.filter(|last| last.second >= span.from && could != Some(false)) {
            let is_new = history.value_before(place, last.second) != value;
            found.extend(is_new.then_some((last.change, CureNaming::Loosely)));
        }
        if let PlaceValue::Named(policy) = value {
            let links = Vec::new();
            let of_policy = PolicyPath { links, end: AccessPlace::Managed(policy) };
            match wanted {
                WantedEffect::Allow => self.newly_allowed(&of_policy, found),
                WantedEffect::NoDeny => self.no_longer_denied(&[of_policy], found),
            }
        }
    }

    /// True if a document does what is wanted; `None` if it cannot be read.
    fn is_wanted(&mut self, document: LoggedDocument, wanted: WantedEffect) -> Option<bool> {
        let reach = self.reach_of_document(document)?;
        Some(match wanted {
            WantedEffect::Allow => !reach.allows.is_empty(),
            WantedEffect::NoDeny => !reach.denies.iter().any(|deny| deny.conditions.is_empty()),
        })
    }

    /// Changes of Organizations that reach the principal's account, or an OU or root, which may hold it.
    fn organization(&mut self, kind: &str, wanted: WantedEffect, found: &mut FoundCures) {
        let (history, span) = (self.history, self.span);
        let second = |change: &(usize, AccessPlace)| history.changes[change.0].second();
        let of = &history.of_organization;
        let from = of.partition_point(|change| second(change) < span.from);
        let within = of[from..].iter().take_while(|change| second(change) < span.success);
        for &change in within {
            if self.organization_cures(change, kind, wanted) {
                found.insert(change.0, CureNaming::Loosely);
            }
        }
    }

    fn organization_cures(&mut self, (number, place): (usize, AccessPlace), kind: &str, wanted: WantedEffect) -> bool {
        let (history, span) = (self.history, self.span);
        let second = history.changes[number].second();
        let after = history.value_before(place, second + 1);
        let steps = history.steps(place);
        let later = steps.iter().filter(|step| step.second > second && step.second < span.success);
        match place {
            AccessPlace::OrganizationKind(of) => {
                self.texts.get(of) == kind
                    && after == PlaceValue::Nothing
                    && later.clone().all(|step| step.value == after)
            }
            AccessPlace::OrganizationAttachment(policy, target) => {
                let is_kind = history.kinds.get(&policy).is_none_or(|of| self.texts.get(*of) == kind);
                let wants = match wanted {
                    WantedEffect::Allow => PlaceValue::Linked,
                    WantedEffect::NoDeny => PlaceValue::Nothing,
                };
                let is_new = history.value_before(place, second) != after;
                is_kind
                    && self.reaches(target)
                    && is_new
                    && after == wants
                    && later.clone().all(|step| step.value == after)
                    && self.content_could(policy, second, wanted)
            }
            AccessPlace::OrganizationPolicy(policy) => {
                let is_kind = history.kinds.get(&policy).is_none_or(|of| self.texts.get(*of) == kind);
                let is_attached = |place: &AccessPlace| match place {
                    AccessPlace::OrganizationAttachment(_, target) => {
                        self.reaches(*target) && history.value_before(*place, second) == PlaceValue::Linked
                    }
                    _ => false,
                };
                if !is_kind || !self.places_of(policy).iter().any(is_attached) {
                    return false;
                }
                let path = PolicyPath { links: Vec::new(), end: place };
                let mut found = FoundCures::new();
                match wanted {
                    WantedEffect::Allow => self.newly_allowed(&path, &mut found),
                    WantedEffect::NoDeny => self.no_longer_denied(&[path], &mut found),
                }
                found.contains_key(&number)
            }
            _ => false,
        }
    }

    /// True if the target is the principal's account, or one that may hold it.
    fn reaches(&self, target: PooledText) -> bool {
        let target = self.texts.get(target);
        let account = super::deeds::account_of(self.asked.principal);
        target.starts_with("ou-") || target.starts_with("r-") || Some(target) == account
    }

    /// False if the text of the attached policy is known, and could not have done what is wanted.
    fn content_could(&mut self, policy: PooledText, second: i64, wanted: WantedEffect) -> bool {
        let value = self.history.value_before(AccessPlace::OrganizationPolicy(policy), second + 1);
        let PlaceValue::Document(document) = value else { return true };
        let Some(reach) = self.reach_of_document(document) else { return true };
        match wanted {
            WantedEffect::Allow => !reach.allows.is_empty(),
            WantedEffect::NoDeny => !reach.denies.is_empty(),
        }
    }
}

/// The path to what a place holds, from its owner.
fn policy_path(links: &[AccessPlace], place: AccessPlace) -> Option<PolicyPath> {
    match place {
        AccessPlace::Inline(..) => Some(PolicyPath { links: links.to_vec(), end: place }),
        AccessPlace::Attachment(_, policy) => {
            Some(PolicyPath { links: [links, &[place]].concat(), end: AccessPlace::Managed(policy) })
        }
        _ => None,
    }
}
