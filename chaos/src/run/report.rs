//! What a run says in the end.

use std::fmt;
use std::time::Duration;

use super::board::Board;
use super::disorder::Struck;
use crate::violation::Findings;

/// The outcome of a run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// What the table shows, line by line.
    pub lines: Vec<(String, String)>,
    /// What is wrong.
    pub findings: Findings,
}

impl Report {
    pub(crate) fn line(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.lines.push((name.into(), value.to_string()));
    }

    /// The value of a line.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The longest time without success of a producer and of a consumer.
    pub(crate) fn stalls(&mut self, board: &Board) {
        for (who, all) in [("a producer", &board.producing), ("a consumer", &board.consuming)] {
            let stalls = all.iter().map(super::board::Progress::stall);
            let (stall, end) = stalls.max().unwrap_or((Duration::ZERO, Duration::ZERO));
            let text = format!("{:.1} s, over at {:.1} s", stall.as_secs_f64(), end.as_secs_f64());
            self.line(format!("longest stall of {who}"), text);
        }
    }

    /// How long operations took.
    pub(crate) fn operations(&mut self, board: &Board) {
        for (name, kind) in board.measures.kinds() {
            let text = format!(
                "{} times, {:.2} s at most of {:.0} s",
                kind.count,
                kind.longest.as_secs_f64(),
                kind.limit.as_secs_f64()
            );
            self.line(name, text);
        }
        self.line("turns of this process", format!("{:?} late at most", board.measures.lag()));
    }

    /// What went wrong on request.
    pub(crate) fn struck(&mut self, struck: &Struck) {
        let text = format!("{} in {} windows", struck.strikes(), struck.windows());
        self.line("faults struck", text);
        let rows =
            struck.rows.iter().map(|(row, (windows, hits))| format!("{row} {hits}/{windows}"));
        self.line("by row, strikes/windows", rows.collect::<Vec<_>>().join(", "));
    }

    /// What clients were told.
    pub(crate) fn errors(&mut self, board: &Board) {
        for ((place, kind), (count, sample)) in board.errors() {
            self.line(format!("{place}: {kind}"), format!("{count} times, as {sample}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.lines {
            writeln!(f, "{name:<widest$}  {value}")?;
        }
        for violation in self.findings.kept() {
            writeln!(f, "VIOLATION {violation}")?;
        }
        write!(f, "{:<widest$}  {}", "violations", self.findings.total())
    }
}
