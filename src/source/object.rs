//! One object of a listing: its path, its reader, and a version that changes with its content.
//! In: a listing and a number. Out: a path, a reader, a version; each with one arm for each origin.
//! Follows only links that the user named and opens only regular files. Never sends a request: `s3::ahead` fetches
//! the objects of buckets.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::ObjectReadError;
use super::file_stamp::FileStamp;
use super::listing::Listing;
use super::origin::ObjectOrigin;

/// An object that a listing names.
#[derive(Clone, Copy, Debug)]
pub struct ListedObject<'l> {
    listing: &'l Listing,
    index: usize,
}

impl Listing {
    /// An object by its place in the listing. A place beyond the end panics at the first use of the object.
    pub fn object(&self, index: usize) -> ListedObject<'_> {
        ListedObject { listing: self, index }
    }
}

impl ListedObject<'_> {
    /// The path on this machine at which the object is opened; the name of one in a bucket or of the event history. A link
    /// that the user named is resolved here, since opening follows no link.
    pub fn path(&self) -> PathBuf {
        let named = PathBuf::from(OsStr::from_bytes(&self.listing.named_path(self.index)));
        match self.listing.origin(self.index) {
            // A link that broke since the listing keeps its own path, and opening that gives the error.
            ObjectOrigin::Disk if self.listing.is_followed_link(self.index) => named.canonicalize().unwrap_or(named),
            ObjectOrigin::Disk | ObjectOrigin::Bucket(_) | ObjectOrigin::History(_) => named,
        }
    }

    /// Opens an object on this machine for reading. Fails with `InvalidInput` if it is, or has just become, anything but a
    /// regular file, and with an [`ObjectReadError`] if it is not as it was listed.
    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        if let ObjectOrigin::History(saved) = self.listing.origin(self.index) {
            return saved.open(&self.listing.named_path(self.index));
        }
        let path = self.path();
        let (stamp, file) = (self.listing.stamp(self.index), open_regular(&path)?);
        let listed = ListedFile { file, path, stamp };
        listed.expect_unchanged(&listed.file.metadata()?)?;
        Ok(Box::new(listed))
    }

    /// Text that changes with the content: the ETag in a bucket, size and time of a file, a hash of a page of history.
    /// Empty for stdin, which has none. Fails if the file's metadata or the page cannot be read.
    pub fn version(&self) -> io::Result<String> {
        match self.listing.origin(self.index) {
            ObjectOrigin::Bucket(_) => Ok(self.listing.etag(self.index)),
            ObjectOrigin::History(_) => self.version_of_history(),
            ObjectOrigin::Disk if self.listing.is_stdin(self.index) => Ok(String::new()),
            ObjectOrigin::Disk => {
                let file = fs::metadata(self.path())?;
                let nanoseconds = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
                Ok(format!("{}-{nanoseconds}", file.len()))
            }
        }
    }

    fn version_of_history(&self) -> io::Result<String> {
        let content = self.open().and_then(|mut saved| {
            let mut content = Vec::new();
            saved.read_to_end(&mut content)?;
            Ok(content)
        });
        match self.listing.entry(self.index).outcome() {
            None => Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&content?))),
            // An end of a lookup has its error, if any, and the spans that a store has with it.
            Some(ended) => {
                let covered = String::from_utf8(content.unwrap_or_default()).unwrap_or_default();
                Ok(format!("{} {covered}", ended.error().unwrap_or_default()).trim_end().to_owned())
            }
        }
    }
}

/// A file that is being read. Its end is an error if the file is not as it was listed, or if another took its name.
struct ListedFile {
    file: File,
    path: PathBuf,
    stamp: FileStamp,
}

impl ListedFile {
    fn expect_unchanged(&self, now: &fs::Metadata) -> io::Result<()> {
        if self.stamp.is_of(now) { Ok(()) } else { Err(io::Error::other(ObjectReadError::Changed)) }
    }
}

impl Read for ListedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            // A file whose name is gone was read whole all the same.
            self.expect_unchanged(&fs::symlink_metadata(&self.path).or_else(|_| self.file.metadata())?)?;
        }
        Ok(length)
    }
}

/// Opens a regular file. Fails with `InvalidInput` if the path is, or has just become, anything else.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let odd = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    let before = fs::symlink_metadata(path)?;
    if !before.is_file() {
        return Err(odd());
    }
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path)?;
    let after = file.metadata()?;
    let same = after.is_file() && (before.dev(), before.ino()) == (after.dev(), after.ino());
    if same { Ok(file) } else { Err(odd()) }
}

// Without it, opening a pipe that has just taken a file's place would wait for a writer for ever.
const NONBLOCK: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 0o4000 } else { 0x4 };
