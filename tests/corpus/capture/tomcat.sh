# Tomcat (Debian package): catalina's log (JULI) and the access log.
mkdir -p base/{conf,logs,temp,work,webapps/ROOT,webapps/broken/WEB-INF}
cp /usr/share/tomcat10/etc/{server.xml,web.xml} base/conf/ 2>/dev/null || cp /etc/tomcat10/{server.xml,web.xml} base/conf/
cp /usr/share/tomcat10/etc/logging.properties base/conf/ 2>/dev/null || true
sed -i 's/8080/8085/' base/conf/server.xml
echo hi >base/webapps/ROOT/index.html; echo '<web-app><bad' >base/webapps/broken/WEB-INF/web.xml
printf '<%%= 1 / Integer.parseInt("0") %%>' >base/webapps/ROOT/fail.jsp
JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")") CATALINA_HOME=/usr/share/tomcat10 CATALINA_BASE=/tmp/app/base CATALINA_PID=/tmp/app/t.pid
export JAVA_HOME CATALINA_HOME CATALINA_BASE CATALINA_PID
bash /usr/share/tomcat10/bin/catalina.sh start >/dev/null; ready get http://127.0.0.1:8085/; ready port 8085; sleep 4
for i in 1 2 3 4 5 6 7 8; do get http://127.0.0.1:8085/; get http://127.0.0.1:8085/missing$i; get http://127.0.0.1:8085/fail.jsp; printf 'B\x01D / HTTP/1.1\r\nHost: x\r\n\r\n' | timeout 2 socat - TCP:127.0.0.1:8085 >/dev/null || true; done
bash /usr/share/tomcat10/bin/catalina.sh stop 10 >/dev/null 2>&1 || true
cat base/logs/catalina.*.log base/logs/localhost.*.log >"$RAW/tomcat.log" 2>/dev/null || cp base/logs/catalina.out "$RAW/tomcat.log"
