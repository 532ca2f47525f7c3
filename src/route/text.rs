//! Tests on text, compiled: what is looked for, and how to look at as few
//! bytes as possible. A first pass over the cells, without branches, throws
//! out what is absent or has the wrong length.

use std::net::{IpAddr, SocketAddr};

use memchr::memmem::Finder;

use super::evaluate::matching;
use super::expression::{Comparison, Network};
use super::ranges::Ranges;
use crate::event::{Bits, Cell, ColumnKind, convert};

/// A test of a value's bytes.
// There are as many as a config has terms.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    Present,
    Equal(Box<[u8]>),
    OneOf(Words),
    /// `<`, `<=`, `>` or `>=`.
    Ordered(Comparison, Box<[u8]>),
    Contains(Finder<'static>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    /// And whether upper and lower case are the same. A clone has a cache of
    /// its own: threads should not share one.
    Matches(regex::bytes::Regex, bool),
    /// Whole numbers too large for a column of `f64`.
    Integer(Ranges<i128>),
    Networks(Box<[AddressRange]>),
}

/// A set of words.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// By length, then bytes.
    sorted: Box<[Box<[u8]>]>,
    /// Bit n: there is a word of n bytes; bit 63 for all longer ones.
    lengths: u64,
}

impl Words {
    pub(super) fn new(words: impl Iterator<Item = Box<[u8]>>) -> Words {
        let mut sorted: Vec<_> = words.collect();
        sorted.sort_by(|a, b| by_length(a, b));
        sorted.dedup();
        let lengths = sorted
            .iter()
            .fold(0, |bits, word| bits | length_bit(word.len()));
        Words {
            sorted: sorted.into(),
            lengths,
        }
    }

    /// The words, by length.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.sorted.iter().map(|word| &**word)
    }

    fn contains(&self, value: &[u8]) -> bool {
        self.sorted
            .binary_search_by(|word| by_length(word, value))
            .is_ok()
    }
}

fn by_length(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn length_bit(len: usize) -> u64 {
    1 << len.min(63)
}

/// The addresses of one network, as IPv6 addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressRange {
    first: u128,
    mask: u128,
}

impl AddressRange {
    pub(super) fn of(network: Network) -> AddressRange {
        // IPv4 is the last 32 bits of ::ffff:0:0/96.
        let above = if network.address.is_ipv4() { 96 } else { 0 };
        let bits = above + u32::from(network.prefix_bits);
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        AddressRange {
            first: as_v6(network.address) & mask,
            mask,
        }
    }
}

impl AddressRange {
    /// Whether every address of this one is in `other`.
    pub(super) fn is_within(self, other: AddressRange) -> bool {
        self.mask & other.mask == other.mask && self.first & other.mask == other.first
    }

    /// Whether no address is in both.
    pub(super) fn excludes(self, other: AddressRange) -> bool {
        let common = self.mask & other.mask;
        self.first & common != other.first & common
    }
}

fn as_v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// An address, with or without a port.
fn address(value: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(value).ok()?;
    let address: Option<IpAddr> = text.parse().ok();
    address
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
        .map(as_v6)
}

impl TextTest {
    /// How dear it is next to the others; cheap ones run first.
    pub(super) fn cost(&self) -> u32 {
        match self {
            TextTest::Present => 2,
            TextTest::Equal(_) | TextTest::OneOf(_) => 3,
            TextTest::Ordered(..) | TextTest::StartsWith(_) | TextTest::EndsWith(_) => 4,
            TextTest::Contains(_) => 5,
            TextTest::Integer(_) | TextTest::Networks(_) => 6,
            TextTest::Matches(..) => 7,
        }
    }

    /// Whether it holds for a value, unescaped.
    pub(super) fn holds(&self, value: &[u8]) -> bool {
        match self {
            TextTest::Present => true,
            TextTest::Equal(word) => value == &**word,
            TextTest::OneOf(words) => words.contains(value),
            TextTest::Ordered(operator, bound) => ordered(*operator, value.cmp(bound)),
            TextTest::Contains(finder) => finder.find(value).is_some(),
            TextTest::StartsWith(needle) => value.starts_with(needle),
            TextTest::EndsWith(needle) => value.ends_with(needle),
            TextTest::Matches(regex, _) => regex.is_match(value),
            TextTest::Integer(ranges) => integer(value, ranges),
            TextTest::Networks(networks) => address(value)
                .is_some_and(|address| networks.iter().any(|n| address & n.mask == n.first)),
        }
    }

