//! The list of objects that a run reads, in one compact table.
//! In: names pushed in order. Out: entries by number, ascending by the bytes of their full path.
//! Opens nothing and asks neither disk nor network: `object` does. A million entries take about 40 MB,
//! and 8 MB more if they are files of this machine.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::etags::EtagList;
use super::file_names::NameClass;
use super::file_stamp::FileStamp;
use super::layout::{FolderKind, KeyPosition, LeftOut, ScopeFilter};
use super::name_arena::{NameArena, NameRef};
use super::origin::ObjectOrigin;
use super::{ObjectPurpose, SourceError, layout};
use crate::objects::{FaultReason, ObjectOutcome, SkipReason};

/// The fate of one object before any of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingEntry {
    Log,
    /// Its name does not say if it is a log: its content decides.
    ByContent,
    Skipped(SkipReason),
    Refused(FaultReason),
    /// This user may not open it.
    Quarantined(FaultReason),
    Missing,
}

impl ListingEntry {
    /// True of an object that is opened.
    pub fn is_opened(self) -> bool {
        matches!(self, ListingEntry::Log | ListingEntry::ByContent)
    }

    /// None for an object that is still to be read.
    pub fn outcome(self) -> Option<ObjectOutcome> {
        Some(match self {
            ListingEntry::Log | ListingEntry::ByContent => return None,
            ListingEntry::Skipped(reason) => ObjectOutcome::Skipped(reason),
            ListingEntry::Refused(reason) => ObjectOutcome::Refused(reason),
            ListingEntry::Quarantined(reason) => ObjectOutcome::Quarantined(reason),
            ListingEntry::Missing => ObjectOutcome::Missing,
        })
    }
}

/// The folders and single objects that the scope left out by path alone, without opening them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunedCounts {
    pub directories: usize,
    pub objects: usize,
    /// Objects whose path names no organization, where one is asked for. They may be in it or not.
    pub without_organization: usize,
}

impl PrunedCounts {
    /// True where the scope left out nothing.
    pub fn is_empty(&self) -> bool {
        *self == PrunedCounts::default()
    }

    /// Counts an object.
    pub(super) fn count(&mut self, why: LeftOut) {
        match why {
            LeftOut::OutOfScope => self.objects += 1,
            LeftOut::WithoutOrganization => self.without_organization += 1,
        }
    }
}

/// The facts in an object's name; `day` is the day of delivery, counted from 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPlace {
    pub account: Option<String>,
    pub region: Option<String>,
    pub day: Option<i32>,
}

/// An entry as it is stored: one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EntryCode {
    Log,
    /// A link that the user named as a location: followed, unlike any other.
    LinkedLog,
    Stdin,
    ByContent,
    NotLogName,
    Digest,
    Insight,
    Aggregated,
    OtherLog,
    LinkLoop,
    LinkEscape,
    LinkDangling,
    LinkInside,
    NotRegularFile,
    PermissionDenied,
    Unreadable,
    KeyRefused,
    Missing,
    RegionNotEnabled,
    HistoryEnd,
    HistoryDenied,
    HistoryFailed,
}

impl EntryCode {
    /// The code of a file by its folder and name, or the reason that the scope leaves it out.
    pub(super) fn of_file(place: KeyPosition, name: &[u8], wanted: &ScopeFilter) -> Result<EntryCode, LeftOut> {
        if let Some(why) = place.left_out(wanted) {
            return Err(why);
        }
        let class = NameClass::of(name);
        if class == NameClass::Leftover {
            return Ok(EntryCode::NotLogName);
        }
        Ok(match (place.file_kind(name, wanted).ok_or(LeftOut::OutOfScope)?, class) {
            (FolderKind::OtherService | FolderKind::TableLog, _) => EntryCode::OtherLog,
            (FolderKind::Log, NameClass::Log) => EntryCode::Log,
            (FolderKind::Log | FolderKind::NewTrailKind, _) => EntryCode::ByContent,
            (FolderKind::Digest, NameClass::Log) => EntryCode::Digest,
            (FolderKind::Insight, NameClass::Log) => EntryCode::Insight,
            (FolderKind::Aggregated, NameClass::Log) => EntryCode::Aggregated,
            (FolderKind::Digest | FolderKind::Insight | FolderKind::Aggregated, _) => EntryCode::NotLogName,
        })
    }

    /// The same once its size is known: an empty file that promises nothing stands for a folder.
    pub(super) fn of_size(self, bytes: u64) -> EntryCode {
        if self == EntryCode::ByContent && bytes == 0 { EntryCode::NotLogName } else { self }
    }

