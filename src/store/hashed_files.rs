//! Hashes a file of a store whole before any part of it is read.
//! In: the files of one version, and reads of parts of them. Out: the same bytes, once the file has the SHA-256 of the log.
//! Never hashes a file twice, so it proves what was on the disk then.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::ObjectStore;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStoreExt, Result};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::data_file::DataFile;
use super::hash::finished;
use super::proved_tail::unlike_log;
use super::read_through::{ReadThrough, ReadingStore};

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
#[derive(Debug)]
pub(super) struct HashedFiles(HashMap<Path, HashedFile>);

impl HashedFiles {
    /// An object store that hashes these files before it reads them.
    pub fn of(inner: &Arc<dyn ObjectStore>, files: impl Iterator<Item = DataFile>) -> ReadingStore<HashedFiles> {
        let hashed = |file: DataFile| {
            let proof = HashedFile { bytes: file.bytes, sha256: file.sha256, proved: OnceCell::new() };
            (file.path, proof)
        };
        ReadingStore::new(inner, HashedFiles(files.map(hashed).collect()))
    }

    /// Hashes a file, if it is one of the version's and was not hashed before.
    async fn prove(&self, from: &dyn ObjectStore, path: &Path) -> Result<()> {
        let Some(file) = self.0.get(path) else { return Ok(()) };
        let proved = file.proved.get_or_try_init(|| async {
            let mut hash = Sha256::new();
            for start in (0..file.bytes).step_by(PART_BYTES as usize) {
                let part = start..file.bytes.min(start + PART_BYTES);
                keytrail_limits::opened();
                hash.update(from.get_range(path, part).await?);
            }
            match Some(finished(hash)) == file.sha256 {
                true => Ok(()),
                false => Err(unlike_log(format!("`{path}`"))),
            }
        });
        proved.await.copied()
    }
}

#[async_trait]
impl ReadThrough for HashedFiles {
    async fn get(&self, from: &dyn ObjectStore, file: &Path, options: GetOptions) -> Result<GetResult> {
        self.prove(from, file).await?;
        from.get_opts(file, options).await
    }

    async fn get_ranges(&self, from: &dyn ObjectStore, file: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.prove(from, file).await?;
        from.get_ranges(file, ranges).await
    }
}
