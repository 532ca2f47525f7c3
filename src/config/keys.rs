//! Every key of the config: what it takes, its default, what it is for.
//!
//! One table serves the reader (unknown keys), the JSON schema and the
//! reference; a key that is planned says so instead of being unknown.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A size: `64MiB`.
    Size,
    /// A duration: `25s`.
    Period,
    /// A number of things, at least 1.
    Count,
    /// One name or a list of them.
    Names,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A map of these keys.
    Map(&'static [Key]),
    /// This text key's value, or a map of these keys.
    TextOr(&'static str, &'static [Key]),
    /// A list of maps of these keys.
    List(&'static [Key]),
    /// A map from names to components with these keys beside their own.
    Components(&'static [Key]),
    /// A list of verbs, each with its options.
    Verbs,
    /// A map from sinks to maps from fields to values.
    Fields,
    /// Nothing yet.
    Later,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What it is for, with its default.
    pub(super) doc: &'static str,
}

const fn key(name: &'static str, takes: Takes, doc: &'static str) -> Key {
    Key { name, takes, doc }
}

const fn later(name: &'static str) -> Key {
    key(name, Takes::Later, "not supported by this version")
}

/// The top level.
pub(super) const TOP: &[Key] = &[
    key(
        "state",
        Takes::Text,
        "Directory for all that is kept between runs. Default: $STATE_DIRECTORY, else none.",
    ),
    key(
        "http",
        Takes::TextOr("listen", HTTP),
        "tflog's own HTTP listener, as an address or a map.",
    ),
    key(
        "memory",
        Takes::Size,
        "Memory budget of all windows and buffers. Default: 256MiB.",
    ),
    key(
        "grace",
        Takes::Period,
        "Time to drain after a stop signal. Default: 25s.",
    ),
    key(
        "line_max",
        Takes::Size,
        "Longest line of any source; longer ones are truncated. Default: 1MiB.",
    ),
    key(
        "sources",
        Takes::Components(SOURCE),
        "Where events come from. Default: stdin.",
    ),
    key(
        "routes",
        Takes::List(ROUTE),
        "Which events go where, top down; the first match takes the event. Default: everything to all sinks.",
    ),
    key(
        "sinks",
        Takes::Components(SINK),
        "Where events go. Default: stdout.",
    ),
    key(
        "tests",
        Takes::List(TEST),
        "Lines, and where `tflog test` expects them to go.",
    ),
];

/// A test.
pub(super) const TEST: &[Key] = &[
    key("name", Takes::Text, "What it shows. Default: its number."),
    key(
        "source",
        Takes::Text,
        "The source that the line comes from. Default: the only one.",
    ),
    key("input", Takes::Text, "The line, as the parser sees it."),
    key(
        "expect",
        Takes::Fields,
        "Just the sinks that get it, with fields and their values there; null: absent.",
    ),
];

/// Under `http`.
pub(super) const HTTP: &[Key] = &[
    key(
        "listen",
        Takes::Text,
        "Address to bind: `host:port`, or `:port` for loopback.",
    ),
    key(
        "tls",
        Takes::Map(HTTP_TLS),
        "The certificate to show; then it is https. Default: none.",
    ),
    key(
        "connections_per_peer",
        Takes::Count,
        "Connections of one peer at a time; further ones are closed. Default: 256.",
    ),
    later("token"),
    later("auth"),
];

/// Under `http.tls`.
pub(super) const HTTP_TLS: &[Key] = &[
    key("cert", Takes::Text, "File of the certificate chain, PEM."),
    key("key", Takes::Text, "File of its key, PEM."),
    key(
        "ca",
        Takes::Text,
        "File of authorities, PEM: clients must have a certificate of theirs. Default: none.",
    ),
];

/// What every source has.
pub(super) const SOURCE: &[Key] = &[
    key(
        "url",
        Takes::Text,
        "What it reads: scheme, target and options.",
    ),
    key("parse", Takes::Text, "Format of its lines. Default: auto."),
    key("with", Takes::Verbs, WITH_DOC),
];

/// A route.
pub(super) const ROUTE: &[Key] = &[
    key(
        "name",
        Takes::Text,
        "Its name in metrics and `explain`. Default: route_N.",
    ),
    key("from", Takes::Names, "Sources it is for. Default: all."),
    key(
        "when",
        Takes::Text,
        "Rule that an event must match. Default: none, every event does.",
    ),
    key("to", Takes::Names, "Sinks that get the event."),
    key(
        "drop",
        Takes::Flag,
        "Drop the event, on purpose. Default: false.",
    ),
    key(
        "continue",
        Takes::Flag,
        "Whether later routes see the event too, as it was. Default: false.",
    ),
    key("with", Takes::Verbs, WITH_DOC),
];

/// What every sink has.
pub(super) const SINK: &[Key] = &[
    key(
        "url",
        Takes::Text,
        "What it writes: scheme, target and options.",
    ),
    key(
        "encode",
        Takes::Text,
        "How events are written: json, raw, logfmt, human or ecs. Default: by the sink.",
    ),
    key(
        "required",
        Takes::Flag,
        "Whether every event must reach it: then it blocks when full. Default: true.",
    ),
    key("buffer", Takes::Map(BUFFER), "What waits for it."),
    key(
        "when_full",
        Takes::Word(WHEN_FULL),
        "What happens when its buffer is full. Default: block, or drop_newest if not required.",
    ),
    key("with", Takes::Verbs, WITH_DOC),
    key(
        "fallback",
        Takes::Text,
        "Sink, named by no route, that takes over what waits here while this one is down.",
    ),
    key(
        "dead_letter",
        Takes::Text,
        "Sink that gets what this one refuses for good. Default: STATE/dead/NAME.jsonl; without `state` such events are held.",
    ),
    later("original"),
];

/// Under a sink's `buffer`.
pub(super) const BUFFER: &[Key] = &[
    key(
        "memory",
        Takes::Size,
        "Its share of the memory budget. Default: 32MiB.",
    ),
    key(
        "disk",
        Takes::Size,
        "What it may take in the state directory: then what waits is kept through restarts. Default: none.",
    ),
    key(
        "fsync",
        Takes::Word(FSYNC),
        "When the disk is synced: before sources hear that events are kept, or every second. Default: ack.",
    ),
    key(
        "compression",
        Takes::Word(BUFFER_COMPRESSION),
        "Of what is on disk. Default: none.",
    ),
];

const WITH_DOC: &str =
    "What is done to its events, in order: a verb, its options, and `when` for which events.";

/// What can be done in a `with` list.
pub(super) const VERBS: &[&str] = &[
    "set",
    "rename",
    "remove",
    "keep",
    "redact",
    "truncate",
    "parse",
    "flatten",
    "sample",
    "limit",
    "dedupe",
    "reduce",
    "count",
    "histogram",
];

/// Options of verbs that are rules.
pub(super) const VERB_RULES: &[&str] = &["starts_when", "ends_when"];

/// What `when_full` takes.
pub(super) const WHEN_FULL: &[&str] = &["block", "drop_newest", "drop_oldest"];

/// What `fsync` takes.
pub(super) const FSYNC: &[&str] = &["ack", "interval"];

/// What a buffer's `compression` takes.
pub(super) const BUFFER_COMPRESSION: &[&str] = &["none", "zstd"];

/// The key `name` of a table.
pub(super) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// The keys of a table that can be used, for messages.
pub(super) fn list(keys: &[Key]) -> String {
    let names = keys.iter().filter(|key| key.takes != Takes::Later);
    names.map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// The nearest of `known` to what was written, if it is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Two different words of the config are rarely nearer than this.
    const SIMILARITY_MIN: f64 = 0.75;
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(written, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
