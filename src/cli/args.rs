//! The arguments that verbs share, and their meaning: locations, scope, output.
//! In: arguments as clap parsed them. Out: checked types of the stages below, or a usage error.
//! Never lets a bad time, account or region filter everything away in silence: it is refused here.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ColorChoice, ValueEnum};

use super::accept::Accepts;
use super::exit::{Failure, say};
use super::state_files::StateFiles;
use crate::arn::is_account_id;
use crate::dataset::{DatasetOptions, ExpectedInput, ExpectedPlace};
use crate::decode::{self, HEAD_BYTES};
use crate::normalize::EventFilter;
use crate::output::times::{self, GivenTime};
use crate::output::visible::visible;
use crate::output::{self, Format, OutputTarget, Style, TextReader};
use crate::source::{AwsOptions, Location, Scope, StateReach, regions, without_secrets};
use crate::sql::did_you_mean::did_you_mean;
use crate::sql::rules::{self, RuleSet};
use crate::store::{SharedStore, StoreAccess, StoreLocation};
use crate::time::{MICROS_PER_DAY, now_micros};

#[derive(Args, Debug, Clone)]
pub struct GlobalArgs {
    /// Print nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "General")]
    pub quiet: bool,
    /// Say more: every problem object; whole values in tables on a terminal
    #[arg(short, long, global = true, help_heading = "General")]
    pub verbose: bool,
    /// Colors in the output; `auto` is on a terminal unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "General")]
    pub color: ColorChoice,
    /// Lay tables out for so many columns, also in a pipe or file [default: the terminal's, or COLUMNS]
    #[arg(long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..), help_heading = "General")]
    pub width: Option<u16>,
    /// Threads that read and compute [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "General")]
    pub threads: Option<u16>,
    /// Stop after so much computing since a file or an object was last opened: 30s, 10m, 1h; 0 is no limit [default: 10m
    /// for query, none for the others]
    #[arg(long, global = true, value_name = "TIME", value_parser = timeout, help_heading = "General")]
    pub timeout: Option<Duration>,
    /// Memory that the process may take, such as 512M or 4G [default: three quarters of the machine's]
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory, help_heading = "General")]
    pub memory: Option<usize>,
}

/// The least memory that a run is sure to start with.
const MEMORY_MIN: usize = 128 << 20;

impl GlobalArgs {
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
    }

    /// The time that work may compute: as the user says, else the default of the verb.
    pub fn timeout(&self, default: Option<Duration>) -> Option<Duration> {
        self.timeout.map_or(default, |given| Some(given).filter(|given| !given.is_zero()))
    }

    pub fn style(&self, target: &OutputTarget) -> Style {
        let columns = env::var("COLUMNS").ok();
        let given = self.width.map(usize::from);
        let width = given.or_else(|| target.terminal_width().map(|width| screen_width(columns.as_deref(), width)));
        Style { color: self.colors(target.reader()), verbose: self.verbose, width, ..Style::default() }
    }

    /// The look of text on stderr.
    pub fn stderr_style(&self) -> Style {
        Style { color: self.colors(TextReader::of(&std::io::stderr())), verbose: self.verbose, ..Style::default() }
    }

    /// True if text for this reader has colors.
    fn colors(&self, reader: TextReader) -> bool {
        colors(self.color, reader, env::var_os("NO_COLOR"))
    }
}

