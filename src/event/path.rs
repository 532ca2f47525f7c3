//! Names of values: roles, metadata and fields.

use std::fmt;

/// The name of a value of an event, as rules, templates and transforms write
/// it: `level`, `http.status`, `.level`, `k8s.labels."app.kubernetes.io/name"`.
///
/// It resolves as a [`Role`], then as metadata of the stream, then as a field
/// of the event; with a leading dot always as a field. A field is looked up
/// nested (`{"http":{"status":1}}`) before flat (`{"http.status":1}`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    parts: Box<[Box<str>]>,
    dotted: Box<str>,
    field_only: bool,
}

impl Path {
    /// A path of its parts; `field_only` for the form with a leading dot.
    /// `parts` must not be empty.
    #[must_use]
    pub fn new(parts: Vec<Box<str>>, field_only: bool) -> Path {
        assert!(!parts.is_empty(), "a path has at least one part");
        let dotted = parts.join(".").into_boxed_str();
        Path {
            parts: parts.into_boxed_slice(),
            dotted,
            field_only,
        }
    }

    /// A path of a literal in source code, split at dots.
    #[must_use]
    pub fn of(dotted: &str) -> Path {
        Path::new(dotted.split('.').map(Box::from).collect(), false)
    }

    /// Reads a path as rules and templates write it: parts joined by dots, a
    /// leading dot for "always the field", odd parts in quotes. What
    /// `Display` writes is read back as the same path.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let (path, len) = Path::parse_prefix(text)?;
        if len < text.len() {
            return Err(PathError::new(len, "expected `.` or the end of the name"));
        }
        Ok(path)
    }

    /// Reads the path that `text` begins with, and says how many bytes it took.
    pub fn parse_prefix(text: &str) -> Result<(Path, usize), PathError> {
        let field_only = text.starts_with('.');
        let mut at = usize::from(field_only);
        let mut parts: Vec<Box<str>> = Vec::new();
        loop {
            let rest = &text[at..];
            if rest.starts_with(['"', '\'']) {
                let (part, len) = quoted(rest).map_err(|e| e.moved(at))?;
                parts.push(part.into());
                at += len;
            } else {
                let len = rest.find(|c| !is_part_char(c)).unwrap_or(rest.len());
                if len == 0 {
                    return Err(PathError::new(at, "expected a name"));
                }
                parts.push(rest[..len].into());
                at += len;
            }
            if !text[at..].starts_with('.') {
                return Ok((Path::new(parts, field_only), at));
            }
            at += 1;
        }
    }

    /// The parts, outermost first; never empty.
    #[must_use]
    pub fn parts(&self) -> &[Box<str>] {
        &self.parts
    }

    /// The parts joined by dots: the flat key.
    #[must_use]
    pub fn dotted(&self) -> &str {
        &self.dotted
    }

    /// Whether roles and metadata are passed over (`.name`).
    #[must_use]
    pub fn is_field_only(&self) -> bool {
        self.field_only
    }

    /// The role that this name means, if any.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        if self.field_only || self.parts.len() != 1 {
            return None;
        }
        Role::ALL.into_iter().find(|r| r.name() == &*self.dotted)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field_only {
            f.write_str(".")?;
        }
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            let plain = part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'-'));
            if plain && !part.is_empty() {
                f.write_str(part)?;
            } else {
                write!(f, "{part:?}")?;
            }
        }
        Ok(())
    }
}

/// Why a path, or a string in quotes, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct PathError {
    /// Where in the text, in bytes.
    pub offset: usize,
    /// What was expected there.
    pub message: &'static str,
}

impl PathError {
    fn new(offset: usize, message: &'static str) -> PathError {
        PathError { offset, message }
    }

    fn moved(mut self, by: usize) -> PathError {
        self.offset += by;
        self
    }
}

/// Whether a character can stand in a path's part without quotes.
pub(crate) fn is_part_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '-')
}

/// Reads the string in single or double quotes that `text` begins with: its
/// value and how many bytes it took. Escapes: `\\ \" \' \/ \n \r \t \0`,
/// `\u1234` and `\u{1f600}`.
pub(crate) fn quoted(text: &str) -> Result<(String, usize), PathError> {
    let Some(quote @ ('"' | '\'')) = text.chars().next() else {
        return Err(PathError::new(0, "expected a quoted string"));
    };
    let mut value = String::new();
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        if c == quote {
            return Ok((value, at + 1));
        }
        let (c, len) = match c {
            '\\' => unescape(&text[at..]).ok_or_else(|| PathError::new(at, UNKNOWN_ESCAPE))?,
            c => (c, c.len_utf8()),
        };
        value.push(c);
        at += len;
    }
    Err(PathError::new(0, "expected a closing quote"))
}

const UNKNOWN_ESCAPE: &str =
    r"expected one of the escapes \\ \n \r \t \0 \u1234 \u{1f600} or \ before a quote";

