//! tflog between services, against bare programs that do the same bytes:
//!
//! - `bulk`: a pipe to a scripted search server, at least 0.8 of a bare client
//!   that posts prepared bodies to the same server;
//! - `http`: NDJSON over HTTP to a file, at least 0.7 of a bare hyper server that
//!   writes each body and syncs (one fdatasync for all that wait) before it answers.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};

use crate::free_address::free_address;
use crate::measure::{self, Run};
use crate::scripted::{Keep, Reply, Scripted};

/// Bytes of one posted body.
const BODY_BYTES: usize = 1 << 20;
/// Clients at once, and requests of the bare client at once.
const CLIENTS: usize = 8;
/// Longer than any run takes: who waits so long gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before a refused body is sent again.
const REFUSED_PAUSE: Duration = Duration::from_millis(2);
/// The argument that makes this program the bare server.
pub(crate) const BARE_SERVER: &str = "bare-http-server";

/// The input in bodies of whole lines.
fn bodies(input: &Path, mut line: impl FnMut(&mut Vec<u8>, &[u8])) -> Vec<Vec<u8>> {
    let mut from = BufReader::new(File::open(input).expect("input"));
    let (mut all, mut body, mut text) = (Vec::new(), Vec::new(), Vec::new());
    while from.read_until(b'\n', &mut text).expect("lines") > 0 {
        line(&mut body, &text);
        text.clear();
        if body.len() >= BODY_BYTES {
            all.push(std::mem::take(&mut body));
        }
    }
    all.push(body);
    all.retain(|body| !body.is_empty());
    all
}

/// Posts all bodies by several connections; returns when all are answered well.
fn post_all(address: SocketAddr, path: &str, bodies: &[Vec<u8>]) {
    let deadline = Instant::now() + PATIENCE;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut connection = connect(address);
                for body in bodies.iter().skip(client).step_by(CLIENTS) {
                    while !post(&mut connection, address, path, body) {
                        assert!(Instant::now() < deadline, "refused for {PATIENCE:?}");
                        // A client that is told to wait: sooner than it is
                        // told, or the pauses would be what is measured.
                        std::thread::sleep(REFUSED_PAUSE);
                        connection = connect(address);
                    }
                }
            });
        }
    });
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let connection = TcpStream::connect(address).expect("it listens");
    connection.set_nodelay(true).expect("a socket");
    let patience = Some(PATIENCE);
    connection.set_read_timeout(patience).expect("a socket");
    connection.set_write_timeout(patience).expect("a socket");
    BufReader::new(connection)
}

