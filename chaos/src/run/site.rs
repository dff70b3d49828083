//! An emulator and the way of clients to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_auth::Clock;
use eventhubs_client::{
    Connecting, Connector, Hub, HubOptions, ReceiveOptions, RetryOptions, SasKey, SasTokenProvider,
    Stream, TlsOptions, TokenProvider,
};
use eventhubs_emulator::{
    Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, HubConfig, Limits, MAX_RETENTION, Network,
};
use tokio::net::TcpStream;

use super::{Failure, ORDERED, Transport, failed};
use crate::history::{Content, Log};
use crate::stamp::Damage;

/// Name of the hub.
pub(crate) const HUB: &str = "hub";
/// The host that clients dial; what the emulator's certificate says.
const HOST: &str = "localhost";

/// How long operations may take, short enough for a short run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// A send with all its tries.
    pub(crate) send: Duration,
    /// A question about the hub.
    pub(crate) ask: Duration,
    /// Closing a hub.
    pub(crate) close: Duration,
}

/// How clients try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Each in another way.
    Mixed,
    /// As long as there is time.
    Steadfast,
    /// Not at all.
    Bare,
}

/// An emulator, and all that clients need to come to it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    pub(crate) network: Network,
    transport: Transport,
    /// How far the service's clock is ahead of this machine's, in milliseconds.
    ahead: Arc<AtomicI64>,
    token_life: Duration,
    partitions: u16,
}

impl Site {
    /// Starts the emulator.
    pub(crate) async fn start(
        transport: Transport,
        partitions: u16,
        limits: Limits,
        token_life: Duration,
    ) -> Result<Self, Failure> {
        let hub = HubConfig::new(HUB, u32::from(partitions)).with_retention(MAX_RETENTION);
        let config = Config::default().with_hub_config(hub).with_limits(limits);
        let config = match transport {
            Transport::Memory => config.in_memory(),
            Transport::Tcp => config,
            Transport::Tls => config.in_memory().with_tls(([127, 0, 0, 1], 0).into()),
        };
        let emulator = Emulator::start(config).await.map_err(failed)?;
        let network = Network::new();
        network.point(HOST, &emulator);
        Ok(Self { emulator, network, transport, ahead: Arc::default(), token_life, partitions })
    }

    /// A client of the hub: the n-th of its role.
    pub(crate) fn hub(&self, role: &str, number: u16, manner: Manner) -> Result<Hub, Failure> {
        let mut options = options(manner, number).with_identifier(format!("{role}-{number}"));
        options.ordered = number == ORDERED;
        let text = self.emulator.connection_string_for(HUB);
        let of_text = |options| Hub::from_connection_string_with(&text, None, options);
        match (self.transport, self.emulator.listeners().first()) {
            (Transport::Memory, _) => of_text(options.with_connector(self.network.connector())),
            (Transport::Tls, Some(listener)) => {
                let options = options
                    .with_connector(Arc::new(Loopback(listener.address)))
                    .with_tls(self.tls_options()?);
                Hub::new(HOST, HUB, self.tokens()?, options)
            }
            _ => of_text(options),
        }
        .map_err(failed)
    }

    fn tls_options(&self) -> Result<TlsOptions, Failure> {
        let pem = self.emulator.ca_pem().unwrap_or_default();
        let text: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
        let root = STANDARD.decode(text).map_err(failed)?;
        Ok(TlsOptions { roots_der: vec![root], ..TlsOptions::default() })
    }

    /// Tokens that end by the service's clock.
    fn tokens(&self) -> Result<Arc<dyn TokenProvider>, Failure> {
        let ahead = Arc::clone(&self.ahead);
        let clock = Clock::from_fn(move || {
            let ahead = Duration::from_millis(ahead.load(Ordering::Relaxed).unsigned_abs());
            Clock::system().now().saturating_add(ahead)
        });
        let key = SasKey::new(DEFAULT_KEY_NAME, DEFAULT_KEY).map_err(failed)?;
        let provider = SasTokenProvider::new(key).with_lifetime(self.token_life).with_clock(clock);
        Ok(Arc::new(provider))
    }

    /// Moves the service's clock; tokens made from now on are good, those made before have less
    /// time.
    pub(crate) fn advance_clock(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(millis, Ordering::Relaxed);
        self.emulator.advance_clock(by);
    }

