//! Addresses for those that are started by tests and benches.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// An address that nobody listens on, and that nobody gets by chance until this
/// process ends: a socket that does not listen holds it. To the kernel it is taken,
/// be it for who binds port 0 or for who connects; who binds it by name with
/// `SO_REUSEADDR`, as listeners do, gets it, and again after a restart.
pub(crate) fn free_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a free socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(any).expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    std::mem::forget(socket);
    address
}
