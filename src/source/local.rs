//! Lists files and folders of the local file system.
//! In: locations and a scope. Out: a `Listing` in path order.
//! Never follows a link below a location, never enters a folder that the scope excludes by its path, and opens
//! no file. An unreadable file or folder becomes an entry with the reason.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::layout::{self, Place, Wanted};
use super::listing::{Builder, Code, DirectoryId, Item, Part, Shared};
use super::names::Names;
use super::{Location, Scope, SourceError};

/// The error number of too many links, which `io::ErrorKind` does not name yet.
const TOO_MANY_LINKS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 40 } else { 62 };

/// A location as found on disk.
struct Root {
    shown: PathBuf,
    /// With all links resolved, so that two names of one file are recognized as one.
    real: PathBuf,
    found: Found,
    listed: bool,
}

enum Found {
    Folder,
    Single(Code, u64),
}

/// Adds the objects of the locations on disk.
pub(super) fn list(locations: &[Location], scope: &Scope, builder: Builder) -> Result<Builder, SourceError> {
    let mut roots = Vec::new();
    for location in locations {
        if let Location::Path(path) = location {
            roots.push(Root::find(path)?);
        }
    }
    // A folder comes before its content, so that its walk meets the locations inside.
    roots.sort_by(|a, b| (&a.real, a.shown.as_os_str()).cmp(&(&b.real, b.shown.as_os_str())));
    roots.dedup_by(|next, kept| next.real == kept.real);

    let mut walk = Walk::new(roots, Wanted::new(scope), builder);
    for number in 0..walk.roots.len() {
        if !walk.roots[number].listed && matches!(walk.roots[number].found, Found::Folder) {
            walk.root_folder(number)?;
        }
    }
    walk.singles(locations)?;
    Ok(walk.builder)
}

impl Root {
    fn find(path: &Path) -> Result<Root, SourceError> {
        let shown = path.to_owned();
        let single =
            |real, code, bytes| Root { shown: path.to_owned(), real, found: Found::Single(code, bytes), listed: false };
        let unreachable = |source| SourceError::Unreachable { path: shown.display().to_string(), source };
        let link = fs::symlink_metadata(path);
        let is_link = link.as_ref().is_ok_and(|link| link.is_symlink());
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_link => return Ok(single(link_position(path), broken_link(&error), 0)),
            Err(error) if is_absent(&error) => {
                return Err(SourceError::NotFound { path: shown.display().to_string() });
            }
            Err(error) => return Err(unreachable(error)),
        };
        let target = fs::metadata(&real).map_err(unreachable)?;
        if target.is_dir() {
            return Ok(Root { shown, real, found: Found::Folder, listed: false });
        }
        if !is_plain(&real, &target) {
            return Ok(single(real, Code::NotRegularFile, 0));
        }
        let code = if is_link { Code::LinkedLog } else { Code::Log };
        Ok(single(real, code, target.len()))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The path of the link itself, with the links above it resolved.
fn link_position(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// False for entries that the kernel makes up under these folders, though they claim to be regular files.
fn is_plain(real: &Path, target: &fs::Metadata) -> bool {
    target.is_file() && !["/proc", "/sys", "/dev"].iter().any(|top| real.starts_with(top))
}

fn broken_link(error: &io::Error) -> Code {
    match error {
        error if error.raw_os_error() == Some(TOO_MANY_LINKS) => Code::LinkLoop,
        error if error.kind() == io::ErrorKind::PermissionDenied => Code::PermissionDenied,
        _ => Code::LinkDangling,
    }
}

/// The fault of a link in `folder`, judged by its target and without opening it.
fn judge_link(folder: &Path, name: &OsStr, root: &Path) -> Code {
    let real = match folder.join(name).canonicalize() {
        Ok(real) => real,
        Err(error) => return broken_link(&error),
    };
    match fs::metadata(&real) {
        Err(error) => broken_link(&error),
        Ok(target) if !target.is_dir() && !is_plain(&real, &target) => Code::NotRegularFile,
        Ok(_) if !real.starts_with(root) => Code::LinkEscape,
        Ok(_) if folder.starts_with(&real) => Code::LinkLoop,
        Ok(_) => Code::LinkInside,
    }
}

/// A folder on the way down.
struct Folder<'a> {
    shown: PathBuf,
    real: PathBuf,
    root: &'a Path,
    place: Place,
}

/// The content of a folder, before it is sorted.
#[derive(Default)]
struct Children {
    names: Names,
    /// With no code: a folder to enter.
    list: Vec<Item<Option<Code>>>,
    /// Set where the folder could not be read to its end.
    fault: Option<Code>,
}

impl Children {
    fn push(&mut self, name: &[u8], code: Option<Code>, bytes: u64) -> Result<(), SourceError> {
        let name = self.names.push(name)?;
        self.list.push(Item::new(name, code, bytes));
        Ok(())
    }

