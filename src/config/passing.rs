//! Sinks that get what other sinks cannot take: dead letters and fallbacks.

use super::diagnostic::Diagnostic;
use super::place::{Place, Spanned};
use super::plan::{LOCAL_BUFFER, Planner};
use super::{Config, SinkConfig, print, registry};
use crate::component::Definition;
use crate::pipeline::PlannedSink;
use crate::seam::{StateDirectory, World};
use crate::sink::Concurrency;
use crate::sink::driver::LoadLimits;
use crate::sink::encode::{Encoder, Options};
use crate::telemetry::{Labels, Quota, WhenFull};

/// What a sink passes on to which.
#[derive(Clone, Copy)]
enum Kind {
    DeadLetter,
    Fallback,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::DeadLetter => "dead_letter",
            Kind::Fallback => "fallback",
        }
    }

    fn of(self, sink: &SinkConfig) -> Option<&Spanned<String>> {
        match self {
            Kind::DeadLetter => sink.dead_letter.as_ref(),
            Kind::Fallback => sink.fallback.as_ref(),
        }
    }
}

/// Whether another sink names this one as its `dead_letter` or `fallback`: then
/// a config without routes sends it nothing else.
pub(super) fn is_named(config: &Config, name: &str) -> bool {
    let named = |kind: Kind| {
        let mut names = config.sinks.iter().filter_map(|s| kind.of(s));
        names.any(|n| n.value == name)
    };
    named(Kind::DeadLetter) || named(Kind::Fallback)
}

