//! What the logging libraries of the JVM write, and the projects that have a
//! layout of their own.

use super::Format;

pub(super) const FORMATS: &[Format] = &[
    // docs.spring.io/spring-boot/reference/features/logging.html ("Log Format"): with the
    // application's name and a correlation id since 3.
    Format {
        name: "spring",
        templates: &[
            concat!(
                "{timestamp:%+} {level:level} {pid:int} --- [{service}] [{thread}] ",
                "[{trace_id:word}-{span_id:word}] {logger} : {message:rest}",
            ),
            "{timestamp:%+} {level:level} {pid:int} --- [{service}] [{thread}] {logger} : {message:rest}",
            "{timestamp:%+} {level:level} {pid:int} --- [{thread}] {logger} : {message:rest}",
        ],
        auto: 3,
        json: true,
    },
    // zookeeper.apache.org/doc/current/zookeeperAdmin.html ("Logging") and its conf/log4j.properties.
    Format {
        name: "zookeeper",
        templates: &[
            "{timestamp:%+} {?[myid:{myid}] ?}- {level:level} [{thread}] - {message:rest}",
        ],
        auto: 1,
        json: false,
    },
    // Kafka's config/log4j.properties: `[%d] %p %m (%c)%n`.
    Format {
        name: "kafka",
        templates: &["[{timestamp:%+}] {level:level} {message:most} ({logger:name})"],
        auto: 1,
        json: false,
    },
    // Hadoop's conf/log4j.properties: `%d{ISO8601} %p %c: %m%n`, with the thread in YARN's,
    // HDFS's `%d{yyMMdd HHmmss} …` and Spark's `%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n`.
    Format {
        name: "hadoop",
        templates: &[
            "{timestamp:%+} {level:level} {?[{thread}] ?}{logger:name}: {message:rest}",
            "{timestamp:%y%m%d %H%M%S} {pid:int} {level:level} {logger:word}: {message:rest}",
            "{timestamp:%y/%m/%d %H:%M:%S} {level:level} {logger:word}: {message:rest}",
        ],
        auto: 3,
        json: false,
    },
    // logging.apache.org/log4j/2.x/manual/pattern-layout.html and
    // logback.qos.ch/manual/layouts.html: their defaults and those of their manuals; log4j
    // 1's TTCC comes last.
    Format {
        name: "java",
        templates: &[
            "{timestamp:%+} [{thread}] {level:level} {logger:word} -{?-?} {message:rest}",
            "{timestamp:%+} {level:level} [{thread}] {logger:word}{? ({caller})?} -{?-?} {message:rest}",
            "{timestamp:%+} {level:level} [{thread}] {logger:word} [{caller:word}] {message:rest}",
            "{timestamp:%+} {level:level} {logger:word} -{?-?} {message:rest}",
            "{timestamp:%H:%M:%S.%f} [{thread}] {level:level} {logger:word} -{?-?} {message:rest}",
            "{uptime_ms:int} [{thread}] {level:level} {logger:word} - {message:rest}",
        ],
        auto: 6,
        json: true,
    },
    // quarkus.io/guides/logging (`quarkus.log.console.format`).
    Format {
        name: "quarkus",
        templates: &["{timestamp:%+} {level:level} [{logger}] ({thread}) {message:rest}"],
        auto: 1,
        json: true,
    },
    // Tomcat's org.apache.juli.OneLineFormatter.
    Format {
        name: "tomcat",
        templates: &[
            "{timestamp:%d-%b-%Y %H:%M:%S.%f} {level:level} [{thread}] {logger:name} {message:rest}",
        ],
        auto: 1,
        json: false,
    },
    // Elasticsearch's and OpenSearch's config/log4j2.properties.
    Format {
        name: "elasticsearch",
        templates: &["[{timestamp:%+}][{level:level}{? ?}][{logger}] [{node}] {message:rest}"],
        auto: 1,
        json: true,
    },
    // docs.oracle.com, java.util.logging.SimpleFormatter: two lines, of which the second
    // (`INFO: …`) is text with a level.
    Format {
        name: "jul",
        templates: &["{timestamp:%b %d, %Y %I:%M:%S%p} {logger:name} {method:word}"],
        auto: 1,
        json: false,
    },
];
