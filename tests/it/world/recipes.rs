//! The stories of refusals that the world tells: what somebody tried, what was changed, and what may be claimed of it.
//! In: nothing. Out: a list of recipes, each with the claim that the contract allows, and near-misses without one.
//! Never says when or who: `chains` plays a recipe at some time with some names.

use super::model::RefusalReason;

const fn reason(column: &'static str, effect: Option<&'static str>, clause: &'static str) -> RefusalReason {
    RefusalReason { column, effect, clause }
}

pub static IDENTITY: RefusalReason =
    reason("identity_policy", Some("implicit"), "because no identity-based policy allows the {} action");
pub static RESOURCE: RefusalReason =
    reason("resource_policy", Some("implicit"), "because no resource-based policy allows the {} action");
pub static IDENTITY_DENY: RefusalReason =
    reason("identity_policy", Some("explicit"), "with an explicit deny in an identity-based policy");
pub static RESOURCE_DENY: RefusalReason =
    reason("resource_policy", Some("explicit"), "with an explicit deny in a resource-based policy");
pub static ORGANIZATION: RefusalReason =
    reason("scp", Some("explicit"), "with an explicit deny in a service control policy");
pub static BOUNDARY: RefusalReason =
    reason("permissions_boundary", Some("implicit"), "because no permissions boundary allows the {} action");
pub static SESSION: RefusalReason =
    reason("session_policy", Some("implicit"), "because no session policy allows the {} action");
pub static BARE: RefusalReason = reason("unspecified", None, "");
pub static CAUSES: RefusalReason = reason(
    "resource_policy_or_missing",
    None,
    "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based \
     policy explicitly denies access",
);
pub static WORDS: RefusalReason = reason("unparsed", None, "");

/// A fact before the first refusal, or about who plays.
#[derive(Clone, Copy, PartialEq)]
pub enum StoryGiven {
    /// The key is older than the logs: nobody knows its policy.
    OldKey,
    /// The key's policy does not let the account's own policies decide.
    NoDelegation,
    DenyInKeyPolicy,
    DenyInOwnPolicy,
    /// The key's policy has a statement for a role that has nothing to do with the story.
    Bystander,
    Member,
    GroupAllows,
    /// A policy of their own without KMS is attached, with its text in the logs.
    Attached,
    /// A policy that allows is in the logs, attached to nobody.
    Unattached,
    Bounded,
    OrganizationDenies,
    User,
    Role,
    Foreigner,
    /// By way of DynamoDB.
    ByTable,
    Directly,
    ChangedByItself,
    /// The user, as a role, changes it.
    ChangedBySamePerson,
    /// DynamoDB's data events are logged.
    DataEvents,
    /// The table's creation under the key is in the logs.
    MadeTable,
}

#[derive(Clone, Copy, PartialEq)]
pub enum StoryAct {
    Deny,
    /// Refused without the key's name.
    DenyUnnamed,
    /// The next act follows after so many seconds.
    Gap(i64, i64),
    Change(StoryCure),
    Allow(ChainClaim),
    /// Success on a key that is not the story's.
    Elsewhere,
    OtherOperation,
    OtherCaller,
}

#[derive(Clone, Copy, PartialEq)]
pub enum StoryCure {
    PolicySubject,
    /// For calls by way of the service only, and the call is.
    PolicySubjectVia,
    /// For callers of the account, and the caller is.
    PolicySubjectAccount,
    PolicySubjectOrg,
    PolicyEveryone,
    PolicyAccount,
    PolicyOther,
    PolicyDescribe,
    PolicyAddDeny,
    PolicyDropDeny,
    PolicyDropBystander,
    PolicyReword,
    PolicyCut,
    PolicyTakeBack,
    PolicyRefused,
    GrantSubject,
    GrantConstrained,
    GrantOther,
    GrantDescribe,
    GrantRevoke,
    Inline,
    InlineOtherKey,
    InlineTable,
    InlineDelete,
    InlineAddDeny,
    InlineRefused,
    GroupJoin,
    GroupLeave,
    GroupInline,
    GroupJoinOther,
    VersionDefault,
    VersionNotDefault,
    VersionUnattached,
    Attach,
    AttachUnknown,
    BoundaryOff,
    OrganizationLifts,
    OrganizationLiftsOther,
}

