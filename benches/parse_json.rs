//! What the JSON parser takes of one core, in bytes of log a second, beside
//! counting newlines, the least that any router must do with them.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tflog::event::{ColumnKind, Columns, Defs, Needs, Path, Pool};
use tflog::parse::{Parser, json::Json};

/// Batches a pass: more than the second-level cache holds.
const BATCHES: usize = 16;

/// Lines of about 280 bytes as services write them; `n` varies the values.
fn line(shape: usize, n: usize) -> String {
    let level = ["info", "info", "debug", "warn", "info", "error"][n * 7 % 6];
    let status = [200, 200, 204, 404, 200, 503][n * 5 % 6];
    let time = format!(
        "2026-11-{:02}T{:02}:{:02}:11.{:06}Z",
        n % 28 + 1,
        n % 24,
        n % 60,
        n * 7919 % 1_000_000
    );
    let id = format!(
        "{:032x}",
        (n as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834_u128 % (1 << 124)
    );
    let path = format!(
        "/api/v1/{}/{}",
        ["orders", "carts", "users", "items"][n % 4],
        n * 31 % 100_000
    );
    let ms = n * 13 % 3000;
    match shape {
        0 => format!(
            r#"{{"timestamp":"{time}","level":"{level}","service":"checkout","message":"request completed in time","http":{{"method":"GET","path":"{path}","status":{status},"bytes":{}}},"duration_ms":{ms},"trace_id":"{id}","region":"eu-west-1","pod":"checkout-7d9f8b6c5-x2x{}"}}"#,
            n * 97,
            n % 10
        ),
        1 => format!(
            r#"{{"level":30,"time":{},"pid":{},"hostname":"api-{}","reqId":"{id}","req":{{"method":"POST","url":"{path}","remoteAddress":"10.0.{}.{}","remotePort":{}}},"http":{{"status":{status}}},"responseTime":{ms}.{},"msg":"request completed for customer with some text"}}"#,
            1_700_000_000_000usize + n,
            n % 9999,
            n % 10,
            n % 256,
            n * 3 % 256,
            1024 + n % 60000,
            n % 1000
        ),
        2 => format!(
            r#"{{"ts": {}.{:06}, "level": "{level}", "logger": "http.server", "caller": "server/handler.go:{}", "msg": "handled request", "http": {{"method": "PUT", "path": "{path}", "status": {status}}}, "took": "{ms}ms", "user": "user-{n}@example.com", "trace": "{id}"}}"#,
            1_700_000_000 + n,
            n % 1_000_000,
            n % 900
        ),
        3 => format!(
            r#"{{"@timestamp":"{time}","log.level":"{level}","message":"order accepted, payment pending","ecs.version":"8.11.0","service.name":"orders","trace.id":"{id}","event":{{"duration":{},"outcome":"success","dataset":"orders.app"}},"order":{{"id":{n},"total":{}.95,"currency":"EUR"}}}}"#,
            ms * 1_000_000,
            n % 700
        ),
        4 => format!(
            r#"{{"severity":"{level}","time":"{time}","message":"cache lookup","labels":{{"env":"prod","cluster":"blue-{}"}},"cache":{{"hit":{},"key":"session:{id}","ttl":{ms}}},"tags":["cache","redis","session"],"attempt":{},"parent":null,"node":"redis-{}.internal.example.net"}}"#,
            n % 5,
            n.is_multiple_of(2),
            n % 3,
            n % 7
        ),
        5 => format!(
            r#"{{"time":"{time}","level":"{level}","source":{{"function":"main.(*Worker).run","file":"/src/worker/worker.go","line":{}}},"msg":"job finished","job":{{"id":"{id}","queue":"default","attempts":{},"wait_ms":{ms}}},"worker":{},"host":"worker-{}.eu.example.net"}}"#,
            n % 400,
            n % 4,
            n % 64,
            n % 20
        ),
        6 => format!(
            r#"{{"timestamp":"{time}","level":"{level}","fields":{{"message":"db query \"select\" took {ms} ms","query":"SELECT * FROM orders WHERE id = {n}","rows":{}}},"target":"shop::db","span":{{"name":"query","id":{n}}},"threadId":"ThreadId({})","http":{{"status":{status},"path":"{path}"}},"pad":"{}"}}"#,
            n % 50,
            n % 16,
            &id[..12]
        ),
        7 => format!(
            r#"{{"level":"{level}","ts":"{time}","msg":"Zahlung für Kundin geprüft","kunde":{{"name":"Jörg Müller","stadt":"Köln","id":{n}}},"betrag":{}.50,"ok":{},"http":{{"status":{status},"method":"POST","path":"{path}"}},"ref":"{id}","dienst":"zahlungen"}}"#,
            n % 999,
            !n.is_multiple_of(3)
        ),
        8 => format!(
            r#"{{"host":"edge-{}","client":"203.0.{}.{}","user":null,"http":{{"method":"GET","path":"{path}","status":{status},"bytes":{},"version":"1.1"}},"referrer":"https://example.com/start","user_agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0","request_id":"{id}","level":"{level}"}}"#,
            n % 10,
            n % 113,
            n % 254,
            n * 91 % 90_000
        ),
        _ => format!(
            r#"{{"id":"{id}","type":"audit","actor":{{"id":{n},"email":"admin{}@example.com","roles":["admin","ops"]}},"action":"update","resource":{{"kind":"policy","name":"retention-{}"}},"level":"{level}","timestamp":"{time}","result":"ok","session":"{}"}}"#,
            n % 100,
            n % 30,
            &id[..24]
        ),
    }
}

const SHAPES: usize = 10;

/// What production hands to a parser: text in batches, and where lines end.
struct Corpus(Vec<(Vec<u8>, Vec<u32>)>);

impl Corpus {
    fn new(shape: impl Fn(usize) -> usize) -> Corpus {
        let mut n = 0;
        let batch = |_| {
            let (mut text, mut ends) = (Vec::with_capacity(Pool::CHUNK_BYTES), Vec::new());
            loop {
                let next = line(shape(n), n);
                if text.len() + next.len() >= Pool::CHUNK_BYTES {
                    return (text, ends);
                }
                n += 1;
                text.extend_from_slice(next.as_bytes());
                text.push(b'\n');
                ends.push(text.len() as u32);
            }
        };
        Corpus((0..BATCHES).map(batch).collect())
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(text, _)| text.len() as u64).sum()
    }
}

