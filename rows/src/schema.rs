//! THE list of columns of the table `events`: name, type, meaning and origin of each.
//! In: nothing. Out: the [`Column`] enum, its [`ColumnSpec`]s, the Arrow schema, and the page that documents them.
//! Never computes a value; that is `normalize`.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// The type of a column of `events`; every column may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Text,
    Timestamp,
    Date,
    Bool,
    Int,
    Map,
    TextList,
}

impl ColumnType {
    /// The name of the type in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Timestamp => "timestamp",
            ColumnType::Date => "date",
            ColumnType::Bool => "bool",
            ColumnType::Int => "int",
            ColumnType::Map => "map",
            ColumnType::TextList => "list(text)",
        }
    }

    /// The type in Arrow. Timestamps are microseconds since 1970 in UTC, dates are days since 1970. A map is from text
    /// to text, its keys in the order of their appending.
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnType::Date => DataType::Date32,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Int => DataType::Int64,
            ColumnType::Map => {
                let entry = Fields::from(vec![
                    Field::new("keys", DataType::Utf8, false),
                    Field::new("values", DataType::Utf8, true),
                ]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
            }
            ColumnType::TextList => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }
}

/// A column of `events` as the schema, the normalizer's tests and `docs/schema.md` know it.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSpec {
    /// The name in SQL: AWS's own in snake case, or the content of a derived column.
    pub name: &'static str,
    pub ty: ColumnType,
    /// The JSON path in the record, or `derived`.
    pub source: &'static str,
    /// The sentence of the documentation, without a capital and a full stop.
    pub meaning: &'static str,
}

macro_rules! columns {
    ($($column:ident $name:literal $ty:ident $source:literal $meaning:literal;)*) => {
        /// A column of `events`; the discriminant is its place in [`COLUMNS`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Column {
            $(#[doc = $meaning] $column,)*
        }

        /// Every column, in the order of the schema.
        pub const COLUMNS: &[ColumnSpec] = &[$(ColumnSpec {
            name: $name,
            ty: ColumnType::$ty,
            source: $source,
            meaning: $meaning,
        },)*];

        const IN_ORDER: &[Column] = &[$(Column::$column,)*];
    };
}

