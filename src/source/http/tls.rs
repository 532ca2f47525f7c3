//! TLS for listeners: the certificate that is shown, and the authority that
//! clients must have theirs from, if they need one.
//!
//! Files that change are read again, at the next handshake: connections that
//! are open are not touched. As long as the new ones are no good, the old ones
//! are shown, and that is said.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::seam::Connection;

/// Files are looked at this often at most: handshakes come in thousands.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// `tls:` of a listener: files of PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The certificate chain that is shown to clients.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of clients' certificates; with it, a client without one is
    /// turned away.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The key that names the file.
    pub key: &'static str,
    /// The file and what is wrong with it; nothing of its text.
    pub message: String,
}

/// Makes connections encrypted.
pub struct Tls {
    config: Config,
    state: Mutex<State>,
}

struct State {
    acceptor: TlsAcceptor,
    stamps: Vec<Stamp>,
    looked: Instant,
    /// What was last said of files that are no good.
    said: Option<Fault>,
}

/// What changes when a file is written or replaced; none if it is not there.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Tls {
    /// Reads the files.
    pub fn load(config: Config) -> Result<Tls, Fault> {
        // Before they are read: what changes meanwhile is read again.
        let stamps = config.stamps();
        let state = Mutex::new(State {
            acceptor: config.acceptor()?,
            stamps,
            looked: Instant::now(),
            said: None,
        });
        Ok(Tls { config, state })
    }

    /// Whether clients must have a certificate.
    #[must_use]
    pub fn asks_clients(&self) -> bool {
        self.config.ca.is_some()
    }

    /// Shakes hands. `label` is for what there is to say about the files.
    pub(super) async fn accept(
        &self,
        label: &str,
        connection: Box<dyn Connection>,
    ) -> io::Result<Box<dyn Connection>> {
        let acceptor = self.acceptor(label);
        Ok(Box::new(acceptor.accept(connection).await?))
    }

    fn acceptor(&self, label: &str) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_PAUSE {
            state.looked = Instant::now();
            let stamps = self.config.stamps();
            if stamps != state.stamps {
                state.renew(self.config.acceptor(), stamps, label);
            }
        }
        state.acceptor.clone()
    }
}

impl State {
    fn renew(&mut self, new: Result<TlsAcceptor, Fault>, stamps: Vec<Stamp>, label: &str) {
        match new {
            Ok(acceptor) => {
                (self.acceptor, self.stamps, self.said) = (acceptor, stamps, None);
                tracing::info!("{label}: the certificate was read again");
            }
            // A certificate and its key are rarely replaced in one moment.
            Err(fault) if self.said.as_ref() != Some(&fault) => {
                tracing::error!("{label}: keeping the last certificate: {fault}");
                self.said = Some(fault);
            }
            Err(_) => {}
        }
    }
}

impl Config {
    fn stamps(&self) -> Vec<Stamp> {
        let files = [Some(&self.cert), Some(&self.key), self.ca.as_ref()];
        let stamp = |path: &PathBuf| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.mtime(), file.mtime_nsec(), file.ino(), file.size()))
        };
        files.into_iter().flatten().map(stamp).collect()
    }

    fn acceptor(&self) -> Result<TlsAcceptor, Fault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault("tls", &self.cert, &error))?;
        let builder = match &self.ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("tls.ca", ca)? {
                    roots
                        .add(certificate)
                        .map_err(|error| fault("tls.ca", ca, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                let verifier = verifier.map_err(|error| fault("tls.ca", ca, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates("tls.cert", &self.cert)?;
        let key = std::fs::read(&self.key).map_err(|error| fault("tls.key", &self.key, &error))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| fault("tls.key", &self.key, &"holds no private key"))?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| fault("tls.cert", &self.cert, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = std::fs::read(path).map_err(|error| fault(key, path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(fault(key, path, &"holds no certificate")),
        Err(error) => Err(fault(key, path, &error)),
    }
}

fn fault(key: &'static str, path: &Path, what: &dyn std::fmt::Display) -> Fault {
    let message = format!("{}: {what}", path.display());
    Fault { key, message }
}
