//! Runs a plan to its end: signals, HTTP listener, exit report.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::sync::Notify;

use super::hand_over::{self, Predecessor};
use super::notify::Notifier;
use super::reload::{self, Front, Prepare};
use super::signals::{HAND_OVER, HANG_UP, Signals};
use super::{EXIT_FAILURE, EXIT_LOSS, EXIT_USAGE, log, report, say};
use crate::admin::{self, Admin};
use crate::pipeline::{Control, Pipeline, Plan, Report};
use crate::seam::{Address, World};
use crate::source::http::tls;

/// How long the last answers of tflog's own listener may take at the end.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(1);

/// How to run a plan.
pub(super) struct Setup {
    /// Where tflog's own HTTP listener opens, if it does.
    pub(super) http: Option<String>,
    /// How it serves.
    pub(super) listener: admin::Options,
    /// Whether it is a service: then the ledger is reported at the end.
    pub(super) service: bool,
    /// Whether the ledger was asked for.
    pub(super) stats: bool,
    /// Whether a hang-up means to read the config again; else it means to stop.
    pub(super) reloadable: bool,
}

/// Who has started tflog, and wants to hear of it.
pub(super) struct Context {
    pub(super) notifier: Notifier,
    /// The tflog before this one, if it hands over.
    pub(super) before: Option<Predecessor>,
}

impl Context {
    /// Of a run that takes nothing over.
    pub(super) fn of(env: &[(String, String)]) -> Context {
        Context {
            notifier: Notifier::new(env),
            before: None,
        }
    }
}

/// A plan, and how to run it.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) setup: Setup,
}

/// What ended a run.
pub(super) enum Finished {
    /// It ended by itself or drained after a signal.
    Drained(Report),
    /// A second signal came: exit at once.
    Killed(i32),
}

/// The runtime for sockets and timers. Bytes move on threads of their own.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| {
        say(&format!("tflog: cannot start: {error}"));
        EXIT_FAILURE
    })
}

/// Starts the plan and runs it to its end; `on_signal` hears every signal
/// first. `prepare` makes plans of the config as it is written later. Returns the
/// exit code of the main form.
pub(super) async fn run(
    prepared: Prepared,
    world: &World,
    prepare: Prepare<'_>,
    context: Context,
    mut on_signal: impl FnMut(i32) + Send,
) -> u8 {
    let Prepared { plan, mut setup } = prepared;
    let Context { notifier, before } = context;
    let started = match start(plan, &setup, before, world).await {
        Ok(started) => started,
        Err(code) => return code,
    };
    let (pipeline, admin, mut signals) = started;
    let (monitor, control) = (pipeline.monitor(), pipeline.control());
    let reloader = pipeline.reloader();
    if let Some(dropped) = log::dropped() {
        monitor.watch_log(dropped);
    }
    let mut front = Front::new(monitor.clone());
    front.serve(admin);
    for unused in world.network.close_unused() {
        tracing::warn!("a socket that was passed is nobody's: {unused}");
    }
    notifier.say("READY=1");
    let (reloadable, service) = (setup.reloadable, setup.service);
    let (wanted, other) = (Notify::new(), Notify::new());
    let mut on_signal = |signal| {
        on_signal(signal);
        match signal {
            HANG_UP if reloadable => wanted.notify_one(),
            HAND_OVER if service => other.notify_one(),
            HAND_OVER => {}
            _ => {
                notifier.say("STOPPING=1");
                return Heard::Stop;
            }
        }
        Heard::Other
    };
    let reloads = reload::serve(
        &wanted, prepare, &reloader, &mut setup, &mut front, &notifier, world,
    );
    let mut line = None;
    let handing = hand_over::serve(&other, world, &control, &notifier, &mut line);
    let finished = tokio::select! {
        finished = until_done(pipeline.finish(), &mut signals, &control, &mut on_signal) => finished,
        never = reloads => match never {},
        never = handing => match never {},
        never = notifier.watch() => match never {},
    };
    match finished {
        Finished::Killed(signal) => 128 + signal as u8,
        Finished::Drained(report) => {
            front.close().await;
            conclude(&monitor, &report, &setup)
        }
    }
}

