//! Every way to write events into a body.

use std::io::Write;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use super::*;

const JSON: &str = "content-type: application/json; charset=utf-8\r\n";
const NDJSON: &str = "content-type: application/x-ndjson\r\n";

/// So many pieces of text, one after the other.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(start_paused = true)]
async fn lines_and_json_become_events() {
    let array = r#"[{"a":"]}\"[{"}, {"b":[1,{}]}]"#;
    let cases: &[(&str, &[u8], u64, &str)] = &[
        ("", b"", 0, ""),
        ("", b"one\ntwo\n", 2, "one\ntwo\n"),
        (
            "content-type: text/plain\r\n",
            b"one\r\nlast",
            2,
            "one\r\nlast",
        ),
        (NDJSON, b"{\"a\":1}\n[1]\n", 2, "{\"a\":1}\n[1]\n"),
        (JSON, b"", 0, ""),
        (JSON, b" [] ", 0, ""),
        (
            JSON,
            array.as_bytes(),
            2,
            "{\"a\":\"]}\\\"[{\"}\n{\"b\":[1,{}]}\n",
        ),
        (JSON, b"{\n  \"a\": 1\n}", 1, "{\"a\": 1}\n"),
        (
            JSON,
            b"{\"a\":1}\n{\"a\":2}\n3",
            3,
            "{\"a\":1}\n{\"a\":2}\n3\n",
        ),
    ];
    for (headers, body, events, text) in cases {
        let serving = serve(Fate::Kept, json!({})).await;
        let answer = serving.post(headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json(), json!({ "accepted": events }));
        assert_eq!(serving.keeper.text(), *text);
        let peers = serving.keeper.peers.lock().unwrap().clone();
        assert!(peers.iter().all(|peer| peer == "memory") && peers.is_empty() == (*events == 0));
        serving.stop(Duration::from_secs(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn codings_are_decoded_and_connections_kept() {
    let lines: String = numbered(5000, |i| format!("line {i}\n"));
    let array: String = format!(
        "[{}]",
        (0..5000)
            .map(|i| format!("{{\"i\":{i}}}"))
            .collect::<Vec<_>>()
            .join(",\n")
    );
    let objects: String = numbered(5000, |i| format!("{{\"i\":{i}}}\n"));
    for (format, body, text) in [("", &lines, &lines), (JSON, &array, &objects)] {
        let serving = serve(Fate::Kept, json!({})).await;
        let mut client = serving.connect().await;
        let body = body.as_bytes();
        for (coding, body) in [
            ("identity", body.to_vec()),
            ("gzip", gzip(body)),
            ("deflate", zlib(body)),
            ("zstd", zstd::encode_all(body, 3).unwrap()),
        ] {
            let headers = format!("content-encoding: {coding}\r\n{format}");
            let answer = client.post(&headers, &body).await;
            assert_eq!(answer.status, 200, "{coding}: {answer:?}");
            assert_eq!(answer.json(), json!({ "accepted": 5000 }));
            assert!(!answer.closes());
        }
        assert_eq!(serving.keeper.text(), text.repeat(4));
        drop(client);
        serving.stop(Duration::from_secs(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunked_body_may_be_cut_anywhere() {
    let serving = serve(Fate::Kept, json!({})).await;
    let mut client = serving.connect().await;
    client
        .send(b"POST /ingest HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    client.send(b"5\r\none\nt\r\n").await;
    serving.keeper.wait_lines(1).await;
    assert_eq!(serving.keeper.text(), "one\n", "whole lines do not wait");
    client.send(b"3\r\nwo\n\r\n4\r\nlast\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.json(), json!({ "accepted": 3 }));
    assert_eq!(serving.keeper.text(), "one\ntwo\nlast");
    drop(client);
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn http2_is_spoken_without_asking() {
    let serving = serve(Fate::Kept, json!({})).await;
    let io = TokioIo::new(serving.connect().await.0);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let lines: String = numbered(20_000, |i| format!("line {i}\n"));
    for (path, status) in [("/", 200), ("/ingest", 200), ("/no", 404)] {
        let body = Full::new(Bytes::from(lines.clone()));
        let request = hyper::Request::post(format!("http://t{path}"))
            .body(body)
            .unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.unwrap();
    }
    assert_eq!(serving.keeper.text(), lines.repeat(2));
    drop(client);
    serving.stop(Duration::from_secs(20)).await;
}

/// No batch is much larger than a chunk, however large the body is, and a few
/// lines pin no chunk.
#[tokio::test(start_paused = true)]
async fn large_bodies_are_many_batches_and_small_ones_are_small() {
    let serving = serve(Fate::Kept, json!({})).await;
    let lines: String = numbered(80_000, |i| format!("{i:0>99}\n"));
    assert_eq!(serving.post("", lines.as_bytes()).await.status, 200);
    assert!(serving.keeper.text() == lines);
    let largest = *serving
        .keeper
        .batch_bytes
        .lock()
        .unwrap()
        .iter()
        .max()
        .unwrap();
    assert!(largest < 400 * 1024, "{largest}");
    serving.keeper.batch_bytes.lock().unwrap().clear();
    assert_eq!(serving.post("", b"few\n").await.status, 200);
    assert!(serving.keeper.batch_bytes.lock().unwrap()[0] < 1024);
    serving.stop(Duration::from_secs(20)).await;
}

/// Long lines are cut at the limit, whether they are text or JSON, and the ones
/// around them are whole.
#[tokio::test(start_paused = true)]
async fn long_lines_are_truncated() {
    let long = "x".repeat(3 << 20);
    let serving = serve(Fate::Kept, json!({ "line_max": "600KiB" })).await;
    let answer = serving.post("", format!("a\n{long}\nb\n").as_bytes()).await;
    assert_eq!(answer.json(), json!({ "accepted": 3 }));
    let cut = "x".repeat(600 << 10);
    assert!(serving.keeper.text() == format!("a\n{cut}\nb\n"));
    assert_eq!(serving.keeper.truncated.load(Ordering::SeqCst), 1);
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_makes_ids_repeat() {
    let serving = serve(Fate::Kept, json!({})).await;
    let lines: String = numbered(9000, |i| format!("line {i}\n"));
    let mut client = serving.connect().await;
    let mut ids = Vec::new();
    for headers in [
        "idempotency-key: k1\r\n",
        "idempotency-key: k1\r\n",
        "idempotency-key: k2\r\n",
        "",
        "",
    ] {
        assert_eq!(client.post(headers, lines.as_bytes()).await.status, 200);
        ids.push(std::mem::take(&mut *serving.keeper.ids.lock().unwrap()));
    }
    // The same body in other parts.
    client.send(b"POST / HTTP/1.1\r\nhost: t\r\nidempotency-key: k1\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for part in lines.as_bytes().chunks(777) {
        client
            .send(format!("{:x}\r\n", part.len()).as_bytes())
            .await;
        client.send(part).await;
        client.send(b"\r\n").await;
    }
    client.send(b"0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    ids.push(std::mem::take(&mut *serving.keeper.ids.lock().unwrap()));
    assert!(ids.iter().all(|ids| ids.len() == 9000));
    assert!(ids[0] == ids[1] && ids[0] == ids[5]);
    for (a, b) in [(0, 2), (0, 3), (3, 4)] {
        assert!(ids[a] != ids[b]);
    }
    drop(client);
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn traces_are_one_event_until_the_end_of_the_request() {
    let serving = serve(Fate::Kept, json!({ "multiline": "auto" })).await;
    let trace = b"one\nERROR two\n\tat x\n\tat y";
    let answer = serving.post("", trace).await;
    assert_eq!(answer.json(), json!({ "accepted": 2 }));
    // Each value of a JSON body is an event.
    let answer = serving.post(JSON, b"[\"one\",\" two\"]").await;
    assert_eq!(answer.json(), json!({ "accepted": 2 }));
    serving.stop(Duration::from_secs(20)).await;
}

/// Within a request that stops coming, an event is held for a while only.
#[tokio::test(start_paused = true)]
async fn a_slow_body_does_not_hold_its_events() {
    let serving = serve(Fate::Kept, json!({ "multiline": "auto" })).await;
    let mut client = serving.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 28\r\n\r\n";
    client.send(head.as_bytes()).await;
    client.send(b"ERROR two\n\tat x\n").await;
    serving.keeper.wait_lines(1).await;
    client.send(b"\tat y\nthree\n").await;
    assert_eq!(client.answer().await.json(), json!({ "accepted": 3 }));
    serving.stop(Duration::from_secs(20)).await;
}
