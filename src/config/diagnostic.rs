//! What is wrong with a config, and how that is shown: for files the line with
//! a caret, for variables and flags one line.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

use super::place::{Origin, Place};
use super::secret::{self, Secrets};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config can be used, but may not mean what was meant.
    Warning,
    /// Worth knowing: nothing is wrong.
    Note,
}

/// One finding.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name: `config::unknown_key`.
    pub code: &'static str,
    /// What is wrong, lower case, without secrets.
    pub message: String,
    /// Where, if anywhere.
    pub place: Option<Place>,
    /// What to write beside the caret.
    pub label: Option<Box<str>>,
    /// Other places that have to do with it, and what to write beside them.
    pub others: Box<[(Place, Box<str>)]>,
    /// What to do about it.
    pub help: Option<Box<str>>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            label: None,
            others: Box::default(),
            help: None,
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }

    /// A note.
    #[must_use]
    pub fn note(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Note,
            ..Diagnostic::error(code, message)
        }
    }

    /// Says where else to look, and what is there.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Diagnostic {
        let mut others = self.others.into_vec();
        others.push((place, label.into().into()));
        self.others = others.into();
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Diagnostic {
        self.place = Some(place.clone());
        self
    }

    /// Says what to write beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into().into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into().into());
        self
    }

    /// Files first, each from its beginning.
    pub(crate) fn order(&self) -> (bool, String, usize) {
        match self.place.as_ref().map(|place| (&*place.origin, place)) {
            Some((Origin::File { name, .. }, place)) => (false, name.clone(), place.span.start),
            _ => (true, String::new(), 0),
        }
    }

    /// Takes secrets out of all that it says.
    pub(crate) fn redact(&mut self, secrets: &Secrets) {
        self.message = secrets.redact(&self.message);
        for text in [&mut self.label, &mut self.help].into_iter().flatten() {
            *text = secrets.redact(text).into();
        }
    }
}

/// `error[config::syntax]: tflog.yaml:3:1: message (help)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}[{}]: ", self.code)?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How findings are shown.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colours: for a terminal only.
    pub colour: bool,
    /// Columns to wrap at.
    pub width: usize,
}

/// Findings as text, each ended by a newline.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], style: Style) -> String {
    let theme = if style.colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_links(false)
        .with_context_lines(1);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let origin = diagnostic.place.as_ref().map(|place| &*place.origin);
        if let Some(Origin::File { name, text }) = origin {
            let shown = Shown {
                diagnostic,
                source: NamedSource::new(name, secret::conceal(text)),
            };
            let mut page = String::new();
            // Writing to a string fails only if a formatter does: then one line serves.
            if handler.render_report(&mut page, &shown).is_ok() {
                out.push_str(&page);
                continue;
            }
        }
        out.push_str(&diagnostic.to_string());
        out.push('\n');
    }
    out
}

/// A finding together with the text it points into.
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<String>,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.diagnostic.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.diagnostic.place.as_ref()?;
        let own = LabeledSpan::new_primary_with_span(
            self.diagnostic.label.as_deref().map(str::to_owned),
            self.first_line(place),
        );
        // Only one text can be shown: what is in another is named by the message.
        let others = self.diagnostic.others.iter();
        let others = others.filter(|(other, _)| other.origin == place.origin);
        let others = others.map(|(place, label)| {
            LabeledSpan::new_with_span(Some(label.to_string()), self.first_line(place))
        });
        Some(Box::new(std::iter::once(own).chain(others)))
    }
}

impl Shown<'_> {
    /// Start and length of what to underline: a whole map or block scalar would
    /// go over many lines.
    fn first_line(&self, place: &Place) -> (usize, usize) {
        let text = self.source.inner().get(place.span.clone());
        let line = text.unwrap_or_default().lines().next();
        (place.span.start, line.map_or(0, str::len))
    }
}
