//! `unix:///path`: lines over a Unix stream socket, any number of connections.
//!
//! The socket's file is made at start and removed at the end; the file that a
//! killed process left behind is replaced.

use super::listen::{Config as ListenConfig, Listening};
use super::{Outlet, Source, SourceFuture, Stop};
use crate::component::{BuildError, Definition};
use crate::seam::{Address, World};

/// Lines over a Unix stream socket.
pub struct Unix(Listening);

impl Unix {
    /// Its scheme.
    pub const NAME: &str = "unix";

    /// Builds from `unix:///path`.
    pub fn build(definition: &Definition, world: &World) -> Result<Unix, BuildError> {
        if definition.target.is_empty() {
            let error = definition.error("no path of a socket given");
            return Err(error.help("write unix:///run/app.sock"));
        }
        let address = Address::Unix(definition.target.clone().into());
        Listening::build(definition, world, address).map(Unix)
    }
}

/// Its options.
pub type Config = ListenConfig;

impl Source for Unix {
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
