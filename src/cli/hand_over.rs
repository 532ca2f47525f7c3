//! From one tflog to the next: another binary goes on with the sockets that listen.
//!
//! ```text
//! old: SIGUSR2 ─ starts the new one ─ passes the sockets ┄┄┄ stops, drains, exits
//! new:                                   reads the config, opens, says so ┄┄┄┄┄┄ accepts
//! ```
//!
//! Connections that come in between wait in the sockets' queues: none is refused.
//! A new one that does not come up leaves the old one as it was. The two talk over
//! a pair of sockets: the old one sends the listening ones, the new one a byte once
//! it could start, and the end of the old one is the end of the pair.

use std::convert::Infallible;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::notify::Notifier;
use super::setup::variable;
use crate::pipeline::Control;
use crate::seam::{World, take_descriptor};

/// Names the descriptor that the old one talks over, and the old one's process:
/// what a child of the new one would inherit says nothing to it.
pub(super) const VARIABLE: &str = "TFLOG_HAND_OVER";
/// Descriptors in one message; the kernel takes 253.
const MESSAGE_MAX: usize = 64;
/// Sockets that can be passed: far more than anybody listens on.
const SOCKETS_MAX: u32 = 4096;

/// The line to the other one. While it is open, the other one waits.
pub(super) struct Line(#[expect(dead_code, reason = "held open")] tokio::net::UnixStream);

/// Starts the new one and waits until it could go on; or why it cannot.
pub(super) async fn bring_up(world: &World) -> io::Result<(Line, u32)> {
    let sockets = world.network.listening()?;
    let (ours, theirs) = UnixStream::pair()?;
    // For the new one only: ours closes when it is started.
    fcntl_setfd(&theirs, FdFlags::empty())?;
    let mut command = tokio::process::Command::new(program()?);
    let said = format!("{}:{}", theirs.as_raw_fd(), std::process::id());
    let command = command.args(std::env::args_os().skip(1));
    let mut child = command.env(VARIABLE, said).spawn()?;
    drop(theirs);
    let process = child.id().unwrap_or_default();
    send(&ours, &sockets)?;
    ours.set_nonblocking(true)?;
    let mut line = tokio::net::UnixStream::from_std(ours)?;
    let mut byte = [0];
    if line.read_exact(&mut byte).await.is_err() {
        let status = child.wait().await?;
        return Err(io::Error::other(format!(
            "the new one did not come up: {status}"
        )));
    }
    Ok((Line(line), process))
}

/// Hands over whenever it is wanted, until one has come up: then this one stops.
/// `kept` is the line to it, which closes with this process.
pub(super) async fn serve(
    wanted: &Notify,
    world: &World,
    control: &Control,
    notifier: &Notifier,
    kept: &mut Option<Line>,
) -> Infallible {
    loop {
        wanted.notified().await;
        tracing::info!("starting another tflog to hand over to");
        match bring_up(world).await {
            Ok((line, process)) => {
                tracing::info!(process, "handing over");
                notifier.say(&format!("MAINPID={process}"));
                *kept = Some(line);
                world.network.leave_files();
                control.stop();
                return std::future::pending().await;
            }
            Err(error) => tracing::error!("not handed over, this one goes on: {error}"),
        }
    }
}

/// What to start: the file that this one was started from, as it is now.
fn program() -> io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?;
    // What the kernel calls a file that was replaced.
    let text = path.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(path) => path.into(),
        None => path.clone(),
    })
}

/// What the old one has passed, if one has started this process.
pub(super) fn predecessor(
    env: &[(String, String)],
) -> io::Result<Option<(Predecessor, Vec<OwnedFd>)>> {
    let said = variable(env, VARIABLE).and_then(|said| said.split_once(':'));
    let Some((number, process)) = said else {
        return Ok(None);
    };
    if process != std::os::unix::process::parent_id().to_string() {
        return Ok(None);
    }
    let number = number.parse().map_err(io::Error::other)?;
    let line = UnixStream::from(take_descriptor(number)?);
    let sockets = receive(&line)?;
    Ok(Some((Predecessor(line), sockets)))
}

/// The line to the old one, before there is a runtime.
pub(super) struct Predecessor(UnixStream);

impl Predecessor {
    /// Says that this one could start, and waits until the old one has ended.
    pub(super) async fn take_turn(self) -> io::Result<()> {
        self.0.set_nonblocking(true)?;
        let mut line = tokio::net::UnixStream::from_std(self.0)?;
        line.write_all(b"!").await?;
        // Nothing is ever said: it closes, one way or the other.
        let _ = line.read(&mut [0]).await;
        Ok(())
    }
}

/// Sends descriptors: first how many there are, then all of them.
fn send(line: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    let count = (sockets.len() as u32).to_le_bytes();
    if sockets.is_empty() {
        rustix::io::write(line, &count)?;
    }
    for (at, part) in sockets.chunks(MESSAGE_MAX).enumerate() {
        let part: Vec<BorrowedFd<'_>> = part.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_MAX))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(&part)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let bytes: &[u8] = if at == 0 { &count } else { b"+" };
        sendmsg(
            line,
            &[IoSlice::new(bytes)],
            &mut rights,
            SendFlags::empty(),
        )?;
    }
    Ok(())
}

fn receive(line: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let (mut count, mut sockets) = ([0; 4], Vec::new());
    receive_some(line, &mut count, &mut sockets)?;
    let count = u32::from_le_bytes(count);
    if count > SOCKETS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    while sockets.len() < count as usize {
        let before = sockets.len();
        receive_some(line, &mut [0], &mut sockets)?;
        if sockets.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(sockets)
}

/// Fills `bytes`, which one message carries, and takes its descriptors.
fn receive_some(line: &UnixStream, bytes: &mut [u8], sockets: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_MAX))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let wanted = bytes.len();
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let message = recvmsg(line, &mut [IoSliceMut::new(bytes)], &mut rights, flags)?;
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            sockets.extend(passed);
        }
    }
    if message.bytes == wanted {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn sockets_pass_in_order_whatever_their_number() {
        for count in [0, 1, MESSAGE_MAX, 2 * MESSAGE_MAX + 3] {
            let (old, new) = UnixStream::pair().unwrap();
            let (mut far, near): (Vec<_>, Vec<OwnedFd>) = (0..count)
                .map(|_| UnixStream::pair().unwrap())
                .map(|(far, near)| (far, near.into()))
                .unzip();
            send(&old, &near).unwrap();
            let passed = receive(&new).unwrap();
            assert_eq!(passed.len(), count);
            drop(near);
            for (at, passed) in passed.into_iter().enumerate() {
                rustix::io::write(&passed, &[at as u8]).unwrap();
                drop(passed);
                let mut heard = Vec::new();
                far[at].read_to_end(&mut heard).unwrap();
                assert_eq!(heard, [at as u8]);
            }
        }
    }

    #[test]
    fn a_line_that_breaks_is_an_error() {
        let (old, new) = UnixStream::pair().unwrap();
        rustix::io::write(&old, &5_u32.to_le_bytes()).unwrap();
        drop(old);
        assert!(receive(&new).is_err());
    }
}
