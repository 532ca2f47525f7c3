//! Whole configs: what they come to, and what is said about wrong ones.

use super::diagnostic::{Style, render};
use super::*;
use crate::event::Needs;

fn inputs(yaml: &str) -> Inputs {
    Inputs {
        files: vec![Input::Text {
            name: "tflog.yaml".into(),
            text: yaml.into(),
        }],
        ..Inputs::default()
    }
}

fn with_env(yaml: &str, env: &[(&str, &str)]) -> Inputs {
    Inputs {
        env: env
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        ..inputs(yaml)
    }
}

fn config(inputs: &Inputs) -> Config {
    load(inputs).expect("loads").config
}

/// Every error, one line each.
fn errors(inputs: &Inputs) -> Vec<String> {
    let errors = load(inputs).expect_err("must not load");
    errors.iter().map(ToString::to_string).collect()
}

/// The errors as shown on a page.
fn shown(inputs: &Inputs) -> String {
    let style = Style {
        colour: false,
        width: 100,
    };
    let text = render(&load(inputs).expect_err("must not load"), style);
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

#[test]
fn nothing_is_stdin_to_stdout_with_the_defaults() {
    let config = config(&Inputs::default());
    assert_eq!(config.sources.len(), 1);
    assert_eq!(config.sources[0].definition.scheme, "stdin");
    assert_eq!(config.sources[0].parse.value, "auto");
    assert_eq!(config.sinks[0].definition.scheme, "stdout");
    assert_eq!(config.sinks[0].when_full, WhenFull::Block);
    assert_eq!(config.sinks[0].buffer.memory, None);
    assert_eq!(config.memory, ByteSize(256 << 20));
    assert_eq!(config.grace.0.as_secs(), 25);
    assert!(config.routes.is_none() && config.state.is_none() && config.http.is_none());
}

#[test]
fn later_layers_win() {
    let mut inputs = with_env(
        "state: /a\nsinks:\n  x: stdout\n  y: { url: 'file:///y', rotate: { size: 1MiB } }\n",
        &[
            ("STATE_DIRECTORY", "/systemd"),
            ("TFLOG_SINKS__X__BUFFER__MEMORY", "1MiB"),
            ("TFLOG_SINKS__Y__ROTATE__TIME", "1h"),
            ("TFLOG_MEMORY", "1GiB"),
            ("TFLOG_GRACE", "10"),
            ("TFLOG_HTTP", "{ listen: ':1' }"),
            ("TFLOG_TO", "blackhole z=stderr x=blackhole:"),
            ("TFLOG_ROUTES", "[{ to: [x, y], when: 'a == 1' }]"),
        ],
    );
    inputs.http = Some("[::1]:2".into());
    inputs.to = vec!["stdout".into(), "y=file:///z".into(), "exec:cat".into()];
    inputs.from = vec!["app.log".into(), "b.log".into()];
    inputs.parse = Some("json".into());
    let config = config(&inputs);
    assert_eq!(config.state.unwrap().value, PathBuf::from("/a"));
    assert_eq!(config.memory, ByteSize(1 << 30));
    assert_eq!(config.grace.0.as_secs(), 10);
    assert_eq!(config.http.unwrap().listen.value, "[::1]:2");
    let sinks: Vec<_> = config
        .sinks
        .iter()
        .map(|s| format!("{}={}:{}", s.name, s.definition.scheme, s.definition.target))
        .collect();
    assert_eq!(
        sinks,
        [
            "x=blackhole:",
            "y=file:/z",
            "z=stderr:",
            "stdout=stdout:",
            "exec=exec:cat"
        ]
    );
    let sources: Vec<_> = config.sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(sources, ["file", "file_2"]);
    assert!(config.sources.iter().all(|s| s.parse.value == "json"));
    assert_eq!(config.routes.unwrap()[0].name, "route_1");
}

#[test]
fn url_and_map_say_the_same() {
    let url = config(&inputs(
        "sinks:\n  a: file:///x?rotate.size=1MiB&open_max=8&buffer.memory=1MiB&required=false&encode=raw\n",
    ));
    let map = config(&inputs(
        "sinks:\n  a:\n    url: file:///x\n    rotate: { size: 1MiB }\n    open_max: 8\n    buffer: { memory: 1MiB }\n    required: false\n    encode: raw\n",
    ));
    for config in [url, map] {
        let sink = &config.sinks[0];
        let options = serde_json::to_string(&sink.definition.options).unwrap();
        assert!(
            options == r#"{"rotate":{"size":"1MiB"},"open_max":8}"#
                || options == r#"{"open_max":8,"rotate":{"size":"1MiB"}}"#,
            "{options}"
        );
        assert_eq!(sink.buffer.memory, Some(ByteSize(1 << 20)));
        assert_eq!(sink.when_full, WhenFull::DropNewest);
        assert_eq!(sink.encode.as_ref().unwrap().value, "raw");
        assert!(!sink.required);
    }
}

#[test]
fn variables_take_the_type_that_a_plain_scalar_would_have() {
    let yaml = r#"
sources:
  a:
    url: tcp://:1
    connections: ${N}
    label: '${N}'
    list: ["${N}", "x$${y}", '$${N}']
    api_token: ${N}
sinks:
  a:
    url: stdout
    required: ${NO}
    buffer: { memory: '${SIZE:-1MiB}' }
"#;
    let config = config(&with_env(yaml, &[("N", "8"), ("NO", "false")]));
    let options = serde_json::to_string(&config.sources[0].definition.options).unwrap();
    assert_eq!(
        options,
        r#"{"connections":8,"label":"8","list":["8","x${y}","${N}"],"api_token":"8"}"#
    );
    assert!(!config.sinks[0].required);
    assert_eq!(config.sinks[0].buffer.memory, Some(ByteSize(1 << 20)));
}

#[test]
fn an_overridden_value_need_not_expand() {
    let inputs = with_env("state: ${UNSET}\nx-y: ${UNSET}\n", &[("TFLOG_STATE", "/a")]);
    assert_eq!(config(&inputs).state.unwrap().value, PathBuf::from("/a"));
}

#[test]
fn every_error_is_found_with_its_place() {
    let found = errors(&with_env(
        "stat: /x\nsources:\n  Net: stdin\n  a: { ulr: stdin }\n  b: { url: stdin, with: {} }\nroutes:\n  - { from: c, to: [x, y], drop: true }\n  - when: a\n  - { to: [], contineu: true }\nsinks:\n  x: { url: 'file:///x?a.b=1', a: { b: 2 }, required: yes, buffer: { fsync: ack } }\n  yy: { url: stdout, when_full: drop_newest }\n  zz: { url: stdout, required: false, when_full: block }\ngrace: soon\nmemory: [1]\n",
        &[("TFLOG_SINKS__YY__BUFFER__MEM", "1MiB")],
    ));
    for expected in [
        "error[config::unknown_key]: tflog.yaml:1:1: the config has no key `stat` (did you mean `state`? valid keys are state, http, memory, grace, line_max, sources, routes, sinks, tests)",
        "error[config::name]: tflog.yaml:3:3: `Net` cannot name a source (names are",
        "error[config::missing]: tflog.yaml:4:3: source `a` has no `url` (write",
        "error[config::type]: tflog.yaml:5:26: `with` must be a list of verbs, not a map (write each as",
        "error[config::unknown_name]: tflog.yaml:7:13: there is no source `c`",
        "error[config::unknown_name]: tflog.yaml:7:24: there is no sink `y` (did you mean `yy`? sinks are x, yy, zz)",
        "error[config::route]: tflog.yaml:7:5: route `route_1` has both `to` and `drop`",
        "error[config::route]: tflog.yaml:8:5: route `route_2` has neither `to` nor `drop: true`",
        "error[config::value]: tflog.yaml:9:11: `to` names nothing",
        "error[config::unknown_key]: tflog.yaml:9:15: a route has no key `contineu` (did you mean `continue`?",
        "error[config::twice]: tflog.yaml:11:37: `a.b` is both in the URL and beside it",
        "error[config::type]: tflog.yaml:11:55: `required` must be `true` or `false`",
        "error[config::buffer]: tflog.yaml:11:68: the buffer of sink `x` is in memory: nothing of it is synced or compressed (add `disk`, such as `disk: 2GiB`)",
        "error[config::when_full]: tflog.yaml:12:33: a required sink never drops",
        "error[config::when_full]: tflog.yaml:13:50: a sink that is not required never holds others up",
        "error[config::unknown_key]: TFLOG_SINKS__YY__BUFFER__MEM: the buffer of sink `yy` has no key `mem`",
        "error[config::value]: tflog.yaml:14:8: \"soon\" is not a duration",
        "error[config::type]: tflog.yaml:15:9: `memory` must be a size, not a list",
    ] {
        assert!(
            found.iter().any(|error| error.starts_with(expected)),
            "{expected}\nis not among\n{}",
            found.join("\n")
        );
    }
    assert_eq!(found.len(), 18, "{}", found.join("\n"));
}

#[test]
fn secrets_are_not_in_anything_that_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter2secret\n").unwrap();
    let yaml = format!(
        "sinks:\n  a: {{ url: 'tcp://h:1?db_password=literalpw', x: '${{file:{0}}}', api_token: '${{T}}' }}\n",
        file.display()
    );
    let loaded = load(&with_env(&yaml, &[("T", "envtoken")])).unwrap();
    let printed = format!("{loaded:?}");
    let message = loaded
        .secrets
        .redact("got hunter2secret, envtoken and literalpw");
    assert_eq!(message, "got ***, *** and ***");
    for secret in ["hunter2secret", "literalpw", "envtoken"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }

    let wrong = format!(
        "memory: '${{file:{}}}'\nsinks:\n  a: {{ url: 'x://u:literalpw@h', password: plainpw }}\n",
        file.display()
    );
    let page = shown(&inputs(&wrong));
    assert!(
        page.contains("*** is not a size") || page.contains("\"***\" is not a size"),
        "{page}"
    );
    for secret in ["hunter2secret", "literalpw", "plainpw"] {
        assert!(!page.contains(secret), "{secret} in {page}");
    }
}

