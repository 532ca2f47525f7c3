//! `tflog replay`: dead letters back to the sink that refused them, or through
//! the routes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::{Options, Replay as Arguments};
use super::engine::{self, Context, Prepared, Setup};
use super::progress::{self, Done};
use super::{EXIT_FAILURE, EXIT_USAGE, log, say, setup};
use crate::component::Period;
use crate::config::place::{Origin, Place, RuleText, Spanned};
use crate::config::plan::Extras;
use crate::config::{Config, Loaded, RouteConfig, WhenFull};
use crate::event::time::parse_any;
use crate::event::{Tally, Timestamp};
use crate::seam::{StateDirectory, World};
use crate::source::Replay;
use crate::source::replay::{self, Mark, Selection};

/// The source's name, where no other is wanted.
const NAME: &str = "replay";

/// Sends dead letters again; the exit code.
pub(super) fn main(arguments: &Arguments) -> u8 {
    run(arguments).unwrap_or_else(|code| code)
}

fn run(arguments: &Arguments) -> Result<u8, u8> {
    let env = setup::environment();
    let options = Options {
        config: arguments.config.clone(),
        ..Options::default()
    };
    let mut loaded = setup::load_or_say(&setup::inputs(&options, env.clone()))?;
    log::start(false, setup::variable(&env, "TFLOG_LOG"));
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let selection = selection(arguments, &loaded.config, world.clock.now())?;
    let source = Replay::open(selection).map_err(|error| {
        say(&format!("tflog: {error}"));
        EXIT_USAGE
    })?;
    let (letters, marks) = (source.progress(), source.marks());
    let name = adapt(&mut loaded, arguments)?;
    let mut extras = Extras {
        filter: setup::filter(arguments.r#where.as_deref(), None)?,
        ..Extras::default()
    };
    extras.sources.insert(name, Box::new(source));
    let mut built = setup::plan_or_say(&loaded, extras, &world)?;
    // Another tflog may run on it, and only appends to dead letters are made.
    built.plan.state = None;
    let run = Setup {
        http: None,
        listener: setup::listener(&loaded.config),
        service: false,
        stats: arguments.stats,
        reloadable: false,
    };
    let shown = letters.clone();
    let progress = progress::Progress::show(move || Done {
        part: shown.bytes.load(Ordering::Relaxed),
        total: shown.bytes_total.load(Ordering::Relaxed),
        events: shown.sent.load(Ordering::Relaxed),
    });
    let mut stopped = false;
    let prepared = Prepared {
        plan: built.plan,
        setup: run,
    };
    let never = |_| Err(EXIT_USAGE);
    let stop = |_| stopped = true;
    let context = Context::of(&env);
    let code = runtime.block_on(engine::run(prepared, &world, &never, context, stop));
    drop(progress);
    runtime.shutdown_background();
    marks.iter().for_each(|mark| mark.save());
    Ok(conclude(code, &letters, &marks, stopped))
}

/// Says what became of the letters; the exit code.
fn conclude(code: u8, letters: &replay::Progress, marks: &[Arc<Mark>], stopped: bool) -> u8 {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let ended = marks.iter().fold(Tally::default(), |sum, mark| {
        let ended = mark.ended();
        Tally {
            accepted: sum.accepted + ended.accepted,
            dead_lettered: sum.dead_lettered + ended.dead_lettered,
            ..sum
        }
    });
    let mut text = format!("tflog: {} dead letters delivered", ended.accepted);
    let others = [
        (ended.dead_lettered, "refused again"),
        (count(&letters.older), "older than --since"),
        (
            count(&letters.strange),
            "of sinks that the config does not have (--reroute takes them)",
        ),
        (
            count(&letters.exhausted),
            "left alone: they came back three times",
        ),
        (count(&letters.malformed), "lines that are no letters"),
    ];
    for (times, what) in others.iter().filter(|(times, _)| *times > 0) {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {times} {what}");
    }
    if stopped {
        text.push_str("; stopped before the end");
    }
    say(&text);
    let bad = ended.dead_lettered
        + count(&letters.strange)
        + count(&letters.exhausted)
        + count(&letters.malformed);
    if code == 0 && bad > 0 {
        EXIT_FAILURE
    } else {
        code
    }
}

fn selection(arguments: &Arguments, config: &Config, now: Timestamp) -> Result<Selection, u8> {
    let refuse = |message: String| {
        say(&format!("tflog: {message}"));
        EXIT_USAGE
    };
    let since = arguments.since.as_deref().map(|text| since(text, now));
    let rate = match arguments.rate {
        Some(rate) if !(rate > 0.0 && rate <= 1e9) => {
            return Err(refuse(format!(
                "--rate {rate}: not a number of events a second"
            )));
        }
        rate => rate,
    };
    let sinks = config.sinks.iter().map(|sink| sink.name.clone());
    let all = arguments.since.is_none() && arguments.r#where.is_none();
    Ok(Selection {
        files: files(arguments, config).map_err(refuse)?,
        sinks: (!arguments.reroute).then(|| sinks.collect()),
        since: since.transpose().map_err(refuse)?,
        rate,
        marks: all,
        again: arguments.again,
    })
}

/// A time, or how long before `now`.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(Period(ago)) = Period::parse(text)
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
    {
        return Ok(Timestamp(now.0.saturating_sub(ago.as_nanos() as i64)));
    }
    let date = format!("{text}T00:00:00Z");
    parse_any(text.as_bytes())
        .or_else(|| parse_any(date.as_bytes()))
        .ok_or_else(|| {
            format!("--since {text}: not a time; write 2h, 2026-11-26 or 2026-11-26T08:00:00Z")
        })
}

