//! Dead letters, read again: one JSON object a line, as a sink's driver writes
//! them, back to events with the ids that they had.
//!
//! What was in the files when they were opened is read, in order, and no
//! more: what the replay itself sends back to them is for the next one. Events
//! carry `replay.sink` and `replay.returns` as metadata. How far a file's
//! letters are settled is kept beside it ([`Mark`]), so that a replay that was
//! stopped goes on where it was. A letter is passed over, and counted, if it
//! is older than asked for, of a sink that is not there, or came back too
//! often; a line that is no letter is counted and said.

mod letter;
mod lines;
mod mark;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Outlet, Source, SourceError, SourceFuture, Stop};
use crate::event::{Chunk, EventId, Pool, Stream, Timestamp};
use letter::Letter;
use lines::{Line, Lines};
pub use mark::Mark;

/// How often a letter may come back before it is left alone.
pub const RETURNS_MAX: u32 = 3;
/// A chunk this full is sent.
const FULL_BYTES: usize = Pool::CHUNK_BYTES - 32 * 1024;
/// With a rate, so often letters are let go.
const TICK: Duration = Duration::from_millis(50);
/// A mark is saved at most so often while letters are read.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Lines that are no letters and are told one by one.
const TOLD_MAX: u64 = 10;

/// Which letters to read and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Files, in the order in which they are read.
    pub files: Vec<PathBuf>,
    /// Only letters of these sinks; none: of all.
    pub sinks: Option<HashSet<String>>,
    /// Only letters written at this time or later.
    pub since: Option<Timestamp>,
    /// Letters a second; as fast as they are taken if not given.
    pub rate: Option<f64>,
    /// Whether a replay goes on where the last one was, and the next where
    /// this one ends.
    pub marks: bool,
    /// Whether it begins at the beginning all the same.
    pub again: bool,
}

/// What became of letters so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of all files.
    pub bytes_total: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Letters sent.
    pub sent: AtomicU64,
    /// Letters passed over since they are older than asked for.
    pub older: AtomicU64,
    /// Letters passed over since their sink is not there.
    pub strange: AtomicU64,
    /// Letters passed over since they came back [`RETURNS_MAX`] times.
    pub exhausted: AtomicU64,
    /// Lines that are no letters.
    pub malformed: AtomicU64,
}

/// The source.
pub struct Replay {
    selection: Selection,
    files: Vec<File>,
    progress: Arc<Progress>,
}

struct File {
    shown: String,
    lines: Lines,
    mark: Arc<Mark>,
}

fn add(counter: &AtomicU64, times: u64) {
    counter.fetch_add(times, Ordering::Relaxed);
}

impl Replay {
    /// Opens the files; their marks are read, and written as letters are
    /// settled.
    ///
    /// # Errors
    /// In words, with the file's name: it cannot be opened, or its mark is
    /// none that can be trusted.
    pub fn open(selection: Selection) -> Result<Replay, String> {
        let progress = Arc::new(Progress::default());
        let open = |path: &PathBuf| File::open(path, &selection, &progress);
        let files = selection.files.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Replay {
            selection,
            files,
            progress,
        })
    }

    /// What becomes of the letters.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// How far each file's letters are settled.
    #[must_use]
    pub fn marks(&self) -> Vec<Arc<Mark>> {
        self.files.iter().map(|file| file.mark.clone()).collect()
    }
}

impl File {
    fn open(path: &Path, selection: &Selection, progress: &Arc<Progress>) -> Result<File, String> {
        let shown = path.display().to_string();
        let mut lines = Lines::open(path, progress)
            .map_err(|error| format!("{shown}: cannot open: {error}"))?;
        let mark = match (selection.marks, selection.again) {
            (false, _) => Mark::none(),
            (true, false) => Mark::load(path, &mut lines)?,
            (true, true) => Mark::new(path),
        };
        Ok(File {
            shown,
            lines,
            mark: Arc::new(mark),
        })
    }
}

impl Source for Replay {
    fn run(mut self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let files = std::mem::take(&mut self.files);
            let mut sender = Sender {
                selection: &self.selection,
                progress: &self.progress,
                outlet: &outlet,
                stop: &stop,
                streams: HashMap::new(),
                stream: None,
                chunk: Box::default(),
                ids: Vec::new(),
                start: Instant::now(),
                saved: Instant::now(),
            };
            for mut file in files {
                if stop.deadline().is_some() {
                    break;
                }
                sender.send_file(&mut file).await?;
            }
            Ok(())
        })
    }
}

/// A letter's sink and how often it came back.
type Key = (String, u32);

/// Sends letters, those of one sink together as long as they follow another.
struct Sender<'a> {
    selection: &'a Selection,
    progress: &'a Progress,
    outlet: &'a Outlet,
    stop: &'a Stop,
    streams: HashMap<Key, Arc<Stream>>,
    /// Whose the letters of `chunk` are.
    stream: Option<(Key, Arc<Stream>)>,
    chunk: Box<Chunk>,
    ids: Vec<EventId>,
    start: Instant,
    saved: Instant,
}

