//! Files named on the command line: read once, in order, to their end.
//!
//! Following files that grow is another source's work.

use std::fs::File as OpenFile;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::pump::{Input, pump};
use super::{Outlet, Source, SourceError, SourceFuture, Stop, Succession};
use crate::component::{BuildError, Definition};
use crate::frame::{self, Framer};

/// Files read once, in order. A path of `-` is standard input.
pub struct File {
    name: Arc<str>,
    framer: Framer,
    paths: Vec<PathBuf>,
}

/// Its options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
    /// Files to read after the one that the URL names.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
}

impl File {
    /// Its scheme.
    pub const NAME: &str = "file";

    /// Builds from `file:///path`, from `paths`, or from both.
    pub fn build(definition: &Definition) -> Result<File, BuildError> {
        let config: Config = definition.decode()?;
        let mut paths = config.paths;
        if !definition.target.is_empty() {
            paths.insert(0, definition.target.clone().into());
        }
        if paths.is_empty() {
            let error = definition.error("no file given");
            return Err(error.help("write file:///var/log/app.log"));
        }
        let framer = config.frame.framer(definition)?;
        Ok(File {
            name: definition.name.clone(),
            framer,
            paths,
        })
    }

    fn failed(&self, path: &std::path::Path, error: &std::io::Error) -> SourceError {
        SourceError::Failed(format!(
            "{}: {}: cannot open: {error}",
            self.name,
            path.display()
        ))
    }
}

impl Source for File {
    fn succession(&self) -> Succession {
        Succession::After
    }

    /// Opens every file for a moment: a wrong name fails before the first is
    /// read, and thousands of names do not take as many descriptors.
    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(async {
            for path in self.paths.iter().filter(|path| path.as_os_str() != "-") {
                OpenFile::open(path).map_err(|error| self.failed(path, &error))?;
            }
            Ok(())
        })
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            for path in &self.paths {
                if stop.deadline().is_some() {
                    break;
                }
                let shown = path.to_string_lossy();
                let stream = outlet.stream(vec![("path".into(), shown.as_ref().into())]);
                let label = format!("{}: {shown}", self.name);
                let stdin = std::io::stdin();
                let opened;
                let fd = if path.as_os_str() == "-" {
                    stdin.as_fd()
                } else {
                    opened = OpenFile::open(path).map_err(|error| self.failed(path, &error))?;
                    opened.as_fd()
                };
                let input = Input {
                    fd,
                    label: &label,
                    held_open: None,
                    leftover: 0,
                };
                pump(input, self.framer.clone(), &outlet, &stream, &stop).await?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::World;
    use crate::source::record::{Recorder, definition};

    #[tokio::test]
    async fn files_are_read_in_order_with_their_paths() {
        let directory = tempfile::tempdir().expect("directory");
        let paths: Vec<String> = ["a", "b"]
            .map(|name| directory.path().join(name).display().to_string())
            .into();
        std::fs::write(&paths[0], "one\ntwo").expect("write");
        std::fs::write(&paths[1], "three\n").expect("write");
        let options = serde_json::json!({ "paths": [paths[1]] });
        let mut file = File::build(&definition("file", &paths[0], options)).expect("valid");
        file.open().await.expect("both exist");
        let recorder = Recorder::new();
        let outlet = recorder.outlet(World::real(tokio::runtime::Handle::current()));
        let (_stopper, stop) = Stop::new().expect("pipe");
        Box::new(file).run(outlet, stop).await.expect("read");
        assert_eq!(recorder.text_of("path", &paths[0]), "one\ntwo");
        assert_eq!(recorder.text_of("path", &paths[1]), "three\n");
        assert_eq!(recorder.lines(), 3);
    }

    #[tokio::test]
    async fn a_missing_file_fails_before_anything_is_read() {
        let definition = definition("file", "/nonexistent/app.log", serde_json::json!({}));
        let mut file = File::build(&definition).expect("valid");
        let error = file.open().await.expect_err("it is missing").to_string();
        assert!(
            error.starts_with("test: /nonexistent/app.log: cannot open: "),
            "{error}"
        );
    }

    #[test]
    fn unknown_options_are_refused() {
        let options = serde_json::json!({ "line_maxx": 1 });
        let error = File::build(&definition("file", "/x", options))
            .err()
            .expect("unknown");
        assert!(error.message.contains("line_maxx"), "{error}");
        let options = serde_json::json!({ "line_max": 0 });
        let error = File::build(&definition("file", "/x", options))
            .err()
            .expect("too short");
        assert_eq!(error.key.as_deref(), Some("line_max"));
    }
}
