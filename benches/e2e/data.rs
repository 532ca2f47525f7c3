//! The inputs: made here, the same every time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Numbers that look random and are the same every time (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const LEVELS: [&str; 10] = [
    "info", "info", "info", "info", "info", "info", "debug", "debug", "warn", "error",
];
const PATHS: [&str; 6] = [
    "/",
    "/api/v1/orders",
    "/api/v1/users/42",
    "/healthz",
    "/search?q=boots",
    "/cart",
];

/// JSON lines of about 280 bytes in eight shapes.
pub(crate) fn write_json(path: &Path, bytes: usize) {
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut written = 0;
    while written < bytes {
        let line = json_line(&mut numbers);
        out.write_all(line.as_bytes()).expect("room");
        written += line.len();
    }
    out.flush().expect("room");
}

fn json_line(n: &mut Numbers) -> String {
    let level = n.of(&LEVELS);
    let status = n.of(&["200", "200", "200", "201", "204", "301", "404", "503"]);
    let path = n.of(&PATHS);
    let (id, micros, bytes) = (n.below(u64::MAX), n.below(1_000_000), n.below(100_000));
    let service = n.of(&["checkout", "search", "pay", "users"]);
    let trace = format!("{:016x}{:016x}", n.below(u64::MAX), n.below(u64::MAX));
    let time = format!(
        "2026-11-23T13:{:02}:{:02}.{micros:06}Z",
        n.below(60),
        n.below(60)
    );
    match n.below(8) {
        0 => format!(
            "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"message\":\"request served\",\"service\":\"{service}\",\"http\":{{\"method\":\"GET\",\"path\":\"{path}\",\"status\":{status},\"bytes\":{bytes}}},\"trace_id\":\"{trace}\",\"duration_ms\":{}.{},\"host\":\"web-{}.example.internal\"}}\n",
            n.below(900),
            n.below(10),
            n.below(64)
        ),
        1 => format!(
            "{{\"level\":\"{level}\",\"ts\":{}.{micros:06},\"caller\":\"server/handler.go:{}\",\"msg\":\"handled request\",\"http\":{{\"status\":{status},\"path\":\"{path}\"}},\"request_id\":\"{id:020}\",\"trace_id\":\"{trace}\",\"user\":\"u{}\",\"retries\":0,\"cached\":false}}\n",
            1_795_440_000 + n.below(86400),
            n.below(900),
            n.below(10_000)
        ),
        2 => format!(
            "{{\"message\":\"user logged in from a new device, sending a notice to the address on file\",\"severity\":\"{level}\",\"@timestamp\":\"{time}\",\"service\":{{\"name\":\"{service}\",\"version\":\"1.{}.0\"}},\"user\":{{\"id\":{id},\"roles\":[\"reader\",\"writer\"]}},\"http\":{{\"status\":{status}}},\"trace_id\":\"{trace}\"}}\n",
            n.below(40)
        ),
        3 => format!(
            "{{\"pid\":{},\"hostname\":\"node-{}\",\"level\":\"{level}\",\"time\":{},\"name\":\"{service}\",\"msg\":\"upstream answered\",\"req\":{{\"method\":\"POST\",\"url\":\"{path}\",\"headers\":{{\"accept\":\"*/*\",\"user-agent\":\"curl/8.5.0\"}}}},\"http\":{{\"status\":{status},\"bytes\":{bytes}}},\"id\":\"{trace}\"}}\n",
            n.below(30_000),
            n.below(64),
            1_795_440_000_000 + n.below(86_400_000)
        ),
        4 => format!(
            "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"logger\":\"com.example.{service}.OrderService\",\"thread\":\"http-nio-8080-exec-{}\",\"message\":\"order {id} placed for \\\"{}\\\" items\",\"http\":{{\"method\":\"PUT\",\"status\":{status},\"path\":\"{path}\"}},\"mdc\":{{\"tenant\":\"t{}\",\"trace\":\"{trace}\"}}}}\n",
            n.below(40),
            n.below(30),
            n.below(300)
        ),
        5 => format!(
            "{{\"t\":\"{time}\",\"level\":\"{level}\",\"event\":\"cache\",\"hit\":{},\"key\":\"{service}:{trace}:{id}\",\"size\":{bytes},\"http\":{{\"path\":\"{path}\",\"status\":{status},\"protocol\":\"HTTP/1.1\"}},\"region\":\"eu-central-1\",\"zone\":\"b\",\"pod\":\"{service}-7d9c6b5f4-{:05}\"}}\n",
            n.below(2) == 0,
            n.below(100_000)
        ),
        6 => format!(
            "{{\"service\":\"{service}\",\"env\":\"production\",\"level\":\"{level}\",\"timestamp\":\"{time}\",\"span_id\":\"{:016x}\",\"trace_id\":\"{trace}\",\"message\":\"query took longer than expected\",\"db\":{{\"system\":\"postgresql\",\"rows\":{},\"statement\":\"select * from orders where id = $1\"}},\"http\":{{\"status\":{status}}}}}\n",
            id,
            n.below(10_000)
        ),
        _ => format!(
            "{{\"http\":{{\"status\":{status},\"method\":\"GET\",\"path\":\"{path}\",\"referrer\":\"https://shop.example.com/\",\"bytes\":{bytes}}},\"client\":\"10.{}.{}.{}\",\"level\":\"{level}\",\"timestamp\":\"{time}\",\"message\":\"GET {path}\",\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"service\":\"{service}\",\"id\":{id}}}\n",
            n.below(256),
            n.below(256),
            n.below(256)
        ),
    }
}

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
];

/// Lines of the combined access log format, 50 a second.
pub(crate) fn write_combined(path: &Path, bytes: usize) {
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    let (mut written, mut lines) = (0, combined_lines());
    while written < bytes {
        let line = lines.next().expect("a line");
        out.write_all(line.as_bytes()).expect("room");
        written += line.len();
    }
    out.flush().expect("room");
}

/// What [`write_combined`] writes: lengths and fields differ as those of many
/// visitors do.
pub(crate) fn combined_lines() -> impl Iterator<Item = String> {
    let mut n = Numbers(0x9e37_79b9_7f4a_7c15);
    (0..).map(move |line| {
        let second = line / 50;
        format!(
            "10.{}.{}.{} - {} [23/Nov/2026:{:02}:{:02}:{:02} +0000] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\"\n",
            n.below(256),
            n.below(256),
            n.below(256),
            n.of(&["-", "-", "alice"]),
            second / 3600 % 24,
            second / 60 % 60,
            second % 60,
            n.of(&["GET", "GET", "POST"]),
            n.of(&PATHS),
            n.of(&["200", "200", "200", "304", "404", "500"]),
            n.below(100_000),
            n.of(&[
                "-",
                "https://shop.example.com/",
                "https://www.example.org/search?q=boots"
            ]),
            n.of(&AGENTS),
        )
    })
}
