//! The lease: renewals, and the level that the hub refused.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::OwnerLevel;
use tracing::Instrument;

use super::{Raising, Retry, Task};
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::keeper::call::Call;
use crate::lease::{Hold, Lease};
use crate::notice::HostEvent;
use crate::ownership::Moment;
use crate::seat::Refused;

impl Task {
    pub(super) fn renew(&mut self, now: Moment) {
        let (shared, lease) = (Arc::clone(&self.shared), self.lease.clone());
        let about = self.about(StoreOperation::Renew);
        let span = self.span("renew");
        self.asked = now;
        // After a failure it begins later for another reason than this process.
        if self.seat.with(|ownership| ownership.failures()) == 0 {
            let late = self.lateness.begins(now.monotonic);
            self.shared.suspect(|suspicion, now| suspicion.renewed(late, now));
        }
        let call = async move {
            about.within(shared.options.timing.call(), shared.leaser.renew(&lease)).await
        };
        self.renewing = Some(Call::begin(about, call.instrument(span)));
    }

    pub(super) fn renewed(&mut self, result: Result<Hold, StoreError>, now: Moment) {
        let asked = self.asked;
        match result {
            Ok(Hold::Kept(lease)) => {
                self.proved(lease, asked, now);
                self.seat.with(|ownership| ownership.renewed(asked, now));
            }
            Ok(Hold::Lost(current)) => self.lost(current, now),
            Err(error) => {
                let failures = self.seat.with(|ownership| {
                    ownership.renew_failed(now);
                    ownership.failures()
                });
                if error.kind() == StoreErrorKind::NotFound {
                    self.writing.store_is_lost();
                }
                // Once for each time that it fails in a row; health tells how often.
                if failures == 1 {
                    self.store_failed(error);
                }
            }
        }
    }

    pub(super) fn proved(&mut self, lease: Lease, asked: Moment, now: Moment) {
        let late = self.lateness.proved(asked.monotonic, now.monotonic);
        self.shared.counters.renewed(late);
        self.highest = self.highest.max(lease.epoch);
        // An answer that was overtaken by a raised level knows less.
        if lease.epoch >= self.lease.epoch {
            self.lease = lease;
        }
    }

    pub(super) fn lost(&mut self, current: Option<Lease>, now: Moment) {
        if let Some(current) = current {
            self.highest = self.highest.max(current.epoch);
        }
        self.seat.with(|ownership| ownership.lost(now));
    }

    pub(super) fn tell_lateness(&mut self, now: Duration) -> Option<Duration> {
        if !self.is_held() {
            return None;
        }
        if let Some(by) = self.lateness.tell(now) {
            let partition = self.lease.partition;
            tracing::warn!(%partition, ?by, "the renewal of a lease is late");
            self.shared.notices.tell(HostEvent::RenewalLate { partition, by });
        }
        self.lateness.tell_at()
    }

    /// The hub refused the receiver, because it knows another level.
    pub(super) fn refused(&mut self, refused: Refused, now: Moment) {
        let Refused { existing, answer } = refused;
        if let Some(existing) = existing {
            self.highest = self.highest.max(existing);
        }
        if let Some(raising) = &mut self.raising {
            raising.answer = Some(answer);
            return;
        }
        if let Some(level) = self.raise(existing, now) {
            self.raising =
                Some(Raising { level, retry: Retry::at_once(), asked: now, answer: Some(answer) });
        }
    }

    pub(super) fn raise(&self, existing: Option<OwnerLevel>, now: Moment) -> Option<OwnerLevel> {
        let mode = self.shared.options.epochs;
        self.seat.with(|ownership| ownership.epoch_refused(existing, mode, now))
    }

    /// Tells the store of a higher level, if there is one to tell of.
    pub(super) fn update(&mut self, now: Moment) -> Option<Duration> {
        if !self.is_held() {
            // Whoever waits for the level hears that it is over.
            (self.raising, self.updating) = (None, None);
        }
        if self.updating.is_some() {
            return None;
        }
        let about = self.about(StoreOperation::Update);
        let span = self.span("renew");
        let raising = self.raising.as_mut()?;
        if raising.retry.at > now.monotonic {
            return Some(raising.retry.at);
        }
        raising.asked = now;
        let mut lease = self.lease.clone();
        lease.epoch = raising.level;
        let shared = Arc::clone(&self.shared);
        let call = async move {
            about.within(shared.options.timing.call(), shared.leaser.update(&lease)).await
        };
        self.updating = Some(Call::begin(about, call.instrument(span)));
        None
    }

    pub(super) fn updated(&mut self, result: Result<Hold, StoreError>, now: Moment) {
        let Some(mut raising) = self.raising.take() else { return };
        match result {
            Ok(Hold::Kept(lease)) => {
                let level = lease.epoch;
                self.proved(lease, raising.asked, now);
                self.seat.with(|ownership| ownership.raised(level, raising.asked, now));
                match raising.answer.take() {
                    // Whoever asked may be gone; the level is there all the same.
                    Some(answer) => drop(answer.send(self.seat.may_attach())),
                    None => self.opening = Some(Retry::at_once()),
                }
            }
            Ok(Hold::Lost(current)) => self.lost(current, now),
            Err(error) => {
                raising.retry = raising.retry.later(&error, self.spread, now.monotonic);
                self.raising = Some(raising);
                self.store_failed(error);
            }
        }
    }

    pub(super) fn span(&self, name: &'static str) -> tracing::Span {
        let (partition, owner_level) = (self.lease.partition, self.lease.epoch);
        match name {
            "renew" => tracing::debug_span!("renew", %partition, %owner_level),
            _ => tracing::debug_span!("release", %partition, %owner_level),
        }
    }
}
