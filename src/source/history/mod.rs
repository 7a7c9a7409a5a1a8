//! CloudTrail's event history: the last 90 days of each Region, looked up by page and saved as objects of a listing.
//! In: Regions and a scope. Out: files of `{"Events":[{"CloudTrailEvent":"…"}]}`, which the decoder knows.
//! The service allows two requests a second and throttles freely, so slowness is no failure here. Never asks for ever:
//! a Region that does not get on is named as incomplete. What a store has is passed over, so that a lookup that was broken
//! off is gone on with.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::retry::RetryConfig;
use aws_sdk_cloudtrail::operation::lookup_events::{LookupEventsError, LookupEventsOutput};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::aws::{self, Class, Trouble, backoff};
use super::listing::{Builder, Code, Origin, OriginId, Part, Shared};
use super::{Location, Regions, Remote, Scope, SourceError};
use covered::{Covered, Span};
use pages::Pages;

mod covered;
mod pages;

pub(super) const SCHEME: &str = "cloudtrail://";

/// Event sources that are looked up: folder, and the name that AWS gives it.
const SOURCES: [(&str, &str); 2] = [("dynamodb", "dynamodb.amazonaws.com"), ("kms", "kms.amazonaws.com")];
const HISTORY_DAYS: i64 = 90;
const DAY_SECONDS: i64 = 86_400;
pub(super) const PAGE_EVENTS: i32 = 50;
/// Two requests a second are allowed in each Region of an account.
const PACE: Duration = Duration::from_millis(500);
const REGIONS_AT_ONCE: usize = 16;
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Throttling that lasts longer than this is an outage.
const THROTTLED_TIME_MAX: Duration = Duration::from_secs(15 * 60);
const NETWORK_ATTEMPTS_MAX: u32 = 6;
/// Events come from the newest to the oldest; so many seconds are allowed for.
const JITTER: i64 = 900;
/// Times that a lookup may begin anew at one second of the history.
const RESTARTS_MAX: u32 = 3;
/// Pages in a row that bring nothing new.
const BARREN_PAGES_MAX: u32 = 100;

/// Regions of AWS's commercial partition; those that an account has not enabled refuse it.
const ALL_REGIONS: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];
/// How a lookup ended stands under this name.
const END: &str = "end";
/// Every account has it, so a refusal there is about the credentials.
const HOME_REGION: &str = "us-east-1";

/// When the event history begins, in microseconds.
pub fn begin(now_micros: i64) -> i64 {
    now_micros - HISTORY_DAYS * DAY_SECONDS * 1_000_000
}

/// Whether an object of this name is how a lookup ended.
pub fn is_end(uri: &str) -> bool {
    uri.strip_prefix(SCHEME).is_some_and(|rest| rest.ends_with(&format!("/{END}")))
}

/// A Region to look into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    region: String,
    /// Named by the user, not only one of all.
    is_named: bool,
}

/// The Regions of all locations that the scope does not exclude, each once.
pub(super) fn regions_of(locations: &[Location], scope: &Scope) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for location in locations {
        match location {
            Location::History(Regions::All) => {
                all.extend(ALL_REGIONS.map(|region| Asked { region: region.to_owned(), is_named: false }));
            }
            Location::History(Regions::Named(regions)) => {
                all.extend(regions.iter().map(|region| Asked { region: region.clone(), is_named: true }));
            }
            Location::Path(_) | Location::Stdin | Location::S3(_) => {}
        }
    }
    all.retain(|asked| scope.regions.is_empty() || scope.regions.contains(&asked.region));
    // Where a Region is both named and one of all, it is a named one.
    all.sort_by(|a, b| (&a.region, !a.is_named).cmp(&(&b.region, !b.is_named)));
    all.dedup_by(|next, kept| next.region == kept.region);
    all
}

/// What is known before anything is asked.
pub(super) fn estimate(regions: usize, window: &Window) -> String {
    let days = ((window.until - window.since).max(1) + DAY_SECONDS - 1).div_euclid(DAY_SECONDS);
    let names = if regions == 1 { "1 Region" } else { &format!("{regions} Regions") };
    format!(
        "event history of {names}, up to {days} days: at most 100 events a second in each Region, so that 100,000 events \
         take 17 minutes; how many there are is not known before. No digest covers event history."
    )
}

