//! What a plan does with one event, and why: how its line is parsed, what every
//! rule says of it, which sinks get it and in what form.
//!
//! Nothing is decided a second time: a line goes through the very readers,
//! route table and encoders that a run uses, one event a batch. All that is
//! added are columns, so that the values that rules look at can be shown.

mod fields;
mod json;
mod text;

use std::sync::Arc;

use super::Plan;
use super::lanes::Lanes;
use super::with::Lists;
use crate::event::{Batch, Chunk, Needs, Pool, Rows, Stream, Timestamp};
use crate::parse::Formats;
use crate::parse::json::Json;
use crate::route::{
    Expectation, Judge, RouteSpec, RouteVerdict, Routed, RuleError, State, Table, Target, Unmet,
};
use crate::sink::Part;
use crate::sink::encode::Encoder;
use crate::telemetry::{Owner, Transfer, WithTerms};
use crate::transform::Sample;
use fields::Roles;
pub use fields::{Change, FieldSeen, Origin, RoleSeen};
pub use text::Style;

/// What a plan has to keep so that it can be explained.
pub struct Explained {
    judge: Judge,
    routes: Vec<RouteShown>,
    parses: Vec<String>,
    roles: Roles,
    /// How each sink writes.
    pub encoders: Vec<Encoder>,
    /// What the config's tests expect: by test, by sink in the order named
    /// there, by field.
    pub expected: Vec<Vec<Vec<Expectation>>>,
}

/// A route as it is shown.
struct RouteShown {
    name: String,
    when: Option<String>,
    to: Target,
    go_on: bool,
}

/// Explains events of a plan, line by line: what a stream's format is found to
/// be depends on its lines so far, as it does in a run.
pub struct Explainer {
    sources: Vec<SourceLane>,
    table: Table,
    explained: Explained,
    sinks: Vec<(String, String)>,
    others: Vec<(&'static str, Formats)>,
    routed: Routed,
    pool: Arc<Pool>,
    transfer: Transfer,
    /// By sink: what it gets of the event explained last.
    last: Vec<Option<Arc<Batch>>>,
}

struct SourceLane {
    name: String,
    scheme: String,
    lanes: Lanes,
    lists: Lists,
    stream: Arc<Stream>,
}

/// Everything about one event.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The line, without its terminator.
    pub line: Vec<u8>,
    /// Whether it was cut at the line limit.
    pub truncated: bool,
    /// The source's name and scheme.
    pub source: (String, String),
    /// How it was parsed.
    pub format: FormatSeen,
    /// Its fields, in the order that they leave.
    pub fields: Vec<FieldSeen>,
    /// What the names that all formats share mean for it.
    pub roles: Vec<RoleSeen>,
    /// What the source says of the stream.
    pub meta: Vec<(String, String)>,
    /// What the source's `with` list changed.
    pub edits: Vec<Change>,
    /// What each route did with it.
    pub routes: Vec<RouteSeen>,
    /// The sinks that get it.
    pub sinks: Vec<Copy>,
    /// Whose `with` lists hold it, to merge it with others: what is shown is what
    /// it becomes if none comes.
    pub held: Vec<String>,
    /// Whose `with` lists keep it or not by an id that only a run gives: what is
    /// shown is what it becomes if they keep it.
    pub sampled: Vec<String>,
    /// The sinks that would, if a `with` list had not taken the event out.
    pub left_out: Vec<String>,
}

/// How a line was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatSeen {
    /// The format that it has.
    pub name: String,
    /// Whether the format was found, not named.
    pub detected: bool,
    /// How sure that is.
    pub confidence: Confidence,
    /// Other formats that would read it too.
    pub also: Vec<&'static str>,
}

/// How sure a format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The config names it, and the line has it.
    Certain,
    /// No other format reads the line.
    High,
    /// Others read it too; this one is tried before them.
    Medium,
    /// Nothing but plain text reads it.
    Low,
    /// The config names a format that the line does not have.
    Failed,
}

