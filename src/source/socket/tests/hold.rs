//! Events of several lines over connections.

use super::*;

fn joining(multiline: &serde_json::Value) -> Server {
    let options = serde_json::json!({ "multiline": multiline });
    let definition = crate::source::record::definition("tcp", "", serde_json::json!({}));
    let options: crate::frame::Options = serde_json::from_value(options).expect("valid");
    Server {
        framer: options.framer(&definition).expect("valid"),
        ..server(Framing::Newline)
    }
}

/// A trace of so many bytes at least.
fn trace(bytes: usize) -> String {
    let mut trace = "ERROR boom\n".to_owned();
    while trace.len() < bytes {
        trace += "\tat com.example.App.run(App.java:17)\n";
    }
    trace
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_on_until_its_time_is_over() {
    let run = start(joining(&serde_json::json!("auto")), Recorder::new()).await;
    let mut connection = run.connect().await;
    for part in ["one\nERROR two\n", "\tat x\n", "\tat y\n\tat"] {
        connection.write_all(part.as_bytes()).await.expect("open");
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(run.recorder.events(), ["one\n"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let two = "ERROR two\n\tat x\n\tat y\n";
    assert_eq!(run.recorder.events(), ["one\n", two]);
    connection.write_all(b" z").await.expect("open");
    drop(connection);
    let recorder = run.recorder.clone();
    run.stop_after(HOUR).await.expect("stopped");
    assert_eq!(recorder.events(), ["one\n", two, "\tat z"]);
}

#[tokio::test(start_paused = true)]
async fn traces_of_many_connections_are_not_mixed() {
    let run = start(joining(&serde_json::json!("auto")), Recorder::new()).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(run.connect().await);
    }
    let trace = trace(10_000);
    for part in trace.as_bytes().chunks(3000) {
        for connection in &mut connections {
            connection.write_all(part).await.expect("open");
            tokio::task::yield_now().await;
        }
    }
    drop(connections);
    let recorder = run.recorder.clone();
    run.stop_after(HOUR).await.expect("stopped");
    assert_eq!(recorder.events(), vec![trace; 20]);
}

/// More than may be held of all connections: events end early, and no byte is
/// lost.
#[tokio::test(start_paused = true)]
async fn what_is_held_of_all_connections_is_bounded() {
    let run = start(
        joining(&serde_json::json!({ "timeout": "1m" })),
        Recorder::new(),
    )
    .await;
    let trace = trace(HELD_BYTES_MAX / 8);
    let mut connections = Vec::new();
    for _ in 0..12 {
        let mut connection = run.connect().await;
        connection.write_all(trace.as_bytes()).await.expect("open");
        tokio::time::sleep(Duration::from_millis(1)).await;
        connections.push(connection);
    }
    // Within the time, so that only the want of room can have ended them.
    assert!(run.recorder.lines() >= 12 - 8);
    drop(connections);
    let recorder = run.recorder.clone();
    run.stop_after(HOUR).await.expect("stopped");
    let text: usize = recorder.with(|batches| batches.iter().map(|b| b.text.len()).sum());
    assert_eq!(text, 12 * trace.len());
}
