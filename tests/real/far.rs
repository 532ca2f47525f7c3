//! The far ends of sinks over HTTP, scripted: what they mean by yes, and what
//! they have received.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::harness::free_address;
use crate::oracle::{Received, name};
use crate::scripted::{Gate, Keep, Reply, Request, Scripted};

/// The sinks under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `http://`: NDJSON.
    Http,
    /// `elasticsearch://`: bulk, to a fixed index.
    Bulk,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Http, Kind::Bulk];

    /// The sink's URL.
    pub(crate) fn url(self, address: SocketAddr) -> String {
        match self {
            Kind::Http => format!("http://{address}/in"),
            Kind::Bulk => format!("elasticsearch://{address}/events"),
        }
    }

    /// A config with one such sink, `out`, with dead letters in a file.
    pub(crate) fn config(self, address: SocketAddr, options: &str) -> String {
        format!(
            "sources: {{ net: 'tcp://INPUT' }}\n\
             sinks:\n  \
               out: {{ url: '{}', dead_letter: dead, {options} }}\n  \
               dead: file://DIR/dead.jsonl\n",
            self.url(address)
        )
    }
}

/// One document of a bulk request, or one event of any other.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// `create` or `index`; empty if not of a bulk request.
    pub(crate) action: String,
    /// Its document id, if it was given one.
    pub(crate) id: Option<String>,
    /// The event.
    pub(crate) event: Value,
}

impl Item {
    /// Whether it is this event.
    pub(crate) fn is(&self, producer: &str, number: u64) -> bool {
        name(&self.event).is_ok_and(|(p, n)| p == producer && n == number)
    }

    /// The event's number.
    pub(crate) fn number(&self) -> u64 {
        name(&self.event).map_or(u64::MAX, |(_, number)| number)
    }
}

/// A request with events.
pub(crate) struct Call<'a> {
    /// How many there were before.
    pub(crate) number: usize,
    pub(crate) items: &'a [Item],
    pub(crate) request: &'a Request,
}

/// What the far end does with it.
pub(crate) enum Verdict {
    /// Takes all of it and says so.
    Accept,
    /// Takes all of it, and says so when the gate opens.
    AcceptLater(Gate),
    /// Takes all of it, but this is what the client hears.
    Lose(Reply),
    /// Takes nothing.
    Refuse(Reply),
    /// Takes the items of a bulk request with a status below 300; those with 409
    /// it has had from somebody.
    Items(Vec<u16>),
}

#[derive(Default)]
struct State {
    received: Received,
    ids: HashSet<String>,
    calls: usize,
}

/// A scripted far end, up or down.
pub(crate) struct Far {
    address: SocketAddr,
    server: Option<Scripted>,
    handler: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
    state: Arc<Mutex<State>>,
}

impl Far {
    /// Starts one at an address of its own.
    pub(crate) fn start(kind: Kind, script: impl FnMut(&Call) -> Verdict + Send + 'static) -> Far {
        let state = Arc::new(Mutex::new(State::default()));
        let script = Mutex::new(script);
        let kept = state.clone();
        let mut far = Far {
            address: free_address(),
            server: None,
            handler: Arc::new(move |request| {
                let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
                handle(kind, request, &kept, &mut *script)
            }),
            state,
        };
        far.up();
        far
    }

    /// Starts listening, where it did before.
    pub(crate) fn up(&mut self) {
        let handler = self.handler.clone();
        let script = move |request: &Request| handler(request);
        self.server = Some(Scripted::start_at(self.address, Keep::Everything, script));
    }

    /// Closes its port and all connections; what it has received stays.
    pub(crate) fn down(&mut self) {
        self.server = None;
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests with events since it came up. Panics if one was malformed.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = self.server.as_ref().expect("it is up").requests();
        requests.retain(|request| request.method == "POST" && !request.body.is_empty());
        requests
    }

    /// What it has taken so far.
    pub(crate) fn received(&self) -> Received {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .received
            .clone()
    }

    /// Requests with events so far.
    pub(crate) fn calls(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
    }
}

