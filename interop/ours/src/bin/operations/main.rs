//! Every operation of our client, once, against an emulator that records what arrives.
//!
//! `operations CONNECTION_STRING HUB`: the programs of the official clients beside this one do the
//! same in the same order, so that the records can be compared. The hub is new and has at least one
//! partition.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use eventhubs_client::{
    Destination, EventData, Hub, Offset, OwnerLevel, PartitionId, PartitionKey, ReceiveOptions,
    StartPosition,
};

type Failure = Box<dyn Error + Send + Sync>;

/// All operations together take moments; longer than this is a hang.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where events go, and where they are read from.
const PARTITION: &str = "0";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::time::timeout(DEADLINE, run())
                .await
                .map_err(|_| format!("not done within {} s", DEADLINE.as_secs()))?
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "operations: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "operations CONNECTION_STRING HUB";
    let connection_string = arguments.next().ok_or(usage)?;
    let name = arguments.next().ok_or(usage)?;
    let hub = Hub::from_connection_string_for(&connection_string, &name)?;
    let partition: PartitionId = PARTITION.parse()?;
    hub.runtime_information().await?;
    hub.partition_runtime_information(partition).await?;
    let destinations = [Destination::Any, partition.into(), PartitionKey::new("device-1")?.into()];
    for destination in &destinations {
        hub.producer(destination.clone()).send(event("single")).await?;
    }
    for destination in destinations {
        let mut batch = hub.create_batch(destination).await?;
        batch.try_add(event("first"))?;
        batch.try_add(event("second"))?;
        hub.send_batch(batch).await?;
    }
    receive(&hub, partition).await?;
    hub.close().await;
    Ok(())
}

fn event(body: &'static str) -> EventData {
    EventData::new(body).with_property("text", "a property")
}

/// Receives from every kind of position, then as the only owner, then with the partition's end.
async fn receive(hub: &Hub, partition: PartitionId) -> Result<(), Failure> {
    let earliest = ReceiveOptions::default();
    let mut stream = hub.events(partition, earliest.clone()).await?;
    let first = stream.next().await.ok_or("the stream has ended")??;
    stream.close().await;
    let (offset, sequence_number, time) =
        (first.offset(), first.sequence_number(), first.enqueued_time());
    let positions = [
        StartPosition::offset(Offset::new(offset)?),
        StartPosition::sequence_number(sequence_number)?,
        StartPosition::sequence_number(sequence_number)?.inclusive(),
        StartPosition::enqueued_time(time)?.inclusive(),
    ];
    for position in positions {
        let options = ReceiveOptions::default().with_start(position);
        let mut stream = hub.events(partition, options).await?;
        stream.next().await.ok_or("the stream has ended")??;
        stream.close().await;
    }
    let latest = ReceiveOptions::default().with_start(StartPosition::latest());
    let mut stream = hub.events(partition, latest).await?;
    hub.producer(partition).send(event("for the latest")).await?;
    stream.next().await.ok_or("the stream has ended")??;
    stream.close().await;
    for options in [
        earliest.clone().with_owner_level(OwnerLevel::new(1)?),
        earliest.with_last_enqueued_tracking(),
    ] {
        let mut stream = hub.events(partition, options).await?;
        stream.next().await.ok_or("the stream has ended")??;
        stream.close().await;
    }
    Ok(())
}
