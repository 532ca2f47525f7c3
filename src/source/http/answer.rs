//! What a client is told: how many events were kept, or a problem (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

/// A whole response.
pub type Reply = Response<Full<Bytes>>;

/// After this, a refused request is worth sending again.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Why a request was not taken, or may not have been.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    detail: Cow<'static, str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Problem {
        let detail = detail.into();
        Problem { status, detail }
    }

    pub(super) fn not_found() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "nothing is served at this path")
    }

    pub(super) fn method() -> Problem {
        let detail = "events are sent with POST";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn unauthorized() -> Problem {
        let detail = "send the source's token as `Authorization: Bearer TOKEN`";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn too_large(what: &str, max: u64) -> Problem {
        let detail = format!("the body has more than {max} bytes{what}: send it in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn too_slow(detail: &'static str) -> Problem {
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
    }

    pub(super) fn full(detail: &'static str) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    pub(super) fn unavailable(detail: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub(super) fn reply(&self) -> Reply {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut reply = reply(self.status, "application/problem+json", body.to_string());
        let headers = reply.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(REFUSED_PAUSE.as_secs()));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer");
                headers.insert(WWW_AUTHENTICATE, scheme);
            }
            _ => {}
        }
        reply
    }
}

/// Every event of the request is where it was to go.
pub(super) fn kept(events: u64) -> Reply {
    let body = format!("{{\"accepted\":{events}}}");
    reply(StatusCode::OK, "application/json", body)
}

/// Says that the connection is not used again; HTTP/1 only.
pub(super) fn close(reply: &mut Reply) {
    let close = HeaderValue::from_static("close");
    reply.headers_mut().insert(CONNECTION, close);
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
