//! The rows of the fault matrix as this package strikes with them.
//!
//! `docs/faults.md` names every row and the emulator's call; here each becomes something that may
//! happen at any moment of a run, with random counts, places and lengths, and ends with its window.

mod network;
mod service;

use std::fmt;
use std::time::Duration;

use eventhubs_emulator::{Effect, Fault, Point, Role, Scope, TlsFault};

use crate::random::Random;

/// What a run offers to strike at.
#[derive(Debug, Clone)]
pub struct Ground {
    /// What the matrix calls a second, brought to the length of the run.
    pub second: Duration,
    /// Whether clients come through a network in memory, which can refuse to connect them.
    pub memory: bool,
    /// Whether clients come through TLS, and their tokens keep up with the service's clock.
    pub tls: bool,
    /// Parts of the clients' container ids.
    pub containers: Vec<String>,
    /// Partitions.
    pub partitions: u16,
    /// How long a token lives.
    pub token_life: Duration,
}

/// One thing to do when a window begins, and to undo when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A fault of the emulator.
    Emulator(Fault),
    /// A fault of the network in memory.
    Network(Fault),
    /// The service's clock goes forward.
    Clock(Duration),
    /// New connections find TLS broken.
    Tls(TlsFault),
}

impl Act {
    /// How many events consumers may be told are missing or spoiled because of it, at most.
    #[must_use]
    pub fn withholds(&self) -> u64 {
        let Self::Emulator(fault) = self else { return 0 };
        match fault.effect {
            Effect::Drop => fault.times.unwrap_or(u64::MAX),
            // Reported as spoiled, and as missing as well when its number cannot be made out.
            Effect::Replace(_) => fault.times.unwrap_or(u64::MAX).saturating_mul(2),
            // Something that no producer sent, once for each connection.
            Effect::Write(_) => 32,
            _ => 0,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longest description of an effect, in characters.
        const LONGEST: usize = 90;
        let (owner, fault) = match self {
            Self::Emulator(fault) => ("", fault),
            Self::Network(fault) => ("network ", fault),
            Self::Clock(by) => return write!(f, "clock +{} s", by.as_secs()),
            Self::Tls(fault) => return write!(f, "tls {fault:?}"),
        };
        let effect: String = format!("{:?}", fault.effect).chars().take(LONGEST).collect();
        write!(f, "{owner}{} {effect}", fault.point)?;
        match (fault.point, fault.times) {
            (Point::Now, _) | (_, Some(1)) => {}
            (_, Some(times)) => write!(f, " x{times}")?,
            (_, None) => f.write_str(" always")?,
        }
        let Scope { container, role, partition, .. } = &fault.scope;
        if let Some(part) = container {
            write!(f, " at {part}")?;
        }
        if let Some(role) = role {
            write!(f, " {role:?}")?;
        }
        if let Some(partition) = partition {
            write!(f, " of partition {partition}")?;
        }
        Ok(())
    }
}

/// Rows that strike in runs, and how often beside the others.
pub const ROWS: &[(&str, u64)] = &[
    ("N1", 2),
    ("N2", 2),
    ("N3", 2),
    ("N4", 2),
    ("N5", 4),
    ("N6", 1),
    ("N7", 2),
    ("N8", 3),
    ("N9", 3),
    ("N10", 1),
    ("N11", 2),
    ("N12", 2),
    ("N13", 2),
    ("N14", 2),
    ("N15", 3),
    ("S1", 4),
    ("S2", 3),
    ("S3", 3),
    ("S4", 4),
    ("S5", 2),
    ("S6", 2),
    ("S7", 2),
    ("S8", 2),
    ("S9", 1),
    ("S10", 2),
    ("S11", 3),
    ("S12", 4),
    ("S13", 3),
    ("S14", 1),
    ("S15", 2),
    ("S16", 3),
    ("S17", 4),
    ("S18", 3),
    ("S19", 1),
    ("S20", 2),
    ("S21", 2),
    ("S22", 2),
    ("S23", 2),
    ("S24", 1),
    ("S25", 2),
    ("S26", 2),
    ("S27", 1),
    ("S28", 1),
    ("S29", 1),
    ("S30", 1),
    ("S31", 1),
    ("S32", 1),
    ("S33", 1),
    ("S34", 1),
    ("S35", 2),
    ("S36", 3),
    ("S37", 3),
    ("S38", 2),
    ("S39", 2),
    ("S40", 2),
    ("S41", 2),
    ("S42", 1),
    ("S46", 2),
];

/// Rows that do not, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("N16", "a name that leads elsewhere leads to another truth"),
    ("S43", "a hub that is created anew has lost what was acknowledged"),
    ("S44", "the truth would be trimmed; `soak` has retention"),
    ("S45", "clients of this run look at the partitions once"),
];

