//! One lookup: the events of one source in one Region, page after page, back in time.
//! In: a window and the spans that a store has of it. Out: saved pages, the lookup's end, and the spans it walked.
//! Owns the position and the pace of requests. Never asks for ever: a lookup without progress ends as stuck, with its
//! reason.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::retry::RetryConfig;
use aws_sdk_cloudtrail::operation::lookup_events::{LookupEventsError, LookupEventsOutput};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::super::aws::{AwsTrouble, TroubleClass, backoff};
use super::super::credentials::CredentialNotes;
use super::super::{RemoteAccess, SourceError};
use super::asked::{AskedRegion, LookupWindow};
use super::covered::{CoveredSpans, SecondSpan};
use super::pages::PageWriter;

const PAGE_EVENTS: i32 = 50;
/// AWS allows two requests a second in each Region of an account.
const PACE: Duration = Duration::from_millis(500);
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Throttling that lasts longer than this is an outage.
const THROTTLED_TIME_MAX: Duration = Duration::from_secs(15 * 60);
const NETWORK_ATTEMPTS_MAX: u32 = 6;
/// Events come from the newest to the oldest, but may be out of order by this many seconds.
const JITTER: i64 = 900;
/// Times that a lookup may restart at one second of the history.
const RESTARTS_MAX: u32 = 3;
/// Pages in a row that may bring nothing new.
const BARREN_PAGES_MAX: u32 = 100;

/// Shared by all lookups of a run.
pub(super) struct LookupContext<'a> {
    pub(super) config: &'a SdkConfig,
    pub(super) window: LookupWindow,
    pub(super) remote: &'a RemoteAccess,
    /// Set once any lookup got an event.
    pub(super) has_events: &'a AtomicBool,
}

/// The end of a lookup.
pub(super) enum LookupEnd {
    /// The window was walked to its first second.
    Whole,
    /// The account has not enabled the Region, so it has no history.
    NotEnabled,
    /// Some of the window is missing.
    Stuck(AwsTrouble),
}

/// The lookups of one Region run one after the other, since they share its pace.
pub(super) struct RegionLookups<'a> {
    asked: &'a AskedRegion,
    client: Client,
    pace: Interval,
    /// Set once the Region has answered, so that it is enabled.
    has_answer: bool,
    context: &'a LookupContext<'a>,
}

