//! The objects whose faults somebody has accepted, by name.
//! In: patterns of URIs. Out: whether an object is one of them. Never changes what became of an object.

use crate::glob;

/// Patterns of URIs, in which `*` stands for any text and `?` for one character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptedObjects {
    pub patterns: Vec<String>,
}

impl AcceptedObjects {
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub fn has(&self, uri: &str) -> bool {
        self.patterns.iter().any(|pattern| glob::fits(pattern, uri))
    }
}
