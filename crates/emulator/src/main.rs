//! `eventhubs-emulator`: Event Hubs on a port of this machine.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use clap::Parser;
use eventhubs_emulator::Emulator;
use tokio::sync::oneshot;

use crate::arguments::{Arguments, named};

mod arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new();
    match runtime.and_then(|runtime| runtime.block_on(run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "eventhubs-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    let ca_out = arguments.ca_out.clone();
    let emulator = Emulator::start(arguments.config()?).await.map_err(io::Error::other)?;
    if let Some(path) = ca_out {
        let nothing = || io::Error::other("--ca-out: there is no listener with TLS");
        let pem = emulator.ca_pem().ok_or_else(nothing)?;
        std::fs::write(&path, pem).map_err(|error| named(path.display(), error))?;
    }
    warn(&emulator);
    announce(&emulator)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = parent_ended() => {}
    }
    emulator.shutdown().await;
    Ok(())
}

/// Whoever can reach a listener can use the emulator's keys, which are no secrets. And whoever
/// kept events should know what became of them.
fn warn(emulator: &Emulator) {
    for damage in emulator.damage() {
        let _ = writeln!(io::stderr(), "eventhubs-emulator: warning: {damage}");
    }
    for listener in emulator.listeners() {
        if !listener.address.ip().is_loopback() {
            let (kind, address) = (listener.kind, listener.address);
            let text = "other machines may reach it";
            let _ = writeln!(io::stderr(), "eventhubs-emulator: warning: {kind}={address}: {text}");
        }
    }
}

/// Tells whoever waits for it that connections are accepted.
fn announce(emulator: &Emulator) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "ready")?;
    for listener in emulator.listeners() {
        write!(out, " {}={}", listener.kind, listener.address)?;
    }
    writeln!(out, "\n{}", emulator.connection_string())?;
    out.flush()
}

/// Returns when standard input is a pipe or socket and reaches its end; never otherwise.
async fn parent_ended() {
    if !is_connected(&io::stdin()) {
        return std::future::pending().await;
    }
    let (ended, wait) = oneshot::channel();
    // A thread of its own: a blocking read cannot be cancelled and must not hold up the runtime.
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut buffer), Ok(count) if count > 0) {}
        let _ = ended.send(());
    });
    let _ = wait.await;
}

/// Whether another process can hold the other end of `stream`.
#[cfg(unix)]
fn is_connected(stream: &impl std::os::fd::AsFd) -> bool {
    use std::os::unix::fs::FileTypeExt;

    let Ok(copy) = stream.as_fd().try_clone_to_owned() else { return false };
    let Ok(metadata) = std::fs::File::from(copy).metadata() else { return false };
    metadata.file_type().is_fifo() || metadata.file_type().is_socket()
}

/// Whether another process can hold the other end of `stream`.
#[cfg(not(unix))]
fn is_connected(stream: &impl io::IsTerminal) -> bool {
    !stream.is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_pipes_and_sockets_have_another_end() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_connected(&null), "started with nohup or by a service manager");
        let file = std::fs::File::open(env!("CARGO_MANIFEST_PATH")).unwrap();
        assert!(!is_connected(&file));
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(is_connected(&pipe), "started by a parent that keeps the other end");
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(is_connected(&socket), "node gives its children sockets");
    }
}
