//! Faults on request: what the emulator does wrong, where, and how often.
//!
//! One mechanism serves all of them. Whatever the emulator is about to do is an
//! [`Occurrence`](occurrence::Occurrence) at a [`Point`]; the [`registry`] of faults says which
//! [`Effect`] takes its place, if any; the connection's broker or its byte layer performs it.

mod effect;
#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod occurrence;
mod point;
mod reason;
mod registry;
mod scope;
mod switchboard;

use std::fmt;

use thiserror::Error;

pub use effect::{Effect, Outcome};
pub use point::{Direction, Performative, Point};
pub use reason::Reason;
pub use scope::{Role, Scope};

pub(crate) use registry::{Registry, SHAPES, Struck};
pub(crate) use switchboard::Switchboard;

/// Something that goes wrong on request.
///
/// It counts the occurrences at its point that are within its scope. The first `after` of them
/// pass, the next `times` are struck. Every fault counts every such occurrence, but only one
/// strikes it: the oldest that is due. The others strike the next.
///
/// ```
/// use std::time::Duration;
/// use eventhubs_emulator::{Effect, Fault, Point, Role, Scope};
///
/// // The third event that is published is stored, and nobody is told.
/// let lost = Fault::at(Point::Publish, Effect::LoseAcknowledgement).after(2);
/// assert!(lost.check().is_ok());
/// // Every consumer of partition 0 waits 5 s for the answer to its attach.
/// let slow = Fault::at(Point::Attach, Effect::Delay(Duration::from_secs(5)))
///     .within(Scope::all().hub("orders").partition("0").role(Role::Consumer))
///     .always();
/// assert!(slow.check().is_ok());
/// // No event is delivered when a connection opens: this could never strike.
/// assert!(Fault::at(Point::Open, Effect::Duplicate).check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
pub struct Fault {
    /// What it is about. Default: everything.
    #[cfg_attr(feature = "json", serde(default))]
    pub scope: Scope,
    /// Where it strikes; `at` in JSON. Default: [`Point::Now`].
    #[cfg_attr(feature = "json", serde(default, rename = "at"))]
    pub point: Point,
    /// Occurrences that pass before the first strike. Default 0; without meaning at
    /// [`Point::Now`].
    #[cfg_attr(feature = "json", serde(default))]
    pub after: u64,
    /// Strikes; `None` (`null` in JSON) is without end. Default 1; without meaning at
    /// [`Point::Now`], where everything within the scope is struck once.
    #[cfg_attr(feature = "json", serde(default = "once"))]
    pub times: Option<u64>,
    /// What happens instead of what should.
    pub effect: Effect,
}

#[cfg(feature = "json")]
fn once() -> Option<u64> {
    Some(1)
}

impl Fault {
    /// A fault that strikes everything within its scope at once.
    pub fn now(effect: Effect) -> Self {
        Self::at(Point::Now, effect)
    }

    /// A fault that strikes the first occurrence at `point`.
    pub fn at(point: Point, effect: Effect) -> Self {
        Self { scope: Scope::all(), point, after: 0, times: Some(1), effect }
    }

    /// The same, about `scope` only.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same, with `count` occurrences let pass first.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.after = count;
        self
    }

    /// The same, with `count` strikes.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// The same, without end: until it is lifted.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Whether this fault can strike at all.
    ///
    /// # Errors
    /// [`FaultError`] when its effect cannot happen at its point, or its scope asks for something
    /// that is not known there.
    pub fn check(&self) -> Result<(), FaultError> {
        if !self.effect.fits(&self.point) {
            return Err(FaultError::Effect { point: self.point.to_string() });
        }
        match self.scope.unknown_at(&self.point) {
            Some(field) => Err(FaultError::Scope { field, point: self.point.to_string() }),
            None => Ok(()),
        }
    }
}

/// Names a fault that was injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct FaultId(pub u64);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a fault was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultError {
    /// The effect cannot happen at the point.
    #[error("this effect cannot happen at the point '{point}'")]
    Effect {
        /// The point.
        point: String,
    },
    /// The scope names something that is not known at the point.
    #[error("the scope's '{field}' is not known at the point '{point}', so nothing would match")]
    Scope {
        /// Field of the scope.
        field: &'static str,
        /// The point.
        point: String,
    },
    /// Too many faults wait already.
    #[error("{0} faults are waiting already: lift some")]
    TooMany(usize),
    /// The point is one of the network's: faults there go to a network, all others to an emulator.
    #[error("the point '{point}' belongs to {owner}")]
    Elsewhere {
        /// The point.
        point: String,
        /// Who takes such faults.
        owner: &'static str,
    },
}

#[cfg(test)]
mod tests;
