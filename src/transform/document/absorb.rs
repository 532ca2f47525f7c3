//! One document gathers the members of many, in time that is linear in what it
//! takes in.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::{Document, Found, NONE, Name, Node, ROOT, Span};
use crate::event::escape::unescape_json;

/// Members beyond which they are found by an index: fewer are looked through
/// as fast.
const INDEX_AT: usize = 32;

/// Where members are; kept by [`Document::absorb`] alone.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the object and the hash of the key.
    members: HashMap<(u32, u64), u32>,
    /// By the object: its last member.
    tails: HashMap<u32, u32>,
}

impl Document {
    /// Takes over the members of `other` that it does not have, of nested objects
    /// too. What it has stays.
    pub(in super::super) fn absorb(&mut self, other: &mut Document) {
        let mut adopted = Vec::new();
        let mut open = vec![(ROOT, ROOT)];
        while let Some((mine, theirs)) = open.pop() {
            let mut at = other.node(theirs).child;
            while at != NONE {
                match self.look_up(mine, other.bytes(other.node(at).key)) {
                    None => adopted.push(self.adopt(mine, other, at)),
                    // A key that `other` has twice: the last is the one that counts.
                    Some(own) if self.node(own).marked => {
                        let value = other.bytes(other.node(at).value);
                        let value = self.make(|out| out.extend_from_slice(value));
                        self.node_mut(own).value = value;
                    }
                    Some(own) if other.open(at) && self.open_indexed(own) => open.push((own, at)),
                    Some(_) => {}
                }
                at = other.node(at).next;
            }
        }
        adopted
            .into_iter()
            .for_each(|at| self.node_mut(at).marked = false);
    }

    /// Becomes a copy of a document that was loaded and not edited.
    pub(in super::super) fn copy_from(&mut self, other: &Document) {
        // A copy has no room to spare, or many would waste much.
        self.text.reserve_exact(other.text.len());
        self.load(other.bytes(other.node(ROOT).value));
    }

    /// A value as it stood in the line, be it an object.
    pub(in super::super) fn raw(&self, found: Found) -> &[u8] {
        self.bytes(self.node(found.node).value)
    }

    /// Gives the field that a name means a value; a new one if it is not there.
    pub(in super::super) fn set_named(&mut self, name: &Name, value: Span) {
        match self.find(name) {
            Some(found) => self.replace(found, value),
            None => {
                if let Some(path) = name.fields().first() {
                    self.set(path, value);
                }
            }
        }
    }

    /// The heap that it holds, in bytes.
    pub(in super::super) fn size(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| {
            let entries = index.members.capacity() + index.tails.capacity();
            entries * size_of::<((u32, u64), u32)>()
        });
        self.text.capacity() + self.nodes.capacity() * size_of::<Node>() + index
    }

    fn look_up(&mut self, parent: u32, key: &[u8]) -> Option<u32> {
        let plain = memchr::memchr(b'\\', key).map(|_| unescape_json(key));
        let key = plain.as_deref().unwrap_or(key);
        if self.index.is_none() {
            if self.nodes.len() <= INDEX_AT {
                return self.member(parent, key);
            }
            self.build_index();
        }
        let members = &self.index.as_ref()?.members;
        members.get(&(parent, xxh3_64(key))).copied()
    }

    fn build_index(&mut self) {
        self.index = Some(Box::default());
        let mut open = vec![ROOT];
        while let Some(parent) = open.pop() {
            self.index_members(parent);
            let mut at = self.node(parent).child;
            while at != NONE {
                if self.node(at).opened {
                    open.push(at);
                }
                at = self.node(at).next;
            }
        }
    }

    fn index_members(&mut self, parent: u32) {
        let Some(mut index) = self.index.take() else {
            return;
        };
        let mut at = self.node(parent).child;
        while at != NONE {
            index.members.insert((parent, self.key_hash(at)), at);
            index.tails.insert(parent, at);
            at = self.node(at).next;
        }
        self.index = Some(index);
    }

    fn open_indexed(&mut self, at: u32) -> bool {
        if self.node(at).opened {
            return true;
        }
        let opened = self.open(at);
        if opened {
            self.index_members(at);
        }
        opened
    }

    /// Appends a member of another document, spaced as the one before it.
    fn adopt(&mut self, parent: u32, other: &Document, at: u32) -> u32 {
        let node = other.node(at);
        let key = self.make(|out| out.extend_from_slice(other.bytes(node.key)));
        let value = self.make(|out| out.extend_from_slice(other.bytes(node.value)));
        let new = self.nodes.len() as u32;
        let mut node = Node {
            key,
            value,
            marked: true,
            ..self.blank()
        };
        let last = self.tail(parent);
        if last == NONE {
            self.node_mut(parent).child = new;
        } else {
            (node.lead, node.gap) = (self.node(last).lead, self.node(last).gap);
            self.node_mut(last).next = new;
        }
        self.nodes.push(node);
        let hash = self.key_hash(new);
        if let Some(index) = &mut self.index {
            index.members.insert((parent, hash), new);
            index.tails.insert(parent, new);
        }
        new
    }

    fn tail(&self, parent: u32) -> u32 {
        if let Some(index) = &self.index {
            return index.tails.get(&parent).copied().unwrap_or(NONE);
        }
        let mut last = self.node(parent).child;
        while last != NONE && self.node(last).next != NONE {
            last = self.node(last).next;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn absorbed(lines: &[String]) -> Value {
        let (mut all, mut one) = (Document::default(), Document::default());
        assert!(all.load(lines[0].as_bytes()));
        for line in &lines[1..] {
            assert!(one.load(line.as_bytes()));
            all.absorb(&mut one);
        }
        let mut out = Vec::new();
        all.write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    /// What it must be, by whole trees.
    fn first_wins(all: &mut Map<String, Value>, one: Map<String, Value>) {
        for (key, value) in one {
            match (all.get_mut(&key), value) {
                (None, value) => drop(all.insert(key, value)),
                (Some(Value::Object(all)), Value::Object(one)) => first_wins(all, one),
                _ => {}
            }
        }
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<u8>().prop_map(Value::from),
            "[a\"é]?".prop_map(Value::from)
        ];
        let tree = leaf.prop_recursive(3, 64, 60, |inner| {
            prop::collection::btree_map("[a-d\"]{1,2}", inner, 0..50)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        });
        prop::collection::btree_map("[a-d\"]{1,2}", tree, 0..50)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_was_there_first_stays(objects in prop::collection::vec(object(), 1..6)) {
            let lines: Vec<_> = objects.iter().map(Value::to_string).collect();
            let mut expected = Map::new();
            for object in objects {
                let Value::Object(object) = object else { unreachable!() };
                first_wins(&mut expected, object);
            }
            prop_assert_eq!(absorbed(&lines), Value::Object(expected));
        }
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_counts() {
        let lines = ["{}", r#"{"a":1,"a":2}"#, r#"{"a":3}"#].map(str::to_owned);
        assert_eq!(absorbed(&lines).to_string(), r#"{"a":2}"#);
    }

    /// Quadratic time would take minutes.
    #[test]
    fn many_members_take_linear_time() {
        let (mut all, mut one) = (Document::default(), Document::default());
        assert!(all.load(b"{\"o\":{}}"));
        for n in 0..100_000 {
            let line = format!("{{\"k{n}\":1,\"o\":{{\"k{n}\":1}}}}");
            assert!(one.load(line.as_bytes()));
            all.absorb(&mut one);
        }
        assert_eq!(all.nodes.len(), 200_002);
    }
}
