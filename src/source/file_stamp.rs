//! The state of a file in eight bytes, so that a listing can note that of millions.
//! In: metadata. Out: a [`FileStamp`] that differs where the file, its size or the time of its last change differs: that of
//! its content, which its owner can set to any, and that of anything of it, which nobody sets.
//! Never reads the file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use xxhash_rust::xxh3::xxh3_64;

/// The state of a file when it was listed; the default is that of something that is no file of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp(u64);

impl FileStamp {
    pub(super) fn of(file: &Metadata) -> FileStamp {
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()].map(i64::to_le_bytes);
        let facts = [file.ino().to_le_bytes(), file.len().to_le_bytes()];
        FileStamp(xxh3_64([facts.as_flattened(), times.as_flattened()].concat().as_slice()).max(1))
    }

    /// True if the file is still as it was, or if it was never noted.
    pub(super) fn is_of(self, file: &Metadata) -> bool {
        self == FileStamp::default() || self == FileStamp::of(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_rewrite_that_puts_size_and_time_back_is_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let before = fs::metadata(&path).unwrap();
        let stamp = FileStamp::of(&before);
        assert!(stamp.is_of(&fs::metadata(&path).unwrap()));
        // The clock of a file system may stand still for some milliseconds.
        let is_seen = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            fs::write(&path, "two").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
            let now = fs::metadata(&path).unwrap();
            assert_eq!((now.len(), now.modified().unwrap()), (before.len(), before.modified().unwrap()));
            !stamp.is_of(&now)
        });
        assert!(is_seen);
    }
}
