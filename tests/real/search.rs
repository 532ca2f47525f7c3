//! Reads back what search servers hold, and sends what clients send.

use std::io::{Read, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::connect;
use crate::oracle::Received;

/// One request over a connection of its own: the status and the body.
pub(crate) fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> (u16, String) {
    let mut stream = connect(address);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body).expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    let reply = String::from_utf8(reply).expect("text");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if is_chunked {
        join(body)
    } else {
        body.to_owned()
    };
    (status.expect("a status"), body)
}

/// The parts of a chunked body.
fn join(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        joined.push_str(&rest[..length]);
        body = &rest[(length + 2).min(rest.len())..];
    }
    joined
}

fn ask(server: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let (status, reply) = call(server, method, path, "application/json", body.as_bytes());
    assert_eq!(status, 200, "{method} {path}: {reply}");
    serde_json::from_str(&reply).expect("JSON")
}

/// How many documents an index has, once all are searchable; 0 without it.
pub(crate) fn count(server: SocketAddr, index: &str) -> u64 {
    let path = format!("/{index}/_refresh");
    let (status, _) = call(server, "POST", &path, "application/json", b"");
    if status != 200 {
        return 0;
    }
    let path = format!("/{index}/_count");
    let query = json!({ "query": { "match_all": {} } });
    ask(server, "POST", &path, &query)["count"]
        .as_u64()
        .unwrap()
}

/// Every document of an index.
pub(crate) fn documents(server: SocketAddr, index: &str) -> Received {
    count(server, index);
    let mut received = Received::default();
    let path = format!("/{index}/_search?scroll=1m");
    let first = json!({ "size": 10_000, "sort": ["_doc"] });
    let mut page = ask(server, "POST", &path, &first);
    loop {
        let hits = page["hits"]["hits"].as_array().expect("hits");
        if hits.is_empty() {
            return received;
        }
        hits.iter().for_each(|hit| received.take(&hit["_source"]));
        let next = json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] });
        page = ask(server, "POST", "/_search/scroll", &next);
    }
}
