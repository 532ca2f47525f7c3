//! Connections on the network within the process, under a paused clock.

mod hold;

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::*;
use crate::event::Timestamp;
use crate::frame::{Framing, Limits};
use crate::seam::{Address, MemoryNetwork, Network, World};
use crate::source::Stopper;
use crate::source::record::Recorder;

struct Run {
    recorder: Arc<Recorder>,
    network: MemoryNetwork,
    stopper: Stopper,
    done: tokio::task::JoinHandle<Result<(), SourceError>>,
}

fn address() -> Address {
    Address::Tcp("server:1".to_owned())
}

fn server(framing: Framing) -> Server {
    Server {
        label: "test".to_owned(),
        framer: Framer::new(framing, Limits::default()),
        connections: 100,
        window_bytes: 4 << 20,
        idle: None,
    }
}

async fn start(server: Server, recorder: Arc<Recorder>) -> Run {
    let network = MemoryNetwork::default();
    let listener = network.bind(&address()).await.expect("free");
    let outlet = recorder.outlet(World::simulated(Timestamp(0), 1));
    let (stopper, stop) = Stop::new().expect("pipe");
    Run {
        recorder,
        network,
        stopper,
        done: tokio::spawn(server.run(listener, outlet, stop)),
    }
}

impl Run {
    async fn connect(&self) -> Box<dyn Connection> {
        self.network.connect(&address()).await.expect("accepted")
    }

