//! Decides how a call ended and, if AWS refused it, reads the reason from the message.
//! In: error code and message, and whether DynamoDB speaks for KMS. Out: [`Outcome`] and [`Denial`].
//! Never calls an unknown code denied, and never guesses beyond the message: one that was cut at AWS's limit of 1 KB is
//! read as far as it can decide.

/// Error codes by outcome, in the order in which they are tried. A `*` stands for any text, at either end.
pub const OUTCOMES: &[(&str, &[&str])] = &[
    (
        "denied",
        &[
            "AccessDenied",
            "AccessDeniedException",
            "VpceAccessDenied",
            "*UnauthorizedOperation",
            "UnauthorizedException",
            "AuthorizationError",
            "CloudHsmAccessDeniedException",
        ],
    ),
    ("dry_run", &["DryRunOperationException", "DryRunOperation"]),
    ("not_found", &["NotFoundException"]),
    (
        "key_unavailable",
        &[
            "DisabledException",
            "KMSInvalidStateException",
            "KeyUnavailableException",
            "CloudHsm*",
            "CustomKeyStore*",
            "CustomerKeyHasBeenRevoked",
            "CustomerManagedKeyUnavailableException",
            "DecryptionFailure",
            "EncryptionFailure",
            "InvalidKMSKey.InvalidState",
            "InvalidKMSResourceException",
            "Xks*",
        ],
    ),
    ("throttled", &["ThrottlingException", "LimitExceededException"]),
    (
        "invalid",
        &[
            "AlreadyExistsException",
            "ConflictException",
            "ExpiredImportTokenException",
            "IncorrectKeyException",
            "IncorrectKeyMaterialException",
            "IncorrectTrustAnchorException",
            "InvalidAliasNameException",
            "InvalidArnException",
            "InvalidCiphertextException",
            "InvalidGrantIdException",
            "InvalidGrantTokenException",
            "InvalidImportTokenException",
            "InvalidKeyUsageException",
            "InvalidMarkerException",
            "KMSInvalidMacException",
            "KMSInvalidSignatureException",
            "MalformedPolicyDocumentException",
            "TagException",
            "UnsupportedOperationException",
            "ValidationException",
        ],
    ),
    ("service_error", &["KMSInternalException", "DependencyTimeoutException", "InternalFailure", "ServiceUnavailable"]),
];

/// The kinds of policy a message can name: `denial_reason`, and the words for it.
const POLICY_TYPES: &[(&str, &str)] = &[
    ("identity_policy", "identity-based policy"),
    ("identity_policy", "identity policy"),
    ("resource_policy", "resource-based policy"),
    ("resource_policy", "resource policy"),
    ("session_policy", "session policy"),
    ("permissions_boundary", "permissions boundary"),
    ("vpc_endpoint_policy", "vpc endpoint policy"),
    ("scp", "service control policy"),
    ("rcp", "resource control policy"),
    ("role_trust_policy", "role trust policy"),
];

/// Messages, without their full stop, that say no more than the code.
const BARE_MESSAGES: &[&str] = &[
    "access denied",
    "accessdenied",
    "access is denied",
    "you are not authorized to perform this operation",
    "you do not have sufficient access to perform this action",
    "user is not authorized",
    "access to kms is not allowed",
];

/// Trailers that AWS puts after, or instead of, a reason.
const TRAILERS: &[&str] = &["encoded authorization failure message:"];

/// A message at least this long may have been cut at AWS's cap of 1 KB.
const MAYBE_CUT_BYTES: usize = 1000;

/// The end of the call: `success`, `denied` …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome(&'static str);

impl Outcome {
    pub const SUCCESS: Outcome = Outcome("success");
    /// Also of codes that are not in [`OUTCOMES`].
    pub const OTHER_ERROR: Outcome = Outcome("other_error");
    pub const DENIED: Outcome = Outcome("denied");

    /// The outcome of a code and a message; absent ones are `None`, never empty.
    /// A message without a code is an error of unknown kind: it is not a success, and no code says denied.
    pub fn of(code: Option<&str>, message: Option<&str>) -> Outcome {
        match code {
            Some("200") => Outcome::SUCCESS,
            Some(code) => Outcome::of_code(code),
            None if message.is_some() => Outcome::OTHER_ERROR,
            None => Outcome::SUCCESS,
        }
    }

