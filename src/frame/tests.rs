//! Framing against a plain reference: any bytes, any reads, any chunk size.

use proptest::prelude::*;

use super::*;

/// A framed line and whether it was cut.
type Line = (Vec<u8>, bool);

fn limits(line_max: usize, oversize: Oversize) -> Limits {
    Limits { line_max, oversize }
}

/// Frames `input` as a reader would: reads of the given sizes (cycled), a new
/// chunk whenever one holds `chunk_bytes`. Also the most a chunk ever held.
fn lines_of(
    mut framer: Framer,
    input: &[u8],
    reads: &[usize],
    chunk_bytes: usize,
) -> (Vec<Line>, Result<(), FrameError>, usize) {
    fn collect(chunk: &mut Chunk, lines: &mut Vec<Line>) {
        let mut start = 0;
        for (row, &end) in chunk.ends.iter().enumerate() {
            let cut = chunk.truncated.contains(&(row as u32));
            let line = &chunk.text[start..end as usize];
            let inside = line.strip_suffix(b"\n").unwrap_or(line);
            let plain = !inside.contains(&b'\n') && !line.ends_with(b"\r\n");
            assert!(plain || !chunk.plain, "{line:?}");
            lines.push((line.to_vec(), cut));
            start = end as usize;
        }
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        assert_eq!(chunk.framed(), chunk.text.len());
        *chunk = next;
    }
    let (mut lines, mut chunk, mut peak) = (Vec::new(), Chunk::default(), 0);
    let mut rest = input;
    for &size in reads.iter().cycle() {
        let (read, left) = rest.split_at(size.min(rest.len()));
        rest = left;
        chunk.text.extend_from_slice(read);
        peak = peak.max(chunk.text.len());
        if let Err(error) = framer.frame(&mut chunk) {
            collect(&mut chunk, &mut lines);
            return (lines, Err(error), peak);
        }
        if chunk.text.len() >= chunk_bytes {
            collect(&mut chunk, &mut lines);
        }
        if rest.is_empty() {
            break;
        }
    }
    framer.finish(&mut chunk);
    collect(&mut chunk, &mut lines);
    (lines, Ok(()), peak)
}

#[test]
fn lines_that_can_leave_as_they_are_are_known() {
    let plain = |framing, reads: &[&str]| {
        let (mut framer, mut chunk) = (Framer::new(framing, Limits::default()), Chunk::default());
        for read in reads {
            chunk.text.extend_from_slice(read.as_bytes());
            framer.frame(&mut chunk).expect("framed");
        }
        framer.finish(&mut chunk);
        chunk.plain
    };
    assert!(plain(Framing::Newline, &["a\rb\n\nc"]));
    assert!(plain(Framing::Newline, &["a", "b\n", "c\n"]));
    assert!(!plain(Framing::Newline, &["a\r", "\n", "b\n"]));
    assert!(!plain(Framing::Newline, &["\r\na\n", "b\n"]));
    assert!(!plain(Framing::Nul, &["a\nb\0"]));
    assert!(!plain(Framing::Octet, &["3 a\nb"]));
}

/// What lines `input` has, told the slow way.
fn reference(input: &[u8], terminator: u8, limits: Limits) -> Vec<Line> {
    let mut lines = Vec::new();
    for piece in input.split_inclusive(|&byte| byte == terminator) {
        let whole = piece.ends_with(&[terminator]);
        let content = &piece[..piece.len() - usize::from(whole)];
        let mut line = content.to_vec();
        if content.len() > limits.line_max {
            if limits.oversize == Oversize::Drop {
                continue;
            }
            line.truncate(limits.line_max);
        }
        if whole || content.len() > limits.line_max {
            line.push(b'\n');
        }
        lines.push((line, content.len() > limits.line_max));
    }
    lines
}

fn counted(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for message in messages {
        wire.extend_from_slice(format!("{} ", message.len()).as_bytes());
        wire.extend_from_slice(message);
    }
    wire
}

fn oversize() -> impl Strategy<Value = Oversize> {
    prop_oneof![Just(Oversize::Truncate), Just(Oversize::Drop)]
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    // Terminators often, so that lines of every length around the limit occur.
    let byte = prop_oneof![3 => Just(b'x'), 1 => Just(b'\n'), 1 => Just(0), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..max)
}

