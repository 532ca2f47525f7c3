//! Dead letters and `tflog replay`: what a sink refused reaches it, or the
//! routes, once it is sent again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::harness::{lines, run, tflog};
use crate::scripted::{Reply, Scripted};

/// A service that answers with a status, a config that sends to it, and a
/// state directory.
struct Setup {
    dir: tempfile::TempDir,
    status: Arc<AtomicU16>,
    service: Scripted,
}

impl Setup {
    fn new() -> Setup {
        let status = Arc::new(AtomicU16::new(400));
        let answer = status.clone();
        let service = Scripted::start(move |_| Reply::status(answer.load(Ordering::SeqCst)));
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup {
            dir,
            status,
            service,
        };
        let text = format!(
            "state: {}\nsources: {{ app: stdin }}\nroutes:\n  - {{ name: all, when: 'n >= 0', to: out }}\n  \
             - {{ name: rest, drop: true }}\n\
             sinks:\n  out: {{ url: 'http://{}/', with: [ {{ remove: secret }} ] }}\n",
            setup.path("state").display(),
            setup.service.address(),
        );
        std::fs::write(setup.path("tflog.yaml"), text).unwrap();
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        self.path("tflog.yaml").to_str().unwrap().to_owned()
    }

    fn letters(&self) -> PathBuf {
        self.path("state/dead/out.jsonl")
    }

    /// Runs events into the refusing service.
    fn refuse(&self, events: std::ops::Range<u32>) {
        self.status.store(400, Ordering::SeqCst);
        let input: String = events.map(event).collect();
        let output = run(&["-c", &self.config()], input.as_bytes());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }

    /// `tflog replay` with these arguments: its exit code and what it said.
    fn replay(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let config = self.config();
        let all = [&["replay", "-c", &config], arguments].concat();
        let output = tflog(&all).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), stderr)
    }

    /// The events that the service said yes to.
    fn accepted(&self, run: impl FnOnce()) -> Vec<String> {
        let before = self.service.requests().len();
        self.status.store(200, Ordering::SeqCst);
        run();
        let requests = self.service.requests();
        let bodies = requests[before..].iter().map(|r| r.body.clone());
        let text: String = bodies.map(|b| String::from_utf8(b).unwrap()).collect();
        text.lines().map(str::to_owned).collect()
    }
}

fn event(n: u32) -> String {
    format!("{{\"n\":{n},\"secret\":\"s\"}}\n")
}

/// The event as the sink gets it.
fn sent(n: u32) -> String {
    format!("{{\"n\":{n}}}")
}

fn ids(path: &Path) -> Vec<String> {
    let letter = |line: &String| {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        letter["id"].as_str().unwrap().to_owned()
    };
    lines(path).iter().map(letter).collect()
}

/// Every dead letter reaches the sink that refused it, as that sink would have
/// got it, once; a second replay sends only what came since.
#[test]
fn dead_letters_go_back_to_their_sink_once() {
    let setup = Setup::new();
    setup.refuse(0..20);
    assert_eq!(lines(&setup.letters()).len(), 20);
    let got = setup.accepted(|| {
        let (code, said) = setup.replay(&[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("20 dead letters delivered"), "{said}");
    });
    assert_eq!(got, (0..20).map(sent).collect::<Vec<_>>());
    setup.refuse(20..25);
    let got = setup.accepted(|| {
        let (code, said) = setup.replay(&[setup.letters().to_str().unwrap()]);
        assert_eq!(
            (code, said.contains("5 dead letters")),
            (Some(0), true),
            "{said}"
        );
    });
    assert_eq!(got, (20..25).map(sent).collect::<Vec<_>>());
    let got = setup.accepted(|| {
        let (code, said) = setup.replay(&["--again", "--where", "n < 2"]);
        assert_eq!(code, Some(0), "{said}");
    });
    assert_eq!(got, [sent(0), sent(1)]);
    let got = setup.accepted(|| {
        assert_eq!(setup.replay(&["--again"]).0, Some(0));
        let (code, said) = setup.replay(&[]);
        assert_eq!(
            (code, said.contains(" 0 dead letters")),
            (Some(0), true),
            "{said}"
        );
    });
    assert_eq!(got.len(), 25);
}

/// What is refused again is a dead letter again, with its id, and is left alone
/// when it came back three times.
#[test]
fn what_comes_back_three_times_is_left_alone() {
    let setup = Setup::new();
    setup.refuse(0..2);
    let first = ids(&setup.letters());
    for round in 1..=3 {
        let (code, said) = setup.replay(&[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("2 refused again"), "{said}");
        let all = ids(&setup.letters());
        assert_eq!(all.len(), 2 + 2 * round);
        assert_eq!(all[2 * round..], first);
    }
    let got = setup.accepted(|| {
        let (code, said) = setup.replay(&[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("2 left alone"), "{said}");
    });
    assert!(got.is_empty(), "{got:?}");
}

/// With `--reroute`, letters go through the routes as they are now.
#[test]
fn letters_can_be_routed_anew() {
    let setup = Setup::new();
    setup.refuse(0..3);
    let (code, said) = setup.replay(&["x.jsonl"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("x.jsonl: cannot open"), "{said}");

    let elsewhere = setup.path("elsewhere.jsonl");
    let text = format!(
        "sources: {{ app: stdin }}\nroutes:\n  - {{ name: one, from: app, when: 'n == 1', to: file }}\n  \
         - {{ name: rest, drop: true }}\nsinks: {{ file: 'file://{}' }}\n",
        elsewhere.display()
    );
    std::fs::write(setup.path("tflog.yaml"), text).unwrap();
    let letters = setup.letters();
    let (code, said) = setup.replay(&[letters.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("3 of sinks that the config does not have"),
        "{said}"
    );
    let (code, said) = setup.replay(&["--reroute", "--again", letters.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(lines(&elsewhere), [sent(1)]);
}
