//! Tells, without parsing, that a record cannot matter to the question asked.
//! In: a record's bytes. Out: whether they are provably irrelevant; any doubt means no.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem;

/// Words one of which stands in every record that passes the event filter.
pub struct Prefilter {
    needles: Needles,
    source_key: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
}

enum Needles {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Prefilter {
    /// `None` when the needles are such that no search can be built; then every record is parsed.
    pub fn new(needles: &[&str]) -> Option<Prefilter> {
        let needles = match packed::Searcher::new(needles) {
            Some(searcher) => Needles::Packed(searcher),
            None => Needles::Automaton(AhoCorasick::new(needles).ok()?),
        };
        let source_key = memmem::Finder::new(b"\"eventSource\":\"");
        Some(Prefilter { needles, source_key, escape: memmem::Finder::new(b"\\u") })
    }

    /// Whether these bytes are a CloudTrail record that holds none of the needles. An escape could spell one.
    pub fn rules_out(&self, record: &[u8], has_backslash: bool) -> bool {
        let found = match &self.needles {
            Needles::Packed(searcher) => searcher.find(record).is_some(),
            Needles::Automaton(automaton) => automaton.is_match(record),
        };
        !found && self.is_record(record) && !(has_backslash && self.escape.find(record).is_some())
    }

    /// An object whose event source is a service and not the `aws:s3` of a bucket notification.
    fn is_record(&self, record: &[u8]) -> bool {
        let source = self.source_key.find(record).map(|at| &record[at + self.source_key.needle().len()..]);
        record.first() == Some(&b'{') && source.is_some_and(|source| !source.starts_with(b"aws:"))
    }
}
