//! What was sent against what is stored.

use std::collections::BTreeMap;

use super::Account;
use crate::history::{Content, History, Outcome, Send};
use crate::stamp::EventId;
use crate::violation::{Findings, Violation};

/// Where an event is stored.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Whether somebody sent it.
    sent: bool,
    /// Sequence number of its first copy.
    first: i64,
    copies: u32,
}

/// Places of all events, by producer and partition, and then by counter.
struct Places(BTreeMap<(u16, u16), Vec<Place>>);

impl Places {
    fn of(history: &History, findings: &mut Findings) -> Self {
        let mut places = Self(BTreeMap::new());
        for send in &history.sends {
            let stream = places.0.entry((send.producer, send.partition)).or_default();
            let end = usize::try_from(send.first).unwrap_or(usize::MAX) + send.count as usize;
            if stream.len() < end {
                stream.resize(end, Place::default());
            }
            stream[end - send.count as usize..end].iter_mut().for_each(|place| place.sent = true);
        }
        for (partition, log) in (0..).zip(&history.logs) {
            for (sequence, content) in log.entries() {
                places.note(partition, sequence, content, findings);
            }
        }
        places
    }

    /// Books one stored event.
    fn note(&mut self, partition: u16, sequence: i64, content: Content, findings: &mut Findings) {
        let event = match content {
            Content::Event(event) => event,
            Content::Foreign { .. } => {
                return findings.add(Violation::Invented { partition, sequence, event: None });
            }
            Content::Damaged(damage) => {
                return findings.add(Violation::Damaged { partition, sequence, damage });
            }
        };
        if event.partition != partition {
            return findings.add(Violation::Misplaced { event, partition, sequence });
        }
        match self.place(event).filter(|place| place.sent) {
            Some(place) => {
                if place.copies == 0 {
                    place.first = sequence;
                }
                place.copies += 1;
            }
            None => {
                findings.add(Violation::Invented { partition, sequence, event: Some(event) });
            }
        }
    }

    fn place(&mut self, event: EventId) -> Option<&mut Place> {
        let stream = self.0.get_mut(&(event.producer, event.partition))?;
        stream.get_mut(usize::try_from(event.counter).ok()?)
    }

    /// The places of a send's events.
    fn of_send(&self, send: &Send) -> &[Place] {
        let stream = self.0.get(&(send.producer, send.partition)).map_or(&[][..], Vec::as_slice);
        let first = usize::try_from(send.first).unwrap_or(usize::MAX);
        stream.get(first..first + send.count as usize).unwrap_or_default()
    }
}

pub(super) fn check(history: &History, account: &mut Account) {
    let places = Places::of(history, &mut account.findings);
    for send in &history.sends {
        presence(history, send, places.of_send(send), &mut account.findings);
    }
    copies(history, &places, account);
    order(history, &places, &mut account.findings);
}

/// Whether what was acknowledged is there, what failed is not, and batches are whole.
fn presence(history: &History, send: &Send, places: &[Place], findings: &mut Findings) {
    let trimmed = history.logs.get(send.partition as usize).is_some_and(|log| log.begin > 0);
    let head = places.first().copied().unwrap_or_default();
    for (place, (index, event)) in places.iter().zip((0..).zip(send.events())) {
        match send.outcome {
            Outcome::Failed if place.copies > 0 => {
                findings.add(Violation::StoredAllTheSame { event, sequence: place.first });
            }
            // What is trimmed was read or not, which the window tells and this does not.
            Outcome::Acked if place.copies == 0 && !trimmed => {
                findings.add(Violation::Lost { event });
            }
            Outcome::Acked | Outcome::Unknown if !trimmed => {
                let together = place.copies == 0 || place.first == head.first + index;
                if place.copies != head.copies || !together {
                    let at = |place: Place| (place.copies > 0).then_some(place.first);
                    let (batch_at, event_at) = (at(head), at(*place));
                    findings.add(Violation::Torn { event, batch_at, event_at });
                }
            }
            _ => {}
        }
    }
}

/// Whether no more is stored again than was sent again.
fn copies(history: &History, places: &Places, account: &mut Account) {
    let again = |send: &&Send| {
        let copies = places.of_send(send).first().map_or(0, |place| place.copies);
        (copies > 1).then_some((send.event(0), copies))
    };
    let doubled: Vec<_> = history.sends.iter().filter_map(|send| again(&send)).collect();
    let extra: u64 = doubled.iter().map(|(_, copies)| u64::from(copies - 1)).sum();
    account.stored_again = extra;
    let allowed = history.unknown_retried;
    if extra > allowed {
        for (event, copies) in doubled {
            account.findings.add(Violation::Doubled { event, copies, extra, allowed });
        }
    }
}

/// Whether what was sent after an acknowledgement comes after what was acknowledged. Of a send with
/// an unknown outcome nobody can say when it is stored, and overlapping sends may overtake each
/// other.
fn order(history: &History, places: &Places, findings: &mut Findings) {
    let mut streams: BTreeMap<(u16, u16), Vec<(&Send, i64)>> = BTreeMap::new();
    for send in &history.sends {
        let head = places.of_send(send).first().copied().unwrap_or_default();
        if head.copies > 0 {
            let stream = streams.entry((send.producer, send.partition)).or_default();
            stream.push((send, head.first));
        }
    }
    for ((producer, _), by_start) in &mut streams {
        // Of an ordered producer one call follows on the other, however long their outcomes take.
        let is_ordered = history.ordered.contains(producer);
        let start = |send: &Send| if is_ordered { send.first } else { send.start };
        let end = |send: &Send| if is_ordered { send.first } else { send.end };
        by_start.sort_by_key(|(send, _)| start(send));
        let mut by_end: Vec<_> = by_start.clone();
        by_end.retain(|(send, _)| send.outcome == Outcome::Acked);
        by_end.sort_by_key(|(send, _)| end(send));
        let mut ended = by_end.into_iter().peekable();
        // The last in the log of those that had ended before the one at hand began.
        let mut last: Option<(&Send, i64)> = None;
        for &mut (later, later_at) in by_start {
            while let Some(next) = ended.next_if(|(send, _)| end(send) < start(later)) {
                last = Some(last.map_or(next, |last| if last.1 > next.1 { last } else { next }));
            }
            if let Some((earlier, earlier_at)) = last.filter(|(_, at)| *at > later_at) {
                let (earlier, later) = (earlier.event(0), later.event(0));
                findings.add(Violation::Reordered { earlier, earlier_at, later, later_at });
            }
        }
    }
}
