//! Those who wait for the same thing, in the order in which they came. Pure.

use std::collections::VecDeque;
use std::task::Waker;

/// A place among those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

/// A queue of wakers. Only the first one is worth waking: who leaves wakes the next.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    next: u64,
    waiting: VecDeque<(Turn, Waker)>,
}

impl Turns {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody who came earlier waits; without a turn, whether nobody waits at all.
    pub(crate) fn is_next(&self, turn: Option<Turn>) -> bool {
        let first = self.waiting.front().map(|(first, _)| *first);
        first.is_none() || first == turn
    }

    /// Takes a place at the end, or keeps the one there is.
    pub(crate) fn wait(&mut self, turn: Option<Turn>, waker: &Waker) -> Turn {
        if let Some((turn, at)) = turn.and_then(|turn| Some((turn, self.place(turn)?))) {
            self.waiting[at].1.clone_from(waker);
            return turn;
        }
        let turn = Turn(self.next);
        self.next += 1;
        self.waiting.push_back((turn, waker.clone()));
        turn
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, turn: Turn) {
        if let Some(at) = self.place(turn) {
            self.waiting.remove(at);
        }
    }

    /// Whose turn it is.
    pub(crate) fn first(&self) -> Option<&Waker> {
        self.waiting.front().map(|(_, waker)| waker)
    }

    /// Ends the waiting of all.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waker> {
        self.waiting.drain(..).map(|(_, waker)| waker)
    }

    fn place(&self, turn: Turn) -> Option<usize> {
        self.waiting.binary_search_by_key(&turn, |(turn, _)| *turn).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_order_whoever_leaves() {
        let waker = Waker::noop();
        let mut turns = Turns::default();
        assert!(turns.is_empty() && turns.is_next(None) && turns.first().is_none());
        let [a, b, c] = [(); 3].map(|()| turns.wait(None, waker));
        assert!(turns.is_next(Some(a)) && !turns.is_next(Some(b)) && !turns.is_next(None));
        assert_eq!(turns.wait(Some(a), waker), a, "a place is kept");
        turns.leave(b);
        assert!(turns.is_next(Some(a)));
        turns.leave(a);
        turns.leave(a);
        assert!(turns.is_next(Some(c)) && !turns.is_next(Some(a)));
        let again = turns.wait(Some(a), waker);
        assert_ne!(again, a, "who left has to queue again");
        assert!(turns.is_next(Some(c)) && !turns.is_next(Some(again)));
        assert_eq!(turns.drain().count(), 2);
        assert!(turns.is_empty());
    }
}
