# Java: logback (its default pattern, a dated one, Spring Boot), log4j2 (three layouts), java.util.logging.
j=$DEPS/java; lang() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dstdout.encoding=UTF-8 -Dfile.encoding=UTF-8 "$@" 2>&1; }
mkdir lb l4; logback() { printf '<configuration><appender name="c" class="ch.qos.logback.core.ConsoleAppender"><encoder>%s</encoder></appender><root level="trace"><appender-ref ref="c"/></root></configuration>' "$1" >lb/logback.xml; lang -cp "lb:$j/classes:$j/logback/lib/*" Shop slf4j; }
logback '<pattern>%d{HH:mm:ss.SSS} [%thread] %-5level %logger{36} -%kvp- %msg%n</pattern>' >"$RAW/logback_default.log"
logback '<pattern>%d{yyyy-MM-dd HH:mm:ss.SSS} [%thread] %-5level %logger{36} - %msg%n</pattern>' >"$RAW/logback_dated.log"
logback '<pattern>%date %level [%thread] %logger{10} [%file:%line] %msg%n</pattern>' >"$RAW/logback_manual.log"
log4j2() { printf '<Configuration><Appenders><Console name="c">%s</Console></Appenders><Loggers><Root level="trace"><AppenderRef ref="c"/></Root></Loggers></Configuration>' "$1" >l4/log4j2.xml; lang -cp "l4:$j/classes:$j/log4j2/lib/*" Shop log4j2; }
log4j2 '<PatternLayout pattern="%d %-5p [%t] %c{1} (%F:%L) - %m%n"/>' >"$RAW/log4j2_classic.log"
log4j2 '<PatternLayout pattern="%d{ISO8601} %-5level %logger{36} [%thread] %msg%n"/>' >"$RAW/log4j2_iso.log"
log4j2 '<JsonTemplateLayout eventTemplateUri="classpath:EcsLayout.json"/>' >"$RAW/log4j2_ecs.log"
printf 'handlers=java.util.logging.ConsoleHandler\n.level=ALL\njava.util.logging.ConsoleHandler.level=ALL\njava.util.logging.ConsoleHandler.encoding=UTF-8\n' >jul.properties
lang -Djava.util.logging.config.file=jul.properties -cp "$j/classes" Shop jul >"$RAW/jul.log"
printf 'java.util.logging.SimpleFormatter.format=[%%1$tF %%1$tT.%%1$tL] [%%4$-7s] %%5$s %%6$s%%n\n' >>jul.properties
lang -Djava.util.logging.config.file=jul.properties -cp "$j/classes" Shop jul >"$RAW/jul_oneline.log"
TZ=Asia/Kolkata lang -cp "$j/bootclasses:$j/boot/lib/*" com.example.shop.Application --server.port=8020 --logging.level.root=info --spring.application.name=shop >b.log & b=$!; ready port 8020 || cat b*.log
for i in 1 2 3 4; do get http://127.0.0.1:8020/; get http://127.0.0.1:8020/boom; get http://127.0.0.1:8020/missing; done; kill %1 2>/dev/null || kill $b; sleep 3; cp b.log "$RAW/spring_boot.log"
TZ=Asia/Kolkata lang -cp "$j/bootclasses:$j/boot/lib/*" com.example.shop.Application --server.port=8021 --logging.structured.format.console=ecs >b2.log & b=$!; ready port 8021 || cat b*.log
for i in 1 2 3 4; do get http://127.0.0.1:8021/; get http://127.0.0.1:8021/boom; get http://127.0.0.1:8021/missing; done; sleep 1; cp b2.log "$RAW/spring_ecs.log"
