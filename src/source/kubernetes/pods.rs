//! What is known of the pods of a node: bounded, and kept a while after a pod is
//! gone, since its last lines are still being read then.
//!
//! A static pod's logs have the hash of its manifest in their path where others
//! have the pod's uid; its mirror in the API has it as an annotation.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::hints::{Fault, Hints, Judge};
use crate::telemetry::Gauge;

/// Twice what the largest nodes run, and as many that are gone.
const PODS_MAX: usize = 1024;
/// Names and values of one pod: a hundred labels of the longest.
const POD_BYTES_MAX: usize = 16 * 1024;
/// How long a pod that is gone is kept: files of it may not have been opened yet.
const KEEP: Duration = Duration::from_mins(10);
/// The hash of a static pod's manifest.
const STATIC_POD: &str = "kubernetes.io/config.hash";

/// What events get of pods.
pub(super) struct Wanted {
    /// The node that they are on, if that is known.
    pub(super) node: Option<String>,
    /// The annotations, by name.
    pub(super) annotations: Vec<String>,
    /// What reads hints, if they count.
    pub(super) judge: Option<Judge>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pod {
    /// What its events get.
    pub(super) meta: Vec<(Box<str>, Arc<str>)>,
    pub(super) hints: Hints,
}

struct Kept {
    pod: Arc<Pod>,
    gone: Option<Instant>,
    /// The last list that it was in, or that it came after.
    listed: u64,
}

#[derive(Default)]
struct State {
    pods: HashMap<Box<str>, Kept>,
    lists: u64,
    /// Whether it was said that there are too many.
    is_overfull: bool,
}

/// The pods of a node.
pub(super) struct Pods {
    name: Arc<str>,
    wanted: Wanted,
    state: Mutex<State>,
    version: AtomicU64,
    is_connected: AtomicU64,
    errors: AtomicU64,
    bare_events: AtomicU64,
    faults: AtomicU64,
}

impl Pods {
    /// Of the source `name`; none is known yet.
    pub(super) fn new(name: Arc<str>, wanted: Wanted) -> Pods {
        Pods {
            name,
            wanted,
            state: Mutex::default(),
            version: AtomicU64::default(),
            is_connected: AtomicU64::default(),
            errors: AtomicU64::default(),
            bare_events: AtomicU64::default(),
            faults: AtomicU64::default(),
        }
    }

    /// The node that they are on.
    pub(super) fn node(&self) -> Option<&str> {
        self.wanted.node.as_deref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rises when more, or something else, is known.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A pod by the uid in the paths of its logs.
    pub(super) fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        let state = self.state();
        state.pods.get(uid).map(|kept| kept.pod.clone())
    }

    pub(super) fn count_bare(&self, events: u64) {
        self.bare_events.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.is_connected.store(connected.into(), Ordering::Relaxed);
    }

    /// How many are there now.
    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state
            .pods
            .values()
            .filter(|kept| kept.gone.is_none())
            .count()
    }

    /// A list of all begins.
    pub(super) fn begin_list(&self) {
        self.state().lists += 1;
    }

    /// A list has ended: what was in it is all there is.
    pub(super) fn end_list(&self) {
        let mut state = self.state();
        let (lists, now) = (state.lists, Instant::now());
        for kept in state.pods.values_mut() {
            if kept.listed != lists && kept.gone.is_none() {
                kept.gone = Some(now);
            }
        }
        sweep(&mut state, now);
    }

    /// A pod is there, as it is now.
    pub(super) fn put(&self, meta: &ObjectMeta) {
        let Some(uid) = uid(meta) else { return };
        let mut pod = self.describe(meta);
        let mut state = self.state();
        let now = Instant::now();
        sweep(&mut state, now);
        let listed = state.lists;
        let before = state.pods.get_mut(uid).map(|kept| {
            (kept.gone, kept.listed) = (None, listed);
            kept.pod.clone()
        });
        if before.as_deref() == Some(&pod) {
            return;
        }
        if before.is_none() && state.pods.len() >= PODS_MAX && !make_room(&mut state) {
            if !std::mem::replace(&mut state.is_overfull, true) {
                let name = &self.name;
                tracing::warn!(
                    "{name}: the node has more than {PODS_MAX} pods: events of some go without \
                     what the API knows of them"
                );
            }
            return;
        }
        if let Some(before) = &before {
            pod.hints.inherit(&before.hints);
        }
        let known = before.as_deref().map(|pod| &*pod.hints.faults);
        self.complain(meta, &pod.hints.faults, known.unwrap_or_default());
        let pod = Arc::new(pod);
        let gone = None;
        state.pods.insert(uid.into(), Kept { pod, gone, listed });
        drop(state);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Says what was not understood of a pod and has not been said before.
    fn complain(&self, meta: &ObjectMeta, faults: &[Fault], said: &[Fault]) {
        for fault in faults.iter().filter(|fault| !said.contains(fault)) {
            self.faults.fetch_add(1, Ordering::Relaxed);
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            let pod = meta.name.as_deref().unwrap_or_default();
            let Fault { key, message, .. } = fault;
            tracing::warn!(
                "{}: pod {namespace}/{pod}: {key}: {message}; it is ignored",
                self.name
            );
        }
    }

    /// A pod is gone.
    pub(super) fn remove(&self, meta: &ObjectMeta) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(kept) = uid(meta).and_then(|uid| state.pods.get_mut(uid)) {
            kept.gone = Some(now);
        }
        sweep(&mut state, now);
    }

