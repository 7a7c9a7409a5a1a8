//! One digest of CloudTrail's: what it says of an hour of a trail, and the logs that it names.
//! In: the inflated bytes of a digest and its name. Out: a [`DigestStatement`], or the reason that it says nothing.
//! Never looks at a signature, never believes a digest of more than a day, and holds no more logs than AWS names.

use std::fmt;
use std::io::Read;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::arn::{is_account_id, is_region};
use crate::decode::inflate::{InflateFault, InflateStream, NamedEncoding};
use crate::time::{MICROS_PER_DAY, event_day, parse_rfc3339};

/// Largest digest, in inflated bytes.
const DIGEST_BYTES_MAX: usize = 64 << 20;
/// Most logs of one digest.
const DIGEST_LOGS_MAX: usize = 10_000;
/// Longest key of an object in S3.
const KEY_BYTES_MAX: usize = 1024;
/// A digest is of an hour; one that claims years would prove them quiet.
const DIGEST_TIME_MAX: i64 = MICROS_PER_DAY;

/// The reason that a digest says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestFault {
    /// It cannot be opened or read.
    Unreadable,
    /// It is no whole gzip stream.
    Damaged,
    TooLarge,
    TooManyLogs,
    /// It is no JSON, lacks an account, a time or the list of logs, or tells impossible times.
    Format,
}

impl DigestFault {
    const ALL: [DigestFault; 5] = [
        DigestFault::Unreadable,
        DigestFault::Damaged,
        DigestFault::TooLarge,
        DigestFault::TooManyLogs,
        DigestFault::Format,
    ];

    /// The fault of a word that [`DigestFault::word`] gives.
    pub fn of_word(word: &str) -> Option<DigestFault> {
        DigestFault::ALL.into_iter().find(|fault| fault.word() == word)
    }

    /// As a column has it.
    pub fn word(self) -> &'static str {
        match self {
            DigestFault::Unreadable => "unreadable",
            DigestFault::Damaged => "damaged",
            DigestFault::TooLarge => "too_large",
            DigestFault::TooManyLogs => "too_many_logs",
            DigestFault::Format => "format",
        }
    }
}

/// What a digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestStatement {
    pub account: String,
    /// Half-open, in microseconds since 1970.
    pub started: i64,
    pub ended: i64,
    pub bucket: Option<String>,
    pub object: String,
    pub previous_bucket: Option<String>,
    pub previous_object: Option<String>,
    pub previous_hash: Option<String>,
    pub previous_signature: Option<String>,
    pub logs: Vec<DigestLog>,
}

/// A log as a digest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestLog {
    pub object: String,
    /// In microseconds since 1970.
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
}

/// The members of a digest, as AWS names them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DigestBody {
    aws_account_id: String,
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_bucket: Option<String>,
    digest_s3_object: String,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: LogList,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    s3_object: String,
    newest_event_time: Option<String>,
    oldest_event_time: Option<String>,
}

/// The logs, up to one more than a digest may have.
struct LogList(Vec<DigestLog>);

impl<'de> Deserialize<'de> for LogList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<LogList, D::Error> {
        struct LogVisitor;
        impl<'de> Visitor<'de> for LogVisitor {
            type Value = LogList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of logs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<LogList, A::Error> {
                let mut logs = Vec::new();
                while let Some(entry) = entries.next_element::<LogEntry>()? {
                    if logs.len() >= DIGEST_LOGS_MAX {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    if entry.s3_object.len() > KEY_BYTES_MAX {
                        return Err(A::Error::custom("a key that S3 does not have"));
                    }
                    let time = |text: Option<String>| text.as_deref().and_then(parse_rfc3339);
                    let (first_event, last_event) = (time(entry.oldest_event_time), time(entry.newest_event_time));
                    logs.push(DigestLog { object: entry.s3_object, first_event, last_event });
                }
                Ok(LogList(logs))
            }
        }
        from.deserialize_seq(LogVisitor)
    }
}

/// The word by which the error of a list that is too long is known again.
const TOO_MANY: &str = "more logs than a digest has";

/// The facts in the name of a digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestName<'n> {
    pub account: Option<&'n str>,
    pub region: Option<&'n str>,
    pub trail: Option<&'n str>,
    /// The Region that the trail was made in.
    pub home: Option<&'n str>,
    /// In microseconds since 1970.
    pub ended: Option<i64>,
}

/// Ends the name of a digest that names only logs that other digests have missed.
const BACKFILL: &str = "_backfill";

