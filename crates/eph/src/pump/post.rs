//! What a pump asks of its ownership, and tells it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_client::Error;
use eventhubs_protocol::{OwnerLevel, PartitionId, ReceivedEvent};

use crate::handler::HandlerId;
use crate::health::PartitionStage;
use crate::ownership::Refusal;
use crate::partition::{CheckpointError, CloseReason, Committed};
use crate::seat::Seat;

/// The ownership behind a pump. Everything that is not async is cheap and never waits.
#[async_trait]
pub(crate) trait Post: Send + Sync + 'static {
    fn partition(&self) -> PartitionId;
    fn owner_level(&self) -> OwnerLevel;
    /// Whether a handler may start now. To be asked before each call.
    fn may_handle(&self) -> bool;
    /// Nanoseconds of the monotonic clock until which they may without being asked for; 0 when it
    /// has to be.
    fn until(&self) -> &AtomicU64;
    /// Waits until a receiver may be attached, or never may again.
    async fn attach_allowed(&self) -> Result<OwnerLevel, Refusal>;
    /// The hub refused the level because it knows another; the one to attach with instead.
    async fn level_refused(&self, existing: Option<OwnerLevel>) -> Result<OwnerLevel, Refusal>;
    fn attached(&self);
    fn attach_failed(&self, error: &Error);
    fn stolen(&self);
    /// The partition is to be given back.
    fn give_up(&self, reason: CloseReason);
    fn close_reason(&self) -> Option<CloseReason>;
    async fn closing(&self) -> CloseReason;
    /// All handlers have finished everything up to this event.
    fn finished(&self, at: &ReceivedEvent, events: u64);
    async fn checkpoint(&self) -> Result<Committed, CheckpointError>;
    fn handler_started(&self, handler: HandlerId);
    fn handler_ended(&self, handler: HandlerId);
    fn set_stage(&self, stage: PartitionStage);
    fn set_failures(&self, failures: u32);
    fn set_lag(&self, events: Option<u64>, time: Option<Duration>);
}

#[async_trait]
impl Post for Seat {
    fn partition(&self) -> PartitionId {
        self.partition()
    }

    fn owner_level(&self) -> OwnerLevel {
        self.owner_level()
    }

    #[inline]
    fn may_handle(&self) -> bool {
        self.may_handle()
    }

    #[inline]
    fn until(&self) -> &AtomicU64 {
        self.until()
    }

    async fn attach_allowed(&self) -> Result<OwnerLevel, Refusal> {
        self.attach_allowed().await
    }

    async fn level_refused(&self, existing: Option<OwnerLevel>) -> Result<OwnerLevel, Refusal> {
        self.level_refused(existing).await
    }

    fn attached(&self) {
        self.attached();
    }

    fn attach_failed(&self, error: &Error) {
        self.attach_failed(error);
    }

    fn stolen(&self) {
        self.stolen();
    }

    fn give_up(&self, reason: CloseReason) {
        self.give_up(reason);
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason()
    }

    async fn closing(&self) -> CloseReason {
        self.closing().await
    }

    fn finished(&self, at: &ReceivedEvent, events: u64) {
        self.finished(at.into(), events);
    }

    async fn checkpoint(&self) -> Result<Committed, CheckpointError> {
        self.checkpoint().await
    }

    fn handler_started(&self, handler: HandlerId) {
        self.handler_started(handler);
    }

    fn handler_ended(&self, handler: HandlerId) {
        self.handler_ended(handler);
    }

    fn set_stage(&self, stage: PartitionStage) {
        self.set_stage(stage);
    }

    fn set_failures(&self, failures: u32) {
        self.set_failures(failures);
    }

    fn set_lag(&self, events: Option<u64>, time: Option<Duration>) {
        self.set_lag(events, time);
    }
}
