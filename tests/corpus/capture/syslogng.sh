# syslog-ng (Debian package, unpacked to $DEPS/sng/root): its default file template, and RFC 5424.
r=$DEPS/sng/root; export LD_LIBRARY_PATH=$r/usr/lib/x86_64-linux-gnu:$r/usr/lib/syslog-ng
printf '@version: 3.38\noptions { keep-hostname(yes); };\nsource s { internal(); unix-dgram("/dev/log"); network(ip("127.0.0.1") port(5141) transport("udp")); };\ndestination d { file("/tmp/app/m.log"); file("/tmp/app/iso.log" template("$ISODATE $HOST $LEVEL $MSGHDR$MSG\\n")); };\nlog { source(s); destination(d); };\n' >s.conf
"$r/usr/sbin/syslog-ng" -F -f s.conf -p p.pid -c s.ctl -R s.persist --module-path "$r/usr/lib/syslog-ng/3.38" 2>err & s=$!; ready test -S /dev/log || { cat err; exit 1; }
for i in 1 2 3 4 5 6; do logger -t shop -p local0.info "order $i placed"; logger -t shop --id=7$i -p local0.err "payment $i declined"; logger -t worker -p daemon.warning "queue is $i jobs long"; logger -t cron -p cron.notice "(root) CMD (run $i)"; logger -n 127.0.0.1 -P 5141 -d --rfc3164 -t far -p local1.crit "from afar $i"; done
kill -HUP $s; sleep 1; stop $s; cat err >&2; cp m.log "$RAW/syslogng.log"; cp iso.log "$RAW/syslogng_iso.log"
