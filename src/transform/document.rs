//! One JSON object as far as edits need it: members that are not touched stay
//! spans of the line and leave byte for byte.
//!
//! Only the objects on the way to an edited member are opened. One
//! [`Document`] serves line after line and allocates nothing once it has grown.

mod absorb;
mod wide;

use super::name::Name;
use super::scan::{skip_space, string_end, value_end};
use crate::event::Path;
use crate::event::escape::{escape_json, unescape_json};

const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

/// A span of `Document::text`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// White space before the key.
    lead: Span,
    /// Inside its quotes.
    key: Span,
    /// The colon with the white space around it.
    gap: Span,
    value: Span,
    /// Whether the value is the members from `child` on, not its span.
    opened: bool,
    child: u32,
    /// White space before the closing brace, if opened.
    tail: Span,
    next: u32,
    marked: bool,
}

/// A member that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    parent: u32,
    node: u32,
}

/// A line being edited.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The line, and behind it what edits have made.
    text: Vec<u8>,
    nodes: Vec<Node>,
    colon: Span,
    /// Of a document that gathers many members.
    index: Option<Box<absorb::Index>>,
    /// Hashes of names, recycled between edits.
    names: Vec<u64>,
}

impl Document {
    /// Takes a line that is a JSON object; false if it is not.
    pub(super) fn load(&mut self, line: &[u8]) -> bool {
        self.load_with(|text| text.extend_from_slice(line))
    }

