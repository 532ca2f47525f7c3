//! Edits of many members at once, in time that is linear in the line.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::{Document, NONE, Name, Node, ROOT, Span};
use crate::event::escape::unescape_json;

/// How many times its size an object may have when it is flattened: names that
/// repeat long prefixes would fill the memory.
const FLAT_GROWTH_MAX: usize = 4;

impl Document {
    /// Puts the members of the JSON object `object` behind the others; those
    /// of the same names are gone. False if it is no object.
    pub(in super::super) fn merge(&mut self, object: Span) -> bool {
        let first = self.nodes.len();
        if self.scan(object.start as usize).is_none() {
            self.nodes.truncate(first);
            return false;
        }
        if self.nodes.len() == first {
            return true;
        }
        let mut names = std::mem::take(&mut self.names);
        names.clear();
        names.extend((first..self.nodes.len()).map(|at| self.key_hash(at as u32)));
        names.sort_unstable();
        let mut last = NONE;
        let mut at = self.node(ROOT).child;
        while at != NONE {
            let next = self.node(at).next;
            if names.binary_search(&self.key_hash(at)).is_err() {
                self.link(last, at);
                last = at;
            }
            at = next;
        }
        self.link(last, first as u32);
        self.names = names;
        true
    }

    /// Makes `at` follow the member `last` of the root, or come first.
    fn link(&mut self, last: u32, at: u32) {
        if last == NONE {
            self.node_mut(ROOT).child = at;
        } else {
            self.node_mut(last).next = at;
        }
    }

    pub(super) fn key_hash(&self, at: u32) -> u64 {
        let key = self.bytes(self.node(at).key);
        if memchr::memchr(b'\\', key).is_some() {
            xxh3_64(&unescape_json(key))
        } else {
            xxh3_64(key)
        }
    }

    /// Puts the members of nested objects into the outermost, under names that
    /// are joined by `separator`: of all objects, or of those that are named. A
    /// name that is there already stays what it is. Whether anything changed;
    /// nothing does where names would make too much text.
    pub(in super::super) fn flatten(&mut self, names: &[Name], separator: &str) -> bool {
        self.nodes.iter_mut().for_each(|node| node.marked = false);
        for name in names {
            if let Some(found) = self.find(name) {
                self.node_mut(found.node).marked = true;
            }
        }
        let made_max = self.text.len() * (1 + FLAT_GROWTH_MAX);
        // The members, and whether each is new.
        let mut members = Vec::new();
        let mut at = self.node(ROOT).child;
        while at != NONE {
            let chosen = names.is_empty() || self.node(at).marked;
            if !(chosen && self.open(at) && self.node(at).child != NONE) {
                members.push((at, false));
            } else if !self.list_flat(at, separator, made_max, &mut members) {
                return false;
            }
            at = self.node(at).next;
        }
        let old = members.iter().filter(|(_, new)| !new);
        let mut seen: HashSet<u64> = old.map(|(at, _)| self.key_hash(*at)).collect();
        let mut last = NONE;
        for &(at, new) in &members {
            if !new || seen.insert(self.key_hash(at)) {
                self.link(last, at);
                last = at;
            }
        }
        if last != NONE {
            self.node_mut(last).next = NONE;
        }
        members.iter().any(|(_, new)| *new)
    }

    /// Lists what is below the member `top`, each under its whole name; false
    /// if that is too much text.
    fn list_flat(
        &mut self,
        top: u32,
        separator: &str,
        made_max: usize,
        members: &mut Vec<(u32, bool)>,
    ) -> bool {
        let mut name = self.bytes(self.node(top).key).to_vec();
        let mut open = vec![(self.node(top).child, name.len())];
        while let Some((at, outer)) = open.pop() {
            if at == NONE {
                continue;
            }
            open.push((self.node(at).next, outer));
            name.truncate(outer);
            name.extend_from_slice(separator.as_bytes());
            name.extend_from_slice(self.bytes(self.node(at).key));
            if self.text.len() + name.len() > made_max {
                return false;
            }
            if self.open(at) && self.node(at).child != NONE {
                open.push((self.node(at).child, name.len()));
                continue;
            }
            let key = self.make(|out| out.extend_from_slice(&name));
            members.push((self.nodes.len() as u32, true));
            let (lead, below) = (self.node(top).lead, *self.node(at));
            self.nodes.push(Node {
                lead,
                key,
                opened: false,
                ..below
            });
        }
        true
    }
}
