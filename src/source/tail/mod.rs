//! `file:///glob`: files as they grow, through rotation of every kind.
//!
//! What is true is found by looking: a directory says which files there are, a
//! file's size whether there is more, its device, inode and first bytes which
//! file it is. inotify only says where to look now ([`watch`]); a look at
//! everything comes now and then all the same, and often where there are no
//! watches to be had. A file is read by offset, a chunk in its turn, on one
//! thread for all.
//!
//! | what happens | what is seen | what is done |
//! |---|---|---|
//! | renamed, a new one in its place | the name leads to another inode | the old one is read on until it rests, the new one from its start |
//! | removed while open | no name | the same; then its descriptor is let go, or goes over to the source that a reload puts in this one's place |
//! | truncated, or written anew | shorter than read, or begins otherwise | read from its start as another file |
//! | copied and truncated | a copy beside it that begins the same | the copy is read from where the original had been |
//! | inode used again | same inode, begins otherwise | another file |
//! | rotated while tflog was down | a kept inode or beginning under another name beside it, perhaps compressed | read to its end from where it was |
//!
//! How far a file's batches have settled ([`settle`]) is kept in the state
//! directory ([`store`]) with a random id, given at first sight and durable
//! before its first event is sent, which is the origin of its events' ids. A
//! batch that is given up is read again. Events that have not settled when
//! tflog ends are read again by the next one.

mod about;
mod catch_up;
mod entry;
mod find;
mod glob;
mod identity;
mod legacy;
mod numbers;
mod rotate;
mod settle;
mod store;
mod table;
mod tailer;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Outlet, Source, SourceError, SourceFuture, Stop, Succession};
use crate::component::{BuildError, Definition, Period};
use crate::frame::{self, Framer, Framing};
use crate::seam::{DiskRoot, StateDirectory};
use crate::telemetry::Gauges;
#[cfg(feature = "kubernetes-api")]
pub(super) use about::About;
pub(super) use about::{Describe, Meta, named};
use find::Finder;
use glob::Pattern;
pub use legacy::Legacy;
use legacy::Part;
pub use numbers::Extent;
use numbers::{Numbers, Told};
use store::Store;
use tailer::Tailer;

/// How often everything is looked at where there are no watches: soon enough
/// for people, seldom enough for thousands of files.
const LOOK_BLIND: Duration = Duration::from_millis(500);
/// How often in spite of watches: file systems of other machines give no hints.
const LOOK: Duration = Duration::from_secs(10);
/// Files that may be open at once: with those of the sinks below the 1,024 that
/// a process mostly may have.
const OPEN_MAX: usize = 512;

/// Where reading of a file that was there before tflog begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At its first line.
    #[default]
    Beginning,
    /// Behind its last one, if nothing is known of any file from before.
    End,
}

/// Its options.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How lines are told apart and how long they may be.
    #[serde(flatten)]
    pub frame: frame::Options,
    /// Patterns of files beside the one of the URL.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Patterns of files that are left out: of paths, or without a `/` of names.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where reading of a file begins that was there before tflog.
    #[serde(default)]
    pub start: Start,
    /// Files that nobody has written to for so long are not read.
    #[serde(default)]
    pub ignore_older: Option<Period>,
    /// Read what is there to its end, and end.
    #[serde(default)]
    pub once: bool,
    /// Files that may be open at once; others are opened again when they grow.
    #[serde(default = "open_max")]
    pub open_max: usize,
}

fn open_max() -> usize {
    OPEN_MAX
}

/// What files are, and how they are read.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) name: Arc<str>,
    finder: Finder,
    pub(super) framer: Framer,
    pub(super) start: Start,
    pub(super) ignore_older: Option<Duration>,
    pub(super) once: bool,
    pub(super) open_max: usize,
    pub(super) describe: Arc<dyn Describe>,
}

/// Files as they grow.
pub struct Tail {
    settings: Settings,
    /// Where positions are kept.
    state: Option<StateDirectory>,
    store: Option<Store>,
    numbers: Arc<Numbers>,
    extent: Arc<Extent>,
    /// What goes over to the next of its name.
    legacy: Part,
    /// Files that must be there at the start.
    named: Vec<PathBuf>,
}

impl Tail {
    /// Its scheme.
    pub const NAME: &str = "file";

    /// Builds from `file:///glob`, from `paths`, or from both.
    pub fn build(definition: &Definition) -> Result<Tail, BuildError> {
        let config: Config = definition.decode()?;
        let target = Some(&definition.target).filter(|target| !target.is_empty());
        let patterns: Vec<_> = target.into_iter().chain(&config.paths).cloned().collect();
        if patterns.is_empty() {
            let error = definition.error("no file given");
            return Err(error.help("write file:///var/log/*.log"));
        }
        Tail::of(
            definition,
            &config,
            &patterns,
            Arc::new(|path: &Path| Some(named(path))),
        )
    }

    /// Files named one by one in `paths`, followed without keeping positions.
    pub fn follow(definition: &Definition) -> Result<Tail, BuildError> {
        let mut config: Config = definition.decode()?;
        let paths = std::mem::take(&mut config.paths);
        let describe = Arc::new(|path: &Path| Some(named(path)));
        let mut tail = Tail::of(definition, &config, &[], describe)?;
        tail.settings.finder.patterns = paths.iter().map(|path| Pattern::literal(path)).collect();
        tail.named = paths.into_iter().map(PathBuf::from).collect();
        Ok(tail)
    }

