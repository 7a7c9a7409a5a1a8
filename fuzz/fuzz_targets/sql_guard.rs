//! Puts any text to the SQL guard: it must answer, and must let through only what begins like a question.
#![no_main]

use keytrail::sql::guard::{Checked, check};
use libfuzzer_sys::fuzz_target;

/// What no statement may begin with that the guard takes for a query.
const WRITERS: [&str; 14] = [
    "copy", "create", "insert", "update", "delete", "drop", "alter", "set", "reset", "truncate", "merge", "grant",
    "prepare", "execute",
];

fuzz_target!(|data: &[u8]| {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    if check(sql) == Ok(Checked::Query) {
        let first: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        let first = first.to_ascii_lowercase();
        assert!(!WRITERS.contains(&first.as_str()), "let through: {sql}");
    }
});
