//! From files, environment and flags to a typed [`Config`]: what was written.
//!
//! Layers are laid over each other (defaults, files in order, `TFLOG_*`,
//! flags), variables expanded, keys checked, and every error found is reported
//! with its place. Reads config and secret files and nothing else: the
//! environment is an argument. What the config means (does a rule parse, does a
//! component build, does it all fit in memory) is for the plan.

mod adapters;
mod addresses;
mod buffer;
mod cases;
mod component;
pub mod diagnostic;
mod document;
mod env;
mod extras;
mod interpolate;
mod keeping;
mod keys;
mod merge;
mod odd;
mod passing;
pub mod place;
pub mod plan;
mod point;
mod print;
mod read;
mod registry;
mod scalar;
pub mod schema;
pub mod secret;
mod traps;
mod url;
mod verb_options;
mod verbs;
mod with;
mod wrapped;

use std::path::PathBuf;

use crate::buffer::disk::Compression;
use crate::component::{BuildError, ByteSize, Definition, Period};
use crate::pipeline::Fsync;
use crate::source::http::tls::Config as ListenerTls;
use diagnostic::{Diagnostic, Severity};
use document::{Entry, Format, Node, Value};
use place::{Origin, Place, RuleText, Spanned};
use secret::Secrets;

pub use cases::{Expected, TestConfig};
pub use component::Places;
pub(crate) use keys::nearest;
pub use odd::losses;
pub use url::Side;
pub use with::WithItem;

type Warnings = Vec<Diagnostic>;

/// All windows and buffers together, unless `memory` says otherwise.
pub const MEMORY_DEFAULT: ByteSize = ByteSize(256 << 20);
/// How long draining may take, unless `grace` says otherwise: five seconds
/// under what Kubernetes gives a pod.
pub const GRACE_DEFAULT: Period = Period(std::time::Duration::from_secs(25));
/// A source's format, unless it says otherwise.
pub const PARSE_DEFAULT: &str = "auto";

/// The config as written, with defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where what is kept between runs lies.
    pub state: Option<Spanned<PathBuf>>,
    /// tflog's own HTTP listener.
    pub http: Option<HttpConfig>,
    /// Memory budget of all windows and buffers.
    pub memory: ByteSize,
    /// Time to drain after a stop signal.
    pub grace: Period,
    /// Longest line, if said: the default of every source.
    pub line_max: Option<ByteSize>,
    /// Where events come from; never empty.
    pub sources: Vec<SourceConfig>,
    /// Which events go where; none: all to all.
    pub routes: Option<Vec<RouteConfig>>,
    /// Where events go; never empty.
    pub sinks: Vec<SinkConfig>,
    /// What `tflog test` tries.
    pub tests: Vec<TestConfig>,
}

/// tflog's own HTTP listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `host:port`; the host is loopback if none was written.
    pub listen: Spanned<String>,
    /// The certificate to show.
    pub tls: Option<ListenerTls>,
    /// Connections of one peer at a time; further ones are closed.
    pub connections_per_peer: usize,
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// What its component is built from.
    pub definition: Definition,
    /// The format of its lines.
    pub parse: Spanned<String>,
    /// What is done to its events before the routes.
    pub with: Vec<WithItem>,
    /// Where each of its keys was written.
    pub places: Places,
}

/// A route.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// Its name.
    pub name: String,
    /// The sources that it is for; none: all.
    pub from: Option<Vec<Spanned<String>>>,
    /// The rule that an event must match; none: every event does.
    pub when: Option<RuleText>,
    /// The sinks that get the event; none: it is dropped.
    pub to: Option<Vec<Spanned<String>>>,
    /// Whether the event is dropped, on purpose.
    pub drop: bool,
    /// Whether later routes see the event too.
    pub r#continue: bool,
    /// What is done to its events, for its sinks only.
    pub with: Vec<WithItem>,
    /// Where it was written.
    pub place: Place,
}

/// A sink.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// Its name.
    pub name: String,
    /// What its component is built from.
    pub definition: Definition,
    /// How events are written; none: the sink's own way.
    pub encode: Option<Spanned<String>>,
    /// Whether every event must reach it.
    pub required: bool,
    /// What waits for it.
    pub buffer: BufferConfig,
    /// What happens when its buffer is full.
    pub when_full: WhenFull,
    /// What is done to its events before they are encoded.
    pub with: Vec<WithItem>,
    /// The sink that gets what this one refuses for good.
    pub dead_letter: Option<Spanned<String>>,
    /// The sink that takes over while this one is down.
    pub fallback: Option<Spanned<String>>,
    /// Where each of its keys was written.
    pub places: Places,
}

/// What waits for a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferConfig {
    /// In memory; none: as large as such a sink needs.
    pub memory: Option<ByteSize>,
    /// On disk; none: nothing.
    pub disk: Option<ByteSize>,
    /// When the disk is synced.
    pub fsync: Fsync,
    /// Whether what is on disk is compressed.
    pub compression: Compression,
}

/// What happens when a sink's buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Its streams wait: the only choice for a required sink.
    Block,
    /// What comes is dropped and counted.
    DropNewest,
    /// What has waited longest is dropped and counted.
    DropOldest,
}

/// A config text.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file to read.
    Path(PathBuf),
    /// A text and the name that diagnostics give it; its ending tells the format.
    Text {
        /// What diagnostics call it.
        name: String,
        /// The text.
        text: String,
    },
}