    /// Files of `patterns` of which `describe` knows more.
    pub(super) fn of(
        definition: &Definition,
        config: &Config,
        patterns: &[String],
        describe: Arc<dyn Describe>,
    ) -> Result<Tail, BuildError> {
        if config.frame.framing == Framing::Octet {
            let error = definition.error("lines of files are not octet-counted");
            return Err(error.at("framing").help("use newline or nul"));
        }
        if config.open_max == 0 {
            let error = definition.error("no file could be open");
            return Err(error.at("open_max"));
        }
        let parse = |key: &'static str, texts: &[String]| {
            let patterns = texts.iter().map(|text| Pattern::parse(text));
            let patterns: Result<Vec<_>, _> = patterns.collect();
            patterns.map_err(|message| definition.error(message).at(key))
        };
        let key = if config.paths.is_empty() {
            "url"
        } else {
            "paths"
        };
        Ok(Tail {
            settings: Settings {
                name: definition.name.clone(),
                finder: Finder {
                    patterns: parse(key, patterns)?,
                    exclude: parse("exclude", &config.exclude)?,
                },
                framer: config.frame.framer(definition)?,
                start: config.start,
                ignore_older: config.ignore_older.map(|Period(period)| period),
                once: config.once,
                open_max: config.open_max,
                describe,
            },
            state: None,
            store: None,
            numbers: Arc::default(),
            extent: Arc::default(),
            legacy: Part::default(),
            named: Vec::new(),
        })
    }

    /// A wrong name fails before anything is read.
    fn look_up_named(&self) -> Result<(), SourceError> {
        for path in &self.named {
            std::fs::metadata(path).map_err(|error| {
                let (name, path) = (&self.settings.name, path.display());
                SourceError::Failed(format!("{name}: {path}: cannot open: {error}"))
            })?;
        }
        Ok(())
    }

    /// The positions, by what opens or reads them.
    fn store(
        &self,
        open: impl FnOnce(Box<dyn DiskRoot>) -> Result<Store, store::StoreError>,
    ) -> Result<Option<Store>, SourceError> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let name = &self.settings.name;
        let part = Path::new("tail").join(&**name);
        let directory = state.path().join(&part);
        let failed = |error: &dyn std::fmt::Display, help: &str| {
            let directory = directory.display();
            SourceError::Failed(format!("{name}: positions in {directory}: {error}{help}"))
        };
        let root = state.part(&part);
        let root = root.map_err(|error| failed(&error, "; can tflog write to its `state`?"))?;
        let store = open(root).map_err(|error| match &error {
            store::StoreError::Newer { .. } => failed(
                &error,
                "; run that one, or remove the directory to read all files anew",
            ),
            store::StoreError::Foreign { .. } => {
                failed(&error, "; remove it to read all files anew")
            }
            store::StoreError::Io(_) => failed(&error, "; can tflog write to its `state`?"),
        })?;
        if store.damaged > 0 {
            let (damaged, directory) = (store.damaged, directory.display());
            tracing::warn!(
                "{name}: positions in {directory}: {damaged} damaged lines: some lines of files may be read again"
            );
        }
        Ok(Some(store))
    }
}

impl Source for Tail {
    fn is_service(&self) -> bool {
        // Without positions it is a command's, which a person ends.
        !self.settings.once && self.state.is_some()
    }

    fn keeps_state(&self) -> bool {
        !self.settings.once
    }

    fn keep(&mut self, state: StateDirectory) {
        self.state = Some(state);
    }

    fn extent(&self) -> Option<Arc<Extent>> {
        self.settings.once.then(|| self.extent.clone())
    }

    /// Two would read the same lines, and the one before still keeps positions.
    fn succession(&self) -> Succession {
        Succession::After
    }

    fn legacy(&self) -> Option<Arc<Legacy>> {
        self.keeps_state().then(|| self.legacy.all().clone())
    }

    fn inherit(&mut self, legacy: Arc<Legacy>) {
        self.legacy = Part::next(legacy);
    }

    fn gauges(&self) -> Option<Arc<dyn Gauges>> {
        Some(Arc::new(Told {
            numbers: self.numbers.clone(),
            describe: self.settings.describe.clone(),
        }))
    }

    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(async {
            self.look_up_named()?;
            self.settings.describe.open()?;
            self.store = self.store(Store::open)?;
            Ok(())
        })
    }

    fn could_open(&self) -> Result<(), SourceError> {
        self.look_up_named()?;
        self.settings.describe.open()?;
        self.store(Store::read).map(drop)
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let Tail {
                settings,
                store,
                numbers,
                extent,
                legacy,
                ..
            } = *self;
            let describe = settings.describe.clone();
            describe.begin(&outlet.world);
            let tailer = Tailer::new(settings, store, outlet, stop, (numbers, legacy));
            let ended = tailer.run(extent).await;
            describe.end();
            ended
        })
    }
}

#[cfg(test)]
mod tests;
