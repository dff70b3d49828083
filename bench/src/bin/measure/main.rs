//! Runs one workload against a raw peer and prints what it took.
//!
//! `measure <workload> <count> --peer HOST:PORT [--allocations] [--engine]` on a current-thread
//! runtime. Prints one line, `events=N timed_events=N allocations=N nanoseconds=N
//! cpu_nanoseconds=N`: all events of the run and all allocations of the process, then those events
//! that passed while the clock ran. `--allocations` counts, `--engine` leaves the client out and
//! measures what is below it.

mod allocations;
mod client;
mod engine;
mod hosted;
mod meter;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use eventhubs_bench::Workload;

use crate::{allocations::Counting, meter::Reading};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Failure = Box<dyn Error + Send + Sync>;

/// A run that takes longer hangs; under callgrind the longest take half a minute.
const DEADLINE: Duration = Duration::from_secs(300);
/// Tasks of `send-100-tasks`.
const TASKS: u64 = 100;
/// Events in flight of `enqueue-100`.
const IN_FLIGHT: usize = 100;

/// The body of every event a workload sends; clones share it.
fn body(workload: Workload) -> Bytes {
    (0_u8..=250).cycle().take(workload.body()).collect::<Vec<_>>().into()
}

/// What a workload did.
#[derive(Clone, Copy, Debug)]
struct Done {
    events: u64,
    timed_events: u64,
    reading: Reading,
}

struct Arguments {
    workload: Workload,
    count: u64,
    peer: String,
    allocations: bool,
    engine: bool,
}

const USAGE: &str = "measure <workload> <count> --peer HOST:PORT [--allocations] [--engine]";

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut read = Self {
            workload: arguments.next().ok_or(USAGE)?.parse()?,
            count: arguments.next().ok_or(USAGE)?.parse()?,
            peer: String::new(),
            allocations: false,
            engine: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--peer" => read.peer = arguments.next().ok_or(USAGE)?,
                "--allocations" => read.allocations = true,
                "--engine" => read.engine = true,
                _ => return Err(USAGE.into()),
            }
        }
        if read.peer.is_empty() || read.count == 0 {
            return Err(USAGE.into());
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "measure: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    if arguments.allocations {
        allocations::start();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let run = async {
            if arguments.engine {
                engine::run(&arguments).await
            } else {
                client::run(&arguments).await
            }
        };
        tokio::time::timeout(DEADLINE, run)
            .await
            .map_err(|_| format!("not done within {} s", DEADLINE.as_secs()))?
    })?;
    writeln!(
        io::stdout(),
        "events={} timed_events={} allocations={} nanoseconds={} cpu_nanoseconds={}",
        done.events,
        done.timed_events,
        allocations::count(),
        done.reading.nanoseconds,
        done.reading.cpu_nanoseconds,
    )?;
    Ok(())
}
