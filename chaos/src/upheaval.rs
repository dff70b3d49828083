//! What becomes of processes, handlers and the store in a run of hosts, and when: decided by the
//! seed before the run begins. What strikes at the network and the hub is in
//! [`schedule`](crate::schedule).

use std::fmt;
use std::time::Duration;

use eventhubs_emulator::{Effect, Fault, Point, Scope};

use crate::order::{Calls, Trouble};
use crate::random::Random;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Upset {
    /// A process is killed, and another takes its place at the end of the window.
    Kill {
        /// Its host.
        host: u16,
    },
    /// A process is stopped by a signal, and goes on at the end of the window.
    Halt {
        /// Its host.
        host: u16,
    },
    /// A process is asked to end, and another takes its place.
    Replace {
        /// Its host.
        host: u16,
    },
    /// A host is stopped and started again in its process.
    Cycle {
        /// The host.
        host: u16,
    },
    /// A host cannot attach to anything at the hub, but reaches the store.
    CutOff {
        /// The host.
        host: u16,
    },
    /// Something is wrong with the store.
    Store {
        /// For this host, or for all.
        host: Option<u16>,
        /// Which calls.
        calls: Calls,
        /// Of a hundred of them.
        percent: u64,
        /// What.
        trouble: Trouble,
    },
    /// Handlers are slow and fail.
    Handlers {
        /// The host.
        host: u16,
        /// How slow.
        slow: Duration,
        /// Failures of a thousand calls.
        failing: u64,
    },
    /// The store is deleted.
    Wipe,
    /// The lease of a partition becomes something that cannot be read.
    Spoil {
        /// The partition.
        partition: u16,
    },
}

impl fmt::Display for Upset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { host } => write!(f, "P1  kill host {host}"),
            Self::Halt { host } => write!(f, "P3  halt host {host}"),
            Self::Replace { host } => write!(f, "P15 replace host {host}"),
            Self::Cycle { host } => write!(f, "P16 stop and start host {host}"),
            Self::CutOff { host } => write!(f, "B11 host {host} does not reach the hub"),
            Self::Store { host, calls, percent, trouble } => {
                write!(f, "B   {percent} % of calls about {calls}: {trouble}")?;
                match host {
                    Some(host) => write!(f, ", for host {host}"),
                    None => f.write_str(", for all"),
                }
            }
            Self::Handlers { host, slow, failing } => {
                write!(f, "P6  handlers of host {host} take {slow:?} and fail {failing} of 1000")
            }
            Self::Wipe => f.write_str("B13 the store is deleted"),
            Self::Spoil { partition } => {
                write!(f, "B14 the lease of partition {partition} is spoilt")
            }
        }
    }
}

/// A time in which something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Upheaval {
    /// When it begins, from the start of the run.
    pub at: Duration,
    /// When it ends.
    pub until: Duration,
    /// What goes wrong.
    pub upset: Upset,
}

impl fmt::Display for Upheaval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = (self.at.as_secs_f64(), (self.until - self.at).as_secs_f64());
        write!(f, "{at:>7.2} s for {length:>6.2} s  {}", self.upset)
    }
}

/// What there is to be upset.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Hosts.
    pub hosts: u16,
    /// Partitions.
    pub partitions: u16,
    /// How long a lease lasts.
    pub lease: Duration,
}

/// Percentage of runs in which the store, handlers and the way of a host to the hub go wrong.
const STORE: u64 = 80;
const HANDLERS: u64 = 60;
const CUT_OFF: u64 = 40;
/// Percentage of runs in which the store is deleted, and in which a lease is spoilt.
const WIPE: u64 = 30;
const SPOIL: u64 = 40;
/// No window but those that have to outlast a lease takes more than this part of the run.
const SHARE: u32 = 3;

