//! Real servers, started by the scripts of `servers/`: on a free port of
//! loopback, crashed, restarted with the same port and data, stopped on drop.
//!
//! Where a tool is missing, a test says so loudly and ends; with
//! `IT_REQUIRE_REAL=1` it fails.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::skip::skip;

/// The scripts' exit status for "cannot run here".
const SKIPPED: i32 = 77;

/// One running server.
pub(crate) struct Server {
    script: &'static str,
    environment: Vec<(&'static str, String)>,
    address: SocketAddr,
}

impl Server {
    /// Starts a server; `None` if it cannot run here and need not.
    pub(crate) fn start(
        script: &'static str,
        environment: Vec<(&'static str, String)>,
    ) -> Option<Server> {
        let address = match run(script, &["start"], &environment) {
            Ok(address) => address,
            Err(why) => {
                skip(&format!("no {script}: {}", why.trim()));
                return None;
            }
        };
        Some(Server {
            script,
            environment,
            address: parse(&address),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Crashes it; its data stays.
    pub(crate) fn kill9(&self) {
        self.call(&["kill9", &self.port()]);
    }

    /// Ends it in good order; its data stays.
    pub(crate) fn stop(&self) {
        self.call(&["stop", &self.port(), "keep"]);
    }

    /// Starts it again where it was, after [`Server::kill9`] or [`Server::stop`].
    pub(crate) fn restart(&self) {
        let address = self.call(&["start", &self.port()]);
        assert_eq!(parse(&address), self.address);
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    fn call(&self, arguments: &[&str]) -> String {
        run(self.script, arguments, &self.environment)
            .unwrap_or_else(|e| panic!("{} {arguments:?}: {e}", self.script))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = run(self.script, &["stop", &self.port()], &self.environment);
    }
}

/// What a script printed, or why it cannot run here; panics if it is broken.
fn run(script: &str, arguments: &[&str], environment: &[(&str, String)]) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/real/servers")
        .join(format!("{script}.sh"));
    let output = Command::new(&path)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{} does not run: {e}", path.display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Some(SKIPPED) => Err(stderr),
        _ => panic!("{script}.sh {arguments:?}: {}: {stderr}", output.status),
    }
}

fn parse(address: &str) -> SocketAddr {
    address
        .parse()
        .unwrap_or_else(|e| panic!("{address:?} is no address: {e}"))
}

/// A server that the tests that run at the same time share. It ends with the
/// last of them: a static would outlive the process, since statics are not
/// dropped.
pub(crate) struct Shared(Mutex<Weak<Server>>);

impl Shared {
    const fn new() -> Shared {
        Shared(Mutex::new(Weak::new()))
    }

    fn get(&self, start: impl FnOnce() -> Option<Server>) -> Option<Arc<Server>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = slot.upgrade() {
            return Some(server);
        }
        let server = Arc::new(start()?);
        *slot = Arc::downgrade(&server);
        Some(server)
    }
}

/// Apache Kafka: topics are made when first used.
pub(crate) struct Kafka;

impl Kafka {
    /// A broker of one's own, with these broker properties, one a line.
    pub(crate) fn start(properties: &str) -> Option<Server> {
        Server::start("kafka", vec![("KAFKA_EXTRA", properties.to_owned())])
    }

    /// The broker for tests that leave it as it is.
    pub(crate) fn shared() -> Option<Arc<Server>> {
        static SHARED: Shared = Shared::new();
        SHARED.get(|| Kafka::start(""))
    }
}

/// An `OpenSearch` node.
pub(crate) struct OpenSearch;

impl OpenSearch {
    /// A node of one's own.
    pub(crate) fn start() -> Option<Server> {
        Server::start("opensearch", Vec::new())
    }

    /// The node for tests that leave it as it is.
    pub(crate) fn shared() -> Option<Arc<Server>> {
        static SHARED: Shared = Shared::new();
        SHARED.get(OpenSearch::start)
    }
}

/// Elasticsearch.
pub(crate) struct Elasticsearch;

impl Elasticsearch {
    /// A node of one's own.
    pub(crate) fn start() -> Option<Server> {
        Server::start("elasticsearch", Vec::new())
    }
}

/// A `VictoriaLogs` server.
pub(crate) struct VictoriaLogs;

impl VictoriaLogs {
    /// A server of one's own.
    pub(crate) fn start() -> Option<Server> {
        Server::start("victorialogs", Vec::new())
    }
}
