//! Finds the objects of buckets: level by level along the grammar of AWSLogs, many LIST requests at a time.
//! In: the paths that the user named in buckets, and a scope. Out: entries in a listing's builder.
//! Never lists below a folder that the scope excludes, and never trusts a page: a page that repeats, goes back or
//! leaves its prefix is an error, so that it cannot make a loop.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::super::aws::{AwsOptions, AwsTrouble, TroubleClass};
use super::super::file_names;
use super::super::layout::{KeyPosition, ListBy, ScopeFilter};
use super::super::listing::{EntryCode, FolderIds, ListedItem, ListingBuilder, ListingPart, NameAffixes, OriginId};
use super::super::name_arena::NameArena;
use super::super::origin::ObjectOrigin;
use super::super::{ObjectPurpose, Scope, SourceError};
use super::{Bucket, ListPage, ListRequest, StoredObject};

/// LIST requests that may be under way.
const REQUESTS_MAX: usize = 32;
/// Pages without a key that may follow each other.
const EMPTY_PAGES_MAX: u32 = 16;

/// A bucket, and the folder or object in it that the user named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketPath {
    pub bucket: String,
    /// Has no slash at its end, even for a folder; empty for the whole bucket.
    pub prefix: String,
}

/// Adds the objects of the named places.
pub(in super::super) async fn list(
    mut named: Vec<BucketPath>,
    scope: &Scope,
    options: &AwsOptions,
    mut builder: ListingBuilder,
) -> Result<ListingBuilder, SourceError> {
    named.sort();
    named.dedup();
    let (wanted, by_organization) = (ScopeFilter::new(scope), ScopeFilter::of_organizations(scope));
    for group in named.chunk_by(|a, b| a.bucket == b.bucket) {
        let (bucket, first) = Bucket::connect(&group[0].bucket, &group[0].prefix, options).await?;
        let bucket = Arc::new(bucket);
        let origin = builder.origin(ObjectOrigin::Bucket(Arc::clone(&bucket)))?;
        builder.requests += 1;
        let mut walk = BucketWalk {
            bucket,
            origin,
            wanted: &wanted,
            by_organization: &by_organization,
            builder,
            jobs: Vec::new(),
        };
        let mut first = Some(first);
        for place in group {
            walk.named_object(&place.prefix, first.take()).await?;
        }
        for place in group {
            walk.root(&place.prefix, group);
        }
        walk.run().await?;
        builder = walk.builder;
    }
    Ok(builder)
}

struct BucketWalk<'a> {
    bucket: Arc<Bucket>,
    origin: OriginId,
    wanted: &'a ScopeFilter,
    /// For objects that the user named.
    by_organization: &'a ScopeFilter,
    builder: ListingBuilder,
    jobs: Vec<ListJob>,
}

/// The position of a folder of a bucket.
#[derive(Clone, Copy, Default)]
struct FolderStanding {
    place: KeyPosition,
    /// True of a folder whose name begins with a dot, and of all below it.
    is_hidden: bool,
    /// Levels below the folder that the user named.
    depth: usize,
}

/// A folder that is being listed.
struct ListJob {
    prefix: String,
    at: FolderStanding,
    by: ListBy,
    token: Option<String>,
    /// The last key and the last folder seen.
    last: [String; 2],
    empty_pages: u32,
    /// The folder whose objects are coming in, with those that came so far.
    folder: BucketFolder,
    part: ListingPart,
    /// A folder out of scope: its objects are passed over.
    passed: Option<String>,
}

/// Objects of one folder, before the common part of their names is known.
#[derive(Default)]
struct BucketFolder {
    path: String,
    place: Option<KeyPosition>,
    is_hidden: bool,
    names: NameArena,
    objects: Vec<(ListedItem<EntryCode>, String)>,
}

