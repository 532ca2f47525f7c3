//! Containers' logs: what their paths say, lines that the runtime has cut, and
//! tflog's own.

use std::process::Stdio;

use crate::harness::{Running, ledger, lines, tflog, wait_for};
use crate::tail::Place;

/// The metadata of a pod comes from the path of its log, and its own pod is
/// left out.
#[test]
fn pods_are_known_by_their_paths() {
    let place = Place::new();
    let config = format!(
        "state: {0}/state\n\
         sources:\n  in:\n    url: kubernetes\n    directory: {0}/logs\n    with:\n      \
         - set: {{ ns: '{{k8s.namespace.name}}', pod: '{{k8s.pod.name}}', uid: '{{k8s.pod.uid}}', \
         c: '{{k8s.container.name}}', n: '{{k8s.container.restart_count}}' }}\n\
         routes:\n  - {{ when: 'k8s.pod.name == \"pay-1\"', to: pay }}\n  - {{ to: rest }}\n\
         sinks: {{ pay: 'file://{0}/pay', rest: 'file://{0}/rest' }}\n",
        place.directory.path().display()
    );
    std::fs::write(place.path("tflog.yaml"), config).unwrap();
    let path = place.path("tflog.yaml");
    let mut command = tflog(&["--http", "none", "-c", path.to_str().unwrap()]);
    command.env("POD_NAME", "tflog-x").stderr(Stdio::piped());
    let running = Running::start(&mut command);
    for pod in [
        "default_pay-1_0a-1/app",
        "kube-system_tflog-x_2/tflog",
        "a_web_3/web",
    ] {
        std::fs::create_dir_all(place.path("logs").join(pod)).unwrap();
    }
    let time = "2026-11-23T13:32:42.1Z";
    place.append(
        "logs/default_pay-1_0a-1/app/2.log",
        &format!("{time} stdout P half a\n{time} stdout F  line\n"),
    );
    place.append(
        "logs/kube-system_tflog-x_2/tflog/0.log",
        &format!("{time} stderr F own\n"),
    );
    place.append(
        "logs/a_web_3/web/0.log",
        &format!("{time} stdout F hello\n"),
    );
    let both = || {
        let (pay, rest) = (lines(&place.path("pay")), lines(&place.path("rest")));
        (!pay.is_empty() && !rest.is_empty()).then_some((pay, rest))
    };
    let (pay, rest) = wait_for("both lines", both);
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert_eq!(ledger(&stderr)["sources"]["in"]["received"], 2, "{stderr}");
    assert_eq!((pay.len(), rest.len()), (1, 1));
    let pay: serde_json::Value = serde_json::from_str(&pay[0]).unwrap();
    for (name, value) in [
        ("ns", "default"),
        ("pod", "pay-1"),
        ("uid", "0a-1"),
        ("c", "app"),
        ("n", "2"),
        ("message", "half a line"),
        ("stream", "stdout"),
    ] {
        let found = &pay[name];
        let found = found.as_str().map_or(found.to_string(), str::to_owned);
        assert_eq!(found, value, "{name} of {pay}");
    }
}

/// Docker's files, with the container's id.
#[test]
fn containers_of_docker_are_known_by_their_paths() {
    let place = Place::new();
    std::fs::create_dir(place.path("logs/4f")).unwrap();
    let url = format!("in=docker?directory={}", place.path("logs").display());
    let to = format!("file://{}", place.path("out").display());
    let mut command = tflog(&["--http", "none", "--from", &url, "--to", &to]);
    command
        .env("TFLOG_STATE", place.path("state"))
        .env(
            "TFLOG_ROUTES",
            "[{ when: 'container.id == \"4f\"', to: file }, { drop: true }]",
        )
        .stderr(Stdio::piped());
    let running = Running::start(&mut command);
    place.append(
        "logs/4f/4f-json.log",
        "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-23T13:32:42.1Z\"}\n",
    );
    place.append("logs/4f/config.json", "no log\n");
    let got = wait_for("a line", || {
        let got = lines(&place.path("out"));
        (!got.is_empty()).then_some(got)
    });
    running.signal("TERM");
    assert!(running.finish().0.success());
    assert!(got.len() == 1 && got[0].contains("hello"), "{got:?}");
}

/// What the runtime has wrapped is parsed as what it is, for rules too, with
/// the runtime's time where it has none of its own.
#[test]
fn what_is_wrapped_is_parsed() {
    let place = Place::new();
    let config = format!(
        "http: none:0\nstate: {0}/state\n\
         sources:\n  pods: {{ url: kubernetes, directory: {0}/logs/pods }}\n  \
         docker: {{ url: docker, directory: {0}/logs/docker }}\n\
         routes:\n  - {{ when: 'level >= error and http.status == 503', to: bad }}\n  - {{ to: rest }}\n\
         sinks: {{ bad: 'file://{0}/bad', rest: 'file://{0}/rest' }}\n",
        place.directory.path().display()
    );
    std::fs::write(place.path("tflog.yaml"), config).unwrap();
    for directory in ["pods/a_web_3/web", "docker/4f"] {
        std::fs::create_dir_all(place.path("logs").join(directory)).unwrap();
    }
    let path = place.path("tflog.yaml");
    let mut command = tflog(&["-c", path.to_str().unwrap()]);
    let running = Running::start(command.stderr(Stdio::piped()));
    let inside = r#"{"level":"error","msg":"boom","http":{"status":503}}"#;
    let time = "2026-11-23T13:32:42.100Z";
    place.append(
        "logs/pods/a_web_3/web/0.log",
        &format!("{time} stdout F {inside}\n{time} stderr F level=info msg=hello\n"),
    );
    let quoted = serde_json::to_string(&format!("{inside}\n")).unwrap();
    place.append(
        "logs/docker/4f/4f-json.log",
        &format!("{{\"log\":{quoted},\"stream\":\"stdout\",\"time\":\"{time}\"}}\n"),
    );
    let (bad, rest) = wait_for("all events", || {
        let (bad, rest) = (lines(&place.path("bad")), lines(&place.path("rest")));
        (bad.len() + rest.len() == 3).then_some((bad, rest))
    });
    running.signal("TERM");
    assert!(running.finish().0.success());
    assert_eq!((bad.len(), rest.len()), (2, 1), "{bad:?} {rest:?}");
    for line in &bad {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["msg"], "boom", "{event}");
        let at = event.get("timestamp").or(event.get("time"));
        assert_eq!(at.unwrap(), time, "{event}");
    }
}
