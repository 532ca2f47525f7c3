//! The sinks `elasticsearch://h1:9200,h2:9200/index` and `opensearch://…`: bulk
//! requests to Elasticsearch 7 or newer, `OpenSearch`, and what speaks as they do.
//!
//! Each event is a `create` under its own id: what is sent again is found to be
//! there (409) and not doubled, as long as its index is the same, which depends
//! on the event alone. A data stream takes the same requests; across its
//! rollover an event that is sent again can be doubled. Every document has a
//! `@timestamp`.
//!
//! Confirmed item by item (`reply.rs`). Hosts take turns (`hosts.rs`); where
//! one cannot be reached the next is asked at once, and one that was asked and
//! did not answer is asked again only by the driver.

mod bulk;
mod hosts;
mod index;
mod reply;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{Method, Request, Uri};
use serde::Deserialize;

use self::bulk::{Actions, Bulk};
use self::hosts::Hosts;
use self::index::Index;
use self::reply::Fate;
use super::encode::Encoder;
use super::http::client::{Client, End, Failure, Options, Reply};
use super::http::compress::Compression;
use super::http::target::authority;
use super::http::{CONCURRENCY_DEFAULT, TIMEOUT_DEFAULT, check_limits};
use super::remote::{Auth, Tls};
use super::template::Template;
use super::{Concurrency, Load, Partial, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition, Period};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "elasticsearch";
/// The other URL scheme: the same.
pub const NAME_OPENSEARCH: &str = "opensearch";

/// Where there is no port.
const PORT_DEFAULT: u16 = 9200;
/// Hosts of one sink: more are behind a load balancer.
const HOSTS_MAX: usize = 64;
/// Of a reply so much is read: for each event's error a long reason, and never
/// more than this in all.
const ITEM_BYTES_MAX: usize = 16 * 1024;
const REPLY_BYTES_MAX: usize = 64 << 20;
/// Only what is read of it: 20 bytes for each event instead of 200.
const FILTER: &str = "filter_path=errors,items.*.status,items.*.error";
/// Older ones want a type in each action.
const VERSION_MIN: u64 = 7;

/// The sink's options. No `Debug`: `auth` is secret.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The ingest pipeline that documents go through.
    pub pipeline: Option<String>,
    /// A template whose text decides the shard.
    pub routing: Option<String>,
    /// How requests are compressed: gzip or none.
    pub compression: Compression,
    /// Who tflog is to the cluster.
    pub auth: Auth,
    /// How the cluster is checked, with `+tls`.
    pub tls: Tls,
    /// The deadline of a request.
    pub timeout: Period,
    /// Requests at once at most.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            pipeline: None,
            routing: None,
            compression: Compression::Gzip,
            auth: Auth::default(),
            tls: Tls::default(),
            timeout: TIMEOUT_DEFAULT,
            concurrency: CONCURRENCY_DEFAULT,
        }
    }
}

/// Sends bulk requests.
pub struct Elasticsearch {
    shared: Arc<Shared>,
    encoder: Encoder,
}

/// What all sinks of one component share.
struct Shared {
    name: Box<str>,
    actions: Actions,
    client: Client,
    hosts: Hosts,
    scheme: &'static str,
    /// The path that the cluster's API is under, without a `/` at its end.
    prefix: String,
    /// Path and query of a bulk request.
    bulk: String,
    compression: Compression,
    concurrency: usize,
}

/// Builds the sink. Nothing is connected yet.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    needs: &mut Needs,
) -> Result<Elasticsearch, BuildError> {
    let config: Config = definition.decode()?;
    let (hosts, prefix, index) = split(definition)?;
    check_limits(definition, config.timeout, config.concurrency)?;
    if config.compression == Compression::Zstd {
        return Err(definition
            .error("no version understands zstd")
            .at("compression")
            .help("use gzip or none"));
    }
    if !encoder.is_json() {
        return Err(definition
            .error("documents are JSON, and this encoding is not")
            .at("encode")
            .help("use json or ecs"));
    }
    let index = Index::compile(definition, index, needs)?;
    let routing = config.routing.as_deref().map(|text| {
        Template::compile(text, needs).map_err(|e| definition.error(e.to_string()).at("routing"))
    });
    let mut bulk = format!("{prefix}/_bulk?{FILTER}");
    if let Some(pipeline) = &config.pipeline {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        if pipeline.is_empty() || !pipeline.bytes().all(plain) {
            return Err(definition
                .error("may hold letters, digits, `-`, `_` and `.`")
                .at("pipeline"));
        }
        bulk.push_str("&pipeline=");
        bulk.push_str(pipeline);
    }
    let options = Options {
        auth: &config.auth,
        tls: &config.tls,
        headers: &BTreeMap::new(),
        timeout: config.timeout.0,
        concurrency: config.concurrency,
    };
    let shared = Shared {
        name: (*definition.name).into(),
        actions: Actions::new(index, routing.transpose()?, needs),
        client: Client::build(definition, &options, world)?,
        hosts,
        scheme: if definition.tls { "https" } else { "http" },
        prefix: prefix.to_owned(),
        bulk,
        compression: config.compression,
        concurrency: config.concurrency,
    };
    Ok(Elasticsearch {
        shared: Arc::new(shared),
        encoder,
    })
}

