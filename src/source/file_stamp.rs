//! The state of a file in eight bytes, so that a listing can note that of millions.
//! In: metadata. Out: a [`FileStamp`] that differs where the file, its size or the time of its last change differs.
//! Never reads the file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use xxhash_rust::xxh3::xxh3_64;

/// The state of a file when it was listed; the default is that of something that is no file of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp(u64);

impl FileStamp {
    pub(super) fn of(file: &Metadata) -> FileStamp {
        let time = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
        let mut facts = [0; 32];
        facts[..8].copy_from_slice(&file.ino().to_le_bytes());
        facts[8..16].copy_from_slice(&file.len().to_le_bytes());
        facts[16..].copy_from_slice(&time.to_le_bytes());
        FileStamp(xxh3_64(&facts).max(1))
    }

    /// True if the file is still as it was, or if it was never noted.
    pub(super) fn is_of(self, file: &Metadata) -> bool {
        self == FileStamp::default() || self == FileStamp::of(file)
    }
}
