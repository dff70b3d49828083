//! `eventhubs-emulator`: Event Hubs on a port of this machine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use eventhubs_emulator::{Config, Emulator, HubConfig};
use tokio::sync::oneshot;

/// Event Hubs on a port of this machine, for tests and for work without a cloud.
///
/// When it accepts connections it prints `ready amqp=HOST:PORT` (one `amqp=` per listener) and
/// then one line with the connection string. It ends on Ctrl-C, and when its standard input is a
/// pipe or a socket that reaches its end: a child process ends with its parent. A terminal, a file
/// or /dev/null as standard input is not looked at.
#[derive(Debug, Parser)]
#[command(name = "eventhubs-emulator", version, after_help = EXAMPLES)]
struct Arguments {
    /// A hub and its number of partitions; may be given several times [default: hub:4]
    #[arg(long = "hub", value_name = "NAME:PARTITIONS", value_parser = parse_hub)]
    hubs: Vec<HubConfig>,

    /// Address for plaintext AMQP, port 0 for a free one; may be given several times
    #[arg(long = "amqp", value_name = "ADDR", default_value = "127.0.0.1:5672")]
    amqp: Vec<String>,

    /// A key with all rights; may be given several times; the first one is in the connection
    /// string [default: RootManageSharedAccessKey:SAS_KEY_VALUE]
    #[arg(long = "sas", value_name = "NAME:KEY", value_parser = parse_key)]
    keys: Vec<Key>,

    /// Delay of everything that is written, in milliseconds; order is kept
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Accept messages of up to 20 MiB instead of 1 MiB
    #[arg(long)]
    lenient: bool,
}

const EXAMPLES: &str = "\
Examples:
  eventhubs-emulator
  eventhubs-emulator --hub orders:2 --hub telemetry:8 --amqp 127.0.0.1:0
  eventhubs-emulator --amqp 127.0.0.1:5672 --amqp [::1]:5672 --latency 5";

/// A name and a key that `Debug` does not show.
#[derive(Clone)]
struct Key {
    name: String,
    key: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

fn parse_hub(text: &str) -> Result<HubConfig, String> {
    let (name, partitions) = text.rsplit_once(':').ok_or("use NAME:PARTITIONS")?;
    let partitions =
        partitions.parse().map_err(|_| format!("'{partitions}' is not a number of partitions"))?;
    Ok(HubConfig::new(name, partitions))
}

fn parse_key(text: &str) -> Result<Key, &'static str> {
    let (name, key) = text.split_once(':').ok_or("use NAME:KEY")?;
    Ok(Key { name: name.to_owned(), key: key.to_owned() })
}

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
    let emulator = Emulator::start(config(arguments)?).await.map_err(io::Error::other)?;
    announce(&emulator)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = parent_ended() => {}
    }
    emulator.shutdown().await;
    Ok(())
}

fn config(arguments: Arguments) -> io::Result<Config> {
    let mut config = Config::default()
        .with_latency(Duration::from_millis(arguments.latency))
        .with_lenient(arguments.lenient);
    config.listen.clear();
    for text in &arguments.amqp {
        config.listen.push(resolve(text)?);
    }
    for hub in arguments.hubs {
        config = config.with_hub_config(hub);
    }
    for Key { name, key } in arguments.keys {
        config = config.with_key(name, key);
    }
    Ok(config)
}

/// An address in numbers, or the first one that a name stands for.
fn resolve(text: &str) -> io::Result<SocketAddr> {
    let not_found = |reason: String| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("--amqp {text}: {reason}"))
    };
    let mut addresses = text.to_socket_addrs().map_err(|error| not_found(error.to_string()))?;
    addresses.next().ok_or_else(|| not_found("the name has no address".to_owned()))
}

/// Tells whoever waits for it that connections are accepted.
fn announce(emulator: &Emulator) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "ready")?;
    for address in emulator.addresses() {
        write!(out, " amqp={address}")?;
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

    #[test]
    fn arguments_are_read() {
        use clap::CommandFactory;

        Arguments::command().debug_assert();
        assert_eq!(parse_hub("a:b:3"), Ok(HubConfig::new("a:b", 3)), "checked later, by name");
        assert!(parse_hub("a").is_err() && parse_hub("a:x").is_err());
        let key = parse_key("name:k:ey=").unwrap();
        assert_eq!((key.name.as_str(), key.key.as_str()), ("name", "k:ey="));
        assert!(!format!("{key:?}").contains("k:ey"));
    }
}