impl BucketWalk<'_> {
    /// An object whose key is exactly the one that the user gave is read, even if it is no log name.
    async fn named_object(&mut self, key: &str, first: Option<ListPage>) -> Result<(), SourceError> {
        if key.is_empty() {
            return Ok(());
        }
        let page = match first {
            Some(page) => page,
            None => {
                self.builder.requests += 1;
                self.bucket.first_page(key).await.map_err(|refused| self.bucket.list_failed(key, refused.trouble))?
            }
        };
        let Some(object) = page.objects.into_iter().find(|object| object.key == key) else { return Ok(()) };
        let (folder, name) = split(key);
        let mut folders = folder.split_terminator('/');
        let place =
            folders.try_fold(KeyPosition::default(), |place, name| place.enter(name.as_bytes(), self.by_organization));
        if let Some(why) = KeyPosition::left_out_of(place, self.by_organization) {
            self.builder.pruned.count(why);
            return Ok(());
        }
        let mut part = ListingPart::default();
        let path = self.shown(folder);
        let account = place.and_then(KeyPosition::account);
        let id = self.builder.directory_at(self.origin, Path::new(&path), NameAffixes::default(), account)?;
        let code = if is_no_place(key) { EntryCode::KeyRefused } else { EntryCode::Log };
        self.builder.push(&mut part, id, name.as_bytes(), (code, object.bytes))?;
        part.set_etag(&object.etag);
        self.builder.add(part);
        Ok(())
    }

    /// Begins with a folder that the user named, unless another one holds it.
    fn root(&mut self, named: &str, all: &[BucketPath]) {
        let below = |outer: &str| outer.is_empty() || named.strip_prefix(outer).is_some_and(|r| r.starts_with('/'));
        if all.iter().any(|other| other.prefix != named && below(&other.prefix)) {
            return;
        }
        let mut names = named.split('/').filter(|name| !name.is_empty());
        let place = names.try_fold(KeyPosition::default(), |place, name| place.enter(name.as_bytes(), self.wanted));
        let Some(place) = place else {
            self.builder.pruned.directories += 1;
            return;
        };
        let prefix = if named.is_empty() { String::new() } else { format!("{named}/") };
        self.jobs.push(ListJob::new(prefix, FolderStanding { place, ..FolderStanding::default() }, self.wanted));
    }

    async fn run(&mut self) -> Result<(), SourceError> {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < REQUESTS_MAX
                && let Some(job) = self.jobs.pop()
            {
                let bucket = Arc::clone(&self.bucket);
                self.builder.requests += 1;
                let ask = ListRequest {
                    prefix: job.prefix.clone(),
                    by_level: job.by == ListBy::Level,
                    start_after: None,
                    token: job.token.clone(),
                };
                running.push(async move { (job, bucket.page(&ask).await) });
            }
            let Some((job, page)) = running.next().await else { return Ok(()) };
            match page {
                Ok(page) => self.take(job, page)?,
                // A caller who may list a Region's folder alone still has an answer about it, without global changes.
                Err(trouble) if trouble.class == TroubleClass::AccessDenied && self.may_be_missed(&job) => {
                    self.builder.pruned.directories += 1;
                }
                Err(trouble) => return Err(self.bucket.list_failed(&job.prefix, trouble)),
            }
        }
    }

    /// True of a folder that nobody asked for by name: it is read for the changes of IAM, STS and Organizations.
    fn may_be_missed(&self, job: &ListJob) -> bool {
        job.at.place.purpose() == ObjectPurpose::State && !self.wanted.has_baseline()
    }

    fn take(&mut self, mut job: ListJob, page: ListPage) -> Result<(), SourceError> {
        job.check(&page).map_err(|trouble| self.bucket.list_failed(&job.prefix, trouble))?;
        for object in page.objects {
            self.object(&mut job, object)?;
        }
        for folder in page.folders {
            let name = folder[job.prefix.len()..].trim_end_matches('/');
            match job.at.place.enter(name.as_bytes(), self.wanted) {
                None => self.builder.pruned.directories += 1,
                Some(place) => {
                    let is_hidden = job.at.is_hidden || file_names::is_hidden(name.as_bytes());
                    let at = FolderStanding { place, is_hidden, depth: job.at.depth + 1 };
                    self.jobs.push(ListJob::new(folder, at, self.wanted));
                }
            }
        }
        job.token = page.next;
        if job.token.is_some() {
            self.jobs.push(job);
            return Ok(());
        }
        self.flush(&mut job)?;
        self.builder.add(job.part);
        Ok(())
    }

    fn object(&mut self, job: &mut ListJob, object: StoredObject) -> Result<(), SourceError> {
        let is_refused = is_no_place(&object.key);
        let (folder, name) = split(&object.key);
        if folder != job.folder.path {
            self.flush(job)?;
            self.enter(job, folder);
        }
        let current = &mut job.folder;
        // A folder out of scope counts once; its objects do not count.
        let Some(place) = current.place else { return Ok(()) };
        // Nothing below a hidden folder is a log, whatever its name says.
        let code = match current.is_hidden {
            true => place.left_out(self.wanted).map_or(Ok(EntryCode::NotLogName), Err),
            false => EntryCode::of_file(place, name.as_bytes(), self.wanted),
        };
        match code {
            Ok(code) => {
                let code = if is_refused { EntryCode::KeyRefused } else { code };
                let name = current.names.push(name.as_bytes())?;
                current.objects.push((ListedItem::new(name, code.of_size(object.bytes), object.bytes), object.etag));
            }
            Err(why) => self.builder.pruned.count(why),
        }
        Ok(())
    }

    /// Judges a folder that a whole listing has come to.
    fn enter(&mut self, job: &mut ListJob, folder: &str) {
        let mut place = Some(job.at.place);
        let mut is_hidden = job.at.is_hidden;
        let mut end = job.prefix.len();
        for name in folder[job.prefix.len()..].split_terminator('/') {
            end += name.len() + 1;
            is_hidden |= file_names::is_hidden(name.as_bytes());
            place = place.and_then(|place| place.enter(name.as_bytes(), self.wanted));
            if place.is_none() {
                break;
            }
        }
        if place.is_none() && job.passed.as_ref().is_none_or(|passed| !folder.starts_with(passed.as_str())) {
            self.builder.pruned.directories += 1;
            job.passed = Some(folder[..end].to_owned());
        }
        job.folder = BucketFolder { path: folder.to_owned(), place, is_hidden, ..BucketFolder::default() };
    }

    fn flush(&mut self, job: &mut ListJob) -> Result<(), SourceError> {
        let folder = std::mem::take(&mut job.folder);
        if folder.objects.is_empty() {
            return Ok(());
        }
        let path = self.shown(&folder.path);
        let shared = NameAffixes::of(folder.objects.iter().map(|(item, _)| folder.names.get(item.name())));
        let account = folder.place.and_then(KeyPosition::account);
        let mut own = FolderIds::default();
        for (item, etag) in &folder.objects {
            let name = folder.names.get(item.name());
            let purpose = folder.place.map_or(ObjectPurpose::Answer, |place| place.file_purpose(name, self.wanted));
            let id = match own.of(purpose) {
                Some(id) => *id,
                none => *none.insert(self.builder.directory_at(self.origin, Path::new(&path), shared, account)?),
            };
            self.builder.set_purpose(id, purpose);
            self.builder.push(&mut job.part, id, name, (item.code, item.bytes()))?;
            job.part.set_etag(etag);
        }
        Ok(())
    }

    fn shown(&self, folder: &str) -> String {
        format!("s3://{}/{folder}", self.bucket.name)
    }
}

