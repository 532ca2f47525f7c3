//! `http://host:port` and `http`: events that clients push over HTTP.
//!
//! `POST /` and `POST /ingest` take lines, NDJSON, and JSON as an array or as
//! values one after the other; gzip, deflate or zstd. `http` alone is served by
//! tflog's own listener, by way of a [`Mount`].
//!
//! A client hears 200 only once every event of its request is where it was to
//! go, or in the dead letters. 429 says that nothing of the request was taken;
//! after any other answer, or none, events may have been: a client that sends
//! the request again with the same `Idempotency-Key` gives them the same ids.
//!
//! Streams carry `peer`, the client's address. `http+tls://` encrypts; on
//! tflog's own listener, that is the listener's.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::{Notice, Outlet, Source, SourceError, SourceFuture, Stop};
use crate::component::{BuildError, ByteSize, Definition, Period};
use crate::frame::multiline::Multiline;
use crate::frame::{self, Framing, Oversize};
use crate::seam::{Address, Listener, World};

mod answer;
mod awaited;
mod body;
mod decode;
mod intake;
mod server;
pub mod tls;
mod values;

#[cfg(test)]
mod tests;

use answer::Problem;
pub use answer::Reply;
use intake::{Intake, Limits, Phase, Running};
pub use server::{CONNECTIONS, CONNECTIONS_PER_PEER, Handler, IDLE, Server};

/// Paths that take events unless configured.
const PATHS: [&str; 2] = ["/", "/ingest"];
/// Paths of tflog's own listener that are its own.
const OWN: [&str; 4] = ["/health", "/metrics", "/openapi.json", "/v1"];
/// What `token` says where none is wanted.
const NO_TOKEN: &str = "none";
/// Most connections that may be configured: what a process can have open.
const CONNECTIONS_MAX: usize = 1 << 20;
/// The largest body that may be configured; sizes of chunks are 32-bit.
const BODY_MAX: u64 = 1 << 30;
/// How much longer than it may read a stopping source waits for its answers to
/// be written.
const STOP_TIME: Duration = Duration::from_secs(2);

/// Its options.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The path that takes events; `/` and `/ingest` if not given.
    pub path: Option<String>,
    /// What clients must send as `Authorization: Bearer`; `none` lets anybody
    /// send. Required beyond loopback.
    pub token: Option<String>,
    /// The longest line; 1 MiB if not given.
    pub line_max: Option<ByteSize>,
    /// What happens to longer lines.
    pub oversize: Oversize,
    /// Which lines of a body are parts of the event before them.
    pub multiline: Multiline,
    /// The largest body, as sent.
    pub body_max: ByteSize,
    /// The largest body, decompressed.
    pub decompressed_max: ByteSize,
    /// What may be read and not yet settled.
    pub window: ByteSize,
    /// Connections at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Connections of one peer at a time; further ones are closed.
    pub connections_per_peer: usize,
    /// Silence after which a request, or a connection without one, is cut.
    pub idle: Period,
    /// How long the confirmation of a request's events may take.
    pub ack_timeout: Period,
    /// The certificate to show, with `http+tls://`.
    pub tls: Option<tls::Config>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            path: None,
            token: None,
            line_max: None,
            oversize: Oversize::Truncate,
            multiline: Multiline::Off,
            body_max: ByteSize(10 << 20),
            decompressed_max: ByteSize(64 << 20),
            window: super::WINDOW,
            connections_max: CONNECTIONS,
            connections_per_peer: CONNECTIONS_PER_PEER,
            idle: Period(IDLE),
            ack_timeout: Period(Duration::from_secs(8)),
            tls: None,
        }
    }
}

/// Events over HTTP.
pub struct Http {
    intake: Arc<Intake>,
    /// None: tflog's own listener serves it.
    own: Option<Own>,
}

/// A listener of the source's own.
struct Own {
    address: Address,
    server: Server,
    world: World,
    listener: Option<Box<dyn Listener>>,
}

impl Http {
    /// Its scheme.
    pub const NAME: &str = "http";

