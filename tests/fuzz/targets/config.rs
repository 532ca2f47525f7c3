//! Config documents: a plan, or findings at places in the text; and the value
//! of a secret file is in none of them.

use std::sync::{Arc, OnceLock};

use tflog::config::diagnostic::{Diagnostic, Style, render};
use tflog::config::place::Origin;
use tflog::config::plan::{self, Extras};
use tflog::config::{Input, Inputs, load};
use tflog::event::Timestamp;
use tflog::seam::{FaultyDisk, MemoryNetwork, World};

/// Lower case letters and digits: it looks the same wherever it may stand.
const SECRET: &str = "hunter2swordfish";
/// What a document writes for the path of the secret's file.
const SECRET_FILE: &str = "${file:/secret}";
/// Paths that wait or never end when they are read.
const ENDLESS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// A document, as each of the languages that there are.
pub(super) fn document(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let text = text.replace(SECRET_FILE, &format!("${{file:{}}}", secret_file()));
    let foreign = text.matches("${file:").count() > text.matches(secret_file()).count();
    if foreign || text.contains(SECRET) || ENDLESS.iter().any(|path| text.contains(path)) {
        return;
    }
    for name in ["tflog.yaml", "tflog.toml", "tflog.json"] {
        let inputs = Inputs {
            files: vec![Input::Text {
                name: name.to_owned(),
                text: text.clone(),
            }],
            env: vec![
                ("NAME".to_owned(), "value".to_owned()),
                ("LIST".to_owned(), "a, 'b'\n\"c\" ${X}".to_owned()),
            ],
            ..Inputs::default()
        };
        match load(&inputs) {
            Err(errors) => {
                assert!(!errors.is_empty());
                are_sound(&errors, &text, str::to_owned);
            }
            Ok(loaded) => {
                let redact = |shown: &str| loaded.secrets.redact(shown);
                are_sound(&loaded.warnings, &text, str::to_owned);
                assert!(!format!("{:?}", loaded.config).contains(SECRET));
                let _inside = runtime().enter();
                match plan::build(&loaded.config, Extras::default(), &world()) {
                    Ok(built) => are_sound(&built.warnings, &text, redact),
                    Err(errors) => {
                        assert!(!errors.is_empty());
                        are_sound(&errors, &text, redact);
                    }
                }
            }
        }
    }
}

/// Findings say something, at a place that there is, and no secrets once they
/// are redacted as their maker asks.
fn are_sound(findings: &[Diagnostic], text: &str, redact: impl Fn(&str) -> String) {
    for finding in findings {
        assert!(!finding.message.is_empty() && !finding.code.is_empty());
        if let Some(place) = &finding.place
            && let Origin::File { text: origin, .. } = &*place.origin
        {
            let span = &place.span;
            assert!(origin == text && span.start <= span.end);
            assert!(text.get(span.clone()).is_some(), "{span:?}: {finding}");
        }
    }
    let style = Style {
        colour: false,
        width: 100,
    };
    let page = redact(&render(findings, style));
    assert!(!page.contains(SECRET), "{page}");
    let lines: String = findings.iter().map(ToString::to_string).collect();
    assert!(!redact(&lines).contains(SECRET), "{lines}");
}

/// The secret's file. Moved into place whole: other processes may read it.
fn secret_file() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| {
        let file = std::env::temp_dir().join("tflog-fuzz-secret");
        let own = file.with_extension(std::process::id().to_string());
        std::fs::write(&own, SECRET).unwrap();
        std::fs::rename(&own, &file).unwrap();
        file.into_os_string().into_string().unwrap()
    })
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    })
}

/// Nothing of this machine but the clock.
fn world() -> World {
    World {
        disk: Arc::new(FaultyDisk::default()),
        network: Arc::new(MemoryNetwork::default()),
        ..World::simulated(Timestamp(0), 1)
    }
}
