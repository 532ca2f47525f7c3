//! Reloads: positions of files have one keeper at a time, and counts stay right.

use std::io::Write;
use std::path::Path;

use crate::disk::collect;
use crate::harness::{connect, free_address, get, lines, metric, wait_for};
use crate::reload::Service;

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
    // Positions that cannot be read refuse the reload; the one that runs goes on.
    let foreign = directory.join("state/tail/logs/positions.99999");
    std::fs::write(&foreign, "somebody's notes\n").unwrap();
    let changed = config(&directory, Some(", open_max: 30"));
    service.reload(&changed, false);
    append(&service, 13);
    std::fs::remove_file(&foreign).unwrap();
    service.reload(&changed, true);
    append(&service, 14);
    let page = get(service.http, "/metrics").1;
    let received = "tflog_component_received_events_total{component_id=\"logs\"";
    assert_eq!(metric(&page, received), 14, "{page}");
    service.stop();
}

/// A source that comes while a sink goes counts for the sinks that are left.
#[test]
fn what_comes_counts_for_the_sinks_that_stay() {
    let (net, extra) = (free_address(), free_address());
    let config = |directory: &Path, later: bool| {
        let directory = directory.display();
        let sink =
            |name| format!("  {name}: {{ url: 'file://{directory}/{name}', encode: raw }}\n");
        let (source, first) = if later {
            (format!("  extra: tcp://{extra}\n"), String::new())
        } else {
            (String::new(), sink("first"))
        };
        let second = sink("second");
        format!("sources:\n  net: tcp://{net}\n{source}sinks:\n{first}{second}")
    };
    let mut service = Service::start(|directory| config(directory, false));
    let directory = service.directory.path().to_owned();
    service.reload(&config(&directory, true), true);
    let mut stream = connect(extra);
    stream.write_all(b"e 0\n").unwrap();
    wait_for("the line", || {
        (lines(&service.path("second")).len() == 1).then_some(())
    });
    let page = get(service.http, "/metrics").1;
    let series = "tflog_sink_entered_events_total{component_id=\"second\"";
    assert_eq!(metric(&page, series), 1, "{page}");
    drop(stream);
    service.stop();
}

/// A changed tail whose positions the one before still keeps, since its far end is
/// away: what was read comes once, and so does what is written, rotated and removed
/// until it begins.
#[test]
fn a_changed_tail_waits_for_positions_and_gets_what_has_no_name() {
    let far = free_address();
    let config = |directory: &Path, open_max: usize| {
        let directory = directory.display();
        format!(
            "state: {directory}/state\nsources:\n  logs: {{ url: 'file://{directory}/logs/*.log', open_max: {open_max} }}\n\
             sinks:\n  out: {{ url: 'tcp://{far}', encode: raw }}\n"
        )
    };
    let mut service = Service::start(|directory| {
        std::fs::create_dir(directory.join("logs")).unwrap();
        config(directory, 10)
    });
    let directory = service.directory.path().to_owned();
    let log = |name: &str| directory.join("logs").join(name);
    let mut files = ["removed", "renamed", "removed_late"].map(|name| {
        (
            name,
            std::fs::File::create(log(&format!("{name}.log"))).unwrap(),
        )
    });
    let mut wanted = Vec::new();
    let mut write = |turn: usize| {
        for (name, file) in &mut files {
            writeln!(file, "{name} {turn}").unwrap();
            wanted.push(format!("{name} {turn}"));
        }
        wanted.clone()
    };
    write(1);
    let received = "tflog_component_received_events_total{component_id=\"logs\"";
    wait_for("the first lines to be read", || {
        let page = get(service.http, "/metrics").1;
        (metric(&page, received) == 3).then_some(())
    });
    std::fs::remove_file(log("removed.log")).unwrap();
    // Twice: one that waits is replaced as well.
    for open_max in [20, 30] {
        service.reload(&config(&directory, open_max), true);
        write(open_max);
    }
    std::fs::rename(log("renamed.log"), log("renamed.log.1")).unwrap();
    std::fs::write(log("renamed.log"), "new 1\n").unwrap();
    std::fs::remove_file(log("removed_late.log")).unwrap();
    let mut wanted = write(40);
    wanted.push("new 1".to_owned());
    wanted.sort_unstable();
    let got = collect(far);
    wait_for("all lines", || {
        (got.lock().unwrap().len() >= wanted.len()).then_some(())
    });
    service.stop();
    let mut got = got.lock().unwrap().clone();
    got.sort_unstable();
    assert_eq!(got, wanted);
}
