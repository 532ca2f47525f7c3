//! From what was written to what was meant: names resolved, rules compiled,
//! components built.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::buffer::left_behind;
use super::diagnostic::Diagnostic;
pub use super::extras::{Extras, View};
use super::registry::{self, Reach};
use super::{
    Config, Expected, RouteConfig, SinkConfig, WhenFull, addresses, keeping, odd, passing, print,
};
use crate::component::{ByteSize, Definition};
use crate::event::Needs;
use crate::parse::Formats;
use crate::parse::json::Json;
use crate::pipeline::explain::Explained;
use crate::pipeline::{Plan, PlannedSink, PlannedSource};
use crate::route::{
    Expectation, Expression, FindingKind, Part, RouteSpec, RuleError, Table, Target, When, check,
};
use crate::seam::{StateDirectory, World};
use crate::sink::driver::LoadLimits;
use crate::sink::encode::{Encoder, Options};
use crate::source::{Generate, Source};
use crate::telemetry::{self, Labels, Quota};

/// The buffer of a sink on this machine: enough to ride out a slow write. A
/// larger one is no faster, and fills whenever the sink is the bottleneck.
pub(super) const LOCAL_BUFFER: ByteSize = ByteSize(4 << 20);
/// The buffer of a sink behind a network.
const REMOTE_BUFFER: ByteSize = ByteSize(32 << 20);
/// What one load may pin, local and remote: a write's worth, a batch's worth.
const LOCAL_LOAD_BYTES: u64 = 1 << 20;
const REMOTE_LOAD_BYTES: u64 = 4 << 20;
/// Events in one load.
const LOAD_EVENTS_MAX: u64 = 10_000;
/// How long a request waits for more events.
const REQUEST_LINGER: Duration = Duration::from_secs(1);
/// The route that stands for "everything everywhere".
const DEFAULT_ROUTE: &str = "default";

/// A source's definition with the config's line limit, unless it has its own.
fn with_line_max(config: &Config, definition: &Definition) -> Definition {
    let mut definition = definition.clone();
    if let Some(limit) = config.line_max
        && definition.scheme != Generate::NAME
    {
        let limit = limit.0.into();
        definition.options.entry("line_max").or_insert(limit);
    }
    definition
}

/// A plan, and what was odd about the config.
pub struct Built {
    /// Ready to run.
    pub plan: Plan,
    /// Findings that are no errors.
    pub warnings: Vec<Diagnostic>,
    /// Whether a source never ends by itself.
    pub service: bool,
    /// What explains events, if that was asked for.
    pub explained: Option<Explained>,
}

/// Builds the plan, or says everything that is wrong, and what is odd beside it.
pub fn build(config: &Config, extras: Extras, world: &World) -> Result<Built, Vec<Diagnostic>> {
    let mut planner = Planner {
        config,
        world,
        // Sinks and lists that live on know columns by number.
        needs: extras.seed.needs.clone(),
        errors: Vec::new(),
        warnings: Vec::new(),
        state: left_behind(config, world),
    };
    let specs = planner.routes();
    planner.look_over(&specs);
    let names = specs.iter().map(|s| s.name.clone()).collect();
    let mut explained = extras.explain.then(|| planner.explained(&specs)).flatten();
    let mut table = planner.table(specs, extras.filter);
    let mut with = planner.lists(table.as_mut(), &extras.seed.series);
    let encoders = explained.as_mut().map(|e| &mut e.encoders);
    let sinks = planner.sinks(&extras.view, encoders);
    // The needs are complete only now: parsers are built for them.
    let sources = planner.sources(extras.sources);
    with.editor = planner.editor(&with);
    planner.paths_differ(&sources);
    planner.errors.extend(addresses::taken(config, &sources));
    let held = with.held_bytes_max(sources.len());
    planner.fits_in_memory(&sources, &sinks, held);
    let Planner {
        mut errors,
        warnings,
        needs,
        state,
        ..
    } = planner;
    let Some(table) = table.filter(|_| errors.is_empty()) else {
        errors.extend(warnings);
        return Err(errors);
    };
    let json = Formats::build("json", &needs, |needs| Box::new(Json::build(needs)));
    let json = json.map_err(|error| vec![Diagnostic::error("parse", error.to_string())])?;
    let service = sources.iter().any(|s| s.source.is_service());
    let plan = Plan {
        sources,
        table,
        routes: names,
        sinks,
        grace: config.grace.0,
        needs: Arc::new(needs),
        with,
        json: Arc::new(json),
        state,
    };
    Ok(Built {
        plan,
        warnings,
        service,
        explained,
    })
}

