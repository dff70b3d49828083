//! What happens in a run, drawn from a seed.

use std::time::Duration;

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::EpochMode;

use crate::random::Random;

/// What a host is set up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its weight.
    pub weight: u32,
    /// Partitions it has at most.
    pub maximum: Option<u32>,
    /// The store it uses.
    pub store: usize,
}

impl Default for Role {
    fn default() -> Self {
        Self { weight: 1, maximum: None, store: 0 }
    }
}

/// Something that is done. Hosts are numbered in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Another host starts.
    Start(Role),
    /// The host gives everything back and ends.
    Stop(usize),
    /// The host ends, and says nothing. The broker keeps its receivers.
    Crash(usize),
    /// The host does not run for so long.
    Pause(usize, Duration),
    /// The machine of the host is suspended for so long: its monotonic clock stands still.
    Suspend(usize, Duration),
    /// The host does not reach the store for so long.
    Cut(usize, Duration),
    /// The host does not reach the broker for so long, and neither is told at once.
    CutHub(usize, Duration),
    /// The time of day of the host is set by so many seconds.
    Jump(usize, i64),
    /// Nobody reaches the store for so long.
    Outage(Duration),
    /// The hub gets so many more partitions.
    AddPartitions(u16),
    /// The store is deleted with all that is in it, and cannot be made anew for so long.
    DeleteStore(Duration),
    /// The lease of a partition is deleted.
    DeleteLease(u16),
    /// The lease of a partition is taken from its owner, and given to nobody.
    BreakLease(u16),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source of everything random.
    pub seed: u64,
    /// Partitions of the hub at the beginning.
    pub partitions: u16,
    /// Stores that hosts use. There should be one.
    pub stores: usize,
    /// How partitions are shared.
    pub strategy: Strategy,
    /// How owners are told apart.
    pub epochs: EpochMode,
    /// What is done when.
    pub deeds: Vec<(Duration, Deed)>,
    /// Until when calls are slow and fail, in virtual time; zero is never.
    pub rough_until: Duration,
    /// From when on nothing is wrong and nothing is on its way that was; `None` when nothing is
    /// judged by it.
    pub quiet_from: Option<Duration>,
    /// When the run ends.
    pub ends: Duration,
    /// Until when there are new events; zero is never.
    pub events_until: Duration,
}

/// From one scan to the next, give or take a twentieth.
pub const SCAN: Duration = Duration::from_secs(10);

/// From the last deed until what is on its way has come: calls of up to 90 s, twice, and deadlines.
const AFTERMATH: Duration = Duration::from_secs(200);

/// Longer than a host may keep what it does not read, whatever else it does meanwhile.
const CUT_LONG: Duration = Duration::from_secs(290);

/// A lease, until the dead are noticed, and scans for hosts to settle.
const SETTLING: Duration = Duration::from_secs(150);

/// Nothing moves in these fifty scans, give or take a twentieth each.
pub(crate) const STILL: Duration = Duration::from_secs(525);

