//! Turns one CloudTrail record into one row.
//! In: a [`Record`] over a [`json::Value`](crate::json::Value), and its origin. Out: a [`Row`] that borrows from it.
//! Never fails and never drops a record: an unreadable field becomes NULL, or text as it stands, and an issue that
//! names its JSON path. No IO, no AWS calls; of the clock it asks only which year it is.
//!
//! `members` walks a record's top level once; `identity`, `outcome`, `key` and `context` each decide one group of
//! columns from it; they fill `row`. This file owns the order in which groups are decided, and the columns that
//! are only copied.

mod again;
mod context;
mod docs;
mod filter;
mod identity;
mod key;
mod key_arn;
mod key_parameters;
mod members;
mod needs;
mod operation;
mod outcome;
mod place;
mod row;

pub use again::{StoredRow, normalize_again};
pub use docs::docs_markdown;
pub use filter::{EventFilter, is_aggregated, is_cloudtrail, passes, screens_out};
pub use members::Record;
pub use needs::{ColumnCondition, RowDemand, RowNeeds, TableNeeds};
pub use operation::OPERATIONS;
pub use place::{GLOBAL_SOURCES, account_of, is_global, region_of};
pub use row::{ColumnSet, Row};

use std::borrow::Cow;

use crate::arn::{is_account_id, is_uuid, lower_uuid};
use crate::json::{JsonKind, Value};
use crate::schema::Column;
use crate::time;
use members::{EventService, Issues, Members};
use needs::AskedColumns;

/// The version of the rules in this folder. Raise it by one with any change that gives some record another value of a
/// derived column: files of a store carry it, so that rows of earlier rules are known and can be made again.
pub const NORMALIZER: u32 = 2;

/// The accounts named around a record. Used only if the record itself names none.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountHints<'a> {
    /// The account in the object's path.
    pub account: Option<&'a str>,
    /// The account that the envelope names.
    pub envelope_account: Option<&'a str>,
}

/// One record as one row. Columns that are not wanted may stay NULL.
pub fn normalize<'a>(record: &Record<'a>, origin: &AccountHints<'a>, wanted: ColumnSet) -> Row<'a> {
    let mut row = Row::default();
    fill(&mut row, record, origin, &RowNeeds::new([TableNeeds::of_every_row(wanted)]));
    row
}

/// The columns of the caller.
const IDENTITY: ColumnSet = ColumnSet::of(&[
    Column::PrincipalType,
    Column::PrincipalId,
    Column::Principal,
    Column::PrincipalArn,
    Column::PrincipalAccountId,
    Column::SessionArn,
    Column::SessionName,
    Column::SessionCreated,
    Column::AccessKeyId,
    Column::SourceIdentity,
    Column::OnBehalfOf,
    Column::MfaAuthenticated,
    Column::InvokedBy,
    Column::CallerClass,
    Column::ViaService,
    Column::ViaSource,
    Column::ResourceTrust,
]);
/// The columns of the call's outcome.
const OUTCOME: ColumnSet = ColumnSet::of(&[
    Column::ErrorCode,
    Column::ErrorMessage,
    Column::Outcome,
    Column::DenialReason,
    Column::DenialEffect,
    Column::DeniedAction,
    Column::DeniedResource,
    Column::DenialPolicyArn,
]);
/// The columns that name the key.
const KEY: ColumnSet = ColumnSet::of(&[
    Column::KeyArn,
    Column::KeyId,
    Column::KeyAccountId,
    Column::KeyRegion,
    Column::KeyFamily,
    Column::KeySource,
    Column::SourceKeyArn,
]);
/// The other columns about that key.
const KEY_DETAILS: ColumnSet = ColumnSet::of(&[
    Column::RequestedAlias,
    Column::KeyMaterialId,
    Column::EncryptionAlgorithm,
    Column::DataKeySpec,
    Column::KeySpec,
    Column::GrantId,
    Column::GranteePrincipal,
]);
/// The columns of the resource that the key protects.
const CONTEXT: ColumnSet = ColumnSet::of(&[
    Column::EncryptionContext,
    Column::ResourceService,
    Column::ResourceType,
    Column::ResourceArn,
    Column::ResourceName,
    Column::ResourceTrust,
    Column::TableName,
    Column::TableArn,
]);
/// The columns of the service between, which a context can name if the caller does not.
const VIA: ColumnSet = ColumnSet::of(&[Column::ViaService, Column::ViaSource, Column::CallerClass]);
/// The account that this copy of the call belongs to, decided by the caller, the key and the kind of record.
const SIDE: ColumnSet = ColumnSet::of(&[Column::AccountSide]);