/// A route and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSeen {
    /// Its name.
    pub name: String,
    /// Its rule as written; `unmatched`; none for all events.
    pub when: Option<String>,
    /// The sinks it sends to; none: it drops.
    pub to: Option<Vec<String>>,
    /// Whether the routes below see the event too.
    pub go_on: bool,
    /// What it did and what its terms saw.
    pub verdict: RouteVerdict,
}

/// A copy of the event at one sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// The sink.
    pub sink: String,
    /// Its scheme.
    pub scheme: String,
    /// The route that sends it there.
    pub route: String,
    /// What the `with` lists of the route and the sink changed.
    pub edits: Vec<Change>,
    /// How it is written.
    pub encoding: &'static str,
    /// What is written.
    pub output: Vec<u8>,
}

impl Explained {
    /// Takes the routes apart, adding to `needs` what showing them takes.
    /// `texts` are their rules, `parses` the formats of the sources, as written.
    pub fn compile(
        specs: &[RouteSpec],
        texts: &[Option<&str>],
        parses: Vec<String>,
        needs: &mut Needs,
    ) -> Result<Explained, RuleError> {
        needs.fields = true;
        let shown = specs.iter().enumerate().map(|(at, spec)| RouteShown {
            name: spec.name.clone(),
            when: texts.get(at).copied().flatten().map(str::to_owned),
            to: spec.to.clone(),
            go_on: spec.go_on,
        });
        Ok(Explained {
            judge: Judge::compile(specs, texts, needs)?,
            routes: shown.collect(),
            parses,
            roles: Roles::compile(needs),
            encoders: Vec::new(),
            expected: Vec::new(),
        })
    }
}

impl Explainer {
    /// Explains events of `plan`.
    #[must_use]
    pub fn new(plan: Plan, explained: Explained) -> Explainer {
        let sinks = plan.sinks.iter().take(explained.encoders.len());
        let sinks = sinks.map(|sink| (sink.labels.id.clone(), sink.labels.scheme.clone()));
        let sources = plan.sources.into_iter().enumerate().map(|(at, planned)| {
            let scheme = planned.labels.scheme;
            let mut lists = plan.with.lists(at);
            lists.show_alone();
            SourceLane {
                name: planned.labels.id,
                stream: stream(at, usual_meta(&scheme)),
                scheme,
                lanes: Lanes::new(planned.formats),
                lists,
            }
        });
        Explainer {
            sinks: sinks.collect(),
            sources: sources.collect(),
            table: plan.table,
            explained,
            others: others(),
            routed: Routed::default(),
            pool: Arc::default(),
            transfer: Transfer::default(),
            last: Vec::new(),
        }
    }

