//! What must be once nothing is wrong: every event is handled soon, and partitions are shared fairly
//! and stay where they are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Done, HostAccount};
use crate::breach::Breach;
use crate::chronicle::{Chronicle, Ending, Holding, Span};
use crate::history::{Content, Outcome};
use crate::journal::Note;
use crate::stamp::EventId;
use crate::violation::Findings;

/// A process that did not get its turn for so long was in trouble, in microseconds.
const LATE: u64 = 500_000;
/// What everybody needs beside the times of leases and scans: to attach, and to catch up.
const SLACK: Duration = Duration::from_secs(4);

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The times in which something was wrong, put together.
#[derive(Debug)]
pub(super) struct Troubles(Vec<Span>);

impl Troubles {
    /// Whatever may keep an event from being handled.
    pub(super) fn of(chronicle: &Chronicle) -> Self {
        let mut all = Self::of_others(chronicle).0;
        all.extend_from_slice(&chronicle.departures);
        Self::merged(all)
    }

    /// Whatever is wrong where hosts only stop.
    pub(super) fn of_others(chronicle: &Chronicle) -> Self {
        let mut spans = chronicle.troubles.clone();
        for process in &chronicle.processes {
            spans.extend_from_slice(&process.halts);
            if let Some((at, Ending::Killed | Ending::Died)) = process.ended {
                spans.push(Span { from: at, to: at });
            }
            for entry in &process.entries {
                if let Note::Late { by } = entry.note
                    && by >= LATE
                {
                    spans.push(Span { from: entry.at.saturating_sub(by), to: entry.at });
                }
            }
        }
        spans.extend(chronicle.wipes.iter().map(|wipe| wipe.span));
        Self::merged(spans)
    }

    fn merged(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    /// Times between two moments in which nothing was wrong.
    fn pauses(&self, from: u64, to: u64) -> impl Iterator<Item = Span> {
        let first = self.0.partition_point(|span| span.to < from);
        let within = self.0[first..].iter().take_while(move |span| span.from <= to);
        let ends = within.clone().map(|span| span.from).chain([to]);
        let begins = [from].into_iter().chain(within.map(|span| span.to));
        begins.zip(ends).filter(|(from, to)| from < to).map(|(from, to)| Span { from, to })
    }

    /// For how long nothing was wrong between two moments, in microseconds.
    pub(super) fn peace_between(&self, from: u64, to: u64) -> u64 {
        self.pauses(from, to).map(|pause| pause.to - pause.from).sum()
    }

    /// Whether nothing was wrong between two moments.
    pub(super) fn is_peace(&self, from: u64, to: u64) -> bool {
        let span = Span { from, to };
        !self.0.iter().any(|trouble| trouble.meets(&span))
    }
}

pub(super) fn check(chronicle: &Chronicle, done: &Done, account: &mut HostAccount) {
    waits(chronicle, done, account);
    if let Some((first, rest)) = chronicle.holdings.split_first() {
        balance(chronicle, first, &mut account.findings);
        let mut before = first;
        for now in rest {
            let owners = (0..).zip(before.owners.iter().zip(&now.owners));
            for (partition, _) in owners.filter(|(_, (before, now))| before != now) {
                account.findings.add(Breach::Moved { partition, at: now.at });
            }
            before = now;
        }
    }
}

/// Every acknowledged event is handled as soon as its partition can have an owner again.
fn waits(chronicle: &Chronicle, done: &Done, account: &mut HostAccount) {
    let troubles = Troubles::of(chronicle);
    let limit = chronicle.lease + chronicle.scan * 3 + SLACK;
    let mut places: BTreeMap<EventId, u64> = BTreeMap::new();
    for (log, done) in chronicle.history.logs.iter().zip(done) {
        for (content, done) in log.events.iter().zip(done) {
            if let Content::Event(event) = content {
                places.entry(*event).or_insert_with(|| done.unwrap_or(chronicle.end));
            }
        }
    }
    let mut worst: BTreeMap<u16, Span> = BTreeMap::new();
    for send in chronicle.history.sends.iter().filter(|send| send.outcome == Outcome::Acked) {
        for event in send.events() {
            let Some(&done) = places.get(&event) else { continue };
            account.wait = account.wait.max(Duration::from_micros(done.saturating_sub(send.end)));
            if done < send.end {
                continue;
            }
            let longest = troubles.pauses(send.end, done).max_by_key(|span| span.to - span.from);
            let Some(longest) = longest else { continue };
            let place = worst.entry(send.partition).or_insert(longest);
            if longest.to - longest.from > place.to - place.from {
                *place = longest;
            }
        }
    }
    for (partition, span) in worst {
        let waited = Duration::from_micros(span.to - span.from);
        account.wait_in_peace = account.wait_in_peace.max(waited);
        if waited > limit {
            let since = span.from;
            account.findings.add(Breach::Waited { partition, waited, limit, since });
        }
    }
}

/// Every host that is there has its share.
fn balance(chronicle: &Chronicle, holding: &Holding, findings: &mut Findings) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (owner, _) in holding.owners.iter().flatten() {
        *counts.entry(owner).or_default() += 1;
    }
    let free = holding.owners.iter().filter(|owner| owner.is_none()).count();
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_unstable();
    let (least, most) = (counts.first().unwrap_or(&0), counts.last().unwrap_or(&0));
    if free > 0 || counts.len() != chronicle.alive || most - least > 1 {
        findings.add(Breach::Unbalanced { counts, free, alive: chronicle.alive });
    }
}
