//! `TFLOG_*` variables and URL flags to layers of config.
//!
//! `TFLOG_SINKS__SEARCH__BUFFER__MEMORY=64MiB` nests by `__`; a value that
//! looks like a YAML map or list is one, anything else is a scalar as it
//! stands. An empty variable counts as unset. The environment is an argument:
//! nothing here reads the process's own.

use super::Warnings;
use super::diagnostic::Diagnostic;
use super::document::{self, Node, Value};
use super::keys::{self, Takes, nearest};
use super::merge::nest;
use super::place::{Origin, Place};

const PREFIX: &str = "TFLOG_";
/// Where systemd puts the state directory.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// A component that was given as `URL` or `NAME=URL`.
#[derive(Debug)]
pub(super) struct Addition {
    /// Its name, if one was given.
    pub(super) name: Option<String>,
    /// Its URL, variables not yet expanded.
    pub(super) url: Node,
}

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// In order: deeper keys after the ones they are in.
    pub(super) layers: Vec<Node>,
    pub(super) from: Vec<Addition>,
    pub(super) to: Vec<Addition>,
}

/// Reads the variables.
pub(super) fn environment(
    env: &[(String, String)],
    errors: &mut Vec<Diagnostic>,
    warnings: &mut Warnings,
) -> Environment {
    let mut environment = Environment::default();
    let mut variables: Vec<_> = env
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)))
        .collect();
    variables.sort();
    for (name, rest, value) in variables {
        let place = Place::of(Origin::Variable(name.clone()));
        match rest {
            "FROM" => environment.from = additions(value.split_whitespace(), &place),
            "TO" => environment.to = additions(value.split_whitespace(), &place),
            _ => match layer(rest, value, &place, warnings) {
                Ok(layer) => environment.layers.extend(layer),
                Err(error) => errors.push(error),
            },
        }
    }
    environment
}

/// The layer below all others: the state directory that systemd made.
pub(super) fn defaults(env: &[(String, String)]) -> Option<Node> {
    let (name, value) = env.iter().find(|(name, _)| name == STATE_DIRECTORY)?;
    // systemd joins several with colons: the first is the unit's own.
    let first = value.split(':').next().filter(|path| !path.is_empty())?;
    let place = Place::of(Origin::Variable(name.clone()));
    let node = Node::string(first.replace("${", "$${"), place);
    Some(nest(std::iter::once("state"), node))
}

fn additions<'a>(urls: impl Iterator<Item = &'a str>, place: &Place) -> Vec<Addition> {
    urls.map(|text| addition(text, place.clone())).collect()
}

/// The URLs of `--from` or `--to`.
pub(super) fn flags(flag: &str, urls: &[String]) -> Vec<Addition> {
    urls.iter()
        .map(|text| addition(text, Place::of(Origin::Flag(flag.to_owned()))))
        .collect()
}

/// The flags' URLs over the environment's: those without a name replace each
/// other as lists do, those with one name by name.
pub(super) fn over(mut base: Vec<Addition>, flags: Vec<Addition>) -> Vec<Addition> {
    if flags.iter().any(|flag| flag.name.is_none()) {
        base.retain(|addition| addition.name.is_some());
    }
    base.extend(flags);
    base
}

