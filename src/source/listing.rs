//! The list of objects that a run reads, in one compact table.
//! In: names pushed in order. Out: entries by number, ascending by the bytes of their full path.
//! Opens nothing and asks neither disk nor network: `object` does. A million entries take about 40 MB.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::etags::Etags;
use super::layout::{Kind, Place, Wanted};
use super::names::{NameRef, Names};
use super::origin::ObjectOrigin;
use super::{SourceError, layout};
use crate::objects::{FaultReason, ObjectOutcome, SkipReason};

/// The fate of one object before any of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Log,
    Skipped(SkipReason),
    Refused(FaultReason),
    /// This user may not open it.
    Quarantined(FaultReason),
    Missing,
}

impl Entry {
    /// None for a log: it is still to be read.
    pub fn outcome(self) -> Option<ObjectOutcome> {
        Some(match self {
            Entry::Log => return None,
            Entry::Skipped(reason) => ObjectOutcome::Skipped(reason),
            Entry::Refused(reason) => ObjectOutcome::Refused(reason),
            Entry::Quarantined(reason) => ObjectOutcome::Quarantined(reason),
            Entry::Missing => ObjectOutcome::Missing,
        })
    }
}

/// The folders and single objects that the scope left out by path alone, without opening them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub directories: usize,
    pub objects: usize,
}

