//! Text as a terminal may see it: whatever could move the cursor, colour, or
//! turn the direction of what follows is written as an escape; invalid UTF-8 is
//! replaced.

/// Appends `bytes` to `out`; says whether invalid UTF-8 had to be replaced.
/// What is appended has no control character, and no tab.
pub(super) fn write(bytes: &[u8], out: &mut String) -> bool {
    let mut replaced = false;
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(is_unsafe) {
            let (plain, from) = rest.split_at(at);
            out.push_str(plain);
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write_escaped(c, out);
            }
            rest = chars.as_str();
        }
        out.push_str(rest);
        if !chunk.invalid().is_empty() {
            replaced = true;
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    replaced
}

/// Controls; what ends a line or a paragraph; what turns, joins or hides text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

fn write_escaped(c: char, out: &mut String) {
    use std::fmt::Write as _;
    match c {
        '\t' => out.push_str("    "),
        '\n' => out.push_str("\\n"),
        // Of a line that ends in CRLF, or a progress bar: nothing to see.
        '\r' => out.push_str("\\r"),
        '\x1b' => out.push_str("\\e"),
        c => {
            // Writing to a string cannot fail.
            let _ = if (c as u32) < 0x100 {
                write!(out, "\\x{:02x}", c as u32)
            } else {
                write!(out, "\\u{{{:x}}}", c as u32)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        for (bytes, shown) in [
            (&b"plain \xc3\xa9\xe6\xbc\xa2"[..], "plain é漢"),
            (b"\x1b[31m\x07\x7f", "\\e[31m\\x07\\x7f"),
            ("\u{9b}31m \u{85}".as_bytes(), "\\x9b31m \\x85"),
            (
                "a\u{202e}b\u{2066}c\u{feff}".as_bytes(),
                "a\\u{202e}b\\u{2066}c\\u{feff}",
            ),
            (b"a\tb\rc\nd", "a    b\\rc\\nd"),
        ] {
            let mut out = String::new();
            assert!(!write(bytes, &mut out));
            assert_eq!(out, shown);
        }
        let mut out = String::new();
        assert!(write(b"a\xffb\xc3", &mut out));
        assert_eq!(out, "a\u{fffd}b\u{fffd}");
    }
}
