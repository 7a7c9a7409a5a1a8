//! The names that hold at a moment, of periods that may overlap, for moments that come in ascending order.
//! In: periods with a name each. Out: the names of the periods that contain a moment, by name.
//! Never walks all periods for one moment: each begins once and ends once, however many moments are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Periods, to be asked for moments in ascending order. Both ends of a period belong to it.
#[derive(Debug, Default)]
pub(crate) struct PeriodSweep {
    /// Descending once sorted, so that the next one is the last.
    starts: Vec<(i64, Arc<str>)>,
    ends: Vec<(i64, Arc<str>)>,
    is_sorted: bool,
    active: BTreeMap<Arc<str>, usize>,
    /// The names as they were given last, until they change.
    listed: Option<Arc<Vec<String>>>,
}

impl PeriodSweep {
    /// Adds a period; one that ends before it starts contains no moment. One without a start reaches back as far as
    /// anybody asks, one without an end goes on.
    pub fn add(&mut self, name: &str, start: Option<i64>, end: Option<i64>) {
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            return;
        }
        let name: Arc<str> = name.into();
        if let Some(end) = end {
            self.ends.push((end, Arc::clone(&name)));
        }
        self.starts.push((start.unwrap_or(i64::MIN), name));
    }

    /// The names at a moment, at most so many, and how many there are. The moment is not before one that was asked for
    /// already.
    pub fn at(&mut self, moment: i64, names_max: usize) -> (Arc<Vec<String>>, usize) {
        if !self.is_sorted {
            self.starts.sort_unstable_by(|a, b| b.cmp(a));
            self.ends.sort_unstable_by(|a, b| b.cmp(a));
            self.is_sorted = true;
        }
        while let Some((_, name)) = self.starts.pop_if(|(start, _)| *start <= moment) {
            *self.active.entry(name).or_default() += 1;
            self.listed = None;
        }
        while let Some((_, name)) = self.ends.pop_if(|(end, _)| *end < moment) {
            let periods = self.active.get_mut(&name).expect("a period starts before it ends");
            *periods -= 1;
            if *periods == 0 {
                self.active.remove(&name);
            }
            self.listed = None;
        }
        let active = &self.active;
        let list = || Arc::new(active.keys().take(names_max).map(|name| name.to_string()).collect());
        (Arc::clone(self.listed.get_or_insert_with(list)), active.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_holds_from_its_start_to_its_end() {
        let mut sweep = PeriodSweep::default();
        for (name, start, end) in [
            ("b", Some(2), Some(4)),
            ("a", None, Some(3)),
            ("c", Some(3), None),
            ("b", Some(4), Some(6)),
            ("never", Some(5), Some(4)),
        ] {
            sweep.add(name, start, end);
        }
        for (moment, names) in [
            (1, vec!["a"]),
            (2, vec!["a", "b"]),
            (3, vec!["a", "b", "c"]),
            (4, vec!["b", "c"]),
            (6, vec!["b", "c"]),
            (7, vec!["c"]),
        ] {
            let (found, count) = sweep.at(moment, 2);
            assert_eq!(
                (&found[..], count),
                (&names.iter().take(2).map(|name| (*name).to_owned()).collect::<Vec<_>>()[..], names.len()),
                "{moment}"
            );
        }
    }
}
