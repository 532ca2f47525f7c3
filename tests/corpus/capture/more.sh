# More libraries: Monolog, spdlog, Log4perl, Celery, slf4j-simple, JBoss LogManager (Quarkus), pino-pretty,
# and PostgreSQL's JSON log.
cp /opt/apps/shop.* /opt/apps/tasks.py .; chmod 777 .
php shop.php >"$RAW/monolog.log"
g++ -O1 -std=c++17 shop.cpp -o shop -lspdlog -lfmt && ./shop >"$RAW/spdlog.log"
perl shop.pl >"$RAW/log4perl.log" 2>&1 || true
ln -s "$DEPS/py/v" venv; timeout 20 /tmp/app/venv/bin/python tasks.py >"$RAW/celery.log" 2>&1 || true
ln -s "$DEPS/node/node_modules" node_modules; node --preserve-symlinks shop.js pino | node node_modules/pino-pretty/bin.js --colorize=false >"$RAW/pino_pretty.log"
j=$DEPS/java; lang() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dstdout.encoding=UTF-8 -Dfile.encoding=UTF-8 "$@" 2>&1; }
lang -Dorg.slf4j.simpleLogger.defaultLogLevel=trace -cp "$j/classes:$j/simple/lib/*" Shop slf4j >"$RAW/slf4j_simple.log"
printf 'logger.level=ALL\nlogger.handlers=C\nhandler.C=org.jboss.logmanager.handlers.ConsoleHandler\nhandler.C.properties=autoFlush\nhandler.C.autoFlush=true\nhandler.C.formatter=F\nformatter.F=org.jboss.logmanager.formatters.PatternFormatter\nformatter.F.properties=pattern\nformatter.F.pattern=%%d{yyyy-MM-dd HH:mm:ss,SSS} %%-5p [%%c{3.}] (%%t) %%s%%e%%n\n' >logging.properties
lang -Djava.util.logging.manager=org.jboss.logmanager.LogManager -Dlogging.configuration=file:/tmp/app/logging.properties -cp ".:$j/classes:$j/jboss/lib/*" Shop jul >"$RAW/quarkus.log"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1); chown postgres /tmp/app
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as "$bin/initdb" -D /tmp/app/pg -A trust -E UTF8 --no-locale >/dev/null
as "$bin/pg_ctl" -D /tmp/app/pg -l /tmp/app/start.log -w -o "-k /tmp/app -c listen_addresses=127.0.0.1 -c logging_collector=on -c log_destination=jsonlog -c log_directory=/tmp/app -c log_filename=server.log -c log_min_duration_statement=20" start >/dev/null || cat start.log
for q in 'create table t(a int primary key)' 'insert into t values (1)' 'insert into t values (1)' 'select * from missing' 'selec 1' 'select pg_sleep(0.05)' 'select 1/0' "do \$\$ begin raise warning 'stock is low'; end \$\$" 'select pg_terminate_backend(pg_backend_pid())'; do as psql -h 127.0.0.1 -X -q -d postgres -c "$q" >/dev/null 2>&1 || true; done
as "$bin/pg_ctl" -D /tmp/app/pg -m fast stop >/dev/null; cp server.json "$RAW/postgresql_json.log"
