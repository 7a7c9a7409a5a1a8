//! The words of the tables `objects` and `quarantine`: each is a variant with one spelling and one meaning.
//! In: nothing, or text to read back. Out: the words; the meanings become documentation.
//! Never takes an unknown word for a known one: `parse` fails.

use std::error::Error;
use std::fmt;

/// A word of one of these lists.
pub trait Word: Copy + fmt::Debug + 'static {
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    fn meaning(self) -> &'static str;

    fn parse(text: &str) -> Result<Self, UnknownWord>;
}

/// Text that is on none of the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    list: &'static str,
    text: String,
}

/// Longest quotation of an unknown word, since that may be text of any length.
const QUOTED_CHARS_MAX: usize = 60;

impl UnknownWord {
    pub(super) fn new(list: &'static str, text: &str) -> UnknownWord {
        UnknownWord { list, text: text.chars().take(QUOTED_CHARS_MAX).collect() }
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no {} that this version knows", self.text, self.list)
    }
}

impl Error for UnknownWord {}

macro_rules! words {
    ($(#[$doc:meta])* $list:ident $called:literal $($word:ident $name:literal $meaning:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $list {
            $(#[doc = $meaning] $word,)*
        }

        impl $list {
            /// Every word, in the order of the documentation.
            pub const ALL: &'static [$list] = &[$($list::$word,)*];

            /// Its one spelling.
            pub const fn name(self) -> &'static str {
                match self {
                    $($list::$word => $name,)*
                }
            }

            /// The meaning, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $($list::$word => $meaning,)*
                }
            }

            /// The word of this spelling. Fails on any other text.
            pub fn parse(text: &str) -> Result<$list, UnknownWord> {
                match text {
                    $($name => Ok($list::$word),)*
                    unknown => Err(UnknownWord::new($called, unknown)),
                }
            }
        }

        impl Word for $list {
            const ALL: &'static [$list] = $list::ALL;

            fn name(self) -> &'static str {
                $list::name(self)
            }

            fn meaning(self) -> &'static str {
                $list::meaning(self)
            }

            fn parse(text: &str) -> Result<$list, UnknownWord> {
                $list::parse(text)
            }
        }
    };
}

words! {
    /// The outcome of an object: the column `objects.status`.
    ObjectStatus "status of an object"
    Read "read" "read whole";
    Flagged "flagged" "read whole, but odd; it can never be `verified`";
    Skipped "skipped" "no log, so it gives no record";
    Quarantined "quarantined" "damaged, or not readable on this machine: it gives nothing, unless it was salvaged";
    Refused "refused" "not read: a link or no regular file, or a service did not give it";
    Missing "missing" "listed, and gone when it was to be read";
    Changed "changed" "another object took its name after it was listed, or after it was last read";
}

impl ObjectStatus {
    /// True if the answer lacks something of the object.
    pub const fn is_problem(self) -> bool {
        match self {
            ObjectStatus::Read | ObjectStatus::Flagged | ObjectStatus::Skipped => false,
            ObjectStatus::Quarantined | ObjectStatus::Refused | ObjectStatus::Missing | ObjectStatus::Changed => true,
        }
    }

    /// True if it is a log that was read whole.
    pub const fn is_read(self) -> bool {
        matches!(self, ObjectStatus::Read | ObjectStatus::Flagged)
    }
}

words! {
    /// The kind of an object: the column `objects.kind`.
    ObjectKind "kind of an object"
    Log "log" "a log of CloudTrail, also where it could not be read";
    Digest "digest" "a digest, which proves logs and holds no event";
    Insight "insight" "events of CloudTrail Insights, which are computed from others";
    Aggregated "aggregated" "CloudTrail's aggregated events, which are computed from others";
    Other "other" "something else that lies among the logs";
    EventHistory "event_history" "a page of the event history; no digest covers what it says";
}

words! {
    /// The reason that an object is skipped.
    SkipReason "reason to skip an object"
    NotLogName "not_a_log_name" "its name is not that of a log: hidden, or neither JSON nor gzip";
    Digest "is_digest" "it is a digest";
    Insight "is_insight" "it holds events of CloudTrail Insights";
    Aggregated "is_aggregated" "it holds aggregated events";
    OtherLog "is_other_log" "it is a log of another service, such as AWS Config";
    RegionNotEnabled "region_not_enabled" "the account has not enabled the Region, so it has no event history there";
    EndOfHistory "end_of_history" "a lookup of the event history came to its end here";
}

words! {
    /// An oddity of an object that was read whole; those of one object are joined by commas.
    ObjectFlag "flag of an object"
    LookupEvents "lookup_events" "records came as an answer of LookupEvents";
    CloudwatchLogs "cloudwatch_logs" "records came by way of CloudWatch Logs";
    Eventbridge "eventbridge" "records came as events of EventBridge";
    Wrapped "wrapped" "records came wrapped by another tool";
    BareArray "bare_array" "the document is an array of records, without `Records` around it";
    MultiDocument "multi_document" "several documents follow each other";
    Ndjson "ndjson" "each line is a record";
    BareEvent "bare_event" "the document is one record";
    MultiMember "multi_member" "the gzip has several members";
    TrailingData "trailing_data" "something stands behind the gzip or between documents";
    DoubleGzip "double_gzip" "it is a gzip inside a gzip";
    NotCompressed "not_compressed" "it is named as gzip and is not compressed";
    ExtensionMismatch "extension_mismatch" "it is named as text and is gzip";
    Bom "bom" "it begins with a byte order mark";
}

