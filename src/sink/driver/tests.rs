//! What becomes of loads, by scripts of what the far end answers.

mod bench;
mod fallback;
mod relief;

use std::sync::Mutex;

use self::bench::{Bench, Reply};
use super::*;
use crate::sink::{Partial, SinkError, Written};

#[expect(clippy::unnecessary_wraps, reason = "one of several replies")]
fn ok() -> Reply {
    Ok(Written::default())
}

fn retry(message: &str) -> Reply {
    Err(SinkError::Retry {
        message: message.to_owned(),
        after: None,
    })
}

fn reject_if(texts: &[String], poison: &str) -> Reply {
    if texts.iter().any(|t| t == poison) {
        return Err(SinkError::Reject {
            message: "mapping error".to_owned(),
        });
    }
    ok()
}

#[tokio::test(start_paused = true)]
async fn only_what_was_not_taken_is_tried_again_and_what_was_refused_is_a_dead_letter() {
    let bench = Bench::default();
    bench.send("a\nb\nc\n", false).await;
    bench.send("d\ne\n", false).await;
    let mut seen = Vec::new();
    let (tell, mut told) = mpsc::channel(100);
    let driver = bench.start(Concurrency::One, move |texts| {
        seen.push(texts.join(""));
        tell.try_send(texts.join("")).unwrap();
        if seen.len() > 1 {
            return ok();
        }
        Err(SinkError::Partial(Box::new(Partial {
            rejected: vec![(1, "too \"long\"".to_owned()), (4, "bad".to_owned())],
            retry: vec![0, 3],
            message: "busy".to_owned(),
            ..Partial::default()
        })))
    });
    bench.feed.close();
    assert_eq!(driver.await.unwrap(), Ended::Drained);
    assert_eq!(told.recv().await.unwrap(), "abcde");
    assert_eq!(told.recv().await.unwrap(), "ad");
    assert_eq!(bench.ledger.snapshot().violations(), [""; 0]);
    let records = bench.deliver_rest(1, &bench.dead);
    let records: Vec<serde_json::Value> = records
        .iter()
        .map(|r| serde_json::from_str(r).unwrap())
        .collect();
    let brief: Vec<_> = records
        .iter()
        .map(|r| (r["event"].as_str().unwrap(), r["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(brief, [("b", "too \"long\""), ("e", "bad")]);
    assert_eq!(
        (&records[0]["sink"], &records[0]["attempts"]),
        (&"out".into(), &1.into())
    );
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    let source = &end.sources[0];
    assert_eq!((source.accepted, source.dead_lettered), (3, 2));
    assert_eq!((end.sinks[0].delivered, end.sinks[0].dead_lettered), (3, 2));
    assert_eq!(end.sinks[1].entered, 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_load_is_halved_to_the_event_at_fault() {
    for concurrency in [Concurrency::One, Concurrency::Adaptive(4)] {
        let bench = Bench::default();
        bench.send("a\nb\nc\nd\ne\nf\n", false).await;
        bench.send("g\npoison\n", false).await;
        let driver = bench.start(concurrency, |texts| reject_if(&texts, "poison"));
        bench.feed.close();
        driver.await.unwrap();
        let records = bench.deliver_rest(1, &bench.dead);
        assert_eq!(records.len(), 1);
        assert!(records[0].contains("\"event\":\"poison\""), "{records:?}");
        let end = bench.ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        assert_eq!(end.sources[0].accepted, 7);
    }
}

#[tokio::test(start_paused = true)]
async fn without_dead_letters_a_refused_event_is_held_behind_the_others() {
    let bench = Bench {
        with_dead_letters: false,
        ..Bench::default()
    };
    bench.send("a\npoison\nb\nc\n", false).await;
    let mended = Arc::new(Mutex::new(false));
    let mend = mended.clone();
    let driver = bench.start(Concurrency::One, move |texts| {
        if *mend.lock().unwrap() {
            return ok();
        }
        reject_if(&texts, "poison")
    });
    while bench.ledger.snapshot().sinks[0].delivered < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while bench.status.failing().as_deref() != Some("mapping error") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.ledger.snapshot().sinks[0].sending, 1);
    *mended.lock().unwrap() = true;
    bench.feed.close();
    driver.await.unwrap();
    assert_eq!(bench.ledger.snapshot().sources[0].accepted, 4);
    assert_eq!(bench.status.failing(), None);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_while_others_pass_becomes_a_dead_letter() {
    let bench = Bench::default();
    bench.send("a\nb\npoison\nc\nd\ne\nf\ng\n", false).await;
    let driver = bench.start(Concurrency::Adaptive(2), |texts| {
        if texts.iter().any(|t| t == "poison") {
            retry("500")
        } else {
            ok()
        }
    });
    for _ in 0..400 {
        bench.send("x\n", false).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bench.feed.close();
    driver.await.unwrap();
    let records = bench.deliver_rest(1, &bench.dead);
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(
        records[0].contains("poison") && records[0].contains("500"),
        "{records:?}"
    );
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    assert_eq!(
        (end.sources[0].accepted, end.sources[0].dead_lettered),
        (407, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_for_all_makes_no_dead_letters() {
    let bench = Bench::default();
    bench.send("a\nb\n", false).await;
    let mut left = 60;
    let driver = bench.start(Concurrency::One, move |_| {
        left -= 1;
        if left > 0 { retry("503") } else { ok() }
    });
    bench.feed.close();
    driver.await.unwrap();
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    assert_eq!((end.sinks[0].delivered, end.sinks[0].retries), (2, 59));
}

#[tokio::test(start_paused = true)]
async fn loads_fill_while_they_may_wait_and_several_are_in_flight() {
    let bench = Bench {
        linger: Duration::from_secs(5),
        ..Bench::default()
    };
    let (tell, mut told) = mpsc::channel(100);
    let driver = bench.start(Concurrency::Adaptive(3), move |texts| {
        tell.try_send((texts.len(), Instant::now())).unwrap();
        ok()
    });
    let start = Instant::now();
    bench.send("a\n", false).await;
    bench.send("b\n", false).await;
    let (events, at) = told.recv().await.unwrap();
    assert_eq!(
        (events, (at - start).as_secs()),
        (2, 6),
        "five to wait, one to write"
    );
    let start = Instant::now();
    bench.send("c\n", true).await;
    let (events, at) = told.recv().await.unwrap();
    assert_eq!((events, (at - start).as_secs()), (1, 1), "its source waits");
    for _ in 0..64 {
        bench.send("d\n", false).await;
    }
    bench.feed.close();
    driver.await.unwrap();
    assert_eq!(bench.in_flight.lock().unwrap().1, 3);
    assert_eq!(bench.ledger.snapshot().sources[0].accepted, 67);
    assert_eq!(bench.heard.0.lock().unwrap().accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn loads_of_a_source_that_goes_on_are_few_and_not_late() {
    let bench = Bench {
        linger: Duration::from_secs(5),
        goes_on: true,
        ..Bench::default()
    };
    let (tell, mut told) = mpsc::channel(100);
    let start = Instant::now();
    let driver = bench.start(Concurrency::Fixed(3), move |texts| {
        tell.try_send((texts.join(""), start.elapsed().as_millis()))
            .unwrap();
        ok()
    });
    for (pause, text) in [(0, "a\n"), (70, "b\n"), (10, "c\n"), (10, "d\n")] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        bench.send(text, true).await;
    }
    let mut loads = Vec::new();
    for _ in 0..3 {
        loads.push(told.recv().await.unwrap());
    }
    // A second to write; after a silence at once, else 50 ms after the one before.
    let at = [("a", 1000), ("b", 1070), ("cd", 1120)];
    assert_eq!(loads, at.map(|(texts, at)| (texts.to_owned(), at)));
    bench.feed.close();
    driver.await.unwrap();
    assert_eq!(bench.heard.0.lock().unwrap().accepted, 4);
}

#[tokio::test(start_paused = true)]
async fn more_goes_with_a_load_that_a_source_waits_for() {
    for (awaited, most) in [(false, 8), (true, 32)] {
        let bench = Bench::default();
        for _ in 0..50 {
            bench.send("x\n", awaited).await;
        }
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let driver = bench.start(Concurrency::One, move |texts| {
            seen.lock().unwrap().push(texts.len());
            ok()
        });
        bench.feed.close();
        driver.await.unwrap();
        let sizes = sizes.lock().unwrap();
        assert_eq!((sizes[0], sizes.iter().sum::<usize>()), (most, 50));
    }
}

/// Answers that a load must wait `after` for, and when each call came.
async fn pauses(bench: Bench, text: &str, first: SinkError) -> Vec<(String, Duration)> {
    bench.send(text, false).await;
    let (tell, mut told) = mpsc::channel(100);
    let start = Instant::now();
    let mut first = Some(first);
    let driver = bench.start(Concurrency::One, move |texts| {
        tell.try_send((texts.join(""), start.elapsed())).unwrap();
        first.take().map_or_else(ok, Err)
    });
    bench.feed.close();
    driver.await.unwrap();
    let mut all = Vec::new();
    while let Some(call) = told.recv().await {
        all.push(call);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn the_far_end_is_waited_for_as_it_wishes_within_reason() {
    for (asked, waited) in [
        (Duration::from_mins(4), 240),
        (Duration::from_mins(6), 300),
        (Duration::MAX, 300),
    ] {
        let busy = SinkError::Retry {
            message: "busy".to_owned(),
            after: Some(asked),
        };
        let calls = pauses(Bench::default(), "a\n", busy).await;
        let times: Vec<_> = calls.iter().map(|(_, at)| at.as_secs()).collect();
        assert_eq!(times, [1, waited + 2], "a second for each call");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_tried_again_waits_beside_what_is_held() {
    let bench = Bench {
        with_dead_letters: false,
        ..Bench::default()
    };
    let partial = SinkError::Partial(Box::new(Partial {
        rejected: vec![(0, "bad".to_owned())],
        retry: vec![2],
        message: "busy".to_owned(),
        after: Some(Duration::from_mins(1)),
        ..Partial::default()
    }));
    let calls = pauses(bench, "held\ndone\nlater\n", partial).await;
    let calls: Vec<_> = calls.iter().map(|(t, at)| (&**t, at.as_secs())).collect();
    assert_eq!(calls, [("helddonelater", 1), ("later", 62), ("held", 63)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_waiting_source_sends_again_is_returned_at_the_deadline() {
    for concurrency in [Concurrency::One, Concurrency::Adaptive(2)] {
        let bench = Bench::default();
        bench.send("a\nb\n", true).await;
        bench.send("c\n", false).await;
        let driver = bench.start(concurrency, |_| {
            Err(SinkError::Denied {
                message: "401".to_owned(),
            })
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(bench.status.failing().as_deref(), Some("401"));
        bench
            .cut_off
            .send_replace(Some(Instant::now() + Duration::from_secs(4)));
        bench.feed.close();
        assert_eq!(driver.await.unwrap(), Ended::CutOff);
        let end = bench.ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        assert_eq!(
            (end.sinks[0].returned, end.sinks[0].dropped.shutdown),
            (2, 1)
        );
        assert_eq!(
            (end.sources[0].returned, end.sources[0].dropped.shutdown),
            (2, 1)
        );
        assert_eq!(bench.heard.0.lock().unwrap().returned, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_events_without_room_at_the_deadline_are_given_up() {
    let bench = Bench::default();
    for text in ["a\nx\n", "b\n", "c\n"] {
        bench.send(text, false).await;
    }
    // The first record fills the dead-letter queue, which nobody drains.
    let driver = bench.start(Concurrency::One, |_| {
        let rejected = [0, 2, 3].map(|item| (item, "r".repeat(1 << 20)));
        Err(SinkError::Partial(Box::new(Partial {
            rejected: rejected.to_vec(),
            ..Partial::default()
        })))
    });
    while bench.ledger.snapshot().sinks[0].dead_lettered < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.cut_off.send_replace(Some(Instant::now()));
    bench.feed.close();
    assert_eq!(driver.await.unwrap(), Ended::CutOff);
    bench.deliver_rest(1, &bench.dead);
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    let source = &end.sources[0];
    assert_eq!((source.accepted, source.dead_lettered), (1, 1));
    assert_eq!(source.dropped.shutdown, 2);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_sink_is_a_failed_attempt() {
    let bench = Bench::default();
    bench.send("a\n", false).await;
    let mut first = true;
    let driver = bench.start(Concurrency::One, move |_| {
        assert!(!std::mem::take(&mut first), "on purpose");
        ok()
    });
    bench.feed.close();
    assert_eq!(driver.await.unwrap(), Ended::Drained);
    let end = bench.ledger.snapshot();
    assert_eq!((end.sinks[0].delivered, end.sinks[0].retries), (1, 1));
}

/// A question whether the service is there must not hold up what is for it.
#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_holds_up_no_load() {
    let bench = Bench {
        check_hangs: true,
        ..Bench::default()
    };
    let driver = bench.start(Concurrency::Adaptive(4), |_| ok());
    let (answer, _waits) = oneshot::channel();
    bench.ask.send(answer).await.unwrap();
    tokio::task::yield_now().await;
    let start = Instant::now();
    bench.send("a\n", true).await;
    while bench.ledger.snapshot().sinks[0].delivered == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A load takes a second; the check would give up after two.
    assert!(start.elapsed() < CHECK_TIMEOUT);
    bench.feed.close();
    assert_eq!(driver.await.unwrap(), Ended::Drained);
}
