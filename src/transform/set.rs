//! `set: { name: value }`: fields with values of the config or of the event.

use std::sync::Arc;

use super::{Events, Text, Transform, wants_fields};
use crate::event::{Needs, Path};

/// Sets fields, in order; what is there is replaced.
pub struct Set {
    fields: Arc<[(Path, SetTo)]>,
    /// Whether a value comes from the event.
    reads: bool,
    scratch: Vec<u8>,
}

/// What a field is set to.
pub enum SetTo {
    /// The same JSON for every event.
    Json(Box<[u8]>),
    /// Text with values of the event in it.
    Text(Box<dyn Text>),
}

impl Set {
    /// The verb's name.
    pub const NAME: &'static str = "set";

    /// Sets these fields.
    #[must_use]
    pub fn new(fields: Vec<(Path, SetTo)>, needs: &mut Needs) -> Set {
        wants_fields(needs);
        Set {
            reads: fields.iter().any(|(_, to)| matches!(to, SetTo::Text(_))),
            fields: fields.into(),
            scratch: Vec::new(),
        }
    }
}

impl Transform for Set {
    fn apply(&mut self, events: &mut Events<'_>) {
        if self.reads {
            events.refresh();
        }
        let Set {
            fields, scratch, ..
        } = self;
        events.edit_objects(|document, batch, row| {
            for (path, to) in fields.iter() {
                let value = match to {
                    SetTo::Json(json) => document.make(|out| out.extend_from_slice(json)),
                    SetTo::Text(text) => {
                        scratch.clear();
                        text.render(batch, row, scratch);
                        document.make_string(scratch)
                    }
                };
                document.set(path, value);
            }
            true
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Set {
            fields: self.fields.clone(),
            reads: self.reads,
            scratch: Vec::new(),
        })
    }
}
