//! A successor takes over: the queue, and what was in its predecessor's hands.

use std::sync::Mutex;

use super::*;

/// Runs a driver that is relieved after `secs`, then one that delivers.
async fn handed_over(
    concurrency: Concurrency,
    bench: &Bench,
    secs: u64,
    patience: u64,
    first: impl FnMut(Vec<String>) -> Reply + Send + 'static,
) -> Vec<String> {
    let driver = bench.start(concurrency, first);
    tokio::time::sleep(Duration::from_secs(secs)).await;
    let until = Instant::now() + Duration::from_secs(patience);
    bench.relieved.send_replace(Some(until));
    driver.await.unwrap();
    assert!(Instant::now() <= until, "it waited longer than it may");
    let between = bench.ledger.snapshot();
    assert_eq!(between.violations(), [""; 0]);
    assert_eq!(between.sinks[0].sending, 0);
    bench.relieved.send_replace(None);
    bench.stuck.send_replace(false);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = seen.clone();
    let driver = bench.start(concurrency, move |texts| {
        tell.lock().unwrap().extend(texts);
        ok()
    });
    bench.feed.close();
    assert_eq!(driver.await.unwrap(), Ended::Drained);
    let end = bench.ledger.snapshot();
    assert_eq!(end.violations_at_end(), [""; 0]);
    assert_eq!(end.lost(), 0);
    let seen = seen.lock().unwrap();
    seen.clone()
}

const BOTH: [Concurrency; 2] = [Concurrency::One, Concurrency::Adaptive(4)];

#[tokio::test(start_paused = true)]
async fn what_fails_goes_to_the_successor_in_order() {
    for concurrency in BOTH {
        let bench = Bench::default();
        for text in ["a\nb\n", "c\n", "d\ne\nf\ng\nh\n"] {
            bench.send(text, false).await;
        }
        let script = |_| retry("refused");
        let mut seen = handed_over(concurrency, &bench, 5, 60, script).await;
        if concurrency != Concurrency::One {
            // Several loads at once keep no order.
            seen.sort();
        }
        assert_eq!(seen.concat(), "abcdefgh", "{concurrency:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_in_progress_ends_first_and_counts_once() {
    for concurrency in BOTH {
        let bench = Bench::default();
        bench.send("a\nb\n", true).await;
        bench.stuck.send_replace(true);
        let stuck = bench.stuck.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(9)).await;
            stuck.send_replace(false);
        });
        let seen = handed_over(concurrency, &bench, 5, 60, |_| ok()).await;
        assert_eq!(seen, [""; 0], "{concurrency:?}");
        assert_eq!(bench.ledger.snapshot().sinks[0].delivered, 2);
        assert_eq!(bench.heard.0.lock().unwrap().accepted, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_given_up_in_time_and_repeated() {
    for concurrency in BOTH {
        let bench = Bench::default();
        bench.send("a\nb\n", true).await;
        bench.send("c\n", false).await;
        bench.stuck.send_replace(true);
        let seen = handed_over(concurrency, &bench, 5, 10, |_| ok()).await;
        assert_eq!(seen.concat(), "abc", "{concurrency:?}");
        assert_eq!(bench.heard.0.lock().unwrap().accepted, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pieces_of_a_halved_load_go_back_in_order() {
    let bench = Bench::default();
    bench.send("a\nb\nc\nd\ne\nf\ng\nh\n", false).await;
    // Halved until the poisoned event is alone; then everything fails.
    let mut refusals = 0;
    let script = move |texts: Vec<String>| {
        refusals += 1;
        if refusals > 2 {
            return retry("down");
        }
        reject_if(&texts, "a")
    };
    let seen = handed_over(Concurrency::One, &bench, 6, 60, script).await;
    assert_eq!(seen.concat(), "abcdefgh");
}

/// Another sink of its name writes by then.
#[tokio::test(start_paused = true)]
async fn a_sink_that_was_written_off_gets_nothing_more() {
    for concurrency in BOTH {
        let bench = Bench::default();
        let driver = bench.start(concurrency, |texts| panic!("it gets {texts:?}"));
        bench.status.write_off(&bench.ledger, 0);
        bench.send("a\nb\n", true).await;
        bench.send("c\n", false).await;
        bench.feed.close();
        assert_eq!(driver.await.unwrap(), Ended::CutOff, "{concurrency:?}");
        let end = bench.ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        assert_eq!(end.sinks[0].delivered, 0);
        assert_eq!(bench.heard.0.lock().unwrap().returned, 2);
    }
}
