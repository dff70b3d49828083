//! How many things passed and failed, read from the lines that test runners print.

use std::fmt;
use std::process::Command;

use crate::failure::Failure;
use crate::{process, terminal};

/// Counts of one verb. A verb that counts nothing returns the empty tally.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Reads `test result: ok. 12 passed; 0 failed; ...`, which the test harness prints.
    pub(crate) fn of_harness(line: &str) -> Option<Self> {
        Self::counts(line.trim().strip_prefix("test result:")?.split_once(". ")?.1)
    }

    /// Reads `12 passed, 0 failed`, which our own runners print last.
    pub(crate) fn of_runner(line: &str) -> Option<Self> {
        Self::counts(line.trim())
    }

    /// Runs one of our runners, called `name`, and shows what it prints. Whatever was missing, it
    /// says so itself and counts that; one that counts nothing has not run.
    pub(crate) fn of_run(command: &mut Command, name: &str) -> Result<Self, Failure> {
        let mut tally = Self::default();
        let status = process::watch(command, |line| match Self::of_runner(line) {
            Some(found) => tally = found,
            None => terminal::line(line),
        })?;
        match tally.passed {
            0 => Err(Failure::new(format!("{name} ended with {status} and passed nothing"))),
            _ => Ok(tally),
        }
    }

    fn counts(text: &str) -> Option<Self> {
        let mut parts = text.split([',', ';']).map(str::trim);
        let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
        let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
        Some(Self { passed, failed })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_test_harness_prints() {
        let line = "test result: FAILED. 11 passed; 2 failed; 0 ignored; 0 measured; \
                    0 filtered out; finished in 0.00s";
        assert_eq!(Tally::of_harness(line), Some(Tally { passed: 11, failed: 2 }));
    }

    #[test]
    fn reads_the_last_line_of_a_runner() {
        assert_eq!(Tally::of_runner("14 passed, 0 failed"), Some(Tally { passed: 14, failed: 0 }));
    }

    #[test]
    fn other_lines_are_not_counts() {
        for line in
            ["", "running 3 tests", "test a ... ok", "x passed, 1 failed", "test result: ok"]
        {
            assert_eq!(Tally::of_harness(line), None, "{line}");
            assert_eq!(Tally::of_runner(line), None, "{line}");
        }
        assert_eq!(Tally::of_harness("14 passed, 0 failed"), None);
    }
}
