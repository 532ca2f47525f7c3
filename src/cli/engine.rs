//! Runs a plan to its end: signals, HTTP listener, exit report.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::signals::Signals;
use super::{EXIT_FAILURE, EXIT_LOSS, EXIT_USAGE, report, say};
use crate::admin::{self, Admin};
use crate::pipeline::{Control, Pipeline, Plan, Report};
use crate::seam::World;
use crate::source::http::{Mount, tls};

/// How long the last answers of tflog's own listener may take at the end.
const ANSWER_TIME: Duration = Duration::from_secs(1);

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
/// first. Returns the exit code of the main form.
pub(super) async fn run(plan: Plan, setup: Setup, mut on_signal: impl FnMut(i32) + Send) -> u8 {
    let world = World::real(tokio::runtime::Handle::current());
    let certified = asks_clients(setup.listener.tls.as_ref());
    let mounts = match mounts(&plan, setup.http.as_deref(), certified) {
        Ok(mounts) => mounts,
        Err(message) => {
            say(&format!("tflog: {message}"));
            return EXIT_USAGE;
        }
    };
    let admin = match bind(setup.http.as_deref(), setup.listener.clone(), &world).await {
        Ok(admin) => admin,
        Err(message) => {
            say(&format!("tflog: {message}"));
            return EXIT_USAGE;
        }
    };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("tflog: cannot listen for signals: {error}"));
            return EXIT_FAILURE;
        }
    };
    let pipeline = match Pipeline::start(plan, &world).await {
        Ok(pipeline) => pipeline,
        Err(error) => {
            say(&format!("tflog: {error}"));
            return EXIT_FAILURE;
        }
    };
    let monitor = pipeline.monitor();
    let (close, closing) = watch::channel(false);
    let admin = admin.map(|admin| {
        tracing::info!(address = %admin.address(), "http listener open");
        tokio::spawn(admin.serve(monitor.clone(), mounts, closing))
    });
    let control = pipeline.control();
    match until_done(pipeline.finish(), &mut signals, &control, &mut on_signal).await {
        Finished::Killed(signal) => 128 + signal as u8,
        Finished::Drained(report) => {
            close.send_replace(true);
            if let Some(admin) = admin {
                // Answers that are being written are worth a moment, no more.
                let _ = timeout(ANSWER_TIME, admin).await;
            }
            conclude(&monitor, &report, &setup)
        }
    }
}

/// What sources take at tflog's own listener, or why it cannot be there.
pub(super) fn mounts(
    plan: &Plan,
    http: Option<&str>,
    certified: bool,
) -> Result<Vec<Mount>, String> {
    let sources = plan.sources.iter();
    let mounts: Vec<_> = sources.filter_map(|s| s.source.mount()).collect();
    mounts
        .iter()
        .try_for_each(|mount| mount.check(http, certified))?;
    Ok(mounts)
}

/// Whether clients of a listener must show certificates.
pub(super) fn asks_clients(tls: Option<&tls::Config>) -> bool {
    tls.is_some_and(|tls| tls.ca.is_some())
}

async fn bind(
    http: Option<&str>,
    options: admin::Options,
    world: &World,
) -> Result<Option<Admin>, String> {
    match http {
        Some(address) => Admin::bind(address, options, world).await.map(Some),
        None => Ok(None),
    }
}

async fn until_done(
    run: impl Future<Output = Report>,
    signals: &mut Signals,
    control: &Control,
    on_signal: &mut (impl FnMut(i32) + Send),
) -> Finished {
    tokio::pin!(run);
    let mut stopping = false;
    loop {
        tokio::select! {
            report = &mut run => return Finished::Drained(report),
            signal = signals.next() => {
                on_signal(signal);
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
    for (sink, terms) in monitor.sinks().iter().zip(&run.snapshot.sinks) {
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
