# One-digit days and hours, of programs run under libfaketime: rsyslog's traditional file, MariaDB, uWSGI.
at='2026-11-05 09:03:07'; chmod 777 .
printf 'module(load="imuxsock" SysSock.UseSysTimeStamp="off")\n*.* action(type="omfile" file="/tmp/app/t.log" template="RSYSLOG_TraditionalFileFormat")\n' >r.conf
faketime -f "@$at" rsyslogd -n -f /tmp/app/r.conf -i /tmp/app/r.pid & r=$!; ready test -S /dev/log
for i in 1 2 3 4 5 6 7 8; do
  logger -t shop "order $i placed"; logger -t shop --id=7$i -p user.err "payment $i declined: insufficient funds"; logger -t cron -p cron.info "(root) CMD (run $i)"
done
sleep 1; stop $r; grep -v rsyslogd t.log >"$RAW/rsyslog_early.log"
mkdir -p /run/mysqld; chown mysql /tmp/app /run/mysqld
mariadb-install-db --user=mysql --datadir=/tmp/app/db --auth-root-authentication-method=normal >/dev/null 2>&1
run() { faketime -f "@$at" mariadbd --no-defaults --user=mysql --datadir=/tmp/app/db --socket=/tmp/app/s --bind-address=127.0.0.1 --log-error=/tmp/app/error.log --log-warnings=9 "$@" & }
run; ready mariadb --no-defaults -S /tmp/app/s -e 'select 1'; for u in eve bob; do mariadb --no-defaults -h 127.0.0.1 -u $u -e 'select 1' >/dev/null 2>&1 || true; done
mariadb --no-defaults -S /tmp/app/s -e shutdown || true; sleep 3; run --bogus; sleep 3; cp error.log "$RAW/mariadb_early.log"
