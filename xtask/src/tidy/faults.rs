//! `docs/faults.md` against the tree: every row of the fault matrix is there once, and the tests
//! and drills it names exist where they belong.
//!
//! That the calls compile is a test of the emulator; it knows their types and this file does not.

use std::collections::BTreeSet;

use super::Finding;

pub(super) const DOC: &str = "docs/faults.md";

/// Beginnings of paths, each with what else the path holds.
type Places = &'static [(&'static str, &'static str)];

/// A cell that names tests: which it is, where those tests stand, and what it means when it is
/// empty.
#[derive(Debug)]
struct TestCell {
    at: usize,
    /// What the path of their file begins with, and what it holds: one of these.
    places: Places,
    is_needed: Option<&'static str>,
}

/// The rows of one letter.
#[derive(Debug)]
struct Table {
    letter: char,
    rows: u32,
    cells: usize,
    tests: &'static [TestCell],
    drills: usize,
}

/// Number, words, calls, tests of the emulator, tests of the client, drills.
const FAULT_CELLS: &[TestCell] = &[
    TestCell {
        at: 3,
        places: &[("crates/emulator/", "")],
        is_needed: Some("no test shows this fault"),
    },
    TestCell { at: 4, places: &[("crates/client/tests/", "")], is_needed: None },
];

/// Number, words, tests of the client, drills. What is wrong with a value may be shown where it is
/// made.
const INPUT_CELLS: &[TestCell] = &[TestCell {
    at: 2,
    places: &[("crates/", "/tests/")],
    is_needed: Some("no test shows what becomes of this input"),
}];

/// Number, words, tests, drills: what a process or a store does wrong, and the host survives. Real
/// processes are tested where their programs are.
const HOST_CELLS: &[TestCell] = &[TestCell {
    at: 2,
    places: &[("crates/eph/", ""), ("sim/", ""), ("examples/", "")],
    is_needed: Some("no test shows what the host makes of this"),
}];

const TABLES: &[Table] = &[
    Table { letter: 'N', rows: 16, cells: 6, tests: FAULT_CELLS, drills: 5 },
    Table { letter: 'S', rows: 46, cells: 6, tests: FAULT_CELLS, drills: 5 },
    Table { letter: 'U', rows: 14, cells: 4, tests: INPUT_CELLS, drills: 3 },
    Table { letter: 'P', rows: 17, cells: 4, tests: HOST_CELLS, drills: 3 },
    Table { letter: 'B', rows: 20, cells: 4, tests: HOST_CELLS, drills: 3 },
];

/// A test that a row names.
struct Named<'a> {
    line: usize,
    name: &'a str,
    places: Places,
}

/// Checks the tables. `sources` are paths and texts of the files in which tests may stand, `drills`
/// is the file of the drills.
pub(super) fn check<'a>(
    doc: &str,
    sources: impl Iterator<Item = (&'a str, &'a str)>,
    drills: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut missing: BTreeSet<String> = TABLES
        .iter()
        .flat_map(|table| (1..=table.rows).map(|number| format!("{}{number}", table.letter)))
        .collect();
    let mut named = Vec::new();
    for (line, text) in doc.lines().enumerate() {
        let Some((table, cells)) = row(text) else { continue };
        if !missing.remove(cells[0]) {
            let text = format!("{} is no row of the matrix, or stands here twice", cells[0]);
            findings.push(Finding::at(DOC, line, text));
        }
        if cells.len() != table.cells {
            findings.push(Finding::at(DOC, line, format!("a row has {} cells", table.cells)));
            continue;
        }
        for cell in table.tests {
            let tests = names(cells[cell.at]);
            if let (true, Some(text)) = (tests.is_empty(), cell.is_needed) {
                findings.push(Finding::at(DOC, line, text));
            }
            let places = cell.places;
            named.extend(tests.into_iter().map(|name| Named { line, name, places }));
        }
        for name in names(cells[table.drills]) {
            if !drills.contains(&format!("\nname = \"{name}\"\n")) {
                findings.push(Finding::at(DOC, line, format!("no drill is called {name}")));
            }
        }
    }
    findings.extend(
        missing.into_iter().map(|row| Finding::whole(DOC, format!("row {row} is missing"))),
    );
    for (path, source) in sources {
        named.retain(|Named { name, places, .. }| {
            let is_there =
                places.iter().any(|(begin, part)| path.starts_with(begin) && path.contains(part));
            !(is_there && source.contains(&format!("fn {name}(")))
        });
    }
    findings.extend(named.into_iter().map(|Named { line, name, places }| {
        let begins: Vec<&str> = places.iter().map(|(begin, _)| *begin).collect();
        Finding::at(DOC, line, format!("no test in {} is called {name}", begins.join(" or ")))
    }));
    findings
}