    fn entry(self) -> ListingEntry {
        match self {
            EntryCode::Log | EntryCode::LinkedLog | EntryCode::Stdin => ListingEntry::Log,
            EntryCode::ByContent => ListingEntry::ByContent,
            EntryCode::NotLogName => ListingEntry::Skipped(SkipReason::NotLogName),
            EntryCode::Digest => ListingEntry::Skipped(SkipReason::Digest),
            EntryCode::Insight => ListingEntry::Skipped(SkipReason::Insight),
            EntryCode::Aggregated => ListingEntry::Skipped(SkipReason::Aggregated),
            EntryCode::OtherLog => ListingEntry::Skipped(SkipReason::OtherLog),
            EntryCode::LinkLoop => ListingEntry::Refused(FaultReason::SymlinkLoop),
            EntryCode::LinkEscape => ListingEntry::Refused(FaultReason::SymlinkEscape),
            EntryCode::LinkDangling => ListingEntry::Refused(FaultReason::SymlinkDangling),
            EntryCode::LinkInside => ListingEntry::Refused(FaultReason::SymlinkInside),
            EntryCode::NotRegularFile => ListingEntry::Refused(FaultReason::NotRegularFile),
            EntryCode::PermissionDenied => ListingEntry::Quarantined(FaultReason::PermissionDenied),
            EntryCode::Unreadable => ListingEntry::Refused(FaultReason::Unreadable),
            EntryCode::KeyRefused => ListingEntry::Refused(FaultReason::KeyRefused),
            EntryCode::Missing => ListingEntry::Missing,
            EntryCode::RegionNotEnabled => ListingEntry::Skipped(SkipReason::RegionNotEnabled),
            EntryCode::HistoryEnd => ListingEntry::Skipped(SkipReason::EndOfHistory),
            EntryCode::HistoryDenied => ListingEntry::Refused(FaultReason::LookupDenied),
            EntryCode::HistoryFailed => ListingEntry::Refused(FaultReason::HistoryIncomplete),
        }
    }
}

/// A folder that holds entries. AWS names the files of a folder alike, so their common beginning and end stand here
/// once.
#[derive(Debug)]
struct ListedDirectory {
    /// Empty, or ends in a slash unless the location itself was named so that none is needed.
    path: Box<[u8]>,
    prefix: Box<[u8]>,
    suffix: Box<[u8]>,
    account: Option<u64>,
    origin: OriginId,
    purpose: ObjectPurpose,
}

/// The number of an origin in the listing under construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OriginId(u16);

/// The number of a folder in the listing under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryId(u32);

/// The numbers of one folder: its objects for answers and those for state are listed apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FolderIds([Option<DirectoryId>; 2]);

impl FolderIds {
    pub(super) fn of(&mut self, purpose: ObjectPurpose) -> &mut Option<DirectoryId> {
        &mut self.0[purpose as usize]
    }
}

/// The 16 bytes that one name costs: to fit, the size is stored in halves and a `NameRef` as its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedItem<C> {
    bytes: [u32; 2],
    name_at: u32,
    name_len: u16,
    pub(super) code: C,
}

impl<C> ListedItem<C> {
    pub(super) fn new(name: NameRef, code: C, bytes: u64) -> ListedItem<C> {
        let (name_at, name_len) = name.parts();
        ListedItem { bytes: [(bytes >> 32) as u32, bytes as u32], name_at, name_len, code }
    }

    pub(super) fn name(&self) -> NameRef {
        NameRef::of_parts(self.name_at, self.name_len)
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.bytes[0]) << 32 | u64::from(self.bytes[1])
    }
}

/// Entries in order; those of one folder that follow each other form a run.
#[derive(Debug, Default)]
pub(super) struct ListingPart {
    items: Vec<ListedItem<EntryCode>>,
    names: NameArena,
    /// First item and its folder, ascending.
    runs: Vec<(u32, DirectoryId)>,
    etags: EtagList,
    /// The states of files; ends at the last one of this machine, so it may be shorter than the list of objects.
    stamps: Vec<FileStamp>,
}

impl ListingPart {
    fn push(
        &mut self,
        directory: DirectoryId,
        short_name: &[u8],
        (code, bytes): (EntryCode, u64),
    ) -> Result<(), SourceError> {
        let index = u32::try_from(self.items.len()).map_err(|_| SourceError::TooMany)?;
        if self.runs.last().is_none_or(|(_, last)| *last != directory) {
            self.runs.push((index, directory));
        }
        let name = self.names.push(short_name)?;
        self.items.push(ListedItem::new(name, code, bytes));
        Ok(())
    }

