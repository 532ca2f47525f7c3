//! tflog as a whole process, against bare copiers in the same run.
//!
//! `cargo bench --bench e2e [-- FILTER]`. Makes its own data in memory-backed
//! files, alternates the variants with the baseline, and prints medians,
//! ratios, CPU seconds in tflog and its peak memory, beside the spread of the
//! baseline against itself. Differences below that spread are noise.
//!
//! Two `cat`s move the same bytes at 1.1 to 1.8 GB/s, depending on where the pages
//! of the input came to lie: below some speed of the first the second one waits for
//! each piece. So the ratios of one run are of that run's input, and say less than a
//! comparison of two binaries with one input.
//!
//! `E2E_MIB` and `E2E_RUNS` change the size of the data (512) and the number
//! of runs (11; between services at most 5).

// What it finds out is printed.
#![allow(clippy::print_stdout)]

#[cfg(feature = "kafka")]
mod broker;
mod data;
#[path = "../../tests/it/free_address.rs"]
mod free_address;
mod measure;
// The benches use a part of it.
#[allow(dead_code)]
#[path = "../../tests/real/scripted.rs"]
mod scripted;
mod services;

use std::path::{Path, PathBuf};

use measure::{Run, copier_over_tcp, pipe_through, tcp_through};

/// Runs of a row between services: with as many as of others, a row would take
/// most of a minute.
const SERVICE_RUNS_MAX: usize = 5;

/// A way to run tflog and what it is held to.
struct Row {
    name: &'static str,
    input: &'static str,
    arguments: Vec<String>,
    /// The least ratio to the baseline, and the most CPU seconds a GB.
    bar: (f64, f64),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, address, out] = &arguments[..]
        && mode == services::BARE_SERVER
    {
        return services::serve_bare(address, out);
    }
    #[cfg(feature = "kafka")]
    if let [mode, brokers, topic] = &arguments[..]
        && mode == broker::BARE_PRODUCER
    {
        return broker::produce_bare(brokers, topic);
    }
    let filter: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let mib = setting("E2E_MIB", 512);
    let runs = setting("E2E_RUNS", 11);
    let dir = tempfile::Builder::new()
        .prefix("tflog-e2e-")
        .tempdir_in("/dev/shm")
        .expect("a tmpfs");
    data::write_json(&dir.path().join("json"), mib << 20);
    data::write_combined(&dir.path().join("combined"), mib << 20);
    println!(
        "{mib} MiB of each input, {runs} alternating runs, medians; ratio to `cat f | cat > out`"
    );
    let wanted = |name: &str| filter.is_empty() || filter.iter().any(|f| name.contains(f.as_str()));
    for row in rows(dir.path()).iter().filter(|r| wanted(r.name)) {
        pipe_row(row, dir.path(), runs);
    }
    if wanted("tcp") {
        tcp_row(dir.path(), runs);
    }
    let input = dir.path().join("json");
    // Between services: each run is long, and a sync on a disk longer.
    let runs = runs.min(SERVICE_RUNS_MAX);
    if wanted("bulk") {
        let out = dir.path().join("out");
        let [base, again, tflog] = services::bulk(&input, &program(), &out, runs);
        let name = "pipe to bulk (to a bare client)";
        print_row(name, (0.8, f64::INFINITY), &input, &base, &again, &tflog);
    }
    #[cfg(feature = "kafka")]
    if wanted("kafka") {
        let out = dir.path().join("out");
        let [base, again, tflog] = broker::kafka(&input, &program(), &out, runs);
        let name = "pipe to Kafka (to a bare producer)";
        print_row(name, (0.9, f64::INFINITY), &input, &base, &again, &tflog);
    }
    if wanted("http-to-file") {
        // Where a sync costs something: not in memory.
        let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a disk");
        let [base, again, tflog] = services::http(&input, &program(), disk.path(), runs);
        let name = "HTTP to file, synced (to a bare server)";
        print_row(name, (0.7, f64::INFINITY), &input, &base, &again, &tflog);
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

fn rows(dir: &Path) -> Vec<Row> {
    let out = |name: &str| format!("file://{}/{name}", dir.display());
    let config = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("config written");
        vec!["-c".to_owned(), path.display().to_string()]
    };
    let two = |rule: &str| {
        format!(
            "sources: {{ in: stdin }}\nroutes:\n  - {{ name: hit, when: '{rule}', to: a }}\n  - {{ name: rest, to: b }}\n\
             sinks: {{ a: '{}', b: '{}' }}\n",
            out("a.jsonl"),
            out("b.jsonl")
        )
    };
    let three = format!(
        "sources: {{ in: stdin }}\nroutes:\n  - {{ name: bad, when: 'level >= error', to: a }}\n  \
         - {{ name: slow, when: 'http.status >= 500', to: b }}\n  - {{ name: rest, to: c }}\n\
         sinks: {{ a: '{}', b: '{}', c: '{}' }}\n",
        out("a.jsonl"),
        out("b.jsonl"),
        out("c.jsonl")
    );
    let to_stdout = |format: &str| vec!["-o".to_owned(), format.to_owned()];
    vec![
        Row {
            name: "raw pass-through",
            input: "json",
            arguments: to_stdout("raw"),
            bar: (1.1, 1.0),
        },
        Row {
            name: "JSON by level",
            input: "json",
            arguments: config("level.yaml", two("level >= error")),
            bar: (0.75, 1.8),
        },
        Row {
            name: "JSON by http.status",
            input: "json",
            arguments: config("status.yaml", two("http.status >= 500")),
            bar: (0.70, 1.8),
        },
        Row {
            name: "JSON by both, three files",
            input: "json",
            arguments: config("both.yaml", three),
            bar: (0.65, 1.8),
        },
        Row {
            name: "combined to JSON",
            input: "combined",
            arguments: to_stdout("json"),
            bar: (0.50, 2.5),
        },
    ]
}

