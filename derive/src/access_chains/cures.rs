//! The changes that could have cured a refusal: each newly allowed the use, or took away what denied it, and still
//! stood at the success.
//! In: a refusal's reason, the use, the seconds that count, and the history. Out: the changes, each with what it allows
//! in the words of evidence.
//! Never takes a document that cannot be read for one that newly allows or no longer denies, unless AWS named it as the
//! denier. Boundaries, attachments of Organizations and new sessions need no text: they count unless one that is here
//! rules them out, and never as naming the principal. Never takes a change that a later one undid before the success;
//! one that a condition narrowed counts, as not naming the principal.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use keytrail_rows::arn::Arn;

use super::deeds::{ChangeDeed, OwnerFate};
use super::history::{AccessHistory, AccessPlace, LoggedDocument, PlaceStep, PlaceValue, grantee_name};
use super::owners::PlacesByOwner;
use super::reach::{AskedUse, DocumentReach, StatementReach};
use super::timelines::{
    CureNaming, CureSpan, CureTimeline, FoundCures, PolicyPath, StandingDeny, TimedCure, TimedDeny, WantedEffect,
};
use super::use_index::{UseBundle, UseClass, UseIndex, UseIndexes, UseSubject, UseUnit, WantedCure};
use crate::compact::{PooledText, TextPool};
use crate::denial_facts::identity;
use crate::policy::NamedAs;

/// As Organizations calls them.
const SERVICE_CONTROL_POLICY: &str = "SERVICE_CONTROL_POLICY";
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

impl CureKind {
    pub fn of(reason: Option<&str>, effect: Option<&str>) -> CureKind {
        let wanted = if effect == Some("explicit") { WantedEffect::NoDeny } else { WantedEffect::Allow };
        match (reason, wanted) {
            (Some("identity_policy"), WantedEffect::NoDeny) => CureKind::IamDenyGone,
            (Some("resource_policy"), WantedEffect::NoDeny) => CureKind::KeyDenyGone,
            (Some("permissions_boundary"), _) => CureKind::Boundary(wanted),
            (Some("scp"), _) => CureKind::Organization(SERVICE_CONTROL_POLICY, wanted),
            (Some("rcp"), _) => CureKind::Organization(RESOURCE_CONTROL_POLICY, wanted),
            (Some("vpc_endpoint_policy"), _) => CureKind::Endpoint(wanted),
            (Some("session_policy"), _) => CureKind::Session,
            (Some("role_trust_policy"), _) => CureKind::Untold,
            (Some("unspecified" | "unparsed") | None, WantedEffect::NoDeny) => CureKind::AnyDenyGone,
            _ => CureKind::Allowed,
        }
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

/// Everything that a search looks at.
#[derive(Clone, Copy)]
pub(super) struct KnownAccess<'a> {
    pub history: &'a AccessHistory,
    pub owners: &'a PlacesByOwner,
    pub indexes: &'a UseIndexes,
    pub texts: &'a TextPool,
}

/// The search for what cured one run.
pub(super) struct CureSearch<'a> {
    known: KnownAccess<'a>,
    history: &'a AccessHistory,
    texts: &'a TextPool,
    asked: AskedUse<'a>,
    span: CureSpan,
    /// The second of the last refusal.
    refused: i64,
    silence: PolicySilence,
    read: HashMap<LoggedDocument, Option<Rc<DocumentReach>>>,
}

/// The last refusal, as AWS explains it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRefusal<'a> {
    pub second: i64,
    pub key: PooledText,
    pub reason: Option<&'a str>,
    pub effect: Option<&'a str>,
}

/// The second of the last refusal, for each kind of policy of which its reason says that none allowed the use.
#[derive(Debug, Clone, Copy, Default)]
struct PolicySilence {
    of_key: Option<i64>,
    of_identity: Option<i64>,
}

/// A statement that newly allows after a change, with the ways in which it names the principal.
struct NewAllow<'s> {
    statement: &'s StatementReach,
    /// If the state before is proven.
    naming: CureNaming,
    /// If a refusal says that no such policy allowed the use.
    after_silence: CureNaming,
}

/// Of more changes on one path between a refusal and a success, the last are compared.
const STEPS_MAX: usize = 200;

/// The state of a path after a change; `None` if it cannot be told.
type PathReach = Option<Rc<DocumentReach>>;

/// True if a later state keeps something of a statement that was new after some state.
type KeepsAllow = fn(&DocumentReach, &StatementReach, &PathReach) -> bool;

/// The state of a path before a first change.
struct PathStart {
    reach: PathReach,
    /// False if a link of it is only taken not to have been there, since nothing tells of it.
    is_proven: bool,
    /// False if earlier changes of the span were left out.
    is_of_span: bool,
}

/// One change on a path, with the state after it.
struct PathStep {
    change: usize,
    place: AccessPlace,
    reach: PathReach,
}

