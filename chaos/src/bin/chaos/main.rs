//! Whether anything is lost while everything goes wrong.
//!
//! `chaos [--profile client|soak|eph] [--seconds N] [--seed S] [--transport memory|tcp|tls]
//! [--rows N5,S17] [--bug NAME]`: runs, prints a table, and ends with status 1 when a promise was
//! broken. The same seed is the same schedule.

mod arguments;
mod live_bytes;
mod terminal;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventhubs_chaos::run::{self, Gauges, Log as _};
use tokio::runtime::{Builder, Runtime};

use arguments::{Arguments, Profile};
use terminal::Terminal;

#[global_allocator]
static ALLOCATOR: live_bytes::Counting = live_bytes::Counting;

/// Panics, which tasks swallow.
static PANICS: AtomicUsize = AtomicUsize::new(0);

const GAUGES: Gauges = Gauges {
    live: live_bytes::live,
    peak: live_bytes::peak,
    panics: || PANICS.load(Ordering::Relaxed),
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().is_some_and(|first| first == run::CHILD) {
        return child();
    }
    let terminal = Terminal::new();
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            terminal.line(&format!("{problem}\n{}", arguments::USAGE));
            return ExitCode::from(2);
        }
    };
    count_panics();
    let runtime = match runtime(&arguments) {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.line(&error.to_string());
            return ExitCode::from(2);
        }
    };
    terminal.line(&arguments.to_string());
    let report = runtime.block_on(async {
        let settings = &arguments.settings;
        match arguments.profile {
            Profile::Client => run::client(settings, &GAUGES, &terminal).await,
            Profile::Soak => run::soak(settings, &GAUGES, &terminal).await,
            Profile::Eph => run::eph(settings, &GAUGES, &terminal).await,
        }
    });
    terminal.clear();
    match report {
        Ok(report) => {
            terminal.line(&report.to_string());
            match report.findings.is_empty() {
                true => ExitCode::SUCCESS,
                false => {
                    terminal.line(&format!("to replay: {arguments}"));
                    ExitCode::FAILURE
                }
            }
        }
        Err(failure) => {
            terminal.line(&format!("no run: {failure}"));
            ExitCode::from(2)
        }
    }
}

/// The process of one host. Its standard output is a journal; what is wrong goes to standard error,
/// where the parent finds it.
fn child() -> ExitCode {
    match run::child(&GAUGES) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// One thread or several, by the seed.
fn runtime(arguments: &Arguments) -> std::io::Result<Runtime> {
    match arguments.is_single_threaded() {
        true => Builder::new_current_thread().enable_all().build(),
        false => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
    }
}

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}