    /// Sorts in the order of the full paths below: a folder's name counts with the slash that follows it.
    fn sort(&mut self) {
        let names = &self.names;
        self.list.sort_unstable_by(|a, b| {
            let (left, right) = (names.get(a.name()), names.get(b.name()));
            let common = left.len().min(right.len());
            let next = |name: &[u8], child: &Item<Option<Code>>| {
                name.get(common).copied().or(child.code.is_none().then_some(b'/'))
            };
            match left[..common].cmp(&right[..common]) {
                Ordering::Equal => next(left, a).cmp(&next(right, b)),
                unequal => unequal,
            }
        });
    }

    fn shared(&self) -> Shared<'_> {
        let entries = self.list.iter().filter(|child| child.code.is_some());
        Shared::of(entries.map(|child| self.names.get(child.name())))
    }
}

struct Walk {
    roots: Vec<Root>,
    wanted: Wanted,
    builder: Builder,
    /// Roots by their real path; empty where there is only one, since no walk can meet it.
    named: HashMap<PathBuf, usize>,
    /// Links that the user named; a walk leaves them to their own location.
    named_links: HashSet<PathBuf>,
}

impl Walk {
    fn new(roots: Vec<Root>, wanted: Wanted, builder: Builder) -> Walk {
        let (mut named, mut named_links) = (HashMap::new(), HashSet::new());
        if roots.len() > 1 {
            named = roots.iter().enumerate().map(|(number, root)| (root.real.clone(), number)).collect();
            let is_link = |root: &&Root| root.shown.is_symlink();
            named_links = roots.iter().filter(is_link).map(|root| link_position(&root.shown)).collect();
        }
        Walk { roots, wanted, builder, named, named_links }
    }

    fn place_of(&self, folder: &Path) -> Option<Place> {
        let mut names = folder.iter().map(OsStr::as_bytes);
        names.try_fold(Place::default(), |place, name| place.enter(name, &self.wanted))
    }

    fn root_folder(&mut self, number: usize) -> Result<(), SourceError> {
        let root = self.roots[number].real.clone();
        let Some(place) = self.place_of(&root) else {
            self.builder.pruned.directories += 1;
            return Ok(());
        };
        let folder = Folder { shown: self.roots[number].shown.clone(), real: root.clone(), root: &root, place };
        let mut part = Part::default();
        self.folder(&folder, &mut part)?;
        self.builder.add(part);
        Ok(())
    }

    fn folder(&mut self, folder: &Folder<'_>, part: &mut Part) -> Result<(), SourceError> {
        let mut children = self.read(folder)?;
        if let Some(code) = children.fault {
            self.report(&folder.shown, code, part)?;
        }
        children.sort();
        let mut own: Option<DirectoryId> = None;
        for child in &children.list {
            let name = children.names.get(child.name());
            let Some(code) = child.code else {
                self.enter(folder, name, part)?;
                continue;
            };
            let id = match own {
                Some(id) => id,
                None => self.builder.directory(&folder.shown, children.shared(), folder.place.account())?,
            };
            own = Some(id);
            self.builder.push(part, id, name, (code, child.bytes()))?;
        }
        Ok(())
    }

    fn enter(&mut self, folder: &Folder<'_>, name: &[u8], part: &mut Part) -> Result<(), SourceError> {
        let Some(place) = folder.place.enter(name, &self.wanted) else {
            self.builder.pruned.directories += 1;
            return Ok(());
        };
        let below = Folder {
            shown: folder.shown.join(OsStr::from_bytes(name)),
            real: folder.real.join(OsStr::from_bytes(name)),
            root: folder.root,
            place,
        };
        self.folder(&below, part)
    }

