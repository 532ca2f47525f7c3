//! Each event is exactly where the rules say.

use crate::harness::{lines, run};

fn config(dir: &std::path::Path, text: &str) -> String {
    let path = dir.join("tflog.yaml");
    std::fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `when`, `to`, `continue`, `drop`, `unmatched` and templated paths.
#[test]
fn events_go_where_the_rules_say() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources: { app: stdin }
routes:
  - { name: probes, when: 'http.path in [\"/healthz\"]', drop: true }
  - { name: errors, when: 'level >= error or http.status >= 500', to: alerts, continue: true }
  - { name: pay, when: 'service =~ /^pay/', to: by_service }
  - { name: rest, to: rest }
sinks:
  alerts: file://DIR/alerts.jsonl
  by_service: 'file://DIR/{service}.jsonl'
  rest: file://DIR/rest.jsonl
",
    );
    let input = [
        r#"{"level":"info","http":{"path":"/healthz","status":500}}"#,
        r#"{"level":"error","service":"pay/../../etc"}"#,
        r#"{"level":"info","service":"payments"}"#,
        r#"{"severity":"WARN","http":{"status":503}}"#,
        "2026-11-23 13:32:42 ERROR words",
    ]
    .join("\n");
    let output = run(&["-c", &config, "--stats"], input.as_bytes());
    assert!(output.status.success());
    let all = |name: &str| lines(&dir.path().join(name)).join("\n");
    assert_eq!(lines(&dir.path().join("alerts.jsonl")).len(), 3);
    assert!(all("payments.jsonl").contains("payments"));
    assert_eq!(lines(&dir.path().join("rest.jsonl")).len(), 2);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != "tflog.yaml")
        .collect();
    names.sort_unstable();
    assert_eq!(
        names.len(),
        4,
        "content must not choose a directory: {names:?}"
    );
}

/// The same by environment variables alone: the twelve-factor way.
#[test]
fn the_environment_configures_it() {
    let dir = tempfile::tempdir().unwrap();
    let to = format!(
        "err=file://{0}/err.jsonl all=file://{0}/all.jsonl",
        dir.path().display()
    );
    let routes = "[{name: e, when: 'level >= error', to: err, continue: true}, {name: r, to: all}]";
    let mut command = crate::harness::tflog(&["-"]);
    command
        .env("TFLOG_TO", to)
        .env("TFLOG_ROUTES", routes)
        .env("TFLOG_PORT", "tcp://10.0.0.1:80");
    let mut running = crate::harness::Running::start(
        command
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped()),
    );
    let mut stdin = running.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"{\"level\":\"info\"}\n{\"level\":\"fatal\"}\n")
        .unwrap();
    drop(stdin);
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert_eq!(
        lines(&dir.path().join("err.jsonl")),
        ["{\"level\":\"fatal\"}"]
    );
    assert_eq!(lines(&dir.path().join("all.jsonl")).len(), 2);
}

/// The exit report adds up.
#[test]
fn the_exit_report_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources: { net: 'generate:?lines=10000&format=mixed' }
routes:
  - { name: quiet, when: 'level <= debug', drop: true }
  - { name: errors, when: 'level >= error', to: a, continue: true }
  - { name: rest, to: b }
sinks: { a: file://DIR/a.jsonl, b: file://DIR/b.jsonl }
",
    );
    let mut command = crate::harness::tflog(&["-c", &config]);
    command.env("TFLOG_LOG", "info");
    let running = crate::harness::Running::start(
        command
            .stderr(std::process::Stdio::piped())
            .args(["--stats"]),
    );
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("10000 received"), "{stderr}");
    let (a, b) = (
        lines(&dir.path().join("a.jsonl")),
        lines(&dir.path().join("b.jsonl")),
    );
    assert!(
        stderr.contains(&format!("sink a: {0} entered, {0} delivered", a.len())),
        "{stderr}"
    );
    assert!(
        stderr.contains(&format!("sink b: {0} entered, {0} delivered", b.len())),
        "{stderr}"
    );
}
