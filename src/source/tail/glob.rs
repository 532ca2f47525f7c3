//! Patterns of paths: `*`, `?`, `[a-z]`, `[!a-z]` within a name, `**` for any
//! directories, and `\` before a character that is meant as it is.
//!
//! As in a shell, no wildcard matches the dot that a hidden name begins with,
//! and a bracket that is not closed is one. Names are bytes: they need not be
//! UTF-8. Matching takes no more time than the product of both lengths.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A pattern of paths.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) root: PathBuf,
    pub(super) parts: Vec<Part>,
}

/// What a pattern says of one component of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// This name.
    Name(OsString),
    /// A name like this.
    Like(Vec<Token>),
    /// Any number of directories.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Byte(u8),
    One,
    Many,
    Class { not: bool, ranges: Vec<(u8, u8)> },
}

impl Pattern {
    /// Reads a pattern; why it is none.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut pattern = Pattern {
            root: PathBuf::from(if text.starts_with('/') { "/" } else { "" }),
            parts: Vec::new(),
        };
        for part in text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
        {
            let part = if part == "**" {
                Part::Any
            } else {
                Part::parse(part.as_bytes())
            };
            if part != Part::Any || pattern.parts.last() != Some(&Part::Any) {
                pattern.parts.push(part);
            }
        }
        if text.ends_with('/') || pattern.parts.is_empty() {
            return Err(format!("{text:?} names no files"));
        }
        if pattern.parts.last() == Some(&Part::Any) {
            pattern.parts.push(Part::Like(vec![Token::Many]));
        }
        Ok(pattern)
    }

    /// The one file of that path, whatever characters it has.
    pub(super) fn literal(path: &str) -> Pattern {
        let path = Path::new(path);
        let root = if path.is_absolute() { "/" } else { "" };
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(Part::Name(name.to_owned())),
            Component::ParentDir => Some(Part::Name("..".into())),
            _ => None,
        });
        Pattern {
            root: root.into(),
            parts: names.collect(),
        }
    }

    /// Whether a path is one of those that are meant. A pattern of one part
    /// is about the name alone.
    pub(super) fn covers(&self, path: &Path) -> bool {
        if let ([part], true) = (&*self.parts, self.root.as_os_str().is_empty()) {
            return path.file_name().is_some_and(|name| part.matches(name));
        }
        if path.is_absolute() == self.root.as_os_str().is_empty() {
            return false;
        }
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        });
        covers(&self.parts, &names.collect::<Vec<_>>())
    }
}

fn covers(parts: &[Part], names: &[&OsStr]) -> bool {
    // By parts, which of the beginnings of `names` they cover.
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; names.len() + 1];
        for at in 0..=names.len() {
            if *part == Part::Any {
                let deeper = at > 0 && next[at - 1] && part.matches(names[at - 1]);
                next[at] = reached[at] || deeper;
            } else if at > 0 {
                next[at] = reached[at - 1] && part.matches(names[at - 1]);
            }
        }
        reached = next;
    }
    reached[names.len()]
}

impl Part {
    fn parse(text: &[u8]) -> Part {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let [byte, behind @ ..] = rest {
            rest = behind;
            let token = match byte {
                b'*' => Token::Many,
                b'?' => Token::One,
                b'[' => match class(behind) {
                    Some((class, behind)) => {
                        rest = behind;
                        class
                    }
                    None => Token::Byte(b'['),
                },
                b'\\' if !behind.is_empty() => {
                    rest = &behind[1..];
                    Token::Byte(behind[0])
                }
                other => Token::Byte(*other),
            };
            if token != Token::Many || tokens.last() != Some(&Token::Many) {
                tokens.push(token);
            }
        }
        let literal = tokens.iter().map(|token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        });
        match literal.collect() {
            Some(name) => Part::Name(OsString::from_vec(name)),
            None => Part::Like(tokens),
        }
    }

    pub(super) fn matches(&self, name: &OsStr) -> bool {
        match self {
            Part::Name(own) => own == name,
            Part::Like(tokens) => {
                let hidden = name.as_bytes().first() == Some(&b'.');
                !(hidden && tokens.first() != Some(&Token::Byte(b'.')))
                    && like(tokens, name.as_bytes())
            }
            Part::Any => !name.as_bytes().starts_with(b"."),
        }
    }
}

