#!/usr/bin/env python3
"""The truth about the corpus, made without tflog: samples, splits and reads captured logs.

    oracle.py [RAW_DIR]     raw logs to NAME/{dev,held_out}.{log,truth} beside this file

A record is a line that a pattern of its format matches, and the lines after it that none does
(traces, further lines of a message; of more than 30 it is left out). A sample is the first and the last records of a capture, at
most 160 lines and 24 KB. A record goes to `held_out` if the SHA-256 of its text ends in a set
bit, else to `dev`: fixed before any parser was tuned, and whole traces stay in one half.

A truth file has a line for each line of its log, fields divided by tabs:

    +                                  belongs to the record above: not scored
    TIME LEVEL MESSAGE [MESSAGE...]    TIME is RFC 3339 in UTC, LEVEL one of trace debug info warn
                                       error fatal, MESSAGE a JSON string; `-` is none, `?`
                                       is not scored; `|` divides readings of TIME or LEVEL, and
                                       each MESSAGE given is right

Times without a zone are UTC, times without a year are of 2026.
"""
import datetime
import hashlib
import json
import os
import re
import sys

YEAR = 2026
LINES_MAX, BYTES_MAX, RECORD_LINES_MAX = 160, 24_000, 30

LEVELS = {
    **dict.fromkeys("trace trc finest finer silly t 10".split(), "trace"),
    **dict.fromkeys("debug dbg debu fine d 20 . 7".split(), "debug"),
    **dict.fromkeys("info inf i notice note log system success informational config 30 * 6 5 n".split(), "info"),
    **dict.fromkeys("warn warning wrn w 40 # 4".split(), "warn"),
    **dict.fromkeys("error err erro e severe crit alert 50 3 2 1".split(), "error"),
    **dict.fromkeys("fatal ftl f panic emerg 60 0".split(), "fatal"),
    # Spellings whose place in the order differs between their users.
    "critical": "fatal|error", "verbose": "debug|trace|info", "-": "debug|info",
    "php fatal error": "error|fatal", "php warning": "warn", "php notice": "info", "php deprecated": "info|warn",
}


def utc(text, layout):
    """A time as RFC 3339 in UTC, with the digits it has."""
    if layout in ("s", "ms", "us"):
        digits = {"s": 0, "ms": 3, "us": 6}[layout]
        whole, _, part = str(text).partition(".")
        if digits:
            whole, part = whole[:-digits], whole[-digits:] + part
        moment = datetime.datetime.fromtimestamp(int(whole), datetime.timezone.utc)
    else:
        found = re.search(r"(:\d\d)[.,](\d+)", text)
        part = found.group(2) if found else ""
        plain = text[: found.start(2) - 1] + text[found.end():] if found else text
        if layout == "iso":
            plain = re.sub(r"(\d)T(\d)", r"\1 \2", plain.replace("Z", "+0000")).removesuffix(" UTC")
            plain = re.sub(r"([+-]\d\d):(\d\d)$", r"\1\2", plain)
            layout = "%Y-%m-%d %H:%M:%S" + (" %z" if re.search(r" [+-]\d{4}$", plain) else "%z" if re.search(r"[+-]\d{4}$", plain) else "")
        plain = plain.removesuffix(" UTC")
        if "%Y" not in layout:
            plain, layout = f"{YEAR} {plain}", f"%Y {layout}"
        moment = datetime.datetime.strptime(plain, layout)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.timezone.utc)
        moment = moment.astimezone(datetime.timezone.utc)
    part = part.rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{part}" if part else "") + "Z"


class Text:
    """Lines that patterns match: groups time (or clock, a time of day without a date, which is not
    scored), level or pri, message; `alt*` are readings of the message as good, `time2` of the time. With `plain`, other lines are messages by themselves."""

    def __init__(self, *patterns, time="iso", time2=None, plain=False, joined=None):
        self.patterns = [re.compile(p) for p in patterns]
        self.time, self.time2, self.plain, self.joined = time, time2, plain, joined and re.compile(joined)

    def read(self, line):
        """(time, level, messages), or None for a line that belongs to the one above."""
        for at, pattern in enumerate(self.patterns):
            found = pattern.match(line)
            if found:
                break
        else:
            return ("-", "-", [line.strip()]) if self.plain and line.strip() else None
        group = found.groupdict()
        layout = self.time[at] if isinstance(self.time, tuple) else self.time
        time = utc(group["time"], layout) if group.get("time") else "?" if group.get("clock") else "-"
        if group.get("time2"):
            time += "|" + utc(group["time2"], self.time2)
        level = "-"
        if group.get("level"):
            level = LEVELS.get(group["level"].lower().strip(), "-")
        elif group.get("pri"):
            level = LEVELS[str(int(group["pri"]) & 7)]
        messages = [v for k, v in group.items() if v is not None and (k == "message" or k.startswith("alt") and not (k == "altx" and level != "-"))]
        return time, level, list(dict.fromkeys(m.strip() for m in messages))


