//! The workloads straight on the connection and the envelope: what there is below the client.
//!
//! Receiving ends at the delivery, undecoded; sending begins at the event.

use std::collections::VecDeque;

use bytes::Bytes;
use eventhubs_amqp::{
    codec::DeliveryState,
    net::{
        Connection, ConnectionOptions, Endpoint, ReceiverOptions, Sender, SenderOptions, Sending,
    },
};
use eventhubs_bench::Workload;
use eventhubs_protocol::{
    batch::{Batch, Envelope, TryAddError},
    event::EventData,
};
use tokio::task::JoinSet;

use crate::{Arguments, Done, Failure, IN_FLIGHT, TASKS, body, meter::Meter};

const PARTITION: &str = "Partitions/0";

/// Runs the workload.
pub(crate) async fn run(arguments: &Arguments) -> Result<Done, Failure> {
    let (host, port) = arguments.peer.rsplit_once(':').ok_or("the peer is HOST:PORT")?;
    let endpoint = Endpoint::plain(host, port.parse()?);
    let connection = Connection::dial(&endpoint, ConnectionOptions::new("measure")).await?;
    let workload = arguments.workload;
    let hub = workload.hub();
    match workload {
        Workload::Batch1k | Workload::Batch100 => {
            let sender = connection.sender(SenderOptions::to(format!("{hub}/{PARTITION}"))).await?;
            batches(&sender, workload, arguments.count).await
        }
        Workload::Send100Tasks => {
            let sender = connection.sender(SenderOptions::to(hub)).await?;
            tasks(sender, workload, arguments.count).await
        }
        Workload::Enqueue100 => {
            let sender = connection.sender(SenderOptions::to(hub)).await?;
            enqueued(&sender, workload, arguments.count).await
        }
        _ => receive(&connection, workload, arguments.count).await,
    }
}

async fn receive(connection: &Connection, workload: Workload, count: u64) -> Result<Done, Failure> {
    let address = format!("{}/ConsumerGroups/$Default/{PARTITION}", workload.hub());
    let options =
        ReceiverOptions { prefetch: workload.prefetch(), ..ReceiverOptions::from(address) };
    let mut receiver = connection.receiver(options).await?;
    let mut bytes = receiver.recv().await?.payload().len();
    let meter = Meter::start();
    for _ in 1..count {
        bytes += receiver.recv().await?.payload().len();
    }
    let reading = meter.read();
    if bytes < workload.body() {
        return Err("the events are smaller than their body".into());
    }
    Ok(Done { events: count, timed_events: count - 1, reading })
}

async fn batches(sender: &Sender, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    let limit = sender.max_message_size().ok_or("the peer names no limit")?;
    let mut events = send_batch(sender, fill(limit, &body)?).await?;
    let first = events;
    let meter = Meter::start();
    while events < count {
        events += send_batch(sender, fill(limit, &body)?).await?;
    }
    Ok(Done { events, timed_events: events - first, reading: meter.read() })
}

/// A batch with as many events as fit.
fn fill(limit: u64, body: &Bytes) -> Result<Batch, Failure> {
    let mut envelope = Envelope::new(limit, None);
    loop {
        match envelope.try_add(EventData::new(body.clone())) {
            Ok(()) => {}
            Err(TryAddError::Full { .. }) => break,
            Err(error) => return Err(error.to_string().into()),
        }
    }
    envelope.finish().ok_or_else(|| "no event fits".into())
}

async fn send_batch(sender: &Sender, batch: Batch) -> Result<u64, Failure> {
    accepted(sender.send(batch.payload().clone(), batch.message_format())).await?;
    Ok(u64::try_from(batch.count())?)
}

async fn accepted(sending: Sending) -> Result<(), Failure> {
    match sending.await? {
        DeliveryState::Accepted => Ok(()),
        other => Err(format!("not accepted: {other:?}").into()),
    }
}

fn single(body: &Bytes) -> Bytes {
    EventData::new(body.clone()).to_payload()
}

async fn tasks(sender: Sender, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    accepted(sender.send(single(&body), 0)).await?;
    let meter = Meter::start();
    let mut running = JoinSet::new();
    for _ in 0..TASKS {
        let (sender, body) = (sender.clone(), body.clone());
        running.spawn(async move {
            for _ in 0..count / TASKS {
                accepted(sender.send(single(&body), 0)).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(task) = running.join_next().await {
        task??;
    }
    let events = count / TASKS * TASKS;
    Ok(Done { events: events + 1, timed_events: events, reading: meter.read() })
}

async fn enqueued(sender: &Sender, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    accepted(sender.send(single(&body), 0)).await?;
    let meter = Meter::start();
    let mut flying = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 1..count {
        if flying.len() == IN_FLIGHT
            && let Some(oldest) = flying.pop_front()
        {
            accepted(oldest).await?;
        }
        flying.push_back(sender.send(single(&body), 0));
    }
    for sending in flying {
        accepted(sending).await?;
    }
    Ok(Done { events: count, timed_events: count - 1, reading: meter.read() })
}
