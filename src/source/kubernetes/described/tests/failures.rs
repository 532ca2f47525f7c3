//! An API that fails, lies or goes away: what is known stays known, lines go on,
//! and in the end all is known again.

use super::*;

#[tokio::test]
async fn a_watch_goes_on_where_the_last_one_ended() {
    let (mut api, mut watch, running) = watched(&[], "60s").await;
    watch
        .event("ADDED", &pod("u1", "11", app("pay"), json!({})))
        .await;
    watch.end().await;
    let mut watch = api.watch("11").await.begin().await;
    watch.bookmark("50").await;
    watch.end().await;
    // Cut off in the middle of an event: it comes again.
    let mut watch = api.watch("50").await.begin().await;
    watch.bookmark("51").await;
    assert!(watch.text(b"{\"type\":\"ADDED\",\"obj").await);
    drop(watch);
    let _watch = api.watch("51").await;
    running.write("u1", &["one"]);
    running.recorder.wait_lines(1).await;
    assert_eq!(
        running.known("one", "k8s.labels.app").as_deref(),
        Some("pay")
    );
    running.stop().await;
}

#[tokio::test]
async fn a_version_that_is_too_old_is_answered_by_a_list() {
    let gone = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410 });
    let one = pod("u1", "7", app("pay"), json!({}));
    let (mut api, mut watch, running) = watched(std::slice::from_ref(&one), "60s").await;
    running.until("tflog_kubernetes_pods", 1).await;
    watch.event("ERROR", &gone).await;
    let list = api.list().await;
    // Of what is in force now, which a server's memory may not have yet.
    assert!(!list.target.contains("resourceVersion"), "{}", list.target);
    // In pages.
    list.pods("", "token-1", &[pod("u2", "8", app("shop"), json!({}))])
        .await;
    let list = api.list().await;
    assert!(list.target.contains("continue=token-1"), "{}", list.target);
    list.pods("20", "", &[pod("u3", "9", app("web"), json!({}))])
        .await;
    api.watch("20")
        .await
        .answer(410, "", &gone.to_string())
        .await;
    running.until("tflog_kubernetes_pods", 2).await;
    // A list in whose midst it gets too old begins anew.
    api.list().await.pods("", "token-2", &[]).await;
    api.list().await.answer(410, "", &gone.to_string()).await;
    api.list()
        .await
        .pods("30", "", &[pod("u3", "9", app("web"), json!({}))])
        .await;
    let _watch = api.watch("30").await.begin().await;
    running.until("tflog_kubernetes_pods", 1).await;
    // Who is in no list any more is kept a while.
    running.write("u1", &["one"]);
    running.recorder.wait_lines(1).await;
    assert_eq!(
        running.known("one", "k8s.labels.app").as_deref(),
        Some("pay")
    );
    assert_eq!(running.gauge("tflog_kubernetes_api_errors_total"), 0);
    running.stop().await;
}

#[tokio::test]
async fn an_api_that_is_away_holds_nothing_up() {
    let (api, watch, running) = watched(&[pod("u1", "7", app("pay"), json!({}))], "1ms").await;
    running.until("tflog_kubernetes_api_connected", 1).await;
    let address = api.stop().await;
    drop(watch);
    running.until("tflog_kubernetes_api_connected", 0).await;
    running.write("u1", &["known"]);
    running.write("u2", &["unknown"]);
    running.recorder.wait_lines(2).await;
    assert_eq!(
        running.known("known", "k8s.labels.app").as_deref(),
        Some("pay")
    );
    running
        .until("tflog_kubernetes_unenriched_events_total", 1)
        .await;
    assert!(running.gauge("tflog_kubernetes_api_errors_total") > 0);
    let mut api = ScriptedApi::at(address).await;
    let pods = ["u1", "u2"].map(|uid| pod(uid, "20", app("back"), json!({})));
    // The watch that is tried first, or a list.
    let mut request = api.next().await;
    while request.target.contains("watch=true") {
        request.answer(500, "", "").await;
        request = api.next().await;
    }
    request.pods("30", "", &pods).await;
    let _watch = api.watch("30").await.begin().await;
    running.until("tflog_kubernetes_api_connected", 1).await;
    running.write("u2", &["known now"]);
    running.recorder.wait_lines(3).await;
    assert_eq!(
        running.known("known now", "k8s.labels.app").as_deref(),
        Some("back")
    );
    running.stop().await;
}

#[tokio::test]
async fn answers_that_are_wrong_in_any_way_are_survived() {
    let mut api = ScriptedApi::start().await;
    let running = Running::start(&api.url(), "60s").await;
    running.write("u1", &["one"]);
    let status = r#"{"kind":"Status","message":"pods is forbidden","code":403}"#;
    api.list().await.answer(403, "", status).await;
    api.list().await.answer(500, "", "").await;
    api.list()
        .await
        .answer(429, "Retry-After: 0\r\n", "slowly")
        .await;
    api.list()
        .await
        .answer(302, "Location: http://127.0.0.1:1/\r\n", "")
        .await;
    api.list().await.raw(b"").await;
    api.list().await.raw(b"\x16\x03\x01 this is no HTTP").await;
    api.list()
        .await
        .answer(200, "", "{\"items\":[{\"metadata\":7}]}")
        .await;
    api.list().await.answer(200, "", &"[".repeat(100_000)).await;
    api.list()
        .await
        .raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"items\"")
        .await;
    // A list without a version cannot be gone on from.
    api.list().await.pods("", "", &[]).await;
    assert_eq!(running.gauge("tflog_kubernetes_api_errors_total"), 9);
    api.list().await.pods("10", "", &[]).await;
    for wrong in [
        "no JSON\n",
        "{\"type\":\"RENAMED\",\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"labels\":[]}}}\n",
    ] {
        let mut watch = api.watch("10").await.begin().await;
        assert!(watch.text(wrong.as_bytes()).await);
        watch.gone().await;
    }
    // After so many it is listed again.
    api.list()
        .await
        .pods("20", "", &[pod("u1", "7", app("pay"), json!({}))])
        .await;
    let _watch = api.watch("20").await.begin().await;
    running.recorder.wait_lines(1).await;
    assert_eq!(
        running.known("one", "k8s.labels.app").as_deref(),
        Some("pay")
    );
    running.stop().await;
}

#[tokio::test]
async fn answers_without_end_are_cut_off() {
    let mut api = ScriptedApi::start().await;
    let running = Running::start(&api.url(), "60s").await;
    let garbage = vec![b'x'; 1 << 20];
    let endless = async |watch: &mut Watch| {
        for megabytes in 0..64 {
            if !watch.text(&garbage).await {
                return megabytes;
            }
        }
        panic!("it took 64 MiB");
    };
    let mut list = api.list().await.begin().await;
    endless(&mut list).await;
    // What is too long in one answer is asked for in pages.
    let list = api.list().await;
    assert!(!list.target.contains("resourceVersion"), "{}", list.target);
    assert!(list.target.contains("limit=100"), "{}", list.target);
    list.pods("10", "", &[]).await;
    let mut watch = api.watch("10").await.begin().await;
    endless(&mut watch).await;
    // An answer that says no, at length.
    let mut refusal = api.watch("10").await.begin_as(500).await;
    endless(&mut refusal).await;
    let mut watch = api.watch("10").await.begin().await;
    watch
        .event("ADDED", &pod("u1", "11", app("pay"), json!({})))
        .await;
    running.write("u1", &["one"]);
    running.recorder.wait_lines(1).await;
    running.stop().await;
}
