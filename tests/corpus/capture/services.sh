# etcd, Prometheus, NATS, mosquitto, memcached (Debian packages): standard error.
chmod 777 .
etcd --data-dir /tmp/app/etcd --logger zap --log-level debug --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 2>e.log & e=$!
ready port 2379; get http://127.0.0.1:2379/v3/kv/put -d '{"key":"YQ==","value":"Yg=="}'; get http://127.0.0.1:2379/version; sleep 1; kill $e; sleep 1
head -c 20000 e.log | sed '$d' >"$RAW/etcd.log"
etcd --data-dir /tmp/app/etcd --logger capnslog --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 2>e2.log & e=$!; ready port 2379; get http://127.0.0.1:2379/v3/kv/put -d 'x'; sleep 1; kill $e; sleep 1; cp e2.log "$RAW/etcd_capnslog.log"
printf 'global:\n  scrape_interval: 1s\nrule_files: [rules.yml]\nalerting:\n  alertmanagers: [{static_configs: [{targets: ["127.0.0.1:9"]}]}]\nremote_write: [{url: "http://127.0.0.1:9/w"}]\nscrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:9090"]}]}]\n' >prometheus.yml
printf 'groups: [{name: g, interval: 1s, rules: [{alert: Up, expr: up == 1}]}]\n' >rules.yml
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:9090 --web.enable-lifecycle --log.level=debug 2>p.log & p=$!
ready port 9090; sleep 4; get 'http://127.0.0.1:9090/api/v1/query?query=up{'; get -X POST http://127.0.0.1:9090/-/reload; echo 'bogus: 1' >>prometheus.yml; get -X POST http://127.0.0.1:9090/-/reload; kill $p; sleep 2
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb 2>>p.log || true; cp p.log "$RAW/prometheus.log"
nats-server -a 127.0.0.1 -p 4222 -m 8222 -DV --user ann --pass pw 2>n.log & n=$!; ready port 4222
say() { printf "$1" | timeout 1 socat -t 0.5 - TCP:127.0.0.1:4222 >/dev/null 2>&1 || true; }
say 'CONNECT {"user":"ann","pass":"pw","verbose":true}\r\nSUB orders 1\r\nPUB orders 2\r\nhi\r\nPING\r\n'; say 'CONNECT {"user":"eve","pass":"x"}\r\nPING\r\n'; say 'JUNK\r\n'; get http://127.0.0.1:8222/varz
nats-server -a 127.0.0.1 -p 4222 2>>n.log || true; kill -HUP $n; sleep 0.5; kill -INT $n; sleep 1; cp n.log "$RAW/nats.log"
printf 'listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /tmp/app/mq\nlog_type all\n' >m.conf; : >mq; mosquitto_passwd -b mq ann pw
mosquitto -c m.conf 2>m.log & m=$!; ready port 1883
python3 - <<'P'
import socket, struct, time
def conn(user, pw, cid=b"c1"):
    s = socket.create_connection(("127.0.0.1", 1883)); b = b"\0\4MQTT\4" + (b"\xc2" if user else b"\2") + b"\0\x3c"
    for x in (cid, *((user, pw) if user else ())): b += struct.pack(">H", len(x)) + x
    s.sendall(b"\x10" + bytes([len(b)]) + b); time.sleep(0.1); return s
s = conn(b"ann", b"pw"); b = b"\0\1\0\6orders\1"; s.sendall(b"\x82" + bytes([len(b)]) + b); time.sleep(0.1)
b = b"\0\6ordershello"; s.sendall(b"\x30" + bytes([len(b)]) + b); s.sendall(b"\xc0\0"); time.sleep(0.1)
conn(b"eve", b"no", b"c2"); conn(None, None, b"c3"); conn(b"ann", b"pw", b"c1"); t = socket.create_connection(("127.0.0.1", 1883)); t.sendall(b"GET / HTTP/1.0\r\n\r\n"); time.sleep(0.2); s.close()
P
kill -HUP $m; sleep 0.3; kill $m; sleep 1; cp m.log "$RAW/mosquitto.log"
memcached -u root -l 127.0.0.1 -p 11211 -vv 2>mc.log & c=$!; ready port 11211
printf 'set a 0 0 2\r\nhi\r\nget a\r\nget b\r\nbogus\r\nset big 0 0 9999999\r\nquit\r\n' | timeout 1 socat - TCP:127.0.0.1:11211 >/dev/null; kill $c; sleep 0.5; tail -40 mc.log >"$RAW/memcached.log"