    /// The outcome of a code, with or without prefixes such as `KMS.` or `Client.`, as KMS writes it or as another
    /// service hands it on.
    fn of_code(code: &str) -> Outcome {
        let unprefixed = code.match_indices(['.', '#']).map(|(dot, _)| &code[dot + 1..]);
        let mut forms = std::iter::once(code).chain(unprefixed);
        forms
            .find_map(|form| Outcome::listed(form).or_else(|| Outcome::handed_on(form)))
            .unwrap_or(Outcome::OTHER_ERROR)
    }

    fn listed(code: &str) -> Option<Outcome> {
        let (outcome, _) = OUTCOMES.iter().find(|(_, codes)| codes.iter().any(|listed| matches(listed, code)))?;
        Some(Outcome(outcome))
    }

    /// The outcome of `KMSAccessDeniedException`, `KmsDisabled`, `KMSKeyNotAccessibleFault` and the like: other services
    /// begin their names of KMS's errors with a word for KMS or for its key.
    fn handed_on(code: &str) -> Option<Outcome> {
        let error = KMS_PREFIXES.iter().find_map(|prefix| code.strip_prefix(prefix))?;
        let name = error.strip_prefix("Key").unwrap_or(error);
        let stem = ["Exception", "Fault", "Error"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let by_stem = HANDED_ON.iter().find(|(stems, _)| stems.contains(&stem)).map(|(_, outcome)| Outcome(outcome));
        by_stem.or_else(|| Outcome::listed(error))
    }

    /// As it stands in the column `outcome`.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// The words with which other services begin their names of KMS's errors. CodeCommit has the last.
const KMS_PREFIXES: [&str; 4] = ["KMS", "Kms", "kms", "EncryptionKey"];

/// Outcomes of KMS's errors by the names that other services give them behind such a word. From the exceptions of AWS's API
/// models (botocore 1.44.8).
pub const HANDED_ON: &[(&[&str], &str)] = &[
    (&["AccessDenied", "RequestFailed"], "denied"),
    (&["Disabled", "InvalidState", "NotAccessible", "Unavailable"], "key_unavailable"),
    (&["NotFound"], "not_found"),
    (&["Throttled", "Throttling"], "throttled"),
    (&["InvalidKeyUsage", "InvalidUsage"], "invalid"),
    (&["Internal"], "service_error"),
];

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => code.ends_with(suffix),
        (_, Some(prefix)) => code.starts_with(prefix),
        _ => code == pattern,
    }
}

/// The text of an error, which may have been cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorText<'m> {
    text: &'m str,
    end: MessageEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageEnd {
    Whole,
    /// AWS's cap may have cut it, so its last word may be half a name.
    MaybeCut,
}

impl<'m> ErrorText<'m> {
    /// A whole `errorMessage`.
    pub fn of(text: &'m str) -> ErrorText<'m> {
        ErrorText { text, end: if text.len() >= MAYBE_CUT_BYTES { MessageEnd::MaybeCut } else { MessageEnd::Whole } }
    }

    /// True where the last word may be half a name.
    pub fn may_be_cut(&self) -> bool {
        self.end == MessageEnd::MaybeCut
    }

    /// True for a refusal whose action is one of KMS, whoever hands it on.
    fn refuses_an_action_of_kms(&self) -> bool {
        let action = Denial::of_grammar(*self).and_then(|denial| denial.action);
        action.is_some_and(|action| start_ignoring_case(action, "kms:").is_some())
    }
}

/// The answer of KMS inside an error of another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrappedError<'m> {
    pub outcome: Outcome,
    pub message: ErrorText<'m>,
}