/// Takes the lines that are no JSON; here there are none.
struct NoFallback;

impl Parser for NoFallback {
    fn name(&self) -> &'static str {
        "none"
    }

    fn parse_line(&mut self, _: &[u8], line: Range<usize>, _: usize, _: &mut Columns) -> bool {
        panic!("the corpus has an invalid line at {line:?}");
    }
}

fn parse(corpus: &Corpus, needs: &Needs, json: &mut Json, out: &mut Columns, defs: &Arc<Defs>) {
    for (text, ends) in &corpus.0 {
        out.reset(needs, ends.len(), defs);
        json.parse(text, ends, out, &mut NoFallback);
        black_box(&mut *out);
    }
}

fn needs(columns: &[(&str, ColumnKind)], fields: bool) -> Needs {
    let mut needs = Needs {
        fields,
        ..Needs::default()
    };
    for (path, kind) in columns {
        needs.slot(&Path::of(path), *kind);
    }
    needs
}

fn benches(c: &mut Criterion) {
    let two = needs(
        &[
            ("level", ColumnKind::Level),
            ("http.status", ColumnKind::Number),
        ],
        false,
    );
    let many: Vec<_> = [
        "level",
        "service",
        "message",
        "host",
        "trace_id",
        "http.status",
        "http.path",
        "http.method",
        "duration_ms",
        "user",
        "region",
        "order.id",
        "job.queue",
        "k8s.labels.app",
    ]
    .into_iter()
    .map(|path| (path, ColumnKind::Text))
    .collect();
    let many = needs(&many, true);
    let none = needs(&[], true);

    // A cheap hash, so that no predictor learns the order of shapes.
    let random = |n: usize| ((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize;
    let stable = Corpus::new(|_| 0);
    let mixed = Corpus::new(|n| random(n) % SHAPES);

    let mut group = c.benchmark_group("json");
    group.sample_size(30);
    for (name, corpus, needs) in [
        ("two fields, one shape", &stable, &two),
        ("two fields, mixed shapes", &mixed, &two),
        ("fourteen fields, mixed shapes", &mixed, &many),
        ("validate, one shape", &stable, &none),
        ("validate, mixed shapes", &mixed, &none),
    ] {
        let mut json = Json::build(needs);
        let mut out = Columns::default();
        let defs = Arc::new(Defs::default());
        group.throughput(Throughput::Bytes(corpus.bytes()));
        group.bench_function(name, |b| {
            b.iter(|| parse(corpus, needs, &mut json, &mut out, &defs));
        });
    }
    // Every line has a key of its own, so that the shapes learn nothing.
    let unlike = Corpus::new(|n| random(n) % SHAPES);
    let unlike = unlike_shapes(&unlike);
    let mut json = Json::build(&two);
    let mut out = Columns::default();
    let defs = Arc::new(Defs::default());
    group.throughput(Throughput::Bytes(unlike.bytes()));
    group.bench_function("two fields, no shape twice", |b| {
        b.iter(|| parse(&unlike, &two, &mut json, &mut out, &defs));
    });
    group.throughput(Throughput::Bytes(mixed.bytes()));
    group.bench_function("newlines counted", |b| {
        b.iter(|| {
            let count = |(text, _): &(Vec<u8>, _)| memchr::memchr_iter(b'\n', text).count();
            mixed.0.iter().map(count).sum::<usize>()
        });
    });
    group.finish();
}

/// The same lines, each with a first key that no other has.
fn unlike_shapes(corpus: &Corpus) -> Corpus {
    let mut n = 0;
    let batch = |(text, _): &(Vec<u8>, Vec<u32>)| {
        let (mut unlike, mut ends) = (Vec::new(), Vec::new());
        for line in text.split_inclusive(|b| *b == b'\n') {
            n += 1;
            unlike.extend_from_slice(format!("{{\"k{n}\":1,").as_bytes());
            unlike.extend_from_slice(&line[1..]);
            ends.push(unlike.len() as u32);
        }
        (unlike, ends)
    };
    Corpus(corpus.0.iter().map(batch).collect())
}

criterion_group!(parse_json, benches);
criterion_main!(parse_json);
