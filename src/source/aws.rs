//! The way to reach AWS, and the meaning of its failures.
//! In: the user's AWS flags, the `AWS_*` environment and profiles. Out: client configuration, and an [`AwsTrouble`] for
//! every failed request, of one class, with the hint that cures it.
//! Never prints a credential.

use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};

use super::credentials::without_credentials;
use super::without_secrets;
use crate::objects::{FaultReason, ObjectChange, ObjectOutcome};

/// The Region to use when neither the environment nor a profile names one.
pub(super) const DEFAULT_REGION: &str = "us-east-1";
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// From a request to the first byte of its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 4;

/// The user's flags for reaching AWS; the rest comes from the environment and profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsOptions {
    pub profile: Option<String>,
    /// A service other than AWS's own; its buckets are named in the path.
    pub endpoint_url: Option<String>,
    /// Public buckets are read without credentials.
    pub no_sign_request: bool,
    /// The caller pays for requests to buckets that ask for it.
    pub request_payer: bool,
}

/// HTTPS, through the proxy that the environment names.
fn http_client() -> SharedHttpClient {
    HttpBuilder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(Provider::Rustls(CryptoMode::Ring));
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(|components| components.sleep_impl()) {
            connector = connector.sleep_impl(sleep);
        }
        connector.build()
    })
}

/// Configuration for any client, with credentials that are looked up when first needed.
pub(super) async fn sdk_config(options: &AwsOptions) -> SdkConfig {
    let times = TimeoutConfig::builder().connect_timeout(CONNECT_TIME_MAX).read_timeout(ANSWER_TIME_MAX).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(times)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX));
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if options.no_sign_request {
        loader = loader.no_credentials();
    }
    let config = loader.load().await;
    let region = config.region().cloned().unwrap_or(Region::from_static(DEFAULT_REGION));
    let mut config = config.into_builder().region(region.clone());
    if let Some(profile) = options.profile.as_ref().filter(|_| !options.no_sign_request) {
        // A profile that the user names wins over keys of the environment.
        let provider = ProviderConfig::without_region().with_region(Some(region)).with_http_client(http_client());
        let credentials = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
        config = config.credentials_provider(SharedCredentialsProvider::new(credentials));
    }
    config.build()
}

/// The Region that the environment or the profile names. Asks no network, so the Region of an instance is not told.
pub async fn told_region(options: &AwsOptions) -> Option<String> {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &options.profile {
        profile = profile.profile_name(name);
    }
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
    chain.region().await.map(|region| region.to_string())
}

/// The kind of a failure: each has its own cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleClass {
    NoCredentials,
    BadCredentials,
    ExpiredCredentials,
    ClockSkew,
    AccessDenied,
    ListDenied,
    LookupDenied,
    KeyDenied,
    KeyUnusable,
    NoSuchBucket,
    WrongRegion,
    RegionNotEnabled,
    NotFound,
    Changed,
    Archived,
    Busy,
    Network,
    /// The token of a next page is not valid, or no longer.
    BadToken,
    /// The answer contradicts itself or an earlier one.
    Inconsistent,
    Other,
}

impl TroubleClass {
    /// The outcome of an object whose request failed with this class.
    pub fn outcome(self) -> ObjectOutcome {
        ObjectOutcome::Refused(match self {
            TroubleClass::NotFound => return ObjectOutcome::Missing,
            TroubleClass::Changed => return ObjectOutcome::Changed(ObjectChange::WhileRead),
            TroubleClass::NoCredentials => FaultReason::NoCredentials,
            TroubleClass::BadCredentials => FaultReason::BadCredentials,
            TroubleClass::ExpiredCredentials => FaultReason::ExpiredCredentials,
            TroubleClass::ClockSkew => FaultReason::ClockSkew,
            TroubleClass::AccessDenied | TroubleClass::ListDenied => FaultReason::AccessDenied,
            TroubleClass::LookupDenied => FaultReason::LookupDenied,
            TroubleClass::KeyDenied => FaultReason::KmsAccessDenied,
            TroubleClass::KeyUnusable => FaultReason::KmsKeyUnusable,
            TroubleClass::NoSuchBucket => FaultReason::NoSuchBucket,
            TroubleClass::WrongRegion => FaultReason::WrongRegion,
            TroubleClass::RegionNotEnabled => FaultReason::RegionNotEnabled,
            TroubleClass::Archived => FaultReason::Archived,
            TroubleClass::Busy => FaultReason::ServiceBusy,
            TroubleClass::Network => FaultReason::Network,
            TroubleClass::BadToken => FaultReason::BadToken,
            TroubleClass::Inconsistent => FaultReason::InconsistentAnswer,
            TroubleClass::Other => FaultReason::ServiceError,
        })
    }