/// Rows that are known to meet in the field.
pub const PAIRS: &[(&str, &str)] = &[("S1", "S12"), ("S36", "N8"), ("S41", "S13")];

/// What a row does this time; nothing where the run does not offer what it strikes at.
#[must_use]
pub fn acts(row: &str, random: &mut Random, ground: &Ground) -> Vec<Act> {
    let mut acts = match row.starts_with('N') {
        true => network::acts(row, random, ground),
        false => service::acts(row, random, ground),
    };
    for act in &mut acts {
        if let Act::Emulator(fault) = act
            && fault.scope == Scope::all()
        {
            *fault = scoped(fault.clone(), random, ground);
        }
    }
    acts
}

/// The same fault about a part of what there is, where it can be.
fn scoped(fault: Fault, random: &mut Random, ground: &Ground) -> Fault {
    let scope = match random.below(10) {
        0..=3 => Scope::all(),
        4..=6 if !ground.containers.is_empty() => {
            Scope::all().container(random.pick(&ground.containers))
        }
        7 | 8 => Scope::all().partition(random.below(u64::from(ground.partitions)).to_string()),
        _ => Scope::all().role(random.pick(&[Role::Producer, Role::Consumer])),
    };
    let narrow = fault.clone().within(scope);
    match narrow.check() {
        Ok(()) => narrow,
        Err(_) => fault,
    }
}

/// A time that is `seconds` of the matrix at the median and ten times that now and then.
fn some(random: &mut Random, ground: &Ground, seconds: f64) -> Duration {
    let median = ground.second.mul_f64(seconds);
    random.heavy(median, median * 10).max(Duration::from_millis(1))
}

/// A fault that strikes a few times, or until it is lifted.
fn repeated(fault: Fault, random: &mut Random) -> Fault {
    let fault = fault.after(random.below(5));
    match random.below(4) {
        0 => fault.always(),
        1 => fault,
        _ => fault.times(2 + random.below(20)),
    }
}

/// A fault that strikes a few times at most.
fn few(fault: Fault, random: &mut Random) -> Fault {
    fault.after(random.below(5)).times(1 + random.below(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground {
            second: Duration::from_millis(200),
            memory: true,
            tls: true,
            containers: vec!["client-0".to_owned(), "client-1".to_owned()],
            partitions: 4,
            token_life: Duration::from_secs(3600),
        }
    }

    #[test]
    fn every_row_of_the_matrix_strikes_or_says_why_not() {
        let matrix = (1..=16).map(|row| format!("N{row}"));
        for row in matrix.chain((1..=46).map(|row| format!("S{row}"))) {
            let here = ROWS.iter().filter(|(name, _)| *name == row).count();
            let out = LEFT_OUT.iter().filter(|(name, _)| *name == row).count();
            assert_eq!(here + out, 1, "{row}");
        }
        assert!(PAIRS.iter().all(|(one, other)| {
            [one, other].iter().all(|row| ROWS.iter().any(|(name, _)| name == *row))
        }));
    }

    #[test]
    fn every_fault_that_is_made_can_strike() {
        for (row, _) in ROWS {
            for seed in 0..300 {
                let acts = acts(row, &mut Random::new(seed), &ground());
                assert!(!acts.is_empty(), "{row}");
                for act in acts {
                    match &act {
                        Act::Emulator(fault) | Act::Network(fault) => {
                            assert_eq!(fault.check(), Ok(()), "{row}, seed {seed}: {act}");
                        }
                        Act::Clock(by) => assert!(!by.is_zero(), "{row}"),
                        Act::Tls(_) => {}
                    }
                    assert!(act.withholds() < 1_000, "{row}, seed {seed}: {act}");
                }
            }
        }
    }

    #[test]
    fn what_a_run_does_not_offer_is_not_struck_at() {
        let bare = Ground { memory: false, tls: false, containers: Vec::new(), ..ground() };
        for (row, _) in ROWS {
            for seed in 0..100 {
                for act in acts(row, &mut Random::new(seed), &bare) {
                    assert!(matches!(act, Act::Emulator(_)), "{row}: {act}");
                }
            }
        }
    }
}
