//! What other stages have compiled, in the form that `with` lists take it.

use std::sync::Arc;

use crate::event::{Batch, Bits, Chunk, Needs, Pool, Stream, Timestamp};
use crate::parse::json::Json;
use crate::parse::{FormatError, Formats, Parser, Reader};
use crate::route::{Condition, Scratch};
use crate::sink::encode::{EncodeError, Encoder, Options};
use crate::sink::template::Template;
use crate::transform::{Fields, Rule, Text};

/// A rule with its scratch space.
pub(super) struct CompiledRule {
    pub(super) condition: Condition,
    pub(super) scratch: Scratch,
}

impl Rule for CompiledRule {
    fn select(&mut self, batch: &Batch, among: &Bits, out: &mut Bits) {
        self.condition
            .evaluate(batch, among, &mut self.scratch, out);
    }

    fn another(&self) -> Box<dyn Rule> {
        Box::new(CompiledRule {
            condition: self.condition.clone(),
            scratch: Scratch::default(),
        })
    }
}

/// A template whose values stand as they are.
pub(super) struct CompiledText(pub(super) Template);

impl Text for CompiledText {
    fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        self.0
            .render(batch, row, out, |value, out| out.extend_from_slice(value));
    }
}

/// Builds the JSON parser.
pub(super) fn json(needs: &Needs) -> Box<dyn Parser> {
    Box::new(Json::build(needs))
}

/// An encoder of whole events as JSON.
pub(super) fn json_encoder(needs: &mut Needs) -> Result<Encoder, EncodeError> {
    Encoder::build("json", Options::default(), needs)
}

/// Whether a format can be read, as `parse:` of a source takes it.
pub(super) fn format(name: &str) -> Result<(), String> {
    let built = Formats::build(name, &Needs::default(), json);
    built.map(drop).map_err(|error| error.to_string())
}

/// Formats that streams name: far more than the apps of one node have.
const NAMED_MAX: usize = 64;

/// A format with a reader, and what writes its events as JSON.
pub(super) struct CompiledFormat {
    formats: Arc<Formats>,
    reader: Reader,
    /// Formats that streams have named, by name; none where it is no format.
    named: Vec<(Box<str>, Option<Reader>)>,
    chosen: Option<usize>,
    encoder: Encoder,
    stream: Arc<Stream>,
    pool: Arc<Pool>,
    object: Vec<u8>,
}

impl CompiledFormat {
    /// The format `name`, as `parse:` of a source takes it.
    pub(super) fn build(name: &str) -> Result<CompiledFormat, FormatError> {
        let formats = Formats::build(name, &CompiledFormat::needs(), json)?;
        Ok(CompiledFormat::of(Arc::new(formats)))
    }

    fn needs() -> Needs {
        Needs {
            fields: true,
            ..Needs::default()
        }
    }

    fn of(formats: Arc<Formats>) -> CompiledFormat {
        let stream = Stream {
            source: 0,
            origin: 0,
            meta: Vec::new(),
        };
        CompiledFormat {
            reader: formats.reader(),
            formats,
            named: Vec::new(),
            chosen: None,
            encoder: json_encoder(&mut Needs::default()).expect("a known encoding"),
            stream: Arc::new(stream),
            pool: Arc::default(),
            object: Vec::new(),
        }
    }
}

impl Fields for CompiledFormat {
    fn read(
        &mut self,
        observed: Timestamp,
        text: &[u8],
        ends: &[u32],
        each: &mut dyn FnMut(Option<&[u8]>),
    ) {
        let mut chunk: Box<Chunk> = self.pool.take(text.len());
        chunk.text.extend_from_slice(text);
        chunk.ends.extend_from_slice(ends);
        let (stream, pool) = (self.stream.clone(), self.pool.clone());
        let mut batch = Batch::new(stream, 0, observed, chunk, pool);
        let named = self.chosen.and_then(|place| self.named[place].1.as_mut());
        let reader = named.unwrap_or(&mut self.reader);
        batch.parse_with(|text, ends, columns| reader.read(observed, text, ends, columns));
        for row in 0..batch.rows() {
            if batch.columns().failed().contains(row) {
                each(None);
                continue;
            }
            self.object.clear();
            self.encoder.encode_row(&batch, row, &mut self.object);
            each(Some(self.object.trim_ascii_end()));
        }
    }

    fn choose(&mut self, format: Option<&str>) {
        self.chosen = format.and_then(|name| {
            let known = self.named.iter().position(|(known, _)| **known == *name);
            if known.is_none() && self.named.len() < NAMED_MAX {
                let formats = Formats::build(name, &CompiledFormat::needs(), json);
                let reader = formats.ok().map(|formats| formats.reader());
                self.named.push((name.into(), reader));
                return Some(self.named.len() - 1);
            }
            known
        });
    }

    fn another(&self) -> Box<dyn Fields> {
        Box::new(CompiledFormat::of(self.formats.clone()))
    }
}
