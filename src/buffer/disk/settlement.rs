//! Which records are settled.

use super::Entry;

/// Settles records of a log, in any order, from any thread; clones are the
/// same. In memory only: [`super::Log::maintain`] makes it durable.
#[derive(Clone, Debug)]
pub struct Settlement(());

impl Settlement {
    pub(super) fn stub() -> Settlement {
        Settlement(())
    }

    /// The record was delivered, dead-lettered or dropped: it will not be read
    /// again. Twice is as good as once.
    pub fn settle(&self, _entry: Entry) {}
}
