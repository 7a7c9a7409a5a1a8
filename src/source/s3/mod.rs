//! Buckets: the client of each, connected in the bucket's own Region.
//! In: a bucket's name and the user's AWS flags. Out: pages of keys, and bodies of objects.
//! Never lists or reads by itself: `walk` chooses the pages to list, `ahead` the objects to fetch.

pub(super) mod ahead;
mod body;
pub(super) mod walk;

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder as ConfigBuilder, Region};
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{EncodingType, RequestPayer};
use tokio::runtime::Handle;

use super::SourceError;
use super::aws::{self, AwsOptions, AwsTrouble, TroubleClass};
use super::credentials::CredentialNotes;
use body::RetryBudget;

/// The environment variable that, like the flag, names a service other than AWS's own.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_S3";

/// A bucket, ready to be asked.
pub struct Bucket {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) request_payer: Option<RequestPayer>,
    pub(super) handle: Handle,
    budget: Arc<RetryBudget>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One stored object, as the bucket describes it.
#[derive(Clone, Debug)]
pub(super) struct StoredObject {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) etag: String,
    pub(super) modified: Option<DateTime>,
}

/// The parameters of a LIST request.
#[derive(Clone, Debug)]
pub(super) struct ListRequest {
    pub(super) prefix: String,
    /// Each folder is listed as one name in place of its content.
    pub(super) by_level: bool,
    pub(super) start_after: Option<String>,
    pub(super) token: Option<String>,
}

/// One answer to a LIST request.
#[derive(Debug, Default)]
pub(super) struct ListPage {
    pub(super) objects: Vec<StoredObject>,
    pub(super) folders: Vec<String>,
    pub(super) next: Option<String>,
}

impl Bucket {
    /// Connects, and proves with one request that `prefix` may be listed.
    pub(super) async fn connect(
        name: &str,
        prefix: &str,
        options: &AwsOptions,
    ) -> Result<(Bucket, ListPage), SourceError> {
        let config = aws::sdk_config(options).await;
        let has_endpoint = config.endpoint_url().is_some() || std::env::var_os(ENDPOINT_VARIABLE).is_some();
        let mut region = config.region().cloned();
        let mut moved = false;
        loop {
            let mut builder = ConfigBuilder::from(&config).force_path_style(has_endpoint).interceptor(CredentialNotes);
            builder.set_region(region.clone());
            let bucket = Bucket {
                name: name.to_owned(),
                client: Client::from_conf(builder.build()),
                request_payer: options.request_payer.then_some(RequestPayer::Requester),
                handle: Handle::current(),
                budget: Arc::default(),
            };
            match bucket.first_page(prefix).await {
                Ok(page) => return Ok((bucket, page)),
                Err(ConnectFailure { home: Some(home), .. }) if !moved && region.as_ref() != Some(&home) => {
                    region = Some(home);
                    moved = true;
                }
                Err(refused) => return Err(bucket.list_failed(prefix, refused.trouble)),
            }
        }
    }

    pub(super) fn list_failed(&self, prefix: &str, trouble: AwsTrouble) -> SourceError {
        SourceError::aws(
            format!("cannot list `s3://{}/{prefix}`", self.name),
            trouble.denied_as(TroubleClass::ListDenied),
        )
    }

    async fn first_page(&self, prefix: &str) -> Result<ListPage, ConnectFailure> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(1);
        let sent = request.encoding_type(EncodingType::Url).set_request_payer(self.request_payer.clone()).send().await;
        match sent {
            Ok(answer) => page_of(answer).map_err(|trouble| ConnectFailure { home: None, trouble }),
            Err(error) => {
                let home = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
                Err(ConnectFailure {
                    home: home.map(|home| Region::new(home.to_owned())),
                    trouble: AwsTrouble::of(&error),
                })
            }
        }
    }

    pub(super) async fn page(&self, ask: &ListRequest) -> Result<ListPage, AwsTrouble> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(&ask.prefix);
        let request = request.set_delimiter(ask.by_level.then(|| "/".to_owned()));
        let request = request.set_start_after(ask.start_after.clone()).set_continuation_token(ask.token.clone());
        let request = request.encoding_type(EncodingType::Url).set_request_payer(self.request_payer.clone());
        keytrail_limits::opened();
        let answer = request.send().await.map_err(|error| AwsTrouble::of::<ListObjectsV2Error>(&error))?;
        page_of(answer)
    }
}

/// A first request that failed, and the Region that the answer gives for the bucket.
struct ConnectFailure {
    home: Option<Region>,
    trouble: AwsTrouble,
}

fn page_of(answer: ListObjectsV2Output) -> Result<ListPage, AwsTrouble> {
    let is_encoded = answer.encoding_type == Some(EncodingType::Url);
    let text = |text: Option<String>| {
        let text = text.ok_or_else(|| AwsTrouble::new(TroubleClass::Inconsistent, "a listed object has no name"))?;
        if is_encoded { decoded(&text) } else { Ok(text) }
    };
    let mut page = ListPage::default();
    for object in answer.contents.unwrap_or_default() {
        page.objects.push(StoredObject {
            key: text(object.key)?,
            bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag.unwrap_or_default(),
            modified: object.last_modified,
        });
    }
    for folder in answer.common_prefixes.unwrap_or_default() {
        page.folders.push(text(folder.prefix)?);
    }
    if answer.is_truncated == Some(true) {
        let next = answer.next_continuation_token.filter(|token| !token.is_empty());
        let missing =
            || AwsTrouble::new(TroubleClass::Inconsistent, "a page is not the last, and has no token for the next");
        page.next = Some(next.ok_or_else(missing)?);
    }
    Ok(page)
}

/// A name as S3 writes it in a URL: `%XX`, and `+` for a blank.
fn decoded(text: &str) -> Result<String, AwsTrouble> {
    let odd = || AwsTrouble::new(TroubleClass::Inconsistent, format!("a listed name cannot be read: `{text}`"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit().ok_or_else(odd)?, digit().ok_or_else(odd)?);
                (high << 4 | low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| odd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        for (text, name) in [("a/b", "a/b"), ("a+b%2Bc", "a b+c"), ("caf%C3%A9", "café"), ("50%25", "50%")] {
            assert_eq!(decoded(text).unwrap(), name);
        }
        for bad in ["%", "%4", "%zz", "%FF"] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
    }
}
