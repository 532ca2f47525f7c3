//! From the name of a format to the parsers of a source's streams.

use std::sync::Arc;

use super::Parser;
use super::csv::Separated;
use super::detect::{Decision, Detect, Stock};
use super::pairs::{Pairs, Syntax};
use super::pattern::{Pattern, TemplateError};
use super::raw::Raw;
use super::regex::Expression;
use super::syslog::{Syslog, Variant};
use super::table::formats;
use super::text::Text;
use crate::event::{Columns, Defs, Needs, Timestamp};

/// Builds the JSON parser for the plan's needs.
pub type JsonParser = fn(&Needs) -> Box<dyn Parser>;

/// The formats that are not in the table of templates.
const CODED: [&str; 11] = [
    "auto",
    "json",
    "logfmt",
    "ltsv",
    "csv",
    "tsv",
    "syslog",
    "syslog3164",
    "syslog5424",
    "text",
    "raw",
];

/// Why a format was refused.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// There is no format of that name.
    #[error("`{name}` is no format{}; use one of {valid}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// What was written.
        name: String,
        /// The most similar name, if one is similar.
        nearest: Option<String>,
        /// All names.
        valid: String,
    },
    /// The template after `pattern:` does not compile.
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// The expression after `regex:` does not compile or has no named group.
    #[error("the regex: {0}")]
    Regex(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The compiled formats of one source. Cheap to share; [`Formats::reader`]
/// makes what a stream needs of its own.
#[derive(Clone)]
pub struct Formats {
    needs: Needs,
    defs: Arc<Defs>,
    kind: Arc<Kind>,
    raw: Raw,
    json: JsonParser,
}

enum Kind {
    Json,
    Pairs(Pairs),
    Separated(Separated),
    Expression(Expression),
    Syslog(Syslog),
    Text(Text),
    Raw(Raw),
    Pattern(Pattern),
    Detect(Box<[Stock]>),
}

impl Formats {
    /// The format `format` as `parse:` takes it: a name of [`Formats::names`],
    /// `csv:` or `tsv:` and a header, `pattern:` and a template, or `regex:` and an
    /// expression.
    pub fn build(format: &str, needs: &Needs, json: JsonParser) -> Result<Formats, FormatError> {
        let mut defs = Defs::default();
        let kind = kind(format, needs, &mut defs)?;
        let raw = Raw::new(needs, &mut defs);
        Ok(Formats {
            needs: needs.clone(),
            defs: Arc::new(defs),
            kind: Arc::new(kind),
            raw,
            json,
        })
    }

    /// The names of all formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CODED.into_iter().chain(formats().map(|f| f.name))
    }

    /// What the plan needs of the lines.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whether the format, or its header, is found out for each stream on its
    /// own, so that each stream wants a reader of its own.
    #[must_use]
    pub fn is_detected(&self) -> bool {
        matches!(*self.kind, Kind::Detect(..) | Kind::Separated(..))
    }

    /// Whether a stream's later lines say as well as its first ones which format
    /// it has; a header does not come again.
    #[must_use]
    pub fn can_decide_anew(&self) -> bool {
        matches!(*self.kind, Kind::Detect(..))
    }

    /// A reader for one stream.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let parser: Box<dyn Parser> = match &*self.kind {
            Kind::Json => (self.json)(&self.needs),
            Kind::Pairs(parser) => Box::new(parser.clone()),
            Kind::Separated(parser) => Box::new(parser.clone()),
            Kind::Expression(parser) => Box::new(parser.clone()),
            Kind::Syslog(parser) => Box::new(parser.clone()),
            Kind::Text(parser) => Box::new(parser.clone()),
            Kind::Raw(parser) => Box::new(parser.clone()),
            Kind::Pattern(parser) => Box::new(parser.clone()),
            Kind::Detect(stock) => {
                let make = |s: &Stock| s.parser(|| (self.json)(&self.needs));
                Box::new(Detect::new(stock.iter().map(make).collect(), &self.needs))
            }
        };
        Reader {
            needs: self.needs.clone(),
            defs: self.defs.clone(),
            parser,
            fallback: self.raw.clone(),
        }
    }
}

/// Reads the batches of one stream.
pub struct Reader {
    needs: Needs,
    defs: Arc<Defs>,
    parser: Box<dyn Parser>,
    fallback: Raw,
}

