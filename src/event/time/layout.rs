//! strftime layouts, compiled once to a list of items.

/// One thing that a layout reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// These bytes.
    Literal(Box<[u8]>),
    /// `%Y`: four digits.
    Year,
    /// `%y`: two digits, 1969 to 2068 as POSIX has it.
    YearShort,
    /// `%m`: two digits.
    Month,
    /// `%b`, `%B`: an English name, short or long.
    MonthName { full: bool },
    /// `%d`: two digits.
    Day,
    /// `%e`: one or two digits after an optional space.
    DaySpaced,
    /// `%j`: three digits, the day of the year.
    DayOfYear,
    /// `%a`, `%A`: an English name, short or long; read and not checked.
    Weekday { full: bool },
    /// `%H`: two digits.
    Hour,
    /// `%k`: one or two digits after an optional space.
    HourSpaced,
    /// `%I`: one or two digits, 1 to 12.
    Hour12,
    /// `%p`: AM or PM, after the space that locales put before it.
    HalfDay,
    /// `%M`: two digits.
    Minute,
    /// `%S`: two digits; a leap second is the first of the next minute.
    Second,
    /// `%f`: digits of a fraction. Without a `.` or `,` before it in the layout
    /// it reads that too, and may be missing altogether.
    Fraction { optional: bool },
    /// `%z`, `%:z`: `Z`, `+hhmm`, `+hh:mm` or `+hh`.
    Offset { colon: bool },
    /// `%Z`: `UTC`, `GMT` or `Z`.
    Zone,
    /// `%s`: seconds since the epoch, with a fraction or without.
    Epoch,
    /// `%+`: RFC 3339 and its relatives.
    Rfc3339,
    /// `%*`: any common layout.
    Any,
}

/// A compiled layout.
///
/// Directives: `%Y %y %m %b %B %d %e %j %a %A %H %k %I %p %M %S %f %z %:z %Z %s`,
/// `%T` (`%H:%M:%S`), `%D` (`%m/%d/%y`), `%F` (`%Y-%m-%d`), `%%`, and `%+` for
/// RFC 3339: `T` or a space, a fraction or none, `Z`, an offset or neither
/// (UTC). `%*` reads any common layout (see [`any_prefix`](super::any_prefix)). A layout without
/// zone is UTC; one without year or day reads the one that is closest to a
/// reference (see [`Layout::parse_prefix_in`]).
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) items: Box<[Item]>,
}

/// Why a layout was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LayoutError(pub String);

impl Layout {
    /// Compiles a strftime layout.
    pub fn compile(layout: &str) -> Result<Layout, LayoutError> {
        let mut items = Vec::new();
        let mut literal = Vec::new();
        let mut rest = layout;
        while let Some(at) = rest.find('%') {
            literal.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at + 1..];
            let name = if rest.starts_with(":z") {
                ":z"
            } else {
                first_char(rest)
            };
            rest = &rest[name.len()..];
            if name == "%" {
                literal.push(b'%');
                continue;
            }
            let separated = matches!(literal.last(), Some(b'.' | b','));
            if !literal.is_empty() {
                items.push(Item::Literal(std::mem::take(&mut literal).into()));
            }
            directive(name, separated, &mut items).ok_or_else(|| {
                LayoutError(format!(
                    "the time layout `{layout}` has `%{name}`, which is no directive; \
                     use %Y %m %d %b %e %H %M %S %f %z %Z %s %y %j %a %I %p %T %D %F, %+ for RFC 3339, or %* for any"
                ))
            })?;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            items.push(Item::Literal(literal.into()));
        }
        Ok(Layout {
            items: items.into(),
        })
    }

    /// Whether it says enough for a point in time (a day or the time of a day,
    /// at least), so that it can read as well as write.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let has = |wanted: fn(&Item) -> bool| self.items.iter().any(wanted);
        has(|i| matches!(i, Item::Rfc3339 | Item::Any | Item::Epoch | Item::DayOfYear))
            || has(|i| matches!(i, Item::Month | Item::MonthName { .. }))
                && has(|i| matches!(i, Item::Day | Item::DaySpaced))
            || has(|i| matches!(i, Item::Hour | Item::HourSpaced | Item::Hour12))
                && has(|i| matches!(i, Item::Minute))
    }
}

