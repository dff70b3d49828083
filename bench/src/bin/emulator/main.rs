//! What the emulator costs: how soon it accepts, how many events it takes and gives per second, and
//! how much memory a stored event takes.
//!
//! `emulator [--check]`: builds the release binary and drives it with our client over the loopback.
//! `--check` ends with status 1 where a limit of `limits.rs` is missed.

#![forbid(unsafe_code)]

mod limits;
mod load;
mod process;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use eventhubs_bench::built;
use eventhubs_client::{Hub, HubOptions, TlsOptions};

use limits::Figures;
use load::{Manner, Rate};
use process::{Emulator, HUB};

type Failure = Box<dyn Error + Send + Sync>;

/// How often it is started.
const STARTS: usize = 20;
/// A run that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(300);
/// Bytes of a small event and of a larger one.
const SMALL: usize = 100;
const LARGER: usize = 1024;
/// Events of the run that memory is measured with.
const MILLION: u64 = 1_000_000;

/// What is sent and received. As many events as every partition keeps.
const WORKLOADS: [(&str, Manner, usize, u64); 4] = [
    ("1 KiB, batches", Manner::Batches, LARGER, 320_000),
    ("1 KiB, singles", Manner::Singles, LARGER, 160_000),
    ("100 B, batches", Manner::Batches, SMALL, MILLION),
    ("100 B, singles", Manner::Singles, SMALL, 160_000),
];

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        other => {
            let _ = writeln!(io::stderr(), "emulator: unknown arguments {other:?}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(report()));
    match report {
        Ok(missed) if check && !missed.is_empty() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "emulator: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the table and what is missed, which it returns.
async fn report() -> Result<Vec<String>, Failure> {
    let messages = built::build(&["--release", "--package", "eventhubs-emulator"])?;
    let program = built::executable(&messages, "eventhubs-emulator")?;
    let mut out = io::stdout();
    let mut figures = Figures::default();
    let starts = starts(&program)?;
    figures.start_median = starts[starts.len() / 2];
    writeln!(
        out,
        "start to ready        median {:.1} ms, worst {:.1} ms of {STARTS}",
        milliseconds(figures.start_median),
        milliseconds(starts[starts.len() - 1]),
    )?;
    writeln!(
        out,
        "\nworkload               accepted/s  delivered/s  over TLS: accepted/s  delivered/s"
    )?;
    for (name, manner, size, count) in WORKLOADS {
        let (accepted, delivered) = run(&program, false, manner, size, count).await?;
        let (accepted_tls, delivered_tls) = run(&program, true, manner, size, count).await?;
        figures.slowest = figures.slowest.min(accepted.per_second()).min(delivered.per_second());
        writeln!(
            out,
            "{name:<22} {:>10.0} {:>12.0} {:>21.0} {:>12.0}",
            accepted.per_second(),
            delivered.per_second(),
            accepted_tls.per_second(),
            delivered_tls.per_second(),
        )?;
    }
    figures.bytes_per_event = memory(&program).await?;
    let mebibytes = figures.bytes_per_event * MILLION as f64 / f64::from(1 << 20);
    let bytes = figures.bytes_per_event;
    writeln!(out, "\nmemory of a million events of 100 B: {mebibytes:.0} MiB, {bytes:.0} B each")?;
    let missed = figures.missed();
    for line in &missed {
        writeln!(out, "over the limit: {line}")?;
    }
    Ok(missed)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// Times from start to ready, shortest first.
fn starts(program: &Path) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        times.push(Emulator::start(program, false)?.ready_after);
    }
    times.sort_unstable();
    Ok(times)
}

/// Sends to a new emulator and receives the same from it.
async fn run(
    program: &Path,
    tls: bool,
    manner: Manner,
    size: usize,
    count: u64,
) -> Result<(Rate, Rate), Failure> {
    let emulator = Emulator::start(program, tls)?;
    let hub = match tls {
        false => Hub::from_connection_string_for(emulator.plain(), HUB)?,
        true => {
            let trust =
                TlsOptions { roots_der: vec![emulator.authority()?], ..TlsOptions::default() };
            let options = HubOptions::default().with_tls(trust);
            Hub::from_connection_string_with(emulator.tls(), Some(HUB), options)?
        }
    };
    let both = async {
        let accepted = load::send(&hub, manner, size, count).await?;
        let delivered = load::receive(&hub, size, count).await?;
        Ok::<_, Failure>((accepted, delivered))
    };
    let rates = tokio::time::timeout(DEADLINE, both).await.map_err(|_| "a run hangs")??;
    hub.close().await;
    Ok(rates)
}

/// Bytes that one stored event of 100 bytes takes.
async fn memory(program: &Path) -> Result<f64, Failure> {
    let emulator = Emulator::start(program, false)?;
    let hub = Hub::from_connection_string_for(emulator.plain(), HUB)?;
    // What a connection and its links take is there before.
    load::send(&hub, Manner::Batches, SMALL, 8).await?;
    let before = emulator.resident()?;
    let sent = load::send(&hub, Manner::Batches, SMALL, MILLION).await?;
    let after = emulator.resident()?;
    hub.close().await;
    Ok(after.saturating_sub(before) as f64 / sent.events as f64)
}
