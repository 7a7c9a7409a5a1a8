//! Power that is cut: whatever the disk had not yet been made to keep is gone or torn, and the store is at the commit
//! before or after.
//! In: the system calls by which an ingest and a compaction change files, as `strace` saw them. Out: the disk after each
//! call, without what was not synced, opened and checked.
//! Never takes a sync for granted: with those of one kind left out, some disk must fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keytrail::store::{CheckOptions, Store, StoreError, StoreLocation, check};
use tempfile::TempDir;

use crate::child::{BINARY, is_exhaustive, keytrail, on_every_core};
use crate::store::{self, Dice, Disturbed, Tally, files, has_strace};

/// A call that changed a file or made the disk keep it; paths are from the store.
#[derive(Debug, Clone)]
enum DiskCall {
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Unlink(PathBuf),
    MakeFolder(PathBuf),
}

impl DiskCall {
    /// The call in a line of a trace, if it succeeded and was below `top`.
    fn of(line: &str, top: &Path) -> Option<DiskCall> {
        let (_, line) = line.split_once(' ')?;
        let (name, rest) = line.trim_start().split_once('(')?;
        let (arguments, result) = rest.rsplit_once(") = ")?;
        let texts: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unescaped).collect();
        let inside =
            |bytes: &[u8]| Some(Path::new(std::str::from_utf8(bytes).ok()?).strip_prefix(top).ok()?.to_owned());
        let path = |number: usize| inside(texts.get(number)?);
        let of_handle = || inside(&unescaped(arguments.split_once('<')?.1.split_once('>')?.0));
        let count: usize = result.split(['<', ' ']).next()?.parse().ok()?;
        match name {
            "openat" if arguments.contains("O_CREAT") => Some(DiskCall::Create(path(0)?)),
            "pwrite64" => {
                let offset = arguments.rsplit(", ").next()?.parse().ok()?;
                assert_eq!(texts[0].len(), count, "a short write");
                Some(DiskCall::Write(of_handle()?, offset, texts[0].clone()))
            }
            "fsync" | "fdatasync" => Some(DiskCall::Sync(of_handle()?)),
            "rename" => Some(DiskCall::Rename(path(0)?, path(1)?)),
            "linkat" => Some(DiskCall::Link(path(0)?, path(1)?)),
            "unlink" => Some(DiskCall::Unlink(path(0)?)),
            "mkdir" => Some(DiskCall::MakeFolder(path(0)?)),
            _ => None,
        }
    }
}

/// The bytes of a text in which each is written as `\xNN`.
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// A file, by its number.
    File(usize),
    Folder,
}

/// The names in a folder, or the bytes of a file: as programs see them, and as the disk has them for sure.
#[derive(Debug, Clone, Default)]
struct Kept<T> {
    now: T,
    synced: T,
}

/// A disk that keeps what was synced, and perhaps more.
#[derive(Debug, Clone, Default)]
struct Disk {
    folders: BTreeMap<PathBuf, Kept<BTreeMap<String, Entry>>>,
    files: Vec<Kept<Vec<u8>>>,
}

fn apart(path: &Path) -> (PathBuf, String) {
    (path.parent().unwrap().to_owned(), path.file_name().unwrap().to_str().unwrap().to_owned())
}

/// What the power takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// All that was not synced.
    All,
    /// The second half of the bytes that were not synced; names stay.
    Bytes,
    /// Of names and bytes that were not synced some, by a seed.
    Some(u64),
}

impl Disk {
    /// A folder of which all is synced.
    fn of(folder: &Path) -> Disk {
        let mut disk = Disk::default();
        disk.folders.insert(PathBuf::new(), Kept::default());
        let all = if folder.exists() { files(folder) } else { Vec::new() };
        for file in all {
            let inside = file.strip_prefix(folder).unwrap();
            for above in inside.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().skip(1) {
                disk.make_folder(above);
            }
            let number = disk.files.len();
            let bytes = fs::read(&file).unwrap();
            disk.files.push(Kept { now: bytes.clone(), synced: bytes });
            disk.put(inside, Entry::File(number));
        }
        disk.folders.values_mut().for_each(|folder| folder.synced = folder.now.clone());
        disk
    }

