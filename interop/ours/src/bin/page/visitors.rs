//! Clients that stay for as long as the page is looked at.

use eventhubs_client::{
    ConsumerGroup, EventStream, Hub, HubOptions, OwnerLevel, PartitionId, ReceiveOptions,
};

use eventhubs_emulator::{Emulator, Snapshot};

use crate::Failure;

/// What one client calls itself.
pub(crate) const EVIL_NAME: &str = "<evil id=\"x\">&amp;";
/// Events in the partition that is read slowly.
const EVENTS: u32 = 40;
/// How many of them the slow reader may be sent.
const PREFETCH: u32 = 15;

pub(crate) struct Visitors {
    hubs: Vec<Hub>,
    streams: Vec<EventStream>,
}

impl Visitors {
    /// Connects, sends, and receives. One client is refused.
    pub(crate) async fn come(connection_string: &str) -> Result<Self, Failure> {
        let orders = Hub::from_connection_string_for(connection_string, "orders")?;
        let zero = PartitionId::from(0);
        for number in 0..EVENTS {
            orders.producer(zero).send(format!("event {number}")).await?;
        }
        orders.producer(PartitionId::from(2)).send("alone").await?;
        let telemetry = Hub::from_connection_string_for(connection_string, "Telemetry.raw-1")?;
        telemetry.send("anywhere").await?;

        let options = HubOptions::default().with_identifier(EVIL_NAME);
        let reader = Hub::from_connection_string_with(connection_string, Some("orders"), options)?;
        let billing = ConsumerGroup::new("billing")?;
        let slow = ReceiveOptions::default()
            .with_prefetch(PREFETCH)
            .with_consumer_group(billing)
            .with_owner_level(OwnerLevel::new(7)?);
        let mut slow = reader.events(zero, slow).await?;
        slow.next().await.ok_or("the stream has ended")??;
        let mut fast = reader.events(zero, ReceiveOptions::default()).await?;
        for _ in 0..EVENTS {
            fast.next().await.ok_or("the stream has ended")??;
        }
        let nowhere = Hub::from_connection_string_for(connection_string, "nowhere")?;
        if nowhere.send("lost").await.is_ok() {
            return Err("a hub that is not there took an event".into());
        }
        nowhere.close().await;
        Ok(Self { hubs: vec![orders, telemetry, reader], streams: vec![slow, fast] })
    }

    /// What the emulator holds, once it has seen the refused client go. Ends with the deadline of
    /// the whole program.
    pub(crate) async fn settled(&self, emulator: &Emulator) -> Snapshot {
        loop {
            let snapshot = emulator.snapshot().await;
            if snapshot.connections.len() == self.hubs.len() {
                return snapshot;
            }
        }
    }

    /// Closes everything.
    pub(crate) async fn leave(self) {
        for stream in self.streams {
            stream.close().await;
        }
        for hub in self.hubs {
            hub.close().await;
        }
    }
}
