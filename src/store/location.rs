//! The place of a store.
//! In: a folder, or an object store that is rooted at the store. Out: [`StoreLocation`], which names paths inside it.
//! Never reads or writes a file itself.

use std::fs;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use url::Url;

use super::StoreError;
use super::durable_files::DurableFiles;
use super::store_mode::{self, SharedStore, StoreAccess, StoreMode};

/// The root of every store, for libraries that ask for a URL. It is none that a user wrote: the names in a URL are
/// decoded, some of them twice, and those of files are looked for on the disk.
const ROOT: &str = "keytrail-store://root/";

/// The folder without which there is no store, and files of which one is always in it: the first commit may have been let
/// go by an earlier version.
const LOG_OF_EVENTS: &str = "events/_delta_log";
const SIGNS: [&str; 2] = ["00000000000000000000.json", "_last_checkpoint"];

/// The folder or prefix of a store, as an object store that names paths from there.
#[derive(Clone, Debug)]
pub struct StoreLocation {
    pub(super) store: Arc<dyn ObjectStore>,
    root: Url,
    /// As the user wrote it.
    pub(super) shown: String,
    /// The mode that the user asked for, of a folder of this machine.
    asked_mode: Option<(PathBuf, StoreMode)>,
}

impl StoreLocation {
    /// A folder of this machine, which need not exist yet. Fails if others may write a store that is there.
    pub fn local(folder: &FsPath) -> Result<StoreLocation, StoreError> {
        StoreLocation::local_with(folder, StoreAccess::default())
    }

