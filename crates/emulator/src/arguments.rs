//! The command line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use eventhubs_emulator::{
    Config, Durability, HubConfig, Identity, Listener, ListenerKind, Rights, SasKey, Throughput,
    Tier, TlsFault,
};

/// Where the emulator listens when no listener is named.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5672";
/// Most bytes of a `Config.json` that are read; more cannot be valid.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Event Hubs on ports of this machine, for tests and for work without a cloud.
///
/// When it accepts connections it prints `ready amqp=HOST:PORT ...` (one entry for each listener)
/// and then one line with the connection string. It ends on Ctrl-C, and when its standard input is
/// a pipe or a socket that reaches its end: a child process ends with its parent. A terminal, a
/// file or /dev/null as standard input is not looked at.
///
/// ADDR is HOST:PORT. Port 0 takes a free port; `localhost` and the wildcards 0.0.0.0 and [::]
/// listen on IPv4 and IPv6, with one port. Options with ADDR may be given several times.
#[derive(Debug, Parser)]
#[command(name = "eventhubs-emulator", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A hub and its number of partitions; may be given several times [default: hub:4]
    #[arg(long = "hub", value_name = "NAME:PARTITIONS", value_parser = parse_hub)]
    hubs: Vec<HubConfig>,

    /// The Config.json of the vendor's emulator: its hubs are served besides those of --hub, and
    /// events are kept for an hour, as there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Plaintext AMQP [default, when there is no other listener for AMQP: 127.0.0.1:5672]
    #[arg(long, value_name = "ADDR")]
    amqp: Vec<String>,

    /// AMQP inside TLS
    #[arg(long, value_name = "ADDR")]
    amqps: Vec<String>,

    /// AMQP over WebSocket, path /$servicebus/websocket
    #[arg(long, value_name = "ADDR")]
    ws: Vec<String>,

    /// AMQP over WebSocket inside TLS
    #[arg(long, value_name = "ADDR")]
    wss: Vec<String>,

    /// The live view at /, and hub management in ATOM
    #[arg(long, value_name = "ADDR")]
    http: Vec<String>,

    /// The same inside TLS
    #[arg(long, value_name = "ADDR")]
    https: Vec<String>,

    /// The control API, HTTP with JSON: faults, clock, hubs, state. Whoever reaches it owns the
    /// emulator
    #[arg(long, value_name = "ADDR")]
    control: Vec<String>,

    /// Record what clients send, for GET /wire of the control API
    #[arg(long)]
    record: bool,

    /// Certificate chain to show, leaf first; without it one for localhost, 127.0.0.1 and ::1 is
    /// made at every start
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,

    /// Private key of the certificate
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,

    /// Write the authority that signed the certificate made at start, for clients to trust
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    pub(crate) ca_out: Option<PathBuf>,

    /// A name or address that the certificate made at start carries too; may be given several
    /// times
    #[arg(long, value_name = "NAME", conflicts_with = "cert")]
    tls_name: Vec<String>,

    /// Ask clients for a certificate, which these authorities must have signed; one that is shown
    /// counts for SASL EXTERNAL
    #[arg(long, value_name = "PEM")]
    client_ca: Option<PathBuf>,

    /// Something wrong with TLS on purpose: expired, other-name, unknown-authority, or stall, which
    /// never answers the client's first message
    #[arg(long, value_name = "FAULT", value_parser = parse_tls_fault)]
    tls_fault: Option<TlsFault>,

    /// A key; RIGHTS are Send, Listen and Manage with commas between, all of them if left out; may
    /// be given several times; the first one is in the connection string
    /// [default: RootManageSharedAccessKey:SAS_KEY_VALUE]
    #[arg(long = "sas", value_name = "NAME:KEY[:RIGHTS]", value_parser = parse_key)]
    keys: Vec<SasKey>,

    /// Delay of everything that is written, in milliseconds; order is kept
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Idle time-out that connections are told, in milliseconds; a client that is silent for twice
    /// as long is cut off
    #[arg(long, value_name = "MS", default_value_t = 240_000)]
    idle_time_out: u64,

    /// Accept messages of up to 20 MiB, whatever the tier, with parts of any size
    #[arg(long)]
    lenient: bool,

    /// The pricing tier: basic, standard, premium or dedicated. Limits partitions, consumer groups,
    /// retention, connections and the size of publications
    #[arg(long, value_name = "TIER", value_parser = parse_tier, default_value = "dedicated")]
    tier: Tier,

    /// Take JSON web tokens by shape, times and audience. Their signature is not checked: whoever
    /// can reach the emulator can make one
    #[arg(long)]
    jwt: bool,

    /// Answer with server-busy above so many throughput units, of 1 MB or 1 000 events per second
    /// each, for all hubs together [default: no limit]
    #[arg(long, value_name = "COUNT")]
    throughput_units: Option<u32>,

    /// Be a geo-replicated namespace: offsets are text for clients that can take it
    #[arg(long)]
    geo_replication: bool,

    /// Folder in which hubs and events survive the process, created if need be. A killed process
    /// loses nothing that it acknowledged. Hubs found there are served besides those of --hub
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// What a loss of power may cost: none (what the system has not written yet), interval (one
    /// second), each (nothing; every publication waits for the disk) [default: none]
    #[arg(long, value_name = "WHEN", value_parser = parse_fsync, requires = "data")]
    fsync: Option<Durability>,
}

