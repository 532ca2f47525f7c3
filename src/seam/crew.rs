//! Stages on as many threads as there are stages, any of which runs any stage.
//!
//! A stage that blocks its thread holds up no other, as if each had a thread of
//! its own. But a stage that has made work for another can have it done by its own
//! thread, where the data are in the processor's caches, and go on itself on
//! another thread ([`relay`]).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::runtime::Handle;

/// A task that waits for the one it gave its thread to waits no longer than about
/// twice this if that one blocks: another thread runs it then.
const STAY: Duration = Duration::from_millis(2);

thread_local! {
    /// When the task that this thread of a crew runs stays with it.
    static STAYS: Cell<Option<Stays>> = const { Cell::new(None) };
    /// Whether it does so after its last relay.
    static STAYED: Cell<bool> = const { Cell::new(false) };
    /// Whether what is woken now is for this thread: within a relay.
    static RELAYS: Cell<bool> = const { Cell::new(false) };
    /// Woken in a relay: this thread runs it next.
    static NEXT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

/// When a task that has relayed goes on after the other one, on the same thread.
#[derive(Clone, Copy)]
enum Stays {
    /// There is another processor, and the task is a stage: what feeds it has time.
    Never,
    /// The far end of a connection keeps the other processor busy.
    IfLittle,
    Always,
}

/// The threads and what they have to run.
pub struct Crew {
    runtime: Handle,
    one_processor: bool,
    stay: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// To be run by whichever thread is free.
    ready: VecDeque<Arc<Task>>,
    /// To be run by the thread that put it here, by another only if that one is
    /// blocked; with how many were put here before.
    staying: VecDeque<(u64, Arc<Task>)>,
    stayed: u64,
    /// Whether an idle thread looks after those.
    watched: bool,
    idle: usize,
    light: usize,
    /// Whether there is a thread for the light tasks.
    extra: bool,
}

/// A stage, or a light task.
struct Task {
    crew: Arc<Crew>,
    light: bool,
    state: AtomicU8,
    /// Taken once it has ended.
    run: Mutex<Option<Run>>,
}

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

// The states of a task.
const WAITS: u8 = 0;
/// In a queue, or about to be.
const READY: u8 = 1;
const RUNS: u8 = 2;
/// Woken while it runs.
const WOKEN: u8 = 3;

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crew")
    }
}

