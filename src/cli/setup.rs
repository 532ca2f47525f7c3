//! From options and environment to a plan: shared by the verbs that run or
//! check a config.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::Arc;

use super::args::{Multiline, Options};
use super::{EXIT_USAGE, hand_over, say};
use crate::admin;
use crate::component::Definition;
use crate::config::diagnostic::{Diagnostic, Style, render};
use crate::config::plan::{self, Built, Extras, View};
use crate::config::{Config, Input, Inputs, Loaded, load};
use crate::event::Path;
use crate::route::{Expression, RuleError};
use crate::seam::World;
use crate::sink::encode::Screen;
use crate::source::{File, Source, Tail};

/// tflog's own listener where no platform says otherwise.
const HTTP_DEFAULT: &str = "127.0.0.1:8686";
/// Columns of diagnostics where no terminal says otherwise.
const WIDTH: usize = 100;

/// The environment as text. What is not UTF-8 cannot configure anything.
pub(super) fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The environment as a config may see it.
fn configuring(mut env: Vec<(String, String)>) -> Vec<(String, String)> {
    env.retain(|(name, _)| name != hand_over::VARIABLE);
    env
}

/// The value of a variable.
pub(super) fn variable<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = env.iter().find(|(n, value)| n == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// What the options say, for the config loader.
pub(super) fn inputs(options: &Options, env: Vec<(String, String)>) -> Inputs {
    Inputs {
        files: options.config.iter().cloned().map(Input::Path).collect(),
        env: configuring(env),
        from: options.from.clone(),
        to: options.to.clone(),
        http: options.http.clone().filter(|http| http != "none"),
        parse: options.parse.clone(),
        multiline: options
            .multiline
            .map(|multiline| multiline.name().to_owned()),
        encode: options.output.clone(),
    }
}

/// The words of the command line: a rule, if the first is one, and files. A
/// word that was meant as a rule but is none is refused as a rule, not as a
/// missing file.
pub(super) fn split_words(mut words: Vec<OsString>) -> Result<(Option<String>, Vec<OsString>), u8> {
    let Some(first) = words
        .first()
        .and_then(|word| word.to_str())
        .map(str::to_owned)
    else {
        return Ok((None, words));
    };
    match Expression::parse(&first) {
        Ok(_) => {
            words.remove(0);
            Ok((Some(first), words))
        }
        Err(error)
            if first.contains(char::is_whitespace) && !std::path::Path::new(&first).exists() =>
        {
            Err(refuse_rule(&first, &error))
        }
        Err(_) => Ok((None, words)),
    }
}

/// The filter of a rule and a least level, both of which must hold.
pub(super) fn filter(rule: Option<&str>, level: Option<&str>) -> Result<Option<Expression>, u8> {
    let level = level.map(|level| format!("level >= {level}"));
    let mut all = Vec::new();
    for text in rule.into_iter().chain(level.as_deref()) {
        all.push(Expression::parse(text).map_err(|error| refuse_rule(text, &error))?);
    }
    Ok(match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Expression::And(all)),
    })
}

fn refuse_rule(text: &str, error: &RuleError) -> u8 {
    let column = text[..error.offset].chars().count();
    let width = text[error.offset..]
        .chars()
        .count()
        .clamp(1, error.len.max(1));
    let help = error
        .help
        .as_deref()
        .map(|help| format!("\n  help: {help}"))
        .unwrap_or_default();
    say(&format!(
        "tflog: {}\n    {text}\n    {}{}{help}",
        error.message,
        " ".repeat(column),
        "^".repeat(width)
    ));
    EXIT_USAGE
}

/// What terminals show.
pub(super) fn view(options: &Options, env: &[(String, String)]) -> Result<View, u8> {
    let terminal = std::io::stdout().is_terminal();
    let fields = options.fields.as_ref().map(|fields| {
        fields
            .iter()
            .map(|field| Path::parse(field))
            .collect::<Result<Vec<_>, _>>()
    });
    let fields = fields.transpose().map_err(|error| {
        say(&format!("tflog: --fields: {error}"));
        EXIT_USAGE
    })?;
    let color = variable(env, "NO_COLOR").is_none() && variable(env, "TERM") != Some("dumb");
    Ok(View {
        terminal,
        color,
        screen: Some(Screen { columns }),
        fields,
    })
}

/// The columns of the terminal that stdout is.
fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(size.ws_col)
}

