//! Formats of lines: what is found lies in its line, what leaves raw is byte
//! for byte what came, what leaves as JSON is an object on a line of its own,
//! and a row is read the same whatever stands around it.

use tflog::event::Needs;
use tflog::parse::Formats;
use tflog::sink::Part;
use tflog::sink::encode::{Encoder, Options};

use super::events::{How, Tools, found, read, with_tools};

/// Keys and values.
pub(super) fn logfmt(data: &[u8]) {
    all_of(&["logfmt"], data);
}

/// RFC 3164 and RFC 5424.
pub(super) fn syslog(data: &[u8]) {
    all_of(&["syslog", "syslog3164", "syslog5424"], data);
}

/// What container runtimes write, where there is a format for it, and what
/// detection makes of it.
pub(super) fn containers(data: &[u8]) {
    all_of(&["cri", "docker", "auto"], data);
}

/// Any format: the first line names it, or is `pattern:` and a template; the
/// others are read. Where the name is of no format, so is the first line.
pub(super) fn named(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    let (name, text) = data.split_at(end.map_or(data.len(), |end| end + 1));
    let name = String::from_utf8_lossy(name);
    with_tools(|tools| match tools.format(name.trim_end()) {
        Ok(formats) => check(tools, &formats, text),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
            let auto = tools.format("auto").unwrap();
            check(tools, &auto, data);
        }
    });
}

/// Those of the formats that there are.
fn all_of(names: &[&str], data: &[u8]) {
    for name in names {
        if Formats::names().any(|known| known == *name) {
            with_tools(|tools| {
                let formats = tools.format(name).unwrap();
                check(tools, &formats, data);
            });
        }
    }
}

/// All promises, however the bytes become events.
fn check(tools: &mut Tools, formats: &Formats, text: &[u8]) {
    for how in How::ALL {
        let part = read(&mut formats.reader(), how.frame(text));
        let batch = &part.batch;
        let whole: Vec<_> = (0..batch.rows()).map(|row| found(batch, row)).collect();
        raw_is_what_came(&part);
        let json = one_line_an_event(tools, &part);
        if formats.is_detected() {
            // What a line is taken for depends on the lines before it.
            continue;
        }
        let mut reader = formats.reader();
        for row in 0..batch.rows() {
            let event = &batch.text()[batch.span(row)];
            let alone = read(&mut reader, how.alone(event));
            assert_eq!(found(&alone.batch, 0), whole[row], "row {row}, {how:?}");
            let mut out = Vec::new();
            tools.encoders[0].encode(&alone, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json[row], "row {row}");
        }
    }
}

fn raw_is_what_came(part: &Part) {
    let text = part.batch.text();
    let options = Options::default();
    let mut raw = Encoder::build("raw", options, &mut Needs::default()).unwrap();
    assert_eq!(raw.verbatim(part), Some(text));
    let (mut out, mut by_row) = (Vec::new(), Vec::new());
    raw.encode(part, &mut out);
    for row in 0..part.batch.rows() {
        raw.encode_row(&part.batch, row, &mut by_row);
    }
    assert!(out == text && by_row == text, "raw output is other bytes");
}

/// Checks the structured encodings; the lines of the first, which is JSON.
fn one_line_an_event(tools: &mut Tools, part: &Part) -> Vec<String> {
    let mut first = None;
    for encoder in &mut tools.encoders {
        let (mut out, mut by_row) = (Vec::new(), Vec::new());
        encoder.encode(part, &mut out);
        for row in 0..part.batch.rows() {
            encoder.encode_row(&part.batch, row, &mut by_row);
        }
        if let Some(verbatim) = encoder.verbatim(part) {
            assert!(verbatim == out, "what leaves as it came is other bytes");
        }
        assert!(out == by_row, "rows one by one are other bytes");
        let out = String::from_utf8(out).expect("what leaves is UTF-8");
        let lines: Vec<_> = out.split_inclusive('\n').map(str::to_owned).collect();
        assert_eq!(lines.len(), part.batch.rows(), "{out}");
        assert!(out.is_empty() || out.ends_with('\n'));
        for line in lines.iter().filter(|_| encoder.is_json()) {
            let object: Result<serde_json::Map<_, _>, _> = serde_json::from_str(line);
            assert!(object.is_ok(), "{object:?}: {line}");
        }
        first.get_or_insert(lines);
    }
    first.unwrap_or_default()
}