fn handle(
    kind: Kind,
    request: &Request,
    state: &Mutex<State>,
    script: &mut impl FnMut(&Call) -> Verdict,
) -> Reply {
    let is_bulk = request
        .path
        .split('?')
        .next()
        .is_some_and(|p| p.ends_with("/_bulk"));
    let items = match kind {
        _ if request.method == "HEAD" => return Reply::status(200),
        Kind::Bulk if !is_bulk => return greeting(),
        _ if request.body.is_empty() => return greeting(),
        Kind::Http => events(&request.body),
        Kind::Bulk => bulk_items(&request.body),
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let call = Call {
        number: state.calls,
        items: &items,
        request,
    };
    state.calls += 1;
    match script(&call) {
        Verdict::Accept => state.accept(kind, &items),
        Verdict::AcceptLater(gate) => Reply::After(gate, Box::new(state.accept(kind, &items))),
        Verdict::Lose(reply) => {
            state.accept(kind, &items);
            reply
        }
        Verdict::Refuse(reply) => reply,
        Verdict::Items(statuses) => state.accept_some(&items, statuses),
    }
}

impl State {
    fn accept(&mut self, kind: Kind, items: &[Item]) -> Reply {
        if kind == Kind::Bulk {
            return self.accept_some(items, vec![201; items.len()]);
        }
        items
            .iter()
            .for_each(|item| self.received.take(&item.event));
        Reply::status(204)
    }

    /// As Elasticsearch does: a document that is there already is a conflict.
    fn accept_some(&mut self, items: &[Item], mut statuses: Vec<u16>) -> Reply {
        for (item, status) in items.iter().zip(&mut statuses) {
            if *status >= 300 && *status != 409 {
                continue;
            }
            let is_new = item.id.clone().is_none_or(|id| self.ids.insert(id));
            if is_new {
                self.received.take(&item.event);
            } else if item.action == "create" {
                *status = 409;
            }
        }
        bulk_reply(items, &statuses)
    }
}

/// What Elasticsearch says of itself.
fn greeting() -> Reply {
    let about = json!({
        "name": "n1", "cluster_name": "scripted",
        "version": { "number": "8.19.0", "build_flavor": "default" },
        "acknowledged": true,
    });
    Reply::json(200, about.to_string()).with("X-elastic-product", "Elasticsearch")
}

fn events(body: &[u8]) -> Vec<Item> {
    let text = std::str::from_utf8(body).expect("JSON is UTF-8");
    let items = text.lines().map(|line| Item {
        action: String::new(),
        id: None,
        event: serde_json::from_str(line).expect("a line is JSON"),
    });
    items.collect()
}

/// The documents of a bulk request.
pub(crate) fn bulk_items(body: &[u8]) -> Vec<Item> {
    let text = std::str::from_utf8(body).expect("JSON is UTF-8");
    assert!(text.ends_with('\n'), "a bulk request ends in a newline");
    let mut lines = text.lines();
    let mut items = Vec::new();
    while let Some(head) = lines.next() {
        let head: Value = serde_json::from_str(head).expect("an action is JSON");
        let (action, about) = head.as_object().unwrap().iter().next().expect("an action");
        let event = lines.next().expect("a document after its action");
        items.push(Item {
            action: action.clone(),
            id: about["_id"].as_str().map(str::to_owned),
            event: serde_json::from_str(event).expect("a document is JSON"),
        });
    }
    items
}

fn bulk_reply(items: &[Item], statuses: &[u16]) -> Reply {
    let results = items.iter().zip(statuses).map(|(item, &status)| {
        let mut result = json!({ "_index": "events", "_id": item.id, "status": status });
        if status >= 300 {
            let kind = match status {
                409 => "version_conflict_engine_exception",
                429 => "es_rejected_execution_exception",
                400 => "mapper_parsing_exception",
                _ => "exception",
            };
            result["error"] =
                json!({ "type": kind, "reason": format!("as the script says: {status}") });
        }
        json!({ item.action.as_str(): result })
    });
    let results: Vec<Value> = results.collect();
    let errors = statuses.iter().any(|&status| status >= 300);
    Reply::json(
        200,
        json!({ "took": 1, "errors": errors, "items": results }).to_string(),
    )
    .with("X-elastic-product", "Elasticsearch")
}
