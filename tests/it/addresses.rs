//! What the tests' own addresses are: nobody else's, for as long as a test runs.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use tokio::net::TcpSocket;

use crate::harness::free_address;

/// Before a tflog listens on it, between two that do and behind the last, nobody
/// can be given an address that a test has: another process, or a connection of
/// this one, would take it, and the tflog not come up.
#[test]
fn an_address_stays_with_its_test() {
    let address = free_address();
    for _ in 0..2 {
        let other = TcpSocket::new_v4().unwrap();
        let taken = other.bind(address).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind(address).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        // Closed here first: the listener's port has the waiting half.
        drop(accepted);
        drop(stream);
    }
}
