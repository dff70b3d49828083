//! What a receiver has with its partition, whichever link it has now.

use std::sync::Arc;
use std::time::Instant;

use eventhubs_amqp::net::{Receiver, ReceiverOptions};
use eventhubs_protocol::link::{self, ConsumerTerms};
use eventhubs_protocol::position::Anchor;
use eventhubs_protocol::{PartitionId, StartPosition, address};

use crate::error::{Error, Operation};
use crate::hub::{Hub, Shared};
use crate::options::ReceiveOptions;
use crate::recovery::attempts::Attempts;
use crate::recovery::call::{Call, Tries, Try, retrying};
use crate::recovery::clock;
use crate::recovery::resume::{Extent, Resume};
use crate::retry::RetryOptions;

/// The terms of one receiver: what it reads, and how.
#[derive(Debug)]
pub(crate) struct Attachment {
    hub: Hub,
    pub(crate) partition: PartitionId,
    /// Address of the partition within its consumer group.
    pub(crate) entity: String,
    pub(crate) options: ReceiveOptions,
}

/// A link that is over for its stream.
#[derive(Debug)]
pub(crate) struct Old {
    pub(crate) receiver: Receiver,
    /// When it was attached: what has been made since is not what failed.
    pub(crate) attached: Instant,
    /// Why it was lost; `None` when it is given up.
    pub(crate) error: Option<Error>,
    /// Tries to attach since an event arrived.
    pub(crate) attempts: Option<Attempts>,
}

impl Attachment {
    pub(crate) fn new(hub: Hub, partition: PartitionId, options: ReceiveOptions) -> Self {
        let target = hub.shared().target();
        let entity = address::consumer(&target.hub, &options.consumer_group, partition);
        Self { hub, partition, entity, options }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.hub.shared()
    }

    /// Whether a receiver that is lost is attached again.
    pub(crate) fn is_kept(&self) -> bool {
        self.options.retry.retries_max != Some(0)
    }

    /// Where the receiver begins. The end of the partition is asked for, once and for all.
    pub(crate) async fn begin(&self) -> Result<Resume, Error> {
        let start = &self.options.start;
        if *start.anchor() != Anchor::Latest {
            return Ok(Resume::new(start.clone()));
        }
        let properties = self.hub.partition_runtime_information(self.partition).await?;
        Ok(Resume::at_end_of(&properties.into(), start.is_inclusive()))
    }

    /// The first link, with the retries of a call.
    pub(crate) async fn open(&self, position: &StartPosition) -> Result<Receiver, Error> {
        let shared = self.shared();
        let retry = &shared.target().options.retry;
        retrying(shared, self.call(retry, false), |this| self.attach(position, this)).await
    }

    /// A new link from `position` on, in place of one that was lost or is given up.
    pub(crate) async fn reopen(
        self: Arc<Self>,
        old: Old,
        position: StartPosition,
    ) -> Result<(Receiver, Attempts), Error> {
        // Only so many receivers may be there, and this one would be in its own way.
        old.receiver.detach().await;
        let call = self.call(&self.options.retry, true);
        let attempts = old.attempts.unwrap_or_else(|| Attempts::new(clock::now()));
        let mut tries = Tries::going_on(self.shared(), call, attempts, old.attached);
        let mut this = match old.error {
            Some(error) => tries.after(error).await?,
            None => tries.first().await?,
        };
        loop {
            let error = match clock::by(this.deadline, self.attach(&position, this)).await {
                Some(Ok(receiver)) => {
                    self.shared().pacing().succeeded();
                    return Ok((receiver, tries.into_attempts()));
                }
                Some(Err(error)) => error,
                None => tries.out_of_time(),
            };
            this = tries.after(error).await?;
        }
    }

    /// One try to attach.
    async fn attach(&self, position: &StartPosition, this: Try) -> Result<Receiver, Error> {
        let operation = Operation::AttachConsumer;
        let (shared, options) = (self.shared(), &self.options);
        let target = shared.target();
        let live = shared.live(this.anew(), operation).await?;
        let terms = ConsumerTerms {
            identifier: &target.identifier,
            owner_level: options.owner_level,
            track_last_enqueued: options.track_last_enqueued,
        };
        let terms = link::consumer(&self.entity, position, &terms);
        let receiver = live
            .connection
            .receiver(ReceiverOptions {
                source: terms.source,
                target: terms.target,
                properties: terms.properties,
                desired_capabilities: terms.desired_capabilities,
                prefetch: options.prefetch,
                prefetch_bytes: options.prefetch_bytes,
                attach_timeout: target.options.attach_timeout,
                ..ReceiverOptions::default()
            })
            .await
            .map_err(|error| Error::of_net(&error, operation, &self.entity))?;
        shared.counters().links.add(1);
        Ok(receiver)
    }

    /// What the partition holds; `None` when nobody answers in the time of one question.
    pub(crate) async fn extent(self: Arc<Self>) -> Option<Extent> {
        let shared = self.shared();
        let target = shared.target();
        let deadline = clock::now() + target.options.request_timeout;
        let entity = address::producer(&target.hub, Some(self.partition));
        let asked = shared.partition_properties(Try::only(deadline), self.partition, &entity);
        clock::by(deadline, asked).await?.ok().map(Extent::from)
    }

    fn call<'a>(&'a self, retry: &'a RetryOptions, patient: bool) -> Call<'a> {
        Call { operation: Operation::AttachConsumer, entity: &self.entity, retry, patient }
    }
}
