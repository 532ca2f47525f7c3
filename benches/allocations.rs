//! Heap allocations a batch, through the whole pipeline: parse, route by two
//! rules, memory buffers, drivers, sinks. They must not depend on the number
//! of lines.
//!
//! `cargo bench --bench allocations`; fails above the bar.

// Counting needs an allocator of our own, and that trait is unsafe.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tflog::config::plan::{Extras, build};
use tflog::config::{Input, Inputs, load};
use tflog::event::Pool;
use tflog::pipeline::Pipeline;
use tflog::seam::World;
use tflog::source::{Outlet, Source, SourceFuture, Stop};

/// Allocations a batch at most.
const BAR: f64 = 8.0;
const WARM_UP: u64 = 500;
const MEASURED: u64 = 2000;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Sends batches of so many lines and notes the allocations between two of them.
struct Lines {
    lines: usize,
    used: Arc<AtomicU64>,
}

impl Source for Lines {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(Vec::new());
            let mut start = 0;
            for batch in 0..WARM_UP + MEASURED {
                if batch == WARM_UP {
                    start = ALLOCATIONS.load(Ordering::Relaxed);
                }
                let mut chunk = outlet.pool.take(Pool::CHUNK_BYTES);
                for line in 0..self.lines {
                    let level = if line % 3 == 0 { "error" } else { "info" };
                    let status = 200 + line % 400;
                    // A vector with room: nothing is allocated.
                    let _ = writeln!(
                        chunk.text,
                        r#"{{"level":"{level}","http":{{"status":{status}}}}}"#
                    );
                    chunk.ends.push(chunk.text.len() as u32);
                }
                outlet.send(&stream, 0, chunk).await?;
            }
            self.used.store(
                ALLOCATIONS.load(Ordering::Relaxed) - start,
                Ordering::Relaxed,
            );
            Ok(())
        })
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut worst: f64 = 0.0;
    let mut report = std::io::stdout().lock();
    for lines in [1, 100, 1000] {
        let used = run(&runtime, lines) as f64 / MEASURED as f64;
        worst = worst.max(used);
        let _ = writeln!(
            report,
            "batches of {lines:4} lines: {used:.2} allocations each (bar {BAR})"
        );
    }
    assert!(worst <= BAR, "{worst} allocations a batch");
}

fn run(runtime: &tokio::runtime::Runtime, lines: usize) -> u64 {
    let text = "
sources: { in: stdin }
routes:
  - { name: a, when: 'level >= error', to: a, continue: true }
  - { name: b, when: 'http.status >= 500', to: b }
  - { name: c, to: c }
sinks: { a: blackhole, b: blackhole, c: blackhole }
";
    let file = Input::Text {
        name: "bench.yaml".into(),
        text: text.into(),
    };
    let loaded = load(&Inputs {
        files: vec![file],
        ..Inputs::default()
    })
    .expect("a config");
    let used = Arc::new(AtomicU64::new(0));
    let source = Lines {
        lines,
        used: used.clone(),
    };
    let mut extras = Extras::default();
    extras.sources.insert("in".into(), Box::new(source));
    runtime.block_on(async {
        let world = World::real(tokio::runtime::Handle::current());
        let built = build(&loaded.config, extras, &world);
        let built = built.unwrap_or_else(|errors| panic!("{errors:?}"));
        let pipeline = Pipeline::start(built.plan, &world)
            .await
            .expect("it starts");
        let finished = tokio::time::timeout(Duration::from_mins(2), pipeline.finish());
        let report = finished.await.expect("it ends");
        assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    });
    used.load(Ordering::Relaxed)
}
