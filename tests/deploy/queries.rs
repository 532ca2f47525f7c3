//! Alerts and dashboards: rules that promtool takes, and queries that a real
//! Prometheus answers from a running tflog.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use super::{deploy, read, succeeds};
use crate::harness::{Running, connect, free_address, get, tflog, wait_for};
use crate::servers::Server;
use crate::skip::skip;

/// Every expression of the alerts and of the dashboard, with what Grafana puts
/// in put in.
fn expressions() -> Vec<String> {
    let mut found = Vec::new();
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/tflog.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = target["expr"].as_str().unwrap();
            let text = text
                .replace("$__rate_interval", "1m")
                .replace("$__range", "1h");
            found.push(text.replace("$instance", ".*"));
        }
    }
    let alerts: serde_json::Value =
        serde_saphyr::from_str(&read("prometheus/alerts.yaml")).unwrap();
    for group in alerts["groups"].as_array().unwrap() {
        let rules = group["rules"].as_array().unwrap();
        found.extend(
            rules
                .iter()
                .map(|rule| rule["expr"].as_str().unwrap().to_owned()),
        );
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The metrics that an expression asks for.
fn metrics(expression: &str) -> Vec<&str> {
    let name = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = expression.split(name);
    words.filter(|word| word.starts_with("tflog_")).collect()
}

/// A tflog with a source, routes and sinks through which a few events went.
fn running() -> (Running, SocketAddr, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (own, push) = (free_address(), free_address());
    let config = dir.path().join("tflog.yaml");
    let text = format!(
        "http: '{own}'\nsources: {{ push: 'http://{push}' }}\nroutes:\n  - {{ name: all, to: [out, hole] }}\n\
         sinks:\n  out: 'file://{}/out.jsonl'\n  hole: {{ url: blackhole, required: false }}\n",
        dir.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = tflog(&["-c", config.to_str().unwrap()]);
    let running = Running::start(command.stderr(Stdio::null()));
    let mut stream = connect(push);
    let body = "{\"level\":\"error\"}\nplain\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: tflog\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    (running, own, dir)
}

/// No alert and no panel asks for a metric that tflog does not have.
#[test]
fn queries_ask_for_metrics_that_are_there() {
    let (_running, own, _dir) = running();
    let (_, page) = get(own, "/metrics");
    for expression in expressions() {
        let asked = metrics(&expression);
        assert!(!asked.is_empty(), "{expression}");
        for name in asked {
            let there = page.lines().any(|line| {
                line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
            });
            assert!(there, "{name} is not a metric: {expression}");
        }
    }
}

/// promtool takes the alert rules.
#[test]
fn alert_rules_are_valid() {
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "rules"])
        .arg(deploy("prometheus/alerts.yaml"));
    match promtool.output() {
        Ok(output) => drop(succeeds(&output)),
        Err(error) => skip(&format!("promtool: {error}")),
    }
}

/// A real Prometheus that scrapes a running tflog answers every query, and the
/// dashboard's rates have values.
#[test]
fn a_prometheus_answers_every_query() {
    let (_running, own, _dir) = running();
    let targets = vec![("PROMETHEUS_TARGETS", own.to_string())];
    let Some(prometheus) = Server::start("prometheus", targets) else {
        return;
    };
    let address = prometheus.address();
    wait_for("two scrapes", || {
        let found = query(address, "count_over_time(tflog_evaluated_events_total[1m])");
        let value = found["data"]["result"][0]["value"][1].as_str()?;
        value.parse::<f64>().ok().filter(|count| *count >= 2.0)
    });
    let mut empty = Vec::new();
    for expression in expressions() {
        let found = query(address, &expression);
        assert_eq!(found["status"], "success", "{expression}: {found}");
        if found["data"]["result"].as_array().is_none_or(Vec::is_empty) {
            empty.push(expression);
        }
    }
    // Alerts are silent where all is well; panels are not.
    assert!(
        empty.iter().all(|e| e.contains('>')),
        "no values: {empty:#?}"
    );
}

fn query(prometheus: SocketAddr, expression: &str) -> serde_json::Value {
    let mut coded = String::new();
    for byte in expression.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(coded, "%{byte:02X}");
    }
    let mut stream = TcpStream::connect(prometheus).unwrap();
    let request = format!("GET /api/v1/query?query={coded} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let body = reply.split_once("\r\n\r\n").expect("a reply").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"))
}
