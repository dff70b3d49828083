//! Holds a whole history against what was promised.
//!
//! Everything here is a function of the history: no clock, no network, no memory of earlier runs.
//! [`window`](crate::window) does the same for runs that are too long to be kept.

pub mod hosts;
mod reads;
mod sends;

pub(crate) use self::reads::count;
use crate::history::{History, Outcome};
use crate::violation::Findings;

/// What a history adds up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Events whose send ended as acknowledged.
    pub acknowledged: u64,
    /// Events whose send failed for certain.
    pub failed: u64,
    /// Events of which nobody knows.
    pub unknown: u64,
    /// Events that are stored, each copy counted.
    pub stored: u64,
    /// Sends that are stored again, each copy after the first counted.
    pub stored_again: u64,
    /// Events that consumers were handed, each time counted.
    pub read: u64,
    /// Events that a consumer was handed again, by a receiver that it opened later.
    pub read_again: u64,
    /// Events reported as missing.
    pub gaps: u64,
    /// Events reported as trimmed.
    pub trimmed: u64,
    /// Events reported as impossible to decode.
    pub undecodable: u64,
    /// What is wrong.
    pub findings: Findings,
}

/// Checks everything.
///
/// ```
/// use eventhubs_chaos::history::{Content, History, Log, Outcome, Reader, Reading, Send};
/// use eventhubs_chaos::oracle;
///
/// let send = Send {
///     producer: 0, partition: 0, first: 0, count: 1, start: 5, end: 9, outcome: Outcome::Acked,
/// };
/// let content = Content::Event(send.event(0));
/// let readings = vec![Reading::Opened { after: None }, Reading::Event { sequence: 0, content }];
/// let mut history = History {
///     sends: vec![send],
///     logs: vec![Log { begin: 0, events: vec![content] }],
///     readers: vec![Reader { consumer: 0, partition: 0, readings }],
///     ..History::default()
/// };
/// assert!(oracle::check(&history).findings.is_empty());
///
/// history.readers[0].readings.pop();
/// assert_eq!(oracle::check(&history).findings.count("undelivered"), 1);
/// ```
#[must_use]
pub fn check(history: &History) -> Account {
    let mut account = Account::default();
    for send in &history.sends {
        *match send.outcome {
            Outcome::Acked => &mut account.acknowledged,
            Outcome::Failed => &mut account.failed,
            Outcome::Unknown => &mut account.unknown,
        } += u64::from(send.count);
    }
    account.stored = history.logs.iter().map(|log| log.events.len() as u64).sum();
    sends::check(history, &mut account);
    reads::check(history, &mut account);
    account
}
