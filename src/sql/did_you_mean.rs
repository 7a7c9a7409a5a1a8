//! The one rule for guessing the name that was meant.
//! In: an unknown name, and the known names. Out: a question with the likely names, if there are any.
//! Never offers a name that is not alike.

/// The least Jaro-Winkler likeness at which a name may be a slip of another; 1 is the same name.
const LIKENESS_MIN: f64 = 0.75;

/// The most names to offer.
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
