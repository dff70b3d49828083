//! Every operation of the official Rust client, once, for the record.
//!
//! `operations CONNECTION_STRING HUB`. The client takes no port from the connection string, so the
//! address goes to it as a custom endpoint. It can neither close a client whose receiver is in use
//! nor ask for the end of the partition, so that there are no runtime metrics here.

use std::error::Error;
use std::time::Duration;

use azure_messaging_eventhubs::models::{EventData, ReceivedEventData};
use azure_messaging_eventhubs::{
    ConsumerClient, EventDataBatchOptions, OpenReceiverOptions, ProducerClient, SendEventOptions,
    StartLocation, StartPosition,
};
use futures::StreamExt;
use tokio::time::timeout;

type Failure = Box<dyn Error + Send + Sync>;

/// A receiver that gets nothing in this time never will.
const RECEIVE: Duration = Duration::from_secs(30);
const PARTITION: &str = "0";
const KEY: &str = "device-1";

fn event(body: &str) -> EventData {
    EventData::builder()
        .with_body(body.as_bytes().to_vec())
        .add_property("text".to_owned(), "a property")
        .build()
}

struct Emulator {
    endpoint: String,
    connection_string: String,
    hub: String,
}

impl Emulator {
    fn new(connection_string: &str, hub: String) -> Result<Self, Failure> {
        let address = connection_string
            .strip_prefix("Endpoint=sb://")
            .and_then(|rest| rest.split(';').next())
            .ok_or("the connection string has no endpoint")?
            .trim_end_matches('/');
        let login = connection_string
            .split(';')
            .filter(|field| field.starts_with("SharedAccessKey"))
            .collect::<Vec<_>>()
            .join(";");
        Ok(Self {
            endpoint: format!("amqp://{address}/"),
            connection_string: format!("Endpoint=sb://localhost/;{login}"),
            hub,
        })
    }

    async fn producer(&self) -> Result<ProducerClient, Failure> {
        Ok(ProducerClient::builder()
            .with_custom_endpoint(self.endpoint.clone())
            .open_with_connection_string(&self.connection_string, Some(&self.hub))
            .await?)
    }

    /// Receives one event.
    async fn receive_one(
        &self,
        options: OpenReceiverOptions,
    ) -> Result<ReceivedEventData, Failure> {
        let consumer = ConsumerClient::builder()
            .with_custom_endpoint(self.endpoint.clone())
            .open_with_connection_string(&self.connection_string, Some(&self.hub))
            .await?;
        let receiver =
            consumer.open_receiver_on_partition(PARTITION.to_owned(), Some(options)).await?;
        let first = timeout(RECEIVE, receiver.stream_events().next())
            .await
            .map_err(|_| "no event came")?
            .ok_or("the stream has ended")??;
        receiver.close().await?;
        consumer.close().await?;
        Ok(first)
    }
}

fn from(location: StartLocation, inclusive: bool) -> OpenReceiverOptions {
    let start_position = Some(StartPosition { location, inclusive });
    OpenReceiverOptions { start_position, ..OpenReceiverOptions::default() }
}

async fn send(producer: &ProducerClient) -> Result<(), Failure> {
    producer.send_event(event("single"), None).await?;
    let partition_id = Some(PARTITION.to_owned());
    producer.send_event(event("single"), Some(SendEventOptions { partition_id })).await?;
    let batches = [
        EventDataBatchOptions::default(),
        EventDataBatchOptions {
            partition_id: Some(PARTITION.to_owned()),
            ..EventDataBatchOptions::default()
        },
        EventDataBatchOptions {
            partition_key: Some(KEY.to_owned()),
            ..EventDataBatchOptions::default()
        },
    ];
    for options in batches {
        let batch = producer.create_batch(Some(options)).await?;
        batch.try_add_event_data(event("first"), None)?;
        batch.try_add_event_data(event("second"), None)?;
        producer.send_batch(batch, None).await?;
    }
    Ok(())
}

async fn receive(emulator: &Emulator, producer: &ProducerClient) -> Result<(), Failure> {
    let first = emulator.receive_one(from(StartLocation::Earliest, false)).await?;
    let number = first.sequence_number().ok_or("no sequence number")?;
    let offset = first.offset().clone().ok_or("no offset")?;
    let time = first.enqueued_time().ok_or("no enqueued time")?;
    emulator.receive_one(from(StartLocation::Offset(offset), false)).await?;
    emulator.receive_one(from(StartLocation::SequenceNumber(number), false)).await?;
    emulator.receive_one(from(StartLocation::SequenceNumber(number), true)).await?;
    emulator.receive_one(from(StartLocation::EnqueuedTime(time), true)).await?;
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let partition_id = Some(PARTITION.to_owned());
        producer.send_event(event("latest"), Some(SendEventOptions { partition_id })).await
    };
    let (latest, sent) =
        tokio::join!(emulator.receive_one(from(StartLocation::Latest, false)), later);
    latest?;
    sent?;
    let earliest = from(StartLocation::Earliest, false);
    emulator.receive_one(OpenReceiverOptions { owner_level: Some(1), ..earliest }).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "operations CONNECTION_STRING HUB";
    let connection_string = arguments.next().ok_or(usage)?;
    let hub = arguments.next().ok_or(usage)?;
    let emulator = Emulator::new(&connection_string, hub)?;
    let producer = emulator.producer().await?;
    producer.get_eventhub_properties().await?;
    producer.get_partition_properties(PARTITION).await?;
    send(&producer).await?;
    receive(&emulator, &producer).await?;
    producer.close().await?;
    Ok(())
}