    fn read(&mut self, folder: &Folder<'_>) -> Result<Children, SourceError> {
        let mut children = Children::default();
        let entries = match fs::read_dir(&folder.real) {
            Ok(entries) => entries,
            Err(error) => {
                children.fault = Some(fault(&error));
                return Ok(children);
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) => self.child(folder, kind, &entry, &mut children)?,
                Err(error) => children.fault = Some(fault(&error)),
            }
        }
        Ok(children)
    }

    fn child(
        &mut self,
        folder: &Folder<'_>,
        kind: FileType,
        entry: &fs::DirEntry,
        children: &mut Children,
    ) -> Result<(), SourceError> {
        let name = entry.file_name();
        let bytes = name.as_bytes();
        let is_named = !self.named.is_empty() && self.meet(&folder.real.join(&name));
        if kind.is_symlink() {
            let left_to_root = self.named_links.contains(&folder.real.join(&name));
            let code = (!left_to_root).then(|| judge_link(&folder.real, &name, folder.root));
            return code.map_or(Ok(()), |code| children.push(bytes, Some(code), 0));
        }
        if kind.is_dir() {
            let code = match () {
                () if is_named => None,
                () if layout::is_hidden(bytes) => Some(Code::NotLogName),
                () if layout::is_log_name(bytes) => Some(Code::NotRegularFile),
                () => None,
            };
            return children.push(bytes, code, 0);
        }
        if !kind.is_file() {
            return children.push(bytes, Some(Code::NotRegularFile), 0);
        }
        let code = if is_named { Some(Code::Log) } else { Code::of_file(folder.place, bytes, &self.wanted) };
        let Some(code) = code else {
            self.builder.pruned.objects += 1;
            return Ok(());
        };
        match entry.metadata() {
            Ok(metadata) => children.push(bytes, Some(code), metadata.len()),
            Err(error) => children.push(bytes, Some(fault(&error)), 0),
        }
    }

    /// Notes that a walk came upon a location of its own.
    fn meet(&mut self, real: &Path) -> bool {
        let number = self.named.get(real).copied();
        if let Some(number) = number {
            self.roots[number].listed = true;
        }
        number.is_some()
    }

    /// Enters a folder itself into the list, with a slash at its end.
    fn report(&mut self, shown: &Path, code: Code, part: &mut Part) -> Result<(), SourceError> {
        let (parent, name) = split(shown);
        let id = self.builder.directory(parent, Shared::default(), None)?;
        self.builder.push(part, id, &[name, b"/"].concat(), (code, 0))
    }

    /// Files named one by one, and stdin where a location names it, make one part.
    fn singles(&mut self, locations: &[Location]) -> Result<(), SourceError> {
        let everything = Wanted::new(&Scope::default());
        let mut singles: Vec<(PathBuf, Code, u64, Option<u64>)> = Vec::new();
        for root in self.roots.iter().filter(|root| !root.listed) {
            if let Found::Single(code, bytes) = root.found {
                let mut folders = root.real.parent().into_iter().flatten().map(OsStr::as_bytes);
                let place = folders.try_fold(Place::default(), |place, name| place.enter(name, &everything));
                singles.push((root.shown.clone(), code, bytes, place.and_then(Place::account)));
            }
        }
        if locations.contains(&Location::Stdin) {
            singles.push((PathBuf::from("-"), Code::Stdin, 0, None));
        }
        singles.sort_by(|a, b| a.0.as_os_str().as_bytes().cmp(b.0.as_os_str().as_bytes()));
        let mut part = Part::default();
        let mut last: Option<(&Path, Option<u64>, DirectoryId)> = None;
        for (shown, code, bytes, account) in &singles {
            let (parent, name) = split(shown);
            let id = match last {
                Some((path, of, id)) if (path.as_os_str(), of) == (parent.as_os_str(), *account) => id,
                _ => self.builder.directory(parent, Shared::default(), *account)?,
            };
            last = Some((parent, *account, id));
            self.builder.push(&mut part, id, name, (*code, *bytes))?;
        }
        self.builder.add(part);
        Ok(())
    }
}

/// A path as its folder, with the slash, and its last name, byte for byte as it was given.
fn split(shown: &Path) -> (&Path, &[u8]) {
    let bytes = shown.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    let at = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    (Path::new(OsStr::from_bytes(&bytes[..at])), &bytes[at..])
}

