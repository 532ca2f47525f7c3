//! `kubernetes`: the logs of a node's containers, as the kubelet lays them out:
//! `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`.
//!
//! Whose log it is is in its path, so that no API need be asked. Names are
//! OpenTelemetry's. The pod that tflog runs in is left out: its own log would
//! feed itself.
//!
//! With `enrich`, a task watches the pods of the node in the cluster's API
//! ([`watch`]), and what it says of a pod ([`pods`]) goes with its lines: labels,
//! owner, node, annotations that were asked for. Annotations also say how a
//! pod's lines are read ([`hints`]). Reading never depends on it: a new file
//! waits a moment for its pod to be known, and while the API is away lines go on
//! with what the path says, and are counted.

#[cfg(feature = "kubernetes-api")]
mod api;
#[cfg(feature = "kubernetes-api")]
mod described;
mod enrich;
#[cfg(feature = "kubernetes-api")]
mod hints;
#[cfg(feature = "kubernetes-api")]
mod pods;
#[cfg(all(test, feature = "kubernetes-api"))]
mod scripted_api;
#[cfg(feature = "kubernetes-api")]
mod watch;

use std::path::Path;
use std::sync::Arc;

use super::tail::{Config as Files, Describe, Meta, Tail, named};
use crate::component::{BuildError, Definition};

/// Where the kubelet puts logs.
const DIRECTORY: &str = "/var/log/pods";

/// Its scheme.
pub const NAME: &str = "kubernetes";

/// Says what is wrong with the name of a format.
pub type FormatCheck = fn(&str) -> Result<(), String>;

/// Builds from `kubernetes`. `formats` judges what annotations name.
pub fn build(definition: &Definition, formats: FormatCheck) -> Result<Tail, BuildError> {
    let mut definition = definition.clone();
    let enrich = enrich::take(&mut definition)?;
    let paths = Paths::of_environment();
    let describe = match enrich {
        Some(options) => enrich::describe(&definition, options, paths, formats)?,
        None => Arc::new(move |path: &Path| paths.describe(path).map(|(meta, _)| meta)),
    };
    of_containers(&definition, DIRECTORY, "*/*/*.log", describe)
}

/// Files of containers: the lines that a runtime has cut are put together unless
/// something else is said.
pub(super) fn of_containers(
    definition: &Definition,
    directory: &str,
    pattern: &str,
    describe: Arc<dyn Describe>,
) -> Result<Tail, BuildError> {
    let mut definition = definition.clone();
    let options = &mut definition.options;
    options
        .entry("multiline")
        .or_insert_with(|| "partials".into());
    let directory = match options.remove("directory") {
        None => directory.to_owned(),
        Some(serde_json::Value::String(directory)) => directory,
        Some(other) => {
            let error = definition.error(format!("{other} is no path"));
            return Err(error.at("directory"));
        }
    };
    if options.contains_key("paths") {
        let error = definition.error("its files are those of containers");
        return Err(error.at("paths").help("read others with file:///glob"));
    }
    let config: Files = definition.decode()?;
    let directory = escaped(directory.trim_end_matches('/'));
    let patterns = [format!("{directory}/{pattern}")];
    Tail::of(&definition, &config, &patterns, describe)
}

/// A path as a pattern that means just it.
fn escaped(path: &str) -> String {
    let mut pattern = String::new();
    for character in path.chars() {
        if "*?[\\".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// What paths say.
pub(super) struct Paths {
    /// The name of the pod that tflog runs in.
    own: Option<String>,
}

/// Whose log a path is.
#[cfg_attr(not(feature = "kubernetes-api"), allow(dead_code))]
pub(super) struct Owner {
    pub(super) uid: String,
    pub(super) container: String,
}

impl Paths {
    fn of_environment() -> Paths {
        // A pod's host name is its own name, unless it has the node's network.
        let own = ["POD_NAME", "HOSTNAME"].map(|name| std::env::var(name).ok());
        let own = own.into_iter().flatten().find(|name| !name.is_empty());
        Paths { own }
    }

    /// What is known of the file, and whose it is if the path says so; none of
    /// tflog's own.
    fn describe(&self, path: &Path) -> Option<(Meta, Option<Owner>)> {
        let mut meta = named(path);
        let mut names = path.iter().rev().map(|name| name.to_string_lossy());
        let (Some(file), Some(container), Some(pod)) = (names.next(), names.next(), names.next())
        else {
            return Some((meta, None));
        };
        // Pods' names and namespaces have no underscore.
        let mut parts = pod.splitn(3, '_');
        let (Some(namespace), Some(pod), Some(uid)) = (parts.next(), parts.next(), parts.next())
        else {
            return Some((meta, None));
        };
        if self.own.as_deref() == Some(pod) {
            return None;
        }
        let restarts = file.split('.').next().unwrap_or_default();
        for (name, value) in [
            ("k8s.namespace.name", namespace),
            ("k8s.pod.name", pod),
            ("k8s.pod.uid", uid),
            ("k8s.container.name", &*container),
            ("k8s.container.restart_count", restarts),
        ] {
            meta.push((name.into(), value.into()));
        }
        let owner = Owner {
            uid: uid.to_owned(),
            container: container.into_owned(),
        };
        Some((meta, Some(owner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_whose_log_it_is() {
        let paths = Paths {
            own: Some("tflog-x".to_owned()),
        };
        let of = |path: &str| paths.describe(Path::new(path)).map(|(meta, _)| meta);
        let path = "/var/log/pods/kube-system_etcd-node1_0a1b-2c/etcd/7.log";
        let expected = [
            ("path", path),
            ("k8s.namespace.name", "kube-system"),
            ("k8s.pod.name", "etcd-node1"),
            ("k8s.pod.uid", "0a1b-2c"),
            ("k8s.container.name", "etcd"),
            ("k8s.container.restart_count", "7"),
        ];
        let expected = expected.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(of(path), Some(expected.into()));
        assert_eq!(of("/x/odd/c/0.log").map(|meta| meta.len()), Some(1));
        assert_eq!(of("/var/log/pods/a_tflog-x_1/tflog/0.log"), None, "its own");
    }
}
