//! Reloads of what is kept on disk: buffers stay as they are, and positions of
//! files have one keeper at a time.

use std::io::Write;
use std::path::Path;

use crate::harness::{connect, free_address, get, lines, metric, wait_for};
use crate::reload::Service;

/// A sink with a buffer on disk, the sources, and what is wanted of events stay;
/// a reload of anything else is put in force, and the buffer goes on.
#[test]
fn what_a_disk_buffer_relies_on_stays() {
    let (net, other) = (free_address(), free_address());
    let config = |directory: &Path| {
        let directory = directory.display();
        format!(
            "state: {directory}/state\nsources:\n  net: tcp://{net}\nsinks:\n\
             \x20 kept: {{ url: 'file://{directory}/kept', encode: raw, buffer: {{ disk: 64MiB }} }}\n\
             \x20 plain: {{ url: 'file://{directory}/plain', encode: raw }}\n"
        )
    };
    let mut service = Service::start(config);
    let directory = service.directory.path().to_owned();
    let first = config(&directory);
    let mut stream = connect(net);
    let mut send = |service: &Service, n: usize| {
        stream.write_all(format!("line {n}\n").as_bytes()).unwrap();
        for name in ["kept", "plain"] {
            wait_for("the line", || {
                (lines(&service.path(name)).len() == n).then_some(())
            });
        }
    };
    send(&service, 1);
    let refused = [
        ("disk: 64MiB", "disk: 32MiB"),
        ("disk: 64MiB", "memory: 32MiB"),
        ("encode: raw, buffer", "encode: json, buffer"),
        ("  kept:", "  renamed:"),
        (
            "/plain', encode: raw",
            "/plain', encode: raw, buffer: { disk: 8MiB }",
        ),
        ("sinks:", &format!("  other: tcp://{other}\nsinks:")),
        (
            &format!("  net: tcp://{net}"),
            &format!("  net: {{ url: 'tcp://{net}', parse: json }}"),
        ),
        (
            "sinks:",
            "routes: [ { when: user == 'a', to: plain }, { to: [kept, plain] } ]\nsinks:",
        ),
    ];
    for (from, to) in refused {
        assert!(first.contains(from), "{from}");
        service.reload(&first.replacen(from, to, 1), false);
    }
    send(&service, 2);
    let taken = [
        ("/plain', encode: raw", "/plain', encode: raw, open_max: 7"),
        (
            "sinks:",
            "routes: [ { with: [ { sample: 100% } ], to: [kept, plain] } ]\nsinks:",
        ),
        (
            "encode: raw, buffer: {",
            "encode: raw, buffer: { memory: 16MiB,",
        ),
    ];
    for (n, (from, to)) in (3..).zip(taken) {
        assert!(first.contains(from), "{from}");
        service.reload(&first.replacen(from, to, 1), true);
        send(&service, n);
    }
    let page = get(service.http, "/metrics").1;
    let kept = "tflog_buffer_max_size_bytes{component_id=\"kept\"";
    assert!(page.contains(kept), "{page}");
    let (stderr, _directory) = service.stop();
    for part in ["sink kept cannot change", "source other", "SIGUSR2"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// Of files whose source changes, each line is read once: the positions go over
/// when the one before has ended; and they come back with the name.
#[test]
fn a_changed_tail_goes_on_where_the_one_before_was() {
    let net = free_address();
    let config = |directory: &Path, options: Option<&str>| {
        let directory = directory.display();
        let tail = options.map_or(String::new(), |options| {
            format!(
                "  logs: {{ url: 'file://{directory}/logs/*.log', start: beginning{options} }}\n"
            )
        });
        format!(
            "state: {directory}/state\nsources:\n  net: tcp://{net}\n{tail}\
             sinks:\n  out: {{ url: 'file://{directory}/out', encode: raw }}\n"
        )
    };
    let mut service = Service::start(|directory| {
        std::fs::create_dir(directory.join("logs")).unwrap();
        config(directory, Some(""))
    });
    let directory = service.directory.path().to_owned();
    let mut file = std::fs::File::create(directory.join("logs/a.log")).unwrap();
    let mut wanted = Vec::new();
    let mut append = |service: &Service, n: usize| {
        writeln!(file, "line {n}").unwrap();
        wanted.push(format!("line {n}"));
        wait_for("the line", || {
            let seen = lines(&service.path("out"));
            (seen.len() >= wanted.len()).then(|| assert_eq!(seen, wanted))
        });
    };
    append(&service, 1);
    for turn in 2..12 {
        let options = format!(", open_max: {}", 10 + turn);
        service.reload(&config(&directory, Some(&options)), true);
        append(&service, turn);
    }
    service.reload(&config(&directory, None), true);
    service.reload(&config(&directory, Some("")), true);
    append(&service, 12);
    let page = get(service.http, "/metrics").1;
    let received = "tflog_component_received_events_total{component_id=\"logs\"";
    assert_eq!(metric(&page, received), 12, "{page}");
    service.stop();
}
