//! `tflog check`: what is wrong or odd with a config, without running it.
//!
//! All that is wrong is told at once: a config is read and planned as far as
//! that goes, past the first error.

use std::fmt::Write;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::args::{Check, Options};
use super::{EXIT_FAILURE, EXIT_USAGE, engine, print, setup};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::plan::{self, Built, Extras};
use crate::config::{Config, losses, read};
use crate::pipeline::PlannedSink;
use crate::seam::World;

/// How long a service may take to answer `--connect`: far longer than any that
/// is well, short enough to wait for.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// What components say of their options, …
const COMPONENT: &str = "config::component";
/// … and what has been said of them when a template was a map.
const BRACES: &str = "yaml::braces";

/// Checks; the exit code.
pub(super) fn main(check: &Check) -> u8 {
    run(check).unwrap_or_else(|code| code)
}

fn run(check: &Check) -> Result<u8, u8> {
    let options = Options {
        config: check.config.clone(),
        ..Options::default()
    };
    let env = setup::environment();
    let read = read(&setup::inputs(&options, env.clone()));
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let _inside = runtime.enter();
    let Some(config) = read.config else {
        return Err(setup::refuse(&sorted(
            [read.errors, read.warnings].concat(),
        )));
    };
    let redact = |mut found: Vec<Diagnostic>| {
        found.iter_mut().for_each(|d| d.redact(&read.secrets));
        found
    };
    let built = plan::build(&config, Extras::default(), &world).map_err(redact);
    let built = match (built, read.errors.is_empty()) {
        (Ok(built), true) => built,
        (Ok(_), false) => {
            return Err(setup::refuse(&sorted(
                [read.errors, read.warnings].concat(),
            )));
        }
        (Err(mut found), whole) => {
            // What is missing of the config is the fault of the errors before.
            let braces = read.errors.iter().any(|d| d.code == BRACES);
            found.retain(|d| whole || !(follows(d) || (braces && d.code == COMPONENT)));
            let all = [read.errors, read.warnings, found].concat();
            return Err(setup::refuse(&sorted(all)));
        }
    };
    let mut found = sorted([read.warnings, redact(built.warnings.clone())].concat());
    found.extend(listener(&config, &built, &env));
    setup::show(&found);
    if found.iter().any(|d| d.severity == Severity::Error) {
        return Ok(EXIT_USAGE);
    }
    if check.strict && found.iter().any(|d| d.severity == Severity::Warning) {
        return Ok(EXIT_USAGE);
    }
    let summary = summary(&config, &built);
    if check.connect {
        let unreachable = redact(runtime.block_on(connect(&config, built.plan.sinks)));
        setup::show(&unreachable);
        if !unreachable.is_empty() {
            return Ok(EXIT_FAILURE);
        }
    }
    Ok(print(&summary))
}

/// Whether a finding may only be there because a part of the config could not
/// be read.
fn follows(found: &Diagnostic) -> bool {
    !["rule::", "parse", "config::with", COMPONENT]
        .iter()
        .any(|code| found.code.starts_with(code))
}

fn sorted(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.sort_by_cached_key(Diagnostic::order);
    found
}

/// Whether sources of tflog's own listener can have what they want there.
fn listener(config: &Config, built: &Built, env: &[(String, String)]) -> Option<Diagnostic> {
    let configured = config.http.as_ref();
    let certified = engine::asks_clients(configured.and_then(|http| http.tls.as_ref()));
    let configured = configured.map(|http| http.listen.value.as_str());
    let http = setup::http(None, configured, built.service, env);
    let refused = engine::mounts(&built.plan, http.as_deref(), certified).err()?;
    Some(Diagnostic::error("http", refused))
}

/// What the config has, and what it may lose.
fn summary(config: &Config, built: &Built) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let plan = &built.plan;
    let mut text = format!(
        "ok: {}, {}, {}\n",
        count(plan.sources.len(), "source"),
        count(plan.routes.len(), "route"),
        count(plan.sinks.len(), "sink")
    );
    for loss in losses(config) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{loss}");
    }
    text
}

/// Asks every sink's service whether it is there, all at once, and looks for
/// the files of sources. Nothing is sent.
async fn connect(config: &Config, sinks: Vec<PlannedSink>) -> Vec<Diagnostic> {
    let mut found = missing_files(config);
    let asked = sinks.into_iter().map(|mut planned| async move {
        let answer = timeout(CONNECT_TIME, planned.sink.check()).await;
        let message = match answer {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_TIME.as_secs()),
        };
        Some((planned.labels.id, message))
    });
    for (name, message) in join_all(asked).await.into_iter().flatten() {
        // What a run would do about it is of no use here.
        let cause = message.split("; will ").next().unwrap_or_default();
        let message = format!("the sink {name} cannot be reached: {cause}");
        let mut error = Diagnostic::error("connect", message)
            .help("start the service, or mend the address; without --connect nothing is asked");
        if let Some(sink) = config.sinks.iter().find(|sink| sink.name == name) {
            error = error.at(sink.places.of(None));
        }
        found.push(error);
    }
    sorted(found)
}

fn missing_files(config: &Config) -> Vec<Diagnostic> {
    let files = config.sources.iter().filter(|source| {
        matches!(&*source.definition.scheme, "file" | "fifo")
            && !source.definition.target.is_empty()
            && !source.definition.target.contains(['*', '?', '['])
    });
    let missing = files.filter_map(|source| {
        let path = &source.definition.target;
        let error = std::fs::metadata(path).err()?;
        let message = format!("the source {} cannot be read: {path}: {error}", source.name);
        let error = Diagnostic::error("connect", message).at(source.places.of(None));
        Some(error.help("check the path, and whether this user may read it"))
    });
    missing.collect()
}
