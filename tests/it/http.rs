//! tflog's own listener: alive, ready with reasons, counts that add up.

use std::process::Stdio;

use crate::harness::{Running, connect, free_address, get, tflog};

/// Ready while every required sink can be reached; 503 with reasons otherwise,
/// but `?accept` still says that events are taken.
#[test]
fn readiness_names_its_reasons() {
    let (from, gone, http) = (free_address(), free_address(), free_address());
    let (from, to) = (format!("tcp://{from}"), format!("tcp://{gone}"));
    let mut command = tflog(&["--from", &from, "--to", &to, "--http", &http.to_string()]);
    let running = Running::start(command.stderr(Stdio::piped()));
    connect(http);
    assert_eq!(get(http, "/health").0, 200);
    let (status, body) = get(http, "/health/ready");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains(&gone.to_string()), "{body}");
    assert_eq!(get(http, "/health/ready?accept").0, 200);
    let listener = std::net::TcpListener::bind(gone).unwrap();
    assert_eq!(get(http, "/health/ready").0, 200);
    drop(listener);
    assert_eq!(get(http, "/nothing").0, 404);
    running.signal("TERM");
    assert_eq!(running.finish().0.code(), Some(0));
}

/// A pipe opens no listener unless asked; a service does, and a taken port is
/// an error before anything is accepted.
#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = crate::harness::run(&["--http", &address], b"lost?\n");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains(&address) && stderr.contains("--http"),
        "{stderr}"
    );
    assert_eq!(output.stdout, b"");
}
