//! Where sources listen: each at an address of its own.

use super::Config;
use super::diagnostic::Diagnostic;
use crate::pipeline::PlannedSource;
use crate::seam::Address;

/// The sources that would listen where another one does.
pub(super) fn taken(config: &Config, sources: &[PlannedSource]) -> Vec<Diagnostic> {
    let at: Vec<_> = sources
        .iter()
        .filter_map(|source| Some((source.labels.id.as_str(), source.source.address()?)))
        // Port 0 is another one each time.
        .filter(|(_, address)| !matches!(address, Address::Tcp(text) if text.ends_with(":0")))
        .collect();
    let mut errors = Vec::new();
    for (place, (name, address)) in at.iter().enumerate() {
        let Some((other, _)) = at[..place].iter().find(|(_, other)| other == address) else {
            continue;
        };
        let message = format!("sources `{other}` and `{name}` both listen at {address}");
        let mut error = Diagnostic::error("sources", message);
        if let Some(source) = config.sources.iter().find(|s| s.name == *name) {
            error = error.at(source.places.of(Some("url")));
        }
        errors.push(error.help("give one of them another address"));
    }
    errors
}
