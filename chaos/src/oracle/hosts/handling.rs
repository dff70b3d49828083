//! Which events handlers got: each at least once, those of one ownership in order, and again only
//! for a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::tenures::{Call, Tenure};
use super::{Done, HostAccount};
use crate::breach::Breach;
use crate::chronicle::{Chronicle, Manner};
use crate::history::{Content, Log};
use crate::violation::Findings;

pub(super) fn check(chronicle: &Chronicle, tenures: &[Tenure], account: &mut HostAccount) -> Done {
    let logs = &chronicle.history.logs;
    let mut done: Done = logs.iter().map(|log| vec![None; log.events.len()]).collect();
    let nothing = Log::default();
    for tenure in tenures {
        let log = logs.get(usize::from(tenure.partition)).unwrap_or(&nothing);
        for call in &tenure.calls {
            contents(tenure, call, log, &mut account.findings);
            match call.end {
                Some((_, true)) => account.handled += 1,
                Some((_, false)) => account.failures += 1,
                None => {}
            }
            let index = usize::try_from(call.sequence - log.begin).unwrap_or(usize::MAX);
            let place = done.get_mut(usize::from(tenure.partition));
            if let Some(place) = place.and_then(|places| places.get_mut(index)) {
                *place = place.iter_mut().map(|at| *at).chain(call.done()).min();
            }
        }
        order(tenure, log.begin, &mut account.findings);
    }
    for (partition, (log, done)) in (0..).zip(logs.iter().zip(&done)) {
        missing(partition, log, done, &mut account.findings);
    }
    again(tenures, account);
    done
}

/// A handler gets what is stored under the number.
fn contents(tenure: &Tenure, call: &Call, log: &Log, findings: &mut Findings) {
    let stored = log.content(call.sequence);
    if stored.is_none() || stored != call.event.map(Content::Event) {
        let Tenure { host, partition, .. } = *tenure;
        findings.add(Breach::Mishandled { host, partition, sequence: call.sequence });
    }
}

/// What the calls of one ownership have done at a moment.
struct Prefix {
    /// Ends of calls that succeeded, the latest first.
    ends: Vec<(u64, i64)>,
    /// What is done beyond the prefix.
    beyond: BTreeSet<i64>,
    /// The last event that is done with none missing.
    last: i64,
}

impl Prefix {
    fn new(tenure: &Tenure, begin: i64) -> Self {
        let ends = tenure.calls.iter().filter_map(|call| Some((call.done()?, call.sequence)));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        Self { ends, beyond: BTreeSet::new(), last: tenure.base(begin) }
    }

    fn at(&mut self, moment: u64) -> i64 {
        while let Some((_, sequence)) = self.ends.pop_if(|(at, _)| *at <= moment) {
            self.beyond.insert(sequence);
        }
        while self.beyond.remove(&(self.last + 1)) {
            self.last += 1;
        }
        self.last
    }
}

/// How far an ownership had come at a moment: done with none missing.
pub(super) fn prefix(tenure: &Tenure, begin: i64, moment: u64) -> i64 {
    Prefix::new(tenure, begin).at(moment)
}

/// Each event follows on what is done, or on the event before it in the same batch. Keys side by
/// side have no order.
fn order(tenure: &Tenure, begin: i64, findings: &mut Findings) {
    let mut prefix = Prefix::new(tenure, begin);
    let mut before = None;
    for call in &tenure.calls {
        let after = prefix.at(call.at);
        let follows = match tenure.manner {
            Manner::Each => call.sequence == after + 1,
            Manner::Batch => call.sequence == after + 1 || Some(call.sequence - 1) == before,
            Manner::Keys => call.sequence > tenure.base(begin),
        };
        if !follows {
            let Tenure { host, partition, .. } = *tenure;
            findings.add(Breach::Jumped { host, partition, sequence: call.sequence, after });
        }
        before = Some(call.sequence);
    }
}

/// Everything that is stored was done by somebody.
fn missing(partition: u16, log: &Log, done: &[Option<u64>], findings: &mut Findings) {
    let mut open: Option<(i64, i64)> = None;
    let sequences = (log.begin..).zip(done.iter().map(Option::is_some).chain([true]));
    for (sequence, is_done) in sequences {
        match (is_done, &mut open) {
            (false, Some((_, to))) => *to = sequence,
            (false, None) => open = Some((sequence, sequence)),
            (true, _) => {
                if let Some((from, to)) = open.take() {
                    findings.add(Breach::Unhandled { partition, from, to });
                }
            }
        }
    }
}

/// Who handled an event again, and why.
fn again(tenures: &[Tenure], account: &mut HostAccount) {
    let mut done: BTreeMap<(u16, i64), Vec<(usize, &Call)>> = BTreeMap::new();
    for (index, tenure) in tenures.iter().enumerate() {
        for call in tenure.calls.iter().filter(|call| call.done().is_some()) {
            done.entry((tenure.partition, call.sequence)).or_default().push((index, call));
        }
    }
    for ((partition, sequence), mut calls) in done {
        calls.sort_by_key(|(_, call)| call.at);
        for at in 1..calls.len() {
            let (owner, call) = calls[at];
            let tenure = &tenures[owner];
            let own = calls[..at].iter().rfind(|(other, _)| *other == owner);
            let failed = |since: u64| {
                let failures = tenure.calls.iter().filter_map(|call| call.end);
                failures.into_iter().any(|(end, ok)| !ok && since <= end && end <= call.at)
            };
            let why = match own {
                Some((_, before)) if failed(before.at) => {
                    account.again_by_failure += 1;
                    continue;
                }
                Some(_) => "the same ownership had, and nothing failed",
                None if tenure.base(i64::MIN + 1) >= sequence => "its checkpoint was beyond it",
                None => {
                    account.again_by_owner += 1;
                    continue;
                }
            };
            account.findings.add(Breach::Again { host: tenure.host, partition, sequence, why });
        }
    }
}
