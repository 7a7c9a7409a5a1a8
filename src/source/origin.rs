//! The origins of a listing's objects: words that `listing` keeps and `object` acts on.
//! In: a bucket that is connected, a folder that a lookup fills. Out: the same, told apart.
//! Never opens anything.

use std::sync::Arc;

use super::s3::Bucket;

/// Begins the path of every object of an event history.
pub(super) const HISTORY_SCHEME: &str = "cloudtrail://";

/// The place from which the objects of a folder are opened.
#[derive(Clone, Debug)]
pub(super) enum ObjectOrigin {
    Disk,
    Bucket(Arc<Bucket>),
    /// Pages of the event history, saved under a folder of their own, which goes with the last listing that names it.
    History(Arc<tempfile::TempDir>),
}
