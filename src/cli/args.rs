//! The command line, as typed. What it means is worked out by the verbs.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  cat app.log | tflog                             look at a log, whatever its format
  ./app | tflog 'level >= warn'                   only what matters
  tflog 'http.status >= 500' access.log -o json   files instead of a pipe
  tflog -f app.log -l warn                        a file as it grows, through rotation
  ./app | tflog --to 'file:///var/log/app/{level}.jsonl'
  tflog --from tcp://127.0.0.1:5170 --to file:///var/log/net.jsonl
  tflog exec -- ./app                             run an app, route its stdout and stderr
  tflog --multiline auto java.log -l error        with stack traces as parts of their events
  tflog -c tflog.yaml                             sources, routes and sinks from a file

FILTER is the first argument that is a rule (`level >= warn`, `exists(trace_id)`,
or a quoted text that the line must contain: '\"timeout\"'); the others are files.
With nothing but `tflog`, lines go from stdin to stdout: a readable view on a
terminal, JSON lines otherwise.

Configuration also comes from the environment: TFLOG_FROM, TFLOG_TO, TFLOG_ROUTES,
TFLOG_HTTP, TFLOG_SINKS__NAME__KEY … Files come before it, flags after it.
Exit status: 0 done, 1 failed, 2 wrong usage or config, 3 events were lost.";

const EXPLAIN: &str = "\
Examples:
  tflog explain -c tflog.yaml '{\"level\":\"error\",\"msg\":\"boom\"}'
  tail -n1 app.log | tflog explain -c tflog.yaml --source app
  tflog explain -c tflog.yaml --file app.log -o json | jq -r .outcome
  tflog explain 'Nov 25 10:00:00 web1 sshd[7]: hello'     only how it is parsed

Nothing is sent and no service is asked: the line goes through the parser, the
rules and the encoders that a run would use.

With -o json, one object a line with the keys line, truncated, source, scheme,
metadata, format {name, detected, confidence, also}, fields [{name, value, type,
span}], roles [{name, value, from, field}], edits [{field, from, to}], routes [{name, when, to, continue,
verdict, taken_by, terms [{term, holds, saw [{field, reads, text, value}]}]}],
outcome (sent, dropped, unrouted), sinks [{name, scheme, route, edits, encoding,
output}], held and sampled [whose list], left_out [sink].";

const REPLAY: &str = "\
Examples:
  tflog replay -c tflog.yaml                          all of STATE/dead
  tflog replay -c tflog.yaml dead/search.jsonl        one file
  tflog replay -c tflog.yaml --since 2h --rate 500
  tflog replay -c tflog.yaml --reroute --where 'service == \"pay\"' dead.jsonl

Each event goes to the sink that refused it, as that sink would have got it, or
through the routes of the configuration with --reroute: `with` lists of routes
and sinks are done then, those of sources were done before. Ids are kept. What
is refused again goes to the dead letters again, and is left alone once it came
back three times. Files are read as far as they are written at the start, plain
or .gz or .zst, and are not changed; FILE.replayed beside each says how far its
letters are settled, and the next replay goes on there (not with --since or
--where, which leave letters out). Another tflog may run on the same state.

Exit status: 0 all sent, 1 some were refused again or could not be read, 2 wrong
usage or config, 3 events were lost.";

/// tflog routes logs: event streams in, rules, files and services out.
#[derive(Parser, Debug)]
#[command(name = "tflog", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    /// A rule that events must match, then files to read (`-` is stdin)
    #[arg(value_name = "FILTER|FILE")]
    pub(super) words: Vec<OsString>,
    /// Go on reading the files as they grow and are rotated
    #[arg(short, long)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) options: Options,
}

