# OpenSearch's core from its Maven artifacts, with the console layout of its distribution.
j=$DEPS/java; mkdir -p cfg home/config
cat >cfg/log4j2.properties <<'P'
status = error
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [n1] %m%n
rootLogger.level = info
rootLogger.appenderRef.c.ref = c
P
java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "cfg:$j/osclasses:$j/opensearch/lib/*" Node /tmp/app/home >o.log 2>&1 & o=$!
ready port 9200 || cat o.log; sleep 3
r() { get -H 'content-type: application/json' "$@"; }
r -X PUT http://127.0.0.1:9200/orders -d '{"settings":{"number_of_replicas":0},"mappings":{"properties":{"n":{"type":"integer"}}}}'
r -X PUT http://127.0.0.1:9200/Bad_Name; r http://127.0.0.1:9200/orders/_doc -d '{"n":"x"}'; r http://127.0.0.1:9200/orders/_doc -d '{"n":1}'
r -X PUT http://127.0.0.1:9200/_index_template/t -d '{"index_patterns":["logs-*"],"template":{}}'; r http://127.0.0.1:9200/logs-a/_doc -d '{"a":1}'; r http://127.0.0.1:9200/orders/_search -d '{"query":{"bad":{}}}'
r -X PUT http://127.0.0.1:9200/_cluster/settings -d '{"transient":{"cluster.routing.allocation.enable":"none"}}'; r -X DELETE http://127.0.0.1:9200/orders; r -X PUT http://127.0.0.1:9200/_cluster/settings -d '{"transient":{"logger.org.opensearch.cluster.service":"DEBUG"}}'; r http://127.0.0.1:9200/logs-b/_doc -d '{"a":1}'
r -X PUT http://127.0.0.1:9200/_snapshot/s -d '{"type":"fs","settings":{"location":"/nowhere"}}'; sleep 2; kill $o; sleep 3; cp o.log "$RAW/opensearch.log"