#[derive(Clone, Copy, PartialEq)]
pub enum ChainClaim {
    Nothing,
    /// The place of the named change among the story's changes, those of the others that stand beside it, and what is
    /// claimed where no hour of the logs is bad.
    Row(Option<usize>, &'static [usize], ClaimedEvidence),
}

#[derive(Clone, Copy, PartialEq)]
pub enum ClaimedEvidence {
    Shown,
    Possible,
    Unexplained,
    /// The contract does not say.
    Open,
}

pub struct ChainRecipe {
    pub name: &'static str,
    pub reasons: &'static [&'static RefusalReason],
    pub given: &'static [StoryGiven],
    pub acts: &'static [StoryAct],
}

use ChainClaim::{Nothing, Row};
use ClaimedEvidence::{Open, Possible, Shown, Unexplained};
use StoryAct::{Allow, Change, Deny, DenyUnnamed, Elsewhere, Gap, OtherCaller, OtherOperation};
use StoryCure::*;
use StoryGiven::*;

const NONE: ChainClaim = Row(None, &[], Unexplained);
const FIRST_SHOWN: ChainClaim = Row(Some(0), &[], Shown);
const FIRST_POSSIBLE: ChainClaim = Row(Some(0), &[], Possible);

static IMPLICIT: &[&RefusalReason] = &[&IDENTITY, &RESOURCE];

const fn recipe(
    name: &'static str,
    reasons: &'static [&'static RefusalReason],
    given: &'static [StoryGiven],
    acts: &'static [StoryAct],
) -> ChainRecipe {
    ChainRecipe { name, reasons, given, acts }
}

/// One change that is not between the refusals.
macro_rules! once {
    ($name:literal, $reasons:expr, $given:expr, $cure:expr, $claim:expr) => {
        recipe($name, $reasons, $given, &[Deny, Deny, Change($cure), Allow($claim)])
    };
}

