//! The house rules, as a test: tiers of modules, sizes of files, no `unsafe`
//! but where it is named, no promise in the README that is not kept.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// The modules that may have unsafe code: unaligned loads of 16 and 32 bytes, the
/// length of a buffer that was written behind its end, one call of librdkafka, and
/// descriptors that were passed to the process.
const UNSAFE: [&str; 5] = [
    "src/event/simd.rs",
    "src/event/simd/wide.rs",
    "src/sink/encode/room.rs",
    "src/sink/kafka/enqueue.rs",
    "src/seam/descriptors.rs",
];
/// Lines that a source file may have, with its unit tests.
const LINES_MAX: usize = 500;

/// Modules by tier: each may use its own and earlier tiers, and a stage no
/// other stage (`frame` is what sources are made of).
const TIERS: [&[&str]; 5] = [
    &["event", "component", "seam", "telemetry"],
    &[
        "buffer",
        "frame",
        "parse",
        "route",
        "sink",
        "source",
        "transform",
    ],
    &["config", "pipeline"],
    &["admin"],
    &["cli"],
];

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn tier(module: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&module))
}

/// What a file uses of the crate, by its `use` lines and paths.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for part in code.split("crate::").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            all.push((number + 1, name));
        }
    }
    all
}

fn violation(module: &str, used: &str) -> bool {
    let (Some(from), Some(to)) = (tier(module), tier(used)) else {
        return false;
    };
    let stages = from == 1 && to == 1 && module != used;
    let framing = module == "source" && used == "frame";
    to > from || (stages && !framing)
}

#[test]
fn stages_do_not_import_each_other() {
    let mut broken = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, used) in uses(&text) {
            if violation(&module(&path), &used) {
                broken.push(format!("{}:{line} uses {used}", path.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
    // The rule can be broken.
    assert!(violation("parse", "sink") && violation("event", "cli"));
    assert!(!violation("source", "frame") && !violation("sink", "event"));
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut broken = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//! ") {
            broken.push(format!("{} does not say what it is for", path.display()));
        }
    }
    assert_eq!(broken, [""; 0]);
}

#[test]
fn no_unsafe_code_and_no_unfinished_code() {
    let marks = [
        "unsafe {",
        "unsafe fn",
        "allow(unsafe_code)",
        "todo!(",
        "unimplemented!(",
        "FIXME",
    ];
    for path in files(&root().join("src"), "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        if UNSAFE.iter().any(|name| path.ends_with(name)) {
            assert!(text.contains("SAFETY"), "{} does not argue", path.display());
            continue;
        }
        for mark in marks {
            assert!(!text.contains(mark), "{} has {mark}", path.display());
        }
    }
}

#[test]
fn the_readme_names_only_files_that_exist() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut checked = 0;
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if !link.contains("://") && !link.starts_with('#') {
            assert!(root().join(link).exists(), "README links to {link}");
            checked += 1;
        }
    }
    assert!(checked > 0, "the README links to nothing");
}

/// Each fault has tests, and each test that is named is there.
#[test]
fn every_fault_names_tests_that_exist() {
    let readme = std::fs::read_to_string(root().join("tests/README.md")).unwrap();
    let (_, faults) = readme.split_once("## Faults").expect("a table of faults");
    let all = ["src", "tests"].map(|dir| files(&root().join(dir), "rs"));
    let all = all
        .iter()
        .flatten()
        .map(|file| std::fs::read_to_string(file).unwrap());
    let all = all.collect::<Vec<_>>().concat();
    let simulated = root().join("src/pipeline/simulation/faults.rs");
    let simulated = std::fs::read_to_string(simulated).unwrap();
    let rows: Vec<_> = faults
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        let cell = row.split('|').nth(2).expect("two cells");
        let mut names = cell.split('`').skip(1).step_by(2).peekable();
        assert!(names.peek().is_some(), "no test: {row}");
        for name in names {
            let last = name
                .rsplit("::")
                .find(|part| !part.is_empty())
                .expect("a name");
            let there = all.contains(&format!("fn {last}("))
                || all.contains(&format!("mod {last};"))
                || simulated.contains(&format!("    {last},"));
            assert!(there, "no such test: {name}");
        }
    }
}

#[test]
fn the_architecture_names_every_module() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() < 200);
    for name in TIERS.iter().flat_map(|tier| tier.iter()) {
        let named = [format!("`{name}/`"), format!("`{name}.rs`")];
        assert!(
            named.iter().any(|n| text.contains(n)),
            "{name} is not in the code map"
        );
    }
}
