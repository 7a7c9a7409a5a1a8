//! Dates, counts and AWS's words as people say them.
//! In: values of facts. Out: short text. Never says more than the value does.

use chrono::{DateTime, Datelike, Timelike};

use super::names::shown;
use crate::output::words;

/// `12 March 2026, 09:14:27`
pub(super) fn moment(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => format!("{}, {}", day(micros), at.format("%H:%M:%S")),
        None => format!("{micros} µs"),
    }
}

/// `12 March 2026`
pub(super) fn day(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.format("%-d %B %Y").to_string(),
        None => format!("{micros} µs"),
    }
}

/// `2026-03-12 09:14:27`, for tables.
pub(super) fn stamp(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => format!("{micros} µs"),
    }
}

/// `12 March 09:00`, for the ends of a chart.
pub(super) fn tick(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) if at.hour() == 0 && at.minute() == 0 => at.format("%-d %b").to_string(),
        Some(at) => at.format("%-d %b %H:%M").to_string(),
        None => format!("{micros} µs"),
    }
}

/// `10 to 14 March 2026`
pub(super) fn days(from: i64, to: i64) -> String {
    let at = |micros| DateTime::from_timestamp_micros(micros);
    match (at(from), at(to)) {
        (Some(a), Some(b)) if a.date_naive() == b.date_naive() => day(from),
        (Some(a), Some(b)) if (a.year(), a.month()) == (b.year(), b.month()) => format!("{} to {}", a.day(), day(to)),
        (Some(a), Some(b)) if a.year() == b.year() => format!("{} to {}", a.format("%-d %B"), day(to)),
        _ => format!("{} to {}", day(from), day(to)),
    }
}

/// Two moments, the second without its day where both have one.
pub(super) fn interval(from: i64, to: i64) -> String {
    if from == to {
        return stamp(from);
    }
    match day(from) == day(to) {
        true => format!("{} to {}", stamp(from), &stamp(to)[11..]),
        false => format!("{} to {}", stamp(from), stamp(to)),
    }
}

/// `9 minutes`, `2 hours 5 minutes`
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let (first, second) = match seconds {
        0..60 => return counted(seconds, "second"),
        60..3600 => ((seconds / 60, "minute"), (seconds % 60, "second")),
        3600..86400 => ((seconds / 3600, "hour"), (seconds % 3600 / 60, "minute")),
        _ => ((seconds / 86400, "day"), (seconds % 86400 / 3600, "hour")),
    };
    match second.0 {
        0 => counted(first.0, first.1),
        _ => format!("{} {}", counted(first.0, first.1), counted(second.0, second.1)),
    }
}

/// `1 finding`, `2 findings`
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", words::count(number), if number == 1 { "" } else { "s" })
}

/// `1 key`, `2 keys`, with the noun's own plural.
pub(super) fn counted_as(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", words::count(number), if number == 1 { one } else { many })
}

/// `once`, `twice`, `12 times`
pub(super) fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", words::count(number)),
    }
}

/// `a`, `a and b`, `a, b and c`
pub(super) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The reason of a refusal, as a phrase after `because` or in a table.
pub(super) fn reason(reason: Option<&str>) -> String {
    let words = match reason {
        Some("identity_policy") => "identity policy",
        Some("resource_policy") => "key policy",
        Some("session_policy") => "session policy",
        Some("permissions_boundary") => "permissions boundary",
        Some("scp") => "service control policy",
        Some("rcp") => "resource control policy",
        Some("vpc_endpoint_policy") => "VPC endpoint policy",
        Some("role_trust_policy") => "role trust policy",
        Some("resource_policy_or_missing") => "key policy, or no such key",
        Some("unparsed") => "a message of a new form",
        Some("unspecified") | None => "AWS names none",
        Some(other) => return shown(other),
    };
    words.to_owned()
}

/// The meaning of a refusal of this reason, as a clause.
pub(super) fn reason_clause(reason: Option<&str>, effect: Option<&str>) -> String {
    match (reason, effect) {
        (Some("identity_policy"), Some("explicit")) => "an identity policy of its own denied the action".to_owned(),
        (Some("identity_policy"), _) => "no identity policy of its own allowed the action".to_owned(),
        (Some("resource_policy"), Some("explicit")) => "the key policy denied the action".to_owned(),
        (Some("resource_policy"), _) => "the key policy did not allow the action".to_owned(),
        (Some("resource_policy_or_missing"), _) => {
            "AWS gave its message of three causes: a policy of the key, of the caller, or no such key".to_owned()
        }
        (Some("unspecified" | "unparsed") | None, _) => {
            "AWS did not say in words known here which policy refused it".to_owned()
        }
        (Some(_), Some("explicit")) => format!("a {} denied the action", self::reason(reason)),
        (Some(_), Some(_)) => format!("no {} allowed the action", self::reason(reason)),
        (Some(_), None) => format!("AWS named a {} as the reason", self::reason(reason)),
    }
}

/// The short word of a digest of 64 hexadecimal digits, in groups.
pub(super) fn grouped(hex: &str) -> String {
    let groups: Vec<&str> =
        hex.as_bytes().chunks(4).take(4).map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_in_words() {
        let (from, to) = (1_773_151_120_000_000, 1_773_493_880_000_000);
        assert_eq!(days(from, to), "10 to 14 March 2026");
        assert_eq!(moment(from), "10 March 2026, 13:58:40");
        assert_eq!(interval(from, from + 1_000_000), "2026-03-10 13:58:40 to 13:58:41");
        for (seconds, words) in
            [(1, "1 second"), (537, "8 minutes 57 seconds"), (-7200, "2 hours"), (90_000, "1 day 1 hour")]
        {
            assert_eq!(duration(seconds), words);
        }
        assert_eq!((times(1), times(2), times(3)), ("once".into(), "twice".into(), "3 times".into()));
        assert_eq!(joined(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
