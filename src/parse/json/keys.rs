//! The keys that the plan needs, compiled into a tree that the scanner walks.
//!
//! A level of the tree stands for one object; its names are in buckets by
//! length and are compared by their first eight bytes first, so that a key
//! that nobody needs costs a load and a comparison. Each place of the tree
//! whose value is wanted has a *leaf*, the index of its cell while a line is
//! read. Leaves are numbered depth first: those below a key are a range, which
//! a later duplicate of the key makes absent.

use std::ops::Range;

use crate::event::escape;

/// Names of this length and longer share a bucket.
const LONG: usize = 32;

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The leaf of its value; [`Keys::no_leaf`] if only what is below counts.
    pub(super) leaf: u32,
    /// The level that its value is, if that is an object.
    pub(super) level: u32,
    /// Its leaf and all below it.
    low: u32,
    high: u32,
}

impl Target {
    /// No level below.
    pub(super) const NO_LEVEL: u32 = u32::MAX;

    /// The leaves at and below the key.
    pub(super) fn leaves(self) -> Range<usize> {
        self.low as usize..self.high as usize
    }
}

#[derive(Debug)]
struct Name {
    /// The first eight bytes, zeros behind the name.
    head: u64,
    whole: Box<[u8]>,
    target: Target,
}

#[derive(Debug)]
struct Level {
    parent: u32,
    /// Where the names of each length start in `names`; one more for the end.
    starts: [u32; LONG + 2],
    names: Vec<Name>,
}

/// All needed keys.
#[derive(Debug)]
pub(super) struct Keys {
    levels: Vec<Level>,
    leaves: u32,
    depth: usize,
    /// Escaped keys longer than this cannot be any of the names.
    escaped_len_max: usize,
    unescaped: Vec<u8>,
}

/// A tree under construction.
#[derive(Default)]
struct Draft {
    name: Box<[u8]>,
    wanted: bool,
    below: Vec<Draft>,
}

impl Draft {
    fn add(&mut self, path: &[Box<str>]) {
        let mut at = self;
        for part in path {
            let name = part.as_bytes();
            let found = at.below.iter().position(|d| *d.name == *name);
            let index = found.unwrap_or_else(|| {
                at.below.push(Draft {
                    name: name.into(),
                    ..Draft::default()
                });
                at.below.len() - 1
            });
            at = &mut at.below[index];
        }
        at.wanted = true;
    }
}

impl Keys {
    /// The root object's level.
    pub(super) const ROOT: u32 = 0;
    /// The longest escape of one byte, `\u00XX`.
    const ESCAPE_LEN_MAX: usize = 6;

    /// Compiles these paths, each the keys from the outermost object inwards.
    pub(super) fn build<'a>(paths: impl Iterator<Item = &'a [Box<str>]>) -> Keys {
        let mut root = Draft::default();
        let mut depth = 0;
        let mut longest = 0;
        for path in paths {
            depth = depth.max(path.len());
            longest = path.iter().map(|p| p.len()).fold(longest, usize::max);
            root.add(path);
        }
        let mut keys = Keys {
            levels: Vec::new(),
            leaves: 0,
            depth,
            escaped_len_max: longest * Self::ESCAPE_LEN_MAX,
            unescaped: Vec::with_capacity(longest * Self::ESCAPE_LEN_MAX),
        };
        if !root.below.is_empty() {
            keys.compile(root, Target::NO_LEVEL);
        }
        // "No leaf" is the index behind the last; it was a mark until now.
        let no_leaf = keys.leaves;
        for name in keys.levels.iter_mut().flat_map(|l| &mut l.names) {
            name.target.leaf = name.target.leaf.min(no_leaf);
        }
        keys
    }

    fn compile(&mut self, mut draft: Draft, parent: u32) -> u32 {
        let this = self.levels.len() as u32;
        self.levels.push(Level {
            parent,
            starts: [0; LONG + 2],
            names: Vec::new(),
        });
        draft.below.sort_by_key(|d| d.name.len());
        let mut names = Vec::with_capacity(draft.below.len());
        for below in draft.below {
            let low = self.leaves;
            let mut leaf = u32::MAX;
            if below.wanted {
                leaf = low;
                self.leaves += 1;
            }
            let name = below.name.clone();
            let level = if below.below.is_empty() {
                Target::NO_LEVEL
            } else {
                self.compile(below, this)
            };
            names.push(Name {
                head: head(&name, 0, name.len()),
                whole: name,
                target: Target {
                    leaf,
                    level,
                    low,
                    high: self.leaves,
                },
            });
        }
        let level = &mut self.levels[this as usize];
        for (length, start) in level.starts.iter_mut().enumerate() {
            *start = names.partition_point(|n| n.whole.len().min(LONG) < length) as u32;
        }
        level.names = names;
        this
    }

    /// How many leaves there are.
    pub(super) fn leaves(&self) -> usize {
        self.leaves as usize
    }

    /// The leaf that stands for "nobody wants it": a cell that nobody reads.
    pub(super) fn no_leaf(&self) -> u32 {
        self.leaves
    }

    /// What a key that nobody needs leads to.
    #[inline(always)]
    pub(super) fn nothing(&self) -> Target {
        Target {
            leaf: self.leaves,
            level: Target::NO_LEVEL,
            low: 0,
            high: 0,
        }
    }

    /// How deep the deepest key is; 0 if there is none.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The level that `level` is in.
    pub(super) fn parent(&self, level: u32) -> u32 {
        self.levels[level as usize].parent
    }

    /// The leaf of a path that was compiled.
    pub(super) fn leaf(&self, path: &[Box<str>]) -> u32 {
        let mut target = self.nothing();
        target.level = Self::ROOT;
        for part in path {
            target = self.find(target.level, part.as_bytes(), 0, part.len());
        }
        target.leaf
    }

    /// What the key `text[start..end]` leads to, without escapes.
    #[inline(always)]
    pub(super) fn find(&self, level: u32, text: &[u8], start: usize, end: usize) -> Target {
        let Some(level) = self.levels.get(level as usize) else {
            return self.nothing();
        };
        let len = end - start;
        let bucket = len.min(LONG);
        let names = level.starts[bucket] as usize..level.starts[bucket + 1] as usize;
        if names.is_empty() {
            return self.nothing();
        }
        let head = head(text, start, end);
        for name in &level.names[names] {
            if name.head == head && (len <= 8 || *name.whole == text[start..end]) {
                return name.target;
            }
        }
        self.nothing()
    }

    /// What the key `text[start..end]` leads to, which has escapes.
    #[cold]
    pub(super) fn find_escaped(&mut self, level: u32, raw: &[u8]) -> Target {
        if raw.len() > self.escaped_len_max {
            return self.nothing();
        }
        let mut plain = std::mem::take(&mut self.unescaped);
        plain.clear();
        escape::unescape_json_into(raw, &mut plain);
        let target = self.find(level, &plain, 0, plain.len());
        self.unescaped = plain;
        target
    }
}

