//! The places that hold records: locations as the user names them, and the list of objects found there.
//! In: paths, buckets, Regions, `-`, and a scope. Out: a `Listing`, sorted by the bytes of the full path, that names
//! every object once and says of each whether it is a log, skipped, refused or missing; and readers of its objects.
//! Never decodes a log, never follows a link inside a tree, and counts everything that it leaves out.

mod aws;
mod credentials;
mod etags;
mod file_names;
mod file_stamp;
mod history;
mod layout;
mod listing;
mod local;
mod name_arena;
mod object;
mod object_store;
mod origin;
mod plan;
pub mod regions;
mod s3;
mod spool_file;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::objects::{ObjectChange, ObjectOutcome, SkipReason};

pub use self::object_store::connect_store;
pub use aws::{AwsOptions, AwsTrouble, TroubleClass, hint_of, told_region};
pub use history::{begin as history_begin, is_end as is_history_end};
pub use listing::{Listing, ListingEntry, ObjectPlace, PrunedCounts};
pub use object::ListedObject;
pub use plan::{ReadCost, ReadPlan, list_for_plan};
pub use s3::ahead::ReadAhead;
pub use s3::walk::BucketPath;
pub use spool_file::SpoolFile;

/// A place to read from, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Path(PathBuf),
    Stdin,
    S3(BucketPath),
    /// The event history of these Regions, or of all.
    History(Regions),
}

/// The Regions whose event history is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regions {
    /// The commercial Regions; those that the account has not enabled are skipped and named.
    All,
    /// Named by the user, so an unreadable one is a fault.
    Named(Vec<String>),
}

impl Location {
    /// Reads a location as it stands on the command line.
    pub fn parse(text: &str) -> Result<Location, SourceError> {
        let unsupported = |hint| Err(SourceError::Unsupported { location: without_secrets(text).into_owned(), hint });
        if text == "-" || text == "/dev/stdin" {
            return Ok(Location::Stdin);
        }
        if text.is_empty() {
            return unsupported("name a file, a folder, or - for stdin");
        }
        // A shell expands an unquoted `~`, so one that arrives here would name a folder called `~`.
        if text == "~" || text.starts_with("~/") {
            return unsupported("the shell expands ~ only where it is not quoted; ./~ names a folder called ~");
        }
        match text.split_once("://") {
            Some(("s3", path)) => match BucketPath::parse(path) {
                Some(path) => Ok(Location::S3(path)),
                None => unsupported("write s3://BUCKET/PREFIX"),
            },
            Some(("cloudtrail", regions)) => match Regions::parse(regions) {
                Some(regions) => Ok(Location::History(regions)),
                None => unsupported("write cloudtrail://REGION, cloudtrail://REGION,REGION or cloudtrail://all"),
            },
            Some(("file", _)) => unsupported("name the path alone, without file://"),
            Some((scheme, _)) if is_scheme(scheme) => {
                unsupported("name a file, a folder, s3://BUCKET/PREFIX, cloudtrail://REGION, or - for stdin")
            }
            _ => Ok(Location::Path(PathBuf::from(text))),
        }
    }
}