class Ansi(Text):
    """Text under colours: the message with them is as good."""

    def read(self, line):
        truth = super().read(re.sub(r"\x1b\[[0-9;]*m", "", line))
        if truth:
            start = line.find(min(truth[2], key=len))
            if start >= 0 and line[start:].strip() not in truth[2]:
                truth[2].append(line[start:].strip())
        return truth


class Json:
    """One object a line; keys are paths divided by `/`."""
    plain = joined = None

    def __init__(self, time, layout, level, message):
        self.keys, self.layout = (time, level, message), layout

    def read(self, line):
        if not line.startswith("{"):
            return None
        whole = json.loads(line, parse_float=str)
        found = []
        for key in self.keys:
            value = whole
            for part in key.split("/"):
                value = value.get(part) if isinstance(value, dict) else None
            found.append(value)
        time, level, message = found
        level = LEVELS.get(str(level).lower(), "-") if level is not None else "-"
        return (utc(str(time), self.layout) if time is not None else "-", level, [message.strip()] if isinstance(message, str) else [])


class Container:
    """A container runtime's line around a program's: whether its level is looked for is not scored."""
    plain = joined = None

    def read(self, line):
        if line.startswith("{"):
            whole = json.loads(line)
            time, text = whole["time"], whole["log"]
        else:
            time, _, _, text = line.split(" ", 3)
        messages = [text.strip()]
        if text.startswith("{"):
            messages.append(json.loads(text)["msg"])
        for word in ("INFO ", "ERROR "):
            messages += [text.strip().removeprefix(word)] if text.startswith(word) else []
        return utc(time, "iso"), "?", messages


class Logfmt:
    plain = joined = None

    def __init__(self, time, message="msg"):
        self.time, self.message = time, message

    def read(self, line):
        pairs = dict(re.findall(r'(?:^| )([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)', line))
        if self.time not in pairs:
            return None
        text = {k: json.loads(v) if v.startswith('"') else v for k, v in pairs.items()}
        return utc(text[self.time], "iso"), LEVELS.get(text.get("level", "").lower(), "-"), [text[self.message].strip()] if self.message in text else []


ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?"
SLASH = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?"
OLD = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
PAIRS = r"(?:\s+[\w.]+=.*)?"
ACCESS = r'\S+ \S+ .*? \[(?P<time>[^\]]+)\] "(?P<message>(?:[^"\\]|\\.)*)" \d'
CLF = "%d/%b/%Y:%H:%M:%S %z"
SYSLOG = r"\S+ (?:[^\s:\[]+(?:\[\d+\])?: (?P<message>.*)|(?P<alt>\S+ (?P<alt2>.*)))$"
TRACING = rf"(?P<time>{ISO}) +(?P<level>[A-Z]+) (?:\S+: )?(?P<target>\w+(?:::\w+)*): (?P<alt>(?P<message>.*?){PAIRS})$"
PINO = Json("time", "ms", "level", "msg")

