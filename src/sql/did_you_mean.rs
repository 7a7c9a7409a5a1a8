//! The one rule for guessing the name that was meant.
//! In: an unknown name, and the known names. Out: a question with the likely names, if there are any, or the nearest names.
//! Never says that a name was meant which is not alike.

/// The least Jaro-Winkler likeness at which a name may be a slip of another; 1 is the same name.
const LIKENESS_MIN: f64 = 0.75;

/// The most names to offer.
const OFFERED_MAX: usize = 3;

/// `did you mean …?` with the names most like `given`, the likeliest first.
pub fn did_you_mean<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let near = ranked(given, names).into_iter().take_while(|(like, _)| *like > LIKENESS_MIN);
    let offered: Vec<String> = near.take(OFFERED_MAX).map(|(_, name)| format!("`{name}`")).collect();
    (!offered.is_empty()).then(|| format!("did you mean {}?", offered.join(", ")))
}

/// The names most like `given`, the likeliest first; one of them even where none is alike.
pub fn nearest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let ranked = ranked(given, names);
    let alike = ranked.iter().take_while(|(like, _)| *like > LIKENESS_MIN).count();
    ranked.into_iter().take(alike.clamp(1, OFFERED_MAX)).map(|(_, name)| name).collect()
}

/// The `most` names most like `given`, alike or not, the likeliest first.
pub fn likeliest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>, most: usize) -> Vec<&'n str> {
    ranked(given, names).into_iter().take(most).map(|(_, name)| name).collect()
}

/// All names with their likeness, the likeliest first.
fn ranked<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<(f64, &'n str)> {
    let given = given.to_lowercase();
    let likeness = |name: &'n str| (strsim::jaro_winkler(&given, &name.to_lowercase()), name);
    let mut near: Vec<(f64, &str)> = names.into_iter().map(likeness).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near
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

    #[test]
    fn the_nearest_name_is_offered_though_it_is_not_alike() {
        let names = ["events", "key_use", "key_users", "denials"];
        assert_eq!(nearest("KEY_USE", names), ["key_use", "key_users"]);
        assert_eq!(nearest("customers", names).len(), 1);
        assert_eq!(likeliest("event", names, 3).first(), Some(&"events"));
        assert!(nearest("event", []).is_empty());
    }
}
