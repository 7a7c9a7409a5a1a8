//! The origins of a listing's objects: words that `listing` keeps and `object` acts on.
//! In: a bucket that is connected, a folder that a lookup fills. Out: the same, told apart.
//! Never opens an object.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use keytrail_limits::Unfinished;
use tempfile::TempDir;

use super::s3::Bucket;

/// Begins the path of every object of an event history.
pub(super) const HISTORY_SCHEME: &str = "cloudtrail://";

/// The place from which the objects of a folder are opened.
#[derive(Clone, Debug)]
pub(super) enum ObjectOrigin {
    Disk,
    Bucket(Arc<Bucket>),
    /// Pages of the event history, saved under a folder of their own, which goes with the last listing that names it.
    History(Arc<PagesFolder>),
}

/// A folder that goes with this value, or with the process.
#[derive(Debug)]
pub(super) struct PagesFolder {
    folder: TempDir,
    _unfinished: Unfinished,
}

impl PagesFolder {
    pub fn new() -> io::Result<PagesFolder> {
        let make = || tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir();
        let (folder, _unfinished) = Unfinished::make(make, |folder| folder.path().to_owned())?;
        Ok(PagesFolder { folder, _unfinished })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
