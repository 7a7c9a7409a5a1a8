//! Brings the body of one object here, whole and checked, or gives the reason why not.
//! In: a key with the size and ETag of its listing. Out: [`ObjectBody`], in memory or, if large, in a temporary file.
//! A body that breaks or crawls is resumed where it stopped, as long as the object is still the same one.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use futures::StreamExt;
use md5::{Digest, Md5};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::super::aws::{AwsTrouble, TroubleClass, backoff};
use super::super::etags;
use super::super::spool_file::SpoolFile;
use super::super::{FirstLook, ObjectReadError, SourceError};
use super::Bucket;

/// Larger objects wait on disk, not in memory.
pub(super) const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// A body must bring this many bytes within each window.
const FLOOR_BYTES: u64 = 10 << 10;
const FLOOR_WINDOW: Duration = Duration::from_secs(10);
/// Attempts for a body that makes no progress; the SDK retries the requests of each as well.
const ATTEMPTS_MAX: u32 = 5;
/// Bytes that an attempt must bring to count as progress.
const PROGRESS_BYTES: u64 = 1 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Retries that a run may spend: a failure costs, a success earns, so a service that always fails is not asked five
/// times for each object.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: AtomicI64,
    /// Objects in a row that could not be read, leaving out faults of single objects.
    failures: AtomicU64,
    /// Objects in a row that the caller may not read.
    denials: AtomicU64,
    /// Set once any object could be read.
    has_success: AtomicBool,
    /// The answer of `opens_any`, asked for at most once.
    is_open: OnceCell<bool>,
}

const TOKENS_MAX: i64 = 500;
const RETRY_COST: i64 = 5;
/// After so many unreadable objects in a row, no other one is tried.
const FAILURES_MAX: u64 = 64;
const OTHERS_AT_ONCE: usize = 16;

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget {
            tokens: AtomicI64::new(TOKENS_MAX),
            failures: AtomicU64::new(0),
            denials: AtomicU64::new(0),
            has_success: AtomicBool::new(false),
            is_open: OnceCell::new(),
        }
    }
}

impl RetryBudget {
    fn spend(&self) -> bool {
        let spent = |tokens: i64| (tokens >= RETRY_COST).then_some(tokens - RETRY_COST);
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }

    fn succeed(&self) {
        self.has_success.store(true, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.denials.store(0, Ordering::Relaxed);
        // Fails if nothing has been spent.
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |t| (t < TOKENS_MAX).then_some(t + 1)).ok();
    }

    /// True if every other object may fail too: the service does not answer, or nothing at all could be read. A fault
    /// of a single object says nothing about the others.
    fn fail(&self, class: TroubleClass) -> bool {
        let counted = match class {
            TroubleClass::Archived => return false,
            class if class.is_denial() && self.has_success.load(Ordering::Relaxed) => return false,
            class if class.is_denial() => &self.denials,
            _ => &self.failures,
        };
        counted.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX
    }
}

/// The stored bytes of one object. They can be read any number of times.
#[derive(Debug)]
pub(super) enum ObjectBody {
    Memory(Arc<Vec<u8>>),
    Disk(SpoolFile),
}

impl ObjectBody {
    pub(super) fn open(&self) -> Box<dyn Read> {
        match self {
            ObjectBody::Memory(bytes) => Box::new(SharedBytes { bytes: Arc::clone(bytes), at: 0 }),
            ObjectBody::Disk(file) => Box::new(file.reader()),
        }
    }
}

struct SharedBytes {
    bytes: Arc<Vec<u8>>,
    at: usize,
}

impl Read for SharedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// The object to fetch, as the listing has it.
#[derive(Clone, Debug)]
pub(super) struct BodyRequest {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) etag: String,
}

/// A body under way.
struct BodyPull {
    hold: BodyBuffer,
    received: u64,
    digest: Md5,
    /// The ETag of the listing; if that has none, the ETag of the first answer.
    etag: String,
}

enum BodyBuffer {
    Memory(Vec<u8>),
    Disk(SpoolFile),
}

/// The end of an attempt that did not bring the whole rest.
enum PullStop {
    Again(TroubleClass),
    For(ObjectReadError),
}

impl BodyPull {
    fn new(bytes: u64, etag: &str) -> io::Result<BodyPull> {
        let hold = if bytes > MEMORY_BYTES_MAX {
            BodyBuffer::Disk(SpoolFile::new()?)
        } else {
            BodyBuffer::Memory(Vec::with_capacity(bytes as usize))
        };
        Ok(BodyPull { hold, received: 0, digest: Md5::new(), etag: etag.to_owned() })
    }