/// Seconds since 1970, both inclusive as the service takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    since: i64,
    until: i64,
}

impl Window {
    pub(super) fn of(scope: &Scope, now_micros: i64) -> Window {
        let now = now_micros.div_euclid(1_000_000);
        let oldest = now - HISTORY_DAYS * DAY_SECONDS;
        let since = scope.since.map_or(oldest, |micros| micros.div_euclid(1_000_000));
        let until = scope.until.map_or(now, |micros| (micros - 1).div_euclid(1_000_000));
        Window { since: since.max(oldest), until: until.min(now) }
    }
}

/// How the lookup in a Region ended.
enum Ended {
    Whole,
    NotEnabled,
    Stuck(Trouble),
}

/// What one event source of a Region gave.
struct Looked {
    region: String,
    folder: &'static str,
    files: Vec<u64>,
    requests: u64,
    ended: Ended,
}

/// Looks into the Regions side by side and adds what they gave.
pub(super) async fn list(
    regions: &[Asked],
    scope: &Scope,
    remote: &Remote,
    mut builder: Builder,
) -> Result<Builder, SourceError> {
    let window = Window::of(scope, remote.now_micros);
    if window.since > window.until {
        return Ok(builder);
    }
    (remote.note)(estimate(regions.len(), &window));
    let folder = Arc::new(tempfile::TempDir::new().map_err(|source| SourceError::Disk { source })?);
    let config = aws::sdk_config(&remote.aws).await;
    let has_events = AtomicBool::new(false);
    let context = Context { config: &config, window, folder: folder.path(), remote, has_events: &has_events };
    let each = regions.iter().map(|asked| look_into(asked, &context));
    let looked: Vec<Vec<Looked>> = futures::stream::iter(each).buffer_unordered(REGIONS_AT_ONCE).try_collect().await?;
    let looked: Vec<Looked> = looked.into_iter().flatten().collect();
    let origin = builder.origin(Origin::History(Arc::clone(&folder)))?;
    if let Some(trouble) = all_denied(&looked).filter(|_| !has_events.load(Ordering::Relaxed)) {
        return Err(SourceError::aws(
            "cannot look up the event history".to_owned(),
            trouble.denied_as(Class::LookupDenied),
        ));
    }
    for one in &looked {
        builder.requests += one.requests;
        add(&mut builder, origin, one)?;
    }
    Ok(builder)
}

/// No lookup came to its end, and one was forbidden: without any event, the run cannot work at all.
fn all_denied(looked: &[Looked]) -> Option<Trouble> {
    let any_whole = looked.iter().any(|one| matches!(one.ended, Ended::Whole));
    looked.iter().filter(|_| !any_whole).find_map(|one| match &one.ended {
        Ended::Stuck(trouble) if trouble.class == Class::AccessDenied => Some(trouble.clone()),
        _ => None,
    })
}

fn add(builder: &mut Builder, origin: OriginId, one: &Looked) -> Result<(), SourceError> {
    let mut part = Part::default();
    if matches!(one.ended, Ended::NotEnabled) {
        let id = builder.directory_at(origin, Path::new(SCHEME), Shared::default(), None)?;
        builder.push(&mut part, id, format!("{}/", one.region).as_bytes(), (Code::RegionNotEnabled, 0))?;
        builder.add(part);
        return Ok(());
    }
    let path = format!("{SCHEME}{}/{}/", one.region, one.folder);
    let id = builder.directory_at(origin, Path::new(&path), Shared::default(), None)?;
    for (number, bytes) in one.files.iter().enumerate() {
        builder.push(&mut part, id, pages::file_name(number).as_bytes(), (Code::Log, *bytes))?;
    }
    // It has one name however the lookup ends, so that a later success takes the place of a failure.
    let code = match &one.ended {
        Ended::Stuck(trouble) if trouble.class == Class::AccessDenied => Code::HistoryDenied,
        Ended::Stuck(_) => Code::HistoryFailed,
        Ended::Whole | Ended::NotEnabled => Code::HistoryEnd,
    };
    builder.push(&mut part, id, END.as_bytes(), (code, 0))?;
    builder.add(part);
    Ok(())
}

