# Redis (Debian package): standard output, at the levels notice (default) and debug.
redis-server --enable-debug-command yes --port 6379 --save '' --loglevel debug --dir /tmp/app >a.log & p=$!
ready redis-cli ping
redis-cli set a 1 >/dev/null; redis-cli bgsave >/dev/null; sleep 0.5; redis-cli config set maxmemory 1mb >/dev/null
redis-cli replicaof 127.0.0.1 6390 >/dev/null; sleep 2.5; redis-cli replicaof no one >/dev/null
printf 'POST / HTTP/1.1\r\nHost: x\r\n\r\n' | timeout 1 socat - TCP:127.0.0.1:6379 >/dev/null 2>&1 || true
redis-cli debug sleep 0.1 >/dev/null; stop $p
redis-server --enable-debug-command yes --port 6379 --dir /tmp/app >b.log & p=$!; ready redis-cli ping
redis-server --enable-debug-command yes --port 6379 --dir /tmp/app >>b.log || true
redis-cli --no-auth-warning set b 2 >/dev/null; redis-cli save >/dev/null; redis-cli debug segfault >/dev/null 2>&1 || true; sleep 1
redis-server --enable-debug-command yes --port 6379 --appendonly yes --dir /tmp/app >>b.log & p=$!; ready redis-cli ping; redis-cli bgrewriteaof >/dev/null; sleep 1
stop $p; echo bad >dump.rdb; rm -rf appendonlydir; redis-server --enable-debug-command yes --port 6379 --dir /tmp/app >>b.log || true
cat a.log b.log >"$RAW/redis.log"
