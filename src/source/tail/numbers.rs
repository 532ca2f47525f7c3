//! What tflog says of the files of a source, all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::about::Describe;
use crate::telemetry::{Gauge, Gauges};

/// What tflog says of the files of a source.
#[derive(Default)]
pub(super) struct Numbers {
    files: AtomicU64,
    open: AtomicU64,
    lag_bytes: AtomicU64,
}

/// How far reading is that has an end.
#[derive(Debug, Default)]
pub struct Extent {
    /// Bytes that have been read.
    pub bytes: AtomicU64,
    /// Of so many.
    pub bytes_total: AtomicU64,
    /// Events that they were.
    pub events: AtomicU64,
}

impl Gauges for Numbers {
    fn read(&self) -> Vec<Gauge> {
        let gauge = |name, help, value: &AtomicU64| Gauge {
            name,
            help,
            value: value.load(Ordering::Relaxed),
        };
        vec![
            gauge("tflog_source_files", "files that are followed", &self.files),
            gauge(
                "tflog_source_open_files",
                "files that are open to be read",
                &self.open,
            ),
            gauge(
                "tflog_source_lag_bytes",
                "bytes of all files that are not read and settled",
                &self.lag_bytes,
            ),
        ]
    }
}

/// The same, with the numbers of what describes them.
pub(super) struct Told {
    pub(super) numbers: Arc<Numbers>,
    pub(super) describe: Arc<dyn Describe>,
}

impl Gauges for Told {
    fn read(&self) -> Vec<Gauge> {
        let mut gauges = self.numbers.read();
        gauges.extend(self.describe.gauges());
        gauges
    }
}

impl Numbers {
    pub(super) fn set(&self, files: usize, open: usize, lag_bytes: u64) {
        self.files.store(files as u64, Ordering::Relaxed);
        self.open.store(open as u64, Ordering::Relaxed);
        self.lag_bytes.store(lag_bytes, Ordering::Relaxed);
    }
}
