//! The credentials that requests bear, so that no message repeats one which a service has sent back.
//! In: signed requests, and texts from outside. Out: the texts without credentials.
//! Holds keys and tokens, which change by the hour, and no signature, which each request has anew.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

static BORNE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes the key and the token of each request of a client.
#[derive(Debug)]
pub(super) struct CredentialNotes;

impl Intercept for CredentialNotes {
    fn name(&self) -> &'static str {
        "CredentialNotes"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request().headers();
        let key = headers.get("authorization").and_then(key_of);
        let mut borne = BORNE.lock().unwrap_or_else(PoisonError::into_inner);
        for noted in [key, headers.get("x-amz-security-token")].into_iter().flatten() {
            if !noted.is_empty() && !borne.contains(noted) {
                borne.insert(noted.to_owned());
            }
        }
        Ok(())
    }
}

/// The access key in the header of a signed request.
fn key_of(header: &str) -> Option<&str> {
    Some(header.split_once("Credential=")?.1.split_once('/')?.0)
}

/// The text without the credentials that requests of this process bore, and without their signatures.
pub(super) fn without_credentials(text: &str) -> String {
    let borne = BORNE.lock().unwrap_or_else(PoisonError::into_inner);
    // The longest first, since one may begin as another does.
    let mut borne: Vec<&String> = borne.iter().collect();
    borne.sort_by_key(|noted| std::cmp::Reverse(noted.len()));
    let text = borne.into_iter().fold(text.to_owned(), |text, noted| text.replace(noted.as_str(), "…"));
    let mut parts = text.split("Signature=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| shown + "Signature=…" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_sent_back_shows_no_credential() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIDONE/20260301/eu-west-1/s3/aws4_request, SignedHeaders=host, \
                      Signature=0123456789abcdef";
        BORNE.lock().unwrap().extend(["AKIDONE", "AKIDONETOKEN=="].map(str::to_owned));
        assert_eq!(key_of(header), Some("AKIDONE"));
        assert_eq!(
            without_credentials(&format!("no: {header} of AKIDONETOKEN==")),
            "no: AWS4-HMAC-SHA256 Credential=…/20260301/eu-west-1/s3/aws4_request, SignedHeaders=host, \
             Signature=… of …"
        );
        assert_eq!(without_credentials("Access Denied"), "Access Denied");
    }
}
