//! Lines on their way to stderr, which nobody has to wait for.
//!
//! A thread of its own writes them, in the order in which they came, out of a
//! queue with a bound. While stderr takes lines, whoever brings one to a full
//! queue waits for room, so that none is lost. If it takes none for a second,
//! nobody reads: from then on lines are dropped and counted, until stderr has
//! taken all that is in the queue and a line that tells of the dropped.
//!
//! Each line is one call to write: of programs that share a pipe, lines of up to
//! `PIPE_BUF` bytes do not mix.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Time is counted in so much of it: a process that was stopped for long and
/// goes on has waited for one of these.
const SLICE: Duration = Duration::from_millis(100);
/// So many without a line written mean that nobody reads: longer than a reader
/// needs that is merely busy, shorter than anybody waits for a log.
const PATIENCE_SLICES: u32 = 10;
/// Bytes that wait: some thousand lines, more than a reload or an end writes.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// What a line takes beside its text.
const LINE_BYTES: usize = 32;

/// The queue, for all that write.
#[derive(Clone)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// A line came.
    came: Condvar,
    /// A line went, or nobody reads.
    went: Condvar,
    /// Lines that nobody will see.
    dropped: Arc<AtomicU64>,
    thread: OnceLock<ThreadId>,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Box<[u8]>>,
    /// Bytes of those, and of the one that is being written.
    bytes: usize,
    /// Lines that left it.
    gone: u64,
    /// Whether lines are dropped.
    is_stuck: bool,
    /// Lines dropped that nothing has told of.
    untold: u64,
}

