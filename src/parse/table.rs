//! The formats that a template can say: the list to add to.

/// A built-in text format.
pub(super) struct Format {
    /// As `parse:` takes it.
    pub(super) name: &'static str,
    /// Its variants; the first that matches reads the line.
    pub(super) templates: &'static [&'static str],
    /// Whether `auto` tries it: only what no other text looks like.
    pub(super) auto: bool,
}

/// Every built-in text format, in the order that `auto` tries them.
pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "combined",
        templates: &[concat!(
            "{client:word} {ident:word} {user} [{timestamp:%d/%b/%Y:%H:%M:%S %z}] ",
            "{message:quoted=[{http.method:word} {http.path} {http.protocol:word}]} ",
            "{http.status:int} {http.bytes:int}",
            "{? {referrer:quoted} {user_agent:quoted}{? {forwarded_for:quoted}?}?}",
        )],
        auto: true,
    },
    Format {
        name: "clf",
        templates: &[concat!(
            "{client:word} {ident:word} {user} [{timestamp:%d/%b/%Y:%H:%M:%S %z}] ",
            "{message:quoted=[{http.method:word} {http.path} {http.protocol:word}]} ",
            "{http.status:int} {http.bytes:int}",
        )],
        // `combined` reads it too.
        auto: false,
    },
    Format {
        name: "nginx_error",
        templates: &[
            "{timestamp:%Y/%m/%d %H:%M:%S} [{level:level}] {pid:int}#{tid:int}: {?*{connection:int} ?}{message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "apache_error",
        templates: &[
            "[{timestamp:%a %b %d %H:%M:%S%f %Y}] [{module}:{level:level}] [pid {pid:int}{?:tid {tid:int}?}] {?[client {client}] ?}{message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "klog",
        templates: &[
            "{level:level}{timestamp:%m%d %H:%M:%S.%f} {pid:int} {caller:word}] {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "redis",
        templates: &[
            "{pid:int}:{process:word} {timestamp:%d %b %Y %H:%M:%S.%f} {mark:word} {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "postgresql",
        templates: &[
            "{timestamp:%Y-%m-%d %H:%M:%S%f %Z} [{pid:int}] {?{user:word}@{database:word} ?}{level:level}: {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "spring",
        templates: &[
            "{timestamp:%+} {level:level} {pid:int} --- [{service}] [{thread}] {logger} : {message:rest}",
            "{timestamp:%+} {level:level} {pid:int} --- [{thread}] {logger} : {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "java",
        templates: &[
            "{timestamp:%+} [{thread}] {level:level} {logger:word} - {message:rest}",
            "{timestamp:%+} {level:level} [{thread}] {logger:word} - {message:rest}",
            "{timestamp:%+} {level:level} {logger:word} - {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "python",
        templates: &[
            "{timestamp:%+} - {logger:word} - {level:level} - {message:rest}",
            "{level:level}:{logger:word}:{message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "ruby",
        templates: &[
            "{_:word}, [{timestamp:%+} #{pid:int}] {level:level} -- {service}: {message:rest}",
        ],
        auto: true,
    },
    Format {
        name: "env_logger",
        templates: &["[{timestamp:%+} {level:level} {target:word}] {message:rest}"],
        auto: true,
    },
    Format {
        name: "tracing",
        templates: &["{timestamp:%+} {level:level} {target:word}: {message:rest}"],
        // Its target could be the first word of any message.
        auto: false,
    },
    Format {
        name: "go",
        templates: &[
            "{timestamp:%Y/%m/%d %H:%M:%S%f} {caller:word}: {message:rest}",
            "{timestamp:%Y/%m/%d %H:%M:%S%f} {message:rest}",
        ],
        // The plain-text parser reads it too, and finds a level in it.
        auto: false,
    },
];