impl Layout {
    /// Whether a time in this layout can begin with `byte`; true if in doubt.
    #[must_use]
    pub fn can_begin_with(&self, byte: u8) -> bool {
        let Some(first) = self.items.first() else {
            return true;
        };
        match first {
            Item::Literal(bytes) => bytes.first() == Some(&byte),
            Item::Year
            | Item::YearShort
            | Item::Month
            | Item::Day
            | Item::DayOfYear
            | Item::Hour
            | Item::Hour12
            | Item::Minute
            | Item::Second
            | Item::Fraction { optional: false }
            | Item::Rfc3339 => byte.is_ascii_digit(),
            Item::DaySpaced | Item::HourSpaced => byte.is_ascii_digit() || byte == b' ',
            Item::MonthName { .. } | Item::Weekday { .. } | Item::Zone => {
                byte.is_ascii_alphabetic()
            }
            Item::Epoch => byte.is_ascii_digit() || byte == b'-',
            Item::Any => byte.is_ascii_alphanumeric(),
            Item::HalfDay | Item::Fraction { optional: true } | Item::Offset { .. } => true,
        }
    }
}

fn first_char(text: &str) -> &str {
    let len = text.chars().next().map_or(0, char::len_utf8);
    &text[..len]
}

/// Appends what the directive `%name` stands for.
fn directive(name: &str, separated: bool, items: &mut Vec<Item>) -> Option<()> {
    let byte = |b: u8| Item::Literal([b].into());
    let single = match name {
        "Y" => Item::Year,
        "y" => Item::YearShort,
        "m" => Item::Month,
        "b" => Item::MonthName { full: false },
        "B" => Item::MonthName { full: true },
        "d" => Item::Day,
        "e" => Item::DaySpaced,
        "j" => Item::DayOfYear,
        "a" => Item::Weekday { full: false },
        "A" => Item::Weekday { full: true },
        "H" => Item::Hour,
        "k" => Item::HourSpaced,
        "I" => Item::Hour12,
        "p" => Item::HalfDay,
        "M" => Item::Minute,
        "S" => Item::Second,
        "f" => Item::Fraction {
            optional: !separated,
        },
        "z" => Item::Offset { colon: false },
        ":z" => Item::Offset { colon: true },
        "Z" => Item::Zone,
        "s" => Item::Epoch,
        "+" => Item::Rfc3339,
        "*" => Item::Any,
        _ => {
            items.extend(match name {
                "T" => [
                    Item::Hour,
                    byte(b':'),
                    Item::Minute,
                    byte(b':'),
                    Item::Second,
                ],
                "D" => [
                    Item::Month,
                    byte(b'/'),
                    Item::Day,
                    byte(b'/'),
                    Item::YearShort,
                ],
                "F" => [Item::Year, byte(b'-'), Item::Month, byte(b'-'), Item::Day],
                _ => return None,
            });
            return Some(());
        }
    };
    items.push(single);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_directive_is_named() {
        for (layout, named) in [("%Y-%Q", "`%Q`"), ("%é", "`%é`"), ("100%", "`%`")] {
            let error = Layout::compile(layout).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_layout_without_day_and_time_only_writes() {
        for (layout, complete) in [
            ("%H:%M", true),
            ("%H", false),
            ("%Y-%m", false),
            ("%F", true),
            ("%s", true),
        ] {
            assert_eq!(
                Layout::compile(layout).unwrap().is_complete(),
                complete,
                "{layout}"
            );
        }
    }
}
