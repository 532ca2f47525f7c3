#!/usr/bin/env bash
# A real Prometheus on loopback that scrapes targets every second.
#   prometheus.sh fetch                looks whether it is there
#   prometheus.sh start [PORT]         PORT 0 or none: a free one. Prints
#                                      127.0.0.1:PORT
# PROMETHEUS_TARGETS: what it scrapes, as host:port …
#   prometheus.sh stop PORT [keep]
#   prometheus.sh kill9 PORT
#   prometheus.sh log PORT | rss PORT (MiB)
# Needs: prometheus on PATH (Debian: prometheus), curl.
. "$(dirname "${BASH_SOURCE[0]}")/lifecycle.sh"
HOME_DIR=$IT_CACHE

fetch() { need prometheus; }

healthy() { curl -sf --max-time 2 "http://$IT_HOST:$1/-/ready"; }

start() {
  local port d target list=
  new_run prometheus "${1:-0}"
  for target in ${PROMETHEUS_TARGETS:-}; do list+="${list:+, }\"$target\""; done
  cat >"$d/prometheus.yml" <<Y
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: it
    static_configs: [ { targets: [$list] } ]
Y
  spawn "$d" prometheus "--config.file=$d/prometheus.yml" "--storage.tsdb.path=$d/data" \
    "--web.listen-address=$IT_HOST:$port" --log.level=warn
  wait_ready "$d" 20 healthy "$port"
  echo "$IT_HOST:$port"
}

server_main prometheus "$@"
