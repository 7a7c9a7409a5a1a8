//! The place of output: stdout, or a file that appears under its name only when it is whole.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keytrail_limits::Unfinished;
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::visible::visible;
use super::{OutputError, TextReader};

/// The fate of an existing file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ExistingFile {
    Keep,
    Replace,
}

pub enum OutputTarget {
    Stdout(BufWriter<Awaited<Stdout>>),
    /// A device or pipe that the user named: it is written in place, since it has no content to overwrite.
    Device(BufWriter<Awaited<File>>),
    File {
        staged: BufWriter<NamedTempFile>,
        unfinished: Unfinished,
        path: PathBuf,
        existing: ExistingFile,
    },
}

impl OutputTarget {
    pub fn stdout() -> OutputTarget {
        OutputTarget::stdout_until(&OutputStop::default())
    }

    /// Standard output for one of several that write to it one after the other.
    pub fn stdout_until(stop: &OutputStop) -> OutputTarget {
        OutputTarget::Stdout(BufWriter::with_capacity(1 << 16, Awaited { to: io::stdout(), stop: stop.clone() }))
    }

    /// Opens the file before a long run, so that an unwritable place is refused at once. `-` is standard output.
    pub fn file(path: &Path, existing: ExistingFile) -> Result<OutputTarget, OutputError> {
        if path.as_os_str() == "-" {
            return Ok(OutputTarget::stdout());
        }
        let shown = visible(&path.to_string_lossy()).into_owned();
        let world = |source: io::Error| OutputError::File { path: shown.clone(), source };
        let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
        let (path, found) = (path.to_owned(), fs::metadata(path));
        match &found {
            Ok(meta) if meta.is_dir() => return Err(OutputError::Directory { path: shown }),
            Ok(meta) if !meta.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(&path).map_err(world)?;
                return Ok(OutputTarget::Device(BufWriter::new(Awaited { to: file, stop: OutputStop::default() })));
            }
            // Whoever made the link chose the file, so nothing is written through it; devices have links of the system's.
            _ if is_link => return Err(OutputError::Link { path: shown }),
            Ok(_) if existing == ExistingFile::Keep => return Err(OutputError::Exists { path: shown }),
            _ => {}
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let replaced = found.ok().map(|meta| meta.permissions());
        let made = Unfinished::make(|| staged(folder, replaced), |staged| staged.path().to_owned());
        let (staged, unfinished) = made.map_err(world)?;
        Ok(OutputTarget::File { staged: BufWriter::with_capacity(1 << 16, staged), unfinished, path, existing })
    }

    pub fn reader(&self) -> TextReader {
        match self {
            OutputTarget::Stdout(_) => TextReader::of(&io::stdout()),
            OutputTarget::Device(to) => TextReader::of(&to.get_ref().to),
            OutputTarget::File { .. } => TextReader::Program,
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.reader() == TextReader::Terminal
    }

    /// Columns of the terminal that reads this; none for files and pipes.
    pub fn terminal_width(&self) -> Option<usize> {
        if !self.is_terminal() {
            return None;
        }
        let known = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|w| *w > 0);
        Some(known.unwrap_or(80))
    }

    /// Flushes, and gives a file its name.
    pub fn commit(self) -> Result<(), OutputError> {
        match self {
            // Where standard output is closed, something that swallows all has its place, and nobody would be told.
            OutputTarget::Stdout(_) if keytrail_limits::stdout_was_closed() => Err(io::Error::from(Errno::BADF).into()),
            OutputTarget::Stdout(mut to) => Ok(to.flush()?),
            OutputTarget::Device(mut to) => Ok(to.flush()?),
            OutputTarget::File { staged, unfinished, path, existing } => {
                let file = staged.into_inner().map_err(io::IntoInnerError::into_error)?;
                let named = unfinished.finish(|| match existing {
                    ExistingFile::Keep => file.persist_noclobber(&path),
                    ExistingFile::Replace => file.persist(&path),
                });
                let shown = || visible(&path.to_string_lossy()).into_owned();
                named.map(drop).map_err(|e| OutputError::File { path: shown(), source: e.error })
            }
        }
    }
}

impl Write for OutputTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            OutputTarget::Stdout(to) => to.write(bytes),
            OutputTarget::Device(to) => to.write(bytes),
            OutputTarget::File { staged, .. } => staged.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            OutputTarget::Stdout(to) => to.flush(),
            OutputTarget::Device(to) => to.flush(),
            OutputTarget::File { staged, .. } => staged.flush(),
        }
    }
}

/// Ends the output of work that nobody waits for any more: whatever it still holds goes nowhere, however late it ends.
#[derive(Debug, Clone, Default)]
pub struct OutputStop(Arc<AtomicBool>);

impl OutputStop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

/// A writer that may have to wait for its reader, which is no computing.
pub struct Awaited<W> {
    to: W,
    stop: OutputStop,
}

impl<W: Write> Write for Awaited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stop.check()?;
        keytrail_limits::waiting(|| self.to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stop.check()?;
        keytrail_limits::waiting(|| self.to.flush())
    }
}

/// Makes the file beside its final place, so that the rename stays on one file system. A new file is readable as the umask
/// allows, and one that replaces another as that was; other temporary files are readable by their owner only.
fn staged(folder: &Path, replaced: Option<Permissions>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keytrail-").suffix(".part");
    if replaced.is_none() {
        builder.permissions(Permissions::from_mode(0o666));
    }
    let staged = builder.tempfile_in(folder)?;
    if let Some(permissions) = replaced {
        staged.as_file().set_permissions(permissions)?;
    }
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_after_the_stop() {
        let (stop, mut written) = (OutputStop::default(), Vec::new());
        let mut writer = BufWriter::new(Awaited { to: &mut written, stop: stop.clone() });
        writer.write_all(b"before").unwrap();
        writer.flush().unwrap();
        writer.write_all(b"after").unwrap();
        stop.stop();
        assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(writer);
        assert_eq!(written, b"before");
    }
}
