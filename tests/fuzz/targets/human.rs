//! The view for people: whole lines, and nothing that steers the terminal but
//! the view's own colours.

use tflog::event::Needs;
use tflog::parse::Formats;
use tflog::sink::Part;
use tflog::sink::encode::{Encoder, Options, Screen};

use super::events::{How, build, read};

/// A terminal's columns, where it is one.
type Columns = fn() -> Option<u16>;

const SCREENS: [Option<Columns>; 4] = [None, Some(|| None), Some(|| Some(1)), Some(|| Some(40))];
/// The codes that the view writes itself.
const STYLES: [&str; 9] = ["0", "1", "2", "2;36", "36", "32", "33", "1;31", "1;37;41"];

/// A way to show events of a format.
struct View {
    color: bool,
    encoder: Encoder,
    formats: Formats,
}

/// One for each kind of terminal.
fn views() -> Vec<View> {
    let formats = ["auto", "raw", "json", "logfmt"];
    let each = SCREENS.into_iter().zip(formats).enumerate();
    let view = |(number, (screen, format)): (usize, (Option<Columns>, &str))| {
        let mut needs = Needs::default();
        let options = Options {
            color: number % 2 == 1,
            screen: screen.map(|columns| Screen { columns }),
            fields: None,
        };
        View {
            color: options.color,
            encoder: Encoder::build("human", options, &mut needs).unwrap(),
            formats: build(format, &needs).unwrap(),
        }
    };
    each.map(view).collect()
}

/// Lines, as formats read them and as they are.
pub(super) fn view(data: &[u8]) {
    thread_local! {
        static VIEWS: Vec<View> = views();
    }
    VIEWS.with(|views| {
        for view in views {
            for how in How::ALL {
                let part = read(&mut view.formats.reader(), how.frame(data));
                is_shown(view, &part);
            }
        }
    });
}

fn is_shown(view: &View, part: &Part) {
    let (mut whole, mut by_row) = (Vec::new(), Vec::new());
    view.encoder.clone().encode(part, &mut whole);
    let mut encoder = view.encoder.clone();
    for row in 0..part.batch.rows() {
        let before = by_row.len();
        encoder.encode_row(&part.batch, row, &mut by_row);
        is_harmless(&by_row[before..], view.color);
    }
    assert!(whole == by_row, "rows one by one are other bytes");
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