FORMATS = {
    "nginx_access": Text(ACCESS, time=CLF),
    "nginx_error": Text(rf"(?P<time>{SLASH}) \[(?P<level>\w+)\] \d+#\d+: (?:\*\d+ )?(?P<message>.*)$", time="%Y/%m/%d %H:%M:%S"),
    "apache_common": Text(ACCESS, time=CLF),
    "apache_vhost": Text(r"\S+:\d+ " + ACCESS, time=CLF),
    "apache_error": Text(r"\[(?P<time>\w{3} \w{3} \d\d [\d:.]+ \d{4})\] \[\w+:(?P<level>\w+)\] \[pid \d+:tid \d+\] (?:\[client [^\]]+\] )?(?P<message>.*)$", r"(?P<message>cgi: .*)$", time="%a %b %d %H:%M:%S %Y"),
    "lighttpd_error": Text(rf"(?P<time>{ISO}): (?P<alt>\([\w.]+\) (?P<message>.*))$"),
    "squid_access": Text(r"(?P<time>\d+\.\d+) +(?P<alt>\d+ \S+ \S+ \d+ (?P<message>\S+ \S+) .*)$", time="s"),
    "squid_cache": Text(rf"(?P<time>{SLASH})(?: kid\d+)?\| (?P<alt>(?:(?P<level>WARNING|ERROR|FATAL): )?(?P<message>.*))$", time="%Y/%m/%d %H:%M:%S"),
    "haproxy": Text(
        rf'<(?P<pri>\d+)>(?P<time>{OLD}) haproxy\[\d+\]: (?P<message>\S+ \[(?P<time2>[^\]]+)\] .*"(?P<alt>[^"]*)")$',
        rf"<(?P<pri>\d+)>(?P<time>{OLD}) haproxy\[\d+\]: (?P<message>\S+ \[(?P<time2>\d+/[^\]]+)\] .*)$",
        rf"<(?P<pri>\d+)>(?P<time>{OLD}) haproxy\[\d+\]: (?P<message>.*)$", time="%b %d %H:%M:%S", time2="%d/%b/%Y:%H:%M:%S"),
    "caddy": Json("ts", "s", "level", "msg"),
    "php_fpm": Text(r"\[(?P<time>\d\d-\w{3}-\d{4} [\d:.]+)\] (?P<level>[A-Z]+): (?P<alt>(?:pid \d+, \w+\(\), line \d+: )?(?P<message>.*))$", time="%d-%b-%Y %H:%M:%S"),
    "php_error": Text(r"\[(?P<time>\d\d-\w{3}-\d{4} [\d:.]+ UTC)\] (?P<alt>(?:(?P<level>PHP (?:Warning|Notice|Deprecated|Fatal error)): +)?(?P<message>.*))$", time="%d-%b-%Y %H:%M:%S"),
    "postgresql": Text(rf"(?P<time>{ISO} UTC) \[\d+\] (?P<altx>(?P<level>[A-Z]+):  (?P<message>.*))$"),
    "postgresql_debian": Text(rf"(?P<time>{ISO} UTC) \[\d+\] (?:\S+@\S+ )?(?P<altx>(?P<level>[A-Z]+):  (?P<message>.*))$"),
    "mariadb": Text(r"(?P<time>\d{4}-\d\d-\d\d +\d?\d:\d\d:\d\d) \d+ \[(?P<level>\w+)\] (?P<message>.*)$"),
    "redis": Text(r"\d+:[A-Z] (?P<time>\d\d \w{3} \d{4} [\d:.]+) (?P<level>[.*#-]) (?P<message>.*)$", r"\d+:signal-handler \((?P<time>\d+)\) (?P<message>.*)$", time=("%d %b %Y %H:%M:%S", "s")),
    "memcached": Text(plain=True),
    "rsyslog_traditional": Text(rf"(?P<time>{OLD}) {SYSLOG}", time="%b %d %H:%M:%S"),
    "rsyslog_file": Text(rf"(?P<time>{ISO}) {SYSLOG}"),
    "rsyslog_rfc5424": Text(rf'<(?P<pri>\d+)>1 (?P<time>{ISO}) \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+) (?P<message>.*)$'),
    "syslogng": Text(rf"(?P<time>{OLD}) {SYSLOG}", time="%b %d %H:%M:%S"),
    "syslogng_iso": Text(rf"(?P<time>{ISO}) \S+ (?P<level>\w+) [^\s:\[]+(?:\[\d+\])?: (?P<message>.*)$"),
    "journal_short": Text(rf"(?P<time>{OLD}) {SYSLOG}", time="%b %d %H:%M:%S"),
    "journal_short_iso": Text(rf"(?P<time>{ISO}) {SYSLOG}"),
    "journal_json": Json("__REALTIME_TIMESTAMP", "us", "PRIORITY", "MESSAGE"),
    "docker_json": Container(),
    "cri": Container(),
    "dockerd": Logfmt("time"),
    "unbound": Text(r"\[(?P<time>\d+)\] unbound\[\d+:\d+\] (?P<level>\w+): (?P<message>.*)$", time="s"),
    "bind": Text(r"(?P<time>\d\d-\w{3}-\d{4} [\d:.]+) [\w-]+: (?P<level>\w+)(?: \d+)?: (?P<message>.*)$", time="%d-%b-%Y %H:%M:%S"),
    "etcd": Json("ts", "iso", "level", "msg"),
    "etcd_capnslog": Text(
        rf"(?P<time>{ISO}) (?P<level>[A-Z]) \| (?P<alt>\S+: (?P<message>.*))$", r"\[(?P<level>\w+)\] (?P<message>.*)$",
        rf"raft(?P<time>{SLASH}) (?P<level>[A-Z]+): (?P<message>.*)$", time=("iso", "", "%Y/%m/%d %H:%M:%S")),
    "prometheus": Logfmt("ts"),
    "nats": Text(rf"\[\d+\] (?P<time>{SLASH}) \[(?P<level>\w+)\] (?P<message>.*)$", time="%Y/%m/%d %H:%M:%S"),
    "mosquitto": Text(r"(?P<time>\d{10}): (?P<message>.*)$", time="s"),
    "tomcat": Text(r"(?P<time>\d\d-\w{3}-\d{4} [\d:.]+) (?P<level>[A-Z]+) \[[^\]]+\] \S+ (?P<message>.*)$", time="%d-%b-%Y %H:%M:%S"),
    "kafka": Text(rf"\[(?P<time>{ISO})\] (?P<level>[A-Z]+) (?P<message>.*?)(?: \([\w.$]+\))?$"),
    "zookeeper": Text(rf"(?P<time>{ISO}) \[myid:\S*\] - (?P<level>[A-Z]+) +\[.*?@\d+\] - (?P<message>.*)$"),
    "opensearch": Text(rf"\[(?P<time>{ISO})\]\[(?P<level>[A-Z]+) *\]\[[^\]]*\] \[[^\]]*\] ?(?P<message>.*)$"),
    "logback_default": Text(r"(?P<clock>\d\d:\d\d:\d\d\.\d+) \[[^\]]+\] (?P<level>[A-Z]+) +\S+ --? (?P<message>.*)$"),
    "logback_dated": Text(rf"(?P<time>{ISO}) \[[^\]]+\] (?P<level>[A-Z]+) +\S+ - (?P<message>.*)$"),
    "logback_manual": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) +\[[^\]]+\] \S+ \[[^\]]+\] (?P<message>.*)$"),
    "log4j2_classic": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) +\[[^\]]+\] \S+ \([^)]+\) - (?P<message>.*)$"),
    "log4j2_iso": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) +\S+ \[[^\]]+\] (?P<message>.*)$"),
    "log4j2_ecs": Json("@timestamp", "iso", "log.level", "message"),
    "jul": Text(r"(?P<time>[A-Z]\w\w \d+, \d{4} \d+:\d\d:\d\d [AP]M) \S+ \S+$", time="%b %d, %Y %I:%M:%S %p", joined=r"(?P<level>SEVERE|WARNING|INFO|FINE|FINEST): (?P<message>.*)$"),
    "jul_oneline": Text(rf"\[(?P<time>{ISO})\] \[(?P<level>[A-Z]+) *\] (?P<message>.*)$"),
    "spring_boot": Text(rf"(?P<time>{ISO}) +(?P<level>[A-Z]+) \d+ --- (?:\[[^\]]*\] )+\S+ +: (?P<message>.*)$"),
    "spring_ecs": Json("@timestamp", "iso", "log.level", "message"),
    "python_default": Text(r"(?P<level>[A-Z]+|Level \d+):[\w.]+:(?P<message>.*)$"),
    "python_docs": Text(rf"(?P<time>{ISO}) - \S+ - (?P<level>[A-Z]+|Level \d+) - (?P<message>.*)$"),
    "python_plain": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+|Level \d+) \S+ (?P<message>.*)$"),
    "python_bracket": Text(rf"\[(?P<time>{ISO})\] (?P<level>[A-Z]+|Level \d+) in \S+: (?P<message>.*)$"),
    "python_pid": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+|Level \d+) +\[\d+\] \[\w+\] \S+ - (?P<message>.*)$"),
    "python_json": Json("asctime", "iso", "levelname", "message"),
    "structlog": Text(rf"(?P<time>{ISO}) \[(?P<level>\w+) *\] (?P<alt>(?P<message>.*?){PAIRS})$"),
    "structlog_json": Json("timestamp", "iso", "level", "event"),
    "loguru": Text(rf"(?P<time>{ISO}) \| (?P<level>\w+) +\| \S+ - (?P<message>.*)$"),
    "gunicorn": Text(rf"\[(?P<time>{ISO})\] \[\d+\] \[(?P<level>\w+)\] (?P<message>.*)$", ACCESS, time=("iso", CLF)),
    "uvicorn": Text(r"(?P<level>[A-Z]+): +(?P<message>.*)$"),
    "uwsgi": Text(r"(?P<time>\w{3} \w{3} [ \d]\d [\d:]+ \d{4}) - (?P<message>.*)$", r"(?P<alt>\[pid: .*? \[(?P<time>\w{3} \w{3} [ \d]\d [\d:]+ \d{4})\] (?P<message>.*))$", time="%a %b %d %H:%M:%S %Y", plain=True),
    "django": Text(r'\[(?P<time>\d\d/\w{3}/\d{4} [\d:]+)\] (?P<message>"(?P<alt>[^"]*)" \d+ \d+)$', r"(?P<message>(?:Not Found|Internal Server Error): .*)$", time="%d/%b/%Y %H:%M:%S"),
    "pino": PINO,
    "fastify": PINO,
    "pino_iso": Json("time", "iso", "level", "message"),
    "winston": Json("timestamp", "iso", "level", "message"),
    "winston_printf": Text(rf"(?P<time>{ISO}) \[\w+\] (?P<level>\w+): (?P<message>.*)$"),
    "winston_simple": Text(r"(?P<level>[a-z]+): (?P<alt>(?P<message>.*?)(?: \{.*\})?)$"),
    "bunyan": Json("time", "iso", "level", "msg"),
    "log4js": Text(rf"\[(?P<time>{ISO})\] \[(?P<level>[A-Z]+)\] \S+ - (?P<message>.*)$"),
    "morgan_combined": Text(ACCESS, time=CLF),
    "node_console": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) (?P<message>.*)$"),
    "go_log": Text(rf"(?P<time>{SLASH}) \w+\.go:\d+: (?P<message>.*)$", rf"(?P<time>{SLASH}) (?P<alt>(?:(?P<level>[A-Z]+): )?(?P<message>.*))$", time="%Y/%m/%d %H:%M:%S"),
    "go_slog_default": Text(rf"(?P<time>{SLASH}) (?P<level>[A-Z]+) (?P<alt>(?P<message>.*?){PAIRS})$", time="%Y/%m/%d %H:%M:%S"),
    "go_slog_text": Logfmt("time"),
    "go_slog_json": Json("time", "iso", "level", "msg"),
    "go_gokit": Logfmt("ts"),
    "go_charm": Text(rf"(?P<time>{SLASH}) (?P<level>[A-Z]+) \w+: (?P<alt>(?P<message>.*?){PAIRS})$", time="%Y/%m/%d %H:%M:%S"),
    "zap": Json("ts", "s", "level", "msg"),
    "zap_dev": Text(rf"(?P<time>{ISO})\t(?P<level>[A-Z]+)\t\S+\t(?P<alt>(?P<message>.*?)(?:\t\{{.*\}})?)$"),
    "logrus": Logfmt("time"),
    "logrus_json": Json("time", "iso", "level", "msg"),
    "zerolog": Json("time", "iso", "level", "message"),
    "zerolog_console": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) (?P<alt>(?P<message>.*?){PAIRS})$"),
    "klog": Text(rf'(?P<level>[IWEF])(?P<time>\d{{4}} [\d:.]+) +\d+ \S+\] (?P<alt>"(?P<message>(?:[^"\\]|\\.)*)"{PAIRS})$', r"(?P<level>[IWEF])(?P<time>\d{4} [\d:.]+) +\d+ \S+\] (?P<message>.*)$", time="%m%d %H:%M:%S"),
    "hclog": Text(rf"(?P<time>{ISO}) \[(?P<level>[A-Z]+)\] +[\w.]+: (?P<alt>(?P<message>.*?)(?::{PAIRS})?)$"),
    "tracing_full": Text(TRACING),
    "tracing_ansi": Ansi(TRACING),
    "tracing_compact": Text(TRACING),
    "tracing_json": Json("timestamp", "iso", "level", "fields/message"),
    "ruby_logger": Text(rf"[A-Z], \[(?P<time>{ISO}) #\d+\] +(?P<level>[A-Z]+) -- : (?P<message>.*)$"),
    "ruby_progname": Text(rf"[A-Z], \[(?P<time>{ISO}) #\d+\] +(?P<level>[A-Z]+) -- \w+: (?P<message>.*)$"),
    "monolog": Text(rf"\[(?P<time>{ISO})\] \w+\.(?P<level>[A-Z]+): (?P<alt>(?P<message>.*?) (?:\[\]|\{{.*\}}) \[\])$"),
    "spdlog": Text(rf"\[(?P<time>{ISO})\] \[\w+\] \[(?P<level>\w+)\] (?P<message>.*)$"),
    "log4perl": Text(rf"(?P<time>{SLASH}) (?P<level>[A-Z]+)> \S+ \S+ - (?P<message>.*)$", time="%Y/%m/%d %H:%M:%S"),
    "celery": Text(rf"\[(?P<time>{ISO}): (?P<level>[A-Z]+)/\w+\] (?P<message>.*)$"),
    "pino_pretty": Text(r"\[(?P<clock>\d\d:\d\d:\d\d\.\d+)\] (?P<level>[A-Z]+) \(\S+\): (?P<message>.*)$"),
    "slf4j_simple": Text(r"\[[^\]]+\] (?P<level>[A-Z]+) \S+ - (?P<message>.*)$"),
    "quarkus": Text(rf"(?P<time>{ISO}) (?P<level>[A-Z]+) +\[\S+\] \([^)]*\) (?P<message>.*)$"),
    "postgresql_json": Json("timestamp", "iso", "error_severity", "message"),
    "rsyslog_early": Text(rf"(?P<time>{OLD}) {SYSLOG}", time="%b %d %H:%M:%S"),
    "mariadb_early": Text(r"(?P<time>\d{4}-\d\d-\d\d +\d?\d:\d\d:\d\d) \d+ \[(?P<level>\w+)\] (?P<message>.*)$"),
    "rails": Text(rf"[A-Z], \[(?P<time>{ISO}) #\d+\] +(?P<level>[A-Z]+) -- : (?P<message>.*)$"),
    "env_logger": Text(rf"\[(?P<time>{ISO}) (?P<level>[A-Z]+) +\S+\] (?P<message>.*)$"),
}


