# Apache httpd (Debian package): combined access log and the error log of the default format.
mkdir -p html/private cgi logs
echo hello >html/index.html; echo 'Require all denied' >html/private/.htaccess; echo 'Bogus directive' >html/.broken
mkdir html/broken; echo 'Bogus on' >html/broken/.htaccess
printf '#!/bin/sh\necho "cgi: disk quota exceeded" >&2\nexit 1\n' >cgi/fail.sh; chmod +x cgi/fail.sh
printf 'ann:$apr1$aaaaaaaa$Wj1NTdCkAQmJmQ9pKRcpC.\n' >users
cat >httpd.conf <<'C'
ServerRoot /usr/lib/apache2
ServerName localhost
PidFile /tmp/app/httpd.pid
Mutex file:/tmp/app default
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authn_file_module modules/mod_authn_file.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_basic_module modules/mod_auth_basic.so
LoadModule dir_module modules/mod_dir.so
LoadModule autoindex_module modules/mod_autoindex.so
LoadModule mime_module modules/mod_mime.so
LoadModule cgid_module modules/mod_cgid.so
LoadModule alias_module modules/mod_alias.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
TypesConfig /etc/mime.types
ScriptSock /tmp/app/cgisock
Listen 127.0.0.1:8081
User www-data
Group www-data
LogLevel info
ErrorLog /tmp/app/logs/error.log
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" combined
LogFormat "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" vhost_combined
LogFormat "%h %l %u %t \"%r\" %>s %O" common
CustomLog /tmp/app/logs/access.log combined
CustomLog /tmp/app/logs/common.log common
CustomLog /tmp/app/logs/vhost.log vhost_combined
LimitRequestBody 1000
DocumentRoot /tmp/app/html
ScriptAlias /cgi/ /tmp/app/cgi/
ProxyPass /dead http://127.0.0.1:9/
<Directory />
  AllowOverride All
  Require all granted
</Directory>
<Location /staff>
  AuthType Basic
  AuthName staff
  AuthUserFile /tmp/app/users
  Require valid-user
</Location>
C
[ -e /etc/mime.types ] || sed -i '/TypesConfig/d;/mime_module/d' httpd.conf
apache2 -f /tmp/app/httpd.conf; ready port 8081
for i in 1 2 3; do
  get http://127.0.0.1:8081/; get -A "Mozilla/5.0 \"$i\"" "http://127.0.0.1:8081/index.html?n=$i"; get http://127.0.0.1:8081/missing-$i
  get -e 'https://shop.example.com/' http://127.0.0.1:8081/private/; get http://127.0.0.1:8081/broken/; get http://127.0.0.1:8081/cgi/fail.sh
  get http://127.0.0.1:8081/cgi/none-$i.sh; get http://127.0.0.1:8081/dead/$i; get http://127.0.0.1:8081/staff; get -u eve:x http://127.0.0.1:8081/staff
  get -u ann:x http://127.0.0.1:8081/staff; get -d "$(printf '%2000s' x)" http://127.0.0.1:8081/cgi/fail.sh; get -X TRACE http://127.0.0.1:8081/
  get http://127.0.0.1:8081/%2e%2e/%2e%2e/etc/passwd; get http://127.0.0.1:8081/a%00b
  printf 'GARBAGE\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:8081 >/dev/null || true
  printf '\x16\x03\x01\x02\x00\x01' | timeout 2 socat - TCP:127.0.0.1:8081 >/dev/null || true
done
apache2 -f /tmp/app/httpd.conf -k graceful; sleep 1; get http://127.0.0.1:8081/; apache2 -f /tmp/app/httpd.conf -k stop; sleep 1
cp logs/error.log "$RAW/apache_error.log"; cp logs/common.log "$RAW/apache_common.log"; cp logs/vhost.log "$RAW/apache_vhost.log"
