//! tflog's own HTTP listener: health, readiness, metrics.
//!
//! - `GET /health`: 200 while the process lives.
//! - `GET /health/ready`: 200 if tflog can take events and every required
//!   sink's service is within reach, else 503 with the reasons as JSON;
//!   `?accept` asks only for the first half (for probes).
//! - `GET /metrics`: Prometheus text, one snapshot of the ledger.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::pipeline::Monitor;

/// A bound listener that does not answer yet.
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Binds `address`, so that a taken port fails before anything is accepted.
    pub async fn bind(address: &str) -> Result<Admin, String> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!("http: cannot listen on {address}: {error} (choose another with --http, or `--http none`)")
        })?;
        Ok(Admin { listener })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the process ends.
    pub async fn serve(self, monitor: Arc<Monitor>) {
        if let Err(error) = axum::serve(self.listener, router(monitor)).await {
            tracing::error!("http: the listener failed: {error}");
        }
    }
}

fn router(monitor: Arc<Monitor>) -> Router {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
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
