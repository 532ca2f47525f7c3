//! The sinks `http://…` and `https://…`: each load is a request, `POST`ed as
//! NDJSON, as a JSON array or as text.
//!
//! The whole URL is the server's, its query too; options are keys. Path and
//! query may hold values of the event (`target.rs`): the events of one load go
//! in a request for each URL, one after the other. Confirmed by a status of
//! 2xx; `reply.rs` has the others. A load that is sent again has the same
//! `Idempotency-Key`, a hash of its events' ids.

pub(in crate::sink) mod client;
pub(in crate::sink) mod compress;
mod connect;
pub(in crate::sink) mod reply;
mod requests;
pub(in crate::sink) mod target;
mod tls;

#[cfg(test)]
pub(in crate::sink) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::Deserialize;

use self::client::{Client, End, Options};
use self::compress::Compression;
use self::reply::Class;
use self::requests::{Group, group};
use self::target::Target;
use super::encode::Encoder;
use super::remote::{Auth, Tls};
use super::{Concurrency, Load, Partial, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition, Period};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "http";
/// The URL scheme with TLS.
pub const NAME_TLS: &str = "https";

/// Of a reply that says yes, this much is read, so that the connection can be
/// used again.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// More than this at once helps no server and pins memory for each.
const CONCURRENCY_MAX: usize = 256;

/// How events stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON objects, one a line.
    Ndjson,
    /// One array of JSON objects.
    JsonArray,
    /// Lines of any encoding.
    Text,
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// The sink's options. No `Debug`: headers may be secrets.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How events stand in a request.
    pub format: Format,
    /// The request's method.
    pub method: Method,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// How requests are compressed.
    pub compression: Compression,
    /// Who tflog is to the server.
    pub auth: Auth,
    /// How the server is checked, with `https`.
    pub tls: Tls,
    /// The deadline of a request.
    pub timeout: Period,
    /// Requests at once at most.
    pub concurrency: usize,
}

/// The deadline of a request, and how many there are at once, where nothing is
/// said.
pub(super) const TIMEOUT_DEFAULT: Period = Period(Duration::from_secs(30));
pub(super) const CONCURRENCY_DEFAULT: usize = 8;

impl Default for Config {
    fn default() -> Config {
        Config {
            format: Format::Ndjson,
            method: Method::Post,
            headers: BTreeMap::new(),
            compression: Compression::None,
            auth: Auth::default(),
            tls: Tls::default(),
            timeout: TIMEOUT_DEFAULT,
            concurrency: CONCURRENCY_DEFAULT,
        }
    }
}

/// Sends requests.
pub struct Http {
    shared: Arc<Shared>,
    encoder: Encoder,
}

/// What all sinks of one component share.
struct Shared {
    target: Target,
    client: Client,
    format: Format,
    method: hyper::Method,
    compression: Compression,
    content_type: Option<&'static str>,
    concurrency: usize,
}

/// Builds the sink. Nothing is connected yet.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    needs: &mut Needs,
) -> Result<Http, BuildError> {
    let config: Config = definition.decode()?;
    let target = Target::compile(definition, needs)?;
    if config.auth.api_key.is_some() {
        return Err(definition
            .error("`api_key` is Elasticsearch's")
            .at("auth.api_key")
            .help("use `token`, or `headers`"));
    }
    check_limits(definition, config.timeout, config.concurrency)?;
    let content_type = match config.format {
        Format::Text => "text/plain; charset=utf-8",
        Format::Ndjson => "application/x-ndjson",
        Format::JsonArray => "application/json",
    };
    if config.format != Format::Text && !encoder.is_json() {
        return Err(definition
            .error("this encoding is not JSON")
            .at("encode")
            .help("write `format: text`, or `encode: json`"));
    }
    let options = Options {
        auth: &config.auth,
        tls: &config.tls,
        headers: &config.headers,
        timeout: config.timeout.0,
        concurrency: config.concurrency,
    };
    let own_type = |name: &String| name.eq_ignore_ascii_case("content-type");
    let shared = Shared {
        target,
        client: Client::build(definition, &options, world)?,
        format: config.format,
        method: match config.method {
            Method::Post => hyper::Method::POST,
            Method::Put => hyper::Method::PUT,
        },
        compression: config.compression,
        content_type: (!config.headers.keys().any(own_type)).then_some(content_type),
        concurrency: config.concurrency,
    };
    Ok(Http {
        shared: Arc::new(shared),
        encoder,
    })
}

/// Refuses a deadline and a concurrency that cannot be meant.
pub(super) fn check_limits(
    definition: &Definition,
    timeout: Period,
    concurrency: usize,
) -> Result<(), BuildError> {
    if timeout.0.is_zero() {
        return Err(definition
            .error("must be longer than nothing")
            .at("timeout"));
    }
    if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
        let message = format!("must be between 1 and {CONCURRENCY_MAX}");
        return Err(definition.error(message).at("concurrency"));
    }
    Ok(())
}