/// Opens everything and starts the plan; the exit code if that cannot be.
async fn start(
    mut plan: Plan,
    setup: &Setup,
    before: Option<Predecessor>,
    world: &World,
) -> Result<(Pipeline, Option<Admin>, Signals), u8> {
    let fail = |code: u8, message: String| {
        say(&format!("tflog: {message}"));
        code
    };
    let certified = asks_clients(setup.listener.tls.as_ref());
    mounts(&plan, setup.http.as_deref(), certified).map_err(|message| fail(EXIT_USAGE, message))?;
    let admin = bind(setup, world).await;
    let admin = admin.map_err(|message| fail(EXIT_USAGE, message))?;
    let signals = Signals::listen()
        .map_err(|error| fail(EXIT_FAILURE, format!("cannot listen for signals: {error}")))?;
    if let Some(before) = before {
        let turn = follow(before, &mut plan).await;
        turn.map_err(|message| fail(EXIT_FAILURE, message))?;
    }
    let pipeline = Pipeline::start(plan, world).await;
    let pipeline = pipeline.map_err(|error| fail(EXIT_FAILURE, error.to_string()))?;
    Ok((pipeline, admin, signals))
}

/// Makes sure that all sources can be opened, then waits for the tflog before this
/// one to end.
async fn follow(before: Predecessor, plan: &mut Plan) -> Result<(), String> {
    // What a source keeps is the one before's until then.
    let sources = plan.sources.iter_mut();
    for planned in sources.filter(|planned| !planned.source.keeps_state()) {
        let opened = planned.source.open().await;
        opened.map_err(|error| format!("source {}: {error}", planned.labels.id))?;
    }
    let turn = before.take_turn().await;
    turn.map_err(|error| format!("cannot follow the tflog before: {error}"))
}

/// Whether what sources take at tflog's own listener can be there, and nothing
/// else listens where it does; why not.
pub(super) fn mounts(plan: &Plan, http: Option<&str>, certified: bool) -> Result<(), String> {
    for planned in &plan.sources {
        if let Some(mount) = planned.source.mount() {
            mount.check(http, certified)?;
        }
        if let (Some(Address::Tcp(address)), Some(http)) = (planned.source.address(), http)
            && address == http
        {
            let name = &planned.labels.id;
            return Err(format!(
                "source {name}: tflog's own listener is at {address} (give one of them another address)"
            ));
        }
    }
    Ok(())
}

/// Whether clients of a listener must show certificates.
pub(super) fn asks_clients(tls: Option<&tls::Config>) -> bool {
    tls.is_some_and(|tls| tls.ca.is_some())
}

/// Opens tflog's own listener, if there is to be one.
pub(super) async fn bind(setup: &Setup, world: &World) -> Result<Option<Admin>, String> {
    match &setup.http {
        Some(address) => Admin::bind(address, setup.listener.clone(), world)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// What a signal asks for.
enum Heard {
    Stop,
    Other,
}

async fn until_done(
    run: impl Future<Output = Report>,
    signals: &mut Signals,
    control: &Control,
    on_signal: &mut (impl FnMut(i32) -> Heard + Send),
) -> Finished {
    tokio::pin!(run);
    let mut stopping = false;
    loop {
        tokio::select! {
            report = &mut run => return Finished::Drained(report),
            signal = signals.next() => {
                if matches!(on_signal(signal), Heard::Other) {
                    continue;
                }
                if stopping {
                    return Finished::Killed(signal);
                }
                stopping = true;
                tracing::info!(signal, "stopping");
                control.stop();
            }
        }
    }
}

/// Reports what must be reported and says how it went.
fn conclude(monitor: &crate::pipeline::Monitor, run: &Report, setup: &Setup) -> u8 {
    let lost = run.snapshot.lost();
    for (sink, terms) in monitor.roster().sinks.iter().zip(&run.snapshot.sinks) {
        if terms.queued_disk > 0 {
            let events = terms.queued_disk;
            tracing::info!(sink = sink.id, events, "stay on disk for the next run");
        }
    }
    for failure in &run.failures {
        tracing::error!("{failure}");
    }
    if setup.stats || setup.service || lost > 0 {
        if std::io::stderr().is_terminal() || (setup.stats && !setup.service) {
            say(&report::text(monitor, &run.snapshot));
        } else {
            let ledger = report::json(monitor, &run.snapshot);
            if lost > 0 {
                tracing::error!(%ledger, "ended");
            } else {
                tracing::info!(%ledger, "ended");
            }
        }
    }
    if lost > 0 {
        let corrupt: u64 = run.snapshot.sinks.iter().map(|k| k.dropped.corrupt).sum();
        let why = if corrupt == lost {
            "the disk did not keep what was in buffers"
        } else {
            "the grace period ended before they were delivered"
        };
        tracing::error!(lost, "events were lost: {why}");
        return EXIT_LOSS;
    }
    if run.failures.is_empty() {
        0
    } else {
        EXIT_FAILURE
    }
}