#[test]
fn a_diagnostic_shows_the_line_a_caret_and_a_hint() {
    let yaml = "# é\nsinks:\n  out:\n    url: stdout\n    when_full: blok\n    token: hunter2\n";
    assert_eq!(
        shown(&inputs(yaml)),
        "\
config::value

  × `when_full` must be one of its words
   ╭─[tflog.yaml:5:16]
 4 │     url: stdout
 5 │     when_full: blok
   ·                ────
 6 │     token: *******
   ╰────
  help: did you mean `block`? valid are block, drop_newest, drop_oldest"
    );
    assert_eq!(
        shown(&with_env("", &[("TFLOG_SINK__X", "stdout")])),
        "error[config::unknown_variable]: TFLOG_SINK__X: `TFLOG_SINK__X` is not a variable of \
         tflog (did you mean `TFLOG_SINKS`? variables are TFLOG_FROM, TFLOG_TO and the config's \
         keys in upper case)"
    );
}

#[test]
fn a_number_of_connections_is_a_number() {
    let per_peer = |written: &str| {
        let yaml = format!("http: {{ listen: ':1', connections_per_peer: {written} }}\n");
        let loaded = load(&with_env(&yaml, &[("PEERS", "7")]));
        loaded.map(|loaded| loaded.config.http.unwrap().connections_per_peer)
    };
    assert_eq!(per_peer("3").unwrap(), 3);
    assert_eq!(per_peer("'${PEERS}'").unwrap(), 7);
    for wrong in ["0", "-1", "1.5", "many", "[1]"] {
        assert_eq!(per_peer(wrong).unwrap_err().len(), 1, "{wrong}");
    }
}

