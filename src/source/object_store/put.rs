//! Writes objects: over any content, or on the condition that the path is free or holds one known version.
//! In: a path, its content, a condition. Out: the new version, or an error if another write came first.
//! Never takes a lost answer for a failure: the write may have happened, so the object is read back and compared.

use ::object_store::path::Path;
use ::object_store::{Error, PutResult, Result};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::super::aws::{AwsTrouble, TroubleClass, backoff};
use super::{FIRST_WAIT, GetOptions, S3Store, WAIT_MAX, error_of, failed};

const ATTEMPTS_MAX: u32 = 6;

/// The condition for a write to happen.
pub(super) enum PutCondition {
    Absent,
    Etag(String),
}

/// The result of one attempt.
enum PutAttempt {
    Done(PutResult),
    /// Other content is there.
    Unmet(AwsTrouble),
    /// Nothing was written, for now.
    Refused(AwsTrouble),
    /// The content may have been written.
    Lost(AwsTrouble),
}

impl S3Store {
    /// Replaces any content, so the SDK may repeat the request without harm.
    pub(super) async fn put_over(&self, path: &Path, content: Bytes) -> Result<PutResult> {
        let request = self.client().put_object().bucket(&self.bucket.name).key(path.as_ref());
        let request = request.set_request_payer(self.bucket.request_payer.clone()).body(ByteStream::from(content));
        let answer = request.send().await.map_err(|error| failed(path, &error))?;
        Ok(result_of(&answer))
    }

    pub(super) async fn put_if(&self, path: &Path, content: Bytes, condition: PutCondition) -> Result<PutResult> {
        let mut may_be_written = false;
        let mut attempt = 0;
        loop {
            let trouble = match self.try_put(path, &content, &condition).await {
                PutAttempt::Done(result) => return Ok(result),
                PutAttempt::Unmet(trouble) if may_be_written => {
                    return match self.written(path, &content).await? {
                        Some(result) => Ok(result),
                        None => Err(unmet(path, &condition, trouble)),
                    };
                }
                PutAttempt::Unmet(trouble) => return Err(unmet(path, &condition, trouble)),
                PutAttempt::Refused(trouble) => trouble,
                PutAttempt::Lost(trouble) => {
                    may_be_written = true;
                    trouble
                }
            };
            attempt += 1;
            let passes = matches!(
                trouble.class,
                TroubleClass::Busy | TroubleClass::Network | TroubleClass::Inconsistent | TroubleClass::Changed
            );
            if attempt >= ATTEMPTS_MAX || !passes {
                if may_be_written && let Some(result) = self.written(path, &content).await? {
                    return Ok(result);
                }
                return Err(error_of(path.as_ref(), trouble));
            }
            tokio::time::sleep(backoff(attempt, FIRST_WAIT, WAIT_MAX)).await;
        }
    }

    async fn try_put(&self, path: &Path, content: &Bytes, condition: &PutCondition) -> PutAttempt {
        let request = self.once.put_object().bucket(&self.bucket.name).key(path.as_ref());
        let request = match condition {
            PutCondition::Absent => request.if_none_match("*"),
            PutCondition::Etag(etag) => request.if_match(etag),
        };
        let request = request.set_request_payer(self.bucket.request_payer.clone());
        let error = match request.body(ByteStream::from(content.clone())).send().await {
            Ok(answer) => return PutAttempt::Done(result_of(&answer)),
            Err(error) => error,
        };
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        let trouble = AwsTrouble::of(&error);
        match (status, code.as_str()) {
            (Some(412), _) => PutAttempt::Unmet(trouble),
            // The version to replace is gone.
            (Some(404), "NoSuchKey") if matches!(condition, PutCondition::Etag(_)) => PutAttempt::Unmet(trouble),
            // Another write is under way; it may fail, so the condition is tried again.
            (Some(409), _) => PutAttempt::Refused(trouble),
            (Some(500..=599) | None, _) => PutAttempt::Lost(trouble),
            (Some(200..=299), _) => PutAttempt::Lost(trouble),
            _ => PutAttempt::Refused(trouble),
        }
    }

    /// The current version, if it has exactly this content.
    async fn written(&self, path: &Path, content: &Bytes) -> Result<Option<PutResult>> {
        let answer = match self.get(path, &GetOptions::default()).await {
            Ok(answer) => answer,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (etag, version) = (answer.e_tag().map(str::to_owned), answer.version_id().map(str::to_owned));
        let there = answer.body.collect().await;
        let there =
            there.map_err(|e| error_of(path.as_ref(), AwsTrouble::new(TroubleClass::Network, e.to_string())))?;
        Ok((there.into_bytes() == *content).then_some(PutResult { e_tag: etag, version }))
    }
}

fn result_of(answer: &PutObjectOutput) -> PutResult {
    PutResult { e_tag: answer.e_tag().map(str::to_owned), version: answer.version_id().map(str::to_owned) }
}

fn unmet(path: &Path, condition: &PutCondition, trouble: AwsTrouble) -> Error {
    let path = path.to_string();
    match condition {
        PutCondition::Absent => Error::AlreadyExists { path, source: trouble.into() },
        PutCondition::Etag(_) => Error::Precondition { path, source: trouble.into() },
    }
}
