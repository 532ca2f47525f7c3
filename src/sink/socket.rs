//! A stream socket that tflog connects to: what `tcp` and `unix` write to.
//!
//! Handed over when the kernel has the bytes: what is on the way when the
//! connection breaks can be lost, and after a reconnect the line that was
//! being written is sent again from its start, so that the far end can see a
//! line twice or the beginning of one at the end of the old connection.
//! Connects when there is something to write; reconnecting is the driver's retry.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use super::encode::Encoder;
use super::outgoing::Outgoing;
use super::{Load, Sink, SinkError, SinkFuture, Written};
use crate::seam::{Address, Connection, Network};

/// A far end that does not answer by then is down: tried again later.
const CONNECT_DURATION_MAX: Duration = Duration::from_secs(10);

/// Writes to a stream socket.
pub struct Socket {
    /// Component and address, for messages.
    label: String,
    address: Address,
    network: Arc<dyn Network>,
    connection: Option<Box<dyn Connection>>,
    outgoing: Outgoing,
}

impl Socket {
    pub(super) fn new(
        name: &str,
        address: Address,
        network: Arc<dyn Network>,
        encoder: Encoder,
    ) -> Socket {
        Socket {
            label: format!("{name}: {address}"),
            address,
            network,
            connection: None,
            outgoing: Outgoing::new(encoder),
        }
    }

    /// Makes sure that there is a connection that the far end has not closed.
    async fn connect(&mut self) -> Result<(), SinkError> {
        if let Some(connection) = &mut self.connection {
            if !is_closed(connection).await {
                return Ok(());
            }
            self.connection = None;
        }
        let connecting = self.network.connect(&self.address);
        let connected = tokio::time::timeout(CONNECT_DURATION_MAX, connecting).await;
        let connection = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| retry(&self.label, "cannot connect", &error))?;
        self.connection = Some(connection);
        self.outgoing.start_stream();
        Ok(())
    }

    async fn write_load(&mut self, load: &Load) -> Result<Written, SinkError> {
        self.connect().await?;
        self.outgoing.prepare(load);
        while let Some(bytes) = self.outgoing.next(load)
            && let Some(connection) = &mut self.connection
        {
            let result = match connection.write(bytes).await {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                other => other,
            };
            match result {
                Ok(written) => self.outgoing.advance(load, written),
                Err(error) => {
                    self.connection = None;
                    self.outgoing.rewind_to_line(load);
                    return Err(retry(&self.label, "connection lost", &error));
                }
            }
        }
        Ok(self.outgoing.finish())
    }
}

fn retry(label: &str, what: &str, error: &io::Error) -> SinkError {
    SinkError::Retry {
        message: format!("{label}: {what}: {error}; will connect again"),
        after: None,
    }
}

/// Whether the far end has closed. The first write after that would succeed
/// and its bytes be lost, so it is asked before. What it says is ignored.
async fn is_closed(connection: &mut Box<dyn Connection>) -> bool {
    // Unconstrained: a task that has used up its budget would be told that
    // there is nothing to read.
    tokio::task::unconstrained(poll_fn(|context| {
        let mut bytes = [0; 512];
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut *connection).poll_read(context, &mut buffer);
        Poll::Ready(match polled {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => buffer.filled().is_empty(),
            Poll::Ready(Err(_)) => true,
        })
    }))
    .await
}

impl Sink for Socket {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(self.write_load(load))
    }

    fn close(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async {
            match self.connection.take() {
                Some(mut connection) => connection
                    .shutdown()
                    .await
                    .map_err(|error| retry(&self.label, "cannot close", &error)),
                None => Ok(()),
            }
        })
    }

    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(self.connect())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::event::Needs;
    use crate::seam::MemoryNetwork;
    use crate::sink::encode::Options;
    use crate::sink::fixture::{lines, load};

    fn socket(network: &MemoryNetwork) -> (Socket, Address) {
        let raw = Encoder::build("raw", Options::default(), &mut Needs::default()).unwrap();
        let address = Address::Tcp("far:1".to_owned());
        let socket = Socket::new("out", address.clone(), Arc::new(network.clone()), raw);
        (socket, address)
    }

    #[tokio::test]
    async fn a_broken_connection_is_retried_from_a_whole_line() {
        let network = MemoryNetwork::default();
        let (mut sink, address) = socket(&network);
        let text = "0123456789abcde\n".repeat(1 << 14);
        let load = load(vec![lines(&text)], false);
        let refused = sink.write(&load).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("out: far:1: cannot connect"),
            "{refused}"
        );

        let mut listener = network.bind(&address).await.unwrap();
        let far_end = async {
            let (mut first, _) = listener.accept().await.unwrap();
            let mut begun = [0; 1000];
            first.read_exact(&mut begun).await.unwrap();
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            let mut rest = String::new();
            second.read_to_string(&mut rest).await.unwrap();
            rest
        };
        let near_end = async {
            assert!(sink.write(&load).await.is_err());
            sink.write(&load).await.unwrap();
            sink.close().await.unwrap();
        };
        let (rest, ()) = tokio::join!(far_end, near_end);
        assert!(text.ends_with(&rest) && rest.starts_with("0123456789abcde\n"));
        assert!(
            rest.len() < text.len(),
            "what was written is not sent again"
        );
    }

    #[tokio::test]
    async fn a_far_end_that_closed_while_idle_loses_nothing() {
        let network = MemoryNetwork::default();
        let (mut sink, address) = socket(&network);
        let mut listener = network.bind(&address).await.unwrap();
        sink.write(&load(vec![lines("a")], false)).await.unwrap();
        let (first, _) = listener.accept().await.unwrap();
        drop(first);
        sink.write(&load(vec![lines("b\n")], false)).await.unwrap();
        sink.close().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        let mut got = String::new();
        second.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "b\n");
    }
}
