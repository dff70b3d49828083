//! `docs/faults.md` against the tree: every row of the fault matrix is there once, and the tests
//! and drills it names exist.
//!
//! That the calls compile is a test of the emulator; it knows their types and this file does not.

use std::collections::BTreeSet;

use super::Finding;

pub(super) const DOC: &str = "docs/faults.md";

/// Rows of the matrix: a letter and how many there are.
const ROWS: [(char, u32); 2] = [('N', 16), ('S', 46)];

/// Cells of a row: number, words, calls, tests, drills.
const CELLS: usize = 5;

/// Checks the tables. `sources` are the texts in which tests may stand, `drills` is the file of
/// the drills.
pub(super) fn check<'a>(
    doc: &str,
    sources: impl Iterator<Item = &'a str>,
    drills: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut missing: BTreeSet<String> = ROWS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect();
    let mut tests = Vec::new();
    for (line, text) in doc.lines().enumerate() {
        let Some(cells) = row(text) else { continue };
        if !missing.remove(cells[0]) {
            let text = format!("{} is no row of the matrix, or stands here twice", cells[0]);
            findings.push(Finding::at(DOC, line, text));
        }
        if cells.len() != CELLS {
            findings.push(Finding::at(DOC, line, format!("a row has {CELLS} cells")));
            continue;
        }
        let named = names(cells[3]);
        if named.is_empty() {
            findings.push(Finding::at(DOC, line, "no test shows this fault"));
        }
        tests.extend(named.into_iter().map(|name| (line, name)));
        for name in names(cells[4]) {
            if !drills.contains(&format!("\nname = \"{name}\"\n")) {
                findings.push(Finding::at(DOC, line, format!("no drill is called {name}")));
            }
        }
    }
    findings.extend(
        missing.into_iter().map(|row| Finding::whole(DOC, format!("row {row} is missing"))),
    );
    for source in sources {
        tests.retain(|(_, name)| !source.contains(&format!("fn {name}(")));
    }
    let gone = |(line, name)| Finding::at(DOC, line, format!("no test is called {name}"));
    findings.extend(tests.into_iter().map(gone));
    findings
}

/// The cells of a line whose first is a letter and a number.
fn row(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
    let cells: Vec<&str> = cells.into_iter().map(str::trim).collect();
    let first = cells.first()?;
    let mut chars = first.chars();
    let letter = chars.next()?;
    let number = chars.as_str();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (ROWS.iter().any(|(known, _)| *known == letter) && is_number).then_some(cells)
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> String {
        let rows = ROWS.iter().flat_map(|(letter, count)| {
            (1..=*count).map(move |number| format!("| {letter}{number} | x | `y` | `shown` | |\n"))
        });
        rows.collect()
    }

    fn findings(doc: &str) -> Vec<String> {
        let sources = ["#[test]\nfn shown() {}"];
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
        assert_eq!(change("`shown`", "`hidden`"), ["docs/faults.md:1: no test is called hidden"]);
        assert_eq!(change("`shown`", ""), ["docs/faults.md:1: no test shows this fault"]);
        assert_eq!(change("| |\n", "| `lost` |\n"), ["docs/faults.md:1: no drill is called lost"]);
        assert!(change("| |\n", "| `found` |\n").is_empty());
        assert_eq!(change(" | |\n", " |\n"), ["docs/faults.md:1: a row has 5 cells"]);
    }
}