impl Writer {
    /// Begins to write to `out`. `tell` writes a line that so many were dropped.
    pub(super) fn start(
        out: impl AsFd + Send + 'static,
        tell: impl Fn(&Writer, u64) + Send + 'static,
    ) -> io::Result<Writer> {
        let writer = Writer {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                came: Condvar::new(),
                went: Condvar::new(),
                dropped: Arc::default(),
                thread: OnceLock::new(),
            }),
        };
        let own = writer.clone();
        let run = move || own.run(&out, &tell);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(run)?;
        Ok(writer)
    }

    /// Lines that were dropped since the start.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        self.shared.dropped.clone()
    }

    /// Brings a line, with its end.
    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.lock();
        let (mut gone, mut slices) = (queue.gone, 0);
        while !self.has_room(&queue, line.len()) {
            if queue.is_stuck {
                queue.untold += 1;
                self.count_dropped();
                return;
            }
            if queue.gone != gone {
                (gone, slices) = (queue.gone, 0);
            } else if slices == PATIENCE_SLICES {
                queue.is_stuck = true;
                continue;
            }
            slices += 1;
            let waited = self.shared.went.wait_timeout(queue, SLICE);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.bytes += line.len() + LINE_BYTES;
        queue.lines.push_back(line.into());
        drop(queue);
        self.shared.came.notify_one();
    }

    /// Waits until everything is written, for `time` at most; whether it is.
    pub(super) fn flush(&self, time: Duration) -> bool {
        let is_open = |queue: &mut Queue| queue.bytes > 0 || queue.is_stuck;
        let mut queue = self.lock();
        for _ in 0..time.as_millis() / SLICE.as_millis() {
            let waited = self.shared.went.wait_timeout_while(queue, SLICE, is_open);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if !timeout.timed_out() {
                return true;
            }
            queue = after;
        }
        !is_open(&mut queue)
    }

    fn has_room(&self, queue: &Queue, bytes: usize) -> bool {
        if queue.is_stuck {
            // Its own line tells of the others.
            return self.shared.thread.get() == Some(&std::thread::current().id());
        }
        // One that is larger than the queue goes when nothing else waits.
        queue.bytes == 0 || queue.bytes + bytes + LINE_BYTES <= QUEUE_BYTES_MAX
    }

    fn run(&self, out: &impl AsFd, tell: &impl Fn(&Writer, u64)) {
        // Set once: a thread runs once.
        let _ = self.shared.thread.set(std::thread::current().id());
        let mut queue = self.lock();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                drop(queue);
                if write(out, &line).is_err() {
                    self.count_dropped();
                }
                queue = self.lock();
                queue.bytes -= line.len() + LINE_BYTES;
                queue.gone += 1;
                self.shared.went.notify_all();
            } else if queue.untold > 0 {
                let untold = std::mem::take(&mut queue.untold);
                drop(queue);
                tell(self, untold);
                queue = self.lock();
            } else {
                if std::mem::take(&mut queue.is_stuck) {
                    self.shared.went.notify_all();
                }
                let woken = self.shared.came.wait(queue);
                queue = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn count_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        let queue = &self.shared.queue;
        queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of a line, however long it takes.
fn write(out: &impl AsFd, mut line: &[u8]) -> Result<(), Errno> {
    while !line.is_empty() {
        match rustix::io::write(out, line) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => line = &line[written..],
            Err(Errno::INTR) => {}
            // Somebody else who has it wants it so.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};

    use super::*;

    /// More than a pipe holds and the queue takes.
    const LINES: usize = 8_000;
    const LINE: usize = 1_000;

    fn start() -> (Writer, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let tell = |writer: &Writer, lines| writer.push(format!("{lines} dropped\n").as_bytes());
        (Writer::start(writer, tell).unwrap(), reader)
    }

    fn line(number: usize) -> String {
        format!("{number:0>width$}\n", width = LINE - 1)
    }

    /// Reads `lines` lines.
    fn read(from: &mut PipeReader, lines: usize) -> Vec<String> {
        let mut text = vec![0; lines * LINE];
        from.read_exact(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().map(|line| format!("{line}\n")).collect()
    }

    /// A reader that reads gets every line, in order, however many come at once.
    #[test]
    fn nothing_is_dropped_while_somebody_reads() {
        let (writer, mut reader) = start();
        let reading = std::thread::spawn(move || read(&mut reader, LINES));
        (0..LINES).for_each(|number| writer.push(line(number).as_bytes()));
        let lines = reading.join().unwrap();
        assert!((0..LINES).all(|number| lines[number] == line(number)));
        assert!(writer.flush(Duration::from_mins(1)));
        assert_eq!(writer.dropped().load(Ordering::Relaxed), 0);
    }

    /// While nobody reads, what came first is kept, the rest is counted; once
    /// somebody does, it is told between what was before and what comes after.
    #[test]
    fn what_nobody_reads_is_dropped_and_told() {
        let (writer, mut reader) = start();
        (0..LINES).for_each(|number| writer.push(line(number).as_bytes()));
        let dropped = writer.dropped().load(Ordering::Relaxed) as usize;
        let kept = LINES - dropped;
        assert!((1..LINES).contains(&kept), "{kept} kept");
        assert!(!writer.flush(Duration::ZERO));

        let lines = read(&mut reader, kept);
        assert!((0..kept).all(|number| lines[number] == line(number)));
        assert!(writer.flush(Duration::from_mins(1)));
        writer.push(b"after\n");
        let expected = format!("{dropped} dropped\nafter\n");
        let mut told = vec![0; expected.len()];
        reader.read_exact(&mut told).unwrap();
        assert_eq!(String::from_utf8(told).unwrap(), expected);
        assert_eq!(writer.dropped().load(Ordering::Relaxed) as usize, dropped);
    }

    /// A line that is larger than the queue goes, and a reader that went away
    /// stops nobody.
    #[test]
    fn long_lines_and_closed_pipes_are_survived() {
        let (writer, mut reader) = start();
        let long = vec![b'x'; 2 * QUEUE_BYTES_MAX];
        writer.push(&long);
        let mut text = vec![0; long.len()];
        reader.read_exact(&mut text).unwrap();
        assert!(writer.flush(Duration::from_mins(1)));
        drop(reader);
        (0..LINES).for_each(|number| writer.push(line(number).as_bytes()));
        assert!(writer.flush(Duration::from_mins(1)));
        assert_eq!(writer.dropped().load(Ordering::Relaxed), LINES as u64);
    }

    /// A descriptor that somebody else has made non-blocking loses nothing.
    #[test]
    fn a_descriptor_that_does_not_block_is_waited_for() {
        let (mut reader, out) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&out, true).unwrap();
        let writer = Writer::start(out, |_, _| ()).unwrap();
        (0..500).for_each(|number| writer.push(line(number).as_bytes()));
        let lines = read(&mut reader, 500);
        assert!((0..500).all(|number| lines[number] == line(number)));
        assert!(writer.flush(Duration::from_mins(1)));
        assert_eq!(writer.dropped().load(Ordering::Relaxed), 0);
    }
}
