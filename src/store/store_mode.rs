//! The users of this machine that may open a store: the modes of its files, and the refusal of one that others may write.
//! In: the folder of a store, and what its user asked for. Out: modes, or that the store is shared.
//! Never widens the mode of a file unasked.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The users that may read a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreMode {
    /// Its owner alone.
    #[default]
    Private,
    /// Its owner, and the group of its folder.
    Group,
}

/// The treatment of a store that others than its owner may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedStore {
    #[default]
    Refused,
    Allowed,
}

/// What a user asks of the access to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreAccess {
    /// None keeps that of the store.
    pub mode: Option<StoreMode>,
    pub shared: SharedStore,
}

impl StoreMode {
    /// The mode of a folder; those of a group hand their group on.
    pub(super) fn of_folder(self) -> u32 {
        match self {
            StoreMode::Private => 0o700,
            StoreMode::Group => 0o2750,
        }
    }

    pub(super) fn of_file(self) -> u32 {
        match self {
            StoreMode::Private => 0o600,
            StoreMode::Group => 0o640,
        }
    }

    /// The mode by which a store was made; that of a new one if there is none.
    pub(super) fn of_store(folder: &Path) -> StoreMode {
        let group = StoreMode::Group.of_folder() & 0o2070;
        let is_group = fs::metadata(folder).is_ok_and(|folder| folder.mode() & group == group);
        if is_group { StoreMode::Group } else { StoreMode::Private }
    }
}

/// Gives a file or folder the mode if it has another, as a umask or a folder's default gives it.
pub(super) fn ensure(path: &Path, mode: u32) -> io::Result<()> {
    if fs::symlink_metadata(path)?.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Gives all folders and files of a store the mode.
pub(super) fn ensure_all(folder: &Path, mode: StoreMode) -> io::Result<()> {
    ensure(folder, mode.of_folder())?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            ensure_all(&entry.path(), mode)?;
        } else if kind.is_file() {
            ensure(&entry.path(), mode.of_file())?;
        }
    }
    Ok(())
}

/// Folders of a table are this far below the store at most: its log, and one for each day.
const FOLDERS_DEPTH: u32 = 2;

/// True if others than the owner may write into a folder of the store, or over a file in it. What cannot be looked at is
/// not found here: opening the store fails on it.
pub(super) fn is_shared(store: &Path) -> bool {
    is_open_within(store, FOLDERS_DEPTH)
}

fn is_open_within(path: &Path, depth: u32) -> bool {
    let Ok(found) = fs::metadata(path) else { return false };
    may_others_write(found.mode(), found.uid(), found.gid())
        || found.is_dir()
            && children(path).any(|child| match depth {
                0 => fs::metadata(child)
                    .is_ok_and(|found| found.is_file() && may_others_write(found.mode(), found.uid(), found.gid())),
                _ => is_open_within(&child, depth - 1),
            })
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn may_others_write(mode: u32, user: u32, group: u32) -> bool {
    mode & 0o002 != 0 || mode & 0o020 != 0 && !is_own_group(user, group)
}

/// True of the group that systems make for each user: it has the user's number or name.
fn is_own_group(user: u32, group: u32) -> bool {
    user == group
        || name_of("/etc/passwd", user)
            .is_some_and(|user| name_of("/etc/group", group).is_some_and(|name| name == user))
}

/// The name of a number in a list of users or groups, whose lines begin alike.
fn name_of(list: &str, number: u32) -> Option<String> {
    let lines = fs::read_to_string(list).ok()?;
    lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_is_shared() {
        let top = tempfile::tempdir().unwrap();
        let log = top.path().join("events/_delta_log");
        fs::create_dir_all(&log).unwrap();
        let events = top.path().join("events");
        for folder in [top.path(), &events, &log] {
            for (mode, shared) in [(0o700, false), (0o755, false), (0o2750, false), (0o702, true), (0o1777, true)] {
                ensure(folder, mode).unwrap();
                assert_eq!(is_shared(top.path()), shared, "{} {mode:o}", folder.display());
            }
            ensure(folder, 0o755).unwrap();
        }
        // A question compares no hash of data files and of the index, unless it is asked to.
        let [day, ids] = ["events/event_date=2026-03-10", "ids"].map(|folder| top.path().join(folder));
        for folder in [&day, &ids] {
            fs::create_dir(folder).unwrap();
            for (mode, shared) in [(0o702, true), (0o755, false)] {
                ensure(folder, mode).unwrap();
                assert_eq!(is_shared(top.path()), shared, "{} {mode:o}", folder.display());
            }
        }
        for file in [log.join("0.json"), events.join("x.parquet"), day.join("x.parquet"), ids.join("x.parquet")] {
            fs::write(&file, "").unwrap();
            for (mode, shared) in [(0o666, true), (0o602, true), (0o644, false)] {
                ensure(&file, mode).unwrap();
                assert_eq!(is_shared(top.path()), shared, "{} {mode:o}", file.display());
            }
        }
        assert!(is_own_group(4_000_000_000, 4_000_000_000) && !is_own_group(0, 65_000));
        for (mode, group, shared) in [(0o750, 65_000, false), (0o770, 65_000, true), (0o770, 0, false)] {
            assert_eq!(may_others_write(mode, 0, group), shared, "{mode:o} {group}");
        }
    }

    #[test]
    fn a_mode_is_that_of_all_files_and_is_found_again() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("events")).unwrap();
        fs::write(top.path().join("events/x"), "").unwrap();
        for mode in [StoreMode::Group, StoreMode::Private] {
            ensure_all(top.path(), mode).unwrap();
            let found = |path: &str| fs::metadata(top.path().join(path)).unwrap().mode() & 0o7777;
            assert_eq!(["", "events", "events/x"].map(found), [mode.of_folder(), mode.of_folder(), mode.of_file()]);
            assert_eq!(StoreMode::of_store(top.path()), mode);
        }
    }
}
