//! The fields of rows that are not JSON, in the order they are written.
//!
//! A sink that writes whole events in a structured form needs every field of
//! a row, not just the columns of the plan. JSON rows leave as they came;
//! for the others the parser lists spans here.

use std::ops::Range;
use std::sync::Arc;

use super::{Level, Role, time::Layout};

/// How a field's span becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FieldKind {
    /// Text, byte for byte.
    Text = 0,
    /// The inside of a quoted string with JSON's backslash escapes.
    Escaped = 1,
    /// The inside of a quoted string with the access logs' escapes: `\"`, `\\`, `\xHH`.
    HexEscaped = 2,
    /// A JSON number, copied as it stands.
    Number = 3,
    /// `true`, `false` or `null`.
    Literal = 4,
    /// A time in the layout of the definition; written as RFC 3339.
    Time = 5,
    /// A key that the next entry is the value of (formats with free keys);
    /// `def` is unused.
    Key = 6,
    /// As `Key`, with JSON's backslash escapes in it.
    EscapedKey = 7,
    /// A severity that stands in no span; see [`Field::level`].
    Level = 8,
    /// A whole number that stands in no span; see [`Field::integer`].
    Integer = 9,
    /// A key whose value is an object of the next `def` members, each a
    /// `Key` and its value.
    Object = 10,
    /// `true`, of a key that stands without a value.
    True = 11,
}

/// One entry of a row's field list: 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Kind in the high byte, index into [`Defs`] below; `Field::KEYED` when
    /// the name is the entry before.
    tag: u32,
    /// The span's first byte in the batch's text.
    pub start: u32,
    /// The span's length in bytes.
    pub len: u32,
}

impl Field {
    /// The definition index of a value whose key is the entry before it.
    pub const KEYED: u32 = 0x00ff_ffff;

    /// No field: the place of one in a row that does not have it. It is in no
    /// row's list.
    pub const ABSENT: Field = Field {
        tag: u32::MAX,
        start: 0,
        len: 0,
    };

    /// Whether it is [`Field::ABSENT`].
    #[inline]
    #[must_use]
    pub fn is_absent(self) -> bool {
        self.tag == u32::MAX
    }

    /// Itself, or one that [`Field::is_absent`].
    #[inline]
    #[must_use]
    pub fn unless(self, absent: bool) -> Field {
        // Every bit of the tag is set, or none.
        let tag = self.tag | u32::from(absent).wrapping_neg();
        Field { tag, ..self }
    }

    /// A value of the field `def`, at `text[start..end]`.
    #[must_use]
    pub fn new(def: u32, kind: FieldKind, start: usize, end: usize) -> Field {
        debug_assert!(def <= Self::KEYED && end >= start);
        Field {
            tag: (kind as u32) << 24 | def,
            start: start as u32,
            len: (end - start) as u32,
        }
    }

    /// The same span in a text where it starts `by` bytes later (wrapping).
    #[must_use]
    pub fn shifted(self, by: u32) -> Field {
        if matches!(
            self.kind(),
            FieldKind::Level | FieldKind::Integer | FieldKind::True
        ) {
            // `start` is the value, not a place.
            return self;
        }
        Field {
            start: self.start.wrapping_add(by),
            ..self
        }
    }

    /// The same value where `moved` puts its span.
    #[must_use]
    pub(super) fn moved(self, moved: impl FnOnce(Range<u32>) -> Range<u32>) -> Field {
        if matches!(
            self.kind(),
            FieldKind::Level | FieldKind::Integer | FieldKind::True
        ) {
            return self;
        }
        let range = moved(self.start..self.start.wrapping_add(self.len));
        Field {
            start: range.start,
            len: range.end.wrapping_sub(range.start),
            ..self
        }
    }

    /// A severity that the format tells by other means than its name, such as
    /// a syslog priority; it is written as [`Level::name`].
    #[must_use]
    pub fn level(def: u32, level: Level) -> Field {
        Field {
            tag: (FieldKind::Level as u32) << 24 | def,
            start: u32::from(level.0),
            len: 0,
        }
    }