/// Joins the sinks, of which `encoders` write what they refuse. Services
/// without a `dead_letter` get a file under the state directory, if there is one.
pub(super) fn join(
    planner: &mut Planner<'_>,
    sinks: &mut Vec<PlannedSink>,
    encoders: Vec<Encoder>,
) {
    let config = planner.config;
    let mut errors = Vec::new();
    for (place, (sink, encoder)) in config.sinks.iter().zip(encoders).enumerate() {
        let mut find = |kind| match find(config, sink, kind) {
            Ok(found) => found,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        sinks[place].fallback = find(Kind::Fallback);
        let dead_letter = find(Kind::DeadLetter);
        let answers = sinks[place].sink.concurrency() != Concurrency::One;
        let default = dead_letter.is_none() && answers && !is_named(config, &sink.name);
        let state = if default { planner.state() } else { None };
        let dead_letter = match state {
            Some(state) => match dead_letter_file(planner, sink, &state) {
                Ok(file) => {
                    // Not written, and yet another sink than without it.
                    sinks[place].print ^= 1;
                    sinks.push(file);
                    Some(sinks.len() - 1)
                }
                Err(error) => {
                    errors.push(error);
                    None
                }
            },
            None => dead_letter,
        };
        sinks[place].dead_letter = dead_letter.map(|to| (to, encoder));
    }
    if errors.is_empty() {
        errors.extend(cycle(config));
    }
    planner.errors.extend(errors);
}

fn find(config: &Config, sink: &SinkConfig, kind: Kind) -> Result<Option<usize>, Diagnostic> {
    let Some(name) = kind.of(sink) else {
        return Ok(None);
    };
    let key = kind.key();
    let error = |message: String, help: &str| {
        Err(Diagnostic::error(key, message)
            .at(&name.place)
            .help(help.to_owned()))
    };
    let found = config.sinks.iter().position(|s| s.name == name.value);
    let Some(found) = found else {
        return error(
            format!(
                "`{key}` of sink `{}`: there is no sink `{}`",
                sink.name, name.value
            ),
            "name a sink of this config",
        );
    };
    let target = &config.sinks[found];
    if matches!(kind, Kind::DeadLetter) && target.dead_letter.is_some() {
        return error(
            format!(
                "`{}` takes dead letters and cannot have any of its own",
                target.name
            ),
            "name a sink without `dead_letter`, such as a file",
        );
    }
    if sink.required && !target.required {
        return error(
            format!(
                "`{}` is required, and its `{key}` `{}` may drop events",
                sink.name, target.name
            ),
            "remove `required: false` there, or write it here too",
        );
    }
    let routed = config
        .routes
        .iter()
        .flatten()
        .flat_map(|r| r.to.iter().flatten());
    if matches!(kind, Kind::Fallback) && routed.into_iter().any(|to| to.value == target.name) {
        return error(
            format!(
                "`{}` is a fallback and cannot be the target of a route too",
                target.name
            ),
            "give it a sink of its own: the same URL under another name",
        );
    }
    Ok(Some(found))
}

/// A sink whose copies would come back to it.
fn cycle(config: &Config) -> Option<Diagnostic> {
    let index = |name: &str| config.sinks.iter().position(|s| s.name == name);
    let next = |sink: &SinkConfig| {
        let names = [&sink.dead_letter, &sink.fallback].into_iter().flatten();
        names.filter_map(|n| index(&n.value)).collect::<Vec<_>>()
    };
    config.sinks.iter().enumerate().find_map(|(start, sink)| {
        let mut seen = vec![false; config.sinks.len()];
        let mut queue = next(sink);
        while let Some(at) = queue.pop() {
            if at == start {
                let message = format!("what `{}` passes on would come back to it", sink.name);
                let place: &Place = sink.places.of(None);
                return Some(
                    Diagnostic::error("dead_letter", message)
                        .at(place)
                        .help("end every chain of `fallback` and `dead_letter` in another sink"),
                );
            }
            if !std::mem::replace(&mut seen[at], true) {
                queue.extend(next(&config.sinks[at]));
            }
        }
        None
    })
}

fn dead_letter_file(
    planner: &mut Planner<'_>,
    sink: &SinkConfig,
    state: &StateDirectory,
) -> Result<PlannedSink, Diagnostic> {
    let (config, needs) = (planner.config, &mut planner.needs);
    let path = state
        .path()
        .join(StateDirectory::DEAD_LETTERS)
        .join(format!("{}.jsonl", sink.name));
    let world = World {
        disk: state.disk(),
        ..planner.world.clone()
    };
    let definition = Definition {
        name: format!("{}_dead", sink.name).into(),
        scheme: crate::sink::file::NAME.to_owned(),
        tls: false,
        // Nothing in it is a template.
        target: path.to_string_lossy().replace('{', "{{"),
        options: serde_json::Map::new(),
    };
    // Only options are refused.
    let raw = Encoder::build("raw", Options::default(), needs)
        .map_err(|error| config.diagnostic(&definition.error(error.to_string())))?;
    let (built, _) = registry::sink(&definition, raw, &world, needs)
        .map_err(|error| config.diagnostic(&error))?;
    let print = print::definition(&definition);
    Ok(PlannedSink {
        labels: Labels {
            id: definition.name.to_string(),
            scheme: definition.scheme,
        },
        sink: built,
        required: true,
        quota: Quota {
            bytes_max: LOCAL_BUFFER.0,
            when_full: WhenFull::Block,
        },
        disk: None,
        limits: LoadLimits {
            bytes_max: LOCAL_BUFFER.0,
            events_max: u64::MAX,
            linger: std::time::Duration::ZERO,
        },
        dead_letter: None,
        fallback: None,
        print,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::plan::{Extras, build};
    use crate::config::{Input, Inputs, load};
    use crate::event::Timestamp;
    use crate::seam::World;

    /// What must not drop passes nothing to what may: it would be acknowledged.
    #[test]
    fn what_a_required_sink_passes_on_goes_to_a_required_one() {
        let plan = |key: &str, main: bool, other: bool| {
            let text = format!(
                "sources: {{ in: stdin }}\n\
                 sinks:\n  \
                   a: {{ url: 'blackhole:', required: {main}, {key}: b }}\n  \
                   b: {{ url: 'blackhole:', required: {other} }}\n"
            );
            let name = "tflog.yaml".to_owned();
            let inputs = Inputs {
                files: vec![Input::Text { name, text }],
                ..Inputs::default()
            };
            let config = load(&inputs).expect("loads").config;
            let world = World::simulated(Timestamp(0), 7);
            build(&config, Extras::default(), &world).map(|_| ())
        };
        for key in ["dead_letter", "fallback"] {
            for (main, other) in [(true, true), (false, true), (false, false)] {
                assert_eq!(plan(key, main, other), Ok(()));
            }
            let errors = plan(key, true, false).expect_err("may drop");
            assert!(
                errors[0].to_string().contains("may drop events"),
                "{errors:?}"
            );
        }
    }
}
