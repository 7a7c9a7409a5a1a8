//! Plays the recipes: each with a key, a principal and a time of its own, so that no story bears on another.
//! In: a recipe and the world. Out: its records, and the rows of `access_chains` that may be claimed.
//! Never decides what a recipe may claim but for the hours that its span touches.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::actors::{ACCOUNTS, ActorKind, EAST, MAIN, PLAIN, REGIONS, SWITCHED, WorldActor, WorldKey, WorldTable, iso};
use super::changes::{GrantWish, PolicyText, delegation};
use super::documents::{WorldStatement, document, percent_encoded};
use super::model::{
    CRYPTO, FIRST_SECOND, KeyNaming, KmsAnswer, KmsCall, LAST_SECOND, PlantedWorld, RecordReceipt, RefusalReason,
    hour_of,
};
use super::recipes::{
    ChainClaim, ChainRecipe, ClaimedEvidence, ORGANIZATION, RECIPES, StoryAct, StoryCure, StoryGiven,
};

/// A change that the story made, for the row that names it.
struct MadeChange {
    receipt: RecordReceipt,
    name: &'static str,
    by: WorldActor,
    /// True if the global Region logs it.
    is_global: bool,
}

/// What a run of refusals has so far.
#[derive(Default)]
struct OpenRun {
    named: Vec<RecordReceipt>,
    unnamed: Vec<RecordReceipt>,
}

struct PlayedStory<'w> {
    world: &'w mut PlantedWorld,
    recipe: &'static ChainRecipe,
    reason: &'static RefusalReason,
    subject: WorldActor,
    admin: WorldActor,
    key: WorldKey,
    statements: Vec<WorldStatement>,
    table: Option<WorldTable>,
    operation: &'static str,
    /// Names of what belongs to the story alone: its group and its policy.
    stem: String,
    grant_id: String,
    changes: Vec<MadeChange>,
    run: OpenRun,
}

pub fn play_all(world: &mut PlantedWorld) {
    for recipe in RECIPES {
        play(world, recipe);
    }
}

fn play(world: &mut PlantedWorld, recipe: &'static ChainRecipe) {
    let has = |given: StoryGiven| recipe.given.contains(&given);
    let reason = *world.dice.pick(recipe.reasons);
    // What an organization does reaches every principal of an account: each such story has an account of its own.
    let account = match recipe.name {
        "the organization's Deny is lifted" => PLAIN,
        _ if std::ptr::eq(reason, &ORGANIZATION) || has(StoryGiven::Foreigner) => MAIN,
        _ => ACCOUNTS[[0, 0, 1, 2][world.dice.below(4)]],
    };
    let region = *world.dice.pick(&REGIONS);
    let (setup, times) = plan(world, recipe);
    let mut story = begin(world, recipe, (account, region, reason), setup);
    for (act, time) in recipe.acts.iter().filter(|act| !matches!(act, StoryAct::Gap(..))).zip(times) {
        story.act(*act, time);
    }
}

/// The second of the setup, and one for each act.
fn plan(world: &mut PlantedWorld, recipe: &ChainRecipe) -> (i64, Vec<i64>) {
    loop {
        let start = world.dice.between(FIRST_SECOND + 3700, LAST_SECOND - 8 * 3600);
        if let Some(planned) = try_plan(world, recipe, start) {
            return planned;
        }
    }
}

fn try_plan(world: &mut PlantedWorld, recipe: &ChainRecipe, start: i64) -> Option<(i64, Vec<i64>)> {
    let is_free = |world: &PlantedWorld, time: i64| world.is_free(time) && world.is_free(time + 5);
    // The setup takes up to a minute.
    if !is_free(world, start) || !world.is_free(start + 90) {
        return None;
    }
    let (mut time, mut times, mut tight) = (start + 900, Vec::new(), None);
    for act in recipe.acts {
        if let StoryAct::Gap(low, high) = act {
            tight = Some((*low, *high));
            continue;
        }
        let gap = match tight.take() {
            Some((low, high)) => world.dice.between(low, high),
            None => {
                let gap =
                    if world.dice.happens(80) { world.dice.between(20, 1500) } else { world.dice.between(1500, 9000) };
                while time + gap <= LAST_SECOND && !is_free(world, time + gap) {
                    time += 60;
                }
                gap
            }
        };
        time += gap;
        if time > LAST_SECOND || !is_free(world, time) {
            return None;
        }
        times.push(time);
    }
    Some((start, times))
}

