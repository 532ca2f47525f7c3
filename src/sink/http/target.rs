//! Where a request goes: a fixed host, and a path and query that may hold
//! values of the event.
//!
//! A value is percent-encoded to RFC 3986's unreserved characters, so that it
//! is within one segment of the path or one value of the query, whatever it
//! holds; a segment that would be `.` or `..` has its dots replaced by `_`. No
//! value stands in the host.

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};

use crate::component::{BuildError, Definition};
use crate::event::{Batch, Needs};
use crate::sink::template::Template;

/// A compiled URL.
pub(super) struct Target {
    scheme: Scheme,
    pub(super) authority: Authority,
    template: Template,
}

impl Target {
    /// Compiles what follows `http://`; what it needs is added to `needs`.
    pub(super) fn compile(
        definition: &Definition,
        needs: &mut Needs,
    ) -> Result<Target, BuildError> {
        let error = |what: &str| definition.error(what.to_owned()).at("url");
        let text = definition.target.as_str();
        let (host, rest) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
        if host.contains(['{', '}']) {
            return Err(error("a host cannot hold values of events")
                .help("put `{…}` into the path, or use a route and a sink for each host"));
        }
        if rest.contains('#') {
            return Err(error("a fragment (`#…`) is never sent").help("write %23 for a `#`"));
        }
        let template = Template::compile(rest, needs)
            .map_err(|e| definition.error(format!("path and query: {e}")).at("url"))?;
        Ok(Target {
            scheme: if definition.tls {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            authority: authority(definition, host)?,
            template,
        })
    }

    /// Whether every event goes to the same URL.
    pub(super) fn is_constant(&self) -> bool {
        self.template.is_constant()
    }

    /// Puts the row's path and query into `out`; how many values were missing.
    pub(super) fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> u64 {
        out.clear();
        self.template.render(batch, row, out, escape)
    }

    /// The URL of what [`Target::render`] gave.
    pub(super) fn uri(&self, rendered: &[u8]) -> Result<Uri, hyper::http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query(rendered))
            .build()
    }
}

/// A host, with a port if it has one.
pub(in crate::sink) fn authority(
    definition: &Definition,
    host: &str,
) -> Result<Authority, BuildError> {
    let error = || {
        definition
            .error(format!("{host:?} is no host to connect to"))
            .at("url")
            .help("write host or host:port; IPv6 in brackets; user and password go to `auth`")
    };
    let authority: Authority = host.parse().map_err(|_| error())?;
    let is_host = !authority.host().is_empty() && !host.contains('@');
    let port = host.len() > authority.host().len();
    if !is_host || (port && !matches!(authority.port_u16(), Some(1..))) {
        return Err(error());
    }
    Ok(authority)
}

/// Appends a value, percent-encoded.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            percent(byte, out);
        }
    }
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'%',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ]);
}

/// Makes it what a request line may hold: what the operator or a layout of
/// times wrote is encoded where it must be.
fn path_and_query(rendered: &[u8]) -> Vec<u8> {
    let query = memchr::memchr(b'?', rendered).unwrap_or(rendered.len());
    let (path, query) = rendered.split_at(query);
    let mut out = Vec::with_capacity(rendered.len() + 1);
    for (n, segment) in path.split(|&b| b == b'/').enumerate() {
        if n > 0 {
            out.push(b'/');
        }
        match segment {
            b"." => out.push(b'_'),
            b".." => out.extend_from_slice(b"__"),
            _ => encode(segment, &mut out),
        }
    }
    if out.first() != Some(&b'/') {
        out.insert(0, b'/');
    }
    encode(query, &mut out);
    out
}

fn encode(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        let plain = byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#'
            );
        if plain {
            out.push(byte);
        } else {
            percent(byte, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{definition, keyed};

    fn url(target: &str, value: &str) -> String {
        let mut needs = Needs::default();
        let definition = definition("http", target, serde_json::json!({}));
        let target = Target::compile(&definition, &mut needs).unwrap();
        let part = keyed(&format!("{value} rest"), &needs);
        let mut out = Vec::new();
        target.render(&part.batch, 0, &mut out);
        target.uri(&out).unwrap().to_string()
    }

    #[test]
    fn values_stay_in_their_place() {
        for (target, value, expected) in [
            ("h", "x", "http://h/"),
            ("h:8080/", "x", "http://h:8080/"),
            ("[::1]:80/a", "x", "http://[::1]:80/a"),
            ("h?q=1", "x", "http://h/?q=1"),
            ("h/{k}", "pay", "http://h/pay"),
            ("h/a/{k}/b", "..", "http://h/a/__/b"),
            ("h/a/{k}", ".", "http://h/a/_"),
            ("h/a/{k}{k}", ".", "http://h/a/__"),
            ("h/{k}", "/../x", "http://h/%2F..%2Fx"),
            ("h/{k}", "@evil/", "http://h/%40evil%2F"),
            (
                "h/{k}?a={k}&b=1",
                "a?b&c=d#e",
                "http://h/a%3Fb%26c%3Dd%23e?a=a%3Fb%26c%3Dd%23e&b=1",
            ),
            ("h/{k}", "%2e%2e", "http://h/%252e%252e"),
            ("h/ü a/{k}", "é", "http://h/%C3%BC%20a/%C3%A9"),
        ] {
            assert_eq!(url(target, value), expected, "{target} {value:?}");
        }
        let mut out = Vec::new();
        escape(b"a\nb\"\xff\0", &mut out);
        assert_eq!(out, b"a%0Ab%22%FF%00");
    }

    #[test]
    fn no_value_chooses_a_host() {
        for target in [
            "{host}/x", "h{p}:1/", "h:{port}", "", "/x", "h:0", "h:x", "u@h", "a b", "h/#x", "h/{",
        ] {
            let definition = definition("http", target, serde_json::json!({}));
            let built = Target::compile(&definition, &mut Needs::default());
            assert!(built.is_err(), "{target}");
        }
    }
}
