# Python: logging in five layouts, structlog, loguru, python-json-logger, gunicorn, uvicorn, uWSGI, Django.
cp /opt/apps/*.py .; ln -s "$DEPS/py/v" venv; py=/tmp/app/venv/bin/python; chmod 777 .
for l in default docs plain bracket pid; do $py shop.py $l 2>&1 | cat >"$RAW/python_$l.log" || true; done
for l in structlog structlog_json loguru json; do $py web.py $l >"$RAW/py_$l.log" 2>&1 || true; done; mv "$RAW/py_loguru.log" "$RAW/loguru.log"
mv "$RAW/py_structlog.log" "$RAW/structlog.log"; mv "$RAW/py_structlog_json.log" "$RAW/structlog_json.log"; mv "$RAW/py_json.log" "$RAW/python_json.log"
hit() { local i; for i in 1 2 3 4; do get "$1/"; get "$1/missing$i?x=1"; get -A "agent $i" -e https://shop.example.com/ "$1/"; get "$1/boom"; done; printf 'BAD\r\n\r\n' | timeout 2 socat - "TCP:${1#http://}" >/dev/null || true; }
$py -m gunicorn -w 2 -b 127.0.0.1:8000 --timeout 2 --log-level debug --access-logfile - web:wsgi >g.log 2>&1 & g=$!; ready port 8000 || cat g.log; hit http://127.0.0.1:8000; get http://127.0.0.1:8000/hang; get http://127.0.0.1:8000/exit; sleep 1; kill -HUP $g; sleep 1; get http://127.0.0.1:8000/; kill -TERM $g; sleep 2
grep -v 'config:\|^  [a-z_]*:' g.log >"$RAW/gunicorn.log"
$py -m uvicorn --port 8001 --log-level trace web:asgi >u.log 2>&1 & u=$!; ready port 8001; hit http://127.0.0.1:8001; kill $u; sleep 1; cp u.log "$RAW/uvicorn.log"
uwsgi --plugin python3 --http-socket 127.0.0.1:8003 --wsgi-file web.py --callable wsgi --master --processes 2 --harakiri 2 >w.log 2>&1 & w=$!; ready port 8003; hit http://127.0.0.1:8003; get http://127.0.0.1:8003/hang; kill -HUP $w; sleep 1; kill -INT $w; sleep 1; cp w.log "$RAW/uwsgi.log"
$py django_app.py >d.log 2>&1 & d=$!; ready port 8002; hit http://127.0.0.1:8002; kill -INT $d; sleep 0.5; cp d.log "$RAW/django.log"
