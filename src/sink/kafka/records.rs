//! Events to messages: payload, key, headers and topic of every row of a part.
//!
//! What may leave as it came is taken from the batch's own text; the rest is
//! encoded into a buffer that is used again for the next part. librdkafka
//! copies every message, so that both may go.

use std::ops::Range;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::enqueue::Message;
use super::topic::Topic;
use crate::event::batch::trim_terminator;
use crate::event::{Batch, Needs};
use crate::sink::encode::Encoder;
use crate::sink::template::{Template, TemplateError};
use crate::sink::{Part, Written};

/// A buffer grown past this by one part is let go.
const KEEP_BYTES_MAX: usize = 4 << 20;

/// How events become messages.
pub(super) struct Form {
    pub(super) topic: Topic,
    key: Option<Template>,
    headers: Vec<(String, Template)>,
}

impl Form {
    /// Compiles key and headers; an error names the option.
    pub(super) fn compile(
        topic: Topic,
        key: Option<&str>,
        headers: impl IntoIterator<Item = (String, String)>,
        needs: &mut Needs,
    ) -> Result<Form, (String, TemplateError)> {
        let mut compile = |name: &str, text: &str| {
            Template::compile(text, needs).map_err(|e| (name.to_owned(), e))
        };
        let key = key.map(|text| compile("key", text)).transpose()?;
        let headers = headers
            .into_iter()
            .map(|(name, text)| {
                let template = compile(&format!("headers.{name}"), &text)?;
                Ok((name, template))
            })
            .collect::<Result<_, _>>()?;
        Ok(Form {
            topic,
            key,
            headers,
        })
    }

    pub(super) fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }
}

/// The messages of one part.
pub(super) struct Records {
    encoder: Encoder,
    /// Encoded payloads.
    payloads: Vec<u8>,
    /// Topics, keys and headers.
    names: Vec<u8>,
    records: Vec<Record>,
    /// Ends of the headers' values in `names`, as many for each record as
    /// there are headers.
    headers: Vec<u32>,
    direct: bool,
}

struct Record {
    /// In the batch's text or in `payloads`.
    payload: Range<u32>,
    topic: Range<u32>,
    /// Ends where the headers begin.
    key: Option<Range<u32>>,
    headers_start: u32,
}

impl Records {
    pub(super) fn new(encoder: Encoder) -> Records {
        Records {
            encoder,
            payloads: Vec::new(),
            names: Vec::new(),
            records: Vec::new(),
            headers: Vec::new(),
            direct: false,
        }
    }

    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    fn clear(&mut self) {
        self.records.clear();
        self.headers.clear();
        for buffer in [&mut self.payloads, &mut self.names] {
            buffer.clear();
            buffer.shrink_to(KEEP_BYTES_MAX);
        }
    }

    /// Makes the messages of a part; what they are is added to `written`.
    pub(super) fn prepare(&mut self, form: &Form, part: &Part, written: &mut Written) {
        self.clear();
        self.direct = self.encoder.is_raw() || self.encoder.verbatim(part).is_some();
        part.rows.for_each(part.batch.rows(), |row| {
            self.add(form, &part.batch, row, written);
        });
        written.replaced += self.encoder.take_replaced();
    }

    /// Makes the message of one row.
    pub(super) fn prepare_row(
        &mut self,
        form: &Form,
        batch: &Batch,
        row: usize,
        written: &mut Written,
    ) {
        self.clear();
        self.direct = self.encoder.is_raw();
        self.add(form, batch, row, written);
        written.replaced += self.encoder.take_replaced();
    }

    fn add(&mut self, form: &Form, batch: &Batch, row: usize, written: &mut Written) {
        let payload = if self.direct {
            trim_terminator(batch.text(), batch.span(row))
        } else {
            let start = self.payloads.len();
            self.encoder.encode_row(batch, row, &mut self.payloads);
            trim_terminator(&self.payloads, start..self.payloads.len())
        };
        let start = self.names.len();
        if form.topic.fixed().is_none() {
            written.missing += form.topic.render(batch, row, &mut self.names);
        }
        let topic = start..self.names.len();
        let key = form.key.as_ref().and_then(|template| {
            let missing = template.render(batch, row, &mut self.names, copy);
            if missing > 0 {
                // No key is what it means; nothing is written in its place.
                self.names.truncate(topic.end);
            }
            (missing == 0).then(|| small(&(topic.end..self.names.len())))
        });
        let headers_start = self.names.len() as u32;
        for (_, template) in &form.headers {
            written.missing += template.render(batch, row, &mut self.names, copy);
            self.headers.push(self.names.len() as u32);
        }
        written.bytes += (payload.len() + key.as_ref().map_or(0, Range::len)) as u64;
        self.records.push(Record {
            payload: small(&payload),
            topic: small(&topic),
            key,
            headers_start,
        });
    }

    /// The topic of a message.
    pub(super) fn topic<'a>(&'a self, form: &'a Form, at: usize) -> &'a str {
        form.topic.fixed().unwrap_or_else(|| {
            // Made of ASCII alone.
            std::str::from_utf8(&self.names[wide(&self.records[at].topic)]).unwrap_or("unknown")
        })
    }

    /// How many messages from `at` on have the same topic, up to `max`.
    pub(super) fn run(&self, form: &Form, at: usize, max: usize) -> usize {
        let end = self.records.len().min(at + max);
        if form.topic.fixed().is_some() {
            return end - at;
        }
        let name = |record: &Record| &self.names[wide(&record.topic)];
        let first = name(&self.records[at]);
        let same = self.records[at..end]
            .iter()
            .take_while(|r| name(r) == first);
        same.count()
    }

    /// A message that has no headers; `batch` is what it was made from.
    pub(super) fn message<'a>(&'a self, batch: &'a Batch, at: usize, number: usize) -> Message<'a> {
        let record = &self.records[at];
        Message {
            payload: self.payload(batch, record),
            key: record.key.as_ref().map(|key| &self.names[wide(key)]),
            number,
        }
    }

    fn payload<'a>(&'a self, batch: &'a Batch, record: &Record) -> &'a [u8] {
        let texts = if self.direct {
            batch.text()
        } else {
            &self.payloads
        };
        &texts[wide(&record.payload)]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// A message; `batch` is what it was made from.
    pub(super) fn get<'a>(
        &'a self,
        form: &'a Form,
        batch: &'a Batch,
        at: usize,
        number: usize,
    ) -> BaseRecord<'a, [u8], [u8], usize> {
        let record = &self.records[at];
        let mut message = BaseRecord::with_opaque_to(self.topic(form, at), number)
            .payload(self.payload(batch, record));
        if let Some(key) = &record.key {
            message = message.key(&self.names[wide(key)]);
        }
        if !form.headers.is_empty() {
            message = message.headers(self.headers(form, at, record.headers_start));
        }
        message
    }

    fn headers(&self, form: &Form, at: usize, start: u32) -> OwnedHeaders {
        let count = form.headers.len();
        let ends = &self.headers[at * count..(at + 1) * count];
        let mut all = OwnedHeaders::new_with_capacity(count);
        let mut start = start;
        for ((name, _), end) in form.headers.iter().zip(ends) {
            all = all.insert(Header {
                key: name,
                value: Some(&self.names[wide(&(start..*end))]),
            });
            start = *end;
        }
        all
    }
}

fn copy(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(value);
}

/// A part's text and what is made of it stay far below 4 GiB.
fn small(range: &Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}

fn wide(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
