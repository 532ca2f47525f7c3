//! The sink `exec:CMD`: lines to a child's stdin. No shell; words as one would
//! quote them in one. The child's stdout and stderr are tflog's.
//!
//! Handed over when the pipe has the bytes: what a dying child had not read is
//! lost. The child is started when there is something to write, and again, by
//! the driver's retry, after it exits; then the line that was being written is
//! sent from its start.

use std::process::{ExitStatus, Stdio};

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::encode::Encoder;
use super::outgoing::Outgoing;
use super::{Load, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "exec";

/// It has no options of its own.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// Writes to a child process.
pub struct Exec {
    /// Component and command, for messages.
    label: String,
    words: Vec<String>,
    running: Option<(Child, ChildStdin)>,
    outgoing: Outgoing,
}

/// Builds the sink.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    _world: &World,
    _needs: &mut Needs,
) -> Result<Exec, BuildError> {
    let Config {} = definition.decode()?;
    let words = shlex::split(&definition.target).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| {
        definition
            .error(format!("{:?} is no command", definition.target))
            .help("write exec:CMD with balanced quotes")
    })?;
    Ok(Exec {
        label: format!("{}: {}", definition.name, words[0]),
        words,
        running: None,
        outgoing: Outgoing::new(encoder),
    })
}

impl Exec {
    fn start(&mut self) -> Result<(), SinkError> {
        if self.running.is_some() {
            return Ok(());
        }
        let mut child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| self.retry(&format!("cannot start: {error}")))?;
        self.running = child.stdin.take().map(|stdin| (child, stdin));
        self.outgoing.start_stream();
        Ok(())
    }

    async fn write_load(&mut self, load: &Load) -> Result<Written, SinkError> {
        self.start()?;
        self.outgoing.prepare(load);
        while let Some(bytes) = self.outgoing.next(load)
            && let Some((_, stdin)) = &mut self.running
        {
            match stdin.write(bytes).await {
                Ok(written) => self.outgoing.advance(load, written),
                Err(error) => {
                    self.outgoing.rewind_to_line(load);
                    let ended = match self.stop().await {
                        Some(status) => format!("it ended ({status})"),
                        None => format!("cannot write to it: {error}"),
                    };
                    return Err(self.retry(&ended));
                }
            }
        }
        Ok(self.outgoing.finish())
    }

    /// Closes the child's stdin and waits for its end.
    async fn stop(&mut self) -> Option<ExitStatus> {
        let (mut child, stdin) = self.running.take()?;
        drop(stdin);
        child.wait().await.ok()
    }

    fn retry(&self, what: &str) -> SinkError {
        SinkError::Retry {
            message: format!("{}: {what}; will start it again", self.label),
            after: None,
        }
    }
}

impl Sink for Exec {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(self.write_load(load))
    }

    fn close(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async {
            match self.stop().await {
                Some(status) if !status.success() => Err(SinkError::Retry {
                    message: format!("{}: it ended ({status})", self.label),
                    after: None,
                }),
                _ => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::sink::encode::Options;
    use crate::sink::fixture::{definition, lines, load};

    fn sink(command: &str) -> Result<Exec, BuildError> {
        let mut needs = Needs::default();
        let raw = Encoder::build("raw", Options::default(), &mut needs).unwrap();
        let definition = definition(NAME, command, serde_json::json!({}));
        let world = World::simulated(Timestamp(0), 1);
        build(&definition, raw, &world, &mut needs)
    }

    #[tokio::test]
    async fn close_waits_until_the_child_has_read_everything() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a b");
        let mut sink = sink(&format!("dd status=none 'of={}'", file.display())).unwrap();
        sink.write(&load(vec![lines("x\ny")], false)).await.unwrap();
        sink.write(&load(vec![lines("z\n")], false)).await.unwrap();
        sink.close().await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"x\ny\nz\n");
    }

    #[tokio::test]
    async fn a_child_that_ends_is_started_again() {
        let mut sink = sink("head -c 1").unwrap();
        // More than a pipe holds, so that the write outlives the child.
        let text = "0123456789abcde\n".repeat(1 << 17);
        let load = load(vec![lines(&text)], false);
        for _ in 0..2 {
            let error = sink.write(&load).await.unwrap_err().to_string();
            assert!(
                error.starts_with("out: head: it ended (exit status: 0)"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_command_must_have_words_and_balanced_quotes() {
        assert!(sink("").is_err() && sink("cat 'x").is_err());
    }
}
