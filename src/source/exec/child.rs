//! One child process: started, signalled, reaped; and how it ended.

use std::ffi::OsString;
use std::io::{self, IsTerminal, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;
use tokio::time::sleep_until;

use crate::source::Stop;

/// What shells say of a command that is there but cannot be run, and of one
/// that is not there (POSIX, "Exit Status for Commands").
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended a process.
const SIGNALLED: u8 = 128;

/// The child of an [`Exec`](super::Exec), for whoever passes signals on to it
/// and wants its exit code. Clones are the same child.
#[derive(Clone, Debug, Default)]
pub struct Child(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// While it runs.
    target: Option<Target>,
    /// Of the last child that ended, or could not be started.
    exit_code: Option<u8>,
}

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The child's own process group.
    Group(Pid),
    /// A child that shares our group, for it shares our terminal, which itself
    /// sends keyboard signals to all of the group.
    Alone(Pid),
}

/// A started child and what it writes.
pub(super) struct Started {
    pub(super) process: tokio::process::Child,
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
}

impl Child {
    /// Passes a signal on to the child's process group; false if it does not
    /// run. Signals that a shared terminal has sent it already are left out.
    #[must_use = "the child may be gone"]
    pub fn signal(&self, signal: Signal) -> bool {
        let keyboard = [Signal::INT, Signal::QUIT, Signal::TSTP].contains(&signal);
        match self.state().target {
            Some(Target::Group(pid)) => kill_process_group(pid, signal).is_ok(),
            Some(Target::Alone(_)) if keyboard => true,
            Some(Target::Alone(pid)) => kill_process(pid, signal).is_ok(),
            None => false,
        }
    }

    /// How the last child ended: its exit code, 128 and the signal's number,
    /// 126 if it could not be run, 127 if it was not found. `None` before that.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        self.state().exit_code
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts `command` with pipes for output; `attached` shares our stdin.
    pub(super) fn start(&self, command: &[OsString], attached: bool) -> io::Result<Started> {
        let started = self.try_start(command, attached);
        if let Err(error) = &started {
            self.state().exit_code = Some(match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            });
        }
        started
    }

    fn try_start(&self, command: &[OsString], attached: bool) -> io::Result<Started> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let (stdout, stdout_write) = io::pipe()?;
        let (stderr, stderr_write) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(if attached {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stdout(stdout_write)
            .stderr(stderr_write)
            .kill_on_drop(true);
        // In a group of its own it could not read from our terminal.
        let own_group = !(attached && io::stdin().is_terminal());
        if own_group {
            command.process_group(0);
        }
        let process = command.spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(id as i32));
        let target = if own_group {
            Target::Group
        } else {
            Target::Alone
        };
        self.state().target = pid.map(target);
        // `command` ends here, and with it our copies of the write ends.
        Ok(Started {
            process,
            stdout,
            stderr,
        })
    }

    /// Waits for the end. Stopping asks for it, unless the child is `attached`:
    /// then whoever runs us passes signals on. The deadline forces it.
    pub(super) async fn wait(
        &self,
        process: &mut tokio::process::Child,
        stop: &Stop,
        attached: bool,
    ) -> io::Result<ExitStatus> {
        let deadline = tokio::select! {
            status = process.wait() => return self.ended(status),
            deadline = stop.stopping() => deadline,
        };
        if !attached {
            // A child that is gone needs no signal: `wait` says how it ended.
            let _ = self.signal(Signal::TERM);
        }
        tokio::select! {
            status = process.wait() => return self.ended(status),
            () = sleep_until(deadline) => {}
        }
        let _ = self.signal(Signal::KILL);
        let status = process.wait().await;
        self.ended(status)
    }

    fn ended(&self, status: io::Result<ExitStatus>) -> io::Result<ExitStatus> {
        let mut state = self.state();
        state.target = None;
        let status = status?;
        let signalled = || SIGNALLED.wrapping_add(status.signal().unwrap_or_default() as u8);
        state.exit_code = Some(status.code().map_or_else(signalled, |code| code as u8));
        Ok(status)
    }
}