/// Each group with the columns that are decided from it.
const OUTCOME_READERS: ColumnSet = OUTCOME.and(KEY_READERS).and(KEY_DETAILS);
const IDENTITY_READERS: ColumnSet = IDENTITY.and(SIDE);
const KEY_READERS: ColumnSet = KEY.and(SIDE);
const KIND_READERS: ColumnSet =
    ColumnSet::of(&[Column::EventType, Column::EventCategory, Column::ManagementEvent]).and(SIDE);

/// Columns that are copied before anything is decided.
const COPIED: ColumnSet = ColumnSet::of(&[
    Column::EventId,
    Column::CallId,
    Column::EventSource,
    Column::EventName,
    Column::EventType,
    Column::EventCategory,
    Column::AwsRegion,
    Column::RecipientAccountId,
    Column::SharedEventId,
    Column::RequestId,
    Column::RevisesEventId,
    Column::VpcEndpointId,
    Column::SourceIpAddress,
    Column::OperationClass,
]);
/// Columns that are known once the outcome and the caller are decided.
const CALLED: ColumnSet = COPIED.and(OUTCOME).and(IDENTITY);

/// As [`normalize`], but fills only the columns of tables that still want the row once their conditions are known. The
/// row goes to `taker`, because a caller that is not compiled for speed would spend as much on making and dropping it
/// as on filling it.
pub fn normalize_needed(
    record: &Record<'_>,
    origin: &AccountHints<'_>,
    needs: &RowNeeds,
    taker: &mut dyn FnMut(&Row<'_>, RowDemand),
) {
    let mut row = Row::default();
    let demand = fill(&mut row, record, origin, needs);
    taker(&row, demand);
}

fn fill<'a>(row: &mut Row<'a>, record: &Record<'a>, origin: &AccountHints<'a>, needs: &RowNeeds) -> RowDemand {
    let Record { value, members } = record;
    let wanted = needs.columns();
    let mut issues = Issues::new(&wanted);
    let all = &mut issues;

    name_event(row, record, &wanted, all);
    place_event(row, members, origin, all);
    copy_flags(row, members, &wanted, all);
    copy_request(row, members, &wanted, all);
    let service = EventService::of(row.event_source.as_deref());
    if service.is_kms() {
        classify_kms_event(row);
    }
    let Some(AskedColumns { columns: wanted, .. }) = needs.of_row(row, COPIED) else { return RowDemand::Unwanted };
    if wanted.has_any(OUTCOME_READERS) {
        decide_outcome(row, members, service, all);
    }
    let wants_context = wanted.has_any(CONTEXT) || wanted.has_any(VIA) && identity::is_by_unnamed_service(row, members);
    let context_service = wants_context.then(|| context::fill(row, members, service, all)).flatten();
    if wanted.has_any(IDENTITY_READERS) {
        identity::fill(row, members, context_service, all);
        context::judge_trust(row);
    }
    let Some(AskedColumns { columns: wanted, demand }) = needs.of_row(row, CALLED) else { return RowDemand::Unwanted };
    if wanted.has_any(KEY_READERS) {
        key::fill(row, members, service);
    }
    if wanted.has_any(SIDE) {
        row.account_side = account_side(row, members).map(Cow::Borrowed);
    }
    if wanted.has_any(KEY_DETAILS) {
        key::fill_details(row, members, service, all);
    }
    copy_json(row, members, &wanted, all);
    if wanted.has(Column::Raw) {
        row.raw = value.raw_text();
        if matches!(row.raw, Cow::Owned(_)) {
            all.add("$", "not UTF-8");
        }
    }
    row.issues = issues.into_found();
    demand
}