/// Rows of the hub and the network that withhold nothing: what a host passes over, it lost.
pub const ROWS: &[&str] = &[
    "N1", "N2", "N3", "N5", "N8", "N9", "N11", "N12", "N13", "N14", "N15", "S1", "S2", "S3", "S4",
    "S5", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S16", "S17", "S20", "S25", "S36", "S37",
    "S38", "S40", "S41", "S42", "S46",
];

/// The windows of a run of this length, by their beginning; all of them end with it. Nothing is
/// wrong before `begin`.
#[must_use]
pub fn plan(seed: u64, begin: Duration, length: Duration, field: Field) -> Vec<Upheaval> {
    let random = Random::new(seed).fork(77);
    let mut plan = Plan { begin, length, field, windows: Vec::new() };
    for host in 0..field.hosts {
        plan.processes(host, &mut random.fork(u64::from(host)));
    }
    let mut random = random.fork(99);
    if random.chance(STORE) {
        plan.store(&mut random);
    }
    if random.chance(HANDLERS) {
        plan.handlers(&mut random);
    }
    let late =
        |random: &mut Random| begin + length.saturating_sub(begin).mul_f64(random.unit() / 2.0);
    if random.chance(CUT_OFF) {
        let at = late(&mut random);
        let open = field.lease.mul_f64(0.5 + random.unit() * 2.0);
        let host = plan.host(&mut random);
        plan.add(at, open.min(length / 2), Upset::CutOff { host });
    }
    if random.chance(WIPE) {
        // Early, so that what has to be done again is not much.
        let at = begin + length.saturating_sub(begin).mul_f64(random.unit() / 3.0);
        plan.add(at, Duration::from_secs(1), Upset::Wipe);
    }
    if random.chance(SPOIL) {
        let at = late(&mut random);
        let partition = random.below(u64::from(field.partitions)) as u16;
        plan.add(at, Duration::from_secs(1), Upset::Spoil { partition });
    }
    plan.windows.sort_by_key(|window| window.at);
    plan.windows
}

/// What a host cannot attach with: everything it asks for is left without an answer.
#[must_use]
pub fn cut_off(host: u16) -> Vec<Fault> {
    let scope = Scope::all().container(format!("host-{host}"));
    let ignored = Fault::at(Point::Attach, Effect::Ignore).always().within(scope.clone());
    vec![ignored, Fault::now(Effect::Reset).within(scope)]
}

/// The windows as they are drawn.
struct Plan {
    begin: Duration,
    length: Duration,
    field: Field,
    windows: Vec<Upheaval>,
}

impl Plan {
    fn add(&mut self, at: Duration, open: Duration, upset: Upset) -> Duration {
        let until = (at + open).min(self.length);
        if at < until {
            self.windows.push(Upheaval { at, until, upset });
        }
        until
    }

    fn host(&self, random: &mut Random) -> u16 {
        random.below(u64::from(self.field.hosts)) as u16
    }

    /// One thing after the other happens to the process of a host.
    fn processes(&mut self, host: u16, random: &mut Random) {
        let second = Duration::from_secs(1);
        let lease = self.field.lease;
        let pause = |random: &mut Random| random.heavy(second * 9, second * 60);
        let mut at = self.begin + pause(random).min(self.length / 2);
        while at < self.length {
            let short = random.heavy(second, second * 8);
            let (open, upset) = match random.below(10) {
                0..=2 => (short, Upset::Kill { host }),
                // Shorter than a third of the lease, half of it, a little longer, and much longer.
                3..=5 => {
                    let factor = random.pick(&[0.2, 0.5, 1.2, 2.0]);
                    (lease.mul_f64(factor), Upset::Halt { host })
                }
                6 | 7 => (short, Upset::Replace { host }),
                _ => (short, Upset::Cycle { host }),
            };
            at = self.add(at, open, upset) + pause(random);
        }
    }

