//! Events through our client: how many were accepted and delivered, and how fast.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventhubs_client::{
    Destination, EventData, Hub, PartitionId, ReceiveOptions, StartPosition, TryAddError,
};

use crate::Failure;
use crate::process::PARTITIONS;

/// Single events in flight.
const IN_FLIGHT: usize = 100;
/// Deliveries that may wait in the client.
const PREFETCH: u32 = 1000;

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// In batches as large as the link takes.
    Batches,
    /// One by one, [`IN_FLIGHT`] at a time.
    Singles,
}

/// So many events in so much time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) events: u64,
    pub(crate) elapsed: Duration,
}

impl Rate {
    pub(crate) fn per_second(self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
fn now() -> Instant {
    Instant::now()
}

/// Sends `count` events of `size` bytes, spread over all partitions.
pub(crate) async fn send(
    hub: &Hub,
    manner: Manner,
    size: usize,
    count: u64,
) -> Result<Rate, Failure> {
    let body: Bytes = (0_u8..=250).cycle().take(size).collect::<Vec<_>>().into();
    let each = count / u64::from(PARTITIONS);
    // Links are there before the clock runs.
    for partition in 0..PARTITIONS {
        hub.producer(PartitionId::from(partition)).ready().await?;
    }
    let began = now();
    for partition in 0..PARTITIONS {
        let partition = PartitionId::from(partition);
        match manner {
            Manner::Batches => batches(hub, partition, &body, each).await?,
            Manner::Singles => singles(hub, partition, &body, each).await?,
        }
    }
    Ok(Rate { events: each * u64::from(PARTITIONS), elapsed: began.elapsed() })
}

async fn batches(
    hub: &Hub,
    partition: PartitionId,
    body: &Bytes,
    count: u64,
) -> Result<(), Failure> {
    let mut batch = hub.create_batch(Destination::Partition(partition)).await?;
    for _ in 0..count {
        if let Err(error) = batch.try_add(EventData::new(body.clone())) {
            let TryAddError::Full(event) = error else { return Err(error.to_string().into()) };
            hub.send_batch(batch).await?;
            batch = hub.create_batch(Destination::Partition(partition)).await?;
            batch.try_add(event).map_err(|error| error.to_string())?;
        }
    }
    Ok(hub.send_batch(batch).await?)
}

async fn singles(
    hub: &Hub,
    partition: PartitionId,
    body: &Bytes,
    count: u64,
) -> Result<(), Failure> {
    let producer = hub.producer(partition);
    let mut flying = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 0..count {
        if flying.len() == IN_FLIGHT
            && let Some(oldest) = flying.pop_front()
        {
            oldest.await?;
        }
        flying.push_back(producer.enqueue(EventData::new(body.clone())));
    }
    for sending in flying {
        sending.await?;
    }
    Ok(())
}

/// Receives the `count` events there are, partition after partition.
pub(crate) async fn receive(hub: &Hub, size: usize, count: u64) -> Result<Rate, Failure> {
    let each = count / u64::from(PARTITIONS);
    let mut elapsed = Duration::ZERO;
    for partition in 0..PARTITIONS {
        let options =
            ReceiveOptions::default().with_start(StartPosition::earliest()).with_prefetch(PREFETCH);
        let mut events = hub.events(PartitionId::from(partition), options).await?;
        let began = now();
        for number in 0..each {
            let event = events.next().await.ok_or("the stream has ended")??;
            let sequence = event.sequence_number().as_i64();
            if sequence != i64::try_from(number)? || event.body().len() != size {
                return Err(format!("event {sequence} came where {number} was due").into());
            }
        }
        elapsed += began.elapsed();
        events.close().await;
    }
    Ok(Rate { events: each * u64::from(PARTITIONS), elapsed })
}