    fn put(&mut self, path: &Path, entry: Entry) {
        let (folder, name) = apart(path);
        self.folders.get_mut(&folder).unwrap().now.insert(name, entry);
    }

    fn take(&mut self, path: &Path) {
        let (folder, name) = apart(path);
        self.folders.get_mut(&folder).unwrap().now.remove(&name).unwrap();
    }

    fn entry(&self, path: &Path) -> Entry {
        let (folder, name) = apart(path);
        self.folders[&folder].now[&name]
    }

    fn make_folder(&mut self, path: &Path) {
        // The folder of the store itself: its own parent is synced outside of it.
        if path != Path::new("") {
            self.put(path, Entry::Folder);
        }
        self.folders.entry(path.to_owned()).or_default();
    }

    fn file(&mut self, path: &Path) -> &mut Kept<Vec<u8>> {
        match self.entry(path) {
            Entry::File(number) => &mut self.files[number],
            Entry::Folder => panic!("{} is a folder", path.display()),
        }
    }

    fn apply(&mut self, call: &DiskCall) {
        match call {
            DiskCall::Create(path) => {
                self.files.push(Kept::default());
                self.put(path, Entry::File(self.files.len() - 1));
            }
            DiskCall::Write(path, offset, bytes) => {
                let file = &mut self.file(path).now;
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            DiskCall::Sync(path) => match self.folders.get_mut(path) {
                Some(folder) => folder.synced = folder.now.clone(),
                None => {
                    let file = self.file(path);
                    file.synced = file.now.clone();
                }
            },
            DiskCall::Rename(from, to) => {
                let entry = self.entry(from);
                self.take(from);
                self.put(to, entry);
            }
            DiskCall::Link(from, to) => self.put(to, self.entry(from)),
            DiskCall::Unlink(path) => self.take(path),
            DiskCall::MakeFolder(path) => self.make_folder(path),
        }
    }

    /// The files after a cut, by their paths.
    fn after(&self, cut: Cut) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut dice = Dice(if let Cut::Some(seed) = cut { seed } else { 0 });
        let (mut left, mut folders) = (BTreeMap::new(), vec![PathBuf::new()]);
        while let Some(path) = folders.pop() {
            let folder = &self.folders[&path];
            let names: BTreeSet<&String> = folder.now.keys().chain(folder.synced.keys()).collect();
            for name in names {
                let is_kept = match cut {
                    Cut::All => false,
                    Cut::Bytes => true,
                    Cut::Some(_) => dice.below(2) == 0,
                };
                let from = if is_kept { &folder.now } else { &folder.synced };
                match from.get(name) {
                    Some(Entry::Folder) => folders.push(path.join(name)),
                    Some(Entry::File(number)) => {
                        drop(left.insert(path.join(name), self.bytes_after(*number, cut, &mut dice)));
                    }
                    None => {}
                }
            }
        }
        left
    }

    fn bytes_after(&self, file: usize, cut: Cut, dice: &mut Dice) -> Vec<u8> {
        let Kept { now, synced } = &self.files[file];
        let more = (now.len() - synced.len()) as u64;
        let kept = match cut {
            Cut::All => 0,
            Cut::Bytes => more / 2,
            Cut::Some(_) => dice.below(more + 1),
        };
        now[..synced.len() + kept as usize].to_vec()
    }

    /// The versions of the events that exist, and those that the disk has for sure.
    fn versions(&self) -> Kept<usize> {
        let Some(log) = self.folders.get(Path::new("events/_delta_log")) else { return Kept::default() };
        let count = |names: &BTreeMap<String, Entry>| names.keys().filter(|name| is_commit(name)).count();
        let is_found = |path: &str, name: &str| {
            self.folders.get(Path::new(path)).is_some_and(|folder| folder.synced.contains_key(name))
        };
        let is_reached = is_found("", "events") && is_found("events", "_delta_log");
        Kept { now: count(&log.now), synced: if is_reached { count(&log.synced) } else { 0 } }
    }
}