    fn copy(&mut self, from: &ListingPart, index: usize) -> Result<(), SourceError> {
        let item = from.items[index];
        self.push(from.directory_of(index), from.names.get(item.name()), (item.code, item.bytes()))?;
        self.etags.copy(self.items.len() - 1, &from.etags, index);
        if let Some(stamp) = from.stamps.get(index) {
            self.set_stamp(*stamp);
        }
        Ok(())
    }

    fn directory_of(&self, index: usize) -> DirectoryId {
        let run = self.runs.partition_point(|(first, _)| *first as usize <= index);
        self.runs[run - 1].1
    }

    /// The version of the entry that was pushed last, as its listing named it.
    pub(super) fn set_etag(&mut self, etag: &str) {
        self.etags.set(self.items.len() - 1, etag);
    }

    /// The state of the file that was pushed last.
    pub(super) fn set_stamp(&mut self, stamp: FileStamp) {
        self.stamps.resize(self.items.len() - 1, FileStamp::default());
        self.stamps.push(stamp);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Collects parts, each in order by itself, and merges them into a listing.
#[derive(Debug)]
pub(super) struct ListingBuilder {
    origins: Vec<ObjectOrigin>,
    directories: Vec<ListedDirectory>,
    parts: Vec<ListingPart>,
    pub(super) pruned: PrunedCounts,
    /// Requests that the listing took.
    pub(super) requests: u64,
}

impl Default for ListingBuilder {
    fn default() -> ListingBuilder {
        ListingBuilder {
            origins: vec![ObjectOrigin::Disk],
            directories: Vec::new(),
            parts: Vec::new(),
            pruned: PrunedCounts::default(),
            requests: 0,
        }
    }
}

/// The common beginning and end of all names in a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameAffixes<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) suffix: &'a [u8],
}

impl<'a> NameAffixes<'a> {
    /// The beginning and end that these names share, without overlap in the shortest.
    pub(super) fn of(mut names: impl Iterator<Item = &'a [u8]>) -> NameAffixes<'a> {
        let Some(first) = names.next() else {
            return NameAffixes::default();
        };
        let (mut head, mut tail, mut shortest) = (first.len(), first.len(), first.len());
        for name in names {
            head = first[..head].iter().zip(name).take_while(|(a, b)| a == b).count();
            tail = first.iter().rev().zip(name.iter().rev()).take(tail).take_while(|(a, b)| a == b).count();
            shortest = shortest.min(name.len());
        }
        let tail = tail.min(shortest - head);
        NameAffixes { prefix: &first[..head], suffix: &first[first.len() - tail..] }
    }
}

impl ListingBuilder {
    pub(super) fn origin(&mut self, origin: ObjectOrigin) -> Result<OriginId, SourceError> {
        let id = u16::try_from(self.origins.len()).map_err(|_| SourceError::TooMany)?;
        self.origins.push(origin);
        Ok(OriginId(id))
    }

    /// A folder on disk.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        shared: NameAffixes<'_>,
        account: Option<u64>,
    ) -> Result<DirectoryId, SourceError> {
        self.directory_at(OriginId::default(), path, shared, account)
    }

    pub(super) fn directory_at(
        &mut self,
        origin: OriginId,
        path: &Path,
        shared: NameAffixes<'_>,
        account: Option<u64>,
    ) -> Result<DirectoryId, SourceError> {
        let id = u32::try_from(self.directories.len()).map_err(|_| SourceError::TooMany)?;
        let mut bytes = path.as_os_str().as_bytes().to_vec();
        if !bytes.is_empty() && !bytes.ends_with(b"/") {
            bytes.push(b'/');
        }
        self.directories.push(ListedDirectory {
            path: bytes.into(),
            prefix: shared.prefix.into(),
            suffix: shared.suffix.into(),
            account,
            origin,
            purpose: ObjectPurpose::Answer,
        });
        Ok(DirectoryId(id))
    }

    /// Says for what purpose the objects are opened that are listed under this number.
    pub(super) fn set_purpose(&mut self, directory: DirectoryId, purpose: ObjectPurpose) {
        self.directories[directory.0 as usize].purpose = purpose;
    }

    /// Appends to a part; the caller goes through the names in order.
    pub(super) fn push(
        &self,
        part: &mut ListingPart,
        directory: DirectoryId,
        name: &[u8],
        state: (EntryCode, u64),
    ) -> Result<(), SourceError> {
        let shared = &self.directories[directory.0 as usize];
        part.push(directory, &name[shared.prefix.len()..name.len() - shared.suffix.len()], state)
    }

    pub(super) fn add(&mut self, part: ListingPart) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    fn path_bytes(&self, part: &ListingPart, index: usize) -> Vec<u8> {
        path_bytes(&self.directories, part, index)
    }

