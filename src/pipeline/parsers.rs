//! What reads lines a second time: records on disk, and events that were read
//! for a plan which wanted less of them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Plan;
use super::lanes::Lanes;
use crate::event::{Batch, Needs};
use crate::parse::json::Json;
use crate::parse::{Formats, Parser};

/// The formats of a plan's sources, whose places are those in the ledger.
pub(super) struct Parsers {
    pub(super) needs: Arc<Needs>,
    /// The names of all sources of the run, by place.
    pub(super) names: Vec<String>,
    /// Of the sources of the plan.
    formats: Vec<(usize, Arc<Formats>)>,
    /// For lines of sources that are not in the plan any more.
    unknown: OnceLock<Arc<Formats>>,
    /// For events that were edited, whatever their source's format is.
    pub(super) json: Arc<Formats>,
}

impl Parsers {
    /// Those of a plan, given the place of each name.
    pub(super) fn new(plan: &Plan, places: &HashMap<String, usize>) -> Parsers {
        let mut names = vec![String::new(); places.len()];
        for (name, &place) in places {
            names[place].clone_from(name);
        }
        let formats = plan.sources.iter();
        let formats = formats.map(|s| (places[&s.labels.id], s.formats.clone()));
        Parsers {
            needs: plan.needs.clone(),
            names,
            formats: formats.collect(),
            unknown: OnceLock::new(),
            json: plan.json.clone(),
        }
    }

    /// Where the source of that name is counted, if there was one in this run.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn unknown(&self) -> Arc<Formats> {
        let build = || {
            let json = |needs: &Needs| -> Box<dyn Parser> { Box::new(Json::build(needs)) };
            let formats = Formats::build("auto", &self.needs, json);
            // A format of ours, which `parse`'s tests build.
            Arc::new(formats.expect("a format of tflog"))
        };
        self.unknown.get_or_init(build).clone()
    }
}

/// The readers of all sources' lines.
pub(super) struct Readers {
    parsers: Arc<Parsers>,
    /// By the source's place in the ledger.
    sources: HashMap<usize, Lanes>,
    unknown: Option<Lanes>,
}

impl Readers {
    pub(super) fn new(parsers: Arc<Parsers>) -> Readers {
        let lanes =
            |(place, formats): &(usize, Arc<Formats>)| (*place, Lanes::new(formats.clone()));
        Readers {
            sources: parsers.formats.iter().map(lanes).collect(),
            unknown: None,
            parsers,
        }
    }

    /// Reads a batch as its source says.
    pub(super) fn parse(&mut self, batch: &mut Batch) {
        let unknown = || Lanes::new(self.parsers.unknown());
        match self.sources.get_mut(&batch.stream.source) {
            Some(lanes) => lanes.parse(batch),
            None => self.unknown.get_or_insert_with(unknown).parse(batch),
        }
    }
}
