//! `tflog buffer`: what lies in the disk buffers. Only looks, without the lock
//! of the state directory, so that it can be asked while tflog runs.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Buffer, BufferOptions, Options};
use super::{EXIT_FAILURE, EXIT_USAGE, print, say, setup};
use crate::buffer::disk::{Damage, Found, OpenError, Stored, verify};
use crate::config::Config;
use crate::event::{Pool, Timestamp, Verbatim};
use crate::seam::{RealDisk, StateDirectory};

/// Runs one of its verbs; the exit code.
pub(super) fn main(buffer: &Buffer) -> u8 {
    let result = match buffer {
        Buffer::Ls(options) => Buffers::find(options).map(|buffers| buffers.ls()),
        Buffer::Verify(options) => Buffers::find(options).map(|buffers| buffers.verify()),
        Buffer::Dump(options) => Buffers::find(options).map(|buffers| buffers.dump()),
    };
    result.unwrap_or_else(|code| code)
}

/// The buffers that are asked about.
struct Buffers {
    state: StateDirectory,
    /// Their sinks, in the order of the alphabet.
    names: Vec<String>,
    config: Config,
}

/// What one buffer holds.
#[derive(Default)]
struct Content {
    segments: u64,
    bytes: u64,
    records: u64,
    events: u64,
    oldest: Option<Timestamp>,
    damages: Vec<Damage>,
}

impl Buffers {
    fn find(options: &BufferOptions) -> Result<Buffers, u8> {
        let files = Options {
            config: options.config.clone(),
            ..Options::default()
        };
        let inputs = setup::inputs(&files, setup::environment());
        let config = setup::load_or_say(&inputs)?.config;
        let Some(state) = &config.state else {
            say(
                "tflog: there is no state directory: name it with `state` in the config, or TFLOG_STATE",
            );
            return Err(EXIT_USAGE);
        };
        let state = StateDirectory::new(&state.value, Arc::new(RealDisk));
        let names = names(&state).map_err(|error| {
            say(&format!("tflog: {}: {error}", state.path().display()));
            EXIT_FAILURE
        })?;
        let missing = options.sinks.iter().find(|sink| !names.contains(sink));
        if let Some(missing) = missing {
            let there = match names.len() {
                0 => "none".to_owned(),
                _ => names.join(", "),
            };
            say(&format!(
                "tflog: there is no buffer of a sink `{missing}` (buffers: {there})"
            ));
            return Err(EXIT_USAGE);
        }
        let wanted = |name: &String| options.sinks.is_empty() || options.sinks.contains(name);
        let names = names.into_iter().filter(wanted).collect();
        Ok(Buffers {
            state,
            names,
            config,
        })
    }

    /// Whether a sink of the config takes the buffer.
    fn is_taken(&self, name: &str) -> bool {
        let mut sinks = self.config.sinks.iter();
        sinks.any(|sink| sink.name == name && sink.buffer.disk.is_some())
    }

    fn scan(&self, name: &str, each: &mut dyn FnMut(Found<'_>) -> bool) -> Result<(), OpenError> {
        let directory: PathBuf = Path::new(StateDirectory::BUFFERS).join(name);
        verify(&RealDisk, self.state.path(), &directory, each)
    }

    fn content(&self, name: &str) -> Result<Content, OpenError> {
        let mut content = Content::default();
        self.scan(name, &mut |found| {
            match found {
                Found::Segment { bytes, .. } => {
                    content.segments += 1;
                    content.bytes += bytes;
                }
                Found::Record {
                    record, settled, ..
                } => {
                    if !settled {
                        content.records += 1;
                        content.events += u64::from(record.entry.events);
                        content.oldest.get_or_insert(record.observed());
                    }
                }
                Found::Damage(damage) => content.damages.push(damage),
            }
            true
        })?;
        Ok(content)
    }

    /// One line a buffer.
    fn ls(&self) -> u8 {
        let mut rows =
            vec![["SINK", "EVENTS", "RECORDS", "BYTES", "OLDEST", ""].map(str::to_owned)];
        let mut code = 0;
        for name in &self.names {
            match self.content(name) {
                Ok(content) => rows.push([
                    name.clone(),
                    content.events.to_string(),
                    content.records.to_string(),
                    content.bytes.to_string(),
                    content
                        .oldest
                        .map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339),
                    self.note(name, &content).to_owned(),
                ]),
                Err(error) => {
                    say(&format!("tflog: {error}"));
                    code = EXIT_FAILURE;
                }
            }
        }
        if rows.len() == 1 && code == 0 {
            say(&format!(
                "tflog: there are no buffers in {}",
                self.state.path().display()
            ));
            return 0;
        }
        print(&table(&rows)).max(code)
    }

