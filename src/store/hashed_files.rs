//! An object store that hashes a file of a store whole before it gives any part of it.
//! In: the files of one version, and reads of parts of them. Out: the same bytes, once the file has the SHA-256 of the log.
//! Never hashes a file twice, so it proves what was on the disk then.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::ObjectStore;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::data_file::DataFile;
use super::hash::finished;
use super::proved_tail::unlike_log;

/// Bytes that are read at once.
const PART_BYTES: u64 = 4 << 20;

/// A file and the proof of it.
#[derive(Debug)]
struct HashedFile {
    bytes: u64,
    /// By the log; a log of any format has it.
    sha256: Option<String>,
    proved: OnceCell<()>,
}

/// The files of one version.
#[derive(Debug, Clone)]
pub(super) struct HashedFiles {
    inner: Arc<dyn ObjectStore>,
    files: Arc<HashMap<Path, HashedFile>>,
}

impl HashedFiles {
    pub fn new(inner: &Arc<dyn ObjectStore>, files: impl Iterator<Item = DataFile>) -> HashedFiles {
        let hashed = |file: DataFile| {
            let proof = HashedFile { bytes: file.bytes, sha256: file.sha256, proved: OnceCell::new() };
            (file.path, proof)
        };
        HashedFiles { inner: Arc::clone(inner), files: Arc::new(files.map(hashed).collect()) }
    }

    /// Hashes a file, if it is one of the version's and was not hashed before.
    async fn prove(&self, path: &Path) -> Result<()> {
        let Some(file) = self.files.get(path) else { return Ok(()) };
        let proved = file.proved.get_or_try_init(|| async {
            let mut hash = Sha256::new();
            for start in (0..file.bytes).step_by(PART_BYTES as usize) {
                let part = start..file.bytes.min(start + PART_BYTES);
                hash.update(self.inner.get_range(path, part).await?);
            }
            match Some(finished(hash)) == file.sha256 {
                true => Ok(()),
                false => Err(unlike_log(format!("`{path}`"))),
            }
        });
        proved.await.copied()
    }
}

impl fmt::Display for HashedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for HashedFiles {
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
        self.prove(location).await?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.prove(location).await?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
