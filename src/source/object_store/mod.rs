//! S3 as an `object_store::ObjectStore`, over the same client as the logs: one set of profiles, endpoints and retries.
//! In: a URL and the user's AWS flags. Out: a store rooted at that URL; a local directory is one too.
//! Never repeats a conditional write blindly: `put` reads the object back to see if the write was its own.

mod multipart;
mod put;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ::object_store::local::LocalFileSystem;
use ::object_store::path::Path;
use ::object_store::prefix::PrefixStore;
use ::object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::aws::{AwsOptions, AwsTrouble, TroubleClass, backoff};
use super::s3::{Bucket, ListPage, ListRequest, StoredObject};
use super::{BucketPath, SourceError};

const NAME: &str = "S3";
/// Deletions that may be under way.
const DELETES_MAX: usize = 16;
/// Times that a broken body is resumed.
const RESUMES_MAX: u32 = 4;
const FIRST_WAIT: std::time::Duration = std::time::Duration::from_millis(100);
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Opens `s3://bucket/prefix`, or a directory that exists, as a store of its own.
pub async fn connect_store(url: &str, aws: &AwsOptions) -> Result<Arc<dyn ObjectStore>, SourceError> {
    let Some(path) = url.strip_prefix("s3://") else {
        let opened = LocalFileSystem::new_with_prefix(url);
        let opened = opened.map_err(|_| SourceError::NotFound { path: url.to_owned() })?;
        return Ok(Arc::new(opened.with_automatic_cleanup(true)));
    };
    let unsupported = || SourceError::Unsupported { location: url.to_owned(), hint: "write s3://BUCKET/PREFIX" };
    let place = BucketPath::parse(path).ok_or_else(unsupported)?;
    let prefix = Path::parse(&place.prefix).map_err(|_| unsupported())?;
    let (bucket, _) = Bucket::connect(&place.bucket, &place.prefix, aws).await?;
    let store = S3Store::new(bucket);
    if place.prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// A bucket as a store.
#[derive(Clone)]
struct S3Store {
    bucket: Arc<Bucket>,
    /// Sends each request once: a repeated conditional write would find its own first write and fail.
    once: Client,
}

impl S3Store {
    fn new(bucket: Bucket) -> S3Store {
        let once = bucket.client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        S3Store { once: Client::from_conf(once), bucket: Arc::new(bucket) }
    }

    fn client(&self) -> &Client {
        &self.bucket.client
    }

    async fn head(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.client().head_object().bucket(&self.bucket.name).key(path.as_ref());
        let request = request.set_if_match(options.if_match).set_if_none_match(options.if_none_match);
        let request = request.set_version_id(options.version).set_request_payer(self.bucket.request_payer.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(self.absent_or(path, failed(path, &error)).await),
        };
        let size = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
        let meta = ObjectMeta {
            location: path.clone(),
            last_modified: time(answer.last_modified()),
            size,
            e_tag: answer.e_tag().map(str::to_owned),
            version: answer.version_id().map(str::to_owned),
        };
        let payload = GetResultPayload::Stream(futures::stream::empty().boxed());
        Ok(GetResult { payload, meta, range: 0..size, attributes: Attributes::new() })
    }

    async fn get(&self, path: &Path, options: &GetOptions) -> Result<GetObjectOutput> {
        let request = self.client().get_object().bucket(&self.bucket.name).key(path.as_ref());
        let request = request.set_if_match(options.if_match.clone());
        let request = request.set_if_none_match(options.if_none_match.clone());
        let request = request.set_if_modified_since(options.if_modified_since.as_ref().map(aws_time));
        let request = request.set_if_unmodified_since(options.if_unmodified_since.as_ref().map(aws_time));
        let request = request.set_range(options.range.as_ref().map(GetRange::to_string));
        let request = request.set_version_id(options.version.clone());
        let request = request.set_request_payer(self.bucket.request_payer.clone());
        match request.send().await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.absent_or(path, failed(path, &error)).await),
        }
    }

    /// S3 denies access to an absent object if the caller may list only a folder. A listing shows that it is absent.
    async fn absent_or(&self, path: &Path, error: Error) -> Error {
        let Error::PermissionDenied { path: named, source } = error else { return error };
        let ask = ListRequest { prefix: path.to_string(), by_level: false, start_after: None, token: None };
        match self.bucket.page(&ask).await {
            Ok(page) if page.objects.iter().all(|object| object.key != path.as_ref()) => {
                Error::NotFound { path: named, source }
            }
            _ => Error::PermissionDenied { path: named, source },
        }
    }

    /// The rest of a body, resumed where it breaks, as long as the object is still the same.
    fn body(
        self,
        meta: &ObjectMeta,
        asked: GetOptions,
        range: Range<u64>,
        first: GetObjectOutput,
    ) -> BoxStream<'static, Result<Bytes>> {
        let state = ResumedBody {
            store: self,
            path: meta.location.clone(),
            etag: meta.e_tag.clone(),
            // A request for a version needs another permission, and the ETag is enough.
            version: asked.version,
            rest: range,
            body: Some(first),
            resumes: 0,
        };
        futures::stream::try_unfold(state, |mut state| async move {
            let chunk = state.next().await?;
            Ok(chunk.map(|chunk| (chunk, state)))
        })
        .boxed()
    }

    /// All pages of a listing, one after another.
    fn pages(&self, ask: ListRequest) -> BoxStream<'static, Result<ListPage>> {
        let bucket = Arc::clone(&self.bucket);
        futures::stream::try_unfold(Some(ask), move |ask| {
            let bucket = Arc::clone(&bucket);
            async move {
                let Some(ask) = ask else { return Ok(None) };
                let page = bucket.page(&ask).await.map_err(|trouble| error_of(&ask.prefix, trouble))?;
                let next = page.next.clone();
                if next.is_some() && next == ask.token {
                    let trouble = AwsTrouble::new(TroubleClass::Inconsistent, "a page points to itself as the next");
                    return Err(error_of(&ask.prefix, trouble));
                }
                Ok(Some((page, next.map(|token| ListRequest { token: Some(token), start_after: None, ..ask }))))
            }
        })
        .boxed()
    }

    fn list_from(&self, prefix: Option<&Path>, start_after: Option<String>) -> BoxStream<'static, Result<ObjectMeta>> {
        let pages = self.pages(ListRequest { prefix: folder(prefix), by_level: false, start_after, token: None });
        let objects = pages.map_ok(|page| futures::stream::iter(page.objects.into_iter().map(meta_of)));
        objects.try_flatten().boxed()
    }
}

