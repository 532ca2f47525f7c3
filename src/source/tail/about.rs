//! What is known of files beside what is in them, and what that changes.
//!
//! Most sources know all of it from the path. One that learns more later says
//! so by a higher [`Describe::version`]: a file that has its turn is then
//! described anew, and its next batches carry what is known by then. A new file
//! waits for that at most as long as [`Describe::patience`] says; others have
//! their turns meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Entry, Input, Look};
use super::tailer::Tailer;
use crate::event::Stream;
use crate::frame::Framer;
use crate::seam::World;
use crate::source::SourceError;
use crate::telemetry::Gauge;

/// How often a file that waits is looked at: a new file's first lines are so
/// much later at most.
const GLANCE: Duration = Duration::from_millis(50);

/// Names and values that rules see.
pub(in crate::source) type Meta = Vec<(Box<str>, Arc<str>)>;

/// What is known of every file.
pub(in crate::source) fn named(path: &Path) -> Meta {
    vec![("path".into(), path.to_string_lossy().into())]
}

/// What is known of a file.
#[derive(Clone, Default)]
pub(in crate::source) struct About {
    pub(in crate::source) meta: Meta,
    /// How its lines are framed, if not as the source's.
    pub(in crate::source) framer: Option<Arc<Framer>>,
    /// Whether nobody wants what is written to it.
    pub(in crate::source) is_unwanted: bool,
    /// Whether less is known than there may be.
    pub(in crate::source) is_bare: bool,
    /// The version that it is of, or one before.
    pub(in crate::source) version: u64,
}

/// Says what is known of files.
pub(in crate::source) trait Describe: Send + Sync {
    /// What is known of a file by its path; none of one that is not meant.
    fn about(&self, path: &Path) -> Option<About>;

    /// Rises when more, or something else, is known of some file.
    fn version(&self) -> u64 {
        0
    }

    /// How long a new file waits for more to be known of it.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Counts events that were read of files of which less is known than there
    /// may be.
    fn count_bare(&self, _events: u64) {}

    /// What start-up needs, looked at before anything is read.
    fn open(&self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Begins to learn.
    fn begin(&self, _world: &World) {}

    /// Nobody reads any more.
    fn end(&self) {}

    /// Numbers that it keeps of itself; always the same ones.
    fn gauges(&self) -> Vec<Gauge> {
        Vec::new()
    }
}

/// Where the path says it all.
impl<F: Fn(&Path) -> Option<Meta> + Send + Sync> Describe for F {
    fn about(&self, path: &Path) -> Option<About> {
        let meta = self(path)?;
        Some(About {
            meta,
            ..About::default()
        })
    }
}

/// What a file's reading depends on of what is known of it.
#[derive(Clone, Default)]
pub(super) struct Known {
    version: u64,
    framer: Option<Arc<Framer>>,
    is_unwanted: bool,
    is_bare: bool,
    /// Until when it waits for more.
    until: Option<Instant>,
}

impl Known {
    /// Of a new file.
    pub(super) fn first(about: &About, patience: Duration) -> Known {
        let patience = Some(patience).filter(|patience| about.is_bare && !patience.is_zero());
        Known {
            version: about.version,
            framer: about.framer.clone(),
            is_unwanted: about.is_unwanted,
            is_bare: about.is_bare,
            until: patience.map(|patience| Instant::now() + patience),
        }
    }

    pub(super) fn is_bare(&self) -> bool {
        self.is_bare
    }

    /// How its lines are framed, `usual` if it is nothing special.
    pub(super) fn framer(&self, usual: &Framer) -> Framer {
        self.framer.as_deref().unwrap_or(usual).clone()
    }
}

impl Entry {
    /// The same, of another file in its place.
    pub(super) fn about(&self) -> About {
        About {
            meta: self.stream.meta.clone(),
            framer: self.known.framer.clone(),
            is_unwanted: self.known.is_unwanted,
            is_bare: self.known.is_bare,
            version: self.known.version,
        }
    }
}

impl Tailer {
    /// Whether a file can be read on: it is open, it is the file that it was, and
    /// what is known of it is enough.
    pub(super) async fn make_ready(&mut self, key: usize) -> Result<bool, SourceError> {
        if !self.ensure_open(key) {
            return Ok(false);
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(false);
        };
        match entry.look() {
            Ok(Look::Same) => self.learn(key).await,
            Ok(Look::Rewritten) => {
                self.begin_anew(key).await?;
                Ok(false)
            }
            Err(error) => {
                let path = entry.path.display();
                tracing::warn!("{}: {path}: cannot look at it: {error}", self.settings.name);
                Ok(false)
            }
        }
    }

    /// Takes in what has become known of a file. False if it waits for more, or
    /// nobody wants what is in it.
    async fn learn(&mut self, key: usize) -> Result<bool, SourceError> {
        let version = self.settings.describe.version();
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(false);
        };
        if entry.known.version != version {
            entry.known.version = version;
            let about = self.settings.describe.about(&entry.path);
            // What was known stays, though nobody else may know it any more.
            if let Some(about) = about.filter(|about| !about.is_bare) {
                self.relearn(key, about).await?;
            }
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(false);
        };
        if let Some(until) = entry.known.until {
            let now = Instant::now();
            // One that was removed has not long to be read.
            if entry.known.is_bare && entry.gone.is_none() && now < until {
                self.paused.push((until.min(now + GLANCE), key));
                return Ok(false);
            }
            entry.known.until = None;
        }
        if entry.known.is_unwanted {
            self.pass_over(key).await?;
            return Ok(false);
        }
        Ok(true)
    }

    async fn relearn(&mut self, key: usize, about: About) -> Result<(), SourceError> {
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let framers = (entry.known.framer.as_ref(), about.framer.as_ref());
        let is_framed_so = match framers {
            (None, None) => true,
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        };
        // What is compressed can only be read in order.
        if !is_framed_so && matches!(entry.input, Some(Input::Plain(_))) {
            // What is unfinished is read again, by the other framer. An event
            // that is held while others behind it have been sent cannot be.
            if entry.holds_within() {
                entry.flush(&self.outlet).await?;
            }
            let framer = about.framer.as_deref().unwrap_or(&self.settings.framer);
            entry.reframe(framer.clone());
            entry.known.framer.clone_from(&about.framer);
        }
        entry.known.is_unwanted = about.is_unwanted;
        entry.known.is_bare = about.is_bare;
        if entry.stream.meta != about.meta {
            let Stream { source, origin, .. } = *entry.stream;
            let meta = about.meta;
            entry.stream = Arc::new(Stream {
                source,
                origin,
                meta,
            });
        }
        Ok(())
    }

    /// Leaves out what a file has by now: its reading would go on behind that.
    async fn pass_over(&mut self, key: usize) -> Result<(), SourceError> {
        self.note_moved();
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let (framer, read) = (entry.known.framer(&self.settings.framer), entry.read);
        entry.pass_over(framer);
        let bytes = entry.read - read;
        self.extent.bytes.fetch_add(bytes, Ordering::Relaxed);
        entry.grow_print();
        if std::mem::take(&mut entry.print_grew) {
            self.keep(key);
        }
        if self.settings.once {
            self.retire(key, true).await?;
        }
        Ok(())
    }
}
