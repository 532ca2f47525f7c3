//! Hostile and slow clients, and configs that cannot be.

use serde_json::json;

use super::*;

/// A bomb is cut off at the limit, and so is a body whose length is not known;
/// the answer arrives although the body was not read.
#[tokio::test(start_paused = true)]
async fn both_size_limits_hold() {
    let serving = serve(Fate::Kept, json!({})).await;
    let zeros = vec![b'\n'; 65 << 20];
    let bombs = [
        ("zstd", zstd::encode_all(zeros.as_slice(), 3).unwrap()),
        ("gzip", {
            let mut gzip =
                flate2::read::GzEncoder::new(zeros.as_slice(), flate2::Compression::best());
            let mut bomb = Vec::new();
            std::io::Read::read_to_end(&mut gzip, &mut bomb).unwrap();
            bomb
        }),
    ];
    for (coding, bomb) in bombs {
        assert!(bomb.len() < 1 << 20);
        // As JSON, white space makes no event.
        let headers = format!("content-type: application/json\r\ncontent-encoding: {coding}\r\n");
        let answer = serving.post(&headers, &bomb).await;
        assert_eq!(answer.status, 413, "{coding}: {answer:?}");
    }
    let mut client = serving.connect().await;
    client.send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let part = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    for _ in 0..15 {
        client.send(&part).await;
    }
    let answer = client.answer().await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(answer.closes());
    assert_eq!(serving.keeper.text(), "");
    drop(client);
    serving.stop(Duration::from_secs(20)).await;
}