columns! {
    EventId "event_id" Text "eventID" "the event; UUIDs in lower case; `synthetic-…`, a hash of the content, when absent";
    CallId "call_id" Text "derived" "`shared_event_id`, else `event_id`: both accounts' copies of one call share it";
    AccountSide "account_side" Text "derived" "`same`, `caller`, `owner`: whose copy of a cross-account call this is; NULL when it is a third account's or an endpoint's that names no owner";
    EventTime "event_time" Timestamp "eventTime" "when; a leap second is the last microsecond of its minute";
    EventDate "event_date" Date "eventTime" "the UTC day; NULL when absent or outside 2013 to next year";
    EventSource "event_source" Text "eventSource" "the service that was called";
    EventName "event_name" Text "eventName" "the operation";
    EventType "event_type" Text "eventType" "`AwsApiCall`, `AwsServiceEvent`, `AwsVpceEvent` …";
    EventCategory "event_category" Text "eventCategory" "`Management`, `Data`, `NetworkActivity` …; where an old KMS record says nothing: `Management`";
    EventVersion "event_version" Text "eventVersion" "of the record format";
    AwsRegion "aws_region" Text "awsRegion" "the Region of the call";
    RecipientAccountId "recipient_account_id" Text "recipientAccountId" "the account whose copy this is; else from the envelope or the path, then named in `issues`";
    ReadOnly "read_only" Bool "readOnly" "as AWS; true for `Decrypt`";
    ManagementEvent "management_event" Bool "managementEvent" "as AWS; where an old KMS record says nothing: true";
    RequestId "request_id" Text "requestID" "the request";
    SharedEventId "shared_event_id" Text "sharedEventID" "the same in all accounts' copies of one call";
    VpcEndpointId "vpc_endpoint_id" Text "vpcEndpointId" "the VPC endpoint of the call";
    TlsVersion "tls_version" Text "tlsDetails.tlsVersion" "absent on calls that a service made";
    RevisesEventId "revises_event_id" Text "addendum.originalEventID" "the event that this one corrects";
    SourceIpAddress "source_ip_address" Text "sourceIPAddress" "an address, or the name of a service";
    UserAgent "user_agent" Text "userAgent" "as the client wrote it, or the name of a service";
    PrincipalType "principal_type" Text "userIdentity.type" "the kind of identity";
    PrincipalId "principal_id" Text "userIdentity.principalId" "the unique id, for a role session with its name";
    Principal "principal" Text "derived" "never NULL, the stable identity: the ARN of the role, user or root; else `service:`, `account:ACCOUNT/ID`, `federated:ISSUER-ARN/NAME`, `idc:STORE/USER`, `saml:`, `web:`, `unknown:` …";
    PrincipalArn "principal_arn" Text "derived" "the same where it is an ARN; never the root ARN unless the caller is root";
    PrincipalAccountId "principal_account_id" Text "userIdentity.accountId" "the account of that identity";
    SessionArn "session_arn" Text "userIdentity.arn" "the ARN of the session, of assumed roles and federated users";
    SessionName "session_name" Text "userIdentity.arn" "the name that the session was given";
    SessionCreated "session_created" Timestamp "userIdentity.sessionContext.attributes.creationDate" "when the session began";
    AccessKeyId "access_key_id" Text "userIdentity.accessKeyId" "the access key";
    SourceIdentity "source_identity" Text "userIdentity.sessionContext.sourceIdentity" "who is behind the session, if whoever began it had to say";
    OnBehalfOf "on_behalf_of" Text "userIdentity.onBehalfOf" "the Identity Center user behind the session, `idc:STORE/USER`";
    MfaAuthenticated "mfa_authenticated" Bool "userIdentity.sessionContext.attributes.mfaAuthenticated" "NULL for role sessions unless true";
    InvokedBy "invoked_by" Text "userIdentity.invokedBy" "the service that called, as logged";
    CallerClass "caller_class" Text "derived" "`direct` (the principal called), `forwarded` (a service called with the principal's identity), `service` (the service itself), `unknown`";
    ViaService "via_service" Text "derived" "the service of a forwarded or service call, short: `dynamodb`, `s3`, `ssm`";
    ViaSource "via_source" Text "derived" "what says so: `invoked_by`, `source_ip`, or `context` (only where `invoked_by`, or without it the source address, is `AWS Internal`)";
    ErrorCode "error_code" Text "errorCode" "as AWS";
    ErrorMessage "error_message" Text "errorMessage" "as AWS, who cuts it at 1 KB";
    Outcome "outcome" Text "derived" "the class of the error, see Outcomes";
    DenialReason "denial_reason" Text "errorMessage" "only when denied: the kind of policy that decided, see Denials";
    DenialEffect "denial_effect" Text "errorMessage" "`implicit` (nothing allows it), `explicit` (something denies it), NULL when not said";
    DeniedAction "denied_action" Text "errorMessage" "the action that was refused";
    DeniedResource "denied_resource" Text "errorMessage" "the resource it was refused on; NULL where the message names none";
    DenialPolicyArn "denial_policy_arn" Text "errorMessage" "the policy that denies it explicitly";
    KeyArn "key_arn" Text "derived" "the KMS key; of `ReEncrypt` the destination";
    KeyId "key_id" Text "derived" "the id in `key_arn`";
    KeyAccountId "key_account_id" Text "derived" "the account in `key_arn`: the key's owner";
    KeyRegion "key_region" Text "derived" "the Region in `key_arn`";
    KeyFamily "key_family" Text "derived" "`ACCOUNT/mrk-…` for a multi-Region key, else the key ARN";
    KeySource "key_source" Text "derived" "what gave the key: `resources`, `response`, `request` (of another service's record: a parameter that names a key), `service_event`, `error_message`, `alias` (only where the history of aliases is known)";
    RequestedAlias "requested_alias" Text "requestParameters" "the alias that the caller sent, else the one that the error message names";
    SourceKeyArn "source_key_arn" Text "resources[0].ARN" "of `ReEncrypt`: the key it was under, or that a refusal of `kms:ReEncryptFrom` names";
    KeyMaterialId "key_material_id" Text "additionalEventData.keyMaterialId" "the rotation generation that was used";
    EncryptionContext "encryption_context" Map "requestParameters.encryptionContext" "sorted; of `ReEncrypt` the destination's";
    ResourceService "resource_service" Text "derived" "the service whose resource the key protects, decoded from the encryption context or a grant's constraint";
    ResourceType "resource_type" Text "derived" "`table`, `object`, `secret` …";
    ResourceArn "resource_arn" Text "derived" "its ARN, where the context says enough";
    ResourceName "resource_name" Text "derived" "its name or id";
    ResourceTrust "resource_trust" Text "derived" "`service` (a service said so), `claimed` (the context of a direct caller, or of another service)";
    TableName "table_name" Text "derived" "the DynamoDB table, from the encryption context, a grant's constraint, or a DynamoDB record of one table";
    TableArn "table_arn" Text "derived" "its ARN";
    OperationClass "operation_class" Text "eventName" "KMS events only: `crypto`, `read`, `grant`, `policy`, `lifecycle`, `other`, see Operations";
    EncryptionAlgorithm "encryption_algorithm" Text "requestParameters.encryptionAlgorithm" "of `ReEncrypt` the destination's";
    DataKeySpec "data_key_spec" Text "requestParameters.keySpec" "of the data key (or key pair) that was generated";
    KeySpec "key_spec" Text "requestParameters.keySpec" "of the KMS key that was created";
    GrantId "grant_id" Text "responseElements.grantId" "the grant that was created, retired or revoked; also from the request or `additionalEventData`";
    GranteePrincipal "grantee_principal" Text "requestParameters.granteePrincipal" "who the grant is for; also `granteeServicePrincipal`";
    RequestParameters "request_parameters" Text "requestParameters" "the JSON as AWS wrote it";
    ResponseElements "response_elements" Text "responseElements" "the JSON as AWS wrote it";
    AdditionalEventData "additional_event_data" Text "additionalEventData" "the JSON as AWS wrote it";
    ServiceEventDetails "service_event_details" Text "serviceEventDetails" "the JSON as AWS wrote it";
    Resources "resources" Text "resources" "the JSON as AWS wrote it";
    Integrity "integrity" Text "derived" "of the object, joined at read: `verified`, `invalid`, `unlisted`, `no_digest`, `unverified`";
    Issues "issues" TextList "derived" "JSON paths that were odd, and how";
    ObjectUri "object_uri" Text "derived" "the object that the record came from";
    RecordIndex "record_index" Int "derived" "its place in that object, from 0";
    Raw "raw" Text "the record" "the whole record";
}

