# squid, lighttpd, Varnish, PHP-FPM, Caddy (Debian packages).
chmod 777 .
mkdir www; echo hi >www/index.html; python3 -m http.server -d /tmp/app/www -b 127.0.0.1 8091 >/dev/null 2>&1 & ready port 8091
printf 'http_port 127.0.0.1:3128\nacl bad dstdomain blocked.test\nhttp_access deny bad\nhttp_access allow all\ncache_log /tmp/app/cache.log\naccess_log stdio:/tmp/app/sq.log squid\npid_filename /tmp/app/sq.pid\ncoredump_dir /tmp/app\ncache deny all\nnetdb_filename none\nvisible_hostname web-1\nconnect_timeout 1 second\n' >sq.conf
touch /tmp/app/cache.log; chmod 666 cache.log
squid -N -f sq.conf >sq.err 2>&1 & sq=$!; ready port 3128 || { cat sq.err cache.log; exit 1; }
p() { get -x http://127.0.0.1:3128 "$@"; }
for i in 1 2 3 4 5; do p http://127.0.0.1:8091/; p "http://127.0.0.1:8091/missing$i?x=1"; p http://127.0.0.1:9/; p http://blocked.test/; p http://nowhere.invalid/; p -X POST -d a http://127.0.0.1:8091/; p https://127.0.0.1:9/; p -A x -U eve:pw http://127.0.0.1:8091/; done
squid -k reconfigure -f sq.conf 2>/dev/null || true; sleep 1; squid -k shutdown -f sq.conf 2>/dev/null || true; sleep 3; stop $sq
cp sq.log "$RAW/squid_access.log"; cp cache.log "$RAW/squid_cache.log"
printf 'server.document-root="/tmp/app/www"\nserver.port=8082\nserver.bind="127.0.0.1"\nserver.errorlog="/tmp/app/l.log"\nserver.modules=("mod_access","mod_cgi","mod_proxy","mod_auth","mod_authn_file")\nurl.access-deny=(".secret")\ncgi.assign=(".sh"=>"/bin/sh")\n$HTTP["url"]=~"^/dead"{proxy.server=(""=>(("host"=>"127.0.0.1","port"=>9)))}\nauth.backend="plain"\nauth.backend.plain.userfile="/tmp/app/users"\nauth.require=("/staff"=>("method"=>"basic","realm"=>"s","require"=>"valid-user"))\n' >l.conf
echo 'ann:pw' >users; printf 'echo oops >&2\nexit 3\n' >www/f.sh
lighttpd -D -f l.conf 2>/dev/null & l=$!; ready port 8082
for i in 1 2 3 4; do get http://127.0.0.1:8082/dead/$i; get -u ann:no http://127.0.0.1:8082/staff; get -u eve:no http://127.0.0.1:8082/staff; get http://127.0.0.1:8082/f.sh; printf 'BAD\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:8082 >/dev/null || true; done
kill -HUP $l; sleep 0.5; stop $l; cp l.log "$RAW/lighttpd_error.log"
fpm=$(ls /usr/sbin/php-fpm*); mkdir php
printf '[global]\nerror_log=/tmp/app/fpm.log\nlog_level=debug\ndaemonize=no\n[www]\nuser=www-data\nlisten=127.0.0.1:9000\npm=dynamic\npm.max_children=2\npm.start_servers=1\npm.min_spare_servers=1\npm.max_spare_servers=1\nrequest_terminate_timeout=1s\ncatch_workers_output=yes\nphp_admin_value[error_log]=/tmp/app/php/php.log\nphp_admin_flag[log_errors]=on\n' >fpm.conf; chmod 777 php
cat >php/a.php <<'P'
<?php
function total($x) { return array_sum($x) / count($x); }
trigger_error("stock is low", E_USER_WARNING); trigger_error("cart is old", E_USER_NOTICE); echo $undefined;
@trigger_error("use v2", E_USER_DEPRECATED); error_log("payment accepted for order 7"); $a = []; echo $a["k"];
if (($_SERVER["QUERY_STRING"] ?? "") == "fatal") missing_function();
if (($_SERVER["QUERY_STRING"] ?? "") == "slow") { while (true) usleep(1000); }
total([]);
P
"$fpm" -F -R -y fpm.conf 2>/dev/null & f=$!; ready port 9000
fcgi() { python3 - "$1" <<'P'
import socket, struct, sys
def rec(t, b): return struct.pack(">BBHHBB", 1, t, 1, len(b), 0, 0) + b
p = {"SCRIPT_FILENAME": "/tmp/app/php/a.php", "REQUEST_METHOD": "GET", "QUERY_STRING": sys.argv[1], "SCRIPT_NAME": "/a.php"}
body = b"".join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in p.items())
s = socket.create_connection(("127.0.0.1", 9000)); s.settimeout(4)
s.sendall(rec(1, b"\0\1\0\0\0\0\0\0") + rec(4, body) + rec(4, b"") + rec(5, b""))
try:
    while s.recv(4096): pass
except OSError: pass
P
}
for i in 1 2 3; do fcgi ''; fcgi fatal; fcgi slow; done; kill -USR2 $f; sleep 2; kill -QUIT $f; sleep 1
cp fpm.log "$RAW/php_fpm.log"; cp php/php.log "$RAW/php_error.log"
printf '{\n admin off\n auto_https off\n}\nhttp://127.0.0.1:8084 {\n root * /tmp/app/www\n file_server\n log {\n  output file /tmp/app/c-access.log\n }\n reverse_proxy /dead/* 127.0.0.1:9\n respond /boom 500\n}\n' >Caddyfile
caddy run --adapter caddyfile --config Caddyfile 2>c.log & c=$!; ready port 8084
for i in 1 2 3 4 5 6 7 8; do get http://127.0.0.1:8084/; get http://127.0.0.1:8084/missing$i; get http://127.0.0.1:8084/dead/$i; get http://127.0.0.1:8084/boom; done; kill -INT $c; sleep 1.5
cat c.log c-access.log >"$RAW/caddy.log"
