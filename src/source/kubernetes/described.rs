//! Files described by what is known of their pods.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use super::api::Access;
use super::hints::Judge;
use super::pods::{Pods, Wanted};
use super::watch::{Pace, Watcher};
use super::{FormatCheck, Paths};
use crate::component::{BuildError, Definition, Period};
use crate::event::Stream;
use crate::seam::World;
use crate::source::SourceError;
use crate::source::tail::{About, Describe};
use crate::telemetry::Gauge;

/// An API server tells of a new pod within milliseconds, mostly before its first
/// line; at the start, hundreds of pods are listed in less.
const WAIT: Duration = Duration::from_secs(1);
/// A file that waits for longer is held up rather than described.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The options of `enrich`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The node whose pods are watched; `NODE_NAME` if not given.
    #[serde(default)]
    node: Option<String>,
    /// The API's address, spoken to without credentials (`kubectl proxy`); the
    /// cluster's, as the pod's service account, if not given.
    #[serde(default)]
    api: Option<String>,
    /// Annotations that events get, by name.
    #[serde(default)]
    annotations: Vec<String>,
    /// Whether annotations of pods say how their lines are read.
    #[serde(default = "yes")]
    hints: bool,
    /// How long a new file waits for its pod to be known.
    #[serde(default = "wait")]
    wait: Period,
}

fn yes() -> bool {
    true
}

fn wait() -> Period {
    Period(WAIT)
}

impl Options {
    fn read(definition: &Definition, value: Value) -> Result<Options, BuildError> {
        let options: Result<Options, _> = serde_json::from_value(value);
        let options = options.map_err(|error| definition.error(error.to_string()).at("enrich"))?;
        if options.wait.0 > WAIT_MAX {
            let message = format!("must be at most {WAIT_MAX:?}");
            return Err(definition.error(message).at("enrich.wait"));
        }
        if let Some(api) = &options.api {
            let is_address = Access::check(api);
            is_address.map_err(|message| definition.error(message).at("enrich.api"))?;
        }
        Ok(options)
    }
}

/// Files described by their paths, and by what is known of their pods.
pub(super) struct Described {
    name: Arc<str>,
    paths: Paths,
    pods: Arc<Pods>,
    options: Options,
    pace: Pace,
    /// Ends the watch when it is dropped.
    watch: Mutex<Option<oneshot::Sender<()>>>,
}

impl Described {
    /// For the files of a source that has these options as its `enrich`.
    pub(super) fn build(
        definition: &Definition,
        options: Value,
        paths: Paths,
        formats: FormatCheck,
    ) -> Result<Described, BuildError> {
        let options = Options::read(definition, options)?;
        let judge = options.hints.then(|| Judge::new(definition, formats));
        let judge = judge.transpose()?;
        Ok(Described::new(definition, options, paths, judge))
    }

    fn new(definition: &Definition, options: Options, paths: Paths, judge: Option<Judge>) -> Self {
        let name = definition.name.clone();
        let node = options.node.clone();
        let node = node.or_else(|| std::env::var("NODE_NAME").ok());
        let wanted = Wanted {
            node: node.filter(|node| !node.is_empty()),
            annotations: options.annotations.clone(),
            judge,
        };
        Described {
            pods: Arc::new(Pods::new(name.clone(), wanted)),
            name,
            paths,
            options,
            pace: Pace::default(),
            watch: Mutex::default(),
        }
    }

    /// How the API is reached, and of which node pods are watched.
    fn access(&self) -> Result<(Access, String), SourceError> {
        let failed =
            |message: &str| SourceError::Failed(format!("{}: enrich: {message}", self.name));
        let node = self.pods.node().ok_or_else(|| {
            failed(
                "which node this is, is not known; set NODE_NAME from spec.nodeName in the pod's \
                 `env`, or `enrich: {node: NAME}`",
            )
        })?;
        let access = Access::of(self.options.api.as_deref()).map_err(|error| failed(&error))?;
        Ok((access, node.to_owned()))
    }
}

impl Describe for Described {
    fn about(&self, path: &Path) -> Option<About> {
        // Asked first: what changes in between is seen the next time.
        let version = self.pods.version();
        let (mut meta, owner) = self.paths.describe(path)?;
        let Some(owner) = owner else {
            return Some(About {
                meta,
                version,
                ..About::default()
            });
        };
        let Some(pod) = self.pods.pod(&owner.uid) else {
            return Some(About {
                meta,
                is_bare: true,
                version,
                ..About::default()
            });
        };
        meta.extend(pod.meta.iter().cloned());
        let hints = &pod.hints;
        if let Some(format) = hints.format(&owner.container) {
            meta.push((Stream::FORMAT.into(), format));
        }
        Some(About {
            meta,
            framer: hints.framer(&owner.container),
            is_unwanted: hints.is_excluded(&owner.container),
            is_bare: false,
            version,
        })
    }

    fn version(&self) -> u64 {
        self.pods.version()
    }

    fn patience(&self) -> Duration {
        self.options.wait.0
    }

    fn count_bare(&self, events: u64) {
        self.pods.count_bare(events);
    }

    fn open(&self) -> Result<(), SourceError> {
        self.access().map(drop)
    }

    fn begin(&self, world: &World) {
        let (access, node) = match self.access() {
            Ok(access) => access,
            // It was there at the start.
            Err(error) => return tracing::error!("{error}"),
        };
        let (sender, over) = oneshot::channel();
        let watcher = Watcher {
            name: self.name.clone(),
            node,
            pods: self.pods.clone(),
            pace: self.pace,
            random: world.random.clone(),
        };
        world.spawn.task(async move {
            tokio::select! {
                _ = over => {}
                () = watcher.run(access) => {}
            }
        });
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }

    fn end(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        *watch = None;
    }

    fn gauges(&self) -> Vec<Gauge> {
        self.pods.gauges()
    }
}

#[cfg(test)]
mod tests;
