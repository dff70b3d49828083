//! Idempotent producers of one partition: who they are, and which number comes next.
//!
//! A producer is known by an id that the service hands out. It has an epoch, which a successor
//! raises to shut it out, and numbers its events from 0. A publication is stored when its first
//! number is the next one. The latest few are remembered, so that one that is sent again, because
//! its outcome was lost, is accepted without being stored twice.

use std::collections::VecDeque;

use thiserror::Error;

/// Producers remembered per partition; the one that has been silent for longest makes room.
const PRODUCERS_MAX: usize = 1024;
/// Publications remembered per producer. The service's own number is not known.
const RECENT_MAX: usize = 5;
/// Number that stands for none yet.
const NONE_YET: i32 = -1;

/// What a producer asks for in its attach; what is missing is made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: Option<i64>,
    pub(crate) epoch: Option<i16>,
    /// The last number that was used.
    pub(crate) sequence: Option<i32>,
}

/// What an attach gives to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// The last number that was used, or -1.
    pub(crate) sequence: i32,
}

/// The place of a publication among those of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// Number of its first event.
    pub(crate) first: i32,
    /// How many events it has, at least one.
    pub(crate) count: u32,
}

/// What becomes of a publication that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Store,
    /// It has been stored before.
    Duplicate,
}

/// Why a producer or a publication is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SequenceError {
    #[error("The producer id '{0}' was not assigned by the service, or is no longer known.")]
    Unknown(i64),
    #[error("The producer id '{0}' has used up its epochs.")]
    UsedUp(i64),
    #[error(
        "A producer with id '{id}' and a higher epoch '{live}' exists. The producer with epoch \
         '{epoch}' is disconnected."
    )]
    Stolen { id: i64, epoch: i16, live: i16 },
    #[error(
        "The sequence number '{given}' of producer '{id}' is out of order: '{expected}' is \
         expected."
    )]
    OutOfOrder { id: i64, given: i32, expected: i32 },
}

/// What is known of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// The last number that was used, or -1.
    pub(crate) last: i32,
    /// First number and count of the latest publications, the newest last.
    pub(crate) recent: VecDeque<(i32, u32)>,
}

/// The idempotent producers of a partition, the most recently heard of last.
#[derive(Debug, Default)]
pub(crate) struct Sequencers {
    producers: VecDeque<Producer>,
    last_id: i64,
}

impl Sequencers {
    /// Lets a producer in. A raised epoch shuts out the one before and starts the numbers anew.
    pub(crate) fn attach(&mut self, claim: Claim) -> Result<Identity, SequenceError> {
        let Some(id) = claim.id else {
            self.last_id += 1;
            let (epoch, last) = (claim.epoch.unwrap_or(0), claim.sequence.unwrap_or(NONE_YET));
            self.restore(Producer { id: self.last_id, epoch, last, recent: VecDeque::new() });
            return Ok(Identity { id: self.last_id, epoch, sequence: last });
        };
        let producer = self.heard_of(id)?;
        let epoch = match claim.epoch {
            Some(epoch) => epoch,
            None => producer.epoch.checked_add(1).ok_or(SequenceError::UsedUp(id))?,
        };
        if epoch < producer.epoch {
            return Err(SequenceError::Stolen { id, epoch, live: producer.epoch });
        }
        if epoch > producer.epoch {
            producer.epoch = epoch;
            producer.last = claim.sequence.unwrap_or(NONE_YET);
            producer.recent.clear();
        }
        // At the same epoch the numbers go on where they are, whatever the newcomer believes.
        Ok(Identity { id, epoch, sequence: claim.sequence.unwrap_or(producer.last) })
    }

    /// Judges a publication. One that is to be stored has to be [noted](Self::note) when it is.
    pub(crate) fn judge(&mut self, numbering: Numbering) -> Result<Verdict, SequenceError> {
        let Numbering { id, epoch, first, count } = numbering;
        let producer = self.heard_of(id)?;
        if epoch != producer.epoch {
            return Err(SequenceError::Stolen { id, epoch, live: producer.epoch });
        }
        let expected = after(producer.last, 1);
        match producer.recent.contains(&(first, count)) {
            _ if first == expected => Ok(Verdict::Store),
            true => Ok(Verdict::Duplicate),
            false => Err(SequenceError::OutOfOrder { id, given: first, expected }),
        }
    }

