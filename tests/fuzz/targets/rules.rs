//! Rules: what is read is shown as a rule that is read the same, what is
//! refused is refused at a place in its text, and an event matches either a
//! rule or its negation.

use tflog::event::{Bits, Needs};
use tflog::route::{Condition, Expression, Scratch};

use super::events::{How, build, read};

/// A rule and, behind an empty line, events to try it on.
pub(super) fn rule_and_events(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (rule, events) = data.split_at(end.unwrap_or(data.len()));
    let Ok(rule) = std::str::from_utf8(rule) else {
        return;
    };
    match Expression::parse(rule) {
        Ok(expression) => {
            is_shown_as_itself(&expression);
            either_holds(&expression, events.get(2..).unwrap_or_default());
        }
        Err(error) => {
            let end = error.offset + error.len;
            assert!(rule.is_char_boundary(error.offset) && rule.is_char_boundary(end));
            assert!(!error.message.is_empty());
        }
    }
}

fn is_shown_as_itself(expression: &Expression) {
    let shown = expression.to_string();
    match Expression::parse(&shown) {
        Ok(again) => {
            assert_eq!(again, *expression, "{shown}");
            assert_eq!(again.to_string(), shown);
        }
        // Shown with every parenthesis and escape, it may be past the limits.
        Err(error) => assert!(
            shown.len() > Expression::LEN_MAX || error.message.contains("nesting"),
            "{error}: {shown}"
        ),
    }
}

fn either_holds(expression: &Expression, events: &[u8]) {
    let mut needs = Needs::default();
    let negated = Expression::Not(Box::new(expression.clone()));
    let compiled = [expression, &negated].map(|e| Condition::compile(e, &mut needs));
    let [Ok(holds), Ok(fails)] = compiled else {
        assert!(compiled.iter().all(Result::is_err));
        return;
    };
    // All of `auto` would take longer to build than to use.
    let format = if events.starts_with(b"{") {
        "json"
    } else {
        "logfmt"
    };
    let mut reader = build(format, &needs).unwrap().reader();
    let batch = read(&mut reader, How::Lines.frame(events)).batch;
    let (mut all, mut odd) = (Bits::default(), Bits::default());
    all.fill(batch.rows());
    odd.clear(batch.rows());
    (1..batch.rows()).step_by(2).for_each(|row| odd.insert(row));
    let rows = |condition: &Condition, candidates: &Bits| {
        let mut out = Bits::default();
        condition.evaluate(&batch, candidates, &mut Scratch::default(), &mut out);
        out.iter().collect::<Vec<_>>()
    };
    let (yes, no) = (rows(&holds, &all), rows(&fails, &all));
    let mut either = [yes.clone(), no].concat();
    either.sort_unstable();
    assert_eq!(either, all.iter().collect::<Vec<_>>(), "{expression}");
    assert!(yes.is_empty() || !holds.is_contradiction(), "{expression}");
    let of_odd: Vec<_> = yes.into_iter().filter(|&row| odd.contains(row)).collect();
    assert_eq!(rows(&holds, &odd), of_odd, "{expression}");
}