    pub(super) fn finish(mut self) -> Result<Listing, SourceError> {
        let mut parts = std::mem::take(&mut self.parts);
        let merged = match parts.len() {
            0 | 1 => parts.pop().unwrap_or_default(),
            _ => self.merge(&parts)?,
        };
        let bytes_opened = merged.items.iter().filter(|item| item.code.entry().is_opened()).map(ListedItem::bytes);
        let is_for_state = |directory: &ListedDirectory| directory.purpose == ObjectPurpose::State;
        Ok(Listing {
            total_bytes: bytes_opened.sum(),
            has_state: self.directories.iter().any(is_for_state),
            origins: self.origins,
            directories: self.directories,
            part: merged,
            pruned: self.pruned,
            requests: self.requests,
        })
    }

    /// Locations seldom overlap, so a part is copied up to the start of the next one before any names are compared. An
    /// object that two locations lead to counts once, and the part that was added first wins.
    fn merge(&self, parts: &[ListingPart]) -> Result<ListingPart, SourceError> {
        use std::cmp::Reverse;
        let mut merged = ListingPart::default();
        let mut heads: std::collections::BinaryHeap<_> =
            (0..parts.len()).map(|p| Reverse((self.path_bytes(&parts[p], 0), p, 0))).collect();
        while let Some(Reverse((head, number, mut index))) = heads.pop() {
            let part = &parts[number];
            let is_twin = !merged.is_empty() && self.path_bytes(&merged, merged.items.len() - 1) == head;
            let next = heads.peek().map(|Reverse((path, _, _))| path.as_slice());
            let last = self.path_bytes(part, part.items.len() - 1);
            let runs_free = next.is_none_or(|next| last.as_slice() < next);
            if is_twin {
                index += 1;
            }
            while index < part.items.len() {
                if !runs_free {
                    let path = self.path_bytes(part, index);
                    if next.is_some_and(|next| path.as_slice() > next) {
                        heads.push(Reverse((path, number, index)));
                        break;
                    }
                }
                merged.copy(part, index)?;
                index += 1;
            }
        }
        Ok(merged)
    }
}

fn path_bytes(directories: &[ListedDirectory], part: &ListingPart, index: usize) -> Vec<u8> {
    let directory = &directories[part.directory_of(index).0 as usize];
    let name = part.names.get(part.items[index].name());
    [&directory.path, &directory.prefix, name, &directory.suffix].concat()
}

/// Every object found, ascending by the bytes of the full path; each once.
#[derive(Debug)]
pub struct Listing {
    origins: Vec<ObjectOrigin>,
    directories: Vec<ListedDirectory>,
    part: ListingPart,
    pruned: PrunedCounts,
    total_bytes: u64,
    /// True if any folder is for state alone.
    has_state: bool,
    requests: u64,
}

impl Listing {
    /// Objects of every kind, also those that are no logs.
    pub fn len(&self) -> usize {
        self.part.items.len()
    }

    /// True where the locations hold no object at all.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// The entry of an object, known before it is opened.
    pub fn entry(&self, index: usize) -> ListingEntry {
        self.part.items[index].code.entry()
    }

    /// The purpose for which an object is opened.
    pub fn purpose(&self, index: usize) -> ObjectPurpose {
        if self.has_state { self.directory(index).purpose } else { ObjectPurpose::Answer }
    }

    /// True of an object that the scope leaves out and that is opened for state alone.
    pub fn is_for_state(&self, index: usize) -> bool {
        self.purpose(index) == ObjectPurpose::State
    }

