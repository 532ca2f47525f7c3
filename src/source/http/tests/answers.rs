//! What clients are told, and when.

use serde_json::json;

use super::*;

/// Problems are problem+json, and nothing of the request is taken.
#[tokio::test(start_paused = true)]
async fn problems_say_what_is_wrong() {
    let options = json!({ "token": "s3cret", "body_max": "1KiB", "decompressed_max": "4KiB" });
    let serving = serve(Fate::Kept, options).await;
    let auth = "authorization: bearer s3cret\r\n";
    let request = |line: &str, headers: &str, body: &str| {
        format!(
            "{line} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    };
    let with = |headers: &str| format!("{auth}{headers}");
    let large = "x".repeat(1025);
    let cases = [
        (request("POST /other", auth, "a\n"), 404, ""),
        (request("GET /", auth, ""), 405, "allow: post"),
        (request("PUT /ingest", auth, "a\n"), 405, "allow: post"),
        (
            request("POST /", "", "a\n"),
            401,
            "www-authenticate: bearer",
        ),
        (
            request("POST /", "authorization: Bearer s3cre\r\n", "a\n"),
            401,
            "www-authenticate: bearer",
        ),
        (
            request("POST /", "authorization: Basic s3cret\r\n", "a\n"),
            401,
            "",
        ),
        (
            request("POST /", &with("content-encoding: br\r\n"), "a\n"),
            415,
            "",
        ),
        (
            request("POST /", &with("content-encoding: gzip, zstd\r\n"), "a\n"),
            415,
            "",
        ),
        (request("POST /", auth, &large), 413, ""),
        (
            request("POST /", &with("content-encoding: gzip\r\n"), "no gzip\n"),
            400,
            "",
        ),
        (
            request("POST /", &with("content-encoding: zstd\r\n"), "no zstd\n"),
            400,
            "",
        ),
        (
            request(
                "POST /",
                &with("content-type: application/json\r\n"),
                "[1 2]",
            ),
            400,
            "",
        ),
    ];
    for (request, status, header) in cases {
        let mut client = serving.connect().await;
        client.send(request.as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{request} {answer:?}");
        assert!(
            answer
                .head
                .contains("content-type: application/problem+json"),
            "{answer:?}"
        );
        assert!(answer.head.contains(header), "{answer:?}");
        let body = answer.json();
        assert_eq!(body["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(
                body[key].as_str().is_some_and(|text| !text.is_empty()),
                "{body}"
            );
        }
        assert!(!answer.body.contains("s3cret"));
        if status != 413 {
            // A small body is read over, and the connection serves on.
            assert!(!answer.closes(), "{answer:?}");
            assert_eq!(client.post(auth, b"").await.status, 200);
        }
    }
    assert_eq!(serving.keeper.text(), "");
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_last_event() {
    let serving = serve(Fate::Held, json!({})).await;
    let mut client = serving.connect().await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8\r\n\r\none\ntwo\n")
        .await;
    serving.keeper.wait_lines(2).await;
    let mut answer = Box::pin(client.answer());
    let early = tokio::time::timeout(Duration::from_secs(7), answer.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    serving.keeper.settle();
    let answer = answer.await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "accepted": 2 }))
    );
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_in_time_or_given_up_is_503() {
    let serving = serve(Fate::Held, json!({})).await;
    let start = Instant::now();
    let answer = serving.post("", b"one\n").await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(start.elapsed().as_secs(), 8);
    // What is confirmed later finds nobody, and does no harm.
    serving.keeper.settle();
    *serving.keeper.fate.lock().unwrap() = Fate::GivenUp;
    let answer = serving.post("", b"two\n").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after: 1"));
    assert_eq!(serving.keeper.refused.load(Ordering::SeqCst), 0);
    serving.stop(Duration::from_secs(20)).await;
}

/// 429 before anything is read: where the pipeline is full, at once, and where
/// the window is for a second.
#[tokio::test(start_paused = true)]
async fn a_full_pipeline_or_window_refuses_at_the_head() {
    let options = json!({ "ack_timeout": "1h", "window": "1MiB" });
    let serving = serve(Fate::Held, options).await;
    serving.keeper.admits.store(false, Ordering::SeqCst);
    let answer = serving.post("", b"refused\n").await;
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    serving.keeper.admits.store(true, Ordering::SeqCst);
    // More than the window: its first part is sent, the rest waits for room.
    let body = format!("{}\n", "x".repeat(999)).repeat(2000);
    let (mut reading, mut writing) = tokio::io::split(serving.connect().await.0);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let sender = tokio::spawn(async move {
        writing.write_all(head.as_bytes()).await.unwrap();
        writing.write_all(body.as_bytes()).await.unwrap();
        writing
    });
    serving.keeper.wait_lines(1).await;
    // The paused clock moves once nobody can go on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(serving.post("", b"refused too\n").await.status, 429);
    let refused = serving.keeper.refused.load(Ordering::SeqCst);
    assert!(refused == 2, "{refused}");
    assert!(
        *serving.keeper.lines.borrow() < 1200,
        "the window bounds it"
    );
    // One that waits is let in as soon as there is room.
    let mut second = Box::pin(serving.post("", b"let in\n"));
    let early = tokio::time::timeout(Duration::from_millis(500), second.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    serving.keeper.settle();
    assert_eq!(second.await.status, 200);
    assert!(serving.keeper.text().contains("let in\n"));
    assert_eq!(serving.keeper.refused.load(Ordering::SeqCst), 2);
    let mut answer = vec![0; 15];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK");
    assert!(!serving.keeper.text().contains("refused\n"));
    drop((sender.await.unwrap(), reading));
    serving.stop(Duration::from_secs(20)).await;
}

/// What waits for a slow sink takes of the window what it is, not the chunk that
/// it was read into, once the window is half full.
#[tokio::test(start_paused = true)]
async fn a_window_is_filled_with_what_waits() {
    const LINES: usize = 64;
    let options = json!({ "ack_timeout": "1h", "window": "1MiB" });
    let serving = serve(Fate::Held, options).await;
    let body = format!("{}\n", "x".repeat(1023)).repeat(LINES);
    let head = "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 65536\r\n\r\n";
    let mut waiting = Vec::new();
    loop {
        let mut client = serving.connect().await;
        let taken = async {
            client.send(head.as_bytes()).await;
            client.send(body.as_bytes()).await;
            let lines = (waiting.len() + 1) * LINES;
            serving.keeper.wait_lines(lines).await;
        };
        let taken = tokio::time::timeout(Duration::from_millis(500), taken).await;
        if taken.is_err() {
            break;
        }
        waiting.push(client);
    }
    // Chunks would be four.
    assert!((6..16).contains(&waiting.len()), "{}", waiting.len());
    serving.keeper.settle();
    for client in &mut waiting {
        assert_eq!(client.answer().await.status, 200);
    }
    drop(waiting);
    serving.stop(Duration::from_secs(20)).await;
}

/// A client that goes away: whole lines that were sent stay, the rest was never
/// received.
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_leaves_whole_lines() {
    let serving = serve(Fate::Kept, json!({})).await;
    let mut client = serving.connect().await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\none\ntwo\nthr")
        .await;
    serving.keeper.wait_lines(2).await;
    drop(client);
    assert_eq!(serving.post("", b"next\n").await.status, 200);
    assert_eq!(serving.keeper.text(), "one\ntwo\nnext\n");
    serving.stop(Duration::from_secs(20)).await;
}

/// Stopping: a request is read to its end and answered, idle connections are
/// closed, nobody new is let in.
#[tokio::test(start_paused = true)]
async fn open_requests_are_finished_when_stopping() {
    let serving = serve(Fate::Kept, json!({})).await;
    let mut idle = serving.connect().await;
    assert_eq!(idle.post("", b"first\n").await.status, 200);
    let mut client = serving.connect().await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8\r\n\r\none\n")
        .await;
    serving.keeper.wait_lines(2).await;
    serving
        .stopper
        .stop(Instant::now() + Duration::from_secs(20));
    idle.closed().await;
    let address = Address::Tcp(ADDRESS.to_owned());
    assert!(serving.world.network.connect(&address).await.is_err());
    client.send(b"two\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.json(), json!({ "accepted": 2 }));
    assert!(answer.closes(), "{answer:?}");
    serving.run.await.expect("no panic").expect("stopped");
    assert_eq!(serving.keeper.text(), "first\none\ntwo\n");
}

/// At the deadline, a request that is still coming is cut off.
#[tokio::test(start_paused = true)]
async fn the_deadline_ends_requests() {
    let serving = serve(Fate::Kept, json!({})).await;
    let mut client = serving.connect().await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8\r\n\r\none\n")
        .await;
    serving.keeper.wait_lines(1).await;
    let start = Instant::now();
    serving.stopper.stop(start + Duration::from_secs(20));
    let answer = client.answer().await;
    assert_eq!((answer.status, start.elapsed().as_secs()), (503, 20));
    drop(client);
    serving.run.await.expect("no panic").expect("stopped");
    assert!(start.elapsed() < Duration::from_secs(23));
}

/// Any server can hand a mount its requests.
struct Mounted(Mount);
impl Handler for Mounted {
    type Body = http_body_util::Full<bytes::Bytes>;
    async fn answer(&self, request: Request<Incoming>, peer: &Arc<str>) -> Reply {
        self.0.answer(request, peer).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_mount_waits_for_the_pipeline_and_refuses_once_it_has_ended() {
    let world = World::simulated(Timestamp(0), 7);
    let http = build("", json!({})).unwrap();
    let mount = http.mount().expect("on tflog's own listener");
    assert!(mount.takes("/") && mount.takes("/ingest") && !mount.takes("/health"));
    let network = MemoryNetwork::default();
    let address = Address::Tcp(ADDRESS.to_owned());
    let listener = crate::seam::Network::bind(&network, &address)
        .await
        .unwrap();
    let server = Server {
        label: "http".into(),
        connections: 10,
        connections_per_peer: 10,
        idle: IDLE,
        tls: None,
    };
    let (_close, closing) = watch::channel(false);
    let handler = Arc::new(Mounted(mount));
    tokio::spawn(server.serve(listener, handler, world.spawn.clone(), closing));
    let connect = async || {
        Client(
            crate::seam::Network::connect(&network, &address)
                .await
                .unwrap(),
        )
    };
    let mut early = connect().await;
    let mut answer = Box::pin(early.post("", b"early\n"));
    let waited = tokio::time::timeout(Duration::from_secs(5), answer.as_mut()).await;
    assert!(waited.is_err(), "nobody can have kept it");
    let keeper = Keeper::new(Fate::Kept);
    let outlet = Outlet::new(0, Arc::default(), world.clone(), keeper.clone());
    let (stopper, stop) = Stop::new().unwrap();
    let run = world
        .spawn
        .stage("http", Box::new(http).run(outlet, stop))
        .unwrap();
    assert_eq!(answer.await.status, 200);
    let mut client = connect().await;
    assert_eq!(client.post("", b"now\n").await.status, 200);
    stopper.stop(Instant::now() + Duration::from_secs(20));
    run.await.expect("no panic").expect("stopped");
    let answer = client.post("", b"late\n").await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.closes() && answer.head.contains("retry-after: 1"),
        "{answer:?}"
    );
    assert_eq!(keeper.text(), "early\nnow\n");
}
