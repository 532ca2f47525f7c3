# Unbound and BIND (Debian packages): their own log files.
ask() { python3 - "$1" "${@:2}" <<'P'
import socket, struct, sys
for n in sys.argv[2:]:
    q = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in n.split(".")) + b"\0\0\1\0\1"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3); s.sendto(q, ("127.0.0.1", int(sys.argv[1])))
    try: s.recv(600)
    except OSError: pass
P
}
chmod 777 .
cat >u.conf <<'C'
server:
  interface: 127.0.0.1@5301
  chroot: ""
  directory: /tmp/app
  username: ""
  pidfile: /tmp/app/u.pid
  use-syslog: no
  logfile: /tmp/app/u.log
  verbosity: 2
  log-queries: yes
  log-replies: yes
  do-not-query-localhost: no
  local-data: "shop.example.com. A 127.0.0.1"
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@9
C
unbound -d -c /tmp/app/u.conf & u=$!; sleep 1.5
ask 5301 shop.example.com db.internal nothing.test shop.example.com a.b.c; kill -HUP $u; sleep 1; ask 5301 shop.example.com; stop $u
echo 'bogus: 1' >>u.conf; unbound -d -c /tmp/app/u.conf 2>/dev/null || true; cp u.log "$RAW/unbound.log"
mkdir -p /run/named
cat >n.conf <<'C'
options { directory "/tmp/app"; pid-file "/tmp/app/n.pid"; session-keyfile "/tmp/app/s.key"; listen-on port 5302 { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; allow-query { any; }; forwarders { 127.0.0.1 port 9; }; forward only; dnssec-validation no; };
logging { channel f { file "/tmp/app/n.log"; print-time yes; print-category yes; print-severity yes; severity debug 1; };
  category default { f; }; category queries { f; }; category general { f; }; category config { f; }; category security { f; }; category network { f; }; category lame-servers { f; }; };
zone "example.com" { type master; file "/tmp/app/zone"; };
zone "broken.test" { type master; file "/tmp/app/absent"; };
controls { };
C
printf '$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\nshop A 127.0.0.1\n' >zone
named -f -c /tmp/app/n.conf -n 1 & n=$!; sleep 2; ask 5302 shop.example.com none.example.com db.internal nothing.test; echo 'junk here' >>zone
kill -HUP $n; sleep 2; ask 5302 shop.example.com; stop $n; cp n.log "$RAW/bind.log"