/// The cells of a line whose first is the letter of a table and a number.
fn row(line: &str) -> Option<(&'static Table, Vec<&str>)> {
    let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
    let cells: Vec<&str> = cells.into_iter().map(str::trim).collect();
    let mut chars = cells.first()?.chars();
    let letter = chars.next()?;
    let number = chars.as_str();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let table = TABLES.iter().find(|table| table.letter == letter)?;
    is_number.then_some((table, cells))
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: (&str, &str) = ("crates/client/tests/suite/a.rs", "#[test]\nfn survived() {}");

    fn document() -> String {
        let mut doc = String::new();
        for table in TABLES {
            for number in 1..=table.rows {
                let (letter, is_fault) = (table.letter, table.cells == 6);
                let (call, shown) = if is_fault { ("`y` | ", "`shown` | ") } else { ("", "") };
                let by = if matches!(letter, 'P' | 'B') { "hosted" } else { "survived" };
                let row = format!("| {letter}{number} | x | {call}{shown}`{by}` | |\n");
                doc.push_str(&row);
            }
        }
        doc
    }

    fn findings(doc: &str) -> Vec<String> {
        let shown = ("crates/emulator/tests/a.rs", "#[test]\nfn shown() {}");
        let sources = [shown, CLIENT, ("sim/tests/a.rs", "#[test]\nfn hosted() {}")];
        let drills = "[[drill]]\nname = \"found\"\nfile";
        check(doc, sources.into_iter(), drills).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_document_is_sound() {
        assert_eq!(findings(&document()), Vec::<String>::new());
    }

    #[test]
    fn a_row_that_is_missing_or_there_twice_is_found() {
        let doc = document().replace("| N3 |", "| N4 |");
        let found = findings(&doc);
        assert!(found.iter().any(|finding| finding.contains("row N3 is missing")), "{found:?}");
        assert!(found.iter().any(|finding| finding.contains("N4 is no row")), "{found:?}");
    }

    #[test]
    fn tests_and_drills_that_do_not_exist_are_found() {
        let change = |from: &str, to: &str| findings(&document().replacen(from, to, 1));
        let gone = "docs/faults.md:1: no test in crates/emulator/ is called";
        assert_eq!(change("`shown`", "`hidden`"), [format!("{gone} hidden")]);
        assert_eq!(change("`shown`", "`survived`"), [format!("{gone} survived")], "elsewhere");
        assert_eq!(change("`shown`", ""), ["docs/faults.md:1: no test shows this fault"]);
        let gone = "docs/faults.md:1: no test in crates/client/tests/ is called";
        assert_eq!(change("`survived`", "`shown`"), [format!("{gone} shown")], "elsewhere");
        assert!(change("`survived`", "").is_empty(), "others fill it");
        assert_eq!(change("| |\n", "| `lost` |\n"), ["docs/faults.md:1: no drill is called lost"]);
        assert!(change("| |\n", "| `found` |\n").is_empty());
        assert_eq!(change(" | |\n", " |\n"), ["docs/faults.md:1: a row has 6 cells"]);
        let gone = "docs/faults.md:77: no test in crates/eph/ or sim/ or examples/ is called";
        assert_eq!(change("`hosted`", "`shown`"), [format!("{gone} shown")], "elsewhere");
        let found = findings(&document().replace("| U14 | x | `survived` |", "| U14 | x | |"));
        assert_eq!(found, ["docs/faults.md:76: no test shows what becomes of this input"]);
    }
}