type Cast = (&'static str, &'static str, &'static RefusalReason);

fn begin<'w>(
    world: &'w mut PlantedWorld,
    recipe: &'static ChainRecipe,
    (account, region, reason): Cast,
    start: i64,
) -> PlayedStory<'w> {
    let has = |given: StoryGiven| recipe.given.contains(&given);
    let stem = world.name("story");
    let home = if has(StoryGiven::Foreigner) { PLAIN } else { account };
    let subject = subject(world, recipe, (home, &stem), start);
    let admin = match () {
        () if has(StoryGiven::ChangedByItself) => subject.clone(),
        () if has(StoryGiven::ChangedBySamePerson) => {
            let role = WorldActor::role(&mut world.dice, account, &format!("hat-{stem}"));
            world.assume_role(start, &subject, (&role, &stem))
        }
        () => world.admin(account),
    };
    let by_table = !has(StoryGiven::Directly) && (has(StoryGiven::ByTable) || world.dice.happens(40));
    let needs_decrypt = by_table || recipe.acts.contains(&StoryAct::DenyUnnamed);
    let operation = if needs_decrypt { "Decrypt" } else { *world.dice.pick(&CRYPTO) };
    let table = by_table.then(|| WorldTable::new(&world.name("table"), account, region));
    let statements = first_statements(recipe, (account, &subject, operation));
    let key = match has(StoryGiven::OldKey) {
        true => WorldKey::new(&mut world.dice, account, region),
        false => {
            let creator = world.admin(account);
            world.create_key(start + 1, &creator, (region, &statements))
        }
    };
    let (grant_id, changes, run) = (String::new(), Vec::new(), OpenRun::default());
    let mut story = PlayedStory {
        world,
        recipe,
        reason,
        subject,
        admin,
        key,
        statements,
        table,
        operation,
        stem,
        grant_id,
        changes,
        run,
    };
    story.set_up(start + 2);
    story
}