impl BucketPath {
    /// Reads the text after `s3://`.
    pub fn parse(text: &str) -> Option<BucketPath> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let is_right = bucket.len() >= 3 && bucket.chars().all(is_name);
        let prefix = prefix.trim_end_matches('/').to_owned();
        is_right.then(|| BucketPath { bucket: bucket.to_owned(), prefix })
    }

    /// True if the other is this one or lies in it.
    pub fn holds(&self, other: &BucketPath) -> bool {
        let rest = other.prefix.strip_prefix(&self.prefix).filter(|_| self.bucket == other.bucket);
        rest.is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for BucketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl Regions {
    fn parse(text: &str) -> Option<Regions> {
        if text == "all" {
            return Some(Regions::All);
        }
        let named: Vec<String> = text.split(',').map(str::to_owned).collect();
        named.iter().all(|region| regions::may_exist(region)).then_some(Regions::Named(named))
    }
}

/// The text without what no message may repeat of its URLs: a user and a password, and a query, in which a signature may be.
/// A password may have any character in it, so all up to the last `@` of a word goes. One slash may be missing.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let Some((before, rest)) = text.split_once(":/") else { return Cow::Borrowed(text) };
    let (slash, rest) = rest.strip_prefix('/').map_or(("", rest), |rest| ("/", rest));
    let word = &rest[..rest.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`')).unwrap_or(rest.len())];
    let (user, place) = word.rsplit_once('@').map_or(("", word), |(_, place)| ("…@", place));
    let (place, query) = place.split_once('?').map_or((place, ""), |(place, _)| (place, "?…"));
    let after = without_secrets(&rest[word.len()..]);
    if user.is_empty() && query.is_empty() && matches!(after, Cow::Borrowed(_)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{before}:/{slash}{user}{place}{query}{after}"))
}

/// True of the name of a file that promises records.
pub fn promises_log(name: &str) -> bool {
    file_names::NameClass::of(name.as_bytes()) == file_names::NameClass::Log
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The part of the user's request that decides which folders are opened. Empty lists ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Microseconds since 1970 in UTC; an event at this time is inside.
    pub since: Option<i64>,
    /// Microseconds since 1970 in UTC; an event at this time is outside.
    pub until: Option<i64>,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    pub org_ids: Vec<String>,
    /// Days after the last requested day on which a delivery can still carry its events.
    pub late_days: u32,
    /// The objects that are opened for state alone; none without it.
    pub state: Option<StateReach>,
}

/// Objects that a scope leaves out and that are opened all the same, because state follows from them: those of the
/// Regions that log the changes of IAM, STS and Organizations, and those of some days before the interval. No row of
/// them is part of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateReach {
    /// Days before the interval.
    pub baseline_days: u32,
}

/// The purpose for which an object is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectPurpose {
    /// The scope asks for it.
    #[default]
    Answer,
    /// Only state follows from it.
    State,
}

impl Scope {
    /// True if it lists accounts or Regions.
    pub fn has_lists(&self) -> bool {
        !self.accounts.is_empty() || !self.regions.is_empty()
    }

    /// True if events that it leaves out tell of the state in it: earlier ones, or changes that are of no Region.
    pub fn has_state_outside(&self) -> bool {
        self.since.is_some() || self.has_lists()
    }

    /// The days before the interval that are read for state.
    pub fn baseline_days(&self) -> u32 {
        self.state.map_or(0, |state| state.baseline_days)
    }
}

/// The means of reaching anything that is not on this machine.
#[derive(Clone)]
pub struct RemoteAccess {
    pub aws: AwsOptions,
    /// Runs the requests; whoever lists or reads waits for it on a thread of its own.
    pub handle: Handle,
    pub now_micros: i64,
    /// The spans of event histories that a store has, by the names under which their lookups end.
    pub covered: HashMap<String, String>,
    /// Shows the user a note before or while something slow runs.
    pub note: Arc<dyn Fn(String) + Send + Sync>,
}

/// The way to tell from the name and the first bytes of an object if it may be a log.
#[derive(Clone, Copy)]
pub struct FirstLook {
    pub bytes: usize,
    pub may_be_log: fn(&str, &[u8]) -> bool,
}

/// The reason that a whole location cannot be listed; anything wrong inside one becomes a `ListingEntry` instead.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no such file or folder: `{path}`")]
    NotFound { path: String },
    #[error("location `{location}` is not supported")]
    Unsupported { location: String, hint: &'static str },
    #[error("the event history does not know organizations")]
    OrganizationOfHistory,
    #[error("cannot reach `{path}`")]
    Unreachable { path: String, source: io::Error },
    #[error("{doing}")]
    Aws { doing: String, source: AwsTrouble },
    #[error("a temporary file cannot be written")]
    Disk { source: io::Error },
    #[error("the locations hold more objects than one listing can name")]
    TooMany,
}

impl SourceError {
    pub(crate) fn aws(doing: String, source: AwsTrouble) -> SourceError {
        SourceError::Aws { doing, source }
    }

    /// True where the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, SourceError::Unsupported { .. } | SourceError::OrganizationOfHistory)
    }

    /// The cure that the user can apply, where we know one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SourceError::Unsupported { hint, .. } => Some(hint),
            SourceError::OrganizationOfHistory => Some("leave --org-id out"),
            SourceError::Aws { source, .. } => source.class.hint(),
            _ => None,
        }
    }
}

/// The reason that a listed object cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ObjectReadError {
    #[error("there is no such object")]
    Missing,
    #[error("the object has changed")]
    Changed,
    #[error("the object was refused")]
    Refused(TroubleClass),
    /// Its first bytes say so, and the rest was not asked for.
    #[error("the object is no log")]
    NotALog,
    /// Nothing else can be read either.
    #[error("{0}")]
    Fatal(Arc<SourceError>),
    #[error("nobody wants it any more")]
    Stopped,
}

impl ObjectReadError {
    fn fatal(error: SourceError) -> ObjectReadError {
        ObjectReadError::Fatal(Arc::new(error))
    }

    /// The object's outcome; none where the whole run ends.
    pub fn outcome(&self) -> Option<ObjectOutcome> {
        match self {
            ObjectReadError::Missing => Some(ObjectOutcome::Missing),
            ObjectReadError::Changed => Some(ObjectOutcome::Changed(ObjectChange::WhileRead)),
            ObjectReadError::Refused(class) => Some(class.outcome()),
            ObjectReadError::NotALog => Some(ObjectOutcome::Skipped(SkipReason::NotALog)),
            ObjectReadError::Fatal(_) | ObjectReadError::Stopped => None,
        }
    }

    /// The reason inside an error of [`ReadAhead::open`]; none for errors of local files.
    pub fn of(error: &io::Error) -> Option<ObjectReadError> {
        error.get_ref()?.downcast_ref::<ObjectReadError>().cloned()
    }
}

/// Lists the objects of the locations, but for those whose path puts them outside the scope. Waits for the network, so
/// it must not run on a thread that serves the network.
pub fn list(locations: &[Location], scope: &Scope, remote: &RemoteAccess) -> Result<Listing, SourceError> {
    let mut builder = local::list(locations, scope, listing::ListingBuilder::default())?;
    let named: Vec<BucketPath> = locations.iter().filter_map(Location::bucket_path).collect();
    if !named.is_empty() {
        builder = remote.handle.block_on(s3::walk::list(named, scope, &remote.aws, builder))?;
    }
    let regions = history::regions_of(locations, scope);
    if !regions.is_empty() {
        if !scope.org_ids.is_empty() {
            return Err(SourceError::OrganizationOfHistory);
        }
        builder = remote.handle.block_on(history::list(&regions, scope, remote, builder))?;
    }
    builder.finish()
}

/// Lists the objects on this machine alone.
pub fn list_local(locations: &[Location], scope: &Scope) -> Result<Listing, SourceError> {
    local::list(locations, scope, listing::ListingBuilder::default())?.finish()
}

impl Location {
    /// The Region that the location names, if it names one; the event history of all Regions is of the commercial ones.
    pub fn region(&self) -> Option<&str> {
        match self {
            Location::History(Regions::Named(names)) => names.first().map(String::as_str),
            Location::History(Regions::All) => Some(aws::DEFAULT_REGION),
            _ => None,
        }
    }

    fn bucket_path(&self) -> Option<BucketPath> {
        match self {
            Location::S3(path) => Some(path.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_parse() {
        assert_eq!(Location::parse("-").unwrap(), Location::Stdin);
        for path in ["logs", "/a/b", "./~", "a:b.json.gz", "C:\\x", "~name", "1x://y"] {
            assert_eq!(Location::parse(path).unwrap(), Location::Path(path.into()));
        }
        for (text, bucket, prefix) in
            [("s3://logs", "logs", ""), ("s3://logs/", "logs", ""), ("s3://a.b-c/AWSLogs/x/", "a.b-c", "AWSLogs/x")]
        {
            let path = BucketPath { bucket: bucket.into(), prefix: prefix.into() };
            assert_eq!(Location::parse(text).unwrap(), Location::S3(path));
        }
        let regions = |names: &[&str]| Location::History(Regions::Named(names.iter().map(|n| (*n).into()).collect()));
        assert_eq!(Location::parse("cloudtrail://eu-west-1").unwrap(), regions(&["eu-west-1"]));
        assert_eq!(Location::parse("cloudtrail://eu-west-1,us-east-1").unwrap(), regions(&["eu-west-1", "us-east-1"]));
        assert_eq!(Location::parse("cloudtrail://all").unwrap(), Location::History(Regions::All));
        for bad in [
            "",
            "~",
            "~/logs",
            "s3://",
            "s3:///x",
            "s3://a b/x",
            "cloudtrail://",
            "cloudtrail://Frankfurt",
            "cloudtrail://eu-west-1,",
            "https://x/y",
            "file:///x",
        ] {
            let error = Location::parse(bad).unwrap_err();
            assert!(error.is_usage() && error.hint().is_some(), "{bad}");
        }
    }

    #[test]
    fn secrets_in_a_location_are_not_repeated() {
        for (text, shown) in [
            ("https://USER:PASS@host/x", "https://…@host/x"),
            ("s3://K:S@bucket", "s3://…@bucket"),
            ("s3://K:a/b@c@bucket", "s3://…@bucket"),
            ("'ftp://u@h' and \"x://u:p@h\"", "'ftp://…@h' and \"x://…@h\""),
            ("https://host/x?X-Amz-Signature=S y", "https://host/x?… y"),
            ("https://U:P?x@host/x?X-Amz-Signature=S", "https://…@host/x?…"),
            ("https://host/x", "https://host/x"),
            ("https:/U:P@host/x", "https:/…@host/x"),
            ("logs/a@b?c", "logs/a@b?c"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
        for text in ["https://USER:PASS@host/x", "s3://USER:PASS@bucket/x", "x+y://PASS@h", "https://h/x?a=PASS"] {
            assert!(!Location::parse(text).unwrap_err().to_string().contains("PASS"), "{text}");
        }
    }
}
