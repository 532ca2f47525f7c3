//! A descriptor that was open before tflog started: what `stdout` and
//! `stderr` write to.
//!
//! Handed over when the kernel has the bytes. Writes block, as the reader's
//! backpressure should; a partial write goes on where it stopped; a reader
//! that went away is the end and no failure.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::encode::Encoder;
use super::outgoing::Outgoing;
use super::{Load, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition};

/// Writes to a descriptor.
pub struct Descriptor {
    /// Component and place, for messages.
    label: String,
    fd: OwnedFd,
    outgoing: Outgoing,
}

impl Descriptor {
    /// A sink that writes to its own copy of `descriptor`.
    pub(super) fn build(
        definition: &Definition,
        descriptor: std::os::fd::BorrowedFd,
        encoder: Encoder,
    ) -> Result<Descriptor, BuildError> {
        let scheme = &definition.scheme;
        let descriptor = descriptor.try_clone_to_owned().map_err(|error| {
            definition
                .error(format!("{scheme} is not open: {error}"))
                .help("start tflog with it open, or remove this sink")
        })?;
        Ok(Descriptor {
            label: format!("{}: {scheme}", definition.name),
            fd: descriptor,
            outgoing: Outgoing::new(encoder),
        })
    }

    fn write_load(&mut self, load: &Load) -> Result<Written, SinkError> {
        self.outgoing.prepare(load);
        while let Some(bytes) = self.outgoing.next(load) {
            match rustix::io::write(&self.fd, bytes) {
                Ok(written) => self.outgoing.advance(load, written),
                Err(Errno::INTR) => {}
                // Somebody we share it with has made it non-blocking.
                Err(Errno::AGAIN) => self.wait_for_room()?,
                Err(Errno::PIPE) => return Err(SinkError::Closed),
                Err(error) => return Err(self.retry(error)),
            }
        }
        Ok(self.outgoing.finish())
    }

    fn wait_for_room(&self) -> Result<(), SinkError> {
        let mut ready = [PollFd::new(&self.fd, PollFlags::OUT)];
        match poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(self.retry(error)),
        }
    }

    fn retry(&self, error: Errno) -> SinkError {
        SinkError::Retry {
            message: format!("{}: cannot write: {error}; will try again", self.label),
            after: None,
        }
    }
}

impl Sink for Descriptor {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move { self.write_load(load) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::event::Needs;
    use crate::sink::encode::Options;
    use crate::sink::fixture::{definition, lines, load};

    fn sink() -> (Descriptor, std::fs::File) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let raw = Encoder::build("raw", Options::default(), &mut Needs::default()).unwrap();
        let definition = definition("stdout", "", serde_json::json!({}));
        let sink = Descriptor::build(&definition, write.as_fd(), raw).unwrap();
        (sink, read.into())
    }

    #[tokio::test]
    async fn a_full_non_blocking_pipe_is_waited_for() {
        let (mut sink, mut read) = sink();
        rustix::io::ioctl_fionbio(&sink.fd, true).unwrap();
        // More than any pipe holds at once.
        let text = "0123456789abcde\n".repeat(1 << 17);
        let expected = text.clone();
        let reader = std::thread::spawn(move || {
            let mut all = String::new();
            read.read_to_string(&mut all).unwrap();
            all
        });
        let written = sink.write(&load(vec![lines(&text)], false)).await.unwrap();
        assert_eq!(written.bytes, text.len() as u64);
        drop(sink);
        assert!(reader.join().unwrap() == expected);
    }

    #[tokio::test]
    async fn a_reader_that_went_away_is_the_end() {
        let (mut sink, read) = sink();
        drop(read);
        let result = sink.write(&load(vec![lines("x\n")], false)).await;
        assert!(matches!(result, Err(SinkError::Closed)));
    }
}
