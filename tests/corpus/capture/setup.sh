#!/usr/bin/env bash
# Installs what the captures run: Debian packages, and the libraries into $DEPS (/tmp/corpus).
# Debian 12, as root; versions as of the committed captures are in ../README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
deps=${DEPS:-/tmp/corpus}
mkdir -p "$deps"/{node,py,go,java,sng}
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  apache2 bind9 caddy cron curl dnsmasq-base etcd-server faketime g++ haproxy iproute2 liblog-log4perl-perl libspdlog-dev lighttpd mariadb-server memcached mosquitto \
  nats-server nginx-light openssh-client openssh-server php-cli php-fpm php-monolog postfix postgresql procps prometheus python3-venv \
  busybox-static crun docker.io podman puma redis-server rsyslog ruby-rails socat squid sudo tomcat10 unbound uwsgi-core uwsgi-plugin-python3
# syslog-ng conflicts with rsyslog: unpacked beside it.
(cd "$deps/sng" && apt-get download -q syslog-ng-core libivykis0 libnet1 && for d in *.deb; do dpkg -x "$d" root; done)
(cd "$deps/node" && npm init -y >/dev/null && npm i --no-audit --no-fund pino@10 winston@3 bunyan@2 morgan@1 express@5 log4js@6 fastify@5 pino-pretty@13)
/usr/bin/python3 -m venv "$deps/py/v"
"$deps/py/v/bin/pip" install -q gunicorn uvicorn django structlog loguru python-json-logger celery
cp "$here"/apps/go/* "$deps/go/"
(cd "$deps/go" && go build -trimpath -o shop .)
CARGO_TARGET_DIR=$deps/rust cargo build -q --manifest-path "$here/apps/rust/Cargo.toml"
jars() { # DIR GROUP:ARTIFACT:VERSION...: these and what they need, into DIR/lib
  local dir=$deps/java/$1 coordinates
  shift
  mkdir -p "$dir"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>c</groupId><artifactId>c</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for coordinates in "$@"; do
      IFS=: read -r g a v <<<"$coordinates"
      echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
    done
    echo '</dependencies></project>'
  } >"$dir/pom.xml"
  (cd "$dir" && mvn -B -q -ntp org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime)
}
jars kafka org.apache.kafka:kafka_2.13:3.9.1 org.slf4j:slf4j-reload4j:1.7.36
jars logback ch.qos.logback:logback-classic:1.5.18
jars log4j2 org.apache.logging.log4j:log4j-core:2.24.3 org.apache.logging.log4j:log4j-layout-template-json:2.24.3
jars opensearch org.opensearch:opensearch:2.19.3 org.opensearch.plugin:transport-netty4-client:2.19.3 org.apache.logging.log4j:log4j-core:2.21.0
jars simple org.slf4j:slf4j-simple:2.0.17
jars jboss org.jboss.logmanager:jboss-logmanager:3.0.6.Final
jars boot org.springframework.boot:spring-boot-starter-web:3.4.5
jars zk org.apache.zookeeper:zookeeper:3.9.3 io.dropwizard.metrics:metrics-core:4.1.12.1 org.xerial.snappy:snappy-java:1.1.10.5
cd "$deps/java"
java=$here/apps/java
javac -nowarn -cp "logback/lib/*:log4j2/lib/*" -d classes "$java"/{Shop,Slf4j,Log4j,Jul}.java
javac -nowarn -parameters -cp "boot/lib/*" -d bootclasses "$java/com/example/shop/Application.java"
javac -nowarn -cp "opensearch/lib/*" -d osclasses "$java/Node.java"
