//! Where stages run: threads of their own, or tasks of one thread.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::crew::Crew;

/// How stages are started.
#[derive(Clone, Debug)]
pub enum Spawn {
    /// Each stage on a plain thread, free to block, with the runtime's timers
    /// and sockets at hand; tasks on the runtime.
    Threads(Handle),
    /// All stages on threads that they share; tasks on the runtime.
    Crew(Arc<Crew>),
    /// Everything as tasks of the current runtime: for simulation.
    Inline,
    /// Whoever runs them: for simulation too.
    By(Arc<dyn Spawner>),
}

/// Runs stages and tasks in an order of its own, on the current runtime.
pub trait Spawner: fmt::Debug + Send + Sync {
    /// Starts one.
    fn spawn(&self, run: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// A running stage; resolves to its result, or `None` if it panicked.
pub struct Stage<T>(oneshot::Receiver<T>);

impl Spawn {
    /// Starts a byte-moving stage, which may block its thread.
    pub fn stage<T: Send + 'static>(
        &self,
        name: &str,
        run: impl Future<Output = T> + Send + 'static,
    ) -> std::io::Result<Stage<T>> {
        let (done, result) = oneshot::channel();
        match self {
            Spawn::Inline => {
                tokio::spawn(async move { done.send(run.await) });
            }
            Spawn::By(spawner) => spawner.spawn(Box::pin(async move {
                // As below.
                let _ = done.send(run.await);
            })),
            Spawn::Threads(handle) => {
                let handle = handle.clone();
                // The kernel shows 15 bytes of a thread's name.
                let name: String = name.chars().take(15).collect();
                std::thread::Builder::new().name(name).spawn(move || {
                    let outcome =
                        std::panic::catch_unwind(AssertUnwindSafe(|| handle.block_on(run)));
                    if let Ok(value) = outcome {
                        // The receiver may be gone: nobody waits for the stage.
                        let _ = done.send(value);
                    }
                })?;
            }
            Spawn::Crew(crew) => crew.start(async move {
                // As above.
                let _ = done.send(run.await);
            })?,
        }
        Ok(Stage(result))
    }

    /// Starts a task that moves bytes and never blocks its thread: among the
    /// stages, if these share their threads.
    pub fn beside_stages(&self, run: impl Future<Output = ()> + Send + 'static) {
        match self {
            Spawn::Crew(crew) => crew.start_light(run),
            _ => self.task(run),
        }
    }

    /// Starts a task that only waits on timers and sockets.
    pub fn task(&self, run: impl Future<Output = ()> + Send + 'static) {
        match self {
            Spawn::Inline => drop(tokio::spawn(run)),
            Spawn::By(spawner) => spawner.spawn(Box::pin(run)),
            Spawn::Threads(handle) => drop(handle.spawn(run)),
            Spawn::Crew(crew) => drop(crew.runtime().spawn(run)),
        }
    }
}

impl<T> Future for Stage<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}
