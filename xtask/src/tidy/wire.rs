//! `docs/wire.md` against the two files that spell the service's names.
//!
//! The client's crates and the emulator each spell the names themselves. The tables between
//! `<!-- names -->` or `<!-- numbers -->` and the end of each table list every one with its
//! source; the column "Spelled by" says `client`, `emulator` or `both`. A name that is spelled
//! differently on one side therefore needs a row of its own, and a row needs a source.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::rust_source::RustSource;

const DOC: &str = "docs/wire.md";

/// Who spells names, and where.
pub(super) const NAME_FILES: [(&str, &str); 2] =
    [("client", "crates/protocol/src/names.rs"), ("emulator", "crates/emulator/src/names.rs")];

/// Names or numbers, each with who spells it.
type Spelled = BTreeMap<String, BTreeSet<&'static str>>;

/// Compares the tables with the files, both ways. A file is (who, path, text).
pub(super) fn check(doc: &str, files: &[(&'static str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names = Spelled::new();
    let mut numbers = Spelled::new();
    for &(by, path, text) in files {
        if text.is_empty() {
            findings.push(Finding::whole(path, "the file that spells the wire names is gone"));
        }
        let source = RustSource::split(text);
        let lines: Vec<&str> = source.code.lines().collect();
        // A feature's name in an attribute is no name on the wire.
        let is_attribute =
            |line: usize| lines.get(line).is_some_and(|text| text.trim_start().starts_with("#["));
        let is_name = |line| !source.is_test_line(line) && !is_attribute(line);
        for literal in source.strings.iter().filter(|one| is_name(one.line)) {
            names.entry(literal.text.clone()).or_default().insert(by);
        }
        for number in hexadecimals(&source.code) {
            numbers.entry(format!("{number:#x}")).or_default().insert(by);
        }
    }
    let mut listed_names = Spelled::new();
    let mut listed_numbers = Spelled::new();
    read_tables(doc, &mut listed_names, &mut listed_numbers, &mut findings);
    compare("name", &names, &listed_names, &mut findings);
    compare("number", &numbers, &listed_numbers, &mut findings);
    findings
}

fn compare(what: &str, spelled: &Spelled, listed: &Spelled, findings: &mut Vec<Finding>) {
    let all: BTreeSet<&String> = spelled.keys().chain(listed.keys()).collect();
    for key in all {
        let text = match (spelled.get(key), listed.get(key)) {
            (Some(have), Some(said)) if have == said => continue,
            (Some(have), Some(_)) => format!("the {what} `{key}` is spelled by {}", by(have)),
            (Some(have), None) => format!("the {what} `{key}` ({}) is not listed", by(have)),
            (None, _) => format!("the {what} `{key}` is listed, but nobody spells it"),
        };
        findings.push(Finding::whole(DOC, text));
    }
}

fn by(who: &BTreeSet<&'static str>) -> String {
    if who.len() == NAME_FILES.len() {
        return "both".to_owned();
    }
    who.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Reads the marked tables. The first cell of a row is the name between backticks, the second is
/// who spells it, the last is the source.
fn read_tables(doc: &str, names: &mut Spelled, numbers: &mut Spelled, findings: &mut Vec<Finding>) {
    let mut kind = None;
    for (line, text) in doc.lines().enumerate() {
        match text.trim() {
            "<!-- names -->" => kind = Some("names"),
            "<!-- numbers -->" => kind = Some("numbers"),
            "" if kind.is_some_and(|_| doc.lines().nth(line - 1).is_some_and(is_row)) => {
                kind = None
            }
            row if is_row(row) && row.contains('`') => {
                let Some(kind) = kind else { continue };
                let Some((key, who)) = read_row(row) else {
                    findings.push(Finding::at(
                        DOC,
                        line,
                        "a row is: name, spelled by, ..., source",
                    ));
                    continue;
                };
                let list = if kind == "names" { &mut *names } else { &mut *numbers };
                let key = if kind == "names" { key } else { normal_number(&key).unwrap_or(key) };
                // One name may mean two things and then has two rows.
                list.entry(key).or_default().extend(who);
            }
            _ => {}
        }
    }
}

fn is_row(line: &str) -> bool {
    line.trim_start().starts_with('|')
}

fn read_row(row: &str) -> Option<(String, BTreeSet<&'static str>)> {
    let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
    let key = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
    let who = match *cells.get(1)? {
        "both" => NAME_FILES.iter().map(|(by, _)| *by).collect(),
        one => NAME_FILES.iter().map(|(by, _)| *by).filter(|by| *by == one).collect(),
    };
    let is_complete = cells.len() > 2 && cells.last().is_some_and(|source| !source.is_empty());
    (is_complete && !BTreeSet::is_empty(&who)).then(|| (key.to_owned(), who))
}

/// The hexadecimal literals of some code, in order.
fn hexadecimals(code: &str) -> Vec<u64> {
    code.match_indices("0x")
        .filter_map(|(at, _)| {
            let digits: String = code[at + 2..]
                .chars()
                .take_while(|c| c.is_ascii_hexdigit() || *c == '_')
                .filter(|c| *c != '_')
                .collect();
            u64::from_str_radix(&digits, 16).ok()
        })
        .collect()
}

fn normal_number(text: &str) -> Option<String> {
    hexadecimals(text).first().map(|number| format!("{number:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "/// \"no name\"\npub const A: &str = \"x-opt-a\";\n\
        pub const B: &str = \"both\";\npub const N: u64 = 0x8001_3700;\n";
    const EMULATOR: &str = "const B: &str = \"both\";\nconst N: u64 = 0x80013700;\n";
    const DOC_TEXT: &str = "# Wire\n\n<!-- names -->\n| Name | Spelled by | Source |\n|---|---|---|\n\
        | `x-opt-a` | client | page |\n| `both` | both | page |\n\nText.\n\n\
        | `other` | table |\n\n<!-- numbers -->\n| Number | Spelled by | Source |\n|---|---|---|\n\
        | `0x80013700` | both | page |\n";

    fn problems(doc: &str, client: &str, emulator: &str) -> Vec<String> {
        let files = [("client", "a/names.rs", client), ("emulator", "b/names.rs", emulator)];
        check(doc, &files).into_iter().map(|one| one.text).collect()
    }

    #[track_caller]
    fn one(found: &[String], expected: &str) {
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn tables_that_agree_have_no_findings() {
        assert_eq!(problems(DOC_TEXT, CLIENT, EMULATOR), Vec::<String>::new());
    }

    #[test]
    fn a_feature_is_no_name() {
        let more = format!("#[cfg(feature = \"extra\")]\n{EMULATOR}");
        assert_eq!(problems(DOC_TEXT, CLIENT, &more), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_is_not_listed_is_found() {
        let more = format!("{CLIENT}pub const C: &str = \"x-opt-c\";\n");
        one(&problems(DOC_TEXT, &more, EMULATOR), "`x-opt-c` (client) is not listed");
    }

    #[test]
    fn a_listed_name_nobody_spells_is_found() {
        let doc = DOC_TEXT.replace("| `both` |", "| `gone` | both | page |\n| `both` |");
        one(&problems(&doc, CLIENT, EMULATOR), "`gone` is listed");
    }

    #[test]
    fn a_name_that_one_side_spells_differently_is_found() {
        let typed_wrong = EMULATOR.replace("\"both\"", "\"boht\"");
        let found = problems(DOC_TEXT, CLIENT, &typed_wrong);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_wrong_number_is_found() {
        let wrong = EMULATOR.replace("0x80013700", "0x80013701");
        assert_eq!(problems(DOC_TEXT, CLIENT, &wrong).len(), 2);
    }

    #[test]
    fn a_row_without_a_source_is_found() {
        let doc = DOC_TEXT.replace("| `x-opt-a` | client | page |", "| `x-opt-a` | client |  |");
        assert!(problems(&doc, CLIENT, EMULATOR)[0].contains("a row is"));
    }
}
