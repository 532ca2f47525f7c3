//! URLs: their parts, what is refused, and that values stay in their place.

use super::*;
use crate::config::interpolate::Variables;
use crate::config::place::Origin;

fn read(text: &str, side: Side) -> Result<String, String> {
    let env: Vec<_> = [
        ("PW", "p@ss:w/{rd}?a=b&c=${X}%41"),
        ("HOST", "h"),
        ("URL", "tcp://h:1?framing=nul"),
        ("ARG", "a b; 'c' $(d)"),
        ("DIR", "/x%41 y?z"),
        ("N", "8"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec();
    let place = Place::of(Origin::Flag("--to".into()));
    let masked = Variables::new(&env)
        .mask(text, &place)
        .map_err(|e| e.message)?;
    let url = parse(&masked, &place, side).map_err(|e| e.message)?;
    let options = url.options.iter().map(|option| {
        let plain = if option.plain { "~" } else { "=" };
        format!(" {}{plain}{}", option.key, option.text)
    });
    Ok(format!(
        "{} [{}]{}",
        url.scheme,
        url.target,
        options.collect::<String>()
    ))
}

#[test]
fn urls_split_into_their_parts() {
    for (text, side, parts) in [
        ("stdin", Side::Source, "stdin []"),
        ("-", Side::Source, "stdin []"),
        ("-", Side::Sink, "stdout []"),
        ("stdout:", Side::Sink, "stdout []"),
        ("stdout?encode=raw", Side::Sink, "stdout [] encode~raw"),
        (
            "generate:?lines=5&rate=2",
            Side::Source,
            "generate [] lines~5 rate~2",
        ),
        ("app.log", Side::Source, "file [app.log]"),
        ("/var/a%20b?c", Side::Source, "file [/var/a%20b?c]"),
        ("./stdin", Side::Source, "file [./stdin]"),
        ("file:///a%20b/%C3%A9", Side::Source, "file [/a b/é]"),
        ("file:rel/x.log", Side::Sink, "file [rel/x.log]"),
        (
            "file:///l/{a:?}/{t:%41%Y}.gz?rotate.size=1MiB&rotate.time=1h",
            Side::Sink,
            "file [/l/{a:?}/{t:%41%Y}.gz] rotate.size~1MiB rotate.time~1h",
        ),
        ("unix:///run/x.sock", Side::Source, "unix [/run/x.sock]"),
        ("fifo:///p", Side::Source, "fifo [/p]"),
        ("tcp://:5170", Side::Source, "tcp [:5170]"),
        (
            "tcp://[::1]:5170?framing=octet",
            Side::Source,
            "tcp [[::1]:5170] framing~octet",
        ),
        ("tcp://h:1/", Side::Sink, "tcp [h:1]"),
        (
            "exec:sh -c 'a?b=c&d'",
            Side::Source,
            "exec [sh -c 'a?b=c&d']",
        ),
        ("exec:FOO=bar a:b", Side::Sink, "exec [FOO=bar a:b]"),
    ] {
        assert_eq!(read(text, side), Ok(parts.to_owned()), "{text}");
    }
}

#[test]
fn a_value_lands_raw_in_its_place() {
    for (text, parts) in [
        (
            "tcp://u%41:${PW}@${HOST}:1",
            "tcp [h:1] auth.user=uA auth.password=p@ss:w/{rd}?a=b&c=${X}%41",
        ),
        (
            "tcp://h:1?x=${PW}&y=1",
            "tcp [h:1] x~p@ss:w/{rd}?a=b&c=${X}%41 y~1",
        ),
        ("tcp://h:1?x=a${N}&token=${N}", "tcp [h:1] x=a8 token=8"),
        ("file://${DIR}/{a}%41?x=1", "file [/x%41 y?z/{a}A] x~1"),
        ("${DIR}/b", "file [/x%41 y?z/b]"),
        ("${URL}", "tcp [h:1] framing~nul"),
        ("${UNSET:-stdout}", "stdout []"),
    ] {
        assert_eq!(read(text, Side::Sink), Ok(parts.to_owned()), "{text}");
    }
    let command = read("exec:cat ${ARG} --x=${ARG} b", Side::Sink).unwrap();
    let command = command.strip_prefix("exec [").unwrap();
    let words = shlex::split(command.strip_suffix(']').unwrap()).unwrap();
    assert_eq!(words, ["cat", "a b; 'c' $(d)", "--x=a b; 'c' $(d)", "b"]);
}

#[test]
fn what_cannot_be_is_refused() {
    for (text, side, error) in [
        ("", Side::Sink, "the sink has an empty URL"),
        ("stdin", Side::Sink, "`stdin` cannot be a sink"),
        (
            "loki://h",
            Side::Sink,
            "`loki` is not supported by this version",
        ),
        ("kafka://h/t", Side::Source, "`kafka` cannot be a source"),
        ("http", Side::Sink, "write `http://host:port`"),
        ("tpc://h:1", Side::Sink, "there is no scheme `tpc`"),
        (
            "tcp+tls://h:1",
            Side::Sink,
            "`+tls` is not supported by this version (in `tcp+tls`)",
        ),
        ("tcp:h:1", Side::Sink, "write `tcp://host:port`"),
        ("tcp://", Side::Sink, "write `tcp://host:port`"),
        (
            "stdout:x",
            Side::Sink,
            "`stdout` takes nothing after it but options",
        ),
        ("exec:", Side::Source, "`exec:` needs a command"),
        (
            "exec:sh -c 'echo ${ARG}'",
            Side::Source,
            "a variable cannot stand inside quotes of a command: its value would be read by the program as code",
        ),
        (
            "file://host/x",
            Side::Source,
            "a host cannot stand in a `file` URL: write `file:///path`, or `file:path` for a relative one",
        ),
        (
            "file:",
            Side::Source,
            "`file:` needs a path: write `file:///path`",
        ),
        (
            "file:///a%zz",
            Side::Source,
            "a `%` must be followed by two hex digits: write `%25` for a `%`",
        ),
        (
            "file:///a%00",
            Side::Source,
            "a `%` must be followed by two hex digits: write `%25` for a `%`",
        ),
        (
            "file:///${PW}",
            Side::Sink,
            "a variable in this path holds a brace, which would be read as a template: write the template in the config itself",
        ),
        (
            "${HOST}://x",
            Side::Sink,
            "a variable cannot be part of a scheme",
        ),
        (
            "tcp://h:1?a",
            Side::Sink,
            "`a` in the query has no value: write `a=…`",
        ),
        ("tcp://h:1?a=1&a=2", Side::Sink, "`a` is in the query twice"),
        (
            "tcp://h:1?a..b=1",
            Side::Sink,
            "`a..b` in the query is not a key",
        ),
        (
            "tcp://h:1?${HOST}=1",
            Side::Sink,
            "`${…}` in the query is not a key",
        ),
    ] {
        assert_eq!(read(text, side), Err(error.to_owned()), "{text}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    proptest!(|(text in "(tcp|file|exec|stdout|x)?(:|//|:///)?[a-z{}?&=%@\\[\\]$\"'. :/é\\\\-]{0,24}")| {
        let _ = read(&text, Side::Sink);
        let _ = read(&text, Side::Source);
    });
}
