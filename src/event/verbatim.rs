//! An event within a JSON record about it, as dead letters and dumps have it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

/// The value of a record's `event`.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Verbatim<'a> {
    /// JSON, byte for byte.
    Json(&'a RawValue),
    /// Anything else that is UTF-8.
    Text(&'a str),
}

impl Verbatim<'_> {
    /// The values of `event` and of `event_base64`, of which one is there: the
    /// line as JSON, if it is meant to be and is, else as text, else coded.
    #[must_use]
    pub fn of(line: &[u8], is_json: bool) -> (Option<Verbatim<'_>>, Option<String>) {
        let json = if is_json {
            serde_json::from_slice(line).ok().map(Verbatim::Json)
        } else {
            None
        };
        let event = json.or_else(|| std::str::from_utf8(line).ok().map(Verbatim::Text));
        let base64 = event.is_none().then(|| BASE64_STANDARD.encode(line));
        (event, base64)
    }
}
