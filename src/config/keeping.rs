//! Sources, told where they keep their positions between runs.

use super::SourceConfig;
use super::diagnostic::Diagnostic;
use super::plan::Planner;
use super::registry;
use crate::component::{BuildError, Definition};
use crate::source::Source;

/// Builds a source. What it cannot keep for want of a state directory is an error
/// of the plan.
pub(super) fn source(
    planner: &mut Planner,
    written: &SourceConfig,
    definition: &Definition,
) -> Result<Box<dyn Source>, BuildError> {
    let mut source = registry::source(definition, planner.world)?;
    if source.keeps_state() {
        match planner.state() {
            Some(state) => source.keep(state),
            None => planner.errors.push(stateless(written)),
        }
    }
    Ok(source)
}

fn stateless(written: &SourceConfig) -> Diagnostic {
    let message = format!(
        "the source `{}` keeps how far files are read, and there is no directory for that",
        written.name
    );
    let error = Diagnostic::error("state", message).at(written.places.of(None));
    error.help("write `state: /var/lib/tflog`, set TFLOG_STATE, or read files with `once: true`")
}
