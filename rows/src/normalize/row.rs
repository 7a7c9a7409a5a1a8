//! One row of `events` before it becomes Arrow: a field per column, and the set of columns asked for.
//! In: values from the normalizer. Out: the same, by [`Column`].
//! Never computes a value, and holds nothing of `integrity`, `object_uri` and `record_index`, which the table adds.

use std::borrow::Cow;

use crate::schema::{COLUMNS, Column};

/// Text of a record, borrowed where its bytes can stand as they are.
pub type Text<'a> = Cow<'a, str>;

/// A part of a text, borrowed as the text is.
pub(super) fn part<'a>(text: &Text<'a>, cut: impl for<'t> Fn(&'t str) -> Option<&'t str>) -> Option<Text<'a>> {
    match text {
        Cow::Borrowed(text) => cut(text).map(Cow::Borrowed),
        Cow::Owned(text) => cut(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

/// A set of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnSet(u128);

impl ColumnSet {
    /// Every column of the schema.
    pub fn all() -> ColumnSet {
        ColumnSet((1 << COLUMNS.len()) - 1)
    }

    /// A set can be a constant.
    pub const fn of(columns: &[Column]) -> ColumnSet {
        let mut bits = 0;
        let mut at = 0;
        while at < columns.len() {
            bits |= 1 << columns[at] as usize;
            at += 1;
        }
        ColumnSet(bits)
    }

    /// The columns of both sets.
    pub const fn and(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 | other.0)
    }

    /// True where the column is in the set.
    pub fn has(&self, column: Column) -> bool {
        self.0 & (1 << column as usize) != 0
    }

    /// True if any column of `group` is asked for.
    pub fn has_any(&self, group: ColumnSet) -> bool {
        self.0 & group.0 != 0
    }
}

macro_rules! row {
    (
        text { $($text:ident $text_column:ident,)* }
        timestamp { $($time:ident $time_column:ident,)* }
        boolean { $($flag:ident $flag_column:ident,)* }
    ) => {
        /// One normalized record.
        #[derive(Debug, Clone, Default)]
        pub struct Row<'a> {
            pub event_id: Text<'a>,
            pub principal: Text<'a>,
            pub raw: Text<'a>,
            $(pub $text: Option<Text<'a>>,)*
            /// Microseconds since 1970, UTC.
            $(pub $time: Option<i64>,)*
            /// Days since 1970.
            pub event_date: Option<i32>,
            $(pub $flag: Option<bool>,)*
            /// Sorted by key, keys unique.
            pub encryption_context: Option<Vec<(Text<'a>, Text<'a>)>>,
            pub issues: Vec<String>,
        }

        impl Row<'_> {
            /// The value of a text column.
            pub fn text(&self, column: Column) -> Option<&str> {
                match column {
                    Column::EventId => decided(&self.event_id),
                    Column::Principal => decided(&self.principal),
                    Column::Raw => decided(&self.raw),
                    $(Column::$text_column => self.$text.as_deref(),)*
                    _ => None,
                }
            }

            /// The value of a timestamp column.
            pub fn timestamp(&self, column: Column) -> Option<i64> {
                match column {
                    $(Column::$time_column => self.$time,)*
                    _ => None,
                }
            }

            /// The value of a bool column.
            pub fn boolean(&self, column: Column) -> Option<bool> {
                match column {
                    $(Column::$flag_column => self.$flag,)*
                    _ => None,
                }
            }
        }
    };
}

row! {
    text {
        call_id CallId,
        account_side AccountSide,
        event_source EventSource,
        event_name EventName,
        event_type EventType,
        event_category EventCategory,
        event_version EventVersion,
        aws_region AwsRegion,
        recipient_account_id RecipientAccountId,
        request_id RequestId,
        shared_event_id SharedEventId,
        vpc_endpoint_id VpcEndpointId,
        tls_version TlsVersion,
        revises_event_id RevisesEventId,
        source_ip_address SourceIpAddress,
        user_agent UserAgent,
        principal_type PrincipalType,
        principal_id PrincipalId,
        principal_arn PrincipalArn,
        principal_account_id PrincipalAccountId,
        session_arn SessionArn,
        session_name SessionName,
        access_key_id AccessKeyId,
        source_identity SourceIdentity,
        on_behalf_of OnBehalfOf,
        invoked_by InvokedBy,
        caller_class CallerClass,
        via_service ViaService,
        via_source ViaSource,
        error_code ErrorCode,
        error_message ErrorMessage,
        outcome Outcome,
        denial_reason DenialReason,
        denial_effect DenialEffect,
        denied_action DeniedAction,
        denied_resource DeniedResource,
        denial_policy_arn DenialPolicyArn,
        key_arn KeyArn,
        key_id KeyId,
        key_account_id KeyAccountId,
        key_region KeyRegion,
        key_family KeyFamily,
        key_source KeySource,
        requested_alias RequestedAlias,
        source_key_arn SourceKeyArn,
        key_material_id KeyMaterialId,
        resource_service ResourceService,
        resource_type ResourceType,
        resource_arn ResourceArn,
        resource_name ResourceName,
        resource_trust ResourceTrust,
        table_name TableName,
        table_arn TableArn,
        operation_class OperationClass,
        encryption_algorithm EncryptionAlgorithm,
        data_key_spec DataKeySpec,
        key_spec KeySpec,
        grant_id GrantId,
        grantee_principal GranteePrincipal,
        request_parameters RequestParameters,
        response_elements ResponseElements,
        additional_event_data AdditionalEventData,
        service_event_details ServiceEventDetails,
        resources Resources,
    }
    timestamp {
        event_time EventTime,
        session_created SessionCreated,
    }
    boolean {
        read_only ReadOnly,
        management_event ManagementEvent,
        mfa_authenticated MfaAuthenticated,
    }
}

/// A text that is never empty once it is decided.
fn decided<'r>(text: &'r Text<'_>) -> Option<&'r str> {
    (!text.is_empty()).then_some(text)
}

impl Row<'_> {
    /// The value of `event_date`.
    pub fn date(&self) -> Option<i32> {
        self.event_date
    }

    /// The value of a map column.
    pub fn map(&self, column: Column) -> Option<&[(Text<'_>, Text<'_>)]> {
        match column {
            Column::EncryptionContext => self.encryption_context.as_deref(),
            _ => None,
        }
    }

    /// The value of a list column.
    pub fn list(&self, column: Column) -> &[String] {
        match column {
            Column::Issues => &self.issues,
            _ => &[],
        }
    }
}
