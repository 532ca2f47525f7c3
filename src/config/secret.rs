//! Secrets never leave: a type that prints as stars, a register that takes
//! known values out of messages, and blanking of config text before it is shown.

use std::fmt;

/// What is shown in place of a secret.
const STARS: &str = "***";
/// Shorter values are not taken out of messages: that would star half the text
/// and tell more than it hides.
const REDACT_BYTES_MIN: usize = 4;
/// Last words of keys whose values are secret: `token`, `api_key`.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "passphrase",
    "key",
];
/// A key of a map or of a partition is no secret; with a word before it, it is.
const NOT_SECRET: &str = "key";

/// A secret value: prints as `***` wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    /// Keeps a value secret.
    #[must_use]
    pub(super) fn new(value: String) -> Secret {
        Secret(value)
    }

    /// The value itself, for the one place that uses it.
    #[must_use]
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

/// Every secret that a config holds, to be kept out of what others write about it.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Remembers a secret.
    pub(super) fn add(&mut self, value: &str) {
        if value.len() >= REDACT_BYTES_MIN && !self.0.iter().any(|known| known.0 == value) {
            self.0.push(Secret::new(value.to_owned()));
            // The longest first: one secret may be part of another.
            self.0
                .sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        }
    }

    /// `text` with stars in place of every known secret, also where it stands
    /// as a quoted string shows it.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            let quoted = format!("{:?}", secret.0);
            text = text
                .replace(&secret.0, STARS)
                .replace(&quoted[1..quoted.len() - 1], STARS);
        }
        text
    }
}

/// Whether the values of `key` are secret.
#[must_use]
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let last = key.rsplit(['_', '-']).next().unwrap_or(&key);
    WORDS.contains(&last) && key != NOT_SECRET
}

/// `text` of the same length and with the same lines, with every literal value
/// of a secret key, and every password in a URL, blanked.
///
/// Works on the text alone, so that it also serves text that does not parse.
/// References (`${VAR}`) stay: they are what an error is about.
#[must_use]
pub(super) fn conceal(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut line_start = 0;
    // Indentation of a key whose value is a block: deeper lines are its value.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if block.is_some_and(|outer| indent > outer || line.trim().is_empty()) {
            blank(&mut out[line_start + indent..line_start + line.len()]);
        } else {
            block = conceal_line(line, indent, &mut out[line_start..line_start + line.len()]);
        }
        line_start += line.len();
    }
    // Only whole characters were replaced, each byte by a star.
    String::from_utf8_lossy(&out).into_owned()
}

/// Blanks one line; the indentation, if the value goes on in deeper lines.
fn conceal_line(line: &str, indent: usize, out: &mut [u8]) -> Option<usize> {
    let mut block = None;
    for (colon, separator) in line.match_indices([':', '=']) {
        let key = line[..colon]
            .trim_end()
            .trim_end_matches(['"', '\''])
            .rsplit(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)))
            .next()
            .unwrap_or_default();
        if is_secret_key(key) {
            let start = colon + separator.len();
            let value = line[start..].trim_start();
            let start = line.len() - value.len();
            if value.trim_end().is_empty() || value.starts_with(['|', '>']) {
                block = Some(indent);
            } else if !is_reference(value) {
                blank(&mut out[start..start + value_len(value)]);
            }
        }
    }
    for (scheme_end, _) in line.match_indices("://") {
        let authority = &line[scheme_end + 3..];
        let end = authority
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(authority.len());
        if let Some(at) = authority[..end].rfind('@')
            && let Some(colon) = authority[..at].find(':')
            && !is_reference(&authority[colon + 1..at])
        {
            blank(&mut out[scheme_end + 3 + colon + 1..scheme_end + 3 + at]);
        }
    }
    block
}

fn is_reference(value: &str) -> bool {
    let value = value.trim().trim_start_matches(['"', '\'']);
    value.starts_with("${") && !value.contains(":-")
}

/// How far a value on one line goes: to its closing quote, else to what ends a
/// value in a flow map or query, else to the end of the line.
fn value_len(value: &str) -> usize {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        // An escaped quote ends nothing: look for the last one.
        Some(quote) => value.rfind(quote).filter(|end| *end > 0).map(|end| end + 1),
        None if value.starts_with("${") => None,
        None => value.find([',', '}', '&']),
    };
    end.unwrap_or_else(|| value.trim_end().len())
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        secrets.add("hunter2-long\n");
        assert_eq!(
            secrets.redact("invalid type: \"hunter2-long\\n\", hunter2"),
            "invalid type: \"***\", ***"
        );
        assert!(!format!("{secrets:?}").contains("hunter"));
    }

    #[test]
    fn literal_secrets_are_blanked_and_nothing_else() {
        for (text, shown) in [
            ("token: abc # c\nb: 1\n", "token: *******\nb: 1\n"),
            (
                "a: { user: x, password: pä, z: 1 }",
                "a: { user: x, password: ***, z: 1 }",
            ),
            ("\"token\": \"a\\\"b\"", "\"token\": ******"),
            ("token = \"abc\"\n", "token = *****\n"),
            (
                "api_key: |\n  abc\n  def\nb: 1\n",
                "api_key: |\n  ***\n  ***\nb: 1\n",
            ),
            ("token: ${TOKEN}", "token: ${TOKEN}"),
            ("token: ${TOKEN:-abc}", "token: *************"),
            ("to: tcp://u:pw@h:1/p", "to: tcp://u:**@h:1/p"),
            ("key: service", "key: service"),
            ("to: x://h?password=abc&y=1", "to: x://h?password=***&y=1"),
        ] {
            assert_eq!(conceal(text), shown);
        }
    }
}