    fn restart(&mut self) -> io::Result<()> {
        self.received = 0;
        self.digest = Md5::new();
        match &mut self.hold {
            BodyBuffer::Memory(bytes) => bytes.clear(),
            BodyBuffer::Disk(file) => *file = SpoolFile::new()?,
        }
        Ok(())
    }

    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        keytrail_limits::opened();
        self.received += chunk.len() as u64;
        self.digest.update(chunk);
        match &mut self.hold {
            BodyBuffer::Memory(bytes) => bytes.extend_from_slice(chunk),
            BodyBuffer::Disk(file) => file.write_all(chunk)?,
        }
        Ok(())
    }

    fn finish(self) -> ObjectBody {
        match self.hold {
            BodyBuffer::Memory(bytes) => ObjectBody::Memory(Arc::new(bytes)),
            BodyBuffer::Disk(file) => ObjectBody::Disk(file),
        }
    }
}

/// The disk of this machine failed, and another attempt cannot cure that.
fn disk(error: io::Error) -> PullStop {
    PullStop::For(ObjectReadError::fatal(SourceError::Disk { source: error }))
}

impl Bucket {
    /// Brings the body of an object here. `others` names some objects from all over the bucket.
    pub(super) async fn fetch(
        &self,
        wanted: &BodyRequest,
        others: impl FnOnce() -> Vec<String>,
    ) -> Result<ObjectBody, ObjectReadError> {
        let fetched = self.fetch_counted(wanted).await;
        match &fetched {
            Ok(_) | Err(ObjectReadError::Missing | ObjectReadError::Changed) => self.budget.succeed(),
            Err(ObjectReadError::Refused(class)) if self.budget.fail(*class) => {
                if class.is_denial() && self.opens_any(others).await {
                    self.budget.succeed();
                    return fetched;
                }
                let detail = format!("the last {FAILURES_MAX} objects could not be read");
                let doing = format!("cannot read `s3://{}/{}`", self.name, wanted.key);
                return Err(ObjectReadError::fatal(SourceError::aws(doing, AwsTrouble::new(*class, detail))));
            }
            Err(_) => {}
        }
        fetched
    }

    /// True if any of some objects can be read: a caller who may not read one folder may still read others.
    async fn opens_any(&self, others: impl FnOnce() -> Vec<String>) -> bool {
        let any = self.budget.is_open.get_or_init(|| async {
            let opened = futures::stream::iter(others()).map(|key| async move {
                let request = self.client.get_object().bucket(&self.name).key(key).range("bytes=0-0");
                request.set_request_payer(self.request_payer.clone()).send().await.is_ok()
            });
            opened.buffer_unordered(OTHERS_AT_ONCE).any(|is_open| async move { is_open }).await
        });
        *any.await
    }

    /// True if an object may be a log by its first bytes, or if these cannot be had: the fetch of the whole object
    /// gives the reason.
    pub(super) async fn may_be_log(&self, wanted: &BodyRequest, look: FirstLook) -> bool {
        let head = tokio::time::timeout(FLOOR_WINDOW, self.head_of(wanted, look.bytes)).await;
        let is_log = head.ok().flatten().is_none_or(|head| (look.may_be_log)(&wanted.key, &head));
        if !is_log {
            self.budget.succeed();
        }
        is_log
    }

    /// The first bytes of an object, as many as asked for; none if the request fails.
    async fn head_of(&self, wanted: &BodyRequest, bytes: usize) -> Option<Vec<u8>> {
        let request = self.client.get_object().bucket(&self.name).key(&wanted.key);
        let request = request.set_if_match((!wanted.etag.is_empty()).then(|| wanted.etag.clone()));
        let request = request.range(format!("bytes=0-{}", bytes - 1)).set_request_payer(self.request_payer.clone());
        let mut body = request.send().await.ok()?.body;
        let mut head = Vec::with_capacity(bytes);
        // A service may answer with the whole object; leaving the body ends that.
        while head.len() < bytes {
            match body.next().await {
                Some(Ok(chunk)) => head.extend_from_slice(&chunk[..chunk.len().min(bytes - head.len())]),
                Some(Err(_)) => return None,
                None => break,
            }
        }
        (head.len() == bytes).then_some(head)
    }

