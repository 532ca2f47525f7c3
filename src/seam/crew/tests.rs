//! What blocks holds up nothing else, nothing is lost, and work is where it should be.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use tokio::sync::{Notify, mpsc, oneshot};

use super::*;
use crate::seam::{Spawn, Stage};

const PROCESSORS: usize = 2;

fn crew(processors: usize) -> Arc<Crew> {
    Crew::new(Handle::current(), processors)
}

fn stage<T: Send + 'static>(
    crew: &Arc<Crew>,
    run: impl Future<Output = T> + Send + 'static,
) -> Stage<T> {
    Spawn::Crew(crew.clone())
        .stage("test", run)
        .expect("a thread")
}

fn here() -> ThreadId {
    std::thread::current().id()
}

/// Every stage blocks until the last one is there, and light tasks run meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_blocks_holds_up_none() {
    let crew = crew(PROCESSORS);
    let (tell, ended) = oneshot::channel();
    let mut blocked = Vec::new();
    let mut release = Vec::new();
    for _ in 0..10 {
        let (go, wait) = blocking::sync_channel::<()>(1);
        release.push(go);
        blocked.push(stage(&crew, async move { wait.recv() }));
    }
    crew.start_light(async move { tell.send(()).expect("somebody waits") });
    ended.await.expect("it ran");
    let last = stage(&crew, async move { release });
    let release = last.await.expect("it ran");
    for go in release {
        go.send(()).expect("it waits");
    }
    for stage in blocked {
        stage.await.expect("no panic").expect("told");
    }
}

/// A crew of two threads, a stage that waits for work, and a task that gives it
/// some; on which threads: before, the work, after.
async fn relay_once(processors: usize, light: bool, little: bool) -> [ThreadId; 3] {
    let mut crew = crew(processors);
    // A thread that the kernel keeps waiting for long is as good as blocked.
    Arc::get_mut(&mut crew).expect("nobody else").stay = Duration::from_hours(1);
    let work = Arc::new(Notify::new());
    let given = work.clone();
    let (worked, done) = oneshot::channel();
    let end = Arc::new(Notify::new());
    let ends = end.clone();
    stage(&crew, async move {
        given.notified().await;
        let _ = worked.send(here());
        // Its thread would end with it.
        ends.notified().await;
    });
    let (tell, heard) = oneshot::channel();
    let other = crew.clone();
    let feed = async move {
        // Woken while it runs, it would be where it is already.
        let waits = |state: &State| state.idle == 1 && state.ready.is_empty();
        while !waits(&other.lock()) {
            tokio::task::yield_now().await;
        }
        let before = here();
        relay(little, || work.notify_one()).await;
        let _ = tell.send((before, here()));
    };
    if light {
        crew.start_light(feed);
    } else {
        stage(&crew, feed).await.expect("no panic");
    }
    let (before, after) = heard.await.expect("no panic");
    end.notify_one();
    [before, done.await.expect("no panic"), after]
}

/// The thread that made the work does it; who made it goes on behind it there
/// if it is light and has done little, or if there is one processor.
#[tokio::test(flavor = "multi_thread")]
async fn work_is_done_where_it_was_made() {
    for (processors, light, little, stays) in [
        (1, false, false, true),
        (2, true, true, true),
        (2, true, false, false),
        (2, false, true, false),
    ] {
        let [before, work, after] = relay_once(processors, light, little).await;
        assert_eq!(before, work, "{processors} {light} {little}");
        assert!(!stays || before == after, "{processors} {light} {little}");
    }
}

/// A relay to a stage that then blocks holds up who relayed for no longer than
/// it takes another thread to see it.
#[tokio::test(flavor = "multi_thread")]
async fn who_relays_to_what_blocks_goes_on() {
    for (processors, light) in [(1, false), (2, true), (2, false)] {
        let crew = crew(processors);
        let work = Arc::new(Notify::new());
        let given = work.clone();
        let (go, wait) = blocking::sync_channel::<()>(1);
        let blocks = stage(&crew, async move {
            given.notified().await;
            wait.recv().expect("released by who relayed");
        });
        let feed = async move {
            relay(true, || work.notify_one()).await;
            go.send(()).expect("it waits");
        };
        if light {
            crew.start_light(feed);
        } else {
            stage(&crew, feed).await.expect("no panic");
        }
        blocks.await.expect("no panic");
    }
}

/// Stages and light tasks in a ring, each of which passes on what comes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_passed_on_is_lost() {
    const ROUNDS: u64 = 20_000;
    const RING: usize = 9;
    for processors in [1, 2] {
        let crew = crew(processors);
        let passed = Arc::new(AtomicU64::new(0));
        let (first, mut input) = mpsc::channel::<u64>(4);
        let mut stages = Vec::new();
        for place in 0..RING {
            let (give, take) = mpsc::channel(4);
            let mut input = std::mem::replace(&mut input, take);
            let passed = passed.clone();
            let run = async move {
                while let Some(number) = input.recv().await {
                    passed.fetch_add(1, Ordering::Relaxed);
                    let given = relay(place % 2 == 0, || give.try_send(number)).await;
                    if given.is_err() && give.send(number).await.is_err() {
                        break;
                    }
                }
            };
            if place % 3 == 0 {
                crew.start_light(run);
            } else {
                stages.push(stage(&crew, run));
            }
        }
        let feed = stage(&crew, async move {
            for number in 0..ROUNDS {
                first.send(number).await.expect("the ring takes it");
            }
        });
        let mut expected = 0;
        while let Some(number) = input.recv().await {
            assert_eq!(number, expected);
            expected += 1;
        }
        assert_eq!(expected, ROUNDS);
        assert_eq!(passed.load(Ordering::Relaxed), ROUNDS * RING as u64);
        feed.await.expect("no panic");
        for stage in stages {
            stage.await.expect("no panic");
        }
    }
}

/// Tasks that always have more to do take turns, though there are more of them
/// than threads.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_never_wait_take_turns() {
    let crew = crew(PROCESSORS);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..5 {
        let stop = stop.clone();
        crew.start_light(async move {
            while !stop.load(Ordering::Relaxed) {
                tokio::task::consume_budget().await;
            }
        });
    }
    let (tell, heard) = oneshot::channel();
    crew.start_light(async move { tell.send(()).expect("somebody waits") });
    heard.await.expect("it had its turn");
    stage(&crew, async {}).await.expect("it had its turn");
    stop.store(true, Ordering::Relaxed);
}

/// A panic ends its stage and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_stage_alone() {
    let crew = crew(PROCESSORS);
    let work = Arc::new(Notify::new());
    let given = work.clone();
    let other = stage(&crew, async move { given.notified().await });
    let panics = stage(&crew, async move {
        relay(false, || {
            work.notify_one();
            panic!("as it should");
        })
        .await;
    });
    assert!(panics.await.is_none());
    other.await.expect("woken before");
}

/// Threads are gone with what they were for.
#[tokio::test(flavor = "multi_thread")]
async fn threads_end_with_what_they_run() {
    let crew = crew(PROCESSORS);
    let here = Arc::downgrade(&crew);
    let (go, wait) = oneshot::channel::<()>();
    crew.start_light(async {});
    crew.start_light(async move { wait.await.expect("told") });
    for _ in 0..3 {
        stage(&crew, async {}).await.expect("no panic");
    }
    drop(crew);
    assert!(here.upgrade().is_some());
    go.send(()).expect("it waits");
    let gone = |crew: &Weak<Crew>| crew.upgrade().is_none();
    while !gone(&here) {
        tokio::task::yield_now().await;
    }
}