    /// True if any object is a page of the event history.
    pub fn has_history(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, ObjectOrigin::History(_)))
    }

    /// True of `-`, which can be read once and has no path.
    pub fn is_stdin(&self, index: usize) -> bool {
        self.part.items[index].code == EntryCode::Stdin
    }

    /// The path as text: UTF-8 as it is, and any other byte as `%XX`.
    pub fn uri(&self, index: usize) -> String {
        let mut text = String::new();
        for chunk in path_bytes(&self.directories, &self.part, index).utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        text
    }

    /// The bytes of the path, as the user and the folders named it.
    pub(super) fn named_path(&self, index: usize) -> Vec<u8> {
        path_bytes(&self.directories, &self.part, index)
    }

    /// True of a link that the user named as a location: it is followed, unlike any other.
    pub(super) fn is_followed_link(&self, index: usize) -> bool {
        self.part.items[index].code == EntryCode::LinkedLog
    }

    fn directory(&self, index: usize) -> &ListedDirectory {
        &self.directories[self.part.directory_of(index).0 as usize]
    }

    pub(super) fn origin(&self, index: usize) -> &ObjectOrigin {
        &self.origins[self.directory(index).origin.0 as usize]
    }

    /// The runtime that fetches objects; none where all objects are on disk.
    pub(super) fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.origins.iter().find_map(|origin| match origin {
            ObjectOrigin::Bucket(bucket) => Some(&bucket.handle),
            ObjectOrigin::Disk | ObjectOrigin::History(_) => None,
        })
    }

    /// The key of an object in its bucket; S3's keys are UTF-8.
    pub(super) fn key(&self, index: usize) -> String {
        let uri = self.uri(index);
        uri.splitn(4, '/').nth(3).unwrap_or_default().to_owned()
    }

    /// True of an object that takes a request to read.
    pub fn is_in_bucket(&self, index: usize) -> bool {
        matches!(self.origin(index), ObjectOrigin::Bucket(_))
    }

    /// True of a page of the event history, which no digest covers.
    pub fn is_history(&self, index: usize) -> bool {
        matches!(self.origin(index), ObjectOrigin::History(_))
    }

    /// The ETag of an object in a bucket, as its listing named it; empty for any other object.
    pub(super) fn etag(&self, index: usize) -> String {
        self.part.etags.get(index)
    }

    /// The state of a file when it was listed; the default for any other object.
    pub(super) fn stamp(&self, index: usize) -> FileStamp {
        self.part.stamps.get(index).copied().unwrap_or_default()
    }

    /// Stored size when it was listed; 0 for anything but a file.
    pub fn bytes(&self, index: usize) -> u64 {
        self.part.items[index].bytes()
    }

    /// The account that owns the log, by its folders or its file's name; none where the two disagree.
    pub fn account(&self, index: usize) -> Option<String> {
        let directory = self.directory(index);
        let path = path_bytes(&self.directories, &self.part, index);
        let by_name = layout::file_facts(&path[directory.path.len()..]).map(|facts| facts.account);
        let account = match (directory.account, by_name) {
            (Some(folder), Some(name)) if folder != name => None,
            (folder, name) => folder.or(name),
        };
        account.map(|number| format!("{number:012}"))
    }

    /// The account, region and day of the object, by its own name.
    pub fn place(&self, index: usize) -> ObjectPlace {
        let path = path_bytes(&self.directories, &self.part, index);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let Some(facts) = layout::file_facts(name) else { return ObjectPlace::default() };
        ObjectPlace {
            account: Some(format!("{:012}", facts.account)),
            region: facts.region.map(|region| String::from_utf8_lossy(region).into_owned()),
            day: facts.day.and_then(|day| i32::try_from(day).ok()),
        }
    }

    /// Folders and objects that the scope left out, which are not among the entries.
    pub fn pruned(&self) -> &PrunedCounts {
        &self.pruned
    }

    /// Requests that the listing took; 0 for objects on disk.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Stored size of all objects that are opened.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(parts: &[&[&str]]) -> Listing {
        let mut builder = ListingBuilder::default();
        for paths in parts {
            let mut part = ListingPart::default();
            for path in *paths {
                let (folder, name) = path.rsplit_once('/').unwrap();
                let id = builder.directory(Path::new(folder), NameAffixes::default(), None).unwrap();
                builder.push(&mut part, id, name.as_bytes(), (EntryCode::Log, 5 << 32 | 7)).unwrap();
            }
            builder.add(part);
        }
        builder.finish().unwrap()
    }

    #[test]
    fn parts_merge_in_path_order() {
        let listing = listing(&[&["a/b", "a/d", "a/z"], &["a/c", "a/e"], &["0/x"], &[], &["b/x", "b/y"]]);
        let uris: Vec<_> = (0..listing.len()).map(|i| listing.uri(i)).collect();
        assert_eq!(uris, ["0/x", "a/b", "a/c", "a/d", "a/e", "a/z", "b/x", "b/y"]);
        assert_eq!(listing.bytes(3), 5 << 32 | 7);
        assert_eq!(listing.total_bytes(), 8 * (5 << 32 | 7));
    }

    #[test]
    fn what_two_locations_lead_to_counts_once() {
        let listing = listing(&[&["a/b", "a/c", "a/d"], &["a/c"], &["a/a", "a/b", "a/c", "a/e"], &["a/e"]]);
        let uris: Vec<_> = (0..listing.len()).map(|i| listing.uri(i)).collect();
        assert_eq!(uris, ["a/a", "a/b", "a/c", "a/d", "a/e"]);
    }

    #[test]
    fn items_stay_small() {
        assert_eq!(size_of::<ListedItem<EntryCode>>(), 16);
    }
}
