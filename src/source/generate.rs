//! `generate:`: made-up log lines, for trying tflog out and loading it.
//!
//! The same seed gives the same lines, timestamps included. With `lines: 0` it
//! never ends.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tokio::time::{Instant, sleep_until};

use super::{Outlet, Source, SourceError, SourceFuture, Stop};
use crate::component::{BuildError, Definition};
use crate::event::{Chunk, Pool, Stream};
use crate::seam::Random;

/// The first line's timestamp: 2026-01-01T00:00:00Z.
const FIRST_MILLIS: i64 = 1_767_225_600_000;
/// Lines that `generate:` alone makes.
const LINES: u64 = 1000;
/// How often a rate is kept up with: often enough to look even, seldom enough
/// to make batches.
const TICK: Duration = Duration::from_millis(10);
/// A chunk this full is sent.
const FULL_BYTES: usize = Pool::CHUNK_BYTES / 4 * 3;

const LEVELS: [&str; 8] = [
    "info", "info", "info", "debug", "info", "warn", "info", "error",
];
const SERVICES: [&str; 4] = ["pay", "cart", "search", "login"];
const PATHS: [&str; 5] = [
    "/",
    "/healthz",
    "/api/v1/orders",
    "/api/v1/items?page=2",
    "/login",
];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
const STATUSES: [u16; 8] = [200, 200, 200, 201, 204, 301, 404, 503];
const MESSAGES: [&str; 4] = [
    "request finished",
    "cache miss, asking the database",
    "retrying after a timeout",
    "user \\\"jo\\\" signed in",
];

/// What lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON objects.
    #[default]
    Json,
    /// The combined access log of web servers.
    Combined,
    /// `key=value` pairs.
    Logfmt,
    /// Prose with a timestamp and a level.
    Text,
    /// All of these in turn.
    Mixed,
}

/// Lines a second: a number, or `1000/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate(f64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let number = match &value {
            serde_json::Value::String(text) => {
                let number = text.strip_suffix("/s").unwrap_or(text);
                number.trim().parse().ok()
            }
            other => other.as_f64(),
        };
        match number {
            Some(rate) if (0.0..=1e9).contains(&rate) => Ok(Rate(rate)),
            _ => Err(D::Error::custom(format!(
                "{value} is not a rate: write lines a second, as in 1000/s"
            ))),
        }
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number"], "pattern": r"^[0-9.]+ *(/s)?$" })
    }
}

/// Its options. Numbers may be text, as URLs write them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many lines; 0 is without end.
    #[serde(default = "lines", deserialize_with = "number")]
    pub lines: u64,
    /// Lines a second; as fast as they are taken if not given.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// What they look like.
    #[serde(default)]
    pub format: Format,
    /// Other seeds give other lines.
    #[serde(default, deserialize_with = "number")]
    pub seed: u64,
}

fn lines() -> u64 {
    LINES
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value
        .as_str()
        .map_or(value.as_u64(), |text| text.parse().ok());
    number.ok_or_else(|| D::Error::custom(format!("{value} is not a whole number")))
}

/// Made-up log lines.
pub struct Generate {
    lines: u64,
    rate: Option<f64>,
    format: Format,
    random: Random,
    /// Lines made so far.
    made: u64,
}

impl Generate {
    /// Its scheme.
    pub const NAME: &str = "generate";

    /// Builds from `generate:`.
    pub fn build(definition: &Definition) -> Result<Generate, BuildError> {
        let config: Config = definition.decode()?;
        if !definition.target.is_empty() {
            let error = definition.error(format!("{:?} means nothing here", definition.target));
            return Err(error.help("write generate:?lines=1000&format=json"));
        }
        Ok(Generate {
            lines: config.lines,
            rate: config
                .rate
                .map(|Rate(rate)| rate)
                .filter(|&rate| rate > 0.0),
            format: config.format,
            random: Random::seeded(config.seed),
            made: 0,
        })
    }