impl Sender<'_> {
    async fn send_file(&mut self, file: &mut File) -> Result<(), SourceError> {
        let mut line = Vec::new();
        while self.stop.deadline().is_none() {
            let before = file.lines.offset();
            let next = file.lines.next(&mut line).map_err(|error| {
                let place = file.lines.number();
                SourceError::Failed(format!("{}:{place}: cannot read: {error}", file.shown))
            })?;
            match next {
                Line::Whole => match Letter::read(&line) {
                    Ok(letter) => {
                        let span = before..file.lines.offset();
                        self.take(&file.mark, span, &letter).await?;
                    }
                    Err(why) => self.tell(file, &why),
                },
                Line::TooLong => self.tell(file, "longer than any letter"),
                Line::Torn => {
                    self.tell(file, "its end is missing; it may still be being written");
                    self.flush(&file.mark, before).await?;
                    file.mark.save();
                    return Ok(());
                }
                Line::End => {
                    let end = file.lines.offset();
                    self.flush(&file.mark, end).await?;
                    file.mark.pass(end);
                    file.mark.save();
                    return Ok(());
                }
            }
        }
        let end = file.lines.offset();
        self.flush(&file.mark, end).await
    }

    /// Counts a line that is no letter, and says so.
    fn tell(&self, file: &File, why: &str) {
        let before = self.progress.malformed.fetch_add(1, Ordering::Relaxed);
        if before < TOLD_MAX {
            let place = file.lines.number();
            tracing::warn!("{}:{place}: no dead letter: {why}", file.shown);
        }
    }

    /// Takes up a letter, written at `span` of its file, or passes it over.
    async fn take(
        &mut self,
        mark: &Arc<Mark>,
        span: Range<u64>,
        letter: &Letter<'_>,
    ) -> Result<(), SourceError> {
        let selection = self.selection;
        if letter.returns >= RETURNS_MAX {
            add(&self.progress.exhausted, 1);
            return Ok(());
        }
        if selection.since.is_some_and(|since| letter.time < since) {
            add(&self.progress.older, 1);
            return Ok(());
        }
        if let Some(sinks) = &selection.sinks
            && !sinks.contains(&*letter.sink)
        {
            add(&self.progress.strange, 1);
            return Ok(());
        }
        let same = |(key, _): &(Key, _)| key.0 == *letter.sink && key.1 == letter.returns;
        if !self.stream.as_ref().is_some_and(same) || self.chunk.text.len() >= FULL_BYTES {
            self.flush(mark, span.start).await?;
            let key = (letter.sink.clone().into_owned(), letter.returns);
            let stream = self.stream_of(&key);
            self.stream = Some((key, stream));
        }
        if self.chunk.text.capacity() == 0 {
            self.chunk = self.outlet.pool.take(Pool::CHUNK_BYTES);
        }
        letter.write(&mut self.chunk);
        self.ids.push(letter.id);
        if selection.rate.is_some() {
            self.pace(mark, span.end).await?;
        }
        Ok(())
    }

    fn stream_of(&mut self, key: &Key) -> Arc<Stream> {
        let outlet = self.outlet;
        let new = || {
            outlet.stream(vec![
                ("replay.sink".into(), key.0.as_str().into()),
                ("replay.returns".into(), key.1.to_string().into()),
            ])
        };
        self.streams.entry(key.clone()).or_insert_with(new).clone()
    }

    /// Waits while more letters were taken up than the rate allows.
    async fn pace(&mut self, mark: &Arc<Mark>, end: u64) -> Result<(), SourceError> {
        let Some(rate) = self.selection.rate else {
            return Ok(());
        };
        loop {
            let taken = self.progress.sent.load(Ordering::Relaxed) + self.ids.len() as u64;
            // One at the start, so that slow rates show something.
            let due = 1.0 + self.start.elapsed().as_secs_f64() * rate;
            if (taken as f64) < due || self.stop.deadline().is_some() {
                return Ok(());
            }
            self.flush(mark, end).await?;
            let next = Instant::now() + TICK;
            tokio::select! {
                () = sleep_until(next) => {}
                _ = self.stop.stopping() => return Ok(()),
            }
        }
    }

    /// Sends what was taken up; all before `end` of the file is on its way then.
    async fn flush(&mut self, mark: &Arc<Mark>, end: u64) -> Result<(), SourceError> {
        let Some((_, stream)) = self.stream.as_ref().filter(|_| !self.ids.is_empty()) else {
            return Ok(());
        };
        let chunk = std::mem::take(&mut self.chunk);
        let ids = std::mem::take(&mut self.ids);
        add(&self.progress.sent, ids.len() as u64);
        let waiter = Mark::begin(mark, end);
        self.outlet.send_again(stream, chunk, ids, waiter).await?;
        if self.saved.elapsed() >= SAVE_EVERY {
            self.saved = Instant::now();
            mark.save();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