def records(form, lines):
    """Lists of (line, truth); a list is a record."""
    current = []
    for line in lines:
        truth = form.read(line)
        joined = form.joined and form.joined.match(line)
        if joined:
            truth = ("-", LEVELS[joined["level"].lower()], [joined["message"].strip()])
        elif truth is not None and current:
            yield current
            current = []
        current.append((line, truth))
    yield current


def sample(found):
    """The first and the last records, up to the limits."""
    taken, lines, size = set(), 0, 0
    order = [i // 2 if i % 2 == 0 else len(found) - 1 - i // 2 for i in range(len(found))]
    for i in order:
        if len(found[i]) > RECORD_LINES_MAX:
            continue
        lines += len(found[i])
        size += sum(len(line.encode()) + 1 for line, _ in found[i])
        if lines > LINES_MAX or size > BYTES_MAX:
            break
        taken.add(i)
    return [found[i] for i in sorted(taken)]


def neutral(text):
    """Without what tells of the machine: its kernel's release and where libraries lay."""
    text = text.replace(os.uname().release, "6.1.0").replace(os.uname().version, "#1 SMP")
    text = re.sub(r'(_BOOT_ID":"|;b=)[0-9a-f]{32}', r"\g<1>" + "0" * 32, text)
    return re.sub(r"/mnt/deps/py/v|/mnt/deps/[a-z]+|/tmp/corpus/[a-z]+", "/srv/app", text.replace(sys.base_prefix, "/usr"))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    raw = sys.argv[1] if len(sys.argv) > 1 else "/tmp/corpus/raw"
    for name, form in FORMATS.items():
        path = os.path.join(raw, f"{name}.log")
        if not os.path.exists(path):
            print(f"{name}: no capture")
            continue
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            lines = neutral(file.read()).rstrip("\n").split("\n")
        halves = {"dev": [], "held_out": []}
        for record in sample(list(records(form, lines))):
            odd = hashlib.sha256("\n".join(line for line, _ in record).encode()).digest()[-1] & 1
            halves["held_out" if odd else "dev"].extend(record)
        os.makedirs(os.path.join(here, name), exist_ok=True)
        for half, found in halves.items():
            with open(os.path.join(here, name, f"{half}.log"), "w", encoding="utf-8", newline="\n") as file:
                file.writelines(line + "\n" for line, _ in found)
            with open(os.path.join(here, name, f"{half}.truth"), "w", encoding="utf-8", newline="\n") as file:
                for _, truth in found:
                    file.write("+\n" if truth is None else "\t".join([truth[0], truth[1], *(json.dumps(m, ensure_ascii=False) for m in truth[2])]) + "\n")
        scored = {half: sum(t is not None for _, t in found) for half, found in halves.items()}
        print(f"{name}: {len(lines)} captured, scored {scored}, unscored {sum(t is None for f in halves.values() for _, t in f)}")


main()