/// What the main form and `exec` share.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Options {
    /// Config file (YAML, or TOML or JSON by its ending); several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Read from this source as well
    #[arg(long, value_name = "[NAME=]URL")]
    pub(super) from: Vec<String>,
    /// Send to this sink as well
    #[arg(long, value_name = "[NAME=]URL")]
    pub(super) to: Vec<String>,
    /// Format of the input: auto, json, logfmt, combined, syslog, 'pattern: …' …
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) parse: Option<String>,
    /// Which lines are joined to events: stack traces and indented lines (`auto`) …
    #[arg(long, value_name = "HOW")]
    pub(super) multiline: Option<Multiline>,
    /// Format of the output: human, json, raw, logfmt, ecs
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) output: Option<String>,
    /// Only events of at least this level
    #[arg(short, long, value_name = "LEVEL")]
    pub(super) level: Option<String>,
    /// Fields to show in the human view, separated by commas
    #[arg(short = 'F', long, value_name = "A,B", value_delimiter = ',')]
    pub(super) fields: Option<Vec<String>>,
    /// Address of tflog's own HTTP listener, or `none`
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<String>,
    /// Print the ledger to stderr at the end
    #[arg(long)]
    pub(super) stats: bool,
}

/// Which lines are joined, where no pattern is wanted.
#[derive(clap::ValueEnum, Debug, Clone, Copy)]
pub(super) enum Multiline {
    /// Stack traces and indented lines belong to the event before them
    Auto,
    /// Only lines that a container runtime has cut are put together
    Partials,
    /// Each line is an event
    Off,
}

impl Multiline {
    /// As the option of a source.
    pub(super) fn name(self) -> &'static str {
        match self {
            Multiline::Auto => "auto",
            Multiline::Partials => "partials",
            Multiline::Off => "off",
        }
    }
}

/// The verbs beside the main form.
#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    /// Run a command, route its stdout and stderr, exit as it does
    #[command(after_help = "\
Examples:
  tflog exec -- ./app --port 8080
  tflog exec --to 'file:///var/log/app.jsonl' -- ./app

Signals are passed on to the command; tflog exits with its code (128+signal,
126 not executable, 127 not found). A lost event turns a 0 into 3 only with
--fail-on-loss.")]
    Exec(Box<Exec>),
    /// Say what is wrong with a configuration, without running it
    #[command(after_help = "\
Examples:
  tflog check -c tflog.yaml
  tflog check --strict -c base.yaml -c prod.yaml   warnings are errors too
  tflog check --connect -c tflog.yaml              and is everything there?

Tells all at once: what is wrong (exit status 2), what can hardly be meant (a
warning: rules that never or always hold, routes that nothing reaches, levels
compared as text, secrets in plain text, YAML that is not what it looks like),
and what is worth knowing (a note). What it calls never is certain. With
--connect, what cannot be reached makes the exit status 1.")]
    Check(Check),
    /// Say how lines are parsed and routed, and why
    #[command(after_help = EXPLAIN)]
    Explain(Box<Explain>),
    /// Run the `tests:` of a configuration
    #[command(after_help = "\
Examples:
  tflog test -c tflog.yaml
  tflog test -c tflog.yaml --junit report.xml     for a CI server

A test is a line, and just the sinks that get it, with fields to look at there:

  tests:
    - name: errors go to the archive and to people
      source: app
      input: '{\"level\":\"error\",\"msg\":\"boom\"}'
      expect: { alerts: { level: error, message: boom }, archive: {} }
    - { source: app, input: '{\"path\":\"/healthz\"}', expect: {} }    # dropped

Names mean what they mean in rules; null is a field that is not there. Verbs of
`with` are done, but for sample, limit and dedupe. Nothing is sent. Exit status: 0 all passed, 1 some failed, 2 wrong usage or config.")]
    Test(Test),
    /// Send dead letters again
    #[command(after_help = REPLAY)]
    Replay(Box<Replay>),
    /// Look at the disk buffers: what waits in them for its sink
    #[command(
        subcommand,
        after_help = "\
Examples:
  tflog buffer ls -c tflog.yaml                    what waits, sink by sink
  tflog buffer verify -c tflog.yaml                is all of it readable?
  tflog buffer dump -c tflog.yaml search | jq .event