impl<'m> WrappedError<'m> {
    /// `None` where the message is the service's own.
    pub fn of(message: &'m str) -> Option<WrappedError<'m>> {
        WrappedError::of_client(message)
            .or_else(|| WrappedError::of_lambda(message))
            .or_else(|| WrappedError::of_prose(message))
    }

    /// Unwraps Lambda's `… KMS Exception: CODEKMS ErrorText: TEXT`, with or without a space before `KMS ErrorText`.
    fn of_lambda(message: &'m str) -> Option<WrappedError<'m>> {
        let (_, answer) = message.split_once("KMS Exception: ")?;
        let (code, text) = answer.split_once("KMS Message:")?;
        let message = ErrorText { text: text.trim(), end: ErrorText::of(message).end };
        let outcome = if message.refuses_an_action_of_kms() { Outcome::DENIED } else { Outcome::of_code(code.trim()) };
        Some(WrappedError { outcome, message })
    }

    /// Unwraps what a client of KMS reports: `…AWSKMSException: TEXT (Service: AWSKMS; …; Error Code: CODE; …)`, before
    /// which DynamoDB writes `KMS key access denied error: ` and the like.
    fn of_client(message: &'m str) -> Option<WrappedError<'m>> {
        let start = message.trim_start();
        let is_dynamodbs = DYNAMODB_STARTS.iter().any(|words| start_ignoring_case(start, words).is_some());
        let text = if is_dynamodbs { start.split_once(':')?.1 } else { start };
        let ended = text.split_once("(Service:");
        let (text, service) = ended.unwrap_or((text, ""));
        if !is_dynamodbs && !KMS_CLIENTS.iter().any(|name| start_ignoring_case(service.trim_start(), name).is_some()) {
            return None;
        }
        let exception = text.find("Exception: ");
        let inner = exception.map_or(text, |at| &text[at + "Exception: ".len()..]);
        let code = match service.split_once("Error Code:") {
            Some((_, rest)) => rest.split([';', ',', ')']).next().unwrap_or_default().trim(),
            None => {
                exception.map_or("", |at| text[..at + "Exception".len()].rsplit(['.', ' ']).next().unwrap_or_default())
            }
        };
        // The cap counts the service's words too. KMS's are whole where something stands behind them.
        let end = if ended.is_some() { MessageEnd::Whole } else { ErrorText::of(message).end };
        let message = ErrorText { text: inner.trim(), end };
        let is_refused =
            start_ignoring_case(start, "KMS key access denied").is_some() || message.refuses_an_action_of_kms();
        let outcome = if is_refused { Outcome::DENIED } else { Outcome::of_code(code) };
        Some(WrappedError { outcome, message })
    }

    /// Reads a message that says in the service's own words what KMS answered.
    fn of_prose(text: &'m str) -> Option<WrappedError<'m>> {
        let message = ErrorText::of(text);
        let words = MessageWords::new(text);
        let said = SENTENCES.iter().find(|(sentence, _)| words.find(sentence).is_some()).map(|(_, outcome)| *outcome);
        let outcome = said.or_else(|| message.refuses_an_action_of_kms().then_some(Outcome::DENIED))?;
        Some(WrappedError { outcome, message })
    }
}

/// DynamoDB's own words before what KMS said.
const DYNAMODB_STARTS: [&str; 3] = ["KMS key ", "KMS validation error", "KMS internal error"];

/// The names of KMS in the reports of AWS's clients.
const KMS_CLIENTS: [&str; 2] = ["AWSKMS", "Kms"];

/// Sentences by which services say that KMS refused them. The second is of CloudWatch Logs, the third of KMS before 2021.
const SENTENCES: &[(&str, Outcome)] = &[
    ("access to kms is not allowed", Outcome::DENIED),
    (KEY_MISSING_OR_NOT_ALLOWED, Outcome::DENIED),
    (CIPHERTEXT_OF_NO_KEY, Outcome::DENIED),
];
const KEY_MISSING_OR_NOT_ALLOWED: &str = "kms key does not exist or is not allowed to be used";
const CIPHERTEXT_OF_NO_KEY: &str = "ciphertext refers to a customer master key that does not exist";

/// The details of a refusal. NULL if the message does not give one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Denial<'m> {
    pub reason: &'static str,
    pub effect: Option<&'static str>,
    pub action: Option<&'m str>,
    pub resource: Option<&'m str>,
    pub policy_arn: Option<&'m str>,
}

impl<'m> Denial<'m> {
    /// Reads the message of a refusal. `code` decides only where the message does not.
    pub fn of(code: Option<&str>, message: Option<ErrorText<'m>>) -> Denial<'m> {
        let Some(message) = message else {
            let by_endpoint = code.is_some_and(|code| code.ends_with("VpceAccessDenied"));
            return Denial::because(if by_endpoint { "vpc_endpoint_policy" } else { "unspecified" }, None);
        };
        Denial::of_grammar(message).unwrap_or_else(|| Denial::of_prose(message.text))
    }

    fn because(reason: &'static str, effect: Option<&'static str>) -> Denial<'m> {
        Denial { reason, effect, ..Denial::default() }
    }

    /// Messages that do not name an action.
    fn of_prose(message: &str) -> Denial<'m> {
        let words = MessageWords::new(message);
        if words.find(CIPHERTEXT_OF_NO_KEY).is_some()
            || words.find(KEY_MISSING_OR_NOT_ALLOWED).is_some()
            || words.find("because the resource does not exist").is_some()
        {
            return Denial::because("resource_policy_or_missing", None);
        }
        if words.find("denied due to a vpc endpoint policy").is_some() {
            return Denial::because("vpc_endpoint_policy", None);
        }
        let plain = TRAILERS.iter().find_map(|trailer| words.find(trailer)).map_or(message, |(before, _)| before);
        let plain = plain.trim().trim_end_matches('.');
        let bare =
            BARE_MESSAGES.iter().any(|bare| MessageWords::new(plain).phrase(bare).is_some_and(|rest| rest.is_empty()));
        Denial::because(if bare { "unspecified" } else { "unparsed" }, None)
    }

    /// `User: WHO is not authorized to perform: ACTION[ on resource: WHAT][ REASON][ TRAILER]`.
    fn of_grammar(message: ErrorText<'m>) -> Option<Denial<'m>> {
        let (_, rest) = MessageWords::new(message.text).find("is not authorized to perform:")?;
        let (action, rest) = rest.word();
        let (resource, tail) = match rest.phrase("on resource:") {
            Some(named) => named.resource(),
            None => ("", rest),
        };
        let mut denial = Denial::of_tail(tail, message.end);
        let cut = message.may_be_cut();
        let whole =
            |word: &'m str, after: MessageWords| (!(word.is_empty() || cut && after.is_empty())).then_some(word);
        denial.action = whole(action, rest);
        denial.resource = whole(resource, tail);
        Some(denial)
    }

    /// Reads the part of the message after the action and the resource.
    fn of_tail(tail: MessageWords<'m>, end: MessageEnd) -> Denial<'m> {
        if tail.is_empty() {
            let reason = match end {
                MessageEnd::Whole => "unspecified",
                MessageEnd::MaybeCut => "unparsed",
            };
            return Denial::because(reason, None);
        }
        if tail.find("because the resource does not exist").is_some() {
            return Denial::because("resource_policy_or_missing", None);
        }
        if let Some((_, rest)) = tail.find("because no") {
            return Denial::because(rest.policy_type().map_or("unparsed", |(reason, _)| reason), Some("implicit"));
        }
        if let Some((_, rest)) = tail.find("with an explicit deny") {
            return Denial::of_explicit(rest, end);
        }
        let only_a_trailer = TRAILERS.iter().any(|trailer| tail.phrase(trailer).is_some()) || tail.is_access_advice();
        Denial::because(if only_a_trailer { "unspecified" } else { "unparsed" }, None)
    }

    /// `[ in a TYPE[: POLICY-ARN]]`.
    fn of_explicit(rest: MessageWords<'m>, end: MessageEnd) -> Denial<'m> {
        let explicit = Some("explicit");
        let Some(named) = ["in an", "in a", "in the"].iter().find_map(|words| rest.phrase(words)) else {
            let cut_short = ["in", "i"].contains(&rest.word().0);
            return Denial::because(if cut_short { "unparsed" } else { "unspecified" }, explicit);
        };
        let Some((reason, rest)) = named.policy_type() else {
            return Denial::because("unparsed", explicit);
        };
        let (policy, after) = rest.skip_colon().word();
        let whole = policy.starts_with("arn:") && !(end == MessageEnd::MaybeCut && after.is_empty());
        Denial { policy_arn: whole.then_some(policy), ..Denial::because(reason, explicit) }
    }
}

/// The rest of a message, read word by word; case and the amount of white space do not matter.
#[derive(Debug, Clone, Copy)]
struct MessageWords<'m>(&'m str);

impl<'m> MessageWords<'m> {
    fn new(text: &'m str) -> MessageWords<'m> {
        MessageWords(text.trim_start())
    }

    fn is_empty(self) -> bool {
        self.0.trim_matches(['.', ' ']).is_empty()
    }

    /// The next word without the punctuation that ends a sentence, and the rest.
    fn word(self) -> (&'m str, MessageWords<'m>) {
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        (self.0[..end].trim_end_matches(['.', ',', ';', ':']), MessageWords::new(&self.0[end..]))
    }

    /// The rest after `phrase`, if the message goes on with it.
    fn phrase(self, phrase: &str) -> Option<MessageWords<'m>> {
        let mut rest = self;
        for word in phrase.split(' ') {
            rest = MessageWords::new(start_ignoring_case(rest.0, word)?);
        }
        let ends_a_word = rest.0.len() != self.0.len() && self.ends_word_before(rest, phrase);
        ends_a_word.then_some(rest)
    }

    /// True if `phrase`, just read, ended with its word and is not the beginning of a longer one.
    fn ends_word_before(self, rest: MessageWords<'m>, phrase: &str) -> bool {
        let read = &self.0[..self.0.len() - rest.0.len()];
        let goes_on = rest.0.chars().next().is_some_and(char::is_alphanumeric);
        phrase.ends_with(':') || read.ends_with(char::is_whitespace) || !goes_on
    }

    /// Splits at the first `phrase` that starts a word: the text before it and the text after it.
    fn find(self, phrase: &str) -> Option<(&'m str, MessageWords<'m>)> {
        let mut at = self;
        loop {
            if let Some(rest) = at.phrase(phrase) {
                return Some((&self.0[..self.0.len() - at.0.len()], rest));
            }
            let end = at.0.find(char::is_whitespace)?;
            at = MessageWords::new(&at.0[end..]);
        }
    }

    /// The resource of a message: a word, or where a name holds spaces all words before the reason.
    fn resource(self) -> (&'m str, MessageWords<'m>) {
        let (word, rest) = self.word();
        let one_word = word == "*" || word.starts_with("arn:aws") && word.contains(":kms:");
        let reasons = ["because no", "because the resource", "with an explicit deny"];
        let reason = reasons
            .iter()
            .filter_map(|reason| self.find(reason))
            .map(|(before, _)| before)
            .min_by_key(|text| text.len());
        match reason {
            Some(before) if !one_word => (before.trim_end(), MessageWords(&self.0[before.len()..])),
            _ => (word, rest),
        }
    }

    /// The kind of policy that comes next, and the rest. If the text ends within its name, the one kind that the name
    /// can still become.
    fn policy_type(self) -> Option<(&'static str, MessageWords<'m>)> {
        if let Some(found) = POLICY_TYPES.iter().find_map(|(reason, words)| Some((*reason, self.phrase(words)?))) {
            return Some(found);
        }
        let begun = self.0.trim_end();
        let mut open = POLICY_TYPES.iter().filter(|(_, words)| start_ignoring_case(words, begun).is_some());
        let (reason, _) = open.next().filter(|_| !begun.is_empty())?;
        open.all(|(other, _)| other == reason).then_some((*reason, MessageWords("")))
    }

    fn skip_colon(self) -> MessageWords<'m> {
        MessageWords::new(self.0.strip_prefix(':').unwrap_or(self.0))
    }

    /// True if this is the pointer to more about the refusal that newer messages end in.
    fn is_access_advice(self) -> bool {
        ["troubleshoot", "getauthorizationdetails", "authorization id"]
            .iter()
            .any(|word| contains_ignoring_case(self.0, word))
    }
}

/// The rest of `text` after `prefix`, in any case of letters.
fn start_ignoring_case<'m>(text: &'m str, prefix: &str) -> Option<&'m str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn contains_ignoring_case(text: &str, needle: &str) -> bool {
    text.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_their_near_misses() {
        for (code, message, outcome) in [
            (None, None, "success"),
            (Some("200"), Some("OK"), "success"),
            (None, Some("User is not authorized"), "other_error"),
            (Some("AccessDenied"), None, "denied"),
            (Some("KMS.AccessDeniedException"), None, "denied"),
            (Some("Client.UnauthorizedOperation"), None, "denied"),
            (Some("Client.UnauthorizedOperation.KMS"), None, "other_error"),
            (Some("ACCESSDENIED"), None, "other_error"),
            (Some("AccessDeniedByMoon"), None, "other_error"),
            (Some("Client.DryRunOperation"), None, "dry_run"),
            (Some("CloudHsmClusterNotActiveException"), None, "key_unavailable"),
            (Some("XksProxyUriUnreachableException"), None, "key_unavailable"),
            (Some("InternalFailure"), None, "service_error"),
            (Some("403"), None, "other_error"),
            (Some("KMSAccessDeniedException"), None, "denied"),
            (Some("KMSAccessDenied"), None, "denied"),
            (Some("KMSAccessDeniedFault"), None, "denied"),
            (Some("EncryptionKeyAccessDeniedException"), None, "denied"),
            (Some("KmsDisabled"), None, "key_unavailable"),
            (Some("KmsKeyDisabledException"), None, "key_unavailable"),
            (Some("KMS.KMSInvalidStateException"), None, "key_unavailable"),
            (Some("KmsInvalidStateException"), None, "key_unavailable"),
            (Some("KMSKeyNotAccessibleFault"), None, "key_unavailable"),
            (Some("Client.CustomerKeyHasBeenRevoked"), None, "key_unavailable"),
            (Some("Client.InvalidKMSKey.InvalidState"), None, "key_unavailable"),
            (Some("InvalidState"), None, "other_error"),
            (Some("KMS.NotFoundException"), None, "not_found"),
            (Some("KmsNotFound"), None, "not_found"),
            (Some("KMSThrottlingException"), None, "throttled"),
            (Some("KmsInvalidKeyUsageException"), None, "invalid"),
            (Some("KMSLimitExceededException"), None, "throttled"),
            (Some("KMSInvalidGrantTokenException"), None, "invalid"),
            (Some("kmsAccessDeniedException"), None, "denied"),
            (Some("com.amazonaws.sqs#KmsDisabled"), None, "key_unavailable"),
            (Some("CloudHsmAccessDeniedException"), None, "denied"),
            (Some("KmsException"), None, "other_error"),
            (Some("KMS"), None, "other_error"),
            (Some("KMSOptInRequired"), None, "other_error"),
            (Some("KMS.UnrecognizedClientException"), None, "other_error"),
            (Some("EncryptionIntegrityChecksFailedException"), None, "other_error"),
            (Some("."), None, "other_error"),
        ] {
            assert_eq!(Outcome::of(code, message).name(), outcome, "{code:?}");
        }
    }

    #[test]
    fn an_answer_of_kms_is_found_in_the_words_of_others() {
        let refusal = "User: x is not authorized to perform: kms:Decrypt on resource: y";
        for (message, expected) in [
            (
                "Lambda failed. KMS Exception: DisabledExceptionKMS Message: It is disabled",
                Some(("key_unavailable", "It is disabled")),
            ),
            ("Lambda failed. KMS Exception: NotFoundException KMS Message: no key", Some(("not_found", "no key"))),
            (&format!("KMS Exception: UnknownException KMS Message: {refusal}"), Some(("denied", refusal))),
            ("KMS Exception: DisabledException", None),
            (
                "com.amazonaws.AWSKMSException: It is disabled (Service: AWSKMS; Status Code: 400; Error Code: DisabledException; Request ID: z)",
                Some(("key_unavailable", "It is disabled")),
            ),
            (
                "It is disabled (Service: Kms, Status Code: 400, Error Code: DisabledException)",
                Some(("key_unavailable", "It is disabled")),
            ),
            ("a.NotFoundException: no key (Service: Kms, Status Code: 400)", Some(("not_found", "no key"))),
            ("a.NotFoundException: no key (Service: AmazonS3; Error Code: NotFoundException)", None),
            ("a.NotFoundException: no key", None),
            (
                "KMS key access denied error: a.KMSException: no (Service: AWSKMS; Error Code: NotFoundException; Request ID: z)",
                Some(("denied", "no")),
            ),
            (
                &format!(
                    "KMS validation error: a.KMSException: {refusal} (Service: AWSKMS; Error Code: ValidationException)"
                ),
                Some(("denied", refusal)),
            ),
            (
                "KMS validation error: a.KMSException: no (Service: AWSKMS; Error Code: ValidationException)",
                Some(("invalid", "no")),
            ),
            ("Access to KMS is not allowed", Some(("denied", "Access to KMS is not allowed"))),
            (refusal, Some(("denied", refusal))),
            ("User: x is not authorized to perform: s3:GetObject on resource: y", None),
            ("It is disabled", None),
        ] {
            let found = WrappedError::of(message).map(|error| (error.outcome.name(), error.message.text));
            assert_eq!(found, expected, "{message}");
        }
    }

    #[test]
    fn a_refusal_names_what_it_names() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/1";
        for (after, reason, effect, resource) in [
            ("* because no identity-based policy allows it", "identity_policy", Some("implicit"), "*"),
            ("* (all of them) because no identity-based policy allows it", "identity_policy", Some("implicit"), "*"),
            (
                &format!("{key} (alias x) because no identity-based policy allows it"),
                "identity_policy",
                Some("implicit"),
                key,
            ),
            ("a b because no identity-based policy allows it", "identity_policy", Some("implicit"), "a b"),
            (
                "arn:aws:s3:::a b because no identity-based policy allows it",
                "identity_policy",
                Some("implicit"),
                "arn:aws:s3:::a b",
            ),
            ("kms:a b because no identity-based policy allows it", "identity_policy", Some("implicit"), "kms:a b"),
            ("* because nobody allows it", "unparsed", None, "*"),
            ("* because the resource does not exist", "resource_policy_or_missing", None, "*"),
            ("* Encoded authorization failure message: abc", "unspecified", None, "*"),
            ("* Troubleshoot it", "unspecified", None, "*"),
            ("* See authorization ID 7", "unspecified", None, "*"),
            ("* See there", "unparsed", None, "*"),
            ("*", "unspecified", None, "*"),
        ] {
            let message = format!("User: x is not authorized to perform: kms:Decrypt on resource: {after}");
            let denial = Denial::of(None, Some(ErrorText::of(&message)));
            let action = Some("kms:Decrypt");
            assert_eq!(
                (denial.reason, denial.effect, denial.action, denial.resource),
                (reason, effect, action, Some(resource)),
                "{after}"
            );
        }
    }