    /// Fills a chunk with lines until it is full or `due` lines were made.
    fn fill(&mut self, chunk: &mut Chunk, due: u64) {
        while self.made < due && chunk.text.len() < FULL_BYTES {
            self.line(&mut chunk.text);
            chunk.text.push(b'\n');
            chunk.ends.push(chunk.text.len() as u32);
            self.made += 1;
        }
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let dice = self.random.u64();
        let n = self.made;
        let at = Timestamp::from_millisecond(FIRST_MILLIS.saturating_add(n as i64));
        let at = at.unwrap_or(Timestamp::MAX);
        let level = pick(&LEVELS, dice);
        let service = pick(&SERVICES, dice >> 8);
        let (method, path) = (pick(&METHODS, dice >> 16), pick(&PATHS, dice >> 24));
        let (status, message) = (pick(&STATUSES, dice >> 32), pick(&MESSAGES, dice >> 40));
        let took = (dice >> 48) % 2000;
        let format = match self.format {
            Format::Mixed => {
                [Format::Json, Format::Combined, Format::Logfmt, Format::Text][(n % 4) as usize]
            }
            one => one,
        };
        // Writing into a vector cannot fail.
        let _ = match format {
            Format::Json | Format::Mixed => write!(
                out,
                r#"{{"time":"{at:.3}","level":"{level}","service":"{service}","msg":"{message}","http":{{"method":"{method}","path":"{path}","status":{status}}},"took_ms":{took},"n":{n}}}"#
            ),
            Format::Combined => write!(
                out,
                r#"10.0.{}.{} - - [{}] "{method} {path} HTTP/1.1" {status} {took} "-" "curl/8.5.0""#,
                dice >> 56,
                (dice >> 48) & 0xff,
                at.strftime("%d/%b/%Y:%H:%M:%S %z"),
            ),
            Format::Logfmt => write!(
                out,
                r#"time={at:.3} level={level} service={service} msg="{message}" http.status={status} took={took}ms n={n}"#
            ),
            Format::Text => write!(
                out,
                "{at:.3} {} [{service}] {} ({took} ms)",
                level.to_uppercase(),
                message.replace('\\', "")
            ),
        };
    }

    async fn make(mut self, outlet: &Outlet, stop: &Stop) -> Result<(), SourceError> {
        let stream: std::sync::Arc<Stream> = outlet.stream(Vec::new());
        let lines = if self.lines == 0 {
            u64::MAX
        } else {
            self.lines
        };
        let start = Instant::now();
        let mut position = 0;
        let mut next = start;
        // Nothing is in the way to be read: stopping ends it at once.
        while self.made < lines && stop.deadline().is_none() {
            let due = match self.rate {
                None => lines,
                // One line at the start, so that slow rates show something.
                Some(rate) => (1 + (start.elapsed().as_secs_f64() * rate) as u64).min(lines),
            };
            if self.made < due {
                let mut chunk = outlet.pool.take(Pool::CHUNK_BYTES);
                self.fill(&mut chunk, due);
                let bytes = chunk.text.len() as u64;
                outlet.send(&stream, position, chunk).await?;
                position += bytes;
            } else {
                next += TICK;
                tokio::select! {
                    () = sleep_until(next) => {}
                    _ = stop.stopping() => break,
                }
            }
        }
        Ok(())
    }
}

fn pick<T: Copy>(from: &[T], dice: u64) -> T {
    from[(dice & 0xff) as usize % from.len()]
}

impl Source for Generate {
    fn is_service(&self) -> bool {
        self.lines == 0
    }

    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move { self.make(&outlet, &stop).await })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::seam::World;
    use crate::source::record::{Recorder, definition};

    fn generate(options: serde_json::Value) -> Generate {
        Generate::build(&definition("generate", "", options)).expect("valid")
    }

    async fn text(options: serde_json::Value) -> String {
        let recorder = Recorder::new();
        let world = World::simulated(crate::event::Timestamp(0), 1);
        let (_stopper, stop) = Stop::new().expect("pipe");
        let run = Box::new(generate(options)).run(recorder.outlet(world), stop);
        run.await.expect("bounded");
        recorder.text()
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_lines() {
        let one = text(json!({ "lines": "5000", "format": "mixed", "seed": 1 })).await;
        assert_eq!(one.lines().count(), 5000);
        assert_eq!(
            one,
            text(json!({ "lines": 5000, "format": "mixed", "seed": "1" })).await
        );
        assert_ne!(
            one,
            text(json!({ "lines": 5000, "format": "mixed", "seed": 2 })).await
        );
    }

    #[tokio::test]
    async fn json_lines_are_json() {
        for line in text(json!({ "lines": 500 })).await.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
            assert!(value["http"]["status"].is_u64(), "{line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept() {
        let start = Instant::now();
        text(json!({ "lines": 101, "rate": "10/s" })).await;
        let took = start.elapsed().as_secs_f64();
        assert!((9.9..=10.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_end_it_is_a_service_that_stops_when_told() {
        let endless = generate(json!({ "lines": 0, "rate": 1 }));
        assert!(endless.is_service());
        assert!(!generate(json!({})).is_service());
        let recorder = Recorder::new();
        let world = World::simulated(crate::event::Timestamp(0), 1);
        let (stopper, stop) = Stop::new().expect("pipe");
        let run = tokio::spawn(Box::new(endless).run(recorder.outlet(world), stop));
        recorder.wait_lines(5).await;
        stopper.stop(Instant::now() + Duration::from_hours(1));
        run.await.expect("no panic").expect("stopped");
    }

    #[test]
    fn options_are_checked() {
        for options in [
            json!({ "rate": -1 }),
            json!({ "rate": "x" }),
            json!({ "lines": 1.5 }),
        ] {
            assert!(Generate::build(&definition("generate", "", options)).is_err());
        }
    }
}
