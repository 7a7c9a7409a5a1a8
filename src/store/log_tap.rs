//! An object store through which a table's log is read, and which keeps the links of the commits that pass.
//! In: an object store, and the name of the table's folder. Out: the same object store, and [`CommitLink`]s.
//! Never reads anything by itself, and never changes what passes.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::ObjectStore;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use super::chain::CommitLink;

/// The log of one table.
#[derive(Debug, Clone)]
pub(super) struct LogTap {
    inner: Arc<dyn ObjectStore>,
    /// The folder of the log.
    log: Path,
    seen: Arc<Mutex<BTreeMap<u64, CommitLink>>>,
}

impl LogTap {
    /// The log in a folder such as `events/_delta_log`.
    pub fn new(inner: &Arc<dyn ObjectStore>, log: Path) -> LogTap {
        LogTap { inner: Arc::clone(inner), log, seen: Arc::default() }
    }

    /// The links of commits as they were read last, by their numbers.
    pub fn links(&self) -> BTreeMap<u64, CommitLink> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The link of one commit, if it was read.
    pub fn link(&self, version: u64) -> Option<CommitLink> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned()
    }

    fn keep(&self, version: u64, bytes: &[u8]) {
        let (link, _) = CommitLink::read(bytes);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(version, link);
    }

    fn version_of(&self, path: &Path) -> Option<u64> {
        let mut inside = path.prefix_match(&self.log)?;
        let name = inside.next()?;
        commit_version(name.as_ref()).filter(|_| inside.next().is_none())
    }
}

/// The number in the name of a commit.
pub(super) fn commit_version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl fmt::Display for LogTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LogTap {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let version = self.version_of(location).filter(|_| !options.head && options.range.is_none());
        let got = self.inner.get_opts(location, options).await?;
        let Some(version) = version else { return Ok(got) };
        let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let bytes = got.bytes().await?;
        self.keep(version, &bytes);
        let payload = GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