/// What stands behind a `[`, to its `]`; a `]` that comes first is meant.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let not = matches!(text, [b'!' | b'^', ..]);
    let mut rest = &text[usize::from(not)..];
    let mut ranges = Vec::new();
    loop {
        match rest {
            [b']', behind @ ..] if !ranges.is_empty() => {
                return Some((Token::Class { not, ranges }, behind));
            }
            [from, b'-', to, behind @ ..] if *to != b']' => {
                ranges.push((*from, *to));
                rest = behind;
            }
            [byte, behind @ ..] => {
                ranges.push((*byte, *byte));
                rest = behind;
            }
            [] => return None,
        }
    }
}

/// Goes back no further than to the last `*`: the ones before it have matched
/// as little as they can.
fn like(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    loop {
        let next = tokens.get(token).and_then(|token| step(token, &name[at..]));
        match (tokens.get(token), next) {
            (Some(Token::Many), _) => {
                last = Some((token, at));
                token += 1;
            }
            (Some(_), Some(bytes)) => {
                token += 1;
                at += bytes;
            }
            (None, _) if at == name.len() => return true,
            _ => match last {
                Some((many, from)) if from < name.len() => {
                    last = Some((many, from + 1));
                    (token, at) = (many + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
}

/// How many bytes a token takes of a name.
fn step(token: &Token, name: &[u8]) -> Option<usize> {
    let byte = *name.first()?;
    let character = 1 + name[1..]
        .iter()
        .take_while(|byte| **byte & 0xc0 == 0x80)
        .count();
    match token {
        Token::Byte(own) => (*own == byte).then_some(1),
        Token::One if byte < 0x80 => Some(1),
        Token::One => Some(character.min(4)),
        Token::Many => None,
        Token::Class { not, ranges } => {
            let within = ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&byte));
            let bytes = if byte < 0x80 { 1 } else { character.min(4) };
            (within != *not).then_some(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &[u8]) -> bool {
        Pattern::parse(pattern)
            .unwrap()
            .covers(Path::new(OsStr::from_bytes(path)))
    }

    #[test]
    fn paths_match_as_in_a_shell() {
        for (pattern, path, expected) in [
            ("/a/*.log", &b"/a/x.log"[..], true),
            ("/a/*.log", b"/a/.x.log", false),
            ("/a/.*.log", b"/a/.x.log", true),
            ("/a/*.log", b"/a/b/x.log", false),
            ("/a/*.log", b"a/x.log", false),
            ("/a/**/*.log", b"/a/x.log", true),
            ("/a/**/*.log", b"/a/b/c/x.log", true),
            ("/a/**/*.log", b"/a/.git/x.log", false),
            ("/a/**", b"/a/b/c", true),
            ("/a/**/b/**/c", b"/a/x/b/y/z/c", true),
            ("/a/**/b/**/c", b"/a/x/y/z/c", false),
            ("/a/?.log", "/a/é.log".as_bytes(), true),
            ("/a/?.log", b"/a/\xff.log", true),
            ("/a/??.log", b"/a/x.log", false),
            ("/a/[0-9].log", b"/a/7.log", true),
            ("/a/[!0-9].log", b"/a/7.log", false),
            ("/a/[!0-9].log", "/a/ü.log".as_bytes(), true),
            ("/a/[]-]x", b"/a/]x", true),
            ("/a/[x", b"/a/[x", true),
            (r"/a/\*.log", b"/a/*.log", true),
            (r"/a/\*.log", b"/a/x.log", false),
            ("/a/*", b"/a/new\nline \xfe[", true),
            ("*.gz", b"/var/log/x.gz", true),
            ("./a/*", b"a/x", true),
            ("/a//b", b"/a/b", true),
            ("/*a*a*a*a*a*a*b", &[b"/", &[b'a'; 200][..]].concat(), false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path:?}");
        }
        assert!(Pattern::parse("/").is_err() && Pattern::parse("/a/").is_err());
        assert!(Pattern::parse("").is_err());
    }
}
