# Go: log (with a panic), log/slog, zap, logrus, zerolog, klog, hclog, go-kit/log, charmbracelet/log.
for l in log slog_default slog_text slog_json zap zap_dev logrus logrus_json zerolog zerolog_console klog hclog gokit charm; do
  "$DEPS/go/shop" $l >"$RAW/go_$l.log" 2>&1 || true; done
for l in zap zap_dev logrus logrus_json zerolog zerolog_console klog hclog; do mv "$RAW/go_$l.log" "$RAW/$l.log"; done
