//! The data that flows: batches of lines with typed columns, and the acks that
//! say how they ended.
//!
//! The unit of work is the [`Batch`], never the event. A [`Share`] is the rows
//! of one batch that one sink must deliver.

pub mod batch;
pub mod convert;
pub mod escape;
pub(crate) mod simd;
pub mod time;

mod ack;
mod column;
mod edit;
mod field;
mod id;
mod level;
mod marks;
mod parsed;
mod path;
mod rows;
mod verbatim;

use std::sync::Arc;

pub use ack::{Ack, Haste, Late, Outcome, Receipt, Settled, Tally};
pub use batch::{Batch, Chunk, Pool, Stream};
pub use column::{Cell, Column, ColumnKind, Need, Needs};
pub use edit::{Edits, weave};
pub use field::{Defs, Field, FieldDef, FieldKind};
pub use id::{EventId, event_id};
pub use level::Level;
pub use marks::Mark;
pub use parsed::Columns;
pub use path::{Path, PathError, Role};
pub(crate) use path::{is_part_char, quoted};
pub use rows::{Bits, Rows};
pub use time::Timestamp;
pub use verbatim::Verbatim;

/// The rows of one batch that one sink must deliver.
pub struct Share {
    /// The lines and what was parsed of them.
    pub batch: Arc<Batch>,
    /// Which of them.
    pub rows: Rows,
    /// Whom to tell.
    pub ack: Ack,
}

impl Share {
    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.rows.count(self.batch.rows())
    }
}