    async fn fetch_counted(&self, wanted: &BodyRequest) -> Result<ObjectBody, ObjectReadError> {
        let on_disk = |error| ObjectReadError::fatal(SourceError::Disk { source: error });
        let mut pull = BodyPull::new(wanted.bytes, &wanted.etag).map_err(on_disk)?;
        let mut attempt = 0;
        loop {
            let before = pull.received;
            let class = match self.attempt(wanted, &mut pull).await {
                Ok(()) => return Ok(pull.finish()),
                Err(PullStop::For(unread)) => return Err(unread),
                Err(PullStop::Again(class)) => class,
            };
            let got_on = pull.received >= before + PROGRESS_BYTES;
            attempt = if got_on { 1 } else { attempt + 1 };
            if attempt >= ATTEMPTS_MAX || !self.budget.spend() {
                return Err(ObjectReadError::Refused(class));
            }
            tokio::time::sleep(backoff(attempt, FIRST_WAIT, WAIT_MAX)).await;
        }
    }

    async fn attempt(&self, wanted: &BodyRequest, pull: &mut BodyPull) -> Result<(), PullStop> {
        let answer = self.ask(wanted, &pull.etag, pull.received).await?;
        match answer.e_tag() {
            Some(etag) if pull.etag.is_empty() => pull.etag = etag.to_owned(),
            Some(etag) if etag != pull.etag => return Err(PullStop::For(ObjectReadError::Changed)),
            _ => {}
        }
        if pull.received > 0 && !resumes(&answer, pull.received) {
            pull.restart().map_err(disk)?;
        }
        let rest = wanted.bytes - pull.received;
        if answer.content_length().is_some_and(|length| u64::try_from(length) != Ok(rest)) {
            pull.restart().map_err(disk)?;
            return Err(PullStop::Again(TroubleClass::Inconsistent));
        }
        // Where S3 keeps a checksum, the SDK compares that instead.
        let is_md5 = !has_checksum(&answer) && has_md5_as_etag(&answer);
        self.receive(answer, wanted, pull).await?;
        let expected = etags::digest(&pull.etag).filter(|_| is_md5);
        let Some(expected) = expected else { return Ok(()) };
        let digest: [u8; 16] = std::mem::take(&mut pull.digest).finalize().into();
        if digest == expected {
            return Ok(());
        }
        pull.restart().map_err(disk)?;
        Err(PullStop::Again(TroubleClass::Inconsistent))
    }

    async fn ask(&self, wanted: &BodyRequest, etag: &str, from: u64) -> Result<GetObjectOutput, PullStop> {
        let request = self.client.get_object().bucket(&self.name).key(&wanted.key);
        let request = request.set_if_match((!etag.is_empty()).then(|| etag.to_owned()));
        let request = request.set_request_payer(self.request_payer.clone()).checksum_mode(ChecksumMode::Enabled);
        let request = request.set_range((from > 0).then(|| format!("bytes={from}-")));
        request.send().await.map_err(|error| {
            let trouble = AwsTrouble::of::<GetObjectError>(&error);
            match trouble.class {
                TroubleClass::NotFound => PullStop::For(ObjectReadError::Missing),
                TroubleClass::Changed => PullStop::For(ObjectReadError::Changed),
                class if class.is_fatal() => {
                    let doing = format!("cannot read `s3://{}/{}`", self.name, wanted.key);
                    PullStop::For(ObjectReadError::fatal(SourceError::aws(doing, trouble)))
                }
                // The SDK has already retried, except where the answer itself broke off.
                TroubleClass::Inconsistent => PullStop::Again(TroubleClass::Inconsistent),
                class => PullStop::For(ObjectReadError::Refused(class)),
            }
        })
    }