/// What all lookups of a run share.
struct Context<'a> {
    config: &'a SdkConfig,
    window: Window,
    folder: &'a Path,
    remote: &'a Remote,
    /// Whether any of them got anything.
    has_events: &'a AtomicBool,
}

async fn look_into(asked: &Asked, context: &Context<'_>) -> Result<Vec<Looked>, SourceError> {
    let disk = |source| SourceError::Disk { source };
    let config = aws_sdk_cloudtrail::config::Builder::from(context.config)
        .region(Region::new(asked.region.clone()))
        // Every request is paced here, another attempt too.
        .retry_config(RetryConfig::disabled());
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let client = Client::from_conf(config.build());
    let (mut all, mut has_answer) = (Vec::new(), false);
    for (name, event_source) in SOURCES {
        let folder = context.folder.join(&asked.region).join(name);
        let pages = Pages::new(&folder).map_err(disk)?;
        let end = format!("{SCHEME}{}/{name}/{END}", asked.region);
        let covered = context.remote.covered.get(&end).and_then(|ended| ended.split_once(' '));
        let covered = covered.map_or_else(Covered::default, |(_, text)| Covered::parse(text));
        let mut lookup = Lookup {
            asked,
            event_source,
            client: &client,
            pace,
            pages,
            requests: 0,
            events: 0,
            account: None,
            covered,
            walked: Vec::new(),
            in_order: true,
            has_answer,
            context,
        };
        let ended = lookup.run(context.window).await?;
        if let Ended::Stuck(trouble) = &ended {
            let note = format!("the event history of {}, {event_source}, is incomplete: {trouble}", asked.region);
            (context.remote.note)(note);
        }
        fs::write(folder.join(END), lookup.covered_now()).map_err(disk)?;
        let files = lookup.pages.finish().map_err(disk)?;
        (pace, has_answer) = (lookup.pace, lookup.has_answer);
        let is_enabled = !matches!(ended, Ended::NotEnabled);
        all.push(Looked { region: asked.region.clone(), folder: name, files, requests: lookup.requests, ended });
        if !is_enabled {
            break;
        }
    }
    Ok(all)
}

/// The lookup of one event source in one Region.
struct Lookup<'a> {
    asked: &'a Asked,
    event_source: &'static str,
    client: &'a Client,
    pace: Interval,
    pages: Pages,
    requests: u64,
    events: u64,
    /// Whose events they are.
    account: Option<String>,
    /// What need not be asked for.
    covered: Covered,
    /// What was asked for and came.
    walked: Vec<Span>,
    /// Whether no event was younger than one before it by more than [`JITTER`]: only then is it known what came.
    in_order: bool,
    /// Whether the Region has answered, so that it is enabled.
    has_answer: bool,
    context: &'a Context<'a>,
}

/// How far a lookup has come. It goes back in time, so it can begin anew at the oldest event.
struct Position {
    /// Where this stretch of the way back began, in seconds.
    from: i64,
    /// The end of what is asked for, in seconds.
    until: i64,
    token: Option<String>,
    /// Tokens since it began anew, hashed: one that comes back leads round in a circle.
    tokens: HashSet<u64>,
    oldest: i64,
    /// Events of the oldest second, which come again when it begins anew there.
    at_oldest: HashSet<String>,
    barren_pages: u32,
    restarts: u32,
}

impl Position {
    fn new(until: i64) -> Position {
        Position {
            from: until,
            until,
            token: None,
            tokens: HashSet::new(),
            oldest: until,
            at_oldest: HashSet::new(),
            barren_pages: 0,
            restarts: 0,
        }
    }

    /// Whether an event has not come before.
    fn is_new(&mut self, id: &str, time: i64) -> bool {
        if time < self.oldest {
            self.oldest = time;
            self.at_oldest.clear();
        }
        time != self.oldest || id.is_empty() || self.at_oldest.insert(id.to_owned())
    }