/// A body that is being read.
struct ResumedBody {
    store: S3Store,
    path: Path,
    etag: Option<String>,
    version: Option<String>,
    rest: Range<u64>,
    body: Option<GetObjectOutput>,
    resumes: u32,
}

impl ResumedBody {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let options = GetOptions {
                        if_match: self.etag.clone(),
                        version: self.version.clone(),
                        range: Some(GetRange::Bounded(self.rest.clone())),
                        ..GetOptions::default()
                    };
                    self.body.insert(self.store.get(&self.path, &options).await?)
                }
            };
            let cause = match body.body.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => {
                    self.rest.start += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => error.to_string(),
                None => "the body ended too early".to_owned(),
            };
            self.body = None;
            self.resumes += 1;
            if self.resumes > RESUMES_MAX {
                return Err(error_of(self.path.as_ref(), AwsTrouble::new(TroubleClass::Network, cause)));
            }
            tokio::time::sleep(backoff(self.resumes, FIRST_WAIT, WAIT_MAX)).await;
        }
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("bucket", &self.bucket.name).finish_non_exhaustive()
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket.name)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let content = Bytes::from(payload);
        match options.mode {
            PutMode::Overwrite => self.put_over(location, content).await,
            PutMode::Create => self.put_if(location, content, put::PutCondition::Absent).await,
            PutMode::Update(version) => {
                let etag = version.e_tag.ok_or_else(|| Error::Generic {
                    store: NAME,
                    source: "an update needs the ETag of what it replaces".into(),
                })?;
                self.put_if(location, content, put::PutCondition::Etag(etag)).await
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(multipart::S3Upload::begin(self.clone(), location).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            return S3Store::head(self, location, options).await;
        }
        let answer = S3Store::get(self, location, &options).await?;
        let length = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
        let (range, size) = match answer.content_range().and_then(content_range) {
            Some((start, size)) => (start..start + length, size),
            None if options.range.is_some() => {
                let trouble =
                    AwsTrouble::new(TroubleClass::Inconsistent, "a range was asked for, and the whole was sent");
                return Err(error_of(location.as_ref(), trouble));
            }
            None => (0..length, length),
        };
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: time(answer.last_modified()),
            size,
            e_tag: answer.e_tag().map(str::to_owned),
            version: answer.version_id().map(str::to_owned),
        };
        let payload = GetResultPayload::Stream(self.clone().body(&meta, options, range.clone(), answer));
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.map(move |location| {
            let store = store.clone();
            async move {
                let path = location?;
                let request = store.client().delete_object().bucket(&store.bucket.name).key(path.as_ref());
                request.send().await.map_err(|error| failed(&path, &error))?;
                Ok(path)
            }
        });
        deleted.buffered(DELETES_MAX).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(prefix, Some(offset.to_string()))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let mut pages =
            self.pages(ListRequest { prefix: folder(prefix), by_level: true, start_after: None, token: None });
        while let Some(page) = pages.try_next().await? {
            for folder in page.folders {
                result.common_prefixes.push(Path::parse(folder)?);
            }
            result.objects.extend(page.objects.into_iter().map(meta_of).collect::<Result<Vec<_>>>()?);
        }
        Ok(result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        // Some services cannot copy on a condition, but all can write on one.
        let content = ObjectStoreExt::get(self, from).await?.bytes().await?;
        match options.mode {
            CopyMode::Overwrite => self.put_over(to, content).await?,
            CopyMode::Create => self.put_if(to, content, put::PutCondition::Absent).await?,
        };
        Ok(())
    }
}

