//! Keys with values: logfmt and LTSV.
//!
//! logfmt (brandur.org/logfmt, pkg.go.dev/github.com/kr/logfmt):
//! `level=info msg="hello world" took=12ms cached`. A bare value of digits is a
//! number, `true` and `false` are booleans, a key without value is `true`, an
//! empty value is empty text. LTSV is in [`ltsv`].
//!
//! Keys are free; of equal ones the last wins. The keys that name a role (see
//! [`Role::aliases`]) are listed first.

mod ltsv;

use std::ops::Range;

use super::{
    Parser,
    output::{Output, role_of},
    scan,
};
use crate::event::{Cell, Columns, Defs, Field, FieldKind, Needs, Role};

/// More keys than this are no log line; bounds the search for equal keys.
const PAIRS_MAX: usize = 256;
/// Digits that an `f64` keeps exactly; longer numbers (ids) stay text.
const DIGITS_MAX: usize = 15;
/// Buckets of the table of known keys; about one key each.
const BUCKETS: usize = 128;

/// A key that somebody asked for, or that has a role.
#[derive(Clone, Debug)]
struct Known {
    key: Box<str>,
    /// Its [`word_of`].
    word: u64,
    output: Output,
    /// The role and how strongly the key means it (0 is strongest).
    role: Option<(Role, usize)>,
    /// Columns that want the role.
    role_output: Option<Output>,
    /// Whether it has another name than its key.
    renamed: bool,
    /// Whether it looks like a key (see [`is_plain`]).
    plain: bool,
}

/// One `key=value` of the line being read.
#[derive(Clone, Copy, Debug)]
struct Pair {
    key: (u32, u32),
    value: (u32, u32),
    kind: FieldKind,
    hash: u8,
    known: u8,
    /// Whether it has the role that its key means.
    has_role: bool,
}

/// The hashes of the keys that a line had so far.
type Seen = [u64; BUCKETS / 64];

impl Pair {
    const UNKNOWN: u8 = u8::MAX;
}

/// How pairs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Logfmt,
    /// For `auto`: every word must be a pair, with a key that looks like one.
    Strict,
    Ltsv,
}

/// Reads lines of pairs.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    syntax: Syntax,
    known: Box<[Known]>,
    /// The first known key of each bucket, and the next one after each key.
    buckets: Box<[u8; BUCKETS]>,
    next: Box<[u8]>,
    pairs: Vec<Pair>,
}

fn hash(key: &[u8]) -> u8 {
    let (first, last) = (key[0], key[key.len() - 1]);
    let mixed = (key.len() as u8).wrapping_mul(41) ^ first.wrapping_mul(7) ^ last.wrapping_mul(13);
    mixed & (BUCKETS as u8 - 1)
}

/// The first eight bytes of a key; of shorter ones of a length, each has its own.
#[inline]
fn word_of(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_le_bytes(*first);
    }
    match (key.first_chunk(), key.last_chunk()) {
        // What the two have in common is the same in both.
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        _ if !key.is_empty() => {
            let [first, middle, last] = [key[0], key[key.len() / 2], key[key.len() - 1]];
            u64::from(first) | u64::from(middle) << 8 | u64::from(last) << 16
        }
        _ => 0,
    }
}

impl Pairs {
    pub(super) fn build(syntax: Syntax, needs: &Needs, defs: &mut Defs) -> Pairs {
        let aliases = Role::ALL
            .into_iter()
            .flat_map(|r| r.aliases().iter().copied());
        let wanted = needs.columns.iter().map(|n| n.path.dotted());
        let renames: &[(&str, &str)] = match syntax {
            Syntax::Ltsv => &ltsv::NAMES,
            _ => &[],
        };
        let labels = renames.iter().map(|(label, _)| *label);
        let keys = aliases.chain(wanted).chain(labels);
        let mut keys: Vec<&str> = keys.filter(|k| !k.is_empty()).collect();
        keys.sort_unstable();
        keys.dedup();
        // Indices are bytes; a plan that wants more keys than that is not written by people.
        keys.truncate(usize::from(Pair::UNKNOWN));
        let known = keys.into_iter().map(|key| {
            let rename = renames.iter().find(|(label, _)| *label == key);
            let name = rename.map_or(key, |(_, name)| name);
            let role = role_of(name);
            let role_output =
                role.map(|(role, _)| Output::new(name, Some(role), None, needs, defs));
            Known {
                key: key.into(),
                word: word_of(key.as_bytes()),
                output: Output::new(name, None, None, needs, defs),
                role,
                role_output,
                renamed: rename.is_some(),
                plain: is_plain(syntax, key.as_bytes()),
            }
        });
        let known: Box<[Known]> = known.collect();
        let mut buckets = Box::new([Pair::UNKNOWN; BUCKETS]);
        let mut next = vec![Pair::UNKNOWN; known.len()];
        for (i, known) in known.iter().enumerate() {
            let bucket = usize::from(hash(known.key.as_bytes()));
            next[i] = std::mem::replace(&mut buckets[bucket], i as u8);
        }
        Pairs {
            syntax,
            known,
            buckets,
            next: next.into(),
            pairs: Vec::new(),
        }
    }

