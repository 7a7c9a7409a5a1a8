//! Temporary files that are read more than once.
//! In: bytes. Out: the file, opened anew for each reader. It goes with its value, or with the process.

use std::fs::File;
use std::io;

use keytrail_limits::Unfinished;
use tempfile::NamedTempFile;

pub(super) struct SpoolFile {
    file: NamedTempFile,
    _unfinished: Unfinished,
}

impl SpoolFile {
    pub fn new() -> io::Result<SpoolFile> {
        let (file, _unfinished) = Unfinished::make(NamedTempFile::new, |file| file.path().to_owned())?;
        Ok(SpoolFile { file, _unfinished })
    }

    /// The file, to be written or read from its start.
    pub fn reopen(&self) -> io::Result<File> {
        self.file.reopen()
    }
}
