//! What the logging libraries of other languages write.

use super::Format;

pub(super) const FORMATS: &[Format] = &[
    // docs.celeryq.dev (`worker_log_format`), docs.gunicorn.org, flask.palletsprojects.com
    // ("Logging"), and docs.python.org/3/howto/logging.html. The last could be any text.
    Format {
        name: "python",
        templates: &[
            "{timestamp:%+} - {logger:word} - {level:level} - {message:rest}",
            "{timestamp:%+} - {level:level} - {message:rest}",
            "{timestamp:%+} {level:level} [{pid:int}] [{thread}] {logger:word} - {message:rest}",
            "{level:level}:{logger:word}:{message:rest}",
            "[{timestamp:%+}: {level:level}/{process}] {message:rest}",
            "[{timestamp:%+ %z}] [{pid:int}] [{level:level}] {message:rest}",
            "[{timestamp:%+}] {level:level} in {logger:word}: {message:rest}",
            "{timestamp:%+} {level:level} {logger:name} {message:rest}",
            "{timestamp:%+} {level:level} {logger:word} {message:rest}",
        ],
        auto: 8,
        json: true,
    },
    // docs.ruby-lang.org, Logger::Formatter.
    Format {
        name: "ruby",
        templates: &[
            "{_:word}, [{timestamp:%+} #{pid:int}] {level:level} -- {service}: {message:rest}",
        ],
        auto: 1,
        json: false,
    },
    // docs.rs/env_logger.
    Format {
        name: "env_logger",
        templates: &["[{timestamp:%+} {level:level} {logger:word}] {message:rest}"],
        auto: 1,
        json: false,
    },
    // docs.rs/tracing-subscriber, fmt::format::Full and Compact, in spans and outside. A
    // target alone could be the first word of any message; `hadoop` reads those with a path.
    Format {
        name: "tracing",
        templates: &[
            "{timestamp:%+} {level:level} {span:word}: {logger:word}: {message:rest}",
            "{timestamp:%+} {level:level} {logger:word}: {message:rest}",
        ],
        auto: 1,
        json: true,
    },
    // pkg.go.dev/go.uber.org/zap/zapcore#NewConsoleEncoder.
    Format {
        name: "zap",
        templates: &["{timestamp:%+}\t{level:level}\t{caller:word}\t{message}{?\t{context:rest}?}"],
        auto: 1,
        json: true,
    },
    // pkg.go.dev/log, with the flags Lshortfile or Llongfile; the plain-text parser reads it
    // too, and finds a level in it.
    Format {
        name: "go",
        templates: &[
            "{timestamp:%Y/%m/%d %H:%M:%S%f} {caller:word}: {message:rest}",
            "{timestamp:%Y/%m/%d %H:%M:%S%f} {message:rest}",
        ],
        auto: 0,
        json: false,
    },
    // pkg.go.dev/log/slog: TextHandler is logfmt, JSONHandler JSON, the default is `log`'s
    // with a level.
    Format {
        name: "slog",
        templates: &["{timestamp:%Y/%m/%d %H:%M:%S%f} {level:level} {message:rest}"],
        auto: 1,
        json: true,
    },
    // github.com/charmbracelet/log with a prefix; without one `slog` reads it.
    Format {
        name: "charm",
        templates: &["{timestamp:%Y/%m/%d %H:%M:%S} {level:level} {logger:word}: {message:rest}"],
        auto: 1,
        json: true,
    },
    // github.com/hashicorp/go-hclog.
    Format {
        name: "hclog",
        templates: &["{timestamp:%+} [{level:level}] {logger:word}: {message:rest}"],
        auto: 1,
        json: true,
    },
    // loguru.readthedocs.io, the default `LOGURU_FORMAT`.
    Format {
        name: "loguru",
        templates: &["{timestamp:%+} | {level:level} | {caller:word} - {message:rest}"],
        auto: 1,
        json: false,
    },
    // Monolog's LineFormatter::SIMPLE_FORMAT.
    Format {
        name: "monolog",
        templates: &["[{timestamp:%+}] {logger:word}.{level:level}: {message:rest}"],
        auto: 1,
        json: true,
    },
    // log4js-node.github.io/log4js-node/layouts.html (`basic`).
    Format {
        name: "log4js",
        templates: &["[{timestamp:%+}] [{level:level}] {logger:word} - {message:rest}"],
        auto: 1,
        json: false,
    },
    // metacpan.org/pod/Log::Log4perl (`%d %p> %F{1}:%L %M - %m%n`).
    Format {
        name: "log4perl",
        templates: &[concat!(
            "{timestamp:%Y/%m/%d %H:%M:%S} {level:level}> ",
            "{caller:word} {logger:word} - {message:rest}",
        )],
        auto: 1,
        json: false,
    },
    // github.com/pinojs/pino-pretty: a time of day, a process and its id.
    Format {
        name: "pino_pretty",
        templates: &[
            "[{timestamp:%H:%M:%S.%f}] {level:level} ({service}/{pid:int}): {message:rest}",
        ],
        auto: 1,
        json: false,
    },
    // JSON libraries, whose names are roles already: getpino.io, github.com/trentm/node-bunyan,
    // github.com/winstonjs/winston; go2docs.graylog.org ("GELF Payload Specification");
    // docs.docker.com/engine/logging/drivers/json-file.
    json("pino"),
    json("bunyan"),
    json("winston"),
    json("gelf"),
    json("docker"),
];

const fn json(name: &'static str) -> Format {
    Format {
        name,
        templates: &[],
        auto: 0,
        json: true,
    }
}
