//! Rows a second that rules are evaluated at, on one thread: five terms over
//! typed columns, and the same with terms on text.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tflog::event::{Batch, Bits, Cell, Chunk, Column, Defs, Needs, Pool, Stream, Timestamp};
use tflog::route::{Condition, Expression, RouteSpec, Routed, Scratch, Table, Target, When};

/// Rows of a 256 KiB chunk of lines of usual length.
const ROWS: usize = 1500;

const TYPED: &str = "level >= error or http.status in 500..599 or took > 2s \
                     or size > 10MiB or (http.status == 404 and level >= warn)";
const TEXT: &str = "service == payment and (path startswith \"/api/v1\" or message contains timeout \
                    or user in [root, admin, daemon]) and not host == db1";
const MIXED: &str = "level >= warn and service == payment and path startswith \"/api\" \
                     and message contains timeout and http.status != 404";
const REGEX: &str = "message =~ /time(d out|out)/";
const LINE: &str = "'connection reset'";

/// A batch with plausible values, from a small generator of numbers.
fn batch(needs: &Needs) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    let mut seed = 7u64;
    let mut draw = |n: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    let mut drawn: Vec<[usize; 3]> = Vec::new();
    let words: [&str; 8] = [
        "payment",
        "/api/v1/cart",
        "upstream timeout",
        "request completed in time",
        "root",
        "alice",
        "/health",
        "checkout",
    ];
    for _ in 0..ROWS {
        let start = chunk.text.len();
        for word in words {
            chunk.text.extend_from_slice(word.as_bytes());
            chunk.text.push(b' ');
        }
        chunk.text.resize(start + 170, b'.');
        chunk.text.push(b'\n');
        chunk.ends.push(chunk.text.len() as u32);
        drawn.push([start, draw(1000), draw(words.len())]);
    }
    let stream = Arc::new(Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    });
    let mut batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::new(Pool::default()));
    batch.parse_with(|_, ends, columns| {
        columns.reset(needs, ends.len(), &Arc::new(Defs::default()));
        for slot in 0..needs.columns.len() {
            for (row, [start, number, word]) in drawn.iter().enumerate() {
                match columns.column_mut(slot) {
                    Column::Level(values) => values[row] = [9, 9, 9, 5, 13, 9, 17, 9][number % 8],
                    Column::Number(values) => {
                        values[row] = [200, 200, 304, 404, 503][number % 5].into();
                    }
                    Column::Time(values) => values[row] = *number as i64,
                    Column::Text(cells) => {
                        let at = (word + slot) % words.len();
                        let before: usize = words[..at].iter().map(|w| w.len() + 1).sum();
                        let first = start + before;
                        cells[row] = Cell::string(first, first + words[at].len(), false);
                    }
                    Column::Same(_) => {}
                }
            }
        }
    });
    batch
}

fn rules(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, rule) in [
        ("five typed terms", TYPED),
        ("five text terms", TEXT),
        ("typed and text", MIXED),
        ("regex", REGEX),
        ("raw line", LINE),
    ] {
        let expression = Expression::parse(rule).expect(name);
        let mut needs = Needs::default();
        let condition = Condition::compile(&expression, &mut needs).expect(name);
        let batch = batch(&needs);
        let (mut all, mut out, mut scratch) =
            (Bits::default(), Bits::default(), Scratch::default());
        all.fill(ROWS);
        group.bench_function(name, |b| {
            b.iter(|| {
                condition.evaluate(black_box(&batch), &all, &mut scratch, black_box(&mut out));
            });
        });
    }
    let everything = RouteSpec {
        name: "all".to_owned(),
        from: None,
        when: When::Always,
        to: Target::Sinks(vec![0]),
        go_on: false,
    };
    let mut needs = Needs::default();
    let table = Table::compile(vec![everything], None, 1, &mut needs).expect("a table");
    let batch = batch(&needs);
    let mut routed = Routed::default();
    group.bench_function("one unconditional route", |b| {
        b.iter(|| table.route(0, black_box(&batch), black_box(&mut routed)));
    });
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
