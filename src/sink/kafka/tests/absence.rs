//! Brokers that are away: waited for, noticed, and given up when tflog ends.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_down_at_first_are_waited_for() {
    let mock = cluster(1);
    mock.broker_down(-1).unwrap();
    let mut needs = Needs::default();
    let mut first = sink(&mock, "logs", json!({}), &mut needs);
    let mut second = first.another().unwrap();
    let (load_a, load_b) = (one("a\n", &needs), one("b\n", &needs));
    assert!(matches!(second.check().await, Err(SinkError::Retry { .. })));
    let mut write = first.write(&load_a);
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut write).await;
    assert!(waited.is_err(), "nobody can have confirmed it");
    // A write that is given up is nobody's any more, and holds nobody.
    let given_up = tokio::time::timeout(Duration::from_millis(10), second.write(&load_b)).await;
    assert!(given_up.is_err());
    mock.broker_up(-1).unwrap();
    write.await.unwrap();
    second.check().await.unwrap();
    second.write(&load_b).await.unwrap();
    second.close().await.unwrap();
    let messages = consume(&mock, &["logs"], 3);
    assert_eq!(payloads(&messages), ["a", "b", "b"], "the given up one too");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_away_are_noticed_and_so_is_their_return() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let mut sink = sink(&mock, "logs", json!({}), &mut needs);
    let mut away = sink.away().unwrap();
    sink.write(&one("a\n", &needs)).await.unwrap();
    mock.broker_down(-1).unwrap();
    let load = one("b\n", &needs);
    let mut write = sink.write(&load);
    tokio::select! {
        _ = &mut write => panic!("nobody can have confirmed it"),
        changed = away.changed() => changed.unwrap(),
    }
    let reason = away.borrow_and_update().clone().unwrap();
    assert!(reason.contains("/logs: "), "{reason}");
    mock.broker_up(-1).unwrap();
    write.await.unwrap();
    away.wait_for(Option::is_none).await.unwrap();
    assert_eq!(payloads(&consume(&mock, &["logs"], 2)), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_messages_of_nobody_and_not_for_ever() {
    let mock = cluster(1);
    mock.broker_down(-1).unwrap();
    let mut needs = Needs::default();
    let mut sink = sink(&mock, "logs", json!({}), &mut needs);
    let load = one("a\n", &needs);
    let given_up = tokio::time::timeout(Duration::from_millis(10), sink.write(&load)).await;
    assert!(given_up.is_err());
    let error = sink.close().await.unwrap_err().to_string();
    assert!(error.contains("1 messages are not confirmed"), "{error}");
    mock.broker_up(-1).unwrap();
    sink.close().await.unwrap();
    assert_eq!(payloads(&consume(&mock, &["logs"], 1)), ["a"]);
}
