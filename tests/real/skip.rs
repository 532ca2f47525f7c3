//! What cannot run here says so loudly; where it must run, it fails.

use std::io::Write;

/// Says that a test cannot run; panics with `IT_REQUIRE_REAL=1`.
pub(crate) fn skip(why: &str) {
    let required = std::env::var("IT_REQUIRE_REAL").is_ok_and(|v| v == "1");
    assert!(!required, "required: {why}");
    // Not by `eprintln`, which the test runner captures.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {}", why.trim());
}