/// The URL's hosts, the path before its last segment, and that: the index.
fn split(definition: &Definition) -> Result<(Hosts, &str, &str), BuildError> {
    let example = format!("write {}://host:9200/INDEX", definition.scheme);
    let target = definition.target.as_str();
    let (hosts, path) = target.split_at(target.find('/').unwrap_or(target.len()));
    if hosts.contains(['{', '}']) {
        let message = "a host cannot hold values of events";
        return Err(definition.error(message).at("url").help(example));
    }
    let mut authorities = Vec::new();
    for host in hosts.split(',') {
        let mut found = authority(definition, host)?;
        if found.port().is_none() {
            found = authority(definition, &format!("{host}:{PORT_DEFAULT}"))?;
        }
        authorities.push(found);
    }
    if authorities.len() > HOSTS_MAX {
        let message = format!("there are more than {HOSTS_MAX} hosts");
        return Err(definition.error(message).at("url"));
    }
    let brace = path.find('{').unwrap_or(path.len());
    let slash = path[..brace].rfind('/').unwrap_or(0);
    let (prefix, index) = path.split_at(slash);
    let index = index.trim_start_matches('/');
    if index.is_empty() {
        return Err(definition
            .error("the URL names no index")
            .at("url")
            .help(format!("{example}, such as logs-{{service}}-default")));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/%".contains(&b);
    if !prefix.bytes().all(plain) {
        let message = format!("the path {prefix:?} before the index holds odd characters");
        return Err(definition.error(message).at("url").help(example));
    }
    Ok((Hosts::new(authorities), prefix, index))
}

impl Shared {
    fn uri(&self, host: usize, path_and_query: &str) -> Result<Uri, hyper::http::Error> {
        Uri::builder()
            .scheme(self.scheme)
            .authority(self.hosts.get(host).clone())
            .path_and_query(path_and_query)
            .build()
    }

    /// Asks one host, and keeps account of how it is.
    async fn ask(
        &self,
        host: usize,
        method: Method,
        path: &str,
        body: Bytes,
        reply_bytes_max: usize,
    ) -> Result<Reply, Failure> {
        let odd = |error: hyper::http::Error| Failure::Lost(error.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(self.uri(host, path).map_err(odd)?);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-ndjson");
            if let Some(coding) = self.compression.coding() {
                request = request.header(CONTENT_ENCODING, coding);
            }
        }
        let request = request.body(Full::new(body)).map_err(odd)?;
        let sent = self.client.send(request, reply_bytes_max).await;
        match &sent {
            Ok(reply) if !matches!(reply.status.as_u16(), 502..=504) => self.hosts.worked(host),
            _ => self.hosts.failed(host),
        }
        sent
    }

    /// Sends a bulk request to the host whose turn it is, or the next that can
    /// be reached.
    async fn send(&self, bulk: &Bulk, body: Bytes) -> Result<(usize, Reply), SinkError> {
        let events = bulk.events();
        let reply_bytes_max = (1 << 20) + events.saturating_mul(ITEM_BYTES_MAX);
        let reply_bytes_max = reply_bytes_max.min(REPLY_BYTES_MAX);
        let mut tried = Vec::new();
        let mut error = None;
        while let Some(host) = self.hosts.pick(&tried) {
            tried.push(host);
            let (path, body) = (self.bulk.as_str(), body.clone());
            match self
                .ask(host, Method::POST, path, body, reply_bytes_max)
                .await
            {
                Ok(reply) => return Ok((host, reply)),
                Err(failure) => {
                    error = Some(self.client.failed(self.hosts.get(host), &failure));
                    if let Failure::Lost(_) = failure {
                        break;
                    }
                }
            }
        }
        Err(error.unwrap_or_else(|| SinkError::Retry {
            message: format!("{}: there is no host", self.name),
            after: None,
        }))
    }

    async fn deliver(&self, mut bulk: Bulk) -> Result<Written, SinkError> {
        let plain = std::mem::take(&mut bulk.body);
        let body = self
            .compression
            .apply(plain)
            .map_err(|e| SinkError::Retry {
                message: format!("{}: cannot compress: {e}", self.name),
                after: None,
            })?;
        let (host, reply) = self.send(&bulk, body).await?;
        let host = self.hosts.get(host);
        self.client.judge(host, &reply)?;
        if reply.end != End::Whole {
            let what = "the reply broke off, or is too long";
            return Err(self.client.retry(host, what, reply.after));
        }
        let fates = reply::read(&reply.body, bulk.events()).map_err(|garbage| {
            let what = format!("{garbage}: {}", self.client.excerpt(&reply.body));
            self.client.retry(host, &what, reply.after)
        })?;
        let tell = |why: &str| self.client.excerpt(why.as_bytes());
        conclude(&bulk, fates, tell, |why| {
            match self.client.retry(host, why, reply.after) {
                SinkError::Retry { message, after } => (message, after),
                other => (other.to_string(), None),
            }
        })
    }

    /// Whether a host answers as a version does that tflog can write to.
    async fn check(&self, host: usize) -> Result<(), SinkError> {
        let path = format!("{}/", self.prefix);
        let asked = self
            .ask(host, Method::GET, &path, Bytes::new(), 1 << 20)
            .await;
        let authority = self.hosts.get(host);
        let reply = asked.map_err(|failure| self.client.failed(authority, &failure))?;
        self.client.judge(authority, &reply)?;
        // What speaks the API need not tell a version.
        let Ok(about) = serde_json::from_slice::<About>(&reply.body) else {
            return Ok(());
        };
        let major = about.version.number.split('.').next();
        let major = major.and_then(|n| n.parse::<u64>().ok());
        if about.version.distribution.is_none() && major.is_some_and(|n| n < VERSION_MIN) {
            let number = self.client.excerpt(about.version.number.as_bytes());
            return Err(SinkError::Denied {
                message: format!(
                    "{}: {authority} is Elasticsearch {number}: write to {VERSION_MIN}.0 or newer",
                    self.name
                ),
            });
        }
        Ok(())
    }
}

/// What `GET /` says: Elasticsearch and `OpenSearch` alike, but that the latter
/// names its distribution, and counts versions from 1.
#[derive(Deserialize)]
struct About {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    distribution: Option<String>,
}

/// From the fates of all events to the result of the load.
fn conclude(
    bulk: &Bulk,
    fates: Vec<Fate>,
    tell: impl Fn(&str) -> String,
    retry: impl Fn(&str) -> (String, Option<std::time::Duration>),
) -> Result<Written, SinkError> {
    let mut partial = Partial::default();
    let (mut already_present, mut why) = (0, String::new());
    for (item, fate) in fates.into_iter().enumerate() {
        let item = item as u32;
        match fate {
            Fate::Created => {}
            Fate::Present => already_present += 1,
            Fate::Rejected(reason) => partial.rejected.push((item, tell(&reason))),
            Fate::Retry(reason) => {
                if partial.retry.is_empty() {
                    why = tell(&reason);
                }
                partial.retry.push(item);
            }
        }
    }
    let lost = |item: u32| {
        let rejected = partial
            .rejected
            .binary_search_by_key(&item, |(item, _)| *item);
        rejected.is_ok() || partial.retry.binary_search(&item).is_ok()
    };
    let written = Written {
        already_present,
        ..bulk.written(|item| !lost(item))
    };
    if partial.retry.is_empty() && partial.rejected.is_empty() {
        return Ok(written);
    }
    if !partial.retry.is_empty() {
        let what = format!("{} of {} events: {why}", partial.retry.len(), bulk.events());
        (partial.message, partial.after) = retry(&what);
    }
    if partial.retry.len() == bulk.events() {
        return Err(SinkError::Retry {
            message: partial.message,
            after: partial.after,
        });
    }
    if let (true, Some((_, why))) = (partial.message.is_empty(), partial.rejected.first()) {
        let refused = partial.rejected.len();
        partial.message = format!("{refused} of {} events refused: {why}", bulk.events());
    }
    partial.written = written;
    Err(SinkError::Partial(Box::new(partial)))
}

impl Sink for Elasticsearch {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async {
            let bulk = Bulk::encode(load, &self.shared.actions, &mut self.encoder);
            self.shared.deliver(bulk).await
        })
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency::Adaptive(self.shared.concurrency)
    }

    fn another(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(Elasticsearch {
            shared: self.shared.clone(),
            encoder: self.encoder.clone(),
        }))
    }

    /// One host that answers is enough; asks all, which tells how they are.
    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async {
            let mut result = Ok(());
            let mut reached = false;
            for host in 0..self.shared.hosts.count() {
                match self.shared.check(host).await {
                    Ok(()) => reached = true,
                    Err(error) => result = Err(error),
                }
            }
            if reached { Ok(()) } else { result }
        })
    }
}
