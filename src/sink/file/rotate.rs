//! Rotation: when a file is put aside, and under which name.
//!
//! `app.log` becomes `app.log.20261123-133242` (UTC), a compressed file keeps
//! its ending: `app.log.20261123-133242.gz`. If the name is taken, `.1`, `.2` …
//! is put behind the time; so it is where the clock was set back, behind the time
//! of the last one. Nothing is renamed twice and nothing is replaced.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::compress::Codec;
use crate::component::{BuildError, ByteSize, Definition, Period};
use crate::event::Timestamp;
use crate::event::time::Layout;
use crate::seam::DiskRoot;
use crate::sink::template::PathTemplate;

/// When a file is rotated; at least one of `size` and `time`.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// Before a write that would make it larger. Only a single write that is
    /// larger by itself makes a larger file.
    pub size: Option<ByteSize>,
    /// At multiples of this period, UTC: `1h` on the hour, `1d` at midnight.
    pub time: Option<Period>,
    /// How many rotated files of each path are kept; all, if it is missing.
    pub keep: Option<usize>,
}

/// The time in a rotated file's name.
const STAMP: &str = "%Y%m%d-%H%M%S";
const STAMP_BYTES: usize = 15;
/// Names tried for one second; others can only take a few between two looks.
const SAME_SECOND_MAX: u32 = 100;

impl Rotate {
    pub(super) fn validate(
        &self,
        definition: &Definition,
        template: &PathTemplate,
        codec: Option<Codec>,
    ) -> Result<(), BuildError> {
        if self.size.is_none_or(|s| s.0 == 0) && self.time.is_none_or(|t| t.0.is_zero()) {
            return Err(definition
                .error("neither a size nor a time to rotate at")
                .at("rotate")
                .help("write rotate: { size: 100MiB } or { time: 1d }"));
        }
        // Else an event's value could be what is behind a rotated file's name.
        let fixed = strip(template.ending(), codec);
        let tells_apart = fixed
            .last()
            .is_some_and(|b| !b.is_ascii_digit() && *b != b'/');
        if !template.is_constant() && !tells_apart {
            return Err(definition
                .error("the path ends in a value, so that rotated files could be taken for others")
                .at("rotate")
                .help("end the path in plain text, such as .log"));
        }
        Ok(())
    }

    /// Whether a file of `size` bytes, begun at `since`, is to be put aside
    /// before `bytes` more are written. A clock that was set back makes another
    /// period too, or the file would grow until that time has come again.
    pub(super) fn is_due(&self, size: u64, bytes: u64, since: Timestamp, now: Timestamp) -> bool {
        let full = self.size.is_some_and(|max| size + bytes > max.0);
        let over = self.time.is_some_and(|period| {
            let period = i64::try_from(period.0.as_nanos())
                .unwrap_or(i64::MAX)
                .max(1);
            since.0.div_euclid(period) != now.0.div_euclid(period)
        });
        full || over
    }

    /// Renames `path` to the first free name for `now`.
    pub(super) fn put_aside(
        root: &dyn DiskRoot,
        path: &Path,
        codec: Option<Codec>,
        now: Timestamp,
    ) -> io::Result<()> {
        let layout = Layout::compile(STAMP).map_err(io::Error::other)?;
        let mut stamp = Vec::new();
        layout.write(now, &mut stamp);
        // Behind all names there are, even where a number is free or the clock
        // was set back: the order of the names is the order of the files, and
        // `keep` takes the first for the oldest.
        let last = rotated(root, path, codec)?.into_iter().max();
        let first = match last {
            Some(((last, number), _)) if last >= stamp => {
                stamp = last;
                number.saturating_add(1)
            }
            _ => 0,
        };
        let stem = strip(path.as_os_str().as_bytes(), codec);
        let stem = [stem, b".", &stamp].concat();
        for n in first..first.saturating_add(SAME_SECOND_MAX) {
            let mut name = stem.clone();
            if n > 0 {
                name.extend_from_slice(format!(".{n}").as_bytes());
            }
            name.extend_from_slice(codec.map_or("", Codec::ending).as_bytes());
            match root.rename(path, &PathBuf::from(OsString::from_vec(name))) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Somebody else has moved it: that is as good.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => return other,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes the oldest rotated files of `path` beyond `keep`.
    pub(super) fn remove_old(
        &self,
        root: &dyn DiskRoot,
        path: &Path,
        codec: Option<Codec>,
    ) -> io::Result<()> {
        let Some(keep) = self.keep else {
            return Ok(());
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut rotated = rotated(root, path, codec)?;
        rotated.sort();
        let excess = rotated.len().saturating_sub(keep);
        for (_, old) in &rotated[..excess] {
            root.remove(&directory.join(old))?;
        }
        Ok(())
    }
}

/// A rotated file's time, as its name has it, and its number within the second.
type Order = (Vec<u8>, u32);

/// The files that were put aside for `path`, each with its time and number.
fn rotated(
    root: &dyn DiskRoot,
    path: &Path,
    codec: Option<Codec>,
) -> io::Result<Vec<(Order, OsString)>> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let names = root.list(path.parent().unwrap_or(Path::new("")))?;
    let ours = |found: OsString| Some((order(found.as_bytes(), name, codec)?, found));
    Ok(names.into_iter().filter_map(ours).collect())
}

/// A path without the ending of its codec.
fn strip(path: &[u8], codec: Option<Codec>) -> &[u8] {
    let ending = codec.map_or("", Codec::ending);
    path.strip_suffix(ending.as_bytes()).unwrap_or(path)
}

/// When `found` was put aside for the file `name`, if it was: its time and number.
fn order(found: &[u8], name: &[u8], codec: Option<Codec>) -> Option<Order> {
    let ending = codec.map_or("", Codec::ending);
    let rest = found.strip_suffix(ending.as_bytes())?;
    let rest = rest.strip_prefix(strip(name, codec))?.strip_prefix(b".")?;
    let (stamp, number) = rest.split_at_checked(STAMP_BYTES)?;
    let is_stamp = stamp.iter().enumerate().all(|(i, b)| {
        if i == 8 {
            *b == b'-'
        } else {
            b.is_ascii_digit()
        }
    });
    let number = match number {
        [] => 0,
        [b'.', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    is_stamp.then(|| (stamp.to_vec(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_rotated_files_are_old() {
        for (found, number) in [
            ("a.log.20261123-133242.gz", Some(0)),
            ("a.log.20261123-133242.12.gz", Some(12)),
            ("a.log.gz", None),
            ("a.log.20261123-133242", None),
            ("b.log.20261123-133242.gz", None),
            ("a.log.20261123x133242.gz", None),
            ("a.log.20261123-133242.x.gz", None),
        ] {
            let order = order(found.as_bytes(), b"a.log.gz", Some(Codec::Gzip));
            assert_eq!(order.map(|o| o.1), number, "{found}");
        }
    }

    #[test]
    fn periods_begin_at_multiples() {
        let rotate = Rotate {
            time: Some(Period(std::time::Duration::from_secs(10))),
            ..Rotate::default()
        };
        let at = |secs: i64| Timestamp(secs * 1_000_000_000);
        assert!(rotate.is_due(1, 1, at(19), at(20)));
        assert!(!rotate.is_due(1, 1, at(11), at(19)));
        assert!(
            rotate.is_due(1, 1, at(20), at(19)),
            "a clock that went back"
        );
    }
}
