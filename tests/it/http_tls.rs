//! Encrypted listeners, the source's own and tflog's: what is read there is
//! what was sent, and strangers are turned away.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{assert_balanced, connect, free_address, lines};
use crate::http_source::{start, stop};

/// Certificates that the sinks' tests have too.
fn file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("src/sink/http/testdata").join(name)
}

/// A connection to a server that must be `far`.
fn open(address: SocketAddr, certified: bool) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if certified {
        let chain = vec![CertificateDer::from_pem_file(file("client.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("client.key")).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("far").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(tls, connect(address))
}

/// One request; all that is answered until the connection ends.
fn ask(address: SocketAddr, certified: bool, request: &str, body: &str) -> String {
    let mut stream = open(address, certified);
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: far\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut answer = Vec::new();
    // Who is turned away hears it while sending or reading.
    let _ = stream
        .write_all((head + body).as_bytes())
        .and_then(|()| stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

#[test]
fn encrypted_listeners_take_events_of_those_who_may_send() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let out = dir.path().join("out.log");
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let (cert, key, ca) = (cert.display(), key.display(), ca.display());
    let config = format!(
        "http: {{ listen: '{http}', tls: {{ cert: '{cert}', key: '{key}' }} }}\n\
         sources:\n  push: http\n  \
           certified: {{ url: 'http+tls://{own}', tls: {{ cert: '{cert}', key: '{key}', ca: '{ca}' }} }}\n\
         sinks: {{ out: {{ url: 'file://{}', encode: raw }} }}\n",
        out.display()
    );
    let running = start(dir.path(), &config);
    let answer = ask(http, false, "POST /", "one\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(ask(http, false, "GET /health", "").ends_with("\r\n\r\nok\n"));
    let answer = ask(own, true, "POST /", "two\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(ask(own, false, "POST /", "stranger\n"), "");
    let mut plain = connect(own);
    plain
        .write_all(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 6\r\n\r\nplain\n")
        .unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(!heard.starts_with(b"HTTP"), "{heard:?}");
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
    assert_eq!(lines(&out), ["one", "two"]);
}
