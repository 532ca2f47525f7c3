//! A pipeline by chance: sources, routes, `with` lists and sinks, as the config
//! that a user would write, and what that config means, said a second time.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::dice::Dice;
use super::model::{Edit, Rule};
use super::programs::Program;
use super::sinks::{DiskSpec, SinkSpec, helper_sink, list, lower, main_sink};
use crate::config::plan::{Extras, build};
use crate::config::{Config, Input, Inputs, load};
use crate::pipeline::{Plan, Seed};
use crate::seam::World;
use crate::sink::Sink;
use crate::source::Source;

/// The state directory, on a disk of the simulation.
const STATE: &str = "/state";

/// How a source learns of the end of what it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// It waits for its batches and sends again what comes back.
    Waits,
    /// It only feels backpressure.
    Deaf,
    /// It follows the logs of a program, under their names or those of rotated
    /// ones too, and keeps positions.
    Tails {
        is_wide: bool,
        /// Files that may be open.
        open_max: u64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct SourceSpec {
    pub(super) name: String,
    pub(super) hearing: Hearing,
    pub(super) parse: &'static str,
    pub(super) with: Vec<Edit>,
}

#[derive(Clone, Debug)]
pub(super) struct RouteSpec {
    /// None: all sources.
    pub(super) from: Option<Vec<usize>>,
    pub(super) when: Option<Rule>,
    pub(super) unmatched: bool,
    /// None: dropped.
    pub(super) to: Vec<usize>,
    pub(super) go_on: bool,
    pub(super) with: Vec<Edit>,
}

#[derive(Clone, Debug)]
pub(super) struct Topology {
    pub(super) sources: Vec<SourceSpec>,
    pub(super) routes: Vec<RouteSpec>,
    pub(super) sinks: Vec<SinkSpec>,
    /// Of each sink, the one whose copies it takes: itself, or the one that it
    /// stands in for.
    pub(super) owners: Vec<usize>,
    pub(super) grace: Duration,
}

/// What is put in the place of real sources and sinks.
type Given = (Vec<Box<dyn Source>>, Vec<Box<dyn Sink>>);

impl Topology {
    pub(super) fn new(dice: &Dice) -> Topology {
        let mains = dice.between(1, 4) as usize;
        let mut sinks: Vec<_> = (0..mains).map(|k| main_sink(dice, k)).collect();
        let mut owners: Vec<_> = (0..mains).collect();
        let dead = dice.chance(60).then(|| {
            sinks.push(helper_sink(dice, "dead"));
            owners.push(sinks.len() - 1);
            sinks.len() - 1
        });
        if dice.chance(35) {
            let mut spare = helper_sink(dice, "spare");
            spare.strict = dice.chance(50);
            spare.dead_letter = dead.filter(|_| dice.chance(60));
            let of = dice.below(mains as u64) as usize;
            sinks[of].fallback = Some(sinks.len());
            sinks.push(spare);
            owners.push(of);
        }
        for sink in &mut sinks[..mains] {
            sink.dead_letter = dead.filter(|_| dice.chance(70));
        }
        lower(dice, &mut sinks);
        if dice.chance(60) {
            for sink in &mut sinks {
                sink.disk = dice.chance(70).then(|| DiskSpec::new(dice));
            }
        }
        let sources: Vec<_> = (0..dice.between(1, 3)).map(|s| source(dice, s)).collect();
        let targets = mains + usize::from(dead.is_some() && dice.chance(15));
        let routes = routes(dice, sources.len(), targets);
        Topology {
            sources,
            routes,
            sinks,
            owners,
            grace: dice.time(500, 25_000),
        }
    }

    /// A config as it is read.
    pub(super) fn load(text: &str) -> Config {
        let inputs = Inputs {
            files: vec![Input::Text {
                name: "simulation.yaml".to_owned(),
                text: text.to_owned(),
            }],
            ..Inputs::default()
        };
        let loaded = load(&inputs);
        loaded
            .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
            .config
    }

    /// The plan, with these sources and sinks in the place of real ones.
    pub(super) fn plan(
        &self,
        config: &Config,
        world: &World,
        (sources, sinks): Given,
        seed: Seed,
    ) -> Plan {
        // Those that follow files are the real ones.
        let given = (0..self.sources.len()).filter(|&source| !self.tails(source));
        let names = given.map(|source| self.sources[source].name.clone());
        let extras = Extras {
            sources: names.zip(sources).collect::<HashMap<_, _>>(),
            seed,
            ..Extras::default()
        };
        let built = build(config, extras, world);
        let mut plan = built
            .unwrap_or_else(|errors| panic!("{errors:?}\n{}", self.text()))
            .plan;
        for ((planned, spec), sink) in plan.sinks.iter_mut().zip(&self.sinks).zip(sinks) {
            planned.sink = sink;
            planned.limits = spec.limits;
            if let (Some(planned), Some(disk)) = (&mut planned.disk, spec.disk) {
                planned.bytes_max = disk.bytes;
            }
        }
        plan
    }

    /// The config as a user would write it.
    pub(super) fn text(&self) -> String {
        let mut out = format!("grace: {}ms\n", self.grace.as_millis());
        if self.has_state() {
            let _ = writeln!(out, "state: {STATE}");
        }
        out.push_str("sources:\n");
        for source in &self.sources {
            let SourceSpec { name, parse, .. } = source;
            let with = with(&source.with);
            let url = match source.hearing {
                Hearing::Tails { is_wide, open_max } => {
                    let names = if is_wide { "*" } else { "*.log" };
                    format!("'file:///logs/{name}/{names}', open_max: {open_max}")
                }
                _ => "'generate:'".to_owned(),
            };
            let _ = writeln!(out, "  {name}: {{ url: {url}, parse: {parse}{with} }}");
        }
        out.push_str("routes:\n");
        for (place, route) in self.routes.iter().enumerate() {
            let _ = writeln!(out, "  - {{ name: r{place}{} }}", self.route(route));
        }
        out.push_str("sinks:\n");
        for sink in &self.sinks {
            let SinkSpec { name, encode, .. } = sink;
            let _ = write!(
                out,
                "  {name}: {{ url: 'blackhole:', encode: {encode}, required: {}, when_full: {}, buffer: {{ memory: {}{} }}",
                sink.required,
                sink.when_full,
                sink.memory,
                sink.disk.map_or("", DiskSpec::text),
            );
            for (key, to) in [
                ("dead_letter", sink.dead_letter),
                ("fallback", sink.fallback),
            ] {
                if let Some(to) = to {
                    let _ = write!(out, ", {key}: {}", self.sinks[to].name);
                }
            }
            let SinkSpec {
                concurrency,
                limits,
                ..
            } = sink;
            let _ = writeln!(
                out,
                "{} }} # {concurrency:?}, {} events or {:?} a load{}{}{}",
                with(&sink.with),
                limits.events_max,
                limits.linger,
                if sink.strict { ", strict" } else { "" },
                if sink.by_item { ", by item" } else { "" },
                if sink.knows_ids { ", knows ids" } else { "" },
            );
        }
        out
    }

    fn route(&self, route: &RouteSpec) -> String {
        let mut out = String::new();
        if let Some(from) = &route.from {
            let names: Vec<_> = from.iter().map(|&s| &*self.sources[s].name).collect();
            let _ = write!(out, ", from: [{}]", names.join(", "));
        }
        if let Some(rule) = &route.when {
            let _ = write!(out, ", when: '{}'", rule.text());
        }
        if route.unmatched {
            out.push_str(", when: unmatched");
        }
        if route.to.is_empty() {
            out.push_str(", drop: true");
        } else {
            let names: Vec<_> = route.to.iter().map(|&k| &*self.sinks[k].name).collect();
            let _ = write!(out, ", to: [{}]", names.join(", "));
        }
        if route.go_on {
            out.push_str(", continue: true");
        }
        out + &with(&route.with)
    }
}

impl Topology {
    /// Whether an acknowledged copy of this sink may wait on disk: its own, or
    /// that of a sink that it passes copies on to.
    pub(super) fn keeps(&self, owner: usize) -> bool {
        let mut ways = self.ways(owner).into_iter();
        ways.any(|place| self.sinks[place].disk.is_some())
    }

    /// Whether a loss of power may cost such a copy that is not synced yet.
    pub(super) fn keeps_loosely(&self, owner: usize) -> bool {
        let disks = self.ways(owner).into_iter();
        let mut disks = disks.filter_map(|place| self.sinks[place].disk);
        disks.any(|disk| disk.interval)
    }

    /// A sink and those that its copies may be passed on to.
    pub(super) fn ways(&self, owner: usize) -> Vec<usize> {
        let mut ways = vec![owner];
        let mut at = 0;
        while let Some(&place) = ways.get(at) {
            let sink = &self.sinks[place];
            let on = [sink.dead_letter, sink.fallback].into_iter().flatten();
            let new: Vec<_> = on.filter(|place| !ways.contains(place)).collect();
            ways.extend(new);
            at += 1;
        }
        ways
    }

    /// Whether anything is kept in the state directory.
    pub(super) fn has_state(&self) -> bool {
        self.has_disk() || self.has_tails()
    }

    /// Whether a source follows files.
    pub(super) fn tails(&self, source: usize) -> bool {
        matches!(self.sources[source].hearing, Hearing::Tails { .. })
    }

    pub(super) fn has_tails(&self) -> bool {
        (0..self.sources.len()).any(|source| self.tails(source))
    }

    /// By source, the program whose logs it follows.
    pub(super) fn programs(&self) -> Vec<Option<Program>> {
        let program = |source: &SourceSpec| match source.hearing {
            Hearing::Tails { is_wide, .. } => Some(Program::new(&source.name, is_wide)),
            _ => None,
        };
        self.sources.iter().map(program).collect()
    }

    /// Whether any sink has a buffer on disk.
    pub(super) fn has_disk(&self) -> bool {
        self.sinks.iter().any(|sink| sink.disk.is_some())
    }
}

fn with(edits: &[Edit]) -> String {
    if edits.is_empty() {
        return String::new();
    }
    let items: Vec<_> = edits.iter().map(Edit::text).collect();
    format!(", with: [{}]", items.join(", "))
}

fn source(dice: &Dice, place: u64) -> SourceSpec {
    let with = match dice.below(12) {
        0..2 => vec![Edit::Tag("src", None)],
        2..4 => vec![Edit::Dedupe],
        4 => vec![Edit::Sample],
        _ => Vec::new(),
    };
    SourceSpec {
        name: format!("s{place}"),
        hearing: match dice.below(8) {
            0..4 => Hearing::Waits,
            4..6 => Hearing::Deaf,
            _ => Hearing::Tails {
                is_wide: dice.chance(60),
                open_max: dice.pick(&[1, 2, 512]),
            },
        },
        parse: if dice.chance(80) { "json" } else { "auto" },
        with,
    }
}

fn routes(dice: &Dice, sources: usize, targets: usize) -> Vec<RouteSpec> {
    let mut routes = Vec::new();
    for _ in 0..dice.below(4) {
        let from = dice.chance(25).then(|| {
            let first = dice.below(sources as u64) as usize;
            (first..sources).collect()
        });
        let to = if dice.chance(20) {
            Vec::new()
        } else {
            some_of(dice, targets)
        };
        routes.push(RouteSpec {
            from,
            when: Some(Rule::new(dice)),
            unmatched: false,
            go_on: !to.is_empty() && dice.chance(50),
            with: if to.is_empty() {
                Vec::new()
            } else {
                list(dice, "via")
            },
            to,
        });
    }
    routes.push(RouteSpec {
        from: None,
        when: None,
        unmatched: dice.chance(30),
        to: if dice.chance(8) && !routes.is_empty() {
            Vec::new()
        } else {
            some_of(dice, targets)
        },
        go_on: false,
        with: Vec::new(),
    });
    routes
}

/// At least one of the first sinks.
fn some_of(dice: &Dice, sinks: usize) -> Vec<usize> {
    let one = dice.below(sinks as u64) as usize;
    (0..sinks)
        .filter(|&k| k == one || dice.chance(50))
        .collect()
}
