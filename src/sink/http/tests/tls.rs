//! Whom tflog trusts, and how it shows who it is.

use std::path::PathBuf;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::seam::{Address, Network as _};

fn file(name: &str) -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("src/sink/http/testdata").join(name)
}

/// A server named `far`; `ask` for a certificate of the client.
fn server(ask: bool) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if ask {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    builder.with_single_cert(chain, key).unwrap()
}

fn sink(network: &MemoryNetwork, target: &str, tls: &Value) -> Result<(Http, Needs), BuildError> {
    let mut needs = Needs::default();
    let encoder = Encoder::build("json", encode::Options::default(), &mut needs).unwrap();
    let mut definition = definition("https", target, json!({ "tls": tls }));
    definition.tls = true;
    Ok((
        build(&definition, encoder, &world(network), &mut needs)?,
        needs,
    ))
}

async fn send(network: &MemoryNetwork, target: &str, tls: Value) -> Result<Written, SinkError> {
    let (mut sink, needs) = sink(network, target, &tls).unwrap_or_else(|error| panic!("{error}"));
    sink.write(&load(vec![objects("{}\n", &needs)], false))
        .await
}

#[tokio::test]
async fn only_the_right_authority_and_name_are_trusted() {
    let network = MemoryNetwork::default();
    let far = Server::start(&network, "far:443", Some(server(false)), [status("200 x")]).await;
    let near = Server::start(&network, "near:443", Some(server(false)), [status("200 x")]).await;
    send(&network, "far/", json!({ "ca": file("ca.pem") }))
        .await
        .unwrap();
    assert_eq!(far.seen().len(), 1);
    for (target, ca, why) in [
        ("near/", "ca.pem", "not valid for name"),
        ("far/", "server.pem", "certificate"),
    ] {
        let error = send(&network, target, json!({ "ca": file(ca) }))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, SinkError::Retry { .. }) && text.contains(why),
            "{text}"
        );
    }
    assert_eq!(
        (far.seen().len(), near.seen().len()),
        (1, 0),
        "nothing was said to them"
    );
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let network = MemoryNetwork::default();
    let script = [status("200 x")];
    let server = Server::start(&network, "far:443", Some(server(true)), script).await;
    let without = json!({ "ca": file("ca.pem") });
    assert_eq!(kind(&send(&network, "far/", without).await), "retry");
    assert_eq!(server.seen().len(), 0);
    let with =
        json!({ "ca": file("ca.pem"), "cert": file("client.pem"), "key": file("client.key") });
    assert_eq!(kind(&send(&network, "far/", with).await), "delivered");
}

#[tokio::test]
async fn http2_is_spoken_where_both_know_it() {
    let network = MemoryNetwork::default();
    let mut config = server(false);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = Address::Tcp("far:443".to_owned());
    let mut listener = network.bind(&address).await.unwrap();
    tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(connection).await.unwrap();
        let answer = service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.version(), hyper::Version::HTTP_2);
            assert_eq!(request.uri().authority().unwrap(), "far");
            let status = if request.uri().path() == "/in" {
                200
            } else {
                400
            };
            hyper::Response::builder()
                .status(status)
                .body(Full::<bytes::Bytes>::default())
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let serving = builder.serve_connection(TokioIo::new(stream), answer);
        let _ = serving.await;
    });
    let ca = json!({ "ca": file("ca.pem") });
    assert_eq!(kind(&send(&network, "far/in", ca).await), "delivered");
}

#[test]
fn bad_files_are_named() {
    let network = MemoryNetwork::default();
    let cert = json!(file("client.pem"));
    for (tls, key) in [
        (json!({ "ca": "/no/such.pem" }), "tls.ca"),
        (json!({ "ca": file("client.key") }), "tls.ca"),
        (json!({ "ca": file("ca.pem"), "cert": cert }), "tls"),
        (
            json!({ "ca": file("ca.pem"), "cert": cert, "key": file("ca.pem") }),
            "tls.key",
        ),
        (
            json!({ "ca": file("ca.pem"), "cert": cert, "key": file("server.key") }),
            "tls.cert",
        ),
    ] {
        let error = sink(&network, "far/", &tls).err().unwrap();
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
}
