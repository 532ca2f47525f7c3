//! Component URLs: `scheme:rest`, `scheme://target?key=value`, a path.
//!
//! The split comes before the values of `${}` are put in, so that a password
//! may hold anything; a URL that is one reference and nothing else is split
//! after, as its whole text is what the variable says. What a target means is
//! for the component.

mod schemes;

use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::interpolate::{Filled, MASK, Masked};
use super::keys::nearest;
use super::place::Place;
pub use schemes::Side;
use schemes::{LATER, SCHEMES, Scheme, Shape};

/// A URL in its parts, values put in.
#[derive(Debug)]
pub(super) struct Url {
    pub(super) scheme: &'static str,
    pub(super) target: String,
    /// Whether `+tls` stood behind the scheme.
    pub(super) tls: bool,
    /// What the query says, in its order.
    pub(super) options: Vec<UrlOption>,
    /// Values of secret keys: not to be shown.
    pub(super) secrets: Vec<String>,
}

/// A key of a query.
#[derive(Debug)]
pub(super) struct UrlOption {
    /// Dotted.
    pub(super) key: String,
    pub(super) text: String,
    /// Whether it may be read as a number or boolean.
    pub(super) plain: bool,
}

/// The name for a component that was given without one: its scheme.
pub(super) fn default_name(masked: &Masked) -> String {
    let text = if masked.is_reference() {
        masked.all().text
    } else {
        masked.text.clone()
    };
    let known = split_scheme(&text).map_or("file", |(scheme, _)| scheme);
    let known = known.split('+').next().unwrap_or(known);
    known.replace(['-', '.'], "_")
}

/// The scheme and where its rest begins; none if the text is a path.
fn split_scheme(text: &str) -> Option<(&str, usize)> {
    let is_scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_lowercase())
            && s.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
    };
    if let Some((scheme, _)) = text.split_once(':')
        && is_scheme(scheme)
    {
        return Some((scheme, scheme.len() + 1));
    }
    let word = text.split('?').next().unwrap_or(text);
    let bare = SCHEMES.iter().any(|s| s.bare && s.name == word) || word == "journald";
    bare.then_some((word, word.len()))
}

/// Splits a URL that was written at `place`.
pub(super) fn parse(masked: &Masked, place: &Place, side: Side) -> Result<Url, Diagnostic> {
    if masked.is_reference() {
        let whole = masked.all();
        let again = Masked::literal(whole.text);
        return split(&again, place, side);
    }
    split(masked, place, side)
}

fn split(masked: &Masked, place: &Place, side: Side) -> Result<Url, Diagnostic> {
    let text = masked.text.as_str();
    let error = |message: String| Diagnostic::error("config::url", message).at(place);
    if text.is_empty() {
        return Err(
            error(format!("the {} has an empty URL", side.name())).help(format!(
                "valid schemes are {}; a path is a file",
                names(side)
            )),
        );
    }
    let bare = |scheme: &'static str| Url {
        scheme,
        target: String::new(),
        tls: false,
        options: Vec::new(),
        secrets: Vec::new(),
    };
    if text == "-" {
        return Ok(bare(if side == Side::Source {
            "stdin"
        } else {
            "stdout"
        }));
    }
    let Some((written, rest)) = split_scheme(text) else {
        return bare_path(masked, place, side).map(|target| Url {
            target,
            ..bare("file")
        });
    };
    let scheme = lookup(written, side, place)?;
    let mut url = bare(scheme.name);
    url.tls = written.ends_with("+tls");
    if scheme.shape == Shape::Command {
        let filled = command(masked, rest).map_err(error)?;
        url.target = filled.text;
        if url.target.trim().is_empty() {
            return Err(error("`exec:` needs a command".into()).help("write `exec:CMD ARGS`"));
        }
        return Ok(url);
    }
    let servers = scheme.shape == Shape::Web && side == Side::Sink;
    let query = query_start(&text[rest..]).filter(|_| !servers);
    let query = query.map_or(text.len(), |at| rest + at);
    let target = rest..query;
    match scheme.shape {
        Shape::Nothing => {
            if !matches!(&text[target], "" | "//") {
                return Err(error(format!(
                    "`{}` takes nothing after it but options",
                    scheme.name
                ))
                .help(format!("write `{}:?key=value`", scheme.name)));
            }
        }
        Shape::Web if side == Side::Source && matches!(&text[target.clone()], "" | "//") => {}
        Shape::Path => {
            let filled = path(masked, target, scheme.name, side).map_err(error)?;
            url.target = filled.text;
        }
        _ => {
            address(masked, target, scheme.name, &mut url).map_err(error)?;
            if scheme.shape == Shape::Address && url.target.ends_with('/') {
                url.target.pop();
            }
        }
    }
    if query < text.len() {
        options(masked, query + 1, &mut url).map_err(error)?;
    }
    Ok(url)
}

