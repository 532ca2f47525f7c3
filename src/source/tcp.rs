//! `tcp://host:port`: lines over TCP, any number of connections.
//!
//! Peers feel backpressure as a closed window and learn no acceptance. Streams
//! carry `peer`, the other end's address.

use super::listen::{Config as ListenConfig, Listening};
use super::{Outlet, Source, SourceFuture, Stop};
use crate::component::{BuildError, Definition};
use crate::seam::{Address, World};

/// Lines over TCP.
pub struct Tcp(Listening);

impl Tcp {
    /// Its scheme.
    pub const NAME: &str = "tcp";

    /// Builds from `tcp://host:port`; without a host it listens on 127.0.0.1.
    pub fn build(definition: &Definition, world: &World) -> Result<Tcp, BuildError> {
        let address = address(&definition.target).ok_or_else(|| {
            let message = format!("{:?} is not an address", definition.target);
            let help = "write tcp://host:port, as in tcp://0.0.0.0:5140";
            definition.error(message).help(help)
        })?;
        Listening::build(definition, world, Address::Tcp(address)).map(Tcp)
    }

    /// Where it listens, once open.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        self.0.local_address()
    }
}

/// Its options.
pub type Config = ListenConfig;

/// `host:port` with the default host, from what a URL says.
pub(super) fn address(target: &str) -> Option<String> {
    let target = target.trim_end_matches('/');
    let (host, port) = target.rsplit_once(':').unwrap_or(("", target));
    port.parse::<u16>().ok()?;
    match host {
        "" => Some(format!("127.0.0.1:{port}")),
        // A bare IPv6 address: its last group is no port.
        bare if bare.contains(':') && !bare.starts_with('[') => None,
        _ => Some(target.to_owned()),
    }
}

impl Source for Tcp {
    fn is_service(&self) -> bool {
        true
    }

    fn window_bytes(&self) -> u64 {
        self.0.window_bytes()
    }

    fn address(&self) -> Option<Address> {
        Some(self.0.address())
    }

    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(self.0.open())
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        self.0.run(outlet, stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_and_default_to_loopback() {
        let cases = [
            ("0.0.0.0:5140", Some("0.0.0.0:5140")),
            (":5140", Some("127.0.0.1:5140")),
            ("5140", Some("127.0.0.1:5140")),
            ("localhost:5140/", Some("localhost:5140")),
            ("[::1]:5140", Some("[::1]:5140")),
            ("::1", None),
            ("localhost", None),
            ("localhost:99999", None),
            ("", None),
        ];
        for (target, expected) in cases {
            assert_eq!(address(target).as_deref(), expected, "{target:?}");
        }
    }
}
