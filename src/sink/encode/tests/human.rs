//! The view for people, as a terminal of some width gets it.

use super::*;

type Columns = fn() -> Option<u16>;

const TIME: Timestamp = Timestamp(1_795_440_762_123_000_000);

fn human(color: bool, columns: Option<Columns>) -> (Encoder, Needs) {
    let mut needs = Needs::default();
    let options = Options {
        color,
        screen: columns.map(|columns| Screen { columns }),
        ..Options::default()
    };
    let encoder = Encoder::build("human", options, &mut needs).unwrap();
    (encoder, needs)
}

/// A row with a JSON object, of which `msg` is the message.
fn object(json: &str, time: Option<Timestamp>, level: Level, needs: &Needs) -> Part {
    let object: serde_json::Value = serde_json::from_str(json).unwrap();
    let message = object["msg"]
        .as_str()
        .map(|text| serde_json::Value::from(text).to_string());
    part(batch(
        json.as_bytes(),
        needs,
        Defs::default(),
        |text, columns| {
            columns.set_json(0);
            columns.put_time(0, 0, time.unwrap_or(Timestamp::ABSENT));
            columns.put_level(1, 0, level);
            if let Some(message) = message {
                let at = memchr::memmem::find(text, message.as_bytes()).unwrap();
                let cell = Cell::string(at + 1, at + message.len() - 1, true);
                columns.put(2, 0, text, cell);
            }
        },
    ))
}

fn write(encoder: &mut Encoder, part: &Part) -> String {
    let mut out = Vec::new();
    encoder.encode(part, &mut out);
    String::from_utf8(out).expect("a terminal gets UTF-8")
}

