//! The views of the contract, as SQL files, in the order in which they build on each other.

macro_rules! views {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../queries/views/", $name, ".sql"))),)*]
    };
}

/// Name and SQL of every view.
pub fn all() -> &'static [(&'static str, &'static str)] {
    views![
        "key_calls",
        "alias_keys",
        "calls",
        "call_copies",
        "key_attempts",
        "key_use",
        "dynamodb_key_attempts",
        "dynamodb_key_use",
        "dynamodb_key_use_by_principal",
        "failures",
        "denials",
        "key_changes",
        "keys",
        "principals",
    ]
}
