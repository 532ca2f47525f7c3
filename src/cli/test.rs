//! `tflog test`: do the lines of `tests:` go where they are expected to?

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::args::{Options, Test};
use super::{EXIT_FAILURE, EXIT_USAGE, explain, print, say, setup};
use crate::config::{Config, TestConfig};
use crate::event::Timestamp;
use crate::pipeline::explain::{Explainer, Explanation, Style, event};
use crate::route::{Seen, Unmet};

/// Runs the tests; the exit code.
pub(super) fn main(arguments: &Test) -> u8 {
    run(arguments).unwrap_or_else(|code| code)
}

/// A test that was run.
struct Outcome {
    name: String,
    place: String,
    source: String,
    took: Duration,
    /// What is wrong, as text; none if it passed.
    failure: Option<String>,
}

fn run(arguments: &Test) -> Result<u8, u8> {
    let options = Options {
        config: arguments.config.clone(),
        ..Options::default()
    };
    let mut loaded = setup::load_or_say(&setup::inputs(&options, setup::environment()))?;
    unsampled(&mut loaded.config);
    let config = &loaded.config;
    if config.tests.is_empty() {
        say("tflog: the config has no `tests:`\n  help: tflog test --help shows how to write one");
        return Err(EXIT_USAGE);
    }
    let (mut explainer, world) = explain::explainer(&loaded)?;
    let now = world.clock.now();
    let mut outcomes = Vec::with_capacity(config.tests.len());
    for at in 0..config.tests.len() {
        outcomes.push(one(config, at, &mut explainer, now)?);
    }
    let mut text = String::new();
    for outcome in &outcomes {
        // Writing to a string cannot fail.
        let _ = match &outcome.failure {
            None => writeln!(text, "ok    {}", outcome.name),
            Some(failure) => {
                writeln!(
                    text,
                    "FAIL  {} ({})\n{}",
                    outcome.name,
                    outcome.place,
                    failure.trim_end()
                )
            }
        };
    }
    let failed = outcomes.iter().filter(|o| o.failure.is_some()).count();
    let passed = outcomes.len() - failed;
    let _ = writeln!(text, "{passed} passed, {failed} failed");
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit(&outcomes)).map_err(|error| {
            say(&format!("tflog: cannot write {}: {error}", path.display()));
            EXIT_FAILURE
        })?;
    }
    let code = print(&text);
    Ok(if failed > 0 { EXIT_FAILURE } else { code })
}

/// Takes out of `with` lists what lets only some events through: a test is
/// about where events go that do.
fn unsampled(config: &mut Config) {
    let sources = config.sources.iter_mut().map(|source| &mut source.with);
    let routes = config
        .routes
        .iter_mut()
        .flatten()
        .map(|route| &mut route.with);
    let sinks = config.sinks.iter_mut().map(|sink| &mut sink.with);
    for list in sources.chain(routes).chain(sinks) {
        list.retain(|item| !matches!(item.verb.value.as_str(), "sample" | "limit" | "dedupe"));
    }
}

/// Runs the test at place `at`.
fn one(
    config: &Config,
    at: usize,
    explainer: &mut Explainer,
    now: Timestamp,
) -> Result<Outcome, u8> {
    let test = &config.tests[at];
    let source = match &test.source[..] {
        [] if config.sources.len() > 1 => {
            let names: Vec<_> = explainer.sources().collect();
            let names = names.join(", ");
            let place = &test.place;
            say(&format!(
                "tflog: {place}: the test has no `source`\n  help: name one of {names}"
            ));
            return Err(EXIT_USAGE);
        }
        [] => 0,
        [name, ..] => {
            let place = explainer.sources().position(|source| source == name.value);
            // The reader has checked the name.
            place.ok_or(EXIT_USAGE)?
        }
    };
    let started = Instant::now();
    // A stream of its own: what other tests had for lines must not matter.
    explainer.begin(source, &[]);
    let explanation = explainer.explain_one(source, now, event(&test.input));
    let failure = failure(test, at, &explanation, explainer);
    Ok(Outcome {
        name: test
            .name
            .clone()
            .unwrap_or_else(|| format!("test {}", at + 1)),
        place: test.place.to_string(),
        source: config.sources[source].name.clone(),
        took: started.elapsed(),
        failure,
    })
}

/// What is expected (`-`) and what is so (`+`), sink by sink, and why the event
/// went where it did.
fn failure(
    test: &TestConfig,
    at: usize,
    explanation: &Explanation,
    explainer: &Explainer,
) -> Option<String> {
    let mut diff = String::new();
    // Writing to a string cannot fail.
    for (place, (sink, _)) in test.expect.iter().enumerate() {
        if !explanation.sinks.iter().any(|copy| copy.sink == sink.value) {
            let _ = writeln!(
                diff,
                "    - {}  is expected to get it and does not",
                sink.value
            );
            continue;
        }
        let unmet = explainer.unmet(at, place, &sink.value);
        if !unmet.is_empty() {
            let _ = writeln!(diff, "      {}", sink.value);
            unmet.iter().for_each(|unmet| diff.push_str(&fields(unmet)));
        }
    }
    for copy in &explanation.sinks {
        if !test.expect.iter().any(|(sink, _)| sink.value == copy.sink) {
            let _ = writeln!(
                diff,
                "    + {}  gets it by {}, unexpectedly",
                copy.sink, copy.route
            );
        }
    }
    if diff.is_empty() {
        return None;
    }
    let why = explanation.to_text(Style::default());
    let why = why.lines().map(|line| format!("      {line}\n"));
    Some(format!("{diff}    because\n{}", why.collect::<String>()))
}

fn fields(unmet: &Unmet) -> String {
    let Seen { path, text, .. } = &unmet.saw;
    let wanted = unmet.wanted.as_deref().unwrap_or("absent");
    let found = match text {
        Some(text) => format!("{:?}", String::from_utf8_lossy(text)),
        None => "absent".to_owned(),
    };
    format!("    -   {path}: {wanted}\n    +   {path}: {found}\n")
}

/// The results as `JUnit` XML, as CI servers read it.
fn junit(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|o| o.failure.is_some()).count();
    let all: Duration = outcomes.iter().map(|o| o.took).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{:.6}\"",
        outcomes.len(),
        all.as_secs_f64()
    );
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"tflog\" {counts}>\n"
    );
    for outcome in outcomes {
        let _ = write!(
            xml,
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.6}\"",
            escape(&outcome.name),
            escape(&outcome.source),
            outcome.took.as_secs_f64()
        );
        match &outcome.failure {
            None => xml.push_str("/>\n"),
            Some(failure) => {
                let _ = writeln!(
                    xml,
                    ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escape(&outcome.place),
                    escape(failure)
                );
            }
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text as XML 1.0 may hold it: what it cannot hold at all is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_well_formed_whatever_is_in_them() {
        let outcome = |failure: Option<&str>| Outcome {
            name: "<a> & \"b\"\u{0}".to_owned(),
            place: "t.yaml:1:1".to_owned(),
            source: "app".to_owned(),
            took: Duration::from_millis(1),
            failure: failure.map(str::to_owned),
        };
        let xml = junit(&[outcome(None), outcome(Some("]]> \u{1b}"))]);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(
            xml.contains("name=\"&lt;a&gt; &amp; &quot;b&quot;\u{fffd}\""),
            "{xml}"
        );
        assert!(xml.contains(">]]&gt; \u{fffd}</failure>"), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 2);
    }
}
