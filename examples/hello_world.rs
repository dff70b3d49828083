//! "hello, world!" from producer to consumer, alone and in batches, with what the service says of
//! the hub. Runs on an emulator in this process unless `EVENTHUB_CONNECTION_STRING` is set.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;

use std::error::Error;

use eventhubs_client::{Hub, PartitionId, ReceiveOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connected = connect::connect("127.0.0.1:0").await?;
    let hub = &connected.hub;

    // Alone, to wherever the service likes.
    hub.send("hello, world!").await?;

    let information = hub.runtime_information().await?;
    println!("hub {} with {} partitions", information.name, information.partition_ids.len());

    // A batch for each partition.
    for partition in &information.partition_ids {
        let mut batch = hub.create_batch(*partition).await?;
        for number in 1..=3 {
            batch.try_add(format!("hello, partition {partition}! ({number} of 3)"))?;
        }
        hub.send_batch(batch).await?;
    }

    for partition in information.partition_ids {
        read(hub, partition).await?;
    }
    connected.close().await;
    Ok(())
}

/// Reads a partition from its start to what was its end a moment ago.
async fn read(hub: &Hub, partition: PartitionId) -> Result<(), Box<dyn Error>> {
    let information = hub.partition_runtime_information(partition).await?;
    let last = information.last_enqueued_sequence_number;
    println!("partition {partition}: events {} to {last}", information.begin_sequence_number);
    if information.is_empty {
        return Ok(());
    }
    let mut events = hub.events(partition, ReceiveOptions::default()).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!(
            "  partition {partition}, sequence number {}, offset {}, enqueued {}: {}",
            event.sequence_number(),
            event.offset(),
            event.enqueued_time(),
            String::from_utf8_lossy(event.body()),
        );
        if event.sequence_number() >= last {
            break;
        }
    }
    events.close().await;
    Ok(())
}