impl Column {
    /// The type, the origin and the meaning of the column.
    pub fn spec(self) -> &'static ColumnSpec {
        &COLUMNS[self as usize]
    }

    /// The name of the column in SQL.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The column at a place of [`COLUMNS`]; panics beyond it.
    pub fn from_index(index: usize) -> Column {
        IN_ORDER[index]
    }
}

/// The Arrow schema of `events`.
pub fn events_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields: Vec<Field> =
            COLUMNS.iter().map(|column| Field::new(column.name, column.ty.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The schema of some columns, in the order given.
pub fn events_schema_of(columns: &[Column]) -> SchemaRef {
    let all = events_schema();
    let fields: Fields = columns.iter().map(|&column| Arc::clone(&all.fields()[column as usize])).collect();
    Arc::new(Schema::new(fields))
}

/// The table of columns of `docs/schema.md`.
pub fn columns_markdown() -> String {
    let mut page = String::from("| column | type | from | what |\n|---|---|---|---|\n");
    for ColumnSpec { name, ty, source, meaning } in COLUMNS {
        let source = if *source == "derived" { "derived".to_owned() } else { format!("`{source}`") };
        writeln!(page, "| `{name}` | {} | {source} | {meaning} |", ty.name()).expect("writing to a String cannot fail");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_columns_tells_members_of_records_from_derived_columns() {
        let page = columns_markdown();
        assert!(page.contains("\n| `event_name` | text | `eventName` | "), "{page}");
        assert!(page.contains("\n| `outcome` | text | derived | "), "{page}");
        assert_eq!(page.lines().count(), COLUMNS.len() + 2);
    }

    #[test]
    fn columns_stand_at_their_index_under_unique_names() {
        let mut names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        for index in 0..COLUMNS.len() {
            assert_eq!(Column::from_index(index) as usize, index);
            assert_eq!(Column::from_index(index).name(), events_schema().field(index).name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
