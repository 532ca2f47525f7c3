//! `tflog explain`: what a config does with a line, and why.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Read, Write};

use super::args::{Explain, ExplainOutput, Options};
use super::{EXIT_FAILURE, EXIT_USAGE, engine, say, setup};
use crate::config::plan::Extras;
use crate::config::{Config, Loaded, nearest};
use crate::event::{Chunk, Pool, Timestamp};
use crate::frame::{self, Framer, Framing};
use crate::pipeline::explain::{Explainer, Explanation, Style, event};
use crate::seam::World;

/// Explains; the exit code.
pub(super) fn main(arguments: Explain) -> u8 {
    run(arguments).unwrap_or_else(|code| code)
}

fn run(arguments: Explain) -> Result<u8, u8> {
    let options = Options {
        config: arguments.config,
        parse: arguments.parse,
        multiline: arguments.multiline,
        ..Options::default()
    };
    let env = setup::environment();
    let color = std::io::stdout().is_terminal()
        && setup::variable(&env, "NO_COLOR").is_none()
        && setup::variable(&env, "TERM") != Some("dumb");
    let loaded = setup::load_or_say(&setup::inputs(&options, env))?;
    let (mut explainer, world) = explainer(&loaded)?;
    let source = source(&explainer, arguments.source.as_deref())?;
    let meta = arguments.meta.iter().map(|pair| meta(pair));
    explainer.begin(source, &meta.collect::<Result<Vec<_>, _>>()?);
    let mut printer = Printer {
        out: BufWriter::new(std::io::stdout()),
        output: arguments.output,
        style: Style { color },
        any: false,
    };
    let framer = framer(&loaded.config, source)?;
    let now = || world.clock.now();
    let done = match (arguments.line, arguments.file) {
        (Some(line), _) if line != "-" => {
            let Some(line) = line.to_str() else {
                say("tflog: the line must be UTF-8: give any other on stdin");
                return Err(EXIT_USAGE);
            };
            let explanation = explainer.explain_one(source, now(), event(line));
            printer.print(&explanation)
        }
        (_, Some(path)) => {
            let file = File::open(&path).map_err(|error| {
                say(&format!("tflog: cannot open {}: {error}", path.display()));
                EXIT_FAILURE
            })?;
            lines(file, framer, &mut |chunk| {
                explain(&mut explainer, source, now(), chunk, &mut printer)
            })
        }
        _ => {
            if std::io::stdin().is_terminal() {
                say("tflog: reading lines from the terminal; end with Ctrl-D");
            }
            lines(std::io::stdin(), framer, &mut |chunk| {
                explain(&mut explainer, source, now(), chunk, &mut printer)
            })
        }
    };
    finish(done.and_then(|()| printer.out.flush()))
}

/// What explains events of this config. Nothing is opened or connected.
pub(super) fn explainer(loaded: &Loaded) -> Result<(Explainer, World), u8> {
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let _inside = runtime.enter();
    let extras = Extras {
        explain: true,
        ..Extras::default()
    };
    let built = setup::plan_or_say(loaded, extras, &world)?;
    match built.explained {
        Some(explained) => Ok((Explainer::new(built.plan, explained), world)),
        None => Err(EXIT_USAGE),
    }
}

/// The place of the source that lines are taken to come from.
fn source(explainer: &Explainer, wanted: Option<&str>) -> Result<usize, u8> {
    let names: Vec<_> = explainer.sources().collect();
    let Some(wanted) = wanted else {
        if let [first, others @ ..] = &names[..]
            && !others.is_empty()
        {
            say(&format!(
                "tflog: taken as lines of the source `{first}`; --source names another: {}",
                others.join(", ")
            ));
        }
        return Ok(0);
    };
    names
        .iter()
        .position(|name| *name == wanted)
        .ok_or_else(|| {
            let near = nearest(wanted, names.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            say(&format!(
                "tflog: --source: there is no source `{wanted}`\n  help: {near}sources are {}",
                names.join(", ")
            ));
            EXIT_USAGE
        })
}

fn meta(pair: &str) -> Result<(String, String), u8> {
    let split = pair.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = split.ok_or_else(|| {
        say(&format!(
            "tflog: --meta: {pair:?} names no value\n  help: write NAME=VALUE, as in stream=stderr"
        ));
        EXIT_USAGE
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

fn explain(
    explainer: &mut Explainer,
    source: usize,
    now: Timestamp,
    chunk: &Chunk,
    printer: &mut Printer,
) -> std::io::Result<()> {
    let mut result = Ok(());
    explainer.explain(source, now, chunk, &mut |explanation| {
        if result.is_ok() {
            result = printer.print(&explanation);
        }
    });
    result
}

/// What makes events of lines, with the limits and joins of the source.
fn framer(config: &Config, source: usize) -> Result<Framer, u8> {
    let definition = &config.sources[source].definition;
    let mut options = definition.options.clone();
    if let Some(limit) = config.line_max {
        options.entry("line_max").or_insert(limit.0.into());
    }
    // Sources of other kinds have other options: then lines are lines.
    let options: frame::Options = serde_json::from_value(options.into()).unwrap_or_default();
    let lines = frame::Options {
        framing: Framing::Newline,
        ..options
    };
    let framer = lines.framer(definition);
    framer.map_err(|error| setup::refuse(&[config.diagnostic(&error)]))
}

/// Reads `input` as a source does: framed, chunk by chunk.
fn lines(
    mut input: impl Read,
    mut framer: Framer,
    each: &mut dyn FnMut(&Chunk) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut chunk = Chunk::default();
    loop {
        let start = chunk.text.len();
        chunk.text.resize(start + Pool::CHUNK_BYTES, 0);
        let read = match input.read(&mut chunk.text[start..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                chunk.text.truncate(start);
                continue;
            }
            other => other?,
        };
        chunk.text.truncate(start + read);
        // Newline framing refuses nothing.
        if framer.frame(&mut chunk).is_err() || read == 0 {
            framer.finish(&mut chunk);
            return each(&chunk);
        }
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        each(&chunk)?;
        chunk = next;
    }
}

struct Printer {
    out: BufWriter<std::io::Stdout>,
    output: ExplainOutput,
    style: Style,
    any: bool,
}

impl Printer {
    fn print(&mut self, explanation: &Explanation) -> std::io::Result<()> {
        match self.output {
            ExplainOutput::Json => writeln!(self.out, "{}", explanation.to_json()),
            ExplainOutput::Human => {
                let between = if self.any { "\n" } else { "" };
                self.any = true;
                write!(self.out, "{between}{}", explanation.to_text(self.style))
            }
        }?;
        // Whoever watches a stream wants each at once.
        if self.style.color {
            self.out.flush()
        } else {
            Ok(())
        }
    }
}

/// A reader that went away is no failure.
fn finish(done: std::io::Result<()>) -> Result<u8, u8> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(&format!("tflog: {error}"));
            Err(EXIT_FAILURE)
        }
        _ => Ok(0),
    }
}
