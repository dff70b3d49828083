//! What the emulator's owner can see.

use super::Emulator;
use crate::view::collector;
use crate::view::overview::Snapshot;

impl Emulator {
    /// What the emulator holds: hubs, connections with their links, and the latest errors.
    /// Connections are asked for it, all at once; those that do not answer within a second are
    /// counted and left out.
    ///
    /// Cancel safe.
    pub async fn snapshot(&self) -> Snapshot {
        collector::snapshot(&self.shared.namespace).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use eventhubs_amqp::codec::message::{Body, Message};
    use eventhubs_amqp::codec::{DeliveryState, Value};
    use eventhubs_amqp::engine::{Options, Sasl};
    use eventhubs_amqp::net::{Connection, ConnectionOptions, ReceiverOptions, SenderOptions};

    use super::*;
    use crate::config::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME};
    use crate::fault::Role;
    use crate::names::link;

    const SOURCE: &str = "hub/ConsumerGroups/$Default/Partitions/1";

    fn event() -> Bytes {
        let mut out = BytesMut::new();
        Message { body: Body::from(&b"x"[..]), ..Message::default() }.encode(&mut out);
        out.freeze()
    }

    async fn dial(emulator: &Emulator) -> Connection {
        let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
        let options =
            ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("container") });
        Connection::dial_over(emulator.connect_memory(), options).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn connections_tell_their_links() {
        let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
        let connection = dial(&emulator).await;
        let sender = connection.sender(SenderOptions::to("hub/Partitions/1")).await.unwrap();
        for _ in 0..10 {
            assert_eq!(sender.send(event(), 0).await.unwrap(), DeliveryState::Accepted);
        }
        let mut options = ReceiverOptions::from(SOURCE);
        options.prefetch = 4;
        options.name = "a name".to_owned();
        options.properties.insert(link::EPOCH, Value::Long(7));
        let mut receiver = connection.receiver(options).await.unwrap();
        receiver.recv().await.unwrap();

        let snapshot = emulator.snapshot().await;
        assert_eq!((snapshot.connections.len(), snapshot.silent), (1, 0));
        let told = &snapshot.connections[0];
        assert_eq!((told.number, told.transport.as_str(), told.peer), (1, "in memory", None));
        assert_eq!(told.container_id.as_deref(), Some("container"));
        assert_eq!(told.mechanism.as_deref(), Some("PLAIN"));
        assert_eq!(told.audiences[0].expires, None, "a key proved by SASL does not lapse");
        let [producer, consumer] = told.links.as_slice() else { panic!("{told:?}") };
        assert_eq!((producer.role, producer.incoming), (Role::Producer, true));
        assert_eq!(producer.address, "hub/Partitions/1");
        assert_eq!(producer.messages, Some(10));
        assert_eq!(producer.credit, crate::broker::producer::CREDIT - 10);
        assert_eq!((consumer.role, consumer.incoming), (Role::Consumer, false));
        assert_eq!(consumer.name, "a name");
        assert_eq!(consumer.hub.as_deref(), Some("hub"));
        assert_eq!(consumer.partition.as_deref(), Some("1"));
        assert_eq!(consumer.consumer_group.as_deref(), Some("$Default"));
        assert_eq!(consumer.epoch, Some(7));
        let sent = consumer.messages.unwrap();
        assert!(sent >= 4, "as many as the credit allows: {consumer:?}");
        assert_eq!(consumer.position, Some(i64::try_from(sent).unwrap()));
        assert_eq!(consumer.lag, Some(10 - sent));
        assert_eq!(snapshot.hubs[0].partitions[1].receivers.len(), 1);
        assert_eq!(snapshot.hubs[0].partitions[1].last_sequence, 9);
        assert!(!format!("{snapshot:?}").contains(DEFAULT_KEY));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_is_told() {
        let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
        let connection = dial(&emulator).await;
        connection.sender(SenderOptions::to("nowhere")).await.unwrap_err();
        let sender = connection.sender(SenderOptions::to("hub")).await.unwrap();
        let rejected = sender.send(Bytes::from_static(b"no message"), 0).await.unwrap();
        assert!(matches!(rejected, DeliveryState::Rejected(_)), "{rejected:?}");
        let options = |epoch: i64| {
            let mut options = ReceiverOptions::from(SOURCE);
            options.properties.insert(link::EPOCH, Value::Long(epoch));
            options
        };
        let _old = connection.receiver(options(1)).await.unwrap();
        let _new = connection.receiver(options(2)).await.unwrap();
        let incidents = emulator.snapshot().await.incidents;
        let told: Vec<_> = incidents.iter().map(|incident| incident.what.as_str()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("was refused") && told[0].contains("'nowhere'"), "{told:?}");
        assert!(told[1].contains("A message was rejected: amqp:decode-error"), "{told:?}");
        assert!(told[2].contains("A receiver was displaced: amqp:link:stolen"), "{told:?}");
        assert!(incidents.iter().all(|incident| incident.connection == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn snapshots_at_the_same_time_take_turns() {
        let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
        let _connection = dial(&emulator).await;
        let (first, second, third) =
            tokio::join!(emulator.snapshot(), emulator.snapshot(), emulator.snapshot());
        for snapshot in [first, second, third] {
            assert_eq!((snapshot.connections.len(), snapshot.silent), (1, 0));
        }
    }
}