    async fn receive(
        &self,
        answer: GetObjectOutput,
        wanted: &BodyRequest,
        pull: &mut BodyPull,
    ) -> Result<(), PullStop> {
        let mut body = answer.body;
        let mut window = (Instant::now() + FLOOR_WINDOW, pull.received + FLOOR_BYTES);
        loop {
            match tokio::time::timeout_at(window.0, body.next()).await {
                // The window brought no byte, or too few of them.
                Err(_) if pull.received < window.1 => return Err(PullStop::Again(TroubleClass::Network)),
                Err(_) => {}
                Ok(Some(Ok(chunk))) => {
                    if pull.received + chunk.len() as u64 > wanted.bytes {
                        pull.restart().map_err(disk)?;
                        return Err(PullStop::Again(TroubleClass::Inconsistent));
                    }
                    pull.take(&chunk).map_err(disk)?;
                }
                Ok(Some(Err(_))) if pull.received >= wanted.bytes => {
                    // All bytes are here and the SDK rejects them: a checksum is wrong.
                    pull.restart().map_err(disk)?;
                    return Err(PullStop::Again(TroubleClass::Inconsistent));
                }
                Ok(Some(Err(_))) => return Err(PullStop::Again(TroubleClass::Network)),
                Ok(None) if pull.received == wanted.bytes => return Ok(()),
                Ok(None) => return Err(PullStop::Again(TroubleClass::Network)),
            }
            if Instant::now() >= window.0 {
                if pull.received < window.1 {
                    return Err(PullStop::Again(TroubleClass::Network));
                }
                window = (Instant::now() + FLOOR_WINDOW, pull.received + FLOOR_BYTES);
            }
        }
    }
}

/// True if an answer has a checksum of the whole object.
fn has_checksum(answer: &GetObjectOutput) -> bool {
    let all = [
        answer.checksum_crc64_nvme(),
        answer.checksum_crc32(),
        answer.checksum_crc32_c(),
        answer.checksum_sha256(),
        answer.checksum_sha1(),
    ];
    // A checksum over the parts of an upload ends in `-` and their number.
    all.into_iter().flatten().any(|checksum| !checksum.contains('-'))
}

/// True if S3 promises that the ETag of an object put in one piece is its MD5: the object is encrypted under S3's own
/// keys. Under a key of KMS or of the client the ETag has as many digits and is none, and a server that names no
/// encryption promises nothing.
fn has_md5_as_etag(answer: &GetObjectOutput) -> bool {
    answer.server_side_encryption() == Some(&ServerSideEncryption::Aes256)
        && answer.sse_customer_algorithm().is_none()
        && answer.ssekms_key_id().is_none()
}

/// True if an answer starts at the byte where the body broke off.
fn resumes(answer: &GetObjectOutput, from: u64) -> bool {
    answer.content_range().is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_run_out_and_are_earned_again() {
        let budget = RetryBudget::default();
        let spent = (0..1000).filter(|_| budget.spend()).count();
        assert_eq!(spent as i64, TOKENS_MAX / RETRY_COST);
        (0..RETRY_COST).for_each(|_| budget.succeed());
        assert!(budget.spend() && !budget.spend());
        let failed = |budget: &RetryBudget, class| (1..=2 * FAILURES_MAX).find(|_| budget.fail(class));
        for (class, after_success, at_once) in [
            (TroubleClass::Network, Some(FAILURES_MAX), Some(FAILURES_MAX)),
            (TroubleClass::AccessDenied, None, Some(FAILURES_MAX)),
            (TroubleClass::Archived, None, None),
        ] {
            budget.succeed();
            assert_eq!(
                (failed(&budget, class), failed(&RetryBudget::default(), class)),
                (after_success, at_once),
                "{class:?}"
            );
        }
    }

    #[test]
    fn an_etag_is_an_md5_only_where_s3_says_so() {
        use ServerSideEncryption::{Aes256, AwsFsx, AwsKms, AwsKmsDsse};
        for (encryption, is_md5) in [
            (Some(Aes256), true),
            (Some(AwsKms), false),
            (Some(AwsKmsDsse), false),
            (Some(AwsFsx), false),
            (Some(ServerSideEncryption::from("aws:new")), false),
            (None, false),
        ] {
            let answer = || GetObjectOutput::builder().set_server_side_encryption(encryption.clone());
            assert_eq!(has_md5_as_etag(&answer().build()), is_md5, "{encryption:?}");
            assert!(!has_md5_as_etag(&answer().sse_customer_algorithm("AES256").build()), "{encryption:?}");
            assert!(!has_md5_as_etag(&answer().ssekms_key_id("key").build()), "{encryption:?}");
        }
    }

    #[test]
    fn a_body_is_read_again_from_its_start() {
        for bytes in [0, 5, MEMORY_BYTES_MAX + 1] {
            let mut pull = BodyPull::new(bytes, "").unwrap();
            pull.take(b"wrong").unwrap();
            pull.restart().unwrap();
            pull.take(b"he").unwrap();
            pull.take(b"llo").unwrap();
            let body = pull.finish();
            for _ in 0..2 {
                let mut text = String::new();
                body.open().read_to_string(&mut text).unwrap();
                assert_eq!(text, "hello");
            }
        }
    }
}
