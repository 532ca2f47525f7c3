//! Descriptors that whoever started tflog has left open for it.
//!
//! Unsafe, and small for that: a number from the environment becomes a descriptor
//! that is owned.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The descriptors of every process, and those that nobody passes.
const STANDARD: RawFd = 2;

/// Takes over an open descriptor, which children will not inherit. For each
/// number once, and only for one that the environment says was passed.
#[allow(unsafe_code)]
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number <= STANDARD {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is not -1, and the borrow ends before anything else can
    // close it: one that is not open is an error of `fcntl`.
    let passed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(passed)?;
    fcntl_setfd(passed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and was opened before this process began, for it to own:
    // nothing here knows of it but by this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