    /// The sources' names, by their place.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
    }

    /// The sinks' names, by their place.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|(name, _)| name.as_str())
    }

    /// Begins a new stream of the source at place `source`, with the metadata
    /// that such streams usually have and `meta` over it.
    pub fn begin(&mut self, source: usize, meta: &[(String, String)]) {
        let lane = &mut self.sources[source];
        let mut all = usual_meta(&lane.scheme);
        for (name, value) in meta {
            all.retain(|(known, _)| **known != **name);
            all.push((name.as_str().into(), value.as_str().into()));
        }
        lane.stream = stream(source, all);
    }

    /// Explains every line of `chunk`, read at `observed` from the current
    /// stream of the source at place `source`.
    pub fn explain(
        &mut self,
        source: usize,
        observed: Timestamp,
        chunk: &Chunk,
        each: &mut dyn FnMut(Explanation),
    ) {
        let mut start = 0;
        for (row, &end) in chunk.ends.iter().enumerate() {
            let mut single = Box::new(Chunk::default());
            single
                .text
                .extend_from_slice(&chunk.text[start..end as usize]);
            single.ends.push(single.text.len() as u32);
            single.joined = chunk.joined;
            if chunk.truncated.contains(&(row as u32)) {
                single.truncated.push(0);
            }
            start = end as usize;
            each(self.explain_one(source, observed, single));
        }
    }

    /// Explains one event, whose text may have several lines.
    pub fn explain_one(
        &mut self,
        source: usize,
        observed: Timestamp,
        chunk: Box<Chunk>,
    ) -> Explanation {
        let lane = &mut self.sources[source];
        let mut batch = Batch::new(lane.stream.clone(), 0, observed, chunk, self.pool.clone());
        lane.lanes.parse(&mut batch);
        let found = lane.lanes.format(&lane.stream);
        let parse = &self.explained.parses[source];
        let fields = fields::fields(&batch, reread(parse, found));
        let text = batch.line(0).to_vec();
        let format = self.format(parse, found, &batch);
        let roles = self.explained.roles.see(&batch, &fields);
        let as_read = batch.copy_rows(&Rows::All);
        let lane = &mut self.sources[source];
        let left = lane.lists.before_routes(&mut batch, &mut self.transfer);
        let is_out = left.is_some_and(crate::event::Bits::none);
        self.table
            .route_rows(source, &batch, left, &mut self.routed);
        let chosen: Vec<bool> = self.routed.sinks.iter().map(|s| s.contains(0)).collect();
        lane.lists
            .behind_routes(&batch, &mut self.routed, &mut self.transfer, &mut self.last);
        lane.lists.forget();
        let batch = Arc::new(batch);
        let edits = if is_out {
            Vec::new()
        } else {
            fields::changes(&as_read, &batch)
        };
        let lane = &self.sources[source];
        let mut verdicts = self.explained.judge.judge(source, &batch, &self.routed);
        if is_out {
            let reached = verdicts
                .iter_mut()
                .filter(|v| v.state != State::OtherSource);
            reached.for_each(|verdict| verdict.state = State::FilteredOut);
        }
        let routes: Vec<_> = verdicts.into_iter().map(|v| self.route(v)).collect();
        let meta = lane.stream.meta.iter();
        let meta = meta.map(|(n, v)| (n.to_string(), v.to_string())).collect();
        let source = (lane.name.clone(), lane.scheme.clone());
        let gone = (0..chosen.len()).filter(|&k| chosen[k] && !self.routed.sinks[k].contains(0));
        Explanation {
            line: text,
            truncated: !batch.truncated().is_empty(),
            source,
            format,
            roles,
            fields,
            meta,
            edits,
            held: self.lists(&routes, |terms| terms.merged > 0),
            sampled: self.lists(&routes, Sample::was_by_chance),
            left_out: gone.map(|k| self.sinks[k].0.clone()).collect(),
            sinks: self.copies(&batch, &routes),
            routes,
        }
    }

    /// What the test at place `test` expects of `sink`, which it names at place
    /// `named`, and the event explained last does not have there.
    #[must_use]
    pub fn unmet(&self, test: usize, named: usize, sink: &str) -> Vec<Unmet> {
        let place = self.sinks().position(|name| name == sink);
        let Some(batch) = place.and_then(|place| self.last[place].as_ref()) else {
            return Vec::new();
        };
        let expected = self.explained.expected[test][named].iter();
        expected.filter_map(|each| each.unmet(batch)).collect()
    }

    /// Whose lists did something to the event explained last.
    fn lists(&self, routes: &[RouteSeen], did: fn(&WithTerms) -> bool) -> Vec<String> {
        let lists = self.transfer.lists.iter();
        let found = lists.filter(|(_, terms)| did(terms));
        let name = |owner: &Owner| match *owner {
            Owner::Source => "the source".to_owned(),
            Owner::Route(route) => format!("route {}", routes[route].name),
            Owner::Sink(sink) => format!("sink {}", self.sinks[sink].0),
        };
        found.map(|(owner, _)| name(owner)).collect()
    }

    fn route(&self, verdict: RouteVerdict) -> RouteSeen {
        let shown = &self.explained.routes[verdict.route];
        let to = match &shown.to {
            Target::Drop => None,
            Target::Sinks(to) => Some(to.iter().map(|&k| self.sinks[k].0.clone()).collect()),
        };
        RouteSeen {
            name: shown.name.clone(),
            when: shown.when.clone(),
            to,
            go_on: shown.go_on,
            verdict,
        }
    }

    /// One copy for each sink that the table chose; the first route that names
    /// the sink is the one that sends it.
    fn copies(&mut self, batch: &Arc<Batch>, routes: &[RouteSeen]) -> Vec<Copy> {
        let mut copies = Vec::new();
        for (at, (name, scheme)) in self.sinks.iter().enumerate() {
            if !self.routed.sinks[at].contains(0) {
                continue;
            }
            let sends = |route: &&RouteSeen| {
                let to = route.to.as_ref();
                route.verdict.state == State::Matched && to.is_some_and(|to| to.contains(name))
            };
            let route = routes.iter().find(sends);
            let encoder = &mut self.explained.encoders[at];
            let own = self.last[at].get_or_insert_with(|| batch.clone());
            let part = Part {
                batch: own.clone(),
                rows: Rows::All,
            };
            let mut output = Vec::new();
            match encoder.verbatim(&part) {
                Some(text) => output.extend_from_slice(text),
                None => encoder.encode(&part, &mut output),
            }
            copies.push(Copy {
                sink: name.clone(),
                scheme: scheme.clone(),
                route: route.map_or_else(String::new, |route| route.name.clone()),
                edits: fields::changes(batch, own),
                encoding: encoder.name(),
                output,
            });
        }
        copies
    }

    fn format(&self, parse: &str, found: &str, batch: &Batch) -> FormatSeen {
        let failed = batch.columns().failed().contains(0);
        let detected = parse == "auto";
        let mut also = Vec::new();
        let confidence = if failed {
            Confidence::Failed
        } else if !detected {
            Confidence::Certain
        } else {
            let others = self.others.iter().filter(|(name, _)| *name != found);
            let reads = others.filter(|(_, formats)| fields::reads(formats, batch));
            also = reads.map(|(name, _)| *name).collect();
            match (found, also.is_empty()) {
                ("text", true) => Confidence::Low,
                (_, true) => Confidence::High,
                _ => Confidence::Medium,
            }
        };
        FormatSeen {
            name: found.to_owned(),
            detected,
            confidence,
            also,
        }
    }
}

