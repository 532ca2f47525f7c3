//! `docker`: the logs of a machine's containers, as Docker's `json-file` driver
//! writes them: `/var/lib/docker/containers/ID/ID-json.log`.

use std::path::Path;
use std::sync::Arc;

use super::kubernetes::of_containers;
use super::tail::{Meta, Tail, named};
use crate::component::{BuildError, Definition};

/// Where Docker keeps its containers.
const DIRECTORY: &str = "/var/lib/docker/containers";
const ENDING: &str = "-json.log";

/// Its scheme.
pub const NAME: &str = "docker";

/// Builds from `docker`.
pub fn build(definition: &Definition) -> Result<Tail, BuildError> {
    let describe = Arc::new(|path: &Path| Some(describe(path)));
    of_containers(definition, DIRECTORY, "*/*-json.log", describe)
}

/// What a path says.
fn describe(path: &Path) -> Meta {
    let mut meta = named(path);
    let name = path.file_name().map(|name| name.to_string_lossy());
    if let Some(id) = name.as_deref().and_then(|name| name.strip_suffix(ENDING)) {
        meta.push(("container.id".into(), id.into()));
    }
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_whose_log_it_is() {
        let meta = describe(Path::new("/var/lib/docker/containers/4f/4f-json.log"));
        assert_eq!(meta[1], ("container.id".into(), "4f".into()));
    }
}