const EXAMPLES: &str = "\
Examples:
  One hub `hub` with 4 partitions on port 5672, for clients with UseDevelopmentEmulator=true:
    eventhubs-emulator

  Two hubs on a free port, which the first line printed names:
    eventhubs-emulator --hub orders:2 --hub telemetry:8 --amqp localhost:0

  TLS and WebSocket, for clients that trust ca.pem:
    eventhubs-emulator --amqps localhost:5671 --wss localhost:8443 --ca-out ca.pem

  The same with a certificate of your own:
    eventhubs-emulator --amqps localhost:5671 --cert chain.pem --key key.pem

  A live view in the browser, and faults on request:
    eventhubs-emulator --http localhost:8080 --control localhost:8081

  The hubs of the vendor's emulator:
    eventhubs-emulator --config Config.json

  Hubs and events that are still there after a restart:
    eventhubs-emulator --hub orders:2 --data ./hubs

  A key that may only send, and answers that take 5 ms:
    eventhubs-emulator --sas app:c2VjcmV0 --sas device:a2V5:Send --latency 5";

fn parse_hub(text: &str) -> Result<HubConfig, String> {
    let (name, partitions) = text.rsplit_once(':').ok_or("use NAME:PARTITIONS")?;
    let partitions =
        partitions.parse().map_err(|_| format!("'{partitions}' is not a number of partitions"))?;
    Ok(HubConfig::new(name, partitions))
}

/// A key may have colons in it: what stands behind the last one counts only if it is rights.
fn parse_key(text: &str) -> Result<SasKey, &'static str> {
    let (name, rest) = text.split_once(':').ok_or("use NAME:KEY or NAME:KEY:RIGHTS")?;
    let with_rights = rest.rsplit_once(':').and_then(|(key, list)| Some((key, rights(list)?)));
    Ok(match with_rights {
        Some((key, rights)) => SasKey::new(name, key).with_rights(rights),
        None => SasKey::new(name, rest),
    })
}

fn parse_tls_fault(text: &str) -> Result<TlsFault, &'static str> {
    match text {
        "expired" => Ok(TlsFault::Expired),
        "other-name" => Ok(TlsFault::OtherName),
        "unknown-authority" => Ok(TlsFault::UnknownAuthority),
        "stall" => Ok(TlsFault::Stall),
        _ => Err("use expired, other-name, unknown-authority or stall"),
    }
}

fn parse_tier(text: &str) -> Result<Tier, &'static str> {
    Tier::from_name(text).ok_or("use basic, standard, premium or dedicated")
}

fn parse_fsync(text: &str) -> Result<Durability, &'static str> {
    match text {
        "none" => Ok(Durability::None),
        "interval" => Ok(Durability::Interval(Duration::from_secs(1))),
        "each" => Ok(Durability::Each),
        _ => Err("use none, interval or each"),
    }
}

