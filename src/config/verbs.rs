//! From `with` lists as written to lists that run: options decoded, rules and
//! templates compiled and put into the verbs.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::adapters::{CompiledFormat, CompiledRule, CompiledText, json, json_encoder};
use super::diagnostic::Diagnostic;
use super::passing;
use super::place::{Place, RuleText};
use super::plan::Planner;
use super::print;
use super::verb_options::{
    CountConfig, DedupeConfig, FlattenConfig, HistogramConfig, KeepConfig, LimitConfig, Names,
    ParseConfig, RedactConfig, ReduceConfig, RemoveConfig, RenameConfig, SampleConfig, SetConfig,
    TruncateConfig,
};
use super::with::WithItem;
use crate::event::{Needs, Path};
use crate::parse::Formats;
use crate::pipeline::{Editor, Prints, Withs};
use crate::route::{Condition, Expression, Scratch, Table};
use crate::sink::template::Template;
use crate::telemetry::{Series, SeriesKind};
use crate::transform::histogram::BUCKETS_DEFAULT;
use crate::transform::reduce::Bounds;
use crate::transform::{
    Count, Dedupe, Detector, Flatten, Histogram, Keep, Limit, List, Mask, Merge, Parse, Redact,
    Reduce, Remove, Rename, Rule, Sample, Set, SetTo, Transform, TransformError, Truncate, dedupe,
    limit, reduce,
};

/// Series of one metric, unless `max_series` says otherwise.
const SERIES_MAX_DEFAULT: usize = 1000;

/// Builds the lists of a plan.
pub(super) struct Verbs<'a> {
    pub(super) needs: &'a mut Needs,
    pub(super) errors: &'a mut Vec<Diagnostic>,
    /// The metrics so far.
    pub(super) series: Vec<Arc<Series>>,
    /// Those of a running plan: they count on.
    pub(super) running: &'a [Arc<Series>],
}

type Built = Result<Box<dyn Transform>, Diagnostic>;

