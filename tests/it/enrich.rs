//! What the cluster's API says of pods, from a scripted one: in rules, in output,
//! and in how lines are read.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Running, free_address, get, lines, metric, tflog, wait_for};
use crate::scripted::{Reply, Scripted};
use crate::tail::Place;

/// An API that lists two pods, and whose watch never says anything.
fn api() -> Scripted {
    let pod = |uid: &str, labels: Value, annotations: Value| {
        json!({ "metadata": { "name": format!("pod-{uid}"), "namespace": "default", "uid": uid,
            "labels": labels, "annotations": annotations } })
    };
    let pods = json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": "10" },
        "items": [
            pod("u1", json!({ "app.kubernetes.io/name": "web" }), json!({ "tflog.dev/parse": "combined" })),
            pod("u2", json!({}), json!({ "tflog.dev/exclude": "true" })),
        ],
    });
    Scripted::start(move |request| {
        if request.path.contains("watch=true") {
            Reply::Hang
        } else {
            Reply::json(200, pods.to_string())
        }
    })
}

/// Labels route and are written, annotations choose the format and opt out, and
/// a pod that the API does not know is read as before, and counted.
#[test]
fn pods_are_known_by_what_the_api_says() {
    let (place, api, http) = (Place::new(), api(), free_address());
    let config = format!(
        "state: {0}/state\n\
         sources:\n  in:\n    url: kubernetes\n    directory: {0}/logs\n    parse: logfmt\n    \
         enrich: {{ api: 'http://{1}', node: node-1, wait: 1ms }}\n    with:\n      \
         - set: {{ app: '{{k8s.labels.\"app.kubernetes.io/name\"}}', node: '{{k8s.node.name}}' }}\n\
         routes:\n  - {{ when: 'k8s.labels.\"app.kubernetes.io/name\" == \"web\"', to: web }}\n  \
         - {{ to: rest }}\n\
         sinks:\n  web: {{ url: 'file://{0}/web', encode: json }}\n  \
         rest: {{ url: 'file://{0}/rest', encode: json }}\n",
        place.directory.path().display(),
        api.address(),
    );
    std::fs::write(place.path("tflog.yaml"), config).unwrap();
    let path = place.path("tflog.yaml");
    let mut command = tflog(&["--http", &http.to_string(), "-c", path.to_str().unwrap()]);
    let running = Running::start(command.stderr(Stdio::piped()));
    wait_for("the list of pods", || {
        let page = get(http, "/metrics").1;
        (metric(&page, "tflog_kubernetes_pods") == 2).then_some(())
    });
    let time = "2026-11-23T13:32:42.1Z";
    for (uid, line) in [
        (
            "u1",
            r#"10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] "GET / HTTP/1.1" 503 5 "-" "curl/8""#,
        ),
        ("u2", "key=secret"),
        ("u3", "key=value"),
    ] {
        let directory = format!("logs/default_pod-{uid}_{uid}/app");
        std::fs::create_dir_all(place.path(&directory)).unwrap();
        place.append(
            &format!("{directory}/0.log"),
            &format!("{time} stdout F {line}\n"),
        );
    }
    let (web, rest) = wait_for("both lines", || {
        let (web, rest) = (lines(&place.path("web")), lines(&place.path("rest")));
        (!web.is_empty() && !rest.is_empty()).then_some((web, rest))
    });
    let page = get(http, "/metrics").1;
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert_eq!((web.len(), rest.len()), (1, 1), "{web:?} {rest:?}");
    let parsed = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let (web, rest) = (parsed(&web[0]), parsed(&rest[0]));
    assert_eq!(web["http"]["status"], 503, "{web}");
    assert_eq!(
        (&web["app"], &web["node"]),
        (&"web".into(), &"node-1".into())
    );
    assert_eq!(
        (&rest["key"], &rest["app"]),
        (&"value".into(), &"unknown".into()),
        "{rest}"
    );
    assert_eq!(metric(&page, "tflog_kubernetes_unenriched_events_total"), 1);
    assert_eq!(metric(&page, "tflog_kubernetes_pods"), 2);
    assert_eq!(
        metric(&page, "tflog_kubernetes_api_connected"),
        0,
        "the watch is not answered"
    );
}

/// Where it cannot work, it says so before anything is read.
#[test]
fn what_is_missing_is_said_at_the_start() {
    let place = Place::new();
    let url = format!(
        "in=kubernetes?enrich=true&directory={}",
        place.path("logs").display()
    );
    let mut command = tflog(&["--http", "none", "--from", &url, "--to", "blackhole"]);
    command
        .env("TFLOG_STATE", place.path("state"))
        .env_remove("NODE_NAME")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stderr(Stdio::piped());
    let failed = |command: &mut std::process::Command, expected: &str| {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && stderr.contains(expected),
            "{stderr}"
        );
    };
    failed(&mut command, "set NODE_NAME from spec.nodeName");
    failed(
        command.env("NODE_NAME", "node-1"),
        "cannot ask the cluster's API",
    );
}
