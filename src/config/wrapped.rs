//! Sources whose lines a container runtime has wrapped: `parse` is the format
//! of what is inside.
//!
//! The wrapper has a format of its own, and what it wraps is parsed first of
//! all in the source's `with` list. A source that names the wrapper's format
//! as its `parse` gets the lines as the runtime wrote them.

use serde_json::Map;

use super::SourceConfig;
use super::place::Spanned;
use super::with::WithItem;
use crate::source::{docker, kubernetes};
use crate::transform::Parse;

/// The format of the wrapper, by scheme.
const WRAPPERS: [(&str, &str); 2] = [(kubernetes::NAME, "cri"), (docker::NAME, "docker")];

/// Has what a runtime has wrapped parsed, where the source's lines are wrapped.
pub(super) fn unwrap(source: &mut SourceConfig) {
    let scheme = source.definition.scheme.clone();
    let Some((_, wrapper)) = WRAPPERS.iter().find(|(name, _)| *name == scheme) else {
        return;
    };
    if source.parse.value == *wrapper {
        return;
    }
    let place = source.parse.place.clone();
    let inside = std::mem::replace(&mut source.parse.value, (*wrapper).to_owned());
    let mut options = Map::new();
    options.insert(Parse::NAME.to_owned(), inside.into());
    let item = WithItem {
        verb: Spanned {
            value: Parse::NAME.to_owned(),
            place,
        },
        options,
        when: None,
        rules: Vec::new(),
        places: Vec::new(),
        // Pods may say otherwise of what they write.
        heeds_stream: scheme == kubernetes::NAME,
    };
    source.with.insert(0, item);
}