/// Files of the command line.
pub(super) struct Files {
    pub(super) paths: Vec<OsString>,
    /// Whether to go on as they grow.
    pub(super) follow: bool,
    pub(super) multiline: Option<Multiline>,
}

/// Files of the command line, as one source in the place of a configured one.
pub(super) fn files(files: &Files, inputs: &mut Inputs, extras: &mut Extras) -> Result<(), u8> {
    const NAME: &str = "files";
    let usage = |message: &str| {
        say(&format!("tflog: {message}"));
        Err(EXIT_USAGE)
    };
    if files.paths.is_empty() {
        return if files.follow {
            usage("--follow needs a FILE; pipes and configured sources are followed anyway")
        } else {
            Ok(())
        };
    }
    let texts: Option<Vec<&str>> = files.paths.iter().map(|p| p.to_str()).collect();
    let Some(texts) = texts else {
        return usage("file names must be UTF-8");
    };
    if files.follow && texts.contains(&"-") {
        return usage("`-` is stdin, which is followed anyway: without --follow");
    }
    let mut options = serde_json::Map::new();
    options.insert("paths".into(), texts.into());
    if let Some(multiline) = files.multiline {
        options.insert("multiline".into(), multiline.name().into());
    }
    let definition = Definition {
        name: Arc::from(NAME),
        scheme: File::NAME.into(),
        tls: false,
        target: String::new(),
        options,
    };
    let built: Result<Box<dyn Source>, _> = if files.follow {
        Tail::follow(&definition).map(|tail| Box::new(tail) as _)
    } else {
        File::build(&definition).map(|file| Box::new(file) as _)
    };
    match built {
        Ok(source) => {
            substitute(NAME, source, inputs, &mut extras.sources);
            Ok(())
        }
        Err(error) => usage(&error.to_string()),
    }
}

/// Puts a source that no URL can say in the place of a configured one.
pub(super) fn substitute(
    name: &str,
    source: Box<dyn Source>,
    inputs: &mut Inputs,
    sources: &mut HashMap<String, Box<dyn Source>>,
) {
    inputs.from.push(format!("{name}=stdin"));
    sources.insert(name.to_owned(), source);
}

/// Loads the config; prints what is wrong or odd.
pub(super) fn load_or_say(inputs: &Inputs) -> Result<Loaded, u8> {
    let loaded = load(inputs).map_err(|errors| refuse(&errors))?;
    show(&loaded.warnings);
    Ok(loaded)
}

/// Builds the plan, or prints what is wrong. What rules and components quote of
/// values that they cannot read is shown without secrets.
pub(super) fn plan_or_say(loaded: &Loaded, extras: Extras, world: &World) -> Result<Built, u8> {
    let redact = |found: &mut Vec<Diagnostic>| {
        found.iter_mut().for_each(|d| d.redact(&loaded.secrets));
    };
    match plan::build(&loaded.config, extras, world) {
        Ok(mut built) => {
            redact(&mut built.warnings);
            Ok(built)
        }
        Err(mut errors) => {
            redact(&mut errors);
            Err(refuse(&errors))
        }
    }
}

/// Prints errors; the exit code.
pub(super) fn refuse(errors: &[Diagnostic]) -> u8 {
    show(errors);
    EXIT_USAGE
}

/// Prints findings.
pub(super) fn show(findings: &[Diagnostic]) {
    if !findings.is_empty() {
        let colour = std::io::stderr().is_terminal();
        say(&render(
            findings,
            Style {
                colour,
                width: WIDTH,
            },
        ));
    }
}

/// Where tflog's own listener opens: as `--http` says, as the config says, and
/// for services at `$PORT` of all addresses or at the default.
pub(super) fn http(
    flag: Option<&str>,
    configured: Option<&str>,
    service: bool,
    env: &[(String, String)],
) -> Option<String> {
    let said = flag.or(configured);
    if said.is_some_and(|address| address == "none" || address.starts_with("none:")) {
        return None;
    }
    if let Some(address) = said {
        return Some(configured.unwrap_or(address).to_owned());
    }
    if !service {
        return None;
    }
    let port = variable(env, "PORT").map(|port| format!("0.0.0.0:{port}"));
    Some(port.unwrap_or_else(|| HTTP_DEFAULT.to_owned()))
}

/// How tflog's own listener serves.
pub(super) fn listener(config: &Config) -> admin::Options {
    let written = config.http.as_ref();
    written.map_or_else(admin::Options::default, |http| admin::Options {
        tls: http.tls.clone(),
        connections_per_peer: http.connections_per_peer,
    })
}
