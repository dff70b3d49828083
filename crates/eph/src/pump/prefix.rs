//! How far one handler is: the events that it has finished, without a hole.

use std::collections::VecDeque;

/// Stands for a number that nobody knows yet. The service begins to count at 0.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// The events one handler was given, in their order, and how far it has finished them. Events may be
/// finished in any order; the prefix ends before the first that is not.
///
/// `P` is what there is to tell of an event, kept until it was told.
#[derive(Clone, Debug)]
pub(crate) struct Prefix<P> {
    /// Number of the last event of the prefix.
    done: i64,
    /// What there is to tell of it.
    at: Option<P>,
    /// Events behind the prefix, in order.
    open: VecDeque<Entry<P>>,
    /// Those of them that have to come again.
    back: usize,
}

#[derive(Clone, Debug)]
struct Entry<P> {
    number: i64,
    stand: Stand<P>,
}

#[derive(Clone, Debug)]
enum Stand<P> {
    /// A handler has it.
    Given,
    /// A handler had it and failed, and it has to come again.
    Back,
    Done(P),
}

impl<P> Prefix<P> {
    /// Everything up to the number `done` is none of this handler's business.
    pub(crate) fn after(done: i64) -> Self {
        Self { done, at: None, open: VecDeque::new(), back: 0 }
    }

    /// Number of the last event of the prefix.
    pub(crate) fn done(&self) -> i64 {
        self.done
    }

    /// What there is to tell of the last event of the prefix; `None` when it was told.
    pub(crate) fn at(&self) -> Option<&P> {
        self.at.as_ref()
    }

    /// It was told: whatever it holds is let go of.
    pub(crate) fn told(&mut self) {
        self.at = None;
    }

    /// The first event of all has this number, when none was known before.
    pub(crate) fn begin(&mut self, number: i64) {
        if self.done == UNKNOWN {
            self.done = number.saturating_sub(1);
        }
    }

    /// This event and all before it are finished. Never goes back.
    pub(crate) fn advance(&mut self, number: i64, at: P) {
        if number <= self.done {
            return;
        }
        let reached = self.open.partition_point(|entry| entry.number <= number);
        self.open.drain(..reached);
        self.count_back();
        (self.done, self.at) = (number, Some(at));
        self.close_up();
    }

    /// The handler is given an event. What has to come again and did not come before this one does
    /// not come any more.
    pub(crate) fn give(&mut self, number: i64) {
        if number <= self.done {
            return;
        }
        if self.back > 0 {
            let is_back = |entry: &Entry<P>| matches!(entry.stand, Stand::Back);
            self.open.retain(|entry| entry.number >= number || !is_back(entry));
        }
        match self.find(number) {
            Ok(at) => {
                let stand = &mut self.open[at].stand;
                if let Stand::Back = stand {
                    *stand = Stand::Given;
                }
            }
            Err(at) => self.open.insert(at, Entry { number, stand: Stand::Given }),
        }
        if self.back > 0 {
            self.count_back();
        }
        self.close_up();
    }

    /// The handler has finished an event that it was given.
    pub(crate) fn finish(&mut self, number: i64, at: P) {
        if let Ok(index) = self.find(number) {
            self.open[index].stand = Stand::Done(at);
            self.close_up();
        }
    }

    /// Whether an event is finished, in the prefix or behind it.
    pub(crate) fn is_done(&self, number: i64) -> bool {
        number <= self.done
            || self.find(number).is_ok_and(|index| matches!(self.open[index].stand, Stand::Done(_)))
    }

    /// What is not finished comes again.
    pub(crate) fn restart(&mut self) {
        for entry in &mut self.open {
            if let Stand::Given = entry.stand {
                entry.stand = Stand::Back;
            }
        }
        self.count_back();
    }

    fn count_back(&mut self) {
        let back = self.open.iter().filter(|entry| matches!(entry.stand, Stand::Back));
        self.back = back.count();
    }

    fn find(&self, number: i64) -> Result<usize, usize> {
        self.open.binary_search_by_key(&number, |entry| entry.number)
    }

