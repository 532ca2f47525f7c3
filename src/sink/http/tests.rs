//! What is sent, and what every kind of reply comes to.

use serde_json::{Value, json};

use super::fixture::{Say, Seen, Server, reply, status, world};
use super::*;
use crate::seam::MemoryNetwork;
use crate::sink::encode;
use crate::sink::fixture::{definition, keyed, lines, load, objects};

struct Setup {
    sink: Http,
    needs: Needs,
    server: Server,
}

fn try_build(
    network: &MemoryNetwork,
    target: &str,
    encoding: &str,
    options: Value,
) -> (Result<Http, BuildError>, Needs) {
    let mut needs = Needs::default();
    let encoder = Encoder::build(encoding, encode::Options::default(), &mut needs).unwrap();
    let definition = definition("http", target, options);
    let sink = build(&definition, encoder, &world(network), &mut needs);
    (sink, needs)
}

async fn setup(
    target: &str,
    encoding: &str,
    options: Value,
    script: impl IntoIterator<Item = Say>,
) -> Setup {
    let network = MemoryNetwork::default();
    let server = Server::start(&network, "far:80", None, script).await;
    let (sink, needs) = try_build(&network, target, encoding, options);
    Setup {
        sink: sink.unwrap_or_else(|error| panic!("{error}")),
        needs,
        server,
    }
}

impl Setup {
    async fn send(&mut self, text: &str) -> Result<Written, SinkError> {
        let load = load(vec![objects(text, &self.needs)], false);
        self.sink.write(&load).await
    }
}

fn kind(result: &Result<Written, SinkError>) -> &'static str {
    match result {
        Ok(_) => "delivered",
        Err(SinkError::Retry { .. }) => "retry",
        Err(SinkError::Denied { .. }) => "denied",
        Err(SinkError::Reject { .. }) => "reject",
        Err(SinkError::Partial(_)) => "partial",
        Err(SinkError::Closed) => "closed",
    }
}

#[tokio::test]
async fn bodies_are_what_the_format_says() {
    let two = "{\"a\":1}\r\n{\"b\":\"é\"}";
    for (format, encoding, content_type, body) in [
        (
            "ndjson",
            "json",
            "application/x-ndjson",
            "{\"a\":1}\n{\"b\":\"é\"}\n{\"message\":\"x\"}\n",
        ),
        (
            "json_array",
            "json",
            "application/json",
            "[{\"a\":1},{\"b\":\"é\"},{\"message\":\"x\"}]",
        ),
        (
            "text",
            "raw",
            "text/plain; charset=utf-8",
            "{\"a\":1}\r\n{\"b\":\"é\"}\nx",
        ),
        (
            "text",
            "logfmt",
            "text/plain; charset=utf-8",
            "a=1\nb=é\nmessage=x\n",
        ),
    ] {
        for compression in ["none", "gzip", "zstd"] {
            let options = json!({ "format": format, "compression": compression });
            let mut setup = setup("far/in?k=v", encoding, options, [status("204 ok")]).await;
            let load = load(vec![objects(two, &setup.needs), lines("x")], false);
            let written = setup.sink.write(&load).await.unwrap();
            assert_eq!(written.bytes, body.len() as u64);
            let [seen] = &setup.server.seen()[..] else {
                panic!("one request")
            };
            assert!(
                seen.head.starts_with("POST /in?k=v HTTP/1.1\r\n"),
                "{}",
                seen.head
            );
            assert_eq!(seen.text(), body, "{format} {compression}");
            assert_eq!(seen.header("content-type"), Some(content_type));
            let coding = Some(compression).filter(|c| *c != "none");
            assert_eq!(seen.header("content-encoding"), coding);
            assert_eq!(seen.header("host"), Some("far"));
        }
    }
}