impl ListJob {
    fn new(prefix: String, at: FolderStanding, wanted: &ScopeFilter) -> ListJob {
        let by = if at.is_hidden { ListBy::Whole } else { at.place.listing(at.depth, wanted) };
        ListJob {
            folder: BucketFolder {
                path: prefix.clone(),
                place: Some(at.place),
                is_hidden: at.is_hidden,
                ..BucketFolder::default()
            },
            prefix,
            at,
            by,
            token: None,
            last: [String::new(), String::new()],
            empty_pages: 0,
            part: ListingPart::default(),
            passed: None,
        }
    }

    /// Fails if a page cannot follow those before it.
    fn check(&mut self, page: &ListPage) -> Result<(), AwsTrouble> {
        let wrong = |what: &str| Err(AwsTrouble::new(TroubleClass::Inconsistent, what));
        let mut names = [String::new(), String::new()];
        let keys = page.objects.iter().map(|object| (0, object.key.as_str()));
        let folders = page.folders.iter().map(|folder| (1, folder.as_str()));
        for (kind, name) in keys.chain(folders) {
            if !name.starts_with(&self.prefix) {
                return wrong(&format!("a page names `{name}`, which was not asked for"));
            }
            let before = if names[kind].is_empty() { &self.last[kind] } else { &names[kind] };
            if name <= before.as_str() && !before.is_empty() {
                return wrong(&format!("a page names `{name}` after `{before}`"));
            }
            names[kind] = name.to_owned();
        }
        if page.next.is_some() && page.next == self.token {
            return wrong("a page points to itself as the next");
        }
        let is_empty = page.objects.is_empty() && page.folders.is_empty();
        self.empty_pages = if is_empty { self.empty_pages + 1 } else { 0 };
        if self.empty_pages > EMPTY_PAGES_MAX && page.next.is_some() {
            return wrong("empty pages follow each other without an end");
        }
        for (last, name) in self.last.iter_mut().zip(names).filter(|(_, name)| !name.is_empty()) {
            *last = name;
        }
        Ok(())
    }
}

