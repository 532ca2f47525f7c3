//! The options that sinks of services share: who tflog is to them, and how
//! their identity is checked.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// `auth:` who tflog is to the service.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// User name; with `password`: HTTP basic, or SASL.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// Elasticsearch's: `id:key`, or both encoded as base64.
    pub api_key: Option<String>,
    /// Kafka's mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512. Default:
    /// SCRAM-SHA-512.
    pub sasl: Option<String>,
}

/// Without values: they are secrets.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// `tls:` files of PEM; whatever is not given is the system's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates of the authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// tflog's own certificate chain.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}
