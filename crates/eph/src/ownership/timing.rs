//! Clock readings, and the times of a lease.

use std::time::{Duration, SystemTime};

/// What the clocks of this machine say at one moment.
///
/// The monotonic clock decides. It stands still while a machine is suspended and the wall clock
/// does not, so the two are compared as well.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use eventhubs_eph::ownership::Moment;
///
/// let second = Duration::from_secs(1);
/// let before = Moment { monotonic: second, wall: UNIX_EPOCH };
/// let after = Moment { monotonic: 2 * second, wall: UNIX_EPOCH + 31 * second };
/// assert_eq!(after.jump_since(before), 30 * second);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since any moment that stays the same in this process.
    pub monotonic: Duration,
    /// The time of day.
    pub wall: SystemTime,
}

impl Moment {
    /// How much more time went by on the wall clock than on the monotonic one; zero when it was
    /// less.
    #[must_use]
    pub fn jump_since(self, before: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(before.monotonic);
        let wall = self.wall.duration_since(before.wall).unwrap_or_default();
        wall.saturating_sub(monotonic)
    }
}

/// The times of a lease.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use eventhubs_eph::ownership::Timing;
///
/// let timing = Timing { lease: Duration::from_secs(20), ..Timing::default() };
/// assert!(timing.check().is_err(), "20 s are less than three renewals of 10 s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease lasts without a renewal. 15 s to 60 s. Default 60 s.
    pub lease: Duration,
    /// From one renewal to the next. At most a third of the lease. Default 10 s.
    pub renewal: Duration,
    /// How long handlers may take to end when a partition goes. Default 10 s.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let lease = Duration::from_secs(60);
        Self { lease, renewal: Duration::from_secs(10), grace: Duration::from_secs(10) }
    }
}

impl Timing {
    /// The shortest and the longest lease that stores offer.
    pub const LEASES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(60));

    /// Whether a lease of these times can be kept.
    ///
    /// # Errors
    ///
    /// It cannot, and why.
    pub fn check(&self) -> Result<(), InvalidTiming> {
        let (shortest, longest) = Self::LEASES;
        if self.lease < shortest || self.lease > longest {
            return Err(InvalidTiming::Lease(self.lease));
        }
        match self.renewal.is_zero() || self.renewal * 3 > self.lease {
            true => Err(InvalidTiming::Renewal { lease: self.lease, renewal: self.renewal }),
            false => Ok(()),
        }
    }

    /// How long before the end of the lease the fence falls: a tenth of it, at least a second.
    #[must_use]
    pub fn margin(&self) -> Duration {
        (self.lease / 10).max(Duration::from_secs(1))
    }

    /// How long a partition is held without a receiver: two leases. Then another host may reach the
    /// service where this one does not.
    #[must_use]
    pub fn unlinked(&self) -> Duration {
        self.lease * 2
    }

    /// The deadline of one call to the store: a quarter of the lease.
    #[must_use]
    pub fn call(&self) -> Duration {
        self.lease / 4
    }
}

/// Why times are refused.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use eventhubs_eph::ownership::InvalidTiming;
///
/// let problem = InvalidTiming::Lease(Duration::from_secs(5));
/// assert_eq!(problem.to_string(), "a lease of 5s is not between 15 s and 60 s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTiming {
    /// The lease is too short or too long.
    #[error("a lease of {0:?} is not between 15 s and 60 s")]
    Lease(Duration),
    /// The lease has no room for three renewals.
    #[error("a lease of {lease:?} has no room for three renewals of {renewal:?}")]
    Renewal {
        /// The lease.
        lease: Duration,
        /// From one renewal to the next.
        renewal: Duration,
    },
}
