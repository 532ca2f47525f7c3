//! What the sources that listen have in common: options, binding, running.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::socket::{CONNECTIONS, CONNECTIONS_MAX, Server};
use super::{Outlet, SourceError, SourceFuture, Stop};
use crate::component::{BuildError, ByteSize, Definition, Period};
use crate::frame;
use crate::seam::{Address, Listener, World};

/// The options of a listening source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
    /// Connections at a time; more wait to be accepted.
    #[serde(default = "connections")]
    pub connections: usize,
    /// What connections may hold of what is not taken up, together.
    #[serde(default = "window")]
    pub window: ByteSize,
    /// Silence after which a connection is closed; never if not given.
    #[serde(default)]
    pub idle: Option<Period>,
}

fn window() -> ByteSize {
    super::WINDOW
}

fn connections() -> usize {
    CONNECTIONS
}

/// A listening source, bound or not yet.
pub(super) struct Listening {
    server: Server,
    address: Address,
    world: World,
    listener: Option<Box<dyn Listener>>,
}

impl Listening {
    pub(super) fn build(
        definition: &Definition,
        world: &World,
        address: Address,
    ) -> Result<Listening, BuildError> {
        let config: Config = definition.decode()?;
        if !(1..=CONNECTIONS_MAX).contains(&config.connections) {
            let message = format!("must be between 1 and {CONNECTIONS_MAX}");
            return Err(definition.error(message).at("connections"));
        }
        let idle = config.idle.map(|Period(idle)| idle);
        if idle == Some(Duration::ZERO) {
            let error = definition.error("must be longer than nothing").at("idle");
            return Err(error.help("leave it out to keep idle connections"));
        }
        let server = Server {
            label: format!("{}: {address}", definition.name),
            framer: config.frame.framer(definition)?,
            connections: config.connections,
            window_bytes: super::window(config.window)
                .map_err(|message| definition.error(message).at("window"))?,
            idle,
        };
        Ok(Listening {
            server,
            address,
            world: world.clone(),
            listener: None,
        })
    }

    /// See [`super::Source::window_bytes`].
    pub(super) fn window_bytes(&self) -> u64 {
        self.server.window_bytes as u64
    }

    /// See [`super::Source::address`].
    pub(super) fn address(&self) -> Address {
        self.address.clone()
    }

    /// Where it listens, once open.
    pub(super) fn local_address(&self) -> Option<Address> {
        self.listener
            .as_ref()
            .map(|listener| listener.local_address())
    }

    pub(super) async fn open(&mut self) -> Result<(), SourceError> {
        let bound = self.world.network.bind(&self.address).await;
        let listener = bound.map_err(|error| {
            let label = &self.server.label;
            SourceError::Failed(format!("{label}: cannot listen: {error}"))
        })?;
        tracing::info!("{}: listening", self.server.label);
        self.listener = Some(listener);
        Ok(())
    }

    pub(super) fn run(mut self, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            if self.listener.is_none() {
                self.open().await?;
            }
            match self.listener {
                Some(listener) => self.server.run(listener, outlet, stop).await,
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::super::record::{Recorder, definition};
    use super::super::{Source, Tcp, Unix};
    use super::*;

    async fn carries_lines(source: impl Source + 'static, address: Option<Address>) {
        let recorder = Recorder::new();
        let world = World::real(tokio::runtime::Handle::current());
        let (stopper, stop) = Stop::new().expect("pipe");
        assert!(source.is_service());
        let address = address.expect("known before it runs");
        let run = Box::new(source).run(recorder.outlet(world.clone()), stop);
        let run = world.spawn.stage("listen", run).expect("thread");
        let mut connection = world.network.connect(&address).await.expect("listening");
        connection.write_all(b"one\0two\0").await.expect("open");
        recorder.wait_lines(2).await;
        assert_eq!(recorder.text(), "one\ntwo\n");
        drop(connection);
        stopper.stop(Instant::now() + Duration::from_hours(1));
        run.await.expect("no panic").expect("stopped");
        assert!(world.network.connect(&address).await.is_err());
    }

    #[tokio::test]
    async fn tcp_carries_lines_with_peers() {
        let world = World::real(tokio::runtime::Handle::current());
        let definition = definition("tcp", "127.0.0.1:0", json!({ "framing": "nul" }));
        let mut tcp = Tcp::build(&definition, &world).expect("valid");
        tcp.open().await.expect("free");
        let address = tcp.local_address();
        carries_lines(tcp, address).await;
    }

    #[tokio::test]
    async fn unix_sockets_carry_lines_and_take_their_file_along() {
        let world = World::real(tokio::runtime::Handle::current());
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("socket");
        let target = path.display().to_string();
        let definition = definition("unix", &target, json!({ "framing": "nul" }));
        let mut unix = Unix::build(&definition, &world).expect("valid");
        unix.open().await.expect("free");
        carries_lines(unix, Some(Address::Unix(path.clone()))).await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn an_address_in_use_says_so() {
        let world = World::real(tokio::runtime::Handle::current());
        let first = definition("tcp", "127.0.0.1:0", json!({}));
        let mut first = Tcp::build(&first, &world).expect("valid");
        first.open().await.expect("free");
        let taken = first.local_address().expect("open").to_string();
        let second = definition("tcp", &taken, json!({}));
        let mut second = Tcp::build(&second, &world).expect("valid");
        let error = second.open().await.expect_err("taken").to_string();
        assert!(
            error.starts_with(&format!("test: {taken}: cannot listen: ")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn options_are_checked() {
        let world = World::real(tokio::runtime::Handle::current());
        for (options, key) in [
            (json!({ "connections": 0 }), Some("connections")),
            (json!({ "idle": "0s" }), Some("idle")),
            (json!({ "window": "1KiB" }), Some("window")),
            (json!({ "line_max": "2GiB" }), Some("line_max")),
            (json!({ "framing": "tabs" }), None),
            (json!({ "backlog": 5 }), None),
        ] {
            let shown = options.to_string();
            let definition = definition("tcp", "1", options);
            let error = Tcp::build(&definition, &world).err().expect(&shown);
            assert_eq!(error.key.as_deref(), key, "{shown}");
        }
    }
}