/// Rights with commas between them, in any case of letters. Manage includes the others.
fn rights(list: &str) -> Option<Rights> {
    let mut all = Rights { send: false, listen: false, manage: false };
    for right in list.split(',') {
        match right.to_ascii_lowercase().as_str() {
            "send" => all.send = true,
            "listen" => all.listen = true,
            "manage" => all = Rights::ALL,
            _ => return None,
        }
    }
    Some(all)
}

impl Arguments {
    /// What the emulator is to serve. Files are read and names resolved.
    pub(crate) fn config(self) -> io::Result<Config> {
        let mut config = Config::default()
            .in_memory()
            .with_latency(Duration::from_millis(self.latency))
            .with_idle_time_out(Duration::from_millis(self.idle_time_out))
            .with_lenient(self.lenient)
            .with_tier(self.tier)
            .with_jwt(self.jwt)
            .with_geo_replication(self.geo_replication)
            .with_record(self.record);
        for listener in self.listeners()? {
            config = config.with_listener(listener);
        }
        config.throughput = self.throughput_units.map(Throughput::units);
        config.tls.names = self.tls_name;
        config.tls.fault = self.tls_fault;
        if let (Some(chain), Some(key)) = (&self.cert, &self.key) {
            config = config.with_identity(Identity::from_files(chain, key)?);
        }
        if let Some(path) = &self.client_ca {
            config.tls.client_ca_pem =
                Some(std::fs::read(path).map_err(|error| named(path.display(), error))?);
        }
        config.data = self.data;
        config.durability = self.fsync.unwrap_or_default();
        if let Some(path) = &self.config {
            config.hubs = hubs_of(path)?;
        }
        for hub in self.hubs {
            config = config.with_hub_config(hub);
        }
        for key in self.keys {
            config = config.with_sas_key(key);
        }
        Ok(config)
    }

    fn listeners(&self) -> io::Result<Vec<Listener>> {
        let flags = [
            (ListenerKind::Plain, &self.amqp),
            (ListenerKind::Tls, &self.amqps),
            (ListenerKind::WebSocket, &self.ws),
            (ListenerKind::WebSocketTls, &self.wss),
            (ListenerKind::Http, &self.http),
            (ListenerKind::HttpTls, &self.https),
            (ListenerKind::Control, &self.control),
        ];
        let mut all = Vec::new();
        for (kind, addresses) in flags {
            for text in addresses {
                all.push(listener(kind, text)?);
            }
        }
        if !all.iter().any(|listener| listener.kind.is_amqp()) {
            all.push(listener(ListenerKind::Plain, DEFAULT_ADDRESS)?);
        }
        Ok(all)
    }
}

/// An address in numbers, both addresses of `localhost`, or the first one that a name stands for.
fn listener(kind: ListenerKind, text: &str) -> io::Result<Listener> {
    let failed = |error| named(format_args!("--{kind} {text}"), error);
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(Listener::localhost(kind, port));
    }
    let first: Option<SocketAddr> = text.to_socket_addrs().map_err(failed)?.next();
    match first {
        Some(address) => Ok(Listener::new(kind, address)),
        None => Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
    }
}

/// The hubs of a `Config.json`. What does no harm is remarked on.
fn hubs_of(path: &Path) -> io::Result<Vec<HubConfig>> {
    let file = File::open(path).map_err(|error| named(path.display(), error))?;
    let mut text = String::new();
    let read = file.take(CONFIG_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| named(path.display(), error))?;
    let read = Config::from_json(&text).map_err(|error| {
        // One line for each place, each with the file in front.
        let text = error.to_string().replace('\n', &format!("\n{}: ", path.display()));
        named(path.display(), io::Error::new(io::ErrorKind::InvalidData, text))
    })?;
    for remark in read.remarks {
        let _ = writeln!(io::stderr(), "eventhubs-emulator: warning: {}: {remark}", path.display());
    }
    Ok(read.config.hubs)
}

