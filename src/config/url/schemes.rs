//! The schemes that there are, and those that are planned.

/// Which side of the pipeline a component is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Events come from it.
    Source,
    /// Events go to it.
    Sink,
}

impl Side {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Sink => "sink",
        }
    }
}

/// What follows a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Only options.
    Nothing,
    /// A path, percent-encoded, then options; with `{}` templates in sinks.
    Path,
    /// A command line, to the end of the text.
    Command,
    /// `user:password@host:port/path`, then options.
    Address,
    /// A sink's whole URL: the query is the server's. A source's is an address
    /// to listen on, or nothing: tflog's own listener.
    Web,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "what a scheme can, one column each of the table below"
)]
pub(super) struct Scheme {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) source: bool,
    pub(super) sink: bool,
    /// Whether the name alone will do, without a colon.
    pub(super) bare: bool,
    /// Whether `+tls` may follow the name.
    pub(super) tls: bool,
}

impl Scheme {
    const fn with_tls(self) -> Scheme {
        Scheme { tls: true, ..self }
    }
}

const fn scheme(name: &'static str, shape: Shape, source: bool, sink: bool) -> Scheme {
    let bare = matches!(shape, Shape::Nothing) || (source && matches!(shape, Shape::Web));
    Scheme {
        name,
        shape,
        source,
        sink,
        bare,
        tls: false,
    }
}

pub(super) const SCHEMES: [Scheme; 17] = [
    scheme("stdin", Shape::Nothing, true, false),
    scheme("stdout", Shape::Nothing, false, true),
    scheme("stderr", Shape::Nothing, false, true),
    scheme("exec", Shape::Command, true, true),
    scheme("fifo", Shape::Path, true, false),
    scheme("unix", Shape::Path, true, true),
    scheme("tcp", Shape::Address, true, true),
    scheme("file", Shape::Path, true, true),
    scheme("generate", Shape::Nothing, true, false),
    scheme("kubernetes", Shape::Nothing, true, false),
    scheme("docker", Shape::Nothing, true, false),
    scheme("http", Shape::Web, true, true).with_tls(),
    scheme("https", Shape::Web, false, true),
    scheme("kafka", Shape::Address, false, true).with_tls(),
    scheme("elasticsearch", Shape::Address, false, true).with_tls(),
    scheme("opensearch", Shape::Address, false, true).with_tls(),
    scheme("blackhole", Shape::Nothing, false, true),
];

/// Schemes that are planned, so that their error is not "unknown".
pub(super) const LATER: [&str; 15] = [
    "unixgram",
    "udp",
    "syslog",
    "journald",
    "forward",
    "loki",
    "otlp",
    "splunk",
    "datadog",
    "s3",
    "gs",
    "azblob",
    "clickhouse",
    "redis",
    "postgres",
];
