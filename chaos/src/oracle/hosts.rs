//! Holds what hosts did against what they promise.
//!
//! A function of the [`Chronicle`], like the rest of the oracle. Times of different processes are
//! compared with `CLOCKS` between them; what depends on how soon somebody gets a turn has a bound
//! with a name.

mod checkpoints;
mod handling;
mod ownership;
mod peace;
mod tenures;

use std::time::Duration;

use super::Account;
use crate::breach::Breach;
use crate::chronicle::{Chronicle, Ending, Process};
use crate::journal::Note;
use crate::violation::Findings;

/// How far the clocks of two processes may be apart, in microseconds.
const CLOCKS: u64 = 20_000;

/// What a run of hosts adds up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAccount {
    /// What was sent and stored.
    pub sends: Account,
    /// Calls of handlers that succeeded.
    pub handled: u64,
    /// Calls of handlers that failed, as they were told to.
    pub failures: u64,
    /// Events that were handled again by the next owner, because their checkpoint was not written.
    pub again_by_owner: u64,
    /// Events that were handled again after a failure of a handler.
    pub again_by_failure: u64,
    /// Ownerships.
    pub ownerships: u64,
    /// Checkpoints that were written.
    pub checkpoints: u64,
    /// Calls that began after another owner had come.
    pub overlapped: u64,
    /// The longest time between the two.
    pub overlap: Duration,
    /// The longest time from the acknowledgement of an event to the end of its handler.
    pub wait: Duration,
    /// The longest time that an event waited in peace.
    pub wait_in_peace: Duration,
    /// Partitions that were given back in peace.
    pub handed_over: u64,
    /// What is wrong.
    pub findings: Findings,
}

/// Checks everything.
///
/// ```
/// use eventhubs_chaos::chronicle::Chronicle;
/// use eventhubs_chaos::oracle::hosts;
///
/// assert!(hosts::check(&Chronicle::default()).findings.is_empty());
/// ```
#[must_use]
pub fn check(chronicle: &Chronicle) -> HostAccount {
    let sends = super::check(&chronicle.history);
    let mut account = HostAccount { findings: sends.findings.clone(), ..HostAccount::default() };
    account.sends = sends;
    let tenures = tenures::all(chronicle, &mut account.findings);
    account.ownerships = tenures.len() as u64;
    let done = handling::check(chronicle, &tenures, &mut account);
    ownership::check(chronicle, &tenures, &mut account);
    checkpoints::check(chronicle, &tenures, &done, &mut account);
    peace::check(chronicle, &done, &mut account);
    for process in &chronicle.processes {
        behaviour(process, &mut account.findings);
    }
    account
}

/// When each stored event of a partition was done first, by its place in the log.
type Done = Vec<Vec<Option<u64>>>;

/// What a process did besides its work.
fn behaviour(process: &Process, findings: &mut Findings) {
    let Process { host, turn, .. } = *process;
    for text in &process.said {
        findings.add(Breach::Said { host, text: text.clone() });
    }
    if let Some((_, Ending::Died)) = process.ended {
        findings.add(Breach::Died { host, turn });
    }
    for entry in &process.entries {
        if let Note::Skipped { partition, from, to } = entry.note {
            findings.add(Breach::PassedOver { host, partition, from, to });
        }
    }
}