    /// A publication that was judged the next one has been stored.
    pub(crate) fn note(&mut self, numbering: Numbering) {
        let Numbering { id, first, count, .. } = numbering;
        if let Ok(producer) = self.heard_of(id) {
            producer.last = after(first, count.saturating_sub(1));
            if producer.recent.len() == RECENT_MAX {
                producer.recent.pop_front();
            }
            producer.recent.push_back((first, count));
        }
    }

    /// The known producers, the most recently heard of last.
    pub(crate) fn producers(&self) -> impl Iterator<Item = &Producer> {
        self.producers.iter()
    }

    /// A known producer.
    pub(crate) fn producer(&self, id: i64) -> Option<&Producer> {
        self.producers.iter().rfind(|producer| producer.id == id)
    }

    /// Takes a producer as it was known before.
    pub(crate) fn restore(&mut self, producer: Producer) {
        self.last_id = self.last_id.max(producer.id);
        self.producers.retain(|known| known.id != producer.id);
        if self.producers.len() == PRODUCERS_MAX {
            self.producers.pop_front();
        }
        self.producers.push_back(producer);
    }

    /// A known producer, which is the most recently heard of from now on.
    fn heard_of(&mut self, id: i64) -> Result<&mut Producer, SequenceError> {
        let unknown = SequenceError::Unknown(id);
        let found = self.producers.iter().rposition(|producer| producer.id == id);
        let producer = found.and_then(|index| self.producers.remove(index)).ok_or(unknown)?;
        self.producers.push_back(producer);
        self.producers.back_mut().ok_or(unknown)
    }
}

