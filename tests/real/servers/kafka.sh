#!/usr/bin/env bash
# A real Apache Kafka broker (KRaft, one node, in one JVM) on loopback.
#   kafka.sh fetch              the jars (44 MB), once, by Maven
#   kafka.sh start [PORT]       PORT 0 or none: a free one. Prints 127.0.0.1:PORT
#   kafka.sh stop PORT [keep]   keep: keep the data, for a restart
#   kafka.sh kill9 PORT         crash it, keep the data
#   kafka.sh log PORT | rss PORT (MiB)
# Environment:
#   KAFKA_EXTRA     broker properties, one a line, appended (the last one wins),
#                   e.g. num.partitions=3 or message.max.bytes=...
#   KAFKA_SASL=1    also a SASL_PLAINTEXT listener on PORT+2 (PLAIN, SCRAM-SHA-256,
#                   SCRAM-SHA-512), user tflog, password tflog-secret
#   KAFKA_TLS_PEM   file with key and certificate chain (PEM): also an SSL listener
#                   on PORT+3
#   KAFKA_HEAP      default 256m
# Needs: java (17 or newer), mvn for fetch.
. "$(dirname "${BASH_SOURCE[0]}")/lifecycle.sh"
VERSION=${KAFKA_VERSION:-4.3.1}
HOME_DIR=$IT_CACHE/kafka-$VERSION

fetch() {
  [ ! -e "$HOME_DIR/pom.xml" ] || return 0
  # Without a binding, slf4j 1.7 drops every log line.
  pom kafka "org.apache.kafka:kafka_2.13:$VERSION" org.slf4j:slf4j-simple:1.7.36 >"$IT_CACHE/kafka.pom"
  mvn_jars "$HOME_DIR" "$IT_CACHE/kafka.pom"
}

JVM=(java -Xms64m "-Xmx${KAFKA_HEAP:-256m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG:-warn}" -Dorg.slf4j.simpleLogger.showDateTime=true
  -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp "$HOME_DIR/lib/*")

# The log line, not the port: that may open before start-up is complete.
started() { grep -q 'Kafka Server started' "$1/server.log"; }

start() {
  local port d listeners map extra="" scram=() login=org.apache.kafka.common.security
  need java
  new_run kafka "${1:-0}"
  listeners="PLAINTEXT://$IT_HOST:$port"
  map="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
  if [ "${KAFKA_SASL:-}" = 1 ]; then
    listeners+=",SASL_PLAINTEXT://$IT_HOST:$((port + 2))"
    map+=",SASL_PLAINTEXT:SASL_PLAINTEXT"
    extra+="sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_tflog=\"tflog-secret\";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
"
    for hash in 256 512; do
      scram+=(--add-scram "SCRAM-SHA-$hash=[name=tflog,password=tflog-secret]")
    done
  fi
  if [ -n "${KAFKA_TLS_PEM:-}" ]; then
    listeners+=",SSL://$IT_HOST:$((port + 3))"
    map+=",SSL:SSL"
    extra+="ssl.keystore.type=PEM
ssl.keystore.location=$KAFKA_TLS_PEM
"
  fi
  cat >"$d/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$IT_HOST:$((port + 1))
listeners=$listeners,CONTROLLER://$IT_HOST:$((port + 1))
advertised.listeners=$listeners
controller.listener.names=CONTROLLER
listener.security.protocol.map=$map
inter.broker.listener.name=PLAINTEXT
log.dirs=$d/data
num.partitions=1
num.network.threads=2
num.io.threads=2
log.cleaner.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
$extra
${KAFKA_EXTRA:-}
P
  if [ ! -e "$d/data/meta.properties" ]; then
    "${JVM[@]}" kafka.tools.StorageTool format -t tflogItClusterId000000 -c "$d/server.properties" \
      ${scram[@]+"${scram[@]}"} >"$d/format.log" 2>&1 || {
      cat "$d/format.log" >&2
      die "the storage could not be formatted"
    }
  fi
  # A line of an earlier start must not stand for this one.
  rm -f "$d/server.log"
  spawn "$d" "${JVM[@]}" kafka.Kafka server.properties
  wait_ready "$d" 60 started "$d"
  echo "$IT_HOST:$port"
}

server_main kafka "$@"