/// Whether the body was taken; else the client was asked to send it again.
fn post(
    connection: &mut BufReader<TcpStream>,
    address: SocketAddr,
    path: &str,
    body: &[u8],
) -> bool {
    let to = connection.get_mut();
    let sent = write!(
        to,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .and_then(|()| to.write_all(body));
    let taken = read_reply(connection);
    assert!(!taken || sent.is_ok(), "taken before it was sent");
    taken
}

/// Whether it says that the request was taken, and not 429.
fn read_reply(from: &mut impl BufRead) -> bool {
    let (mut line, mut length) = (String::new(), 0);
    from.read_line(&mut line).expect("a reply");
    if line.starts_with("HTTP/1.1 429") {
        return false;
    }
    assert!(line.starts_with("HTTP/1.1 2"), "{line}");
    while line != "\r\n" {
        line.clear();
        assert!(from.read_line(&mut line).expect("a head") > 0, "a head");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    std::io::copy(&mut from.take(length), &mut std::io::sink()).expect("a body");
    true
}

/// A search server that takes everything and keeps nothing.
fn search_server() -> Scripted {
    const ITEM: &str = r#"{"create":{"status":201}},"#;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Scripted::start_at(any, Keep::Nothing, |request| {
        if !request.path.contains("/_bulk") {
            return Reply::json(200, r#"{"version":{"number":"8.19.0"}}"#)
                .with("X-elastic-product", "Elasticsearch");
        }
        let items = ITEM.repeat(request.wire_lines / 2);
        let items = items.trim_end_matches(',');
        let body = format!(r#"{{"took":1,"errors":false,"items":[{items}]}}"#);
        Reply::json(200, body).with("X-elastic-product", "Elasticsearch")
    })
}

/// A pipe to a search server, and the bare client. The runs of the bare client,
/// of it again, of tflog.
pub(crate) fn bulk(input: &Path, program: &Path, out: &Path, runs: usize) -> [Vec<Run>; 3] {
    let prepared = bodies(input, |body, line| {
        body.extend_from_slice(b"{\"create\":{\"_index\":\"e2e\",\"_id\":\"");
        // As long as an id of tflog's.
        let id = body.len();
        let _ = write!(body, "{id:032x}");
        body.extend_from_slice(b"\"}}\n");
        body.extend_from_slice(line);
    });
    let server = search_server();
    let to = format!("elasticsearch://{}/e2e?compression=none", server.address());
    let arguments = ["--to".to_owned(), to];
    alternate(
        runs,
        || timed(|| post_all(server.address(), "/_bulk", &prepared)),
        || measure::pipe_through(input, program, &arguments, out),
    )
}

/// HTTP to a file in `dir`, and the bare server.
pub(crate) fn http(input: &Path, program: &Path, dir: &Path, runs: usize) -> [Vec<Run>; 3] {
    let prepared = bodies(input, Vec::extend_from_slice);
    let out = dir.join("out");
    let this = std::env::current_exe().expect("a program");
    let serve = |command: &mut Command, address: SocketAddr| {
        let _ = std::fs::remove_file(&out);
        let child = command.stderr(Stdio::null()).spawn().expect("it starts");
        measure::wait_for(address);
        let start = Instant::now();
        post_all(address, "/", &prepared);
        let seconds = start.elapsed().as_secs_f64();
        let length = std::fs::metadata(&out).expect("written").len();
        let sent: usize = prepared.iter().map(Vec::len).sum();
        assert_eq!(length, sent as u64, "what was answered is in the file");
        Run {
            seconds,
            ..measure::end(child, start)
        }
    };
    alternate(
        runs,
        || {
            let address = free_address();
            let mut command = Command::new(&this);
            command.args([BARE_SERVER, &address.to_string()]).arg(&out);
            serve(&mut command, address)
        },
        || {
            let address = free_address();
            let mut command = Command::new(program);
            let from = format!("http://{address}");
            let to = format!("file://{}", out.display());
            command.args(["--from", &from, "--to", &to, "-o", "raw", "--http", "none"]);
            serve(&mut command, address)
        },
    )
}

pub(crate) fn alternate(
    runs: usize,
    mut bare: impl FnMut() -> Run,
    mut tflog: impl FnMut() -> Run,
) -> [Vec<Run>; 3] {
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs {
        all[0].push(bare());
        all[2].push(tflog());
        all[1].push(bare());
    }
    all
}

fn timed(work: impl FnOnce()) -> Run {
    let start = Instant::now();
    work();
    Run {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: 0.0,
        peak_bytes: 0,
    }
}

/// One body to write, and who waits for it.
type Waiting = (Vec<Bytes>, oneshot::Sender<()>);

/// The bare server, until it is killed: writes bodies to a file and answers when
/// they are synced; one fdatasync serves all that were written before it.
pub(crate) fn serve_bare(address: &str, out: &str) {
    let file = File::create(out).expect("out");
    let (to_writer, mut from_clients) = mpsc::channel::<Waiting>(CLIENTS);
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        while let Some(first) = from_clients.blocking_recv() {
            let mut next = Some(first);
            while let Some((parts, done)) = next {
                parts
                    .iter()
                    .for_each(|p| (&file).write_all(p).expect("room"));
                waiting.push(done);
                next = from_clients.try_recv().ok();
            }
            file.sync_data().expect("synced");
            for done in waiting.drain(..) {
                // A client that left does not wait.
                let _ = done.send(());
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a port");
        loop {
            let (connection, _) = listener.accept().await.expect("a connection");
            let to_writer = to_writer.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| take(request, &to_writer));
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
}

async fn take(
    request: Request<Incoming>,
    to_writer: &mpsc::Sender<Waiting>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    let mut parts = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        parts.extend(frame.into_data().ok());
    }
    let (done, synced) = oneshot::channel();
    to_writer
        .send((parts, done))
        .await
        .expect("the writer lives");
    synced.await.expect("synced");
    Ok(Response::new(Empty::new()))
}
