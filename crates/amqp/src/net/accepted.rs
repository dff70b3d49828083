//! What a receiver has handed out and not yet reported: one range of delivery ids in one word. The
//! receiver adds to it at every delivery, without a lock; the owner task takes it when a close would
//! come before the report.

use std::sync::atomic::{AtomicU64, Ordering};

/// A range that cannot be: as many deliveries as there are ids.
const NONE: u64 = 1 << 32;

/// See the [module](self). One end adds, either takes.
#[derive(Debug)]
pub(crate) struct Accepted(AtomicU64);

impl Default for Accepted {
    fn default() -> Self {
        Self(AtomicU64::new(NONE))
    }
}

fn pack(first: u32, last: u32) -> u64 {
    u64::from(first) << 32 | u64::from(last)
}

fn unpack(word: u64) -> Option<(u32, u32)> {
    let (first, last) = ((word >> 32) as u32, (word & u64::from(u32::MAX)) as u32);
    (word != NONE).then_some((first, last))
}

impl Accepted {
    /// Adds a delivery; gives the range before it back when it does not follow it.
    #[inline]
    pub(crate) fn add(&self, id: u32) -> Option<(u32, u32)> {
        let word = self.0.load(Ordering::Relaxed);
        if let Some((first, last)) = unpack(word)
            && last.wrapping_add(1) == id
        {
            let longer = pack(first, id);
            let order = (Ordering::Relaxed, Ordering::Relaxed);
            if longer != NONE && self.0.compare_exchange(word, longer, order.0, order.1).is_ok() {
                return None;
            }
        }
        unpack(self.0.swap(pack(id, id), Ordering::Relaxed))
    }

    /// What there is, once.
    pub(crate) fn take(&self) -> Option<(u32, u32)> {
        unpack(self.0.swap(NONE, Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range_and_ids_wrap() {
        let accepted = Accepted::default();
        assert!(accepted.is_empty() && accepted.take().is_none());
        for id in [u32::MAX - 1, u32::MAX, 0, 1] {
            assert_eq!(accepted.add(id), None);
        }
        assert_eq!(accepted.add(7), Some((u32::MAX - 1, 1)));
        assert_eq!(accepted.add(8), None);
        assert!(!accepted.is_empty());
        assert_eq!((accepted.take(), accepted.take()), (Some((7, 8)), None));
        // Even the range that would look like none loses nothing.
        assert_eq!(accepted.add(1), None);
        assert_eq!(accepted.take(), Some((1, 1)));
    }
}