    /// Takes into the prefix what follows it without a hole.
    fn close_up(&mut self) {
        while let Some(Entry { stand: Stand::Done(_), .. }) = self.open.front()
            && let Some(Entry { number, stand: Stand::Done(at) }) = self.open.pop_front()
        {
            (self.done, self.at) = (number, Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_finished_out_of_order_waits_for_the_slowest() {
        let mut prefix = Prefix::after(4);
        for number in 5..9 {
            prefix.give(number);
        }
        prefix.finish(7, 'c');
        prefix.finish(6, 'b');
        assert_eq!((prefix.done(), prefix.at()), (4, None));
        prefix.finish(5, 'a');
        assert_eq!((prefix.done(), prefix.at()), (7, Some(&'c')));
        assert!(prefix.is_done(7) && !prefix.is_done(8));
    }

    #[test]
    fn a_mark_never_goes_back_and_takes_what_follows_it() {
        let mut prefix = Prefix::after(-1);
        for number in 0..6 {
            prefix.give(number);
        }
        prefix.finish(4, 'e');
        prefix.advance(3, 'd');
        assert_eq!((prefix.done(), prefix.at()), (4, Some(&'e')));
        prefix.advance(1, 'b');
        assert_eq!((prefix.done(), prefix.at()), (4, Some(&'e')));
    }

    #[test]
    fn what_was_finished_before_a_restart_is_not_given_again() {
        let mut prefix = Prefix::after(0);
        for number in 1..5 {
            prefix.give(number);
        }
        prefix.finish(3, ());
        prefix.restart();
        assert_eq!(prefix.done(), 0);
        assert_eq!([1, 2, 3, 4].map(|number| prefix.is_done(number)), [false, false, true, false]);
        // Retention took 1 meanwhile.
        prefix.give(2);
        prefix.finish(2, ());
        assert_eq!(prefix.done(), 3);
    }

    #[test]
    fn the_first_number_is_learnt_from_the_first_event() {
        let mut prefix = Prefix::after(UNKNOWN);
        prefix.begin(17);
        assert_eq!(prefix.done(), 16);
        prefix.begin(40);
        assert_eq!(prefix.done(), 16);
        prefix.advance(17, ());
        assert_eq!(prefix.done(), 17);
    }

    /// One thing that happens to a handler: it is given the next event, finishes the n-th of those
    /// it has, marks it, or fails.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Give,
        Finish(usize),
        Mark(usize),
        Fail,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            6 => Just(Happening::Give),
            5 => (0_usize..8).prop_map(Happening::Finish),
            1 => (0_usize..8).prop_map(Happening::Mark),
            1 => Just(Happening::Fail),
        ]
    }

    proptest! {
        /// The prefix is what a set of finished numbers says, never falls, and a restart gives each
        /// event again that is not finished, and no other.
        #[test]
        fn the_prefix_is_contiguous_whatever_happens(
            happenings in proptest::collection::vec(happening(), 0..200),
        ) {
            let mut prefix = Prefix::after(-1);
            let (mut next, mut held) = (0_i64, Vec::new());
            let mut finished = BTreeSet::new();
            for happening in happenings {
                let before = prefix.done();
                match happening {
                    Happening::Give => {
                        while finished.contains(&next) {
                            prop_assert!(prefix.is_done(next));
                            next += 1;
                        }
                        prop_assert!(!prefix.is_done(next));
                        prefix.give(next);
                        held.push(next);
                        next += 1;
                    }
                    Happening::Finish(at) if at < held.len() => {
                        let number = held.remove(at);
                        prefix.finish(number, number);
                        finished.insert(number);
                    }
                    Happening::Mark(at) if at < held.len() => {
                        let number = held[at];
                        prefix.advance(number, number);
                        held.retain(|other| *other > number);
                        finished.extend(0..=number);
                    }
                    Happening::Fail => {
                        held.clear();
                        prefix.restart();
                        next = prefix.done() + 1;
                    }
                    _ => {}
                }
                let contiguous = (0..).find(|number| !finished.contains(number)).unwrap_or(0) - 1;
                prop_assert_eq!(prefix.done(), contiguous);
                prop_assert!(prefix.done() >= before);
                if prefix.done() > before {
                    prop_assert_eq!(prefix.at(), Some(&prefix.done()));
                }
            }
        }
    }
}
