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

use super::file_names::{self, NameClass};
use super::file_stamp::FileStamp;
use super::layout::{KeyPosition, ScopeFilter};
use super::listing::{DirectoryId, EntryCode, FolderIds, ListedItem, ListingBuilder, ListingPart, NameAffixes};
use super::name_arena::NameArena;
use super::{Location, ObjectPurpose, Scope, SourceError};

/// The error number of too many links, which `io::ErrorKind` does not name yet.
const TOO_MANY_LINKS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 40 } else { 62 };

/// A location as found on disk.
struct LocalRoot {
    shown: PathBuf,
    /// With all links resolved, so that two names of one file are recognized as one.
    real: PathBuf,
    found: RootKind,
    listed: bool,
}

enum RootKind {
    Folder,
    Single(EntryCode, u64, FileStamp),
}

/// Adds the objects of the locations on disk.
pub(super) fn list(
    locations: &[Location],
    scope: &Scope,
    builder: ListingBuilder,
) -> Result<ListingBuilder, SourceError> {
    let mut roots = Vec::new();
    for location in locations {
        if let Location::Path(path) = location {
            roots.push(LocalRoot::find(path)?);
        }
    }
    // A folder comes before its content, so that its walk meets the locations inside.
    roots.sort_by(|a, b| (&a.real, a.shown.as_os_str()).cmp(&(&b.real, b.shown.as_os_str())));
    roots.dedup_by(|next, kept| next.real == kept.real);

    let mut walk = LocalWalk::new(roots, ScopeFilter::new(scope), builder);
    let by_organization = ScopeFilter::of_organizations(scope);
    for number in 0..walk.roots.len() {
        if !walk.roots[number].listed && matches!(walk.roots[number].found, RootKind::Folder) {
            walk.root_folder(number)?;
        }
    }
    walk.singles(locations, &by_organization)?;
    Ok(walk.builder)
}

impl LocalRoot {
    fn find(path: &Path) -> Result<LocalRoot, SourceError> {
        let shown = path.to_owned();
        let single = |real, code| LocalRoot {
            shown: path.to_owned(),
            real,
            found: RootKind::Single(code, 0, FileStamp::default()),
            listed: false,
        };
        let unreachable = |source| SourceError::Unreachable { path: shown.display().to_string(), source };
        let link = fs::symlink_metadata(path);
        let is_link = link.as_ref().is_ok_and(|link| link.is_symlink());
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_link => return Ok(single(link_position(path), broken_link(&error))),
            Err(error) if is_absent(&error) => {
                return Err(SourceError::NotFound { path: shown.display().to_string() });
            }
            Err(error) => return Err(unreachable(error)),
        };
        let target = fs::metadata(&real).map_err(unreachable)?;
        if target.is_dir() {
            return Ok(LocalRoot { shown, real, found: RootKind::Folder, listed: false });
        }
        if !is_plain(&real, &target) {
            return Ok(single(real, EntryCode::NotRegularFile));
        }
        let code = if is_link { EntryCode::LinkedLog } else { EntryCode::Log };
        let found = RootKind::Single(code, target.len(), FileStamp::of(&target));
        Ok(LocalRoot { shown, real, found, listed: false })
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

fn broken_link(error: &io::Error) -> EntryCode {
    match error {
        error if error.raw_os_error() == Some(TOO_MANY_LINKS) => EntryCode::LinkLoop,
        error if error.kind() == io::ErrorKind::PermissionDenied => EntryCode::PermissionDenied,
        _ => EntryCode::LinkDangling,
    }
}

/// The fault of a link in `folder`, judged by its target and without opening it.
fn judge_link(folder: &Path, name: &OsStr, root: &Path) -> EntryCode {
    let real = match folder.join(name).canonicalize() {
        Ok(real) => real,
        Err(error) => return broken_link(&error),
    };
    match fs::metadata(&real) {
        Err(error) => broken_link(&error),
        Ok(target) if !target.is_dir() && !is_plain(&real, &target) => EntryCode::NotRegularFile,
        Ok(_) if !real.starts_with(root) => EntryCode::LinkEscape,
        Ok(_) if folder.starts_with(&real) => EntryCode::LinkLoop,
        Ok(_) => EntryCode::LinkInside,
    }
}

/// A folder on the way down.
struct LocalFolder<'a> {
    shown: PathBuf,
    real: PathBuf,
    root: &'a Path,
    place: KeyPosition,
}

/// The content of a folder, before it is sorted.
#[derive(Default)]
struct FolderChildren {
    names: NameArena,
    /// With no code: a folder to enter.
    list: Vec<(ListedItem<Option<EntryCode>>, FileStamp)>,
    /// Set where the folder could not be read to its end.
    fault: Option<EntryCode>,
}

impl FolderChildren {
    /// Enters a child that is no file to open.
    fn push(&mut self, name: &[u8], code: Option<EntryCode>) -> Result<(), SourceError> {
        let name = self.names.push(name)?;
        self.list.push((ListedItem::new(name, code, 0), FileStamp::default()));
        Ok(())
    }

