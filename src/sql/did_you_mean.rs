//! The one rule for names that were probably meant.
//! In: a name that nothing has, and the names that there are. Out: a question with the likely ones, if any is.
//! Never guesses: a name that is not alike is not offered.

/// Jaro-Winkler likeness from which a name may be a slip of another; 1 is the same name.
const LIKENESS_MIN: f64 = 0.75;

/// Most names that are offered.
const OFFERED_MAX: usize = 3;

/// `did you mean …?` with the names most like `given`, the likeliest first.
pub fn did_you_mean<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let given = given.to_lowercase();
    let likeness = |name: &'n str| (strsim::jaro_winkler(&given, &name.to_lowercase()), name);
    let mut near: Vec<(f64, &str)> = names.into_iter().map(likeness).filter(|(like, _)| *like > LIKENESS_MIN).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let offered: Vec<String> = near.iter().take(OFFERED_MAX).map(|(_, name)| format!("`{name}`")).collect();
    (!offered.is_empty()).then(|| format!("did you mean {}?", offered.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_likely_names_are_offered() {
        let names = ["events", "key_use", "key_users", "denials"];
        for (given, expected) in [
            ("event", Some("did you mean `events`?")),
            ("KEY_USE", Some("did you mean `key_use`, `key_users`?")),
            ("customers", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(given, names).as_deref(), expected, "{given}");
        }
    }
}
