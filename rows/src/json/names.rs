//! Finds the members of an object by names that are known beforehand.
//! In: a parsed object, and a constant of names. Out: the places of the named members, as nodes of its tree.
//! Never copies a member.

use super::slots::NameSlots;
use super::{Value, tag};

/// Names of members to look for. One look-up tells which of them a key can be.
#[derive(Debug)]
pub struct KnownNames<const N: usize> {
    names: [&'static str; N],
    slots: NameSlots<256>,
}

impl<const N: usize> KnownNames<N> {
    /// Names that are all different; meant for constants.
    pub const fn new(names: [&'static str; N]) -> KnownNames<N> {
        let mut tags = [0; N];
        let mut at = 0;
        while at < N {
            tags[at] = tag(names[at].as_bytes()) as u32 as u64;
            at += 1;
        }
        KnownNames { names, slots: NameSlots::new(&tags) }
    }

    fn find(&self, key: Value<'_>) -> Option<usize> {
        let place = self.slots.place_of(u64::from(key.node().key_tag()));
        self.names.get(place).is_some_and(|name| key.is_text(name)).then_some(place)
    }
}

/// The members of an object that [`KnownNames`] name.
#[derive(Clone, Copy)]
pub struct NamedMembers<'a, const N: usize> {
    object: Value<'a>,
    /// Node of each name's value; 0, where no member can stand, for those that are absent.
    nodes: [u32; N],
}

impl<'a, const N: usize> NamedMembers<'a, N> {
    /// Walks the members of `object` once. Values of other kinds have none.
    pub fn of(object: Value<'a>, names: &KnownNames<N>) -> NamedMembers<'a, N> {
        let mut nodes = [0; N];
        for (key, value) in object.pairs() {
            if let Some(place) = names.find(key) {
                nodes[place] = value.at;
            }
        }
        NamedMembers { object, nodes }
    }

    /// The value of the name at a place of the list.
    pub fn get(&self, place: usize) -> Option<Value<'a>> {
        let node = self.nodes[place];
        (node != 0).then(|| self.object.child(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;

    const NAMES: KnownNames<3> = KnownNames::new(["eventName", "eventTime", "id"]);

    #[test]
    fn members_are_found_by_their_whole_names() {
        for (text, found) in [
            (r#"{"eventName":1,"id":{"eventTime":2}}"#, ["1", "", r#"{"eventTime":2}"#]),
            (r#"{"event\u004eame":1,"eventname":2,"eventName ":3}"#, ["1", "", ""]),
            (r#"{"xid":1,"i":2,"":3,"eventTime":[]}"#, ["", "[]", ""]),
            (r#"{"id":null}"#, ["", "", "null"]),
            ("{}", ["", "", ""]),
            (r#"["id"]"#, ["", "", ""]),
            ("7", ["", "", ""]),
        ] {
            let mut tree = JsonTree::new();
            let members = NamedMembers::of(tree.parse(text.as_bytes()).unwrap(), &NAMES);
            let values = [0, 1, 2].map(|place| members.get(place).map_or(&b""[..], Value::raw));
            assert_eq!(values, found.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn members_of_an_object_within_another_are_its_own() {
        let mut tree = JsonTree::new();
        let outer = tree.parse(br#"{"id":1,"x":{"eventName":2}}"#).unwrap();
        let inner = NamedMembers::of(outer.get("x").unwrap(), &NAMES);
        assert_eq!(inner.get(0).map(Value::raw), Some(&b"2"[..]));
        assert!(inner.get(2).is_none());
    }
}