impl Crew {
    /// Nobody yet, for tasks that use `runtime`'s timers and sockets.
    pub(super) fn new(runtime: Handle, processors: usize) -> Arc<Crew> {
        Arc::new(Crew {
            runtime,
            one_processor: processors == 1,
            stay: STAY,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Starts a stage, which may block, and one more thread.
    pub(super) fn start(
        self: &Arc<Crew>,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        self.recruit()?;
        self.push(self.task(false, Box::pin(run)));
        Ok(())
    }

    /// Starts a task that never blocks. As long as there are any, there is one
    /// thread more, so that they run while all stages block; if there cannot be,
    /// they run between them.
    pub(super) fn start_light(self: &Arc<Crew>, run: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.lock();
        state.light += 1;
        if !state.extra {
            let recruited = self.recruit();
            state.extra = recruited.is_ok();
            if let Err(error) = recruited {
                tracing::warn!("no thread for connections of their own: {error}");
            }
        }
        drop(state);
        self.push(self.task(true, Box::pin(run)));
    }

    fn recruit(self: &Arc<Crew>) -> std::io::Result<()> {
        let crew = self.clone();
        let thread = std::thread::Builder::new().name("stage".to_owned());
        thread.spawn(move || crew.serve())?;
        Ok(())
    }

    fn task(self: &Arc<Crew>, light: bool, run: Run) -> Arc<Task> {
        Arc::new(Task {
            crew: self.clone(),
            light,
            state: AtomicU8::new(READY),
            run: Mutex::new(Some(run)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a task to whichever thread is free.
    fn push(&self, task: Arc<Task>) {
        self.lock().ready.push_back(task);
        self.changed.notify_one();
    }

    /// Leaves a task to this thread, for when it has done what is next.
    fn stay(&self, task: Arc<Task>) {
        let call = {
            let mut state = self.lock();
            state.stayed += 1;
            let number = state.stayed;
            state.staying.push_back((number, task));
            !state.watched && state.idle > 0
        };
        if call {
            self.changed.notify_one();
        }
    }

    /// The one that has been ready for longest in the place of one that is ready too.
    fn swap(&self, task: Arc<Task>) -> Arc<Task> {
        let mut state = self.lock();
        // What waits for this thread to be free waits no longer.
        if let Some((_, other)) = state.staying.pop_front() {
            state.ready.push_back(other);
            self.changed.notify_one();
        }
        let Some(longest) = state.ready.pop_front() else {
            return task;
        };
        state.ready.push_back(task);
        longest
    }

    /// One that stays, or else the one that has been ready for longest, waiting for it.
    fn take(&self) -> Arc<Task> {
        let mut state = self.lock();
        if let Some((_, task)) = state.staying.pop_front() {
            return task;
        }
        let mut watches = false;
        loop {
            if let Some(task) = state.ready.pop_front() {
                if watches {
                    state.watched = false;
                    // Another one has to, or takes it when it comes here.
                    if !state.staying.is_empty() && state.idle > 0 {
                        self.changed.notify_one();
                    }
                }
                return task;
            }
            if !watches && !state.watched && !state.staying.is_empty() {
                (watches, state.watched) = (true, true);
            }
            state.idle += 1;
            if watches {
                let before = state.stayed;
                let waited = self.changed.wait_timeout(state, self.stay);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                let late = state.staying.front();
                if late.is_some_and(|(number, _)| *number <= before) {
                    let late = state.staying.pop_front();
                    state.ready.extend(late.map(|(_, task)| task));
                } else if state.stayed == before {
                    (watches, state.watched) = (false, false);
                }
            } else {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
            state.idle -= 1;
        }
    }

    /// Runs tasks until there is one thread too many.
    fn serve(self: Arc<Crew>) {
        // Woken while it ran.
        let mut again: Option<Arc<Task>> = None;
        loop {
            let next = NEXT.take();
            let task = match (next, again.take()) {
                (Some(next), None) => next,
                (Some(next), Some(other)) => {
                    if STAYED.get() {
                        self.stay(other);
                    } else {
                        self.push(other);
                    }
                    next
                }
                (None, Some(task)) => self.swap(task),
                (None, None) => self.take(),
            };
            if self.poll(&task).is_pending() {
                let was =
                    task.state
                        .compare_exchange(RUNS, WAITS, Ordering::AcqRel, Ordering::Acquire);
                if was.is_err() {
                    task.state.store(READY, Ordering::Release);
                    again = Some(task);
                }
                continue;
            }
            let surplus = if task.light {
                let mut state = self.lock();
                state.light -= 1;
                state.light == 0 && std::mem::take(&mut state.extra)
            } else {
                true
            };
            if surplus {
                return self.leave();
            }
        }
    }

    /// Leaves what this thread would have run to the others.
    fn leave(&self) {
        let mut state = self.lock();
        let staying = std::mem::take(&mut state.staying).into_iter();
        let left = NEXT.take().into_iter().chain(staying.map(|(_, task)| task));
        state.ready.extend(left);
        self.changed.notify_all();
    }

    /// Runs a task until it waits or has ended, or has used up its turn.
    fn poll(&self, task: &Arc<Task>) -> Poll<()> {
        RELAYS.set(false);
        STAYS.set(Some(match task.light {
            _ if self.one_processor => Stays::Always,
            true => Stays::IfLittle,
            false => Stays::Never,
        }));
        task.state.swap(RUNS, Ordering::AcqRel);
        let waker = Waker::from(task.clone());
        let mut context = Context::from_waker(&waker);
        let mut place = task.run.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = place.as_mut() else {
            return Poll::Ready(());
        };
        let once = poll_fn(|_| Poll::Ready(run.as_mut().poll(&mut context)));
        let polled = catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(once)));
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        // A panic has said what it is, and ends the task as its end does.
        let ended = place.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
        Poll::Ready(())
    }
}

impl Wake for Task {
    fn wake(self: Arc<Task>) {
        // Written even if it stays the same: whoever runs it next sees all that was
        // before this.
        let woken = |state| match state {
            WAITS => Some(READY),
            RUNS => Some(WOKEN),
            other => Some(other),
        };
        let before = (self.state).fetch_update(Ordering::AcqRel, Ordering::Acquire, woken);
        if before != Ok(WAITS) {
            return;
        }
        let crew = self.crew.clone();
        if RELAYS.get() {
            // The last one stays with this thread: the sink that gets what is left.
            let before = NEXT.replace(Some(self));
            before.into_iter().for_each(|other| crew.push(other));
        } else {
            crew.push(self);
        }
    }
}

/// Calls `make`, which wakes other tasks, and has the last of them done next by
/// this thread; goes on at once on another thread, or, for a light task that has
/// done `little` itself, after it. On threads that are no crew's, only calls it.
/// To be awaited at once: what was woken waits for this thread until then.
pub(crate) async fn relay<T>(little: bool, make: impl FnOnce() -> T) -> T {
    let Some(stays) = STAYS.get() else {
        return make();
    };
    RELAYS.set(true);
    let result = make();
    RELAYS.set(false);
    STAYED.set(match stays {
        Stays::Never => false,
        Stays::IfLittle => little,
        Stays::Always => true,
    });
    if NEXT.with_borrow(Option::is_some) {
        tokio::task::yield_now().await;
    }
    result
}

#[cfg(test)]
mod tests;
