//! `exec:CMD`: the standard output and error of a child process.
//!
//! The command is split as a shell would, but no shell runs it. Each output is
//! a stream of its own (`stream` is `stdout` or `stderr`). Stopping sends
//! SIGTERM to the child's process group and reads on; at the deadline SIGKILL
//! follows. A child that leaves its pipes to others is read for a bounded time
//! after its exit.

mod child;

use std::ffi::OsString;
use std::io::PipeReader;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::pump::{Input, PIPE_BYTES, pump};
use super::{Notice, Outlet, Source, SourceError, SourceFuture, Stop, Succession};
use crate::component::{BuildError, Definition};
use crate::frame::{self, Framer};
use crate::seam::Random;
pub use child::Child;
use child::Started;

/// How long pipes are read after their child's exit, if others hold them open.
const LINGER: Duration = Duration::from_secs(2);
/// The first pause before a restart; it doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A child that ran this long was well: the next pause is the first again.
const WELL: Duration = Duration::from_mins(1);

/// When a child is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// It is run once.
    #[default]
    Never,
    /// If it ended with another code than 0, or by a signal.
    OnFailure,
    /// Whenever it ended.
    Always,
}

/// Its options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
    /// The command and its arguments, where the URL names none.
    #[serde(default)]
    pub command: Vec<String>,
    /// When it is started again.
    #[serde(default)]
    pub restart: Restart,
}

/// How a child failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    #[error("cannot wait for it: {0}")]
    Wait(std::io::Error),
    #[error("ended with {0}")]
    Ended(std::process::ExitStatus),
}

/// The output of a child process.
pub struct Exec {
    name: Arc<str>,
    command: Vec<OsString>,
    restart: Restart,
    framer: Framer,
    /// Whether it has our stdin, and its exit code is its user's affair.
    attached: bool,
    child: Child,
}

impl Exec {
    /// Its scheme.
    pub const NAME: &str = "exec";

    /// Builds from `exec:CMD`, or from `exec` and a `command`.
    pub fn build(definition: &Definition) -> Result<Exec, BuildError> {
        let config: Config = definition.decode()?;
        let split = shlex::split(&definition.target).ok_or_else(|| {
            let error = definition.error("a quote in the command is not closed");
            error.help("it is split as a shell would")
        })?;
        let words = match (split.is_empty(), config.command.is_empty()) {
            (false, true) => split,
            (true, false) => config.command,
            _ => {
                let error = definition.error("needs one command");
                return Err(error
                    .at("command")
                    .help("write exec:CMD or `command: [CMD, ARG]`"));
            }
        };
        let framer = config.frame.framer(definition)?;
        Ok(Exec {
            name: definition.name.clone(),
            command: words.into_iter().map(OsString::from).collect(),
            restart: config.restart,
            framer,
            attached: false,
            child: Child::default(),
        })
    }

    /// A command of the user's, run once with our stdin. How it ends is not an
    /// error of the source: ask [`Exec::child`].
    #[must_use]
    pub fn command(name: Arc<str>, command: Vec<OsString>, framer: Framer) -> Exec {
        Exec {
            name,
            command,
            restart: Restart::Never,
            framer,
            attached: true,
            child: Child::default(),
        }
    }

    /// The child, to signal it and learn how it ended; also while this runs.
    #[must_use]
    pub fn child(&self) -> Child {
        self.child.clone()
    }

    fn failed(&self, what: &str) -> SourceError {
        let program = self
            .command
            .first()
            .map(|program| program.to_string_lossy());
        SourceError::Failed(format!(
            "{}: {}: {what}",
            self.name,
            program.unwrap_or_default()
        ))
    }

    /// Runs the command to its end and reads all it wrote; `Some` says how it
    /// failed.
    async fn run_once(&self, outlet: &Outlet, stop: &Stop) -> Result<Option<Failure>, SourceError> {
        let mut started = match self.child.start(&self.command, self.attached) {
            Ok(started) => started,
            Err(error) => return Ok(Some(Failure::Start(error))),
        };
        let (stopper, pipes_stop) = Stop::new().map_err(|error| self.failed(&error.to_string()))?;
        let Started { stdout, stderr, .. } = started;
        let stdout = self.reader("stdout", stdout, outlet, &pipes_stop)?;
        let stderr = self.reader("stderr", stderr, outlet, &pipes_stop)?;
        let status = self
            .child
            .wait(&mut started.process, stop, self.attached)
            .await;
        stopper.stop(Instant::now() + LINGER);
        for reader in [stdout, stderr] {
            reader
                .await
                .unwrap_or_else(|| Err(self.failed("its reader failed")))?;
        }
        match status {
            Ok(status) if status.success() => Ok(None),
            Ok(status) => Ok(Some(Failure::Ended(status))),
            Err(error) => Ok(Some(Failure::Wait(error))),
        }
    }

    /// Reads one output on a thread of its own.
    fn reader(
        &self,
        name: &'static str,
        pipe: PipeReader,
        outlet: &Outlet,
        stop: &Stop,
    ) -> Result<crate::seam::Stage<Result<(), SourceError>>, SourceError> {
        let (outlet, stop, framer) = (outlet.clone(), stop.clone(), self.framer.clone());
        let label = format!("{}: {name}", self.name);
        let spawn = outlet.world.spawn.clone();
        let run = async move {
            let stream = outlet.stream(vec![("stream".into(), name.into())]);
            let input = Input {
                fd: pipe.as_fd(),
                label: &label,
                held_open: None,
                leftover: PIPE_BYTES[0],
            };
            pump(input, framer, &outlet, &stream, &stop).await
        };
        spawn
            .stage(name, run)
            .map_err(|error| self.failed(&format!("cannot start a reader: {error}")))
    }

    async fn supervise(&self, outlet: &Outlet, stop: &Stop) -> Result<(), SourceError> {
        let mut pause = PAUSE_MIN;
        loop {
            let since = Instant::now();
            let failure = self.run_once(outlet, stop).await?;
            let again = match self.restart {
                Restart::Never => false,
                Restart::OnFailure => failure.is_some(),
                Restart::Always => true,
            };
            if !again || stop.deadline().is_some() {
                let expected = self.attached || stop.deadline().is_some();
                return match failure {
                    None => Ok(()),
                    Some(Failure::Ended(_)) if expected => Ok(()),
                    Some(failure) => Err(self.failed(&failure.to_string())),
                };
            }
            if since.elapsed() >= WELL {
                pause = PAUSE_MIN;
            }
            let wait = jittered(pause, &outlet.world.random);
            let how = failure.map_or("ended".to_owned(), |failure| failure.to_string());
            tracing::warn!("{}, starting again in {wait:?}", self.failed(&how));
            outlet.count(Notice::ChildRestarted, 1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.stopping() => return Ok(()),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Between half of it and all of it, so that children do not restart in step.
fn jittered(pause: Duration, random: &Random) -> Duration {
    let share = random.u64() as f64 / u64::MAX as f64;
    pause.mul_f64(f64::midpoint(1.0, share))
}

impl Source for Exec {
    fn is_service(&self) -> bool {
        self.restart == Restart::Always
    }

    /// Two of the same program may be in each other's way.
    fn succession(&self) -> Succession {
        Succession::After
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move { self.supervise(&outlet, &stop).await })
    }
}

#[cfg(test)]
mod tests;