#[test]
fn a_component_error_points_at_its_key() {
    let config = config(&inputs(
        "sinks:\n  out:\n    url: stdout\n    a: { b: 1 }\n    requird: false\n",
    ));
    let definition = &config.sinks[0].definition;
    let at = |error| config.diagnostic(&error).to_string();
    let error = definition.error("bad").at("a.b").help("do");
    assert_eq!(
        at(error.clone()),
        "error[config::component]: tflog.yaml:4:13: out.a.b: bad (do)"
    );
    assert_eq!(
        at(error.at("a.c")),
        "error[config::component]: tflog.yaml:4:8: out.a.c: bad (do)"
    );
    assert_eq!(
        at(definition.error("unknown field `requird`, expected one of `rotate`, `open_max`")),
        "error[config::component]: tflog.yaml:5:5: sink `out` has no key `requird` (did you mean \
         `required`? valid keys are url, encode, required, buffer, when_full, with, fallback, dead_letter, rotate, open_max)"
    );
}

#[test]
fn a_rule_error_points_into_the_rule() {
    let config = config(&with_env(
        "routes:\n  - when: 'a == ${A} and bb =~ 3'\n    to: stdout\n",
        &[("A", "long value")],
    ));
    let routes = config.routes.unwrap();
    let rule = routes[0].when.as_ref().unwrap();
    assert_eq!(rule.value, "a == \"long value\" and bb =~ 3");
    let at = rule.value.find("bb").unwrap();
    assert_eq!(rule.at(at..at + 2).to_string(), "tflog.yaml:2:26");
}

