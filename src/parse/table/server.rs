//! What servers, databases and system daemons write about themselves.

use super::Format;

pub(super) const FORMATS: &[Format] = &[
    // kubernetes/design-proposals-archive, node/kubelet-cri-logging.md: the flag is P
    // where the message goes on in the next line, F where it is whole.
    Format {
        name: "cri",
        templates: &["{timestamp:%+} {stream:stream} {flag:word}{? {message:raw}?}"],
        auto: 1,
        json: false,
    },
    // nginx's src/core/ngx_log.c and ngx_http_log_error_handler: the message ends with
    // what is known of the request.
    Format {
        name: "nginx_error",
        templates: &[concat!(
            "{timestamp:%Y/%m/%d %H:%M:%S} [{level:level}] {pid:int}#{tid:int}: ",
            "{?*{connection:int} ?}",
            "{message:rest=[{_}, client: {client}, server: {server}{?, request: ",
            "{_:quoted=[{http.method:word} {http.path} {http.protocol:word}]}",
            "{?, upstream: {upstream:quoted}?}{?, host: {http.host:quoted}?}",
            "{?, referrer: {referrer:quoted}?}?}]}",
        )],
        auto: 1,
        json: false,
    },
    // httpd.apache.org/docs/2.4/mod/core.html#errorlogformat, and the format of 2.2.
    Format {
        name: "apache_error",
        templates: &[concat!(
            "[{timestamp:%a %b %d %H:%M:%S%f %Y}] [{?{module:word}:?}{level:level}] ",
            "{?[pid {pid:int}{?:tid {tid:int}?}] ?}{?[client {client:ip}{?:{client_port:int}?}] ?}",
            "{message:rest}",
        )],
        auto: 1,
        json: false,
    },
    // pkg.go.dev/k8s.io/klog/v2 and github.com/google/glog ("Log Line Prefix Format"), whose
    // later versions write the year.
    Format {
        name: "klog",
        templates: &[
            "{level:level}{timestamp:%m%d %H:%M:%S.%f} {pid:int} {caller:word}] {message:rest}",
            "{level:level}{timestamp:%Y%m%d %H:%M:%S.%f} {pid:int} {caller:word}] {message:rest}",
        ],
        auto: 2,
        json: false,
    },
    // Redis's serverLogRaw in src/server.c, and the format before 3.0.
    Format {
        name: "redis",
        templates: &[
            "{pid:int}:{process:word} {timestamp:%d %b %Y %H:%M:%S.%f} {level:mark} {message:rest}",
            "[{pid:int}] {timestamp:%d %b %H:%M:%S.%f} {level:mark} {message:rest}",
        ],
        auto: 2,
        json: false,
    },
    // www.postgresql.org/docs/current/runtime-config-logging.html (log_line_prefix: the
    // default, with user and database, and as pgBadger asks for it). Lines such as DETAIL
    // and STATEMENT have no severity.
    Format {
        name: "postgresql",
        templates: &[
            concat!(
                "{timestamp:%Y-%m-%d %H:%M:%S%f %Z} [{pid:int}] {?{user:word}@{database:word} ?}",
                "{level:level}: {message:rest}",
            ),
            concat!(
                "{timestamp:%Y-%m-%d %H:%M:%S%f %Z} [{pid:int}]: [{line:int}-{_:int}] ",
                "user={user},db={database}{?,app={application}?}{?,client={client}?} ",
                "{level:level}: {message:rest}",
            ),
            concat!(
                "{timestamp:%Y-%m-%d %H:%M:%S%f %Z} [{pid:int}] {?{user:word}@{database:word} ?}",
                "{part:word}: {message:rest}",
            ),
        ],
        auto: 3,
        json: true,
    },
    // dev.mysql.com/doc/refman/8.4/en/error-log-format.html, that of 5.7 and MariaDB's, and
    // that before 5.6.
    Format {
        name: "mysql",
        templates: &[
            concat!(
                "{timestamp:%+} {tid:int} [{level:level}] ",
                "{?[{code:word}] [{subsystem:word}] ?}{message:rest}",
            ),
            "{timestamp:%y%m%d %k:%M:%S} [{level:level}] {message:rest}",
        ],
        auto: 2,
        json: true,
    },
    // www.mongodb.com/docs/manual/reference/log-messages: JSON since 4.4, before that text.
    Format {
        name: "mongodb",
        templates: &["{timestamp:%+} {level:level} {component:word} [{context}] {message:rest}"],
        auto: 1,
        json: true,
    },
    // docs.openstack.org/oslo.log/latest/configuration (logging_context_format_string).
    Format {
        name: "openstack",
        templates: &[
            concat!(
                "{timestamp:%+} {pid:int} {level:level} {logger:name} ",
                "[{context=[{request_id:word} {user:word} {project:word} {_:rest}]}] ",
                "{message:rest=[{client:ip} ",
                "\"{http.method:word} {http.path} {http.protocol:word}\" ",
                "status: {http.status:int} len: {http.bytes:int} time: {duration_s:float}]}",
            ),
            "{timestamp:%+} {pid:int} {level:level} {logger:word} {message:rest}",
        ],
        auto: 1,
        json: true,
    },
    // bind9.readthedocs.io, `print-time`, `print-category` and `print-severity`.
    Format {
        name: "bind",
        templates: &[concat!(
            "{timestamp:%d-%b-%Y %H:%M:%S.%f} {category:word}: ",
            "{level:level}{? {_:int}?}: {message:rest}",
        )],
        auto: 1,
        json: false,
    },
    // syslog-ng's templates with a severity: `$ISODATE $HOST $LEVEL $MSGHDR$MSG`.
    Format {
        name: "syslog_ng",
        templates: &[concat!(
            "{timestamp:%+} {host:word} {level:level} ",
            "{service:word}{?[{pid:int}]?}: {message:rest}",
        )],
        auto: 1,
        json: false,
    },
    // developer.android.com/tools/logcat (`threadtime`).
    Format {
        name: "logcat",
        templates: &[concat!(
            "{timestamp:%m-%d %H:%M:%S.%f} {pid:int} {tid:int} {level:level} ",
            "{logger}: {message:rest}",
        )],
        auto: 1,
        json: false,
    },
];