    /// Whether a key looks like one; of those that are known it is known too.
    #[inline]
    fn is_plain(&self, key: &[u8], known: u8) -> bool {
        let known = self.known.get(usize::from(known));
        known.map_or_else(|| is_plain(self.syntax, key), |known| known.plain)
    }

    #[inline]
    fn lookup(&self, key: &[u8], hash: u8) -> u8 {
        let word = word_of(key);
        // Keys are short: a call costs more than the comparison.
        let is_key = |known: &Known| {
            let same = known.word == word && known.key.len() == key.len();
            same && (key.len() <= 8 || known.key.as_bytes()[8..] == key[8..])
        };
        let mut index = self.buckets[usize::from(hash)];
        while index != Pair::UNKNOWN && !is_key(&self.known[usize::from(index)]) {
            index = self.next[usize::from(index)];
        }
        index
    }

    /// Reads the line into `pairs`; `None` if it is not logfmt.
    fn scan(&mut self, text: &[u8], line: Range<usize>) -> Option<()> {
        self.pairs.clear();
        let end = line.end;
        let mut at = scan::skip_spaces(text, line.start, end);
        let mut valued = false;
        let mut seen = Seen::default();
        while at < end {
            let start = at;
            at = scan::key_end(text, start, end);
            let has_value = at < end && text[at] == b'=';
            let key = &text[start..at];
            if key.is_empty() {
                return None;
            }
            let hash = hash(key);
            let known = self.lookup(key, hash);
            if self.syntax == Syntax::Strict && !(has_value && self.is_plain(key, known)) {
                return None;
            }
            let mut pair = Pair {
                key: (start as u32, at as u32),
                value: (at as u32, at as u32),
                kind: FieldKind::True,
                hash,
                known,
                has_role: false,
            };
            if has_value {
                valued = true;
                at = value(text, at + 1, end, &mut pair)?;
            } else if at < end && text[at] != b' ' {
                return None;
            }
            self.add(text, pair, &mut seen)?;
            at = scan::skip_spaces(text, at, end);
        }
        valued.then_some(())
    }

    /// Adds a pair, in the place of an earlier one with its key.
    // Left to itself the compiler makes this a call, once a pair.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn add(&mut self, text: &[u8], pair: Pair, seen: &mut Seen) -> Option<()> {
        let (part, bit) = (usize::from(pair.hash >> 6), 1 << (pair.hash & 63));
        if seen[part] & bit != 0 {
            let bytes = |p: &Pair| &text[p.key.0 as usize..p.key.1 as usize];
            let equal = |p: &&mut Pair| p.hash == pair.hash && bytes(p) == bytes(&pair);
            if let Some(earlier) = self.pairs.iter_mut().find(equal) {
                *earlier = pair;
                return Some(());
            }
        }
        seen[part] |= bit;
        self.pairs.push(pair);
        (self.pairs.len() <= PAIRS_MAX).then_some(())
    }

    /// For each role, the pair whose key means it most strongly.
    fn roles(&self) -> [Option<u16>; Role::ALL.len()] {
        let mut strongest = [None; Role::ALL.len()];
        let mut ranks = [usize::MAX; Role::ALL.len()];
        for (i, pair) in self.pairs.iter().enumerate() {
            let known = self.known.get(usize::from(pair.known));
            if let Some((role, rank)) = known.and_then(|k| k.role)
                && rank < ranks[role as usize]
            {
                ranks[role as usize] = rank;
                strongest[role as usize] = Some(i as u16);
            }
        }
        strongest
    }

    fn emit(&mut self, text: &[u8], row: usize, out: &mut Columns) {
        let roles = self.roles();
        for i in roles.iter().flatten() {
            self.pairs[usize::from(*i)].has_role = true;
        }
        let lists = out.wants_fields();
        for pair in &self.pairs {
            let Some(known) = self.known.get(usize::from(pair.known)) else {
                continue;
            };
            if known.output.has_columns() {
                known.output.put(out, row, text, cell(*pair));
            }
            if let Some(output) = &known.role_output
                && pair.has_role
                && output.has_columns()
            {
                output.put(out, row, text, cell(*pair));
            }
        }
        if !lists {
            return;
        }
        // `Role::ALL` begins with timestamp, level and message, the output's order.
        for i in roles.iter().flatten() {
            let pair = self.pairs[usize::from(*i)];
            if let Some(output) = &self.known[usize::from(pair.known)].role_output {
                push_value(pair, output.def(), out);
            }
        }
        for pair in self.pairs.iter().filter(|pair| !pair.has_role) {
            let known = self.known.get(usize::from(pair.known));
            if let Some(known) = known.filter(|known| known.renamed) {
                push_value(*pair, known.output.def(), out);
                continue;
            }
            let (start, end) = (pair.key.0 as usize, pair.key.1 as usize);
            out.push_field(Field::new(0, FieldKind::Key, start, end));
            push_value(*pair, Field::KEYED, out);
        }
    }
}

