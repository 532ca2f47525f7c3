//! Events to bytes: `json`, `raw`, `logfmt`, `human` and `ecs`.
//!
//! An encoder is built for the plan, whose needs it adds to, and then appends
//! rows to buffers of its sink's. What may leave as it came is not copied:
//! [`Encoder::verbatim`] says so for a whole part. Every row ends with a line
//! feed, except that raw output keeps what the stream had: the sink adds the
//! missing one if more follows (`ends_open`).

mod ecs;
mod grouped;
mod human;
mod json;
mod keys;
mod logfmt;
mod pick;
mod room;
mod shape;
mod value;
mod walk;

use self::ecs::Ecs;
use self::human::Human;
pub use self::human::Screen;
use self::json::Json;
use self::logfmt::Logfmt;
use self::pick::Pick;
use super::Part;
use crate::event::{Batch, Needs, Path, Rows};

/// How an encoder is to write.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether `human` colours its lines.
    pub color: bool,
    /// The terminal that `human` lays its lines out for, if it writes to one.
    pub screen: Option<Screen>,
    /// Only these fields; all if `None`.
    pub fields: Option<Vec<Path>>,
}

/// Why an encoder could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No encoding has this name.
    #[error("unknown encoding {0:?}: use one of json, raw, logfmt, human, ecs")]
    Unknown(String),
    /// Raw output is the line as it came, so that no fields can be chosen.
    #[error(
        "raw output writes lines as they came and cannot choose fields: use json, logfmt or human"
    )]
    RawFields,
    /// ECS says itself which fields there are.
    #[error("ecs output has fields of its own and cannot choose others: use json")]
    EcsFields,
}

/// Writes rows in one encoding. A clone writes the same.
#[derive(Clone)]
pub struct Encoder(Kind);

#[derive(Clone)]
enum Kind {
    Raw,
    Json(Box<Json>),
    Logfmt(Logfmt),
    Human(Human),
    Ecs(Box<Ecs>),
}

impl Encoder {
    /// The names that [`Encoder::build`] takes.
    pub const NAMES: [&'static str; 5] = ["json", "raw", "logfmt", "human", "ecs"];

    /// An encoder by its name. What it must know of the rows is added to `needs`.
    pub fn build(name: &str, options: Options, needs: &mut Needs) -> Result<Encoder, EncodeError> {
        if name == "raw" {
            return match options.fields {
                None => Ok(Encoder(Kind::Raw)),
                Some(_) => Err(EncodeError::RawFields),
            };
        }
        if !Self::NAMES.contains(&name) {
            return Err(EncodeError::Unknown(name.to_owned()));
        }
        if name == "ecs" {
            return match options.fields {
                None => Ok(Encoder(Kind::Ecs(Box::new(Ecs::new(needs))))),
                Some(_) => Err(EncodeError::EcsFields),
            };
        }
        // Chosen fields are columns: nothing else of the rows is looked at.
        needs.fields |= options.fields.is_none();
        let pick = options.fields.map(|fields| Pick::new(&fields, needs));
        Ok(Encoder(match name {
            "json" => Kind::Json(Box::new(Json::new(pick))),
            "logfmt" => Kind::Logfmt(Logfmt::new(pick)),
            _ => Kind::Human(Human::new(pick, options.color, options.screen, needs)),
        }))
    }

    /// Its name, as [`Encoder::build`] takes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Raw => "raw",
            Kind::Json(_) => "json",
            Kind::Logfmt(_) => "logfmt",
            Kind::Human(_) => "human",
            Kind::Ecs(_) => "ecs",
        }
    }

    /// Whether output is a stream of bytes that no reader parses line by line,
    /// so that nothing of it may ever be cut off.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        matches!(self.0, Kind::Raw)
    }

    /// Whether every row is one line with one JSON object.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.0, Kind::Json(_) | Kind::Ecs(_))
    }

    /// Whether every row has a `@timestamp`.
    #[must_use]
    pub fn is_ecs(&self) -> bool {
        matches!(self.0, Kind::Ecs(_))
    }

    /// The text of the part's batch if it is just what would be written.
    #[must_use]
    pub fn verbatim<'a>(&self, part: &'a Part) -> Option<&'a [u8]> {
        match &self.0 {
            Kind::Raw => (part.rows == Rows::All).then(|| part.batch.text()),
            Kind::Json(json) => json.verbatim(part),
            Kind::Logfmt(_) | Kind::Human(_) | Kind::Ecs(_) => None,
        }
    }

    /// Appends the part's rows to `out`. If `out` holds something, it ends up
    /// on lines of its own.
    pub fn encode(&mut self, part: &Part, out: &mut Vec<u8>) {
        let (batch, rows) = (&part.batch, &part.rows);
        match &mut self.0 {
            Kind::Json(json) => json.encode(part, out),
            Kind::Raw => encode_raw(part, out),
            Kind::Logfmt(logfmt) => {
                rows.for_each(batch.rows(), |row| logfmt.encode_row(batch, row, out));
            }
            Kind::Human(human) => {
                human.encode(batch, |each| rows.for_each(batch.rows(), each), out);
            }
            Kind::Ecs(ecs) => rows.for_each(batch.rows(), |row| ecs.encode_row(batch, row, out)),
        }
    }

    /// As [`Encoder::encode`] for one row, where rows go to different places.
    pub fn encode_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        match &mut self.0 {
            Kind::Json(json) => json.encode_row(batch, row, out),
            Kind::Raw => {
                end_line(out);
                out.extend_from_slice(&batch.text()[batch.span(row)]);
            }
            Kind::Logfmt(logfmt) => logfmt.encode_row(batch, row, out),
            Kind::Human(human) => human.encode(batch, |each| each(row), out),
            Kind::Ecs(ecs) => ecs.encode_row(batch, row, out),
        }
    }

    /// Writes a row as JSON as it would be without its field `name`; false, and
    /// nothing is written, where that is not as simple as to leave it out.
    pub fn encode_row_but(
        &mut self,
        batch: &Batch,
        row: usize,
        name: &str,
        out: &mut Vec<u8>,
    ) -> bool {
        match &mut self.0 {
            Kind::Json(json) => json.encode_row_but(batch, row, name, out),
            _ => false,
        }
    }

    /// How many values had invalid UTF-8 replaced since the last call.
    pub fn take_replaced(&mut self) -> u64 {
        match &mut self.0 {
            Kind::Raw => 0,
            Kind::Json(json) => std::mem::take(&mut json.values.replaced),
            Kind::Logfmt(logfmt) => std::mem::take(&mut logfmt.replaced),
            Kind::Human(human) => std::mem::take(&mut human.replaced),
            Kind::Ecs(ecs) => std::mem::take(&mut ecs.replaced),
        }
    }
}

/// Whether the last line of `bytes` lacks its line feed.
#[must_use]
pub fn ends_open(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|&last| last != b'\n')
}

fn end_line(out: &mut Vec<u8>) {
    if ends_open(out) {
        out.push(b'\n');
    }
}

/// Copies spans with their terminators, neighbours in one go.
fn encode_raw(part: &Part, out: &mut Vec<u8>) {
    end_line(out);
    let (text, ends) = (part.batch.text(), part.batch.ends());
    let mut run = 0..0;
    part.rows.for_each(ends.len(), |row| {
        let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
        if start != run.end {
            out.extend_from_slice(&text[run.clone()]);
            run.start = start;
        }
        run.end = ends[row] as usize;
    });
    out.extend_from_slice(&text[run]);
}

#[cfg(test)]
mod tests;
