# shellcheck shell=bash
# What OpenSearch and Elasticsearch share (sourced, not run): both are one node
# in one JVM, from jars, by SearchNode.java with the package that each has.
# The caller sets NAME, VERSION, PACKAGE (org.opensearch), LOG4J (the version of
# its log4j-api) and HEAP.
. "$(dirname "${BASH_SOURCE[0]}")/lifecycle.sh"
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/SearchNode.java
HOME_DIR=$IT_CACHE/$NAME-$VERSION

fetch() {
  local classes=$HOME_DIR/classes
  if [ ! -e "$HOME_DIR/pom.xml" ]; then
    # log4j-core is optional for a client and needed by a node.
    pom "$NAME" "$PACKAGE:$NAME:$VERSION" "$PACKAGE.plugin:transport-netty4-client:$VERSION" \
      "org.apache.logging.log4j:log4j-core:$LOG4J" >"$IT_CACHE/$NAME.pom"
    mvn_jars "$HOME_DIR" "$IT_CACHE/$NAME.pom"
  fi
  [ ! "$classes/SearchNode.class" -nt "$SOURCE" ] || return 0
  need javac
  mkdir -p "$classes"
  sed "s/org\.opensearch/$PACKAGE/" "$SOURCE" >"$classes/SearchNode.java"
  javac -nowarn -cp "$HOME_DIR/lib/*" -d "$classes" "$classes/SearchNode.java"
  # Without a configuration log4j prints errors only.
  cat >"$classes/log4j2.properties" <<'P'
status = error
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %-5p %c{1.} %m%n
rootLogger.level = ${sys:it.log:-warn}
rootLogger.appenderRef.c.ref = c
P
}

healthy() { curl -sf --max-time 2 "http://$IT_HOST:$1/_cluster/health?wait_for_status=yellow&timeout=1s"; }

start() {
  local port d
  need java
  new_run "$NAME" "${1:-0}"
  shift || true
  spawn "$d" java -Xms128m "-Xmx$HEAP" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Djava.awt.headless=true "-Djava.io.tmpdir=$d" "-Dit.log=${SEARCH_LOG:-warn}" \
    -cp "$HOME_DIR/classes:$HOME_DIR/lib/*" SearchNode "$d" "$port" "$((port + 1))" "$@"
  wait_ready "$d" 90 healthy "$port"
  echo "$IT_HOST:$port"
}

server_main "$NAME" "$@"
