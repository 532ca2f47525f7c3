//! The main form: from a pipe, files or configured sources to the sinks.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use super::args::Options;
use super::engine::{self, Context, Prepared, Setup};
use super::notify::Notifier;
use super::progress::{Done, Progress};
use super::{log, passed, setup};
use crate::config::plan::Extras;
use crate::pipeline::{Plan, Seed};
use crate::seam::World;
use crate::source::tail::Extent;

/// Runs the main form; the exit code.
pub(super) fn main(options: &Options, words: Vec<OsString>, follow: bool) -> u8 {
    run(options, words, follow).unwrap_or_else(|code| code)
}

fn run(options: &Options, words: Vec<OsString>, follow: bool) -> Result<u8, u8> {
    let env = setup::environment();
    let (rule, files) = setup::split_words(words)?;
    let inputs = setup::inputs(options, env.clone());
    let filter = setup::filter(rule.as_deref(), options.level.as_deref())?;
    let view = setup::view(options, &env)?;
    let files = setup::Files {
        paths: files,
        follow,
        multiline: options.multiline,
    };
    let runtime = engine::runtime()?;
    let (passed, before) = passed::take(&env)?;
    let world = World::with_sockets(runtime.handle().clone(), passed);
    let prepare = |seed: Seed| {
        let mut inputs = inputs.clone();
        let mut extras = Extras {
            filter: filter.clone(),
            view: view.clone(),
            seed,
            ..Extras::default()
        };
        setup::files(&files, &mut inputs, &mut extras)?;
        let loaded = setup::load_or_say(&inputs)?;
        let config = &loaded.config;
        let built = setup::plan_or_say(&loaded, extras, &world)?;
        log::start(built.service, setup::variable(&env, "TFLOG_LOG"));
        setup::show(&built.warnings);
        let configured = config.http.as_ref().map(|http| http.listen.value.as_str());
        let setup = Setup {
            http: setup::http(options.http.as_deref(), configured, built.service, &env),
            listener: setup::listener(config),
            service: built.service,
            stats: options.stats,
            // Of a pipe without a config, a hang-up is the terminal's end.
            reloadable: built.service || !inputs.files.is_empty(),
        };
        let plan = built.plan;
        Ok(Prepared { plan, setup })
    };
    let prepared = prepare(Seed::default())?;
    let progress = progress(&prepared.plan);
    let notifier = Notifier::new(&env);
    let context = Context { notifier, before };
    let run = engine::run(prepared, &world, &prepare, context, |_| ());
    let code = runtime.block_on(run);
    drop(progress);
    // A stage that hangs in a system call must not keep the process.
    runtime.shutdown_background();
    Ok(code)
}

/// How far files are that are read once, on a terminal that shows nothing else.
fn progress(plan: &Plan) -> Option<Progress> {
    if std::io::stdout().is_terminal() {
        return None;
    }
    let extents = plan.sources.iter().map(|s| s.source.extent());
    let extents = extents.collect::<Option<Vec<_>>>()?;
    Some(Progress::show(move || {
        let sum = |of: fn(&Extent) -> &AtomicU64| {
            let all = extents
                .iter()
                .map(|extent| of(extent).load(Ordering::Relaxed));
            all.sum()
        };
        Done {
            part: sum(|extent| &extent.bytes),
            total: sum(|extent| &extent.bytes_total),
            events: sum(|extent| &extent.events),
        }
    }))
}