/// A path without a scheme is what the shell completes: taken as it is, no
/// query, no percent-encoding.
fn bare_path(masked: &Masked, place: &Place, side: Side) -> Result<String, Diagnostic> {
    let text = masked.text.as_str();
    let error = |message: String| Diagnostic::error("config::url", message).at(place);
    let before = text.split("://").next().unwrap_or_default();
    if before.len() < text.len() && before.contains(MASK) {
        return Err(error("a variable cannot be part of a scheme".into())
            .help("write the scheme, or put the whole URL in the variable"));
    }
    let filled = masked.fill(
        0..text.len(),
        |text| Ok(text.to_owned()),
        |value| path_value(value, side),
    );
    filled.map(|filled| filled.text).map_err(error)
}

fn lookup(written: &str, side: Side, place: &Place) -> Result<&'static Scheme, Diagnostic> {
    let error = |message: String| Diagnostic::error("config::scheme", message).at(place);
    let name = written.strip_suffix("+tls").unwrap_or(written);
    let valid = || format!("valid {} schemes are {}", side.name(), names(side));
    let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == name) else {
        if LATER.contains(&name) {
            return Err(error(format!("`{name}` is not supported by this version")).help(valid()));
        }
        let known = SCHEMES.iter().map(|scheme| scheme.name);
        let hint =
            nearest(name, known).map_or(String::new(), |near| format!("did you mean `{near}`? "));
        return Err(error(format!("there is no scheme `{name}`")).help(format!(
            "{hint}{}; a file with a colon in its name is written `./{name}:…`",
            valid()
        )));
    };
    if name != written && !scheme.tls {
        return Err(error(format!(
            "`+tls` is not supported by this version (in `{written}`)"
        )));
    }
    let usable = if side == Side::Source {
        scheme.source
    } else {
        scheme.sink
    };
    if !usable {
        return Err(error(format!("`{name}` cannot be a {}", side.name())).help(valid()));
    }
    Ok(scheme)
}

fn names(side: Side) -> String {
    let usable = |scheme: &&Scheme| {
        if side == Side::Source {
            scheme.source
        } else {
            scheme.sink
        }
    };
    let names: Vec<_> = SCHEMES
        .iter()
        .filter(usable)
        .map(|scheme| scheme.name)
        .collect();
    names.join(", ")
}

/// The first `?` outside a `{template}`, where it means "or dead letter".
fn query_start(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'?' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn path(masked: &Masked, range: Range<usize>, scheme: &str, side: Side) -> Result<Filled, String> {
    let text = &masked.text[range.clone()];
    let start = match text.strip_prefix("//") {
        Some(rest) if rest.starts_with(['/', MASK]) => range.start + 2,
        Some(_) => {
            return Err(format!(
                "a host cannot stand in a `{scheme}` URL: write `{scheme}:///path`, or `{scheme}:path` for a relative one"
            ));
        }
        None => range.start,
    };
    if start == range.end {
        return Err(format!(
            "`{scheme}:` needs a path: write `{scheme}:///path`"
        ));
    }
    masked.fill(start..range.end, decode_path, |value| {
        path_value(value, side)
    })
}

/// A value in a path: in a sink it must not be read as a template.
fn path_value(value: &str, side: Side) -> Result<String, String> {
    if side == Side::Sink && value.contains(['{', '}']) {
        return Err(
            "a variable in this path holds a brace, which would be read as a template: \
                    write the template in the config itself"
                .into(),
        );
    }
    Ok(value.to_owned())
}

/// Percent-decodes, but not inside `{time:%Y}`.
fn decode_path(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'%' if depth == 0 => {
                let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let code = code
                    .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .filter(|code| *code != 0)
                    .ok_or("a `%` must be followed by two hex digits: write `%25` for a `%`")?;
                out.push(code);
                rest = &after[2..];
                continue;
            }
            _ => {}
        }
        out.push(byte);
    }
    String::from_utf8(out).map_err(|_| "a percent-encoded part is not UTF-8".to_owned())
}