pub static RECIPES: &[ChainRecipe] = &[
    // Changes that cure.
    once!("the key policy names the principal", IMPLICIT, &[], PolicySubject, FIRST_SHOWN),
    once!("the first known key policy names the principal", IMPLICIT, &[OldKey], PolicySubject, FIRST_SHOWN),
    once!(
        "the key policy names the principal for calls by DynamoDB",
        IMPLICIT,
        &[ByTable],
        PolicySubjectVia,
        FIRST_SHOWN
    ),
    once!("the key policy names it for its account", IMPLICIT, &[], PolicySubjectAccount, FIRST_SHOWN),
    once!(
        "the key policy names it for calls by DynamoDB only",
        IMPLICIT,
        &[Directly],
        PolicySubjectVia,
        FIRST_POSSIBLE
    ),
    once!(
        "the key policy names the principal under another condition",
        IMPLICIT,
        &[],
        PolicySubjectOrg,
        FIRST_POSSIBLE
    ),
    once!("the key policy names everybody", IMPLICIT, &[], PolicyEveryone, FIRST_POSSIBLE),
    once!("the key policy lets the account decide", &[&RESOURCE], &[NoDelegation], PolicyAccount, FIRST_POSSIBLE),
    once!("a grant for the principal", IMPLICIT, &[], GrantSubject, FIRST_SHOWN),
    once!("a grant for the principal with a context", IMPLICIT, &[ByTable], GrantConstrained, FIRST_POSSIBLE),
    once!("an own inline policy, the first that is known", IMPLICIT, &[], Inline, FIRST_SHOWN),
    once!("an own inline policy, and nobody knows the key policy", IMPLICIT, &[OldKey], Inline, FIRST_POSSIBLE),
    once!(
        "an own inline policy, and the key policy does not delegate",
        &[&IDENTITY],
        &[NoDelegation],
        Inline,
        FIRST_POSSIBLE
    ),
    once!("a group that allows", &[&IDENTITY], &[User, GroupAllows], GroupJoin, FIRST_POSSIBLE),
    once!("the group's own policy", &[&IDENTITY], &[User, Member], GroupInline, FIRST_POSSIBLE),
    once!("a version of an attached policy", &[&IDENTITY], &[Attached], VersionDefault, FIRST_POSSIBLE),
    once!("a policy is attached that allows", &[&IDENTITY], &[Unattached], Attach, Row(Some(0), &[], Open)),
    once!("the key policy's Deny is gone", &[&RESOURCE_DENY], &[DenyInKeyPolicy], PolicyDropDeny, FIRST_SHOWN),
    once!("the own policy's Deny is gone", &[&IDENTITY_DENY], &[DenyInOwnPolicy], InlineDelete, FIRST_SHOWN),
    once!(
        "the organization's Deny is lifted",
        &[&ORGANIZATION],
        &[OrganizationDenies],
        OrganizationLifts,
        FIRST_POSSIBLE
    ),
    once!("the boundary is taken off", &[&BOUNDARY], &[Bounded, Role], BoundaryOff, Row(Some(0), &[], Open)),
    once!(
        "the other account's key policy names the role",
        &[&CAUSES],
        &[Foreigner, Role, Directly],
        PolicySubject,
        FIRST_POSSIBLE
    ),
    once!("no reason is named", &[&BARE], &[], PolicySubject, FIRST_POSSIBLE),
    once!("the reason cannot be read", &[&WORDS], &[], PolicySubject, FIRST_POSSIBLE),
    once!("the principal changes it itself", IMPLICIT, &[ChangedByItself], PolicySubject, FIRST_SHOWN),
    once!("the same person changes it as a role", IMPLICIT, &[User, ChangedBySamePerson], PolicySubject, FIRST_SHOWN),
    // More than one change, more than one run.
    recipe(
        "two changes",
        IMPLICIT,
        &[],
        &[Deny, Change(GrantSubject), Change(PolicySubject), Allow(Row(Some(1), &[0], Shown))],
    ),
    recipe(
        "IAM and the key policy",
        &[&IDENTITY],
        &[],
        &[Deny, Deny, Change(Inline), Change(PolicySubject), Allow(Row(Some(1), &[0], Shown))],
    ),
    recipe(
        "one shortly before the last refusal and one after",
        IMPLICIT,
        &[],
        &[Deny, Change(GrantSubject), Gap(20, 200), Deny, Change(PolicySubject), Allow(Row(Some(1), &[0], Shown))],
    ),
    recipe(
        "shortly before the last refusal",
        IMPLICIT,
        &[],
        &[Deny, Change(PolicySubject), Gap(5, 290), Deny, Allow(FIRST_POSSIBLE)],
    ),
    recipe(
        "two runs",
        IMPLICIT,
        &[],
        &[
            Deny,
            Change(GrantSubject),
            Allow(FIRST_SHOWN),
            Change(GrantRevoke),
            Gap(400, 900),
            Deny,
            Deny,
            Change(PolicySubject),
            Allow(Row(Some(2), &[], Shown)),
            Allow(Nothing),
        ],
    ),
    recipe(
        "refusals without the key's name between",
        IMPLICIT,
        &[],
        &[Deny, DenyUnnamed, DenyUnnamed, Deny, Change(PolicySubject), Allow(FIRST_SHOWN)],
    ),
    recipe(
        "another change that does not count stands between",
        IMPLICIT,
        &[Bystander],
        &[
            Deny,
            Change(PolicyDropBystander),
            Change(PolicySubject),
            Change(GrantOther),
            Allow(Row(Some(1), &[], Shown)),
        ],
    ),
    recipe(
        "only refusals without the key's name, and DynamoDB names a table of one key",
        IMPLICIT,
        &[ByTable, MadeTable, DataEvents],
        &[DenyUnnamed, DenyUnnamed, Change(PolicySubject), Allow(FIRST_POSSIBLE)],
    ),
    recipe("data events", IMPLICIT, &[ByTable, DataEvents], &[Deny, Deny, Change(PolicySubject), Allow(FIRST_SHOWN)]),
    recipe(
        "many refusals",
        IMPLICIT,
        &[],
        &[
            Deny,
            Deny,
            Deny,
            Deny,
            Deny,
            Deny,
            Deny,
            OtherCaller,
            Deny,
            Deny,
            Change(PolicySubject),
            Gap(2, 900),
            Allow(FIRST_SHOWN),
        ],
    ),
    // Near-misses: the run ends, and nothing explains it.
    once!("another principal", IMPLICIT, &[], PolicyOther, NONE),
    once!("a grant for another principal", IMPLICIT, &[], GrantOther, NONE),
    once!("a failed change of the key policy", IMPLICIT, &[], PolicyRefused, NONE),
    once!("a failed change of IAM", IMPLICIT, &[], InlineRefused, NONE),
    once!("a change that only removes", IMPLICIT, &[Bystander], PolicyDropBystander, NONE),
    once!("a change that only rewords", IMPLICIT, &[Bystander], PolicyReword, NONE),
    once!("an unrelated action", IMPLICIT, &[], PolicyDescribe, NONE),
    once!("a grant of an unrelated operation", IMPLICIT, &[], GrantDescribe, NONE),
    once!("an inline policy for another key", IMPLICIT, &[], InlineOtherKey, NONE),
    once!("an inline policy for the table", IMPLICIT, &[], InlineTable, NONE),
    once!("an added Deny", IMPLICIT, &[], PolicyAddDeny, NONE),
    once!("an added Deny of IAM", IMPLICIT, &[], InlineAddDeny, NONE),
    once!("a cut policy", IMPLICIT, &[], PolicyCut, NONE),
    once!("another user joins the group", &[&IDENTITY], &[User, GroupAllows], GroupJoinOther, NONE),
    once!("a version that is not the default", &[&IDENTITY], &[Attached], VersionNotDefault, NONE),
    once!("a version of a policy that nobody has", &[&IDENTITY], &[Unattached], VersionUnattached, NONE),
    once!("a policy is attached whose text is not here", &[&IDENTITY], &[], AttachUnknown, NONE),
    once!("an Allow does not cure a Deny of the key policy", &[&RESOURCE_DENY], &[], PolicySubject, NONE),
    once!("the key policy's Deny does not explain IAM's", &[&IDENTITY_DENY], &[DenyInKeyPolicy], PolicyDropDeny, NONE),
    once!("IAM's Deny does not explain the key policy's", &[&RESOURCE_DENY], &[DenyInOwnPolicy], InlineDelete, NONE),
    once!("a key policy does not lift an organization's Deny", &[&ORGANIZATION], &[], PolicySubject, NONE),
    once!("a key policy is no session policy", &[&SESSION], &[Role], PolicySubject, NONE),
    once!("the organization lifts it for another account", &[&ORGANIZATION], &[], OrganizationLiftsOther, NONE),
    recipe(
        "long before the last refusal",
        IMPLICIT,
        &[],
        &[Deny, Change(PolicySubject), Gap(301, 1500), Deny, Allow(NONE)],
    ),
    recipe("before the first refusal", IMPLICIT, &[], &[Change(PolicySubject), Gap(400, 1500), Deny, Allow(NONE)]),
    recipe("in the second of the success", IMPLICIT, &[], &[Deny, Deny, Change(PolicySubject), Gap(0, 0), Allow(NONE)]),
    recipe(
        "a grant in the second of the success",
        IMPLICIT,
        &[],
        &[Deny, Change(GrantSubject), Gap(0, 0), Allow(NONE)],
    ),
    recipe("a revoked grant", IMPLICIT, &[], &[Deny, Change(GrantSubject), Change(GrantRevoke), Allow(NONE)]),
    recipe(
        "a policy that was taken back",
        IMPLICIT,
        &[],
        &[Deny, Change(PolicySubject), Change(PolicyTakeBack), Allow(NONE)],
    ),
    recipe(
        "an inline policy that was deleted",
        IMPLICIT,
        &[],
        &[Deny, Change(Inline), Change(InlineDelete), Allow(NONE)],
    ),
    recipe(
        "a member who left",
        &[&IDENTITY],
        &[User, GroupAllows],
        &[Deny, Change(GroupJoin), Change(GroupLeave), Allow(NONE)],
    ),
    recipe("after the success", IMPLICIT, &[], &[Deny, Allow(NONE), Change(PolicySubject), Allow(Nothing)]),
    recipe("no change at all", &[&IDENTITY, &RESOURCE, &BARE, &SESSION], &[], &[Deny, Deny, Allow(NONE)]),
    // Near-misses: there is no run that ends.
    recipe("success on another key", IMPLICIT, &[Directly], &[Deny, Deny, Change(PolicySubject), Elsewhere]),
    recipe("success at another operation", IMPLICIT, &[Directly], &[Deny, Change(PolicySubject), OtherOperation]),
    recipe("success of another principal", IMPLICIT, &[], &[Deny, Change(PolicySubject), OtherCaller]),
    recipe("success before the refusal", IMPLICIT, &[], &[Change(PolicySubject), Allow(Nothing), Deny]),
    recipe(
        "only refusals without the key's name",
        IMPLICIT,
        &[Directly],
        &[DenyUnnamed, DenyUnnamed, Change(PolicySubject), Allow(Nothing)],
    ),
];