/// All that a config is made of.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Config files, later ones over earlier ones.
    pub files: Vec<Input>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// `--from`, as `URL` or `NAME=URL`.
    pub from: Vec<String>,
    /// `--to`, as `URL` or `NAME=URL`.
    pub to: Vec<String>,
    /// `--http`: an address.
    pub http: Option<String>,
    /// `--parse`: the format of every source.
    pub parse: Option<String>,
    /// `--multiline`: which lines every source joins.
    pub multiline: Option<String>,
    /// `--output`: how every sink writes.
    pub encode: Option<String>,
}

/// A config that can be used, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// Findings that are no errors.
    pub warnings: Vec<Diagnostic>,
    /// Every secret in the config, to be kept out of what is written about it:
    /// `redact` what a component says before it is shown.
    pub secrets: Secrets,
}

/// Reads the config, or says everything that is wrong with it.
pub fn load(inputs: &Inputs) -> Result<Loaded, Vec<Diagnostic>> {
    let read = read(inputs);
    match read.config {
        Some(config) if read.errors.is_empty() => Ok(Loaded {
            config,
            warnings: read.warnings,
            secrets: read.secrets,
        }),
        _ => Err(read.errors),
    }
}

/// A config as far as it can be read.
pub struct Read {
    /// The config, without what could not be read; none if too much of it.
    pub config: Option<Config>,
    /// What is wrong.
    pub errors: Vec<Diagnostic>,
    /// Findings that are no errors.
    pub warnings: Vec<Diagnostic>,
    /// As [`Loaded::secrets`].
    pub secrets: Secrets,
}

/// Reads as much of the config as can be read, so that what is wrong with the
/// rest can be told too.
#[must_use]
pub fn read(inputs: &Inputs) -> Read {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let mut root = Node {
        value: Value::Map(Vec::new()),
        place: Place::of(Origin::Default),
    };
    if let Some(layer) = env::defaults(&inputs.env) {
        merge::merge(&mut root, layer);
    }
    for file in &inputs.files {
        match read_file(file, &mut errors, &mut warnings) {
            Ok(layer) => layer
                .into_iter()
                .for_each(|layer| merge::merge(&mut root, layer)),
            Err(error) => errors.push(error),
        }
    }
    let environment = env::environment(&inputs.env, &mut errors, &mut warnings);
    for layer in environment.layers {
        merge::merge(&mut root, layer);
    }
    if let Some(address) = &inputs.http {
        let place = Place::of(Origin::Flag("--http".into()));
        let node = Node::string(address.clone(), place);
        let listen = merge::nest(["http", "listen"].into_iter(), node);
        merge::merge(&mut root, listen);
    }
    let additions = read::Additions {
        from: env::over(environment.from, env::flags("--from", &inputs.from)),
        to: env::over(environment.to, env::flags("--to", &inputs.to)),
    };
    let mut reader = read::Reader::new(&inputs.env, errors);
    let config = reader.config(root, additions, inputs);
    let (mut errors, more, secrets) = reader.finish();
    warnings.extend(more);
    for diagnostic in errors.iter_mut().chain(&mut warnings) {
        diagnostic.redact(&secrets);
    }
    errors.sort_by_cached_key(Diagnostic::order);
    warnings.sort_by_cached_key(Diagnostic::order);
    Read {
        config,
        errors,
        warnings,
        secrets,
    }
}

/// A file's tree without its `x-*` keys; none if it is empty.
fn read_file(
    file: &Input,
    errors: &mut Vec<Diagnostic>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Option<Node>, Diagnostic> {
    let (name, text) = match file {
        Input::Text { name, text } => (name.clone(), text.clone()),
        Input::Path(path) => {
            let name = path.display().to_string();
            let text = read_text(path).map_err(|error| {
                Diagnostic::error("config::read", format!("cannot read {name}: {error}"))
                    .help("check the path given with -c")
            })?;
            (name, text)
        }
    };
    let format = Format::of(&name);
    let mut node = document::parse(&name, &text, format)?;
    match &mut node.value {
        Value::Null => return Ok(None),
        Value::Map(entries) => entries.retain(|Entry { key, .. }| !key.value.starts_with("x-")),
        _ => {
            let message = format!("a config is a map of keys, not {}", node.kind());
            return Err(Diagnostic::error("config::type", message).at(&node.place));
        }
    }
    if format == Format::Yaml {
        for found in traps::find(&node) {
            match found.severity {
                Severity::Error => errors.push(found),
                Severity::Warning | Severity::Note => warnings.push(found),
            }
        }
    }
    Ok(Some(node))
}

/// A file's text; one past the size limit is cut there, and refused for it.
fn read_text(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(document::TEXT_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

impl Config {
    /// A component's error as a diagnostic at the key that is at fault.
    /// Secrets in the message are for the caller to redact.
    #[must_use]
    pub fn diagnostic(&self, error: &BuildError) -> Diagnostic {
        let sources = self.sources.iter().map(|s| (&s.definition.name, &s.places));
        let sinks = self.sinks.iter().map(|s| (&s.definition.name, &s.places));
        let places = sources
            .map(|(name, places)| (Side::Source, name, places))
            .chain(sinks.map(|(name, places)| (Side::Sink, name, places)))
            .find(|(_, name, _)| **name == error.component);
        component::diagnostic(error, places.map(|(side, _, places)| (side, places)))
    }
}

#[cfg(test)]
mod tests;
