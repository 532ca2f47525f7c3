//! The main form: from a pipe, files or configured sources to the sinks.

use std::ffi::OsString;

use super::args::Options;
use super::engine::{self, Setup};
use super::{log, setup};
use crate::config::plan::Extras;
use crate::seam::World;

/// Runs the main form; the exit code.
pub(super) fn main(options: &Options, words: Vec<OsString>) -> u8 {
    run(options, words).unwrap_or_else(|code| code)
}

fn run(options: &Options, words: Vec<OsString>) -> Result<u8, u8> {
    let env = setup::environment();
    let (rule, files) = setup::split_words(words)?;
    let mut inputs = setup::inputs(options, env.clone());
    let mut extras = Extras {
        filter: setup::filter(rule.as_deref(), options.level.as_deref())?,
        view: setup::view(options, &env)?,
        ..Extras::default()
    };
    setup::files(&files, options.multiline, &mut inputs, &mut extras)?;
    let loaded = setup::load_or_say(&inputs)?;
    let config = &loaded.config;
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let built = setup::plan_or_say(&loaded, extras, &world)?;
    log::start(built.service, setup::variable(&env, "TFLOG_LOG"));
    setup::show(&built.warnings);
    let configured = config.http.as_ref().map(|http| http.listen.value.as_str());
    let run = Setup {
        http: setup::http(options.http.as_deref(), configured, built.service, &env),
        listener: setup::listener(config),
        service: built.service,
        stats: options.stats,
    };
    let code = runtime.block_on(engine::run(built.plan, run, |_| ()));
    // A stage that hangs in a system call must not keep the process.
    runtime.shutdown_background();
    Ok(code)
}