/// A command: each value is one argument, whatever is in it.
fn command(masked: &Masked, start: usize) -> Result<Filled, String> {
    let mut inside = None;
    let mut escaped = false;
    for c in masked.text[start..].chars() {
        match (inside, c) {
            (Some(_), MASK) => {
                return Err("a variable cannot stand inside quotes of a command: \
                            its value would be read by the program as code"
                    .into());
            }
            _ if escaped => escaped = false,
            (quote, '\\') if quote != Some('\'') => escaped = true,
            (None, '"' | '\'') => inside = Some(c),
            (Some(quote), c) if c == quote => inside = None,
            _ => {}
        }
    }
    masked.fill(
        start..masked.text.len(),
        |text| Ok(text.to_owned()),
        |value| {
            let quoted = shlex::try_quote(value).map_err(|error| error.to_string())?;
            Ok(quoted.into_owned())
        },
    )
}

/// `//user:password@host:port/path`: what stands before the last `@` of the
/// host are options.
fn address(
    masked: &Masked,
    range: Range<usize>,
    scheme: &str,
    url: &mut Url,
) -> Result<(), String> {
    if !masked.text[range.clone()].starts_with("//") {
        return Err(format!("write `{scheme}://host:port`"));
    }
    let mut start = range.start + 2;
    let host_end = masked.text[start..range.end]
        .find(['/', '?'])
        .map_or(range.end, |at| start + at);
    if let Some(at) = masked.text[start..host_end].rfind('@').map(|at| start + at) {
        let colon = masked.text[start..at]
            .find(':')
            .map_or(at, |colon| start + colon);
        let user = masked.fill(start..colon, decode_path, |v| Ok::<_, String>(v.to_owned()))?;
        url.push("auth.user", user, false);
        if colon < at {
            let password = masked.fill(colon + 1..at, decode_path, |v| {
                Ok::<_, String>(v.to_owned())
            })?;
            url.secrets.push(password.text.clone());
            url.push("auth.password", password, false);
        }
        start = at + 1;
    }
    let target = masked.raw(start..range.end);
    url.target = target.text;
    if url.target.is_empty() {
        return Err(format!("write `{scheme}://host:port`"));
    }
    Ok(())
}

fn options(masked: &Masked, start: usize, url: &mut Url) -> Result<(), String> {
    let mut at = start;
    for pair in masked.text[start..].split('&') {
        let range = at..at + pair.len();
        at = range.end + 1;
        if pair.is_empty() {
            continue;
        }
        let Some((key, _)) = pair.split_once('=') else {
            return Err(
                format!("`{pair}` in the query has no value: write `{pair}=…`")
                    .replace(MASK, "${…}"),
            );
        };
        if key.contains(MASK) || !key.split('.').all(is_key) {
            return Err(format!("`{key}` in the query is not a key").replace(MASK, "${…}"));
        }
        let value = range.start + key.len() + 1..range.end;
        let plain = !masked.text[value.clone()].contains(MASK);
        let filled = masked.fill(value, decode_path, |v| Ok::<_, String>(v.to_owned()))?;
        let plain = plain || (filled.whole && !filled.secret);
        if url.options.iter().any(|option| option.key == key) {
            return Err(format!("`{key}` is in the query twice"));
        }
        url.push(key, filled, plain);
    }
    Ok(())
}

fn is_key(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Url {
    fn push(&mut self, key: &str, value: Filled, plain: bool) {
        let secret = super::secret::is_secret_key(key);
        if secret {
            self.secrets.push(value.text.clone());
        }
        self.options.push(UrlOption {
            key: key.to_owned(),
            text: value.text,
            plain: plain && !secret,
        });
    }
}

#[cfg(test)]
mod tests;