impl Reader {
    /// Reads every line of a batch that was read at `observed` into `columns`,
    /// which it resets. Does nothing if the plan needs nothing.
    pub fn read(&mut self, observed: Timestamp, text: &[u8], ends: &[u32], columns: &mut Columns) {
        if self.needs.is_empty() {
            return;
        }
        self.parser.begin(observed);
        if let Some(defs) = self.parser.learn(text, ends) {
            self.defs = defs;
        }
        columns.reset(&self.needs, ends.len(), &self.defs);
        self.parser.parse(text, ends, columns, &mut self.fallback);
    }

    /// Reads another stream from here on, one whose format is detected: takes up what
    /// is known of it, and leaves what was known of the one before.
    pub fn turn_to(&mut self, stream: &mut Decision) {
        self.parser.turn_to(stream);
    }

    /// The name of the format that the last line had: for `auto`, the one it
    /// found.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.parser.name()
    }
}

fn kind(format: &str, needs: &Needs, defs: &mut Defs) -> Result<Kind, FormatError> {
    if let Some(template) = format.strip_prefix("pattern:") {
        return Ok(Kind::Pattern(Pattern::build(
            "pattern",
            template.trim(),
            needs,
            defs,
        )?));
    }
    if let Some(expression) = format.strip_prefix("regex:") {
        let built = Expression::build(expression.trim(), needs, defs);
        return built.map(Kind::Expression).map_err(FormatError::Regex);
    }
    let (name, header) = format.split_once(':').unwrap_or((format, ""));
    let separated = |name, delimiter, defs| {
        Kind::Separated(Separated::build(name, delimiter, header, needs, defs))
    };
    match name.trim() {
        "csv" => return Ok(separated("csv", b',', defs)),
        "tsv" => return Ok(separated("tsv", b'\t', defs)),
        _ => {}
    }
    Ok(match format {
        "auto" => Kind::Detect(auto(needs, defs)?),
        "json" => Kind::Json,
        "logfmt" => Kind::Pairs(Pairs::build(Syntax::Logfmt, needs, defs)),
        "ltsv" => Kind::Pairs(Pairs::build(Syntax::Ltsv, needs, defs)),
        "syslog" => Kind::Syslog(Syslog::build(Variant::Any, needs, defs)),
        "syslog3164" => Kind::Syslog(Syslog::build(Variant::Rfc3164, needs, defs)),
        "syslog5424" => Kind::Syslog(Syslog::build(Variant::Rfc5424, needs, defs)),
        "text" => Kind::Text(Text::build(needs, defs)),
        "raw" => Kind::Raw(Raw::new(needs, defs)),
        name => {
            let found = formats().find(|f| f.name == name);
            let found = found.ok_or_else(|| unknown(name))?;
            let patterns = patterns(found.name, found.templates, needs, defs)?;
            match &*patterns {
                [] => Kind::Json,
                [only] if !found.json => Kind::Pattern(only.clone()),
                _ => {
                    let json = found.json.then_some(Stock::Json);
                    let patterns = patterns.into_iter().map(Stock::Pattern);
                    Kind::Detect(json.into_iter().chain(patterns).collect())
                }
            }
        }
    })
}

fn patterns(
    name: &'static str,
    templates: &[&str],
    needs: &Needs,
    defs: &mut Defs,
) -> Result<Vec<Pattern>, TemplateError> {
    let compile = |template: &&str| Pattern::build(name, template, needs, defs);
    templates.iter().map(compile).collect()
}

/// What `auto` tries: what looks like nothing else first, what takes any line last.
fn auto(needs: &Needs, defs: &mut Defs) -> Result<Box<[Stock]>, TemplateError> {
    let mut stock = vec![Stock::Json];
    for format in formats() {
        let patterns = patterns(format.name, &format.templates[..format.auto], needs, defs)?;
        stock.extend(patterns.into_iter().map(Stock::Pattern));
    }
    stock.push(Stock::Syslog(Syslog::build(Variant::Sure, needs, defs)));
    for syntax in [Syntax::Ltsv, Syntax::Strict] {
        stock.push(Stock::Pairs(Pairs::build(syntax, needs, defs)));
    }
    stock.push(Stock::Text(Text::build(needs, defs)));
    Ok(stock.into())
}

fn unknown(name: &str) -> FormatError {
    let similarity = |candidate: &str| strsim::jaro_winkler(candidate, name);
    let nearest = Formats::names()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        // Below this two names share letters by accident.
        .filter(|best| similarity(best) > 0.75);
    let mut valid: Vec<&str> = Formats::names().collect();
    valid.extend(["csv:…", "tsv:…", "pattern:…", "regex:…"]);
    FormatError::Unknown {
        name: name.to_owned(),
        nearest: nearest.map(str::to_owned),
        valid: valid.join(", "),
    }
}