fn subject(
    world: &mut PlantedWorld,
    recipe: &ChainRecipe,
    (account, stem): (&'static str, &str),
    start: i64,
) -> WorldActor {
    let has = |given: StoryGiven| recipe.given.contains(&given);
    if has(StoryGiven::User) || !has(StoryGiven::Role) && world.dice.happens(40) {
        return WorldActor::user(&mut world.dice, account, &format!("user-{stem}"));
    }
    let path = if world.dice.happens(30) { "service/" } else { "" };
    let role = WorldActor::role(&mut world.dice, account, &format!("{path}role-{stem}"));
    if world.dice.happens(60) {
        return role.in_session(&mut world.dice, &format!("session-{stem}"), start);
    }
    let user = WorldActor::user(&mut world.dice, account, &format!("behind-{stem}"));
    world.assume_role(start, &user, (&role, &format!("session-{stem}")))
}

fn first_statements(
    recipe: &ChainRecipe,
    (account, subject, operation): (&str, &WorldActor, &str),
) -> Vec<WorldStatement> {
    let has = |given: StoryGiven| recipe.given.contains(&given);
    let keeper = format!("arn:aws:iam::{account}:role/KeyAdmin");
    let mut all = vec![WorldStatement::allow(
        "Administration",
        &keeper,
        &["kms:PutKeyPolicy", "kms:DescribeKey", "kms:CreateGrant"],
    )];
    if !has(StoryGiven::NoDelegation) {
        all.push(delegation(account));
    }
    if has(StoryGiven::Bystander) {
        let bystander = format!("arn:aws:iam::{account}:role/bystander");
        all.push(WorldStatement::allow("Bystander", &bystander, &["kms:Decrypt", "kms:Encrypt"]));
    }
    if has(StoryGiven::DenyInKeyPolicy) {
        all.push(WorldStatement::deny("Denied", &subject.principal, &[&format!("kms:{operation}")]));
    }
    all
}

impl PlayedStory<'_> {
    fn has(&self, given: StoryGiven) -> bool {
        self.recipe.given.contains(&given)
    }

    fn set_up(&mut self, start: i64) {
        let mut time = start;
        let mut next = || {
            time += 7;
            time
        };
        if let (Some(table), false) = (self.table.clone(), self.has(StoryGiven::OldKey))
            && (self.has(StoryGiven::MadeTable) || self.world.dice.happens(50))
        {
            let (who, key) = (self.admin.clone(), self.key.clone());
            let receipt = self.world.create_table(next(), &who, (&table, &key));
            self.world.book_table_key((&table, &key), (&receipt, &who), None);
        }
        for given in self.recipe.given {
            match given {
                StoryGiven::DenyInOwnPolicy => drop(
                    self.put_inline(next(), WorldStatement::deny("Never", "", &[&format!("kms:{}", self.operation)])),
                ),
                StoryGiven::Member => drop(self.group(next(), "AddUserToGroup")),
                StoryGiven::GroupAllows => drop(self.put_group_policy(next())),
                StoryGiven::Attached => {
                    self.create_policy(next(), &["dynamodb:GetItem"]);
                    self.attach(next(), None);
                }
                StoryGiven::Unattached => self.create_policy(next(), &[&format!("kms:{}", self.operation)]),
                StoryGiven::Bounded => drop(self.boundary(next(), "PutRolePermissionsBoundary")),
                StoryGiven::OrganizationDenies => self.organization_denies(next()),
                _ => {}
            }
        }
    }

    fn act(&mut self, act: StoryAct, time: i64) {
        match act {
            StoryAct::Deny => self.refuse(time, KeyNaming::Key),
            StoryAct::DenyUnnamed => self.refuse(time, KeyNaming::Nothing),
            StoryAct::Change(cure) => self.change(time, cure),
            StoryAct::Allow(claim) => self.allow(time, claim),
            StoryAct::Elsewhere => {
                let other = WorldKey::new(&mut self.world.dice, self.key.account, self.key.region);
                let who = self.subject.clone();
                self.world.use_key(KmsCall::direct(time, &who, self.operation, &other));
            }
            StoryAct::OtherOperation => {
                let other = if self.operation == "Encrypt" { "Decrypt" } else { "Encrypt" };
                let (who, key) = (self.subject.clone(), self.key.clone());
                self.world.use_key(KmsCall::direct(time, &who, other, &key));
            }
            StoryAct::OtherCaller => {
                let role = WorldActor::role(&mut self.world.dice, self.key.account, &format!("other-{}", self.stem));
                let (who, key) = (role.in_session(&mut self.world.dice, "other", time - 30), self.key.clone());
                self.world.use_key(KmsCall::direct(time, &who, self.operation, &key));
            }
            StoryAct::Gap(..) => {}
        }
    }

    fn refuse(&mut self, time: i64, naming: KeyNaming) {
        let receipt = self.call(time, KmsAnswer::Refused(self.reason, naming));
        if let (true, Some(table)) = (self.has(StoryGiven::DataEvents), self.table.clone()) {
            let wrapped = format!(
                "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: User: {} is not \
                 authorized to perform: kms:Decrypt (Service: AWSKMS; Status Code: 400; Error Code: \
                 AccessDeniedException; Request ID: {}; Proxy: null)",
                self.subject.caller_arn(),
                receipt.request_id
            );
            let who = self.subject.clone();
            self.world.get_item(time, (&who, &table), Some(("AccessDeniedException", wrapped)));
        }
        match naming {
            KeyNaming::Key => self.run.named.push(receipt),
            KeyNaming::Nothing => self.run.unnamed.push(receipt),
        }
    }

    fn call(&mut self, time: i64, answer: KmsAnswer) -> RecordReceipt {
        let (who, key, table) = (self.subject.clone(), self.key.clone(), self.table.clone());
        let call = match &table {
            Some(table) => KmsCall::of_table(time, &who, table, &key),
            None => KmsCall::direct(time, &who, self.operation, &key),
        };
        self.world.use_key(call.answered(answer))
    }

    fn allow(&mut self, time: i64, claim: ChainClaim) {
        let receipt = self.call(time, KmsAnswer::Done);
        let data_event = match (self.has(StoryGiven::DataEvents), self.table.clone()) {
            (true, Some(table)) => {
                let (who, lag) = (self.subject.clone(), self.world.dice.between(0, 2));
                Some(self.world.get_item(time + lag, (&who, &table), None).event_id)
            }
            _ => None,
        };
        let run = std::mem::take(&mut self.run);
        if let ChainClaim::Row(named, others, evidence) = claim {
            self.claim((receipt, run, data_event), named, (others, evidence));
        }
    }

    fn claim(
        &mut self,
        (allowed, run, data_event): (RecordReceipt, OpenRun, Option<String>),
        named: Option<usize>,
        (others, evidence): (&[usize], ClaimedEvidence),
    ) {
        let refusals = if run.named.is_empty() { &run.unnamed } else { &run.named };
        let (first, last) = (&refusals[0], &refusals[refusals.len() - 1]);
        let mut row = json!({
            "principal": self.subject.principal, "principal_arn": self.subject.principal, "key_arn": self.key.arn,
            "operation": self.operation, "table_name": self.table.as_ref().map(|table| &table.name),
            "denied_count": run.named.len(), "denied_unnamed": run.unnamed.len(), "first_denied": iso(first.time),
            "last_denied": iso(last.time), "denial_reason": self.reason.column, "first_allowed": iso(allowed.time),
            "denied_event_id": last.event_id, "allowed_event_id": allowed.event_id, "first_data_event_id": data_event,
            "subject_person": self.subject.person.as_ref().map(|person| &person.0),
            "subject_person_source": self.subject.person.as_ref().map(|person| person.1),
            "other_changes": others.iter().map(|at| &self.changes[*at].receipt.event_id).collect::<Vec<_>>(),
        });
        let change = named.map(|at| &self.changes[at]);
        let (is_touched, basis) = self.hours((first.time, allowed.time), change.is_some_and(|change| change.is_global));
        row["basis"] = json!(basis);
        row["change_event_id"] = json!(change.map(|change| &change.receipt.event_id));
        row["change_event_name"] = json!(change.map(|change| change.name));
        row["changed_at"] = json!(change.map(|change| iso(change.receipt.time)));
        row["changed_by"] = json!(change.map(|change| &change.by.principal));
        row["changed_by_self"] = json!(change.and_then(|change| self.is_self(&change.by)));
        row["changer_person"] = json!(change.and_then(|change| change.by.person.as_ref()).map(|person| &person.0));
        row["changer_person_source"] =
            json!(change.and_then(|change| change.by.person.as_ref()).map(|person| person.1));
        row["lag_seconds"] = json!(change.map(|change| change.receipt.time - last.time));
        match evidence {
            ClaimedEvidence::Shown if !is_touched => row["evidence"] = json!("shown"),
            ClaimedEvidence::Shown | ClaimedEvidence::Possible => row["evidence"] = json!("possible"),
            ClaimedEvidence::Unexplained => row["evidence"] = json!("unexplained"),
            ClaimedEvidence::Open => {}
        }
        if run.named.is_empty() {
            // The contract says of such a run that it gives a row, and not which refusals its times are of.
            let open = ["first_denied", "last_denied", "denied_event_id", "denial_reason", "lag_seconds"];
            row.as_object_mut().expect("a row").retain(|column, _| !open.contains(&column.as_str()));
        }
        self.world.truth.add("access_chains", row);
    }

    fn is_self(&self, by: &WorldActor) -> Option<&'static str> {
        let person = |of: &WorldActor| of.person.as_ref().map(|person| person.0.clone());
        match () {
            () if by.principal == self.subject.principal => Some("principal"),
            () if person(by).is_some() && person(by) == person(&self.subject) => Some("person"),
            () => None,
        }
    }

    /// True if an hour of the span is bad or has no basis where it bears on the claim, and the worst basis.
    fn hours(&self, (from, to): (i64, i64), is_global: bool) -> (bool, &'static str) {
        let mut lanes = BTreeSet::new();
        for account in [self.key.account, self.subject.account] {
            lanes.insert((account, self.key.region));
            if is_global {
                lanes.insert((account, EAST));
            }
        }
        let hours = hour_of(from)..=hour_of(to);
        let all: Vec<_> = lanes.iter().flat_map(|(a, r)| hours.clone().map(move |hour| (*a, *r, hour))).collect();
        let odd = &self.world.odd;
        let worst =
            ["none", "objects", "digest"].into_iter().find(|basis| all.iter().any(|lane| odd.basis(*lane) == *basis));
        let is_touched = all.iter().any(|lane| odd.is_bad(*lane)) || worst == Some("none");
        (is_touched, worst.expect("a span has an hour"))
    }

    // ------------------------------------------------------------ changes

    fn change(&mut self, time: i64, cure: StoryCure) {
        let (name, receipt) = match cure {
            StoryCure::PolicyRefused => ("PutKeyPolicy", {
                let (who, key) = (self.admin.clone(), self.key.clone());
                self.world.fail_to_change(time, &who, &key, "PutKeyPolicy")
            }),
            StoryCure::GrantSubject
            | StoryCure::GrantConstrained
            | StoryCure::GrantOther
            | StoryCure::GrantDescribe => ("CreateGrant", self.grant(time, cure)),
            StoryCure::GrantRevoke => ("RevokeGrant", {
                let (who, key, id) = (self.admin.clone(), self.key.clone(), self.grant_id.clone());
                self.world.revoke_grant(time, &who, &key, &id)
            }),
            _ => match self.put_key_policy(time, cure) {
                Some(receipt) => ("PutKeyPolicy", receipt),
                None => self.change_rights(time, cure),
            },
        };
        let is_global = !["PutKeyPolicy", "CreateGrant", "RevokeGrant"].contains(&name);
        self.changes.push(MadeChange { receipt, name, by: self.admin.clone(), is_global });
    }

    fn actions(&mut self) -> Vec<String> {
        let own = format!("kms:{}", self.operation);
        match self.world.dice.below(4) {
            0 => vec![own],
            1 => vec![own, "kms:DescribeKey".to_owned()],
            2 => vec![format!("kms:{}*", &self.operation[..2])],
            _ => vec!["kms:*".to_owned()],
        }
    }

    fn allowing(&mut self, sid: &str, principal: &str) -> WorldStatement {
        let actions = self.actions();
        WorldStatement::allow(sid, principal, &actions.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The key policy with the cure's edit, or nothing if the cure is of another kind.
    fn put_key_policy(&mut self, time: i64, cure: StoryCure) -> Option<RecordReceipt> {
        let subject = self.subject.principal.clone();
        let other = format!("arn:aws:iam::{}:role/{}-other", self.key.account, self.stem);
        let service = format!("dynamodb.{}.amazonaws.com", self.key.region);
        let added = match cure {
            StoryCure::PolicySubject | StoryCure::PolicyCut => Some(self.allowing("Subject", &subject)),
            StoryCure::PolicySubjectVia => {
                Some(self.allowing("Subject", &subject).only_if(json!({"StringEquals": {"kms:ViaService": service}})))
            }
            StoryCure::PolicySubjectAccount => Some(
                self.allowing("Subject", &subject)
                    .only_if(json!({"StringEquals": {"kms:CallerAccount": self.subject.account}})),
            ),
            StoryCure::PolicySubjectOrg => Some(
                self.allowing("Subject", &subject)
                    .only_if(json!({"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}})),
            ),
            StoryCure::PolicyEveryone => Some(self.allowing("Subject", "*")),
            StoryCure::PolicyAccount => Some(delegation(self.key.account)),
            StoryCure::PolicyOther => Some(self.allowing("Other", &other)),
            StoryCure::PolicyDescribe => {
                Some(WorldStatement::allow("Subject", &subject, &["kms:DescribeKey", "kms:ListGrants"]))
            }
            StoryCure::PolicyAddDeny => {
                Some(WorldStatement::deny("Never", &subject, &["kms:ScheduleKeyDeletion", "kms:DisableKey"]))
            }
            _ => None,
        };
        let dropped = match cure {
            StoryCure::PolicyDropDeny => "Denied",
            StoryCure::PolicyDropBystander => "Bystander",
            StoryCure::PolicyTakeBack => "Subject",
            StoryCure::PolicyReword => "none",
            _ if added.is_some() => "none",
            _ => return None,
        };
        self.statements.retain(|one| one.sid != dropped);
        self.statements.extend(added);
        let text = if cure == StoryCure::PolicyCut { PolicyText::Cut } else { PolicyText::Whole };
        let (who, key, statements) = (self.admin.clone(), self.key.clone(), self.statements.clone());
        Some(self.world.put_policy(time, &who, &key, (&statements, text)))
    }

    fn grant(&mut self, time: i64, cure: StoryCure) -> RecordReceipt {
        let other = format!("arn:aws:iam::{}:role/{}-other", self.key.account, self.stem);
        let grantee = if cure == StoryCure::GrantOther { other } else { self.subject.principal.clone() };
        let mut operations = vec!["DescribeKey"];
        if cure != StoryCure::GrantDescribe {
            operations.push(self.operation);
        }
        let mut wish = GrantWish::to(&grantee, &operations);
        if let (StoryCure::GrantConstrained, Some(table)) = (cure, &self.table) {
            (wish.constraint, wish.table) = (Some(("subset", table.context())), Some(table.clone()));
        }
        let (who, key) = (self.admin.clone(), self.key.clone());
        let (receipt, grant_id) = self.world.create_grant(time, &who, &key, wish);
        self.grant_id = grant_id;
        receipt
    }

    fn change_rights(&mut self, time: i64, cure: StoryCure) -> (&'static str, RecordReceipt) {
        let action = format!("kms:{}", self.operation);
        let key = self.key.arn.clone();
        let other_key = format!("arn:aws:kms:{}:{}:key/{}", self.key.region, self.key.account, self.world.dice.uuid());
        let is_user = self.subject.kind == ActorKind::User;
        match cure {
            StoryCure::Inline => self.put_inline(time, WorldStatement::allow("Own", "", &[&action]).on(&key)),
            StoryCure::InlineOtherKey => {
                self.put_inline(time, WorldStatement::allow("Own", "", &[&action]).on(&other_key))
            }
            StoryCure::InlineTable => {
                self.put_inline(time, WorldStatement::allow("Own", "", &["dynamodb:GetItem", "dynamodb:Query"]))
            }
            StoryCure::InlineAddDeny => {
                self.put_inline(time, WorldStatement::deny("Own", "", &["kms:ScheduleKeyDeletion"]))
            }
            StoryCure::InlineDelete => {
                let name = if is_user { "DeleteUserPolicy" } else { "DeleteRolePolicy" };
                let request = self.own(json!({"policyName": self.stem}));
                (name, self.iam(time, name, request))
            }
            StoryCure::InlineRefused => {
                let name = if is_user { "PutUserPolicy" } else { "PutRolePolicy" };
                let who = self.admin.clone();
                let receipt = self.world.fail_to_change_iam(time, &who, name);
                self.world.book_rights(&receipt, json!({"reading": "none", "allows_kms": null}));
                (name, receipt)
            }
            StoryCure::GroupJoin => self.group(time, "AddUserToGroup"),
            StoryCure::GroupLeave => self.group(time, "RemoveUserFromGroup"),
            StoryCure::GroupJoinOther => {
                let (who, request) = (self.admin.clone(), json!({"groupName": self.stem, "userName": "somebody-else"}));
                let receipt = self.world.change_iam(time, &who, ("AddUserToGroup", request), None);
                let target = format!("arn:aws:iam::{}:user/somebody-else", self.subject.account);
                self.world.book_rights(&receipt, json!({"target_kind": "user", "target": target}));
                ("AddUserToGroup", receipt)
            }
            StoryCure::GroupInline => self.put_group_policy(time),
            StoryCure::VersionDefault | StoryCure::VersionNotDefault | StoryCure::VersionUnattached => {
                self.version(time, cure)
            }
            StoryCure::Attach => self.attach(time, None),
            StoryCure::AttachUnknown => {
                self.attach(time, Some("arn:aws:iam::aws:policy/job-function/SystemAdministrator"))
            }
            StoryCure::BoundaryOff => self.boundary(time, "DeleteRolePermissionsBoundary"),
            StoryCure::OrganizationLifts => self.organization_lifts(time, self.subject.account),
            StoryCure::OrganizationLiftsOther => self.organization_lifts(time, SWITCHED),
            _ => unreachable!("a key policy or a grant"),
        }
    }

    /// A request that names the subject.
    fn own(&self, mut request: Value) -> Value {
        let member = if self.subject.kind == ActorKind::User { "userName" } else { "roleName" };
        request[member] = json!(self.subject.name);
        request
    }

    fn iam(&mut self, time: i64, name: &'static str, request: Value) -> RecordReceipt {
        let (who, subject) = (self.admin.clone(), self.subject.clone());
        self.world.change_iam(time, &who, (name, request), Some(&subject))
    }

    fn text_of(&mut self, statement: WorldStatement) -> String {
        let text = document(&[statement], &mut self.world.dice);
        if self.world.dice.happens(20) { percent_encoded(&text) } else { text }
    }

    /// The target of a change as `access_changes` has it; a role that is named without its path is left open.
    fn target(&self) -> Value {
        let kind = if self.subject.kind == ActorKind::User { "user" } else { "role" };
        let mut of = json!({"target_kind": kind});
        if !self.subject.principal.contains("/service/") {
            of["target"] = json!(self.subject.principal);
        }
        of
    }

    fn put_inline(&mut self, time: i64, statement: WorldStatement) -> (&'static str, RecordReceipt) {
        let name = if self.subject.kind == ActorKind::User { "PutUserPolicy" } else { "PutRolePolicy" };
        let is_allow = statement.effect == "Allow";
        let names_kms = statement.actions.iter().any(|action| action.starts_with("kms:"));
        let allows = if is_allow { statement.actions.clone() } else { Vec::new() };
        let text = self.text_of(statement);
        let request = self.own(json!({"policyName": self.stem, "policyDocument": text}));
        let receipt = self.iam(time, name, request);
        if names_kms {
            let mut of = self.target();
            (of["reading"], of["allows_kms"]) = (json!("whole"), json!(allows));
            self.world.book_rights(&receipt, of);
        } else {
            self.world.leave_rights_open(&receipt);
        }
        (name, receipt)
    }

    fn group(&mut self, time: i64, name: &'static str) -> (&'static str, RecordReceipt) {
        let request = self.own(json!({"groupName": self.stem}));
        let receipt = self.iam(time, name, request);
        let of = self.target();
        self.world.book_rights(&receipt, of);
        (name, receipt)
    }

    fn put_group_policy(&mut self, time: i64) -> (&'static str, RecordReceipt) {
        let (action, key) = (format!("kms:{}", self.operation), self.key.arn.clone());
        let text = self.text_of(WorldStatement::allow("Group", "", &[&action]).on(&key));
        let request = json!({"groupName": self.stem, "policyName": "read", "policyDocument": text});
        let who = self.admin.clone();
        let receipt = self.world.change_iam(time, &who, ("PutGroupPolicy", request), None);
        let group = format!("arn:aws:iam::{}:group/{}", self.subject.account, self.stem);
        self.world.book_rights(
            &receipt,
            json!({"target_kind": "group", "target": group, "reading": "whole", "allows_kms": [action]}),
        );
        ("PutGroupPolicy", receipt)
    }

    fn policy_arn(&self) -> String {
        format!("arn:aws:iam::{}:policy/{}", self.subject.account, self.stem)
    }

    fn create_policy(&mut self, time: i64, actions: &[&str]) {
        let text = self.text_of(WorldStatement::allow("Managed", "", actions));
        let who = self.admin.clone();
        let mut draft = super::model::RecordDraft::new(time, &who, ("iam", "CreatePolicy"));
        draft.request = json!({"policyName": self.stem, "policyDocument": text});
        draft.response = json!({"policy": {
            "policyName": self.stem, "arn": self.policy_arn(), "defaultVersionId": "v1", "attachmentCount": 0,
        }});
        self.world.plant(draft);
    }

    fn attach(&mut self, time: i64, arn: Option<&str>) -> (&'static str, RecordReceipt) {
        let name = if self.subject.kind == ActorKind::User { "AttachUserPolicy" } else { "AttachRolePolicy" };
        let request = self.own(json!({"policyArn": arn.map_or(self.policy_arn(), str::to_owned)}));
        let receipt = self.iam(time, name, request);
        let mut of = self.target();
        match (arn, self.has(StoryGiven::Unattached)) {
            (None, true) => of["reading"] = json!("whole"),
            _ => return (name, self.open_rights(receipt)),
        }
        self.world.book_rights(&receipt, of);
        (name, receipt)
    }

    fn open_rights(&mut self, receipt: RecordReceipt) -> RecordReceipt {
        self.world.leave_rights_open(&receipt);
        receipt
    }

    fn version(&mut self, time: i64, cure: StoryCure) -> (&'static str, RecordReceipt) {
        let action = format!("kms:{}", self.operation);
        let text = self.text_of(WorldStatement::allow("Managed", "", &[&action, "dynamodb:GetItem"]));
        let is_default = cure != StoryCure::VersionNotDefault;
        let who = self.admin.clone();
        let mut draft = super::model::RecordDraft::new(time, &who, ("iam", "CreatePolicyVersion"));
        draft.request = json!({"policyArn": self.policy_arn(), "policyDocument": text, "setAsDefault": is_default});
        draft.response = json!({"policyVersion": {"versionId": "v2", "isDefaultVersion": is_default}});
        ("CreatePolicyVersion", self.world.plant(draft))
    }

    fn boundary(&mut self, time: i64, name: &'static str) -> (&'static str, RecordReceipt) {
        let mut request = self.own(json!({}));
        if name.starts_with("Put") {
            request["permissionsBoundary"] = json!(format!("arn:aws:iam::{}:policy/limits", self.subject.account));
        }
        (name, self.iam(time, name, request))
    }

    fn organization_denies(&mut self, time: i64) {
        // Others of the account use their keys meanwhile.
        let text = self.text_of(WorldStatement::deny("NoKeys", "", &["kms:*"]).on(&self.key.arn));
        let policy = json!({"content": text, "description": "", "name": self.stem, "type": "SERVICE_CONTROL_POLICY"});
        let id = format!("p-{}", &self.stem[self.stem.len() - 6..]);
        let summary =
            json!({"policy": {"policySummary": {"id": id, "name": self.stem, "type": "SERVICE_CONTROL_POLICY"}}});
        self.organizations(time, "CreatePolicy", (policy, summary));
        let target = self.subject.account;
        self.organizations(time + 1, "AttachPolicy", (json!({"policyId": id, "targetId": target}), Value::Null));
    }

    fn organization_lifts(&mut self, time: i64, target: &str) -> (&'static str, RecordReceipt) {
        let id = format!("p-{}", &self.stem[self.stem.len() - 6..]);
        (
            "DetachPolicy",
            self.organizations(time, "DetachPolicy", (json!({"policyId": id, "targetId": target}), Value::Null)),
        )
    }

    /// The organization's own account makes and logs its changes.
    fn organizations(&mut self, time: i64, name: &'static str, (request, response): (Value, Value)) -> RecordReceipt {
        self.admin = self.world.admin(MAIN);
        let who = self.admin.clone();
        let mut draft = super::model::RecordDraft::new(time, &who, ("organizations", name));
        (draft.request, draft.response) = (request, response);
        self.world.plant(draft)
    }
}
