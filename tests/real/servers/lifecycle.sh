# shellcheck shell=bash
# What the scripts of the real servers share (sourced, not run): fetch once,
# start on loopback, wait until ready, stop, crash.
#
# IT_DIR   where downloads, builds and the state of runs live
#          (default: ${XDG_CACHE_HOME:-$HOME/.cache}/tflog-it)
#   $IT_DIR/cache/SERVER-VERSION   jars and binaries: kept between runs
#   $IT_DIR/run/SERVER-PORT        pid, log, configuration and data of one server
# IT_TTL   seconds after which a server ends by itself (1800), should the test
#          that started it have been killed
set -euo pipefail

IT_DIR=${IT_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tflog-it}
IT_CACHE=$IT_DIR/cache
IT_RUN=$IT_DIR/run
IT_HOST=127.0.0.1
mkdir -p "$IT_CACHE" "$IT_RUN"

die() { echo "$*" >&2; exit 1; }

# skip WHY: exit 77, so that a caller can tell "cannot run here" from "broken".
skip() { echo "$*" >&2; exit 77; }

# need CMD...: skips when a tool is missing.
need() {
  local c
  for c in "$@"; do command -v "$c" >/dev/null 2>&1 || skip "$c is not installed"; done
}

port_open() { (exec 3<>"/dev/tcp/$IT_HOST/$1") 2>/dev/null; }

# free_port: the first of four neighbouring ports that nothing listens on, below
# the kernel's ephemeral range: servers take PORT+1 and so on for more listeners.
# It is claimed until the server is stopped for good: one that does not listen yet,
# or is to start again, keeps it.
free_port() {
  local p i
  # Left by scripts that were killed.
  find "$IT_RUN" -maxdepth 1 -name 'claim-*' -mmin +120 -exec rmdir {} + 2>/dev/null || true
  for i in $(seq 1 200); do
    p=$((20000 + (RANDOM * 32768 + RANDOM) % 3000 * 4))
    mkdir "$IT_RUN/claim-$p" 2>/dev/null || continue
    port_open "$p" || port_open $((p + 1)) || port_open $((p + 2)) || port_open $((p + 3)) || {
      echo "$p"
      return
    }
    rmdir "$IT_RUN/claim-$p"
  done
  die "no free port after $i attempts"
}

# locked NAME CMD...: one process at a time fetches and builds a server.
locked() {
  local name=$1
  shift
  (flock 9; "$@" 9>&-) 9>"$IT_CACHE/$name.lock"
}

# spawn RUNDIR CMD...: starts CMD in the background, detached from our stdio. It
# outlives the script; the recorded pid is that of timeout(1).
spawn() {
  local d=$1
  shift
  (
    cd "$d"
    setsid timeout -k 15 "${IT_TTL:-1800}" "$@" >>server.log 2>&1 </dev/null &
    echo $! >pid
  )
}

# server_pid RUNDIR: the server itself, for its memory and for crashes.
server_pid() {
  local p
  p=$(cat "$1/pid")
  read -r p _ <"/proc/$p/task/$p/children"
  echo "$p"
}

# alive RUNDIR: the recorded process is there and is ours: it works in RUNDIR.
# Numbers get reused, and a zombie has no working directory.
alive() {
  [ -s "$1/pid" ] && [ "$(readlink "/proc/$(cat "$1/pid")/cwd" 2>/dev/null)" = "$(cd "$1" && pwd -P)" ]
}

# wait_ready RUNDIR SECONDS CMD...: polls CMD until it succeeds.
wait_ready() {
  local d=$1 s=$2 end
  shift 2
  end=$(($(date +%s) + s))
  until "$@" >/dev/null 2>&1; do
    alive "$d" || {
      tail -40 "$d/server.log" | sed 's/^/| /' >&2
      die "the server ended before it was ready"
    }
    [ "$(date +%s)" -lt "$end" ] || {
      tail -40 "$d/server.log" >&2
      stop_pid "$d"
      die "the server was not ready after $s s"
    }
    sleep 0.1
  done
}

# stop_pid RUNDIR: TERM, which timeout(1) passes on; it sends KILL 15 s later.
stop_pid() {
  local d=$1 i
  if alive "$d"; then
    kill -TERM "$(cat "$d/pid")" 2>/dev/null || true
    for i in $(seq 1 200); do
      alive "$d" || break
      sleep 0.1
    done
    [ "$i" -lt 200 ] || die "the server of $d does not end"
  fi
  rm -f "$d/pid"
}

# mvn_jars DIR POM: the runtime jars of POM's dependencies, into DIR, from the
# repository that Maven is configured for.
mvn_jars() {
  local d=$1 pom=$2
  need mvn java
  rm -rf "$d.part"
  mkdir -p "$d.part"
  cp "$pom" "$d.part/pom.xml"
  (
    cd "$d.part"
    mvn -B -q -ntp -Dstyle.color=never \
      org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DoutputDirectory=lib -DincludeScope=runtime
  ) >&2 || skip "Maven could not fetch what $pom names"
  rm -rf "$d"
  mv "$d.part" "$d"
}

# pom NAME GROUP:ARTIFACT:VERSION...: a POM that depends on these.
pom() {
  local name=$1 g a v
  shift
  echo '<project><modelVersion>4.0.0</modelVersion>'
  echo "<groupId>it</groupId><artifactId>$name</artifactId><version>1</version><packaging>pom</packaging>"
  echo '<dependencies>'
  for d in "$@"; do
    IFS=: read -r g a v <<<"$d"
    echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
  done
  echo '</dependencies></project>'
}

# new_run NAME PORT: the directory of a new or stopped server, in $d; its port, in
# $port.
new_run() {
  port=${2:-0}
  [ "$port" != 0 ] || port=$(free_port)
  d=$IT_RUN/$1-$port
  ! alive "$d" || die "$1 is already running on $port"
  ! port_open "$port" || die "port $port is taken"
  mkdir -p "$d"
}

# server_main NAME ARGS...: the command line that all the scripts have.
server_main() {
  local name=$1 cmd=${2:-help} d p
  shift
  shift || true
  case $cmd in
    fetch)
      need flock
      locked "$name" fetch
      du -sm "$HOME_DIR" >&2
      ;;
    start)
      need flock setsid timeout curl
      locked "$name" fetch >&2
      start "$@"
      ;;
    stop)
      d=$IT_RUN/$name-${1:?a port}
      stop_pid "$d"
      [ "${2:-}" = keep ] || rm -rf "$d" "$IT_RUN/claim-$1"
      ;;
    kill9)
      d=$IT_RUN/$name-${1:?a port}
      p=$(cat "$d/pid")
      kill -KILL "$(server_pid "$d")"
      while alive "$d"; do sleep 0.02; done
      rm -f "$d/pid"
      ;;
    log) cat "$IT_RUN/$name-${1:?a port}/server.log" ;;
    rss) awk '/VmRSS/{printf "%d\n", $2/1024}' "/proc/$(server_pid "$IT_RUN/$name-${1:?a port}")/status" ;;
    *)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
      exit 2
      ;;
  esac
}
