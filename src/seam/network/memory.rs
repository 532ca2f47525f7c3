//! A network within the process.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use super::{Address, Connection, Listener, Network, NetworkFuture};

/// Bytes a connection holds each way before the writer waits: as a socket's
/// buffer, small enough that tests meet backpressure.
const PIPE_BYTES: usize = 64 * 1024;
/// Connections waiting to be accepted, as a listen backlog.
const BACKLOG: usize = 128;

type Listeners = HashMap<Address, mpsc::Sender<DuplexStream>>;

/// Connections between ends in the same process. Clones are the same network.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    listeners: Arc<Mutex<Listeners>>,
}

impl MemoryNetwork {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct MemoryListener {
    address: Address,
    incoming: mpsc::Receiver<DuplexStream>,
}

impl Network for MemoryNetwork {
    fn bind<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let mut listeners = self.listeners();
            // A dropped listener leaves a closed sender.
            if listeners.get(address).is_some_and(|open| !open.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (sender, incoming) = mpsc::channel(BACKLOG);
            listeners.insert(address.clone(), sender);
            Ok(Box::new(MemoryListener {
                address: address.clone(),
                incoming,
            }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Connection>> {
        Box::pin(async move {
            let sender = self.listeners().get(address).cloned();
            let (near, far) = duplex(PIPE_BYTES);
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let sender = sender.ok_or_else(refused)?;
            sender.send(far).await.map_err(|_| refused())?;
            Ok(Box::new(near) as Box<dyn Connection>)
        })
    }
}

impl Listener for MemoryListener {
    fn accept(&mut self) -> NetworkFuture<'_, (Box<dyn Connection>, String)> {
        Box::pin(async {
            match self.incoming.recv().await {
                Some(stream) => Ok((Box::new(stream) as Box<dyn Connection>, "memory".to_owned())),
                // The network itself is gone: nobody can connect any more.
                None => std::future::pending().await,
            }
        })
    }

    fn local_address(&self) -> Address {
        self.address.clone()
    }
}
