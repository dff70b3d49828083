//! Known defects of the official clients: the only cases that may end in two ways.

use std::collections::BTreeMap;

use serde_json::Value;

use super::matrix::{Client, Transport};
use crate::failure::Failure;
use crate::terminal;
use crate::workspace::Workspace;

const FILE: &str = "interop/known-defects.json";

/// One row: a defect of one or more clients, and the cases that meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defect {
    clients: Vec<String>,
    /// The transports on which they meet it; all when there are none.
    transports: Vec<String>,
    cases: Vec<String>,
    /// What the runner is told: how the case may end.
    accepted: Value,
    what: String,
    why: String,
}

/// The table, and how often each row was met.
#[derive(Debug, Default)]
pub(crate) struct Defects {
    rows: Vec<Defect>,
    /// By row: cases that ran, and those of them in which the defect showed.
    seen: BTreeMap<usize, (u32, u32)>,
}

impl Defects {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self, Failure> {
        Self::parse(&workspace.read(FILE)?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let odd = |what: &str| Failure::new(format!("{FILE}: {what}"));
        let root: Value = serde_json::from_str(text).map_err(|error| odd(&error.to_string()))?;
        let rows = root.as_array().ok_or_else(|| odd("a list of defects is expected"))?;
        let rows = rows
            .iter()
            .map(|row| parse_row(row).ok_or_else(|| odd(&format!("not a defect: {row}"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { rows, seen: BTreeMap::new() })
    }

    /// What a runner is told of them.
    pub(crate) fn of(&self, client: Client, transport: Transport) -> Value {
        let mine = self.rows.iter().filter(|row| row.concerns(client, transport));
        let cases = mine.flat_map(|row| {
            row.cases.iter().map(|case| {
                let mut told = row.accepted.clone();
                told["case"] = Value::from(case.as_str());
                told
            })
        });
        Value::from(cases.collect::<Vec<_>>())
    }

    /// Notes what a runner said of one: the text behind the word `defect` of its line.
    pub(crate) fn note(&mut self, client: Client, transport: Transport, text: &str) {
        let (case, outcome) = text.split_once(": ").unwrap_or((text, ""));
        let is_it = |row: &Defect| {
            row.concerns(client, transport) && row.cases.iter().any(|known| known == case)
        };
        if let Some(row) = self.rows.iter().position(is_it) {
            let (ran, met) = self.seen.entry(row).or_default();
            *ran += 1;
            *met += u32::from(outcome != "not met");
        }
    }

    /// Prints the rows that were run, with how often each was met.
    pub(crate) fn print(&self) {
        if self.seen.is_empty() {
            return;
        }
        terminal::line("\nKnown defects of the clients (met / run):");
        for (index, (ran, met)) in &self.seen {
            let row = &self.rows[*index];
            terminal::line(format_args!("- {met}/{ran} {}: {}", row.clients.join(", "), row.what));
            terminal::line(format_args!("  {}", row.why));
            terminal::line(format_args!("  cases: {}", row.cases.join(", ")));
        }
        terminal::line("");
    }

    /// Rows that no case has run: nobody would notice that they are out of date.
    pub(crate) fn unused(&self) -> Vec<&str> {
        let rows = self.rows.iter().enumerate();
        let unused = rows.filter(|(index, _)| !self.seen.contains_key(index));
        unused.map(|(_, row)| row.what.as_str()).collect()
    }
}

impl Defect {
    fn concerns(&self, client: Client, transport: Transport) -> bool {
        let is_there =
            self.transports.is_empty() || self.transports.contains(&transport.to_string());
        is_there && self.clients.contains(&client.to_string())
    }
}

fn parse_row(row: &Value) -> Option<Defect> {
    let list = |key: &str| {
        let values = row[key].as_array()?;
        values.iter().map(|value| Some(value.as_str()?.to_owned())).collect::<Option<Vec<_>>>()
    };
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    let optional = |key: &str| match row[key] {
        Value::Null => Some(Vec::new()),
        _ => list(key),
    };
    let (hangs, errors) = (row["hangs"] == true, optional("errors")?);
    if !hangs && errors.is_empty() {
        return None;
    }
    Some(Defect {
        clients: list("clients")?,
        transports: optional("transports")?,
        cases: list("cases")?,
        accepted: serde_json::json!({ "hangs": hangs, "errors": errors }),
        what: text("what")?,
        why: text("why")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"[
        {"clients": ["python", "python-aio"], "cases": ["a", "b"], "hangs": true,
         "what": "it hangs", "why": "it forgets"},
        {"clients": ["rust"], "transports": ["tls"], "cases": ["c"], "errors": ["gone"],
         "what": "it fails", "why": "so"}
    ]"#;

    #[test]
    fn a_runner_is_told_of_its_own_defects() {
        let table = Defects::parse(TABLE).expect("a good table");
        let told = table.of(Client::PythonAio, Transport::Tls);
        assert_eq!(told.as_array().map(Vec::len), Some(2));
        assert_eq!(told[1], serde_json::json!({"case": "b", "hangs": true, "errors": []}));
        let count = |client, transport| table.of(client, transport).as_array().map(Vec::len);
        assert_eq!(count(Client::Rust, Transport::Tls), Some(1));
        assert_eq!(count(Client::Rust, Transport::Plaintext), Some(0));
        assert_eq!(count(Client::JavaScript, Transport::Tls), Some(0));
    }

    #[test]
    fn a_row_that_nothing_runs_is_found() {
        let mut table = Defects::parse(TABLE).expect("a good table");
        table.note(Client::Python, Transport::Tls, "a: not met");
        table.note(Client::Python, Transport::WebSocket, "b: no result within 12 s");
        table.note(Client::JavaScript, Transport::Tls, "c: gone");
        assert_eq!(table.seen[&0], (2, 1));
        assert_eq!(table.unused(), ["it fails"]);
    }

    #[test]
    fn a_row_without_an_outcome_is_refused() {
        let row = r#"[{"clients": [], "cases": [], "what": "", "why": ""}]"#;
        assert!(Defects::parse(row).is_err());
        assert!(Defects::parse("{}").is_err());
    }
}
