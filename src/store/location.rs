//! The place of a store.
//! In: a folder, or any object store with a URL. Out: [`StoreLocation`], which names paths inside it.
//! Never reads or writes a file itself.

use std::fs;
use std::io;
use std::path::Path as FsPath;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore};
use url::Url;

use super::StoreError;
use super::durable_files::DurableFiles;

/// The folder or prefix of a store, on an object store that names paths from its own root.
#[derive(Clone, Debug)]
pub struct StoreLocation {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) url: Url,
    pub(super) base: Path,
    /// As the user wrote it.
    pub(super) shown: String,
}

impl StoreLocation {
    /// A folder of this machine, which need not exist yet.
    pub fn local(folder: &FsPath) -> Result<StoreLocation, StoreError> {
        let shown = folder.to_string_lossy().into_owned();
        let cannot = |source| StoreError::File { path: shown.clone(), source };
        let absolute = match fs::canonicalize(folder) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(folder).map_err(cannot)?,
            Err(error) => return Err(cannot(error)),
        };
        // The library of local files decodes names twice.
        if is_encoded(&absolute.to_string_lossy()) {
            return Err(StoreError::Name { path: shown });
        }
        let url = Url::from_directory_path(&absolute).map_err(|()| cannot(io::ErrorKind::InvalidFilename.into()))?;
        let files = DurableFiles::start().map_err(cannot)?;
        StoreLocation::at(Arc::new(files), url, shown.clone())
    }

    /// An object store that is rooted at the store, which the user named by a URL.
    pub fn at_root(store: Arc<dyn ObjectStore>, shown: &str) -> Result<StoreLocation, StoreError> {
        let cannot = |e: url::ParseError| StoreError::Objects {
            what: shown.to_owned(),
            source: Error::Generic { store: "S3", source: Box::new(e) },
        };
        let mut url = Url::parse(shown).map_err(cannot)?;
        url.set_path("/");
        StoreLocation::at(store, url, shown.to_owned())
    }

    /// True if there is a store in this folder, or the rest of one.
    pub fn holds_store(folder: &FsPath) -> bool {
        folder.join("events/_delta_log").is_dir()
    }

    /// True if a store at `top` has an object of this URI for its first or its latest state.
    pub fn is_sign_of_store(uri: &str, top: &str) -> bool {
        let inside = uri.strip_prefix(top.trim_end_matches('/'));
        let inside = inside.and_then(|rest| rest.strip_prefix("/events/_delta_log/"));
        matches!(inside, Some("00000000000000000000.json" | "_last_checkpoint"))
    }

    /// A prefix of an object store whose own root is the root of the URL.
    pub fn at(store: Arc<dyn ObjectStore>, url: Url, shown: String) -> Result<StoreLocation, StoreError> {
        let base = Path::from_url_path(url.path())
            .map_err(|e| StoreError::Objects { what: shown.clone(), source: Error::from(e) })?;
        Ok(StoreLocation { store, url, base, shown })
    }

    /// The path of something inside the store, such as `events/x.parquet`.
    pub(super) fn path(&self, inside: &str) -> Path {
        inside.split('/').filter(|part| !part.is_empty()).fold(self.base.clone(), |path, part| path.join(part))
    }

    pub(super) fn table_url(&self, table: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{table}/", self.url.path().trim_end_matches('/')));
        url
    }
}

/// True if a name has an escape that could stand for another character, such as `%20`.
fn is_encoded(name: &str) -> bool {
    let is_digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    name.split('%').skip(1).any(is_digits)
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, PutMode, PutOptions};

    use super::*;
    use crate::store::durable_files::unique;

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
        assert_ne!(unique(), unique());
        assert!(is_encoded("a%20b") && is_encoded("%%2F") && !is_encoded("100%") && !is_encoded("a%zz%2"));
    }
}
