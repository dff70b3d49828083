//! Our unsettled deliveries of one session: slots in the order of their ids, no map, no allocation
//! per delivery.

use std::collections::VecDeque;

use super::serial;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsettled {
    /// Slot of the link.
    pub(crate) link: u32,
    pub(crate) token: u64,
    /// The owner knows the outcome, only the settlement is due. A peer that repeats itself must not
    /// fill memory.
    pub(crate) reported: bool,
}

/// Slots of the ids `base..base + len`; settled ones are vacant until the front catches up.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    base: u32,
    slots: VecDeque<Option<Unsettled>>,
}

impl Ring {
    pub(crate) fn starting_at(base: u32) -> Self {
        Self { base, slots: VecDeque::new() }
    }

    /// Appends the next id. A delivery that is settled from the start leaves a vacancy.
    #[inline]
    pub(crate) fn push(&mut self, slot: Option<Unsettled>) {
        if slot.is_none() && self.slots.is_empty() {
            self.base = self.base.wrapping_add(1);
        } else {
            self.slots.push_back(slot);
        }
    }

    /// Calls `each` for the unsettled ids within `first..=last`, however wide the range claims to
    /// be; a slot for which it answers `true` becomes vacant.
    pub(crate) fn visit(
        &mut self,
        first: u32,
        last: u32,
        mut each: impl FnMut(u32, &mut Unsettled) -> bool,
    ) {
        let Some(width) = serial::ahead(first, last) else {
            return;
        };
        let (skip, width) = match serial::ahead(self.base, first) {
            Some(skip) => (skip as usize, width as usize),
            None => {
                let before = self.base.wrapping_sub(first);
                match width.checked_sub(before) {
                    Some(width) => (0, width as usize),
                    None => return,
                }
            }
        };
        let end = skip.saturating_add(width).saturating_add(1).min(self.slots.len());
        for index in skip..end {
            let id = self.base.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX));
            if self.slots[index].as_mut().is_some_and(|unsettled| each(id, unsettled)) {
                self.slots[index] = None;
            }
        }
        self.trim();
    }

    /// Forgets everything a link has outstanding.
    pub(crate) fn forget(&mut self, link: u32) {
        for slot in &mut self.slots {
            if slot.is_some_and(|unsettled| unsettled.link == link) {
                *slot = None;
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base = self.base.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsettled(link: u32, token: u64) -> Unsettled {
        Unsettled { link, token, reported: false }
    }

    fn ring(base: u32, count: u64) -> Ring {
        let mut ring = Ring::starting_at(base);
        (0..count).for_each(|token| ring.push(Some(unsettled(0, token))));
        ring
    }

    fn settle(ring: &mut Ring, first: u32, last: u32) -> Vec<u64> {
        let mut seen = Vec::new();
        ring.visit(first, last, |_, unsettled| {
            seen.push(unsettled.token);
            true
        });
        seen
    }

    #[test]
    fn ranges_cross_the_wrap() {
        let mut ring = ring(u32::MAX - 1, 5);
        assert_eq!(settle(&mut ring, u32::MAX, 1), [1, 2, 3]);
        assert_eq!(settle(&mut ring, u32::MAX - 1, 2), [0, 4]);
        assert_eq!(ring.base, 3);
    }

    #[test]
    fn a_range_wider_than_everything_costs_only_what_is_outstanding() {
        let mut ring = ring(10, 3);
        assert_eq!(settle(&mut ring, 0, i32::MAX as u32), [0, 1, 2]);
        assert_eq!(settle(&mut ring, 0, u32::MAX), [0; 0]);
    }

    #[test]
    fn a_range_before_or_after_touches_nothing() {
        let mut ring = ring(10, 3);
        assert_eq!(settle(&mut ring, 0, 9), [0; 0]);
        assert_eq!(settle(&mut ring, 13, 20), [0; 0]);
        assert_eq!(settle(&mut ring, 12, 11), [0; 0]);
        assert_eq!(settle(&mut ring, 9, 10), [0]);
    }

    #[test]
    fn settled_deliveries_keep_the_ids_in_step() {
        let mut ring = Ring::starting_at(0);
        ring.push(None);
        ring.push(Some(unsettled(1, 1)));
        ring.push(None);
        ring.push(Some(unsettled(2, 3)));
        ring.forget(1);
        assert_eq!(settle(&mut ring, 0, 3), [3]);
        assert_eq!((ring.base, ring.slots.len()), (4, 0));
    }
}