    /// The rows of `wanted` for which it holds, added to `out`.
    pub(super) fn select(&self, cells: &[Cell], text: &[u8], wanted: &Bits, out: &mut Bits) {
        // An escaped value can only be shorter than its bytes.
        let at_least = |n: usize| move |c: Cell| c.is_present() & (c.range().len() >= n);
        match self {
            TextTest::Present => matching(cells, Cell::is_present, |_| true, wanted, out),
            TextTest::Equal(word) => {
                let len = word.len();
                let fits = |c: Cell| c.is_present() & (c.is_escaped() | (c.range().len() == len));
                self.select_fitting(cells, fits, |v| v == &**word, text, wanted, out);
            }
            TextTest::OneOf(words) => {
                let lengths = words.lengths;
                let fits = |c: Cell| {
                    c.is_present() & (c.is_escaped() | (lengths & length_bit(c.range().len()) != 0))
                };
                self.select_fitting(cells, fits, |v| words.contains(v), text, wanted, out);
            }
            TextTest::StartsWith(needle) => {
                let holds = |v: &[u8]| v.starts_with(needle);
                self.select_fitting(cells, at_least(needle.len()), holds, text, wanted, out);
            }
            TextTest::EndsWith(needle) => {
                let holds = |v: &[u8]| v.ends_with(needle);
                self.select_fitting(cells, at_least(needle.len()), holds, text, wanted, out);
            }
            TextTest::Contains(finder) => {
                let holds = |v: &[u8]| finder.find(v).is_some();
                let fits = at_least(finder.needle().len());
                self.select_fitting(cells, fits, holds, text, wanted, out);
            }
            TextTest::Ordered(..)
            | TextTest::Matches(..)
            | TextTest::Integer(_)
            | TextTest::Networks(_) => {
                let holds = |v: &[u8]| self.holds(v);
                self.select_fitting(cells, Cell::is_present, holds, text, wanted, out);
            }
        }
    }

    fn select_fitting(
        &self,
        cells: &[Cell],
        fits: impl Fn(Cell) -> bool,
        holds: impl Fn(&[u8]) -> bool,
        text: &[u8],
        wanted: &Bits,
        out: &mut Bits,
    ) {
        let check = |row: usize| {
            let cell = cells[row];
            if cell.is_escaped() {
                return self.holds_escaped(cell, text);
            }
            holds(cell.bytes(text))
        };
        matching(cells, fits, check, wanted, out);
    }

    #[cold]
    fn holds_escaped(&self, cell: Cell, text: &[u8]) -> bool {
        self.holds(&convert::value(cell, text))
    }
}

/// Whether `operator` is true of two values that compare so.
pub(super) fn ordered(operator: Comparison, ordering: std::cmp::Ordering) -> bool {
    match operator {
        Comparison::Eq => ordering.is_eq(),
        Comparison::Ne => ordering.is_ne(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
    }
}

/// The value as a whole number, digit for digit, if it is one.
pub(super) fn exact_integer(value: &[u8]) -> Option<i128> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn integer(value: &[u8], ranges: &Ranges<i128>) -> bool {
    if let Some(value) = exact_integer(value) {
        return ranges.contains(value);
    }
    // A fraction or an exponent, whose exact value is the f64's.
    let cell = Cell::new(0, value.len().min(Cell::LEN_MAX));
    let Some(value) = convert::number(ColumnKind::Number, cell, value) else {
        return false;
    };
    // Beyond i128 the casts saturate, which compares right.
    let (low_end, high_end) = (value.floor() as i128, value.ceil() as i128);
    ranges
        .as_slice()
        .iter()
        .any(|&(low, high)| low_end >= low && high_end <= high)
}
