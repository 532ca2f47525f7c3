//! The Kafka sink against a real broker, read back with a consumer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::harness::{Running, tflog, wait_for};
use crate::servers::Kafka;

/// How long anything may take: only reached by bugs.
const PATIENCE: Duration = Duration::from_mins(2);

/// `k3 000017`: one of seven keys, and the event's number.
fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |n: usize| {
        format!(
            "{{\"service\":\"k{}\",\"seq\":{n},\"text\":\"order {n} was placed\"}}\n",
            n % 7
        )
    };
    numbers.map(line).collect()
}

fn consumer(address: SocketAddr) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .set("group.id", "test")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap()
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let topic = &metadata.topics()[0];
    topic
        .partitions()
        .iter()
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect()
}

/// How many messages a topic has.
fn count(consumer: &BaseConsumer, topic: &str) -> i64 {
    let end = |p| consumer.fetch_watermarks(topic, p, PATIENCE).unwrap().1;
    partitions(consumer, topic).into_iter().map(end).sum()
}

/// Every message of a topic as key, payload and number of headers, each
/// partition in its order.
fn consume(address: SocketAddr, topic: &str) -> Vec<(Vec<u8>, String, usize)> {
    let consumer = consumer(address);
    let mut wanted = TopicPartitionList::new();
    for partition in partitions(&consumer, topic) {
        wanted
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&wanted).unwrap();
    let (mut all, mut ends) = (Vec::new(), 0);
    let start = Instant::now();
    while ends < wanted.count() {
        assert!(start.elapsed() < PATIENCE, "{} so far", all.len());
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => all.push((
                message.key().unwrap_or_default().to_vec(),
                String::from_utf8(message.payload().unwrap().to_vec()).unwrap(),
                message.headers().map_or(0, Headers::count),
            )),
            Some(Err(_)) => ends += 1,
            None => {}
        }
    }
    all
}

/// Every line once, each key's in order, under its key.
fn assert_complete(messages: &[(Vec<u8>, String, usize)], sent: &str) {
    let mut expected = BTreeMap::<&str, Vec<&str>>::new();
    for line in sent.lines() {
        expected.entry(&line[12..14]).or_default().push(line);
    }
    let mut got = BTreeMap::<&str, Vec<&str>>::new();
    for (key, line, _) in messages {
        let key = std::str::from_utf8(key).unwrap();
        got.entry(key).or_default().push(line);
    }
    for (key, lines) in &expected {
        let mine = got.get(key).map_or(&[][..], |all| all);
        let differs = lines.iter().zip(mine).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{key}: first difference");
        assert_eq!(mine.len(), lines.len(), "{key}");
    }
    assert_eq!(got.len(), expected.len());
}

fn start(arguments: &[&str]) -> Running {
    Running::start(
        tflog(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    )
}

fn deliver(arguments: &[&str], input: &str) {
    let mut running = start(arguments);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
}

/// A broker that crashes and comes back loses nothing, doubles nothing, and
/// does not change the order of a key.
#[test]
fn a_broker_that_crashes_in_the_middle_loses_nothing() {
    let Some(server) = Kafka::start("num.partitions=3") else {
        return;
    };
    let to = format!(
        "kafka://{}/logs?key={{service}}&headers.app=tflog",
        server.address()
    );
    let (first, second) = (lines(0..100_000), lines(100_000..200_000));
    let mut running = start(&["--to", &to]);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(first.as_bytes()).unwrap();
    let consumer = consumer(server.address());
    wait_for("the first events", || {
        (count(&consumer, "logs") > 20_000).then_some(())
    });
    server.kill9();
    let rest = second.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(rest.as_bytes()).unwrap());
    server.restart();
    feeder.join().unwrap();
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    let messages = consume(server.address(), "logs");
    assert_complete(&messages, &(first + &second));
    assert!(messages.iter().all(|(.., headers)| *headers == 1));
}

/// A broker with a listener for SCRAM two ports up, and one for TLS three.
struct Secured {
    address: SocketAddr,
}

impl Secured {
    fn script(arguments: &[&str], pem: &Path) -> std::process::Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/servers/kafka.sh");
        Command::new(script)
            .args(arguments)
            .env("KAFKA_SASL", "1")
            .env("KAFKA_TLS_PEM", pem)
            .output()
            .unwrap()
    }

    fn start(pem: &Path) -> Secured {
        let output = Secured::script(&["start"], pem);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let address = String::from_utf8(output.stdout).unwrap();
        Secured {
            address: address.trim().parse().unwrap(),
        }
    }

    fn port(&self, plus: u16) -> u16 {
        self.address.port() + plus
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let port = self.address.port().to_string();
        Secured::script(&["stop", &port], Path::new("/none"));
    }
}

/// A key and its certificate for 127.0.0.1, in one file; none without openssl.
fn certificate(dir: &Path) -> Option<PathBuf> {
    let (key, pem) = (dir.join("key.pem"), dir.join("both.pem"));
    let status = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=broker",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&pem)
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "openssl makes a certificate");
    let certificate = std::fs::read(&pem).unwrap();
    std::fs::write(dir.join("ca.pem"), &certificate).unwrap();
    let both = [std::fs::read(&key).unwrap(), certificate].concat();
    std::fs::write(&pem, both).unwrap();
    Some(pem)
}

/// A user with a password, and a broker that proves who it is; and both refuse
/// what is wrong, without losing it.
#[cfg(feature = "kafka-tls")]
#[test]
fn scram_and_tls_let_in_who_may() {
    // Says so where there is no broker.
    if Kafka::shared().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(pem) = certificate(dir.path()) else {
        let required = std::env::var("IT_REQUIRE_REAL").is_ok_and(|v| v == "1");
        assert!(!required, "openssl is required");
        let _ = writeln!(std::io::stderr(), "SKIPPED: no openssl");
        return;
    };
    let server = Secured::start(&pem);
    let text = lines(0..1000);
    let scram = |password: &str, topic: &str| {
        format!(
            "kafka://tflog:{password}@127.0.0.1:{}/{topic}?key={{service}}",
            server.port(2)
        )
    };
    deliver(&["--to", &scram("tflog-secret", "scram")], &text);
    assert_complete(&consume(server.address, "scram"), &text);
    let mechanism = scram("tflog-secret", "plain") + "&auth.sasl=PLAIN";
    deliver(&["--to", &mechanism], &text);
    assert_complete(&consume(server.address, "plain"), &text);
    let ca = dir.path().join("ca.pem");
    let tls = format!(
        "kafka+tls://127.0.0.1:{}/tls?key={{service}}",
        server.port(3)
    );
    let trusting = format!("{tls}&tls.ca={}", ca.display());
    deliver(&["--to", &trusting], &text);
    assert_complete(&consume(server.address, "tls"), &text);

    for (to, complaint) in [
        (scram("wrong", "never"), "check auth"),
        (tls.replace("/tls?", "/never?"), "certificate"),
    ] {
        let mut running = start(&["--to", &to]);
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        let stderr = running.child.stderr.take().unwrap();
        let mut said = BufReader::new(stderr).lines().map(Result::unwrap);
        let line = said.find(|line| line.contains(complaint));
        let line = line.expect("it complains");
        assert!(!line.contains("wrong@") && !line.contains("tflog-secret"));
    }
    let consumer = consumer(server.address);
    assert_eq!(count(&consumer, "never"), 0);
}
