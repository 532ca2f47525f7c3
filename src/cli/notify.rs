//! Tells systemd how it goes, as `sd_notify(3)` does: datagrams to `$NOTIFY_SOCKET`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::setup::variable;

/// Whoever wants to know; nobody, mostly.
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it must be heard that all is well.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says.
    pub(super) fn new(env: &[(String, String)]) -> Notifier {
        let socket = variable(env, "NOTIFY_SOCKET").and_then(|place| {
            let address = match place.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(place),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        });
        let for_us =
            variable(env, "WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let micros = variable(env, "WATCHDOG_USEC").filter(|_| for_us);
        let micros = micros.and_then(|micros| micros.parse().ok());
        let watchdog = micros.filter(|&micros| micros > 0);
        Notifier {
            socket,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// Says something, as far as anybody listens.
    pub(super) fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// Says that all is well, twice as often as it must be heard.
    pub(super) async fn watch(&self) -> std::convert::Infallible {
        let Some(often) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(often / 2);
        loop {
            ticks.tick().await;
            self.say("WATCHDOG=1");
        }
    }
}
