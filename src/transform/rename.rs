//! `rename: { old: new }`: fields under other names.

use std::sync::Arc;

use super::name::Name;
use super::{Events, Transform, wants_fields};
use crate::event::{Needs, Path};

/// Renames fields, in order; a field that is not there is passed over.
pub struct Rename(Arc<[(Name, Path)]>);

impl Rename {
    /// The verb's name.
    pub const NAME: &'static str = "rename";

    /// Renames these, from and to.
    #[must_use]
    pub fn new(fields: &[(Path, Path)], needs: &mut Needs) -> Rename {
        wants_fields(needs);
        let named = fields
            .iter()
            .map(|(from, to)| (Name::new(from), to.clone()));
        Rename(named.collect())
    }
}

impl Transform for Rename {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.edit_objects(|document, _, _| {
            let mut changed = false;
            for (from, to) in &*self.0 {
                changed |= document.rename(from, to);
            }
            changed
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Rename(self.0.clone()))
    }
}