fn is_commit(name: &str) -> bool {
    name.ends_with(".json") && !name.starts_with('.')
}

/// Syncs that a disk leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsynced {
    None,
    DataFiles,
    Commits,
    DataFolders,
    LogFolders,
}

impl Unsynced {
    fn has(self, call: &DiskCall, disk: &Disk) -> bool {
        let DiskCall::Sync(path) = call else { return false };
        let text = path.to_str().unwrap();
        let kind = match (disk.folders.contains_key(path), text.contains("_delta_log")) {
            (true, true) => Unsynced::LogFolders,
            (true, false) => Unsynced::DataFolders,
            (false, true) => Unsynced::Commits,
            (false, false) => Unsynced::DataFiles,
        };
        self == kind
    }
}

/// A run of the binary over a store, as a trace of its calls.
struct TracedRun {
    before: Disk,
    calls: Vec<DiskCall>,
    /// The logical hash of the store after it.
    hash: String,
}

impl TracedRun {
    fn of(store: &store::Store, arguments: &[&str]) -> TracedRun {
        let (before, top) = (Disk::of(&store.path), tempfile::tempdir().unwrap());
        let trace = top.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-xx", "-s", "100000000", "-o", trace.to_str().unwrap(), "-e"]);
        command.arg("trace=openat,pwrite64,fsync,fdatasync,rename,linkat,unlink,mkdir");
        command.arg(BINARY).args(arguments).args(["-q", "--threads", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "{arguments:?}");
        let trace = fs::read_to_string(trace).unwrap();
        let calls: Vec<DiskCall> = trace.lines().filter_map(|line| DiskCall::of(line, &store.path)).collect();
        let run = TracedRun { before, calls, hash: store.hash() };
        // Nothing else has changed a file.
        let found: BTreeMap<PathBuf, Vec<u8>> = files(&store.path)
            .into_iter()
            .map(|file| (file.strip_prefix(&store.path).unwrap().to_owned(), fs::read(&file).unwrap()))
            .collect();
        let end = run.disk_after(run.calls.len(), Unsynced::None);
        assert_eq!(end.after(Cut::Bytes).keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
        assert!(end.after(Cut::All) == found, "the run ends with something that is not synced");
        run
    }

    fn disk_after(&self, count: usize, unsynced: Unsynced) -> Disk {
        let mut disk = self.before.clone();
        for call in &self.calls[..count] {
            if !unsynced.has(call, &disk) {
                disk.apply(call);
            }
        }
        disk
    }

    /// The number of syncs.
    fn syncs(&self) -> usize {
        self.calls.iter().filter(|call| matches!(call, DiskCall::Sync(_))).count()
    }
}

/// A store after a cut.
struct CutStore {
    _folder: TempDir,
    path: PathBuf,
    /// The versions of its events that it may have.
    versions: Kept<usize>,
}

impl CutStore {
    fn of(run: &TracedRun, count: usize, cut: Cut, unsynced: Unsynced) -> CutStore {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        for (inside, bytes) in run.disk_after(count, unsynced).after(cut) {
            let file = path.join(inside);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        // Who was told of a commit trusts in it, whatever a disk leaves out.
        let versions = run.disk_after(count, Unsynced::None).versions();
        CutStore { _folder: folder, path, versions }
    }

    /// The fault of the store: it does not open, is not whole, or is at another commit.
    fn fault(&self) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let opened = Store::open(StoreLocation::local(&self.path).unwrap()).await;
            let mut store = match opened {
                Err(StoreError::Absent { .. }) if self.versions.synced == 0 => return None,
                Err(error) => return Some(error.to_string()),
                Ok(store) => store,
            };
            let version = match store.snapshot().await {
                Ok(snapshot) => snapshot.version as usize + 1,
                Err(error) => return Some(error.to_string()),
            };
            if !(self.versions.synced..=self.versions.now).contains(&version) {
                return Some(format!("it has {version} commits, not {:?}", self.versions));
            }
            match check(&store, &CheckOptions::default()).await {
                Ok(checked) => checked.faults.into_iter().next(),
                Err(error) => Some(error.to_string()),
            }
        })
    }
}

