//! Reads the times of the command line: `--since`, `--until` and `--during`.
//! In: text and the time now. Out: microseconds since 1970 UTC, half-open `[since, until)`.
//! Never reads a clock and never guesses: it refuses text that is no time.

use chrono::{DateTime, Months, NaiveDate, SecondsFormat};

use crate::time::{MICROS_PER_DAY, MICROS_PER_SECOND};

/// A point in time as a user wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenTime {
    pub micros: i64,
    /// True of a date without a time, which means the start of that day.
    pub is_bare_date: bool,
}

/// `2026-03-14T09:00:00Z`, `2026-03-14`, or `7d`, `24h` back from `now_micros`.
pub fn moment(text: &str, now_micros: i64) -> Result<GivenTime, String> {
    if let Some(day) = date(text) {
        return Ok(GivenTime { micros: midnight(day), is_bare_date: true });
    }
    if let Some(span) = span(text) {
        let micros =
            span.and_then(|s| now_micros.checked_sub(s)).filter(|m| DateTime::from_timestamp_micros(*m).is_some());
        return match micros {
            Some(micros) => Ok(GivenTime { micros, is_bare_date: false }),
            None => Err(format!("`{text}` reaches back beyond all time")),
        };
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(GivenTime { micros: at.timestamp_micros(), is_bare_date: false }),
        Err(_) if DateTime::parse_from_rfc3339(&format!("{text}Z")).is_ok() => {
            Err(format!("`{text}` names no time zone; write `{text}Z` for UTC"))
        }
        Err(_) => Err(format!("`{text}` is not a time; write 2026-03-14, 2026-03-14T09:00:00Z, 7d or 24h")),
    }
}

/// `2026`, `2026-Q1`, `2026-03` or `2026-03-14`, as the half-open interval of that year, quarter, month or day.
pub fn during(text: &str) -> Result<(i64, i64), String> {
    let interval = || -> Option<(NaiveDate, NaiveDate)> {
        if let Some(day) = date(text) {
            return Some((day, day.succ_opt()?));
        }
        let (year, rest) = text.split_at_checked(4)?;
        let year = i32::try_from(digits(year)?).ok()?;
        let (month, months) = match rest.as_bytes() {
            [] => (1, 12),
            [b'-', b'Q' | b'q', n @ b'1'..=b'4'] => (u32::from(n - b'1') * 3 + 1, 3),
            [b'-', _, _] => (u32::try_from(digits(&rest[1..])?).ok()?, 1),
            _ => return None,
        };
        let start = NaiveDate::from_ymd_opt(year, month, 1)?;
        Some((start, start.checked_add_months(Months::new(months))?))
    };
    interval().map(|(from, to)| (midnight(from), midnight(to))).ok_or_else(|| {
        format!("`{text}` is not a year, quarter, month or day; write 2026, 2026-Q1, 2026-03 or 2026-03-14")
    })
}

/// RFC 3339 with `Z`; the fraction is left out if it is zero.
pub fn rfc3339(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{micros} µs"),
    }
}

/// An interval in words, open ends included.
pub fn interval(since: Option<i64>, until: Option<i64>) -> String {
    match (since, until) {
        (None, None) => "all time".to_owned(),
        (Some(s), None) => format!("from {} on", rfc3339(s)),
        (None, Some(u)) => format!("before {}", rfc3339(u)),
        (Some(s), Some(u)) => format!("from {} until before {}", rfc3339(s), rfc3339(u)),
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    let b = text.as_bytes();
    if b.len() != 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(text.get(..4)?)?, digits(text.get(5..7)?)?, digits(text.get(8..)?)?);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

/// Reads a span as microseconds; `Some(None)` is too large to compute with. The units are those of
/// `aws logs tail --since`.
pub fn span(text: &str) -> Option<Option<i64>> {
    let unit = text.chars().last()?;
    let count = digits(text.strip_suffix(unit)?)?;
    let micros = match unit {
        's' => MICROS_PER_SECOND,
        'm' => 60 * MICROS_PER_SECOND,
        'h' => 3_600 * MICROS_PER_SECOND,
        'd' => MICROS_PER_DAY,
        'w' => 7 * MICROS_PER_DAY,
        _ => return None,
    };
    Some(count.checked_mul(micros))
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A number with more digits than an i64 holds is refused as too large, not as no number.
    Some(text.parse().unwrap_or(i64::MAX))
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_773_480_600_000_000; // 2026-03-14T09:30:00Z

    #[test]
    fn reads_moments() {
        for (text, at) in [
            ("2026-03-14", "2026-03-14T00:00:00Z"),
            ("2026-03-14T09:00:00Z", "2026-03-14T09:00:00Z"),
            ("2026-03-14T09:00:00.250+02:00", "2026-03-14T07:00:00.250Z"),
            ("7d", "2026-03-07T09:30:00Z"),
            ("24h", "2026-03-13T09:30:00Z"),
            ("2w", "2026-02-28T09:30:00Z"),
        ] {
            let got = moment(text, NOW).unwrap();
            assert_eq!(rfc3339(got.micros), at, "{text}");
            assert_eq!(got.is_bare_date, text.len() == 10, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-13-01",
            "20260314",
            "2026-03-14T09:00:00",
            "7",
            "d",
            "-7d",
            "7D",
            "99999999999999999999d",
            "9223372036854775807s",
            "2026-03-14T25:00:00Z",
            "٧d",
            "漢字漢字漢",
            "2026-3-14",
        ] {
            assert!(moment(text, NOW).is_err(), "{text}");
        }
        assert!(moment("2026-03-14T09:00:00", NOW).unwrap_err().contains("09:00:00Z"));
    }

    #[test]
    fn reads_intervals() {
        for (text, from, to) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-Q1", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            ("2026-q4", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        ] {
            let (a, b) = during(text).unwrap();
            assert_eq!((rfc3339(a), rfc3339(b)), (from.to_owned(), to.to_owned()), "{text}");
        }
        for text in
            ["", "26", "2026-13", "2026-Q5", "2026-Q", "2026-W3", "2025-02-29", "2026-3", "March", "漢字", "２０２６"]
        {
            assert!(during(text).is_err(), "{text}");
        }
    }
}
