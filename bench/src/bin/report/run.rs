//! The runs of one workload and what they cost per event.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use eventhubs_bench::Workload;

use crate::Failure;

/// Cost per event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User-space instructions; `None` without valgrind.
    pub(crate) instructions: Option<f64>,
    pub(crate) allocations: f64,
    /// For information: the machine's load is in these two.
    pub(crate) cpu_nanoseconds: f64,
    pub(crate) events_per_second: f64,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) program: &'a Path,
    pub(crate) workload: Workload,
    pub(crate) peer: &'a str,
    /// Without the client.
    pub(crate) engine: bool,
}

impl Subject<'_> {
    /// Runs it in every way.
    pub(crate) fn cost(&self, callgrind: bool) -> Result<Cost, Failure> {
        let runs = self.workload.runs();
        let instructions = if callgrind {
            Some(per_event(self.instructions(runs.short)?, self.instructions(runs.long)?)?)
        } else {
            None
        };
        let count = |count| {
            let (figures, _) = self.run(Command::new(self.program), count, true)?;
            Ok::<_, Failure>((figures.events, figures.allocations))
        };
        let allocations = per_event(count(runs.short)?, count(runs.long)?)?;
        let (plain, _) = self.run(Command::new(self.program), runs.plain, false)?;
        let timed = plain.timed_events as f64;
        Ok(Cost {
            instructions,
            allocations,
            cpu_nanoseconds: plain.cpu_nanoseconds as f64 / timed,
            events_per_second: timed / (plain.nanoseconds as f64 / 1e9),
        })
    }

    /// Events and instructions of one run under callgrind.
    fn instructions(&self, count: u64) -> Result<(u64, u64), Failure> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(self.program);
        let (figures, said) = self.run(command, count, false)?;
        let collected = collected(&said).ok_or("callgrind did not say what it collected")?;
        Ok((figures.events, collected))
    }

    /// Runs `command` with the arguments of `measure`; what it printed and its standard error.
    fn run(
        &self,
        mut command: Command,
        count: u64,
        allocations: bool,
    ) -> Result<(Figures, String), Failure> {
        let workload = self.workload;
        command.arg(workload.name()).arg(count.to_string()).args(["--peer", self.peer]);
        if allocations {
            command.arg("--allocations");
        }
        if self.engine {
            command.arg("--engine");
        }
        let output = command.stdin(Stdio::null()).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("measure {workload} {count}: {}\n{stderr}", output.status).into());
        }
        let stdout = String::from_utf8(output.stdout)?;
        let figures = Figures::read(&stdout).ok_or_else(|| format!("measure said {stdout:?}"))?;
        Ok((figures, stderr))
    }
}

/// The difference of two runs, so that start-up cancels.
fn per_event(short: (u64, u64), long: (u64, u64)) -> Result<f64, Failure> {
    let events = long.0.checked_sub(short.0).filter(|events| *events > 0);
    let events = events.ok_or("the long run had no more events than the short one")?;
    Ok((long.1 as f64 - short.1 as f64) / events as f64)
}

/// Whether callgrind can be run here.
pub(crate) fn callgrind_is_there() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The count in callgrind's line `==1234== Collected : 567`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?.1;
    line.split_whitespace().next()?.parse().ok()
}

/// What one run of `measure` printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    events: u64,
    timed_events: u64,
    allocations: u64,
    nanoseconds: u64,
    cpu_nanoseconds: u64,
}

impl Figures {
    fn read(text: &str) -> Option<Self> {
        let mut figures = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            let figure = match name {
                "events" => &mut figures.events,
                "timed_events" => &mut figures.timed_events,
                "allocations" => &mut figures.allocations,
                "nanoseconds" => &mut figures.nanoseconds,
                "cpu_nanoseconds" => &mut figures.cpu_nanoseconds,
                _ => return None,
            };
            *figure = value.parse().ok()?;
        }
        (figures.timed_events > 0 && figures.nanoseconds > 0).then_some(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_callgrind() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456789\n==7== \n";
        assert_eq!(collected(said), Some(123_456_789));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn reads_figures() {
        let text = "events=10 timed_events=9 allocations=3 nanoseconds=5 cpu_nanoseconds=4\n";
        let figures = Figures::read(text).expect("readable");
        assert_eq!((figures.events, figures.timed_events, figures.allocations), (10, 9, 3));
        assert_eq!(Figures::read("events=x"), None);
        assert_eq!(Figures::read(""), None);
    }

    #[test]
    fn start_up_cancels() {
        assert_eq!(per_event((10, 1_000), (30, 3_000)).ok(), Some(100.0));
        assert!(per_event((10, 1), (10, 2)).is_err());
    }
}
