//! The sockets that listen, by address.
//!
//! Two that bind the same address at the same time get the same socket: a
//! listener that takes another's place hears every connection that the other has
//! not accepted, and none is refused. That no two *sources* of a config want the
//! same address is for the config to see to.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::{TcpListener, UnixListener};

use super::{Address, Connection, Listener, NetworkFuture, keep_alive};

/// All sockets that listen.
#[derive(Default)]
pub(super) struct Sockets(Mutex<HashMap<Address, Weak<Bound>>>);

/// A socket that listens, until its last user drops it.
pub(super) enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// The file, which goes with it.
        path: PathBuf,
    },
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Bound::Unix { path, .. } = self {
            // Gone already is as good; a file left behind is replaced at the next bind.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Weak<Bound>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// One user of a socket.
struct Shared(Arc<Bound>);

impl Listener for Shared {
    fn accept(&mut self) -> NetworkFuture<'_, (Box<dyn Connection>, String)> {
        Box::pin(async {
            match &*self.0 {
                Bound::Tcp(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    keep_alive(&stream);
                    Ok((Box::new(stream) as Box<dyn Connection>, peer.to_string()))
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
