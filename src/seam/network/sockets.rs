//! The sockets that listen, by address.
//!
//! Two that bind the same address at the same time get the same socket: a
//! listener that takes another's place hears every connection that the other has
//! not accepted, and none is refused. That no two *sources* of a config want the
//! same address is for the config to see to.
//!
//! Whoever started tflog may have passed sockets that listen already: systemd, or
//! the tflog before this one. They are taken by who binds their address.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::net::{SocketAddrAny, getsockname};
use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::accepted::Accepted;
use super::{Address, Connection, Listener, NetworkFuture, keep_alive};

/// A socket that listens, from whoever started tflog.
pub struct Passed {
    /// What that one calls it; for messages.
    pub name: String,
    /// The socket.
    pub socket: OwnedFd,
    /// Whether the file of a Unix socket is for tflog to remove.
    pub owned: bool,
}

/// All sockets that listen.
#[derive(Default)]
pub(super) struct Sockets {
    open: Mutex<HashMap<Address, Weak<Bound>>>,
    passed: Mutex<Vec<Passed>>,
    /// Whether files of sockets stay: another tflog goes on with them.
    left: Arc<AtomicBool>,
}

/// A socket that listens, until its last user drops it.
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Its file.
        path: PathBuf,
        /// Whether that stays when it goes.
        left: Arc<AtomicBool>,
    },
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Bound::Unix { path, left, .. } = self
            && !left.load(Ordering::Relaxed)
        {
            // Gone already is as good; a file left behind is replaced at the next bind.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Bound {
    fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Bound::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Bound::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }
}

impl Sockets {
    pub(super) fn new(passed: Vec<Passed>) -> Sockets {
        Sockets {
            passed: Mutex::new(passed),
            ..Sockets::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Weak<Bound>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passed(&self) -> MutexGuard<'_, Vec<Passed>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Duplicates of all that listen.
    pub(super) fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        let open: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        open.iter().map(|bound| bound.duplicate()).collect()
    }

    /// From now on, files of sockets stay.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> Arc<AtomicBool> {
        self.left.clone()
    }

    /// Closes the sockets that were passed and that nobody wanted; their names
    /// and addresses.
    pub(super) fn close_unused(&self) -> Vec<String> {
        let unused = std::mem::take(&mut *self.passed());
        let shown = unused.iter().map(|passed| match local(&passed.socket) {
            Some(Local::Tcp(address)) => format!("{} ({address})", passed.name),
            Some(Local::Unix(path)) => format!("{} ({})", passed.name, path.display()),
            None => format!("{} (no socket that listens)", passed.name),
        });
        shown.collect()
    }

    /// The socket at an address that was passed, if one was.
    pub(super) async fn take(&self, address: &Address) -> io::Result<Option<Bound>> {
        let wanted: Vec<SocketAddr> = match address {
            Address::Tcp(text) if !self.passed().is_empty() => lookup_host(text).await?.collect(),
            _ => Vec::new(),
        };
        let mut all = self.passed();
        let found = all
            .iter()
            .position(|passed| match (local(&passed.socket), address) {
                (Some(Local::Tcp(at)), Address::Tcp(_)) => wanted.iter().any(|w| same(*w, at)),
                (Some(Local::Unix(at)), Address::Unix(path)) => at == *path,
                _ => false,
            });
        let Some(found) = found else { return Ok(None) };
        let Passed { socket, owned, .. } = all.remove(found);
        Ok(Some(match address {
            Address::Tcp(_) => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                Bound::Tcp(TcpListener::from_std(listener)?)
            }
            Address::Unix(path) => {
                let listener = unix::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                Bound::Unix {
                    listener: UnixListener::from_std(listener)?,
                    path: path.clone(),
                    left: if owned {
                        self.left()
                    } else {
                        Arc::new(AtomicBool::new(true))
                    },
                }
            }
        }))
    }

    /// A further user of the socket at an address, if there is one.
    pub(super) fn share(&self, address: &Address) -> Option<Box<dyn Listener>> {
        let bound = self.lock().get(address)?.upgrade()?;
        Some(Box::new(Shared(bound)))
    }

    /// The first user of a socket. One of port 0 cannot be asked for again.
    pub(super) fn add(&self, address: &Address, bound: Bound) -> Box<dyn Listener> {
        let bound = Arc::new(bound);
        let mut all = self.lock();
        all.retain(|_, bound| bound.strong_count() > 0);
        let chosen = matches!(address, Address::Tcp(address) if address.ends_with(":0"));
        if !chosen {
            all.insert(address.clone(), Arc::downgrade(&bound));
        }
        Box::new(Shared(bound))
    }
}

/// Where a socket that was passed listens.
enum Local {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// None for what is no stream socket that listens.
fn local(socket: &OwnedFd) -> Option<Local> {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let listens = sockopt::socket_acceptconn(socket).ok()?;
    let stream = sockopt::socket_type(socket).ok()? == SocketType::STREAM;
    if !listens || !stream {
        return None;
    }
    let address: SocketAddrAny = getsockname(socket).ok()?;
    if address.address_family() == AddressFamily::UNIX {
        let path = unix::UnixListener::from(socket.try_clone().ok()?);
        let path = path.local_addr().ok()?.as_pathname()?.to_owned();
        return Some(Local::Unix(path));
    }
    let address = std::net::TcpListener::from(socket.try_clone().ok()?);
    Some(Local::Tcp(address.local_addr().ok()?))
}

/// Whether a socket at `at` is what was wanted: all addresses are all addresses,
/// of one version or both.
fn same(wanted: SocketAddr, at: SocketAddr) -> bool {
    let all = wanted.ip().is_unspecified() && at.ip().is_unspecified();
    wanted.port() == at.port() && (all || wanted.ip() == at.ip())
}

/// One user of a socket.
struct Shared(Arc<Bound>);

impl Listener for Shared {
    fn accept(&mut self) -> NetworkFuture<'_, (Box<dyn Connection>, String)> {
        Box::pin(async {
            match &*self.0 {
                Bound::Tcp(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    keep_alive(&stream);
                    let connection = Box::new(Accepted::new(stream));
                    Ok((connection as Box<dyn Connection>, peer.to_string()))
                }
                Bound::Unix { listener, .. } => {
                    let (stream, _) = listener.accept().await?;
                    Ok((Box::new(stream) as Box<dyn Connection>, String::new()))
                }
            }
        })
    }

    fn local_address(&self) -> Address {
        match &*self.0 {
            Bound::Tcp(listener) => {
                // A bound socket has an address; nothing depends on the text.
                let address: io::Result<_> = listener.local_addr();
                Address::Tcp(address.map(|a| a.to_string()).unwrap_or_default())
            }
            Bound::Unix { path, .. } => Address::Unix(path.clone()),
        }
    }
}
