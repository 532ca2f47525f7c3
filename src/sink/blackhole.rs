//! The sink `blackhole`: encodes and throws away, to measure what is before it.

use serde::Deserialize;

use super::encode::Encoder;
use super::outgoing::Outgoing;
use super::{Load, Sink, SinkFuture, Written};
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::World;

/// The URL scheme.
pub const NAME: &str = "blackhole";

/// It has no options of its own.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// Counts bytes.
pub struct Blackhole(Outgoing);

/// Builds the sink.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    _world: &World,
    _needs: &mut Needs,
) -> Result<Blackhole, BuildError> {
    let Config {} = definition.decode()?;
    Ok(Blackhole(Outgoing::new(encoder)))
}

impl Sink for Blackhole {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        self.0.prepare(load);
        let written = self.0.finish();
        Box::pin(async move { Ok(written) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::sink::encode::Options;
    use crate::sink::fixture::{definition, lines, load};

    #[tokio::test]
    async fn bytes_are_those_of_the_encoding() {
        let mut needs = Needs::default();
        let json = Encoder::build("json", Options::default(), &mut needs).unwrap();
        let world = World::simulated(Timestamp(0), 1);
        let none = definition(NAME, "", serde_json::json!({}));
        let mut sink = build(&none, json, &world, &mut needs).unwrap();
        let written = sink.write(&load(vec![lines("a\n")], true)).await.unwrap();
        assert_eq!(written.bytes, "{\"message\":\"a\"}\n".len() as u64);
        let unknown = definition(NAME, "", serde_json::json!({ "rate": 1 }));
        assert!(unknown.decode::<Config>().is_err());
    }
}
