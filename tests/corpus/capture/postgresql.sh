# PostgreSQL (Debian package): the default prefix `%m [%p] `, and Debian's with user and database.
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
chown postgres /tmp/app
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as "$bin/initdb" -D /tmp/app/pg -A trust -E UTF8 --no-locale >/dev/null
start() { # FILE EXTRA...
  as "$bin/pg_ctl" -D /tmp/app/pg -l "$1" -w -o "-k /tmp/app -c listen_addresses=127.0.0.1 -c log_min_duration_statement=20 -c deadlock_timeout=100 -c log_lock_waits=on -c log_checkpoints=on $2" start >/dev/null
}
q() { as psql -h 127.0.0.1 -X -q -d "${db:-postgres}" -c "$1" >/dev/null 2>&1 || true; }
work() {
  q 'create table orders(id int primary key, total numeric check (total > 0))'; q 'insert into orders values (1, 10)'
  q 'insert into orders values (1, 11)'; q 'insert into orders values (2, -1)'; q 'select * from missing'; q 'selec 1'
  q 'select pg_sleep(0.05)'; q 'select 1/0'; q "select 'abc'::int"; q "select
  pg_sleep(0.03),
  'a line'"; db=nowhere q 'select 1'
  as psql -h 127.0.0.1 -X -q -U nobody -d postgres -c 'select 1' >/dev/null 2>&1 || true
  q "do \$\$ begin raise warning 'stock is low: %', 3; raise log 'audit: stock read'; perform 1/0; end \$\$"
  (as psql -h 127.0.0.1 -X -q -d postgres -c 'begin; lock orders; select pg_sleep(0.5); commit' >/dev/null 2>&1) & sleep 0.2
  q "set statement_timeout=200; update orders set total = 3"; wait $!
  (as psql -h 127.0.0.1 -X -q -d postgres -c 'select pg_sleep(5)' >/dev/null 2>&1 || true) & sleep 0.3
  q "select pg_terminate_backend(pid) from pg_stat_activity where query like '%sleep(5)%' and pid <> pg_backend_pid()"
  q 'checkpoint'; printf 'GET / HTTP/1.0\r\n\r\n' | timeout 1 socat - TCP:127.0.0.1:5432 >/dev/null 2>&1 || true
  echo 'work_mem = lots' >>pg/postgresql.conf; q 'select pg_reload_conf()'; sleep 0.3; sed -i '$d' pg/postgresql.conf
}
halt() { as "$bin/pg_ctl" -D /tmp/app/pg -m "$1" stop >/dev/null; }
start /tmp/app/a.log ''; work; halt fast
start /tmp/app/b.log "-c log_line_prefix='%m [%p] %q%u@%d ' -c log_connections=on -c log_disconnections=on"; work
q 'drop table orders'; halt immediate; start /tmp/app/b.log "-c log_line_prefix='%m [%p] %q%u@%d '"; q 'drop table orders'; work; halt smart
cp a.log "$RAW/postgresql.log"; cp b.log "$RAW/postgresql_debian.log"