    fn note(&self, name: &str, content: &Content) -> &'static str {
        if content.damages.iter().any(|damage| damage.synced) {
            "damaged: tflog buffer verify"
        } else if !self.is_taken(name) && content.events > 0 {
            "kept: no sink of the config takes it"
        } else {
            ""
        }
    }

    /// Reads every byte. What is corrupt makes the exit status 1.
    fn verify(&self) -> u8 {
        let mut text = String::new();
        let mut code = 0;
        for name in &self.names {
            let content = match self.content(name) {
                Ok(content) => content,
                Err(error) => {
                    say(&format!("tflog: {error}"));
                    code = EXIT_FAILURE;
                    continue;
                }
            };
            for damage in &content.damages {
                if damage.synced {
                    code = EXIT_FAILURE;
                }
                describe(&mut text, name, damage);
            }
            let corrupt = content
                .damages
                .iter()
                .filter(|damage| damage.synced)
                .count();
            let verdict = if corrupt == 0 { "ok" } else { "damaged" };
            let plural = if content.segments == 1 { "" } else { "s" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name}: {verdict}: {} events in {} records wait, {} bytes in {} segment{plural}",
                content.events, content.records, content.bytes, content.segments
            );
        }
        print(&text).max(code)
    }

    /// Every event that waits, as a line of JSON.
    fn dump(&self) -> u8 {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut failed = None;
        for name in &self.names {
            let scanned = self.scan(name, &mut |found| {
                let Found::Record {
                    record,
                    settled: false,
                    ..
                } = found
                else {
                    return true;
                };
                let written = write_events(&mut out, name, &record);
                written.map_err(|error| failed = Some(error)).is_ok()
            });
            if let Err(error) = scanned {
                say(&format!("tflog: {error}"));
                return EXIT_FAILURE;
            }
        }
        let failed = failed.or_else(|| out.flush().err());
        match failed {
            // A reader that went away is no failure.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                say(&format!("tflog: cannot write to stdout: {error}"));
                EXIT_FAILURE
            }
            _ => 0,
        }
    }
}

/// The buffers in a state directory; a directory that is not there has none.
fn names(state: &StateDirectory) -> io::Result<Vec<String>> {
    if !state.path().join(StateDirectory::BUFFERS).is_dir() {
        // Nothing is made for who only looks.
        return Ok(Vec::new());
    }
    let listed = state.part(StateDirectory::BUFFERS)?.list(Path::new(""))?;
    let names = listed
        .into_iter()
        .filter_map(|name| name.into_string().ok());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    Ok(names)
}

/// An event as it waits: `{"id", "sink", "source", "observed", "event"}`. The
/// event is an object where it is a JSON object, else text, or `event_base64`.
#[derive(serde::Serialize)]
struct Line<'a> {
    id: String,
    sink: &'a str,
    source: &'a str,
    observed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Verbatim<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_base64: Option<String>,
}

fn write_events(out: &mut impl Write, sink: &str, record: &Stored<'_>) -> io::Result<()> {
    let stream = Arc::new(record.stream(0));
    let batch = record.batch(stream, &Arc::<Pool>::default());
    for row in 0..batch.rows() {
        let line = batch.line(row);
        let (event, event_base64) = Verbatim::of(line, line.starts_with(b"{"));
        let line = Line {
            id: batch.id(row).to_string(),
            sink,
            source: record.source(),
            observed: record.observed().to_rfc3339(),
            event,
            event_base64,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// One place that is not as it was written.
fn describe(text: &mut String, sink: &str, damage: &Damage) {
    let Damage {
        path,
        offset,
        bytes,
        records,
        events,
        what,
        ..
    } = damage;
    let path = path.display();
    // Writing to a string cannot fail.
    let _ = if damage.synced {
        writeln!(
            text,
            "{sink}: {path}: {bytes} bytes at {offset}: {what}: {events} events in {records} records are lost"
        )
    } else {
        writeln!(
            text,
            "{sink}: {path}: {bytes} bytes at {offset}: {what}; nothing that was confirmed is lost"
        )
    };
}

/// Rows of cells as columns: the first and the last two to the left, numbers
/// to the right.
fn table(rows: &[[String; 6]]) -> String {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if (1..4).contains(&column) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let row = |cells: [&str; 6]| cells.map(str::to_owned);
        let rows = [
            row(["SINK", "EVENTS", "RECORDS", "BYTES", "OLDEST", ""]),
            row(["a", "12345678", "1", "2", "-", "kept"]),
        ];
        assert_eq!(
            table(&rows),
            "SINK    EVENTS  RECORDS  BYTES  OLDEST\n\
             a     12345678        1      2  -       kept\n"
        );
    }
}