    /// Builds from `http`, or `http://host:port/path`, where host and path may
    /// be left out: 127.0.0.1, and `/` and `/ingest`.
    pub fn build(definition: &Definition, world: &World) -> Result<Http, BuildError> {
        let mut config: Config = definition.decode()?;
        let target = Target::of(definition)?;
        if let Some(path) = target.path {
            if config.path.is_some() {
                let error = definition.error("the path is also in the URL");
                return Err(error.at("path").help("keep one of them"));
            }
            config.path = Some(path);
        }
        check(definition, &config)?;
        let tls = encryption(definition, target.address.as_deref(), config.tls.take())?;
        let asked = tls.as_ref().is_some_and(|tls| tls.asks_clients());
        let open = config.token.is_none() && !asked;
        if open && target.address.as_deref().is_some_and(|a| !is_loopback(a)) {
            return Err(unguarded(definition));
        }
        if target.address.is_none() && config.path.as_deref().is_some_and(is_own) {
            let message = "the path is taken by tflog's own listener";
            return Err(definition.error(message).at("path").help("choose another"));
        }
        let limits = limits(definition, &config)?;
        let paths = match config.path {
            Some(path) => vec![path.into()],
            None => PATHS.map(Into::into).to_vec(),
        };
        let guarded = config.token.is_some();
        let token = config.token.filter(|token| token != NO_TOKEN);
        let own = target.address.map(|address| Own {
            server: Server {
                label: format!("{}: {address}", definition.name),
                connections: config.connections_max,
                connections_per_peer: config.connections_per_peer,
                idle: config.idle.0,
                tls,
            },
            address: Address::Tcp(address),
            world: world.clone(),
            listener: None,
        });
        Ok(Http {
            intake: Arc::new(Intake {
                name: definition.name.clone(),
                paths,
                guarded,
                token: token.map(String::into_boxed_str),
                limits,
                phase: watch::Sender::new(Phase::Starting),
            }),
            own,
        })
    }

    /// Where it listens, once open; none on tflog's own listener.
    #[must_use]
    pub fn local_address(&self) -> Option<Address> {
        let listener = self.own.as_ref()?.listener.as_ref()?;
        Some(listener.local_address())
    }
}

/// What a URL says.
struct Target {
    /// `host:port`; none: tflog's own listener.
    address: Option<String>,
    path: Option<String>,
}

impl Target {
    fn of(definition: &Definition) -> Result<Target, BuildError> {
        let target = definition.target.as_str();
        let (address, path) = target
            .find('/')
            .map_or((target, ""), |at| target.split_at(at));
        let path = (path.len() > 1).then(|| path.to_owned());
        if target.is_empty() {
            return Ok(Target {
                address: None,
                path,
            });
        }
        let address = super::tcp::address(address).ok_or_else(|| {
            let message = format!("{address:?} is not an address");
            let help = "write http://host:port, as in http://0.0.0.0:8088, or only `http` for tflog's own listener";
            definition.error(message).at("url").help(help)
        })?;
        Ok(Target {
            address: Some(address),
            path,
        })
    }
}

/// What a request may take.
fn limits(definition: &Definition, config: &Config) -> Result<Limits, BuildError> {
    let frame = frame::Options {
        framing: Framing::Newline,
        line_max: config.line_max,
        oversize: config.oversize,
        multiline: config.multiline.clone(),
    };
    let bad = |key| move |message: String| definition.error(message).at(key);
    Ok(Limits {
        framer: frame.framer(definition)?,
        body_max: config.body_max.0,
        decompressed_max: config.decompressed_max.0,
        idle: config.idle.0,
        ack_timeout: config.ack_timeout.0,
        window_bytes: super::window(config.window).map_err(bad("window"))?,
        requests_max: config.connections_max,
    })
}

/// The listener's certificate, if the URL asks for encryption.
fn encryption(
    definition: &Definition,
    address: Option<&str>,
    config: Option<tls::Config>,
) -> Result<Option<Arc<tls::Tls>>, BuildError> {
    let error = |message: &str| Err(definition.error(message).at("tls"));
    match (definition.tls, config) {
        (false, None) => Ok(None),
        (_, _) if address.is_none() => {
            let error = definition
                .error("tflog's own listener is another's")
                .at("tls");
            Err(error.help("write `tls` under the top-level `http`"))
        }
        (false, Some(_)) => error("the URL asks for no encryption: write http+tls://"),
        (true, None) => error("the certificate is missing: write `tls: {cert: …, key: …}`"),
        (true, Some(config)) => match tls::Tls::load(config) {
            Ok(tls) => Ok(Some(Arc::new(tls))),
            Err(fault) => Err(definition.error(fault.message).at(fault.key)),
        },
    }
}

fn check(definition: &Definition, config: &Config) -> Result<(), BuildError> {
    let fail = |key, message: String| Err(definition.error(message).at(key));
    let path = config.path.as_deref().unwrap_or("/");
    if !path.starts_with('/') || path.contains(['?', '#']) || !path.is_ascii() {
        return fail("path", format!("{path:?} is not a path: write /logs"));
    }
    if config
        .token
        .as_deref()
        .is_some_and(|token| token.trim().is_empty())
    {
        let error = definition.error("the token is empty").at("token");
        return Err(error.help("give one, or `token: none` to let anybody send"));
    }
    if !(1..=CONNECTIONS_MAX).contains(&config.connections_max) {
        return fail(
            "connections_max",
            format!("must be between 1 and {CONNECTIONS_MAX}"),
        );
    }
    if config.connections_per_peer == 0 {
        return fail("connections_per_peer", "must be at least 1".to_owned());
    }
    for (key, ByteSize(bytes)) in [
        ("body_max", config.body_max),
        ("decompressed_max", config.decompressed_max),
    ] {
        if !(1..=BODY_MAX).contains(&bytes) {
            return fail(
                key,
                format!("{bytes} bytes is not between 1 byte and 1 GiB"),
            );
        }
    }
    for (key, Period(time)) in [("idle", config.idle), ("ack_timeout", config.ack_timeout)] {
        if time.is_zero() {
            return fail(key, "must be longer than nothing".to_owned());
        }
    }
    Ok(())
}