fn fault(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Code::PermissionDenied,
        io::ErrorKind::NotFound => Code::Missing,
        _ => Code::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::open_regular;
    use super::super::{Entry, list_local as list};
    use super::*;
    use crate::objects::{FaultReason, SkipReason};
    use std::os::unix::fs::symlink;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    /// Paths below the root, each with its entry.
    fn listed(root: &Path, locations: &[&str], scope: &Scope) -> Vec<(String, Entry)> {
        let locations: Vec<_> = locations.iter().map(|path| Location::Path(root.join(path))).collect();
        let listing = list(&locations, scope).unwrap();
        let top = format!("{}/", root.display());
        let all = (0..listing.len()).map(|i| (listing.uri(i), listing.entry(i)));
        all.map(|(uri, entry)| (uri.strip_prefix(&top).unwrap_or(&uri).to_owned(), entry)).collect()
    }

    fn paths(root: &Path, locations: &[&str]) -> Vec<String> {
        listed(root, locations, &Scope::default()).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn order_is_by_full_path_and_overlaps_count_once() {
        let files = ["a.json", "a/b.json", "a-b/c.json", "a/a/d.json", "a0/e.json", "b/f.json", "a/z.txt"];
        let root = tree(&files);
        let mut expected = files.map(str::to_owned).to_vec();
        expected.sort();
        for locations in [
            &[""][..],
            &["", ""],
            &["a", "", "b/f.json"],
            &["b", "a/../a", "a.json", "a-b/c.json", "a0", "a-b/../a-b"],
            &["./", "a/a/../b.json"],
        ] {
            let found = listed(root.path(), locations, &Scope::default());
            let mut real: Vec<_> =
                found.iter().map(|(path, _)| root.path().join(path).canonicalize().unwrap()).collect();
            real.sort();
            let all: Vec<_> = expected.iter().map(|path| root.path().canonicalize().unwrap().join(path)).collect();
            let mut all_sorted = all.clone();
            all_sorted.sort();
            assert_eq!(real, all_sorted, "{locations:?}");
            assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{locations:?} {found:?}");
        }
        assert_eq!(paths(root.path(), &[""]), expected);
    }

    #[test]
    fn a_named_file_is_always_read() {
        let root = tree(&["x.zip", "y.csv", ".h.json", "z.json.part", "n.json"]);
        let skipped = Entry::Skipped(SkipReason::NotLogName);
        let found = listed(root.path(), &["", "x.zip", ".h.json"], &Scope::default());
        let expected = [
            (".h.json", Entry::Log),
            ("n.json", Entry::Log),
            ("x.zip", Entry::Log),
            ("y.csv", skipped),
            ("z.json.part", skipped),
        ];
        assert_eq!(found, expected.map(|(path, entry)| (path.to_owned(), entry)));
    }

    #[test]
    fn scope_prunes_before_opening_and_siblings_are_skipped() {
        let day = |kind: &str, day: u32| format!("AWSLogs/111122223333/{kind}/eu-west-1/2026/03/{day:02}/f.json.gz");
        let files = [
            day("CloudTrail", 9),
            day("CloudTrail", 10),
            day("CloudTrail", 13),
            day("CloudTrail", 14),
            day("CloudTrail-Aggregated", 10),
            day("CloudTrail-Digest", 10),
            day("CloudTrail-Digest", 20),
            day("CloudTrail-Insight", 10),
            day("CloudTrail-NetworkActivity", 10),
            "AWSLogs/999988887777/CloudTrail/eu-west-1/2026/03/10/f.json.gz".to_owned(),
            "other/2026/03/01/f.json.gz".to_owned(),
        ];
        let root = tree(&files.each_ref().map(String::as_str));
        let march = |day: i64| Some((20_512 + day) * 86_400_000_000); // 20,512: the last day of February 2026
        let scope = Scope {
            since: march(10),
            until: march(12),
            accounts: vec!["111122223333".into()],
            late_days: 2,
            ..Scope::default()
        };
        let expected = [
            (day("CloudTrail-Aggregated", 10), Entry::Skipped(SkipReason::Aggregated)),
            (day("CloudTrail-Digest", 10), Entry::Skipped(SkipReason::Digest)),
            (day("CloudTrail-Insight", 10), Entry::Skipped(SkipReason::Insight)),
            (day("CloudTrail-NetworkActivity", 10), Entry::Log),
            (day("CloudTrail", 10), Entry::Log),
            (day("CloudTrail", 13), Entry::Log),
            ("other/2026/03/01/f.json.gz".to_owned(), Entry::Log),
        ];
        assert_eq!(listed(root.path(), &[""], &scope), expected);
        let listing = list(&[Location::Path(root.path().to_owned())], &scope).unwrap();
        assert_eq!(listing.pruned().directories, 4);
        let account = |i| listing.account(i);
        assert_eq!((account(4).as_deref(), account(6)), (Some("111122223333"), None));
    }

    #[test]
    fn links_and_devices_are_refused() {
        let root = tree(&["t/real/r.json.gz", "t/dir.json.gz/x.json", "out.json"]);
        let t = root.path().join("t");
        for (name, target, _) in LINKS {
            symlink(target, t.join(name)).unwrap();
        }
        let socket = std::os::unix::net::UnixListener::bind(t.join("socket.json")).unwrap();
        let mut expected: Vec<_> = LINKS.map(|(name, _, code)| (format!("t/{name}"), Entry::Refused(code))).to_vec();
        expected.push(("t/dir.json.gz".into(), Entry::Refused(FaultReason::NotRegularFile)));
        expected.push(("t/socket.json".into(), Entry::Refused(FaultReason::NotRegularFile)));
        expected.push(("t/real/r.json.gz".into(), Entry::Log));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(listed(root.path(), &["t"], &Scope::default()), expected);
        drop(socket);
        for (name, target, code) in LINKS {
            assert!(open_regular(&t.join(name)).is_err(), "{name}");
            let found = listed(root.path(), &[&format!("t/{name}")], &Scope::default());
            let follows = target == "real/r.json.gz" || target == "../out.json";
            if follows {
                assert_eq!(found[0].1, Entry::Log, "the user may name a link: {name}");
            } else if ![FaultReason::SymlinkEscape, FaultReason::SymlinkInside].contains(&code) && name != "up" {
                assert_eq!(found[0].1, Entry::Refused(code), "{name}");
            }
        }
        let named =
            list(&[Location::Path(t.join("escape.json")), Location::Path(t.clone())], &Scope::default()).unwrap();
        let at = (0..named.len()).find(|i| named.uri(*i).ends_with("/escape.json")).unwrap();
        assert_eq!(named.entry(at), Entry::Log);
        assert!(named.object(at).open().is_ok());
        assert_eq!(named.len(), expected.len());
    }

    const LINKS: [(&str, &str, FaultReason); 11] = [
        ("self.json.gz", "self.json.gz", FaultReason::SymlinkLoop),
        ("a.json.gz", "b.json.gz", FaultReason::SymlinkLoop),
        ("b.json.gz", "a.json.gz", FaultReason::SymlinkLoop),
        ("up", ".", FaultReason::SymlinkLoop),
        ("top", "/", FaultReason::SymlinkEscape),
        ("escape.json", "../out.json", FaultReason::SymlinkEscape),
        ("gone.json.gz", "nowhere", FaultReason::SymlinkDangling),
        ("zero.json.gz", "/dev/zero", FaultReason::NotRegularFile),
        ("mem.json.gz", "/proc/self/mem", FaultReason::NotRegularFile),
        ("inside.json.gz", "real/r.json.gz", FaultReason::SymlinkInside),
        ("folder", "real", FaultReason::SymlinkInside),
    ];

    #[test]
    fn names_survive_as_they_are() {
        let root = tree(&["new\nline.json", "50%.json", "café.json"]);
        let odd = root.path().join(OsStr::from_bytes(b"\xff\xfe.json"));
        fs::write(&odd, "x").unwrap();
        assert_eq!(paths(root.path(), &[""]), ["50%.json", "café.json", "new\nline.json", "%FF%FE.json"]);
        let listing = list(&[Location::Path(root.path().to_owned())], &Scope::default()).unwrap();
        assert_eq!((listing.object(3).path(), listing.bytes(3)), (odd, 1));
        assert!((0..4).all(|i| listing.object(i).open().is_ok()));
    }

    #[test]
    fn a_missing_path_is_an_error_and_stdin_is_an_entry() {
        let root = tree(&["a.json"]);
        for path in ["nowhere", "a.json/x"] {
            let error = list(&[Location::Path(root.path().join(path))], &Scope::default()).unwrap_err();
            assert!(matches!(error, SourceError::NotFound { .. }) && !error.is_usage(), "{path}");
        }
        let listing = list(&[Location::Stdin, Location::Stdin], &Scope::default()).unwrap();
        assert_eq!((listing.len(), listing.uri(0).as_str(), listing.is_stdin(0)), (1, "-", true));
    }

    #[test]
    fn a_folder_that_vanished_is_reported_with_a_slash() {
        let root = tempfile::tempdir().unwrap();
        let wanted = Wanted::new(&Scope::default());
        let mut walk = Walk::new(Vec::new(), wanted, Builder::default());
        let folder = Folder {
            shown: root.path().join("gone"),
            real: root.path().join("gone"),
            root: root.path(),
            place: Place::default(),
        };
        let mut part = Part::default();
        walk.folder(&folder, &mut part).unwrap();
        walk.builder.add(part);
        let listing = walk.builder.finish().unwrap();
        assert_eq!((listing.entry(0), listing.uri(0).ends_with("/gone/")), (Entry::Missing, true));
    }
}