    fn describe(&self, meta: &ObjectMeta) -> Pod {
        let none = BTreeMap::new();
        let labels = meta.labels.as_ref().unwrap_or(&none);
        let annotations = meta.annotations.as_ref().unwrap_or(&none);
        let mut described = Bounded::default();
        if let Some(node) = &self.wanted.node {
            described.push("k8s.node.name", node);
        }
        owner(meta, labels, &mut described);
        for (key, value) in labels {
            described.push(&format!("k8s.labels.{key}"), value);
        }
        for key in &self.wanted.annotations {
            if let Some(value) = annotations.get(key) {
                described.push(&format!("k8s.annotations.{key}"), value);
            }
        }
        let judge = self.wanted.judge.as_ref();
        Pod {
            meta: described.meta,
            hints: judge.map_or_else(Hints::default, |judge| judge.read(labels, annotations)),
        }
    }

    /// Numbers of them.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, value: &AtomicU64| Gauge {
            name,
            help,
            value: value.load(Ordering::Relaxed),
        };
        vec![
            gauge(
                "tflog_kubernetes_pods",
                "pods of which the cluster's API has told",
                &AtomicU64::new(self.len() as u64),
            ),
            gauge(
                "tflog_kubernetes_api_connected",
                "whether the cluster's API tells of changes",
                &self.is_connected,
            ),
            gauge(
                "tflog_kubernetes_api_errors_total",
                "requests to the cluster's API that failed",
                &self.errors,
            ),
            gauge(
                "tflog_kubernetes_unenriched_events_total",
                "events read before their pod was known",
                &self.bare_events,
            ),
            gauge(
                "tflog_kubernetes_invalid_hints_total",
                "annotations of pods that were not understood",
                &self.faults,
            ),
        ]
    }
}

/// What stands in the path of a pod's logs.
fn uid(meta: &ObjectMeta) -> Option<&str> {
    let annotations = meta.annotations.as_ref();
    let hash = annotations.and_then(|annotations| annotations.get(STATIC_POD));
    hash.or(meta.uid.as_ref()).map(String::as_str)
}

/// Forgets pods that have been gone for long.
fn sweep(state: &mut State, now: Instant) {
    let is_kept = |kept: &Kept| kept.gone.is_none_or(|gone| now - gone < KEEP);
    state.pods.retain(|_, kept| is_kept(kept));
}

/// Forgets the pod that has been gone for longest.
fn make_room(state: &mut State) -> bool {
    let gone = state.pods.iter();
    let gone = gone.filter_map(|(uid, kept)| Some((kept.gone?, uid.clone())));
    let Some((_, uid)) = gone.min() else {
        return false;
    };
    state.pods.remove(&uid).is_some()
}

/// Names and values, up to a bound.
#[derive(Default)]
struct Bounded {
    meta: Vec<(Box<str>, Arc<str>)>,
    bytes: usize,
}

impl Bounded {
    fn push(&mut self, name: &str, value: &str) {
        let bytes = name.len() + value.len();
        if self.bytes + bytes <= POD_BYTES_MAX {
            self.bytes += bytes;
            self.meta.push((name.into(), value.into()));
        }
    }
}