    /// Lifts everything that is wrong.
    pub(crate) fn calm(&self) {
        self.emulator.lift_all();
        self.network.lift_all();
        if self.transport == Transport::Tls {
            // It has a listener with TLS and made the certificate, so nothing can be refused.
            let _ = self.emulator.set_tls_fault(None);
        }
    }

    /// The sequence number of the newest event of each partition.
    pub(crate) fn last_sequences(&self) -> Vec<i64> {
        let hubs = self.emulator.hubs();
        let partitions = hubs.first().map_or(&[][..], |hub| &hub.partitions);
        partitions.iter().map(|partition| partition.last_sequence).collect()
    }

    /// Levels of the receivers that own a partition, by partition.
    pub(crate) fn owner_levels(&self) -> Vec<(u16, Vec<i64>)> {
        let hubs = self.emulator.hubs();
        let partitions = hubs.first().map_or(&[][..], |hub| &hub.partitions);
        let levels = partitions.iter().map(|partition| {
            let receivers = partition.receivers.iter();
            receivers.filter_map(|receiver| receiver.epoch).collect()
        });
        (0..).zip(levels).collect()
    }

    /// What is stored.
    pub(crate) fn logs(&self, run: u64) -> Result<Vec<Log>, Failure> {
        let log = |partition| {
            let stored = self.emulator.events(HUB, partition).map_err(failed)?;
            Ok(Log {
                begin: stored.first().map_or(0, |event| event.sequence),
                events: stored.iter().map(|event| content(run, &event.message)).collect(),
            })
        };
        (0..u32::from(self.partitions)).map(log).collect()
    }
}

/// What a stored message carries.
fn content(run: u64, message: &bytes::Bytes) -> Content {
    match Message::decode(message).map(|message| message.body) {
        Ok(Body::Data(sections)) if sections.len() == 1 => Content::of(run, &sections[0]),
        _ => Content::Damaged(Damage::Short { length: 0 }),
    }
}

/// Time for a whole call with its tries.
const TOTAL: Duration = Duration::from_secs(12);
/// Waits between tries: the first, and the longest.
const DELAYS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Some clients make links anew after so few deliveries.
const WORN_AFTER: u64 = 1_000;
/// Silence that consumers doubt.
const STALL: Duration = Duration::from_secs(1);

/// Options with which nothing takes longer than a short run bears. Clients differ in how they try
/// again, by their number.
pub(crate) fn options(manner: Manner, number: u16) -> HubOptions {
    let mut options = HubOptions::default();
    let seconds = Duration::from_secs;
    options.connect_timeout = seconds(2);
    options.open_timeout = seconds(2);
    options.attach_timeout = seconds(2);
    options.send_timeout = seconds(3);
    options.request_timeout = seconds(2);
    options.close_timeout = seconds(1);
    options.idle_timeout = seconds(2);
    if number % 4 == 3 {
        options.link_deliveries_max = WORN_AFTER;
    }
    let retry = match (manner, number % 4) {
        (Manner::Bare, _) => RetryOptions::none(),
        (Manner::Steadfast, _) | (_, 0) => RetryOptions::unlimited(),
        (_, 1) => RetryOptions::default(),
        (_, 2) => RetryOptions::default().with_retry_unknown(false),
        _ => RetryOptions::default().with_retries_max(1),
    };
    options.with_retry(retry.with_delays(DELAYS.0, DELAYS.1).with_total(TOTAL))
}

/// How a consumer attaches again: for ever, or as long as any other call.
pub(crate) fn receive_options(number: u16) -> ReceiveOptions {
    let retry = RetryOptions::unlimited().with_delays(DELAYS.0, DELAYS.1);
    let options = ReceiveOptions::default().with_watchdog(Some(STALL));
    options.with_retry(match number % 2 {
        0 => retry,
        _ => retry.with_total(TOTAL),
    })
}

/// How long operations may take with these options.
pub(crate) fn deadlines() -> Deadlines {
    let close = options(Manner::Mixed, 0).close_timeout * 2;
    Deadlines { send: TOTAL, ask: TOTAL, close }
}

/// Leads to one address, whatever host and port are asked for.
#[derive(Debug)]
struct Loopback(SocketAddr);

impl Connector for Loopback {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async {
            let stream = TcpStream::connect(self.0).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