/// The run of a seed: hosts start, stop, crash, pause and are cut off for some minutes while the
/// store is slow and fails; then all is quiet. A third of the runs has a sound store, so that what
/// must be perfect without faults is seen too. One of forty has two stores.
#[must_use]
pub fn drawn(seed: u64) -> Plan {
    let mut random = Random::new(seed);
    if random.chance(25) {
        return apart(seed, random);
    }
    let partitions = u16::try_from(random.between(1, 12)).unwrap_or(1);
    let strategy = match random.between(0, 5) {
        0 => Strategy::Balanced,
        1 => Strategy::Greedy,
        _ => Strategy::Quota,
    };
    let epochs = if random.chance(167) { EpochMode::Zero } else { EpochMode::Rising };
    let has_roles = strategy == Strategy::Quota && random.chance(300);
    let rough = Duration::from_secs(random.between(180, 600));
    let is_sound = random.chance(333);
    let mut hosts = random.between(1, 5);
    let mut deeds: Vec<_> = (0..hosts)
        .map(|_| (random.millis(0, 12_000), Deed::Start(role(&mut random, has_roles))))
        .collect();
    for _ in 0..random.between(1, 12) {
        let at = Duration::from_secs(20) + random.millis(0, rough.as_millis() as u64 - 20_000);
        let host = usize::try_from(random.between(0, hosts - 1)).unwrap_or(0);
        let partition = u16::try_from(random.between(0, u64::from(partitions) - 1)).unwrap_or(0);
        let deed = match (is_sound, random.between(0, 5)) {
            (_, 0) => Deed::Start(role(&mut random, has_roles)),
            (_, 1) => Deed::Stop(host),
            (_, 2) if random.chance(400) => Deed::AddPartitions(1 + partition / 3),
            (true, _) => Deed::Pause(host, Duration::from_secs(random.between(1, 5))),
            (false, _) => harm(&mut random, host, partition),
        };
        hosts += u64::from(matches!(deed, Deed::Start(_)));
        deeds.push((at, deed));
    }
    if !is_sound && rough > CUT_LONG + 3 * SCAN && random.chance(200) {
        let host = usize::try_from(random.between(0, hosts - 1)).unwrap_or(0);
        let at = random.millis(20_000, (rough - CUT_LONG).as_millis() as u64);
        deeds.push((at, Deed::CutHub(host, CUT_LONG)));
    }
    // Somebody is left.
    deeds.push((rough, Deed::Start(Role::default())));
    let quiet = rough + AFTERMATH;
    Plan {
        seed,
        partitions,
        stores: 1,
        strategy,
        epochs,
        deeds,
        rough_until: if is_sound { Duration::ZERO } else { rough },
        quiet_from: Some(quiet),
        ends: quiet + SETTLING + settling(strategy) + STILL,
        events_until: quiet,
    }
}

/// One partition in a scan is slow.
fn settling(strategy: Strategy) -> Duration {
    match strategy {
        Strategy::Balanced => Duration::from_secs(240),
        _ => Duration::ZERO,
    }
}

fn role(random: &mut Random, has_roles: bool) -> Role {
    let mut role = Role::default();
    if has_roles {
        role.weight = u32::try_from(random.between(0, 4)).unwrap_or(1);
        role.maximum = match random.chance(400) {
            true => Some(u32::try_from(random.between(0, 8)).unwrap_or(8)),
            false => None,
        };
    }
    role
}

/// Something that should not happen.
fn harm(random: &mut Random, host: usize, partition: u16) -> Deed {
    let long = Duration::from_secs(random.between(5, 150));
    match random.between(0, 13) {
        0 | 1 => Deed::Crash(host),
        2 | 3 => Deed::Pause(host, long),
        4 | 5 => Deed::Suspend(host, long),
        6 => Deed::Cut(host, long),
        7 | 8 => Deed::CutHub(host, long + 2 * SCAN),
        9 => Deed::Outage(long),
        10 => {
            let far = i64::try_from(random.between(1, 3_600)).unwrap_or(1);
            Deed::Jump(host, if random.chance(500) { far } else { -far })
        }
        11 => Deed::DeleteStore(long / 5),
        12 => Deed::DeleteLease(partition),
        _ => Deed::BreakLease(partition),
    }
}

/// Half of the hosts use another store than the others, for 45 minutes.
fn apart(seed: u64, mut random: Random) -> Plan {
    let hosts = random.between(2, 4);
    let start = |random: &mut Random, host: u64| {
        let role = Role { store: usize::from(host % 2 == 1), ..Role::default() };
        (random.millis(0, 12_000), Deed::Start(role))
    };
    let mut deeds: Vec<_> = (0..hosts).map(|host| start(&mut random, host)).collect();
    deeds.sort_by_key(|(at, _)| *at);
    let ends = Duration::from_secs(2_700);
    Plan {
        seed,
        partitions: u16::try_from(random.between(1, 6)).unwrap_or(1),
        stores: 2,
        strategy: Strategy::Quota,
        epochs: if random.chance(250) { EpochMode::Zero } else { EpochMode::Rising },
        deeds,
        rough_until: Duration::ZERO,
        quiet_from: None,
        ends,
        events_until: ends,
    }
}
