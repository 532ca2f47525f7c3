//! A scripted watch API: an HTTP server on loopback that stands for a cluster's,
//! and does as the test says. Requests come to the test one by one, and it
//! answers each, or does not.
//!
//! Written by hand, since a library would refuse to misbehave.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The server. While it is there, connections are taken.
pub(super) struct ScriptedApi {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<Request>,
    task: JoinHandle<()>,
}

/// A request that waits for an answer.
pub(super) struct Request {
    /// Its path and query.
    pub(super) target: String,
    pub(super) head: String,
    socket: TcpStream,
}

/// An answer that goes on.
pub(super) struct Watch {
    socket: TcpStream,
}

impl ScriptedApi {
    pub(super) async fn start() -> ScriptedApi {
        ScriptedApi::at(([127, 0, 0, 1], 0).into()).await
    }

    /// At an address where one has been before.
    pub(super) async fn at(address: SocketAddr) -> ScriptedApi {
        let listener = TcpListener::bind(address).await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::channel(16);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    if let Some(request) = read(socket).await {
                        // The test may have ended.
                        let _ = sender.send(request).await;
                    }
                });
            }
        });
        ScriptedApi {
            address,
            requests,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Request {
        self.requests.recv().await.expect("the server runs")
    }

    /// The next request, which must be a list.
    pub(super) async fn list(&mut self) -> Request {
        let request = self.next().await;
        assert!(!request.target.contains("watch=true"), "{}", request.target);
        request
    }

    /// The next request, which must be a watch that begins at `version`.
    pub(super) async fn watch(&mut self, version: &str) -> Request {
        let request = self.next().await;
        let expected = format!("resourceVersion={version}");
        let is_so = request.target.contains("watch=true") && request.target.contains(&expected);
        assert!(is_so, "{} at {version}", request.target);
        request
    }

    /// Takes no connections any more.
    pub(super) async fn stop(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

async fn read(mut socket: TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 1 << 16 || socket.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    Some(Request {
        target,
        head,
        socket,
    })
}

impl Request {
    /// Answers with a status and a body.
    pub(super) async fn answer(self, status: u16, headers: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
            body.len()
        );
        self.raw((head + body).as_bytes()).await;
    }

    /// Answers with these pods, as of `version`, and how the list goes on.
    pub(super) async fn pods(self, version: &str, more: &str, pods: &[Value]) {
        let body = json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": version, "continue": more },
            "items": pods,
        });
        self.answer(200, "Content-Type: application/json\r\n", &body.to_string())
            .await;
    }

    /// Answers with these bytes, and closes.
    pub(super) async fn raw(mut self, bytes: &[u8]) {
        // The client may have gone.
        let _ = self.socket.write_all(bytes).await;
        let _ = self.socket.shutdown().await;
    }

    /// Begins to answer with events.
    pub(super) async fn begin(self) -> Watch {
        self.begin_as(200).await
    }

    /// The same, with this status.
    pub(super) async fn begin_as(mut self, status: u16) -> Watch {
        let head = format!(
            "HTTP/1.1 {status} So\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        self.socket.write_all(head.as_bytes()).await.expect("sent");
        Watch {
            socket: self.socket,
        }
    }
}

impl Watch {
    /// An event.
    pub(super) async fn event(&mut self, kind: &str, object: &Value) {
        let event = json!({ "type": kind, "object": object });
        assert!(self.text(format!("{event}\n").as_bytes()).await, "gone");
    }

    /// A bookmark.
    pub(super) async fn bookmark(&mut self, version: &str) {
        let object = json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": version, "creationTimestamp": null },
        });
        self.event("BOOKMARK", &object).await;
    }

    /// A chunk of text; false if the client has gone.
    pub(super) async fn text(&mut self, text: &[u8]) -> bool {
        let mut chunk = format!("{:x}\r\n", text.len()).into_bytes();
        chunk.extend_from_slice(text);
        chunk.extend_from_slice(b"\r\n");
        self.socket.write_all(&chunk).await.is_ok()
    }

    /// Ends it well; when it is dropped, it is cut off.
    pub(super) async fn end(mut self) {
        let _ = self.socket.write_all(b"0\r\n\r\n").await;
        let _ = self.socket.shutdown().await;
    }

    /// Waits until the client has gone.
    pub(super) async fn gone(mut self) {
        let mut byte = [0];
        while self.socket.read(&mut byte).await.is_ok_and(|n| n > 0) {}
    }
}

/// A pod's metadata as the API sends it.
#[allow(clippy::needless_pass_by_value, reason = "made where it is given")]
pub(super) fn pod(uid: &str, version: &str, labels: Value, annotations: Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": format!("pod-{uid}"),
            "namespace": "default",
            "uid": uid,
            "resourceVersion": version,
            "creationTimestamp": "2026-11-23T13:32:42Z",
            "labels": labels,
            "annotations": annotations,
            "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:x": {} } }],
        },
    })
}
