//! Reads AWS's timestamps, and is the only place that reads a clock.
//! In: text. Out: microseconds or days since 1970, UTC.
//! Never guesses: text without a zone, epoch numbers and dates that no calendar has are not times.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Times are microseconds since 1970, UTC, all over the program.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Of an hour.
pub const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;
/// Of a UTC day, which has no leap second here.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The year in which CloudTrail began to log.
const FIRST_YEAR: i64 = 2013;
/// Longest text that is read as a time; AWS writes 20 bytes.
const TIME_BYTES_MAX: usize = 64;

/// The time now, in microseconds since 1970, read once per process so that one run has one `now`.
pub fn now_micros() -> i64 {
    static NOW: OnceLock<i64> = OnceLock::new();
    *NOW.get_or_init(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
    })
}

/// The time of a file, as microseconds since 1970; none before that.
pub fn micros_of(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()
}

/// RFC 3339 with a zone, of the years 1 to 9999, as microseconds since 1970; finer digits are cut off.
/// A leap second is the last microsecond of its minute, so that it stays in its day.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.len() > TIME_BYTES_MAX || !matches!(bytes[10], b'T' | b't') {
        return None;
    }
    if [bytes[4], bytes[7], bytes[13], bytes[16]] != *b"--::" {
        return None;
    }
    let day = days_from_civil(number(&bytes[0..4])?, number(&bytes[5..7])?, number(&bytes[8..10])?)?;
    let (hour, minute, second) = (number(&bytes[11..13])?, number(&bytes[14..16])?, number(&bytes[17..19])?);
    let (fraction, zone) = fraction(&bytes[19..])?;
    let offset_minutes = offset_minutes(zone)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minute_of_time = day * 1440 + hour * 60 + minute - offset_minutes;
    let micros = if second == 60 {
        if minute_of_time.rem_euclid(1440) != 1439 {
            return None;
        }
        60 * MICROS_PER_SECOND - 1
    } else {
        second * MICROS_PER_SECOND + fraction
    };
    let (first, last) = (days_from_civil(1, 1, 1)?, days_from_civil(9999, 12, 31)?);
    (first..=last)
        .contains(&minute_of_time.div_euclid(1440))
        .then_some(minute_of_time * 60 * MICROS_PER_SECOND + micros)
}

/// A time as exports write those of CloudTrail: with a space in place of RFC 3339's `T`, or without a zone. CloudTrail
/// knows no zone but UTC.
pub fn parse_exported(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let mut bytes = [0; TIME_BYTES_MAX + 1];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    let day_end = bytes.get_mut(10)?;
    if *day_end == b' ' {
        *day_end = b'T';
    }
    let has_zone = text.bytes().skip(19).any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
    bytes[text.len()] = b'Z';
    let length = if has_zone { text.len() } else { text.len() + 1 };
    parse_rfc3339(std::str::from_utf8(&bytes[..length]).ok()?)
}

/// The UTC day of a time, as days since 1970.
pub fn day_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

/// The day of an event, if it lies where CloudTrail can have logged it: from 2013 to the end of next year.
pub fn event_day(micros: i64) -> Option<i32> {
    static DAYS: OnceLock<(i64, i64)> = OnceLock::new();
    let (first, end) = *DAYS.get_or_init(|| event_days(now_micros()));
    let day = day_of(micros);
    (first..end).contains(&day).then_some(i32::try_from(day).ok()?)
}

/// First day, and the day after the last, on which events may lie at a given time.
pub fn event_days(now_micros: i64) -> (i64, i64) {
    let first_of = |year| days_from_civil(year, 1, 1).unwrap_or(i64::from(i32::MAX));
    (first_of(FIRST_YEAR), first_of(year_of(day_of(now_micros)) + 2))
}

/// All digits or nothing.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Microseconds of a fraction, if there is one, and the rest of the text.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else {
        return Some((0, rest));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |value, at| {
        value * 10 + rest.get(at).filter(|_| at < digits).map_or(0, |digit| i64::from(digit - b'0'))
    });
    (digits > 0).then_some((micros, &rest[digits..]))
}

fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let size = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if *sign == b'+' { size } else { -size })
        }
        _ => None,
    }
}