    #[test]
    fn half_a_policy_type_decides_only_where_one_is_left() {
        let start =
            "User: arn:aws:iam::111122223333:user/ana is not authorized to perform: kms:Decrypt on resource: * ";
        for (tail, reason, effect) in [
            ("because no identity-ba", "identity_policy", Some("implicit")),
            ("because no v", "vpc_endpoint_policy", Some("implicit")),
            ("because no resource-b", "resource_policy", Some("implicit")),
            ("because no resource", "unparsed", Some("implicit")),
            ("because no s", "unparsed", Some("implicit")),
            ("because no", "unparsed", Some("implicit")),
            ("becau", "unparsed", None),
            ("with an explicit deny in a service con", "scp", Some("explicit")),
            ("with an explicit deny in", "unparsed", Some("explicit")),
            ("with an explicit den", "unparsed", None),
            ("with an explicit deny in a martian policy", "unparsed", Some("explicit")),
            ("because no identity-based-ish policy", "unparsed", Some("implicit")),
        ] {
            let message = format!("{start}{tail}");
            let denial = Denial::of(None, Some(ErrorText::of(&message)));
            assert_eq!((denial.reason, denial.effect), (reason, effect), "{tail}");
        }
    }

    #[test]
    fn a_name_that_the_cap_may_have_cut_is_no_name() {
        let long = format!(
            "User: arn:aws:sts::111122223333:assumed-role/app/{} is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111122223333:key/0f1e",
            "s".repeat(1000)
        );
        let denial = Denial::of(None, Some(ErrorText::of(&long)));
        assert_eq!((denial.reason, denial.action, denial.resource), ("unparsed", Some("kms:Decrypt"), None));
    }
}