/// The prefix of all keys in a folder.
fn folder(prefix: Option<&Path>) -> String {
    match prefix.map(AsRef::<str>::as_ref) {
        None | Some("") => String::new(),
        Some(path) => format!("{path}/"),
    }
}

fn meta_of(stored: StoredObject) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: Path::parse(&stored.key)?,
        last_modified: time(stored.modified.as_ref()),
        size: stored.bytes,
        e_tag: Some(stored.etag).filter(|etag| !etag.is_empty()),
        version: None,
    })
}

/// First byte and whole size of `bytes 0-9/100`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

type UtcTime = chrono::DateTime<chrono::offset::Utc>;

fn time(time: Option<&DateTime>) -> UtcTime {
    let known = time.and_then(|time| UtcTime::from_timestamp(time.secs(), time.subsec_nanos()));
    known.unwrap_or_default()
}

fn aws_time(time: &UtcTime) -> DateTime {
    DateTime::from_secs(time.timestamp())
}

fn failed<E>(path: &Path, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 304) {
        return Error::NotModified { path: path.to_string(), source: "not modified".into() };
    }
    error_of(path.as_ref(), AwsTrouble::of(error))
}

fn error_of(path: &str, trouble: AwsTrouble) -> Error {
    let path = path.to_owned();
    match trouble.class {
        TroubleClass::NotFound => Error::NotFound { path, source: trouble.into() },
        TroubleClass::Changed => Error::Precondition { path, source: trouble.into() },
        TroubleClass::AccessDenied | TroubleClass::KeyDenied => {
            Error::PermissionDenied { path, source: trouble.into() }
        }
        TroubleClass::NoCredentials | TroubleClass::BadCredentials | TroubleClass::ExpiredCredentials => {
            Error::Unauthenticated { path, source: trouble.into() }
        }
        _ => Error::Generic { store: NAME, source: trouble.into() },
    }
}
