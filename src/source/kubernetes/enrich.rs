//! `enrich` of a `kubernetes` source, as it is written: `true`, or a map of
//! options.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{FormatCheck, Paths};
use crate::component::{BuildError, Definition};
use crate::source::tail::Describe;

/// Takes `enrich` out of a source's options: its own, if it is wanted.
pub(super) fn take(definition: &mut Definition) -> Result<Option<Value>, BuildError> {
    match definition.options.remove("enrich") {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Map::new().into())),
        // In a URL it is text.
        Some(Value::String(text)) if text == "false" => Ok(None),
        Some(Value::String(text)) if text == "true" => Ok(Some(Map::new().into())),
        Some(options @ Value::Object(_)) => Ok(Some(options)),
        Some(other) => {
            let message = format!("must be true, false or a map of options, not {other}");
            Err(definition.error(message).at("enrich"))
        }
    }
}

/// What describes files by what is known of their pods.
#[cfg(feature = "kubernetes-api")]
pub(super) fn describe(
    definition: &Definition,
    options: Value,
    paths: Paths,
    formats: FormatCheck,
) -> Result<Arc<dyn Describe>, BuildError> {
    let described = super::described::Described::build(definition, options, paths, formats)?;
    Ok(Arc::new(described))
}

/// What asks the API is not built in.
#[cfg(not(feature = "kubernetes-api"))]
pub(super) fn describe(
    definition: &Definition,
    _: Value,
    _: Paths,
    _: FormatCheck,
) -> Result<Arc<dyn Describe>, BuildError> {
    let error = definition.error("this tflog is built without what asks the cluster's API");
    Err(error.at("enrich").help(
        "build it with `--features kubernetes-api`, or leave `enrich` out: namespace, pod and \
         container are known without",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::record::definition;

    #[test]
    fn what_it_is_not_is_an_error_of_its_key() {
        for value in [json!(7), json!("yes"), json!([])] {
            let mut definition = definition("kubernetes", "", json!({ "enrich": value }));
            let error = take(&mut definition).expect_err("refused");
            assert_eq!(error.key.as_deref(), Some("enrich"));
        }
        for (value, wanted) in [
            (json!(false), None),
            (json!("false"), None),
            (json!("true"), Some(json!({}))),
            (json!({ "wait": 1 }), Some(json!({ "wait": 1 }))),
        ] {
            let mut definition = definition("kubernetes", "", json!({ "enrich": value }));
            assert_eq!(take(&mut definition), Ok(wanted));
            assert!(definition.options.is_empty());
        }
    }

    #[cfg(not(feature = "kubernetes-api"))]
    #[test]
    fn without_the_feature_it_is_an_error_that_says_what_to_do() {
        let definition = definition("kubernetes", "", json!({ "enrich": true }));
        let built = crate::source::kubernetes::build(&definition, |_| Ok(()));
        let error = built.err().expect("refused").to_string();
        assert!(error.contains("--features kubernetes-api"), "{error}");
    }
}