impl Verbs<'_> {
    /// The list that was written so.
    pub(super) fn list(&mut self, items: &[WithItem]) -> List {
        let mut list = List::default();
        for item in items {
            let when = item.when.as_ref().and_then(|text| self.rule(text));
            match self.verb(item) {
                Ok(verb) => list.push(when, verb),
                Err(error) => self.errors.push(error),
            }
        }
        list
    }

    fn rule(&mut self, text: &RuleText) -> Option<Box<dyn Rule>> {
        let compiled = Expression::parse(&text.value)
            .and_then(|expression| Condition::compile(&expression, self.needs));
        match compiled {
            Ok(condition) => Some(Box::new(CompiledRule {
                condition,
                scratch: Scratch::default(),
            })),
            Err(error) => {
                let place = text.at(error.offset..error.offset + error.len);
                let mut diagnostic = Diagnostic::error("rule::syntax", error.message).at(&place);
                if let Some(help) = error.help {
                    diagnostic = diagnostic.help(help);
                }
                self.errors.push(diagnostic);
                None
            }
        }
    }

    fn verb(&mut self, item: &WithItem) -> Built {
        match item.verb.value.as_str() {
            Set::NAME => self.set(item),
            Rename::NAME => self.rename(item),
            Remove::NAME => {
                let config: RemoveConfig = decode(item)?;
                let fields = paths(item, Remove::NAME, config.remove)?;
                Ok(Box::new(Remove::new(&fields, self.needs)))
            }
            Keep::NAME => {
                let config: KeepConfig = decode(item)?;
                let fields = paths(item, Keep::NAME, config.keep)?;
                Ok(Box::new(Keep::new(&fields, self.needs)))
            }
            Sample::NAME => {
                let config: SampleConfig = decode(item)?;
                let by = paths(item, "by", config.by)?;
                let sample = Sample::build(&scalar(&config.sample), &by, self.needs);
                Ok(Box::new(sample.map_err(refused(item, Sample::NAME))?))
            }
            Limit::NAME => {
                let config: LimitConfig = decode(item)?;
                let by = paths(item, "by", config.by)?;
                let keys_max = config.keys_max.unwrap_or(limit::KEYS_MAX_DEFAULT);
                let limit = Limit::build(&config.limit, &by, keys_max, self.needs);
                Ok(Box::new(limit.map_err(refused(item, Limit::NAME))?))
            }
            Dedupe::NAME => {
                let config: DedupeConfig = decode(item)?;
                let by = config.by.unwrap_or(Names::One("message".to_owned()));
                let by = paths(item, "by", by)?;
                let keys_max = config.keys_max.unwrap_or(dedupe::KEYS_MAX_DEFAULT);
                let window = config.dedupe.0;
                Ok(Box::new(Dedupe::new(window, &by, keys_max, self.needs)))
            }
            Reduce::NAME => self.reduce(item),
            Redact::NAME => self.redact(item),
            Count::NAME => {
                let config: CountConfig = decode(item)?;
                let by = paths(item, "by", config.by)?;
                let max = config.max_series.unwrap_or(SERIES_MAX_DEFAULT);
                let series = self.series(item, &config.count, SeriesKind::Counter, &by, max)?;
                Ok(Box::new(Count::new(series, &by, self.needs)))
            }
            Histogram::NAME => self.histogram(item),
            Truncate::NAME => {
                let config: TruncateConfig = decode(item)?;
                let fields = paths(item, "fields", config.fields)?;
                let bytes = config.truncate.0 as usize;
                Ok(Box::new(Truncate::new(bytes, &fields, self.needs)))
            }
            Flatten::NAME => {
                let config: FlattenConfig = decode(item)?;
                let fields = match config.flatten {
                    Names::One(all) if all == "all" => Vec::new(),
                    names => paths(item, Flatten::NAME, names)?,
                };
                let separator = config.separator.as_deref().unwrap_or(".");
                let flatten = Flatten::build(&fields, separator, self.needs);
                Ok(Box::new(flatten.map_err(refused(item, "separator"))?))
            }
            Parse::NAME => self.parse(item),
            // The reader knows the verbs.
            other => Err(error(item, other, format!("there is no verb `{other}`"))),
        }
    }

    fn set(&mut self, item: &WithItem) -> Built {
        let config: SetConfig = decode(item)?;
        let mut fields = Vec::new();
        for (name, value) in config.set {
            let path = path(item, Set::NAME, &name)?;
            let to = match value {
                Value::String(text) => self.template(item, &text)?,
                value => SetTo::Json(value.to_string().into_bytes().into()),
            };
            fields.push((path, to));
        }
        Ok(Box::new(Set::new(fields, self.needs)))
    }

    fn template(&mut self, item: &WithItem, text: &str) -> Result<SetTo, Diagnostic> {
        let template = Template::compile_at(&machine(), text, self.needs)
            .map_err(|e| error(item, Set::NAME, format!("{text:?}: {e}")))?;
        if template.is_constant() {
            let json = Value::from(text).to_string();
            return Ok(SetTo::Json(json.into_bytes().into()));
        }
        Ok(SetTo::Text(Box::new(CompiledText(template))))
    }

    fn rename(&mut self, item: &WithItem) -> Built {
        let config: RenameConfig = decode(item)?;
        let mut fields = Vec::new();
        for (from, to) in config.rename {
            let Value::String(to) = to else {
                let message = format!("the new name of `{from}` must be text");
                return Err(error(item, Rename::NAME, message));
            };
            fields.push((
                path(item, Rename::NAME, &from)?,
                path(item, Rename::NAME, &to)?,
            ));
        }
        Ok(Box::new(Rename::new(&fields, self.needs)))
    }

    fn reduce(&mut self, item: &WithItem) -> Built {
        let config: ReduceConfig = decode(item)?;
        let by = paths(item, "by", config.by)?;
        let mut merges = Vec::new();
        for (name, how) in config.merge {
            let path = path(item, "merge", &name)?;
            let Value::String(how) = how else {
                let message = format!("how `{name}` is merged must be text");
                return Err(error(item, "merge", message));
            };
            merges.push((path, Merge::parse(&how).map_err(refused(item, "merge"))?));
        }
        let bounds = Bounds {
            within: config.reduce.0,
            idle: config.idle.map(|idle| idle.0),
            events_max: config.events_max,
            keys_max: config.keys_max.unwrap_or(reduce::KEYS_MAX_DEFAULT),
            bytes_max: config
                .bytes_max
                .map_or(reduce::BYTES_MAX_DEFAULT, |bytes| bytes.0 as usize),
        };
        if bounds.within.is_zero() || bounds.idle.is_some_and(|idle| idle.is_zero()) {
            let message = "in no time nothing is merged".to_owned();
            let help = "say for how long events wait for others of their group: 30s";
            return Err(error(item, Reduce::NAME, message).help(help));
        }
        let mut rule = |option| item.rule(option).and_then(|text| self.rule(text));
        let (starts, ends) = (rule("starts_when"), rule("ends_when"));
        let reduce = Reduce::new(&by, bounds, &merges, starts, ends, self.needs);
        Ok(Box::new(reduce))
    }

    fn redact(&mut self, item: &WithItem) -> Built {
        let config: RedactConfig = decode(item)?;
        let mut detectors = Vec::new();
        for name in config.redact.into_vec() {
            detectors.push(Detector::build(&name).map_err(refused(item, Redact::NAME))?);
        }
        let fields = paths(item, "fields", config.fields)?;
        let mask = match (config.mask, config.hash_key) {
            (None, None) => Mask::Kind,
            (Some(mask), None) => Mask::text(&mask).map_err(refused(item, "mask"))?,
            (None, Some(key)) => Mask::hash(&key).map_err(refused(item, "hash_key"))?,
            (Some(_), Some(_)) => {
                return Err(
                    error(item, "mask", "`mask` and `hash_key` are both there".into())
                        .help("keep one of them"),
                );
            }
        };
        Ok(Box::new(Redact::new(detectors, mask, &fields, self.needs)))
    }

    fn parse(&mut self, item: &WithItem) -> Built {
        let config: ParseConfig = decode(item)?;
        let format = CompiledFormat::build(&config.parse)
            .map_err(|e| error(item, Parse::NAME, e.to_string()))?;
        let field = config.field.as_deref().unwrap_or("message");
        let field = path(item, "field", field)?;
        let into = config.into.map(|name| path(item, "into", &name));
        let mut parse = Parse::new(Box::new(format), &field, into.transpose()?, self.needs);
        if item.heeds_stream {
            parse = parse.heeding_streams();
        }
        Ok(Box::new(parse))
    }

    fn histogram(&mut self, item: &WithItem) -> Built {
        let config: HistogramConfig = decode(item)?;
        let by = paths(item, "by", config.by)?;
        let value = path(item, "value", &config.value)?;
        let max = config.max_series.unwrap_or(SERIES_MAX_DEFAULT);
        let buckets = config.buckets.unwrap_or(BUCKETS_DEFAULT.to_vec());
        if buckets.is_empty() || !buckets.is_sorted_by(|a, b| a < b) {
            let message = "`buckets` must be numbers in ascending order".to_owned();
            return Err(error(item, "buckets", message));
        }
        let kind = SeriesKind::Histogram(buckets.into());
        let series = self.series(item, &config.histogram, kind, &by, max)?;
        Ok(Box::new(Histogram::new(series, &value, &by, self.needs)))
    }

    /// The metric of this name: a new one, or the one that counts the same.
    fn series(
        &mut self,
        item: &WithItem,
        name: &str,
        kind: SeriesKind,
        by: &[Path],
        max: usize,
    ) -> Result<Arc<Series>, Diagnostic> {
        let verb = &*item.verb.value;
        let part = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !part(name) || name.starts_with("tflog_") {
            let message = format!("`{name}` cannot name a metric");
            let help = "use letters, digits and `_`; `tflog_` begins tflog's own";
            return Err(error(item, verb, message).help(help));
        }
        let label = |path: &Path| {
            path.dotted()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        };
        let series = Series::new(name, kind, by.iter().map(label).collect(), max);
        match self.series.iter().find(|known| known.name() == name) {
            Some(known) if known.is_like(&series) => Ok(known.clone()),
            Some(_) => {
                let message = format!("two metrics are named `{name}` and are not alike");
                let help = "give both the same `by` and bounds, or different names";
                Err(error(item, verb, message).help(help))
            }
            None => {
                let alike = |known: &&Arc<Series>| known.name() == name && known.is_like(&series);
                let running = self.running.iter().find(alike).cloned();
                self.series
                    .push(running.unwrap_or_else(|| Arc::new(series)));
                Ok(self.series[self.series.len() - 1].clone())
            }
        }
    }
}

