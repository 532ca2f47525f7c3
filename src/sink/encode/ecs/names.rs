//! From the names that formats and people use to those of ECS.

/// Names that ECS has others for.
const KNOWN: [(&str, &str); 18] = [
    ("error", "error.message"),
    ("http.bytes", "http.response.body.bytes"),
    ("http.method", "http.request.method"),
    ("http.status", "http.response.status_code"),
    ("logger", "log.logger"),
    ("pid", "process.pid"),
    ("process", "process.name"),
    ("referer", "http.request.referrer"),
    ("referrer", "http.request.referrer"),
    ("stack", "error.stack_trace"),
    ("stack_trace", "error.stack_trace"),
    ("syslog.facility", "log.syslog.facility.code"),
    ("syslog.severity", "log.syslog.severity.code"),
    ("target", "log.logger"),
    ("thread", "process.thread.name"),
    ("tid", "process.thread.id"),
    ("user", "user.name"),
    ("user_agent", "user_agent.original"),
];

/// Names that are objects in ECS: a value of that name cannot be indexed.
const OBJECTS: [&str; 33] = [
    "agent",
    "client",
    "cloud",
    "container",
    "data_stream",
    "destination",
    "device",
    "dll",
    "dns",
    "ecs",
    "email",
    "event",
    "faas",
    "file",
    "geo",
    "group",
    "host",
    "http",
    "labels",
    "log",
    "network",
    "observer",
    "orchestrator",
    "organization",
    "os",
    "package",
    "rule",
    "server",
    "service",
    "source",
    "span",
    "trace",
    "url",
];

/// Puts the ECS name of the field `name` into `out`.
pub(super) fn of(name: &str, out: &mut String) {
    out.clear();
    if let Some((_, known)) = KNOWN.iter().find(|(other, _)| *other == name) {
        out.push_str(known);
    } else if OBJECTS.contains(&name) {
        out.push_str("labels.");
        out.push_str(name);
    } else {
        if name.starts_with("syslog.") {
            out.push_str("log.");
        }
        out.push_str(name);
    }
}
