//! An S3 service over a folder that adds what `s3s-fs` leaves out: ETags in listings, names escaped as in URLs,
//! conditional reads, and atomic conditional writes.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// The keys under which the objects of a bucket are encrypted, which decide what an ETag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysOfBucket {
    /// S3's own; ETags are MD5s.
    OfS3,
    /// A key of KMS; ETags look like MD5s and are none.
    OfKms,
    /// The service does not say, and its ETags only look like MD5s.
    Untold,
}

pub struct Folder {
    inner: FileSystem,
    root: PathBuf,
    keys: KeysOfBucket,
    writing: tokio::sync::Mutex<()>,
}

impl Folder {
    pub fn new(root: &Path, keys: KeysOfBucket) -> Folder {
        let (inner, root) = (FileSystem::new(root).unwrap(), root.to_owned());
        Folder { inner, root, keys, writing: tokio::sync::Mutex::default() }
    }

    fn etag(&self, bucket: &str, key: &str) -> Option<ETag> {
        let mut content = fs::read(self.root.join(bucket).join(key)).ok()?;
        if self.keys != KeysOfBucket::OfS3 {
            content.push(0);
        }
        let hex: String = Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(ETag::Strong(hex))
    }
}

fn encoded(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    let letters = name.bytes().map(|b| match b {
        b' ' => "+".to_owned(),
        b if plain(b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    });
    letters.collect()
}

macro_rules! as_it_is {
    ($($name:ident: $input:ident => $output:ident,)*) => {
        #[async_trait]
        impl S3 for Folder {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.inner.$name(request).await
            })*

            async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
                let input = &request.input;
                let etag = self.etag(&input.bucket, &input.key);
                if let (Some(ETagCondition::ETag(wanted)), Some(etag)) = (&input.if_match, &etag)
                    && wanted != etag
                {
                    return Err(s3_error!(PreconditionFailed));
                }
                let mut answer = self.inner.get_object(request).await?;
                answer.output.e_tag = etag;
                answer.output.server_side_encryption = match self.keys {
                    KeysOfBucket::OfS3 => Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
                    KeysOfBucket::OfKms => Some(ServerSideEncryption::from_static(ServerSideEncryption::AWS_KMS)),
                    KeysOfBucket::Untold => None,
                };
                Ok(answer)
            }

            async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
                let _writing = self.writing.lock().await;
                self.inner.put_object(request).await
            }

            async fn list_objects_v2(
                &self,
                request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                let bucket = request.input.bucket.clone();
                let mut answer = self.inner.list_objects_v2(request).await?;
                let is_encoded = answer.output.encoding_type.is_some();
                let encode = |name: &mut Option<String>| {
                    *name = name.take().map(|name| if is_encoded { encoded(&name) } else { name });
                };
                for object in answer.output.contents.iter_mut().flatten() {
                    object.e_tag = self.etag(&bucket, object.key.as_deref().unwrap_or_default());
                    encode(&mut object.key);
                }
                answer.output.common_prefixes.iter_mut().flatten().for_each(|folder| encode(&mut folder.prefix));
                Ok(answer)
            }
        }
    };
}

as_it_is! {
    head_object: HeadObjectInput => HeadObjectOutput,
    copy_object: CopyObjectInput => CopyObjectOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    upload_part: UploadPartInput => UploadPartOutput,
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
}