    fn store(&mut self, random: &mut Random) {
        let second = Duration::from_secs(1);
        let mut at = self.begin + random.heavy(second * 4, second * 20);
        while at < self.length {
            let slow = |random: &mut Random| random.heavy(second / 3, second * 8);
            let trouble = match random.below(6) {
                0 => Trouble::Slow { before: slow(random), after: slow(random) },
                1 => Trouble::Slow { before: slow(random), after: Duration::ZERO },
                2 => Trouble::Refuses,
                3 => Trouble::Forgets,
                4 => Trouble::Hangs,
                _ => Trouble::Busy { after: random.heavy(second / 2, second * 3) },
            };
            let calls = random.pick(&[Calls::All, Calls::Leases, Calls::Lists, Calls::Checkpoints]);
            let percent = random.pick(&[20, 50, 100]);
            let host = random.chance(50).then(|| self.host(random));
            let open = random.heavy(second * 4, second * 30).min(self.length / SHARE);
            let upset = Upset::Store { host, calls, percent, trouble };
            at = self.add(at, open, upset) + random.heavy(second * 4, second * 20);
        }
    }

    fn handlers(&mut self, random: &mut Random) {
        let second = Duration::from_secs(1);
        let mut at = self.begin + random.heavy(second * 5, second * 30);
        while at < self.length {
            let slow = random.heavy(second / 100, second / 5);
            let failing = random.pick(&[0, 5, 50]);
            let upset = Upset::Handlers { host: self.host(random), slow, failing };
            let open = random.heavy(second * 5, second * 20).min(self.length / SHARE);
            at = self.add(at, open, upset) + random.heavy(second * 5, second * 30);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rows::{self, Ground};

    const LENGTH: Duration = Duration::from_secs(120);
    const BEGIN: Duration = Duration::from_secs(8);

    fn field() -> Field {
        Field { hosts: 3, partitions: 16, lease: Duration::from_secs(15) }
    }

    #[test]
    fn the_same_seed_is_the_same_plan() {
        for seed in 0..20 {
            let plan = |seed| plan(seed, BEGIN, LENGTH, field());
            assert_eq!(plan(seed), plan(seed));
            assert_ne!(plan(seed), plan(seed + 1));
        }
    }

    #[test]
    fn everything_happens_within_the_run_and_to_each_host_one_thing_at_a_time() {
        let mut kinds = BTreeSet::new();
        for seed in 0..300 {
            for length in [LENGTH, LENGTH / 4] {
                let windows = plan(seed, BEGIN, length, field());
                let mut busy = [Duration::ZERO; 3];
                for Upheaval { at, until, upset } in windows {
                    assert!(BEGIN <= at && at < until && until <= length, "seed {seed}: {upset}");
                    kinds.insert(upset.to_string().chars().take(3).collect::<String>());
                    if let Upset::Kill { host }
                    | Upset::Halt { host }
                    | Upset::Replace { host }
                    | Upset::Cycle { host } = upset
                    {
                        let busy = &mut busy[usize::from(host)];
                        assert!(*busy <= at, "seed {seed}: {upset}");
                        *busy = until;
                    }
                }
            }
        }
        let all = ["B  ", "B11", "B13", "B14", "P1 ", "P15", "P16", "P3 ", "P6 "];
        assert_eq!(kinds, all.map(str::to_owned).into_iter().collect());
    }

    #[test]
    fn rows_that_strike_at_hosts_withhold_nothing() {
        let ground = Ground {
            second: Duration::from_secs(1),
            memory: false,
            tls: false,
            containers: vec!["host-0".to_owned()],
            partitions: 16,
            token_life: Duration::from_secs(3600),
        };
        for row in ROWS {
            for seed in 0..200 {
                let acts = rows::acts(row, &mut Random::new(seed), &ground);
                assert!(!acts.is_empty(), "{row}");
                assert!(acts.iter().all(|act| act.withholds() == 0), "{row}");
            }
        }
        for fault in cut_off(1) {
            assert_eq!(fault.check(), Ok(()));
        }
    }
}
