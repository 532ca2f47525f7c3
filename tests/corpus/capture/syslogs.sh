# rsyslog (Debian package) as the system's logger, with the programs of a server writing to it:
# sshd, sudo, cron, postfix, dnsmasq, haproxy's notices, logger. Three templates of its files.
cat >r.conf <<'C'
module(load="imuxsock")
module(load="imudp")
input(type="imudp" port="514" address="127.0.0.1")
*.* action(type="omfile" file="/tmp/app/traditional.log" template="RSYSLOG_TraditionalFileFormat")
*.* action(type="omfile" file="/tmp/app/file.log" template="RSYSLOG_FileFormat")
*.* action(type="omfile" file="/tmp/app/rfc5424.log" template="RSYSLOG_SyslogProtocol23Format")
C
rsyslogd -n -f /tmp/app/r.conf -i /tmp/app/r.pid & ready test -S /dev/log
mkdir -p /run/sshd spool; ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f user
useradd -M -d /tmp/app deploy 2>/dev/null || true
printf 'Port 2222\nListenAddress 127.0.0.1\nHostKey /tmp/app/key\nUsePAM no\nAuthorizedKeysFile /tmp/app/user.pub\nStrictModes no\nLogLevel VERBOSE\n' >sshd.conf
/usr/sbin/sshd -f /tmp/app/sshd.conf; ready port 2222
s() { timeout 5 ssh -F none -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "$@" >/dev/null 2>&1 || true; }
usermod -p '*' deploy
s -i user deploy@127.0.0.1 true; s -i user nobody@127.0.0.1 true; s admin@127.0.0.1; s deploy@127.0.0.1; s -i user deploy@127.0.0.1 exit 3
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:2222 >/dev/null || true
timeout 1 socat - TCP:127.0.0.1:2222 </dev/null >/dev/null || true
sudo -u www-data true || true; setpriv --reuid=www-data --regid=www-data --clear-groups sudo -n id >/dev/null 2>&1 || true; sudo -u nouser id >/dev/null 2>&1 || true
printf '* * * * * root echo tick\n' >/tmp/app/tick; cron -n -L 15 & cronpid=$!
printf 'address=/shop.example.com/127.0.0.1\nlog-queries\nno-resolv\nport=5355\nlisten-address=127.0.0.1\nbind-interfaces\npid-file=/tmp/app/d.pid\nuser=root\n' >d.conf
dnsmasq -C d.conf; python3 - <<'P'
import socket, struct
for n in ("shop.example.com", "db.internal", "nothing.test"):
    q = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in n.split(".")) + b"\0\0\1\0\1"
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(q, ("127.0.0.1", 5355))
P
cp -a /etc/postfix /tmp/app/pf; for d in $(postconf -h queue_directory); do :; done
postconf -c /tmp/app/pf -e 'inet_interfaces=127.0.0.1' 'inet_protocols=ipv4' 'myhostname=web-1.example.com' 'mydestination=localhost' 'mynetworks=127.0.0.0/8' 'queue_directory=/tmp/app/spool' 'data_directory=/tmp/app/spool/data' 'alias_maps=' 'compatibility_level=3.6' 'maillog_file=' 'master_service_disable=' 'default_transport=smtp' 'disable_dns_lookups=yes' 'smtp_dns_support_level=disabled' 2>/dev/null
sed -i 's/^\(smtp *inet *n *- *\)y/\1n/;s/^\([a-z].*\) y  /\1 n  /;s/^smtp  /2525  /' pf/master.cf; mkdir -p spool/data; chown postfix spool/data
postfix -c /tmp/app/pf start >/dev/null 2>&1 || true; sleep 2
mail() { printf 'EHLO x\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: hi\r\n\r\nhello\r\n.\r\nQUIT\r\n' "$1" | timeout 4 socat -t 2 - TCP:127.0.0.1:2525,crlf >/dev/null 2>&1 || true; }
mail root@localhost; mail nobodyhere@localhost; mail bob@remote.invalid; mail bad@@x
logger -t backup -p daemon.notice 'nightly backup finished: 12 files'; logger -t backup -p daemon.err 'cannot read /srv/data: Permission denied'
logger -t app --id=77 -p local0.crit "disk failing: I/O error, dev sda, sector 1234"; logger -p user.debug 'no tag here: just text'
logger -t app -p local1.emerg 'out of memory'; logger -t 'my-app[9]' -p local2.warning '{"event":"retry","n":3}'; logger -s -t app 'é ünïcode – ok' 2>/dev/null
logger -n 127.0.0.1 -P 514 -d --rfc5424 -t remote --sd-id 'origin@32473' --sd-param 'ip="10.0.0.1"' -p local3.alert 'from afar with data'
logger -n 127.0.0.1 -P 514 -d --rfc3164 -t remote -p local3.info 'from afar, the old way'
sleep 25; stop $cronpid; postfix -c /tmp/app/pf stop >/dev/null 2>&1 || true; stop "$(cat d.pid)"; kill -HUP "$(cat r.pid)"; sleep 0.5; kill "$(cat r.pid)"; sleep 1
for f in traditional file rfc5424; do cp $f.log "$RAW/rsyslog_$f.log"; done
