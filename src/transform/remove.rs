//! `remove: [name, …]`: fields taken out.

use std::sync::Arc;

use super::name::Name;
use super::{Events, Transform, wants_fields};
use crate::event::{Needs, Path};

/// Removes fields.
pub struct Remove(Arc<[Name]>);

impl Remove {
    /// The verb's name.
    pub const NAME: &'static str = "remove";

    /// Removes these.
    #[must_use]
    pub fn new(fields: &[Path], needs: &mut Needs) -> Remove {
        wants_fields(needs);
        Remove(Name::all(fields).into())
    }
}

impl Transform for Remove {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.edit_objects(|document, _, _| {
            let mut changed = false;
            for name in &*self.0 {
                changed |= document.remove(name);
            }
            changed
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Remove(self.0.clone()))
    }
}
