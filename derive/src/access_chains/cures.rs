//! The changes that could have cured a refusal: each newly allowed the use, or took away what denied it, and still
//! stood at the success.
//! In: a refusal's reason, the use, the seconds that count, and the history. Out: the changes, each with what it allows
//! in the words of evidence.
//! Never takes a document that cannot be read for one that newly allows or no longer denies, unless AWS named it as the
//! denier. Boundaries, attachments of Organizations and new sessions need no text: they count unless one that is here
//! rules them out, and never as naming the principal. Never takes a change that a later one undid before the success.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use keytrail_rows::arn::Arn;

use super::history::{AccessHistory, AccessPlace, LoggedDocument, PlaceStep, PlaceValue, grantee_name};
use super::owners::{OwnerPlaces, OwnerStep, PlacesByOwner};
use super::reach::{AskedUse, DocumentReach, StatementReach};
use crate::compact::{PooledText, TextPool};
use crate::denial_facts::identity;
use crate::policy::NamedAs;

/// As Organizations calls it.
const RESOURCE_CONTROL_POLICY: &str = "RESOURCE_CONTROL_POLICY";

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
            (Some("rcp"), _) => CureKind::Organization(RESOURCE_CONTROL_POLICY, wanted),
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
    /// By its account or group, by a version, by everyone, or under a condition that is not the success's own; or it is
    /// not known that this is new.
    #[default]
    Loosely,
    /// The principal or its role, freely or under conditions that the success meets.
    Itself,
}

/// Of more cures of one run, the last are kept.
pub(super) const CURES_MAX: usize = 201;

/// Changes by their number, each once, with the closest naming. Invariant: no more than `CURES_MAX`, the last ones.
#[derive(Debug, Default)]
pub(super) struct FoundCures {
    changes: BTreeMap<usize, CureNaming>,
}

impl FoundCures {
    fn note(&mut self, change: usize, naming: CureNaming) {
        let known = self.changes.entry(change).or_default();
        *known = naming.max(*known);
        if self.changes.len() > CURES_MAX {
            self.changes.pop_first();
        }
    }

    /// True if no change up to this one could be kept.
    fn is_full_after(&self, change: usize) -> bool {
        self.changes.len() == CURES_MAX && self.changes.first_key_value().is_some_and(|(first, _)| *first > change)
    }

    /// The last change. They are numbered in the order of time.
    pub fn last(&self) -> Option<(usize, CureNaming)> {
        self.changes.last_key_value().map(|(change, naming)| (*change, *naming))
    }

    /// All changes but the last, in the order of time.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        let count = self.changes.len().saturating_sub(1);
        self.changes.keys().copied().take(count)
    }
}

/// The way that the success took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SuccessRoute<'a> {
    /// The VPC endpoint.
    pub endpoint: Option<PooledText>,
    /// The session, by its id with its name.
    pub session: Option<PooledText>,
    /// The principal that alone can begin it, where its id does not tell it from sessions that others begin.
    pub issuer: Option<&'a str>,
}

/// Places that together decide: a policy counts only while all links to it hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PolicyPath {
    links: Vec<AccessPlace>,
    end: AccessPlace,
}

/// A Deny that stands at the success beside a change, the weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum StandingDeny {
    #[default]
    None,
    /// Under a condition, or of a statement that may not mean the use.
    Maybe,
    Outright,
}

/// Everything that a search looks at.
#[derive(Clone, Copy)]
pub(super) struct KnownAccess<'a> {
    pub history: &'a AccessHistory,
    pub owners: &'a PlacesByOwner,
    pub texts: &'a TextPool,
}

/// The search for what cured one run.
pub(super) struct CureSearch<'a> {
    history: &'a AccessHistory,
    owners: &'a PlacesByOwner,
    texts: &'a TextPool,
    asked: AskedUse<'a>,
    span: CureSpan,
    read: HashMap<LoggedDocument, Option<Rc<DocumentReach>>>,
}

/// Of more changes on one path between a refusal and a success, the last are compared.
const STEPS_MAX: usize = 200;

/// The state of a path after a change; `None` if it cannot be told.
type PathReach = Option<Rc<DocumentReach>>;

/// The state of a path before a first change.
struct PathStart {
    reach: PathReach,
    /// False if a link of it is only taken not to have been there, since nothing tells of it.
    is_proven: bool,
}

/// One change on a path, with the state after it.
struct PathStep {
    change: usize,
    place: AccessPlace,
    reach: PathReach,
}

