//! Ownerships, put together from what processes wrote.

use std::collections::BTreeMap;

use crate::breach::Breach;
use crate::chronicle::{Chronicle, Manner, Process};
use crate::journal::Note;
use crate::stamp::EventId;
use crate::violation::Findings;

/// One call of a handler with one event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) at: u64,
    pub(super) level: i64,
    pub(super) sequence: i64,
    pub(super) event: Option<EventId>,
    /// When it returned, and whether it succeeded.
    pub(super) end: Option<(u64, bool)>,
}

impl Call {
    /// When it succeeded.
    pub(super) fn done(&self) -> Option<u64> {
        self.end.and_then(|(at, ok)| ok.then_some(at))
    }
}

/// A checkpoint that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) asked: u64,
    pub(super) at: u64,
    pub(super) sequence: i64,
    pub(super) level: i64,
}

/// One ownership of a partition by a process.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    pub(super) host: u16,
    pub(super) manner: Manner,
    pub(super) partition: u16,
    /// The level with which it began, and higher ones that it took.
    pub(super) levels: Vec<(u64, i64)>,
    /// When the host asked for the partition.
    pub(super) asked: u64,
    /// When the renewals that succeeded were asked for, in their order.
    pub(super) renewals: Vec<u64>,
    /// When the checkpoint was taken over, and how far others had come.
    pub(super) loaded: Option<(u64, Option<i64>)>,
    /// In the order in which they began.
    pub(super) calls: Vec<Call>,
    /// When handlers were told that it ends.
    pub(super) told: Option<u64>,
    /// When they were told so because the host gives it back.
    pub(super) given: Option<u64>,
    /// When the lease was given back.
    pub(super) released: Option<u64>,
    /// Checkpoints that were to be written.
    pub(super) attempts: Vec<(u64, i64)>,
    /// Those that were.
    pub(super) writes: Vec<Write>,
}

impl Tenure {
    /// When it began.
    pub(super) fn acquired(&self) -> u64 {
        self.levels.first().map_or(self.asked, |(at, _)| *at)
    }

    /// The event before its first: what others had done, or the one before the log.
    pub(super) fn base(&self, begin: i64) -> i64 {
        self.loaded.and_then(|(_, sequence)| sequence).unwrap_or(begin - 1)
    }
}

/// Puts the notes of one process together.
struct Desk<'a> {
    process: &'a Process,
    tenures: Vec<Tenure>,
    /// Which ownership a level of a partition means at the moment.
    open: BTreeMap<(u16, i64), usize>,
}

/// All ownerships of all processes.
pub(super) fn all(chronicle: &Chronicle, findings: &mut Findings) -> Vec<Tenure> {
    let mut tenures = Vec::new();
    for process in &chronicle.processes {
        let mut desk = Desk { process, tenures: Vec::new(), open: BTreeMap::new() };
        for entry in &process.entries {
            desk.book(entry.at, &entry.note, findings);
        }
        tenures.append(&mut desk.tenures);
    }
    tenures
}

impl Desk<'_> {
    fn book(&mut self, at: u64, note: &Note, findings: &mut Findings) {
        match *note {
            Note::Acquired { partition, level, asked } => self.begin(partition, level, asked, at),
            Note::Raised { partition, from, level } => {
                if let Some(&index) = self.open.get(&(partition, from)) {
                    self.tenures[index].levels.push((at, level));
                    self.open.insert((partition, level), index);
                }
            }
            Note::Renewed { partition, level, asked } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.renewals.push(asked);
                }
            }
            Note::Loaded { partition, level, sequence } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.loaded.get_or_insert((at, sequence));
                }
            }
            Note::Started { partition, level, sequence, event } => {
                let call = Call { at, level, sequence, event, end: None };
                if self.of(partition, level).is_none_or(|tenure| tenure.loaded.is_none()) {
                    let host = self.process.host;
                    findings.add(Breach::Unowned { host, partition, level });
                }
                if self.of(partition, level).is_none() {
                    self.begin(partition, level, at, at);
                }
                if let Some(tenure) = self.of(partition, level) {
                    tenure.calls.push(call);
                }
            }
            Note::Ended { partition, level, sequence, ok } => {
                let Some(tenure) = self.of(partition, level) else { return };
                let mut calls = tenure.calls.iter_mut().rev();
                let call = calls.find(|call| call.sequence == sequence && call.end.is_none());
                if let Some(call) = call {
                    call.end = Some((at, ok));
                }
            }
            Note::Told { partition, level, gives } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.told.get_or_insert(at);
                    tenure.given = tenure.given.or_else(|| gives.then_some(at));
                }
            }
            Note::Storing { partition, level, sequence } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.attempts.push((at, sequence));
                }
            }
            Note::Stored { partition, level, sequence, asked } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.writes.push(Write { asked, at, sequence, level });
                }
            }
            Note::Released { partition, level } => {
                if let Some(tenure) = self.of(partition, level) {
                    tenure.released.get_or_insert(at);
                }
            }
            Note::Skipped { .. } | Note::Late { .. } | Note::Gauge { .. } | Note::Remark(_) => {}
        }
    }

    fn begin(&mut self, partition: u16, level: i64, asked: u64, at: u64) {
        self.open.insert((partition, level), self.tenures.len());
        self.tenures.push(Tenure {
            host: self.process.host,
            manner: self.process.manner,
            partition,
            levels: vec![(at, level)],
            asked,
            renewals: Vec::new(),
            loaded: None,
            calls: Vec::new(),
            told: None,
            given: None,
            released: None,
            attempts: Vec::new(),
            writes: Vec::new(),
        });
    }

    fn of(&mut self, partition: u16, level: i64) -> Option<&mut Tenure> {
        self.open.get(&(partition, level)).map(|index| &mut self.tenures[*index])
    }
}
