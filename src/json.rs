//! Reads one JSON value without copying it: a checked, flat tree over borrowed bytes.
//! In: the bytes of one value. Out: a [`Value`] to walk, or the [`Fault`] that makes it not JSON.
//! Stricter than most readers where two readers could disagree: duplicate keys (after unescaping) are a fault.
//! Laxer in one place: text that is not UTF-8, or escapes half a surrogate pair, is kept lossily and marked,
//! because clients choose such values and must not be able to make their record vanish.

use std::borrow::Cow;

/// Deepest nesting that is read; AWS's own records stay under ten.
pub const DEPTH_MAX: usize = 128;

/// Why bytes are not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Syntax,
    ControlChar,
    DuplicateKey,
    Depth,
    Truncated,
}

impl Fault {
    /// The name of the fault in `quarantine.reason` and `objects.error`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Syntax => "json_syntax",
            Fault::ControlChar => "json_control_char",
            Fault::DuplicateKey => "json_duplicate_key",
            Fault::Depth => "json_depth",
            Fault::Truncated => "json_truncated",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// One value of the tree, in document order: a container is followed by its members, a key by its value.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// The string holds a backslash; its text differs from its bytes.
    escaped: bool,
    /// Bytes of the value; of a string without its quotes.
    start: u32,
    end: u32,
    /// Index just past this value's last descendant.
    next: u32,
}

/// The reusable tree: parse into it again and again without allocating.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    keys: Vec<(u64, u32)>,
}

/// One JSON value within a parsed [`Tree`]. Cheap to copy; borrows the source bytes.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    source: &'a [u8],
    nodes: &'a [Node],
    at: u32,
}

impl Tree {
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Parses exactly one value, white space around it allowed.
    pub fn parse<'a>(&'a mut self, source: &'a [u8]) -> Result<Value<'a>, Fault> {
        self.nodes.clear();
        self.keys.clear();
        let mut parser = Parser { source, at: 0, nodes: &mut self.nodes, keys: &mut self.keys };
        parser.skip_space();
        parser.value(0)?;
        parser.skip_space();
        if parser.at != source.len() {
            return Err(Fault::Syntax);
        }
        Ok(Value { source, nodes: &self.nodes, at: 0 })
    }
}
