//! What happens in a run, drawn from a seed.

use std::time::Duration;

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::EpochMode;

use crate::random::Random;

/// Something that is done to a host. Hosts are numbered in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Another host starts.
    Start,
    /// The host gives everything back and ends.
    Stop(usize),
    /// The host ends, and says nothing.
    Crash(usize),
    /// The host does not run for so long.
    Pause(usize, Duration),
    /// The machine of the host is suspended for so long: its monotonic clock stands still.
    Suspend(usize, Duration),
    /// The host does not reach the store for so long.
    Cut(usize, Duration),
    /// Nobody reaches the store for so long.
    Outage(Duration),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source of everything random.
    pub seed: u64,
    /// Partitions of the hub.
    pub partitions: u16,
    /// How they are shared.
    pub strategy: Strategy,
    /// How owners are told apart.
    pub epochs: EpochMode,
    /// What is done when.
    pub deeds: Vec<(Duration, Deed)>,
    /// Until when calls are slow and fail, in virtual time; zero is never.
    pub rough_until: Duration,
    /// When the run ends.
    pub ends: Duration,
    /// Whether there are events to handle.
    pub has_events: bool,
}

/// Quiet time at the end: a lease, and scans for hosts to notice, to settle, and to stay.
const QUIET: Duration = Duration::from_secs(60 + 300);

/// The run of a seed: hosts start, stop, crash, pause and are cut off for some minutes while the
/// store is slow and fails; then all is quiet. A third of the runs has a sound store, so that what
/// must be perfect without faults is seen too.
#[must_use]
pub fn drawn(seed: u64) -> Plan {
    let mut random = Random::new(seed);
    let seconds = |random: &mut Random, low, high| Duration::from_secs(random.between(low, high));
    let partitions = u16::try_from(random.between(1, 12)).unwrap_or(1);
    let strategy = match random.between(0, 5) {
        0 => Strategy::Balanced,
        1 => Strategy::Greedy,
        _ => Strategy::Quota,
    };
    let rough = seconds(&mut random, 180, 600);
    let is_sound = random.chance(333);
    let mut hosts = random.between(1, 5);
    let mut deeds: Vec<_> = (0..hosts).map(|_| (random.millis(0, 12_000), Deed::Start)).collect();
    for _ in 0..random.between(1, 12) {
        let at = Duration::from_secs(20) + random.millis(0, rough.as_millis() as u64 - 20_000);
        let host = random.between(0, hosts - 1) as usize;
        let long = seconds(&mut random, 5, 150);
        let deed = match random.between(0, 6) {
            0 => Deed::Start,
            1 => Deed::Stop(host),
            _ if is_sound => Deed::Pause(host, Duration::from_secs(random.between(1, 5))),
            2 => Deed::Crash(host),
            3 => Deed::Pause(host, long),
            4 => Deed::Suspend(host, long),
            5 => Deed::Cut(host, long),
            _ => Deed::Outage(long),
        };
        hosts += u64::from(deed == Deed::Start);
        deeds.push((at, deed));
    }
    // Somebody is left.
    deeds.push((rough, Deed::Start));
    Plan {
        seed,
        partitions,
        strategy,
        epochs: EpochMode::Rising,
        deeds,
        rough_until: if is_sound { Duration::ZERO } else { rough },
        // What was paused at the end of the rough time has to wake first.
        ends: rough + Duration::from_secs(150) + QUIET,
        has_events: true,
    }
}
