//! `tflog exec -- CMD`: runs a command and routes what it writes.

use std::sync::Arc;

use rustix::process::Signal;

use super::args::{Exec as Arguments, Multiline};
use super::engine::{self, Context, Prepared, Setup};
use super::{EXIT_LOSS, log, setup};
use crate::config::plan::Extras;
use crate::frame::{Framer, Framing, Limits};
use crate::pipeline::Seed;
use crate::seam::World;
use crate::source::Exec;

/// The command's source in rules and metrics.
const NAME: &str = "app";

/// Runs the command; the exit code.
pub(super) fn main(arguments: Arguments) -> u8 {
    run(arguments).unwrap_or_else(|code| code)
}

fn run(arguments: Arguments) -> Result<u8, u8> {
    let Arguments {
        options,
        filter,
        fail_on_loss,
        command,
    } = arguments;
    let env = setup::environment();
    let inputs = setup::inputs(&options, env.clone());
    let filter = setup::filter(filter.as_deref(), options.level.as_deref())?;
    let view = setup::view(&options, &env)?;
    let lines = Framer::new(Framing::Newline, Limits::default());
    let framer = match options.multiline {
        Some(Multiline::Auto) => lines.joining_traces(),
        Some(Multiline::Partials | Multiline::Off) | None => lines,
    };
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let source = || Exec::command(Arc::from(NAME), command.clone(), framer.clone());
    let prepare = |source: Exec, seed: Seed| {
        let mut inputs = inputs.clone();
        let mut extras = Extras {
            filter: filter.clone(),
            view: view.clone(),
            seed,
            ..Extras::default()
        };
        setup::substitute(NAME, Box::new(source), &mut inputs, &mut extras.sources);
        let loaded = setup::load_or_say(&inputs)?;
        let config = &loaded.config;
        let built = setup::plan_or_say(&loaded, extras, &world)?;
        log::start(false, setup::variable(&env, "TFLOG_LOG"));
        setup::show(&built.warnings);
        // `$PORT` is the command's, so nothing opens unless it was asked for.
        let configured = config.http.as_ref().map(|http| http.listen.value.as_str());
        let setup = Setup {
            http: setup::http(options.http.as_deref(), configured, false, &env),
            listener: setup::listener(config),
            service: false,
            stats: options.stats,
            reloadable: !inputs.files.is_empty(),
        };
        let plan = built.plan;
        Ok(Prepared { plan, setup })
    };
    let first = source();
    let child = first.child();
    let prepared = prepare(first, Seed::default())?;
    let pass_on = |number: i32| {
        if let Some(signal) = Signal::from_named_raw(number) {
            // One that has ended has nothing to be told.
            let _ = child.signal(signal);
        }
    };
    // The command runs already: in later plans its source only stands for it.
    let again = |seed: Seed| prepare(source(), seed);
    let context = Context::of(&env);
    let code = runtime.block_on(engine::run(prepared, &world, &again, context, pass_on));
    runtime.shutdown_background();
    Ok(match child.exit_code() {
        Some(0) if code == EXIT_LOSS => {
            if fail_on_loss {
                EXIT_LOSS
            } else {
                0
            }
        }
        Some(0) | None => code,
        Some(own) => own,
    })
}
