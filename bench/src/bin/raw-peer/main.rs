//! A raw AMQP peer to measure clients against.
//!
//! It runs in a process of its own and shares no code with the engine: receiving links are given
//! an endless stream of pre-encoded, settled events for as long as there is credit and window;
//! sending links get credit and one settled `accepted` disposition per range. `$cbs` and
//! `$management` answer yes to everything.
//!
//! `raw-peer [--listen ADDR] [--burst BYTES]`: prints `ready HOST:PORT` once it accepts and ends
//! with its standard input.

#![forbid(unsafe_code)]

mod connection;
mod event;
mod node;
mod session;
mod wire;

use std::{
    io::{self, Write},
    net::TcpListener,
    process::ExitCode,
    thread,
};

/// Bytes of events written at once.
const DEFAULT_BURST: usize = 131_072;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "raw-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut listen = "127.0.0.1:0".to_owned();
    let mut burst = DEFAULT_BURST;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--listen", Some(value)) => listen = value,
            ("--burst", Some(value)) => {
                burst = value
                    .parse()
                    .map_err(|_| io::Error::other("--burst takes a number of bytes"))?;
            }
            (other, _) => return Err(io::Error::other(format!("unknown argument {other}"))),
        }
    }
    let listener = TcpListener::bind(listen)?;
    writeln!(io::stdout(), "ready {}", listener.local_addr()?)?;
    thread::spawn(move || accept(&listener, burst));
    // The parent holds the other end of the pipe: when it ends, so does this process.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn accept(listener: &TcpListener, burst: usize) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        thread::spawn(move || {
            if let Err(error) = connection::serve(stream, burst)
                && !matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                )
            {
                let _ = writeln!(io::stderr(), "raw-peer: {error}");
            }
        });
    }
}