    /// The same, as far as the user lets others in.
    pub fn local_with(folder: &FsPath, access: StoreAccess) -> Result<StoreLocation, StoreError> {
        let shown = folder.to_string_lossy().into_owned();
        let cannot = |source| StoreError::File { path: shown.clone(), source };
        let absolute = match fs::canonicalize(folder) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(folder).map_err(cannot)?,
            Err(error) => return Err(cannot(error)),
        };
        let is_store = StoreLocation::holds_store(&absolute).map_err(cannot)?;
        if is_store && access.shared == SharedStore::Refused && store_mode::is_shared(&absolute) {
            return Err(StoreError::Shared { path: shown });
        }
        let mode = access.mode.unwrap_or_else(|| StoreMode::of_store(&absolute));
        let files = DurableFiles::start(absolute.clone(), mode).map_err(cannot)?;
        let location = StoreLocation::at_root(Arc::new(files), &shown)?;
        Ok(StoreLocation { asked_mode: access.mode.map(|mode| (absolute, mode)), ..location })
    }

    /// Gives the files of a store that is there the mode that the user asked for.
    pub fn take_mode(&self) -> Result<(), StoreError> {
        match &self.asked_mode {
            Some((folder, mode)) if folder.is_dir() => store_mode::ensure_all(folder, *mode)
                .map_err(|source| StoreError::File { path: self.shown.clone(), source }),
            _ => Ok(()),
        }
    }

    /// An object store that is rooted at the store, and lists what follows an offset in the order of names. `shown` is
    /// the name that the user gave.
    pub fn at_root(store: Arc<dyn ObjectStore>, shown: &str) -> Result<StoreLocation, StoreError> {
        let cannot = |e: url::ParseError| StoreError::Objects {
            what: shown.to_owned(),
            source: Error::Generic { store: "URL", source: Box::new(e) },
        };
        let root = Url::parse(ROOT).map_err(cannot)?;
        Ok(StoreLocation { store, root, shown: shown.to_owned(), asked_mode: None })
    }

    /// True if there is a store in this folder, or the rest of one. Fails where this user may not look.
    pub fn holds_store(folder: &FsPath) -> io::Result<bool> {
        match fs::metadata(folder.join(LOG_OF_EVENTS)) {
            Ok(log) => Ok(log.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // A folder of logs may have a folder `events` that is closed; a store has more beside it.
                let is_enterable = fs::symlink_metadata(folder.join("events")).is_ok();
                let is_logs = is_enterable && fs::symlink_metadata(folder.join("objects")).is_err();
                if is_logs { Ok(false) } else { Err(error) }
            }
            Err(_) => Ok(false),
        }
    }

    /// True if there is a store at this place. What may not be looked at counts as none.
    pub async fn is_store(&self) -> bool {
        for sign in SIGNS {
            if self.store.head(&self.path(&format!("{LOG_OF_EVENTS}/{sign}"))).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// True if a store at `top` has an object of this URI for its first or its latest state.
    pub fn is_sign_of_store(uri: &str, top: &str) -> bool {
        let inside = uri.strip_prefix(top.trim_end_matches('/'));
        let inside = inside.and_then(|rest| rest.strip_prefix('/')?.strip_prefix(LOG_OF_EVENTS)?.strip_prefix('/'));
        inside.is_some_and(|name| SIGNS.contains(&name))
    }

    /// The path of something inside the store, such as `events/x.parquet`.
    pub(super) fn path(&self, inside: &str) -> Path {
        inside.split('/').filter(|part| !part.is_empty()).fold(Path::ROOT, |path, part| path.join(part))
    }

    pub(super) fn table_url(&self, table: &str) -> Url {
        let mut url = self.root.clone();
        url.set_path(&format!("/{table}/"));
        url
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use object_store::{PutMode, PutOptions};

    use super::*;
    use crate::store::durable_files::unique;

    /// Libraries take some of these for escapes, ends of a path or parts of a URL.
    #[tokio::test]
    async fn a_folder_may_have_any_name() {
        for name in ["a%20b", "a%2Fb", "%25", "100%", "a b", "a#b", "a?b", "a\\b", "a\nb", "\u{e4}", "a[1]*", "#1"] {
            let top = tempfile::tempdir().unwrap();
            let folder = top.path().join(name);
            let location = StoreLocation::local(&folder).unwrap();
            let path = location.path("events/x");
            assert!(matches!(location.store.get(&path).await.unwrap_err(), Error::NotFound { .. }), "{name}");
            assert_eq!(location.store.list(None).count().await, 0, "{name}");
            assert!(!folder.exists(), "{name}: reading makes no folder");
            location.store.put(&path, "one".into()).await.unwrap();
            assert_eq!(fs::read(folder.join("events/x")).unwrap(), b"one", "{name}");
            let listed: Vec<_> = location.store.list(None).map(|found| found.unwrap().location).collect().await;
            assert_eq!(listed, std::slice::from_ref(&path), "{name}");
            location.store.delete(&path).await.unwrap();
            assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1, "{name}: nothing lies beside it");
        }
    }

    #[tokio::test]
    async fn a_store_without_its_first_commit_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let location = StoreLocation::local(folder.path()).unwrap();
        for sign in SIGNS {
            assert!(!location.is_store().await);
            let path = location.path(&format!("{LOG_OF_EVENTS}/{sign}"));
            location.store.put(&path, "x".into()).await.unwrap();
            assert!(location.is_store().await, "{sign}");
            location.store.delete(&path).await.unwrap();
        }
    }

    #[tokio::test]
    async fn files_appear_whole_and_create_refuses_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let location = StoreLocation::local(&folder.path().join("a b/store")).unwrap();
        let path = location.path("events/x");
        let create = || PutOptions::from(PutMode::Create);
        location.store.put_opts(&path, "one".into(), create()).await.unwrap();
        let again = location.store.put_opts(&path, "two".into(), create()).await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
        assert_eq!(location.store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        location.store.put(&path, "three".into()).await.unwrap();
        assert_eq!(location.store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        let names: Vec<_> = fs::read_dir(folder.path().join("a b/store/events")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        location.store.delete(&path).await.unwrap();
        let gone = location.store.delete(&path).await.unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
        assert_ne!(unique(), unique());
    }
}
