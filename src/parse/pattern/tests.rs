//! The template language: what is refused and where, and what each kind takes.

use super::*;
use crate::event::Field;

fn build(template: &str, defs: &mut Defs) -> Result<Pattern, TemplateError> {
    let needs = Needs {
        columns: Vec::new(),
        fields: true,
    };
    Pattern::build("pattern", template, &needs, defs)
}

/// The fields of a line as `name=text`, or `None` if it does not match.
fn read(template: &str, line: &str) -> Option<Vec<String>> {
    let mut defs = Defs::default();
    let mut pattern = build(template, &mut defs).unwrap();
    let needs = Needs {
        columns: Vec::new(),
        fields: true,
    };
    let mut out = Columns::default();
    out.reset(&needs, 1, &Arc::new(defs.clone()));
    let matched = pattern.parse_line(line.as_bytes(), 0..line.len(), 0, &mut out);
    out.end_row();
    let show = |f: &Field| {
        let name = defs.get(f.def()).unwrap().parts.join(".");
        let mark = if f.kind() == FieldKind::Number {
            "#"
        } else {
            ""
        };
        format!(
            "{name}={mark}{}",
            String::from_utf8_lossy(f.bytes(line.as_bytes()))
        )
    };
    matched.then(|| out.fields(0).iter().map(show).collect())
}

#[test]
fn errors_point_at_the_column() {
    for (template, column, part) in [
        ("{a", 3, "`}`"),
        ("{a:word}{b}{c}", 9, "literal text must follow"),
        ("{a}{b:int}", 1, "literal text must follow"),
        ("é {a:number}", 6, "expected int"),
        ("{a:%Q} x", 4, "`%Q`"),
        ("{a:%Y %p}", 4, "tells neither day"),
        ("x } y", 3, r"`\}`"),
        ("{?{a} ", 7, "expected `?}`"),
        ("{a=[{b}", 8, "expected `]}`"),
        ("{a} {a}", 5, "clashes"),
        ("{a} {a.b}", 5, "clashes"),
        ("{a..b}", 1, "empty part"),
        ("x\\", 2, "after"),
    ] {
        let error = build(template, &mut Defs::default()).expect_err(template);
        assert_eq!(error.column, column, "{template}: {error}");
        assert!(error.message.contains(part), "{template}: {error}");
    }
    let deep = "{?".repeat(10_000);
    assert!(
        build(&deep, &mut Defs::default())
            .unwrap_err()
            .message
            .contains("nested deeper")
    );
}

#[test]
fn each_kind_takes_what_it_says() {
    for (template, line, expected) in [
        ("{a} {b}", "x y z", Some(&["a=x", "b=y z"][..])),
        ("{a}, {b}", "x,  -", Some(&["a=x"])),
        (
            "{a:int};{b:int};{c:int}",
            "-7;-;007",
            Some(&["a=#-7", "c=007"]),
        ),
        ("{a:int}", "7.5", None),
        ("{a:float}ms", "7.5ms", Some(&["a=#7.5"])),
        ("{a:float} {b}", "7. x", None),
        (
            "{a:ip} {b:ip} {c:ip}",
            "10.0.0.1 fe80::1 -",
            Some(&["a=10.0.0.1", "b=fe80::1"]),
        ),
        ("{a:ip}", "10.0.0.256", None),
        ("{a:word}:{b:word}", "x:y", Some(&["a=x", "b=y"])),
        ("{a:word}: {b:rest}", "x y: z", None),
        (
            "{a:word}{?[{b:int}]?}: {c:rest}",
            "x[7]: z: -",
            Some(&["a=x", "b=#7", "c=z: -"]),
        ),
        (
            "{a:word}{?[{b:int}]?}: {c:rest}",
            "x: z",
            Some(&["a=x", "c=z"]),
        ),
        ("{a}{? b={b:int}?}", "x y b=7", Some(&["a=x y", "b=#7"])),
        ("{a}{? b={b:int}?}", "x y", Some(&["a=x y"])),
        ("{a:level}{b:rest}", "E1", Some(&["a=E", "b=1"])),
        ("{a:level} {b:rest}", "LOUD x", None),
        (
            r"{a:quoted} \{{b}\} \\",
            r#""x \" y" {z} \"#,
            Some(&[r#"a=x \" y"#, "b=z"]),
        ),
        ("{}:{_}:{a}", "x:y:z", Some(&["a=z"])),
        (
            "{a:quoted=[{b:word} {c}]}",
            r#""x y""#,
            Some(&["a=x y", "b=x", "c=y"]),
        ),
        (
            "{a:quoted=[{b:word} {c:int}]}",
            r#""x y""#,
            Some(&["a=x y"]),
        ),
        ("{a} b", "a  b  ", Some(&["a=a"])),
        (
            "{a:%d.%m.%Y %T} {b:rest}",
            "23.11.2026 13:32:42 x",
            Some(&["a=23.11.2026 13:32:42", "b=x"]),
        ),
        ("{a:%d.%m.%Y %T} {b:rest}", "31.02.2026 13:32:42 x", None),
        (
            "{a:%F %T=[{b:word} {c:word}]}",
            "2026-11-23 13:32:42",
            Some(&["a=2026-11-23 13:32:42", "b=2026-11-23", "c=13:32:42"]),
        ),
        ("{a:mark=[{b:raw}]} {c}", "* x", Some(&["a=", "c=x"])),
        (
            "{a:word=[{b:most}-{c:int}]} {d:int=[{e}]}",
            "x-7 8",
            Some(&["a=x-7", "b=x", "c=#7", "d=#8", "e=8"]),
        ),
        ("x  {a:quoted}", "x    \"y\"", Some(&["a=y"])),
        (
            "a literal text that is long: {a}",
            "a  literal text that is long:   y",
            Some(&["a=y"]),
        ),
        ("", "", Some(&[])),
        ("", "x", None),
    ] {
        let expected = expected.map(|e| e.iter().map(ToString::to_string).collect());
        assert_eq!(read(template, line), expected, "{template} on {line}");
    }
}

#[test]
fn output_order_is_roles_then_families() {
    let found = read(
        "{h.a} {x} {h.b} {msg} {h.c.d} {level:level} {h.e}",
        "1 2 3 4 5 info 6",
    )
    .unwrap();
    assert_eq!(
        found,
        [
            "level=info",
            "msg=4",
            "h.a=1",
            "h.b=3",
            "h.c.d=5",
            "h.e=6",
            "x=2"
        ]
    );
}
