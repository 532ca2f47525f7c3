#!/usr/bin/env bash
# A real VictoriaLogs server on loopback: takes Elasticsearch _bulk, Loki push,
# OTLP over HTTP (protobuf), syslog (TCP, UDP), journald and JSON lines; queried
# with LogsQL.
#   victorialogs.sh fetch              builds the binary (15 MB), once, by Go
#   victorialogs.sh start [PORT] [flag...]   PORT 0 or none: a free one. HTTP on
#                                      PORT, syslog TCP and UDP on PORT+1. Prints
#                                      127.0.0.1:PORT
#   victorialogs.sh stop PORT [keep]   keep: keep the data, for a restart
#   victorialogs.sh kill9 PORT         crash it, keep the data
#   victorialogs.sh log PORT | rss PORT (MiB)
# Needs: go (1.25 or newer) for fetch, curl.
. "$(dirname "${BASH_SOURCE[0]}")/lifecycle.sh"
# A pair that fits together; VictoriaLogs' own pin of VictoriaMetrics may be
# missing from a module proxy, hence the replace.
VERSION=${VL_VERSION:-v1.36.2-0.20251008164716-21c0fb3de84d}
METRICS=${VM_VERSION:-v1.131.0}
MODULES=github.com/VictoriaMetrics
HOME_DIR=$IT_CACHE/victorialogs-$VERSION
BIN=$HOME_DIR/victoria-logs

fetch() {
  [ ! -x "$BIN" ] || return 0
  need go
  mkdir -p "$HOME_DIR/src"
  cat >"$HOME_DIR/src/go.mod" <<M
module victorialogsit

go 1.25.0

require $MODULES/VictoriaLogs $VERSION

replace $MODULES/VictoriaMetrics => $MODULES/VictoriaMetrics $METRICS
M
  (
    cd "$HOME_DIR/src"
    CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags='-s -w' \
      -o "$BIN.part" $MODULES/VictoriaLogs/app/victoria-logs
  ) >&2 || skip "Go could not fetch and build VictoriaLogs"
  mv "$BIN.part" "$BIN"
}

healthy() { curl -sf --max-time 2 "http://$IT_HOST:$1/health"; }

start() {
  local port d
  new_run victorialogs "${1:-0}"
  shift || true
  # retentionPeriod: the default of 7 days silently drops older records;
  # futureRetention likewise those with a later time.
  spawn "$d" "$BIN" "-httpListenAddr=$IT_HOST:$port" "-storageDataPath=$d/data" \
    "-syslog.listenAddr.tcp=$IT_HOST:$((port + 1))" "-syslog.listenAddr.udp=$IT_HOST:$((port + 1))" \
    -retentionPeriod=100y -futureRetention=100y -inmemoryDataFlushInterval=1s \
    -memory.allowedBytes=128MB -loggerLevel=WARN "$@"
  wait_ready "$d" 20 healthy "$port"
  echo "$IT_HOST:$port"
}

server_main victorialogs "$@"
