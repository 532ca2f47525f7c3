//! The HTTP client of the sinks: small, bounded, and wary of replies.
//!
//! HTTP/1.1 and HTTP/2 by hyper, whose pool keeps connections open; TLS by
//! rustls. Redirects are not followed, so that credentials go nowhere else, and
//! no host but the configured ones is ever asked. A request has a deadline, a
//! reply a size. What was sent and not answered is the caller's to send again.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::connect::Connector;
use super::reply::{Class, Secrets, remedy, retry_after};
use super::tls;
use crate::component::{BuildError, Definition};
use crate::seam::{Clock, World};
use crate::sink::SinkError;
use crate::sink::remote::{Auth, Tls};

/// Services close idle connections after a minute or so; to be before them
/// saves a request that finds its connection closed.
const IDLE: Duration = Duration::from_secs(30);
/// A connection of HTTP/2 that many requests share is asked so often whether
/// it is still there, and given up when it says nothing for so long.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_PING_WAIT: Duration = Duration::from_secs(10);
/// Of a reply that says that something is wrong, this much is read.
const COMPLAINT_BYTES_MAX: usize = 64 * 1024;
/// Headers that are the client's own.
const OWN_HEADERS: [&str; 8] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
];

/// What a client is made of.
pub(in crate::sink) struct Options<'a> {
    pub(in crate::sink) auth: &'a Auth,
    pub(in crate::sink) tls: &'a Tls,
    /// Sent with every request.
    pub(in crate::sink) headers: &'a BTreeMap<String, String>,
    /// The deadline of a request.
    pub(in crate::sink) timeout: Duration,
    /// Requests at once.
    pub(in crate::sink) concurrency: usize,
}

/// Asks servers.
pub(in crate::sink) struct Client {
    /// The component's name, for messages.
    name: Box<str>,
    inner: legacy::Client<Connector, Full<Bytes>>,
    headers: HeaderMap,
    secrets: Secrets,
    timeout: Duration,
    clock: Clock,
}

/// A reply, read to its end or as far as it was worth.
pub(in crate::sink) struct Reply {
    pub(in crate::sink) status: StatusCode,
    pub(in crate::sink) after: Option<Duration>,
    pub(in crate::sink) body: Bytes,
    pub(in crate::sink) end: End,
}

/// How a reply's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum End {
    /// As it should.
    Whole,
    /// It is longer than it may be, and the rest was not read.
    Over,
    /// The connection broke within it, or the deadline passed.
    Cut,
}

/// Why there is no reply.
pub(in crate::sink) enum Failure {
    /// Nothing was sent.
    Connect(String),
    /// Nobody knows what became of the request.
    Lost(String),
}

impl Failure {
    fn text(&self) -> &str {
        let (Failure::Connect(text) | Failure::Lost(text)) = self;
        text
    }
}