words! {
    /// The way in which an object was replaced under its name.
    ObjectChange "change of an object"
    WhileRead "changed" "it was written over between its listing and the end of its reading";
    SinceRead "replaced" "it was written over since it was last read into the store; the records of both are there";
}

words! {
    /// The reason that an object or a record gave nothing: in `objects.error` and `quarantine.reason`.
    FaultReason "reason of a fault"
    JsonSyntax "json_syntax" "it is not JSON";
    JsonControlChar "json_control_char" "a string of the JSON holds a control character that is not escaped";
    JsonDuplicateKey "json_duplicate_key" "an object of the JSON has a key twice";
    JsonDepth "json_depth" "the JSON is nested deeper than 128 levels";
    JsonTruncated "json_truncated" "the JSON ends before its last bracket";
    JsonEncoding "json_encoding" "the text is UTF-16 or UTF-32";
    NotJson "not_json" "the document does not begin as JSON";
    EmptyDocument "empty_document" "there is nothing but white space";
    EnvelopeHtml "envelope_html" "it is a page of HTML";
    EnvelopeS3Error "envelope_s3_error" "it is an error message of S3, saved in place of the object";
    EnvelopeUnknown "envelope_unknown" "it is JSON around no record that could be found";
    EnvelopeRecordsType "envelope_records_type" "`Records` is not an array";
    RecordTooLarge "record_too_large" "the record is larger than 16 MiB";
    RecordNotCloudtrail "record_not_cloudtrail" "the record has neither eventSource nor eventName nor eventTime";
    RecordNotObject "record_not_object" "the record is not a JSON object";
    EmptyObject "empty_object" "the object has no byte";
    NotGzip "not_gzip" "it is named as gzip and begins neither as gzip nor as text";
    GzipHeader "gzip_header" "the header of the gzip is damaged";
    GzipTruncated "gzip_truncated" "the gzip ends before its trailer";
    GzipCorrupt "gzip_corrupt" "the compressed bytes are damaged";
    GzipCrc "gzip_crc" "the inflated bytes have another CRC than the gzip says";
    GzipIsize "gzip_isize" "the inflated bytes have another length than the gzip says";
    GzipNested "gzip_nested" "gzip is nested more than twice";
    ObjectTooLarge "object_too_large" "it inflates beyond 4 GiB, or 64 MiB for a gzip inside a gzip";
    PermissionDenied "permission_denied" "the file or folder may not be read by this user";
    Unreadable "unreadable" "reading the file or folder failed";
    SymlinkLoop "symlink_loop" "a link leads back to itself or to a folder above it";
    SymlinkEscape "symlink_escape" "a link leads out of the location";
    SymlinkDangling "symlink_dangling" "a link leads to nothing";
    SymlinkInside "symlink_inside" "a link leads to what the location has under its own name";
    NotRegularFile "not_regular_file" "it is a device, socket or pipe, or a folder that is named as a log";
    AccessDenied "access_denied" "`s3:GetObject` is not granted";
    LookupDenied "lookup_denied" "`cloudtrail:LookupEvents` is not granted";
    KmsAccessDenied "kms_access_denied" "the KMS key of the object may not be used";
    KmsKeyUnusable "kms_key_unusable" "the KMS key of the object is disabled or about to be deleted";
    Archived "archived" "it is in an archive class, and not restored";
    ServiceBusy "service_busy" "the service was busy each time";
    Network "network" "the network failed each time";
    InconsistentAnswer "inconsistent_answer" "the service contradicted itself each time";
    ServiceError "service_error" "the service failed";
    HistoryIncomplete "history_incomplete" "a lookup of the event history did not come to its end";
    BadToken "bad_token" "the service did not accept its own token of a next page";
    RegionNotEnabled "region_not_enabled" "the Region is not enabled for the account";
    NoCredentials "no_credentials" "no AWS credentials were found, which ends the run";
    BadCredentials "bad_credentials" "AWS does not accept the credentials, which ends the run";
    ExpiredCredentials "expired_credentials" "the AWS credentials have expired, which ends the run";
    ClockSkew "clock_skew" "the clock of this machine is wrong, which ends the run";
    NoSuchBucket "no_such_bucket" "there is no such bucket, which ends the run";
    WrongRegion "wrong_region" "the bucket is in another Region, which ends the run";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses_back<W: Word + PartialEq>() {
        for &word in W::ALL {
            assert_eq!(W::parse(word.name()), Ok(word));
            assert!(!word.meaning().is_empty(), "{word:?}");
            let is_spelled = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            // Flags are joined by commas, and ` (salvaged)` may follow.
            assert!(word.name().chars().all(is_spelled), "{word:?}");
        }
        for unknown in ["", "Read", "read ", "no such word"] {
            assert!(W::parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn every_name_parses_back_to_its_word_and_nothing_else_does() {
        parses_back::<ObjectStatus>();
        parses_back::<ObjectKind>();
        parses_back::<SkipReason>();
        parses_back::<ObjectFlag>();
        parses_back::<ObjectChange>();
        parses_back::<FaultReason>();
    }

    #[test]
    fn an_unknown_word_is_quoted_in_part() {
        let error = ObjectStatus::parse(&"x".repeat(1000)).unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is no status of an object that this version knows", "x".repeat(60)));
    }
}
