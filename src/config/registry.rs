//! Every component by its scheme: one line each.

use super::adapters;
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::World;
use crate::sink::encode::Encoder;
use crate::sink::{self, Sink};
use crate::source::{self, Source};

type BuildSource = fn(&Definition, &World) -> Result<Box<dyn Source>, BuildError>;
type BuildSink = fn(&Definition, Encoder, &World, &mut Needs) -> Result<Box<dyn Sink>, BuildError>;

/// How long a sink's service may be away: decides the size of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A file or descriptor of this machine: slow for milliseconds.
    Local,
    /// Another process: away for minutes.
    Remote,
    /// The same, and each load is a request that is answered: worth filling.
    Requests,
}

const SOURCES: [(&str, BuildSource); 10] = [
    (source::docker::NAME, |d, _| {
        Ok(Box::new(source::docker::build(d)?))
    }),
    (source::Exec::NAME, |d, _| {
        Ok(Box::new(source::Exec::build(d)?))
    }),
    (source::Fifo::NAME, |d, _| {
        Ok(Box::new(source::Fifo::build(d)?))
    }),
    (source::Tail::NAME, |d, _| {
        Ok(Box::new(source::Tail::build(d)?))
    }),
    (source::Generate::NAME, |d, _| {
        Ok(Box::new(source::Generate::build(d)?))
    }),
    (source::Http::NAME, |d, w| {
        Ok(Box::new(source::Http::build(d, w)?))
    }),
    (source::kubernetes::NAME, |d, _| {
        Ok(Box::new(source::kubernetes::build(d, adapters::format)?))
    }),
    (source::Stdin::NAME, |d, _| {
        Ok(Box::new(source::Stdin::build(d)?))
    }),
    (source::Tcp::NAME, |d, w| {
        Ok(Box::new(source::Tcp::build(d, w)?))
    }),
    (source::Unix::NAME, |d, w| {
        Ok(Box::new(source::Unix::build(d, w)?))
    }),
];

const SINKS: &[(&str, Reach, BuildSink)] = &[
    (sink::blackhole::NAME, Reach::Local, |d, e, w, n| {
        Ok(Box::new(sink::blackhole::build(d, e, w, n)?))
    }),
    (sink::elasticsearch::NAME, Reach::Requests, |d, e, w, n| {
        Ok(Box::new(sink::elasticsearch::build(d, e, w, n)?))
    }),
    (sink::exec::NAME, Reach::Local, |d, e, w, n| {
        Ok(Box::new(sink::exec::build(d, e, w, n)?))
    }),
    (sink::file::NAME, Reach::Local, |d, e, w, n| {
        Ok(Box::new(sink::file::build(d, e, w, n)?))
    }),
    (sink::http::NAME, Reach::Requests, |d, e, w, n| {
        Ok(Box::new(sink::http::build(d, e, w, n)?))
    }),
    (sink::http::NAME_TLS, Reach::Requests, |d, e, w, n| {
        Ok(Box::new(sink::http::build(d, e, w, n)?))
    }),
    (
        sink::elasticsearch::NAME_OPENSEARCH,
        Reach::Requests,
        |d, e, w, n| Ok(Box::new(sink::elasticsearch::build(d, e, w, n)?)),
    ),
    #[cfg(feature = "kafka")]
    (sink::kafka::NAME, Reach::Remote, |d, e, w, n| {
        Ok(Box::new(sink::kafka::build(d, e, w, n)?))
    }),
    (sink::stderr::NAME, Reach::Local, |d, e, w, n| {
        Ok(Box::new(sink::stderr::build(d, e, w, n)?))
    }),
    (sink::stdout::NAME, Reach::Local, |d, e, w, n| {
        Ok(Box::new(sink::stdout::build(d, e, w, n)?))
    }),
    (sink::tcp::NAME, Reach::Remote, |d, e, w, n| {
        Ok(Box::new(sink::tcp::build(d, e, w, n)?))
    }),
    (sink::unix::NAME, Reach::Remote, |d, e, w, n| {
        Ok(Box::new(sink::unix::build(d, e, w, n)?))
    }),
];

/// Builds the source that the definition's scheme names.
pub(super) fn source(
    definition: &Definition,
    world: &World,
) -> Result<Box<dyn Source>, BuildError> {
    if let Some((_, build)) = SOURCES.iter().find(|(name, _)| *name == definition.scheme) {
        build(definition, world)
    } else {
        let names: Vec<_> = SOURCES.iter().map(|s| s.0).collect();
        Err(unknown(definition, "source", &names))
    }
}

/// Builds the sink that the definition's scheme names.
pub(super) fn sink(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    needs: &mut Needs,
) -> Result<(Box<dyn Sink>, Reach), BuildError> {
    if let Some((_, reach, build)) = SINKS.iter().find(|(name, ..)| *name == definition.scheme) {
        Ok((build(definition, encoder, world, needs)?, *reach))
    } else {
        let names: Vec<_> = SINKS.iter().map(|s| s.0).collect();
        Err(unknown(definition, "sink", &names))
    }
}

fn unknown(definition: &Definition, kind: &str, names: &[&str]) -> BuildError {
    let message = format!("there is no {kind} {:?}", definition.scheme);
    definition
        .error(message)
        .at("url")
        .help(format!("use one of {}", names.join(", ")))
}
