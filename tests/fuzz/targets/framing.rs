//! Framing: lines and events are the same however their bytes are read, and
//! all bytes are in them.

use std::sync::Arc;

use tflog::component::{ByteSize, Definition};
use tflog::event::Chunk;
use tflog::frame::multiline::{Bounds, Multiline};
use tflog::frame::{FrameError, Framed, Framer, Framing, Limits, Options, Oversize};

/// A line or event, and whether it was cut.
type Line = (Vec<u8>, bool);

/// What framing a stream came to.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    lines: Vec<Line>,
    truncated: u64,
    dropped: u64,
    split: u64,
    error: Option<FrameError>,
}

impl Outcome {
    fn count(&mut self, framed: Framed) {
        self.truncated += framed.truncated;
        self.dropped += framed.dropped;
        self.split += framed.split;
    }

    /// Takes the lines out of a chunk; its rest begins the next one.
    fn collect(&mut self, chunk: &mut Chunk) {
        let mut start = 0;
        let mut several = 0;
        let mut cut = chunk.truncated.iter().peekable();
        for (row, &end) in chunk.ends.iter().enumerate() {
            let line = chunk.text[start..end as usize].to_vec();
            start = end as usize;
            several += usize::from(line[..line.len() - 1].contains(&b'\n'));
            let was_cut = cut.next_if(|&&cut| cut as usize == row).is_some();
            self.lines.push((line, was_cut));
        }
        assert_eq!(cut.next(), None, "a row that is not there was cut");
        // Other framings have lines with newlines in them.
        assert!(!chunk.joined || several > 0);
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        *chunk = next;
    }
}

/// Frames `input` as a reader would: reads of `read_bytes`, a new chunk
/// whenever one holds `chunk_bytes`.
fn outcome(framer: &Framer, input: &[u8], read_bytes: usize, chunk_bytes: usize) -> Outcome {
    let (mut own, mut chunk) = (framer.clone(), Chunk::default());
    let mut outcome = Outcome::default();
    for read in input.chunks(read_bytes) {
        chunk.text.extend_from_slice(read);
        match own.frame(&mut chunk) {
            Ok(counts) => outcome.count(counts),
            Err(error) => {
                outcome.error = Some(error);
                outcome.collect(&mut chunk);
                return outcome;
            }
        }
        if chunk.text.len() >= chunk_bytes {
            outcome.collect(&mut chunk);
        }
    }
    outcome.count(own.finish(&mut chunk));
    assert_eq!(own.held(), 0);
    outcome.collect(&mut chunk);
    outcome
}

/// Lines, with the first four bytes as settings: framing, limit, sizes of reads
/// and chunks.
pub(super) fn lines(data: &[u8]) {
    let Some((&[how, line_max, read_bytes, chunk_bytes], input)) = data.split_first_chunk() else {
        return;
    };
    let framing = [Framing::Newline, Framing::Nul, Framing::Octet][usize::from(how % 3)];
    let limits = Limits {
        line_max: match line_max {
            0 => Limits::LINE_MAX,
            bytes => usize::from(bytes),
        },
        oversize: [Oversize::Truncate, Oversize::Drop][usize::from(how / 3 % 2)],
    };
    let framer = Framer::new(framing, limits);
    let whole = outcome(&framer, input, usize::MAX, usize::MAX);
    for (read, chunk) in [(read_bytes, chunk_bytes), (0, 0), (0, u8::MAX)] {
        let parts = outcome(
            &framer,
            input,
            usize::from(read) + 1,
            usize::from(chunk) + 1,
        );
        // The counts of a call that failed are not told.
        if whole.error.is_some() {
            assert_eq!((&parts.lines, parts.error), (&whole.lines, whole.error));
        } else {
            assert_eq!(parts, whole);
        }
    }
    if framing != Framing::Octet {
        let terminator = if framing == Framing::Nul { 0 } else { b'\n' };
        assert_eq!(whole.lines, reference(input, terminator, limits));
    }
    if framing == Framing::Newline && whole.truncated + whole.dropped == 0 {
        assert!(concat(&whole.lines) == input, "lines are other bytes");
    }
}

/// What lines `input` has, told the slow way.
fn reference(input: &[u8], terminator: u8, limits: Limits) -> Vec<Line> {
    let mut lines = Vec::new();
    for piece in input.split_inclusive(|&byte| byte == terminator) {
        let content = piece.strip_suffix(&[terminator]).unwrap_or(piece);
        let cut = content.len() > limits.line_max;
        if cut && limits.oversize == Oversize::Drop {
            continue;
        }
        let mut line = content[..content.len().min(limits.line_max)].to_vec();
        if cut || content.len() < piece.len() {
            line.push(b'\n');
        }
        lines.push((line, cut));
    }
    lines
}

fn concat(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|(line, _)| line.clone()).collect()
}

/// Events of several lines. The first line is what `multiline` says, as JSON;
/// if it is none, it is read like the others, and `auto` joins.
pub(super) fn events(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    let (first, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
    let said = serde_json::from_slice::<serde_json::Value>(first)
        .ok()
        .and_then(|value| serde_json::from_value::<Multiline>(value).ok());
    let (multiline, input) = match said {
        Some(multiline) => (multiline, rest),
        None => (Multiline::Auto(Bounds::default()), data),
    };
    for line_max in [None, Some(ByteSize(24))] {
        let Some(framer) = framer(multiline.clone(), line_max) else {
            return;
        };
        let whole = outcome(&framer, input, usize::MAX, usize::MAX);
        for (read, chunk) in [(1, 1), (7, 64), (100, 1)] {
            assert_eq!(outcome(&framer, input, read, chunk), whole);
        }
        if line_max.is_none() && !is_wrapped(input) {
            assert!(concat(&whole.lines) == input, "events are other bytes");
            is_kept_when_the_wait_ends(&framer, input);
        }
        let mut all_but_last = whole.lines.iter().rev().skip(1);
        assert!(all_but_last.all(|(event, _)| event.ends_with(b"\n")));
    }
}

/// Whether a stream's first line may be one that a container runtime wrote: the
/// parts of an event then stand apart, and are written anew.
pub(super) fn is_wrapped(input: &[u8]) -> bool {
    let line = input
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let has = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    has(b" stdout ") || has(b" stderr ") || has(b"{\"log\":\"")
}

fn framer(multiline: Multiline, line_max: Option<ByteSize>) -> Option<Framer> {
    let options = Options {
        line_max,
        multiline,
        ..Options::default()
    };
    let definition = Definition {
        name: Arc::from("fuzz"),
        scheme: "stdin".to_owned(),
        tls: false,
        target: String::new(),
        options: serde_json::Map::new(),
    };
    let framer = options.framer(&definition);
    framer
        .inspect_err(|error| assert!(error.key.is_some() && !error.message.is_empty()))
        .ok()
}

/// A reader that stops waiting at any place loses and changes nothing.
fn is_kept_when_the_wait_ends(framer: &Framer, input: &[u8]) {
    let (mut framer, mut chunk) = (framer.clone(), Chunk::default());
    for read in input.chunks(13) {
        chunk.text.extend_from_slice(read);
        framer.frame(&mut chunk).unwrap();
        framer.flush(&mut chunk);
        assert_eq!(framer.held(), 0);
    }
    framer.finish(&mut chunk);
    assert_eq!(chunk.framed(), input.len());
    assert!(chunk.text == input && chunk.ends.is_sorted());
    let lines = input.split_inclusive(|&byte| byte == b'\n').count();
    assert_eq!(chunk.joined, chunk.ends.len() < lines);
}
