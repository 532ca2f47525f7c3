//! What lines are told of, and how they are read.

use super::*;

#[tokio::test]
async fn lines_carry_what_the_api_says_of_their_pod() {
    let mut api = ScriptedApi::start().await;
    let running = Running::start(&api.url(), "60s").await;
    running.write("u1", &["one"]);
    let list = api.list().await;
    for part in [
        "/api/v1/pods?",
        "fieldSelector=spec.nodeName%3Dnode-1",
        "resourceVersion=0",
    ] {
        assert!(list.target.contains(part), "{}", list.target);
    }
    assert!(
        list.head.contains("as=PartialObjectMetadataList"),
        "{}",
        list.head
    );
    let annotations = json!({ "team": "money", "secret": "x" });
    list.pods("10", "", &[pod("u1", "7", app("pay"), annotations)])
        .await;
    let watch = api.watch("10").await;
    assert!(
        watch.target.contains("allowWatchBookmarks=true"),
        "{}",
        watch.target
    );
    let mut watch = watch.begin().await;
    running.recorder.wait_lines(1).await;
    let known = |text, name| running.known(text, name);
    assert_eq!(known("one", "k8s.labels.app").as_deref(), Some("pay"));
    assert_eq!(
        known("one", "k8s.annotations.team").as_deref(),
        Some("money")
    );
    assert_eq!(known("one", "k8s.annotations.secret"), None);
    assert_eq!(known("one", "k8s.pod.name").as_deref(), Some("pod-u1"));
    // What changes is known of the lines that follow.
    watch
        .event("MODIFIED", &pod("u1", "11", app("shop"), json!({})))
        .await;
    while running.described.pods.version() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.write("u1", &["two"]);
    running.recorder.wait_lines(2).await;
    assert_eq!(known("two", "k8s.labels.app").as_deref(), Some("shop"));
    assert_eq!(running.gauge("tflog_kubernetes_unenriched_events_total"), 0);
    let _described = running.stop().await;
    watch.gone().await;
}

#[tokio::test]
async fn a_new_file_waits_for_its_pod_and_no_other_file_does() {
    let known = pod("u1", "7", app("pay"), json!({}));
    let (_api, mut watch, running) = watched(&[known], "60s").await;
    running.write("u2", &["early"]);
    running.write("u1", &["meanwhile"]);
    running.recorder.wait_lines(1).await;
    assert!(running.recorder.text().contains("meanwhile"));
    watch
        .event("ADDED", &pod("u2", "11", app("new"), json!({})))
        .await;
    running.recorder.wait_lines(2).await;
    assert_eq!(
        running.known("early", "k8s.labels.app").as_deref(),
        Some("new")
    );
    running.stop().await;
}

