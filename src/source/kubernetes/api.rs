//! The cluster's API as far as pods need it: lists and watches of metadata.
//!
//! kube-rs knows how a pod finds the API, its certificate authority and its
//! token, which the kubelet renews; it makes the requests and knows what
//! answers hold. Reading answers is done here, since hers has no bounds: what
//! comes is as long as the far end likes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode, Uri};
use kube::client::Body;
use kube::core::params::{ListParams, WatchParams};
use kube::core::request::Request as Requests;
use kube::core::{ListMeta, ObjectMeta, WatchEvent};
use kube::{Client, Config};
use memchr::memchr;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Pods in one answer to a list.
const PAGE_PODS: u32 = 100;
/// One answer to a list: so many pods with 160 KiB each.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// One event of a watch: no object in a cluster's store is larger than 1.5 MiB.
const EVENT_BYTES_MAX: usize = 2 << 20;
/// What an error's answer is read of.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// How long an answer may take: as long as for any other request of tflog's.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a watch lasts, by our wish: kube-rs's usual.
const WATCH_SECS: u32 = 290;
/// When a watch has ended, whether or not the far end says so.
const WATCH_MAX: Duration = Duration::from_secs(WATCH_SECS as u64 + 20);
/// As long as anybody can be asked to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// What was asked for is too old to be told: only a list helps.
    #[error("the version is too old (410)")]
    Gone,
    /// The answer is longer than is good.
    #[error("the answer is longer than {0} bytes")]
    Long(usize),
    /// Anything else.
    #[error("{message}")]
    Failed {
        /// What was wrong, and what to do.
        message: String,
        /// How long the far end wants to be left alone.
        pause: Option<Duration>,
    },
}

fn failed(message: impl std::fmt::Display) -> ApiError {
    ApiError::Failed {
        message: message.to_string(),
        pause: None,
    }
}

/// A pod, of which only the metadata is asked for.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pod {
    /// All that there is of it.
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
}

/// An answer to a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// Its version, and how it goes on.
    #[serde(default)]
    pub(super) metadata: ListMeta,
    #[serde(default)]
    pub(super) items: Vec<Pod>,
}

/// Where the API is, and as whom it is asked.
pub(super) struct Access(Config);

impl Access {
    /// Whether `address` is one.
    pub(super) fn check(address: &str) -> Result<Uri, String> {
        let uri: Uri = address
            .parse()
            .map_err(|_| format!("{address:?} is no URL"))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        is_http
            .then_some(uri)
            .ok_or_else(|| format!("{address:?} is not http://HOST:PORT"))
    }

    /// The API at `address`, without credentials, or the cluster's, as the pod's
    /// service account.
    pub(super) fn of(address: Option<&str>) -> Result<Access, String> {
        let mut config = match address {
            Some(address) => Config::new(Access::check(address)?),
            None => Config::incluster().map_err(|error| {
                format!(
                    "cannot ask the cluster's API: {error}; run tflog in a pod whose service \
                     account's token is mounted, or set `api`"
                )
            })?,
        };
        // How often and when is decided here.
        config.default_retry = false;
        config.connect_timeout = Some(ANSWER);
        Ok(Access(config))
    }
}

/// The pods of one node.
pub(super) struct Api {
    client: Client,
    requests: Requests,
    selector: String,
}

impl Api {
    /// Asks by `access` for the pods of `node`; on the runtime.
    pub(super) fn new(access: Access, node: &str) -> Result<Api, String> {
        let client = Client::try_from(access.0).map_err(|error| error.to_string())?;
        Ok(Api {
            client,
            requests: Requests::new("/api/v1/pods"),
            selector: format!("spec.nodeName={node}"),
        })
    }

