//! The workloads through the public interface of the client, as a program would write them.

use std::collections::VecDeque;

use bytes::Bytes;
use eventhubs_bench::Workload;
use eventhubs_client::{
    Destination, EventBatch, EventData, Hub, PartitionId, ReceiveOptions, StartPosition,
    TryAddError,
};
use tokio::task::JoinSet;

use crate::{Arguments, Done, Failure, IN_FLIGHT, TASKS, body, hosted, meter::Meter};

/// Runs the workload.
pub(crate) async fn run(arguments: &Arguments) -> Result<Done, Failure> {
    let workload = arguments.workload;
    // The raw peer lets everybody in; the key only has to look like one.
    let text = format!(
        "Endpoint=sb://{};SharedAccessKeyName=measure;SharedAccessKey=bWVhc3VyZQ==;\
         UseDevelopmentEmulator=true",
        arguments.peer
    );
    let hub = Hub::from_connection_string_for(&text, workload.hub())?;
    let done = match workload {
        Workload::Batch1k | Workload::Batch100 => batches(&hub, workload, arguments.count).await?,
        Workload::Send100Tasks => tasks(&hub, workload, arguments.count).await?,
        Workload::Enqueue100 => enqueued(&hub, workload, arguments.count).await?,
        Workload::EphEach1k | Workload::EphBatch1k => {
            return hosted::run(hub, workload, arguments.count).await;
        }
        _ => receive(&hub, workload, arguments.count).await?,
    };
    hub.close().await;
    Ok(done)
}

async fn receive(hub: &Hub, workload: Workload, count: u64) -> Result<Done, Failure> {
    let options = ReceiveOptions::default()
        .with_start(StartPosition::earliest())
        .with_prefetch(workload.prefetch());
    let mut events = hub.events(PartitionId::from(0), options).await?;
    let mut bytes = 0;
    let mut last = -1;
    let mut meter = None;
    for _ in 0..count {
        let event = events.next().await.ok_or("the stream has ended")??;
        let sequence = event.sequence_number().as_i64();
        if sequence != last + 1 {
            return Err(format!("event {sequence} came after {last}").into());
        }
        last = sequence;
        bytes += event.body().len();
        if meter.is_none() {
            meter = Some(Meter::start());
        }
    }
    let reading = meter.ok_or("no event was asked for")?.read();
    if u64::try_from(bytes)? != count * u64::try_from(workload.body())? {
        return Err(format!("{count} events had bodies of {bytes} bytes in all").into());
    }
    Ok(Done { events: count, timed_events: count - 1, reading })
}

async fn batches(hub: &Hub, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    let mut events = send_batch(hub, &body).await?;
    let first = events;
    let meter = Meter::start();
    while events < count {
        events += send_batch(hub, &body).await?;
    }
    Ok(Done { events, timed_events: events - first, reading: meter.read() })
}

/// Fills a batch and sends it; how many events it had.
async fn send_batch(hub: &Hub, body: &Bytes) -> Result<u64, Failure> {
    let mut batch = hub.create_batch(Destination::Partition(PartitionId::from(0))).await?;
    fill(&mut batch, body)?;
    let count = u64::try_from(batch.count())?;
    hub.send_batch(batch).await?;
    Ok(count)
}

fn fill(batch: &mut EventBatch, body: &Bytes) -> Result<(), Failure> {
    loop {
        match batch.try_add(EventData::new(body.clone())) {
            Ok(()) => {}
            Err(TryAddError::Full { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string().into()),
        }
    }
}

async fn tasks(hub: &Hub, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    hub.send(EventData::new(body.clone())).await?;
    let meter = Meter::start();
    let mut running = JoinSet::new();
    for _ in 0..TASKS {
        let (hub, body) = (hub.clone(), body.clone());
        running.spawn(async move {
            for _ in 0..count / TASKS {
                hub.send(EventData::new(body.clone())).await?;
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

async fn enqueued(hub: &Hub, workload: Workload, count: u64) -> Result<Done, Failure> {
    let body = body(workload);
    hub.send(EventData::new(body.clone())).await?;
    let meter = Meter::start();
    let mut flying = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 1..count {
        if flying.len() == IN_FLIGHT
            && let Some(oldest) = flying.pop_front()
        {
            oldest.await?;
        }
        flying.push_back(hub.enqueue(EventData::new(body.clone())));
    }
    for sending in flying {
        sending.await?;
    }
    Ok(Done { events: count, timed_events: count - 1, reading: meter.read() })
}
