//! What is kept of fuzzing still holds: every input of `fuzz/corpus`, on the
//! stable compiler, in seconds. `fuzz/` has the targets.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// A corpus is small enough for each change: what libFuzzer's `cmin` leaves,
/// and then the smallest of it.
const INPUTS_MAX: usize = 150;
const BYTES_MAX: u64 = 300_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = folder().join("corpus").join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn every_kept_input_holds() {
    let mut broken = Vec::new();
    for (target, _) in targets::TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            if catch_unwind(|| targets::run(target, &data)).is_err() {
                broken.push(input);
            }
        }
    }
    assert_eq!(broken, Vec::<PathBuf>::new());
}

#[test]
fn corpora_are_small_and_every_target_is_built() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for (target, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("path = \"bin/{target}.rs\"")));
        let inputs = inputs(target);
        let bytes: u64 = inputs.iter().map(|i| i.metadata().unwrap().len()).sum();
        assert!(
            inputs.len() <= INPUTS_MAX && bytes <= BYTES_MAX,
            "{target}: {} inputs of {bytes} bytes",
            inputs.len()
        );
    }
    let kept = std::fs::read_dir(folder().join("corpus")).unwrap().count();
    assert_eq!(kept, targets::TARGETS.len(), "a corpus has no target");
}
