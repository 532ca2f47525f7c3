//! What a TLS client trusts and shows: the system's authorities or those of
//! `tls.ca`, and its own certificate, if it has one.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::component::{BuildError, Definition};
use crate::sink::remote::Tls;

/// Reads the files of `tls`; none if the URL asks for no encryption.
pub(super) fn client_config(
    definition: &Definition,
    tls: &Tls,
) -> Result<Option<ClientConfig>, BuildError> {
    if !definition.tls {
        if *tls != Tls::default() {
            return Err(definition
                .error("the URL asks for no encryption")
                .at("tls")
                .help("write https://, or +tls behind the scheme"));
        }
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| definition.error(error.to_string()).at("tls"))?
        .with_root_certificates(roots(definition, tls)?);
    let mut config = match (&tls.cert, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = certificates(definition, "tls.cert", cert)?;
            let key = private_key(definition, key)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                definition
                    .error(format!("{}: {error}", cert.display()))
                    .at("tls.cert")
                    .help("the key must be the certificate's")
            })?
        }
        _ => {
            return Err(definition
                .error("`cert` and `key` belong together")
                .at("tls")
                .help("give both or neither"));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(config))
}

fn roots(definition: &Definition, tls: &Tls) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = &tls.ca else {
        // Single bad ones among the system's are no reason to trust none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(definition
                .error("the system has no certificates of authorities")
                .at("tls.ca")
                .help("install ca-certificates, or name a file of PEM certificates"));
        }
        return Ok(roots);
    };
    for certificate in certificates(definition, "tls.ca", ca)? {
        roots.add(certificate).map_err(|error| {
            definition
                .error(format!("{}: {error}", ca.display()))
                .at("tls.ca")
        })?;
    }
    Ok(roots)
}

fn certificates(
    definition: &Definition,
    key: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let error = |what: String| {
        let message = format!("{}: {what}", path.display());
        definition.error(message).at(key)
    };
    let pem = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(error("holds no certificate".to_owned()).help("write a file of PEM")),
        Err(e) => Err(error(e.to_string()).help("write a file of PEM")),
    }
}

fn private_key(definition: &Definition, path: &Path) -> Result<PrivateKeyDer<'static>, BuildError> {
    // Nothing of the file's text is shown.
    let error = |what: String| {
        let message = format!("{}: {what}", path.display());
        definition.error(message).at("tls.key")
    };
    let pem = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| error("holds no private key".to_owned()).help("write a file of PEM"))
}
