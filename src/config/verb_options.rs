//! The options of each verb, as they are written beside it.

use serde::Deserialize;
use serde_json::Value;

use crate::component::{ByteSize, Period};

/// One name or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        }
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::Many(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetConfig {
    pub(super) set: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameConfig {
    pub(super) rename: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveConfig {
    pub(super) remove: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepConfig {
    pub(super) keep: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleConfig {
    pub(super) sample: Value,
    #[serde(default)]
    pub(super) by: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitConfig {
    pub(super) limit: String,
    #[serde(default)]
    pub(super) by: Names,
    pub(super) keys_max: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DedupeConfig {
    pub(super) dedupe: Period,
    pub(super) by: Option<Names>,
    pub(super) keys_max: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReduceConfig {
    pub(super) reduce: Period,
    pub(super) by: Names,
    pub(super) idle: Option<Period>,
    #[serde(default)]
    pub(super) merge: serde_json::Map<String, Value>,
    pub(super) events_max: Option<u64>,
    pub(super) keys_max: Option<usize>,
    pub(super) bytes_max: Option<ByteSize>,
    /// Rules are read on their own.
    #[serde(rename = "starts_when")]
    pub(super) _starts_when: Option<Value>,
    #[serde(rename = "ends_when")]
    pub(super) _ends_when: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedactConfig {
    pub(super) redact: Names,
    #[serde(default)]
    pub(super) fields: Names,
    pub(super) mask: Option<String>,
    pub(super) hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountConfig {
    pub(super) count: String,
    #[serde(default)]
    pub(super) by: Names,
    pub(super) max_series: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistogramConfig {
    pub(super) histogram: String,
    pub(super) value: String,
    pub(super) buckets: Option<Vec<f64>>,
    #[serde(default)]
    pub(super) by: Names,
    pub(super) max_series: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TruncateConfig {
    pub(super) truncate: ByteSize,
    #[serde(default)]
    pub(super) fields: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlattenConfig {
    pub(super) flatten: Names,
    pub(super) separator: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParseConfig {
    pub(super) parse: String,
    pub(super) field: Option<String>,
    pub(super) into: Option<String>,
}
