//! `keep: [name, …]`: only these fields.

use std::sync::Arc;

use super::name::Name;
use super::{Events, Transform, wants_fields};
use crate::event::{Needs, Path};

/// Removes all other fields.
pub struct Keep(Arc<[Name]>);

impl Keep {
    /// The verb's name.
    pub const NAME: &'static str = "keep";

    /// Keeps these.
    #[must_use]
    pub fn new(fields: &[Path], needs: &mut Needs) -> Keep {
        wants_fields(needs);
        Keep(Name::all(fields).into())
    }
}

impl Transform for Keep {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.edit_objects(|document, _, _| document.keep(&self.0));
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Keep(self.0.clone()))
    }
}
