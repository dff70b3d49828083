//! The outcome of a send.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::net::{self, SendFailure};
use eventhubs_protocol::condition::local;
use tokio::sync::oneshot;

use crate::delivery::Delivery;
use crate::error::{Error, Operation};
use crate::links::SendLink;
use crate::ordered::Line;

enum Step {
    /// The first try: queued on a link.
    Queued {
        sending: net::Sending,
        link: SendLink,
        delivery: Delivery,
    },
    /// There was no link, or the first try failed.
    Recovering(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    /// In a line, behind others.
    InLine {
        outcome: oneshot::Receiver<Result<(), Error>>,
        line: Arc<Line>,
        is_worked: bool,
    },
    /// The outcome is known already.
    Known(Result<(), Error>),
    Finished,
}

/// The outcome of one send, from [`Producer::enqueue`](crate::Producer::enqueue).
///
/// It is `Ok` only when the service has accepted the event. A try that fails is followed by others
/// as [`HubOptions::retry`](crate::HubOptions::retry) says, as long as this future is polled.
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
/// has been may be stored. With [ordered sends](crate::HubOptions::ordered), one that has begun is
/// tried on without this future.
#[must_use = "a send that is not awaited may be withdrawn, and its failure goes unseen"]
pub struct Sending {
    step: Step,
}

impl Sending {
    /// Queues a message on a link.
    pub(crate) fn queued(delivery: Delivery, link: SendLink) -> Self {
        if let Err(error) = link.check_size(delivery.payload.len()) {
            return Self::finished(Err(error));
        }
        let sending = link.send(delivery.payload.clone(), delivery.message_format);
        Self { step: Step::Queued { sending, link, delivery } }
    }

    /// Waits for a link, or for the service to be asked again.
    pub(crate) fn waiting(delivery: Delivery) -> Self {
        Self { step: Step::Recovering(Box::pin(delivery.run(None))) }
    }

    pub(crate) fn in_line(outcome: oneshot::Receiver<Result<(), Error>>, line: Arc<Line>) -> Self {
        let is_worked = line.work();
        Self { step: Step::InLine { outcome, line, is_worked } }
    }

    pub(crate) fn finished(outcome: Result<(), Error>) -> Self {
        Self { step: Step::Known(outcome) }
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.step {
            Step::Queued { .. } => "Sending(queued)",
            Step::Recovering(_) => "Sending(recovering)",
            Step::InLine { .. } => "Sending(in line)",
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
            let result = match &mut self.step {
                Step::Queued { sending, .. } => {
                    let outcome = ready!(Pin::new(sending).poll(cx));
                    let step = std::mem::replace(&mut self.step, Step::Finished);
                    let Step::Queued { link, delivery, .. } = step else { continue };
                    self.step = after_first(outcome, &link, delivery);
                    continue;
                }
                Step::Recovering(recovery) => ready!(recovery.as_mut().poll(cx)),
                Step::InLine { outcome, line, is_worked } => {
                    *is_worked = *is_worked || line.work();
                    ready!(Pin::new(outcome).poll(cx)).unwrap_or_else(|_| Err(line_lost()))
                }
                Step::Known(outcome) => outcome.clone(),
                Step::Finished => panic!("a send was polled after it was ready"),
            };
            self.step = Step::Finished;
            return Poll::Ready(result);
        }
    }
}

/// What follows the first try.
fn after_first(
    outcome: Result<DeliveryState, SendFailure>,
    link: &SendLink,
    delivery: Delivery,
) -> Step {
    let is_full = matches!(outcome, Err(SendFailure::NotSentInTime(wait)) if wait.is_zero());
    match delivery.judge(outcome, link) {
        Ok(()) => {
            delivery.hub.pacing().succeeded();
            Step::Known(Ok(()))
        }
        // The queue is far beyond its bound: to wait for it would only make it longer.
        Err(error) if is_full => Step::Known(Err(error)),
        Err(error) => Step::Recovering(Box::pin(delivery.run(Some(error)))),
    }
}

/// The task that works off the line has ended: the runtime goes, or a policy of the caller's
/// panicked.
fn line_lost() -> Error {
    let detail = "the task that sends in order has ended".to_owned();
    Error::of_verdict(local::CONNECTION_LOST, Operation::Send, "the hub", detail)
}
