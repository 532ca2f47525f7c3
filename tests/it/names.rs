//! Far ends by name: one that nobody knows yet is asked for again, and one that
//! has moved is found where it is now. The whole pipeline under a paused clock.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tflog::component::Definition;
use tflog::event::{Needs, Timestamp};
use tflog::pipeline::Pipeline;
use tflog::seam::{Address, Connection, Listener, MemoryNetwork, Network, NetworkFuture, World};
use tflog::sink::encode::{Encoder, Options};
use tflog::sink::{Sink, http, tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::accounting::{Lines, plan};

/// A network whose names the test gives.
#[derive(Clone, Default)]
struct Named {
    names: Arc<Mutex<HashMap<String, String>>>,
    inner: MemoryNetwork,
}

impl Named {
    fn name(&self, name: &str, address: &str) {
        let mut names = self.names.lock().unwrap();
        names.insert(name.to_owned(), address.to_owned());
    }
}

impl Network for Named {
    fn bind<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Listener>> {
        self.inner.bind(address)
    }

    fn connect<'a>(&'a self, address: &'a Address) -> NetworkFuture<'a, Box<dyn Connection>> {
        Box::pin(async move {
            let found = self
                .names
                .lock()
                .unwrap()
                .get(&address.to_string())
                .cloned();
            let found = found.ok_or_else(|| io::Error::other("the name is not known"))?;
            self.inner.connect(&Address::Tcp(found)).await
        })
    }
}

type Got = Arc<Mutex<Vec<u8>>>;

/// Takes what comes at `address`: requests, each on a connection of its own, or
/// bare lines.
async fn far_end(network: Named, address: &'static str, requests: bool, got: Got) {
    let address = Address::Tcp(address.to_owned());
    let mut listener = network.bind(&address).await.unwrap();
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        let mut taken = 0;
        while connection.read_buf(&mut all).await.unwrap_or(0) > 0 {
            if !requests {
                got.lock().unwrap().extend_from_slice(&all[taken..]);
                taken = all.len();
            } else if let Some(body) = body(&all) {
                got.lock().unwrap().extend_from_slice(body);
                let reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(reply).await.unwrap();
                break;
            }
        }
    }
}

/// The body of a request, once it is whole.
fn body(request: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(request).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let length: usize = length.expect("a length").parse().unwrap();
    (body.len() == length).then_some(body.as_bytes())
}

async fn moves(scheme: &str, requests: bool) {
    let network = Named::default();
    let mut world = World::simulated(Timestamp(0), 7);
    world.network = Arc::new(network.clone());
    let options = if requests {
        json!({ "format": "text" })
    } else {
        json!({})
    };
    let definition = Definition {
        name: "out".into(),
        scheme: scheme.to_owned(),
        tls: false,
        target: "far:80".to_owned(),
        options: serde_json::from_value(options).unwrap(),
    };
    let needs = &mut Needs::default();
    let raw = Encoder::build("raw", Options::default(), needs).unwrap();
    let sink: Box<dyn Sink> = if requests {
        Box::new(http::build(&definition, raw, &world, needs).unwrap())
    } else {
        Box::new(tcp::build(&definition, raw, &world, needs).unwrap())
    };
    let mut plan = plan(
        Lines { batches: 60 },
        crate::accounting::Recorder::default(),
    );
    plan.sinks[0].sink = sink;
    let (here, there) = (Got::default(), Got::default());
    let moving = {
        let (network, here, there) = (network.clone(), here.clone(), there.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(10_500)).await;
            network.name("far:80", "10.0.0.1:80");
            let first = tokio::spawn(far_end(
                network.clone(),
                "10.0.0.1:80",
                requests,
                here.clone(),
            ));
            // Longer than any pause: it has come by then.
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(!here.lock().unwrap().is_empty(), "asked for again");
            first.abort();
            network.name("far:80", "10.0.0.2:80");
            far_end(network, "10.0.0.2:80", requests, there).await;
        }
    };
    let moving = tokio::spawn(moving);
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let report = pipeline.finish().await;
    // What was handed over on a connection is read within moments.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!moving.is_finished(), "both far ends did well");
    moving.abort();
    assert_eq!(report.failures, [""; 0]);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    assert_eq!(report.snapshot.sources[0].accepted, 180);
    assert!(report.snapshot.sinks[0].retries > 0);
    assert!(!there.lock().unwrap().is_empty(), "found again");
    let all = [&here.lock().unwrap()[..], &there.lock().unwrap()[..]].concat();
    let lines = all.split_inclusive(|&b| b == b'\n').count();
    assert_eq!(lines, 180, "each once");
}

#[tokio::test(start_paused = true)]
async fn an_http_server_is_found_by_name_wherever_it_is() {
    moves("http", true).await;
}

#[tokio::test(start_paused = true)]
async fn a_tcp_server_is_found_by_name_wherever_it_is() {
    moves("tcp", false).await;
}
