//! `kubernetes`: the logs of a node's containers, as the kubelet lays them out:
//! `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`.
//!
//! All that is known of a container is in the path of its log, so that no API is
//! asked. Names are OpenTelemetry's. The pod that tflog runs in is left out: its
//! own log would feed itself.

use std::path::Path;
use std::sync::Arc;

use super::tail::{Config as Files, Describe, Meta, Tail, named};
use crate::component::{BuildError, Definition};

/// Where the kubelet puts logs.
const DIRECTORY: &str = "/var/log/pods";

/// Its scheme.
pub const NAME: &str = "kubernetes";

/// Builds from `kubernetes`.
pub fn build(definition: &Definition) -> Result<Tail, BuildError> {
    // A pod's host name is its own name, unless it has the node's network.
    let own = ["POD_NAME", "HOSTNAME"].map(|name| std::env::var(name).ok());
    let own = own.into_iter().flatten().find(|name| !name.is_empty());
    let describe = move |path: &Path| {
        let meta = describe(path);
        let pod = meta.iter().find(|(name, _)| **name == *"k8s.pod.name");
        let is_own = pod.is_some_and(|(_, pod)| Some(&**pod) == own.as_deref());
        (!is_own).then_some(meta)
    };
    let describe = Arc::new(describe);
    of_containers(definition, DIRECTORY, "*/*/*.log", describe)
}

/// Files of containers: the lines that a runtime has cut are put together unless
/// something else is said.
pub(super) fn of_containers(
    definition: &Definition,
    directory: &str,
    pattern: &str,
    describe: Describe,
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

/// What a path says. Pods' names and namespaces have no underscore.
fn describe(path: &Path) -> Meta {
    let mut meta = named(path);
    let mut names = path.iter().rev().map(|name| name.to_string_lossy());
    let (Some(file), Some(container), Some(pod)) = (names.next(), names.next(), names.next())
    else {
        return meta;
    };
    let mut parts = pod.splitn(3, '_');
    let (Some(namespace), Some(pod), Some(uid)) = (parts.next(), parts.next(), parts.next()) else {
        return meta;
    };
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
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_whose_log_it_is() {
        let path = "/var/log/pods/kube-system_etcd-node1_0a1b-2c/etcd/7.log";
        let meta = describe(Path::new(path));
        let expected = [
            ("path", path),
            ("k8s.namespace.name", "kube-system"),
            ("k8s.pod.name", "etcd-node1"),
            ("k8s.pod.uid", "0a1b-2c"),
            ("k8s.container.name", "etcd"),
            ("k8s.container.restart_count", "7"),
        ];
        assert_eq!(
            meta,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
        assert_eq!(describe(Path::new("/x/odd/c/0.log")).len(), 1);
    }
}
