# systemd-journald (Debian package) by itself; journalctl's export, json and short-iso output.
mkdir -p /run/systemd/journal /run/log/journal; printf 'deadbeefdeadbeefdeadbeefdeadbeef\n' >/etc/machine-id
mkdir -p /etc/systemd; printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n' >/etc/systemd/journald.conf
/usr/lib/systemd/systemd-journald & j=$!; ready test -S /run/systemd/journal/socket; ln -sf /run/systemd/journal/dev-log /dev/log
say() { systemd-cat -t "$1" -p "$2" echo "$3"; }
for i in 1 2 3 4 5 6; do
  say shop info "order $i placed"; say shop warning "stock of item $i is low"; say shop err "payment $i declined: insufficient funds"; say shop debug "cache miss for key user:$i"
  say worker notice "job $i finished in 0.${i}s"; say worker crit "disk /dev/sda: I/O error"; logger -t cron -p cron.info "(root) CMD (run-parts $i)"
done
systemd-cat -t app python3 -c 'import sys; print("<4>kernel style prefix"); print("{\"k\": 1}"); print("tab\there"); sys.stdout.flush(); 1/0' || true
logger -t app 'é ünïcode – ok'; printf 'MESSAGE=two\\nlines\nPRIORITY=3\nSYSLOG_IDENTIFIER=native\n' | logger --journald; sleep 0.5
printf 'MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1\nMESSAGE=native entry with a field\nPRIORITY=2\nSYSLOG_IDENTIFIER=native\nORDER=7\n' | logger --journald; sleep 0.5
journalctl -o short-iso --no-pager >"$RAW/journal_short_iso.log"; journalctl -o short-precise --no-pager >"$RAW/journal_short.log"
journalctl -o json --no-pager >"$RAW/journal_json.log"; journalctl -o export --no-pager >"$RAW/journal_export.log"; stop $j