    /// Some of the pods: those that go on from `page`. The first page may be a
    /// little old, and may be all there is, unless it must be `fresh`.
    pub(super) async fn list(&self, page: Option<&str>, fresh: bool) -> Result<Page, ApiError> {
        let params = ListParams::default().fields(&self.selector);
        let params = match page {
            Some(token) => params.limit(PAGE_PODS).continue_token(token),
            None if fresh => params.limit(PAGE_PODS),
            // From the server's memory, not from its store: thousands of nodes
            // may start at once. That gives out all or nothing.
            None => params.match_any(),
        };
        let request = self.requests.list_metadata(&params).map_err(failed)?;
        let read = async {
            let response = self.send(request).await?;
            let body = collect(response.into_body(), PAGE_BYTES_MAX).await?;
            decode(&body)
        };
        let read = timeout(ANSWER, read).await;
        read.unwrap_or_else(|_| Err(failed(format!("no answer within {ANSWER:?}"))))
    }

    /// What happens to the pods after `version`.
    pub(super) async fn watch(&self, version: &str) -> Result<Events, ApiError> {
        let params = WatchParams::default()
            .fields(&self.selector)
            .timeout(WATCH_SECS);
        let request = self.requests.watch_metadata(&params, version);
        let sent = timeout(ANSWER, self.send(request.map_err(failed)?)).await;
        let response = sent.map_err(|_| failed(format!("no answer within {ANSWER:?}")))??;
        Ok(Events {
            body: response.into_body(),
            text: Vec::new(),
            searched: 0,
            until: tokio::time::Instant::now() + WATCH_MAX,
        })
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, ApiError> {
        let response = self.client.send(request.map(Body::from)).await;
        let response = response.map_err(|error| failed(causes(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::GONE {
            return Err(ApiError::Gone);
        }
        let pause = response.headers().get(hyper::header::RETRY_AFTER);
        let pause = pause.and_then(|value| value.to_str().ok()?.parse().ok());
        let pause = pause.map(|secs| Duration::from_secs(secs).min(RETRY_AFTER_MAX));
        let remedy = match status.as_u16() {
            401 => "; is the service account's token mounted?",
            403 => "; may the service account list and watch pods?",
            _ => "",
        };
        let said = collect(response.into_body(), ERROR_BYTES_MAX);
        let said = timeout(ANSWER, said).await.ok().and_then(Result::ok);
        let said = said.and_then(|body| serde_json::from_slice::<Status>(&body).ok());
        let said = said.map_or_else(String::new, |status| format!(": {}", status.message));
        let message = format!("answers {status}{said}{remedy}");
        Err(ApiError::Failed { message, pause })
    }
}

/// What an API says of a failure.
#[derive(Deserialize)]
struct Status {
    message: String,
}

/// An error with what is behind it: the first alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A whole body, if it is no longer than that.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    while let Some(bytes) = next(&mut body).await? {
        if text.len() + bytes.len() > bytes_max {
            return Err(ApiError::Long(bytes_max));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text)
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(causes(&error)))?;
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(text).map_err(|error| failed(format!("does not make sense: {error}")))
}

/// The events of a watch, a line each.
pub(super) struct Events {
    body: Body,
    text: Vec<u8>,
    /// So many bytes of `text` have no newline.
    searched: usize,
    until: tokio::time::Instant,
}

impl Events {
    /// The next one; none once the watch is over.
    pub(super) async fn next(&mut self) -> Result<Option<WatchEvent<Pod>>, ApiError> {
        loop {
            while let Some(end) = memchr(b'\n', &self.text[self.searched..]) {
                let end = self.searched + end;
                self.searched = 0;
                let line: Vec<u8> = self.text.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return match decode(&line)? {
                    WatchEvent::Error(status) if status.code == 410 => Err(ApiError::Gone),
                    WatchEvent::Error(status) => Err(failed(&status.message)),
                    event => Ok(Some(event)),
                };
            }
            self.searched = self.text.len();
            if self.searched > EVENT_BYTES_MAX {
                return Err(ApiError::Long(EVENT_BYTES_MAX));
            }
            match tokio::time::timeout_at(self.until, next(&mut self.body)).await {
                Ok(Ok(Some(bytes))) => self.text.extend_from_slice(&bytes),
                // It is over, be it in the middle of an event, which comes again.
                Ok(Ok(None)) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}
