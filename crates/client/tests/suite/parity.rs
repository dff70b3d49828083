//! Claims of the Go library's tests that no other test of ours makes; `docs/parity.md` has all of
//! them.

use eventhubs_client::{
    Destination, EventBatch, EventData, HubOptions, PartitionId, PartitionKey, TryAddError,
};
use eventhubs_emulator::{Config, Limits};

use crate::support::peer::{Peer, Reply};
use crate::support::{Fixture, texts, within};

async fn batch(fixture: &Fixture, destination: &Destination) -> EventBatch {
    within(fixture.hub.create_batch(destination.clone())).await.expect("attached")
}

/// `TestHugeBatches`: its 20 000 events, smaller batches.
#[tokio::test]
async fn events_of_four_keys_fill_few_batches_and_come_to_an_end() {
    const EVENTS: usize = 20_000;
    let limits = Limits { max_message_size: 64 * 1024, ..Limits::default() };
    let fixture = Fixture::with_config(Config::default().with_limits(limits)).await;
    let keys = ["a", "b", "c", "d"].map(|key| PartitionKey::new(key).expect("it is valid"));
    let (mut bytes, mut count) = (0, 0);
    for key in keys {
        let destination = Destination::Key(key.clone());
        let mut filling = batch(&fixture, &destination).await;
        for number in 0..EVENTS / 4 {
            let event = EventData::new(format!("{key:?} {number}")).with_partition_key(key.clone());
            let Err(refused) = filling.try_add(event) else { continue };
            let full = std::mem::replace(&mut filling, batch(&fixture, &destination).await);
            (bytes, count) = (bytes + full.size_bytes(), count + 1);
            within(fixture.hub.send_batch(full)).await.expect("accepted");
            filling.try_add(refused.into_event()).expect("an empty batch takes it");
        }
        (bytes, count) = (bytes + filling.size_bytes(), count + 1);
        within(fixture.hub.send_batch(filling)).await.expect("accepted");
    }
    assert!(count > 5 && count <= bytes / (64 * 1024) + 8, "{count} batches for {bytes} bytes");
    let stored: usize = fixture.stored().await.iter().map(Vec::len).sum();
    assert_eq!(stored, EVENTS);
}

/// `TestOneHugeEvent`: the event in the middle fits nowhere.
#[tokio::test]
async fn an_event_that_no_batch_takes_is_told_and_the_others_are_sent() {
    let fixture = Fixture::memory().await;
    let destination = Destination::Partition(PartitionId::from(0));
    let mut filling = batch(&fixture, &destination).await;
    let events = [b"first".to_vec(), vec![0; 2 << 20], b"last".to_vec()];
    let mut told = 0;
    for event in events {
        match filling.try_add(event) {
            Ok(()) => {}
            Err(TryAddError::TooLarge { size, limit, .. }) => {
                assert!(size > 2 << 20 && limit == 1 << 20, "{size} {limit}");
                told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, 1);
    within(fixture.hub.send_batch(filling)).await.expect("accepted");
    assert_eq!(texts(&fixture.stored_in(0).await), ["first", "last"]);
}

/// `TestResponseRouterMissingMessageID`, `...BadCorrelationID`, `...NoResponse`.
#[tokio::test]
async fn answers_to_nobody_harm_nobody() {
    use eventhubs_amqp::codec::DeliveryState;

    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted)).with_stray_answers();
    let (hub, _wire) = peer.hub(HubOptions::default());
    within(hub.send("x")).await.expect("the token was put all the same");
    assert_eq!((peer.puts().len(), peer.events()), (1, 1));
}
