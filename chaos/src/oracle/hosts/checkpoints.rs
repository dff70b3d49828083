//! Checkpoints: never beyond what is done, never back, and only those of the present owner.

use super::handling;
use super::peace::Troubles;
use super::tenures::{Tenure, Write};
use super::{CLOCKS, Done, HostAccount};
use crate::breach::Breach;
use crate::chronicle::{Chronicle, Look, Span};
use crate::violation::Findings;

pub(super) fn check(
    chronicle: &Chronicle,
    tenures: &[Tenure],
    done: &Done,
    account: &mut HostAccount,
) {
    let troubles = Troubles::of_others(chronicle);
    for (partition, (log, done)) in (0..).zip(chronicle.history.logs.iter().zip(done)) {
        let own: Vec<_> = tenures.iter().filter(|tenure| tenure.partition == partition).collect();
        let line = Line { chronicle, partition, begin: log.begin };
        line.beyond(&own, done, &mut account.findings);
        let mut writes: Vec<_> = own.iter().flat_map(|tenure| tenure.writes.clone()).collect();
        writes.sort_by_key(|write| write.at);
        account.checkpoints += writes.len() as u64;
        line.back(&writes, &mut account.findings);
        line.looks(&writes, &mut account.findings);
        line.fence(&own, &writes, &mut account.findings);
        line.hand_over(&troubles, &own, account);
    }
}

/// The checkpoints of one partition.
struct Line<'a> {
    chronicle: &'a Chronicle,
    partition: u16,
    begin: i64,
}

impl Line<'_> {
    /// Whether what was stored may be gone between two moments.
    fn is_wiped(&self, from: u64, to: u64) -> bool {
        let span = Span { from, to };
        let mut wipes = self.chronicle.wipes.iter();
        wipes.any(|wipe| wipe.checkpoints() && wipe.span.meets(&span))
    }

    /// Before a checkpoint is on its way, everything up to it is done.
    fn beyond(&self, own: &[&Tenure], done: &[Option<u64>], findings: &mut Findings) {
        // When everything up to an event was done; never where something is missing.
        let mut since = 0;
        let all: Vec<_> = done
            .iter()
            .map(|at| {
                since = since.max(at.unwrap_or(u64::MAX));
                since
            })
            .collect();
        for tenure in own {
            for &(at, sequence) in &tenure.attempts {
                let index = usize::try_from(sequence - self.begin).unwrap_or(usize::MAX);
                let is_done = all.get(index).is_some_and(|when| *when <= at + CLOCKS);
                if is_done {
                    continue;
                }
                let mut late = done.iter().position(|when| when.is_none_or(|when| when > at));
                let missing = late.take().and_then(|index| i64::try_from(index).ok());
                let missing = missing.map_or(sequence, |index| self.begin + index);
                let (host, partition) = (tenure.host, self.partition);
                findings.add(Breach::Beyond { host, partition, sequence, missing });
            }
        }
    }

    /// Whoever begins to write after another has written writes no less.
    fn back(&self, writes: &[Write], findings: &mut Findings) {
        for (index, write) in writes.iter().enumerate() {
            let before = writes[..index].iter().filter(|one| one.at + CLOCKS < write.asked);
            let before = before.filter(|one| !self.is_wiped(one.asked, write.at));
            if let Some(highest) = before.map(|one| one.sequence).max()
                && highest > write.sequence
            {
                let (partition, from, to) = (self.partition, highest, write.sequence);
                findings.add(Breach::WentBack { partition, from, to });
            }
        }
    }

    /// What is read is no less than what was written or read before.
    fn looks(&self, writes: &[Write], findings: &mut Findings) {
        let looks: Vec<&Look> =
            self.chronicle.looks.iter().filter(|look| look.partition == self.partition).collect();
        for (index, look) in looks.iter().enumerate() {
            let Span { from, to } = look.span;
            let written = writes
                .iter()
                .filter(|write| write.at + CLOCKS < from && !self.is_wiped(write.asked, to))
                .map(|write| write.sequence);
            let read = looks[..index]
                .iter()
                .filter(|one| !self.is_wiped(one.span.from, to))
                .filter_map(|one| one.sequence);
            let now = look.sequence.unwrap_or(-1);
            if let Some(before) = written.chain(read).max()
                && before > now
            {
                let partition = self.partition;
                findings.add(Breach::WentBack { partition, from: before, to: now });
            }
        }
    }

    /// Once a checkpoint was taken over, those of ownerships before do not land.
    fn fence(&self, own: &[&Tenure], writes: &[Write], findings: &mut Findings) {
        for holder in own {
            let Some((taken, _)) = holder.loaded else { continue };
            let level = holder.levels.first().map_or(0, |(_, level)| *level);
            for write in writes.iter().filter(|write| write.level < level) {
                let is_late = write.asked > taken + CLOCKS;
                if is_late && !self.is_wiped(holder.asked.min(write.asked), write.at) {
                    let (partition, level, holder) = (self.partition, write.level, level);
                    findings.add(Breach::Unfenced { partition, level, holder });
                }
            }
        }
    }

    /// Who gives a partition back in peace leaves nothing to be done again.
    fn hand_over(&self, troubles: &Troubles, own: &[&Tenure], account: &mut HostAccount) {
        for tenure in own {
            let (Some(told), Some(released)) = (tenure.given, tenure.released) else { continue };
            if !troubles.is_peace(told, released) {
                continue;
            }
            let next = own
                .iter()
                .filter(|next| next.asked > told && next.acquired() >= released)
                .min_by_key(|next| next.acquired());
            let Some((taken, loaded)) = next.and_then(|next| next.loaded) else { continue };
            if self.is_wiped(tenure.asked, taken) {
                continue;
            }
            account.handed_over += 1;
            let done = handling::prefix(tenure, self.begin, told);
            let loaded = loaded.unwrap_or(self.begin - 1);
            if loaded < done {
                let partition = self.partition;
                account.findings.add(Breach::Unflushed { partition, loaded, done });
            }
        }
    }
}
