//! An HTTP/1.1 server on loopback that does as the test says: any status, any
//! body, no answer, half an answer, garbage. It records what it was sent.
//!
//! Written by hand, since a library would refuse to misbehave. One thread a
//! connection; it reads bodies of hundreds of MB a second, for benches too.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No request head of an honest client is longer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How often those who wait look whether the server stops.
const TICK: Duration = Duration::from_millis(20);

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it was complete.
    pub(crate) at: Instant,
    /// GET, POST …
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Without its content encoding; empty if the server only counts.
    pub(crate) body: Vec<u8>,
    /// The body's bytes on the wire.
    pub(crate) wire_bytes: usize,
    /// The body's newlines on the wire.
    pub(crate) wire_lines: usize,
}

impl Request {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What to do about a request.
pub(crate) enum Reply {
    /// An answer as it should be.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// The other one, once the gate is open.
    After(Gate, Box<Reply>),
    /// Never an answer; the connection stays open until the client leaves.
    Hang,
    /// The connection is closed without a byte.
    Close,
    /// A head with this status, half of the body it announces, then the end.
    Cut(u16),
    /// These bytes, then the end.
    Garbage(Vec<u8>),
    /// A head with this status and a body that never ends.
    Endless(u16),
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn status(status: u16) -> Reply {
        Reply::Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer of JSON.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::Answer {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.into(),
        }
    }