/// The first eight bytes of `text[start..end]`, zeros behind it.
#[inline(always)]
fn head(text: &[u8], start: usize, end: usize) -> u64 {
    let len = end - start;
    match text[start..].first_chunk() {
        Some(bytes) if len >= 8 => u64::from_le_bytes(*bytes),
        Some(bytes) => u64::from_le_bytes(*bytes) & ((1 << (len * 8)) - 1),
        None => {
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(&text[start..end]);
            u64::from_le_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Path;

    fn keys(paths: &[&str]) -> Keys {
        let paths: Vec<Path> = paths.iter().map(|p| Path::of(p)).collect();
        Keys::build(paths.iter().map(Path::parts))
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        let long = "a-name-that-is-longer-than-the-longest-bucket-of-all";
        let longer = format!("{long}-x");
        let names = [
            "a",
            "level",
            "levem",
            "http",
            "user_agent",
            "user_agenu",
            long,
            &longer,
        ];
        let keys = keys(&names);
        assert_eq!(keys.leaves(), names.len());
        let find = |name: &str| keys.find(Keys::ROOT, name.as_bytes(), 0, name.len());
        let mut seen: Vec<u32> = names.iter().map(|n| find(n).leaf).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..names.len() as u32).collect::<Vec<_>>());
        for other in [
            "",
            "b",
            "leveL",
            "user_agenv",
            "http.",
            &format!("{long}-y"),
        ] {
            assert_eq!(find(other), keys.nothing(), "{other}");
        }
    }

    #[test]
    fn leaves_below_a_key_are_a_range() {
        let keys = keys(&["http", "http.status", "http.request.id", "level"]);
        let http = keys.find(Keys::ROOT, b"http", 0, 4);
        assert_eq!(http.leaves().len(), 3);
        assert!(http.leaves().contains(&(http.leaf as usize)));
        let request = keys.find(http.level, b"request", 0, 7);
        assert_eq!(request.leaf, keys.no_leaf());
        assert_eq!(keys.parent(request.level), http.level);
        assert_eq!(keys.depth(), 3);
    }

    #[test]
    fn escaped_keys_are_the_same_keys() {
        let mut keys = keys(&["level"]);
        let nothing = keys.nothing();
        let plain = keys.find(Keys::ROOT, b"level", 0, 5);
        assert_ne!(plain, nothing);
        assert_eq!(keys.find_escaped(Keys::ROOT, br"l\u0065vel"), plain);
        assert_eq!(keys.find_escaped(Keys::ROOT, br"l\u0066vel"), nothing);
        assert_eq!(
            keys.find_escaped(Keys::ROOT, &br"\u0065".repeat(9)),
            nothing
        );
    }
}