fn pipe_row(row: &Row, dir: &Path, runs: usize) {
    let input = dir.join(row.input);
    let out = dir.join("out");
    let cat = || {
        clear(dir);
        pipe_through(&input, Path::new("cat"), &[], &out)
    };
    let (mut base, mut again, mut tflog) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        base.push(cat());
        clear(dir);
        tflog.push(pipe_through(&input, &program(), &row.arguments, &out));
        again.push(cat());
    }
    clear(dir);
    print_row(row.name, row.bar, &input, &base, &again, &tflog);
}

/// Removes what was written: freeing the pages of a file takes as long as
/// writing a part of them, and must not be timed.
fn clear(dir: &Path) {
    for file in ["a.jsonl", "b.jsonl", "c.jsonl", "out"] {
        let _ = std::fs::remove_file(dir.join(file));
    }
}

fn tcp_row(dir: &Path, runs: usize) {
    let input = dir.join("json");
    let out = dir.join("out");
    // The copier is the one whose buffer is best in all runs, not in each: the
    // least of three noisy numbers would be faster than any of them.
    let sizes: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];
    let mut copiers = sizes.map(|_| (Vec::new(), Vec::new()));
    let mut tflog = Vec::new();
    let copy = |bytes| {
        clear(dir);
        copier_over_tcp(&input, &out, bytes)
    };
    for _ in 0..runs {
        for (bytes, (base, _)) in sizes.iter().zip(&mut copiers) {
            base.push(copy(*bytes));
        }
        clear(dir);
        let to = format!("file://{}", out.display());
        tflog.push(tcp_through(&input, &program(), &to, &out));
        for (bytes, (_, again)) in sizes.iter().zip(&mut copiers) {
            again.push(copy(*bytes));
        }
    }
    let seconds = |runs: &[Run]| measure::median(runs.iter().map(|r| r.seconds));
    let (best, again) = copiers
        .into_iter()
        .min_by(|(a, _), (b, _)| seconds(a).total_cmp(&seconds(b)))
        .expect("sizes");
    clear(dir);
    print_row(
        "TCP to file, raw (to the fastest copier)",
        (0.90, f64::INFINITY),
        &input,
        &best,
        &again,
        &tflog,
    );
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tflog"))
}

fn print_row(
    name: &str,
    bar: (f64, f64),
    input: &Path,
    base: &[Run],
    again: &[Run],
    tflog: &[Run],
) {
    let gb = std::fs::metadata(input).expect("input").len() as f64 / 1e9;
    let seconds = |runs: &[Run]| measure::median(runs.iter().map(|r| r.seconds));
    let (base_s, again_s, tflog_s) = (seconds(base), seconds(again), seconds(tflog));
    let cpu = measure::median(tflog.iter().map(|r| r.cpu_seconds)) / gb;
    let memory = tflog.iter().map(|r| r.peak_bytes).max().unwrap_or(0);
    println!(
        "{name:42} {:.2} of {:.2} GB/s (bar {:.2}; baseline against itself {:.2})  {cpu:.2} CPU s/GB (bar {:.1})  {:.1} MiB",
        base_s / tflog_s,
        gb / base_s,
        bar.0,
        base_s / again_s,
        bar.1,
        memory as f64 / f64::from(1 << 20),
    );
}
