//! `flatten: [name, …]`: members of nested objects under joined names.

use std::sync::Arc;

use super::name::Name;
use super::{Events, Transform, TransformError, wants_fields};
use crate::event::{Needs, Path};

/// Flattens objects.
pub struct Flatten {
    names: Arc<[Name]>,
    separator: Box<str>,
}

impl Flatten {
    /// The verb's name.
    pub const NAME: &'static str = "flatten";

    /// Flattens these objects, all if none is named. The separator must fit
    /// into a name as it is.
    pub fn build(
        fields: &[Path],
        separator: &str,
        needs: &mut Needs,
    ) -> Result<Flatten, TransformError> {
        if separator
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | '\\'))
        {
            let message = "a separator has no quotes, backslashes and control characters";
            return Err(TransformError::new(message, "write for instance _"));
        }
        wants_fields(needs);
        Ok(Flatten {
            names: Name::all(fields).into(),
            separator: separator.into(),
        })
    }
}

impl Transform for Flatten {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.edit_objects(|document, _, _| document.flatten(&self.names, &self.separator));
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Flatten {
            names: self.names.clone(),
            separator: self.separator.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{paths, run};
    use super::*;

    fn flatten(names: &[&str], separator: &str, line: &str) -> String {
        run(&[line], |needs| {
            Flatten::build(&paths(names), separator, needs).unwrap()
        })
        .remove(0)
    }

    #[test]
    fn nested_members_get_joined_names() {
        for (names, line, expected) in [
            (
                &[][..],
                r#"{"a":1,"b":{"c":2,"d":{"e":[{"f":3}]}},"g":{}}"#,
                r#"{"a":1,"b.c":2,"b.d.e":[{"f":3}],"g":{}}"#,
            ),
            (
                &["b"],
                r#"{"a":{"x":1}, "b":{"c":2}, "d":3}"#,
                r#"{"a":{"x":1}, "b.c":2, "d":3}"#,
            ),
            (
                &[],
                r#"{"a.b":1,"a":{"b":2,"c":3}}"#,
                r#"{"a.b":1,"a.c":3}"#,
            ),
            (&[], r#"{"a":{"b":{"c":{}}}}"#, r#"{"a.b.c":{}}"#),
            (&["none"], r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
        ] {
            assert_eq!(flatten(names, ".", line), expected, "{line}");
        }
        assert_eq!(flatten(&[], "_", r#"{"a":{"b":1}}"#), r#"{"a_b":1}"#);
        assert!(Flatten::build(&[], "\"", &mut Needs::default()).is_err());
    }

    #[test]
    fn names_that_would_fill_the_memory_are_left_alone() {
        let key = "k".repeat(1000);
        let leaves: Vec<_> = (0..100).map(|n| format!("\"{n}\":{n}")).collect();
        let line = format!("{{\"{key}\":{{{}}}}}", leaves.join(","));
        assert_eq!(flatten(&[], ".", &line), line);
    }
}