impl Pruned {
    /// True where the scope left out nothing.
    pub fn is_empty(&self) -> bool {
        self.directories == 0 && self.objects == 0
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
pub(super) enum Code {
    Log,
    /// A link that the user named as a location: followed, unlike any other.
    LinkedLog,
    Stdin,
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
    Missing,
    RegionNotEnabled,
    HistoryEnd,
    HistoryDenied,
    HistoryFailed,
}

impl Code {
    /// The code of a file by its folder and name; none if its name is out of scope.
    pub(super) fn of_file(place: Place, name: &[u8], wanted: &Wanted) -> Option<Code> {
        if !layout::is_log_name(name) {
            return Some(Code::NotLogName);
        }
        Some(match place.file_kind(name, wanted)? {
            Kind::Log => Code::Log,
            Kind::Digest => Code::Digest,
            Kind::Insight => Code::Insight,
            Kind::Aggregated => Code::Aggregated,
            Kind::OtherService => Code::OtherLog,
        })
    }

    fn entry(self) -> Entry {
        match self {
            Code::Log | Code::LinkedLog | Code::Stdin => Entry::Log,
            Code::NotLogName => Entry::Skipped(SkipReason::NotLogName),
            Code::Digest => Entry::Skipped(SkipReason::Digest),
            Code::Insight => Entry::Skipped(SkipReason::Insight),
            Code::Aggregated => Entry::Skipped(SkipReason::Aggregated),
            Code::OtherLog => Entry::Skipped(SkipReason::OtherLog),
            Code::LinkLoop => Entry::Refused(FaultReason::SymlinkLoop),
            Code::LinkEscape => Entry::Refused(FaultReason::SymlinkEscape),
            Code::LinkDangling => Entry::Refused(FaultReason::SymlinkDangling),
            Code::LinkInside => Entry::Refused(FaultReason::SymlinkInside),
            Code::NotRegularFile => Entry::Refused(FaultReason::NotRegularFile),
            Code::PermissionDenied => Entry::Quarantined(FaultReason::PermissionDenied),
            Code::Unreadable => Entry::Refused(FaultReason::Unreadable),
            Code::Missing => Entry::Missing,
            Code::RegionNotEnabled => Entry::Skipped(SkipReason::RegionNotEnabled),
            Code::HistoryEnd => Entry::Skipped(SkipReason::EndOfHistory),
            Code::HistoryDenied => Entry::Refused(FaultReason::LookupDenied),
            Code::HistoryFailed => Entry::Refused(FaultReason::HistoryIncomplete),
        }
    }
}

/// A folder that holds entries. AWS names the files of a folder alike, so their common beginning and end stand here
/// once.
#[derive(Debug)]
struct Directory {
    /// Empty, or ends in a slash unless the location itself was named so that none is needed.
    path: Box<[u8]>,
    prefix: Box<[u8]>,
    suffix: Box<[u8]>,
    account: Option<u64>,
    origin: OriginId,
}

/// The number of an origin in the listing under construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OriginId(u16);

/// The number of a folder in the listing under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryId(u32);

/// The 16 bytes that one name costs: to fit, the size is stored in halves and a `NameRef` as its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<C> {
    bytes: [u32; 2],
    name_at: u32,
    name_len: u16,
    pub(super) code: C,
}

impl<C> Item<C> {
    pub(super) fn new(name: NameRef, code: C, bytes: u64) -> Item<C> {
        let (name_at, name_len) = name.parts();
        Item { bytes: [(bytes >> 32) as u32, bytes as u32], name_at, name_len, code }
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
pub(super) struct Part {
    items: Vec<Item<Code>>,
    names: Names,
    /// First item and its folder, ascending.
    runs: Vec<(u32, DirectoryId)>,
    etags: Etags,
}

impl Part {
    fn push(
        &mut self,
        directory: DirectoryId,
        short_name: &[u8],
        (code, bytes): (Code, u64),
    ) -> Result<(), SourceError> {
        let index = u32::try_from(self.items.len()).map_err(|_| SourceError::TooMany)?;
        if self.runs.last().is_none_or(|(_, last)| *last != directory) {
            self.runs.push((index, directory));
        }
        let name = self.names.push(short_name)?;
        self.items.push(Item::new(name, code, bytes));
        Ok(())
    }

    fn copy(&mut self, from: &Part, index: usize) -> Result<(), SourceError> {
        let item = from.items[index];
        self.push(from.directory_of(index), from.names.get(item.name()), (item.code, item.bytes()))?;
        self.etags.copy(self.items.len() - 1, &from.etags, index);
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

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Collects parts, each in order by itself, and merges them into a listing.
#[derive(Debug)]
pub(super) struct Builder {
    origins: Vec<ObjectOrigin>,
    directories: Vec<Directory>,
    parts: Vec<Part>,
    pub(super) pruned: Pruned,
    /// Requests that the listing took.
    pub(super) requests: u64,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            origins: vec![ObjectOrigin::Disk],
            directories: Vec::new(),
            parts: Vec::new(),
            pruned: Pruned::default(),
            requests: 0,
        }
    }
}

/// The common beginning and end of all names in a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shared<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) suffix: &'a [u8],
}

impl<'a> Shared<'a> {
    /// The beginning and end that these names share, without overlap in the shortest.
    pub(super) fn of(mut names: impl Iterator<Item = &'a [u8]>) -> Shared<'a> {
        let Some(first) = names.next() else {
            return Shared::default();
        };
        let (mut head, mut tail, mut shortest) = (first.len(), first.len(), first.len());
        for name in names {
            head = first[..head].iter().zip(name).take_while(|(a, b)| a == b).count();
            tail = first.iter().rev().zip(name.iter().rev()).take(tail).take_while(|(a, b)| a == b).count();
            shortest = shortest.min(name.len());
        }
        let tail = tail.min(shortest - head);
        Shared { prefix: &first[..head], suffix: &first[first.len() - tail..] }
    }
}

impl Builder {
    pub(super) fn origin(&mut self, origin: ObjectOrigin) -> Result<OriginId, SourceError> {
        let id = u16::try_from(self.origins.len()).map_err(|_| SourceError::TooMany)?;
        self.origins.push(origin);
        Ok(OriginId(id))
    }

    /// A folder on disk.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        shared: Shared<'_>,
        account: Option<u64>,
    ) -> Result<DirectoryId, SourceError> {
        self.directory_at(OriginId::default(), path, shared, account)
    }