impl Shared {
    /// Sends one request. The error says too whether the server answered.
    async fn send(&self, group: &mut Group) -> Result<Written, (SinkError, bool)> {
        let host = &self.target.authority;
        let odd = |error: &dyn std::fmt::Display| {
            let what = format!("cannot make a request: {error}");
            (self.client.retry(host, &what, None), true)
        };
        let body = std::mem::take(&mut group.body);
        let written = group.written(body.len());
        let body = self.compression.apply(body).map_err(|e| odd(&e))?;
        let uri = self.target.uri(&group.path).map_err(|e| odd(&e))?;
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .header("idempotency-key", group.key());
        if let Some(content_type) = self.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(coding) = self.compression.coding() {
            request = request.header(CONTENT_ENCODING, coding);
        }
        let request = request.body(Full::new(body)).map_err(|e| odd(&e))?;
        let sent = self.client.send(request, REPLY_BYTES_MAX).await;
        let reply = sent.map_err(|failure| (self.client.failed(host, &failure), false))?;
        self.client.judge(host, &reply).map_err(|e| (e, true))?;
        // Whoever says yes and then more than anybody reads has said yes.
        if reply.end == End::Cut {
            let what = "the reply broke off";
            return Err((self.client.retry(host, what, None), false));
        }
        Ok(written)
    }
}

impl Http {
    async fn write_load(&mut self, load: &Load) -> Result<Written, SinkError> {
        let shared = &self.shared;
        let mut groups = group(load, shared.format, &shared.target, &mut self.encoder);
        if let [only] = &mut groups[..] {
            return shared.send(only).await.map_err(|(error, _)| error);
        }
        let mut outcome = Outcome::default();
        for mut group in groups {
            if outcome.unanswered {
                outcome.later(&group);
                continue;
            }
            match shared.send(&mut group).await {
                Ok(written) => outcome.delivered(written),
                Err((error, answered)) => {
                    outcome.unanswered = !answered;
                    outcome.failed(&group, error);
                }
            }
        }
        outcome.result()
    }
}

/// What became of the requests of one load.
#[derive(Default)]
struct Outcome {
    partial: Partial,
    progress: bool,
    /// The server does not answer: the other requests are not tried.
    unanswered: bool,
    /// Why events are tried again; the first that is no refusal.
    error: Option<SinkError>,
    /// What was refused together and must be halved.
    refused: Option<SinkError>,
}

impl Outcome {
    fn delivered(&mut self, written: Written) {
        self.progress = true;
        let sum = &mut self.partial.written;
        sum.bytes += written.bytes;
        sum.replaced += written.replaced;
        sum.missing += written.missing;
    }

    fn later(&mut self, group: &Group) {
        self.partial.retry.extend_from_slice(&group.items);
    }

    fn failed(&mut self, group: &Group, error: SinkError) {
        match (error, &group.items[..]) {
            (SinkError::Reject { message }, &[only]) => {
                self.progress = true;
                self.partial.rejected.push((only, message));
            }
            (error @ SinkError::Reject { .. }, _) => {
                // On its own the group is refused as a whole, and so halved.
                self.later(group);
                self.refused.get_or_insert(error);
            }
            (error, _) => {
                self.later(group);
                self.error.get_or_insert(error);
            }
        }
    }

    fn result(mut self) -> Result<Written, SinkError> {
        let error = self.error.or(self.refused);
        if !self.progress
            && let Some(error) = error
        {
            return Err(error);
        }
        if self.partial.retry.is_empty() && self.partial.rejected.is_empty() {
            return Ok(self.partial.written);
        }
        self.partial
            .rejected
            .sort_unstable_by_key(|(item, _)| *item);
        self.partial.retry.sort_unstable();
        if let Some(error) = error {
            self.partial.message = error.to_string();
            if let SinkError::Retry { after, .. } = error {
                self.partial.after = after;
            }
        } else if let Some((_, why)) = self.partial.rejected.first() {
            self.partial.message.clone_from(why);
        }
        Err(SinkError::Partial(Box::new(self.partial)))
    }
}

impl Sink for Http {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(self.write_load(load))
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency::Adaptive(self.shared.concurrency)
    }

    fn another(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(Http {
            shared: self.shared.clone(),
            encoder: self.encoder.clone(),
        }))
    }

    /// Asks with `HEAD /`: any answer but "try later" and "not you" will do,
    /// for few servers have something there.
    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async {
            let Shared { target, client, .. } = &*self.shared;
            let host = &target.authority;
            let uri = target.uri(b"/").unwrap_or_default();
            let request = Request::head(uri).body(Full::default());
            let request = request.map_err(|e| client.retry(host, &e.to_string(), None))?;
            let sent = client.send(request, REPLY_BYTES_MAX).await;
            let reply = sent.map_err(|failure| client.failed(host, &failure))?;
            let unheard = [401, 407].contains(&reply.status.as_u16());
            if unheard || Class::of(reply.status) == Class::Retry {
                return client.judge(host, &reply);
            }
            Ok(())
        })
    }
}
