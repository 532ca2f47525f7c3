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
    output: Output,
    /// The role and how strongly the key means it (0 is strongest).
    role: Option<(Role, usize)>,
    /// Columns that want the role.
    role_output: Option<Output>,
    /// Whether it has another name than its key.
    renamed: bool,
}

/// One `key=value` of the line being read.
#[derive(Clone, Copy, Debug)]
struct Pair {
    key: (u32, u32),
    value: (u32, u32),
    kind: FieldKind,
    hash: u8,
    known: u8,
}

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
                output: Output::new(name, None, None, needs, defs),
                role,
                role_output,
                renamed: rename.is_some(),
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

    fn lookup(&self, key: &[u8], hash: u8) -> u8 {
        // Keys are short: a call costs more than the comparison.
        let is_key = |known: &Known| {
            known.key.len() == key.len() && known.key.bytes().zip(key).all(|(a, b)| a == *b)
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
        let mut seen = 0u128;
        while at < end {
            let start = at;
            let mut plain = true;
            while at < end && !matches!(KEYS[usize::from(text[at])], InKey::End) {
                plain &= matches!(KEYS[usize::from(text[at])], InKey::Plain);
                at += 1;
            }
            let has_value = at < end && text[at] == b'=';
            let key = &text[start..at];
            if key.is_empty() {
                return None;
            }
            let plain = plain && (key[0].is_ascii_alphabetic() || matches!(key[0], b'_' | b'@'));
            if self.syntax == Syntax::Strict && !(has_value && plain) {
                return None;
            }
            let hash = hash(key);
            let known = self.lookup(key, hash);
            let mut pair = Pair {
                key: (start as u32, at as u32),
                value: (at as u32, at as u32),
                kind: FieldKind::True,
                hash,
                known,
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
    #[inline]
    fn add(&mut self, text: &[u8], pair: Pair, seen: &mut u128) -> Option<()> {
        let bit = 1u128 << pair.hash;
        if *seen & bit != 0 {
            let bytes = |p: &Pair| &text[p.key.0 as usize..p.key.1 as usize];
            let equal = |p: &&mut Pair| p.hash == pair.hash && bytes(p) == bytes(&pair);
            if let Some(earlier) = self.pairs.iter_mut().find(equal) {
                *earlier = pair;
                return Some(());
            }
        }
        *seen |= bit;
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

    fn emit(&self, text: &[u8], row: usize, out: &mut Columns) {
        let roles = self.roles();
        let lists = out.wants_fields();
        for (i, pair) in self.pairs.iter().enumerate() {
            let Some(known) = self.known.get(usize::from(pair.known)) else {
                continue;
            };
            if known.output.has_columns() {
                known.output.put(out, row, text, cell(*pair));
            }
            if let (Some((role, _)), Some(output)) = (known.role, &known.role_output)
                && roles[role as usize] == Some(i as u16)
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
        for (i, pair) in self.pairs.iter().enumerate() {
            if pair.known != Pair::UNKNOWN && roles.contains(&Some(i as u16)) {
                continue;
            }
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

/// What a byte is in a key of logfmt.
#[derive(Clone, Copy)]
enum InKey {
    /// It ends the key.
    End,
    /// A key of [`Syntax::Strict`] may have it.
    Plain,
    Other,
}

static KEYS: [InKey; 256] = {
    let mut keys = [InKey::Other; 256];
    let mut byte = 0u8;
    while byte < u8::MAX {
        keys[byte as usize] = match byte {
            0..=b' ' | b'=' | b'"' => InKey::End,
            b'_' | b'.' | b'-' | b'@' | b'/' | b'#' => InKey::Plain,
            _ if byte.is_ascii_alphanumeric() => InKey::Plain,
            _ => InKey::Other,
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