    /// A number that the format tells by other means than its digits.
    #[must_use]
    pub fn integer(def: u32, value: u32) -> Field {
        Field {
            tag: (FieldKind::Integer as u32) << 24 | def,
            start: value,
            len: 0,
        }
    }

    /// The value of a [`FieldKind::Level`] (a severity number) or
    /// [`FieldKind::Integer`] entry.
    #[must_use]
    pub fn computed(self) -> u32 {
        self.start
    }

    /// How the span becomes a value.
    #[must_use]
    pub fn kind(self) -> FieldKind {
        match self.tag >> 24 {
            0 => FieldKind::Text,
            1 => FieldKind::Escaped,
            2 => FieldKind::HexEscaped,
            3 => FieldKind::Number,
            4 => FieldKind::Literal,
            5 => FieldKind::Time,
            6 => FieldKind::Key,
            7 => FieldKind::EscapedKey,
            8 => FieldKind::Level,
            9 => FieldKind::Integer,
            10 => FieldKind::Object,
            _ => FieldKind::True,
        }
    }

    /// The index of its definition in the batch's [`Defs`], or [`Field::KEYED`].
    #[must_use]
    pub fn def(self) -> u32 {
        self.tag & Self::KEYED
    }

    /// Kind and definition in one number: what is written of it beside its value.
    #[inline]
    #[must_use]
    pub(crate) fn tag(self) -> u32 {
        self.tag
    }

    /// The span's bytes; empty for values that stand in no span.
    #[must_use]
    pub fn bytes(self, text: &[u8]) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        let start = self.start as usize;
        &text[start..start + self.len as usize]
    }
}

/// A field name that a format has: its nesting, role, and time layout if any.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// Outermost first: `["http", "status"]` is written `{"http":{"status":…}}`.
    pub parts: Box<[Box<str>]>,
    /// What it means.
    pub role: Option<Role>,
    /// For [`FieldKind::Time`].
    pub layout: Option<Arc<Layout>>,
    /// Equal for definitions with equal parents (all parts but the last), so
    /// that a writer knows without comparing strings when to close objects.
    pub parent: u32,
    /// The last part as a JSON key with its colon: `"status":`.
    pub json_key: Box<str>,
}

/// The field names of one source's parsers, fixed at start-up.
#[derive(Clone, Debug, Default)]
pub struct Defs {
    defs: Vec<FieldDef>,
    parents: Vec<Box<[Box<str>]>>,
}

impl Defs {
    /// Adds a definition, or finds the equal one. `dotted` is split at dots.
    pub fn add(&mut self, dotted: &str, role: Option<Role>, layout: Option<Arc<Layout>>) -> u32 {
        let parts: Box<[Box<str>]> = dotted.split('.').map(Box::from).collect();
        let same = |d: &FieldDef| {
            d.parts == parts
                && d.role == role
                && match (&d.layout, &layout) {
                    (None, None) => true,
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    _ => false,
                }
        };
        if let Some(found) = self.defs.iter().position(same) {
            return found as u32;
        }
        let parents: Box<[Box<str>]> = parts[..parts.len() - 1].into();
        let parent = self.parents.iter().position(|p| *p == parents);
        let parent = parent.unwrap_or_else(|| {
            self.parents.push(parents);
            self.parents.len() - 1
        });
        let mut json_key = serde_json::Value::from(&*parts[parts.len() - 1]).to_string();
        json_key.push(':');
        self.defs.push(FieldDef {
            parts,
            role,
            layout,
            parent: parent as u32,
            json_key: json_key.into(),
        });
        (self.defs.len() - 1) as u32
    }

    /// A definition by its index.
    #[must_use]
    pub fn get(&self, def: u32) -> Option<&FieldDef> {
        self.defs.get(def as usize)
    }

    /// All definitions, by index.
    #[must_use]
    pub fn all(&self) -> &[FieldDef] {
        &self.defs
    }
}