/// Reads one escape, with its backslash: the character and the bytes it took.
fn unescape(text: &str) -> Option<(char, usize)> {
    let code = text[1..].chars().next()?;
    let c = match code {
        '\\' | '"' | '\'' | '/' => code,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => {
            let rest = &text[2..];
            let (hex, len) = match rest.strip_prefix('{') {
                Some(braced) => braced
                    .split_once('}')
                    .map(|(hex, _)| (hex, hex.len() + 4))?,
                None => (rest.get(..4)?, 6),
            };
            // `from_str_radix` would take a sign too.
            let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
            let code = u32::from_str_radix(hex, 16).ok().filter(|_| digits)?;
            return char::from_u32(code).map(|c| (c, len));
        }
        _ => return None,
    };
    Some((c, 2))
}

/// What a value means, whatever a format calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// When it happened.
    Timestamp,
    /// How severe it is.
    Level,
    /// The text for people.
    Message,
    /// The service (app, program) that said it.
    Service,
    /// The host it ran on.
    Host,
    /// `stdout`, `stderr` or the like.
    Stream,
    /// W3C trace id.
    TraceId,
    /// W3C span id.
    SpanId,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 8] = [
        Role::Timestamp,
        Role::Level,
        Role::Message,
        Role::Service,
        Role::Host,
        Role::Stream,
        Role::TraceId,
        Role::SpanId,
    ];

    /// The role's name in rules and templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Timestamp => "timestamp",
            Role::Level => "level",
            Role::Message => "message",
            Role::Service => "service",
            Role::Host => "host",
            Role::Stream => "stream",
            Role::TraceId => "trace_id",
            Role::SpanId => "span_id",
        }
    }

    /// The field names (dotted where nested) that formats use for it, the
    /// strongest first.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Role::Timestamp => &[
                "timestamp",
                "@timestamp",
                "time",
                "ts",
                "@t",
                "t",
                "t.$date",
                "datetime",
                "date",
                "asctime",
                "eventTime",
                "__REALTIME_TIMESTAMP",
            ],
            Role::Level => &[
                "level",
                "severity",
                "lvl",
                "log.level",
                "loglevel",
                "log_level",
                "levelname",
                "severity_text",
                "severityText",
                "@l",
                "severity_number",
                "severityNumber",
                "syslog.severity",
                "error_severity",
                "PRIORITY",
            ],
            Role::Message => &[
                "message",
                "msg",
                "@m",
                "@mt",
                "log",
                "text",
                "body",
                "event",
                "short_message",
                "fields.message",
                "MESSAGE",
            ],
            Role::Service => &[
                "service",
                "service.name",
                "service_name",
                "app",
                "application",
                "appname",
                "program",
                "syslog.appname",
                "SYSLOG_IDENTIFIER",
            ],
            Role::Host => &["host", "hostname", "host.name", "host_name", "_HOSTNAME"],
            Role::Stream => &["stream", "log.iostream"],
            Role::TraceId => &[
                "trace_id",
                "traceId",
                "traceID",
                "trace.id",
                "traceid",
                "dd.trace_id",
            ],
            Role::SpanId => &[
                "span_id",
                "spanId",
                "spanID",
                "span.id",
                "spanid",
                "dd.span_id",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_dot_is_always_the_field() {
        assert_eq!(Path::of("level").role(), Some(Role::Level));
        assert_eq!(Path::new(vec!["level".into()], true).role(), None);
        assert_eq!(Path::of("log.level").role(), None);
    }

    #[test]
    fn odd_parts_are_quoted_when_shown() {
        let path = Path::new(vec!["k8s".into(), "app.io/name".into()], true);
        assert_eq!(path.to_string(), ".k8s.\"app.io/name\"");
        assert_eq!(path.dotted(), "k8s.app.io/name");
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for parts in [
            vec!["level"],
            vec!["@t", "a-b"],
            vec!["", "é", "\"'\\"],
            vec!["a.b", "\n\u{200b}\0"],
        ] {
            for field_only in [false, true] {
                let parts = parts.iter().map(|&p| Box::from(p)).collect();
                let path = Path::new(parts, field_only);
                assert_eq!(Path::parse(&path.to_string()), Ok(path));
            }
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, offset) in [
            ("", 0),
            (".", 1),
            ("a.", 2),
            ("a b", 1),
            ("a..b", 2),
            ("a.\"b", 2),
            (r#"a."\q""#, 3),
            (r#"a."\u{+1}""#, 3),
            (r#""\u{d800}""#, 1),
        ] {
            assert_eq!(Path::parse(text).unwrap_err().offset, offset, "{text}");
        }
        let path = Path::parse(r"k8s.'a.b'.c").unwrap();
        assert_eq!(
            path,
            Path::new(vec!["k8s".into(), "a.b".into(), "c".into()], false)
        );
        assert_eq!(Path::parse_prefix("a.b == 1").unwrap().1, 3);
    }
}