fn unguarded(definition: &Definition) -> BuildError {
    let error = definition.error("whoever reaches its address could send events");
    error.at("token").help(UNGUARDED_HELP)
}

const UNGUARDED_HELP: &str =
    "set `token`, listen on loopback, or say `token: none` if that is what you want";

/// Whether a path of tflog's own listener is in use.
fn is_own(path: &str) -> bool {
    OWN.iter().any(|own| {
        let below = path.strip_prefix(own);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether only this machine reaches the address `host:port`.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// A source's part of tflog's own listener. Requests wait until the pipeline
/// runs, and hear 503 once it does not.
#[derive(Clone)]
pub struct Mount {
    intake: Arc<Intake>,
}

impl Mount {
    /// The source's name.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.intake.name
    }

    /// The paths that are its.
    #[must_use]
    pub fn paths(&self) -> &[Box<str>] {
        &self.intake.paths
    }

    /// Whether requests for the path are for it.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.intake.takes(path)
    }

    /// Whether it may be served at `address`, where clients may have to show
    /// certificates; why not, and what to do.
    pub fn check(&self, address: Option<&str>, certified: bool) -> Result<(), String> {
        let name = self.source();
        match address {
            None => Err(format!(
                "source {name}: tflog's own listener is off (use --http, or give the source an address: http://127.0.0.1:8088)"
            )),
            Some(address) if !self.intake.guarded && !certified && !is_loopback(address) => {
                Err(format!(
                    "source {name}: whoever reaches {address} could send events ({UNGUARDED_HELP})"
                ))
            }
            Some(_) => Ok(()),
        }
    }

    /// Takes a request of the client at `peer` and answers it.
    pub async fn answer(&self, request: Request<Incoming>, peer: &Arc<str>) -> Reply {
        self.intake.answer(request, peer).await
    }
}

/// The answer where nothing is served.
#[must_use]
pub fn not_found() -> Reply {
    Problem::not_found().reply()
}

impl Source for Http {
    fn is_service(&self) -> bool {
        true
    }

    fn window_bytes(&self) -> u64 {
        self.intake.limits.window_bytes as u64
    }

    fn address(&self) -> Option<Address> {
        self.own.as_ref().map(|own| own.address.clone())
    }

    fn mount(&self) -> Option<Mount> {
        let intake = self.intake.clone();
        self.own.is_none().then_some(Mount { intake })
    }

    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(async {
            let Some(own) = &mut self.own else {
                return Ok(());
            };
            let bound = own.world.network.bind(&own.address).await;
            let listener = bound.map_err(|error| {
                let label = &own.server.label;
                SourceError::Failed(format!("{label}: cannot listen: {error}"))
            })?;
            tracing::info!("{}: listening", own.server.label);
            own.listener = Some(listener);
            Ok(())
        })
    }

    fn run(mut self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            if self.own.as_ref().is_some_and(|own| own.listener.is_none()) {
                self.open().await?;
            }
            let Http { intake, own } = *self;
            let running = intake.start(outlet, stop.clone());
            let (close, closing) = watch::channel(false);
            let listening = listen(own, &running, intake.clone(), closing);
            let stopped = async {
                stop.stopping().await;
                close.send_replace(true);
                running.drained().await;
            };
            let ended = tokio::select! {
                ((), ()) = async { tokio::join!(listening, stopped) } => Ok(()),
                () = late(&stop) => Ok(()),
                () = running.closed.notified() => Err(SourceError::Closed),
            };
            intake.end();
            ended
        })
    }
}

async fn late(stop: &Stop) {
    stop.expired().await;
    tokio::time::sleep(STOP_TIME).await;
}

async fn listen(
    own: Option<Own>,
    running: &Running,
    intake: Arc<Intake>,
    closing: watch::Receiver<bool>,
) {
    let Some(Own {
        server,
        listener: Some(listener),
        world,
        ..
    }) = own
    else {
        return;
    };
    let outlet = running.outlet.clone();
    let alone = Arc::new(Alone { intake, outlet });
    server.serve(listener, alone, world.spawn, closing).await;
}

/// Answers on the source's own listener.
struct Alone {
    intake: Arc<Intake>,
    outlet: Outlet,
}

impl Handler for Alone {
    type Body = http_body_util::Full<bytes::Bytes>;

    async fn answer(&self, request: Request<Incoming>, peer: &Arc<str>) -> Reply {
        self.intake.answer(request, peer).await
    }

    fn accept_failed(&self) {
        self.outlet.count(Notice::AcceptFailed, 1);
    }

    fn refused(&self) {
        self.outlet.refuse();
    }
}
