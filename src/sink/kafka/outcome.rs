//! What became of a load, from the reports of its messages.

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::sink::{Partial, SinkError, Written};

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not for good.
    Retry(Code),
    /// tflog may not.
    Denied(Code),
    /// For what is in it, or in another message of the same request: only a
    /// request of its own tells.
    Suspect(Code),
    /// For what is in it.
    Rejected(Code),
    /// Its topic would be one too many.
    Topics(usize),
}

impl Failure {
    /// What a report's code means.
    pub(super) fn of(code: Code) -> Failure {
        match code {
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication => Failure::Denied(code),
            Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidTimestamp
            | Code::UnsupportedForMessageFormat
            | Code::PolicyViolation
            | Code::InvalidTopic => Failure::Suspect(code),
            _ => Failure::Retry(code),
        }
    }

    /// What it means for a message that was in a request of its own, or was
    /// refused before it was in one.
    pub(super) fn alone(code: Code) -> Failure {
        match Failure::of(code) {
            Failure::Suspect(Code::InvalidDifferentRecord) => Failure::Retry(code),
            Failure::Suspect(code) => Failure::Rejected(code),
            other => other,
        }
    }

    /// What went wrong and what to do about it.
    fn explain(self) -> String {
        let (code, remedy) = match self {
            Failure::Topics(max) => {
                return format!(
                    "its topic would be one more than topics_max, {max}: raise that, \
                     or use a field of fewer values"
                );
            }
            Failure::Retry(code) => (code, retry_remedy(code)),
            Failure::Denied(Code::TopicAuthorizationFailed) => (
                Code::TopicAuthorizationFailed,
                "; grant the user WRITE on the topic",
            ),
            Failure::Denied(code) => (code, "; check auth and the user's permissions"),
            Failure::Suspect(code) | Failure::Rejected(code) => (code, ""),
        };
        format!("{code}{remedy}")
    }
}

fn retry_remedy(code: Code) -> &'static str {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "; create the topic, or let the brokers create topics"
        }
        Code::PurgeQueue | Code::PurgeInflight | Code::Fatal => {
            "; a new producer sends what was not confirmed"
        }
        Code::UnsupportedCompressionType => "; choose another compression",
        _ => "; will try again",
    }
}

/// Why a producer was given up.
#[derive(Debug)]
pub(super) enum End {
    /// The brokers refuse tflog.
    Denied(String),
    /// It cannot go on.
    Fatal(String),
}

/// What the driver is told: `failures` of `events`, ascending by item.
/// `end` is why the producer was given up, if it was.
pub(super) fn conclude(
    place: &str,
    events: usize,
    failures: &[(u32, Failure)],
    end: Option<End>,
    written: Written,
) -> Result<Written, SinkError> {
    let is_rejected = |f: &Failure| matches!(f, Failure::Rejected(_) | Failure::Topics(_));
    // What people must mend is said before what mends itself.
    let worst = failures
        .iter()
        .map(|(_, f)| *f)
        .filter(|f| !is_rejected(f))
        .max_by_key(|f| matches!(f, Failure::Denied(_)));
    let refused = matches!(end, Some(End::Denied(_))) || matches!(worst, Some(Failure::Denied(_)));
    let message = match (worst, end) {
        (Some(_), Some(End::Denied(reason))) => {
            format!("{place}: {reason}; check auth and the user's permissions")
        }
        (Some(_), Some(End::Fatal(reason))) => {
            format!("{place}: {reason}; a new producer sends what was not confirmed")
        }
        (Some(failure), None) => format!("{place}: {}", failure.explain()),
        (None, _) => match failures.first() {
            Some((_, first)) => format!("{place}: refused an event: {}", first.explain()),
            None => return Ok(written),
        },
    };
    let retry = failures.iter().filter(|(_, f)| !is_rejected(f));
    if retry.clone().count() == events {
        return Err(if refused {
            SinkError::Denied { message }
        } else {
            SinkError::Retry {
                message,
                after: None,
            }
        });
    }
    let rejected = failures.iter().filter(|(_, f)| is_rejected(f));
    Err(SinkError::Partial(Box::new(Partial {
        written,
        rejected: rejected.map(|(i, f)| (*i, f.explain())).collect(),
        retry: retry.map(|(item, _)| *item).collect(),
        message,
        after: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(failures: &[(u32, Code)], denied: Option<&str>) -> Result<Written, SinkError> {
        let failures = failures.iter().map(|(i, c)| (*i, Failure::alone(*c)));
        let failures: Vec<_> = failures.collect();
        let end = denied.map(|reason| End::Denied(reason.to_owned()));
        conclude("out: b1:9092/logs", 3, &failures, end, Written::default())
    }

    #[test]
    fn each_event_ends_as_its_report_says() {
        assert!(end(&[], None).is_ok());
        let all = [0, 1, 2].map(|i| (i, Code::PurgeQueue));
        assert!(matches!(end(&all, None), Err(SinkError::Retry { .. })));
        let Err(SinkError::Denied { message }) = end(&all, Some("wrong password")) else {
            panic!("denied")
        };
        assert!(
            message.contains("b1:9092/logs: wrong password"),
            "{message}"
        );
        let all = [0, 1, 2].map(|i| (i, Code::TopicAuthorizationFailed));
        assert!(matches!(end(&all, None), Err(SinkError::Denied { .. })));
        let some = [(0, Code::MessageSizeTooLarge), (2, Code::UnknownTopic)];
        let Err(SinkError::Partial(partial)) = end(&some, None) else {
            panic!("partial")
        };
        assert_eq!((partial.rejected[0].0, &*partial.retry), (0, &[2][..]));
        assert!(
            partial.message.contains("create the topic"),
            "{}",
            partial.message
        );
        let one = [(1, Code::InvalidDifferentRecord)];
        let Err(SinkError::Partial(partial)) = end(&one, None) else {
            panic!("partial")
        };
        assert_eq!((partial.rejected.len(), &*partial.retry), (0, &[1][..]));
    }
}