impl<'a> RegionLookups<'a> {
    pub(super) fn new(asked: &'a AskedRegion, context: &'a LookupContext<'a>) -> RegionLookups<'a> {
        let config = aws_sdk_cloudtrail::config::Builder::from(context.config)
            .region(Region::new(asked.region.clone()))
            .interceptor(CredentialNotes)
            // `pace` covers every request, so retries must pass through it too.
            .retry_config(RetryConfig::disabled());
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        RegionLookups { asked, client: Client::from_conf(config.build()), pace, has_answer: false, context }
    }

    /// Begins the lookup of one event source. A store already has the spans in `covered`.
    pub(super) fn lookup(
        &mut self,
        event_source: &'static str,
        pages: PageWriter,
        covered: CoveredSpans,
    ) -> Lookup<'_, 'a> {
        Lookup {
            region: self,
            event_source,
            pages,
            requests: 0,
            events: 0,
            account: None,
            covered,
            walked: Vec::new(),
            in_order: true,
        }
    }
}

/// The lookup of one event source in one Region.
pub(super) struct Lookup<'r, 'a> {
    region: &'r mut RegionLookups<'a>,
    event_source: &'static str,
    pages: PageWriter,
    requests: u64,
    events: u64,
    /// The owner of the events.
    account: Option<String>,
    /// Spans that need not be asked for.
    covered: CoveredSpans,
    /// Spans that were asked for and whose events came.
    walked: Vec<SecondSpan>,
    /// False once an event was younger than an earlier one by more than [`JITTER`]: then no span is sure to be whole.
    in_order: bool,
}

/// The progress of a lookup. It goes back in time, so it can restart at the oldest event.
struct LookupPosition {
    /// The second at which this stretch of the way back began.
    from: i64,
    /// The end of the requested time, in seconds.
    until: i64,
    token: Option<String>,
    /// Hashes of the tokens since the last restart: a token that comes back means a circle.
    tokens: HashSet<u64>,
    oldest: i64,
    /// Events of the oldest second, which come again after a restart there.
    at_oldest: HashSet<String>,
    barren_pages: u32,
    restarts: u32,
}

impl LookupPosition {
    fn new(until: i64) -> LookupPosition {
        LookupPosition {
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

    /// True of an event that comes for the first time.
    fn is_new(&mut self, id: &str, time: i64) -> bool {
        if time < self.oldest {
            self.oldest = time;
            self.at_oldest.clear();
        }
        time != self.oldest || id.is_empty() || self.at_oldest.insert(id.to_owned())
    }

    /// Goes on to the next page. False if the token came before or too many pages in a row brought nothing new.
    fn follow(&mut self, token: String, new_events: u64) -> bool {
        self.barren_pages = if new_events == 0 { self.barren_pages + 1 } else { 0 };
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        self.token = Some(token);
        self.tokens.insert(hasher.finish()) && self.barren_pages <= BARREN_PAGES_MAX
    }

    /// Restarts at the oldest event so far. False if that was tried too often.
    fn restart(&mut self) -> bool {
        self.restarts = if self.oldest < self.until { 0 } else { self.restarts + 1 };
        self.until = self.oldest;
        self.token = None;
        self.tokens.clear();
        self.barren_pages = 0;
        self.restarts <= RESTARTS_MAX
    }
}

/// The step after a page.
enum AfterPage {
    Page,
    End,
    Circle,
}

impl Lookup<'_, '_> {
    /// Looks up the part of the window that `covered` lacks, and saves page after page.
    pub(super) async fn run(&mut self, window: LookupWindow) -> Result<LookupEnd, SourceError> {
        let mut position = LookupPosition::new(window.until);
        let ended = self.walk(window, &mut position).await?;
        // A lookup that broke off may have more events near its oldest second, so those seconds do not count as walked.
        let oldest = if matches!(ended, LookupEnd::Whole) { window.since } else { position.oldest + JITTER + 1 };
        self.walked.push((oldest, position.from));
        Ok(ended)
    }

    /// Ends the last document. Returns the places of all and the number of requests.
    pub(super) fn finish(self) -> io::Result<(Vec<Range<u64>>, u64)> {
        Ok((self.pages.finish()?, self.requests))
    }

    async fn walk(&mut self, window: LookupWindow, position: &mut LookupPosition) -> Result<LookupEnd, SourceError> {
        let mut trouble_since = None;
        let mut attempt = 0;
        loop {
            self.region.pace.tick().await;
            let trouble = match self.page(window.since, position).await {
                Ok(page) => {
                    (trouble_since, attempt) = (None, 0);
                    self.region.has_answer = true;
                    match self.take(page, position, window.since)? {
                        AfterPage::Page => continue,
                        AfterPage::End => return Ok(LookupEnd::Whole),
                        AfterPage::Circle => {
                            let trouble =
                                AwsTrouble::new(TroubleClass::Inconsistent, "its pages lead round in a circle");
                            return Ok(LookupEnd::Stuck(trouble));
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            match trouble.class {
                TroubleClass::BadToken | TroubleClass::Inconsistent if position.restart() => continue,
                TroubleClass::Busy if trouble_since.get_or_insert_with(Instant::now).elapsed() < THROTTLED_TIME_MAX => {
                }
                TroubleClass::Network if attempt < NETWORK_ATTEMPTS_MAX => {}
                TroubleClass::RegionNotEnabled if !self.region.has_answer => return Ok(LookupEnd::NotEnabled),
                TroubleClass::BadCredentials if !self.region.has_answer && self.region.asked.may_be_disabled() => {
                    return Ok(LookupEnd::NotEnabled);
                }
                // Events that came before the credentials expired are kept.
                class if class.is_fatal() && !self.region.context.has_events.load(Ordering::Relaxed) => {
                    let doing = format!("cannot look up the event history of `{}`", self.region.asked.region);
                    return Err(SourceError::aws(doing, trouble));
                }
                _ => return Ok(LookupEnd::Stuck(trouble)),
            }
            tokio::time::sleep(backoff(attempt, WAIT_FIRST, WAIT_MAX)).await;
            attempt += 1;
        }
    }

    async fn page(&mut self, since: i64, at: &LookupPosition) -> Result<LookupEventsOutput, AwsTrouble> {
        self.requests += 1;
        let by_source = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventSource)
            .attribute_value(self.event_source)
            .build()
            .map_err(|error| AwsTrouble::new(TroubleClass::Other, error.to_string()))?;
        let request = self.region.client.lookup_events().lookup_attributes(by_source).max_results(PAGE_EVENTS);
        let request = request.start_time(DateTime::from_secs(since)).end_time(DateTime::from_secs(at.until));
        keytrail_limits::opened();
        let sent = request.set_next_token(at.token.clone()).send().await;
        sent.map_err(|error| AwsTrouble::of::<LookupEventsError>(&error))
    }

    /// The spans that a store will have once it holds these events.
    pub(super) fn covered_now(&self) -> String {
        let mut covered = self.covered.clone();
        if let Some(account) = self.account.as_ref().filter(|_| self.in_order) {
            covered.add(account, &self.walked, self.region.context.window.until);
        }
        covered.to_string()
    }

    /// Skips the covered span that begins here, if there is one.
    fn pass_over(&mut self, position: &mut LookupPosition, since: i64) -> Option<AfterPage> {
        let account = self.account.as_deref().filter(|_| self.in_order)?;
        let first = self.covered.first_with(account, (position.oldest, position.oldest + JITTER))?;
        if first >= position.oldest {
            return None;
        }
        self.walked.push((position.oldest + JITTER + 1, position.from));
        *position = LookupPosition::new(first);
        Some(if first > since { AfterPage::Page } else { AfterPage::End })
    }

    /// Saves a page.
    fn take(
        &mut self,
        page: LookupEventsOutput,
        position: &mut LookupPosition,
        since: i64,
    ) -> Result<AfterPage, SourceError> {
        let mut new_events = 0;
        for event in page.events() {
            let time = event.event_time().map_or(position.oldest, DateTime::secs);
            self.in_order &= time <= position.oldest + JITTER;
            if position.is_new(event.event_id().unwrap_or_default(), time) {
                new_events += 1;
                self.region.context.has_events.store(true, Ordering::Relaxed);
                let record = event.cloud_trail_event().unwrap_or_default();
                if self.account.is_none() {
                    self.account = account_of(record);
                }
                self.pages.add(record).map_err(|source| SourceError::Disk { source })?;
            }
        }
        self.events += new_events;
        self.pages.end_page().map_err(|source| SourceError::Disk { source })?;
        if self.requests.is_multiple_of(200) {
            let (region, source, events) = (&self.region.asked.region, self.event_source, self.events);
            (self.region.context.remote.note)(format!("event history of {region}, {source}: {events} events so far"));
        }
        let Some(token) = page.next_token.filter(|token| !token.is_empty()) else { return Ok(AfterPage::End) };
        if let Some(next) = self.pass_over(position, since) {
            return Ok(next);
        }
        let goes_on = position.follow(token, new_events) || position.restart();
        Ok(if goes_on { AfterPage::Page } else { AfterPage::Circle })
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
    fn a_lookup_goes_back_in_time_and_never_round_in_a_circle() {
        let mut position = LookupPosition::new(100);
        assert!(position.is_new("a", 90) && position.is_new("b", 80) && position.is_new("c", 80));
        assert!(position.follow("1".into(), 1) && position.follow("2".into(), 1));
        assert!(!position.follow("1".into(), 1), "a token that comes back");
        assert!(position.restart());
        assert_eq!((position.until, position.token.as_deref()), (80, None));
        assert!(!position.is_new("b", 80) && position.is_new("d", 80) && position.is_new("e", 79));
        assert!(position.restart());
        let restarts = (0..100).take_while(|_| position.restart()).count();
        assert_eq!(restarts as u32, RESTARTS_MAX);
        let followed = (0..1000).take_while(|n| position.follow(format!("t{n}"), 0)).count();
        assert_eq!(followed as u32, BARREN_PAGES_MAX);
    }
}
