//! The latest events of one producer for one partition.

use std::collections::VecDeque;

use crate::history::{Outcome, Send};

/// Most events that are kept as overtaken or missing before they count as lost.
const SUSPECTS_MAX: usize = 4096;
/// Most ranges of failed events that are remembered after they have left the window.
const REFUSED_MAX: usize = 1024;

/// What is known of an event.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u64,
    end: u64,
    /// `None` while its send has not ended.
    outcome: Option<Outcome>,
    read: bool,
}

/// What an event that was read turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its first time.
    Expected,
    /// It was read before.
    Again,
    /// One that was sent after its acknowledgement was read before it.
    Overtaken {
        /// That one.
        by: u64,
    },
    /// Its send failed for certain.
    Refused,
    /// Nobody sent it.
    NeverSent,
}

/// The window.
#[derive(Debug)]
pub(super) struct Stream {
    /// Counter of the first slot.
    base: u64,
    slots: VecDeque<Slot>,
    room: usize,
    /// The latest start of a send of which something was read, and that event.
    read_start: (u64, u64),
    /// Events that were passed by, with the one that was read instead.
    suspects: VecDeque<(u64, u64)>,
    /// Counters of failed events that have left the window: first and last.
    refused: VecDeque<(u64, u64)>,
}

impl Stream {
    pub(super) fn new(room: usize) -> Self {
        Self {
            base: 0,
            slots: VecDeque::with_capacity(room),
            room,
            read_start: (0, 0),
            suspects: VecDeque::new(),
            refused: VecDeque::new(),
        }
    }

    /// The counter of the first of `count` events, if there is room.
    pub(super) fn begin(&mut self, count: u32, now: u64) -> Option<u64> {
        if self.slots.len() + count as usize > self.room {
            return None;
        }
        let first = self.base + self.slots.len() as u64;
        let slot = Slot { start: now, end: 0, outcome: None, read: false };
        self.slots.extend((0..count).map(|_| slot));
        Some(first)
    }

    fn slot(&mut self, counter: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(counter.checked_sub(self.base)?).ok()?)
    }

    /// A send has ended; an event of it is returned that was read although it failed for certain.
    pub(super) fn end(&mut self, send: &Send) -> Option<u64> {
        let mut read = None;
        for event in send.events() {
            let Some(slot) = self.slot(event.counter) else { continue };
            slot.end = send.end;
            slot.outcome = Some(send.outcome);
            if send.outcome == Outcome::Failed && slot.read {
                read = read.or(Some(event.counter));
            }
        }
        read
    }

    pub(super) fn read(&mut self, counter: u64) -> Fate {
        if counter < self.base {
            return self.read_late(counter);
        }
        let Some(slot) = self.slot(counter) else { return Fate::NeverSent };
        if slot.outcome == Some(Outcome::Failed) {
            return Fate::Refused;
        }
        if std::mem::replace(&mut slot.read, true) {
            return Fate::Again;
        }
        let start = slot.start;
        self.read_start = self.read_start.max((start, counter));
        Fate::Expected
    }

    /// An event that has left the window.
    fn read_late(&mut self, counter: u64) -> Fate {
        if let Some(at) = self.suspects.iter().position(|(suspect, _)| *suspect == counter) {
            let by = self.suspects.remove(at).map_or(counter, |(_, by)| by);
            return Fate::Overtaken { by };
        }
        match self.refused.iter().any(|(first, last)| (*first..=*last).contains(&counter)) {
            true => Fate::Refused,
            false => Fate::Again,
        }
    }

    /// Takes out at the front what is accounted for.
    pub(super) fn settle(&mut self) {
        while let Some(slot) = self.slots.front() {
            let passed_by = slot.end < self.read_start.0;
            match slot.outcome {
                None => break,
                Some(Outcome::Failed) => self.refuse(self.base),
                Some(_) if slot.read => {}
                Some(Outcome::Acked) if passed_by => {
                    self.suspects.push_back((self.base, self.read_start.1));
                }
                Some(Outcome::Unknown) if passed_by => {}
                Some(_) => break,
            }
            self.slots.pop_front();
            self.base += 1;
        }
    }

    fn refuse(&mut self, counter: u64) {
        match self.refused.back_mut() {
            Some((_, last)) if *last + 1 == counter => *last = counter,
            _ => {
                if self.refused.len() == REFUSED_MAX {
                    self.refused.pop_front();
                }
                self.refused.push_back((counter, counter));
            }
        }
    }

    /// An event that has been missing for so long that it counts as lost.
    pub(super) fn lost(&mut self) -> Option<u64> {
        let is_full = self.suspects.len() > SUSPECTS_MAX;
        is_full.then(|| self.suspects.pop_front()).flatten().map(|(counter, _)| counter)
    }

    /// Whether every acknowledged event was read or is known to be missing.
    pub(super) fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| match slot.outcome {
            None => false,
            Some(Outcome::Acked) => slot.read,
            Some(_) => true,
        })
    }

    /// Every event that was acknowledged and not read.
    pub(super) fn finish(&mut self) -> Vec<u64> {
        let suspects = std::mem::take(&mut self.suspects).into_iter().map(|(counter, _)| counter);
        let missing = |slot: &Slot| slot.outcome == Some(Outcome::Acked) && !slot.read;
        let rest = (self.base..).zip(&self.slots).filter(|(_, slot)| missing(slot));
        suspects.chain(rest.map(|(counter, _)| counter)).collect()
    }
}
