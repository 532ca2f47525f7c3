# nginx (Debian package): the combined access log, with a zone that is not UTC, and the error log.
mkdir -p html/private logs
echo hello >html/index.html; echo secret >html/private/x; chmod 000 html/private
cat >nginx.conf <<'C'
user www-data; worker_processes 1; pid /tmp/app/nginx.pid;
error_log /tmp/app/logs/error.log notice;
events { worker_connections 64; }
http {
  access_log /tmp/app/logs/access.log combined;
  client_max_body_size 1k;
  limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/s;
  server {
    listen 8080; root /tmp/app/html;
    location /dead { proxy_pass http://127.0.0.1:9; }
    location /slow { limit_req zone=slow; try_files /index.html =404; }
    location /private { autoindex on; }
    location /upload { try_files /index.html =404; }
    location /auth { auth_basic "staff"; auth_basic_user_file /tmp/app/users; }
    location /list/ { }
  }
}
C
echo 'ann:{PLAIN}pw' >users; mkdir html/list html/auth; echo ok >html/auth/index.html
make_traffic() {
  local i
  for i in 1 2 3; do
    get http://127.0.0.1:8080/; get -A 'Mozilla/5.0 (X11; Linux x86_64) "quoted"' "http://127.0.0.1:8080/index.html?q=a%20b&n=$i"
    get -e 'https://shop.example.com/cart' http://127.0.0.1:8080/missing/$i.png
    get http://127.0.0.1:8080/dead; get http://127.0.0.1:8080/slow; get http://127.0.0.1:8080/slow
    get http://127.0.0.1:8080/private/x; get http://127.0.0.1:8080/list/
    get -u ann:pw http://127.0.0.1:8080/auth/; get -u eve:no http://127.0.0.1:8080/auth/; get -u ann:wrong http://127.0.0.1:8080/auth/
    get -d "$(printf '%2000s' x)" http://127.0.0.1:8080/upload; get -X PUT http://127.0.0.1:8080/; get -I http://127.0.0.1:8080/
    printf 'GARBAGE\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:8080 >/dev/null || true
    printf '\x16\x03\x01\x00\x05' | timeout 1 socat - TCP:127.0.0.1:8080 >/dev/null || true
    printf '' | timeout 1 socat - TCP:127.0.0.1:8080 >/dev/null || true
  done
}
TZ=UTC nginx -c /tmp/app/nginx.conf
make_traffic; nginx -c /tmp/app/nginx.conf -s reload; sleep 0.5; get http://127.0.0.1:8080/
echo 'bad;' >>nginx.conf; nginx -c /tmp/app/nginx.conf -s reload 2>/dev/null || true
kill -USR1 "$(cat nginx.pid)"; sleep 0.3; kill "$(cat nginx.pid)"; sleep 0.5
cp logs/error.log "$RAW/nginx_error.log"
sed -i '/^bad;/d' nginx.conf; : >logs/access.log
TZ=Asia/Kolkata nginx -c /tmp/app/nginx.conf
make_traffic; get -A '' http://127.0.0.1:8080/; get -A 'é ü' http://127.0.0.1:8080/%C3%A9
cp logs/access.log "$RAW/nginx_access.log"