/// True of such a digest, by its name: its time says nothing of the logs of that time.
pub fn is_backfill(uri: &str) -> bool {
    stem(uri).is_some_and(|name| name.ends_with(BACKFILL))
}

/// The name of the file without its endings.
fn stem(uri: &str) -> Option<&str> {
    let name = uri.rsplit('/').next()?;
    name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".json")
}

impl<'n> DigestName<'n> {
    /// Reads `…/ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz`.
    pub fn of(uri: &'n str) -> DigestName<'n> {
        DigestName::read(uri).unwrap_or_default()
    }

    fn read(uri: &'n str) -> Option<DigestName<'n>> {
        let name = stem(uri)?;
        let name = name.strip_suffix(BACKFILL).unwrap_or(name);
        let mut parts = name.splitn(4, '_');
        let (account, kind, region, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // The name of a trail may have the sign that stands between the parts.
        let (rest, stamp) = rest.rsplit_once('_')?;
        let (trail, home) = rest.rsplit_once('_')?;
        let is_right = is_account_id(account) && kind == "CloudTrail-Digest" && is_region(region);
        let found = DigestName {
            account: Some(account),
            region: Some(region),
            trail: Some(trail),
            home: Some(home),
            ended: second(stamp),
        };
        is_right.then_some(found)
    }
}

/// Reads `20260310T143500Z`.
fn second(stamp: &str) -> Option<i64> {
    let digits = stamp.strip_suffix('Z').filter(|stamp| stamp.len() == "20260310T143500".len() && stamp.is_ascii())?;
    let (date, time) = digits.split_once('T').filter(|(date, _)| date.len() == 8)?;
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    parse_rfc3339(&format!("{year}-{month}-{day}T{}:{}:{}Z", &time[..2], &time[2..4], &time[4..]))
}

/// The inflated bytes of a digest. A copy whose name promises no gzip may be plain.
///
/// # Errors
/// Fails if they are not one whole gzip stream, or too many.
pub fn inflated(uri: &str, stored: impl Read) -> Result<Vec<u8>, DigestFault> {
    let (mut stream, mut bytes) = (InflateStream::new(stored, NamedEncoding::from_path(uri)), Vec::new());
    loop {
        match stream.read_chunk(&mut bytes) {
            Ok(_) if bytes.len() > DIGEST_BYTES_MAX => return Err(DigestFault::TooLarge),
            Ok(true) => {}
            Ok(false) => return Ok(bytes),
            Err(InflateFault::Unreadable) => return Err(DigestFault::Unreadable),
            Err(InflateFault::TooLarge) => return Err(DigestFault::TooLarge),
            Err(_) => return Err(DigestFault::Damaged),
        }
    }
}

impl DigestStatement {
    /// Reads the inflated bytes of a digest.
    ///
    /// # Errors
    /// Fails if they are no digest, or name too many logs.
    pub fn parse(body: &[u8]) -> Result<DigestStatement, DigestFault> {
        if body.len() > DIGEST_BYTES_MAX {
            return Err(DigestFault::TooLarge);
        }
        let body: DigestBody = serde_json::from_slice(body).map_err(|error| {
            let is_too_many = error.to_string().starts_with(TOO_MANY);
            if is_too_many { DigestFault::TooManyLogs } else { DigestFault::Format }
        })?;
        let times = parse_rfc3339(&body.digest_start_time).zip(parse_rfc3339(&body.digest_end_time));
        let (started, ended) = times.ok_or(DigestFault::Format)?;
        let is_possible = event_day(started).is_some() && (1..=DIGEST_TIME_MAX).contains(&(ended - started));
        if !is_account_id(&body.aws_account_id) || !is_possible {
            return Err(DigestFault::Format);
        }
        Ok(DigestStatement {
            account: body.aws_account_id,
            started,
            ended,
            bucket: body.digest_s3_bucket,
            object: body.digest_s3_object,
            previous_bucket: body.previous_digest_s3_bucket,
            previous_object: body.previous_digest_s3_object,
            previous_hash: body.previous_digest_hash_value,
            previous_signature: body.previous_digest_signature,
            logs: body.log_files.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const BODY: &str = r#"{"awsAccountId":"111122223333","digestStartTime":"2026-03-10T13:00:00Z",
        "digestEndTime":"2026-03-10T14:00:00Z","digestS3Bucket":"b","digestS3Object":"o","newestEventTime":null,
        "previousDigestS3Object":null,"logFiles":[LOGS]}"#;
    const LOG: &str = r#"{"s3Bucket":"b","s3Object":"k","hashValue":"00","oldestEventTime":"2026-03-10T13:01:00Z"}"#;

    fn parsed(from: &str, to: &str) -> Result<DigestStatement, DigestFault> {
        let body = BODY.replace("LOGS", LOG);
        assert!(body.contains(from), "{from}");
        DigestStatement::parse(body.replace(from, to).as_bytes())
    }

    #[test]
    fn a_digest_says_its_hour_and_its_logs_or_nothing() {
        let digest = parsed("", "").unwrap();
        assert_eq!((digest.ended - digest.started, digest.logs.len()), (3_600_000_000, 1));
        assert_eq!((digest.logs[0].object.as_str(), digest.logs[0].last_event), ("k", None));
        assert_eq!(parsed(LOG, "").map(|digest| digest.logs.len()), Ok(0));
        for (from, to) in [
            ("111122223333", "x"),
            ("\"2026-03-10T13:00:00Z\"", "7"),
            ("2026-03-10T13:00:00Z", "2026-03-10T14:00:00Z"),
            ("2026-03-10T13:00:00Z", "2026-03-09T13:59:59Z"),
            ("2026-03-10T13:00:00Z", "2026-03-10"),
            ("\"logFiles\"", "\"files\""),
            ("\"s3Object\"", "\"object\""),
            ("\"awsAccountId\"", "\"digestS3Object\""),
            ("]}", "]"),
            ("]}", "]}x"),
        ] {
            assert_eq!(parsed(from, to), Err(DigestFault::Format), "{from} {to}");
        }
        let many = |logs: usize| parsed(LOG, &vec![LOG; logs].join(",")).map(|digest| digest.logs.len());
        assert_eq!((many(10_000), many(10_001)), (Ok(10_000), Err(DigestFault::TooManyLogs)));
        for (length, expected) in [(1024, Ok(1)), (1025, Err(DigestFault::Format))] {
            let key = format!("\"{}\"", "k".repeat(length));
            assert_eq!(parsed("\"k\"", &key).map(|digest| digest.logs.len()), expected);
        }
        let deep = format!("\"deep\":{}1{},\"awsAccountId\"", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parsed("\"awsAccountId\"", &deep).is_ok(), "nobody looks into a member without a name");
    }

    #[test]
    fn a_digest_of_a_year_without_cloudtrail_says_nothing() {
        let of_year = |year: &str| {
            let body = BODY.replace("LOGS", "").replace("2026-", year);
            DigestStatement::parse(body.as_bytes()).map(|digest| digest.logs.len())
        };
        assert_eq!(of_year("2026-"), Ok(0));
        for year in ["0001-", "1970-", "2012-", "9999-"] {
            assert_eq!(of_year(year), Err(DigestFault::Format), "{year}");
        }
    }

    #[test]
    fn the_name_of_a_digest_tells_its_place() {
        let name = "x/111122223333_CloudTrail-Digest_us-east-1_my_trail_eu-west-1_20260310T145811Z.json.gz";
        let found = DigestName::of(name);
        assert_eq!(
            (found.account, found.region, found.trail, found.home),
            (Some("111122223333"), Some("us-east-1"), Some("my_trail"), Some("eu-west-1"))
        );
        assert_eq!(found.ended, parse_rfc3339("2026-03-10T14:58:11Z"));
        let backfill = name.replace(".json", "_backfill.json");
        assert_eq!((DigestName::of(&backfill), is_backfill(&backfill), is_backfill(name)), (found, true, false));
        for odd in [
            "",
            "x.json.gz",
            &name.replace("Digest", "Insight"),
            &name.replace("1111", "1"),
            &name.replace("us-east-1_", ""),
        ] {
            assert_eq!(DigestName::of(odd).account.or(DigestName::of(odd).trail), None, "{odd}");
        }
        assert_eq!(DigestName::of(&name.replace("20260310T145811Z", "éé60310T145811Z")).ended, None);
    }

    #[test]
    fn a_digest_inflates_to_a_bound() {
        let zipped = |bytes: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        assert_eq!(inflated("x.gz", zipped(b"{}").as_slice()), Ok(b"{}".to_vec()));
        assert_eq!(inflated("x.gz", &zipped(b"{}")[..10]), Err(DigestFault::Damaged));
        let most = vec![b' '; DIGEST_BYTES_MAX];
        assert_eq!(inflated("x.gz", zipped(&most).as_slice()).map(|bytes| bytes.len()), Ok(DIGEST_BYTES_MAX));
        let more = [most.as_slice(), b" "].concat();
        assert_eq!(inflated("x.gz", zipped(&more).as_slice()), Err(DigestFault::TooLarge));
    }
}