/// The number `count` places after `number`. After the largest comes 0.
fn after(number: i32, count: u32) -> i32 {
    let next = (i64::from(number) + i64::from(count)).rem_euclid(1 << 31);
    i32::try_from(next).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEW: Claim = Claim { id: None, epoch: None, sequence: None };

    fn send(all: &mut Sequencers, who: Identity, first: i32, count: u32) -> Result<Verdict, &str> {
        let Identity { id, epoch, .. } = who;
        let refused = |error| match error {
            SequenceError::OutOfOrder { .. } => "order",
            SequenceError::Stolen { .. } => "stolen",
            SequenceError::Unknown(_) => "unknown",
            SequenceError::UsedUp(_) => "used up",
        };
        let numbering = Numbering { id, epoch, first, count };
        let verdict = all.judge(numbering).map_err(refused)?;
        if verdict == Verdict::Store {
            all.note(numbering);
        }
        Ok(verdict)
    }

    #[test]
    fn numbers_start_at_zero_and_leave_no_gap() {
        let mut all = Sequencers::default();
        let who = all.attach(NEW).unwrap();
        assert_eq!((who.epoch, who.sequence), (0, -1));
        assert_eq!(send(&mut all, who, 1, 1), Err("order"), "the first one is 0");
        assert_eq!(send(&mut all, who, 0, 3), Ok(Verdict::Store));
        assert_eq!(send(&mut all, who, 4, 1), Err("order"), "3 was left out");
        assert_eq!(send(&mut all, who, 3, 1), Ok(Verdict::Store), "a refusal uses up no number");
        let next = Numbering { id: who.id, epoch: 0, first: 4, count: 1 };
        for _ in 0..2 {
            assert_eq!(all.judge(next), Ok(Verdict::Store), "nor what could not be stored");
        }
    }

    #[test]
    fn what_was_stored_is_known_again_for_a_while() {
        let mut all = Sequencers::default();
        let who = all.attach(NEW).unwrap();
        for number in 0..6 {
            assert_eq!(send(&mut all, who, number * 2, 2), Ok(Verdict::Store));
        }
        assert_eq!(send(&mut all, who, 10, 2), Ok(Verdict::Duplicate));
        assert_eq!(send(&mut all, who, 2, 2), Ok(Verdict::Duplicate));
        assert_eq!(send(&mut all, who, 0, 2), Err("order"), "forgotten");
        assert_eq!(send(&mut all, who, 10, 1), Err("order"), "not the same publication");
        assert_eq!(send(&mut all, who, 11, 2), Err("order"), "old and new in one");
        assert_eq!(send(&mut all, who, 12, 1), Ok(Verdict::Store));
    }

    #[test]
    fn a_higher_epoch_shuts_out_the_one_before() {
        let mut all = Sequencers::default();
        let old = all.attach(NEW).unwrap();
        assert_eq!(send(&mut all, old, 0, 1), Ok(Verdict::Store));
        let new = all.attach(Claim { id: Some(old.id), ..NEW }).unwrap();
        assert_eq!(new, Identity { id: old.id, epoch: 1, sequence: -1 }, "its numbers start anew");
        assert_eq!(send(&mut all, old, 1, 1), Err("stolen"));
        assert_eq!(send(&mut all, new, 0, 1), Ok(Verdict::Store));
        let back = all.attach(Claim { id: Some(old.id), epoch: Some(0), sequence: Some(0) });
        assert_eq!(back, Err(SequenceError::Stolen { id: old.id, epoch: 0, live: 1 }));
        let far = all.attach(Claim { id: Some(old.id), epoch: Some(9), sequence: Some(4) });
        let far = far.unwrap();
        assert_eq!((far.epoch, far.sequence), (9, 4), "given numbers are taken");
        assert_eq!(send(&mut all, far, 5, 1), Ok(Verdict::Store));
    }

    #[test]
    fn at_the_same_epoch_numbers_go_on() {
        let mut all = Sequencers::default();
        let who = all.attach(NEW).unwrap();
        assert_eq!(send(&mut all, who, 0, 10), Ok(Verdict::Store));
        let again = all.attach(Claim { id: Some(who.id), epoch: Some(0), sequence: None }).unwrap();
        assert_eq!(again.sequence, 9);
        let wrong = Claim { id: Some(who.id), epoch: Some(0), sequence: Some(4) };
        let wrong = all.attach(wrong).unwrap();
        assert_eq!(wrong.sequence, 4, "the answer carries what was given");
        assert_eq!(send(&mut all, wrong, 5, 1), Err("order"), "but the numbers were not set back");
        assert_eq!(send(&mut all, again, 10, 1), Ok(Verdict::Store));
    }

    #[test]
    fn ids_are_the_services_to_give() {
        let mut all = Sequencers::default();
        let claim = Claim { id: Some(100), epoch: Some(100), sequence: Some(100) };
        assert_eq!(all.attach(claim), Err(SequenceError::Unknown(100)));
        let (one, two) = (all.attach(NEW).unwrap(), all.attach(NEW).unwrap());
        assert_ne!(one.id, two.id);
        let last = Claim { id: Some(one.id), epoch: Some(i16::MAX), sequence: None };
        assert!(all.attach(last).is_ok());
        let more = all.attach(Claim { id: Some(one.id), ..NEW });
        assert_eq!(more, Err(SequenceError::UsedUp(one.id)));
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_the_silent_go_first() {
        let mut all = Sequencers::default();
        let first = all.attach(NEW).unwrap();
        let silent = all.attach(NEW).unwrap();
        assert_eq!(send(&mut all, first, 0, 1), Ok(Verdict::Store));
        for _ in 2..PRODUCERS_MAX + 1 {
            all.attach(NEW).unwrap();
        }
        assert_eq!(all.producers.len(), PRODUCERS_MAX);
        assert_eq!(send(&mut all, silent, 0, 1), Err("unknown"));
        assert_eq!(send(&mut all, first, 1, 1), Ok(Verdict::Store));
    }

    #[test]
    fn after_the_largest_number_comes_zero() {
        let mut all = Sequencers::default();
        let who = all.attach(Claim { sequence: Some(i32::MAX - 1), ..NEW }).unwrap();
        assert_eq!(send(&mut all, who, i32::MAX, 3), Ok(Verdict::Store));
        assert_eq!(send(&mut all, who, 2, 1), Ok(Verdict::Store));
        assert_eq!(send(&mut all, who, i32::MAX, 3), Ok(Verdict::Duplicate));
        assert_eq!(send(&mut all, who, -1, 1), Err("order"));
    }

    proptest! {
        /// However often each publication is sent, in whatever order, every event is stored at
        /// most once, and in the order of its number.
        #[test]
        fn nothing_is_stored_twice(tries in proptest::collection::vec((0..20_i32, 1..4_u32), 1..200)) {
            let mut all = Sequencers::default();
            let who = all.attach(NEW).unwrap();
            let mut stored = Vec::new();
            for (first, count) in tries {
                if send(&mut all, who, first, count) == Ok(Verdict::Store) {
                    stored.extend((0..count).map(|place| after(first, place)));
                }
            }
            let expected: Vec<_> = (0..i32::try_from(stored.len()).unwrap()).collect();
            prop_assert_eq!(stored, expected);
        }
    }
}
