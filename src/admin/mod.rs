//! tflog's own HTTP listener: health, readiness, metrics.
//!
//! - `GET /health`: 200 while the process lives.
//! - `GET /health/ready`: 200 if tflog can take events and every required
//!   sink's service is within reach, else 503 with the reasons as JSON;
//!   `?accept` asks only for the first half (for probes).
//! - `GET /metrics`: Prometheus text, one snapshot of the ledger.
//!
//! Sources without a listener of their own take events here too.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use crate::pipeline::Monitor;
use crate::seam::{Address, Listener, World};
use crate::source::http::tls::{self, Tls};
use crate::source::http::{self, CONNECTIONS, CONNECTIONS_PER_PEER, Handler, IDLE, Server};

/// How it serves.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The certificate to show.
    pub tls: Option<tls::Config>,
    /// Connections of one peer at a time; further ones are closed.
    pub connections_per_peer: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tls: None,
            connections_per_peer: CONNECTIONS_PER_PEER,
        }
    }
}

/// A bound listener that does not answer yet.
pub struct Admin {
    listener: Box<dyn Listener>,
    tls: Option<Arc<Tls>>,
    connections_per_peer: usize,
    world: World,
}

impl Admin {
    /// Binds `address`, so that a taken port fails before anything is accepted.
    pub async fn bind(address: &str, options: Options, world: &World) -> Result<Admin, String> {
        let tls = options.tls.map(Tls::load).transpose();
        let tls = tls.map_err(|fault| format!("http.{}: {fault}", fault.key))?;
        let bound = world.network.bind(&Address::Tcp(address.to_owned())).await;
        let listener = bound.map_err(|error| {
            format!("http: cannot listen on {address}: {error} (choose another with --http, or `--http none`)")
        })?;
        let world = world.clone();
        Ok(Admin {
            listener,
            tls: tls.map(Arc::new),
            connections_per_peer: options.connections_per_peer,
            world,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        self.listener.local_address()
    }

    /// Answers until `closing` turns true, for itself and for the sources that
    /// take events here; then ends the connections.
    pub async fn serve(self, monitor: Arc<Monitor>, closing: watch::Receiver<bool>) {
        let server = Server {
            label: "http".to_owned(),
            connections: CONNECTIONS,
            connections_per_peer: self.connections_per_peer,
            idle: IDLE,
            tls: self.tls,
        };
        let router = TowerToHyperService::new(router(monitor.clone()));
        let pages = Arc::new(Pages { router, monitor });
        server
            .serve(self.listener, pages, self.world.spawn, closing)
            .await;
    }
}

/// What is served, by path.
struct Pages {
    router: TowerToHyperService<Router>,
    /// Knows the sources that take events here.
    monitor: Arc<Monitor>,
}

impl Handler for Pages {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, peer: &Arc<str>) -> Response {
        let path = request.uri().path();
        let roster = self.monitor.roster();
        if let Some(mount) = roster.mounts.iter().find(|mount| mount.takes(path)) {
            return mount.answer(request, peer).await.map(Body::new);
        }
        match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn refused(&self) {
        self.monitor.count_refused();
    }
}

fn router(monitor: Arc<Monitor>) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || http::not_found().map(Body::new))
        .with_state(monitor)
}

async fn ready(State(monitor): State<Arc<Monitor>>, RawQuery(query): RawQuery) -> Response {
    let accept_only = query.is_some_and(|q| {
        q.split('&')
            .any(|p| p == "accept" || p.starts_with("accept="))
    });
    let reasons = if accept_only {
        monitor.accepts()
    } else {
        monitor.ready().await
    };
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, Json(body)).into_response()
}

async fn metrics(State(monitor): State<Arc<Monitor>>) -> impl IntoResponse {
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (format, monitor.metrics())
}
