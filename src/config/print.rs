//! Hashes of what is written of components: equal ones need no restart.
//!
//! Of 128 bits, so that no two different configs ever look the same; values, with
//! secrets among them, cannot be read from them.

use xxhash_rust::xxh3::Xxh3;

use super::SinkConfig;
use super::with::WithItem;
use crate::component::Definition;

/// Of a source that the command line gives: it never changes.
pub(super) const GIVEN: u128 = 0;

struct Print(Xxh3);

impl Print {
    fn new() -> Print {
        Print(Xxh3::new())
    }

    /// Adds one text, apart from what is next to it.
    fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn add_definition(&mut self, definition: &Definition) {
        self.add(&definition.name);
        self.add(&definition.scheme);
        self.add(&definition.target);
        self.add(if definition.tls { "tls" } else { "" });
        self.add_map(&definition.options);
    }

    fn add_map(&mut self, options: &serde_json::Map<String, serde_json::Value>) {
        self.add(&serde_json::Value::Object(options.clone()).to_string());
    }

    fn done(self) -> u128 {
        self.0.digest128()
    }
}

/// Of a text.
pub(super) fn text(text: &str) -> u128 {
    let mut print = Print::new();
    print.add(text);
    print.done()
}

/// Of what a component is built from.
pub(super) fn definition(definition: &Definition) -> u128 {
    let mut print = Print::new();
    print.add_definition(definition);
    print.done()
}

/// Of a sink, but for its buffer's settings, which can change while it runs, and
/// its `with`, which routers run. Onto the disk and off it takes another driver,
/// since its queue is another.
pub(super) fn sink(sink: &SinkConfig) -> u128 {
    let mut print = Print::new();
    print.add_definition(&sink.definition);
    print.add(if sink.required { "required" } else { "" });
    print.add(sink.buffer.disk.map_or("", |_| "disk"));
    for name in [&sink.encode, &sink.dead_letter, &sink.fallback] {
        print.add(name.as_ref().map_or("", |name| &name.value));
    }
    print.done()
}

/// Of a `with` list.
pub(super) fn list(items: &[WithItem]) -> u128 {
    let mut print = Print::new();
    for item in items {
        print.add(&item.verb.value);
        print.add(item.when.as_ref().map_or("", |when| &when.value));
        print.add_map(&item.options);
    }
    print.done()
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Inputs, load};
    use super::*;

    fn prints(text: &str) -> (u128, u128, u128) {
        let name = "tflog.yaml".to_owned();
        let files = vec![Input::Text {
            name,
            text: text.to_owned(),
        }];
        let config = load(&Inputs {
            files,
            ..Inputs::default()
        });
        let config = config.expect("valid").config;
        (
            definition(&config.sources[0].definition),
            sink(&config.sinks[0]),
            list(&config.sinks[0].with),
        )
    }

    #[test]
    fn a_print_is_of_what_is_written_and_not_of_where() {
        let text = "sources: { a: { url: 'tcp://:1', window: 1MiB } }\nsinks: { k: { url: stdout, encode: json, with: [ { set: { x: 1 } } ] } }\n";
        let first = prints(text);
        assert_eq!(prints(&format!("\n\n# moved\n{text}")), first);
        let changed = |from: &str, to: &str| {
            let changed = prints(&text.replacen(from, to, 1));
            (
                changed.0 != first.0,
                changed.1 != first.1,
                changed.2 != first.2,
            )
        };
        assert_eq!(
            changed("window: 1MiB", "window: 2MiB"),
            (true, false, false)
        );
        assert_eq!(changed("tcp://:1", "tcp://:2"), (true, false, false));
        assert_eq!(changed("encode: json", "encode: raw"), (false, true, false));
        assert_eq!(changed("x: 1", "x: 2"), (false, false, true));
        let more = "encode: json, buffer: { memory: 1MiB }";
        assert_eq!(changed("encode: json", more), (false, false, false));
        let on_disk = "encode: json, buffer: { disk: 8MiB }";
        assert_eq!(changed("encode: json", on_disk), (false, true, false));
    }
}
