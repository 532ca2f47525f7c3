//! What a reply to a bulk request says of each event.
//!
//! A status of 200 says nothing: every item has a status of its own, and only
//! an item that says so was taken. A reply that cannot be read, or has not one
//! item for each event, is no answer at all.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A reply as far as it matters. `filter_path` keeps the rest from being sent,
/// where the server knows it.
#[derive(Deserialize)]
struct Reply<'a> {
    errors: Option<bool>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

/// The action that an item answers; only `create` is ever asked for.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item<'a> {
    #[serde(borrow)]
    Create(Answer<'a>),
    Index(Answer<'a>),
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: u16,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Why an item failed.
#[derive(Deserialize)]
struct Complaint {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    caused_by: Option<Box<Complaint>>,
}

/// What became of one event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the index, now.
    Created,
    /// It was there before, under its id.
    Present,
    /// It may get there later; why it is not.
    Retry(String),
    /// It never will; why.
    Rejected(String),
}

/// Why a reply is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbage {
    /// It cannot be read.
    #[error("the reply to a bulk request is none: {0}")]
    Unreadable(String),
    /// It speaks of other events than were sent.
    #[error("the reply has {items} items for {events} events")]
    Count {
        /// Items of the reply.
        items: usize,
        /// Events that were sent.
        events: usize,
    },
    /// It contradicts itself.
    #[error("the reply says `errors: true`, and none of its items does")]
    Contradiction,
}

/// The fate of each of `events` events, in their order.
pub(super) fn read(reply: &[u8], events: usize) -> Result<Vec<Fate>, Garbage> {
    let reply: Reply = serde_json::from_slice(reply)
        // Its message names the place, and nothing of the text but names of fields.
        .map_err(|error| Garbage::Unreadable(error.to_string()))?;
    if reply.items.len() != events {
        return Err(Garbage::Count {
            items: reply.items.len(),
            events,
        });
    }
    let answers = reply.items.iter().map(|item| {
        let (Item::Create(answer) | Item::Index(answer)) = item;
        answer
    });
    let fates: Vec<_> = answers.map(Answer::fate).collect();
    if reply.errors == Some(true) && fates.iter().all(|fate| *fate == Fate::Created) {
        return Err(Garbage::Contradiction);
    }
    Ok(fates)
}

impl Answer<'_> {
    fn fate(&self) -> Fate {
        let Some(error) = self.error.filter(|raw| raw.get() != "null") else {
            let text = || self.status.to_string();
            return match self.status {
                200..=299 => Fate::Created,
                409 => Fate::Present,
                400..=499 if !is_passing(self.status) => Fate::Rejected(text()),
                _ => Fate::Retry(text()),
            };
        };
        let complaint = serde_json::from_str(error.get()).unwrap_or_else(|_| Complaint {
            kind: "error".to_owned(),
            reason: Some(error.get().to_owned()),
            caused_by: None,
        });
        match self.status {
            409 if complaint.kind == "version_conflict_engine_exception" => Fate::Present,
            400..=499 if !is_passing(self.status) && !complaint.is_of_config() => {
                Fate::Rejected(self.reason(&complaint))
            }
            // Whatever its status: an item with an error is not in the index.
            _ => Fate::Retry(self.reason(&complaint)),
        }
    }

    /// The status and all causes: the outermost only says that a document could
    /// not be parsed.
    fn reason(&self, complaint: &Complaint) -> String {
        let mut text = self.status.to_string();
        let mut next = Some(complaint);
        while let Some(complaint) = next {
            let reason = complaint.reason.as_deref().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(text, " {}: {reason}", complaint.kind);
            next = complaint.caused_by.as_deref();
        }
        text
    }
}

/// Whether an item's status does not speak of the event: rights, an index that
/// is read-only since the disk is full, too much at once.
fn is_passing(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 409 | 425 | 429)
}

impl Complaint {
    /// Whether every event would meet it: the pipeline is missing.
    fn is_of_config(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        self.kind == "illegal_argument_exception" && reason.starts_with("pipeline with id [")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_judged_by_its_own_status() {
        // In the shape of real replies of OpenSearch 2.19 and Elasticsearch 7.17.
        let reply = br#"{"took":3,"errors":true,"items":[
            {"create":{"_index":"a","_id":"1","_version":1,"result":"created","_shards":{"total":2},"status":201}},
            {"create":{"_index":"a","_id":"2","status":409,"error":{"type":"version_conflict_engine_exception","reason":"[2]: version conflict, document already exists (current version [1])","index":"a"}}},
            {"create":{"_index":"a","_id":"3","status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected"}}},
            {"create":{"_index":"a","_id":"4","status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [n]","caused_by":{"type":"number_format_exception","reason":"For input string: \"x\""}}}},
            {"create":{"status":403,"error":{"type":"cluster_block_exception","reason":"index [a] blocked"}}},
            {"create":{"status":503,"error":"old text"}},
            {"create":{"status":404,"error":{"type":"index_not_found_exception","reason":null}}},
            {"create":{"status":409,"error":{"type":"other","reason":"x"}}},
            {"create":{"status":200,"error":{"type":"odd","reason":"x"}}},
            {"index":{"status":100}},
            {"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"pipeline with id [nope] does not exist"}}}
        ]}"#;
        let fates = read(reply, 11).unwrap();
        let text = |s: &str| s.to_owned();
        assert_eq!(
            fates,
            [
                Fate::Created,
                Fate::Present,
                Fate::Retry(text("429 es_rejected_execution_exception: rejected")),
                Fate::Rejected(text(
                    "400 mapper_parsing_exception: failed to parse field [n] \
                     number_format_exception: For input string: \"x\""
                )),
                Fate::Retry(text("403 cluster_block_exception: index [a] blocked")),
                Fate::Retry(text("503 error: \"old text\"")),
                Fate::Rejected(text("404 index_not_found_exception: ")),
                Fate::Retry(text("409 other: x")),
                Fate::Retry(text("200 odd: x")),
                Fate::Retry(text("100")),
                Fate::Retry(text(
                    "400 illegal_argument_exception: pipeline with id [nope] does not exist"
                )),
            ]
        );
    }

    #[test]
    fn what_is_no_answer_is_garbage() {
        let ok = r#"{"errors":false,"items":[{"create":{"status":201}}]}"#;
        assert_eq!(read(ok.as_bytes(), 1), Ok(vec![Fate::Created]));
        assert!(matches!(
            read(ok.as_bytes(), 2),
            Err(Garbage::Count {
                items: 1,
                events: 2
            })
        ));
        let contradiction = ok.replace("false", "true");
        assert_eq!(
            read(contradiction.as_bytes(), 1),
            Err(Garbage::Contradiction)
        );
        for garbage in [
            "",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"errors":false}"#,
            r#"{"errors":false,"items":[{}]}"#,
            r#"{"errors":false,"items":[{"create":{}}]}"#,
            r#"{"errors":false,"items":[{"create":{"status":99999}}]}"#,
            r#"{"errors":false,"items":[{"delete":{"status":200}}]}"#,
            r#"{"errors":false,"items":[{"create":{"status":201}"#,
            &ok.repeat(2),
        ] {
            assert!(
                matches!(read(garbage.as_bytes(), 1), Err(Garbage::Unreadable(_))),
                "{garbage}"
            );
        }
        let deep = format!(
            r#"{{"errors":true,"items":[{{"create":{{"status":400,"error":{}"#,
            "[".repeat(100_000)
        );
        assert!(read(deep.as_bytes(), 1).is_err());
    }
}
