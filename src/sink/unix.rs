//! The sink `unix:///path`: lines to a Unix stream socket. See [`Socket`].

use serde::Deserialize;

use super::encode::Encoder;
use super::socket::Socket;
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::{Address, World};

/// The URL scheme.
pub const NAME: &str = "unix";

/// It has no options of its own.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// Builds the sink.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    _needs: &mut Needs,
) -> Result<Socket, BuildError> {
    let Config {} = definition.decode()?;
    if definition.target.is_empty() {
        return Err(definition
            .error("the socket's path is missing")
            .help("write unix:///path/to/socket"));
    }
    let address = Address::Unix(definition.target.clone().into());
    let network = world.network.clone();
    Ok(Socket::new(&definition.name, address, network, encoder))
}
