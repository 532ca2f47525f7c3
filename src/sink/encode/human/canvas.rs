//! Where the lines of one event are laid out: styles, columns, line breaks.

use unicode_width::UnicodeWidthStr;

use super::shown;
use crate::event::Level;

/// Narrower than this, nothing is laid out.
const WIDTH_MIN: usize = 40;
/// A broken line goes on below its text if that leaves so many columns.
const HANGING_COLUMNS_MIN: usize = 40;
/// Otherwise it is indented by so much.
const INDENT: usize = 4;
/// A line that is not a third full is left to the terminal to break: nothing
/// but `at` would stand in it.
const FULL: usize = 3;

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Bold,
    /// A field's name.
    Name,
    Level(Level),
}

impl Style {
    /// The colours of the terminal's own theme.
    fn code(self) -> &'static [u8] {
        match self {
            Style::Plain => b"\x1b[0m",
            Style::Dim => b"\x1b[2m",
            Style::Bold => b"\x1b[1m",
            Style::Name => b"\x1b[2;36m",
            Style::Level(level) => match level.name() {
                "trace" => b"\x1b[2m",
                "debug" => b"\x1b[36m",
                "info" => b"\x1b[32m",
                "warn" => b"\x1b[33m",
                "error" => b"\x1b[1;31m",
                _ => b"\x1b[1;37;41m",
            },
        }
    }
}

/// Writes one event.
pub(super) struct Canvas<'a> {
    out: &'a mut Vec<u8>,
    color: bool,
    /// Columns of a line; none: it is never broken.
    width: Option<usize>,
    style: Style,
    /// Columns that the line has so far.
    column: usize,
    /// Where a line goes on that was broken, and in which style.
    hanging: usize,
    /// Text on its way to be shown.
    text: String,
    /// Values that had invalid UTF-8.
    pub(super) replaced: u64,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, color: bool, width: Option<u16>) -> Canvas<'a> {
        Canvas {
            out,
            color,
            width: width.map(usize::from).filter(|&width| width >= WIDTH_MIN),
            style: Style::Plain,
            column: 0,
            hanging: 0,
            text: String::new(),
            replaced: 0,
        }
    }

    /// What follows looks so.
    pub(super) fn style(&mut self, style: Style) {
        if self.color && style != self.style {
            if self.style != Style::Plain {
                self.out.extend_from_slice(Style::Plain.code());
            }
            if style != Style::Plain {
                self.out.extend_from_slice(style.code());
            }
        }
        self.style = style;
    }

    /// Writes ASCII of our own.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.column += bytes.len();
    }

    pub(super) fn spaces(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, b' ');
        self.column += count;
    }

    /// From here on a broken line goes on below this column, if there is room.
    pub(super) fn hang(&mut self, style: Style) {
        self.style(style);
        let roomy = self
            .width
            .is_some_and(|width| width >= self.column + HANGING_COLUMNS_MIN);
        self.hanging = if roomy && self.column > 0 {
            self.column
        } else {
            INDENT
        };
    }

    /// Columns that the line has so far.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// What follows begins on lines below, indented by so much.
    pub(super) fn below(&mut self, indent: usize) {
        self.hanging = indent;
    }

    /// Begins a line below.
    pub(super) fn line(&mut self) {
        let style = self.style;
        self.style(Style::Plain);
        self.out.push(b'\n');
        self.column = 0;
        self.spaces(self.hanging);
        self.style(style);
    }

    /// Writes content, breaking lines between words where they end.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.replaced += u64::from(shown::write(bytes, &mut text));
        self.flow(&text, false);
        self.text = text;
    }

    /// Writes a field behind a gap, on the next line if it fits there better.
    pub(super) fn pair(&mut self, gap: usize, name: &[u8], value: &[u8]) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.replaced += u64::from(shown::write(name, &mut text));
        text.push('=');
        let split = text.len();
        self.replaced += u64::from(write_value(value, &mut text));
        let columns = text.width();
        self.style(Style::Plain);
        let fits = |from: usize| self.width.is_none_or(|width| from + columns <= width);
        if !fits(self.column + gap) && self.column > self.hanging {
            self.line();
        } else {
            self.spaces(gap);
        }
        self.style(Style::Name);
        self.flow(&text[..split], false);
        self.style(Style::Dim);
        self.flow(&text[split..], true);
        self.style(Style::Plain);
        self.text = text;
    }

    /// Writes shown text, perhaps glued to what stands there. Where a line is
    /// broken, the spaces go.
    fn flow(&mut self, text: &str, mut glued: bool) {
        let Some(width) = self.width else {
            self.out.extend_from_slice(text.as_bytes());
            // Enough to know that the line is not empty.
            self.column += text.len();
            return;
        };
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|c| c != ' ').unwrap_or(rest.len());
            let end = rest[word..].find(' ').map_or(rest.len(), |at| word + at);
            let columns = rest[word..end].width();
            let breaks = self.column + word + columns > width
                && self.column > self.hanging.max(width / FULL);
            if breaks && !glued {
                self.line();
                self.out.extend_from_slice(&rest.as_bytes()[word..end]);
                self.column += columns;
            } else {
                self.out.extend_from_slice(&rest.as_bytes()[..end]);
                self.column += word + columns;
            }
            rest = &rest[end..];
            glued = false;
        }
    }

    /// Ends the line that is open.
    pub(super) fn end(&mut self) {
        self.style(Style::Plain);
        self.out.push(b'\n');
        self.column = 0;
    }
}

/// Appends a value, in quotes where it would not be told from what follows.
fn write_value(value: &[u8], out: &mut String) -> bool {
    let json = matches!(value.first(), Some(b'[' | b'{'));
    let plain = !value.is_empty()
        && (json
            || !value
                .iter()
                .any(|b| matches!(b, b' ' | b'\t' | b'"' | b'=')));
    if plain {
        return shown::write(value, out);
    }
    out.push('"');
    let mut replaced = false;
    for (at, part) in value.split(|&b| b == b'"').enumerate() {
        if at > 0 {
            out.push_str("\\\"");
        }
        replaced |= shown::write(part, out);
    }
    out.push('"');
    replaced
}
