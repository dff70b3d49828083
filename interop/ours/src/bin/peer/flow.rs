//! Whole runs of messages over one link.

use std::collections::VecDeque;

use eventhubs_amqp::codec::{AmqpError, DeliveryState, Map, Symbol};
use eventhubs_amqp::net::{LinkClosed, Receiver, Sender, Sending};

use crate::Failure;
use crate::message::{self, Count};

/// Sends that wait for their outcome at a time.
const PIPELINE: usize = 256;
/// Condition of a rejection.
pub(crate) const REFUSED: &str = "test:refused";
/// Text of a rejection.
pub(crate) const REFUSED_TEXT: &str = "not this one";

/// Sends the first `count` messages; each must be accepted.
pub(crate) async fn send(sender: &Sender, count: u32) -> Result<Count, Failure> {
    let mut sent = Count::default();
    let mut pending: VecDeque<Sending> = VecDeque::new();
    for number in 0..count {
        if pending.len() == PIPELINE
            && let Some(oldest) = pending.pop_front()
        {
            accepted(oldest.await?)?;
            sent.sent();
        }
        pending.push_back(sender.send(message::encode(number), 0));
    }
    for sending in pending {
        accepted(sending.await?)?;
        sent.sent();
    }
    Ok(sent)
}

fn accepted(state: DeliveryState) -> Result<(), Failure> {
    match state {
        DeliveryState::Accepted => Ok(()),
        other => Err(format!("accepted was due, not {other:?}").into()),
    }
}

/// Receives the first `count` messages, in order and unchanged.
pub(crate) async fn receive(
    receiver: &mut Receiver,
    count: u32,
    settled: bool,
) -> Result<Count, Failure> {
    let mut received = Count::default();
    while received.messages < count {
        let delivery = receiver.recv().await?;
        if delivery.settled() != settled {
            return Err(format!("message {}: settled is {settled}", received.messages).into());
        }
        received.received(&delivery)?;
    }
    Ok(received)
}

/// What a receiver says of message `number` of a run that gets every outcome.
pub(crate) fn outcome(number: u32) -> DeliveryState {
    match number % 4 {
        0 => DeliveryState::Accepted,
        1 => {
            let error = AmqpError::new(Symbol::from_static(REFUSED), REFUSED_TEXT);
            DeliveryState::Rejected(Some(error))
        }
        2 => DeliveryState::Released,
        _ => DeliveryState::Modified {
            delivery_failed: true,
            undeliverable_here: true,
            message_annotations: Map::new(),
        },
    }
}

/// Sends the first `count` messages one by one and compares their outcomes.
pub(crate) async fn send_for_outcomes(sender: &Sender, count: u32) -> Result<Count, Failure> {
    let mut sent = Count::default();
    for number in 0..count {
        let came = sender.send(message::encode(number), 0).await?;
        if came != outcome(number) {
            let due = outcome(number);
            return Err(format!("message {number}: {came:?} came, not {due:?}").into());
        }
        sent.sent();
    }
    Ok(sent)
}

/// Receives the first `count` messages and answers each with an outcome of its own.
pub(crate) async fn receive_with_outcomes(
    receiver: &mut Receiver,
    count: u32,
) -> Result<Count, Failure> {
    let mut received = Count::default();
    while received.messages < count {
        let delivery = receiver.recv().await?;
        let number = received.messages;
        received.received(&delivery)?;
        receiver.settle(&delivery, outcome(number));
    }
    Ok(received)
}

/// Waits for the other end to detach; nothing may come before.
pub(crate) async fn detached(receiver: &mut Receiver) -> Result<LinkClosed, Failure> {
    match receiver.recv().await {
        Ok(_) => Err("a message more than were due".into()),
        Err(closed) => Ok(closed),
    }
}