They only look, and can be asked while tflog runs: what it writes meanwhile may
look as if it were not written to its end. The state directory is the config's,
TFLOG_STATE or $STATE_DIRECTORY."
    )]
    Buffer(Buffer),
    /// Print the configuration's JSON schema
    Schema,
    /// Print a shell's completion script
    #[command(after_help = "Example:\n  tflog completions bash > /etc/bash_completion.d/tflog")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `tflog exec`.
#[derive(Args, Debug)]
pub(super) struct Exec {
    #[command(flatten)]
    pub(super) options: Options,
    /// Only events that match this rule
    #[arg(long, value_name = "RULE")]
    pub(super) filter: Option<String>,
    /// Exit with 3 when the command exits with 0 but events were lost
    #[arg(long)]
    pub(super) fail_on_loss: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

/// `tflog explain`.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Config file; several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// The source that the lines are taken to come from; the first by default
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// What the source says of the stream, as in stream=stderr
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) meta: Vec<String>,
    /// Format of the lines, in the place of the config's
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) parse: Option<String>,
    /// Join lines to events: stack traces and indented lines (`auto`), or none (`off`)
    #[arg(long, value_name = "HOW")]
    pub(super) multiline: Option<Multiline>,
    /// For people or for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    pub(super) output: ExplainOutput,
    /// Explain every line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "line")]
    pub(super) file: Option<PathBuf>,
    /// The line; without it, every line of stdin
    pub(super) line: Option<OsString>,
}

/// How explanations are written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExplainOutput {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// `tflog buffer`.
#[derive(Subcommand, Debug)]
pub(super) enum Buffer {
    /// Events, records and bytes that wait, one line a sink
    #[command(after_help = "Example:\n  tflog buffer ls -c tflog.yaml")]
    Ls(BufferOptions),
    /// Read every byte and say what is not as it was written (exit status 1)
    #[command(after_help = "Example:\n  tflog buffer verify -c tflog.yaml search")]
    Verify(BufferOptions),
    /// Print every event that waits as a line of JSON
    #[command(after_help = "\
Example:
  tflog buffer dump -c tflog.yaml search | jq -r .event.message

Each line is {id, sink, source, observed, event}; an event that is no JSON object
is text, or event_base64 where it is not UTF-8.")]
    Dump(BufferOptions),
}

/// What its verbs share.
#[derive(Args, Debug)]
pub(super) struct BufferOptions {
    /// Config file; several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Only the buffers of these sinks
    #[arg(value_name = "SINK")]
    pub(super) sinks: Vec<String>,
}

/// `tflog test`.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Config file; several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Also write the results to this file, as `JUnit` XML
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

/// `tflog replay`.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// Config file; several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Through the routes, not straight to the sink that refused it
    #[arg(long)]
    pub(super) reroute: bool,
    /// With --reroute: the source that `from` of the routes is to see
    #[arg(long, value_name = "NAME", requires = "reroute")]
    pub(super) source: Option<String>,
    /// Only letters written since then: a time, or how long ago (`2h`)
    #[arg(long, value_name = "T")]
    pub(super) since: Option<String>,
    /// Only events that match this rule
    #[arg(long, value_name = "RULE")]
    pub(super) r#where: Option<String>,
    /// Events a second at most
    #[arg(long, value_name = "N")]
    pub(super) rate: Option<f64>,
    /// From the beginning, whatever was replayed before
    #[arg(long)]
    pub(super) again: bool,
    /// Print the ledger to stderr at the end
    #[arg(long)]
    pub(super) stats: bool,
    /// Files of dead letters, or directories of them; STATE/dead by default
    #[arg(value_name = "FILE|DIR|URL")]
    pub(super) letters: Vec<OsString>,
}

/// `tflog check`.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Config file; several are merged in order
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Warnings are errors too; notes never are
    #[arg(long)]
    pub(super) strict: bool,
    /// Also ask whether files, hosts and services are there; sends no event
    #[arg(long)]
    pub(super) connect: bool,
}
