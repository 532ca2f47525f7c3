//! A server that says what a test tells it to, byte for byte, and remembers
//! what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::event::Timestamp;
use crate::seam::{Address, Connection, MemoryNetwork, Network as _, World};

/// What the server does with a request.
#[derive(Clone)]
pub(in crate::sink) enum Say {
    /// Answers and goes on.
    Reply(Vec<u8>),
    /// Answers and closes.
    Last(Vec<u8>),
    /// Never answers.
    Hang,
    /// Answers with this and then without end.
    Endless(Vec<u8>),
}

/// A whole reply.
pub(in crate::sink) fn reply(status: &str, headers: &str, body: &str) -> Say {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n");
    Say::Reply((head + body).into_bytes())
}

/// A reply of a status alone.
pub(in crate::sink) fn status(status: &str) -> Say {
    reply(status, "", "")
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(in crate::sink) struct Seen {
    /// The request line and the headers.
    pub(in crate::sink) head: String,
    pub(in crate::sink) body: Vec<u8>,
    /// The connection that it came on, counted from 0.
    pub(in crate::sink) connection: usize,
}

impl Seen {
    /// A header's value.
    pub(in crate::sink) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The body without its content coding.
    pub(in crate::sink) fn text(&self) -> String {
        let body = super::compress::decompress(self.header("content-encoding"), &self.body);
        String::from_utf8(body).unwrap()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Say>,
    seen: Vec<Seen>,
    connections: usize,
}

/// A running server.
#[derive(Clone, Default)]
pub(in crate::sink) struct Server(Arc<Mutex<State>>);

impl Server {
    /// Starts a server at `address` that works off `script`, a request at a
    /// time, over all its connections.
    pub(in crate::sink) async fn start(
        network: &MemoryNetwork,
        address: &str,
        tls: Option<ServerConfig>,
        script: impl IntoIterator<Item = Say>,
    ) -> Server {
        let server = Server::default();
        server.0.lock().unwrap().script = script.into_iter().collect();
        let address = Address::Tcp(address.to_owned());
        let mut listener = network.bind(&address).await.unwrap();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (server, acceptor) = (accepting.clone(), acceptor.clone());
                let number = {
                    let mut state = server.0.lock().unwrap();
                    state.connections += 1;
                    state.connections - 1
                };
                tokio::spawn(async move {
                    match acceptor {
                        None => server.talk(connection, number).await,
                        Some(acceptor) => match acceptor.accept(connection).await {
                            Ok(stream) => server.talk(Box::new(stream), number).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        server
    }

    /// Everything that was asked.
    pub(in crate::sink) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    async fn talk(self, mut connection: Box<dyn Connection>, number: usize) -> Option<()> {
        loop {
            let seen = read_request(&mut connection, number).await?;
            let say = {
                let mut state = self.0.lock().unwrap();
                state.seen.push(seen);
                state.script.pop_front()
            };
            match say.unwrap_or_else(|| status("599 the script has ended")) {
                Say::Reply(bytes) => connection.write_all(&bytes).await.ok()?,
                Say::Last(bytes) => {
                    connection.write_all(&bytes).await.ok()?;
                    return None;
                }
                Say::Hang => std::future::pending().await,
                Say::Endless(bytes) => {
                    connection.write_all(&bytes).await.ok()?;
                    loop {
                        connection.write_all(&[b' '; 4096]).await.ok()?;
                    }
                }
            }
        }
    }
}

async fn read_request(connection: &mut Box<dyn Connection>, number: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let mut seen = Seen {
        head: String::from_utf8(head).unwrap(),
        body: Vec::new(),
        connection: number,
    };
    let length = seen
        .header("content-length")
        .map_or(0, |n| n.parse().unwrap());
    seen.body.resize(length, 0);
    connection.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

/// A world whose network is `network`.
pub(in crate::sink) fn world(network: &MemoryNetwork) -> World {
    let mut world = World::simulated(Timestamp(784_111_777_000_000_000), 1);
    world.network = Arc::new(network.clone());
    world
}
