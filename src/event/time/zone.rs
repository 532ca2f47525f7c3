//! Names of time zones, as logs abbreviate them.

/// Minutes east of UTC. Of names with several meanings the one that logs are
/// full of is taken: IST is India's, CST America's, BST Britain's.
const ZONES: [(&str, i32); 38] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("UT", 0),
    ("CET", 60),
    ("CEST", 120),
    ("EST", -300),
    ("EDT", -240),
    ("PST", -480),
    ("PDT", -420),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("IST", 330),
    ("JST", 540),
    ("BST", 60),
    ("WET", 0),
    ("WEST", 60),
    ("MET", 60),
    ("MEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("KST", 540),
    ("SGT", 480),
    ("HKT", 480),
    ("PKT", 300),
    ("WIB", 420),
    ("BRT", -180),
    ("SAST", 120),
    ("AEST", 600),
    ("AEDT", 660),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("NZST", 720),
    ("NZDT", 780),
];

/// The zone whose name `text` begins with, and no longer word: seconds east of
/// UTC, and the name's length.
pub(super) fn prefix(text: &[u8]) -> Option<(i32, usize)> {
    // Longer runs of capitals are words, shorter names are in the list.
    const NAME_BYTES_MAX: usize = 4;
    let window = &text[..text.len().min(NAME_BYTES_MAX + 1)];
    let len = window.iter().position(|b| !b.is_ascii_alphanumeric());
    let len = len.unwrap_or(window.len());
    let name = &text[..len];
    // What all of them end in; most words behind a time do not, such as levels.
    matches!(name.last(), Some(b'T' | b'C' | b'Z' | b'K' | b'B')).then_some(())?;
    let found = ZONES.iter().find(|(zone, _)| zone.as_bytes() == name)?;
    Some((found.1 * 60, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_is_read_and_no_longer_word() {
        for (zone, minutes) in ZONES {
            let found = prefix(format!("{zone} x").as_bytes());
            assert_eq!(found, Some((minutes * 60, zone.len())), "{zone}");
            assert_eq!(prefix(format!("{zone}x").as_bytes()), None, "{zone}");
        }
        assert_eq!(prefix(b""), None);
    }
}
