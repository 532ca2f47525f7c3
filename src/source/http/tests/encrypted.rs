//! Encrypted listeners: what is shown to clients, what they must show, and
//! certificates that change.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio_rustls::TlsConnector;

use super::*;

fn file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("src/sink/http/testdata").join(name)
}

async fn serve_tls(tls: serde_json::Value) -> Serving {
    let mut definition = definition("http", ADDRESS, json!({ "tls": tls }));
    definition.tls = true;
    serve_as(Fate::Kept, &definition).await
}

/// Shakes hands with a server that must be `far`.
async fn connect(serving: &Serving, certified: bool) -> std::io::Result<Client> {
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
    let plain = serving.connect().await.0;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("far").unwrap();
    Ok(Client(Box::new(connector.connect(name, plain).await?)))
}

#[tokio::test(start_paused = true)]
async fn events_come_encrypted_and_nothing_else_is_heard() {
    let serving = serve_tls(json!({ "cert": file("server.pem"), "key": file("server.key") })).await;
    let mut client = connect(&serving, false).await.unwrap();
    assert_eq!(client.post("", b"secret\n").await.status, 200);
    let mut plain = serving.connect().await;
    plain
        .send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nx\n")
        .await;
    let mut heard = Vec::new();
    let _ = plain.0.read_to_end(&mut heard).await;
    assert!(!heard.windows(4).any(|part| part == b"HTTP"), "{heard:?}");
    let start = Instant::now();
    serving.connect().await.closed().await;
    assert_eq!(start.elapsed().as_secs(), 10, "a handshake has its time");
    assert_eq!(serving.keeper.text(), "secret\n");
    drop(client);
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn clients_show_a_certificate_where_an_authority_is_named() {
    let tls =
        json!({ "cert": file("server.pem"), "key": file("server.key"), "ca": file("ca.pem") });
    let serving = serve_tls(tls).await;
    // The client's part of the handshake is over before the server refuses.
    if let Ok(mut stranger) = connect(&serving, false).await {
        let _ = stranger
            .0
            .write_all(b"POST / HTTP/1.1\r\nhost: t\r\n\r\n")
            .await;
        stranger.closed().await;
    }
    let mut known = connect(&serving, true).await.unwrap();
    assert_eq!(known.post("", b"mine\n").await.status, 200);
    assert_eq!(serving.keeper.text(), "mine\n");
    drop(known);
    serving.stop(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_shown_to_new_connections_and_open_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
    let replace = async |name: &str| {
        for (to, from) in [
            (&cert, format!("{name}.pem")),
            (&key, format!("{name}.key")),
        ] {
            let new = dir.path().join("new");
            std::fs::copy(file(&from), &new).unwrap();
            std::fs::rename(&new, to).unwrap();
        }
        tokio::time::advance(Duration::from_secs(2)).await;
    };
    replace("server").await;
    let serving = serve_tls(json!({ "cert": cert, "key": key })).await;
    let mut old = connect(&serving, false).await.unwrap();
    assert_eq!(old.post("", b"1\n").await.status, 200);
    // A certificate that is not the far end's.
    replace("client").await;
    let other = connect(&serving, false).await.err().expect("another name");
    assert_eq!(old.post("", b"2\n").await.status, 200);
    std::fs::write(&cert, "no certificate").unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let still = connect(&serving, false).await.err().expect("the same one");
    assert_eq!(still.to_string(), other.to_string());
    replace("server").await;
    let mut new = connect(&serving, false).await.unwrap();
    assert_eq!(new.post("", b"3\n").await.status, 200);
    assert_eq!(old.post("", b"4\n").await.status, 200);
    drop((old, new));
    serving.stop(Duration::from_secs(20)).await;
}

#[test]
fn bad_files_are_named() {
    let (cert, key) = (file("server.pem"), file("server.key"));
    for (tls, at) in [
        (json!({ "cert": "/no/such", "key": key }), Some("tls.cert")),
        (json!({ "cert": key, "key": key }), Some("tls.cert")),
        (json!({ "cert": cert, "key": cert }), Some("tls.key")),
        (
            json!({ "cert": cert, "key": file("client.key") }),
            Some("tls.cert"),
        ),
        (
            json!({ "cert": cert, "key": key, "ca": key }),
            Some("tls.ca"),
        ),
        (json!({ "cert": cert }), None),
        (json!(null), Some("tls")),
    ] {
        let shown = tls.to_string();
        let mut definition = definition("http", ADDRESS, json!({ "tls": tls }));
        definition.tls = true;
        let error = Http::build(&definition, &World::simulated(Timestamp(0), 7));
        let error = error.err().expect(&shown);
        assert_eq!(error.key.as_deref(), at, "{shown}: {error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
}
