//! What is in `deploy/`, read by the tools that it is for: a config that does
//! not pass `tflog check`, a manifest that no cluster takes, or a query of a
//! metric that is not there is found here.
//!
//! Where a tool cannot be had, a test says so loudly and ends; with
//! `IT_REQUIRE_REAL=1` it fails.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../real/servers.rs"]
#[allow(dead_code)]
mod servers;
#[path = "../real/skip.rs"]
mod skip;

mod queries;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::tflog;
use skip::skip;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deploy(path: &str) -> PathBuf {
    root().join("deploy").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where the tools are that are not of the machine; `None` if they cannot be had.
fn tools() -> Option<PathBuf> {
    let script = root().join("tests/deploy/tools.sh");
    let output = Command::new(script).output().unwrap();
    if output.status.code() == Some(77) {
        skip(&String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(succeeds(&output).trim().into())
}

/// What a command wrote to stdout; it must have succeeded.
fn succeeds(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8_lossy(stdout).into_owned();
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

/// Every config in a text: what follows `tflog.yaml: |`, without its indent.
fn configs(text: &str) -> Vec<String> {
    let mut configs = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() != "tflog.yaml: |" {
            continue;
        }
        let outer = line.len() - line.trim_start().len();
        let mut config = String::new();
        while let Some(line) = lines
            .next_if(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > outer)
        {
            config.push_str(line);
            config.push('\n');
        }
        configs.push(config);
    }
    configs
}

/// `tflog check` of a config in the environment that its manifest gives it.
fn check(config: &Path, name: &str) {
    let output = tflog(&["check", "-c", config.to_str().unwrap()])
        .env("BROKERS", "kafka:9092")
        .env("SEARCH", "search:9200")
        .env("INGEST_TOKEN", "none")
        .env("TFLOG_STATE", "/var/lib/tflog")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A token's file is the cluster's.
    let token = stderr.contains("/run/secrets/tflog/token");
    assert!(output.status.success() || token, "{name}: {stderr}");
}

/// Every config that is deployed passes `tflog check`.
#[test]
fn configs_pass_the_check() {
    let dir = tempfile::tempdir().unwrap();
    check(&deploy("compose/tflog.yaml"), "compose");
    for name in ["aggregator", "daemonset", "sidecar"] {
        let text = read(&format!("kubernetes/{name}.yaml"));
        let found = configs(&text);
        assert_eq!(found.len(), 1, "{name}");
        let path = dir.path().join(format!("{name}.yaml"));
        std::fs::write(&path, &found[0]).unwrap();
        check(&path, name);
    }
}

/// The unit is one that systemd takes whole: an unknown key is only said.
#[test]
fn the_unit_is_valid() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip("systemd-analyze is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("tflog.service");
    let text = read("systemd/tflog.service").replace("/usr/bin/tflog", env!("CARGO_BIN_EXE_tflog"));
    std::fs::write(&unit, text).unwrap();
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&unit)
        .output()
        .unwrap();
    succeeds(&output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// The image's recipe has nothing that hadolint knows to be bad.
#[test]
fn the_dockerfile_is_clean() {
    let Some(tools) = tools() else { return };
    let output = Command::new(tools.join("hadolint"))
        .arg(deploy("Dockerfile"))
        .output()
        .unwrap();
    assert_eq!(succeeds(&output), "");
}

/// Manifests are of the cluster's schemas.
#[test]
fn manifests_are_valid() {
    let Some(tools) = tools() else { return };
    let manifests = ["aggregator", "daemonset", "enrich", "sidecar"];
    let manifests = manifests.map(|name| deploy(&format!("kubernetes/{name}.yaml")));
    validate(&tools, &manifests);
}

fn validate(tools: &Path, manifests: &[PathBuf]) {
    let mut command = Command::new(tools.join("kubernetes-validate"));
    let output = command.arg("--strict").args(manifests).output().unwrap();
    succeeds(&output);
}

/// The chart passes helm's own checks, and what it makes in either mode is of
/// the cluster's schemas, with a config that passes `tflog check`.
#[test]
fn the_chart_makes_valid_manifests() {
    let Some(tools) = tools() else { return };
    let (helm, chart) = (tools.join("helm"), deploy("helm/tflog"));
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&helm);
        command.args(arguments).env("HELM_CACHE_HOME", dir.path());
        command.output().unwrap()
    };
    let chart = chart.to_str().unwrap();
    succeeds(&run(&["lint", "--strict", chart]));
    for (mode, access) in [("agent", true), ("agent", false), ("aggregator", false)] {
        let set = format!("mode={mode},secretName=tflog,podAccess={access}");
        let made = succeeds(&run(&[
            "template",
            "logs",
            chart,
            "--kube-version",
            "1.33",
            "--set",
            &set,
        ]));
        let kind = if mode == "agent" {
            "DaemonSet"
        } else {
            "Deployment"
        };
        assert!(made.contains(&format!("kind: {kind}")), "{made}");
        assert_eq!(made.contains("kind: ClusterRole\n"), access, "{made}");
        let token = format!("automountServiceAccountToken: {access}");
        assert!(made.contains(&token), "{made}");
        let path = dir.path().join(format!("{mode}.yaml"));
        std::fs::write(&path, &made).unwrap();
        validate(&tools, std::slice::from_ref(&path));
        let found = configs(&made);
        assert_eq!(found.len(), 1, "{made}");
        std::fs::write(&path, &found[0]).unwrap();
        check(&path, mode);
    }
    let wrong = run(&["template", "logs", chart, "--set", "mode=neither"]);
    assert!(!wrong.status.success());
}
