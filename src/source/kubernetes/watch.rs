//! Keeps what is known of pods up to date: a list, then a watch from its version
//! on, and so on from there.
//!
//! | what happens | what is done |
//! |---|---|
//! | a watch ends | another one begins where it ended; bookmarks keep that near |
//! | it fails, in any way | the same after a pause, longer each time, by chance; after some times in a row a list |
//! | 410 Gone, as a status or as an event | a list, of what is in force now |
//! | the API is away | what is known stays known; said once, counted each time |
//!
//! Nobody waits for it: see [`super::described`].

use std::sync::Arc;
use std::time::Duration;

use kube::core::WatchEvent;
use tokio::time::{Instant, sleep};

use super::api::{Access, Api, ApiError, Events, Page};
use super::pods::Pods;
use crate::seam::Random;

/// Failures of watches in a row after which all is listed again.
const WATCH_FAILURES_MAX: u32 = 3;
/// Pages of one list: far more pods than a node may have.
const PAGES_MAX: usize = 50;

/// How long pauses are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The first pause after a failure; it doubles with each.
    pub(super) pause_min: Duration,
    pub(super) pause_max: Duration,
    /// A watch that lasts so long without an event is well.
    pub(super) well: Duration,
}

impl Default for Pace {
    /// A thousand nodes whose API is away ask it every 15 ms at the last.
    fn default() -> Pace {
        Pace {
            pause_min: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
            well: Duration::from_secs(5),
        }
    }
}

/// Watches the pods of a node.
pub(super) struct Watcher {
    /// The source's name.
    pub(super) name: Arc<str>,
    pub(super) node: String,
    pub(super) pods: Arc<Pods>,
    pub(super) pace: Pace,
    pub(super) random: Random,
}

/// How things are.
#[derive(Default)]
struct Health {
    failures: u32,
    /// Whether it was said that something is wrong.
    is_said: bool,
    has_begun: bool,
}

/// How a watch ended that was not broken.
struct Ended {
    /// Whether it told anything, or went on for long.
    is_well: bool,
}

impl Watcher {
    /// Until it is dropped.
    pub(super) async fn run(self, access: Access) {
        let api = match Api::new(access, &self.node) {
            Ok(api) => api,
            Err(error) => {
                tracing::error!(
                    "{}: enrich: cannot ask the cluster's API: {error}",
                    self.name
                );
                return;
            }
        };
        let mut health = Health::default();
        let mut fresh = false;
        loop {
            match self.list(&api, fresh).await {
                Ok(version) => {
                    self.note_listed(&mut health);
                    fresh = self.watch_on(&api, version, &mut health).await;
                }
                Err(error) => {
                    // What comes from a server's memory comes in one answer.
                    fresh |= matches!(error, ApiError::Gone | ApiError::Long(_));
                    self.pause(&error, &mut health).await;
                }
            }
        }
    }

    /// Takes in all pods; the version that they are of.
    async fn list(&self, api: &Api, fresh: bool) -> Result<String, ApiError> {
        self.pods.begin_list();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let Page { metadata, items } = api.list(token.as_deref(), fresh).await?;
            for pod in &items {
                self.pods.put(&pod.metadata);
            }
            token = metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                self.pods.end_list();
                let version = metadata.resource_version.filter(|v| !v.is_empty());
                return version.ok_or_else(|| ApiError::Failed {
                    message: "a list without a version".to_owned(),
                    pause: None,
                });
            }
        }
        Err(ApiError::Failed {
            message: format!("a list of more than {PAGES_MAX} pages"),
            pause: None,
        })
    }

    /// Watches from `version` on until only a list helps; whether that must be
    /// of what is in force now.
    async fn watch_on(&self, api: &Api, mut version: String, health: &mut Health) -> bool {
        let mut failures = 0;
        loop {
            let outcome = match api.watch(&version).await {
                Ok(events) => {
                    self.pods.set_connected(true);
                    self.follow(events, &mut version, health).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Ended { is_well: true }) => failures = 0,
                // An API that ends every watch at once is not asked at once.
                Ok(Ended { is_well: false }) => {
                    health.failures += 1;
                    sleep(self.pause_after(health.failures)).await;
                }
                Err(error) => {
                    let is_gone = matches!(error, ApiError::Gone);
                    failures += 1;
                    self.pause(&error, health).await;
                    if is_gone || failures >= WATCH_FAILURES_MAX {
                        return is_gone;
                    }
                }
            }
        }
    }

    /// Takes in the events of a watch.
    async fn follow(
        &self,
        mut events: Events,
        version: &mut String,
        health: &mut Health,
    ) -> Result<Ended, ApiError> {
        let began = Instant::now();
        let mut is_well = false;
        while let Some(event) = events.next().await? {
            let seen = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    self.pods.put(&pod.metadata);
                    pod.metadata.resource_version
                }
                WatchEvent::Deleted(pod) => {
                    self.pods.remove(&pod.metadata);
                    pod.metadata.resource_version
                }
                WatchEvent::Bookmark(mark) => Some(mark.metadata.resource_version),
                // The reader has made it an error.
                WatchEvent::Error(_) => None,
            };
            if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
                *version = seen;
            }
            if !std::mem::replace(&mut is_well, true) {
                self.note_well(health);
            }
        }
        if began.elapsed() >= self.pace.well {
            is_well = true;
            self.note_well(health);
        }
        Ok(Ended { is_well })
    }

    fn note_listed(&self, health: &mut Health) {
        if !std::mem::replace(&mut health.has_begun, true) {
            let (name, node, pods) = (&self.name, &self.node, self.pods.len());
            tracing::info!("{name}: enrich: the API knows {pods} pods of node {node}");
        }
    }

    fn note_well(&self, health: &mut Health) {
        health.failures = 0;
        if std::mem::take(&mut health.is_said) {
            tracing::info!("{}: enrich: the API tells of pods again", self.name);
        }
    }

    /// Says what is wrong, unless that is known, and waits.
    async fn pause(&self, error: &ApiError, health: &mut Health) {
        // A version that is too old is in the nature of things.
        let is_gone = matches!(error, ApiError::Gone);
        if !is_gone {
            self.pods.set_connected(false);
            self.pods.count_error();
        }
        if !is_gone && !std::mem::replace(&mut health.is_said, true) {
            tracing::warn!(
                "{}: enrich: the cluster's API: {error}; going on with what is known of {} pods, \
                 asking again",
                self.name,
                self.pods.len()
            );
        }
        health.failures += 1;
        let pause = self.pause_after(health.failures);
        let wished = match error {
            ApiError::Failed { pause, .. } => pause.unwrap_or_default(),
            ApiError::Gone | ApiError::Long(_) => Duration::ZERO,
        };
        sleep(pause.max(wished)).await;
    }

    /// Between half of it and all, so that nodes do not ask together.
    fn pause_after(&self, failures: u32) -> Duration {
        let doubled = 1_u32 << failures.saturating_sub(1).min(16);
        let full = self.pace.pause_max.min(self.pace.pause_min * doubled);
        let part = (self.random.u64() >> 32) as f64 / f64::from(u32::MAX);
        full.mul_f64(0.5 + part / 2.0)
    }
}