    fn words(self) -> &'static str {
        match self {
            TroubleClass::NoCredentials => "no AWS credentials were found",
            TroubleClass::BadCredentials => "AWS does not accept these credentials",
            TroubleClass::ExpiredCredentials => "the AWS credentials have expired",
            TroubleClass::ClockSkew => "the clock of this machine is wrong",
            TroubleClass::AccessDenied | TroubleClass::ListDenied | TroubleClass::LookupDenied => "access denied",
            TroubleClass::KeyDenied => "access to the KMS key of the object is denied",
            TroubleClass::KeyUnusable => "the KMS key of the object cannot be used",
            TroubleClass::NoSuchBucket => "there is no such bucket",
            TroubleClass::WrongRegion => "the bucket is in another Region",
            TroubleClass::RegionNotEnabled => "the Region is not enabled for this account",
            TroubleClass::NotFound => "there is no such object",
            TroubleClass::Changed => "the object has changed",
            TroubleClass::Archived => "the object is archived",
            TroubleClass::Busy => "the service is busy",
            TroubleClass::Network => "the network failed",
            TroubleClass::BadToken => "the token of the next page is not accepted",
            TroubleClass::Inconsistent => "the service contradicts itself",
            TroubleClass::Other => "the service failed",
        }
    }

    /// The cure that the user can apply; none where only trying again may help.
    pub fn hint(self) -> Option<&'static str> {
        Some(match self {
            TroubleClass::NoCredentials => {
                "set AWS_PROFILE or --profile, log in with `aws sso login`, or use --no-sign-request for a public bucket"
            }
            TroubleClass::BadCredentials => {
                "check the access key of the profile; a key may have been deleted or disabled"
            }
            TroubleClass::ExpiredCredentials => "renew them, for example with `aws sso login`, and run again",
            TroubleClass::ClockSkew => "set the clock, for example by NTP, and run again",
            TroubleClass::AccessDenied => {
                "grant s3:GetObject on the objects, in the bucket's policy too where it is another account's; a bucket \
                 that charges its readers needs --request-payer"
            }
            TroubleClass::ListDenied => {
                "grant s3:ListBucket on the bucket, in its policy too where it is another account's; a bucket that \
                 charges its readers needs --request-payer"
            }
            TroubleClass::LookupDenied => "grant cloudtrail:LookupEvents",
            TroubleClass::KeyDenied => "grant kms:Decrypt on the KMS key of the bucket, in the key's policy too",
            TroubleClass::KeyUnusable => "the key is disabled or scheduled for deletion: enable it to read the objects",
            TroubleClass::NoSuchBucket => "check the name, and --endpoint-url if the bucket is not at AWS",
            TroubleClass::WrongRegion => "set AWS_REGION to the bucket's Region",
            TroubleClass::RegionNotEnabled => "enable the Region in the account, or leave it out",
            TroubleClass::Archived => "restore it first: aws s3api restore-object",
            TroubleClass::Network => "check the network, the proxy and --endpoint-url",
            TroubleClass::Busy => "run again later",
            _ => return None,
        })
    }

    /// True if the caller may not use the object or the key that encrypts it.
    pub(super) fn is_denial(self) -> bool {
        matches!(self, TroubleClass::AccessDenied | TroubleClass::KeyDenied | TroubleClass::KeyUnusable)
    }

    /// True if every other request would fail the same way.
    pub(super) fn is_fatal(self) -> bool {
        matches!(
            self,
            TroubleClass::NoCredentials
                | TroubleClass::BadCredentials
                | TroubleClass::ExpiredCredentials
                | TroubleClass::ClockSkew
                | TroubleClass::NoSuchBucket
                | TroubleClass::WrongRegion
        )
    }
}

/// Classes that leave single objects unread.
const OF_OBJECTS: [TroubleClass; 9] = [
    TroubleClass::AccessDenied,
    TroubleClass::LookupDenied,
    TroubleClass::KeyDenied,
    TroubleClass::KeyUnusable,
    TroubleClass::Archived,
    TroubleClass::Busy,
    TroubleClass::Network,
    TroubleClass::Inconsistent,
    TroubleClass::Other,
];

/// The cure for an object with this outcome, where we know one.
pub fn hint_of(outcome: &ObjectOutcome) -> Option<&'static str> {
    OF_OBJECTS.into_iter().find(|class| class.outcome() == *outcome)?.hint()
}

/// A request that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", class.words())]
pub struct AwsTrouble {
    pub class: TroubleClass,
    /// The message of the service or the network.
    pub detail: String,
}

impl AwsTrouble {
    pub(super) fn new(class: TroubleClass, detail: impl Into<String>) -> AwsTrouble {
        AwsTrouble { class, detail: detail.into() }
    }

    /// The same failure, but a denied access gets the class of the request that was denied.
    pub(super) fn denied_as(self, class: TroubleClass) -> AwsTrouble {
        if self.class == TroubleClass::AccessDenied { AwsTrouble { class, ..self } } else { self }
    }

    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> AwsTrouble
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let detail = match error.as_service_error().and_then(ProvideErrorMetadata::message) {
            Some(message) => message.to_owned(),
            None => chain(error),
        };
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let class = match error {
            SdkError::ServiceError(_) | SdkError::ResponseError(_) => class_of(code, status, &detail),
            _ => unsent_class(&detail),
        };
        let detail = if code.is_empty() || detail.contains(code) { detail } else { format!("{detail} ({code})") };
        AwsTrouble { class, detail: without_secrets(&without_credentials(&detail)).into_owned() }
    }
}

