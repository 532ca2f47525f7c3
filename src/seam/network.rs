//! Sockets, behind traits so that a simulated network can stand in.
//!
//! [`RealNetwork`] is the machine's, over tokio; [`MemoryNetwork`] joins
//! connections within the process, for tests on one thread under a paused
//! clock. What is said over a connection is left to sources and sinks.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

mod accepted;
mod memory;
mod sockets;

pub use memory::MemoryNetwork;
pub use sockets::Passed;
use sockets::{Bound, Sockets};

/// A future of the network; one allocation a connection.
pub type NetworkFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What tflog asks of a network.
pub trait Network: Send + Sync {
    /// Listens at an address.
    fn bind<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Listener>>;

    /// Connects to an address, trying each one that its name resolves to.
    fn connect<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Connection>>;

    /// Duplicates of the sockets that listen, for another process to go on with.
    fn listening(&self) -> io::Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    /// Another process goes on with what listens: files of sockets stay.
    fn leave_files(&self) {}

    /// Closes the sockets that were passed to this process and that nobody has
    /// bound; what they are, for messages.
    fn close_unused(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A bound socket. Dropping it stops listening.
pub trait Listener: Send {
    /// Waits for the next connection; also the peer's address, empty where
    /// peers have none.
    fn accept(&mut self) -> NetworkFuture<'_, (Box<dyn Connection>, String)>;

    /// Where it listens, with the port that was chosen for port 0.
    fn local_address(&self) -> Address;
}

/// An open connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {
    /// Reads what is there into the vector's spare capacity, which must not be
    /// empty; how many bytes. 0 at the end.
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        fill(self, context, into)
    }
}

impl Connection for TcpStream {}
impl Connection for UnixStream {}
impl Connection for DuplexStream {}
impl Connection for tokio_rustls::client::TlsStream<Box<dyn Connection>> {}
impl Connection for tokio_rustls::server::TlsStream<Box<dyn Connection>> {}

fn fill<T: AsyncRead + Unpin + ?Sized>(
    from: &mut T,
    context: &mut Context<'_>,
    into: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    pin!(from.read_buf(into)).poll(context)
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`.
    Tcp(String),
    /// A stream socket's file.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The machine's network. Who binds an address that is bound through it already
/// gets the same socket, to take the other's place.
#[derive(Default)]
pub struct RealNetwork {
    sockets: Sockets,
}

/// Connections that may wait to be accepted; the kernel caps it at its own
/// `somaxconn`. With the usual 128, a burst of a few hundred overflows, and
/// each peer that is turned away tries again only after a second.
const BACKLOG: i32 = 4096;

/// A peer that vanished without a word is given up after about this long of
/// silence and unanswered probes; the kernel's default is two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

impl RealNetwork {
    /// With sockets that whoever started this process has passed to it.
    #[must_use]
    pub fn new(passed: Vec<Passed>) -> RealNetwork {
        RealNetwork {
            sockets: Sockets::new(passed),
        }
    }
}

impl Network for RealNetwork {
    fn bind<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            if let Some(shared) = self.sockets.share(address) {
                return Ok(shared);
            }
            if let Some(passed) = self.sockets.take(address).await? {
                return Ok(self.sockets.add(address, passed));
            }
            let bound = match address {
                // tokio sets SO_REUSEADDR: a restart need not wait for TIME_WAIT.
                Address::Tcp(address) => {
                    let listener = TcpListener::bind(address).await?;
                    rustix::net::listen(&listener, BACKLOG)?;
                    Bound::Tcp(listener)
                }
                Address::Unix(path) => Bound::Unix {
                    listener: bind_unix(path).await?,
                    path: path.clone(),
                    left: self.sockets.left(),
                },
            };
            Ok(self.sockets.add(address, bound))
        })
    }

    fn listening(&self) -> io::Result<Vec<OwnedFd>> {
        self.sockets.duplicates()
    }

    fn leave_files(&self) {
        self.sockets.leave();
    }

    fn close_unused(&self) -> Vec<String> {
        self.sockets.close_unused()
    }

    fn connect<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Connection>> {
        Box::pin(async move {
            Ok(match address {
                Address::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    // Batches are written whole: waiting for more helps nobody.
                    stream.set_nodelay(true)?;
                    keep_alive(&stream);
                    Box::new(stream) as Box<dyn Connection>
                }
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        })
    }
}

/// Finds out half-open peers. Best effort: without it the connection works.
fn keep_alive(stream: &TcpStream) {
    let _ = sockopt::set_socket_keepalive(stream, true)
        .and_then(|()| sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE))
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL))
        .and_then(|()| sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES));
}

/// Listens at a path; the file of a listener that died is replaced, a live
/// one's is not.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_stale(path).await {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Whether the file is a socket that nobody listens on.
async fn is_stale(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    // Plain files refuse connections too.
    is_socket
        && UnixStream::connect(path)
            .await
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn round_trip(network: &dyn Network, address: &Address) -> io::Result<String> {
        let mut listener = network.bind(address).await?;
        let address = listener.local_address();
        let mut client = network.connect(&address).await?;
        let (mut server, peer) = listener.accept().await?;
        client.write_all(b"hello").await?;
        client.shutdown().await?;
        let mut heard = String::new();
        server.read_to_string(&mut heard).await?;
        assert_eq!(heard, "hello");
        Ok(peer)
    }

    #[tokio::test]
    async fn every_network_carries_bytes() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let tcp = Address::Tcp("127.0.0.1:0".to_owned());
        let unix = Address::Unix(directory.path().join("socket"));
        assert!(
            round_trip(&RealNetwork::default(), &tcp)
                .await?
                .starts_with("127.0.0.1:")
        );
        assert_eq!(round_trip(&RealNetwork::default(), &unix).await?, "");
        let memory = MemoryNetwork::default();
        round_trip(&memory, &tcp).await?;
        round_trip(&memory, &unix).await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_socket_file_is_replaced_only_if_nobody_listens() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("socket");
        let address = Address::Unix(path.clone());
        // What a killed process leaves behind.
        drop(std::os::unix::net::UnixListener::bind(&path)?);
        assert!(path.exists());
        let network = RealNetwork::default();
        let first = network.bind(&address).await?;
        let other = RealNetwork::default();
        let second = other.bind(&address).await.err().map(|e| e.kind());
        assert_eq!(second, Some(io::ErrorKind::AddrInUse));
        // Of the same network, it is for who takes the first one's place.
        let successor = network.bind(&address).await?;
        drop(first);
        let mut client = network.connect(&address).await?;
        client.write_all(b"hello").await?;
        drop(successor);
        assert!(!path.exists());
        // Something that is no socket is left alone.
        std::fs::write(&path, "precious")?;
        assert!(network.bind(&address).await.is_err());
        assert_eq!(std::fs::read(&path)?, b"precious");
        Ok(())
    }
}
