//! The limits of logs, so that nobody takes silence as proof.
//! In: the accounts of an audit. Out: sentences. Never depends on a row.

use crate::table::Accounting;

/// CloudTrail cannot show these in any log.
pub const LIMITS: [&str; 6] = [
    "Refusals of callers from other accounts are logged in their account, not in the key owner's.",
    "DynamoDB caches a table's key for about five minutes: its calls to KMS are a lower bound of accesses, reads or writes (which, only data events tell), and a table under a key that AWS owns shows none.",
    "Keys that AWS owns appear in no log of yours.",
    "Use of a public key outside AWS (encrypting, verifying) is logged nowhere.",
    "Throttled and malformed calls may be missing: AWS does not log all of them.",
    "Only what the given locations hold was read: an absent file is not an absent call, and earlier history may hold the cause of what is shown.",
];

/// The limit that applies if any location is event history.
const HISTORY_LIMIT: &str = "Events of cloudtrail:// locations come from the event history: the last 90 days of management events, which no digest covers.";

/// All limits that apply to the logs that were read.
pub fn of(accounting: &Accounting) -> Vec<&'static str> {
    let has_history = accounting.history_objects > 0;
    LIMITS.into_iter().chain(has_history.then_some(HISTORY_LIMIT)).collect()
}
