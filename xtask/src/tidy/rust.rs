//! Rules for Rust files.

use super::Finding;
use crate::rust_source::RustSource;

/// Lines of code in one file, tests in the file included.
const LONGEST_FILE: usize = 500;

/// Names that say nothing about what a module holds.
const BANNED_MODULES: &[&str] = &[
    "common", "util", "utils", "helper", "helpers", "core", "manager", "misc", "models", "builders",
];

/// Code that is not finished, or that hides what a lint found.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("dbg!", "take it out"),
    ("#[ignore", "a test runs or does not exist"),
    ("#[allow(", "use #[expect(lint, reason = \"...\")]"),
    ("#![allow(", "use #![expect(lint, reason = \"...\")]"),
];

/// Modules that decide: files or folders whose code takes time and randomness as arguments and
/// does no I/O.
const PURE: &[&str] = &[
    "crates/amqp/src/codec/",
    "crates/amqp/src/engine/",
    "crates/amqp/src/net/addresses.rs",
    "crates/amqp/src/net/credit.rs",
    "crates/amqp/src/net/stall.rs",
    "crates/protocol/src/",
    "crates/auth/src/connection_string.rs",
    "crates/client/src/bounds.rs",
    "crates/auth/src/renewal.rs",
    "crates/auth/src/skew.rs",
    "crates/client/src/recovery/attempts.rs",
    "crates/client/src/recovery/budget.rs",
    "crates/client/src/recovery/gate.rs",
    "crates/client/src/recovery/machine.rs",
    "crates/client/src/recovery/resume.rs",
    "crates/client/src/recovery/watchdog.rs",
    "crates/client/src/retry.rs",
    "crates/eph/src/checkpoint.rs",
    "crates/eph/src/file/body.rs",
    "crates/eph/src/file/name.rs",
    "crates/eph/src/lease.rs",
    "crates/eph/src/presence.rs",
    "crates/eph/src/record.rs",
    "crates/eph/src/rfc3339.rs",
    "crates/eph/src/rules.rs",
    "crates/eph/src/health",
    "crates/eph/src/host/state",
    "crates/eph/src/keeper/cadence",
    "crates/eph/src/keeper/lateness.rs",
    "crates/eph/src/keeper/link.rs",
    "crates/eph/src/keeper/way_out.rs",
    "crates/eph/src/options",
    "crates/eph/src/scan/memory",
    "crates/eph/src/scan/rhythm.rs",
    "crates/eph/src/seat/progress.rs",
    "crates/eph/src/seat/written.rs",
    "crates/eph/src/balance",
    "crates/eph/src/pump/failures.rs",
    "crates/eph/src/pump/lanes.rs",
    "crates/eph/src/pump/ledger.rs",
    "crates/eph/src/pump/prefix.rs",
    "crates/eph/src/suspicion",
    "crates/eph/src/ownership",
    "crates/emulator/src/broker/cbs.rs",
    "crates/emulator/src/broker/numbering.rs",
    "crates/emulator/src/broker/request.rs",
    "crates/emulator/src/disorder/agenda.rs",
    "crates/emulator/src/fault/effect.rs",
    "crates/emulator/src/fault/occurrence.rs",
    "crates/emulator/src/fault/point.rs",
    "crates/emulator/src/fault/registry.rs",
    "crates/emulator/src/fault/scope.rs",
    "crates/emulator/src/line/bad_frame.rs",
    "crates/emulator/src/line/bucket.rs",
    "crates/emulator/src/line/craft.rs",
    "crates/emulator/src/line/fields.rs",
    "crates/emulator/src/line/frames.rs",
    "crates/emulator/src/line/incoming.rs",
    "crates/emulator/src/line/jitter.rs",
    "crates/emulator/src/line/links.rs",
    "crates/emulator/src/line/message.rs",
    "crates/emulator/src/line/outgoing.rs",
    "crates/emulator/src/line/shape.rs",
    "crates/emulator/src/line/trips.rs",
    "crates/emulator/src/line/verdict.rs",
    "crates/emulator/src/namespace/journal/contents.rs",
    "crates/emulator/src/namespace/journal/manifest.rs",
    "crates/emulator/src/namespace/journal/record.rs",
    "crates/emulator/src/namespace/log.rs",
    "crates/emulator/src/namespace/meter.rs",
    "crates/emulator/src/namespace/rate.rs",
    "crates/emulator/src/namespace/receivers.rs",
    "crates/emulator/src/namespace/segment.rs",
    "crates/emulator/src/namespace/sequencer.rs",
    "crates/emulator/src/rules/",
    "crates/emulator/src/upkeep/standing.rs",
    "crates/emulator/src/upkeep/watch.rs",
    "crates/emulator/src/view/record/composite.rs",
    "crates/emulator/src/view/record/frames.rs",
    "crates/emulator/src/view/record/message.rs",
    "crates/emulator/src/view/record/value.rs",
    "chaos/src/breach.rs",
    "chaos/src/chronicle.rs",
    "chaos/src/cursor.rs",
    "chaos/src/history.rs",
    "chaos/src/journal.rs",
    "chaos/src/oracle",
    "chaos/src/order.rs",
    "chaos/src/random.rs",
    "chaos/src/stamp.rs",
    "chaos/src/tamper.rs",
    "chaos/src/upheaval.rs",
    "chaos/src/violation.rs",
    "chaos/src/window",
    "sim/src/agenda.rs",
    "sim/src/broker.rs",
    "sim/src/cell.rs",
    "sim/src/exhaust.rs",
    "sim/src/fair.rs",
    "sim/src/judge.rs",
    "sim/src/picture.rs",
    "sim/src/plan.rs",
    "sim/src/random.rs",
    "sim/src/store.rs",
    "sim/src/world",
];

