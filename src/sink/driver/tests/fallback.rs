//! Another sink takes over while one is down.

use std::sync::Mutex;

use super::*;
use crate::telemetry::{Quota, WhenFull};

#[tokio::test(start_paused = true)]
async fn the_fallback_takes_what_waits_while_a_sink_is_down() {
    for concurrency in [Concurrency::One, Concurrency::Adaptive(1)] {
        let bench = Bench {
            with_fallback: true,
            ..Bench::default()
        };
        bench.send("held\n", false).await;
        let up = Arc::new(Mutex::new(false));
        let is_up = up.clone();
        let driver = bench.start(concurrency, move |_| {
            if *is_up.lock().unwrap() {
                ok()
            } else {
                retry("down")
            }
        });
        while !bench.status.is_down() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in 0..20 {
            bench.send("x\ny\n", false).await;
        }
        while bench.ledger.snapshot().sinks[0].diverted < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        *up.lock().unwrap() = true;
        bench.feed.close();
        driver.await.unwrap();
        bench.deliver_rest(2, &bench.fallback);
        let end = bench.ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        assert_eq!(end.sinks[0].diverted, end.sinks[2].entered);
        assert_eq!(end.sources[0].accepted, 41);
    }
}

#[tokio::test(start_paused = true)]
async fn the_fallback_takes_over_while_writes_wait_for_a_far_end_that_is_away() {
    let bench = Bench {
        with_fallback: true,
        ..Bench::default()
    };
    bench.send("held\n", false).await;
    bench.stuck.send_replace(true);
    let driver = bench.start(Concurrency::Fixed(4), |_| ok());
    while bench.in_flight.lock().unwrap().0 < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.away.send_replace(Some("no broker".to_owned()));
    while !bench.status.is_down() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.status.failing().as_deref(), Some("no broker"));
    for _ in 0..20 {
        bench.send("x\ny\n", false).await;
    }
    while bench.ledger.snapshot().sinks[0].diverted < 40 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        bench.in_flight.lock().unwrap().0,
        1,
        "one load shows when it is back"
    );
    bench.away.send_replace(None);
    bench.stuck.send_replace(false);
    while bench.status.is_down() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.send("z\n", false).await;
    bench.feed.close();
    driver.await.unwrap();
    bench.deliver_rest(2, &bench.fallback);
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    assert_eq!((end.sinks[0].diverted, end.sinks[0].delivered), (40, 2));
    assert_eq!((end.sources[0].accepted, end.sinks[0].retries), (42, 1));
    assert_eq!(bench.status.failing(), None);
}

/// All was gathered, and the queue had ended, when the sink went down: what the
/// fallback has no room for is delivered once it is back, or given up at the deadline.
#[tokio::test(start_paused = true)]
async fn what_the_fallback_has_no_room_for_is_not_forgotten_at_the_end() {
    for is_back in [true, false] {
        let bench = Bench {
            with_fallback: true,
            ..Bench::default()
        };
        let one_share = Quota {
            bytes_max: 100,
            when_full: WhenFull::Block,
        };
        bench.ledger.set_quota(2, one_share);
        bench.stuck.send_replace(true);
        let driver = bench.start(Concurrency::Fixed(1), |_| ok());
        for text in ["in flight\n", "a\n", "b\n", "c\n"] {
            bench.send(text, false).await;
        }
        bench.feed.close();
        // Has the driver take all of it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        bench.away.send_replace(Some("no broker".to_owned()));
        while bench.ledger.snapshot().sinks[0].diverted < 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if is_back {
            bench.away.send_replace(None);
            bench.stuck.send_replace(false);
        } else {
            bench.cut_off.send_replace(Some(Instant::now()));
        }
        driver.await.unwrap();
        bench.deliver_rest(2, &bench.fallback);
        let end = bench.ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        let sink = &end.sinks[0];
        let ends = (sink.diverted, sink.delivered, sink.dropped.shutdown);
        assert_eq!(ends, if is_back { (1, 3, 0) } else { (1, 0, 3) });
    }
}
