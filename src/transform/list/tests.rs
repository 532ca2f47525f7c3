//! Verbs in a row.

use super::super::fixture::{Bench, paths};
use super::super::{Keep, Remove, Rename, Set, SetTo, Text};
use crate::event::{Batch, Path};
use crate::transform::Sample;

struct Line;

impl Text for Line {
    fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(batch.line(row));
    }
}

fn constant(name: &str, json: &str) -> Vec<(Path, SetTo)> {
    vec![(Path::of(name), SetTo::Json(json.as_bytes().into()))]
}

/// Each verb sees what those before it made of the event.
#[test]
fn verbs_run_in_order_on_the_event_so_far() {
    let mut bench = Bench::default()
        .with(|n| Rename::new(&[(Path::of("msg"), Path::of("message"))], n))
        .with(|n| Set::new(constant("env", "\"dev\""), n))
        .when(("env", "dev"), |n| Set::new(constant("seen", "true"), n))
        .when(("env", "live"), |n| Remove::new(&paths(&["message"]), n));
    let (lines, terms) = bench.run(&[r#"{"msg":"a","env":"x"}"#, "words", r#"{"n":1.0}"#]);
    assert_eq!(
        lines,
        [
            r#"{"message":"a","env":"dev","seen":true}"#,
            r#"{"message":"words","env":"dev","seen":true}"#,
            r#"{"n":1.0,"env":"dev","seen":true}"#,
        ]
    );
    assert_eq!((terms.entered, terms.out), (3, 3));
}

/// Rows that no verb changes are as they were, whatever happens around them.
#[test]
fn rows_without_edits_stay_byte_for_byte() {
    let mut bench = Bench::default()
        .when(("k", "edit"), |n| Set::new(constant("x", "1"), n))
        .when(("k", "drop"), |n| Sample::build("0%", &[], n).unwrap())
        .when(("k", "edit"), |n| Keep::new(&paths(&["x"]), n));
    let lines = [
        r#"{ "k":"y" , "b":1 }"#,
        r#"{"k":"edit"}"#,
        r#"{"k":"drop"}"#,
        "text",
    ];
    let (left, terms) = bench.run(&lines);
    assert_eq!(left, [lines[0], r#"{"x":1}"#, "text"]);
    assert_eq!((terms.filtered_total(), terms.out), (1, 3));
}

/// A template sees the event as the verbs before it left it.
#[test]
fn templates_see_edits() {
    let mut bench = Bench::default()
        .with(|n| Remove::new(&paths(&["b"]), n))
        .with(|n| Set::new(vec![(Path::of("was"), SetTo::Text(Box::new(Line)))], n));
    let (lines, _) = bench.run(&[r#"{"a":1,"b":2}"#]);
    assert_eq!(lines, [r#"{"a":1,"was":"{\"a\":1}"}"#]);
}