    /// The same answer with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// Closed until told.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets all pass from now on.
    pub(crate) fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    fn wait(&self, stopping: &AtomicBool) {
        let mut is_open = lock(&self.0.0);
        while !*is_open && !stopping.load(Ordering::Relaxed) {
            let waited = self.0.1.wait_timeout(is_open, TICK);
            is_open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What is kept of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of them, with their bodies.
    Everything,
    /// Nothing: bodies are counted and let go.
    Nothing,
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

struct Shared {
    script: Mutex<Script>,
    keep: Keep,
    requests: Mutex<Vec<Request>>,
    /// Of requests that no honest client sends.
    complaints: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

/// A running server; dropping it closes its port and all connections.
pub(crate) struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Listens on a free port. The script sees one request at a time, in the
    /// order in which they were complete.
    pub(crate) fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Scripted {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Scripted::start_at(any, Keep::Everything, script)
    }

    /// As [`Scripted::start`], at an address of one's own: a server that comes back.
    pub(crate) fn start_at(
        address: SocketAddr,
        keep: Keep,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            keep,
            requests: Mutex::default(),
            complaints: Mutex::default(),
            connections: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Scripted {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far. Panics if one was malformed.
    pub(crate) fn requests(&self) -> Vec<Request> {
        assert_eq!(*lock(&self.shared.complaints), [""; 0]);
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for connection in lock(&self.shared.connections).iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let twin = connection.try_clone().expect("descriptors");
        {
            // Under the lock, so that a stop sees every connection or none.
            let mut connections = lock(&shared.connections);
            if shared.stopping.load(Ordering::Relaxed) {
                break;
            }
            connections.push(twin);
        }
        let shared = shared.clone();
        threads.push(std::thread::spawn(move || {
            let _ = connection.set_nodelay(true);
            let ended = serve(&connection, &shared);
            if let Err(e) = ended
                && e.kind() == ErrorKind::InvalidData
            {
                lock(&shared.complaints).push(e.to_string());
            }
            // The twin would keep it open.
            let _ = connection.shutdown(Shutdown::Both);
        }));
    }
    for connection in lock(&shared.connections).drain(..) {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn invalid(what: impl Into<String>) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, what.into())
}

/// Answers requests until the client leaves or the script says so.
fn serve(connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut from = BufReader::with_capacity(256 << 10, connection);
    while let Some(mut request) = read_head(&mut from)? {
        read_body(&mut from, connection, shared.keep, &mut request)?;
        request.at = Instant::now();
        let reply = (lock(&shared.script))(&request);
        if shared.keep == Keep::Everything {
            lock(&shared.requests).push(request);
        }
        if !answer(connection, reply, &shared.stopping)? {
            break;
        }
    }
    Ok(())
}

fn read_head(from: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    loop {
        let mut line = String::new();
        bytes += from.take(HEAD_BYTES_MAX as u64).read_line(&mut line)?;
        if line.is_empty() && lines.is_empty() {
            return Ok(None);
        }
        if !line.ends_with('\n') && bytes <= HEAD_BYTES_MAX {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !line.ends_with("\r\n") || bytes > HEAD_BYTES_MAX {
            return Err(invalid(format!("a head with {line:?}")));
        }
        line.truncate(line.len() - 2);
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines[0].split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next())
    else {
        return Err(invalid(format!("a request line {:?}", lines[0])));
    };
    let headers = lines[1..].iter().map(|line| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid(format!("a header {line:?}")))?;
        Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Ok(Some(Request {
        at: Instant::now(),
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.collect::<std::io::Result<_>>()?,
        body: Vec::new(),
        wire_bytes: 0,
        wire_lines: 0,
    }))
}

fn read_body(
    from: &mut impl BufRead,
    mut connection: &TcpStream,
    keep: Keep,
    request: &mut Request,
) -> std::io::Result<()> {
    if request.header("expect") == Some("100-continue") {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(|_| invalid("a length"))?;
        read_part(from, length, keep, request)?;
    } else if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            if from.take(64).read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let length = usize::from_str_radix(line.trim_end(), 16);
            let length = length.map_err(|_| invalid(format!("a chunk of {line:?}")))?;
            read_part(from, length, keep, request)?;
            from.read_exact(&mut [0; 2])?;
            if length == 0 {
                break;
            }
        }
    }
    let decoded = match request.header("content-encoding") {
        _ if keep == Keep::Nothing => return Ok(()),
        None | Some("identity") => return Ok(()),
        Some("gzip") => decode(flate2::read::MultiGzDecoder::new(&request.body[..])),
        Some("deflate") => decode(flate2::read::ZlibDecoder::new(&request.body[..])),
        Some("zstd") => zstd::stream::decode_all(&request.body[..]),
        Some(other) => return Err(invalid(format!("the content encoding {other}"))),
    };
    request.body = decoded.map_err(|e| invalid(format!("a body that does not decode: {e}")))?;
    Ok(())
}

fn decode(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    from.read_to_end(&mut all)?;
    Ok(all)
}

fn read_part(
    from: &mut impl BufRead,
    length: usize,
    keep: Keep,
    request: &mut Request,
) -> std::io::Result<()> {
    let mut left = length;
    while left > 0 {
        let ready = from.fill_buf()?;
        let part = &ready[..left.min(ready.len())];
        if part.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        request.wire_lines += memchr::memchr_iter(b'\n', part).count();
        if keep == Keep::Everything {
            request.body.extend_from_slice(part);
        }
        let taken = part.len();
        from.consume(taken);
        left -= taken;
    }
    request.wire_bytes += length;
    Ok(())
}

/// Whether the connection goes on.
fn answer(mut to: &TcpStream, reply: Reply, stopping: &AtomicBool) -> std::io::Result<bool> {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
            for (name, value) in &headers {
                write!(bytes, "{name}: {value}\r\n")?;
            }
            if status != 204 {
                write!(bytes, "Content-Length: {}\r\n", body.len())?;
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);
            to.write_all(&bytes)?;
            Ok(true)
        }
        Reply::After(gate, reply) => {
            gate.wait(stopping);
            answer(to, *reply, stopping)
        }
        Reply::Hang => {
            // Until the client leaves, or the server stops.
            while to.read(&mut [0; 4096])? > 0 {}
            Ok(false)
        }
        Reply::Close => Ok(false),
        Reply::Cut(status) => {
            write!(
                to,
                "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n{{\"took\":1,"
            )?;
            Ok(false)
        }
        Reply::Garbage(bytes) => {
            to.write_all(&bytes)?;
            Ok(false)
        }
        Reply::Endless(status) => {
            write!(
                to,
                "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while !stopping.load(Ordering::Relaxed) {
                to.write_all(chunk.as_bytes())?;
            }
            Ok(false)
        }
    }
}
