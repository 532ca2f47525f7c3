# HAProxy (Debian package): httplog and tcplog as sent to syslog over UDP, and its own notices.
cat >h.cfg <<'C'
global
  log 127.0.0.1:5514 local0
  stats socket /tmp/app/h.sock level admin
defaults
  log global
  timeout connect 500ms
  timeout client 2s
  timeout server 1s
frontend web
  mode http
  option httplog
  bind 127.0.0.1:8090
  capture request header User-Agent len 30
  acl admin path_beg /admin
  http-request deny if admin
  use_backend slow if { path_beg /slow }
  use_backend down if { path_beg /down }
  default_backend app
backend app
  mode http
  server a1 127.0.0.1:8091 check inter 300ms
backend slow
  mode http
  server s1 127.0.0.1:8092
backend down
  mode http
  option httpchk
  server d1 127.0.0.1:9 check inter 300ms fall 1
listen db
  mode tcp
  option tcplog
  bind 127.0.0.1:8093
  server p1 127.0.0.1:8091
C
cat >recv.py <<'C'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 5514))
out = open("/tmp/app/h.log", "ab", buffering=0)
while True:
    out.write(s.recv(65536).rstrip(b"\n\0") + b"\n")
C
mkdir www; python3 recv.py & sleep 0.5
python3 -m http.server -d /tmp/app/www -b 127.0.0.1 8091 >/dev/null 2>&1 & web=$!
socat TCP-LISTEN:8092,fork,bind=127.0.0.1 SYSTEM:'sleep 3' & ready port 8091
haproxy -db -f h.cfg 2>err.log & h=$!; ready port 8090
for i in 1 2 3 4 5 6; do
  get "http://127.0.0.1:8090/?n=$i"; get -A "agent $i" "http://127.0.0.1:8090/missing$i"; get http://127.0.0.1:8090/down; get http://127.0.0.1:8090/admin
  get http://127.0.0.1:8093/; get -X POST -d a=b http://127.0.0.1:8090/; printf 'BAD\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:8090 >/dev/null || true
  timeout 1 socat - TCP:127.0.0.1:8090 </dev/null >/dev/null || true; [ $i -gt 2 ] || get http://127.0.0.1:8090/slow
done
kill $web; sleep 2; get http://127.0.0.1:8090/; get http://127.0.0.1:8093/; sleep 0.5; kill -USR1 $h; sleep 1
cp h.log "$RAW/haproxy.log"
