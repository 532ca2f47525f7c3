//! The JSON schema of a config file, for editors and `tflog schema`.
//!
//! Made from the same table of keys that the reader uses. Options of single
//! components are theirs to check: the schema lets any key through there.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::keys::{self, Key, Takes};
use crate::component::{ByteSize, Period};

/// The schema of a config file.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = object(keys::TOP, false);
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), "tflog".into());
    schema.insert("patternProperties".into(), json!({ "^x-": {} }));
    Schema::from(schema)
}

fn object(keys: &[Key], open: bool) -> Map<String, Value> {
    let usable = keys.iter().filter(|key| key.takes != Takes::Later);
    let properties: Map<_, _> = usable
        .map(|key| {
            let mut schema = value(key.takes);
            schema.insert("description".into(), key.doc.into());
            (key.name.to_owned(), schema.into())
        })
        .collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), open.into());
    schema
}

fn value(takes: Takes) -> Map<String, Value> {
    let schema = match takes {
        Takes::Text => json!({ "type": "string" }),
        Takes::Flag => json!({ "anyOf": [{ "type": "boolean" }, reference()] }),
        Takes::Size => json!({ "anyOf": [scalar::<ByteSize>(), reference()] }),
        Takes::Period => json!({ "anyOf": [scalar::<Period>(), reference()] }),
        Takes::Count => json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, reference()] }),
        Takes::Names => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Map(keys) => json!(object(keys, false)),
        Takes::TextOr(required, keys) => {
            let mut map = object(keys, false);
            map.insert("required".into(), json!([required]));
            json!({ "anyOf": [{ "type": "string" }, map] })
        }
        Takes::List(keys) => json!({ "type": "array", "items": object(keys, false) }),
        Takes::Components(keys) => {
            let mut map = object(keys, true);
            map.insert("required".into(), json!(["url"]));
            json!({
                "type": "object",
                "propertyNames": { "pattern": "^[a-z](_?[a-z0-9])*_?$" },
                "additionalProperties": { "anyOf": [{ "type": "string" }, map] },
            })
        }
        Takes::Verbs => json!({ "type": "array", "items": { "type": "object" } }),
        Takes::Fields => json!({
            "type": "object",
            "additionalProperties": { "type": ["object", "null"] },
        }),
        Takes::Later => Value::Null,
    };
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A scalar may be a variable instead.
fn reference() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{" })
}

fn scalar<T: JsonSchema>() -> Schema {
    T::json_schema(&mut SchemaGenerator::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usable_key_is_in_the_schema_and_no_other() {
        let schema = serde_json::to_value(schema()).unwrap();
        for key in keys::TOP {
            let there = schema["properties"].get(key.name).is_some();
            assert_eq!(there, key.takes != Takes::Later, "{}", key.name);
        }
        let sink = &schema["properties"]["sinks"]["additionalProperties"]["anyOf"][1];
        assert_eq!(sink["required"], json!(["url"]));
        assert_eq!(
            sink["properties"]["buffer"]["properties"]
                .as_object()
                .unwrap()
                .len(),
            keys::BUFFER.len()
        );
        assert_eq!(schema["additionalProperties"], false);
    }
}
