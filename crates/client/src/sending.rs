//! The outcome of a send.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::net;
use eventhubs_protocol::condition::{self, Place};

use crate::error::{Error, ErrorKind, Operation};
use crate::producer::SendLink;

/// What a delivery ended with, as a result of its sender.
///
/// Only `accepted` is success: a released or modified delivery was let go of without being stored,
/// and what is no outcome at all tells nothing (AMQP 1.0, part 3.4).
fn result(outcome: Result<DeliveryState, net::SendFailure>, entity: &str) -> Result<(), Error> {
    let operation = Operation::Send;
    match outcome {
        Ok(DeliveryState::Accepted) => Ok(()),
        Ok(DeliveryState::Rejected(Some(error))) => {
            Err(Error::of_peer(&error, Place::Delivery, operation, entity))
        }
        Ok(state) => {
            let verdict = match state {
                DeliveryState::Rejected(_) => condition::local::REJECTED,
                DeliveryState::Released | DeliveryState::Modified { .. } => {
                    condition::local::RELEASED
                }
                _ => condition::local::BAD_FRAME,
            };
            let detail = format!("the service answered {state:?}");
            Err(Error::of_verdict(verdict, operation, entity, detail))
        }
        Err(failure) => Err(Error::of_send(&failure, entity)),
    }
}

enum Step {
    /// Queued on a link.
    Queued {
        sending: net::Sending,
        link: SendLink,
        /// Bytes of the message.
        size: usize,
    },
    /// The link has to be attached first.
    Attaching(Pin<Box<dyn Future<Output = Result<Self, Error>> + Send>>),
    /// The outcome is known already.
    Known(Result<(), Error>),
    Finished,
}

/// The outcome of one send, from [`Producer::enqueue`](crate::Producer::enqueue).
///
/// It is `Ok` only when the service has accepted the event.
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub) {
/// let sending = hub.enqueue("an event");
/// match sending.await {
///     Ok(()) => println!("stored"),
///     Err(error) if error.may_have_been_sent() => println!("nobody knows: {error}"),
///     Err(error) => println!("not stored: {error}"),
/// }
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping it does not undo the send: an event that has not been written is withdrawn, one that
/// has been may be stored.
#[must_use = "a send that is not awaited may be withdrawn, and its failure goes unseen"]
pub struct Sending {
    step: Step,
}

impl Sending {
    /// Queues a message on a link.
    pub(crate) fn queued(payload: Bytes, message_format: u32, link: SendLink) -> Self {
        let size = payload.len();
        let sending = link.send(payload, message_format);
        Self { step: Step::Queued { sending, link, size } }
    }

    pub(crate) fn finished(outcome: Result<(), Error>) -> Self {
        Self { step: Step::Known(outcome) }
    }

    pub(crate) fn attaching(
        attach: impl Future<Output = Result<Self, Error>> + Send + 'static,
    ) -> Self {
        let step = async move { attach.await.map(|sending| sending.step) };
        Self { step: Step::Attaching(Box::pin(step)) }
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.step {
            Step::Queued { .. } => "Sending(queued)",
            Step::Attaching(_) => "Sending(attaching)",
            Step::Known(_) => "Sending(known)",
            Step::Finished => "Sending(finished)",
        })
    }
}

impl Future for Sending {
    type Output = Result<(), Error>;

    /// # Panics
    ///
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match &mut self.step {
                Step::Queued { sending, link, size } => {
                    let outcome = ready!(Pin::new(sending).poll(cx));
                    let limit = link.max_message_size().unwrap_or(0);
                    let result = result(outcome, link.entity())
                        .map_err(|error| error.with_sizes(*size, limit));
                    self.step = Step::Finished;
                    return Poll::Ready(result);
                }
                Step::Attaching(attach) => {
                    self.step = match ready!(attach.as_mut().poll(cx)) {
                        Ok(step) => step,
                        Err(error) => Step::Known(Err(error)),
                    };
                }
                Step::Known(outcome) => {
                    let outcome = outcome.clone();
                    self.step = Step::Finished;
                    return Poll::Ready(outcome);
                }
                Step::Finished => panic!("a send was polled after it was ready"),
            }
        }
    }
}

/// An error for something that never fits, before anything is queued.
pub(crate) fn check_size(size: usize, link: &SendLink) -> Result<(), Error> {
    match link.max_message_size() {
        Some(limit) if size as u64 > limit => Err(Error::too_large(size, limit, link.entity())),
        _ => Ok(()),
    }
}

/// An event that has no destination of its own where one is needed.
pub(crate) fn mismatch(entity: &str, detail: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Operation::Send, entity, detail)
}