const CUTS: [Cut; 4] = [Cut::All, Cut::Bytes, Cut::Some(1), Cut::Some(2)];

/// Cuts the power after each call, or after some.
fn expect_whole(run: &TracedRun, complete: &(dyn Fn(&Path, &str) + Sync)) {
    let step = if is_exhaustive() { 1 } else { 11 };
    let points: Vec<(usize, Cut)> =
        (0..=run.calls.len()).flat_map(|count| CUTS.map(|cut| (count, cut))).step_by(step).collect();
    let tally = Tally::of(points.len());
    on_every_core(&points, |&(count, cut)| {
        let store = CutStore::of(run, count, cut, Unsynced::None);
        let what = format!("{cut:?} after call {count}: {:?}", run.calls.get(count.wrapping_sub(1)).map(short));
        assert_eq!(store.fault(), None, "{what}");
        if count % 10 == 0 {
            complete(&store.path, &what);
        }
        tally.one_more();
    });
    eprintln!("{} cuts in {} calls, {} of them syncs", points.len(), run.calls.len(), run.syncs());
}

/// A call without its bytes.
fn short(call: &DiskCall) -> String {
    match call {
        DiskCall::Write(path, ..) => format!("write {}", path.display()),
        other => format!("{other:?}"),
    }
}

/// With syncs of one kind left out, some cut must show it.
fn expect_needed(run: &TracedRun, unsynced: Unsynced) {
    let points: Vec<(usize, Cut)> = (0..=run.calls.len()).flat_map(|count| CUTS.map(|cut| (count, cut))).collect();
    let is_bad = |(count, cut): &(usize, Cut)| CutStore::of(run, *count, *cut, unsynced).fault().is_some();
    // From the end, where most is lost.
    assert!(points.iter().rev().step_by(7).any(is_bad), "nothing tells that {unsynced:?} were not synced");
}

#[test]
fn a_power_cut_leaves_the_commit_before_or_after() {
    if !has_strace() {
        return;
    }
    let (disturbed, store) = (Disturbed::failing(), store::Store::new());
    let logs = disturbed.logs.path().to_str().unwrap();
    let run = TracedRun::of(&store, &["ingest", logs, "--store", store.text(), "--batch-bytes", "6000"]);
    assert_eq!(run.hash, disturbed.expected);
    expect_whole(&run, &|path, what| {
        let place = path.to_str().unwrap();
        assert_eq!(keytrail(["ingest", logs, "--store", place, "-q"]).code, Some(0), "{what}");
        assert_eq!(hash(place), run.hash, "{what}");
    });
    for unsynced in [Unsynced::DataFiles, Unsynced::Commits, Unsynced::DataFolders, Unsynced::LogFolders] {
        expect_needed(&run, unsynced);
    }
    let compaction = TracedRun::of(&store, &["store", "compact", store.text()]);
    assert_eq!(compaction.hash, run.hash);
    expect_whole(&compaction, &|path, what| {
        let place = path.to_str().unwrap();
        assert_eq!(hash(place), run.hash, "{what}");
        assert_eq!(keytrail(["store", "compact", place]).code, Some(0), "{what}");
        assert_eq!(hash(place), run.hash, "{what}");
    });
}

fn hash(place: &str) -> String {
    let ended = keytrail(["store", "info", place, "-f", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    serde_json::from_slice::<serde_json::Value>(&ended.stdout).unwrap()["logical_hash"].as_str().unwrap().to_owned()
}