impl<'a> CureSearch<'a> {
    pub fn new(known: KnownAccess<'a>, asked: AskedUse<'a>, span: CureSpan) -> CureSearch<'a> {
        let (history, texts, silence) = (known.history, known.texts, PolicySilence::default());
        CureSearch { known, history, texts, asked, span, refused: span.from, silence, read: HashMap::new() }
    }

    /// Takes in what the last refusal says of the policies of its time.
    pub fn heed(&mut self, refusal: LastRefusal<'_>) {
        self.refused = refusal.second;
        if refusal.effect != Some("implicit") {
            return;
        }
        let is_one_account = self.is_one_account();
        let (of_key, of_identity) = match refusal.reason {
            Some("resource_policy") => (true, is_one_account && self.was_delegated(refusal)),
            Some("identity_policy") => (is_one_account, true),
            _ => return,
        };
        let silent = |is_silent: bool| is_silent.then_some(refusal.second);
        self.silence = PolicySilence { of_key: silent(of_key), of_identity: silent(of_identity) };
    }

    /// The same search up to the end of the second of the success, if anything changed in it.
    pub fn with_second_of_success(&self) -> Option<CureSearch<'a>> {
        let success = self.span.success;
        let span = CureSpan { success: success + 1, ..self.span };
        let search = CureSearch {
            refused: self.refused,
            silence: self.silence,
            ..CureSearch::new(self.known, self.asked, span)
        };
        self.history.changes_within(success, success + 1).then_some(search)
    }

    /// True if no more than a change that names the principal itself was needed, as far as the logs tell.
    pub fn is_enough(&mut self, change: usize, key: PooledText, reason: Option<&str>) -> bool {
        let is_global = self.history.changes[change].is_global();
        let reaches = if is_global { self.is_delegated(key) } else { !self.is_made_anew(change) };
        reaches && self.is_on_side_of(change, reason) && !self.is_denied(key)
    }

    /// True if the principal may be another of its name than the one that a change meant.
    fn is_made_anew(&self, change: usize) -> bool {
        let Some(fates) = self.owner().and_then(|owner| self.history.owner_fates.get(&owner)) else { return false };
        let changed = self.history.changes[change].second();
        let since = &fates[fates.partition_point(|(second, _)| *second < changed)..];
        let mut until_success = since.iter().take_while(|(second, _)| *second <= self.span.success);
        // Whoever is named in the second of its making was made first.
        until_success.any(|(second, fate)| *second > changed || *fate == OwnerFate::Deleted)
    }

    /// True if a change is of the side that the reason names. Within one account either side is enough.
    fn is_on_side_of(&self, change: usize, reason: Option<&str>) -> bool {
        let is_of_key =
            matches!(self.history.changes[change].deed, ChangeDeed::KeyPolicy { .. } | ChangeDeed::GrantMade { .. });
        let is_named = match reason {
            Some("identity_policy") => !is_of_key,
            Some("resource_policy") => is_of_key,
            _ => true,
        };
        is_named || self.is_one_account()
    }

    /// True if a Deny that nothing limits stands at the success.
    fn is_denied(&mut self, key: PooledText) -> bool {
        let boundary =
            self.owner().map(|owner| self.history.value_before(AccessPlace::Boundary(owner), self.span.success));
        let of_boundary = match boundary {
            Some(PlaceValue::Named(policy)) => Some(AccessPlace::Managed(policy)),
            _ => None,
        };
        let ends = [AccessPlace::KeyPolicy(key)].into_iter().chain(of_boundary);
        let alone = ends.map(|end| self.standing_deny(&PolicyPath { links: Vec::new(), end })).max();
        alone == Some(StandingDeny::Outright)
            || self.standing_of_principal() == StandingDeny::Outright
            || self.standing_of_account(SERVICE_CONTROL_POLICY) == StandingDeny::Outright
            || self.standing_of_account(RESOURCE_CONTROL_POLICY) == StandingDeny::Outright
    }

    /// The strongest Deny at the success of the policies of a kind that are attached to the account that they bind.
    fn standing_of_account(&mut self, kind: &str) -> StandingDeny {
        let Some(account) = self.bound_account(kind) else { return StandingDeny::None };
        let attachments = self.known.owners.attachments(self.history, self.texts);
        let attached = attachments.to_account(self.history, account, self.span.success);
        let of_kind = attached.into_iter().filter_map(|place| match place {
            AccessPlace::OrganizationAttachment(policy, _) if self.may_be(policy, Some(kind)) => Some(policy),
            _ => None,
        });
        let paths: Vec<PolicyPath> = of_kind
            .map(|policy| PolicyPath { links: Vec::new(), end: AccessPlace::OrganizationPolicy(policy) })
            .collect();
        paths.iter().map(|path| self.standing_deny(path)).max().unwrap_or_default()
    }

    /// The account that a kind of policy of Organizations binds: for a resource control policy that of the key.
    fn bound_account(&self, kind: &str) -> Option<PooledText> {
        let bound = if kind == RESOURCE_CONTROL_POLICY { self.asked.key } else { self.asked.principal };
        self.account_of(bound).and_then(|account| self.texts.find(account))
    }

    /// True if the caller is known to be of the account of the key.
    fn is_one_account(&self) -> bool {
        let caller = self.account_of(self.asked.principal).or(self.asked.caller_account);
        caller.is_some() && caller == super::deeds::account_of(self.asked.key)
    }

    /// True if the key's policy left the use to the account's own policies at the last refusal. A key that was made
    /// shortly before has its policy at once; any other change may not have reached the refusal.
    fn was_delegated(&self, refusal: LastRefusal<'_>) -> bool {
        let place = AccessPlace::KeyPolicy(refusal.key);
        let is_until = |step: &&PlaceStep| step.second <= refusal.second;
        let steps: Vec<&PlaceStep> = self.steps_within(place).iter().take_while(is_until).collect();
        let name = |step: &PlaceStep| self.texts.get(self.history.changes[step.change].name);
        let is_made = steps.first().is_some_and(|first| matches!(name(first), "CreateKey" | "ReplicateKey"));
        let before = (!is_made).then(|| self.history.value_before(place, self.span.from));
        // Nobody knows by which service the refused call came.
        let asked = AskedUse { via_service: None, ..self.asked };
        before.into_iter().chain(steps.iter().map(|step| step.value)).all(|value| self.delegates(value, asked))
    }

    fn delegates(&self, policy: PlaceValue, asked: AskedUse<'_>) -> bool {
        match policy {
            PlaceValue::Document(document) => {
                self.history.documents.read(document).is_some_and(|document| asked.is_delegated_by(&document))
            }
            _ => false,
        }
    }

    /// The second of the last refusal, if it says of policies in a place that none allowed the use.
    fn silence_of(&self, place: AccessPlace) -> Option<i64> {
        match place {
            AccessPlace::KeyPolicy(_) => self.silence.of_key,
            AccessPlace::Inline(..) | AccessPlace::Managed(_) => self.silence.of_identity,
            _ => None,
        }
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
                self.of_principal(WantedEffect::Allow, &mut found);
                self.of_denier(WantedEffect::Allow, &mut found);
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
    fn is_delegated(&self, key: PooledText) -> bool {
        let value = self.history.value_before(AccessPlace::KeyPolicy(key), self.span.success);
        self.delegates(value, self.asked)
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

    /// The changes in the span of all policies that the principal has or had, by itself or by a group.
    fn of_principal(&mut self, wanted: WantedEffect, found: &mut FoundCures) {
        let Some(owner) = self.owner() else { return };
        for timeline in self.timelines(UseSubject::Owner(owner), (wanted, None)) {
            timeline.note((self.span, self.silence.of_identity), CureNaming::Itself, found);
            timeline.long.iter().for_each(|path| self.of_path(path, wanted, found));
        }
        for membership in self.memberships(owner, self.span) {
            let AccessPlace::Membership(_, group) = membership else { continue };
            let group = UseSubject::Owner(group);
            if self.steps_within(membership).is_empty() {
                for timeline in self.timelines(group, (wanted, None)) {
                    timeline.note((self.span, None), CureNaming::Loosely, found);
                    timeline.long.iter().for_each(|path| self.of_path(&path.behind(membership), wanted, found));
                }
                continue;
            }
            let index = self.index(group);
            for (bundle, _) in index.of_key(self.asked.key).iter() {
                let paths = index.bundles[*bundle].places.iter().filter_map(|place| policy_path(&[membership], *place));
                paths.for_each(|path| self.of_path(&path, wanted, found));
            }
        }
    }

    /// The changes in the span of the policy that AWS named as the one that denied, as far as the principal has it.
    fn of_denier(&mut self, wanted: WantedEffect, found: &mut FoundCures) {
        self.denier_paths(self.span).iter().for_each(|path| self.of_path(path, wanted, found));
    }

    fn of_path(&mut self, path: &PolicyPath, wanted: WantedEffect, found: &mut FoundCures) {
        match wanted {
            WantedEffect::Allow => self.newly_allowed(path, found),
            WantedEffect::NoDeny => self.no_longer_denied(path, found),
        }
    }

    /// The memberships that a user has at some time of a span, each once.
    fn memberships(&self, user: PooledText, span: CureSpan) -> HashSet<AccessPlace> {
        self.known.owners.memberships(self.history, user).within(span.from, span.success).collect()
    }

    /// The paths from the principal to the policy that AWS named as the one that denied.
    fn denier_paths(&self, span: CureSpan) -> Vec<PolicyPath> {
        let Some(policy) = self.asked.denied_by.and_then(|policy| self.texts.find(policy)) else { return Vec::new() };
        let Some(owner) = self.owner() else { return Vec::new() };
        let of_group = |membership: AccessPlace| match membership {
            AccessPlace::Membership(_, group) => policy_path(&[membership], AccessPlace::Attachment(group, policy)),
            _ => None,
        };
        let own = policy_path(&[], AccessPlace::Attachment(owner, policy));
        own.into_iter().chain(self.memberships(owner, span).into_iter().filter_map(of_group)).collect()
    }

    /// The strongest Deny at the success of the policies that the principal has, by itself or by a group.
    fn standing_of_principal(&mut self) -> StandingDeny {
        let Some(owner) = self.owner() else { return StandingDeny::None };
        let success = self.span.success;
        let at_success = CureSpan { from: success, success };
        let groups = self.memberships(owner, at_success).into_iter().filter_map(|membership| match membership {
            AccessPlace::Membership(_, group) => Some((group, Some(membership))),
            _ => None,
        });
        let mut strongest = StandingDeny::None;
        for (owner, membership) in [(owner, None)].into_iter().chain(groups) {
            for timeline in self.timelines(UseSubject::Owner(owner), (WantedEffect::NoDeny, None)) {
                strongest = strongest.max(timeline.standing(success));
                for path in &timeline.long {
                    let path = membership.map_or(path.clone(), |membership| path.behind(membership));
                    strongest = strongest.max(self.standing_deny(&path));
                }
            }
        }
        let named = self.denier_paths(at_success);
        named.iter().map(|path| self.standing_deny(path)).fold(strongest, StandingDeny::max)
    }

    /// What a subject has for the actions of the use.
    fn index(&self, subject: UseSubject) -> Rc<UseIndex> {
        self.known.indexes.of(self.history, (subject, self.asked.actions), || self.units(subject))
    }

    /// The timelines of whatever a subject has that bears on the use.
    fn timelines(&self, subject: UseSubject, wanted: WantedCure) -> Vec<Rc<CureTimeline>> {
        let index = self.index(subject);
        let asked = self.asked;
        let timeline = |bundle: &UseBundle, class: UseClass| {
            let make = || self.over_all_time().timeline(&bundle.places, subject, wanted);
            self.known.indexes.timeline(self.history, (bundle, class), make)
        };
        let of_key = index.of_key(asked.key);
        let each = of_key.iter().map(|(number, matched)| {
            #[cfg(test)]
            crate::testing::count_look();
            let bundle = &index.bundles[*number];
            let mut class = UseClass::new(wanted, matched);
            if let UseSubject::Owner(_) = subject {
                class.via_service = asked.via_service.map(str::to_owned);
                class.caller_account = asked.caller_account.map(str::to_owned);
            }
            let caller = || (asked.principal.to_owned(), asked.session_arn.map(str::to_owned));
            class.caller = bundle.names_callers.then(caller);
            timeline(bundle, class)
        });
        each.collect()
    }

    /// The same search at any time, for whatever policy denied.
    fn over_all_time(&self) -> CureSearch<'a> {
        let span = CureSpan { from: i64::MIN, success: i64::MAX };
        CureSearch::new(self.known, AskedUse { denied_by: None, ..self.asked }, span)
    }

    /// The places of a subject with their documents.
    fn units(&self, subject: UseSubject) -> Vec<UseUnit> {
        match subject {
            UseSubject::Owner(owner) => {
                let places = self.history.of_owner.get(&owner).map_or(&[][..], Vec::as_slice);
                places.iter().filter_map(|place| self.unit(*place)).collect()
            }
            UseSubject::Organization { account, policy } => self.units_of_organization(account, policy),
            UseSubject::OrganizationKind(kind) => {
                let place = AccessPlace::OrganizationKind(kind);
                vec![UseUnit { place, documents: Vec::new(), is_open: true }]
            }
        }
    }

    /// A place with its documents, if it holds policies.
    fn unit(&self, place: AccessPlace) -> Option<UseUnit> {
        let of = match place {
            AccessPlace::Inline(..) | AccessPlace::OrganizationPolicy(_) => place,
            AccessPlace::Attachment(_, policy) => AccessPlace::Managed(policy),
            AccessPlace::OrganizationAttachment(policy, _) => AccessPlace::OrganizationPolicy(policy),
            _ => return None,
        };
        let is_long = !matches!(of, AccessPlace::Inline(..)) && self.is_long(of);
        let document = |step: &PlaceStep| match step.value {
            PlaceValue::Document(document) => Some(document),
            _ => None,
        };
        let steps = if is_long { &[][..] } else { self.history.steps(of) };
        let documents = steps.iter().filter_map(document).collect();
        let is_open = is_long
            || match place {
                AccessPlace::OrganizationAttachment(policy, _) => {
                    let steps = self.history.steps(place);
                    steps.iter().any(|step| self.attached_document(policy, step.second).is_none())
                }
                _ => false,
            };
        Some(UseUnit { place, documents, is_open })
    }

    /// True if a place that many share changes so often that it is not sorted for each of them.
    fn is_long(&self, shared: AccessPlace) -> bool {
        self.history.steps(shared).len() > STEPS_MAX
    }

    /// All cures of these places, and the Denies that stand.
    fn timeline(&mut self, places: &[AccessPlace], subject: UseSubject, wanted: WantedCure) -> CureTimeline {
        let (mut cures, mut denies, mut long) = (Vec::new(), Vec::new(), Vec::new());
        for place in places {
            let path = match (subject, *place) {
                (UseSubject::Owner(_), place) => policy_path(&[], place),
                (_, AccessPlace::OrganizationPolicy(_)) => Some(PolicyPath { links: Vec::new(), end: *place }),
                _ => None,
            };
            let is_shared = |path: &PolicyPath| !matches!(path.end, AccessPlace::Inline(..)) && self.is_long(path.end);
            match (path, subject) {
                (Some(path), _) if is_shared(&path) => long.push(path),
                (Some(path), UseSubject::Owner(_)) => self.add_timed(&path, wanted.0, (&mut cures, &mut denies)),
                (Some(path), UseSubject::Organization { account, .. }) => {
                    self.add_timed_of_organization(&path, (account, wanted), &mut cures);
                }
                _ => self.add_timed_attachment(*place, wanted, &mut cures),
            }
        }
        CureTimeline::of(cures, &denies, long)
    }

    /// The cures of one path at any time, and the Denies that stand on it.
    fn add_timed(
        &mut self,
        path: &PolicyPath,
        wanted: WantedEffect,
        (cures, denies): (&mut Vec<TimedCure>, &mut Vec<TimedDeny>),
    ) {
        let Some((start, steps)) = self.steps(path, usize::MAX) else { return };
        let second = |at: usize| steps.get(at).map_or(i64::MAX, |step| self.history.changes[step.change].second());
        let (mut before, mut previous) = (&start.reach, i64::MIN);
        for (at, step) in steps.iter().enumerate() {
            let cure = |end: usize, [as_first, after_silence, as_later]: [CureNaming; 3]| TimedCure {
                change: step.change,
                second: second(at),
                until: second(end),
                previous,
                as_first,
                after_silence,
                as_later,
            };
            match wanted {
                WantedEffect::Allow => {
                    let is_told = || path.links.iter().all(|link| self.is_told(*link, step.change));
                    cures.extend(self.new_allows(path, (before, step)).flat_map(|new| {
                        let as_first = if is_told() { new.naming } else { CureNaming::Loosely };
                        let end = |keeps: KeepsAllow| {
                            end_of(&steps, at + 1..at + STEPS_MAX, |reach| keeps(reach, new.statement, before))
                        };
                        let (whole, narrowed) = (end(stands), end(stands_narrowed));
                        let whole_cure = cure(whole, [as_first, new.after_silence, new.naming]);
                        let narrowed_cure = (narrowed > whole).then(|| cure(narrowed, [CureNaming::Loosely; 3]));
                        [whole_cure].into_iter().chain(narrowed_cure)
                    }));
                }
                WantedEffect::NoDeny => {
                    let known = before.as_ref().map_or(&[][..], |before| &before.denies);
                    cures.extend(known.iter().map(|gone| {
                        let naming = self.naming(step, path, gone);
                        cure(end_of(&steps, at..at + STEPS_MAX, |reach| is_gone(reach, gone)), [naming; 3])
                    }));
                    denies.push(TimedDeny { after: previous, until: second(at), strength: strength_of(before) });
                }
            }
            (before, previous) = (&step.reach, second(at));
        }
        denies.push(TimedDeny { after: previous, until: i64::MAX, strength: strength_of(before) });
    }

    /// The changes of a place in the span.
    fn steps_within(&self, place: AccessPlace) -> &'a [PlaceStep] {
        let steps = self.history.steps(place);
        let from = steps.partition_point(|step| step.second < self.span.from);
        &steps[from..steps.partition_point(|step| step.second < self.span.success)]
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
    fn steps(&mut self, path: &PolicyPath, steps_max: usize) -> Option<(PathStart, Vec<PathStep>)> {
        let mut changes: Vec<(usize, AccessPlace, PlaceValue)> = Vec::new();
        let mut count = 0;
        for place in path.links.iter().chain([&path.end]) {
            let within = self.steps_within(*place);
            count += within.len();
            let last = &within[within.len().saturating_sub(steps_max)..];
            changes.extend(last.iter().map(|step| (step.change, *place, step.value)));
        }
        // Changes are numbered in the order of time. One that ends links and sets a policy ends the links first.
        changes.sort_by_key(|(change, ..)| *change);
        changes.drain(..changes.len().saturating_sub(steps_max));
        let first = changes.first()?.0;
        let mut links: Vec<PlaceValue> = path.links.iter().map(|link| self.value_before(*link, first)).collect();
        let mut end = self.value_before(path.end, first);
        let reach = self.reach_of(path, &links, end);
        let is_proven = path.links.iter().all(|link| self.is_told(*link, first));
        let mut steps = Vec::new();
        for (change, place, value) in changes {
            #[cfg(test)]
            crate::testing::count_look();
            match path.links.iter().position(|link| *link == place) {
                Some(at) => links[at] = value,
                None => end = value,
            }
            steps.push(PathStep { change, place, reach: self.reach_of(path, &links, end) });
        }
        Some((PathStart { reach, is_proven, is_of_span: count <= steps_max }, steps))
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
        let Some((start, steps)) = self.steps(path, STEPS_MAX) else { return };
        let silent = self.silence_of(path.end).filter(|_| start.is_of_span);
        let mut before = &start.reach;
        for (at, step) in steps.iter().enumerate() {
            let second = self.history.changes[step.change].second();
            let is_after_silence = at == 0 && silent.is_some_and(|refused| refused < second);
            for new in self.new_allows(path, (before, step)) {
                let keeps_to_the_end = |keeps: KeepsAllow| {
                    let keeps = |reach: &DocumentReach| keeps(reach, new.statement, before);
                    end_of(&steps, at + 1..steps.len(), keeps) == steps.len()
                };
                if keeps_to_the_end(stands) {
                    let naming = if at > 0 || start.is_proven { new.naming } else { CureNaming::Loosely };
                    found.note(step.change, if is_after_silence { naming.max(new.after_silence) } else { naming });
                } else if keeps_to_the_end(stands_narrowed) {
                    found.note(step.change, CureNaming::Loosely);
                }
            }
            before = &step.reach;
        }
    }

    /// The statements that newly allow after a change of a path.
    fn new_allows<'s>(
        &self,
        path: &PolicyPath,
        (before, step): (&'s PathReach, &'s PathStep),
    ) -> impl Iterator<Item = NewAllow<'s>> {
        let known = before.as_ref().map_or(&[][..], |before| &before.allows);
        // Of a first version, and of one that follows an unknown one, nobody knows that it is new; nor beside a
        // statement that may have meant the use before.
        let is_first = before.is_none();
        let is_decided = known.iter().all(|known| known.undecided.is_none());
        let allows = step.reach.as_ref().map_or(&[][..], |reach| &reach.allows);
        let new = allows.iter().filter(move |new| !known.iter().any(|known| known.takes_in(new)));
        let unusual = new.filter(move |new| !is_first || !self.is_own_root(step.place, new));
        unusual.map(move |statement| {
            let named = if is_decided { self.naming(step, path, statement) } else { CureNaming::Loosely };
            NewAllow {
                statement,
                naming: if is_first { CureNaming::Loosely } else { named },
                after_silence: if self.is_any_use_allowed(statement) { named } else { CureNaming::Loosely },
            }
        })
    }

    /// True if a statement that the success meets would have allowed the refused call as well, whatever its service,
    /// session or action.
    fn is_any_use_allowed(&self, reach: &StatementReach) -> bool {
        let is_of_account = reach.conditions.iter().all(|condition| condition.key() == "kms:calleraccount");
        is_of_account && !reach.is_of_session && self.asked.actions.len() == 1
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
        if gone.last().is_some() {
            let standing = self.standing_deny(path);
            note_unless_denied(gone, standing, found);
        }
    }

    /// A Deny that is gone from the principal's documents, or from the one that AWS named.
    fn iam_deny_gone(&mut self, found: &mut FoundCures) {
        let mut gone = FoundCures::default();
        if self.denier_of("iam").is_none() {
            self.of_principal(WantedEffect::NoDeny, &mut gone);
        }
        self.of_denier(WantedEffect::NoDeny, &mut gone);
        if gone.last().is_some() {
            let standing = self.standing_of_principal();
            note_unless_denied(gone, standing, found);
        }
    }

    /// The policy that AWS named as the one that denied, if it is of this service.
    fn denier_of(&self, service: &str) -> Option<Arn<'a>> {
        self.asked.denied_by.and_then(Arn::parse).filter(|arn| arn.service == service)
    }

    /// The strongest Deny of a path at the success.
    fn standing_deny(&mut self, path: &PolicyPath) -> StandingDeny {
        let value = |place: &AccessPlace| self.history.value_before(*place, self.span.success);
        let (links, end): (Vec<PlaceValue>, PlaceValue) = (path.links.iter().map(value).collect(), value(&path.end));
        strength_of(&self.reach_of(path, &links, end))
    }

    fn no_longer_denied(&mut self, path: &PolicyPath, found: &mut FoundCures) {
        let Some((PathStart { reach, .. }, steps)) = self.steps(path, STEPS_MAX) else { return };
        let mut before = &reach;
        for (at, step) in steps.iter().enumerate() {
            for gone in before.as_ref().map_or(&[][..], |before| &before.denies) {
                // From this change to the success no document on the path may deny as much.
                if end_of(&steps, at..steps.len(), |reach| is_gone(reach, gone)) == steps.len() {
                    found.note(step.change, self.naming(step, path, gone));
                }
            }
            before = &step.reach;
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
    fn organization(&mut self, kind: &'static str, wanted: WantedEffect, found: &mut FoundCures) {
        let account = self.bound_account(kind);
        let denier = self.denier_of("organizations").filter(|_| wanted == WantedEffect::NoDeny);
        let denier = denier.and_then(|denier| denier.resource.rsplit('/').next());
        // One whose changes are not here has no number.
        let policy = match denier.map(|denier| self.texts.find(denier)) {
            None => Some(None),
            Some(known) => known.map(Some),
        };
        let scopes = [Some(None), account.map(Some)].into_iter().flatten();
        let subjects = policy
            .into_iter()
            .flat_map(|policy| scopes.clone().map(move |account| UseSubject::Organization { account, policy }));
        let of_kind = self.texts.find(kind).map(UseSubject::OrganizationKind);
        for subject in of_kind.into_iter().chain(subjects) {
            for timeline in self.timelines(subject, (wanted, Some(kind))) {
                timeline.note((self.span, None), CureNaming::Loosely, found);
                timeline.long.iter().for_each(|path| self.of_long_policy(path, (account, wanted), found));
            }
        }
        account.into_iter().for_each(|account| self.move_of(account, found));
    }

    /// The last move of an account to another unit or root, each of which may have other policies. One that leads back to
    /// where the account was at the last refusal changed nothing.
    fn move_of(&self, account: PooledText, found: &mut FoundCures) {
        let steps = self.steps_within(AccessPlace::AccountParent(account));
        let Some(last) = steps.last() else { return };
        let since = steps.get(steps.partition_point(|step| step.second <= self.refused));
        let from = since.and_then(|first| self.history.moved_from.get(&first.change));
        if from.is_none_or(|from| last.value != PlaceValue::Named(*from)) {
            found.note(last.change, CureNaming::Loosely);
        }
    }

    /// The changes in the span of a policy of Organizations that changes often.
    fn of_long_policy(
        &mut self,
        path: &PolicyPath,
        (account, wanted): (Option<PooledText>, WantedEffect),
        found: &mut FoundCures,
    ) {
        let mut changed = FoundCures::default();
        self.of_path(path, wanted, &mut changed);
        for (change, _) in changed.all() {
            if [None, account].iter().any(|scope| self.is_attached(path, *scope, change)) {
                found.note(change, CureNaming::Loosely);
            }
        }
    }

    /// The places of policies that are attached to an account, or else to a unit or root.
    fn units_of_organization(&self, account: Option<PooledText>, policy: Option<PooledText>) -> Vec<UseUnit> {
        let attachments = self.known.owners.attachments(self.history, self.texts);
        let places: Vec<AccessPlace> = match (account, policy) {
            (Some(account), Some(policy)) => vec![AccessPlace::OrganizationAttachment(policy, account)],
            (Some(account), None) => attachments.of_account.get(&account).cloned().unwrap_or_default(),
            (None, Some(policy)) => attachments.of_units.get(&policy).cloned().unwrap_or_default(),
            (None, None) => attachments.of_units.values().flatten().copied().collect(),
        };
        let policies: HashSet<AccessPlace> = places
            .iter()
            .filter_map(|place| match place {
                AccessPlace::OrganizationAttachment(policy, _) => Some(AccessPlace::OrganizationPolicy(*policy)),
                _ => None,
            })
            .collect();
        places.into_iter().chain(policies).filter_map(|place| self.unit(place)).collect()
    }

    fn add_timed_of_organization(
        &mut self,
        path: &PolicyPath,
        (account, (wanted, kind)): (Option<PooledText>, WantedCure),
        cures: &mut Vec<TimedCure>,
    ) {
        if !matches!(path.end, AccessPlace::OrganizationPolicy(policy) if self.may_be(policy, kind)) {
            return;
        }
        let mut changed = Vec::new();
        self.add_timed(path, wanted, (&mut changed, &mut Vec::new()));
        cures.extend(changed.into_iter().filter(|cure| self.is_attached(path, account, cure.change)));
    }

    /// The changes that gave an attachment, or a kind of policy, a wanted value that it keeps for a while.
    fn add_timed_attachment(&mut self, place: AccessPlace, (wanted, kind): WantedCure, cures: &mut Vec<TimedCure>) {
        let value = match (place, wanted) {
            (AccessPlace::OrganizationAttachment(..), WantedEffect::Allow) => PlaceValue::Linked,
            _ => PlaceValue::Nothing,
        };
        let steps = self.history.steps(place);
        let mut until = i64::MAX;
        for (at, step) in steps.iter().enumerate().rev() {
            #[cfg(test)]
            crate::testing::count_look();
            if step.value != value {
                until = step.second;
                continue;
            }
            let is_first = at == 0 || steps[at - 1].value != value;
            let is_new = is_first && self.history.value_before(place, step.second) != value;
            if is_new && self.attachment_could(place, step, (wanted, kind)) {
                let naming = CureNaming::Loosely;
                let (change, second) = (step.change, step.second);
                let (as_first, after_silence, as_later) = (naming, naming, naming);
                cures.push(TimedCure { change, second, until, previous: second, as_first, after_silence, as_later });
            }
        }
    }

    /// False if the text of an attached policy is known and could not have done what is wanted. A link that ends with its
    /// policy is told by the policy's own deletion.
    fn attachment_could(&mut self, place: AccessPlace, step: &PlaceStep, (wanted, kind): WantedCure) -> bool {
        let AccessPlace::OrganizationAttachment(policy, _) = place else { return true };
        let is_own = matches!(self.history.changes[step.change].deed, ChangeDeed::OrganizationAttachment { .. });
        if !is_own || !self.may_be(policy, kind) {
            return false;
        }
        let Some(reach) = self.attached_document(policy, step.second).and_then(|of| self.reach_of_document(of)) else {
            return true;
        };
        match wanted {
            WantedEffect::Allow => !reach.allows.is_empty(),
            WantedEffect::NoDeny => !reach.denies.is_empty(),
        }
    }

    /// True if a policy is of a kind, or of none that is known.
    fn may_be(&self, policy: PooledText, kind: Option<&str>) -> bool {
        self.history.kinds.get(&policy).is_none_or(|of| Some(self.texts.get(*of)) == kind)
    }

    /// The text of a policy of Organizations after a second, if it can be read.
    fn attached_document(&self, policy: PooledText, second: i64) -> Option<LoggedDocument> {
        match self.history.value_before(AccessPlace::OrganizationPolicy(policy), second + 1) {
            PlaceValue::Document(document) => Some(document).filter(|of| self.history.documents.read(*of).is_some()),
            _ => None,
        }
    }

    /// True if a policy of Organizations was attached before a change to an account, or else to a unit or root.
    fn is_attached(&self, path: &PolicyPath, account: Option<PooledText>, change: usize) -> bool {
        let AccessPlace::OrganizationPolicy(policy) = path.end else { return false };
        let second = self.history.changes[change].second();
        match account {
            Some(account) => {
                let place = AccessPlace::OrganizationAttachment(policy, account);
                self.history.value_before(place, second) == PlaceValue::Linked
            }
            None => {
                let attachments = self.known.owners.attachments(self.history, self.texts);
                attachments.is_of_unit(self.history, policy, second)
            }
        }
    }

    /// The account of an ARN, or of a principal that has none of its own.
    fn account_of(&self, of: &'a str) -> Option<&'a str> {
        super::deeds::account_of(of).or_else(|| super::deeds::account_of(self.asked.session_arn?))
    }
}

impl PolicyPath {
    /// The path of whoever has it by a membership.
    fn behind(&self, membership: AccessPlace) -> PolicyPath {
        PolicyPath { links: [&[membership], &self.links[..]].concat(), end: self.end }
    }
}

/// The first of some steps after which something no longer holds, else the end of these steps.
fn end_of(steps: &[PathStep], among: Range<usize>, holds: impl Fn(&DocumentReach) -> bool) -> usize {
    let end = among.end.min(steps.len());
    let no_longer = |step: &PathStep| !step.reach.as_ref().is_some_and(|reach| holds(reach));
    let within = &steps[among.start.min(end)..end];
    within.iter().position(no_longer).map_or(among.end, |at| among.start + at)
}

/// True if a statement stands.
fn stands(reach: &DocumentReach, new: &StatementReach, _: &PathReach) -> bool {
    reach.allows.iter().any(|of| of.takes_in(new))
}

/// True if a statement stands, or a narrower one that was not there before either.
fn stands_narrowed(reach: &DocumentReach, new: &StatementReach, before: &PathReach) -> bool {
    let known = before.as_ref().map_or(&[][..], |before| &before.allows);
    let is_new = |of: &StatementReach| !known.iter().any(|known| known.takes_in(of));
    reach.allows.iter().any(|of| of.takes_in(new) || of.narrows(new) && is_new(of))
}

fn is_gone(reach: &DocumentReach, gone: &StatementReach) -> bool {
    !reach.denies.iter().any(|of| of.denies_all_of(gone))
}

/// The strongest Deny of a state.
fn strength_of(reach: &PathReach) -> StandingDeny {
    let strength = |deny: &StatementReach| match deny.is_outright() {
        true => StandingDeny::Outright,
        false => StandingDeny::Maybe,
    };
    let denies = reach.as_ref().map_or(&[][..], |reach| &reach.denies);
    denies.iter().map(strength).max().unwrap_or_default()
}

/// Takes changes in that took a Deny away, as far as no other of that kind stands at the success.
fn note_unless_denied(gone: FoundCures, standing: StandingDeny, found: &mut FoundCures) {
    for (change, naming) in gone.all() {
        match standing {
            StandingDeny::None => found.note(change, naming),
            StandingDeny::Maybe => found.note(change, CureNaming::Loosely),
            StandingDeny::Outright => {}
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

#[cfg(test)]
mod tests {
    use super::super::deeds::{ChangedLink, LeftDocument, VersionUse};
    use super::super::history::{LoggedChange, LoggedChanges};
    use super::*;
    use crate::compact::PackedEventId;

    const OWNER: &str = "111122223333:user/ann";
    const GROUP: &str = "111122223333:group/readers";

    /// Numbers that look like chance and are the same each time.
    struct Shuffled(u64);

    impl Shuffled {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }

        fn of<T: Copy>(&mut self, all: &[T]) -> T {
            all[self.below(all.len() as u64) as usize]
        }

        fn document(&mut self) -> Option<String> {
            let effect = self.of(&["Allow", "Deny"]);
            let action = self.of(&["kms:*", "kms:Decrypt", "s3:*"]);
            let keys = [key(1), key(2)];
            let resource = self.of(&["*", "arn:aws:kms:*:key/1*", &keys[0], &keys[1], "arn:aws:s3:::b"]);
            let condition = self.of(&["", "", r#","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#]);
            let text = format!(
                r#"{{"Statement":{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"{condition}}}}}"#
            );
            Some(text).filter(|_| self.below(9) > 0)
        }

        fn deed(&mut self) -> ChangeDeed {
            let owner = self.of(&[OWNER, GROUP]).to_owned();
            let policy = self.of(&["p", "q"]).to_owned();
            let link = self.of(&[ChangedLink::Begun, ChangedLink::Begun, ChangedLink::Ended]);
            match self.below(6) {
                0 => ChangeDeed::Inline { owner, policy, document: LeftDocument::Deleted },
                1 | 2 => ChangeDeed::Inline { owner, policy, document: LeftDocument::Written(self.document()) },
                3 => ChangeDeed::Attachment { owner, policy, link },
                4 => ChangeDeed::Membership { user: OWNER.to_owned(), group: GROUP.to_owned(), link },
                _ => {
                    let document = self.document();
                    ChangeDeed::Version { policy, version: None, document, link: VersionUse::Default }
                }
            }
        }
    }

    fn key(number: u64) -> String {
        format!("arn:aws:kms:eu-west-1:111122223333:key/{number}")
    }

    impl CureSearch<'_> {
        /// All paths of the principal, one by one.
        fn every_path(&self) -> Vec<PolicyPath> {
            let Some(owner) = self.owner() else { return Vec::new() };
            let places = |owner: PooledText| self.history.of_owner.get(&owner).cloned().unwrap_or_default();
            let of_place = |place: AccessPlace| match place {
                AccessPlace::Membership(_, group) => {
                    places(group).into_iter().filter_map(|of| policy_path(&[place], of)).collect()
                }
                _ => Vec::from_iter(policy_path(&[], place)),
            };
            places(owner).into_iter().flat_map(of_place).collect()
        }
    }

    #[test]
    fn the_sorted_cures_are_those_of_every_path() {
        let mut found_some = 0;
        for seed in 0..400 {
            let mut chance = Shuffled(seed * 7919);
            let (mut texts, mut logged) = (TextPool::default(), LoggedChanges::default());
            let (name, by) = (texts.put("PutUserPolicy"), texts.put("admin"));
            for number in 0..5 + chance.below(30) {
                let id = PackedEventId::of(&format!("c{number}"));
                let (time, deed) = (1_000_000 * chance.below(60) as i64, chance.deed());
                let (person, person_source, partition, content) = (None, None, "aws", number);
                logged.add(LoggedChange { time, id, content, partition, name, by, person, person_source, deed });
            }
            let history = AccessHistory::of(logged, &mut texts);
            let (owners, indexes) = (PlacesByOwner::default(), UseIndexes::default());
            let known = KnownAccess { history: &history, owners: &owners, indexes: &indexes, texts: &texts };
            for _ in 0..20 {
                let (key, actions) = (key(chance.below(3)), ["kms:Decrypt".to_owned()]);
                let asked = AskedUse {
                    principal: "arn:aws:iam::111122223333:user/ann",
                    session_arn: None,
                    key: &key,
                    actions: &actions,
                    via_service: None,
                    caller_account: None,
                    denied_by: None,
                };
                let from = chance.below(60) as i64;
                let span = CureSpan { from, success: from + 1 + chance.below(40) as i64 };
                let mut search = CureSearch::new(known, asked, span);
                search.silence.of_identity = Some(from + chance.below(20) as i64).filter(|_| chance.below(2) > 0);
                let paths = search.every_path();
                for wanted in [WantedEffect::Allow, WantedEffect::NoDeny] {
                    let (mut sorted, mut each) = (FoundCures::default(), FoundCures::default());
                    search.of_principal(wanted, &mut sorted);
                    paths.iter().for_each(|path| search.of_path(path, wanted, &mut each));
                    let (sorted, each): (Vec<_>, Vec<_>) = (sorted.all().collect(), each.all().collect());
                    assert_eq!(sorted, each, "{seed} {wanted:?} {span:?}");
                    found_some += usize::from(!each.is_empty());
                }
                let standing = paths.iter().map(|path| search.standing_deny(path)).max().unwrap_or_default();
                assert_eq!(search.standing_of_principal(), standing, "{seed} {span:?}");
            }
        }
        assert!(found_some > 1000, "{found_some}");
    }
}