async fn seconds(waiting: impl Future<Output = ()>) -> u64 {
    let start = Instant::now();
    waiting.await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn slow_heads_and_silent_connections_are_closed() {
    let serving = serve(Fate::Kept, json!({})).await;
    // Not a byte, and a byte a second.
    let mut silent = serving.connect().await;
    let time = seconds(silent.closed()).await;
    assert!((10..=13).contains(&time), "{time}");
    let mut slow = serving.connect().await;
    let time = seconds(async {
        for byte in b"POST / HTTP/1.1\r\nhost: a-host-with-a-long-name".chunks(1) {
            if slow.0.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let time = time.await;
    assert!((10..=14).contains(&time), "{time}");
    // Between requests there is more time; then a slow head again.
    let mut idle = serving.connect().await;
    assert_eq!(idle.post("", b"x\n").await.status, 200);
    let time = seconds(idle.closed()).await;
    assert!((60..=63).contains(&time), "{time}");
    let mut second = serving.connect().await;
    assert_eq!(second.post("", b"x\n").await.status, 200);
    tokio::time::sleep(Duration::from_secs(30)).await;
    second.send(b"POST / HT").await;
    let time = seconds(second.closed()).await;
    assert!((10..=13).contains(&time), "{time}");
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_cut() {
    let serving = serve(Fate::Kept, json!({})).await;
    let long = "x".repeat(5000);
    for (part, after) in [("one\n", 60), (long.as_str(), 10)] {
        let mut client = serving.connect().await;
        client
            .send(
                format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 9000\r\n\r\n{part}")
                    .as_bytes(),
            )
            .await;
        let start = Instant::now();
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, start.elapsed().as_secs()),
            (408, after),
            "{answer:?}"
        );
        assert!(answer.closes(), "{answer:?}");
    }
    assert_eq!(
        serving.keeper.text(),
        "one\n",
        "no part of a line is an event"
    );
    assert_eq!(serving.keeper.idle.load(Ordering::SeqCst), 2);
    serving.stop(Duration::from_secs(20)).await;
}

/// A client that trickles whole lines is not slow, and one that is refused
/// because of the number of connections waits.
#[tokio::test(start_paused = true)]
async fn connections_are_bounded() {
    let serving = serve(Fate::Kept, json!({ "connections_max": 2 })).await;
    let (mut first, mut second, mut third) = (
        serving.connect().await,
        serving.connect().await,
        serving.connect().await,
    );
    assert_eq!(first.post("", b"1\n").await.status, 200);
    assert_eq!(second.post("", b"2\n").await.status, 200);
    third
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n3\n")
        .await;
    let mut answer = Box::pin(third.answer());
    assert!(
        tokio::time::timeout(Duration::from_secs(5), answer.as_mut())
            .await
            .is_err()
    );
    drop(first);
    assert_eq!(answer.await.status, 200);
    drop(second);
    serving.stop(Duration::from_secs(20)).await;
}

/// One peer cannot keep the others out.
#[tokio::test(start_paused = true)]
async fn connections_of_one_peer_are_bounded() {
    let serving = serve(Fate::Kept, json!({ "connections_per_peer": 2 })).await;
    let (mut first, mut second) = (serving.connect().await, serving.connect().await);
    assert_eq!(first.post("", b"1\n").await.status, 200);
    assert_eq!(second.post("", b"2\n").await.status, 200);
    serving.connect().await.closed().await;
    assert_eq!(serving.keeper.refused.load(Ordering::SeqCst), 1);
    drop(first);
    assert_eq!(second.post("", b"3\n").await.status, 200);
    assert_eq!(serving.post("", b"4\n").await.status, 200);
    assert_eq!(serving.keeper.text(), "1\n2\n3\n4\n");
    drop(second);
    serving.stop(Duration::from_secs(20)).await;
}

#[test]
fn configs_that_cannot_be_are_refused() {
    for (target, options, key) in [
        ("0.0.0.0:8088", json!({}), Some("token")),
        ("[::]:8088", json!({}), Some("token")),
        ("example.org:8088", json!({}), Some("token")),
        ("nowhere", json!({}), Some("url")),
        (":8088/logs", json!({ "path": "/other" }), Some("path")),
        ("", json!({ "path": "logs" }), Some("path")),
        ("", json!({ "path": "/metrics" }), Some("path")),
        ("", json!({ "path": "/v1/logs" }), Some("path")),
        ("", json!({ "token": "" }), Some("token")),
        (
            ":1",
            json!({ "connections_per_peer": 0 }),
            Some("connections_per_peer"),
        ),
        (
            ":1",
            json!({ "tls": { "cert": "c", "key": "k" } }),
            Some("tls"),
        ),
        (
            "",
            json!({ "tls": { "cert": "c", "key": "k" } }),
            Some("tls"),
        ),
        ("", json!({ "connections_max": 0 }), Some("connections_max")),
        ("", json!({ "body_max": 0 }), Some("body_max")),
        (
            "",
            json!({ "decompressed_max": "2GiB" }),
            Some("decompressed_max"),
        ),
        ("", json!({ "line_max": "2GiB" }), Some("line_max")),
        ("", json!({ "idle": "0s" }), Some("idle")),
        ("", json!({ "ack_timeout": 0 }), Some("ack_timeout")),
        ("", json!({ "framing": "nul" }), None),
    ] {
        let shown = format!("{target} {options}");
        let error = build(target, options).err().expect(&shown);
        assert_eq!(error.key.as_deref(), key, "{shown}");
    }
    for (target, options) in [
        (":8088", json!({})),
        ("localhost:8088/logs", json!({})),
        ("[::1]:8088", json!({ "path": "/metrics" })),
        ("0.0.0.0:8088", json!({ "token": "t" })),
        ("0.0.0.0:8088", json!({ "token": "none" })),
        ("", json!({ "path": "/healthy" })),
    ] {
        let shown = format!("{target} {options}");
        assert!(build(target, options).is_ok(), "{shown}");
    }
}

#[test]
fn a_mount_needs_a_token_beyond_loopback() {
    let mount = |options| build("", options).unwrap().mount().unwrap();
    let open = mount(json!({}));
    assert_eq!(open.check(Some("127.0.0.1:8686"), false), Ok(()));
    assert_eq!(open.check(Some("[::1]:8686"), false), Ok(()));
    let error = open.check(Some("0.0.0.0:8686"), false).unwrap_err();
    assert_eq!(open.check(Some("0.0.0.0:8686"), true), Ok(()));
    assert!(
        error.contains("source test") && error.contains("token: none"),
        "{error}"
    );
    assert!(open.check(None, false).unwrap_err().contains("--http"));
    for token in ["secret", "none"] {
        assert_eq!(
            mount(json!({ "token": token })).check(Some("0.0.0.0:1"), false),
            Ok(())
        );
    }
    assert!(build(":1", json!({})).unwrap().mount().is_none());
}