#[test]
fn columns_stay_where_they_are_when_a_row_has_less() {
    let (mut human, needs) = human(false, None);
    let mut show = |json, time, level| write(&mut human, &object(json, time, level, &needs));
    assert_eq!(show(r#"{"msg":"first"}"#, None, Level::ABSENT), "first\n");
    let full = show(r#"{"msg":"second","a":1}"#, Some(TIME), Level::INFO);
    assert_eq!(full, "13:32:42.123 INFO  second  a=1\n");
    let bare = show(r#"{"msg":"third"}"#, None, Level::ABSENT);
    assert_eq!(bare, "                   third\n");
    let level = show(r#"{"msg":"fourth"}"#, None, Level::ERROR);
    assert_eq!(level, "             ERROR fourth\n");
}

#[test]
fn lines_are_broken_between_words_where_the_terminal_ends() {
    let (mut human, needs) = human(false, Some(|| Some(60)));
    let json = r#"{"msg":"one two three four five six seven eight nine ten","key":"value","long":"with some words in it that go on and on for ever","url":"http://example.com/a/very/long/path/that/cannot/be/broken/anywhere"}"#;
    let shown = write(&mut human, &object(json, Some(TIME), Level::WARN, &needs));
    let expected = "\
2026-11-23 UTC
13:32:42.123 WARN  one two three four five six seven eight
                   nine ten  key=value
                   long=\"with some words in it that go on
                   and on for ever\"
                   url=http://example.com/a/very/long/path/that/cannot/be/broken/anywhere
";
    assert_eq!(shown, expected);
}

#[test]
fn wide_characters_take_two_columns() {
    let (mut human, needs) = human(false, Some(|| Some(40)));
    let json = "{\"msg\":\"漢字漢字 漢字漢字 漢字漢字 漢字漢字 漢字漢字\"}";
    let shown = write(&mut human, &object(json, None, Level::ABSENT, &needs));
    assert_eq!(shown, "漢字漢字 漢字漢字 漢字漢字 漢字漢字\n    漢字漢字\n");
}

#[test]
fn a_day_is_told_when_it_changes() {
    let (mut human, needs) = human(false, Some(|| None));
    let mut show = |time| {
        write(
            &mut human,
            &object(r#"{"msg":"x"}"#, Some(time), Level::INFO, &needs),
        )
    };
    assert_eq!(show(TIME), "2026-11-23 UTC\n13:32:42.123 INFO  x\n");
    assert_eq!(show(TIME), "13:32:42.123 INFO  x\n");
    let next = Timestamp(TIME.0 + 24 * 3600 * 1_000_000_000);
    assert_eq!(show(next), "2026-11-24 UTC\n13:32:42.123 INFO  x\n");
}

fn java(frames: usize) -> String {
    let frame = |n| format!("\tat com.example.App.f{n}(App.java:{n})\n");
    let frames: String = (0..frames).map(frame).collect();
    format!(
        "boom\njava.lang.Error: boom\n{frames}Caused by: java.io.IOException: disk\n\t... 3 more"
    )
}

#[test]
fn long_traces_are_folded_on_a_terminal_only() {
    let text = |frames| serde_json::json!({ "msg": java(frames), "n": 1 }).to_string();
    let (mut on_screen, needs) = human(false, Some(|| Some(80)));
    let folded = write(
        &mut on_screen,
        &object(&text(30), None, Level::ERROR, &needs),
    );
    let expected = "\
ERROR boom  n=1
    java.lang.Error: boom
        at com.example.App.f0(App.java:0)
        at com.example.App.f1(App.java:1)
        at com.example.App.f2(App.java:2)
        at com.example.App.f3(App.java:3)
        … 24 more lines
        at com.example.App.f28(App.java:28)
        at com.example.App.f29(App.java:29)
    Caused by: java.io.IOException: disk
        ... 3 more
";
    assert_eq!(folded, expected);
    let short = write(
        &mut on_screen,
        &object(&text(8), None, Level::ERROR, &needs),
    );
    assert_eq!(short.lines().count(), 12);
    let (mut to_file, needs) = human(false, None);
    let whole = write(&mut to_file, &object(&text(30), None, Level::ERROR, &needs));
    assert_eq!(whole.lines().count(), 34);
}

#[test]
fn a_trace_in_a_field_stands_below_too() {
    let (mut human, needs) = human(false, None);
    let json = r#"{"msg":"boom","stack":"Error: boom\n    at f (a.js:1:2)","n":1}"#;
    let shown = write(&mut human, &object(json, None, Level::ABSENT, &needs));
    let expected = "boom  n=1\n    stack:\n        Error: boom\n            at f (a.js:1:2)\n";
    assert_eq!(shown, expected);
}

#[test]
fn lines_below_a_bare_one_stand_with_it() {
    let (mut human, needs) = human(false, None);
    write(
        &mut human,
        &object(r#"{"msg":"x"}"#, Some(TIME), Level::INFO, &needs),
    );
    let shown = write(
        &mut human,
        &object(r#"{"msg":"a\n b"}"#, None, Level::ABSENT, &needs),
    );
    assert_eq!(shown, "                   a\n                    b\n");
}

#[test]
fn a_request_line_is_shown_once_on_a_terminal() {
    let json =
        r#"{"msg":"GET /cart HTTP/1.1","http":{"method":"GET","path":"/other","status":200}}"#;
    let (mut on_screen, needs) = human(false, Some(|| Some(80)));
    let shown = write(&mut on_screen, &object(json, None, Level::ABSENT, &needs));
    assert_eq!(
        shown,
        "GET /cart HTTP/1.1  http.path=/other http.status=200\n"
    );
    let (mut to_file, needs) = human(false, None);
    let shown = write(&mut to_file, &object(json, None, Level::ABSENT, &needs));
    assert!(shown.contains("http.method=GET"), "{shown}");
}

#[test]
fn values_are_quoted_where_they_would_run_together() {
    let (mut human, needs) = human(false, None);
    let json =
        r#"{"msg":"m","a":"b c","d":"","e":"say \"hi\"","f":[1,"x y"],"g":{"h":null},"i":"x=y"}"#;
    let shown = write(&mut human, &object(json, None, Level::ABSENT, &needs));
    let pairs = r#"a="b c" d="" e="say \"hi\"" f=[1,"x y"] g.h=null i="x=y""#;
    assert_eq!(shown, format!("m  {pairs}\n"));
}

/// Bytes that a terminal would act upon, and others.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\x1b[2J\x1b]0;title\x07".to_vec()),
        Just("\u{9b}31m\u{202e}\u{2028}".as_bytes().to_vec()),
        Just(b"\r\n\t\x08\x7f\x00\xff".to_vec()),
        Just(b"\n\tat x(Y.java:1)".to_vec()),
        "[a-z ]{0,20}".prop_map(String::into_bytes),
        ".{0,10}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..10),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Takes out the codes that the view itself writes.
fn without_styles(text: &str) -> String {
    let codes = ["0", "1", "2", "2;36", "36", "32", "33", "1;31", "1;37;41"];
    let mut text = text.to_owned();
    for code in codes {
        text = text.replace(&format!("\x1b[{code}m"), "");
    }
    text
}

proptest! {
    #[test]
    fn no_content_moves_the_cursor(
        name in content(),
        value in content(),
        line in content(),
        json: bool,
        color: bool,
        columns in 0..4_usize,
    ) {
        const COLUMNS: [Option<Columns>; 4] =
            [None, Some(|| None), Some(|| Some(1)), Some(|| Some(40))];
        let (mut human, needs) = human(color, COLUMNS[columns]);
        let row = if json {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let object_text = serde_json::json!({ text(&name): text(&value), "msg": text(&line) });
            object(&object_text.to_string(), Some(TIME), Level::ERROR, &needs)
        } else {
            let line = [&line[..], b"x"].concat();
            part(batch(&line, &needs, Defs::default(), |_, _| {}))
        };
        let shown = write(&mut human, &row);
        let plain = without_styles(&shown);
        let bad = plain.chars().find(|&c| c != '\n' && (c.is_control() || c == '\u{202e}' || c == '\u{2028}'));
        prop_assert_eq!(bad, None);
        prop_assert!(color || plain == shown);
        prop_assert!(shown.ends_with('\n'));
    }
}
