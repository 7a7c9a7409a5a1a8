//! The ends of data files, which tell readers what to leave out: the footer, and the indexes of pages before it.
//! In: the entry of a file, and reads of parts of it. Out: the same bytes, once the end has the hash that the log says.
//! Never reads more than a reader would: an end is read whole by whoever opens the file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::ObjectStore;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStoreExt, Result};
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use super::hash::sha256_hex;
use super::read_through::{ReadThrough, ReadingStore};

/// The tag of an `Add` with the length of its end and the SHA-256 of that.
pub(super) const TAIL_TAG: &str = "keytrail.tail";

/// The end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTail {
    /// The first byte of it.
    start: u64,
    /// The first byte after the file.
    end: u64,
    sha256: String,
}

/// The value of the tag for a file.
pub(super) fn tail_tag(file: &Bytes) -> std::result::Result<String, ParquetError> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file)?;
    let footer = FooterTail::try_new(last_bytes(file)?)?;
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let indexes = columns.flat_map(|column| [column.column_index_offset(), column.offset_index_offset()]);
    let indexes = indexes.flatten().filter_map(|offset| usize::try_from(offset).ok());
    let start = indexes.min().unwrap_or(file.len()).min(file.len() - FOOTER_SIZE - footer.metadata_length());
    Ok(format!("{} {}", file.len() - start, sha256_hex(&file[start..])))
}

fn last_bytes(file: &Bytes) -> std::result::Result<&[u8; FOOTER_SIZE], ParquetError> {
    file.last_chunk().ok_or_else(|| ParquetError::EOF("a file without a footer".to_owned()))
}

impl FileTail {
    /// The end of a file of so many bytes, by its tag; `None` of a tag that says nothing of such a file.
    pub(super) fn of(tag: &str, bytes: u64) -> Option<FileTail> {
        let (length, sha256) = tag.split_once(' ')?;
        let start = bytes.checked_sub(length.parse().ok()?)?;
        Some(FileTail { start, end: bytes, sha256: sha256.to_owned() })
    }

    /// Reads a part of a file. A part that reaches into the end is read with all of the end, and proved.
    pub(super) async fn read(&self, store: &dyn ObjectStore, path: &Path, range: Range<u64>) -> Result<Bytes> {
        if range.end <= self.start || range.start >= self.end {
            return store.get_range(path, range).await;
        }
        let whole = range.start.min(self.start)..self.end;
        let bytes = store.get_range(path, whole.clone()).await?;
        let tail = bytes.slice((self.start - whole.start) as usize..);
        if bytes.len() as u64 != whole.end - whole.start || sha256_hex(&tail) != self.sha256 {
            return Err(unlike_log(format!("the footer of `{path}`")));
        }
        let end = (range.end.min(self.end) - whole.start) as usize;
        Ok(bytes.slice((range.start - whole.start) as usize..end))
    }
}

/// The words of a file or a part of it that is not what the log says. They tell it from errors of the disk, since
/// libraries between hand on nothing but the text of an error.
pub const UNLIKE_LOG: &str = "has another SHA-256 than the log says";

/// The error of a file, or a part of one, that is not what the log says.
pub(super) fn unlike_log(what: String) -> Error {
    Error::Generic { store: "store", source: format!("{what} {UNLIKE_LOG}").into() }
}

/// The ends of the files of one version.
#[derive(Debug)]
pub(super) struct ProvedTails(HashMap<Path, FileTail>);

impl ProvedTails {
    /// An object store whose files have proved ends.
    pub fn of(
        inner: &Arc<dyn ObjectStore>,
        tails: impl Iterator<Item = (Path, FileTail)>,
    ) -> ReadingStore<ProvedTails> {
        ReadingStore::new(inner, ProvedTails(tails.collect()))
    }
}

#[async_trait]
impl ReadThrough for ProvedTails {
    async fn get(&self, from: &dyn ObjectStore, file: &Path, options: GetOptions) -> Result<GetResult> {
        let (Some(tail), Some(range)) = (self.0.get(file), &options.range) else {
            return from.get_opts(file, options).await;
        };
        let range = match range {
            GetRange::Bounded(range) => range.clone(),
            GetRange::Offset(start) => *start..tail.end,
            GetRange::Suffix(length) => tail.end.saturating_sub(*length)..tail.end,
        };
        if range.end <= tail.start {
            return from.get_opts(file, options).await;
        }
        let bytes = tail.read(from, file, range.clone()).await?;
        let last_modified = chrono::DateTime::UNIX_EPOCH;
        let meta = ObjectMeta { location: file.clone(), last_modified, size: tail.end, e_tag: None, version: None };
        let payload = GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }

    async fn get_ranges(&self, from: &dyn ObjectStore, file: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(tail) = self.0.get(file).filter(|tail| ranges.iter().any(|range| range.end > tail.start)) else {
            return from.get_ranges(file, ranges).await;
        };
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.push(tail.read(from, file, range.clone()).await?);
        }
        Ok(parts)
    }
}