    /// As [`Document::load`], of the line that `write` appends.
    pub(super) fn load_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.text.clear();
        self.nodes.clear();
        self.index = None;
        write(&mut self.text);
        let start = skip_space(&self.text, 0) as u32;
        let end = self.text.len() as u32;
        self.colon = self.make(|out| out.push(b':'));
        self.nodes.push(Node {
            value: Span { start, end },
            ..self.blank()
        });
        self.open(ROOT)
    }

    fn blank(&self) -> Node {
        Node {
            lead: Span::default(),
            key: Span::default(),
            gap: self.colon,
            value: Span::default(),
            opened: false,
            child: NONE,
            tail: Span::default(),
            next: NONE,
            marked: false,
        }
    }

    /// Appends text for a value to be set.
    pub(super) fn make(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.text.len() as u32;
        write(&mut self.text);
        let end = self.text.len() as u32;
        Span { start, end }
    }

    /// Appends a string for a value to be set, quoted and escaped.
    pub(super) fn make_string(&mut self, value: &[u8]) -> Span {
        self.make(|out| {
            out.push(b'"');
            escape_json(value, out);
            out.push(b'"');
        })
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end as usize]
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    /// Lists the members of a value that is an object.
    fn open(&mut self, at: u32) -> bool {
        if self.node(at).opened {
            return true;
        }
        let value = self.node(at).value;
        if value.start == value.end {
            return false;
        }
        let first = self.nodes.len();
        let Some(tail) = self.scan(value.start as usize) else {
            self.nodes.truncate(first);
            return false;
        };
        let any = self.nodes.len() > first;
        let node = self.node_mut(at);
        node.opened = true;
        node.tail = tail;
        node.child = if any { first as u32 } else { NONE };
        true
    }

    /// Appends the members of the object at `start`; the space before its end.
    fn scan(&mut self, start: usize) -> Option<Span> {
        let span = |start: usize, end: usize| Span {
            start: start as u32,
            end: end as u32,
        };
        if self.text.get(start) != Some(&b'{') {
            return None;
        }
        let first = self.nodes.len();
        let mut at = start + 1;
        loop {
            let lead = at;
            at = skip_space(&self.text, at);
            if self.text.get(at) == Some(&b'}') && self.nodes.len() == first {
                return Some(span(lead, at));
            }
            if self.text.get(at) != Some(&b'"') {
                return None;
            }
            let (key, key_end) = (at + 1, string_end(&self.text, at + 1)?);
            let colon = skip_space(&self.text, key_end + 1);
            if self.text.get(colon) != Some(&b':') {
                return None;
            }
            let value = skip_space(&self.text, colon + 1);
            let value_end = value_end(&self.text, value)?;
            let new = self.nodes.len();
            if new > first {
                self.nodes[new - 1].next = new as u32;
            }
            self.nodes.push(Node {
                lead: span(lead, key - 1),
                key: span(key, key_end),
                gap: span(key_end + 1, value),
                value: span(value, value_end),
                ..self.blank()
            });
            at = skip_space(&self.text, value_end);
            match self.text.get(at)? {
                b',' => at += 1,
                b'}' => return Some(span(value_end, at)),
                _ => return None,
            }
        }
    }

    /// The member of an opened object that has the key; the last, as readers
    /// of JSON take it.
    fn member(&self, parent: u32, key: &[u8]) -> Option<u32> {
        let mut found = None;
        let mut at = self.node(parent).child;
        while at != NONE {
            if self.key_is(at, key) {
                found = Some(at);
            }
            at = self.node(at).next;
        }
        found
    }

    fn key_is(&self, at: u32, key: &[u8]) -> bool {
        let written = self.bytes(self.node(at).key);
        written == key
            || (memchr::memchr(b'\\', written).is_some() && unescape_json(written) == key)
    }

    /// The field of a path, nested before flat.
    fn find_path(&mut self, path: &Path) -> Option<Found> {
        let nested = self.find_nested(path);
        if nested.is_some() || path.parts().len() == 1 {
            return nested;
        }
        let node = self.member(ROOT, path.dotted().as_bytes())?;
        Some(Found { parent: ROOT, node })
    }

    fn find_nested(&mut self, path: &Path) -> Option<Found> {
        let mut parent = ROOT;
        let (last, outer) = path.parts().split_last()?;
        for part in outer {
            parent = self.member(parent, part.as_bytes())?;
            if !self.open(parent) {
                return None;
            }
        }
        let node = self.member(parent, last.as_bytes())?;
        Some(Found { parent, node })
    }

    /// The field that a name means.
    pub(super) fn find(&mut self, name: &Name) -> Option<Found> {
        name.fields().iter().find_map(|path| self.find_path(path))
    }

    /// Its value as it stands; `None` of an object that was opened.
    pub(super) fn value(&self, found: Found) -> Option<&[u8]> {
        let node = self.node(found.node);
        (!node.opened).then(|| self.bytes(node.value))
    }

    /// Puts a value in the place of what was found.
    pub(super) fn replace(&mut self, found: Found, value: Span) {
        let node = self.node_mut(found.node);
        node.value = value;
        node.opened = false;
    }

    /// Sets the field of a path to a value, and makes the objects it is in.
    pub(super) fn set(&mut self, path: &Path, value: Span) {
        let found = match self.find_path(path) {
            Some(found) => found,
            None => self.add(path),
        };
        self.replace(found, value);
    }

    /// A new member at a path that is not there.
    fn add(&mut self, path: &Path) -> Found {
        let mut parent = ROOT;
        let last = path.parts().len() - 1;
        for (depth, part) in path.parts().iter().enumerate() {
            let node = match self.member(parent, part.as_bytes()) {
                Some(node) => node,
                None => self.append(parent, part),
            };
            if depth == last {
                return Found { parent, node };
            }
            if !self.open(node) {
                // What is no object gives way to one.
                let node = self.node_mut(node);
                node.opened = true;
                node.child = NONE;
                node.tail = Span::default();
            }
            parent = node;
        }
        Found {
            parent: ROOT,
            node: parent,
        }
    }

    /// Appends a member, spaced as the one before it.
    fn append(&mut self, parent: u32, key: &str) -> u32 {
        let key = self.make(|out| {
            escape_json(key.as_bytes(), out);
        });
        let new = self.nodes.len() as u32;
        let mut node = Node {
            key,
            ..self.blank()
        };
        let mut at = self.node(parent).child;
        if at == NONE {
            self.node_mut(parent).child = new;
        } else {
            while self.node(at).next != NONE {
                at = self.node(at).next;
            }
            (node.lead, node.gap) = (self.node(at).lead, self.node(at).gap);
            self.node_mut(at).next = new;
        }
        self.nodes.push(node);
        new
    }

    /// Takes a member out of its object.
    fn unlink(&mut self, found: Found) {
        let next = self.node(found.node).next;
        let mut at = self.node(found.parent).child;
        if at == found.node {
            self.node_mut(found.parent).child = next;
            return;
        }
        while at != NONE {
            let after = self.node(at).next;
            if after == found.node {
                self.node_mut(at).next = next;
                return;
            }
            at = after;
        }
    }

    /// Removes the field that a name means, however often it is there.
    pub(super) fn remove(&mut self, name: &Name) -> bool {
        let Some(found) = self.find(name) else {
            return false;
        };
        let key = unescape_json(self.bytes(self.node(found.node).key));
        while let Some(node) = self.member(found.parent, &key) {
            self.unlink(Found {
                parent: found.parent,
                node,
            });
        }
        true
    }

    /// Gives the field that a name means another name, in its place if it stays
    /// in its object. What had that name is gone.
    pub(super) fn rename(&mut self, from: &Name, to: &Path) -> bool {
        let Some(found) = self.find(from) else {
            return false;
        };
        if let Some(other) = self.find_path(to) {
            if other.node == found.node {
                return false;
            }
            self.unlink(other);
        }
        // A path of one part is in the object of all.
        if found.parent == ROOT && to.parts().len() == 1 {
            let key = self.make(|out| {
                escape_json(to.dotted().as_bytes(), out);
            });
            self.node_mut(found.node).key = key;
            return true;
        }
        self.unlink(found);
        let there = self.add(to);
        let Node {
            value,
            opened,
            child,
            tail,
            ..
        } = *self.node(found.node);
        let node = self.node_mut(there.node);
        (node.value, node.opened, node.child, node.tail) = (value, opened, child, tail);
        true
    }

    /// Removes every field that no name means; whether there was one.
    pub(super) fn keep(&mut self, names: &[Name]) -> bool {
        self.nodes.iter_mut().for_each(|node| node.marked = false);
        for name in names {
            for path in name.fields() {
                if let Some(found) = self.find_path(path) {
                    self.mark(path, found);
                    break;
                }
            }
        }
        self.prune(ROOT)
    }

    /// Marks what was found and the objects it is in.
    fn mark(&mut self, path: &Path, found: Found) {
        let mut parent = ROOT;
        for part in path.parts() {
            if parent == found.parent {
                break;
            }
            let Some(node) = self.member(parent, part.as_bytes()) else {
                break;
            };
            self.node_mut(node).marked = true;
            parent = node;
        }
        self.node_mut(found.node).marked = true;
    }

    /// Recurses as deep as paths have parts: only opened objects are looked into.
    fn prune(&mut self, parent: u32) -> bool {
        let mut gone = false;
        let mut at = self.node(parent).child;
        while at != NONE {
            let next = self.node(at).next;
            if !self.node(at).marked {
                self.unlink(Found { parent, node: at });
                gone = true;
            } else if self.node(at).opened && self.has_mark_below(at) {
                gone |= self.prune(at);
            }
            at = next;
        }
        gone
    }

    fn has_mark_below(&self, parent: u32) -> bool {
        let mut at = self.node(parent).child;
        while at != NONE {
            if self.node(at).marked {
                return true;
            }
            at = self.node(at).next;
        }
        false
    }

    /// Appends the object as it is now.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.write_object(ROOT, out);
    }

    fn write_object(&self, parent: u32, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut at = self.node(parent).child;
        let mut first = true;
        while at != NONE {
            let node = self.node(at);
            if !first {
                out.push(b',');
            }
            // Without the space that stood behind a comma.
            if !first || self.is_first(node) {
                out.extend_from_slice(self.bytes(node.lead));
            }
            first = false;
            out.push(b'"');
            out.extend_from_slice(self.bytes(node.key));
            out.push(b'"');
            out.extend_from_slice(self.bytes(node.gap));
            if node.opened {
                self.write_object(at, out);
            } else {
                out.extend_from_slice(self.bytes(node.value));
            }
            at = node.next;
        }
        out.extend_from_slice(self.bytes(self.node(parent).tail));
        out.push(b'}');
    }

    /// Whether a member stood first in its object.
    fn is_first(&self, node: &Node) -> bool {
        (node.lead.start as usize)
            .checked_sub(1)
            .is_some_and(|before| self.text[before] == b'{')
    }
}

#[cfg(test)]
mod tests;