#[test]
fn every_config_that_is_shipped_loads() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut paths = vec![root.join("reference.yaml")];
    let examples = std::fs::read_dir(root.join("examples")).unwrap();
    paths.extend(examples.map(|entry| entry.unwrap().path()));
    assert!(paths.len() >= 4);
    for path in paths {
        let inputs = Inputs {
            files: vec![Input::Path(path.clone())],
            ..Inputs::default()
        };
        if let Err(errors) = load(&inputs) {
            panic!("{}: {errors:#?}", path.display());
        }
    }
}

#[test]
fn the_reference_names_every_key() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/reference.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for table in [
        keys::TOP,
        keys::HTTP,
        keys::SOURCE,
        keys::ROUTE,
        keys::SINK,
        keys::BUFFER,
    ] {
        for key in table {
            let there = text.contains(&format!("{}:", key.name));
            assert!(
                there || component::is_later(key),
                "`{}` is missing",
                key.name
            );
        }
    }
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let part = prop_oneof![
        "[a-zé:{}\\[\\]'\"$|>&*#,\\- \n]{0,12}",
        Just("sinks:\n  a: ".to_owned()),
        Just("routes:\n  - when: ".to_owned()),
        Just("token: ".to_owned()),
        Just("${A}".to_owned()),
        Just("tcp://u:p@h:1?a.b=1".to_owned()),
        Just("\n  ".to_owned()),
    ];
    proptest!(|(parts in proptest::collection::vec(part, 0..12))| {
        let style = Style { colour: false, width: 80 };
        for name in ["t.yaml", "t.toml", "t.json"] {
            let text = parts.concat();
            let file = Input::Text { name: name.into(), text };
            let inputs = Inputs { files: vec![file], ..with_env("", &[("A", "é'\"\n${B}")]) };
            if let Err(errors) = load(&inputs) {
                prop_assert!(!render(&errors, style).is_empty());
            }
        }
    });
}

