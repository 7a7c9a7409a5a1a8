//! An object store whose reads go through somebody who keeps or proves what is read.
//! In: an object store and a [`ReadThrough`]. Out: the same object store, with other reads.
//! Never changes writes, deletions and listings.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::ObjectStore;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};

/// Reads files of an object store in its own way.
#[async_trait]
pub(super) trait ReadThrough: fmt::Debug + Send + Sync + 'static {
    async fn get(&self, from: &dyn ObjectStore, file: &Path, options: GetOptions) -> Result<GetResult>;

    async fn get_ranges(&self, from: &dyn ObjectStore, file: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        from.get_ranges(file, ranges).await
    }
}

/// The object store that is read so.
#[derive(Debug)]
pub(super) struct ReadingStore<R> {
    inner: Arc<dyn ObjectStore>,
    through: R,
}

impl<R> ReadingStore<R> {
    pub fn new(inner: &Arc<dyn ObjectStore>, through: R) -> ReadingStore<R> {
        ReadingStore { inner: Arc::clone(inner), through }
    }
}

impl<R> fmt::Display for ReadingStore<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<R: ReadThrough> ObjectStore for ReadingStore<R> {
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
        keytrail_limits::opened();
        self.through.get(self.inner.as_ref(), location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        keytrail_limits::opened();
        self.through.get_ranges(self.inner.as_ref(), location, ranges).await
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