/// Who made the pod, under OpenTelemetry's names: what a workload's name is
/// follows from the names that its controllers give.
fn owner(meta: &ObjectMeta, labels: &BTreeMap<String, String>, described: &mut Bounded) {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)) else {
        return;
    };
    described.push("k8s.owner.kind", &owner.kind);
    described.push("k8s.owner.name", &owner.name);
    let name = match owner.kind.as_str() {
        "ReplicaSet" => "k8s.replicaset.name",
        "StatefulSet" => "k8s.statefulset.name",
        "DaemonSet" => "k8s.daemonset.name",
        "Job" => "k8s.job.name",
        _ => return,
    };
    described.push(name, &owner.name);
    if let Some((before, last)) = owner.name.rsplit_once('-') {
        let hash = labels.get("pod-template-hash");
        // A cron job adds the minute for which its job is.
        let is_minute = last.len() >= 8 && last.bytes().all(|byte| byte.is_ascii_digit());
        match owner.kind.as_str() {
            "ReplicaSet" if hash.is_some_and(|hash| hash == last) => {
                described.push("k8s.deployment.name", before);
            }
            "Job" if is_minute => described.push("k8s.cronjob.name", before),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods(annotations: &[&str]) -> Pods {
        let annotations = annotations.iter().map(|name| (*name).to_owned()).collect();
        let (node, judge) = (Some("n1".to_owned()), None);
        Pods::new(
            "test".into(),
            Wanted {
                node,
                annotations,
                judge,
            },
        )
    }

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).expect("metadata")
    }

    fn text(pods: &Pods, uid: &str) -> String {
        let pod = pods.pod(uid).expect("known");
        let pairs = pod
            .meta
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn labels_owner_and_chosen_annotations_are_kept() {
        let pods = pods(&["team", "absent"]);
        pods.put(&meta(json!({
            "uid": "u1",
            "labels": { "app.kubernetes.io/name": "pay", "pod-template-hash": "5d4f" },
            "annotations": { "team": "money", "other": "long" },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Node", "name": "n", "uid": "0" },
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "pay-5d4f", "uid": "1", "controller": true },
            ],
        })));
        let expected = "k8s.node.name=n1 k8s.owner.kind=ReplicaSet k8s.owner.name=pay-5d4f \
                        k8s.replicaset.name=pay-5d4f k8s.deployment.name=pay \
                        k8s.labels.app.kubernetes.io/name=pay k8s.labels.pod-template-hash=5d4f \
                        k8s.annotations.team=money";
        assert_eq!(text(&pods, "u1"), expected);
        for (kind, name, expected) in [
            (
                "Job",
                "backup-28490000",
                "k8s.job.name=backup-28490000 k8s.cronjob.name=backup",
            ),
            ("Job", "once-2", "k8s.job.name=once-2"),
            ("ReplicaSet", "bare-x", "k8s.replicaset.name=bare-x"),
        ] {
            let owner = json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true });
            pods.put(&meta(json!({ "uid": "u2", "ownerReferences": [owner] })));
            assert!(
                text(&pods, "u2").ends_with(expected),
                "{}",
                text(&pods, "u2")
            );
        }
    }

    #[test]
    fn a_static_pod_is_known_by_the_hash_of_its_manifest() {
        let pods = pods(&[]);
        let annotations = json!({ STATIC_POD: "c0ffee" });
        pods.put(&meta(json!({ "uid": "u1", "annotations": annotations })));
        assert!(pods.pod("c0ffee").is_some() && pods.pod("u1").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_kept_a_while() {
        let pods = pods(&[]);
        let one = meta(json!({ "uid": "u1", "labels": { "a": "b" } }));
        pods.put(&one);
        let version = pods.version();
        pods.put(&one);
        assert_eq!(pods.version(), version, "nothing new");
        pods.remove(&one);
        assert!(pods.pod("u1").is_some());
        assert_eq!(pods.len(), 0);
        tokio::time::advance(KEEP).await;
        pods.put(&meta(json!({ "uid": "u2" })));
        assert!(pods.pod("u1").is_none());
        // Not in a list any more: gone like one that was said to be.
        pods.begin_list();
        pods.put(&meta(json!({ "uid": "u3" })));
        pods.end_list();
        assert_eq!(pods.len(), 1);
        assert!(pods.pod("u2").is_some());
        tokio::time::advance(KEEP).await;
        pods.begin_list();
        pods.put(&meta(json!({ "uid": "u3" })));
        pods.end_list();
        assert!(pods.pod("u2").is_none() && pods.pod("u3").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_at_most() {
        let pods = pods(&[]);
        let of = |n: usize| meta(json!({ "uid": format!("u{n}") }));
        for n in 0..PODS_MAX + 10 {
            pods.put(&of(n));
        }
        assert_eq!(pods.len(), PODS_MAX);
        pods.remove(&of(3));
        tokio::time::advance(Duration::from_secs(1)).await;
        pods.remove(&of(4));
        pods.put(&of(PODS_MAX + 1));
        assert!(pods.pod("u3").is_none(), "it was gone for longest");
        assert!(pods.pod("u4").is_some() && pods.pod(&format!("u{}", PODS_MAX + 1)).is_some());
    }

    #[test]
    fn one_pods_names_and_values_are_bounded() {
        let pods = pods(&["huge", "small"]);
        let labels: BTreeMap<_, _> = (0..1000)
            .map(|n| (format!("l{n}"), "x".repeat(60)))
            .collect();
        let annotations = json!({ "huge": "x".repeat(100_000), "small": "s" });
        pods.put(&meta(
            json!({ "uid": "u", "labels": labels, "annotations": annotations }),
        ));
        let pod = pods.pod("u").expect("known");
        let bytes: usize = pod.meta.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(
            bytes <= POD_BYTES_MAX && bytes > POD_BYTES_MAX / 2,
            "{bytes}"
        );
    }
}