fn name_event<'a>(row: &mut Row<'a>, record: &Record<'a>, wanted: &ColumnSet, issues: &mut Issues) {
    let members = &record.members;
    let present = members.event_id().filter(|id| !id.is_null());
    let id = present.and_then(Value::text).filter(|id| !id.is_empty());
    row.event_id = match id {
        Some(id) => {
            if issues.are_wanted() && !is_uuid(&id) {
                issues.add("eventID", "not a UUID");
            }
            lower_uuid(id)
        }
        None => {
            let is_text = present.is_none_or(|id| id.kind() == JsonKind::String);
            issues.add("eventID", if is_text { "missing" } else { "not text" });
            let [high, low] = record.value.canonical_hashes([0, 1]);
            Cow::Owned(format!("synthetic-{high:016x}{low:016x}"))
        }
    };
    row.event_source = issues.text(members.event_source(), "eventSource");
    row.event_name = issues.text(members.event_name(), "eventName");
    if wanted.has(Column::SharedEventId) || wanted.has(Column::CallId) {
        row.shared_event_id = issues.text(members.shared_event_id(), "sharedEventID").map(lower_uuid);
        row.call_id = Some(row.shared_event_id.as_ref().unwrap_or(&row.event_id).clone());
    }
    if wanted.has_any(KIND_READERS) {
        row.event_type = issues.text(members.event_type(), "eventType");
        row.event_category = issues.text(members.event_category(), "eventCategory");
    }
    if wanted.has(Column::EventVersion) {
        row.event_version = issues.text(members.event_version(), "eventVersion");
    }
}

/// Fills the time and the place of the event.
fn place_event<'a>(row: &mut Row<'a>, members: &Members<'a>, origin: &AccountHints<'a>, issues: &mut Issues) {
    match members.event_time().filter(|time| !time.is_null() && time.raw() != b"\"\"") {
        Some(_) => row.event_time = issues.time(members.event_time(), "eventTime"),
        None => issues.add("eventTime", "missing"),
    }
    row.event_date = row.event_time.and_then(time::event_day);
    row.aws_region = issues.text(members.aws_region(), "awsRegion");
    row.recipient_account_id = issues.text(members.recipient_account_id(), "recipientAccountId");
    if let Some(account) = &row.recipient_account_id {
        if !is_account_id(account) {
            issues.add("recipientAccountId", "not an account id");
        }
        return;
    }
    let (account, what) = match (origin.envelope_account, origin.account) {
        (Some(account), _) => (Some(account), "missing, taken from the envelope"),
        (None, Some(account)) => (Some(account), "missing, taken from the path"),
        (None, None) => (None, "missing"),
    };
    issues.add("recipientAccountId", what);
    row.recipient_account_id = account.map(Cow::Borrowed);
}

fn copy_flags<'a>(row: &mut Row<'a>, members: &Members<'a>, wanted: &ColumnSet, issues: &mut Issues) {
    let mut flag = |column, value, path| wanted.has(column).then(|| issues.boolean(value, path)).flatten();
    row.read_only = flag(Column::ReadOnly, members.read_only(), "readOnly");
    row.management_event = flag(Column::ManagementEvent, members.management_event(), "managementEvent");
}

/// Fills the columns of the request.
fn copy_request<'a>(row: &mut Row<'a>, members: &Members<'a>, wanted: &ColumnSet, issues: &mut Issues) {
    let mut text = |column, value, path| wanted.has(column).then(|| issues.text(value, path)).flatten();
    row.request_id = text(Column::RequestId, members.request_id(), "requestID");
    row.vpc_endpoint_id = text(Column::VpcEndpointId, members.vpc_endpoint_id(), "vpcEndpointId");
    let tls_version = members.tls_details().and_then(|details| details.get("tlsVersion"));
    row.tls_version = text(Column::TlsVersion, tls_version, "tlsDetails.tlsVersion");
    let original = members.addendum().and_then(|addendum| addendum.get("originalEventID"));
    row.revises_event_id = text(Column::RevisesEventId, original, "addendum.originalEventID").map(lower_uuid);
    row.user_agent = text(Column::UserAgent, members.user_agent(), "userAgent");
    row.source_ip_address = issues.text(members.source_ip_address(), "sourceIPAddress");
}

