//! How many retries the calls to one namespace may make together. Pure.

/// What the bucket holds when it is full, in tenths of a token: fifty tokens.
const BOUND: u32 = 500;
/// What a success gives back.
const SUCCESS: u32 = 1;

/// The price of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// After most failures: one token.
    Retry,
    /// After a time-out, which has kept everybody busy for long: two.
    AfterTimeout,
}

impl Price {
    fn tenths(self) -> u32 {
        match self {
            Self::Retry => 10,
            Self::AfterTimeout => 20,
        }
    }
}

/// A bucket of tokens. Retries take them out and successes put a little back, so that a service that
/// answers nobody is not asked again and again by all who wait for it.
#[derive(Debug)]
pub(crate) struct Budget {
    tenths: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: BOUND }
    }
}

impl Budget {
    /// Pays for a retry, if there is enough.
    pub(crate) fn withdraw(&mut self, price: Price) -> bool {
        match self.tenths.checked_sub(price.tenths()) {
            Some(left) => {
                self.tenths = left;
                true
            }
            None => false,
        }
    }

    /// A call succeeded.
    pub(crate) fn deposit(&mut self) {
        self.tenths = (self.tenths + SUCCESS).min(BOUND);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.tenths == BOUND
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifty_retries_or_half_as_many_after_time_outs() {
        for (price, count) in [(Price::Retry, 50), (Price::AfterTimeout, 25)] {
            let mut budget = Budget::default();
            assert_eq!((0..100).filter(|_| budget.withdraw(price)).count(), count, "{price:?}");
        }
    }

    #[test]
    fn ten_successes_pay_for_one_retry() {
        let mut budget = Budget::default();
        while budget.withdraw(Price::Retry) {}
        for _ in 0..9 {
            budget.deposit();
            assert!(!budget.withdraw(Price::Retry));
        }
        budget.deposit();
        assert!(budget.withdraw(Price::Retry) && !budget.withdraw(Price::Retry));
    }

    proptest! {
        #[test]
        fn it_is_never_overdrawn_and_never_above_its_bound(
            steps in proptest::collection::vec(0_u8..12, 1..2000),
        ) {
            let (mut budget, mut paid, mut back) = (Budget::default(), 0_u64, 0_u64);
            for step in steps {
                match step {
                    0 => paid += if budget.withdraw(Price::Retry) { 10 } else { 0 },
                    1 => paid += if budget.withdraw(Price::AfterTimeout) { 20 } else { 0 },
                    _ => {
                        budget.deposit();
                        back += 1;
                    }
                }
                prop_assert!(budget.tenths <= BOUND);
                prop_assert!(paid <= u64::from(BOUND) + back, "more was paid than ever was there");
                prop_assert_eq!(budget.is_full(), budget.tenths == BOUND);
            }
        }
    }
}