fn cell(pair: Pair) -> Cell {
    let (start, end) = (pair.value.0 as usize, pair.value.1 as usize);
    match pair.kind {
        FieldKind::Escaped | FieldKind::HexEscaped => Cell::string(start, end, true),
        _ => Cell::new(start, end),
    }
}

fn push_value(pair: Pair, def: u32, out: &mut Columns) {
    let (start, end) = (pair.value.0 as usize, pair.value.1 as usize);
    out.push_field(Field::new(def, pair.kind, start, end));
}

/// Whether a key looks like one: for LTSV any that has the bytes of labels.
fn is_plain(syntax: Syntax, key: &[u8]) -> bool {
    let Some(first) = key.first() else {
        return false;
    };
    let (begins, goes_on) = match syntax {
        Syntax::Ltsv => (LABEL, LABEL),
        _ => (FIRST, PLAIN),
    };
    let has = |byte: u8, bit| IN_KEYS[usize::from(byte)] & bit != 0;
    has(*first, begins) && key.iter().all(|b| has(*b, goes_on))
}

/// What a byte can be in a key: the first byte of one of [`Syntax::Strict`], …
const FIRST: u8 = 1;
/// … any of it, …
const PLAIN: u8 = 2;
/// … or a label of LTSV.
const LABEL: u8 = 4;

static IN_KEYS: [u8; 256] = {
    let mut keys = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        keys[byte as usize] = match byte {
            b'_' => FIRST | PLAIN | LABEL,
            b'.' | b'-' => PLAIN | LABEL,
            b'@' => FIRST | PLAIN,
            b'/' | b'#' => PLAIN,
            _ if byte.is_ascii_alphabetic() => FIRST | PLAIN | LABEL,
            _ if byte.is_ascii_digit() => PLAIN | LABEL,
            _ => 0,
        };
        byte += 1;
    }
    keys
};

/// Reads the value at `at`; where it ends.
fn value(text: &[u8], at: usize, end: usize, pair: &mut Pair) -> Option<usize> {
    if at < end && text[at] == b'"' {
        let (close, escaped) = scan::quoted(text, at + 1, end)?;
        pair.value = (at as u32 + 1, close as u32);
        pair.kind = if escaped {
            escapes(&text[at + 1..close])
        } else {
            FieldKind::Text
        };
        let after = close + 1;
        return (after == end || text[after] == b' ').then_some(after);
    }
    let after = scan::blank(text, at, end);
    pair.value = (at as u32, after as u32);
    pair.kind = match &text[at..after] {
        b"true" | b"false" => FieldKind::Literal,
        value if is_number(value) => FieldKind::Number,
        _ => FieldKind::Text,
    };
    // Other control characters are no separators: then this is not logfmt.
    (after == end || matches!(text[after], b' ' | b'\t')).then_some(())?;
    Some(if after < end { after + 1 } else { after })
}

/// Whether an escaped string's escapes are all JSON's.
fn escapes(inside: &[u8]) -> FieldKind {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &inside[at..]) {
        at += found + 1;
        let valid = match inside.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') => inside
                .get(at + 1..at + 5)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            _ => false,
        };
        if !valid {
            return FieldKind::HexEscaped;
        }
        at += 1;
    }
    let controls = inside.iter().any(|&b| b < b' ');
    if controls {
        FieldKind::HexEscaped
    } else {
        FieldKind::Escaped
    }
}

/// `-?(0|[1-9]\d*)(\.\d+)?` of at most [`DIGITS_MAX`] digits.
pub(super) fn is_number(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || digits.len() > DIGITS_MAX + 1 || !digits[0].is_ascii_digit() {
        return false;
    }
    let whole = digits
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    if digits[0] == b'0' && whole > 1 {
        return false;
    }
    match digits[whole..].split_first() {
        None => whole <= DIGITS_MAX,
        Some((b'.', fraction)) => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

impl Parser for Pairs {
    fn name(&self) -> &'static str {
        match self.syntax {
            Syntax::Logfmt | Syntax::Strict => "logfmt",
            Syntax::Ltsv => "ltsv",
        }
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let found = match self.syntax {
            Syntax::Ltsv => self.scan_ltsv(text, line),
            Syntax::Logfmt | Syntax::Strict => self.scan(text, line),
        };
        let found = found.is_some();
        if found {
            self.emit(text, row, out);
        }
        found
    }
}
