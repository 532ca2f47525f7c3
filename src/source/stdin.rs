//! `stdin`: lines from standard input, a pipe, a terminal or a file.

use std::os::fd::AsFd;

use schemars::JsonSchema;
use serde::Deserialize;

use super::pump::{Input, pump};
use super::{Outlet, Source, SourceFuture, Stop, Succession};
use crate::component::{BuildError, Definition};
use crate::frame::{self, Framer};

/// Lines from standard input.
pub struct Stdin {
    label: String,
    framer: Framer,
}

/// Its options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
}

impl Stdin {
    /// Its scheme.
    pub const NAME: &str = "stdin";

    /// Builds from `stdin`.
    pub fn build(definition: &Definition) -> Result<Stdin, BuildError> {
        let config: Config = definition.decode()?;
        let framer = config.frame.framer(definition)?;
        Ok(Stdin {
            label: format!("{}: stdin", definition.name),
            framer,
        })
    }
}

impl Source for Stdin {
    fn succession(&self) -> Succession {
        Succession::Never("stdin".to_owned())
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(vec![("stream".into(), "stdin".into())]);
            let stdin = std::io::stdin();
            let input = Input {
                fd: stdin.as_fd(),
                label: &self.label,
                held_open: None,
                leftover: 0,
            };
            pump(input, self.framer, &outlet, &stream, &stop).await
        })
    }
}
