//! Where a receiver is in its partition: what came last, what has to come next, and from where a
//! new link goes on. Sequence numbers only: an offset is a text that nobody can count with.

use eventhubs_protocol::position::Anchor;
use eventhubs_protocol::{Offset, PartitionProperties, SequenceNumber, StartPosition, Timestamp};

/// Stands for a number that nobody knows yet. The service begins to count at 0.
const UNKNOWN: i64 = i64::MIN;

/// What an event with a number is to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one that had to come, or the first of all.
    Next,
    /// It was handed out before.
    Duplicate,
    /// Events `from..=to` are missing before it. It is not handed out yet: see
    /// [`Resume::pass`].
    Jump { from: i64, to: i64 },
}

/// What a partition holds, as the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Number of the oldest event still kept.
    pub(crate) begin: i64,
    /// Number of the last event accepted; -1 when there never was one.
    pub(crate) last: i64,
    pub(crate) last_offset: Option<Offset>,
    pub(crate) last_time: Option<Timestamp>,
    /// Whether no event is kept now.
    pub(crate) is_empty: bool,
}

impl From<PartitionProperties> for Extent {
    fn from(properties: PartitionProperties) -> Self {
        Self {
            begin: properties.begin_sequence_number.as_i64(),
            last: properties.last_enqueued_sequence_number.as_i64(),
            last_offset: properties.last_enqueued_offset,
            last_time: properties.last_enqueued_time,
            is_empty: properties.is_empty,
        }
    }
}

impl Extent {
    /// Whether retention took the event with the number `from`, and so not the service lost it.
    pub(crate) fn has_trimmed(&self, from: i64) -> bool {
        self.begin > from
    }
}

/// The place of one receiver.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    /// Where to go on as long as nothing was handed out.
    start: StartPosition,
    /// What has to come first, when the start tells.
    first: i64,
    /// What has to come next; no number that an event may have while it is in doubt.
    next: i64,
    /// What has to come next while that is in doubt.
    doubtful: i64,
    /// Events since the last one with a number whose number could not be read.
    unread: u64,
}

impl Resume {
    /// A receiver that begins at `start`.
    pub(crate) fn new(start: StartPosition) -> Self {
        let first = match start.anchor() {
            // Before the first event there is none that could be included.
            Anchor::SequenceNumber(number) if start.is_inclusive() => number.as_i64().max(0),
            Anchor::SequenceNumber(number) => number.as_i64().saturating_add(1),
            _ => UNKNOWN,
        };
        Self::starting(start, first)
    }

    /// A receiver that begins at the end of a partition that holds `extent`. The end is pinned to a
    /// number: asked for again after an outage, it would be another one, and what came in between
    /// would be lost.
    pub(crate) fn at_end_of(extent: &Extent, inclusive: bool) -> Self {
        let last = SequenceNumber::from(extent.last);
        match StartPosition::sequence_number(last) {
            Ok(start) if extent.last >= 0 => {
                Self::new(start.with_inclusive(inclusive && !extent.is_empty))
            }
            // There never was an event, so that all of them are to come.
            _ => Self::starting(StartPosition::earliest(), 0),
        }
    }

    fn starting(start: StartPosition, first: i64) -> Self {
        Self { start, first, next: first, doubtful: UNKNOWN, unread: 0 }
    }

    /// Takes the event with this number, if it is the one that has to come next: what nearly every
    /// event is.
    #[inline]
    pub(crate) fn is_next(&mut self, number: i64) -> bool {
        let is_next = number == self.next;
        if is_next {
            self.next = number.saturating_add(1);
        }
        is_next
    }

    /// An event with this number arrived. [`Arrival::Next`] is taken by this.
    pub(crate) fn arrived(&mut self, number: i64) -> Arrival {
        let expected = self.expected();
        if expected != UNKNOWN && number < expected {
            return Arrival::Duplicate;
        }
        let missing = if expected == UNKNOWN { 0 } else { number.abs_diff(expected) };
        // Each event that could not be read may be one of those that seem to be missing.
        if missing > self.unread {
            return Arrival::Jump { from: expected, to: number - 1 };
        }
        self.pass(number);
        Arrival::Next
    }

    /// An event arrived whose number cannot be read.
    pub(crate) fn unreadable(&mut self) {
        self.doubtful = self.expected();
        self.next = UNKNOWN;
        self.unread += 1;
    }

    /// The event with this number is handed out, and nothing before it is waited for any more.
    pub(crate) fn pass(&mut self, number: i64) {
        self.next = number.saturating_add(1);
        self.unread = 0;
    }

    /// A new link begins at [`position`](Self::position): what could not be read comes again.
    pub(crate) fn rewind(&mut self) {
        self.next = self.expected();
        self.unread = 0;
    }

