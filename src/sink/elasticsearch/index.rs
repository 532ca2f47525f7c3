//! Names of indices: a template of the event's values, made legal.
//!
//! What is legal: lower case, none of `\ / * ? " < > | , # :` nor white space,
//! at most 255 bytes, not beginning with `-`, `_` or `+`, neither `.` nor `..`.
//! A name that begins with a value does not begin with a dot either: those are
//! the server's own indices. The name depends on the event alone, so that an
//! event that is sent again comes to the same index and is found by its id.

use crate::component::{BuildError, Definition};
use crate::event::{Batch, Needs};
use crate::sink::template::Template;

const BYTES_MAX: usize = 255;
/// What stands for a name that has nothing legal in it.
const NAMELESS: &str = "unknown";

/// A compiled name.
pub(super) struct Index {
    template: Template,
    /// Whether it begins with plain text, which the operator chose.
    plain_start: bool,
    rendered_constant: Option<String>,
}

impl Index {
    /// Compiles a name; what it needs is added to `needs`.
    pub(super) fn compile(
        definition: &Definition,
        text: &str,
        needs: &mut Needs,
    ) -> Result<Index, BuildError> {
        let template = Template::compile(text, needs)
            .map_err(|e| definition.error(format!("index {text:?}: {e}")).at("url"))?;
        let plain_start = !text.starts_with('{') || text.starts_with("{{");
        let mut index = Index {
            plain_start,
            rendered_constant: None,
            template,
        };
        if index.template.is_constant() {
            let mut name = String::new();
            index.legal(text.as_bytes(), &mut name);
            if name != text {
                return Err(definition
                    .error(format!("{text:?} is no legal name of an index"))
                    .at("url")
                    .help(format!("write {name:?}")));
            }
            index.rendered_constant = Some(name);
        }
        Ok(index)
    }

    /// The name, if it is the same for every event.
    pub(super) fn constant(&self) -> Option<&str> {
        self.rendered_constant.as_deref()
    }

    /// Puts a row's name into `name`; how many values were missing. `scratch`
    /// is recycled.
    pub(super) fn render(
        &self,
        batch: &Batch,
        row: usize,
        scratch: &mut Vec<u8>,
        name: &mut String,
    ) -> u64 {
        if let Some(constant) = &self.rendered_constant {
            name.clone_from(constant);
            return 0;
        }
        scratch.clear();
        let copy = |value: &[u8], out: &mut Vec<u8>| out.extend_from_slice(value);
        let missing = self.template.render(batch, row, scratch, copy);
        self.legal(scratch, name);
        missing
    }

    fn legal(&self, rendered: &[u8], name: &mut String) {
        name.clear();
        let starts: &[char] = if self.plain_start {
            &['-', '_', '+']
        } else {
            &['-', '_', '+', '.']
        };
        'chunks: for chunk in rendered.utf8_chunks() {
            let invalid = (!chunk.invalid().is_empty()).then_some('_');
            for c in chunk.valid().chars().chain(invalid) {
                for c in c.to_lowercase() {
                    let c = if is_legal(c) { c } else { '-' };
                    if name.is_empty() && starts.contains(&c) {
                        continue;
                    }
                    if name.len() + c.len_utf8() > BYTES_MAX {
                        break 'chunks;
                    }
                    name.push(c);
                }
            }
        }
        if matches!(name.as_str(), "" | "." | "..") {
            name.clear();
            name.push_str(NAMELESS);
        }
    }
}

fn is_legal(c: char) -> bool {
    let illegal = matches!(
        c,
        '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ',' | '#' | ':'
    );
    // A few capitals have no small letter.
    !illegal && !c.is_whitespace() && !c.is_control() && !c.is_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{definition, keyed};
    use proptest::prelude::*;

    fn render(template: &str, value: &str) -> String {
        let mut needs = Needs::default();
        let definition = definition("elasticsearch", "", serde_json::json!({}));
        let index = Index::compile(&definition, template, &mut needs).unwrap();
        let mut name = String::new();
        let part = keyed(&format!("{value} x"), &needs);
        index.render(&part.batch, 0, &mut Vec::new(), &mut name);
        name
    }

    #[test]
    fn names_are_legal_whatever_the_value() {
        for (template, value, name) in [
            ("logs-{k}-default", "pay", "logs-pay-default"),
            ("logs-{k}-default", "Pay/../X", "logs-pay-..-x-default"),
            ("logs-{k}", "a\"},{\"b", "logs-a-}-{-b"),
            ("logs-{k}", "<now/d>", "logs--now-d-"),
            ("{k}", ".security", "security"),
            ("{k}", "_-+.x", "x"),
            ("{k}", "_", "unknown"),
            ("{k}", "ÄÖ\u{130}", "äöi\u{307}"),
            (".ds-{k}", "x", ".ds-x"),
            (".{k}", ".", "unknown"),
            ("plain", "x", "plain"),
        ] {
            assert_eq!(render(template, value), name, "{template} {value}");
        }
        let long = render("logs-{k}", &"é".repeat(300));
        assert!(long.len() <= 255 && long.ends_with('é'));
    }

    #[test]
    fn a_constant_name_must_be_legal() {
        let definition = definition("elasticsearch", "", serde_json::json!({}));
        for bad in ["Logs", "-x", "a b", "a*", "..", "{x", "a,b"] {
            let built = Index::compile(&definition, bad, &mut Needs::default());
            assert!(built.is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_an_illegal_name(value in "[^ \n]{0,300}") {
            let name = render("{k}", &value);
            prop_assert!(!name.is_empty() && name.len() <= 255);
            prop_assert!(name.chars().all(is_legal), "{:?}", name);
            prop_assert!(!name.starts_with(['-', '_', '+', '.']), "{:?}", name);
            prop_assert_eq!(name.to_lowercase(), name);
        }
    }
}