    /// Goes on to the next page. False where it leads nowhere.
    fn follow(&mut self, token: String, is_barren: bool) -> bool {
        self.barren_pages = if is_barren { self.barren_pages + 1 } else { 0 };
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        self.token = Some(token);
        self.tokens.insert(hasher.finish()) && self.barren_pages <= BARREN_PAGES_MAX
    }

    /// Begins anew at the oldest event so far. False where that has been tried too often.
    fn restart(&mut self) -> bool {
        self.restarts = if self.oldest < self.until { 0 } else { self.restarts + 1 };
        self.until = self.oldest;
        self.token = None;
        self.tokens.clear();
        self.barren_pages = 0;
        self.restarts <= RESTARTS_MAX
    }
}

/// What follows a page.
enum Next {
    Page,
    End,
    Circle,
}

impl Lookup<'_> {
    async fn run(&mut self, window: Window) -> Result<Ended, SourceError> {
        let mut position = Position::new(window.until);
        let ended = self.walk(window, &mut position).await?;
        // About its oldest second there may be more where it did not come to the end.
        let oldest = if matches!(ended, Ended::Whole) { window.since } else { position.oldest + JITTER + 1 };
        self.walked.push((oldest, position.from));
        Ok(ended)
    }

    async fn walk(&mut self, window: Window, position: &mut Position) -> Result<Ended, SourceError> {
        let mut trouble_since = None;
        let mut attempt = 0;
        loop {
            self.pace.tick().await;
            let trouble = match self.page(window.since, position).await {
                Ok(page) => {
                    (trouble_since, attempt) = (None, 0);
                    self.has_answer = true;
                    match self.take(page, position, window.since)? {
                        Next::Page => continue,
                        Next::End => return Ok(Ended::Whole),
                        Next::Circle => {
                            let trouble = Trouble::new(Class::Inconsistent, "its pages lead round in a circle");
                            return Ok(Ended::Stuck(trouble));
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            match trouble.class {
                Class::BadToken | Class::Inconsistent if position.restart() => continue,
                Class::Busy if trouble_since.get_or_insert_with(Instant::now).elapsed() < THROTTLED_TIME_MAX => {}
                Class::Network if attempt < NETWORK_ATTEMPTS_MAX => {}
                Class::RegionNotEnabled if !self.has_answer => return Ok(Ended::NotEnabled),
                Class::BadCredentials
                    if !self.has_answer && !self.asked.is_named && self.asked.region != HOME_REGION =>
                {
                    return Ok(Ended::NotEnabled);
                }
                // What came before the credentials expired is kept.
                class if class.is_fatal() && !self.context.has_events.load(Ordering::Relaxed) => {
                    let doing = format!("cannot look up the event history of `{}`", self.asked.region);
                    return Err(SourceError::aws(doing, trouble));
                }
                _ => return Ok(Ended::Stuck(trouble)),
            }
            tokio::time::sleep(backoff(attempt, WAIT_FIRST, WAIT_MAX)).await;
            attempt += 1;
        }
    }

    async fn page(&mut self, since: i64, at: &Position) -> Result<LookupEventsOutput, Trouble> {
        self.requests += 1;
        let by_source = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventSource)
            .attribute_value(self.event_source)
            .build()
            .map_err(|error| Trouble::new(Class::Other, error.to_string()))?;
        let request = self.client.lookup_events().lookup_attributes(by_source).max_results(PAGE_EVENTS);
        let request = request.start_time(DateTime::from_secs(since)).end_time(DateTime::from_secs(at.until));
        let sent = request.set_next_token(at.token.clone()).send().await;
        sent.map_err(|error| Trouble::of::<LookupEventsError>(&error))
    }

    /// What a store will have, once it has what came.
    fn covered_now(&self) -> String {
        let mut covered = self.covered.clone();
        if let Some(account) = self.account.as_ref().filter(|_| self.in_order) {
            covered.add(account, &self.walked, self.context.window.until);
        }
        covered.to_string()
    }

    /// Passes over what is covered, if anything is from here on.
    fn pass_over(&mut self, position: &mut Position, since: i64) -> Option<Next> {
        let account = self.account.as_deref().filter(|_| self.in_order)?;
        let first = self.covered.first_with(account, (position.oldest, position.oldest + JITTER))?;
        if first >= position.oldest {
            return None;
        }
        self.walked.push((position.oldest + JITTER + 1, position.from));
        *position = Position::new(first);
        Some(if first > since { Next::Page } else { Next::End })
    }

    /// Saves a page.
    fn take(&mut self, page: LookupEventsOutput, position: &mut Position, since: i64) -> Result<Next, SourceError> {
        let mut is_barren = true;
        for event in page.events() {
            let time = event.event_time().map_or(position.oldest, DateTime::secs);
            self.in_order &= time <= position.oldest + JITTER;
            if position.is_new(event.event_id().unwrap_or_default(), time) {
                is_barren = false;
                self.events += 1;
                self.context.has_events.store(true, Ordering::Relaxed);
                let record = event.cloud_trail_event().unwrap_or_default();
                if self.account.is_none() {
                    self.account = account_of(record);
                }
                self.pages.add(record).map_err(|source| SourceError::Disk { source })?;
            }
        }
        self.pages.end_page().map_err(|source| SourceError::Disk { source })?;
        if self.requests.is_multiple_of(200) {
            let (region, source, events) = (&self.asked.region, self.event_source, self.events);
            (self.context.remote.note)(format!("event history of {region}, {source}: {events} events so far"));
        }
        let Some(token) = page.next_token.filter(|token| !token.is_empty()) else { return Ok(Next::End) };
        if let Some(next) = self.pass_over(position, since) {
            return Ok(next);
        }
        let goes_on = position.follow(token, is_barren) || position.restart();
        Ok(if goes_on { Next::Page } else { Next::Circle })
    }
}

fn account_of(record: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(record).ok()?;
    record["recipientAccountId"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_come_once_and_within_the_scope() {
        let named = |names: &[&str]| Location::History(Regions::Named(names.iter().map(|n| (*n).into()).collect()));
        let all = Location::History(Regions::All);
        let scope = Scope::default();
        let found = regions_of(&[all.clone(), named(&["eu-west-1", "us-gov-east-1"])], &scope);
        assert_eq!(found.len(), ALL_REGIONS.len() + 1);
        assert!(found.iter().filter(|asked| asked.is_named).count() == 2 && found.is_sorted());
        let scope = Scope { regions: vec!["eu-west-1".into(), "xx-none-1".into()], ..scope };
        assert_eq!(regions_of(&[all], &scope).len(), 1);
        assert_eq!(regions_of(&[named(&["us-east-1"])], &scope), []);
    }

    #[test]
    fn the_window_ends_with_the_history() {
        let now = 1_000 * DAY_SECONDS;
        for (since, until, window) in [
            (None, None, (now - 90 * DAY_SECONDS, now)),
            (Some(now - 10), Some(now - 5), (now - 10, now - 6)),
            (Some(0), Some(now + 5), (now - 90 * DAY_SECONDS, now)),
        ] {
            let micros = |seconds: Option<i64>| seconds.map(|seconds| seconds * 1_000_000);
            let scope = Scope { since: micros(since), until: micros(until), ..Scope::default() };
            let found = Window::of(&scope, now * 1_000_000);
            assert_eq!((found.since, found.until), window);
        }
    }

    #[test]
    fn a_lookup_goes_back_in_time_and_never_round_in_a_circle() {
        let mut position = Position::new(100);
        assert!(position.is_new("a", 90) && position.is_new("b", 80) && position.is_new("c", 80));
        assert!(position.follow("1".into(), false) && position.follow("2".into(), false));
        assert!(!position.follow("1".into(), false), "a token that comes back");
        assert!(position.restart());
        assert_eq!((position.until, position.token.as_deref()), (80, None));
        assert!(!position.is_new("b", 80) && position.is_new("d", 80) && position.is_new("e", 79));
        assert!(position.restart());
        let restarts = (0..100).take_while(|_| position.restart()).count();
        assert_eq!(restarts as u32, RESTARTS_MAX);
        let followed = (0..1000).take_while(|n| position.follow(format!("t{n}"), true)).count();
        assert_eq!(followed as u32, BARREN_PAGES_MAX);
    }
}