    pub(super) fn directory_at(
        &mut self,
        origin: OriginId,
        path: &Path,
        shared: Shared<'_>,
        account: Option<u64>,
    ) -> Result<DirectoryId, SourceError> {
        let id = u32::try_from(self.directories.len()).map_err(|_| SourceError::TooMany)?;
        let mut bytes = path.as_os_str().as_bytes().to_vec();
        if !bytes.is_empty() && !bytes.ends_with(b"/") {
            bytes.push(b'/');
        }
        self.directories.push(Directory {
            path: bytes.into(),
            prefix: shared.prefix.into(),
            suffix: shared.suffix.into(),
            account,
            origin,
        });
        Ok(DirectoryId(id))
    }

    /// Appends to a part; the caller goes through the names in order.
    pub(super) fn push(
        &self,
        part: &mut Part,
        directory: DirectoryId,
        name: &[u8],
        state: (Code, u64),
    ) -> Result<(), SourceError> {
        let shared = &self.directories[directory.0 as usize];
        part.push(directory, &name[shared.prefix.len()..name.len() - shared.suffix.len()], state)
    }

    pub(super) fn add(&mut self, part: Part) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    fn path_bytes(&self, part: &Part, index: usize) -> Vec<u8> {
        path_bytes(&self.directories, part, index)
    }

    pub(super) fn finish(mut self) -> Result<Listing, SourceError> {
        let mut parts = std::mem::take(&mut self.parts);
        let merged = match parts.len() {
            0 | 1 => parts.pop().unwrap_or_default(),
            _ => self.merge(&parts)?,
        };
        let bytes_of_logs = merged.items.iter().filter(|item| item.code.entry() == Entry::Log).map(Item::bytes);
        Ok(Listing {
            total_bytes: bytes_of_logs.sum(),
            origins: self.origins,
            directories: self.directories,
            part: merged,
            pruned: self.pruned,
            requests: self.requests,
        })
    }

    /// Locations seldom overlap, so a part is copied up to the start of the next one before any names are compared. An
    /// object that two locations lead to counts once, and the part that was added first wins.
    fn merge(&self, parts: &[Part]) -> Result<Part, SourceError> {
        use std::cmp::Reverse;
        let mut merged = Part::default();
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

fn path_bytes(directories: &[Directory], part: &Part, index: usize) -> Vec<u8> {
    let directory = &directories[part.directory_of(index).0 as usize];
    let name = part.names.get(part.items[index].name());
    [&directory.path, &directory.prefix, name, &directory.suffix].concat()
}

/// Every object found, ascending by the bytes of the full path; each once.
#[derive(Debug)]
pub struct Listing {
    origins: Vec<ObjectOrigin>,
    directories: Vec<Directory>,
    part: Part,
    pruned: Pruned,
    total_bytes: u64,
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
    pub fn entry(&self, index: usize) -> Entry {
        self.part.items[index].code.entry()
    }

    /// True of `-`, which can be read once and has no path.
    pub fn is_stdin(&self, index: usize) -> bool {
        self.part.items[index].code == Code::Stdin
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
        self.part.items[index].code == Code::LinkedLog
    }

    fn directory(&self, index: usize) -> &Directory {
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
    pub fn pruned(&self) -> &Pruned {
        &self.pruned
    }

    /// Requests that the listing took; 0 for objects on disk.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Stored size of all logs.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(parts: &[&[&str]]) -> Listing {
        let mut builder = Builder::default();
        for paths in parts {
            let mut part = Part::default();
            for path in *paths {
                let (folder, name) = path.rsplit_once('/').unwrap();
                let id = builder.directory(Path::new(folder), Shared::default(), None).unwrap();
                builder.push(&mut part, id, name.as_bytes(), (Code::Log, 5 << 32 | 7)).unwrap();
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
        assert_eq!(size_of::<Item<Code>>(), 16);
    }
}