    /// Where a new link has to begin: after the last event that was handed out, and at the start
    /// only when there was none.
    pub(crate) fn position(&self) -> StartPosition {
        let next = self.expected();
        if next == self.first {
            return self.start.clone();
        }
        let last = SequenceNumber::from(next.saturating_sub(1).max(-1));
        StartPosition::sequence_number(last).unwrap_or_else(|_| self.start.clone())
    }

    /// Whether the partition has an event that this receiver should have been sent.
    pub(crate) fn is_behind(&self, extent: &Extent) -> bool {
        if extent.is_empty {
            return false;
        }
        let next = self.expected();
        if next != UNKNOWN {
            return extent.last >= next;
        }
        let inclusive = self.start.is_inclusive();
        match self.start.anchor() {
            Anchor::Earliest => true,
            Anchor::Offset(offset) => inclusive || extent.last_offset.as_ref() != Some(offset),
            Anchor::EnqueuedTime(time) => extent
                .last_time
                .is_some_and(|last| if inclusive { last >= *time } else { last > *time }),
            // Numbers are known, and the end is pinned to one.
            _ => false,
        }
    }

    fn expected(&self) -> i64 {
        if self.unread == 0 { self.next } else { self.doubtful }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(number: i64) -> StartPosition {
        StartPosition::sequence_number(SequenceNumber::from(number)).expect("it is valid")
    }

    fn extent(begin: i64, last: i64) -> Extent {
        let last_offset = Offset::new(&format!("o{last}")).ok();
        let last_time = Some(Timestamp::from_millis(last * 1000));
        Extent { begin, last, last_offset, last_time, is_empty: begin > last }
    }

    #[test]
    fn a_start_by_number_knows_what_comes_first() {
        for (start, first) in
            [(after(4), 5), (after(4).inclusive(), 4), (after(-1), 0), (after(-1).inclusive(), 0)]
        {
            let mut resume = Resume::new(start.clone());
            assert_eq!(resume.position(), start, "nothing was handed out");
            let jump = Arrival::Jump { from: first, to: first + 1 };
            assert_eq!(resume.arrived(first + 2), jump, "{start:?}");
            assert_eq!(resume.position(), start, "the gap is told, the event is not handed out");
            assert_eq!(resume.arrived(first), Arrival::Next, "{start:?}");
            assert_eq!(resume.position(), after(first));
        }
    }

    #[test]
    fn other_starts_take_whatever_comes_first() {
        let offset = StartPosition::offset(Offset::new("x").expect("it is valid"));
        let time = StartPosition::enqueued_time(Timestamp::UNIX_EPOCH).expect("it is valid");
        for start in [StartPosition::earliest(), offset.inclusive(), time] {
            let mut resume = Resume::new(start.clone());
            assert_eq!(resume.position(), start);
            assert!(!resume.is_next(7), "nobody knows");
            assert_eq!(resume.arrived(7), Arrival::Next);
            assert_eq!(resume.position(), after(7), "never the start again");
            assert_eq!(resume.arrived(7), Arrival::Duplicate);
            assert!(resume.is_next(8));
            assert_eq!(resume.arrived(11), Arrival::Jump { from: 9, to: 10 });
            resume.pass(11);
            assert_eq!(resume.position(), after(11));
        }
    }

    #[test]
    fn the_end_is_pinned() {
        for (extent, inclusive, position, first) in [
            (extent(0, 4), false, after(4), 5),
            (extent(0, 4), true, after(4).inclusive(), 4),
            (extent(3, 4), false, after(4), 5),
            (extent(5, 4), true, after(4), 5),
            (extent(0, -1), false, StartPosition::earliest(), 0),
            (extent(0, -1), true, StartPosition::earliest(), 0),
        ] {
            let mut resume = Resume::at_end_of(&extent, inclusive);
            assert_eq!(resume.position(), position, "{extent:?}");
            assert!(!resume.is_behind(&extent) || inclusive);
            let jump = Arrival::Jump { from: first, to: first };
            assert_eq!(resume.arrived(first + 1), jump, "{extent:?}: it was trimmed meanwhile");
            assert!(resume.is_next(first), "{extent:?}");
        }
    }

    #[test]
    fn an_unreadable_event_is_no_gap() {
        let mut resume = Resume::new(after(-1));
        assert!(resume.is_next(0));
        resume.unreadable();
        resume.unreadable();
        assert_eq!(resume.position(), after(0), "they come again after an outage");
        assert_eq!(resume.clone().arrived(1), Arrival::Next, "they were something else");
        assert_eq!(resume.clone().arrived(2), Arrival::Next);
        assert_eq!(resume.clone().arrived(0), Arrival::Duplicate);
        assert_eq!(resume.clone().arrived(4), Arrival::Jump { from: 1, to: 3 }, "one too many");
        assert_eq!(resume.arrived(3), Arrival::Next);
        assert_eq!(resume.arrived(5), Arrival::Jump { from: 4, to: 4 }, "they count once");
    }

    #[test]
    fn an_unreadable_event_counts_for_its_link_alone() {
        let mut resume = Resume::new(after(-1));
        assert!(resume.is_next(0));
        resume.unreadable();
        resume.rewind();
        assert_eq!(resume.arrived(2), Arrival::Jump { from: 1, to: 1 });
        let mut unknown = Resume::new(StartPosition::earliest());
        unknown.unreadable();
        assert_eq!(unknown.position(), StartPosition::earliest());
        assert_eq!(unknown.arrived(9), Arrival::Next);
    }

    #[test]
    fn behind_is_what_the_partition_has_and_was_not_sent() {
        let mut resume = Resume::new(after(4));
        assert!(!resume.is_behind(&extent(0, 4)));
        assert!(resume.is_behind(&extent(0, 5)));
        assert!(resume.is_behind(&extent(7, 7)));
        assert!(!resume.is_behind(&extent(8, 7)), "all of it was trimmed");
        assert!(resume.is_next(5));
        assert!(!resume.is_behind(&extent(0, 5)));

        let earliest = Resume::new(StartPosition::earliest());
        assert!(earliest.is_behind(&extent(3, 3)) && !earliest.is_behind(&extent(0, -1)));
        let offset = StartPosition::offset(Offset::new("o4").expect("it is valid"));
        assert!(!Resume::new(offset.clone()).is_behind(&extent(0, 4)), "it is the last one");
        assert!(Resume::new(offset.clone().inclusive()).is_behind(&extent(0, 4)));
        assert!(Resume::new(offset).is_behind(&extent(0, 5)));
        let time = |s: i64| StartPosition::enqueued_time(Timestamp::from_millis(s * 1000));
        let time = |s: i64| Resume::new(time(s).expect("it is valid"));
        assert!(time(3).is_behind(&extent(0, 4)) && !time(4).is_behind(&extent(0, 4)));
        assert!(!time(5).is_behind(&extent(0, 4)), "the future");
    }

    #[test]
    fn numbers_that_make_no_sense_do_no_harm() {
        let mut resume = Resume::new(StartPosition::earliest());
        for number in [i64::MAX, i64::MIN, -5, i64::MIN + 1, i64::MAX, 0] {
            resume.arrived(number);
            resume.is_next(number);
            resume.unreadable();
            resume.position();
        }
        let mut low = Resume::new(StartPosition::earliest());
        assert_eq!(low.arrived(-7), Arrival::Next);
        assert_eq!(low.position(), after(-1));
    }

    /// What a service may do between two events.
    #[derive(Clone, Copy, Debug)]
    enum Mishap {
        Nothing,
        Again,
        LeaveOut(u8),
        Unreadable,
        Cut,
    }

    fn mishap() -> impl Strategy<Value = Mishap> {
        prop_oneof![
            6 => Just(Mishap::Nothing),
            1 => Just(Mishap::Again),
            1 => (1_u8..4).prop_map(Mishap::LeaveOut),
            1 => Just(Mishap::Unreadable),
            1 => Just(Mishap::Cut),
        ]
    }

    proptest! {
        /// Whatever happens: in order, nothing twice, and what is missing was told or unreadable.
        #[test]
        fn every_event_is_handed_out_once_or_told_as_missing(
            first in 0_i64..5,
            mishaps in proptest::collection::vec(mishap(), 1..60),
        ) {
            let mut resume = Resume::new(after(first - 1));
            let (mut log, mut told, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
            // The service's place on the link there is.
            let mut cursor = first;
            for mishap in mishaps {
                let number = match mishap {
                    Mishap::Nothing => cursor,
                    Mishap::Again if cursor > first => cursor - 1,
                    Mishap::Again => cursor,
                    Mishap::LeaveOut(count) => cursor + i64::from(count),
                    Mishap::Unreadable => {
                        resume.unreadable();
                        unreadable.push(cursor);
                        cursor += 1;
                        continue;
                    }
                    Mishap::Cut => {
                        resume.rewind();
                        cursor = log.last().map_or(first, |last| last + 1);
                        let expected = if log.is_empty() { first - 1 } else { cursor - 1 };
                        prop_assert_eq!(resume.position(), after(expected));
                        continue;
                    }
                };
                cursor = cursor.max(number + 1);
                match resume.arrived(number) {
                    Arrival::Next => log.push(number),
                    Arrival::Duplicate => prop_assert!(log.contains(&number)
                        || unreadable.contains(&number)),
                    Arrival::Jump { from, to } => {
                        prop_assert!(from <= to && to == number - 1);
                        told.extend(from..=to);
                        resume.pass(number);
                        log.push(number);
                    }
                }
            }
            prop_assert!(log.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", log);
            for number in first..log.last().map_or(first, |last| last + 1) {
                let known = log.contains(&number) || told.contains(&number);
                // One that was left out beside one that could not be read counts as that one.
                let doubtful = unreadable.iter().any(|other| number.abs_diff(*other) < 4);
                prop_assert!(known || doubtful, "{} of {:?}", number, log);
            }
        }
    }
}
