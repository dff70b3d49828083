//! A message on its way to the service, until it is known what became of it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::net::{LinkClosed, SendFailure};
use eventhubs_protocol::condition::{Place, Recovery, local};
use eventhubs_protocol::{PartitionId, address, names};

use crate::error::{Error, ErrorKind, Operation};
use crate::hub::Shared;
use crate::links::SendLink;
use crate::recovery::call::{Call, Tries, Try};
use crate::recovery::clock;

/// A message, where it goes and since when.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) hub: Arc<Shared>,
    pub(crate) partition: Option<PartitionId>,
    pub(crate) payload: Bytes,
    pub(crate) message_format: u32,
    /// When the call began.
    pub(crate) started: Instant,
}

impl Delivery {
    /// Tries until the message is accepted or there is no other try. `failed` is what a first try
    /// failed with, if there was one.
    pub(crate) async fn run(self, failed: Option<Error>) -> Result<(), Error> {
        let target = self.hub.target();
        let entity = address::producer(&target.hub, self.partition);
        let retry = &target.options.retry;
        let call = Call { operation: Operation::Send, entity: &entity, retry, patient: false };
        let mut tries = Tries::since(&self.hub, call, self.started);
        let mut this = match failed {
            Some(error) => self.again(&mut tries, error).await?,
            None => tries.first().await?,
        };
        loop {
            match self.once(this).await {
                Ok(()) => {
                    self.hub.pacing().succeeded();
                    return Ok(());
                }
                Err(error) => this = self.again(&mut tries, error).await?,
            }
        }
    }

    async fn again(&self, tries: &mut Tries<'_>, error: Error) -> Result<Try, Error> {
        let is_unknown = error.may_have_been_sent();
        let this = tries.after(error).await?;
        if is_unknown {
            self.hub.counters().unknown_retried.add(1);
        }
        Ok(this)
    }

    async fn once(&self, this: Try) -> Result<(), Error> {
        let link = self.hub.send_links(self.partition).attached(&self.hub, this).await?;
        link.check_size(self.payload.len())?;
        link.has_room_by(this.deadline).await?;
        let mut sending = link.send(self.payload.clone(), self.message_format);
        match clock::by(this.deadline, &mut sending).await {
            Some(outcome) => self.judge(outcome, &link),
            None => Err(overdue(sending.withdraw(), &link)),
        }
    }

    /// What a try ended with, as a result for the sender. A link that failed is left.
    ///
    /// Only `accepted` is success: a released or modified delivery was let go of without being
    /// stored, and what is no outcome at all tells nothing (AMQP 1.0, part 3.4).
    pub(crate) fn judge(
        &self,
        outcome: Result<DeliveryState, SendFailure>,
        link: &SendLink,
    ) -> Result<(), Error> {
        let error = match outcome {
            Ok(DeliveryState::Accepted) => return Ok(()),
            Ok(state) => of_outcome(&state, link.entity()),
            Err(failure) => self.of_failure(&failure, link).with_fault(link.fault()),
        };
        if matches!(error.verdict().recovery, Recovery::Link | Recovery::Connection) {
            link.leave();
        }
        Err(error.with_sizes(self.payload.len(), link.max_message_size().unwrap_or(0)))
    }

    fn of_failure(&self, failure: &SendFailure, link: &SendLink) -> Error {
        let lost = || {
            let (operation, entity) = (Operation::Send, link.entity());
            let lost = Error::of_verdict(local::LINK_LOST, operation, entity, failure.to_string());
            lost.with_unknown(failure.may_have_been_sent())
        };
        let (SendFailure::NotSent(closed) | SendFailure::Unknown(closed)) = failure else {
            return Error::of_send(failure, link.entity());
        };
        match closed {
            _ if self.hub.is_closed() => {
                let closed = Error::closed(Operation::Send, link.entity());
                closed.with_unknown(failure.may_have_been_sent())
            }
            LinkClosed::Remote(Some(error))
                if error.condition.as_str() == names::MESSAGE_SIZE_EXCEEDED =>
            {
                // The link went because of one message that is too large. Is it this one?
                let text = error.description.as_deref().unwrap_or_default();
                match self.is_too_large(text, link) {
                    true => Error::of_send(failure, link.entity()).with_unknown(false),
                    false => lost(),
                }
            }
            _ => Error::of_send(failure, link.entity()),
        }
    }

    /// Whether this is the message that was too large: the link's limit or the service's text says
    /// so.
    fn is_too_large(&self, text: &str, link: &SendLink) -> bool {
        let size = self.payload.len();
        // Only that number: the limit in the same text may be the size of another message, which is
        // not too large and may be stored.
        let named = text.split_once("size:").map_or("", |(_, rest)| rest);
        let digits = named.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        link.check_size(size).is_err() || digits.parse() == Ok(size)
    }
}

/// What the service answered, when it did not accept.
fn of_outcome(state: &DeliveryState, entity: &str) -> Error {
    let verdict = match state {
        DeliveryState::Rejected(Some(error)) => {
            return Error::of_peer(error, Place::Delivery, Operation::Send, entity);
        }
        DeliveryState::Rejected(None) => local::REJECTED,
        DeliveryState::Released | DeliveryState::Modified { .. } => local::RELEASED,
        _ => local::BAD_FRAME,
    };
    let detail = format!("the service answered {state:?}");
    Error::of_verdict(verdict, Operation::Send, entity, detail)
}

/// The time for the whole call was over before the try was.
fn overdue(withdrawn: bool, link: &SendLink) -> Error {
    let (verdict, what) = match withdrawn {
        true => (local::NO_CREDIT, "not sent: no credit"),
        false => (local::NO_OUTCOME, "unknown outcome: none"),
    };
    link.leave();
    let detail = format!("{what} came in what was left of the time for the call");
    Error::of_verdict(verdict, Operation::Send, link.entity(), detail)
}

/// An event that has no destination of its own where one is needed.
pub(crate) fn mismatch(entity: &str, detail: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Operation::Send, entity, detail)
}