proptest! {
    #[test]
    fn delimited_lines_do_not_depend_on_reads_or_chunks(
        input in bytes(400),
        reads in prop::collection::vec(1..60_usize, 1..8),
        chunk_bytes in 1..100_usize,
        line_max in 1..20_usize,
        oversize in oversize(),
        nul in any::<bool>(),
    ) {
        let limits = limits(line_max, oversize);
        let (framing, terminator) = if nul { (Framing::Nul, 0) } else { (Framing::Newline, b'\n') };
        let (lines, outcome, _) = lines_of(Framer::new(framing, limits), &input, &reads, chunk_bytes);
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(lines, reference(&input, terminator, limits));
    }

    #[test]
    fn newline_framing_is_byte_exact_at_every_chunk_size(
        input in bytes(2_000).prop_map(|bytes| bytes.repeat(30)),
        read in 100..20_000_usize,
        chunk_bytes in prop_oneof![Just(4 << 10), Just(64 << 10), Just(1 << 20)],
    ) {
        let framer = Framer::new(Framing::Newline, Limits::default());
        let (lines, ..) = lines_of(framer, &input, &[read], chunk_bytes);
        let joined: Vec<u8> = lines.into_iter().flat_map(|(line, _)| line).collect();
        prop_assert!(joined == input);
    }

    #[test]
    fn counted_messages_do_not_depend_on_reads_or_chunks(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..20),
        reads in prop::collection::vec(1..60_usize, 1..8),
        chunk_bytes in 1..100_usize,
        line_max in 1..30_usize,
        oversize in oversize(),
    ) {
        let limits = limits(line_max, oversize);
        let framer = Framer::new(Framing::Octet, limits);
        let (lines, outcome, _) = lines_of(framer, &counted(&messages), &reads, chunk_bytes);
        prop_assert_eq!(outcome, Ok(()));
        let mut expected = Vec::new();
        for message in messages {
            let cut = message.len() > line_max;
            if cut && oversize == Oversize::Drop {
                continue;
            }
            let mut line = message[..message.len().min(line_max)].to_vec();
            if cut || line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            expected.push((line, cut));
        }
        prop_assert_eq!(lines, expected);
    }

    #[test]
    fn hostile_counts_never_panic_and_never_grow_a_chunk(
        input in prop::collection::vec(prop_oneof![Just(b' '), b'0'..=b'9', any::<u8>()], 0..300),
        read in 1..60_usize,
    ) {
        let framer = Framer::new(Framing::Octet, limits(16, Oversize::Truncate));
        let (_, _, peak) = lines_of(framer, &input, &[read], 1);
        prop_assert!(peak <= 16 + 1 + read);
    }
}

#[test]
fn bad_lengths_are_refused_after_the_lines_before_them() {
    let cases: [(&[u8], FrameError); 6] = [
        (b"3 abcx", FrameError::NotLength(b'x')),
        (b"3 abc -1 x", FrameError::NotLength(b' ')),
        (b"3 abc0 x", FrameError::NotLength(b'0')),
        (b"3 abc+5 x", FrameError::NotLength(b'+')),
        (b"3 abc1234567890 x", FrameError::LengthTooLong),
        (
            b"3 abc99999999999999999999999999 x",
            FrameError::LengthTooLong,
        ),
    ];
    for (input, expected) in cases {
        for read in [1, 5, 100] {
            let framer = Framer::new(Framing::Octet, Limits::default());
            let (lines, outcome, _) = lines_of(framer, input, &[read], 64);
            assert_eq!(lines, [(b"abc\n".to_vec(), false)], "{input:?} by {read}");
            assert_eq!(outcome, Err(expected), "{input:?} by {read}");
        }
    }
}

#[test]
fn a_message_cut_short_is_flagged() {
    let framer = Framer::new(Framing::Octet, Limits::default());
    let (lines, ..) = lines_of(framer, b"3 abc5 de", &[4], 64);
    let expected = [(b"abc\n".to_vec(), false), (b"de".to_vec(), true)];
    assert_eq!(lines, expected);
}

#[test]
fn a_line_without_end_is_held_only_up_to_the_limit() {
    for framing in [Framing::Newline, Framing::Nul] {
        let line_max = 1 << 16;
        let mut framer = Framer::new(framing, limits(line_max, Oversize::Truncate));
        let mut chunk = Chunk::default();
        let read = vec![b'x'; 1 << 14];
        let mut cuts = 0;
        for _ in 0..4096 {
            chunk.text.extend_from_slice(&read);
            cuts += framer.frame(&mut chunk).expect("delimited").truncated;
        }
        assert_eq!(cuts, 1);
        assert_eq!(chunk.text.len(), line_max + 1);
        assert!(chunk.text.capacity() <= 2 * (line_max + read.len()));
        assert_eq!(chunk.truncated, [0]);
    }
}

#[test]
fn a_line_can_be_cut_early() {
    let mut framer = Framer::new(Framing::Newline, Limits::default());
    let mut chunk = Chunk::default();
    chunk.text.extend_from_slice(b"one\ntwo and");
    framer.frame(&mut chunk).expect("delimited");
    let counts = framer.cut(&mut chunk);
    assert_eq!(
        counts,
        Framed {
            truncated: 1,
            ..Framed::default()
        }
    );
    chunk.text.extend_from_slice(b" a half\nthree\n");
    framer.frame(&mut chunk).expect("delimited");
    assert_eq!(chunk.text, b"one\ntwo and\nthree\n");
    assert_eq!(chunk.ends, [4, 12, 18]);
    assert_eq!(chunk.truncated, [1]);
}

#[test]
fn line_max_has_bounds() {
    let definition = Definition {
        name: "test".into(),
        scheme: "stdin".into(),
        tls: false,
        target: String::new(),
        options: serde_json::Map::new(),
    };
    let framer = |bytes| {
        let options = Options {
            line_max: Some(ByteSize(bytes)),
            ..Options::default()
        };
        options.framer(&definition)
    };
    assert!(framer(0).is_err_and(|error| error.key.as_deref() == Some("line_max")));
    assert!(framer(u64::MAX).is_err());
    assert!(framer(64).is_ok_and(|framer| framer.unfinished_max() == 64));
}

mod marks;
