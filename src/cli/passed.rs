//! What whoever started tflog has left open for it: the tflog before this one, or
//! systemd (`LISTEN_FDS`, `sd_listen_fds(3)`).

use std::os::fd::RawFd;

use super::hand_over::{self, Predecessor};
use super::setup::variable;
use super::{EXIT_FAILURE, say};
use crate::seam::{Passed, take_descriptor};

/// The number of the first descriptor that systemd passes.
const FIRST: RawFd = 3;
/// More than systemd passes by far: a number beyond is no count.
const SOCKETS_MAX: RawFd = 4096;

/// Takes over what was passed, and the line to the tflog before this one.
pub(super) fn take(env: &[(String, String)]) -> Result<(Vec<Passed>, Option<Predecessor>), u8> {
    let failed = |error| {
        say(&format!(
            "tflog: cannot take the sockets that were passed: {error}"
        ));
        EXIT_FAILURE
    };
    if let Some((line, sockets)) = hand_over::predecessor(env).map_err(failed)? {
        let named = sockets.into_iter().map(|socket| Passed {
            name: "of the tflog before".to_owned(),
            socket,
            owned: true,
        });
        return Ok((named.collect(), Some(line)));
    }
    let for_us = variable(env, "LISTEN_PID") == Some(&std::process::id().to_string());
    let count = variable(env, "LISTEN_FDS").filter(|_| for_us);
    let count: RawFd = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut names = variable(env, "LISTEN_FDNAMES").unwrap_or("").split(':');
    let mut all = Vec::new();
    for number in FIRST..FIRST + count.clamp(0, SOCKETS_MAX) {
        let name = names.next().filter(|name| !name.is_empty());
        all.push(Passed {
            name: name.unwrap_or("unnamed").to_owned(),
            socket: take_descriptor(number).map_err(failed)?,
            owned: false,
        });
    }
    Ok((all, None))
}
