//! From bytes to a parsed batch, as a source and its reader make it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tflog::event::{
    Batch, Chunk, Column, ColumnKind, FieldKind, Needs, Path, Pool, Rows, Stream, Timestamp,
};
use tflog::frame::{Framer, Framing, Limits};
use tflog::parse::json::Json;
use tflog::parse::{FormatError, Formats, Reader};
use tflog::sink::Part;
use tflog::sink::encode::{Encoder, Options};

use super::framing::is_wrapped;

/// 2026-11-23T14:00:00Z: what a time without a year is close to.
pub(super) const OBSERVED: Timestamp = Timestamp(1_795_442_400_000_000_000);

/// Columns of every kind, by roles and by fields.
const COLUMNS: [(&str, ColumnKind); 9] = [
    ("timestamp", ColumnKind::Time),
    ("level", ColumnKind::Level),
    ("message", ColumnKind::Text),
    ("service", ColumnKind::Text),
    ("host", ColumnKind::Text),
    ("stream", ColumnKind::Text),
    ("http.status", ColumnKind::Number),
    ("took", ColumnKind::Duration),
    ("size", ColumnKind::Size),
];

/// What all inputs are read and written with; made once, for speed.
pub(super) struct Tools {
    pub(super) needs: Needs,
    /// `json`, `ecs` and `logfmt`.
    pub(super) encoders: [Encoder; 3],
    formats: HashMap<String, Arc<Formats>>,
}

impl Tools {
    fn new() -> Tools {
        let mut needs = Needs::default();
        let encoders = ["json", "ecs", "logfmt"]
            .map(|name| Encoder::build(name, Options::default(), &mut needs).unwrap());
        for (path, kind) in COLUMNS {
            needs.slot(&Path::of(path), kind);
        }
        Tools {
            needs,
            encoders,
            formats: HashMap::new(),
        }
    }

    /// A format as `parse:` takes it.
    pub(super) fn format(&mut self, name: &str) -> Result<Arc<Formats>, FormatError> {
        if let Some(known) = self.formats.get(name) {
            return Ok(known.clone());
        }
        let built = Arc::new(build(name, &self.needs)?);
        // Templates are the fuzzer's: there is no end of them.
        if Formats::names().any(|known| known == name) {
            self.formats.insert(name.to_owned(), built.clone());
        }
        Ok(built)
    }
}

/// A format for needs of one's own.
pub(super) fn build(name: &str, needs: &Needs) -> Result<Formats, FormatError> {
    Formats::build(name, needs, |needs| Box::new(Json::build(needs)))
}

/// Calls `each` with the thread's tools.
pub(super) fn with_tools(each: impl FnOnce(&mut Tools)) {
    thread_local! {
        static TOOLS: RefCell<Tools> = RefCell::new(Tools::new());
    }
    TOOLS.with_borrow_mut(each);
}

/// How bytes become events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum How {
    /// A line is an event.
    Lines,
    /// Traces are events of several lines.
    Traces,
    /// Zero bytes end events, which may have newlines in them.
    Nul,
}

impl How {
    /// Every way.
    pub(super) const ALL: [How; 3] = [How::Lines, How::Traces, How::Nul];

    /// The events of `text`.
    pub(super) fn frame(self, text: &[u8]) -> Box<Chunk> {
        let framing = match self {
            How::Nul => Framing::Nul,
            How::Lines | How::Traces => Framing::Newline,
        };
        let mut framer = Framer::new(framing, Limits::default());
        if self == How::Traces {
            framer = framer.joining_traces();
        }
        let mut chunk = Box::new(Chunk::default());
        chunk.text.extend_from_slice(text);
        framer.frame(&mut chunk).unwrap();
        framer.finish(&mut chunk);
        if self == How::Lines || (self == How::Traces && !is_wrapped(text)) {
            assert!(chunk.text == text, "framing made other bytes");
        }
        chunk
    }

    /// What stood in a row as the only event.
    pub(super) fn alone(self, event: &[u8]) -> Box<Chunk> {
        let several = event[..event.len() - 1].contains(&b'\n');
        Box::new(Chunk {
            text: event.to_vec(),
            ends: vec![event.len() as u32],
            joined: self == How::Traces && several,
            ..Chunk::default()
        })
    }
}

/// A batch of the chunk, read by `reader`.
pub(super) fn read(reader: &mut Reader, chunk: Box<Chunk>) -> Part {
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    let pool = Arc::new(Pool::default());
    let mut batch = Batch::new(Arc::new(stream), 0, OBSERVED, chunk, pool);
    batch.parse_with(|text, ends, columns| reader.read(OBSERVED, text, ends, columns));
    Part {
        batch: Arc::new(batch),
        rows: Rows::All,
    }
}

/// All that was found of a row, for comparison. Panics if some of it does not
/// lie in the row's own bytes.
pub(super) fn found(batch: &Batch, row: usize) -> Vec<String> {
    let (text, span, columns) = (batch.text(), batch.span(row), batch.columns());
    let inside = |at: std::ops::Range<usize>| {
        let lies = at.is_empty() || (at.start >= span.start && at.end <= span.end);
        assert!(lies, "{at:?} is outside of row {row}, {span:?}");
        String::from_utf8_lossy(&text[at]).into_owned()
    };
    let mut all = vec![format!(
        "json {} failed {}",
        columns.json().contains(row),
        columns.failed().contains(row)
    )];
    for field in columns.fields(row) {
        let value = match field.kind() {
            FieldKind::True => "true".to_owned(),
            FieldKind::Level | FieldKind::Integer => field.computed().to_string(),
            _ => inside(field.start as usize..(field.start + field.len) as usize),
        };
        all.push(format!("{:?} {} {value}", field.kind(), field.def()));
    }
    for slot in 0..COLUMNS.len() {
        all.push(match columns.column(slot) {
            Column::Level(values) => values[row].to_string(),
            Column::Number(values) => values[row].to_string(),
            Column::Time(values) => values[row].to_string(),
            Column::Text(cells) if cells[row].is_present() => inside(cells[row].range()),
            Column::Text(_) => "absent".to_owned(),
            Column::Same(value) => value.to_string(),
        });
    }
    all
}
