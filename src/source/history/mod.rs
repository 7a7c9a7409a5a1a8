//! CloudTrail's event history: the last 90 days of each Region, looked up by page and saved as objects of a listing.
//! In: Regions and a scope. Out: documents `{"Events":[{"CloudTrailEvent":"…"}]}`, which the decoder knows.
//! The service allows two requests a second and throttles freely, so slowness is no failure here. Never asks for ever:
//! a Region without progress is named as incomplete. A lookup skips the spans that a store has, so an interrupted
//! lookup resumes.
//!
//! `asked` chooses the Regions and the time, `lookup` asks, `pages` saves, `covered` knows the spans that a store has.
//! This file runs the Regions side by side and enters their results.

mod asked;
mod covered;
mod lookup;
mod pages;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, TryStreamExt};

use super::aws::{self, AwsTrouble, TroubleClass};
use super::listing::{EntryCode, ListingBuilder, ListingPart, NameAffixes, OriginId};
use super::origin::{HISTORY_SCHEME, ObjectOrigin, SavedHistory, SavedObject};
use super::spool_file::SpoolFile;
use super::{RemoteAccess, Scope, SourceError};
use covered::CoveredSpans;
use lookup::{LookupContext, LookupEnd, RegionLookups};
use pages::PageWriter;

pub use asked::begin;
pub(super) use asked::{AskedRegion, LookupWindow, estimate, regions_of};

/// Event sources that are looked up: our folder, and AWS's name.
const SOURCES: [(&str, &str); 2] = [("dynamodb", "dynamodb.amazonaws.com"), ("kms", "kms.amazonaws.com")];
const REGIONS_AT_ONCE: usize = 16;
/// The name of the object that records the end of a lookup.
const END: &str = "end";

/// True of an object whose name marks it as the end of a lookup.
pub fn is_end(uri: &str) -> bool {
    uri.strip_prefix(HISTORY_SCHEME).is_some_and(|rest| rest.ends_with(&format!("/{END}")))
}

/// The result of one event source of a Region.
struct LookupResult {
    region: String,
    source: &'static str,
    /// The file of its Region, and the documents in it.
    pages: (SpoolFile, Vec<Range<u64>>),
    /// The spans that a store has once it holds the events.
    covered: String,
    requests: u64,
    ended: LookupEnd,
}

/// Begins the paths of the objects of one event source in a Region.
fn folder_of(region: &str, source: &str) -> String {
    format!("{HISTORY_SCHEME}{region}/{source}/")
}

/// Looks into the Regions side by side and adds their results.
pub(super) async fn list(
    regions: &[AskedRegion],
    scope: &Scope,
    remote: &RemoteAccess,
    mut builder: ListingBuilder,
) -> Result<ListingBuilder, SourceError> {
    let window = LookupWindow::of(scope, remote.now_micros);
    if window.since > window.until {
        return Ok(builder);
    }
    (remote.note)(estimate(regions.len(), &window));
    let config = aws::sdk_config(&remote.aws).await;
    let has_events = AtomicBool::new(false);
    let context = LookupContext { config: &config, window, remote, has_events: &has_events };
    let each = regions.iter().map(|asked| look_into(asked, &context));
    let looked: Vec<Vec<LookupResult>> =
        futures::stream::iter(each).buffer_unordered(REGIONS_AT_ONCE).try_collect().await?;
    let looked: Vec<LookupResult> = looked.into_iter().flatten().collect();
    if let Some(trouble) = all_denied(&looked).filter(|_| !has_events.load(Ordering::Relaxed)) {
        return Err(SourceError::aws(
            "cannot look up the event history".to_owned(),
            trouble.denied_as(TroubleClass::LookupDenied),
        ));
    }
    let mut saved = SavedHistory::default();
    looked.iter().for_each(|one| one.save(&mut saved));
    let origin = builder.origin(ObjectOrigin::History(Arc::new(saved)))?;
    for one in &looked {
        builder.requests += one.requests;
        add(&mut builder, origin, one)?;
    }
    Ok(builder)
}