    async fn stop_after(self, time: Duration) -> Result<(), SourceError> {
        self.stopper.stop(Instant::now() + time);
        self.done.await.expect("no panic")
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn each_connection_is_a_stream_in_order_of_its_own() {
    let run = start(server(Framing::Newline), Recorder::new()).await;
    let mut writers = Vec::new();
    for writer in 0..40 {
        let mut connection = run.connect().await;
        writers.push(tokio::spawn(async move {
            for line in 0..200 {
                let text = format!("writer {writer} line {line}\n");
                // Torn writes: lines across reads.
                let (head, tail) = text.split_at(5);
                connection.write_all(head.as_bytes()).await.expect("open");
                tokio::task::yield_now().await;
                connection.write_all(tail.as_bytes()).await.expect("open");
            }
        }));
    }
    run.recorder.wait_lines(40 * 200).await;
    let recorder = run.recorder.clone();
    run.stop_after(HOUR).await.expect("stopped");
    recorder.with(|batches| {
        let mut streams = std::collections::HashMap::<u128, String>::new();
        for batch in batches {
            let text = streams.entry(batch.stream.origin).or_default();
            assert_eq!(batch.position, text.len() as u64);
            text.push_str(std::str::from_utf8(&batch.text).expect("text"));
        }
        assert_eq!(streams.len(), 40);
        for text in streams.values() {
            let writer: String = text.chars().take_while(|&c| c != '\n').collect();
            let writer = writer.strip_suffix(" line 0").expect("its first line");
            assert_eq!(text.lines().count(), 200);
            for (line, text) in text.lines().enumerate() {
                assert_eq!(text, format!("{writer} line {line}"));
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_few_lines_pin_little_memory() {
    let run = start(server(Framing::Newline), Recorder::new()).await;
    let mut connection = run.connect().await;
    connection.write_all(b"hello\n").await.expect("open");
    run.recorder.wait_lines(1).await;
    run.recorder
        .with(|batches| assert!(batches[0].pinned_bytes < 1024));
}

#[tokio::test(start_paused = true)]
async fn a_slow_pipeline_makes_peers_wait() {
    let run = start(server(Framing::Newline), Recorder::holding()).await;
    let mut connection = run.connect().await;
    let line = [b'x'; 1023]
        .iter()
        .chain(b"\n")
        .copied()
        .collect::<Vec<u8>>();
    let flood = async {
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_secs(1), connection.write_all(&line))
            .await
            .is_ok()
        {
            sent += line.len();
        }
        sent
    };
    let sent = flood.await;
    // What is being sent, one more chunk, and what the connection itself holds.
    assert!(sent <= 2 * Pool::CHUNK_BYTES + 64 * 1024, "{sent}");
    run.recorder.let_through(Semaphore::MAX_PERMITS);
    run.recorder.wait_lines(sent / line.len()).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_open_connections_are_read_and_new_ones_refused() {
    let run = start(server(Framing::Newline), Recorder::new()).await;
    let mut connection = run.connect().await;
    connection.write_all(b"before\n").await.expect("open");
    run.recorder.wait_lines(1).await;
    run.stopper.stop(Instant::now() + HOUR);
    while run.network.connect(&address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    connection
        .write_all(b"after\nhalf")
        .await
        .expect("still open");
    connection.shutdown().await.expect("open");
    run.done.await.expect("no panic").expect("stopped");
    assert_eq!(run.recorder.text(), "before\nafter\nhalf");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_connections_with_what_they_have() {
    let run = start(server(Framing::Newline), Recorder::new()).await;
    let mut connection = run.connect().await;
    connection.write_all(b"whole\nhalf").await.expect("open");
    run.recorder.wait_lines(1).await;
    let recorder = run.recorder.clone();
    run.stop_after(Duration::from_secs(5))
        .await
        .expect("stopped");
    assert_eq!(recorder.text(), "whole\nhalf");
}

#[tokio::test(start_paused = true)]
async fn more_connections_than_allowed_wait_for_a_place() {
    let mut server = server(Framing::Newline);
    server.connections = 1;
    let run = start(server, Recorder::new()).await;
    let mut first = run.connect().await;
    let mut second = run.connect().await;
    second.write_all(b"second\n").await.expect("open");
    first.write_all(b"first\n").await.expect("open");
    run.recorder.wait_lines(1).await;
    drop(first);
    run.recorder.wait_lines(2).await;
    assert_eq!(run.recorder.text(), "first\nsecond\n");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_if_so_configured() {
    let mut server = server(Framing::Newline);
    server.idle = Some(Duration::from_mins(1));
    let run = start(server, Recorder::new()).await;
    let mut connection = run.connect().await;
    connection.write_all(b"half").await.expect("open");
    run.recorder.wait_lines(1).await;
    assert_eq!(run.recorder.text(), "half");
    assert_eq!(run.recorder.noticed(Notice::ConnectionIdle), 1);
    while connection.write_all(b"x").await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn long_lines_pass_and_slow_ones_are_cut() {
    let run = start(server(Framing::Newline), Recorder::new()).await;
    let mut fast = run.connect().await;
    let mut long = vec![b'x'; 900_000];
    long.push(b'\n');
    fast.write_all(&long).await.expect("open");
    run.recorder.wait_lines(1).await;
    run.recorder
        .with(|batches| assert_eq!(batches[0].text, long));
    // More slow peers than places: none keeps the others out for ever.
    let mut slow = Vec::new();
    for _ in 0..=LONG_LINES_MAX {
        let mut connection = run.connect().await;
        connection.write_all(&[b'y'; 5000]).await.expect("open");
        slow.push(connection);
    }
    fast.write_all(&long).await.expect("open");
    run.recorder.wait_lines(2 + LONG_LINES_MAX + 1).await;
    assert_eq!(
        run.recorder.noticed(Notice::LineTruncated),
        LONG_LINES_MAX as u64 + 1
    );
    // What follows the cut belongs to the same line and goes with it.
    slow[0].write_all(b"yyy\nnext\n").await.expect("open");
    run.recorder.wait_lines(2 + LONG_LINES_MAX + 2).await;
    assert!(run.recorder.text().ends_with("y\nnext\n"));
}

#[tokio::test(start_paused = true)]
async fn broken_framing_closes_the_connection_after_its_good_lines() {
    let run = start(server(Framing::Octet), Recorder::new()).await;
    let mut connection = run.connect().await;
    connection
        .write_all(b"4 good99999999999 bad")
        .await
        .expect("open");
    run.recorder.wait_lines(1).await;
    while connection.write_all(b"x").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(run.recorder.text(), "good\n");
    assert_eq!(run.recorder.noticed(Notice::FrameInvalid), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_gone_ends_the_source() {
    let recorder = Recorder::new();
    recorder.close();
    let run = start(server(Framing::Newline), recorder).await;
    let mut connection = run.connect().await;
    connection.write_all(b"line\n").await.expect("open");
    let ended = run.done.await.expect("no panic");
    assert!(matches!(ended, Err(SourceError::Closed)));
}

/// A connection that gives one byte a read: it uses up its task's budget.
struct Trickle(Box<dyn Connection>);

impl Connection for Trickle {}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut self.0).poll_read(context, &mut one);
        into.put_slice(one.filled());
        read
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

struct Trickling(Box<dyn Listener>);

impl Listener for Trickling {
    fn accept(&mut self) -> crate::seam::NetworkFuture<'_, (Box<dyn Connection>, String)> {
        Box::pin(async {
            let (connection, peer) = self.0.accept().await?;
            Ok((Box::new(Trickle(connection)) as Box<dyn Connection>, peer))
        })
    }

    fn local_address(&self) -> Address {
        address()
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_connection_never_sleeps_on_input() {
    let network = MemoryNetwork::default();
    let listener = Trickling(network.bind(&address()).await.expect("free"));
    let recorder = Recorder::new();
    let outlet = recorder.outlet(World::simulated(Timestamp(0), 1));
    let (_stopper, stop) = Stop::new().expect("pipe");
    tokio::spawn(server(Framing::Newline).run(Box::new(listener), outlet, stop));
    let mut connection = network.connect(&address()).await.expect("backlog");
    // Longer than the reads that a task may do in one go.
    let line = "x".repeat(1000) + "\n";
    connection.write_all(line.as_bytes()).await.expect("open");
    tokio::time::timeout(HOUR, recorder.wait_lines(1))
        .await
        .expect("read although nothing more came");
}

/// A listener that is out of descriptors at first.
struct Exhausted {
    failures: u32,
    listener: Box<dyn Listener>,
}

impl Listener for Exhausted {
    fn accept(&mut self) -> crate::seam::NetworkFuture<'_, (Box<dyn Connection>, String)> {
        if self.failures > 0 {
            self.failures -= 1;
            let exhausted = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
            return Box::pin(async { Err(exhausted) });
        }
        self.listener.accept()
    }

    fn local_address(&self) -> Address {
        address()
    }
}

#[tokio::test(start_paused = true)]
async fn failures_to_accept_pause_and_recover() {
    let network = MemoryNetwork::default();
    let listener = Box::new(Exhausted {
        failures: 10,
        listener: network.bind(&address()).await.expect("free"),
    });
    let recorder = Recorder::new();
    let outlet = recorder.outlet(World::simulated(Timestamp(0), 1));
    let (_stopper, stop) = Stop::new().expect("pipe");
    let start = Instant::now();
    tokio::spawn(server(Framing::Newline).run(listener, outlet, stop));
    let mut connection = network.connect(&address()).await.expect("backlog");
    connection.write_all(b"at last\n").await.expect("open");
    recorder.wait_lines(1).await;
    assert_eq!(recorder.noticed(Notice::AcceptFailed), 10);
    // 50 ms doubling to 1 s: it paused, it did not spin.
    assert!(start.elapsed() > Duration::from_secs(5));
}
