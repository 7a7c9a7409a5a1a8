//! A data file held to the log, and what its footer says of its rows.
//! In: a [`DataFile`] and bytes. Out: the difference between them, or the file.
//! Never trusts a footer: it is as old as the file, and only the log has the hash of both.

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use super::data_file::DataFile;
use super::hash::{LogicalHash, sha256_hex};
use super::parquet_reader::{StoredFile, WholeFile};
use super::parquet_writer::{HASH_KEY, NORMALIZER_KEY};
use super::{Store, StoreError};

/// The difference between the bytes of a file and the log. Logs of every format have the SHA-256 of every file.
pub(super) fn fault_of(file: &DataFile, bytes: &Bytes) -> Option<String> {
    if bytes.len() as u64 != file.bytes {
        return Some(format!("has {} bytes, not {}", bytes.len(), file.bytes));
    }
    match &file.sha256 {
        Some(expected) if *expected != sha256_hex(bytes) => Some("has another SHA-256".to_owned()),
        Some(_) => None,
        None => Some("has no SHA-256 in the log".to_owned()),
    }
}

/// Reads a file that is about to be replaced. Fails if its bytes are not those of the log: damage would pass into the
/// new file, whose SHA-256 would be right.
pub(super) async fn proved_file(store: &Store, file: &DataFile) -> Result<WholeFile, StoreError> {
    let bytes = StoredFile::new(&store.location.store, file).whole().await;
    let bytes = bytes.map_err(|source| StoreError::Objects { what: file.path.to_string(), source })?;
    match fault_of(file, &bytes) {
        None => Ok(WholeFile::open(bytes)?),
        Some(fault) => Err(store.damaged(format!("`{}` {fault}", file.path))),
    }
}

/// The logical hash of its rows, by the file's own footer.
pub(super) fn said_hash(file: &ParquetMetaData) -> Option<LogicalHash> {
    LogicalHash::parse(said(file, HASH_KEY)?)
}

/// The number of the normalizer that made the rows, by the file's own footer; 0 if it names none.
pub(super) fn said_normalizer(file: &ParquetMetaData) -> u32 {
    said(file, NORMALIZER_KEY).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The value of a key in a footer; the last counts.
fn said<'a>(file: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = file.file_metadata().key_value_metadata()?;
    pairs.iter().rev().find(|pair| pair.key == key)?.value.as_deref()
}