/// True of a key that paths and URLs take for another one.
fn is_no_place(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "." | ".."))
}

/// A key as its folder, with the slash, and its last name.
fn split(key: &str) -> (&str, &str) {
    key.split_at(key.rfind('/').map_or(0, |slash| slash + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str], next: Option<&str>) -> ListPage {
        let stored =
            |key: &&str| StoredObject { key: (*key).to_owned(), bytes: 1, etag: String::new(), modified: None };
        ListPage { objects: keys.iter().map(stored).collect(), folders: Vec::new(), next: next.map(str::to_owned) }
    }

    #[test]
    fn parts_of_dots_make_a_key_no_place() {
        for key in [".", "..", "./a", "a/..", "a/./b", "a/../b"] {
            assert!(is_no_place(key), "{key}");
        }
        for key in ["", "a", ".a", "..a", "...", "a/.../b", "a..", "a/b./c"] {
            assert!(!is_no_place(key), "{key}");
        }
    }

    #[test]
    fn pages_that_lie_are_found_out() {
        for (pages, is_right) in [
            (vec![page(&["p/a", "p/b"], Some("1")), page(&["p/c"], None)], true),
            (vec![page(&["p/a", "p/b"], Some("1")), page(&["p/b"], None)], false),
            (vec![page(&["p/b", "p/a"], None)], false),
            (vec![page(&["p/a", "p/a"], None)], false),
            (vec![page(&["q/a"], None)], false),
            (vec![page(&["p/a"], Some("1")), page(&["p/b"], Some("1"))], false),
            (vec![page(&[], Some("1")), page(&[], Some("2")), page(&["p/a"], None)], true),
        ] {
            let wanted = ScopeFilter::new(&Scope::default());
            let mut job = ListJob::new("p/".into(), FolderStanding::default(), &wanted);
            let shown = format!("{pages:?}");
            let all = pages.into_iter().try_for_each(|page| {
                let checked = job.check(&page);
                job.token = page.next;
                checked
            });
            assert_eq!(all.is_ok(), is_right, "{shown}");
        }
        let wanted = ScopeFilter::new(&Scope::default());
        let mut job = ListJob::new(String::new(), FolderStanding::default(), &wanted);
        let endless = (0..100).try_for_each(|number| job.check(&page(&[], Some(&number.to_string()))));
        assert!(endless.is_err(), "empty pages without an end");
    }
}