#[test]
fn windows_and_buffers_must_fit_the_memory_budget() {
    let build = |window: &str| {
        let yaml = format!(
            "memory: 64MiB\n\
             sources: {{ net: 'tcp://:1', push: {{ url: 'http://:2', window: {window} }} }}\n\
             sinks: {{ out: {{ url: 'tcp://localhost:3', buffer: {{ memory: 40MiB }} }} }}\n"
        );
        let world = crate::seam::World::simulated(crate::event::Timestamp(0), 7);
        plan::build(&config(&inputs(&yaml)), plan::Extras::default(), &world).map(|_| ())
    };
    assert_eq!(build("20MiB"), Ok(()));
    let errors = build("21MiB").expect_err("too much");
    let text = errors[0].to_string();
    assert!(
        text.contains("windows (25 MiB)") && text.contains("(40 MiB)"),
        "{text}"
    );
}

/// Sinks and lists that live on through a reload know columns by number.
#[test]
fn a_plan_that_follows_another_keeps_its_columns() {
    let needs = |rule: &str, needs: Needs| {
        let yaml = format!(
            "sources: {{ net: 'tcp://:1' }}\nsinks: {{ out: 'file:///tmp/{{user}}' }}\n\
             routes: [ {{ when: '{rule} == 1', drop: true }}, {{ to: out }} ]\n"
        );
        let world = crate::seam::World::simulated(crate::event::Timestamp(0), 7);
        let mut extras = plan::Extras::default();
        extras.seed.needs = needs;
        let built = plan::build(&config(&inputs(&yaml)), extras, &world);
        Needs::clone(&built.expect("a plan").plan.needs)
    };
    let first = needs("a", Needs::default());
    let second = needs("b", first.clone());
    assert_eq!(first.columns.len(), 2);
    assert_eq!(second.columns[..2], first.columns[..]);
    assert_eq!(second.columns.len(), 3);
}

#[test]
fn secrets_in_files_are_told_once_each_and_never_shown() {
    let text = "sinks:
  a: elasticsearch://u:hunter22@h:1/x
  b: { url: 'elasticsearch://h:1/x', auth: { user: u, password: hunter33 } }
  c: { url: 'elasticsearch://h:1/x', auth: { user: u, password: '${P}' } }
  d: { url: 'elasticsearch://u:${P}@h:1/x' }
";
    let mut inputs = with_env(text, &[("P", "hunter44")]);
    inputs.to = vec!["e=elasticsearch://u:hunter55@h:1/x".into()];
    let told: Vec<_> = load(&inputs).unwrap().warnings;
    let places: Vec<_> = told
        .iter()
        .map(|w| w.place.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(places, ["tflog.yaml:2:6", "tflog.yaml:3:65"], "{told:?}");
    let style = Style {
        colour: false,
        width: 100,
    };
    assert!(
        !render(&told, style).contains("hunter"),
        "{}",
        render(&told, style)
    );
}

#[test]
fn tests_are_read_with_nested_and_dotted_fields() {
    let yaml = "tests:
  - { input: x, expect: { stdout: { http: { status: 503, path: null }, k.v: true, level: error } } }
sinks: { stdout: stdout }
";
    let config = config(&inputs(yaml));
    let [test] = &config.tests[..] else {
        panic!("one test");
    };
    let (sink, fields) = &test.expect[0];
    let fields: Vec<_> = fields
        .iter()
        .map(|f| {
            (
                f.path.dotted(),
                f.value.as_ref().map(|(v, quoted)| (v.as_str(), *quoted)),
            )
        })
        .collect();
    assert_eq!(sink.value, "stdout");
    assert_eq!(
        fields,
        [
            ("http.status", Some(("503", false))),
            ("http.path", None),
            ("k.v", Some(("true", true))),
            ("level", Some(("error", true))),
        ]
    );
}

#[test]
fn what_can_be_read_of_a_wrong_config_is_there() {
    let text = "memry: 1\nroutes: [{ when: a = 1, to: out }]\nsinks: { out: stdout }\n";
    let read = read(&inputs(text));
    assert_eq!(read.errors.len(), 1);
    assert_eq!(read.config.unwrap().routes.unwrap().len(), 1);
}
