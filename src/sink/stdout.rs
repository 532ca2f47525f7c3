//! The sink `stdout`. See [`Descriptor`].

use serde::Deserialize;

use super::descriptor::Descriptor;
use super::encode::Encoder;
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "stdout";

/// It has no options of its own.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// Builds the sink.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    _world: &World,
    _needs: &mut Needs,
) -> Result<Descriptor, BuildError> {
    let Config {} = definition.decode()?;
    Descriptor::build(definition, rustix::stdio::stdout(), encoder)
}
