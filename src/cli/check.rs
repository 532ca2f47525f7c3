//! `tflog check`: what is wrong or odd with a config, without running it.

use super::args::{Check, Options};
use super::{EXIT_USAGE, engine, print, say, setup};
use crate::config::load;
use crate::config::plan::{self, Extras};
use crate::seam::World;

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
    let inputs = setup::inputs(&options, env.clone());
    let loaded = load(&inputs).map_err(|errors| setup::refuse(&errors))?;
    let runtime = engine::runtime()?;
    let world = World::real(runtime.handle().clone());
    let _inside = runtime.enter();
    let built = plan::build(&loaded.config, Extras::default(), &world);
    let built = built.map_err(|mut errors| {
        errors.extend(loaded.warnings.iter().cloned());
        setup::refuse(&errors)
    })?;
    let configured = loaded.config.http.as_ref();
    let certified = engine::asks_clients(configured.and_then(|http| http.tls.as_ref()));
    let configured = configured.map(|http| http.listen.value.as_str());
    let http = setup::http(None, configured, built.service, &env);
    engine::mounts(&built.plan, http.as_deref(), certified).map_err(|message| {
        say(&format!("tflog: {message}"));
        EXIT_USAGE
    })?;
    let warnings = [loaded.warnings, built.warnings].concat();
    setup::show(&warnings);
    if check.strict && !warnings.is_empty() {
        return Ok(EXIT_USAGE);
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let plan = &built.plan;
    Ok(print(&format!(
        "ok: {}, {}, {}\n",
        count(plan.sources.len(), "source"),
        count(plan.routes.len(), "route"),
        count(plan.sinks.len(), "sink")
    )))
}