/// The class of an answer from the service.
fn class_of(code: &str, status: u16, message: &str) -> TroubleClass {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            TroubleClass::ExpiredCredentials
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => TroubleClass::BadCredentials,
        "InvalidSignatureException" if message.contains("expired") || message.contains("not yet current") => {
            TroubleClass::ClockSkew
        }
        "InvalidSignatureException" => TroubleClass::BadCredentials,
        "RequestTimeTooSkewed" => TroubleClass::ClockSkew,
        "OptInRequired" | "SubscriptionRequiredException" => TroubleClass::RegionNotEnabled,
        "NoSuchBucket" => TroubleClass::NoSuchBucket,
        "PermanentRedirect" | "TemporaryRedirect" | "Redirect" | "IllegalLocationConstraintException" => {
            TroubleClass::WrongRegion
        }
        "AuthorizationHeaderMalformed" if message.contains("region") => TroubleClass::WrongRegion,
        "InvalidObjectState" => TroubleClass::Archived,
        "InvalidNextTokenException" => TroubleClass::BadToken,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ServiceUnavailable"
        | "InternalError"
        | "InternalFailure"
        | "RequestTimeout" => TroubleClass::Busy,
        "PreconditionFailed" | "ConditionalRequestConflict" => TroubleClass::Changed,
        "NoSuchKey" | "NotFound" | "NoSuchVersion" => TroubleClass::NotFound,
        _ if code.starts_with("KMS.") => TroubleClass::KeyUnusable,
        _ if message.contains("kms:") => TroubleClass::KeyDenied,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => TroubleClass::AccessDenied,
        _ => class_of_status(status),
    }
}

fn class_of_status(status: u16) -> TroubleClass {
    match status {
        301 | 307 => TroubleClass::WrongRegion,
        401 | 403 => TroubleClass::AccessDenied,
        404 => TroubleClass::NotFound,
        409 | 412 => TroubleClass::Changed,
        429 | 500..=599 => TroubleClass::Busy,
        200..=299 => TroubleClass::Inconsistent,
        _ => TroubleClass::Other,
    }
}

/// The class of a request that got no answer: the SDK gives the cause in words only.
fn unsent_class(detail: &str) -> TroubleClass {
    let says = |words: &str| detail.to_ascii_lowercase().contains(words);
    if says("expired") || says("invalid_grant") || says("refresh") {
        TroubleClass::ExpiredCredentials
    } else if says("credential") || says("identity") || says("profile") {
        TroubleClass::NoCredentials
    } else {
        TroubleClass::Network
    }
}

/// An error with its causes: the outermost message of the SDK is too general to help.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// The wait before the next attempt: doubled each time, with jitter, so that many waiters do not return together.
pub(super) fn backoff(attempt: u32, first: Duration, max: Duration) -> Duration {
    let ceiling = first.saturating_mul(1 << attempt.min(16)).min(max);
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), attempt);
    ceiling.mul_f64(0.5 + (random % 1024) as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_a_class() {
        for (code, status, message, class) in [
            ("AccessDenied", 403, "Access Denied", TroubleClass::AccessDenied),
            ("AccessDenied", 403, "not authorized to perform: kms:Decrypt on the resource", TroubleClass::KeyDenied),
            (
                "AccessDeniedException",
                400,
                "not authorized to perform: cloudtrail:LookupEvents",
                TroubleClass::AccessDenied,
            ),
            ("KMS.DisabledException", 400, "is disabled", TroubleClass::KeyUnusable),
            ("ExpiredToken", 400, "The provided token has expired.", TroubleClass::ExpiredCredentials),
            ("RequestTimeTooSkewed", 403, "", TroubleClass::ClockSkew),
            ("InvalidSignatureException", 400, "Signature expired: 2026", TroubleClass::ClockSkew),
            ("InvalidSignatureException", 400, "does not match", TroubleClass::BadCredentials),
            ("AuthorizationHeaderMalformed", 400, "the region 'x' is wrong", TroubleClass::WrongRegion),
            ("InvalidObjectState", 403, "", TroubleClass::Archived),
            ("", 503, "", TroubleClass::Busy),
            ("", 404, "", TroubleClass::NotFound),
            ("NoSuchBucket", 404, "", TroubleClass::NoSuchBucket),
            ("", 412, "", TroubleClass::Changed),
            ("Odd", 400, "", TroubleClass::Other),
        ] {
            assert_eq!(class_of(code, status, message), class, "{code} {status} {message}");
        }
        for (detail, class) in [
            ("dispatch failure: the credential provider was not enabled", TroubleClass::NoCredentials),
            ("the SSO session has expired", TroubleClass::ExpiredCredentials),
            ("dispatch failure: io error: connection refused", TroubleClass::Network),
        ] {
            assert_eq!(unsent_class(detail), class, "{detail}");
        }
    }

    #[test]
    fn waiting_grows_to_a_bound() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(2));
        for attempt in 0..40 {
            let wait = backoff(attempt, first, max);
            assert!(wait >= Duration::from_millis(50) && wait <= max, "{attempt} {wait:?}");
        }
        assert!(backoff(20, first, max) >= max / 2);
    }
}
