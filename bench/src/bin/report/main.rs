//! The table of workload and cost, compared with the contract.
//!
//! `report [--check] [--engine] [--workload NAME]...`: builds `raw-peer` and `measure` with the bench
//! profile, then runs each workload three ways: twice under callgrind and twice with a counting
//! allocator, at two lengths each, of which the difference per event is reported; and once plain,
//! against the clock, for information only. `--check` ends with status 1 where a limit is missed,
//! `--engine` measures what is below the client (to see where the cost is; nothing is promised).

#![forbid(unsafe_code)]

mod binaries;
mod peer;
mod run;
mod table;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use eventhubs_bench::{Workload, contract};

use crate::{
    binaries::Binaries,
    peer::Peer,
    run::{Cost, Subject},
};

type Failure = Box<dyn Error + Send + Sync>;

struct Arguments {
    check: bool,
    engine: bool,
    workloads: Vec<Workload>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut read = Self { check: false, engine: false, workloads: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => read.check = true,
                "--engine" => read.engine = true,
                "--workload" => {
                    let name = arguments.next().ok_or("--workload needs a name")?;
                    read.workloads.push(name.parse()?);
                }
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        if read.workloads.is_empty() {
            read.workloads = Workload::ALL.to_vec();
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    match report() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "report: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the table; false when `--check` found a limit missed.
fn report() -> Result<bool, Failure> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let binaries = Binaries::build()?;
    let callgrind = run::callgrind_is_there();
    let mut out = io::stdout();
    if !callgrind {
        writeln!(out, "valgrind is not installed: instructions are not counted (apt: valgrind)")?;
    }
    writeln!(out, "{}", table::HEADING)?;
    let mut missed = Vec::new();
    let measure = |workload| {
        let peer = Peer::start(&binaries.raw_peer)?;
        let (program, engine) = (binaries.measure.as_path(), arguments.engine);
        Subject { program, workload, peer: peer.address(), engine }.cost(callgrind)
    };
    let mut costs: Vec<(Workload, Cost)> = Vec::new();
    for limit in contract::CONTRACT {
        if !arguments.workloads.contains(&limit.workload) {
            continue;
        }
        if let Some(other) = limit.ratio.map(|ratio| ratio.of)
            && costs.iter().all(|(workload, _)| *workload != other)
        {
            costs.push((other, measure(other)?));
        }
        let cost = measure(limit.workload)?;
        let other = limit.ratio.and_then(|ratio| costs.iter().find(|(of, _)| *of == ratio.of));
        let limit = table::resolved(&limit, other.map(|(_, cost)| cost));
        writeln!(out, "{}", table::row(&limit, &cost))?;
        missed.extend(table::missed(&limit, &cost));
        costs.push((limit.workload, cost));
    }
    for line in &missed {
        writeln!(out, "over the limit: {line}")?;
    }
    if arguments.check && !callgrind {
        return Err("--check needs valgrind".into());
    }
    Ok(!arguments.check || missed.is_empty())
}