/// `error` with what it is about before it.
pub(crate) fn named(what: impl fmt::Display, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let all = ["eventhubs-emulator"].iter().chain(arguments);
        Arguments::try_parse_from(all).unwrap().config().unwrap()
    }

    #[test]
    fn arguments_are_read() {
        use clap::CommandFactory;

        Arguments::command().debug_assert();
        assert_eq!(parse_hub("a:b:3"), Ok(HubConfig::new("a:b", 3)), "checked later, by name");
        assert!(parse_hub("a").is_err() && parse_hub("a:x").is_err());
    }

    #[test]
    fn keys_may_have_colons_and_rights() {
        let key = |text: &str| parse_key(text).unwrap();
        assert_eq!(key("name:k:ey="), SasKey::new("name", "k:ey="));
        assert_eq!(key("n:k:Send"), SasKey::new("n", "k").with_rights(Rights::SEND));
        assert_eq!(key("n:k:listen"), SasKey::new("n", "k").with_rights(Rights::LISTEN));
        assert_eq!(key("n:k:y:Manage"), SasKey::new("n", "k:y").with_rights(Rights::ALL));
        let both = Rights { send: true, listen: true, manage: false };
        assert_eq!(key("n:k:Listen,Send"), SasKey::new("n", "k").with_rights(both));
        assert_eq!(key("n:k:Sending"), SasKey::new("n", "k:Sending"), "no right, so it is key");
        assert!(parse_key("name").is_err());
        let arguments = Arguments::parse_from(["eventhubs-emulator", "--sas", "n:hidden"]);
        assert!(!format!("{arguments:?}").contains("hidden"));
    }

    #[test]
    fn the_default_listener_is_there_when_no_other_is_named() {
        let listeners = |arguments: &[&str]| {
            let text = |one: &Listener| format!("{}={}", one.kind, one.address);
            config(arguments).listeners.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(listeners(&[]), "amqp=127.0.0.1:5672");
        assert_eq!(listeners(&["--ws", "127.0.0.1:80"]), "ws=127.0.0.1:80");
        assert_eq!(
            listeners(&["--control", "127.0.0.1:1", "--http", "127.0.0.1:2"]),
            "http=127.0.0.1:2 control=127.0.0.1:1 amqp=127.0.0.1:5672",
            "neither is for clients"
        );
        assert_eq!(
            listeners(&["--wss", "[::1]:1", "--amqps", "127.0.0.1:2", "--amqps", "127.0.0.1:3"]),
            "amqps=127.0.0.1:2 amqps=127.0.0.1:3 wss=[::1]:1"
        );
    }

    #[test]
    fn tls_can_be_made_wrong() {
        assert_eq!(config(&[]).tls.fault, None);
        assert_eq!(config(&["--tls-fault", "other-name"]).tls.fault, Some(TlsFault::OtherName));
        assert!(parse_tls_fault("broken").is_err());
    }

    #[test]
    fn a_data_folder_may_wait_for_the_disk() {
        let plain = config(&["--data", "d"]);
        assert_eq!((plain.data, plain.durability), (Some("d".into()), Durability::None));
        let durability = |when| config(&["--data", "d", "--fsync", when]).durability;
        assert_eq!(durability("interval"), Durability::Interval(Duration::from_secs(1)));
        assert_eq!(durability("each"), Durability::Each);
        assert!(parse_fsync("never").is_err());
    }

    #[test]
    fn localhost_and_wildcards_are_both_families() {
        let dual = |address| config(&["--amqp", address]).listeners[0].dual_stack;
        assert!(dual("localhost:0") && dual("0.0.0.0:0") && dual("[::]:0"));
        assert!(!dual("127.0.0.1:0") && !dual("[::1]:0"));
    }

    #[test]
    fn arguments_that_exclude_each_other() {
        let refused = |arguments: &[&str]| {
            let all = ["eventhubs-emulator"].iter().chain(arguments);
            Arguments::try_parse_from(all).unwrap_err().to_string()
        };
        assert!(refused(&["--cert", "a"]).contains("--key"));
        assert!(refused(&["--key", "a"]).contains("--cert"));
        let given = ["--cert", "a", "--key", "b", "--ca-out", "c"];
        assert!(refused(&given).contains("--ca-out"), "there is no authority to write");
        assert!(refused(&["--fsync", "each"]).contains("--data"));
    }
}