    fn push_file(&mut self, name: &[u8], code: EntryCode, file: &fs::Metadata) -> Result<(), SourceError> {
        let (name, bytes) = (self.names.push(name)?, file.len());
        self.list.push((ListedItem::new(name, Some(code.of_size(bytes)), bytes), FileStamp::of(file)));
        Ok(())
    }

    /// Sorts in the order of the full paths below: a folder's name counts with the slash that follows it.
    fn sort(&mut self) {
        let names = &self.names;
        self.list.sort_unstable_by(|(a, _), (b, _)| {
            let (left, right) = (names.get(a.name()), names.get(b.name()));
            let common = left.len().min(right.len());
            let next = |name: &[u8], child: &ListedItem<Option<EntryCode>>| {
                name.get(common).copied().or(child.code.is_none().then_some(b'/'))
            };
            match left[..common].cmp(&right[..common]) {
                Ordering::Equal => next(left, a).cmp(&next(right, b)),
                unequal => unequal,
            }
        });
    }

    fn shared(&self) -> NameAffixes<'_> {
        let entries = self.list.iter().filter(|(child, _)| child.code.is_some());
        NameAffixes::of(entries.map(|(child, _)| self.names.get(child.name())))
    }
}

/// A file that the user named, or stdin.
struct SingleFile {
    shown: PathBuf,
    code: EntryCode,
    bytes: u64,
    stamp: FileStamp,
    account: Option<u64>,
}

struct LocalWalk {
    roots: Vec<LocalRoot>,
    wanted: ScopeFilter,
    builder: ListingBuilder,
    /// Roots by their real path; empty where there is only one, since no walk can meet it.
    named: HashMap<PathBuf, usize>,
    /// Links that the user named; a walk leaves them to their own location.
    named_links: HashSet<PathBuf>,
}

impl LocalWalk {
    fn new(roots: Vec<LocalRoot>, wanted: ScopeFilter, builder: ListingBuilder) -> LocalWalk {
        let (mut named, mut named_links) = (HashMap::new(), HashSet::new());
        if roots.len() > 1 {
            named = roots.iter().enumerate().map(|(number, root)| (root.real.clone(), number)).collect();
            let is_link = |root: &&LocalRoot| root.shown.is_symlink();
            named_links = roots.iter().filter(is_link).map(|root| link_position(&root.shown)).collect();
        }
        LocalWalk { roots, wanted, builder, named, named_links }
    }

    fn place_of(&self, folder: &Path) -> Option<KeyPosition> {
        let mut names = folder.iter().map(OsStr::as_bytes);
        names.try_fold(KeyPosition::default(), |place, name| place.enter(name, &self.wanted))
    }

    fn root_folder(&mut self, number: usize) -> Result<(), SourceError> {
        let root = self.roots[number].real.clone();
        let Some(place) = self.place_of(&root) else {
            self.builder.pruned.directories += 1;
            return Ok(());
        };
        let folder = LocalFolder { shown: self.roots[number].shown.clone(), real: root.clone(), root: &root, place };
        let mut part = ListingPart::default();
        self.folder(&folder, &mut part)?;
        self.builder.add(part);
        Ok(())
    }

    fn folder(&mut self, folder: &LocalFolder<'_>, part: &mut ListingPart) -> Result<(), SourceError> {
        let mut children = self.read(folder)?;
        if let Some(code) = children.fault {
            self.report(folder, code, part)?;
        }
        children.sort();
        let mut own = FolderIds::default();
        for (child, stamp) in &children.list {
            let name = children.names.get(child.name());
            let Some(code) = child.code else {
                self.enter(folder, name, part)?;
                continue;
            };
            let purpose = self.purpose(folder, name);
            let id = match own.of(purpose) {
                Some(id) => *id,
                none => {
                    *none.insert(self.builder.directory(&folder.shown, children.shared(), folder.place.account())?)
                }
            };
            self.builder.set_purpose(id, purpose);
            self.builder.push(part, id, name, (code, child.bytes()))?;
            part.set_stamp(*stamp);
        }
        Ok(())
    }

    /// The purpose of a file: one that the user named is part of answers, whatever its name says.
    fn purpose(&self, folder: &LocalFolder<'_>, name: &[u8]) -> ObjectPurpose {
        let is_named = || self.named.contains_key(&folder.real.join(OsStr::from_bytes(name)));
        match folder.place.file_purpose(name, &self.wanted) {
            ObjectPurpose::State if !is_named() => ObjectPurpose::State,
            _ => ObjectPurpose::Answer,
        }
    }

