//! The files that operators spill to: temporary ones without a name, so that they go with the process however it ends.
//! In: bytes of an operator. Out: the same bytes. Never more of them at a time than [`SPILLED_BYTES_MAX`].

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;

use crate::source::SpoolFile;

/// The most that one session spills: a disk that is full stops others too.
const SPILLED_BYTES_MAX: u64 = 100 << 30;
/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 128 << 10;

/// Makes the files of a session.
#[derive(Default)]
pub(super) struct SpillFiles {
    spilled: Arc<AtomicU64>,
}

impl TempFileFactory for SpillFiles {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let file = SpoolFile::new()?;
        Ok(Arc::new(UnnamedFile { file, bytes: Arc::default(), spilled: Arc::clone(&self.spilled) }))
    }
}

struct UnnamedFile {
    file: SpoolFile,
    /// Its size, and that of all files of the session.
    bytes: Arc<AtomicU64>,
    spilled: Arc<AtomicU64>,
}

impl Drop for UnnamedFile {
    fn drop(&mut self) {
        self.spilled.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl SpillFile for UnnamedFile {
    fn size(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let (file, end) = (self.file.clone(), self.bytes.load(Ordering::Relaxed));
        let chunks = (0..end).step_by(CHUNK_BYTES as usize).map(move |at| {
            let mut chunk = vec![0; CHUNK_BYTES.min(end - at) as usize];
            file.reader_from(at).read_exact(&mut chunk).map_err(DataFusionError::IoError)?;
            Ok(Bytes::from(chunk))
        });
        Ok(Box::pin(futures::stream::iter(chunks)))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let (file, bytes, spilled) = (self.file.clone(), Arc::clone(&self.bytes), Arc::clone(&self.spilled));
        Ok(Box::new(UnnamedWriter { file, bytes, spilled }))
    }
}

struct UnnamedWriter {
    file: SpoolFile,
    bytes: Arc<AtomicU64>,
    spilled: Arc<AtomicU64>,
}

impl fmt::Debug for UnnamedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnnamedWriter")
    }
}

impl Write for UnnamedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if self.spilled.fetch_add(length, Ordering::Relaxed) + length > SPILLED_BYTES_MAX {
            self.spilled.fetch_sub(length, Ordering::Relaxed);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "more than 100 GiB of temporary files"));
        }
        self.file.write_all(bytes)?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for UnnamedWriter {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_gives_back_what_was_written() {
        let files = SpillFiles::default();
        let file = files.create_temp_file("test").unwrap();
        let written: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
        let mut writer = file.open_writer().unwrap();
        written.chunks(7777).for_each(|chunk| writer.write_all(chunk).unwrap());
        let read: Vec<Bytes> = file.read_stream().unwrap().try_collect().await.unwrap();
        assert!(read.concat() == written && file.size() == Some(300_000));
        drop((file, writer));
        assert_eq!(files.spilled.load(Ordering::Relaxed), 0);
    }
}
