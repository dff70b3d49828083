//! What calls to one namespace share to go easy on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::recovery::budget::{Budget, Price};
use crate::recovery::gate::Gate;

/// How hard the calls to one namespace may try together. Clones are one and the same: give one to
/// all hubs of a namespace, by [`HubOptions::with_pacing`](crate::HubOptions::with_pacing).
///
/// * When the service asks for a rest, nobody who shares it begins a try before that rest is over.
/// * There are 50 tokens for retries. A retry costs 1, or 2 after a time-out, once for each fault
///   however many calls it struck; a success gives back 0.1. Without tokens calls fail instead of
///   trying again; streams, and calls whose tries are not limited, wait as long between tries as
///   their options allow.
///
/// ```
/// use eventhubs_client::{HubOptions, Pacing};
///
/// let shared = Pacing::default();
/// let (one, other) = (
///     HubOptions::default().with_pacing(shared.clone()),
///     HubOptions::default().with_pacing(shared),
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pacing {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The gate was closed, or the budget is not full: the state has to be looked at. Only a hint,
    /// so that the usual send takes no lock.
    disturbed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    budget: Budget,
}

impl Pacing {
    /// Whether there is nothing to wait or to account for.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        !self.inner.disturbed.load(Ordering::Relaxed)
    }

    /// When the rest that the service asked for is over, if it is not at `now`.
    pub(crate) fn closed_until(&self, now: Instant) -> Option<Instant> {
        if self.is_calm() {
            return None;
        }
        self.change(|state| state.gate.closed_until(now))
    }

    /// The service asked for a rest, of this time if it named one. Gives whether nobody had noticed
    /// yet.
    pub(crate) fn rest(&self, now: Instant, stated: Option<Duration>) -> bool {
        self.change(|state| state.gate.close(now, stated))
    }

    /// Pays for a retry, if there is enough left.
    pub(crate) fn withdraw(&self, price: Price) -> bool {
        self.change(|state| state.budget.withdraw(price))
    }

    /// A call succeeded.
    #[inline]
    pub(crate) fn succeeded(&self) {
        if !self.is_calm() {
            self.change(|state| state.budget.deposit());
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state: MutexGuard<'_, State> =
            self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        let calm = state.budget.is_full() && state.gate.is_open();
        self.inner.disturbed.store(!calm, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::clock;
    use crate::recovery::gate::REST_MIN;

    #[test]
    fn clones_share_the_gate_and_the_budget() {
        let (one, now) = (Pacing::default(), clock::now());
        let other = one.clone();
        assert!(one.is_calm() && other.closed_until(now).is_none());
        assert!(one.rest(now, None) && !other.rest(now, None));
        assert_eq!(other.closed_until(now), Some(now + REST_MIN));
        assert_eq!(other.closed_until(now + REST_MIN), None);
        assert!(one.is_calm(), "the rest is over");
        while one.withdraw(Price::Retry) {}
        assert!(!other.withdraw(Price::Retry));
        for _ in 0..500 {
            assert!(!one.is_calm());
            other.succeeded();
        }
        assert!(one.is_calm(), "all of it was given back");
    }
}
