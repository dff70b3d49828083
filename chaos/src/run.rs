//! Runs: an emulator in this process, producers, consumers, faults, and a judgement.

mod board;
mod clock;
mod consuming;
mod disorder;
mod eph;
mod fleet;
mod measure;
mod producing;
mod report;
mod site;
mod soak;
mod trial;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use self::eph::{CHILD, child, eph};
pub use self::report::Report;
pub use self::soak::soak;
pub use self::trial::client;
use crate::tamper::Bug;

/// How clients reach the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In memory, through a network that can refuse to connect.
    Memory,
    /// TCP over the loopback.
    Tcp,
    /// TLS over the loopback, with tokens that keep up with the service's clock.
    Tls,
}

impl Transport {
    /// The one that a seed stands for.
    #[must_use]
    pub const fn of_seed(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::Memory,
            1 => Self::Tcp,
            _ => Self::Tls,
        }
    }
}

/// What a run is like.
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_chaos::run::{Settings, Transport};
///
/// let settings = Settings::new(6, Duration::from_secs(20));
/// assert_eq!(settings.transport, Transport::Memory);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What everything random follows from.
    pub seed: u64,
    /// How long it goes on, not counting the time that it needs to come to rest.
    pub length: Duration,
    /// How clients connect. Default by the seed.
    pub transport: Transport,
    /// Whether anything goes wrong. Default true.
    pub faults: bool,
    /// Only these rows strike, unless there are none. Default none.
    pub rows: Vec<String>,
    /// A bug between the clients and the oracle. Default none.
    pub bug: Option<Bug>,
    /// Whether clients try again. Default true, each in another way.
    pub retries: bool,
    /// Pause of a producer between two operations. Default 4 ms.
    pub pace: Duration,
    /// The program that runs a host when it is called with [`CHILD`]. Default this program.
    pub program: Option<PathBuf>,
}

impl Settings {
    /// The defaults for a seed.
    #[must_use]
    pub const fn new(seed: u64, length: Duration) -> Self {
        Self {
            seed,
            length,
            transport: Transport::of_seed(seed),
            faults: true,
            rows: Vec::new(),
            bug: None,
            retries: true,
            pace: Duration::from_millis(4),
            program: None,
        }
    }
}

/// What only the program around a run can tell.
#[derive(Debug, Clone, Copy)]
pub struct Gauges {
    /// Bytes in use.
    pub live: fn() -> usize,
    /// Most bytes in use since it was last asked.
    pub peak: fn() -> usize,
    /// Panics so far.
    pub panics: fn() -> usize,
}

impl Gauges {
    /// Nothing is known.
    pub const NONE: Self = Self { live: || 0, peak: || 0, panics: || 0 };
}

/// Where a run says how it is going.
pub trait Log: Sync {
    /// Something that is to be kept.
    fn line(&self, text: &str);
    /// How it is going at the moment.
    fn status(&self, text: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Log for Silent {
    fn line(&self, _: &str) {}
    fn status(&self, _: &str) {}
}

/// Why there was no run.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Makes a failure of any error.
fn failed(error: impl fmt::Display) -> Failure {
    Failure(error.to_string())
}

/// Partitions of the hub.
const PARTITIONS: u16 = 4;
/// Producers, each with a connection of its own or shared with a consumer.
const PRODUCERS: u16 = 4;
/// The producer whose sends are stored in the order of the calls.
const ORDERED: u16 = 0;
/// Consumers, one for each partition.
const CONSUMERS: u16 = PARTITIONS;
