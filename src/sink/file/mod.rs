//! The sink `file:///path`: a file, or one for each path that a template makes.
//!
//! What is written is in the kernel when `write` returns and, where a source
//! waits, on the disk. A failed write goes on at the byte where it stopped. A
//! failed sync is not repeated, for the kernel drops what it could not write:
//! the load's bytes are cut off and written again.
//!
//! All rows of a load for one file are one write. With one plain file, whole
//! batches are written from their own text; else rows are gathered in a buffer
//! for each file. Files are opened beneath the fixed part of the path, at most
//! `open_max` at once, and closed, synced, when idle.
//!
//! A path ending in `.gz` or `.zst` is compressed, a frame for each load
//! (`compress.rs`); what a crash tore is mended on reopening (`repair.rs`);
//! rotation renames (`rotate.rs`).

mod compress;
mod files;
mod repair;
mod rotate;

use std::time::Duration;

use serde::Deserialize;

use self::compress::{Codec, Compressor};
use self::files::{Failure, Files};
use self::repair::Content;
pub use self::rotate::Rotate;
use super::encode::{Encoder, ends_open};
use super::outgoing::Outgoing;
use super::template::PathTemplate;
use super::{Load, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition, Period};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "file";

/// The sink's options.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files open at once; the one that was not written to for longest is
    /// closed to open another.
    pub open_max: usize,
    /// A file that was not written to for so long is closed when the next load
    /// comes.
    pub idle: Period,
    /// When a file is put aside and a new one begun; never, if it is missing.
    pub rotate: Option<Rotate>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            // Well below the usual limit of 1024 descriptors of a process.
            open_max: 128,
            idle: Period(Duration::from_mins(5)),
            rotate: None,
        }
    }
}

/// Writes files.
pub struct File {
    /// The component's name, for messages.
    name: std::sync::Arc<str>,
    template: PathTemplate,
    gather: Gather,
    files: Files,
    /// The path of the row being gathered.
    path: Vec<u8>,
    written: Option<Written>,
}

/// How a load's bytes come to their files.
enum Gather {
    /// One plain file: what can be is written without a copy.
    Direct(Outgoing),
    /// Through each file's buffer.
    Buffers(Encoder, Compressor),
}

/// Builds the sink. Nothing is opened yet.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    needs: &mut Needs,
) -> Result<File, BuildError> {
    let config: Config = definition.decode()?;
    let template = PathTemplate::compile(&definition.target, needs)
        .map_err(|error| definition.error(format!("path {:?}: {error}", definition.target)))?;
    if config.open_max == 0 {
        return Err(definition.error("must be at least 1").at("open_max"));
    }
    let codec = Codec::of(template.ending());
    if let Some(rotate) = &config.rotate {
        rotate.validate(definition, &template, codec)?;
    }
    let content = match codec {
        Some(codec) => Content::Frames(codec),
        None if encoder.is_raw() => Content::Bytes,
        None => Content::Lines,
    };
    let gather = match codec {
        None if template.is_constant() => Gather::Direct(Outgoing::new(encoder)),
        _ => {
            let compressor = Compressor::new(codec)
                .map_err(|error| definition.error(format!("cannot compress: {error}")))?;
            Gather::Buffers(encoder, compressor)
        }
    };
    Ok(File {
        name: definition.name.clone(),
        files: Files::new(definition.name.clone(), &template, content, config, world),
        template,
        gather,
        path: Vec::new(),
        written: None,
    })
}

impl File {
    fn write_load(&mut self, load: &Load) -> Result<Written, Failure> {
        if self.written.is_none() {
            let written = self.gather(load)?;
            self.written = Some(written);
        }
        self.deliver(load)?;
        if load.wait {
            self.sync()?;
        }
        let written = self.written.take().unwrap_or_default();
        if let Gather::Direct(outgoing) = &mut self.gather {
            self.files.finish(outgoing.is_open());
            return Ok(Written {
                missing: written.missing,
                ..outgoing.finish()
            });
        }
        self.files.finish(false);
        Ok(written)
    }

    /// Brings the load's rows into the buffers of their files.
    fn gather(&mut self, load: &Load) -> Result<Written, Failure> {
        let mut written = Written::default();
        self.path.clear();
        let (encoder, compressor) = match &mut self.gather {
            Gather::Direct(outgoing) => {
                // The file's last line is ended by `Files`.
                outgoing.start_stream();
                outgoing.prepare(load);
                if let Some(part) = load.parts.first() {
                    self.template.render(&part.batch, 0, &mut self.path);
                    self.files.touch(&self.path);
                }
                return Ok(written);
            }
            Gather::Buffers(encoder, compressor) => (encoder, compressor),
        };
        for part in &load.parts {
            let batch = &part.batch;
            if self.template.is_constant() {
                self.path.clear();
                self.template.render(batch, 0, &mut self.path);
                let buffer = self.files.touch(&self.path);
                encoder.encode(part, buffer);
                continue;
            }
            part.rows.for_each(batch.rows(), |row| {
                self.path.clear();
                written.missing += self.template.render(batch, row, &mut self.path);
                let buffer = self.files.touch(&self.path);
                encoder.encode_row(batch, row, buffer);
            });
        }
        written.replaced = encoder.take_replaced();
        written.bytes = self.files.each_buffer(|buffer| {
            // A later frame cannot see how this one ended.
            if compressor.is_on() && ends_open(buffer) {
                buffer.push(b'\n');
            }
            compressor.frame(buffer)
        })?;
        Ok(written)
    }

    /// Writes what is not written yet.
    fn deliver(&mut self, load: &Load) -> Result<(), Failure> {
        let Gather::Direct(outgoing) = &mut self.gather else {
            return self.files.deliver_buffers();
        };
        if outgoing.next(load).is_none() {
            return Ok(());
        }
        self.files.begin(0, outgoing.bytes())?;
        while let Some(bytes) = outgoing.next(load) {
            let taken = self.files.write(0, bytes)?;
            outgoing.advance(load, taken);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let result = self.files.sync_touched();
        if result.is_err()
            && let Gather::Direct(outgoing) = &mut self.gather
        {
            outgoing.rewind();
        }
        result
    }

    fn retry(&self, failure: &Failure) -> SinkError {
        SinkError::Retry {
            message: format!("{}: {failure}; will try again", self.name),
            after: None,
        }
    }
}

impl Sink for File {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move { self.write_load(load).map_err(|f| self.retry(&f)) })
    }

    fn close(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async { self.files.close_all().map_err(|f| self.retry(&f)) })
    }

    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async { self.files.check().map_err(|f| self.retry(&f)) })
    }
}

#[cfg(test)]
mod tests;
