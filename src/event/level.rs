//! Severity, as OpenTelemetry's severity number, whatever the spelling was.
//!
//! Specification: OpenTelemetry Logs Data Model, "Severity Fields" and its
//! appendix B with the mapping from syslog, log4j and others.

/// A severity number: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn,
/// 17–20 error, 21–24 fatal. `ABSENT` (0) stands for "no level".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

impl Level {
    /// No level was found.
    pub const ABSENT: Level = Level(0);
    /// `OTel` `TRACE`.
    pub const TRACE: Level = Level(1);
    /// `OTel` `DEBUG`.
    pub const DEBUG: Level = Level(5);
    /// `OTel` `INFO`.
    pub const INFO: Level = Level(9);
    /// `OTel` `INFO2`: syslog's notice.
    pub const NOTICE: Level = Level(10);
    /// `OTel` `WARN`.
    pub const WARN: Level = Level(13);
    /// `OTel` `ERROR`.
    pub const ERROR: Level = Level(17);
    /// `OTel` `ERROR2`: syslog's critical.
    pub const CRITICAL: Level = Level(18);
    /// `OTel` `ERROR3`: syslog's alert.
    pub const ALERT: Level = Level(19);
    /// `OTel` `FATAL`: syslog's emergency.
    pub const FATAL: Level = Level(21);

    /// Reads a level as programs spell it: a word or its common abbreviation
    /// in any case, with a digit for its grade (`DEBUG1`, `INFO2`), one of the
    /// letters `T V D I N W E C F`, a syslog severity (`0`–`7`) or a pino/bunyan
    /// number (`10`, `20` … `60`).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Level> {
        let text = match text {
            [word @ .., last, b'1'..=b'5'] if !word.is_empty() && last.is_ascii_alphabetic() => {
                &text[..text.len() - 1]
            }
            _ => text,
        };
        let mut lower = [0u8; 13];
        let word = lower.get_mut(..text.len())?;
        word.copy_from_slice(text);
        word.make_ascii_lowercase();
        Some(match &*word {
            b"info" | b"i" | b"inf" | b"information" | b"informational" | b"log" | b"system"
            | b"6" | b"30" => Level::INFO,
            b"error" | b"e" | b"err" | b"eror" | b"erro" | b"severe" | b"3" | b"50" => Level::ERROR,
            b"warn" | b"w" | b"warning" | b"wrn" | b"4" | b"40" => Level::WARN,
            b"debug" | b"d" | b"dbg" | b"debu" | b"fine" | b"config" | b"7" | b"20" => Level::DEBUG,
            b"trace" | b"t" | b"trc" | b"v" | b"verbose" | b"finer" | b"finest" | b"10" => {
                Level::TRACE
            }
            b"fatal" | b"f" | b"ftl" | b"fata" | b"panic" | b"emerg" | b"emergency" | b"0"
            | b"60" => Level::FATAL,
            b"notice" | b"note" | b"n" | b"5" => Level::NOTICE,
            b"critical" | b"c" | b"crit" | b"2" => Level::CRITICAL,
            b"alert" | b"1" => Level::ALERT,
            _ => return None,
        })
    }

    /// The short lower-case name of the range the number is in; empty if absent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            1..=4 => "trace",
            5..=8 => "debug",
            9..=12 => "info",
            13..=16 => "warn",
            17..=20 => "error",
            21..=24 => "fatal",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet_on_one_number() {
        for (text, level) in [
            ("WARN", Level::WARN),
            ("Warning", Level::WARN),
            ("w", Level::WARN),
            ("40", Level::WARN),
            ("ERR", Level::ERROR),
            ("3", Level::ERROR),
            ("informational", Level::INFO),
            ("EMERG", Level::FATAL),
            ("notice", Level::NOTICE),
            ("Note", Level::NOTICE),
            ("DEBUG5", Level::DEBUG),
            ("V", Level::TRACE),
        ] {
            assert_eq!(Level::parse(text.as_bytes()), Some(level), "{text}");
        }
        assert_eq!(Level::parse(b""), None);
        assert_eq!(Level::parse(b"informationally"), None);
        assert_eq!(Level::parse(b"8"), None);
    }

    #[test]
    fn names_cover_the_sub_levels() {
        assert_eq!(Level::CRITICAL.name(), "error");
        assert_eq!(Level(24).name(), "fatal");
        assert_eq!(Level::ABSENT.name(), "");
        assert!(Level::NOTICE > Level::INFO && Level::NOTICE < Level::WARN);
    }
}
