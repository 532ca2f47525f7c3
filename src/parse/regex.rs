//! `regex:` — a regular expression with named groups (docs.rs/regex, "Syntax").
//!
//! Each named group that took part is a field of that name, dotted where it
//! nests: `(?<http.status>\\d+)`. The names and aliases of roles have that
//! role; a `timestamp` may be in any common layout. Matching is linear in the
//! line, whatever the expression; an expression that compiles to more than
//! [`REGEX_BYTES_MAX`] is refused.

use std::ops::Range;
use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::Parser;
use super::output::{Value, values};
use crate::component::regex_fault;
use crate::event::{Columns, Defs, Needs, Timestamp};

/// As much as the rules' expressions may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Reads lines by a regular expression.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// The named groups, in output order.
    groups: Arc<[(usize, Value)]>,
    found: CaptureLocations,
    reference: Timestamp,
}

impl Expression {
    pub(super) fn build(
        expression: &str,
        needs: &Needs,
        defs: &mut Defs,
    ) -> Result<Expression, String> {
        let regex = RegexBuilder::new(expression)
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| regex_fault(&error))?;
        let all = regex.capture_names().enumerate();
        let named: Vec<(usize, &str)> = all.filter_map(|(i, name)| Some((i, name?))).collect();
        if named.is_empty() {
            return Err("it has no named group; write (?<message>.*)".into());
        }
        let given: Vec<&str> = named.iter().map(|(_, name)| *name).collect();
        let groups = values(&given, needs, defs);
        let groups = groups.into_iter().map(|(i, value)| (named[i].0, value));
        Ok(Expression {
            groups: groups.collect(),
            found: regex.capture_locations(),
            regex,
            reference: Timestamp(0),
        })
    }
}

impl Parser for Expression {
    fn name(&self) -> &'static str {
        "regex"
    }

    fn begin(&mut self, observed: Timestamp) {
        self.reference = observed;
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let window = &text[line.clone()];
        let matched = self.regex.captures_read(&mut self.found, window).is_some();
        if matched {
            for (group, value) in &*self.groups {
                if let Some((start, end)) = self.found.get(*group) {
                    let span = line.start + start..line.start + end;
                    value.put(out, row, text, span, false, self.reference);
                }
            }
        }
        matched
    }
}
