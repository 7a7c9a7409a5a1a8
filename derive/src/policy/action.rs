//! Actions as policies name them, and the operations that they stand for.
//! In: an element of `Action` or `NotAction`. Out: a pattern that is the same in every spelling, with AWS's own where
//! KMS has an action of that name.
//! Never lists the actions that a pattern covers: AWS adds new ones.

use std::cmp::Ordering;

use keytrail_rows::normalize::OPERATIONS;

use super::wildcard;

/// Actions of KMS that are no names of events: ReEncrypt needs one on each side, and the last two are not logged yet.
const MORE_ACTIONS: [&str; 4] = ["ReEncryptFrom", "ReEncryptTo", "Encapsulate", "Decapsulate"];

/// The actions that administer a key, in lower case: whoever has one can open it to others, or take it away.
const ADMINISTRATION: [&str; 3] = ["kms:putkeypolicy", "kms:creategrant", "kms:schedulekeydeletion"];

/// One action or pattern of actions, as `kms:Generate*`. Two that differ by case only are equal.
#[derive(Debug, Clone)]
pub(crate) struct ActionPattern {
    text: String,
    folded: String,
    administers_keys: bool,
}

impl ActionPattern {
    /// The pattern that an element of a policy names.
    pub fn of(written: &str) -> ActionPattern {
        let folded = written.to_ascii_lowercase();
        let name = folded.strip_prefix("kms:").map(|_| &written["kms:".len()..]);
        let text = match name {
            Some(name) => format!("kms:{}", canonical_name(name).unwrap_or(name)),
            None => written.to_owned(),
        };
        let administers_keys = ADMINISTRATION.iter().any(|action| wildcard::covers(&folded, action));
        ActionPattern { text, folded, administers_keys }
    }

    /// As the policy has it, or as AWS spells an action of KMS.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if every action of the other is one of this.
    pub fn covers(&self, other: &ActionPattern) -> bool {
        wildcard::covers(&self.folded, &other.folded)
    }

    /// True if some action of KMS may be among them.
    pub fn bears_on_kms(&self) -> bool {
        match self.folded.split_once(':') {
            Some((service, _)) => wildcard::covers(service, "kms"),
            None => self.is_everything(),
        }
    }

    /// True for `*`.
    pub fn is_everything(&self) -> bool {
        !self.folded.is_empty() && self.folded.bytes().all(|byte| byte == b'*')
    }

    /// True if it covers an action that administers a key.
    pub fn administers_keys(&self) -> bool {
        self.administers_keys
    }

    /// True if it covers this action, as `kms:Decrypt`.
    pub fn allows(&self, action: &str) -> bool {
        wildcard::covers(&self.folded, &action.to_ascii_lowercase())
    }
}

impl PartialEq for ActionPattern {
    fn eq(&self, other: &ActionPattern) -> bool {
        self.folded == other.folded
    }
}

impl Eq for ActionPattern {}

impl PartialOrd for ActionPattern {
    fn partial_cmp(&self, other: &ActionPattern) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ActionPattern {
    fn cmp(&self, other: &ActionPattern) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}

/// AWS's spelling of the name of an action of KMS.
fn canonical_name(name: &str) -> Option<&'static str> {
    let of_events = OPERATIONS.iter().flat_map(|(_, names)| names.iter().copied());
    of_events.chain(MORE_ACTIONS).find(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_spelled_as_aws_does() {
        for (written, text) in [
            ("kms:decrypt", "kms:Decrypt"),
            ("KMS:REENCRYPTTO", "kms:ReEncryptTo"),
            ("KMS:generate*", "kms:generate*"),
            ("kms:Unheard", "kms:Unheard"),
            ("*", "*"),
            ("S3:getobject", "S3:getobject"),
        ] {
            assert_eq!(ActionPattern::of(written).text(), text);
        }
        assert_eq!(ActionPattern::of("KMS:Generate*"), ActionPattern::of("kms:generate*"));
    }

    #[test]
    fn patterns_cover_actions_and_bear_on_kms() {
        for (pattern, action, is_covered) in [
            ("kms:*", "kms:Decrypt", true),
            ("*", "kms:Decrypt", true),
            ("kms:Generate*", "kms:GenerateDataKeyWithoutPlaintext", true),
            ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", false),
            ("kms:Decrypt*", "kms:Encrypt", false),
            ("s3:*", "kms:Decrypt", false),
        ] {
            assert_eq!(ActionPattern::of(pattern).allows(action), is_covered, "{pattern} {action}");
        }
        for (pattern, bears) in [("*", true), ("*:*", true), ("km?:x", true), ("kmsx:*", false), ("", false)] {
            assert_eq!(ActionPattern::of(pattern).bears_on_kms(), bears, "{pattern}");
        }
        for (pattern, administers) in
            [("kms:*", true), ("kms:create*", true), ("kms:CreateKey", false), ("kms:Decrypt", false)]
        {
            assert_eq!(ActionPattern::of(pattern).administers_keys(), administers, "{pattern}");
        }
    }
}
