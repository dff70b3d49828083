//! How much credit a receiver grants. Pure: it knows no link and no clock.

/// What a receiver holds and may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Deliveries the receiver may hold or have on their way.
    pub(crate) prefetch: u32,
    /// Bytes the receiver may hold before it stops granting.
    pub(crate) bytes_max: usize,
    /// Deliveries handed out by the engine and not yet consumed.
    pub(crate) waiting: u32,
    /// Their bytes.
    pub(crate) waiting_bytes: usize,
    /// Size of the largest delivery seen lately, in bytes.
    pub(crate) largest: usize,
}

impl Budget {
    /// The credit to grant now: what is left of the count, or of the bytes if the deliveries to come
    /// are as large as the largest seen. At least one when nothing is held, so that a message larger
    /// than the whole budget still gets through.
    pub(crate) fn credit(&self) -> u32 {
        let by_count = self.prefetch.saturating_sub(self.waiting);
        let room = self.bytes_max.saturating_sub(self.waiting_bytes);
        let by_bytes = u32::try_from(room / self.largest.max(1)).unwrap_or(u32::MAX);
        let credit = by_count.min(by_bytes);
        if self.waiting == 0 { credit.max(1) } else { credit }
    }
}

/// How many deliveries may be consumed before credit is returned: a quarter of the prefetch keeps
/// the peer busy and the flows few.
pub(crate) fn step(prefetch: u32) -> u32 {
    (prefetch / 4).max(1)
}

/// How many bytes of them may be: large deliveries use the budget of bytes up before that of
/// deliveries, and the peer would wait for ever.
pub(crate) fn step_bytes(bytes_max: usize) -> usize {
    (bytes_max / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget =
        Budget { prefetch: 300, bytes_max: 1 << 20, waiting: 0, waiting_bytes: 0, largest: 0 };

    #[test]
    fn small_events_are_bound_by_count() {
        assert_eq!(BUDGET.credit(), 300);
        assert_eq!(
            Budget { waiting: 100, waiting_bytes: 100_000, largest: 1000, ..BUDGET }.credit(),
            200
        );
        assert_eq!(Budget { waiting: 400, ..BUDGET }.credit(), 0);
    }

    #[test]
    fn large_events_are_bound_by_bytes() {
        let large = Budget { largest: 256 << 10, ..BUDGET };
        assert_eq!(large.credit(), 4);
        assert_eq!(Budget { waiting: 3, waiting_bytes: 768 << 10, ..large }.credit(), 1);
        assert_eq!(Budget { waiting: 4, waiting_bytes: 1 << 20, ..large }.credit(), 0);
    }

    #[test]
    fn a_message_larger_than_the_budget_gets_through_alone() {
        assert_eq!(Budget { largest: 20 << 20, ..BUDGET }.credit(), 1);
    }
}
