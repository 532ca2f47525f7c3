//! Reads the config again while tflog runs, and puts it in force.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::engine::{self, ANSWER_TIME, Prepared, Setup};
use super::notify::Notifier;
use super::say;
use crate::admin::Admin;
use crate::pipeline::{Changes, Monitor, Reloader, Seed};
use crate::seam::World;

/// Makes a plan of the config as it is written now, to follow the running one;
/// prints what is wrong with it.
pub(super) type Prepare<'a> = &'a dyn Fn(Seed) -> Result<Prepared, u8>;

/// tflog's own listener.
pub(super) struct Front {
    monitor: Arc<Monitor>,
    open: Option<Open>,
}

struct Open {
    close: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Front {
    pub(super) fn new(monitor: Arc<Monitor>) -> Front {
        Front {
            monitor,
            open: None,
        }
    }

    /// Answers at `admin`, and nowhere else any more.
    pub(super) fn serve(&mut self, admin: Option<Admin>) {
        let open = admin.map(|admin| {
            tracing::info!(address = %admin.address(), "http listener open");
            let (close, closing) = watch::channel(false);
            let served = tokio::spawn(admin.serve(self.monitor.clone(), closing));
            Open { close, served }
        });
        if let Some(before) = std::mem::replace(&mut self.open, open) {
            // Its connections end with the requests that they are in.
            before.close.send_replace(true);
        }
    }

    /// Ends: answers that are being written are worth a moment, no more.
    pub(super) async fn close(self) {
        if let Some(open) = self.open {
            open.close.send_replace(true);
            let _ = timeout(ANSWER_TIME, open.served).await;
        }
    }
}

/// Reloads whenever it is wanted. Wishes that come meanwhile are one.
pub(super) async fn serve(
    wanted: &Notify,
    prepare: Prepare<'_>,
    reloader: &Reloader,
    setup: &mut Setup,
    front: &mut Front,
    notifier: &Notifier,
    world: &World,
) -> Infallible {
    loop {
        wanted.notified().await;
        notifier.say("RELOADING=1");
        let result = once(prepare, reloader, setup, front, world).await;
        front.monitor.count_reload(result.is_ok());
        notifier.say("READY=1");
        match result {
            Ok(changes) => {
                for what in &changes.unchangeable {
                    tracing::warn!("{what}");
                }
                let Changes {
                    added,
                    replaced,
                    removed,
                    ..
                } = changes;
                tracing::info!(?added, ?replaced, ?removed, "config reloaded");
            }
            Err(reason) => {
                tracing::error!("config not reloaded, the one before stays in force: {reason}");
            }
        }
    }
}

async fn once(
    prepare: Prepare<'_>,
    reloader: &Reloader,
    setup: &mut Setup,
    front: &mut Front,
    world: &World,
) -> Result<Changes, String> {
    let Ok(Prepared { plan, setup: new }) = prepare(reloader.seed()) else {
        return Err("it has errors".to_owned());
    };
    let refused = |message: String| {
        say(&format!("tflog: {message}"));
        message
    };
    let certified = engine::asks_clients(new.listener.tls.as_ref());
    engine::mounts(&plan, new.http.as_deref(), certified).map_err(refused)?;
    let moves = new.http != setup.http || new.listener != setup.listener;
    let admin = if moves {
        engine::bind(&new, world).await.map_err(refused)?
    } else {
        None
    };
    let changes = reloader.reload(plan).await;
    let changes = changes.map_err(|error| refused(error.to_string()))?;
    if moves {
        front.serve(admin);
    }
    *setup = new;
    Ok(changes)
}