/// Days since 1970 of a date of the Gregorian calendar, after Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) {
        return None;
    }
    // Years begin in March here, so that a leap day is the last day of its year.
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The calendar year of a day since 1970.
fn year_of(day: i64) -> i64 {
    let mut year = 1970 + day.div_euclid(366);
    while days_from_civil(year + 1, 1, 1).is_some_and(|next| next <= day) {
        year += 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_what_only_looks_like_one() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-02T03:04:05Z", Some(1_767_323_045_000_000)),
            ("2026-01-02T12:04:05+09:00", Some(1_767_323_045_000_000)),
            ("2026-01-02t03:04:05z", Some(1_767_323_045_000_000)),
            ("2026-01-02T03:04:05.123Z", Some(1_767_323_045_123_000)),
            ("2026-01-02T03:04:05.123456789Z", Some(1_767_323_045_123_456)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_999_999)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000_000)),
            ("1677-09-21T00:12:43Z", Some(-9_223_372_037_000_000)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000)),
            ("0000-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00+09:00", None),
            ("10000-01-01T00:00:00Z", None),
            ("-0001-01-01T00:00:00Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-13-45T99:99:99Z", None),
            ("2026-01-02T03:04:60Z", None),
            ("2026-01-02 03:04:05", None),
            ("2022-02-08 09:23:37+11:00", None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02T03:04:05.Z", None),
            ("2026-01-02T03:04:05+0900", None),
            ("٢٠٢٦-٠١-٠٢T03:04:05Z", None),
            ("1767323045", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), micros, "{text}");
        }
    }

    #[test]
    fn each_field_of_a_time_has_its_bounds() {
        for (text, micros) in [
            ("2026-01-02T00:00:00.000001Z", Some(1_767_312_000_000_001)),
            ("2026-01-02T23:59:59+23:59", Some(1_767_312_059_000_000)),
            ("2026-01-01T18:04:05-09:00", Some(1_767_323_045_000_000)),
            ("2026-01-02T08:34:05+05:30", Some(1_767_323_045_000_000)),
            ("2017-01-01T08:59:60+09:00", Some(1_483_228_799_999_999)),
            ("2026-01-02T24:04:05Z", None),
            ("2026-01-02T03:60:05Z", None),
            ("2026-01-02T23:59:61Z", None),
            ("2026-01-02T03:04:05+24:00", None),
            ("2026-01-02T03:04:05+09:60", None),
            ("2026-01-02T03:04:05.5", None),
            ("9999-12-31T23:59:59-00:01", None),
        ] {
            assert_eq!(parse_rfc3339(text), micros, "{text}");
        }
        // The longest text has 64 bytes, of which 21 are no digits of the fraction.
        for (digits, micros) in [(43, Some(1_767_323_045_000_000)), (44, None)] {
            assert_eq!(parse_rfc3339(&format!("2026-01-02T03:04:05.{}Z", "0".repeat(digits))), micros, "{digits}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut next = day_of(parse_rfc3339("0001-01-01T00:00:00Z").unwrap());
        for year in 1..=9999 {
            let is_leap = if year % 100 == 0 { year % 400 == 0 } else { year % 4 == 0 };
            let (first, february) = (next, if is_leap { 29 } else { 28 });
            for (month, days) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for day in 1..=days {
                    assert_eq!(days_from_civil(year, month, day), Some(next), "{year}-{month}-{day}");
                    next += 1;
                }
                assert_eq!(days_from_civil(year, month, days + 1), None, "{year}-{month}");
                assert_eq!(days_from_civil(year, month, 0), None, "{year}-{month}");
            }
            if year >= 1970 {
                assert_eq!((year_of(first), year_of(next - 1)), (year, year));
            }
        }
        assert_eq!((days_from_civil(2026, 0, 1), days_from_civil(2026, 13, 1)), (None, None));
    }

    #[test]
    fn a_time_has_a_day_only_where_events_can_lie() {
        let day = |text: &str| event_day(parse_rfc3339(text).unwrap());
        assert_eq!(day("2012-12-31T23:59:59Z"), None);
        assert_eq!(day("2013-01-01T00:00:00Z"), Some(15_706));
        assert_eq!(day("2026-01-01T23:59:59Z"), Some(20_454));
        assert_eq!(event_day(now_micros()).map(i64::from), Some(day_of(now_micros())));
        assert_eq!(day("9999-12-31T23:59:59Z"), None);
        let at = |micros| UNIX_EPOCH + std::time::Duration::from_micros(micros);
        assert_eq!(micros_of(at(1_767_323_045_000_001)), Some(1_767_323_045_000_001));
        assert_eq!(micros_of(UNIX_EPOCH - std::time::Duration::from_secs(1)), None);
        let now = micros_of(SystemTime::now()).unwrap();
        assert!((now - MICROS_PER_DAY..=now).contains(&now_micros()), "{} is not about {now}", now_micros());
    }

    #[test]
    fn exports_write_utc_without_saying_so() {
        let micros = Some(1_767_323_045_000_000);
        for (text, micros) in [
            ("2026-01-02 03:04:05", micros),
            ("2026-01-02 03:04:05.000000000", micros),
            ("2026-01-02T03:04:05", micros),
            ("2026-01-02 12:04:05+09:00", micros),
            ("2026-01-02 03:04:05Z", micros),
            ("2026-01-02", None),
            ("2026-01-02 03:04", None),
            ("2026-01-02 03:04:05 UTC", micros),
            ("2026-01-02 03:04:05 CET", None),
            ("2026-01-02_03:04:05", None),
            ("Jan 2, 2026, 3:04:05 AM", None),
            ("", None),
        ] {
            assert_eq!(parse_exported(text), micros, "{text}");
        }
        assert_eq!(parse_exported(&"2".repeat(70)), None);
    }

    #[test]
    fn events_lie_between_2013_and_next_year() {
        let (first, end) = event_days(parse_rfc3339("2026-06-30T12:00:00Z").unwrap());
        assert_eq!(first, day_of(parse_rfc3339("2013-01-01T00:00:00Z").unwrap()));
        assert_eq!(end, day_of(parse_rfc3339("2028-01-01T00:00:00Z").unwrap()));
        for (day, year) in [(0, 1970), (364, 1970), (365, 1971), (20_089, 2025), (-1, 1969)] {
            assert_eq!(year_of(day), year, "{day}");
        }
    }
}
