//! Events of several lines: the first is what formats are about, the others
//! belong to the message.

use super::*;

/// The fields of one event, and its message as a column.
fn read_event(format: &str, text: &str) -> (Vec<String>, Option<String>) {
    let mut needs = all_fields();
    let slot = needs.slot(&Path::of("message"), ColumnKind::Text);
    let mut columns = Columns::default();
    columns.set_joined(true);
    let (text, ends) = (text.as_bytes(), [text.len() as u32]);
    build(format, &needs)
        .reader()
        .read(OBSERVED, text, &ends, &mut columns);
    let Column::Text(cells) = columns.column(slot) else {
        panic!("a text column")
    };
    let message = cells[0]
        .is_present()
        .then(|| String::from_utf8_lossy(cells[0].bytes(text)).into_owned());
    (fields(&columns, text, 0), message)
}

#[test]
fn a_message_at_the_end_of_the_first_line_goes_on() {
    for (format, text, message) in [
        (
            "auto",
            "2026-11-23 13:32:42.123 ERROR [main] c.e.App - failed\njava.lang.Error: x\n\tat y\n",
            "failed\njava.lang.Error: x\n\tat y",
        ),
        (
            "auto",
            "2026-11-23 13:32:42 ERROR failed \r\n\tat y\r\n",
            "failed \r\n\tat y",
        ),
        ("auto", "plain\n  words\n", "plain\n  words"),
        ("raw", "plain\n  words\n", "plain\n  words"),
        // No line of that format: all of it is the message.
        ("combined", "plain\n  words\n", "plain\n  words"),
        ("auto", "{ no JSON\n  words\n", "{ no JSON\n  words"),
    ] {
        let (found, column) = read_event(format, text);
        let expected = format!("message='{message}'");
        assert!(found.contains(&expected), "{format}: {text:?}: {found:?}");
        assert_eq!(column.as_deref(), Some(message), "{format}: {text:?}");
    }
}

#[test]
fn lines_that_no_message_reaches_are_a_field_of_their_own() {
    let text = "level=error msg=\"it failed\" id=1\nTraceback (most recent call last):\n  x\n";
    let (found, message) = read_event("auto", text);
    assert_eq!(message.as_deref(), Some("it failed"));
    let trace = "stack_trace='Traceback (most recent call last):\n  x'";
    assert!(found.iter().any(|field| field == trace), "{found:?}");
}

#[test]
fn an_object_on_several_lines_is_json() {
    let mut columns = Columns::default();
    columns.set_joined(true);
    let text = b"{\n  \"a\": 1\n}\n";
    build("auto", &all_fields())
        .reader()
        .read(OBSERVED, text, &[text.len() as u32], &mut columns);
    assert!(columns.json().contains(0));
}