impl Client {
    /// A client; nothing is connected yet.
    pub(in crate::sink) fn build(
        definition: &Definition,
        options: &Options,
        world: &World,
    ) -> Result<Client, BuildError> {
        let mut secrets = Secrets::default();
        let headers = headers(definition, options, &mut secrets)?;
        let tls = tls::client_config(definition, options.tls)?;
        let connector = Connector::new(world.network.clone(), tls);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.concurrency)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_WAIT)
            .build(connector);
        Ok(Client {
            name: (*definition.name).into(),
            inner,
            headers,
            secrets,
            timeout: options.timeout,
            clock: world.clock.clone(),
        })
    }

    /// Sends a request and reads the reply, of a good one at most
    /// `reply_bytes_max`.
    pub(in crate::sink) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        reply_bytes_max: usize,
    ) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.timeout;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let replied = timeout_at(deadline, self.inner.request(request)).await;
        let reply = match replied {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) if error.is_connect() => {
                return Err(Failure::Connect(format!(
                    "cannot connect: {}",
                    causes(&error)
                )));
            }
            Ok(Err(error)) => {
                return Err(Failure::Lost(format!("no reply: {}", causes(&error))));
            }
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                return Err(Failure::Lost(format!("no reply within {seconds} s")));
            }
        };
        let (head, body) = reply.into_parts();
        let bytes_max = if head.status.is_success() {
            reply_bytes_max
        } else {
            COMPLAINT_BYTES_MAX
        };
        let mut read = Vec::new();
        let end = timeout_at(deadline, read_body(body, bytes_max, &mut read)).await;
        Ok(Reply {
            status: head.status,
            after: retry_after(&head.headers, self.clock.now()),
            body: read.into(),
            end: end.unwrap_or(End::Cut),
        })
    }

    /// The error that a failure is.
    pub(in crate::sink) fn failed(&self, host: &Authority, failure: &Failure) -> SinkError {
        self.retry(host, failure.text(), None)
    }

    /// The error that a reply is: none if it says that all was delivered. What
    /// a good reply's body says is the caller's to read.
    pub(in crate::sink) fn judge(&self, host: &Authority, reply: &Reply) -> Result<(), SinkError> {
        let status = reply.status;
        let class = Class::of(status);
        if class == Class::Delivered {
            return Ok(());
        }
        let mut message = format!("{}: {host} answered {status}", self.name);
        let excerpt = self.excerpt(&reply.body);
        if !excerpt.is_empty() {
            message.push_str(": ");
            message.push_str(&excerpt);
        }
        if class == Class::Reject {
            return Err(SinkError::Reject { message });
        }
        message.push_str("; ");
        message.push_str(remedy(status));
        Err(match class {
            Class::Denied => SinkError::Denied { message },
            _ => SinkError::Retry {
                message,
                after: reply.after,
            },
        })
    }

    /// An error after which the load is to be sent again.
    pub(in crate::sink) fn retry(
        &self,
        host: &Authority,
        what: &str,
        after: Option<Duration>,
    ) -> SinkError {
        SinkError::Retry {
            message: format!("{}: {host}: {what}; will try again", self.name),
            after,
        }
    }

    /// The beginning of what a far end said, fit for a message.
    pub(in crate::sink) fn excerpt(&self, said: &[u8]) -> String {
        self.secrets.excerpt(said)
    }
}

async fn read_body(mut body: Incoming, bytes_max: usize, read: &mut Vec<u8>) -> End {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return End::Cut;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = bytes_max - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return End::Over;
        }
    }
    End::Whole
}

/// An error and what it comes from. hyper's own say little.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn headers(
    definition: &Definition,
    options: &Options,
    secrets: &mut Secrets,
) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = concat!("tflog/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in options.headers {
        let error = |what: &str| definition.error(format!("{name:?} {what}")).at("headers");
        let name: HeaderName = name.parse().map_err(|_| error("is no name of a header"))?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(error("is set by tflog itself").help("use `auth` for credentials"));
        }
        secrets.add(value);
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| error("has a value that no header can have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let Some(value) = authorization(definition, options.auth, secrets)? {
        let mut value: HeaderValue = value.parse().map_err(|_| {
            definition
                .error("a credential holds characters that no header can have")
                .at("auth")
                .help("look for a line break at its end")
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The value of `Authorization` (RFC 7617, RFC 6750; `ApiKey` is Elasticsearch's).
fn authorization(
    definition: &Definition,
    auth: &Auth,
    secrets: &mut Secrets,
) -> Result<Option<String>, BuildError> {
    let error = |what: &str| definition.error(what).at("auth");
    if auth.sasl.is_some() {
        return Err(error("`sasl` is Kafka's").help("use `user` and `password`, or `token`"));
    }
    for secret in [&auth.user, &auth.password, &auth.token, &auth.api_key]
        .into_iter()
        .flatten()
    {
        secrets.add(secret);
    }
    let (scheme, value) = match (&auth.user, &auth.password, &auth.token, &auth.api_key) {
        (None, None, None, None) => return Ok(None),
        (Some(user), password, None, None) => {
            if user.contains(':') {
                return Err(error("a user name cannot hold a colon"));
            }
            let password = password.as_deref().unwrap_or_default();
            ("Basic", STANDARD.encode(format!("{user}:{password}")))
        }
        (None, None, Some(token), None) => ("Bearer", token.clone()),
        (None, None, None, Some(key)) if key.contains(':') => ("ApiKey", STANDARD.encode(key)),
        (None, None, None, Some(key)) => ("ApiKey", key.clone()),
        _ => {
            return Err(
                error("names more than one identity, or a password without a user")
                    .help("use one of `user` with `password`, `token`, `api_key`"),
            );
        }
    };
    secrets.add(&value);
    Ok(Some(format!("{scheme} {value}")))
}