pub(super) struct Planner<'a> {
    pub(super) config: &'a Config,
    pub(super) world: &'a World,
    pub(super) needs: Needs,
    pub(super) errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Where the plan keeps state, once something of it does.
    state: Option<StateDirectory>,
}

impl Planner<'_> {
    /// The state directory, for something that keeps state: the plan takes its
    /// lock then. None if the config names none.
    pub(super) fn state(&mut self) -> Option<StateDirectory> {
        let path = self.config.state.as_ref()?.value.clone();
        let state = StateDirectory::new(path, self.world.disk.clone());
        self.state = Some(state);
        self.state.clone()
    }

    /// The routes with names resolved; without `routes:` everything goes everywhere.
    fn routes(&mut self) -> Vec<RouteSpec> {
        let config = self.config;
        let Some(routes) = &config.routes else {
            let sinks = config.sinks.iter().enumerate();
            let sinks = sinks.filter(|(_, sink)| !passing::is_named(config, &sink.name));
            let to = Target::Sinks(sinks.map(|(place, _)| place).collect());
            let name = DEFAULT_ROUTE.to_owned();
            return vec![RouteSpec {
                name,
                from: None,
                when: When::Always,
                to,
                go_on: false,
            }];
        };
        routes.iter().map(|route| self.route(route)).collect()
    }

    fn route(&mut self, route: &RouteConfig) -> RouteSpec {
        let config = self.config;
        // The reader has checked every name.
        let source = |name: &str| config.sources.iter().position(|s| s.name == name);
        let sink = |name: &str| config.sinks.iter().position(|s| s.name == name);
        let from = route.from.as_ref();
        let sinks = route.to.iter().flatten();
        let to = if route.drop {
            Target::Drop
        } else {
            Target::Sinks(sinks.filter_map(|name| sink(&name.value)).collect())
        };
        RouteSpec {
            name: route.name.clone(),
            from: from.map(|names| names.iter().filter_map(|n| source(&n.value)).collect()),
            when: self.when(route),
            to,
            go_on: route.r#continue,
        }
    }

    fn when(&mut self, route: &RouteConfig) -> When {
        let Some(rule) = &route.when else {
            return When::Always;
        };
        if rule.value.trim() == "unmatched" {
            return When::Unmatched;
        }
        match Expression::parse(&rule.value) {
            Ok(expression) => When::Rule(expression),
            Err(error) => {
                self.rule_error(route, error);
                When::Always
            }
        }
    }

    fn rule_error(&mut self, route: &RouteConfig, error: RuleError) {
        let mut diagnostic = Diagnostic::error("rule::syntax", error.message);
        if let Some(rule) = &route.when {
            diagnostic = diagnostic.at(&rule.at(error.offset..error.offset + error.len));
        }
        if let Some(help) = error.help {
            diagnostic = diagnostic.help(help);
        }
        self.errors.push(diagnostic);
    }

    fn look_over(&mut self, specs: &[RouteSpec]) {
        let sources: Vec<_> = self
            .config
            .sources
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        let sinks: Vec<_> = self.config.sinks.iter().map(|s| s.name.as_str()).collect();
        // A rule that cannot be read takes nothing for certain, and everything
        // in its place here.
        let whole = self.errors.is_empty();
        for finding in check(specs, &sources, &sinks) {
            if !whole && !finding.kind.is_of_rule() {
                continue;
            }
            if let FindingKind::UnusedSink { sink } = finding.kind
                && passing::is_named(self.config, sinks[sink])
            {
                continue;
            }
            let diagnostic = odd::finding(self.config, &finding);
            if finding.kind.is_error() {
                self.errors.push(diagnostic);
            } else {
                self.warnings.push(diagnostic);
            }
        }
        for (at, spec) in specs.iter().enumerate() {
            if let When::Rule(rule) = &spec.when {
                self.warnings.extend(odd::lints(self.config, at, rule));
            }
        }
    }

    fn table(&mut self, specs: Vec<RouteSpec>, filter: Option<Expression>) -> Option<Table> {
        match Table::compile(specs, filter, self.config.sinks.len(), &mut self.needs) {
            Ok(table) => Some(table),
            Err((Part::Route(place), error)) => {
                if let Some(route) = self.config.routes.as_ref().and_then(|r| r.get(place)) {
                    self.rule_error(route, error);
                }
                None
            }
            Err((Part::Filter, error)) => {
                self.errors
                    .push(Diagnostic::error("filter", error.to_string()));
                None
            }
        }
    }

    /// The routes taken apart; none if a rule does not compile, which
    /// [`Planner::table`] says.
    fn explained(&mut self, specs: &[RouteSpec]) -> Option<Explained> {
        let routes = self.config.routes.iter().flatten();
        let texts: Vec<_> = routes
            .map(|route| route.when.as_ref().map(|when| when.value.as_str()))
            .collect();
        let parses = self.config.sources.iter().map(|s| s.parse.value.clone());
        let parses = parses.collect();
        let mut explained = Explained::compile(specs, &texts, parses, &mut self.needs).ok()?;
        explained.expected = self.expected();
        Some(explained)
    }

    /// What the config's tests expect, by test and sink.
    fn expected(&mut self) -> Vec<Vec<Vec<Expectation>>> {
        let config = self.config;
        let mut all = Vec::with_capacity(config.tests.len());
        for test in &config.tests {
            let sinks = test.expect.iter();
            all.push(
                sinks
                    .map(|(_, fields)| self.expected_fields(fields))
                    .collect(),
            );
        }
        all
    }

    fn expected_fields(&mut self, fields: &[Expected]) -> Vec<Expectation> {
        let mut compiled = Vec::with_capacity(fields.len());
        for field in fields {
            let value = field
                .value
                .as_ref()
                .map(|(text, quoted)| (text.as_str(), *quoted));
            match Expectation::compile(&field.path, value, &mut self.needs) {
                Ok(expectation) => compiled.push(expectation),
                Err(message) => {
                    let error = Diagnostic::error("tests", message);
                    self.errors.push(error.at(&field.place));
                }
            }
        }
        compiled
    }

    fn sinks(&mut self, view: &View, kept: Option<&mut Vec<Encoder>>) -> Vec<PlannedSink> {
        let mut planned = Vec::new();
        let mut encoders = Vec::new();
        for sink in &self.config.sinks {
            match self.sink(sink, view) {
                Ok((sink, encoder)) => {
                    planned.push(sink);
                    encoders.push(encoder);
                }
                Err(diagnostic) => self.errors.push(diagnostic),
            }
        }
        if let Some(kept) = kept {
            kept.clone_from(&encoders);
        }
        if planned.len() == self.config.sinks.len() {
            passing::join(self, &mut planned, encoders);
        }
        planned
    }

    /// The sink, and what writes the events that it refuses.
    fn sink(
        &mut self,
        sink: &SinkConfig,
        view: &View,
    ) -> Result<(PlannedSink, Encoder), Diagnostic> {
        let definition = &sink.definition;
        let on_terminal = definition.scheme == "stdout" && view.terminal;
        let encoding = match &sink.encode {
            Some(encode) => &*encode.value,
            None if on_terminal => "human",
            None => "json",
        };
        let fields = view
            .fields
            .clone()
            .filter(|_| definition.scheme == "stdout");
        let options = Options {
            color: on_terminal && view.color,
            screen: view.screen.filter(|_| on_terminal),
            fields,
        };
        let encoder = Encoder::build(encoding, options, &mut self.needs).map_err(|error| {
            let error = definition.error(error.to_string()).at("encode");
            self.config.diagnostic(&error)
        })?;
        let refused = encoder.clone();
        let built = registry::sink(definition, encoder, self.world, &mut self.needs);
        let (built, reach) = built.map_err(|error| self.config.diagnostic(&error))?;
        let (buffer, load_bytes, linger) = match reach {
            Reach::Local => (LOCAL_BUFFER, LOCAL_LOAD_BYTES, Duration::ZERO),
            Reach::Remote => (REMOTE_BUFFER, REMOTE_LOAD_BYTES, Duration::ZERO),
            Reach::Requests => (REMOTE_BUFFER, REMOTE_LOAD_BYTES, REQUEST_LINGER),
        };
        let when_full = match sink.when_full {
            WhenFull::Block => telemetry::WhenFull::Block,
            WhenFull::DropNewest => telemetry::WhenFull::DropNewest,
            WhenFull::DropOldest => telemetry::WhenFull::DropOldest,
        };
        let planned = PlannedSink {
            labels: Labels {
                id: sink.name.clone(),
                scheme: definition.scheme.clone(),
            },
            sink: built,
            required: sink.required,
            quota: Quota {
                bytes_max: sink.buffer.memory.unwrap_or(buffer).0,
                when_full,
            },
            disk: self.disk_buffer(sink),
            limits: LoadLimits {
                bytes_max: load_bytes,
                events_max: LOAD_EVENTS_MAX,
                linger,
            },
            dead_letter: None,
            fallback: None,
            print: print::sink(sink),
        };
        Ok((planned, refused))
    }

    fn sources(&mut self, mut given: HashMap<String, Box<dyn Source>>) -> Vec<PlannedSource> {
        let config = self.config;
        let mut planned = Vec::new();
        for source in &config.sources {
            let definition = with_line_max(config, &source.definition);
            let (built, print) = if let Some(built) = given.remove(&source.name) {
                (Ok(built), print::GIVEN)
            } else {
                let built = keeping::source(self, source, &definition);
                (built, print::definition(&definition))
            };
            let formats = Formats::build(&source.parse.value, &self.needs, |needs| {
                Box::new(Json::build(needs))
            });
            let labels = Labels {
                id: source.name.clone(),
                scheme: source.definition.scheme.clone(),
            };
            match (built, formats) {
                (Ok(built), Ok(formats)) => planned.push(PlannedSource {
                    labels,
                    source: built,
                    formats: Arc::new(formats),
                    print,
                    format_print: print::text(&source.parse.value),
                }),
                (built, formats) => {
                    let built = built.err().map(|error| config.diagnostic(&error));
                    let formats = formats.err().map(|error| {
                        Diagnostic::error("parse", error.to_string()).at(&source.parse.place)
                    });
                    self.errors.extend(built.into_iter().chain(formats));
                }
            }
        }
        planned
    }

    /// Sources of tflog's own listener need paths of their own.
    fn paths_differ(&mut self, sources: &[PlannedSource]) {
        let mounts: Vec<_> = sources.iter().filter_map(|s| s.source.mount()).collect();
        for (at, mount) in mounts.iter().enumerate() {
            let other = mounts[..at]
                .iter()
                .find(|other| mount.paths().iter().any(|path| other.takes(path)));
            let Some(other) = other else {
                continue;
            };
            let message = format!(
                "sources `{}` and `{}` take the same path of tflog's own listener",
                other.source(),
                mount.source()
            );
            let mut error = Diagnostic::error("sources", message);
            let written = self
                .config
                .sources
                .iter()
                .find(|s| s.name == mount.source());
            if let Some(source) = written {
                error = error.at(source.places.of(Some("path")));
            }
            let help = "give one a `path`, or an address of its own: http://127.0.0.1:8088";
            self.errors.push(error.help(help));
        }
    }

    /// All windows, buffers and what `with` lists hold together must fit, or
    /// memory would not be bounded.
    fn fits_in_memory(&mut self, sources: &[PlannedSource], sinks: &[PlannedSink], reduced: u64) {
        let windows: u64 = sources.iter().map(|s| s.source.window_bytes()).sum();
        let buffers: u64 = sinks.iter().map(|s| s.quota.bytes_max).sum();
        if windows + buffers + reduced > self.config.memory.0 {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let mut message = format!(
                "sources' windows ({} MiB) and sinks' buffers ({} MiB)",
                mib(windows),
                mib(buffers)
            );
            if reduced > 0 {
                message = format!("{message} and what `reduce` holds ({} MiB)", mib(reduced));
            }
            let budget = mib(self.config.memory.0);
            message = format!("{message} do not fit the memory budget of {budget} MiB");
            let help = "make `memory` larger, or a source's `window`, a sink's `buffer.memory` or a `bytes_max` of `reduce` smaller";
            self.errors
                .push(Diagnostic::error("memory", message).help(help));
        }
    }
}
