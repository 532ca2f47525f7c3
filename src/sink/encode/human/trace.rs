//! The lines of a stack trace, folded where they are many: of frames in a row
//! the first are shown, where most languages have the innermost ones, and the
//! last, where Python has.

use super::canvas::{Canvas, Style};

/// Frames in a row that are always shown.
const RUN_MAX: usize = 8;
/// Of more, so many at the beginning and at the end.
const FIRST: usize = 4;
const LAST: usize = 2;

/// The lines of a text, without their terminators.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let lines = text.split(|&b| b == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Writes each line below.
pub(super) fn write<'a>(
    mut lines: impl Iterator<Item = &'a [u8]> + Clone,
    fold: bool,
    canvas: &mut Canvas,
) {
    loop {
        let run = lines.clone().take_while(|line| is_frame(line)).count();
        if fold && run > RUN_MAX {
            lines
                .by_ref()
                .take(FIRST)
                .for_each(|line| write_line(line, Style::Dim, canvas));
            let folded = run - FIRST - LAST;
            lines.by_ref().take(folded).for_each(drop);
            canvas.style(Style::Plain);
            canvas.line();
            canvas.style(Style::Name);
            canvas.text(format!("    … {folded} more lines").as_bytes());
            lines
                .by_ref()
                .take(LAST)
                .for_each(|line| write_line(line, Style::Dim, canvas));
        } else {
            lines
                .by_ref()
                .take(run)
                .for_each(|line| write_line(line, Style::Dim, canvas));
        }
        let Some(line) = lines.next() else {
            return;
        };
        write_line(line, Style::Plain, canvas);
    }
}

fn write_line(line: &[u8], style: Style, canvas: &mut Canvas) {
    canvas.style(Style::Plain);
    canvas.line();
    canvas.style(style);
    canvas.text(line);
}

/// Whether a line is no more than a frame: indented, or at the margin in Go,
/// PHP and Ruby.
fn is_frame(line: &[u8]) -> bool {
    match line {
        [b' ' | b'\t', ..] | [b'#', b'0'..=b'9', ..] => true,
        _ => {
            let word = line.split(|&b| b == b' ').next().unwrap_or_default();
            let call = line.ends_with(b")") && word.contains(&b'(') && !word.starts_with(b"(");
            call || word.ends_with(b":in") || line.starts_with(b"created by ")
        }
    }
}