impl Planner<'_> {
    /// The lists of all sources, routes and sinks. Routes that have one are
    /// listed apart in the table.
    pub(super) fn lists(&mut self, table: Option<&mut Table>, running: &[Arc<Series>]) -> Withs {
        let config = self.config;
        let mut verbs = Verbs {
            needs: &mut self.needs,
            errors: &mut self.errors,
            series: Vec::new(),
            running,
        };
        let sources = config.sources.iter().map(|s| verbs.list(&s.with)).collect();
        let routes = config.routes.iter().flatten();
        let routes: Vec<_> = routes.map(|r| verbs.list(&r.with)).collect();
        let sinks = config.sinks.iter().map(|s| verbs.list(&s.with)).collect();
        let series = verbs.series;
        if let Some(table) = table {
            let listed = routes
                .iter()
                .enumerate()
                .filter(|(_, list)| !list.is_empty());
            listed.for_each(|(route, _)| table.list(route));
        }
        for sink in &config.sinks {
            if let Some(item) = sink.with.first()
                && passing::is_named(config, &sink.name)
            {
                let message = format!(
                    "`{}` gets what other sinks could not deliver, as it was for them: its `with` would do nothing",
                    sink.name
                );
                let help = "write it at the sinks that name this one";
                self.errors
                    .push(error(item, &item.verb.value, message).help(help));
            }
        }
        Withs {
            sources,
            routes,
            sinks,
            series,
            editor: None,
            prints: Prints {
                sources: config
                    .sources
                    .iter()
                    .map(|s| print::list(&s.with))
                    .collect(),
                routes: config
                    .routes
                    .iter()
                    .flatten()
                    .map(|r| print::list(&r.with))
                    .collect(),
                sinks: config.sinks.iter().map(|s| print::list(&s.with)).collect(),
            },
        }
    }

    /// What edits events, where any list is. The needs must be complete.
    pub(super) fn editor(&mut self, with: &Withs) -> Option<Editor> {
        let mut all = with.sources.iter().chain(&with.routes).chain(&with.sinks);
        all.find(|list| !list.is_empty())?;
        let formats = Formats::build("json", &self.needs, json);
        // What it needs, whole events, verbs that edit have asked for.
        let encoder = json_encoder(&mut self.needs.clone());
        match (formats, encoder) {
            (Ok(formats), Ok(encoder)) => Some(Editor { formats, encoder }),
            _ => None,
        }
    }
}

