# MariaDB (Debian package): the error log.
mkdir -p /run/mysqld; chown mysql /tmp/app /run/mysqld
mariadb-install-db --user=mysql --datadir=/tmp/app/db --auth-root-authentication-method=normal >/dev/null 2>&1
run() { mariadbd --no-defaults --user=mysql --datadir=/tmp/app/db --socket=/tmp/app/s --bind-address=127.0.0.1 --log-error=/tmp/app/error.log --log-warnings=9 "$@" & }
sql() { mariadb --no-defaults -S /tmp/app/s -e "$1" >/dev/null 2>&1 || true; }
run; ready mariadb --no-defaults -S /tmp/app/s -e 'select 1'
sql "create database shop; create table shop.t(a int) engine=innodb; create user bob@localhost identified by 'x'"
mariadb --no-defaults -S /tmp/app/s -u bob -pno -e 'select 1' >/dev/null 2>&1 || true
mariadb --no-defaults -h 127.0.0.1 -u eve -e 'select 1' >/dev/null 2>&1 || true
(mariadb --no-defaults -S /tmp/app/s -e 'select sleep(9)' >/dev/null 2>&1 || true) & sleep 0.3
sql 'kill 8; kill 9; kill 10; kill 11; kill 12'; timeout 1 socat - TCP:127.0.0.1:3306 </dev/null >/dev/null 2>&1 || true
run; sleep 4 # a second server on the same data: cannot lock it
sql 'set global innodb_status_output=0; shutdown'; sleep 2; run --innodb-buffer-pool-size=1 --bogus=1; sleep 2
run --innodb-force-recovery=1; sleep 3; sql shutdown; sleep 2
cp error.log "$RAW/mariadb.log"
