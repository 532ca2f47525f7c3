//! Batches and tools for the tests of verbs: lines that begin with `{` are
//! JSON with values at the top, all others one `message`.

use std::sync::Arc;

use tokio::time::Instant;

use super::{List, Rule, Tools, Transform, Workspace};
use crate::event::escape::escape_json;
use crate::event::{
    Batch, Bits, Cell, Chunk, Column, ColumnKind, Columns, Defs, Field, FieldKind, Needs, Path,
    Settled, Stream, Timestamp, convert,
};
use crate::telemetry::WithTerms;

pub(super) struct Plain(pub(super) Needs);

impl Plain {
    fn value(text: &[u8], line: std::ops::Range<usize>, path: &Path) -> Option<Cell> {
        let key = format!("\"{}\":", path.dotted());
        let at = memchr::memmem::find(&text[line.clone()], key.as_bytes())?;
        let start = line.start + at + key.len();
        let end = super::scan::value_end(text, start)?;
        Some(if text[start] == b'"' {
            let escaped = text[start..end].contains(&b'\\');
            Cell::string(start + 1, end - 1, escaped)
        } else {
            Cell::new(start, end)
        })
    }
}

impl Tools for Plain {
    fn read(&mut self, _: Timestamp, text: &[u8], ends: &[u32], columns: &mut Columns) {
        let mut defs = Defs::default();
        defs.add("message", None, None);
        columns.reset(&self.0, ends.len(), &Arc::new(defs));
        let mut start = 0;
        for (row, &end) in ends.iter().enumerate() {
            let line = crate::event::batch::trim_terminator(text, start..end as usize);
            start = end as usize;
            if text[line.clone()].starts_with(b"{") {
                let valid: Result<serde_json::Value, _> =
                    serde_json::from_slice(&text[line.clone()]);
                valid.unwrap();
                columns.set_json(row);
                for (slot, need) in self.0.columns.iter().enumerate() {
                    if let Some(cell) = Plain::value(text, line.clone(), &need.path) {
                        columns.put(slot, row, text, cell);
                    }
                }
            } else {
                for (slot, need) in self.0.columns.iter().enumerate() {
                    if need.path.dotted() == "message" {
                        columns.put(slot, row, text, Cell::new(line.start, line.end));
                    }
                }
                columns.push_field(Field::new(0, FieldKind::Text, line.start, line.end));
            }
            columns.end_row();
        }
    }

    fn write(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":\"");
        escape_json(batch.line(row), out);
        out.extend_from_slice(b"\"}");
    }

    fn write_but(&mut self, _: &Batch, _: usize, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn describe(&mut self, _: &Stream, _: &mut Columns) {}
}

/// The rows whose column has this text.
pub(super) struct Is(pub(super) usize, pub(super) &'static str);

impl Rule for Is {
    fn select(&mut self, batch: &Batch, among: &Bits, out: &mut Bits) {
        out.clear(among.len());
        let Column::Text(cells) = batch.columns().column(self.0) else {
            panic!("a text column")
        };
        for row in among.iter() {
            if *convert::value(cells[row], batch.text()) == *self.1.as_bytes() {
                out.insert(row);
            }
        }
    }

    fn another(&self) -> Box<dyn Rule> {
        Box::new(Is(self.0, self.1))
    }
}

/// A list being written for a test.
pub(super) struct Bench {
    pub(super) needs: Needs,
    pub(super) list: List,
    /// Whether events are shown alone.
    pub(super) alone: bool,
    /// When the batches come.
    pub(super) now: Instant,
    /// Who wants to hear of the batches' ends.
    pub(super) hooks: Vec<Arc<dyn Settled>>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            needs: Needs::default(),
            list: List::default(),
            alone: false,
            now: Instant::now(),
            hooks: Vec::new(),
        }
    }
}

impl Bench {
    /// Adds a verb for all events.
    pub(super) fn with<T: Transform + 'static>(
        mut self,
        build: impl FnOnce(&mut Needs) -> T,
    ) -> Bench {
        let verb = build(&mut self.needs);
        self.list.push(None, Box::new(verb));
        self
    }

    /// Adds a verb for the events whose field `name` is `value`.
    pub(super) fn when<T: Transform + 'static>(
        mut self,
        (name, value): (&str, &'static str),
        build: impl FnOnce(&mut Needs) -> T,
    ) -> Bench {
        let verb = build(&mut self.needs);
        let slot = self.needs.slot(&Path::of(name), ColumnKind::Text);
        self.list
            .push(Some(Box::new(Is(slot, value))), Box::new(verb));
        self
    }

    /// A batch of these lines, parsed.
    pub(super) fn batch(&self, lines: &[&str]) -> Batch {
        let mut chunk = Box::new(Chunk::default());
        for line in lines {
            chunk.text.extend_from_slice(line.as_bytes());
            chunk.text.push(b'\n');
            chunk.ends.push(chunk.text.len() as u32);
        }
        let stream = Stream {
            source: 0,
            origin: 7,
            meta: Vec::new(),
        };
        let observed = Timestamp(0);
        let mut batch = Batch::new(Arc::new(stream), 0, observed, chunk, Arc::default());
        let mut tools = Plain(self.needs.clone());
        batch.parse_with(|text, ends, columns| tools.read(observed, text, ends, columns));
        batch
    }

    /// Runs a batch of these lines: what is left of them, in text.
    pub(super) fn run(&mut self, lines: &[&str]) -> (Vec<String>, WithTerms) {
        let batch = self.batch(lines);
        let tools = Plain(self.needs.clone());
        let mut work = Workspace::new(Box::new(tools), self.now);
        if self.alone {
            work.show_alone();
        }
        let (mut rows, mut terms) = (Bits::default(), WithTerms::default());
        rows.fill(lines.len());
        let edited = self
            .list
            .another()
            .run(&batch, &mut rows, &mut work, &mut terms);
        self.hooks.extend(work.take_hooks());
        assert!(terms.balances(), "{terms:?}");
        let batch = edited.as_ref().unwrap_or(&batch);
        let text = |row| String::from_utf8_lossy(batch.line(row)).into_owned();
        (rows.iter().map(text).collect(), terms)
    }
}

/// What one verb makes of these lines.
pub(super) fn run<T: Transform + 'static>(
    lines: &[&str],
    build: impl FnOnce(&mut Needs) -> T,
) -> Vec<String> {
    Bench::default().with(build).run(lines).0
}

/// Paths of literals.
pub(super) fn paths(names: &[&str]) -> Vec<Path> {
    names
        .iter()
        .map(|name| Path::parse(name).unwrap())
        .collect()
}