    fn enter(&mut self, folder: &LocalFolder<'_>, name: &[u8], part: &mut ListingPart) -> Result<(), SourceError> {
        let Some(place) = folder.place.enter(name, &self.wanted) else {
            self.builder.pruned.directories += 1;
            return Ok(());
        };
        let below = LocalFolder {
            shown: folder.shown.join(OsStr::from_bytes(name)),
            real: folder.real.join(OsStr::from_bytes(name)),
            root: folder.root,
            place,
        };
        self.folder(&below, part)
    }

    fn read(&mut self, folder: &LocalFolder<'_>) -> Result<FolderChildren, SourceError> {
        let mut children = FolderChildren::default();
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
        folder: &LocalFolder<'_>,
        kind: FileType,
        entry: &fs::DirEntry,
        children: &mut FolderChildren,
    ) -> Result<(), SourceError> {
        let name = entry.file_name();
        let bytes = name.as_bytes();
        let is_named = !self.named.is_empty() && self.meet(&folder.real.join(&name));
        if !kind.is_dir()
            && let Some(why) = folder.place.left_out(&self.wanted)
        {
            self.builder.pruned.count(why);
            return Ok(());
        }
        if kind.is_symlink() {
            let left_to_root = self.named_links.contains(&folder.real.join(&name));
            let code = (!left_to_root).then(|| judge_link(&folder.real, &name, folder.root));
            return code.map_or(Ok(()), |code| children.push(bytes, Some(code)));
        }
        if kind.is_dir() {
            let code = match () {
                () if is_named => None,
                () if file_names::is_hidden(bytes) => Some(EntryCode::NotLogName),
                () if NameClass::of(bytes) == NameClass::Log => Some(EntryCode::NotRegularFile),
                () => None,
            };
            return children.push(bytes, code);
        }
        if !kind.is_file() {
            return children.push(bytes, Some(EntryCode::NotRegularFile));
        }
        let code = if is_named { Ok(EntryCode::Log) } else { EntryCode::of_file(folder.place, bytes, &self.wanted) };
        let code = match code {
            Ok(code) => code,
            Err(why) => {
                self.builder.pruned.count(why);
                return Ok(());
            }
        };
        match entry.metadata() {
            Ok(metadata) => children.push_file(bytes, code, &metadata),
            Err(error) => children.push(bytes, Some(fault(&error))),
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
    fn report(&mut self, folder: &LocalFolder<'_>, code: EntryCode, part: &mut ListingPart) -> Result<(), SourceError> {
        let (parent, name) = split(&folder.shown);
        let id = self.builder.directory(parent, NameAffixes::default(), None)?;
        self.builder.set_purpose(id, folder.place.purpose());
        self.builder.push(part, id, &[name, b"/"].concat(), (code, 0))
    }

    /// Files named one by one, and stdin where a location names it, make one part. Their paths are held to the
    /// organizations alone, which no record names.
    fn singles(&mut self, locations: &[Location], wanted: &ScopeFilter) -> Result<(), SourceError> {
        let mut singles: Vec<SingleFile> = Vec::new();
        for root in self.roots.iter().filter(|root| !root.listed) {
            if let RootKind::Single(code, bytes, stamp) = root.found {
                let mut folders = root.real.parent().into_iter().flatten().map(OsStr::as_bytes);
                let place = folders.try_fold(KeyPosition::default(), |place, name| place.enter(name, wanted));
                let account = place.and_then(KeyPosition::account);
                match KeyPosition::left_out_of(place, wanted) {
                    Some(why) => self.builder.pruned.count(why),
                    None => singles.push(SingleFile { shown: root.shown.clone(), code, bytes, stamp, account }),
                }
            }
        }
        if locations.contains(&Location::Stdin) {
            match KeyPosition::default().left_out(wanted) {
                Some(why) => self.builder.pruned.count(why),
                None => singles.push(SingleFile {
                    shown: PathBuf::from("-"),
                    code: EntryCode::Stdin,
                    bytes: 0,
                    stamp: FileStamp::default(),
                    account: None,
                }),
            }
        }
        singles.sort_by(|a, b| a.shown.as_os_str().as_bytes().cmp(b.shown.as_os_str().as_bytes()));
        let mut part = ListingPart::default();
        let mut last: Option<(&Path, Option<u64>, DirectoryId)> = None;
        for SingleFile { shown, code, bytes, stamp, account } in &singles {
            let (parent, name) = split(shown);
            let id = match last {
                Some((path, of, id)) if (path.as_os_str(), of) == (parent.as_os_str(), *account) => id,
                _ => self.builder.directory(parent, NameAffixes::default(), *account)?,
            };
            last = Some((parent, *account, id));
            self.builder.push(&mut part, id, name, (*code, *bytes))?;
            part.set_stamp(*stamp);
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

fn fault(error: &io::Error) -> EntryCode {
    match error.kind() {
        io::ErrorKind::PermissionDenied => EntryCode::PermissionDenied,
        io::ErrorKind::NotFound => EntryCode::Missing,
        _ => EntryCode::Unreadable,
    }
}

#[cfg(test)]
mod tests;
