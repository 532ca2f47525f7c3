//! `fifo:///path`: lines from a named pipe, from whoever opens it for writing.
//!
//! The FIFO is made (mode 0600) if it is missing. While running, tflog holds a
//! write end itself, so that the last writer's leaving is no end of input;
//! stopping lets go of it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pump::{Input, pump};
use super::{Outlet, Source, SourceError, SourceFuture, Stop, Succession};
use crate::component::{BuildError, Definition};
use crate::frame::{self, Framer};

/// Lines from a named pipe.
pub struct Fifo {
    label: String,
    path: String,
    framer: Framer,
    ends: Option<Ends>,
}

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// Its options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
}

impl Fifo {
    /// Its scheme.
    pub const NAME: &str = "fifo";

    /// Builds from `fifo:///path`.
    pub fn build(definition: &Definition) -> Result<Fifo, BuildError> {
        if definition.target.is_empty() {
            let error = definition.error("no path of a FIFO given");
            return Err(error.help("write fifo:///run/app.fifo"));
        }
        let config: Config = definition.decode()?;
        let framer = config.frame.framer(definition)?;
        Ok(Fifo {
            label: format!("{}: {}", definition.name, definition.target),
            path: definition.target.clone(),
            framer,
            ends: None,
        })
    }

    fn open_ends(&self) -> Result<Ends, SourceError> {
        let failed = |what: &str| SourceError::Failed(format!("{}: {what}", self.label));
        let cannot = |error: Errno| failed(&format!("cannot open: {error}"));
        match rustix::fs::mkfifoat(CWD, &self.path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(&format!("cannot make the FIFO: {error}"))),
        }
        // Without NONBLOCK the open would wait for a writer.
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
        let read = rustix::fs::open(&self.path, OFlags::RDONLY | flags, Mode::empty());
        let read = read.map_err(cannot)?;
        let stat = rustix::fs::fstat(&read).map_err(cannot)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
            return Err(failed("is not a FIFO: remove it or choose another path"));
        }
        let write = rustix::fs::open(&self.path, OFlags::WRONLY | flags, Mode::empty());
        let write = write.map_err(cannot)?;
        Ok(Ends { read, write })
    }
}

impl Source for Fifo {
    fn succession(&self) -> Succession {
        Succession::Never(self.path.clone())
    }

    fn is_service(&self) -> bool {
        true
    }

    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(async {
            self.ends = Some(self.open_ends()?);
            Ok(())
        })
    }

    fn run(mut self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let Ends { read, write } = match self.ends.take() {
                Some(ends) => ends,
                None => self.open_ends()?,
            };
            let stream = outlet.stream(vec![("path".into(), self.path.as_str().into())]);
            let input = Input {
                fd: read.as_fd(),
                label: &self.label,
                held_open: Some(write),
                leftover: 0,
            };
            pump(input, self.framer, &outlet, &stream, &stop).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::seam::World;
    use crate::source::record::{Recorder, definition};

    #[tokio::test]
    async fn writers_come_and_go_until_a_stop() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("fifo").display().to_string();
        let mut fifo =
            Fifo::build(&definition("fifo", &path, serde_json::json!({}))).expect("valid");
        fifo.open().await.expect("made");
        let recorder = Recorder::new();
        let world = World::real(tokio::runtime::Handle::current());
        let (stopper, stop) = Stop::new().expect("pipe");
        let run = Box::new(fifo).run(recorder.outlet(world.clone()), stop);
        let run = world.spawn.stage("fifo", run).expect("thread");
        for (n, line) in ["one\n", "two\n"].into_iter().enumerate() {
            let mut writer = std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .expect("open");
            writer.write_all(line.as_bytes()).expect("write");
            drop(writer);
            recorder.wait_lines(n + 1).await;
        }
        // No writer is left, so it ends long before the deadline.
        stopper.stop(Instant::now() + Duration::from_hours(1));
        run.await.expect("no panic").expect("stopped");
        assert_eq!(recorder.text(), "one\ntwo\n");
    }

    #[tokio::test]
    async fn a_plain_file_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let path = file.path().display().to_string();
        let mut fifo =
            Fifo::build(&definition("fifo", &path, serde_json::json!({}))).expect("valid");
        let error = fifo.open().await.expect_err("not a FIFO").to_string();
        assert!(error.contains("is not a FIFO"), "{error}");
    }
}
