//! Our engine as one end of a connection whose other end is somebody else's AMQP implementation.
//!
//! `peer listen|dial [--address HOST:PORT] [--count N] [--small] [--user NAME:PASSWORD]`. As a
//! listener it prints `ready HOST:PORT` and plays the nodes of `node.rs` to whoever dials; as a
//! dialler it runs the cases of `case.rs` against a listener that plays the same nodes, and prints
//! `ok NAME` or `FAIL NAME: reason` for each. Both print what they counted as `fact ...`, for the
//! driver to compare with what the other end counted. It ends with its standard input.

#![forbid(unsafe_code)]

mod case;
mod flow;
mod message;
mod node;
mod settings;

use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use settings::{Role, Settings};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    end_with_parent();
    let outcome = Settings::read(std::env::args().skip(1)).and_then(|settings| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match settings.role {
                Role::Listen => node::listen(settings).await,
                Role::Dial => case::run_all(settings).await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "peer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Exits at the end of standard input, which whoever started us keeps open.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut buffer = [0; 256];
        let mut input = io::stdin().lock();
        while matches!(input.read(&mut buffer), Ok(count) if count > 0) {}
        std::process::exit(0);
    });
}

/// Prints one line at once, whole.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