#[derive(Args, Debug, Clone)]
pub struct ScopeArgs {
    /// Events from this time on: RFC 3339, a date, or 7d, 24h back from now (UTC)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Scope")]
    pub since: Option<String>,
    /// Events before this time; a bare date leaves that day out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Scope")]
    pub until: Option<String>,
    /// Events of a year, quarter, month or day: 2026, 2026-Q1, 2026-03, 2026-03-14
    #[arg(long, value_name = "INTERVAL", conflicts_with_all = ["since", "until"], help_heading = "Scope")]
    pub during: Option<String>,
    /// Only this account (12 digits; repeatable)
    #[arg(long, value_name = "ACCOUNT", help_heading = "Scope")]
    pub account: Vec<String>,
    /// Only this region, such as eu-west-1 (repeatable)
    #[arg(long, value_name = "REGION", help_heading = "Scope")]
    pub region: Vec<String>,
    /// Only objects whose path names this organization, such as o-exampleorgid (repeatable)
    #[arg(long, value_name = "ORG", help_heading = "Scope")]
    pub org_id: Vec<String>,
    /// Days after --until whose folders are read too, because AWS files events by delivery
    #[arg(long, value_name = "DAYS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=366), help_heading = "Scope")]
    pub late_days: u32,
    /// Which records to keep [default: key-use; of a store, what it has]
    #[arg(long, value_name = "WHICH", help_heading = "Scope")]
    pub events: Option<EventChoice>,
    /// Also take the whole records of a damaged object; its rows are flagged
    #[arg(long, help_heading = "Scope")]
    pub salvage: bool,
    /// Objects that may stay unread, as TOML: [[accept]] with uri (a pattern), reason, owner and expires, all needed
    #[arg(long, value_name = "FILE", help_heading = "Scope")]
    pub accept: Option<PathBuf>,
    /// Say what would be read and what it takes; read nothing
    #[arg(long, help_heading = "Scope")]
    pub dry_run: bool,
    #[command(flatten)]
    pub shared: SharedArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Who may have written a store.
#[derive(Args, Debug, Clone)]
pub struct SharedArgs {
    /// Use a store although others than its owner may write it
    #[arg(long, help_heading = "Store")]
    pub allow_shared_store: bool,
}

impl SharedArgs {
    /// The access to a store whose modes stay as they are.
    pub fn access(&self) -> StoreAccess {
        let shared = if self.allow_shared_store { SharedStore::Allowed } else { SharedStore::Refused };
        StoreAccess { mode: None, shared }
    }
}

/// How AWS is reached; the usual `AWS_*` variables and profiles say the rest.
#[derive(Args, Debug, Clone)]
pub struct AwsArgs {
    /// Profile of the AWS configuration [default: AWS_PROFILE]
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,
    /// Another S3 service than AWS's; buckets are named in the path
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
    /// Read a public bucket without credentials
    #[arg(long, help_heading = "AWS")]
    pub no_sign_request: bool,
    /// Pay for requests to a bucket that charges its readers
    #[arg(long, help_heading = "AWS")]
    pub request_payer: bool,
}

impl AwsArgs {
    pub fn options(&self) -> Result<AwsOptions, Failure> {
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if let Some(bad) = self.endpoint_url.as_ref().filter(|url| !is_url(url)) {
            let shown = without_secrets(bad);
            return Err(Failure::usage(format!("`{}` is not the URL of a service", visible(&shown)))
                .hint("it begins with https://, or http:// on a network that you trust"));
        }
        // They would go to the service, into logs and into messages; nothing that signs requests reads them.
        if let Some(bad) = self.endpoint_url.as_deref().filter(|url| without_secrets(url) != *url) {
            return Err(Failure::usage(format!("`{}` names a user or has a query", visible(&without_secrets(bad))))
                .hint("give credentials as the AWS CLI takes them, such as AWS_PROFILE"));
        }
        Ok(AwsOptions {
            profile: self.profile.clone(),
            endpoint_url: self.endpoint_url.clone(),
            no_sign_request: self.no_sign_request,
            request_payer: self.request_payer,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum EventChoice {
    /// What concerns keys: KMS, DynamoDB, access changes, and every record that names a key
    KeyUse,
    /// Every record
    All,
}

impl ScopeArgs {
    /// The data that these arguments and locations mean, with every part checked.
    pub fn dataset(&self, locations: &[String], global: &GlobalArgs) -> Result<DatasetOptions, Failure> {
        let now_micros = now_micros();
        let accepts = Accepts::read(self.accept.as_deref(), now_micros)?;
        if !global.quiet {
            accepts.ended.iter().for_each(|entry| say(format_args!("note: --accept {}", visible(entry))));
        }
        Ok(DatasetOptions {
            accepted: Arc::new(accepts.objects),
            expected: ExpectedInput::default(),
            locations: self::locations(locations)?,
            aws: self.aws.options()?,
            scope: self.resolve(now_micros, global)?,
            events: self.asked_filter(),
            salvage: self.salvage,
            verify_files: false,
            state_answers: Vec::new(),
            rules: rules::all().iter().filter(|rule| rule.set == RuleSet::Default).cloned().collect(),
            said: Arc::default(),
            now_micros,
            threads: global.threads(),
            store_access: self.shared.access(),
        })
    }

    /// The files that are read beside the locations.
    pub fn files(&self) -> Vec<Location> {
        self.accept.iter().cloned().map(Location::Path).collect()
    }

    /// The filter, if the user named one.
    fn asked_filter(&self) -> Option<EventFilter> {
        self.events.map(|events| match events {
            EventChoice::KeyUse => EventFilter::KeyUse,
            EventChoice::All => EventFilter::All,
        })
    }

    /// Checks every part and resolves times against `now_micros`.
    fn resolve(&self, now_micros: i64, global: &GlobalArgs) -> Result<Scope, Failure> {
        let (since, until) = self.interval(now_micros, global)?;
        check(&self.account, is_account_id, "an account", "an account is 12 digits, such as 111122223333")?;
        self.check_regions()?;
        check(&self.org_id, is_org, "an organization", "an organization is written like o-exampleorgid")?;
        Ok(Scope {
            since,
            until,
            accounts: self.account.clone(),
            regions: self.region.clone(),
            org_ids: self.org_id.clone(),
            late_days: self.late_days,
            state: None,
        })
    }

    /// Refuses what no Region is called. Whether one of a possible name exists is for who knows the logs.
    fn check_regions(&self) -> Result<(), Failure> {
        let Some(bad) = self.region.iter().find(|region| !regions::may_exist(region)) else { return Ok(()) };
        let failure = Failure::usage(format!("`{bad}` is not a Region"));
        let hint = did_you_mean(bad, regions::known());
        Err(failure.hint(hint.unwrap_or_else(|| "a Region is written like eu-west-1".to_owned())))
    }

    fn interval(&self, now_micros: i64, global: &GlobalArgs) -> Result<(Option<i64>, Option<i64>), Failure> {
        if let Some(text) = &self.during {
            let (since, until) =
                times::during(text).map_err(|e| Failure::usage(format!("cannot read --during: {e}")))?;
            return Ok((Some(since), Some(until)));
        }
        let read = |flag: &str, text: &Option<String>| -> Result<Option<GivenTime>, Failure> {
            let moment = text.as_deref().map(|t| times::moment(t, now_micros)).transpose();
            moment.map_err(|e| Failure::usage(format!("cannot read {flag}: {e}")))
        };
        let (since, until) = (read("--since", &self.since)?, read("--until", &self.until)?);
        if let (Some(s), Some(u)) = (since, until)
            && s.micros >= u.micros
        {
            let both =
                format!("--since {} is not before --until {}", times::rfc3339(s.micros), times::rfc3339(u.micros));
            return Err(Failure::usage(both).hint("the interval is [since, until), in UTC"));
        }
        if until.is_some_and(|u| u.is_bare_date) && !global.quiet {
            let day = self.until.as_deref().map(visible).unwrap_or_default();
            say(format_args!("note: --until {day} leaves out {day} itself (UTC)"));
        }
        Ok((since.map(|m| m.micros), until.map(|m| m.micros)))
    }
}

/// The longest baseline, in days: ten years.
const BASELINE_DAYS_MAX: u32 = 3660;

/// What is read for state, beside the interval, and how a store is read.
#[derive(Args, Debug, Clone)]
pub struct StateArgs {
    /// Also read so much before --since for the state of keys, grants, tables and sessions: 30d, 24h; a store has it
    #[arg(long, value_name = "SPAN", help_heading = "Scope")]
    pub baseline: Option<String>,
    /// An answer of the AWS CLI as state: describe-table, get-key-policy, list-grants, get-key-rotation-status; a file or a
    /// folder of .json files, and the time of the answers [default: the time of the file] (repeatable)
    #[arg(long = "state", value_name = "PATH[@TIME]", help_heading = "Scope")]
    pub answers: Vec<String>,
    /// Hash each file of the store before it is read: an answer from a damaged one is refused, exit 4
    #[arg(long, help_heading = "Scope")]
    pub verify_files: bool,
}

impl StateArgs {
    /// The days that are asked for, whole ones, since AWS files by days.
    fn baseline_days(&self) -> Result<u32, Failure> {
        let Some(text) = &self.baseline else { return Ok(0) };
        let days = times::span(text)
            .flatten()
            .map(|micros| micros.div_euclid(MICROS_PER_DAY) + i64::from(micros % MICROS_PER_DAY > 0));
        let days = days.and_then(|days| u32::try_from(days).ok()).filter(|days| *days <= BASELINE_DAYS_MAX);
        let wrong = || Failure::usage(format!("cannot read --baseline: `{}` is no span", visible(text)));
        days.ok_or_else(|| wrong().hint(format!("write 30d or 24h, at most {BASELINE_DAYS_MAX}d")))
    }

    /// The files and folders of answers.
    pub fn files(&self) -> Vec<Location> {
        StateFiles::paths(&self.answers).map(Location::Path).collect()
    }

    /// The options of a question, which also reads what its state follows from.
    pub fn with_state(&self, options: DatasetOptions, global: &GlobalArgs) -> Result<DatasetOptions, Failure> {
        let state = Some(StateReach { baseline_days: self.baseline_days()? });
        let files = StateFiles::read(&self.answers, options.now_micros)?;
        if let Some(note) = files.note().filter(|_| !global.quiet) {
            say(format_args!("note: {note}"));
        }
        let scope = Scope { state, ..options.scope };
        let verify_files = self.verify_files;
        Ok(DatasetOptions { scope, state_answers: files.answers, verify_files, ..options })
    }
}

/// What must be there: an answer that lacks it is incomplete.
#[derive(Args, Debug, Clone)]
pub struct ExpectArgs {
    /// An account and Region that must be among the logs, such as 111122223333/eu-west-1 (repeatable); else exit 3
    #[arg(long, value_name = "ACCOUNT/REGION", help_heading = "Scope")]
    pub expect: Vec<String>,
    /// A time that the logs must reach, those of every account and Region that is expected; else exit 3
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Scope")]
    pub expect_until: Option<String>,
}

impl ExpectArgs {
    pub fn expected(&self) -> Result<ExpectedInput, Failure> {
        let places = self.expect.iter().map(|text| expected_place(text)).collect::<Result<_, _>>()?;
        let until = self.expect_until.as_deref().map(|text| times::moment(text, now_micros())).transpose();
        let until = until.map_err(|fault| Failure::usage(format!("cannot read --expect-until: {fault}")))?;
        Ok(ExpectedInput { places, until: until.map(|moment| moment.micros) })
    }
}

fn expected_place(text: &str) -> Result<ExpectedPlace, Failure> {
    let place = text.split_once('/').filter(|(account, region)| is_account_id(account) && regions::may_exist(region));
    match place {
        Some((account, region)) => Ok(ExpectedPlace { account: account.to_owned(), region: region.to_owned() }),
        None => Err(Failure::usage(format!("`{}` is not an account and a Region", visible(text)))
            .hint("write them like 111122223333/eu-west-1")),
    }
}

#[derive(Args, Debug, Clone)]
pub struct FileArgs {
    /// Write to FILE, `-` for stdout; its ending also picks the format
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "output", help_heading = "Output")]
    pub force: bool,
}

impl FileArgs {
    /// The place of the output, which is none of what is read: locations, and other files.
    pub fn target(&self, locations: &[Location], others: Vec<Location>) -> Result<OutputTarget, Failure> {
        let existing = if self.force { output::ExistingFile::Replace } else { output::ExistingFile::Keep };
        match &self.output {
            Some(path) => file_beside(path, existing, &[locations, others.as_slice()].concat()),
            None => Ok(OutputTarget::stdout()),
        }
    }

    /// `-f`, else the ending of FILE, else a table.
    pub fn format(&self, chosen: Option<Format>) -> Result<Format, Failure> {
        match chosen {
            Some(format) => Ok(format),
            None => Ok(self.by_name()?.unwrap_or(Format::Table)),
        }
    }

    /// The format that the ending of FILE asks for.
    pub fn by_name(&self) -> Result<Option<Format>, Failure> {
        Ok(self.output.as_deref().map_or(Ok(None), Format::of_file)?)
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Format] {
        &Format::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

/// A file to write that is none of what is read, and in no store.
pub fn file_beside(path: &Path, existing: output::ExistingFile, inputs: &[Location]) -> Result<OutputTarget, Failure> {
    let refused = |why: &str| {
        let shown = path.to_string_lossy();
        Failure::usage(format!("cannot write `{}`: {why}", visible(&without_secrets(&shown))))
    };
    let evidence = |failure: Failure| Err(failure.hint("logs and stores are evidence: name another file"));
    // A folder `s3:` may exist, but nobody who writes this means it.
    if path.to_str().is_some_and(|text| text.contains(":/")) {
        return Err(refused("it is a URL").hint("name a file of this machine, and copy it from there"));
    }
    if is_input(path, inputs) {
        return evidence(refused("it is read"));
    }
    if is_in_store(path, inputs) {
        return evidence(refused("it would stand in a store"));
    }
    Ok(OutputTarget::file(path, existing)?)
}

/// True of a file that a location names, or that is below one and may be a log.
fn is_input(path: &Path, inputs: &[Location]) -> bool {
    let (Ok(real), Ok(file)) = (path.canonicalize(), fs::metadata(path)) else { return false };
    let is_same =
        |read: io::Result<fs::Metadata>| read.is_ok_and(|read| (read.dev(), read.ino()) == (file.dev(), file.ino()));
    file.is_file()
        && inputs.iter().any(|input| match input {
            Location::Path(input) => is_same(fs::metadata(input)) || is_below(&real, input) && may_be_log(&real),
            Location::Stdin => is_same(about_stdin()),
            _ => false,
        })
}

/// The file that the shell gave as standard input.
fn about_stdin() -> io::Result<fs::Metadata> {
    fs::File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata()
}

/// True of a file, also one that is not there yet, in the folder of a store.
fn is_in_store(path: &Path, inputs: &[Location]) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(folder) = folder.canonicalize() else { return false };
    inputs.iter().any(|input| {
        let Location::Path(input) = input else { return false };
        is_below(&folder, input) && StoreLocation::holds_store(input).unwrap_or(true)
    })
}

/// True of a path that is a folder or lies below it, also where the folder has several names, as a bind mount gives it.
fn is_below(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = fs::metadata(folder) else { return false };
    let is_folder = |above: &Path| {
        fs::metadata(above).is_ok_and(|above| (above.dev(), above.ino()) == (folder.dev(), folder.ino()))
    };
    path.ancestors().any(is_folder)
}

/// True of a file that a location's walk takes for a log by its first bytes. One that cannot be opened may be one.
fn may_be_log(file: &Path) -> bool {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = fs::File::open(file).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    read.is_err() || decode::may_be_log(&file.to_string_lossy(), &head)
}

/// The locations given, else `KEYTRAIL_FROM`.
fn locations(given: &[String]) -> Result<Vec<Location>, Failure> {
    let from_env = env::var("KEYTRAIL_FROM").ok().filter(|v| !v.is_empty());
    let texts: Vec<&str> = if given.is_empty() {
        from_env.iter().map(String::as_str).collect()
    } else {
        given.iter().map(String::as_str).collect()
    };
    if texts.is_empty() {
        return Err(Failure::usage("no location given: nothing to read").hint(
            "name a file or directory of CloudTrail logs, s3://BUCKET/PREFIX, `-` for stdin, or set KEYTRAIL_FROM",
        ));
    }
    texts.into_iter().map(|t| Location::parse(t).map_err(Failure::from)).collect()
}

/// A flag wins over the environment, so `always` beats NO_COLOR; an empty NO_COLOR counts as unset.
fn colors(choice: ColorChoice, reader: TextReader, no_color: Option<OsString>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => reader == TextReader::Terminal && no_color.is_none_or(|v| v.is_empty()),
    }
}

/// `COLUMNS` is nearer than what a terminal says of itself, as psql has it; a pipe has no width by either.
fn screen_width(columns: Option<&str>, terminal: usize) -> usize {
    columns.and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0).unwrap_or(terminal)
}

fn timeout(text: &str) -> Result<Duration, String> {
    let micros = if text == "0" { Some(0) } else { times::span(text).flatten() };
    let micros = micros.and_then(|micros| u64::try_from(micros).ok());
    micros.map(Duration::from_micros).ok_or_else(|| "write it like 30s, 10m or 1h; 0 is no limit".to_owned())
}

fn memory(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['M', 'm']) {
        Some(digits) => (digits, 1 << 20),
        None => (text.strip_suffix(['G', 'g']).unwrap_or_default(), 1 << 30),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    let bytes = bytes.filter(|bytes| *bytes >= MEMORY_MIN);
    bytes.ok_or_else(|| format!("write it like 512M or 4G, at least {}M", MEMORY_MIN >> 20))
}

fn check(given: &[String], is_right: fn(&str) -> bool, what: &str, hint: &str) -> Result<(), Failure> {
    match given.iter().find(|g| !is_right(g)) {
        Some(bad) => Err(Failure::usage(format!("`{bad}` is not {what}")).hint(hint)),
        None => Ok(()),
    }
}

fn is_org(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|id| {
        (10..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_accounts_and_regions_by_shape() {
        assert!(is_account_id("111122223333"));
        for bad in ["", "11112222333", "1111222233334", "11112222333a", "١١١١٢٢٢٢٣٣٣٣"] {
            assert!(!is_account_id(bad), "{bad}");
        }
        for good in [
            "us-east-1",
            "ap-southeast-2",
            "us-gov-west-1",
            "us-iso-east-1",
            "eusc-de-east-1",
            "mx-central-1",
            "il-central-1",
        ] {
            assert!(regions::may_exist(good), "{good}");
        }
        for bad in
            ["", "us-east", "us_east_1", "US-EAST-1", "us-east-1a", "us-esat-1", "-east-1", "east-1", "us-east-1 "]
        {
            assert!(!regions::may_exist(bad), "{bad}");
        }
        assert!(is_org("o-exampleorgid") && !is_org("o-short") && !is_org("exampleorgid"));
    }

    #[test]
    fn times_and_sizes_have_units() {
        for (text, seconds) in
            [("0", Some(0)), ("30s", Some(30)), ("10m", Some(600)), ("1h", Some(3600)), ("10", None), ("-1s", None)]
        {
            assert_eq!(timeout(text).ok().map(|time| time.as_secs()), seconds, "{text}");
        }
        for (text, bytes) in
            [("512M", Some(512 << 20)), ("4g", Some(4 << 30)), ("1M", None), ("512", None), ("99999999999999G", None)]
        {
            assert_eq!(memory(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn colors_follow_the_flag_then_the_environment() {
        let set = |v: &str| Some(OsString::from(v));
        let (terminal, program) = (TextReader::Terminal, TextReader::Program);
        for (choice, reader, no_color, on) in [
            (ColorChoice::Auto, terminal, None, true),
            (ColorChoice::Auto, terminal, set(""), true),
            (ColorChoice::Auto, terminal, set("1"), false),
            (ColorChoice::Auto, program, None, false),
            (ColorChoice::Always, program, set("1"), true),
            (ColorChoice::Never, terminal, None, false),
        ] {
            assert_eq!(colors(choice, reader, no_color.clone()), on, "{choice} {reader:?} {no_color:?}");
        }
    }

    #[test]
    fn the_environment_is_nearer_than_the_terminal() {
        for (columns, width) in [(None, 120), (Some("80"), 80), (Some("0"), 120), (Some("wide"), 120), (Some(""), 120)]
        {
            assert_eq!(screen_width(columns, 120), width, "{columns:?}");
        }
    }
}