/// The format by which to read a line again that was found to have the format
/// `found` by a source whose format is `parse`.
fn reread<'a>(parse: &'a str, found: &'a str) -> &'a str {
    if parse == "auto" { found } else { parse }
}

/// The formats that a line could be mistaken for: not those that take any
/// line, nor those that are another's by a second name.
fn others() -> Vec<(&'static str, Formats)> {
    const TAKE_ANY: [&str; 8] = [
        "auto",
        "text",
        "raw",
        "csv",
        "tsv",
        "syslog3164",
        "syslog5424",
        "clf",
    ];
    let names = Formats::names().filter(|name| !TAKE_ANY.contains(name));
    let build = |name: &'static str| Some((name, formats(name, &fields_only())?));
    names.filter_map(build).collect()
}

/// A line, given as text, that is one event even if it has several lines.
#[must_use]
pub fn event(line: &str) -> Box<Chunk> {
    let mut chunk = Box::new(Chunk::default());
    let line = line.strip_suffix('\n').unwrap_or(line);
    chunk.joined = line.contains('\n');
    chunk.text.extend_from_slice(line.as_bytes());
    chunk.text.push(b'\n');
    chunk.ends.push(chunk.text.len() as u32);
    chunk
}

fn fields_only() -> Needs {
    Needs {
        fields: true,
        ..Needs::default()
    }
}

fn formats(name: &str, needs: &Needs) -> Option<Formats> {
    Formats::build(name, needs, |needs| Box::new(Json::build(needs))).ok()
}

fn stream(source: usize, meta: Vec<(Box<str>, Arc<str>)>) -> Arc<Stream> {
    Arc::new(Stream {
        source,
        origin: 0,
        meta,
    })
}

/// What streams of a scheme usually say of themselves.
fn usual_meta(scheme: &str) -> Vec<(Box<str>, Arc<str>)> {
    match scheme {
        "stdin" => vec![("stream".into(), "stdin".into())],
        "exec" => vec![("stream".into(), "stdout".into())],
        _ => Vec::new(),
    }
}