fn decode<C: DeserializeOwned>(item: &WithItem) -> Result<C, Diagnostic> {
    serde_json::from_value(item.options.clone().into()).map_err(|e| {
        let message = e.to_string();
        let unknown = message.strip_prefix("unknown field `");
        let key = unknown.and_then(|rest| rest.split('`').next());
        let place = key.unwrap_or(&item.verb.value);
        error(item, place, format!("`{}`: {message}", item.verb.value))
    })
}

fn error(item: &WithItem, option: &str, message: String) -> Diagnostic {
    let place: &Place = item.place(option);
    Diagnostic::error("config::with", message).at(place)
}

/// A verb's own error, at one of its options.
fn refused(item: &WithItem, option: &str) -> impl FnOnce(TransformError) -> Diagnostic {
    move |e| {
        let diagnostic = error(item, option, e.message);
        match e.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

/// This machine's name; empty where the system does not tell.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn path(item: &WithItem, option: &str, name: &str) -> Result<Path, Diagnostic> {
    Path::parse(name).map_err(|e| {
        let message = format!("`{name}` is no name of a field: {e}");
        error(item, option, message).help("quote odd parts: k8s.\"app/name\"")
    })
}

fn paths(item: &WithItem, option: &str, names: Names) -> Result<Vec<Path>, Diagnostic> {
    let names = names.into_vec();
    names.iter().map(|name| path(item, option, name)).collect()
}
