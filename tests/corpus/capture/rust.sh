# Rust: tracing-subscriber's full (plain and coloured), compact and json layouts, env_logger with a panic.
for l in full ansi compact json; do "$DEPS/rust/debug/shop" $l >"$RAW/tracing_$l.log" 2>&1 || true; done
"$DEPS/rust/debug/shop" env_logger >"$RAW/env_logger.log" 2>&1 || true