/// `NAME=URL` or `URL`. What could only be a bad name is taken as a name, so
/// that it is refused as one.
fn addition(text: &str, place: Place) -> Addition {
    let is_word = |s: &str| {
        !s.is_empty()
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    let (name, url) = match text.split_once('=') {
        Some((name, url)) if is_word(name) => (Some(name.to_owned()), url),
        _ => (None, text),
    };
    Addition {
        name,
        url: Node::string(url.to_owned(), place),
    }
}

fn layer(
    rest: &str,
    value: &str,
    place: &Place,
    warnings: &mut Warnings,
) -> Result<Option<Node>, Diagnostic> {
    let path = rest.to_ascii_lowercase();
    let path: Vec<&str> = path.split("__").collect();
    let known = keys::find(keys::TOP, path[0]);
    let unknown = || format!("`{PREFIX}{rest}` is not a variable of tflog");
    let Some(known) = known else {
        let names = keys::TOP.iter().map(|key| key.name).chain(["from", "to"]);
        let near = nearest(path[0], names).map_or(String::new(), |near| {
            format!("did you mean `{PREFIX}{}`? ", near.to_ascii_uppercase())
        });
        let help = format!(
            "{near}variables are {PREFIX}FROM, {PREFIX}TO and the config's keys in upper case"
        );
        if path.len() > 1 {
            return Err(Diagnostic::error("config::unknown_variable", unknown())
                .at(place)
                .help(help));
        }
        // Kubernetes sets TFLOG_PORT and more for a service named tflog: no error.
        warnings.push(
            Diagnostic::warning(
                "config::unknown_variable",
                format!("{} and is ignored", unknown()),
            )
            .at(place)
            .help(help),
        );
        return Ok(None);
    };
    if path.iter().any(|part| part.is_empty()) {
        let message = format!("{}: a part between `__` is empty", unknown());
        return Err(Diagnostic::error("config::unknown_variable", message).at(place));
    }
    let whole = path.len() == 1 && matches!(known.takes, Takes::List(_) | Takes::Components(_));
    let node = if whole || is_structured(value) {
        document::parse_value(value, place)?
    } else {
        scalar(value, place)
    };
    Ok(Some(nest(path.into_iter(), node)))
}

/// Whether a value is meant as a YAML map or list: it starts like one. A
/// template (`{service}`) starts like a map and is none.
fn is_structured(value: &str) -> bool {
    let value = value.trim_start();
    let first_line = value.lines().next().unwrap_or_default();
    let key = first_line
        .split_once(':')
        .filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '))
        .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    key || value.starts_with('[')
        || value.starts_with("- ")
        || (value.starts_with('{') && (value.contains(": ") || value.contains("\":")))
}

/// A number or boolean if it is written as one, else the text as it stands.
fn scalar(value: &str, place: &Place) -> Node {
    let text = || Value::String {
        text: value.to_owned(),
        quoted: false,
    };
    Node {
        value: typed(value).unwrap_or_else(text),
        place: place.clone(),
    }
}

/// The boolean or number that a plain scalar is; codes like `0123` are text.
pub(super) fn typed(text: &str) -> Option<Value> {
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if leading_zero || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    // What JSON takes as a number, with the same spelling: `1.10` must not become 1.1.
    let number: serde_json::Number = text.parse().ok()?;
    (number.to_string() == text).then_some(Value::Number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> (Environment, Vec<String>, Vec<String>) {
        let env: Vec<_> = env
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let environment = environment(&env, &mut errors, &mut warnings);
        let text = |list: Vec<Diagnostic>| list.iter().map(ToString::to_string).collect();
        (environment, text(errors), text(warnings))
    }

    #[test]
    fn a_value_is_yaml_only_if_it_looks_like_it() {
        for (value, structured) in [
            ("{a: 1}", true),
            ("{\"a\":1}", true),
            ("[a, b]", true),
            ("- a\n- b", true),
            ("listen: ':1'", true),
            ("url:\n  x", true),
            ("{service}", false),
            ("exec:sh -c 'a: b'", false),
            ("tcp://h:1?x={a}", false),
            ("a b: c", false),
            ("# x", false),
            ("2GiB", false),
        ] {
            assert_eq!(is_structured(value), structured, "{value:?}");
        }
    }

    #[test]
    fn scalars_are_typed_by_their_spelling() {
        for (text, is_typed) in [
            ("true", true),
            ("8", true),
            ("-8", true),
            ("0.5", true),
            ("0", true),
            ("yes", false),
            ("0123", false),
            ("1.10", false),
            ("1e5", false),
            ("+1", false),
            ("", false),
            ("-", false),
            ("123456789012345678901234567890", false),
        ] {
            assert_eq!(typed(text).is_some(), is_typed, "{text:?}");
        }
    }

    #[test]
    fn unknown_variables_warn_or_fail_by_their_shape() {
        let (_, errors, warnings) = read(&[
            ("TFLOG_PORT", "tcp://10.0.0.1:80"),
            ("TFLOG_SINK__X", "stdout"),
            ("TFLOG_SINKS____X", "stdout"),
            ("TFLOGX", "1"),
            ("HOME", "/"),
        ]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with(
            "warning[config::unknown_variable]: TFLOG_PORT: `TFLOG_PORT` is not a variable of tflog"
        ));
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0].contains("a part between `__` is empty"),
            "{}",
            errors[0]
        );
        assert!(
            errors[1].contains("did you mean `TFLOG_SINKS`?"),
            "{}",
            errors[1]
        );
    }

    #[test]
    fn urls_are_separated_by_white_space_and_may_be_named() {
        let (environment, errors, _) = read(&[(
            "TFLOG_FROM",
            " stdin\n net=tcp://:5170?framing=nul  ./a=b exec:A=1  Bad-Name=x ",
        )]);
        assert!(errors.is_empty());
        let names: Vec<_> = environment.from.iter().map(|a| a.name.as_deref()).collect();
        assert_eq!(names, [None, Some("net"), None, None, Some("Bad-Name")]);
    }

    #[test]
    fn the_state_directory_is_the_first_that_systemd_made() {
        let state = |value: &str| {
            let node = defaults(&[("STATE_DIRECTORY".into(), value.into())])?;
            match &node.get("state")?.value {
                Value::String { text, .. } => Some(text.clone()),
                _ => None,
            }
        };
        assert_eq!(state("/b:/c").as_deref(), Some("/b"));
        assert_eq!(state(""), None);
    }
}
