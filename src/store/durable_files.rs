//! Puts files into folders of this machine: whole, under their name at once, and safe from a power cut.
//! In: bytes and names. Out: an [`ObjectStore`] over the local file system.
//! Never leaves half a file under its own name, and never reports a write before the disk has it.

use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use keytrail_limits::Unfinished;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutPayloadMut, PutResult, Result, UploadPart,
};
use tokio::sync::oneshot;

use super::store_mode::{self, StoreMode};
use super::unheeded;

/// The end of the name of a file that is being written; a file left with it is of a run that was killed.
const UNFINISHED: &str = ".part";

/// The name that a file has until it is whole.
fn name_until_whole(name: &str) -> String {
    format!(".{name}.{}{UNFINISHED}", unique())
}

/// The name that an unfinished file was to have; none of a file that this module does not name.
pub(super) fn unfinished_name(name: &str) -> Option<&str> {
    let (name, unique) = name.strip_prefix('.')?.strip_suffix(UNFINISHED)?.rsplit_once('.')?;
    is_unique(unique).then_some(name)
}

/// True of texts as [`unique`] gives them.
pub(super) fn is_unique(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name that nobody else has.
pub(super) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The keys of a `RandomState` are from the operating system.
    let half = |salt: u64| RandomState::new().hash_one((salt, count, std::process::id()));
    format!("{:016x}{:016x}", half(0), half(1))
}

/// The one thread that changes files, in the order in which it is asked to.
#[derive(Debug, Clone)]
struct FileThread(Sender<FileJob>);

type FileJob = Box<dyn FnOnce() + Send>;

impl FileThread {
    fn start() -> io::Result<FileThread> {
        let (send, jobs) = channel::<FileJob>();
        let work = move || jobs.into_iter().for_each(|job| job());
        std::thread::Builder::new().name("files".to_owned()).spawn(work)?;
        Ok(FileThread(send))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            // The asker may have been stopped, and then nobody waits for the answer.
            unheeded(done.send(work()));
        });
        let gone = || io::Error::other("the thread that writes files is gone");
        self.0.send(job).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// A folder of the local file system, written so that a file under its name is whole and stays.
#[derive(Debug, Clone)]
pub(super) struct DurableFiles {
    folder: PathBuf,
    /// Of the files and folders that are made, whatever the umask.
    mode: StoreMode,
    /// Reads below the folder, once it is there.
    files: Arc<OnceLock<LocalFileSystem>>,
    thread: FileThread,
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("local files")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfThere {
    Replace,
    Refuse,
}

impl DurableFiles {
    /// Starts the thread that changes files. The folder need not exist yet; the first file that is written makes it.
    pub fn start(folder: PathBuf, mode: StoreMode) -> io::Result<DurableFiles> {
        Ok(DurableFiles { folder, mode, files: Arc::default(), thread: FileThread::start()? })
    }

    /// The files of the folder. Fails as for a file that is not there while the folder is not.
    fn files(&self) -> Result<&LocalFileSystem> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        if !self.folder.is_dir() {
            let source = Box::new(io::Error::from(io::ErrorKind::NotFound));
            return Err(Error::NotFound { path: self.folder.display().to_string(), source });
        }
        let files = LocalFileSystem::new_with_prefix(&self.folder)?;
        Ok(self.files.get_or_init(|| files))
    }

    /// The files that a listing finds; none while the folder is not there.
    fn listed(
        &self,
        list: impl FnOnce(&LocalFileSystem) -> BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.files() {
            Ok(files) => list(files),
            Err(Error::NotFound { .. }) => futures::stream::empty().boxed(),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn target(&self, location: &Path) -> PathBuf {
        location.parts().fold(self.folder.clone(), |path, part| path.join(part.as_ref()))
    }

    /// Refuses what is no file: a pipe would be waited for, and a link leads out of the store.
    fn expect_regular(&self, location: &Path) -> Result<()> {
        let path = self.target(location);
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => {
                let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
                Err(cannot("read", &path, &cause))
            }
            // Whoever opens it tells why it cannot be.
            _ => Ok(()),
        }
    }

    async fn write(&self, location: &Path, payload: PutPayload, existing: IfThere) -> Result<PutResult> {
        let target = self.target(location);
        let (written, shown) = (target.clone(), location.to_string());
        let (root, mode) = (self.folder.clone(), self.mode);
        let work = move || {
            let (Some(folder), Some(_)) = (target.parent(), target.file_name()) else {
                return Err(io::ErrorKind::InvalidFilename.into());
            };
            make_folders(folder, &root, mode)?;
            write_whole(&target, &payload, existing, mode)
        };
        match self.thread.run(work).await {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(e) if existing == IfThere::Refuse && e.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: shown, source: Box::new(e) })
            }
            Err(e) => Err(cannot("write", &written, &e)),
        }
    }
}