/// What a module that decides must not know.
const IMPURE: &[&str] = &[
    "tokio",
    "async fn",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::fs",
    "std::env",
    "std::thread",
    "Mutex",
    "RwLock",
    "mpsc",
    "rand::",
    "fastrand",
    "getrandom",
    "new_v4",
];

/// Parts of a string that only `names.rs` of a crate may spell.
const WIRE_WORDS: &[&str] = &[
    "com.microsoft",
    "x-opt-",
    "apache.org:",
    "servicebus.windows.net:",
    "amqp.annotation.",
    "iothub-",
    "last_enqueued_",
    "put-token",
    "$cbs",
    "$management",
];

/// Checks one file. `is_test` says that all of it is test code.
pub(super) fn check(path: &str, text: &str, source: &RustSource, is_test: bool) -> Vec<Finding> {
    let mut findings = size(path, text, source);
    findings.extend(module_names(path, source));
    findings.extend(unfinished(path, source));
    findings.extend(getters(path, source));
    findings.extend(sleeps(path, source, is_test));
    findings.extend(purity(path, source, is_test));
    findings.extend(wire_words(path, source, is_test));
    findings
}

fn size(path: &str, text: &str, source: &RustSource) -> Vec<Finding> {
    let lines = source.code_lines(text);
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![Finding::whole(
        path,
        format!("{lines} lines of code, {LONGEST_FILE} are allowed: split it"),
    )]
}

fn module_names(path: &str, source: &RustSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    for part in path.trim_end_matches(".rs").split('/') {
        if BANNED_MODULES.contains(&part) {
            findings.push(Finding::whole(path, format!("'{part}' does not say what it holds")));
        }
    }
    for (line, text) in source.code.lines().enumerate() {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let name = words.find(|word| *word == "mod").and_then(|_| words.next());
        if let Some(name) = name.filter(|name| BANNED_MODULES.contains(name)) {
            findings.push(Finding::at(path, line, format!("'{name}' does not say what it holds")));
        }
    }
    findings
}

fn unfinished(path: &str, source: &RustSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in source.code.lines().enumerate() {
        for (word, advice) in UNFINISHED {
            if text.contains(word) {
                findings.push(Finding::at(path, line, format!("{word} : {advice}")));
            }
        }
    }
    findings
}

fn getters(path: &str, source: &RustSource) -> Vec<Finding> {
    // `get_mut` and `get_or_init` are what the standard library calls the relatives of `get`.
    let is_getter = |text: &str| {
        let name = text.split_once("fn get_").map_or("", |(_, name)| name);
        let is_relative = name.starts_with("mut(") || name.starts_with("or_");
        text.trim_start().starts_with("pub") && !name.is_empty() && !is_relative
    };
    source
        .code
        .lines()
        .enumerate()
        .filter(|(_, text)| is_getter(text))
        .map(|(line, _)| {
            Finding::at(path, line, "a getter is named after what it returns, without get_")
        })
        .collect()
}

fn sleeps(path: &str, source: &RustSource, is_test: bool) -> Vec<Finding> {
    let is_test = |line: usize| is_test || source.is_test_line(line);
    source
        .code
        .lines()
        .enumerate()
        .filter(|(line, text)| {
            (text.contains("sleep(") || text.contains("sleep_until(")) && is_test(*line)
        })
        .map(|(line, _)| {
            Finding::at(path, line, "a test waits for an event or a paused clock, it never sleeps")
        })
        .collect()
}

