//! Writes a large object part by part.
//! In: parts, in their order. Out: one object, once all parts are there. Never leaves part of an object to be read.

use std::sync::{Arc, Mutex};

use ::object_store::path::Path;
use ::object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::super::aws::{AwsTrouble, TroubleClass};
use super::{S3Store, error_of, failed};

pub(super) struct S3Upload {
    store: S3Store,
    path: Path,
    id: String,
    next: i32,
    done: Arc<Mutex<Vec<CompletedPart>>>,
}

impl std::fmt::Debug for S3Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("path", &self.path).finish_non_exhaustive()
    }
}

impl S3Upload {
    pub(super) async fn begin(store: S3Store, path: &Path) -> Result<S3Upload> {
        let request = store.client().create_multipart_upload().bucket(&store.bucket.name).key(path.as_ref());
        let request = request.set_request_payer(store.bucket.request_payer.clone());
        let answer = request.send().await.map_err(|error| failed(path, &error))?;
        let missing =
            || error_of(path.as_ref(), AwsTrouble::new(TroubleClass::Inconsistent, "an upload without an id"));
        let id = answer.upload_id().ok_or_else(missing)?.to_owned();
        Ok(S3Upload { store, path: path.clone(), id, next: 1, done: Arc::default() })
    }
}

#[async_trait]
impl MultipartUpload for S3Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (number, done) = (self.next, Arc::clone(&self.done));
        self.next += 1;
        let (store, path) = (self.store.clone(), self.path.clone());
        let request = store.client().upload_part().bucket(&store.bucket.name).key(path.as_ref());
        let request = request.upload_id(&self.id).part_number(number).body(ByteStream::from(Bytes::from(data)));
        let request = request.set_request_payer(store.bucket.request_payer.clone());
        Box::pin(async move {
            let answer = request.send().await.map_err(|error| failed(&path, &error))?;
            let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag().map(str::to_owned));
            done.lock().expect("nothing panics while it holds the parts").push(part.build());
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let mut parts = std::mem::take(&mut *self.done.lock().expect("nothing panics while it holds the parts"));
        parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.store.client().complete_multipart_upload().bucket(&self.store.bucket.name);
        let request = request.key(self.path.as_ref()).upload_id(&self.id).multipart_upload(parts);
        let request = request.set_request_payer(self.store.bucket.request_payer.clone());
        let answer = request.send().await.map_err(|error| failed(&self.path, &error))?;
        Ok(PutResult { e_tag: answer.e_tag().map(str::to_owned), version: answer.version_id().map(str::to_owned) })
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.store.client().abort_multipart_upload().bucket(&self.store.bucket.name);
        let request = request.key(self.path.as_ref()).upload_id(&self.id);
        request.send().await.map_err(|error| failed(&self.path, &error))?;
        Ok(())
    }
}