fn copy_json<'a>(row: &mut Row<'a>, members: &Members<'a>, wanted: &ColumnSet, issues: &mut Issues) {
    let mut json = |column, value, path, kind| wanted.has(column).then(|| issues.json(value, path, kind)).flatten();
    let object = JsonKind::Object;
    row.request_parameters = json(Column::RequestParameters, members.request_parameters(), "requestParameters", object);
    row.response_elements = json(Column::ResponseElements, members.response_elements(), "responseElements", object);
    row.additional_event_data =
        json(Column::AdditionalEventData, members.additional_event_data(), "additionalEventData", object);
    row.service_event_details =
        json(Column::ServiceEventDetails, members.service_event_details(), "serviceEventDetails", object);
    row.resources = json(Column::Resources, members.resources(), "resources", JsonKind::Array);
}

/// All KMS events are management events, and old versions of the format do not say so; the thinner records of
/// VPC endpoints are of another category.
fn classify_kms_event(row: &mut Row<'_>) {
    row.operation_class = row.event_name.as_deref().map(|name| Cow::Borrowed(operation::class(name)));
    if !is_network_activity(row) {
        row.event_category.get_or_insert(Cow::Borrowed("Management"));
        row.management_event.get_or_insert(true);
    }
}

/// True if this is the record of a VPC endpoint.
fn is_network_activity(row: &Row<'_>) -> bool {
    row.event_type.as_deref() == Some("AwsVpceEvent") || row.event_category.as_deref() == Some("NetworkActivity")
}

fn decide_outcome<'a>(row: &mut Row<'a>, members: &Members<'a>, service: EventService, issues: &mut Issues) {
    row.error_code = issues.text(members.error_code(), "errorCode");
    row.error_message = issues.text(members.error_message(), "errorMessage");
    let (code, message) = (row.error_code.as_deref(), row.error_message.as_deref());
    let may_speak_for_kms = code.is_some() && !service.is_kms();
    let wrapped = message.filter(|_| may_speak_for_kms).and_then(outcome::WrappedError::of);
    let outcome = match wrapped {
        Some(wrapped) if wrapped.outcome != outcome::Outcome::OTHER_ERROR => wrapped.outcome,
        _ => outcome::Outcome::of(code, message),
    };
    row.outcome = Some(Cow::Borrowed(outcome.name()));
    if outcome != outcome::Outcome::DENIED {
        return;
    }
    let message = wrapped.map(|wrapped| wrapped.message).or(message.map(outcome::ErrorText::of));
    let denial = outcome::Denial::of(code, message);
    let owned = |text: Option<&str>| text.map(|text| Cow::Owned(text.to_owned()));
    let (action, resource, policy) = (owned(denial.action), owned(denial.resource), owned(denial.policy_arn));
    row.denial_reason = Some(Cow::Borrowed(denial.reason));
    row.denial_effect = denial.effect.map(Cow::Borrowed);
    row.denied_action = action;
    row.denied_resource = resource;
    row.denial_policy_arn = policy;
}

/// The account that got this copy of a call: `caller`, `owner`, or `same` if all is in one account.
fn account_side(row: &Row<'_>, members: &Members<'_>) -> Option<&'static str> {
    let owners = key::owner_accounts(row, members);
    let Some(caller) = row.principal_account_id.as_deref().filter(|account| is_account_id(account)) else {
        return Some("same");
    };
    if owners.iter().all(Option::is_none) {
        return side_by_recipient(row, caller);
    }
    if owners.iter().flatten().all(|owner| *owner == caller) {
        return Some("same");
    }
    let recipient = row.recipient_account_id.as_deref()?;
    if recipient == caller {
        Some("caller")
    } else {
        owners.iter().flatten().any(|owner| *owner == recipient).then_some("owner")
    }
}

/// The side of a copy that names no owner, as refusals do.
fn side_by_recipient(row: &Row<'_>, caller: &str) -> Option<&'static str> {
    let recipient = row.recipient_account_id.as_deref().filter(|account| is_account_id(account));
    if recipient.is_none_or(|recipient| recipient == caller) {
        return Some("same");
    }
    // AWS calls a stranger `AWSAccount` in the owner's copy. A VPC endpoint's record goes to the endpoint's account,
    // which need not own anything that the call was about.
    let is_stranger = row.principal_type.as_deref() == Some("AWSAccount");
    (is_stranger && !is_network_activity(row)).then_some("owner")
}
