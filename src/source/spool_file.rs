//! Temporary files that are read more than once. They have no name, so that they go with the process however it ends.
//! In: bytes, appended by one writer at a time. Out: readers, each with a place of its own. A failure names the folder.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;

/// A file that goes with the last value or reader of it. Only its owner may read it.
#[derive(Clone, Debug)]
pub struct SpoolFile {
    file: Arc<File>,
}

impl SpoolFile {
    pub fn new() -> io::Result<SpoolFile> {
        let file = tempfile::tempfile().map_err(in_folder)?;
        // It was made as the umask says.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(in_folder)?;
        Ok(SpoolFile { file: Arc::new(file) })
    }

    /// The number of bytes that were written.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// A reader that begins at the start of the file.
    pub fn reader(&self) -> SpoolReader {
        self.reader_from(0)
    }

    pub fn reader_from(&self, at: u64) -> SpoolReader {
        SpoolReader { file: Arc::clone(&self.file), at }
    }
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.file).write(bytes).map_err(in_folder)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub struct SpoolReader {
    file: Arc<File>,
    at: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at).map_err(in_folder)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// The failure of a file that has no path.
fn in_folder(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("temporary file in `{}`: {error}", std::env::temp_dir().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_has_a_place_of_its_own() {
        let mut spool = SpoolFile::new().unwrap();
        spool.clone().write_all(b"one").unwrap();
        spool.write_all(b"two").unwrap();
        let (mut whole, mut end) = (spool.reader(), spool.reader());
        let mut three = [0; 3];
        whole.read_exact(&mut three).unwrap();
        assert_eq!((&three, end.seek(SeekFrom::End(-2)).unwrap()), (b"one", 4));
        let [mut rest, mut last, mut middle] = [const { String::new() }; 3];
        whole.read_to_string(&mut rest).unwrap();
        end.read_to_string(&mut last).unwrap();
        spool.reader_from(2).take(2).read_to_string(&mut middle).unwrap();
        assert_eq!([rest, last, middle], ["two", "wo", "et"]);
        assert!(end.seek(SeekFrom::Current(-7)).is_err() && end.stream_position().unwrap() == 6);
    }
}
