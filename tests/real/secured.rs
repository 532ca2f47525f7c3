//! The Kafka sink against a real broker that asks who it is, and says who itself is.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::{assert_complete, consume, consumer, count, lines, start};
use crate::servers::Kafka;

fn deliver(arguments: &[&str], input: &str) {
    let mut running = start(arguments);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
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