fn purity(path: &str, source: &RustSource, is_test: bool) -> Vec<Finding> {
    if !PURE.iter().any(|pure| path.starts_with(pure)) || is_test {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in source.code.lines().enumerate() {
        for word in IMPURE.iter().filter(|word| has_word(text, word)) {
            if !source.is_test_line(line) {
                let text = format!("'{word}' in a module that decides: take it as an argument");
                findings.push(Finding::at(path, line, text));
            }
        }
    }
    findings
}

fn wire_words(path: &str, source: &RustSource, is_test: bool) -> Vec<Finding> {
    let in_crate = path.starts_with("crates/") && path.contains("/src/");
    if !in_crate || path.ends_with("/names.rs") || is_test {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for literal in source.strings.iter().filter(|literal| !source.is_test_line(literal.line)) {
        // A sentence that mentions a name is for people; a name alone is for the wire.
        let is_sentence = literal.text.contains(char::is_whitespace);
        let word = WIRE_WORDS.iter().find(|word| literal.text.contains(**word));
        if let Some(word) = word.filter(|_| !is_sentence) {
            let text = format!("\"{word}\" is spelled in the crate's names.rs and nowhere else");
            findings.push(Finding::at(path, literal.line, text));
        }
    }
    findings
}

/// Whether `text` holds `word` with no letter or digit directly before it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Whether a file is test code by its place, or because `declared` has the path of its module.
pub(super) fn is_test_file(path: &str, declared: &[String]) -> bool {
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || declared.iter().any(|module| {
            stem.strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// Paths, without `.rs`, of the modules that a file declares under `#[cfg(test)]`.
pub(super) fn declared_tests(path: &str, source: &RustSource) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        file => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    source.test_files().into_iter().map(|name| format!("{folder}/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let source = RustSource::split(text);
        let is_test = is_test_file(path, &["crates/emulator/src/wire".to_owned()]);
        check(path, text, &source, is_test).into_iter().map(|one| one.to_string()).collect()
    }

    #[track_caller]
    fn one(path: &str, text: &str, expected: &str) {
        let found = findings(path, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    const SOUND: &str = "//! The word todo!() in a comment.\n\
        /// See \"x-opt-offset\" and tokio.\n\
        pub fn offset() -> &'static str { \"todo!\" }\n";

    #[test]
    fn a_sound_file_has_no_findings() {
        assert_eq!(findings("crates/protocol/src/batch.rs", SOUND), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_found() {
        let line = "let a = 1;\n";
        assert_eq!(findings("bench/src/a.rs", &line.repeat(500)), Vec::<String>::new());
        one("bench/src/a.rs", &line.repeat(501), "501 lines of code");
    }

    #[test]
    fn a_module_that_says_nothing_is_found() {
        one("crates/amqp/src/util.rs", "", "'util'");
        one("crates/amqp/tests/common/mod.rs", "", "'common'");
        one("crates/amqp/src/lib.rs", "pub(crate) mod helpers;", "'helpers'");
    }

    #[test]
    fn unfinished_code_is_found() {
        one("xtask/src/a.rs", "fn f() { todo!() }", "todo!");
        one("xtask/src/a.rs", "fn f() { dbg!(1); }", "dbg!");
        one("xtask/src/a.rs", "#[ignore = \"slow\"]\nfn f() {}", "#[ignore");
        one("xtask/src/a.rs", "#[allow(dead_code)]\nfn f() {}", "#[allow(");
    }

    #[test]
    fn a_getter_is_found() {
        one("xtask/src/a.rs", "    pub(crate) fn get_name(&self) {}", "get_");
        for allowed in ["fn get_it() {}", "pub fn get_mut(&mut self)", "pub fn get_or_init(&self)"]
        {
            assert!(findings("xtask/src/a.rs", allowed).is_empty(), "{allowed}");
        }
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        one("crates/client/tests/send.rs", "sleep(second).await;", "never sleeps");
        let module = "#[cfg(test)]\nmod tests {\n  fn f() { tokio::time::sleep(d); }\n}\n";
        one("crates/client/src/a.rs", module, "never sleeps");
        assert!(findings("crates/amqp/src/net/clock.rs", "sleep(d).await").is_empty());
    }

    #[test]
    fn a_clock_in_a_module_that_decides_is_found() {
        one("crates/amqp/src/engine/link.rs", "let now = Instant::now();", "Instant::now");
        one("crates/protocol/src/batch.rs", "use tokio::task;", "tokio");
        assert!(findings("crates/amqp/src/net/driver.rs", "Instant::now();").is_empty());
        assert!(findings("crates/amqp/src/engine/link.rs", "use std::time::Instant;").is_empty());
    }

    #[test]
    fn test_modules_in_files_are_known() {
        let source = RustSource::split("#[cfg(test)]\nmod wire;\n");
        assert_eq!(declared_tests("crates/a/src/lib.rs", &source), ["crates/a/src/wire"]);
        assert_eq!(declared_tests("crates/a/src/b.rs", &source), ["crates/a/src/b/wire"]);
    }

    #[test]
    fn a_wire_name_outside_of_names_is_found() {
        let text = "const A: &str = \"x-opt-offset\";";
        one("crates/protocol/src/batch.rs", text, "names.rs");
        one("crates/amqp/src/codec/value.rs", text, "names.rs");
        assert!(findings("crates/protocol/src/names.rs", text).is_empty());
        assert!(findings("crates/protocol/tests/batch.rs", text).is_empty());
        assert!(findings("crates/emulator/src/wire.rs", text).is_empty());
        assert!(findings("crates/emulator/src/wire/peer.rs", text).is_empty());
        let sentence = "const A: &str = \"no x-opt-offset in it\";";
        assert!(findings("crates/protocol/src/batch.rs", sentence).is_empty());
    }
}