impl LookupResult {
    fn save(&self, saved: &mut SavedHistory) {
        let folder = folder_of(&self.region, self.source);
        let (file, documents) = &self.pages;
        for (number, place) in documents.iter().enumerate() {
            saved.add(folder.clone() + &pages::name_of(number), SavedObject::Pages(file.clone(), place.clone()));
        }
        saved.add(folder + END, SavedObject::End(self.covered.clone()));
    }
}

/// The denial, if one lookup was denied and none came to its end: without any event, the run cannot work at all.
fn all_denied(looked: &[LookupResult]) -> Option<AwsTrouble> {
    let any_whole = looked.iter().any(|one| matches!(one.ended, LookupEnd::Whole));
    looked.iter().filter(|_| !any_whole).find_map(|one| match &one.ended {
        LookupEnd::Stuck(trouble) if trouble.class == TroubleClass::AccessDenied => Some(trouble.clone()),
        _ => None,
    })
}

fn add(builder: &mut ListingBuilder, origin: OriginId, one: &LookupResult) -> Result<(), SourceError> {
    let mut part = ListingPart::default();
    if matches!(one.ended, LookupEnd::NotEnabled) {
        let id = builder.directory_at(origin, Path::new(HISTORY_SCHEME), NameAffixes::default(), None)?;
        builder.push(&mut part, id, format!("{}/", one.region).as_bytes(), (EntryCode::RegionNotEnabled, 0))?;
        builder.add(part);
        return Ok(());
    }
    let path = folder_of(&one.region, one.source);
    let id = builder.directory_at(origin, Path::new(&path), NameAffixes::default(), None)?;
    for (number, place) in one.pages.1.iter().enumerate() {
        let bytes = place.end - place.start;
        builder.push(&mut part, id, pages::name_of(number).as_bytes(), (EntryCode::Log, bytes))?;
    }
    // The name is the same for every end, so that a later success replaces a failure.
    let code = match &one.ended {
        LookupEnd::Stuck(trouble) if trouble.class == TroubleClass::AccessDenied => EntryCode::HistoryDenied,
        LookupEnd::Stuck(_) => EntryCode::HistoryFailed,
        LookupEnd::Whole | LookupEnd::NotEnabled => EntryCode::HistoryEnd,
    };
    builder.push(&mut part, id, END.as_bytes(), (code, 0))?;
    builder.add(part);
    Ok(())
}

async fn look_into(asked: &AskedRegion, context: &LookupContext<'_>) -> Result<Vec<LookupResult>, SourceError> {
    let disk = |source| SourceError::Disk { source };
    let mut region = RegionLookups::new(asked, context);
    // One file for all documents of the Region, since each file that has no name stays open.
    let file = SpoolFile::new().map_err(disk)?;
    let mut all = Vec::new();
    for (source, event_source) in SOURCES {
        let pages = PageWriter::new(&file).map_err(disk)?;
        let end = folder_of(&asked.region, source) + END;
        let covered = context.remote.covered.get(&end).and_then(|ended| ended.split_once(' '));
        let covered = covered.map_or_else(CoveredSpans::default, |(_, text)| CoveredSpans::parse(text));
        let mut lookup = region.lookup(event_source, pages, covered);
        let ended = lookup.run(context.window).await?;
        if let LookupEnd::Stuck(trouble) = &ended {
            let note = format!("the event history of {}, {event_source}, is incomplete: {trouble}", asked.region);
            (context.remote.note)(note);
        }
        let covered = lookup.covered_now();
        let (documents, requests) = lookup.finish().map_err(disk)?;
        let is_enabled = !matches!(ended, LookupEnd::NotEnabled);
        let (region, pages) = (asked.region.clone(), (file.clone(), documents));
        all.push(LookupResult { region, source, pages, covered, requests, ended });
        if !is_enabled {
            break;
        }
    }
    Ok(all)
}
