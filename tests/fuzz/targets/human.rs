//! The view for people: whole lines, and nothing that steers the terminal but
//! the view's own colours.

use tflog::event::Needs;
use tflog::sink::encode::{Encoder, Options, Screen};

use super::events::{How, build, read};

/// A terminal's columns, where it is one.
type Columns = fn() -> Option<u16>;

const SCREENS: [Option<Columns>; 4] = [None, Some(|| None), Some(|| Some(1)), Some(|| Some(40))];
/// The codes that the view writes itself.
const STYLES: [&str; 9] = ["0", "1", "2", "2;36", "36", "32", "33", "1;31", "1;37;41"];

/// Lines, as formats read them and as they are.
pub(super) fn view(data: &[u8]) {
    for (number, screen) in SCREENS.into_iter().enumerate() {
        let mut needs = Needs::default();
        let options = Options {
            color: number % 2 == 1,
            screen: screen.map(|columns| Screen { columns }),
            fields: None,
        };
        let encoder = Encoder::build("human", options.clone(), &mut needs).unwrap();
        // With all of `auto` once: it takes long to build.
        let format = ["auto", "raw", "json", "logfmt"][number];
        let formats = build(format, &needs).unwrap();
        for how in How::ALL {
            let part = read(&mut formats.reader(), how.frame(data));
            let (mut whole, mut by_row) = (Vec::new(), Vec::new());
            encoder.clone().encode(&part, &mut whole);
            let mut encoder = encoder.clone();
            for row in 0..part.batch.rows() {
                let before = by_row.len();
                encoder.encode_row(&part.batch, row, &mut by_row);
                is_harmless(&by_row[before..], options.color);
            }
            assert!(whole == by_row, "rows one by one are other bytes");
        }
    }
}

/// One event: whole lines of text that a terminal only shows.
fn is_harmless(shown: &[u8], color: bool) {
    let mut text = String::from_utf8(shown.to_vec()).expect("what is shown is UTF-8");
    assert!(text.ends_with('\n'), "{text:?} is no whole line");
    if color {
        for style in STYLES {
            text = text.replace(&format!("\x1b[{style}m"), "");
        }
    }
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert_eq!(text.chars().find(|&c| steers(c)), None, "{text:?}");
}