#[tokio::test]
async fn every_status_has_its_class_and_connections_are_kept() {
    let cases = [
        ("200 OK", "delivered"),
        ("202 Accepted", "delivered"),
        ("301 Moved", "denied"),
        ("400 Bad", "reject"),
        ("401 No", "denied"),
        ("403 No", "denied"),
        ("404 Not there", "denied"),
        ("407 No", "denied"),
        ("408 Late", "retry"),
        ("413 Too large", "reject"),
        ("415 What", "denied"),
        ("422 Odd", "reject"),
        ("425 Early", "retry"),
        ("429 Slowly", "retry"),
        ("500 Oops", "retry"),
        ("503 Later", "retry"),
    ];
    let script =
        cases.map(|(status, _)| reply(status, "location: http://other/\r\n", "why\n\u{7}"));
    let mut setup = setup("far/", "json", json!({}), script).await;
    for (status, expected) in cases {
        let result = setup.send("{}\n").await;
        assert_eq!(kind(&result), expected, "{status}");
        if let Err(error) = result {
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("out: far answered {}", &status[..3])),
                "{text}"
            );
            assert!(
                text.contains(": why\\n\\u{7}") || text.contains(": why"),
                "{text}"
            );
            assert!(!text.contains('\n'), "{text}");
        }
    }
    let seen = setup.server.seen();
    assert_eq!(
        seen.len(),
        cases.len(),
        "no redirect is followed, nothing is repeated"
    );
    assert!(
        seen.iter().all(|seen| seen.connection == 0),
        "one connection for all"
    );
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let script = [
        reply("429 x", "retry-after: 7\r\n", ""),
        reply(
            "503 x",
            "retry-after: Sun, 06 Nov 1994 08:49:57 GMT\r\n",
            "",
        ),
        reply("503 x", "retry-after: whenever\r\n", ""),
    ];
    let mut setup = setup("far/", "json", json!({}), script).await;
    for seconds in [Some(7), Some(19), None] {
        let Err(SinkError::Retry { after, .. }) = setup.send("{}\n").await else {
            panic!("a retry")
        };
        // A date is up to a second off: time passes.
        let near = |a: u64, b: u64| a.abs_diff(b) <= 1;
        match (after, seconds) {
            (Some(after), Some(seconds)) => assert!(near(after.as_secs(), seconds), "{after:?}"),
            (after, seconds) => assert_eq!(after.map(|a| a.as_secs()), seconds),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_replies_are_bounded() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let endless_head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    let endless_body = b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n".to_vec();
    let endless_error = b"HTTP/1.1 400 Bad\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    let endless_yes = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    for (say, expected) in [
        (Say::Last(Vec::new()), "retry"),
        (Say::Last(b"HTTP/1.1 20".to_vec()), "retry"),
        (Say::Last(cut), "retry"),
        (Say::Last(b"SSH-2.0-OpenSSH\r\n".to_vec()), "retry"),
        (
            Say::Reply(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
            "retry",
        ),
        (Say::Endless(endless_head), "retry"),
        (Say::Endless(endless_body), "delivered"),
        (Say::Endless(endless_error), "reject"),
        // It has said yes; what else it says is not read.
        (Say::Endless(endless_yes), "delivered"),
        (Say::Hang, "retry"),
    ] {
        let start = tokio::time::Instant::now();
        let mut setup = setup("far/", "json", json!({}), [say.clone(), status("200 OK")]).await;
        let result = setup.send("{}\n").await;
        assert!(["retry", expected].contains(&kind(&result)), "{result:?}");
        assert_eq!(kind(&result), expected, "{result:?}");
        assert!(start.elapsed() <= TIMEOUT_DEFAULT.0 + Duration::from_secs(1));
        if expected == "retry" {
            // The next attempt is not disturbed by it.
            assert_eq!(kind(&setup.send("{}\n").await), "delivered");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_retry_within_the_time_to_connect() {
    let network = MemoryNetwork::default();
    let (sink, needs) = try_build(&network, "far/", "json", json!({}));
    let mut sink = sink.ok().unwrap();
    let load = load(vec![objects("{}\n", &needs)], false);
    let error = sink.write(&load).await.unwrap_err().to_string();
    assert!(error.starts_with("out: far: cannot connect"), "{error}");
    assert!(sink.check().await.is_err());
    let _server = Server::start(&network, "far:80", None, [status("405 x"), status("401 x")]).await;
    assert!(sink.check().await.is_ok(), "any answer is one");
    assert!(matches!(sink.check().await, Err(SinkError::Denied { .. })));
}

#[tokio::test]
async fn a_resend_has_the_same_key_and_another_load_another() {
    let script = [status("500 x"), status("200 x"), status("200 x")];
    let mut setup = setup("far/", "json", json!({ "method": "PUT" }), script).await;
    for (text, expected) in [
        ("{}\n{}\n", "retry"),
        ("{}\n{}\n", "delivered"),
        ("{}\n", "delivered"),
    ] {
        assert_eq!(kind(&setup.send(text).await), expected);
    }
    let seen = setup.server.seen();
    assert!(seen[0].head.starts_with("PUT / "));
    let key = |seen: &Seen| seen.header("idempotency-key").unwrap().to_owned();
    assert_eq!(key(&seen[0]), key(&seen[1]));
    assert_ne!(key(&seen[1]), key(&seen[2]));
    assert_eq!(key(&seen[0]).len(), 32);
}

#[tokio::test]
async fn events_of_different_paths_go_in_requests_of_their_own() {
    // The first is delivered, the second refused for one event, the third busy,
    // the fourth refused for two, which only a request of their own can tell apart.
    let script = [
        status("200 x"),
        status("400 x"),
        reply("429 x", "retry-after: 3\r\n", ""),
        status("400 x"),
    ];
    let mut setup = setup("far/{k}", "raw", json!({ "format": "text" }), script).await;
    let text = "a 0\nb/../ 1\na 2\nc 3\nd 4\nd 5\nplain\n";
    let load = load(vec![keyed(text, &setup.needs)], false);
    let error = setup.sink.write(&load).await.unwrap_err();
    let SinkError::Partial(partial) = error else {
        panic!("{error}")
    };
    let seen = setup.server.seen();
    let asked: Vec<_> = seen
        .iter()
        .map(|s| (s.head.split(' ').nth(1).unwrap(), s.text()))
        .collect();
    assert_eq!(
        asked,
        [
            ("/a", "a 0\na 2\n".to_owned()),
            ("/b%2F..%2F", "b/../ 1\n".to_owned()),
            ("/c", "c 3\n".to_owned()),
            ("/d", "d 4\nd 5\n".to_owned()),
            ("/unknown", "plain\n".to_owned()),
        ]
    );
    let rejected: Vec<_> = partial.rejected.iter().map(|(item, _)| *item).collect();
    assert_eq!((rejected, &partial.retry[..]), (vec![1], &[3, 4, 5, 6][..]));
    assert_eq!(partial.after, Some(Duration::from_secs(3)));
    assert_eq!(partial.written.bytes, 8);
    assert!(partial.message.contains("429"), "{}", partial.message);
}

#[tokio::test]
async fn groups_that_are_all_refused_are_halved_by_the_driver() {
    let script = [status("400 x"), status("400 x")];
    let mut setup = setup("far/{k}", "raw", json!({ "format": "text" }), script).await;
    let load = load(vec![keyed("a 0\na 1\nb 2\nb 3\n", &setup.needs)], false);
    assert_eq!(kind(&setup.sink.write(&load).await), "reject");
}

#[tokio::test]
async fn a_server_that_goes_away_is_not_asked_again_in_the_same_load() {
    let script = [status("200 x"), Say::Last(Vec::new())];
    let mut setup = setup("far/{k}", "raw", json!({ "format": "text" }), script).await;
    let load = load(vec![keyed("a 0\nb 1\nc 2\n", &setup.needs)], false);
    let Err(SinkError::Partial(partial)) = setup.sink.write(&load).await else {
        panic!("a part")
    };
    assert_eq!(
        (&partial.retry[..], setup.server.seen().len()),
        (&[1, 2][..], 2)
    );
}

#[tokio::test]
async fn credentials_are_sent_and_never_told() {
    for (auth, header) in [
        (
            json!({ "user": "ann", "password": "hunter22" }),
            "Basic YW5uOmh1bnRlcjIy",
        ),
        (json!({ "user": "hunter22" }), "Basic aHVudGVyMjI6"),
        (json!({ "token": "hunter22" }), "Bearer hunter22"),
    ] {
        let echo = format!("you said {header}, hunter22 and s3cret-value");
        let options =
            json!({ "auth": auth, "headers": { "X-Key": "s3cret-value", "Content-Type": "x/y" } });
        let mut setup = setup("far/", "json", options, [reply("401 x", "", &echo)]).await;
        let error = setup.send("{}\n").await.unwrap_err();
        let seen = setup.server.seen();
        assert_eq!(seen[0].header("authorization"), Some(header));
        assert_eq!(seen[0].header("x-key"), Some("s3cret-value"));
        assert_eq!(seen[0].header("content-type"), Some("x/y"));
        let text = format!("{error} {error:?}");
        let told = ["hunter22", "s3cret", "YW5u", "aHVu"]
            .iter()
            .find(|s| text.contains(**s));
        assert_eq!(told, None, "{text}");
        assert!(text.contains("you said"), "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let network = MemoryNetwork::default();
    for (encoding, options, key) in [
        ("raw", json!({}), "encode"),
        ("logfmt", json!({ "format": "json_array" }), "encode"),
        ("json", json!({ "concurrency": 0 }), "concurrency"),
        ("json", json!({ "timeout": "0s" }), "timeout"),
        (
            "json",
            json!({ "auth": { "api_key": "abcd-secret" } }),
            "auth.api_key",
        ),
        ("json", json!({ "auth": { "sasl": "PLAIN" } }), "auth"),
        (
            "json",
            json!({ "auth": { "password": "abcd-secret" } }),
            "auth",
        ),
        (
            "json",
            json!({ "auth": { "user": "u", "token": "abcd-secret" } }),
            "auth",
        ),
        (
            "json",
            json!({ "auth": { "token": "abcd-secret\n" } }),
            "auth",
        ),
        ("json", json!({ "headers": { "Host": "x" } }), "headers"),
        ("json", json!({ "headers": { "a b": "x" } }), "headers"),
        (
            "json",
            json!({ "headers": { "a": "abcd-secret\r\nb: c" } }),
            "headers",
        ),
        ("json", json!({ "tls": { "ca": "/x" } }), "tls"),
    ] {
        let (built, _) = try_build(&network, "far/", encoding, options.clone());
        let error = built.err().unwrap_or_else(|| panic!("{options} is taken"));
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
        assert!(!error.to_string().contains("abcd-secret"), "{error}");
    }
}

#[tokio::test]
async fn another_sink_shares_the_connections() {
    let mut setup = setup(
        "far/",
        "json",
        json!({}),
        [status("200 x"), status("200 x")],
    )
    .await;
    assert_eq!(setup.sink.concurrency(), Concurrency::Adaptive(8));
    let mut other = setup.sink.another().unwrap();
    setup.send("{}\n").await.unwrap();
    other
        .write(&load(vec![objects("{}\n", &setup.needs)], false))
        .await
        .unwrap();
    let seen = setup.server.seen();
    assert_eq!((seen[0].connection, seen[1].connection), (0, 0));
}

mod tls;