impl<'a> CureSearch<'a> {
    pub fn new(known: KnownAccess<'a>, asked: AskedUse<'a>, span: CureSpan) -> CureSearch<'a> {
        let KnownAccess { history, owners, texts } = known;
        CureSearch { history, owners, texts, asked, span, read: HashMap::new() }
    }

    /// All changes that could have cured a refusal of this kind on a key.
    pub fn cures(&mut self, kind: CureKind, key: PooledText, of_success: SuccessRoute<'_>) -> FoundCures {
        let mut found = FoundCures::default();
        if !self.history.changes_within(self.span.from, self.span.success) {
            return found;
        }
        let of_key = PolicyPath { links: Vec::new(), end: AccessPlace::KeyPolicy(key) };
        match kind {
            CureKind::Allowed => {
                self.newly_allowed(&of_key, &mut found);
                self.grants(key, &mut found);
                self.each_of_principal(&mut found, CureSearch::newly_allowed);
            }
            CureKind::KeyDenyGone => self.key_deny_gone(&of_key, &mut found),
            CureKind::IamDenyGone => self.iam_deny_gone(&mut found),
            CureKind::AnyDenyGone => {
                if self.denier_of("iam").is_none() {
                    self.key_deny_gone(&of_key, &mut found);
                }
                self.iam_deny_gone(&mut found);
            }
            CureKind::Boundary(wanted) => self.boundary(wanted, &mut found),
            CureKind::Organization(of, wanted) => self.organization(of, wanted, &mut found),
            CureKind::Endpoint(wanted) => {
                let path = of_success
                    .endpoint
                    .map(|of| PolicyPath { links: Vec::new(), end: AccessPlace::EndpointPolicy(of) });
                match (path, wanted) {
                    (Some(path), WantedEffect::Allow) => self.newly_allowed(&path, &mut found),
                    (Some(path), WantedEffect::NoDeny) => self.key_deny_gone(&path, &mut found),
                    (None, _) => {}
                }
            }
            CureKind::Session => {
                let steps = of_success.session.map_or(&[][..], |of| self.steps_within(AccessPlace::Session(of)));
                let by = |step: &PlaceStep| self.texts.get(self.history.changes[step.change].by);
                let begun = steps.iter().rfind(|step| of_success.issuer.is_none_or(|issuer| by(step) == issuer));
                begun.into_iter().for_each(|begun| found.note(begun.change, CureNaming::Loosely));
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

    /// Grants that were made in the span, the last first.
    fn grants(&mut self, key: PooledText, found: &mut FoundCures) {
        let (history, span) = (self.history, self.span);
        let account = self.account_of(self.asked.principal);
        let partition = Arn::parse(self.asked.key).map_or("aws", |key| key.partition);
        let root = account.map(|account| format!("arn:{partition}:iam::{account}:root"));
        let session = self.asked.session_arn.map(grantee_name);
        let names: HashSet<String> =
            [Some(grantee_name(self.asked.principal)), root, session].into_iter().flatten().collect();
        for name in names {
            let Some(of) = history.of_grantee.get(&(key, name)) else { continue };
            // They are listed in the order of their making.
            let made = |place: &AccessPlace| history.steps(*place).first().map_or(i64::MAX, |step| step.second);
            let from = of.partition_point(|place| made(place) < span.from);
            for place in of[from..of.partition_point(|place| made(place) < span.success)].iter().rev() {
                let last = self.steps_within(*place).last().map_or(0, |step| step.change);
                if found.is_full_after(last) {
                    break;
                }
                self.newly_allowed(&PolicyPath { links: Vec::new(), end: *place }, found);
            }
        }
    }

    /// The user or role in the words of IAM's requests.
    fn owner(&self) -> Option<PooledText> {
        self.texts.find(&identity(self.asked.principal)?)
    }

    /// Looks at all policies that the principal has or had, by itself or by a group, and that changed in the span.
    fn each_of_principal(
        &mut self,
        found: &mut FoundCures,
        look: impl Fn(&mut CureSearch<'a>, &PolicyPath, &mut FoundCures),
    ) {
        let Some(owner) = self.owner() else { return };
        let (history, span) = (self.history, self.span);
        let own = self.owners.of(history, owner);
        let mut seen: HashSet<PolicyPath> = HashSet::new();
        let mut look_once = |search: &mut CureSearch<'a>, path: PolicyPath, found: &mut FoundCures| {
            if !seen.contains(&path) {
                look(search, &path, found);
                seen.insert(path);
            }
        };
        for moving in own.moving.within(span.from, span.success) {
            let AccessPlace::Membership(_, group) = moving else {
                policy_path(&[], moving).into_iter().for_each(|path| look_once(self, path, found));
                continue;
            };
            let of_group = self.owners.of(history, group);
            let is_step_here = !self.steps_within(moving).is_empty();
            let all = is_step_here.then(|| of_group.policies.within(span.from, span.success));
            let moved = of_group.moving.within(span.from, span.success);
            let changed = self.steps_of(&of_group).iter().map(|step| step.place);
            for place in all.into_iter().flatten().chain(moved).chain(changed) {
                policy_path(&[moving], place).into_iter().for_each(|path| look_once(self, path, found));
            }
        }
        for step in self.steps_of(&own).iter().rev() {
            if found.is_full_after(step.change) {
                break;
            }
            policy_path(&[], step.place).into_iter().for_each(|path| look_once(self, path, found));
        }
    }

    /// The changes of an owner in the span.
    fn steps_of<'o>(&self, owner: &'o OwnerPlaces) -> &'o [OwnerStep] {
        let from = owner.steps.partition_point(|step| step.second < self.span.from);
        &owner.steps[from..owner.steps.partition_point(|step| step.second < self.span.success)]
    }

    /// The changes of a place in the span.
    fn steps_within(&self, place: AccessPlace) -> &'a [PlaceStep] {
        let steps = self.history.steps(place);
        let from = steps.partition_point(|step| step.second < self.span.from);
        &steps[from..steps.partition_point(|step| step.second < self.span.success)]
    }

    /// The policies of the principal at the success that may deny, by itself or by a group.
    fn denying(&self) -> Vec<PolicyPath> {
        let Some(owner) = self.owner() else { return Vec::new() };
        let (history, success) = (self.history, self.span.success);
        let own = self.owners.of(history, owner);
        let mut paths: Vec<PolicyPath> =
            own.denying(history).within(success, success).filter_map(|place| policy_path(&[], place)).collect();
        for moving in own.moving.within(success, success) {
            if let AccessPlace::Membership(_, group) = moving {
                let of_group = self.owners.of(history, group);
                let places = of_group.denying(history).within(success, success);
                paths.extend(places.filter_map(|place| policy_path(&[moving], place)));
            }
        }
        paths
    }

    /// The state of a path with these values.
    fn reach_of(&mut self, path: &PolicyPath, links: &[PlaceValue], end: PlaceValue) -> PathReach {
        if links.contains(&PlaceValue::Nothing) || end == PlaceValue::Nothing {
            return Some(Rc::default());
        }
        if links.contains(&PlaceValue::Unknown) {
            return None;
        }
        let reach = match end {
            PlaceValue::Document(document) => self.reach_of_document(document),
            PlaceValue::Granted(number) => {
                let terms = self.history.grants.get(number as usize)?;
                Some(Rc::new(self.asked.of_grant(terms)))
            }
            _ => None,
        };
        let by_name = || DocumentReach { allows: Vec::new(), denies: vec![StatementReach::denied_by_name()] };
        reach.or_else(|| self.is_denier(path.end).then(|| Rc::new(by_name())))
    }

    /// True of the policy of IAM that AWS named as the one that denied.
    fn is_denier(&self, place: AccessPlace) -> bool {
        matches!(place, AccessPlace::Managed(policy) if Some(self.texts.get(policy)) == self.asked.denied_by)
    }

    fn reach_of_document(&mut self, document: LoggedDocument) -> PathReach {
        let (history, asked) = (self.history, self.asked);
        let reach = self.read.entry(document);
        let read = || history.documents.read(document).map(|document| Rc::new(asked.of_document(&document)));
        reach.or_insert_with(read).clone()
    }

    /// The state before the first change of the span, and after each. `None` if nothing changes in it.
    fn steps(&mut self, path: &PolicyPath) -> Option<(PathStart, Vec<PathStep>)> {
        let mut changes: Vec<(usize, AccessPlace, PlaceValue)> = Vec::new();
        for place in path.links.iter().chain([&path.end]) {
            let within = self.steps_within(*place);
            let last = &within[within.len().saturating_sub(STEPS_MAX)..];
            changes.extend(last.iter().map(|step| (step.change, *place, step.value)));
        }
        // Changes are numbered in the order of time. One that ends links and sets a policy ends the links first.
        changes.sort_by_key(|(change, ..)| *change);
        changes.drain(..changes.len().saturating_sub(STEPS_MAX));
        let first = changes.first()?.0;
        let mut links: Vec<PlaceValue> = path.links.iter().map(|link| self.value_before(*link, first)).collect();
        let mut end = self.value_before(path.end, first);
        let reach = self.reach_of(path, &links, end);
        let is_proven = path.links.iter().all(|link| self.is_told(*link, first));
        let mut steps = Vec::new();
        for (change, place, value) in changes {
            match path.links.iter().position(|link| *link == place) {
                Some(at) => links[at] = value,
                None => end = value,
            }
            steps.push(PathStep { change, place, reach: self.reach_of(path, &links, end) });
        }
        Some((PathStart { reach, is_proven }, steps))
    }

    /// The value of a place before a change. Earlier changes of that second count.
    fn value_before(&self, place: AccessPlace, change: usize) -> PlaceValue {
        let second = self.history.changes[change].second();
        let steps = self.history.steps(place);
        let before = steps[..steps.partition_point(|step| step.change < change)].last();
        match before.filter(|step| step.second == second) {
            Some(step) => step.value,
            None => self.history.value_before(place, second),
        }
    }

    /// True if the logs tell of a link before a change: of its beginning or end, or of the making of its policy.
    fn is_told(&self, link: AccessPlace, change: usize) -> bool {
        let first_of = |place: AccessPlace| self.history.steps(place).first().map(|step| step.change);
        let first_before = |place: AccessPlace| first_of(place).filter(|first| *first < change);
        let is_made = |policy: PooledText| {
            let first = first_before(AccessPlace::Managed(policy));
            first.is_some_and(|first| self.texts.get(self.history.changes[first].name) == "CreatePolicy")
        };
        self.history.value_at_first(link) == PlaceValue::Linked
            || first_before(link).is_some()
            || matches!(link, AccessPlace::Attachment(_, policy) if is_made(policy))
    }

    fn newly_allowed(&mut self, path: &PolicyPath, found: &mut FoundCures) {
        let Some((PathStart { reach: mut before, mut is_proven }, steps)) = self.steps(path) else { return };
        for (at, step) in steps.iter().enumerate() {
            if let Some(reach) = &step.reach {
                let known = before.as_ref().map_or(&[][..], |before| &before.allows);
                // Of a first version, and of one that follows an unknown one, nobody knows that it is new; nor beside a
                // statement that may have meant the use before.
                let is_first = before.is_none();
                let is_sure = is_proven && !is_first && known.iter().all(|known| known.undecided.is_none());
                for new in reach.allows.iter().filter(|new| !known.iter().any(|known| known.takes_in(new))) {
                    let stands = |later: &PathStep| {
                        later.reach.as_ref().is_some_and(|reach| reach.allows.iter().any(|of| of.takes_in(new)))
                    };
                    let is_usual = is_first && self.is_own_root(step.place, new);
                    if !is_usual && steps[at + 1..].iter().all(stands) {
                        let naming = if is_sure { self.naming(step, path, new) } else { CureNaming::Loosely };
                        found.note(step.change, naming);
                    }
                }
            }
            before.clone_from(&step.reach);
            is_proven = true;
        }
    }

    /// The statement for its own account's root is in nearly every key policy: one that is first seen says nothing new.
    fn is_own_root(&self, place: AccessPlace, reach: &StatementReach) -> bool {
        let of_key = super::deeds::account_of(self.asked.key);
        matches!(place, AccessPlace::KeyPolicy(_))
            && reach.named == NamedAs::Account
            && of_key == self.account_of(self.asked.principal)
    }

    /// A Deny that is gone from one document, which is the only one of its kind: a key's policy or an endpoint's.
    fn key_deny_gone(&mut self, path: &PolicyPath, found: &mut FoundCures) {
        let mut gone = FoundCures::default();
        self.no_longer_denied(path, &mut gone);
        self.note_unless_denied(gone, std::slice::from_ref(path), found);
    }

    /// A Deny that is gone from the principal's documents, or from the one that AWS named.
    fn iam_deny_gone(&mut self, found: &mut FoundCures) {
        let mut gone = FoundCures::default();
        let is_named = self.denier_of("iam").is_some();
        self.each_of_principal(&mut gone, |search, path, gone| {
            if !is_named || search.is_denier(path.end) {
                search.no_longer_denied(path, gone);
            }
        });
        if gone.last().is_some() {
            let standing = self.denying();
            self.note_unless_denied(gone, &standing, found);
        }
    }

    /// The policy that AWS named as the one that denied, if it is of this service.
    fn denier_of(&self, service: &str) -> Option<Arn<'a>> {
        self.asked.denied_by.and_then(Arn::parse).filter(|arn| arn.service == service)
    }

    /// Takes changes in that took a Deny away, as far as no other of that kind stands at the success.
    fn note_unless_denied(&mut self, gone: FoundCures, paths: &[PolicyPath], found: &mut FoundCures) {
        if gone.last().is_none() {
            return;
        }
        let standing = paths.iter().map(|path| self.standing_deny(path)).max().unwrap_or_default();
        for (change, naming) in gone.changes {
            match standing {
                StandingDeny::None => found.note(change, naming),
                StandingDeny::Maybe => found.note(change, CureNaming::Loosely),
                StandingDeny::Outright => {}
            }
        }
    }

    /// The strongest Deny of a path at the success.
    fn standing_deny(&mut self, path: &PolicyPath) -> StandingDeny {
        let value = |place: &AccessPlace| self.history.value_before(*place, self.span.success);
        let (links, end): (Vec<PlaceValue>, PlaceValue) = (path.links.iter().map(value).collect(), value(&path.end));
        let Some(reach) = self.reach_of(path, &links, end) else { return StandingDeny::None };
        let strength = |deny: &StatementReach| match deny.is_outright() {
            true => StandingDeny::Outright,
            false => StandingDeny::Maybe,
        };
        reach.denies.iter().map(strength).max().unwrap_or_default()
    }

    fn no_longer_denied(&mut self, path: &PolicyPath, found: &mut FoundCures) {
        let Some((PathStart { reach: mut before, .. }, steps)) = self.steps(path) else { return };
        for (at, step) in steps.iter().enumerate() {
            let known = before.as_ref().map_or(&[][..], |before| &before.denies);
            for gone in known {
                // From this change to the success no document on the path may deny as much.
                let is_gone = |later: &PathStep| {
                    let reach = later.reach.as_ref();
                    reach.is_some_and(|reach| !reach.denies.iter().any(|of| of.denies_all_of(gone)))
                };
                if steps[at..].iter().all(is_gone) {
                    found.note(step.change, self.naming(step, path, gone));
                }
            }
            before.clone_from(&step.reach);
        }
    }

    /// The way in which a change of a path names the principal by a statement.
    fn naming(&self, step: &PathStep, path: &PolicyPath, reach: &StatementReach) -> CureNaming {
        let is_own = match step.place {
            AccessPlace::KeyPolicy(_) | AccessPlace::Grant(..) | AccessPlace::EndpointPolicy(_) => true,
            AccessPlace::Inline(..) => path.links.is_empty(),
            AccessPlace::Attachment(..) => path.links.len() == 1,
            _ => false,
        };
        let is_itself = is_own && reach.named == NamedAs::Itself && self.asked.meets(reach);
        if is_itself { CureNaming::Itself } else { CureNaming::Loosely }
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
        let denier = self.denier_of("iam").and(self.asked.denied_by).filter(|_| wanted == WantedEffect::NoDeny);
        let is_other = |policy: PooledText| denier.is_some_and(|denier| self.texts.get(policy) != denier);
        if let Some(last) = last.filter(|last| last.second >= span.from && could != Some(false)) {
            let before = history.value_before(place, last.second);
            let was_other = matches!(before, PlaceValue::Named(policy) if is_other(policy));
            if before != value && !was_other {
                found.note(last.change, CureNaming::Loosely);
            }
        }
        if let PlaceValue::Named(policy) = value
            && !is_other(policy)
        {
            let of_policy = PolicyPath { links: Vec::new(), end: AccessPlace::Managed(policy) };
            match wanted {
                WantedEffect::Allow => self.newly_allowed(&of_policy, found),
                WantedEffect::NoDeny => self.key_deny_gone(&of_policy, found),
            }
        }
    }

    /// True if a document does what is wanted; `None` if it cannot be read.
    fn is_wanted(&mut self, document: LoggedDocument, wanted: WantedEffect) -> Option<bool> {
        let reach = self.reach_of_document(document)?;
        Some(match wanted {
            WantedEffect::Allow => !reach.allows.is_empty(),
            WantedEffect::NoDeny => !reach.denies.iter().any(StatementReach::is_outright),
        })
    }

    /// Changes of Organizations that reach the account that they bind, or an OU or root, which may hold it.
    fn organization(&mut self, kind: &str, wanted: WantedEffect, found: &mut FoundCures) {
        let (history, span) = (self.history, self.span);
        let second = |change: &(usize, AccessPlace)| history.changes[change.0].second();
        let of = &history.of_organization;
        let from = of.partition_point(|change| second(change) < span.from);
        let within = &of[from..of.partition_point(|change| second(change) < span.success)];
        let mut seen = HashSet::new();
        for (change, place) in within.iter().rev() {
            if found.is_full_after(*change) {
                break;
            }
            if seen.insert(*place) {
                self.organization_cures(*place, (kind, wanted), found);
            }
        }
    }

    /// The changes of one place of Organizations that could have cured a refusal by that kind of policy.
    fn organization_cures(&mut self, place: AccessPlace, (kind, wanted): (&str, WantedEffect), found: &mut FoundCures) {
        let history = self.history;
        let denier = self.denier_of("organizations").filter(|_| wanted == WantedEffect::NoDeny);
        let denier = denier.and_then(|denier| denier.resource.rsplit('/').next());
        let may_be = |search: &Self, policy: PooledText| {
            let is_kind = history.kinds.get(&policy).is_none_or(|of| search.texts.get(*of) == kind);
            is_kind && denier.is_none_or(|denier| search.texts.get(policy) == denier)
        };
        match place {
            AccessPlace::OrganizationKind(of) => {
                let change = self.stable_change(place, PlaceValue::Nothing).filter(|_| self.texts.get(of) == kind);
                change.into_iter().for_each(|change| found.note(change, CureNaming::Loosely));
            }
            AccessPlace::OrganizationAttachment(policy, target) => {
                let wants = match wanted {
                    WantedEffect::Allow => PlaceValue::Linked,
                    WantedEffect::NoDeny => PlaceValue::Nothing,
                };
                if !may_be(self, policy) || !self.reaches(target, kind) {
                    return;
                }
                let change = self.stable_change(place, wants);
                if let Some(change) = change.filter(|change| self.content_could(policy, *change, wanted)) {
                    found.note(change, CureNaming::Loosely);
                }
            }
            AccessPlace::OrganizationPolicy(policy) => {
                if !may_be(self, policy) {
                    return;
                }
                let path = PolicyPath { links: Vec::new(), end: place };
                let mut changed = FoundCures::default();
                match wanted {
                    WantedEffect::Allow => self.newly_allowed(&path, &mut changed),
                    WantedEffect::NoDeny => self.key_deny_gone(&path, &mut changed),
                }
                for change in changed.changes.into_keys() {
                    let second = history.changes[change].second();
                    let is_attached = |place: &AccessPlace| match place {
                        AccessPlace::OrganizationAttachment(_, target) => {
                            self.reaches(*target, kind) && history.value_before(*place, second) == PlaceValue::Linked
                        }
                        _ => false,
                    };
                    if history.of_owner.get(&policy).is_some_and(|places| places.iter().any(is_attached)) {
                        found.note(change, CureNaming::Loosely);
                    }
                }
            }
            _ => {}
        }
    }

    /// The change that gave a place the value that it has until the success, if it had another before.
    fn stable_change(&self, place: AccessPlace, value: PlaceValue) -> Option<usize> {
        let steps = self.steps_within(place);
        let others = steps.iter().rposition(|step| step.value != value).map_or(0, |at| at + 1);
        let first = steps.get(others)?;
        (self.history.value_before(place, first.second) != value).then_some(first.change)
    }

    /// True if the target is the account that this kind of policy binds, or one that may hold it. A resource control
    /// policy binds the account of the key.
    fn reaches(&self, target: PooledText, kind: &str) -> bool {
        let target = self.texts.get(target);
        let bound = if kind == RESOURCE_CONTROL_POLICY { self.asked.key } else { self.asked.principal };
        target.starts_with("ou-") || target.starts_with("r-") || Some(target) == self.account_of(bound)
    }

    /// The account of an ARN, or of a principal that has none of its own.
    fn account_of(&self, of: &'a str) -> Option<&'a str> {
        super::deeds::account_of(of).or_else(|| super::deeds::account_of(self.asked.session_arn?))
    }

    /// False if the text of the attached policy is known, and could not have done what is wanted.
    fn content_could(&mut self, policy: PooledText, change: usize, wanted: WantedEffect) -> bool {
        let second = self.history.changes[change].second();
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