impl DurableFiles {
    async fn remove(&self, location: Path) -> Result<Path> {
        let path = self.target(&location);
        let removed = path.clone();
        match self.thread.run(move || fs::remove_file(path)).await {
            Ok(()) => Ok(location),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotFound { path: location.to_string(), source: Box::new(e) })
            }
            Err(e) => Err(cannot("remove", &removed, &e)),
        }
    }
}

/// Writes beside the target, waits for the disk, gives the file its name, and waits for the folder.
fn write_whole(target: &FsPath, payload: &PutPayload, existing: IfThere, mode: StoreMode) -> io::Result<()> {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let staged = folder.join(name_until_whole(&name.to_string_lossy()));
    let make = || File::options().write(true).create_new(true).mode(mode.of_file()).open(&staged);
    let (file, unfinished) = Unfinished::make(make, |_| staged.clone())?;
    let prepared = store_mode::ensure(&staged, mode.of_file());
    let written = prepared.and_then(|()| write_synced(&file, payload)).and_then(|()| match existing {
        IfThere::Replace => fs::rename(&staged, target),
        IfThere::Refuse => fs::hard_link(&staged, target),
    });
    let leftover = existing == IfThere::Refuse || written.is_err();
    let removed = if leftover { fs::remove_file(&staged) } else { Ok(()) };
    drop(unfinished);
    // The first failure is the cause.
    written.and(removed)?;
    sync_folder(folder)
}

fn write_synced(file: &File, payload: &PutPayload) -> io::Result<()> {
    let mut at = 0;
    for chunk in payload {
        file.write_all_at(chunk, at)?;
        at += chunk.len() as u64;
    }
    file.sync_all()
}

/// Makes a folder and those above it, and syncs each new one's parent. Those of the store at `root` have its mode.
fn make_folders(folder: &FsPath, root: &FsPath, mode: StoreMode) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above: PathBuf = folder.parent().map(FsPath::to_owned).unwrap_or_default();
    make_folders(&above, root, mode)?;
    let is_inside = folder.starts_with(root);
    let mut builder = fs::DirBuilder::new();
    if is_inside {
        builder.mode(mode.of_folder());
    }
    match builder.create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        Ok(()) if is_inside => store_mode::ensure(folder, mode.of_folder())?,
        _ => {}
    }
    sync_folder(&above)
}

/// The bytes of a part.
fn read_part(mut file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let (length, mut bytes) = (range.end - range.start, Vec::new());
    bytes.try_reserve_exact(length as usize)?;
    file.seek(SeekFrom::Start(range.start))?;
    if file.take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

fn cannot(act: &str, path: &FsPath, cause: &io::Error) -> Error {
    Error::Generic { store: "local files", source: format!("cannot {act} `{}`: {cause}", path.display()).into() }
}

fn sync_folder(folder: &FsPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Overwrite => self.write(location, payload, IfThere::Replace).await,
            PutMode::Create => self.write(location, payload, IfThere::Refuse).await,
            PutMode::Update(_) => self.files()?.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(StagedParts { files: self.clone(), location: location.clone(), parts: PutPayloadMut::new() }))
    }

    // Files are read by the thread that asks, since memory that one thread takes and another frees goes back late.
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.expect_regular(location)?;
        let is_read = !options.head;
        let mut got = self.files()?.get_opts(location, options).await?;
        if let (GetResultPayload::File(file, _), true) = (&got.payload, is_read) {
            let bytes = read_part(file, &got.range).map_err(|cause| cannot("read", &self.target(location), &cause));
            got.payload = GetResultPayload::Stream(futures::stream::once(async move { bytes }).boxed());
        }
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.expect_regular(location)?;
        let got = self.files()?.get_opts(location, GetOptions::default()).await?;
        let GetResultPayload::File(file, _) = &got.payload else {
            return self.files()?.get_ranges(location, ranges).await;
        };
        let parts = ranges.iter().map(|range| read_part(file, range));
        parts.collect::<io::Result<_>>().map_err(|cause| cannot("read", &self.target(location), &cause))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let files = self.clone();
        let removed = locations.and_then(move |location| {
            let files = files.clone();
            async move { files.remove(location).await }
        });
        removed.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(|files| files.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = self.listed(|files| files.list_with_offset(prefix, offset));
        // Readers of a log take what follows an offset to come in the order of names, as a bucket lists it.
        let sorted = async move {
            let mut found: Vec<ObjectMeta> = found.try_collect().await?;
            found.sort_unstable_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
            Ok::<_, Error>(futures::stream::iter(found.into_iter().map(Ok)))
        };
        futures::stream::once(sorted).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files()?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files()?.copy_opts(from, to, options).await
    }
}

/// The parts of a file, held until they are all there; only checkpoints come in parts.
#[derive(Debug)]
struct StagedParts {
    files: DurableFiles,
    location: Path,
    parts: PutPayloadMut,
}

#[async_trait]
impl MultipartUpload for StagedParts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        for chunk in data {
            self.parts.push(chunk);
        }
        futures::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole = std::mem::take(&mut self.parts).freeze();
        self.files.write(&self.location, whole, IfThere::Replace).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts = PutPayloadMut::new();
        Ok(())
    }
}