/// The files of the arguments, those of directories by name.
fn files(arguments: &Arguments, config: &Config) -> Result<Vec<PathBuf>, String> {
    let mut places: Vec<PathBuf> = Vec::new();
    for letters in &arguments.letters {
        let text = letters.to_string_lossy();
        let path = match text.split_once("://") {
            Some(("file", path)) => path.into(),
            Some((scheme, _)) => {
                return Err(format!(
                    "{text}: {scheme} cannot be replayed from; write its letters to a file first"
                ));
            }
            None => letters.into(),
        };
        places.push(path);
    }
    if places.is_empty() {
        let state = config
            .state
            .as_ref()
            .ok_or("no dead letters named, and the config has no `state` directory to look in")?;
        places.push(state.value.join(StateDirectory::DEAD_LETTERS));
    }
    let mut files = Vec::new();
    for place in places {
        if place.is_dir() {
            let mut inside = inside(&place)
                .map_err(|error| format!("{}: cannot list: {error}", place.display()))?;
            inside.sort();
            files.append(&mut inside);
        } else {
            files.push(place);
        }
    }
    if files.is_empty() {
        return Err("there are no dead letters".to_owned());
    }
    Ok(files)
}

fn inside(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let letters = |name: &str| {
        let plain = name.strip_suffix(".gz").or(name.strip_suffix(".zst"));
        plain.unwrap_or(name).strip_suffix(".jsonl").is_some()
    };
    let entries = std::fs::read_dir(directory)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths
        .filter(|path| match path {
            Ok(path) => path
                .file_name()
                .and_then(|n| n.to_str())
                .is_some_and(letters),
            Err(_) => true,
        })
        .collect()
}

/// Makes the config one of letters: its only source are they, and without
/// `--reroute` each goes to its sink as it is. The name of the source.
fn adapt(loaded: &mut Loaded, arguments: &Arguments) -> Result<String, u8> {
    let config = &mut loaded.config;
    let found = arguments.source.as_deref().map(|name| {
        let found = config.sources.iter().position(|s| s.name == name);
        found.ok_or_else(|| {
            say(&format!(
                "tflog: --source {name}: the config has no such source"
            ));
            EXIT_USAGE
        })
    });
    let found = found.transpose()?;
    let named = found.is_some() || (arguments.reroute && config.sources.len() == 1);
    let mut source = config.sources.swap_remove(found.unwrap_or(0));
    if !named {
        NAME.clone_into(&mut source.name);
    }
    let name = source.name.clone();
    source.with.clear();
    source.parse = flag("auto");
    config.sources = vec![source];
    config.tests.clear();
    for sink in &mut config.sinks {
        // A letter is settled when its sink has it.
        (sink.required, sink.when_full) = (true, WhenFull::Block);
        if !arguments.reroute {
            sink.with.clear();
            sink.fallback = None;
            let encode = sink.encode.as_ref().map(|encode| &*encode.value);
            // As it was encoded then.
            sink.encode = encode.map(|name| match name {
                "raw" | "logfmt" | "human" => flag("raw"),
                _ => flag("json"),
            });
        }
    }
    if !arguments.reroute {
        config.routes = Some(straight(config));
    }
    Ok(name)
}

/// Routes by which each letter goes to the sink that refused it.
fn straight(config: &Config) -> Vec<RouteConfig> {
    let route = |name: String, sink: Option<&str>| RouteConfig {
        name,
        from: None,
        when: sink.map(|sink| RuleText::of(format!("replay.sink == \"{sink}\""))),
        to: sink.map(|sink| vec![flag(sink)]),
        drop: sink.is_none(),
        r#continue: false,
        with: Vec::new(),
        place: Place::of(Origin::Default),
    };
    let sinks = config.sinks.iter().map(|sink| &*sink.name);
    let routes = sinks.map(|sink| route(format!("{NAME}_{sink}"), Some(sink)));
    // The source sends none that is for no sink.
    routes.chain([route(NAME.to_owned(), None)]).collect()
}

fn flag(value: &str) -> Spanned<String> {
    Spanned {
        value: value.to_owned(),
        place: Place::of(Origin::Flag(NAME.to_owned())),
    }
}
