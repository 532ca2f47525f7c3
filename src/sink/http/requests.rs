//! A load as the bodies of requests, one for each URL.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::Format;
use super::target::Target;
use crate::event::{Batch, EventId};
use crate::sink::encode::{Encoder, ends_open};
use crate::sink::{Load, Written};

/// The events of one request.
#[derive(Default)]
pub(super) struct Group {
    /// Path and query, as rendered.
    pub(super) path: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// The events' places in the load, ascending.
    pub(super) items: Vec<u32>,
    ids: u128,
    replaced: u64,
    missing: u64,
}

impl Group {
    fn add(&mut self, item: u32, id: EventId) {
        self.items.push(item);
        let mut chained = [0; 32];
        chained[..16].copy_from_slice(&self.ids.to_le_bytes());
        chained[16..].copy_from_slice(&id.0.to_le_bytes());
        self.ids = xxh3_128(&chained);
    }

    /// The same for the same events in the same order.
    pub(super) fn key(&self) -> String {
        format!("{:032x}", self.ids)
    }

    pub(super) fn written(&self, bytes: usize) -> Written {
        Written {
            bytes: bytes as u64,
            replaced: self.replaced,
            missing: self.missing,
            already_present: 0,
        }
    }

    fn push_row(&mut self, format: Format, encoder: &mut Encoder, batch: &Batch, row: usize) {
        if format != Format::JsonArray {
            encoder.encode_row(batch, row, &mut self.body);
            return;
        }
        self.body
            .push(if self.body.is_empty() { b'[' } else { b',' });
        encoder.encode_row(batch, row, &mut self.body);
        // A row of JSON ends with a line feed.
        self.body.pop();
    }

    fn close(&mut self, format: Format) {
        if format == Format::JsonArray {
            self.body.push(b']');
        }
    }
}

/// Encodes the load's events, grouped by URL in the order of first appearance.
pub(super) fn group(
    load: &Load,
    format: Format,
    target: &Target,
    encoder: &mut Encoder,
) -> Vec<Group> {
    let mut groups = if target.is_constant() {
        vec![whole(load, format, target, encoder)]
    } else {
        by_path(load, format, target, encoder)
    };
    for group in &mut groups {
        group.close(format);
    }
    groups
}

fn whole(load: &Load, format: Format, target: &Target, encoder: &mut Encoder) -> Group {
    let mut group = Group::default();
    load.for_each(|item, batch, row| {
        if item == 0 {
            target.render(batch, row, &mut group.path);
        }
        group.add(item, batch.id(row));
        if format == Format::JsonArray {
            group.push_row(format, encoder, batch, row);
        }
    });
    if format != Format::JsonArray {
        for part in &load.parts {
            if let Some(text) = encoder.verbatim(part) {
                if ends_open(&group.body) && !text.is_empty() {
                    group.body.push(b'\n');
                }
                group.body.extend_from_slice(text);
            } else {
                encoder.encode(part, &mut group.body);
            }
        }
    }
    group.replaced = encoder.take_replaced();
    group
}

fn by_path(load: &Load, format: Format, target: &Target, encoder: &mut Encoder) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut path = Vec::new();
    load.for_each(|item, batch, row| {
        let missing = target.render(batch, row, &mut path);
        let place = places.get(&path).copied().unwrap_or_else(|| {
            places.insert(path.clone(), groups.len());
            groups.push(Group {
                path: path.clone(),
                ..Group::default()
            });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.add(item, batch.id(row));
        group.push_row(format, encoder, batch, row);
        group.missing += missing;
        group.replaced += encoder.take_replaced();
    });
    groups
}
