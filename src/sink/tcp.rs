//! The sink `tcp://host:port`: lines to a TCP server. See [`Socket`].

use serde::Deserialize;

use super::encode::Encoder;
use super::socket::Socket;
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::{Address, World};

/// The URL scheme.
pub const NAME: &str = "tcp";

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
    let target = definition.target.trim_end_matches('/');
    let port = target.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(1..))) || target.starts_with(':') {
        return Err(definition
            .error(format!("{target:?} is no address to connect to"))
            .help("write tcp://host:port"));
    }
    let address = Address::Tcp(target.to_owned());
    let network = world.network.clone();
    Ok(Socket::new(&definition.name, address, network, encoder))
}
