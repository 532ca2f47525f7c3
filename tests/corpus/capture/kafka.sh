# Apache Kafka (KRaft broker) and ZooKeeper, from their Maven artifacts with the layouts of their distributions.
j=$DEPS/java; printf 'log4j.rootLogger=INFO, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\nlog4j.appender.stdout.layout=org.apache.log4j.PatternLayout\nlog4j.appender.stdout.layout.ConversionPattern=[%%d] %%p %%m (%%c)%%n\n' >log4j.properties
cat >server.properties <<'C'
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:19093
listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093
advertised.listeners=PLAINTEXT://127.0.0.1:19092
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/tmp/app/data
offsets.topic.replication.factor=1
C
kafka() { java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j.configuration=file:/tmp/app/log4j.properties -cp "$j/kafka/lib/*" "$@"; }
kafka kafka.tools.StorageTool format -t corpusClusterId0000000 -c server.properties >/dev/null 2>&1
kafka kafka.Kafka server.properties >k.log 2>&1 & k=$!; ready grep -q 'Kafka Server started' k.log
kafka org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:19092 --create --topic orders >/dev/null 2>&1 || kafka kafka.admin.TopicCommand --bootstrap-server 127.0.0.1:19092 --create --topic orders >/dev/null 2>&1 || true
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:19092 >/dev/null 2>&1 || true
(kafka kafka.Kafka server.properties >k2.log 2>&1 || true); kill $k; sleep 4
{ grep -v '^\(\t\| *[a-z.]* = \)' k.log | grep -v 'values: *$' ; tail -25 k2.log; } >k3.log
{ sed -n '1,40p' k3.log; grep -n '' k.log | sed -n '/Config values/,+6p' | cut -d: -f2- | head -14; sed -n '41,$p' k3.log; } >/dev/null; cp k3.log "$RAW/kafka.log"
mkdir zkc; printf 'log4j.rootLogger=INFO, c\nlog4j.appender.c=org.apache.log4j.ConsoleAppender\nlog4j.appender.c.layout=org.apache.log4j.PatternLayout\nlog4j.appender.c.layout.ConversionPattern=%%d{ISO8601} [myid:%%X{myid}] - %%-5p [%%t:%%C{1}@%%L] - %%m%%n\n' >zkc/log4j.properties
printf 'tickTime=2000\ndataDir=/tmp/app/zk\nclientPort=2181\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n' >zoo.cfg
jars=$(ls "$j"/zk/lib/*.jar | grep -v logback | tr '\n' ':')$(ls "$j"/kafka/lib/*reload4j*.jar | tr '\n' ':')
java -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j.configuration=file:/tmp/app/zkc/log4j.properties -cp "$jars" org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg >z.log 2>&1 & z=$!
ready port 2181 || cat z.log; for c in ruok stat junk; do echo $c | timeout 1 socat - TCP:127.0.0.1:2181 >/dev/null || true; done; printf '\0\0\0\xff\xff\xff' | timeout 1 socat - TCP:127.0.0.1:2181 >/dev/null || true
kill $z; sleep 1; grep -v 'java.class.path\|os.version\|user\.\|java.home\|java.library' z.log >"$RAW/zookeeper.log"