#[tokio::test]
async fn a_pod_that_stays_unknown_holds_nothing_up() {
    let (_api, mut watch, running) = watched(&[], "1ms").await;
    running.write("u1", &["one", "two"]);
    running.recorder.wait_lines(2).await;
    assert_eq!(running.known("one", "k8s.labels.app"), None);
    assert_eq!(running.known("one", "k8s.pod.uid").as_deref(), Some("u1"));
    running
        .until("tflog_kubernetes_unenriched_events_total", 2)
        .await;
    watch
        .event("ADDED", &pod("u1", "11", app("late"), json!({})))
        .await;
    running.until("tflog_kubernetes_pods", 1).await;
    running.write("u1", &["three"]);
    running.recorder.wait_lines(3).await;
    assert_eq!(
        running.known("three", "k8s.labels.app").as_deref(),
        Some("late")
    );
    assert_eq!(running.gauge("tflog_kubernetes_unenriched_events_total"), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_is_removed_waits_no_longer() {
    let (_api, _watch, running) = watched(&[], "60s").await;
    running.write("u1", &["one"]);
    running.until("tflog_source_files", 1).await;
    let directory = running.directory.path().join("default_pod-u1_u1");
    std::fs::remove_dir_all(directory).expect("removed");
    running.recorder.wait_lines(1).await;
    running.stop().await;
}

#[tokio::test]
async fn the_last_lines_of_a_deleted_pod_are_told_of() {
    let one = pod("u1", "7", app("pay"), json!({}));
    let (_api, mut watch, running) = watched(std::slice::from_ref(&one), "60s").await;
    running.until("tflog_kubernetes_pods", 1).await;
    watch.event("DELETED", &one).await;
    running.until("tflog_kubernetes_pods", 0).await;
    running.write("u1", &["last words"]);
    running.recorder.wait_lines(1).await;
    assert_eq!(
        running.known("last words", "k8s.labels.app").as_deref(),
        Some("pay")
    );
    running.stop().await;
}

#[tokio::test]
async fn annotations_say_how_lines_are_read() {
    let annotations = json!({
        "tflog.dev/parse": "json",
        "tflog.dev/multiline": "{\"start\":\"^begin\"}",
        "tflog.dev/exclude.side": "true",
        "tflog.dev/parse.odd": "no such format",
    });
    let one = pod("u1", "7", json!({}), annotations);
    let (_api, mut watch, running) = watched(&[one], "60s").await;
    running.write_to("u1", "side", &["not wanted"]);
    running.write_to("u1", "app", &["begin a", "more", "begin b"]);
    running.write_to("u1", "odd", &["begin c"]);
    running.recorder.wait_lines(3).await;
    let (text, rows) = running.recorder.with(|batches| {
        let rows: usize = batches.iter().map(|batch| batch.ends.len()).sum();
        let texts = batches
            .iter()
            .map(|batch| String::from_utf8_lossy(&batch.text).into_owned());
        (texts.collect::<String>(), rows)
    });
    assert_eq!(rows, 3, "{text}");
    assert!(!text.contains("not wanted"), "{text}");
    assert_eq!(
        running.known("begin a", Stream::FORMAT).as_deref(),
        Some("json")
    );
    // What is wrong is left out, for what the pod says in general.
    assert_eq!(
        running.known("begin c", Stream::FORMAT).as_deref(),
        Some("json")
    );
    assert_eq!(running.gauge("tflog_kubernetes_invalid_hints_total"), 1);
    // Said once, whatever else changes.
    let annotations = json!({ "tflog.dev/parse.odd": "no such format" });
    watch
        .event("MODIFIED", &pod("u1", "11", app("x"), annotations))
        .await;
    watch
        .event("ADDED", &pod("u2", "12", app("x"), json!({})))
        .await;
    running.until("tflog_kubernetes_pods", 2).await;
    assert_eq!(running.gauge("tflog_kubernetes_invalid_hints_total"), 1);
    running.stop().await;
}

#[tokio::test]
async fn who_opts_out_and_in_again_goes_on_behind() {
    let with = |version: &str, value: &str| {
        let annotations = json!({ "tflog.dev/exclude": value });
        pod("u1", version, json!({}), annotations)
    };
    let pods = [with("7", "false"), pod("u2", "7", json!({}), json!({}))];
    let (_api, mut watch, running) = watched(&pods, "60s").await;
    let change = async |watch: &mut Watch, pod: &Value, version: u64| {
        watch.event("MODIFIED", pod).await;
        while running.described.pods.version() < version {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    running.write("u1", &["before"]);
    running.write("u2", &["beside"]);
    running.recorder.wait_lines(2).await;
    change(&mut watch, &with("11", "true"), 3).await;
    running.write("u1", &["unwanted"]);
    // Files have their turns in the order in which they were written to.
    running.write("u2", &["beside"]);
    running.recorder.wait_lines(3).await;
    change(&mut watch, &with("12", "false"), 4).await;
    running.write("u1", &["wanted"]);
    running.recorder.wait_lines(4).await;
    let text = running.recorder.text();
    assert!(
        text.contains("F wanted") && !text.contains("unwanted"),
        "{text}"
    );
    running.stop().await;
}
