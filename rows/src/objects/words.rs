//! The words of the tables `objects` and `quarantine`: each is a variant with one spelling and one meaning, and if it is
//! a reason, with what to do about it.
//! In: nothing, or text to read back. Out: the words; the meanings become documentation.
//! Never takes an unknown word for a known one: `parse` fails.

use std::error::Error;
use std::fmt;

/// A word of one of these lists.
pub trait Word: Copy + fmt::Debug + 'static {
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    fn meaning(self) -> &'static str;

    /// The advice to a user who meets the word as a reason; none for a word that is no reason.
    fn advice(self) -> Option<&'static str>;

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
    (@advice) => { None };
    (@advice $advice:literal) => { Some($advice) };
    ($(#[$doc:meta])* $list:ident $called:literal $($word:ident $name:literal $meaning:literal $($advice:literal)?;)*) => {
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

            fn advice(self) -> Option<&'static str> {
                match self {
                    $($list::$word => words!(@advice $($advice)?),)*
                }
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
    NotLogName "not_a_log_name" "its name is that of a hidden file or of a tool's leftover, or no log's where its folder holds something else"
        "nothing; rename it if it is a log";
    NotALog "not_a_log" "its name promises no log, and it holds neither JSON nor a gzip of it, or no record"
        "nothing; if it holds events, name the file itself as the location to see what keeps it from being read";
    Digest "is_digest" "it is a digest"
        "nothing";
    Insight "is_insight" "it holds events of CloudTrail Insights"
        "nothing";
    Aggregated "is_aggregated" "it holds aggregated events"
        "nothing";
    OtherLog "is_other_log" "it lies where another service, or CloudTrail Lake, delivers, or it is a snapshot of AWS Config"
        "nothing; if it holds events of CloudTrail, name the file itself as the location";
    RegionNotEnabled "region_not_enabled" "the account has not enabled the Region, so it has no event history there"
        "nothing, or enable the Region";
    EndOfHistory "end_of_history" "a lookup of the event history came to its end here"
        "nothing";
}

words! {
    /// An oddity of an object that was read whole; those of one object are joined by commas.
    ObjectFlag "flag of an object"
    LookupEvents "lookup_events" "records came as an answer of LookupEvents"
        "nothing; the files of a trail are stronger evidence";
    CloudwatchLogs "cloudwatch_logs" "records came by way of CloudWatch Logs"
        "nothing; the files of a trail are stronger evidence";
    Eventbridge "eventbridge" "records came as events of EventBridge"
        "nothing; the files of a trail are stronger evidence";
    Wrapped "wrapped" "records came wrapped by another tool"
        "nothing; the files of a trail are stronger evidence";
    BareArray "bare_array" "the document is an array of records, without `Records` around it"
        "nothing; CloudTrail itself does not write this";
    MultiDocument "multi_document" "several documents follow each other"
        "nothing; somebody joined files";
    Ndjson "ndjson" "each line is a record"
        "nothing; CloudTrail itself does not write this";
    BareEvent "bare_event" "the document is one record"
        "nothing; CloudTrail itself does not write this";
    MultiMember "multi_member" "the gzip has several members"
        "nothing; somebody joined files";
    TrailingData "trailing_data" "something stands behind the gzip or between documents"
        "look at the end of the file: it was changed after CloudTrail wrote it";
    UnknownMember "unknown_member" "a list or object of a name that no writer of records has stands beside them"
        "look at it in the file: CloudTrail itself does not write this";
    DoubleGzip "double_gzip" "it is a gzip inside a gzip"
        "nothing; a copy compressed it once more";
    NotCompressed "not_compressed" "it is named as gzip and is not compressed"
        "nothing; a copy inflated it";
    ExtensionMismatch "extension_mismatch" "it is named as text and is gzip"
        "nothing; a copy renamed it";
    Bom "bom" "it begins with a byte order mark"
        "nothing; an editor added the mark";
}

words! {
    /// The way in which an object was replaced under its name.
    ObjectChange "change of an object"
    WhileRead "changed" "it was written over between its listing and the end of its reading"
        "run again";
    SinceRead "replaced" "it was written over since it was last read into the store; the records of both are there"
        "find out who replaced it: CloudTrail never does";
}

words! {
    /// The reason that an object or a record gave nothing: in `objects.error` and `quarantine.reason`.
    FaultReason "reason of a fault"
    JsonSyntax "json_syntax" "it is not JSON"
        "fetch the file again from where CloudTrail put it; `--salvage` takes the whole records";
    JsonControlChar "json_control_char" "a string of the JSON holds a control character that is not escaped"
        "fetch the file again; a tool that wrote it did not escape its text";
    JsonDuplicateKey "json_duplicate_key" "an object of the JSON has a key twice"
        "take it for an attack or a broken writer: programs disagree on which of the two counts";
    JsonDepth "json_depth" "the JSON is nested deeper than 128 levels"
        "look at the record in the file itself; CloudTrail writes nothing so deep";
    JsonTruncated "json_truncated" "the JSON ends before its last bracket"
        "fetch the file again: it is cut; `--salvage` takes the whole records";
    JsonEncoding "json_encoding" "the text is UTF-16 or UTF-32"
        "convert the file to UTF-8, with `iconv` for example";
    NotJson "not_json" "the document does not begin as JSON"
        "fetch the file again; if it is no log, name it otherwise or keep it out of the location";
    EmptyDocument "empty_document" "there is nothing but white space"
        "fetch the file again; if it is meant to be empty, keep it out of the location";
    EnvelopeHtml "envelope_html" "it is a page of HTML"
        "fetch the file again: a proxy or a login page answered in its place";
    EnvelopeS3Error "envelope_s3_error" "it is an error message of S3, saved in place of the object"
        "read the message in it, mend its cause, and fetch the file again";
    EnvelopeUnknown "envelope_unknown" "it is JSON around no record that could be found"
        "if it holds events, export them as CloudTrail's records, one a line; if not, keep it out of the location";
    EnvelopeRecordsType "envelope_records_type" "`Records` is not an array"
        "fetch the file again; CloudTrail writes an array there";
    RecordTooLarge "record_too_large" "the record is larger than 16 MiB"
        "look at the record in the file itself; CloudTrail writes at most 1 MB";
    RecordNotCloudtrail "record_not_cloudtrail" "the record has neither eventSource nor eventName nor eventTime"
        "look at it in `quarantine.raw`: if it is no event, keep its file out of the location";
    RecordNotObject "record_not_object" "the record is not a JSON object"
        "look at it in `quarantine.raw`: a record is an object in braces";
    Unlisted "unlisted" "the table has no room for more records of the object; `raw` tells how many there are"
        "read the object alone: `quarantine` lists up to 64 MiB of a run";
    EmptyObject "empty_object" "the object has no byte"
        "fetch the file again: the copy was not finished";
    NotGzip "not_gzip" "it is named as gzip and begins neither as gzip nor as text"
        "fetch the file again, or name it by what it is";
    GzipHeader "gzip_header" "the header of the gzip is damaged"
        "fetch the file again";
    GzipTruncated "gzip_truncated" "the gzip ends before its trailer"
        "fetch the file again: it is cut; `--salvage` takes the whole records";
    GzipCorrupt "gzip_corrupt" "the compressed bytes are damaged"
        "fetch the file again; `--salvage` takes the whole records before the damage";
    GzipCrc "gzip_crc" "the inflated bytes have another CRC than the gzip says"
        "fetch the file again; if it stays so, its content was changed; `--salvage` takes the whole records";
    GzipIsize "gzip_isize" "the inflated bytes have another length than the gzip says"
        "fetch the file again; if it stays so, it was changed; `--salvage` takes the whole records";
    GzipNested "gzip_nested" "gzip is nested more than twice"
        "inflate it by hand until one gzip is left";
    ObjectTooLarge "object_too_large" "it inflates beyond 4 GiB, or 64 MiB for a gzip inside a gzip"
        "find out what it is before you open it; cut it up if it is a log";
    PermissionDenied "permission_denied" "the file or folder may not be read by this user"
        "run as a user who may read it, or change its mode";
    Unreadable "unreadable" "reading the file or folder failed"
        "look at the disk or the network folder that it is on, and run again";
    SymlinkLoop "symlink_loop" "a link leads back to itself or to a folder above it"
        "remove the link";
    SymlinkEscape "symlink_escape" "a link leads out of the location"
        "name the target of the link as a location of its own";
    SymlinkDangling "symlink_dangling" "a link leads to nothing"
        "remove the link, or bring its target back";
    SymlinkInside "symlink_inside" "a link leads to what the location has under its own name"
        "nothing is lost; remove the link";
    NotRegularFile "not_regular_file" "it is a device, socket or pipe, or a folder that is named as a log"
        "nothing if it is no log; rename a folder that is named as one";
    KeyRefused "key_refused" "its key has a part `.` or `..`, which names no place of its own"
        "find out who wrote it: CloudTrail never does; copy it to another key to read it";
    AccessDenied "access_denied" "`s3:GetObject` is not granted"
        "grant `s3:GetObject` on it; `ingest --print-policy` prints the policy";
    LookupDenied "lookup_denied" "`cloudtrail:LookupEvents` is not granted"
        "grant `cloudtrail:LookupEvents`; `ingest --print-policy` prints the policy";
    KmsAccessDenied "kms_access_denied" "the KMS key of the object may not be used"
        "grant `kms:Decrypt` on the key, in its policy too if it is of another account";
    KmsKeyUnusable "kms_key_unusable" "the KMS key of the object is disabled or about to be deleted"
        "enable the key, or cancel its deletion, while that is possible";
    Archived "archived" "it is in an archive class, and not restored"
        "restore it, or leave its days out with `--since`";
    ServiceBusy "service_busy" "the service was busy each time"
        "run again later";
    Network "network" "the network failed each time"
        "look at the network and run again";
    InconsistentAnswer "inconsistent_answer" "the service contradicted itself each time"
        "run again; if it stays so, the object or what stands between is broken";
    ServiceError "service_error" "the service failed"
        "run again later";
    HistoryIncomplete "history_incomplete" "a lookup of the event history did not come to its end"
        "run again; ask for fewer days or one Region at a time";
    BadToken "bad_token" "the service did not accept its own token of a next page"
        "run again";
    RegionNotEnabled "region_not_enabled" "the Region is not enabled for the account"
        "enable the Region, or do not ask for it";
    NoCredentials "no_credentials" "no AWS credentials were found, which ends the run"
        "give credentials as the AWS CLI takes them, such as `AWS_PROFILE`";
    BadCredentials "bad_credentials" "AWS does not accept the credentials, which ends the run"
        "give credentials that are valid for the account";
    ExpiredCredentials "expired_credentials" "the AWS credentials have expired, which ends the run"
        "log in again and run again";
    ClockSkew "clock_skew" "the clock of this machine is wrong, which ends the run"
        "set the clock";
    NoSuchBucket "no_such_bucket" "there is no such bucket, which ends the run"
        "mend the name of the bucket";
    WrongRegion "wrong_region" "the bucket is in another Region, which ends the run"
        "set `AWS_REGION` to the bucket's Region";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses_back<W: Word + PartialEq>() {
        for &word in W::ALL {
            assert_eq!(W::parse(word.name()), Ok(word));
            assert!(!word.meaning().is_empty(), "{word:?}");
            let advice = word.advice().unwrap_or("none is no reason");
            assert!(!advice.is_empty() && !advice.ends_with('.'), "{word:?}");
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

    #[track_caller]
    fn are_reasons<W: Word>() {
        W::ALL.iter().for_each(|word| assert!(word.advice().is_some(), "{word:?}: say what to do about it"));
    }

    #[test]
    fn every_reason_says_what_to_do() {
        are_reasons::<SkipReason>();
        are_reasons::<ObjectFlag>();
        are_reasons::<ObjectChange>();
        are_reasons::<FaultReason>();
    }

    #[test]
    fn an_unknown_word_is_quoted_in_part() {
        let error = ObjectStatus::parse(&"x".repeat(1000)).unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is no status of an object that this version knows", "x".repeat(60)));
    }
}
