//! `docs/parity.md` against the tree: each test it names stands in a file that it names.

use super::Finding;

pub(super) const DOC: &str = "docs/parity.md";

/// Cells of a row: their test, its claim, our tests, their files.
const CELLS: usize = 4;

/// Checks the tables. `source` gives the text of a file of the tree.
pub(super) fn check<'a>(doc: &str, source: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rows = 0;
    for (line, text) in doc.lines().enumerate() {
        let Some(cells) = row(text) else { continue };
        rows += 1;
        if cells.len() != CELLS {
            findings.push(Finding::at(DOC, line, format!("a row has {CELLS} cells")));
            continue;
        }
        let (tests, files) = (names(cells[2]), names(cells[3]));
        if tests.is_empty() {
            findings.push(Finding::at(DOC, line, format!("{} has no test of ours", cells[0])));
        }
        let mut texts = Vec::new();
        for file in files {
            match source(file) {
                Some(text) => texts.push(text),
                None => findings.push(Finding::at(DOC, line, format!("there is no file {file}"))),
            }
        }
        for name in tests {
            let function = format!("fn {name}(");
            if !texts.iter().any(|text| text.contains(&function)) {
                findings.push(Finding::at(DOC, line, format!("no test here is called {name}")));
            }
        }
    }
    if rows == 0 {
        findings.push(Finding::whole(DOC, "it names no test"));
    }
    findings
}

/// The cells of a line whose first is a name in backticks.
fn row(line: &str) -> Option<Vec<&str>> {
    let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|');
    let cells: Vec<&str> = cells.map(str::trim).collect();
    cells.first()?.starts_with('`').then_some(cells)
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "| Theirs | Claim | Ours | File |\n|---|---|---|---|\n\
        | `TestA` | it works | `works`<br>`works_again` | `a/b.rs`<br>`c.rs` |\n";

    fn findings(doc: &str) -> Vec<String> {
        let source = |path: &str| match path {
            "a/b.rs" => Some("#[test]\nfn works() {}\n"),
            "c.rs" => Some("#[tokio::test]\nasync fn works_again() {}\n"),
            _ => None,
        };
        check(doc, source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tests_that_stand_where_they_are_said_to_are_sound() {
        assert_eq!(findings(SOUND), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_found() {
        let change = |from: &str, to: &str| findings(&SOUND.replacen(from, to, 1));
        let at = "docs/parity.md:3:";
        assert_eq!(change("`works`", "`worked`"), [format!("{at} no test here is called worked")]);
        let gone = change("`a/b.rs`", "`d.rs`");
        assert_eq!(gone[0], format!("{at} there is no file d.rs"));
        assert_eq!(gone[1], format!("{at} no test here is called works"));
        let none = change("`works`<br>`works_again`", "");
        assert_eq!(none, [format!("{at} `TestA` has no test of ours")]);
        assert_eq!(change("| it works |", "|"), [format!("{at} a row has 4 cells")]);
        assert_eq!(findings("# Parity\n"), ["docs/parity.md: it names no test"]);
    }
}
