//! Where receiving starts.

use std::sync::Arc;
use std::time::Duration;

use azure_messaging_eventhubs::models::ReceivedEventData;
use azure_messaging_eventhubs::{OpenReceiverOptions, StartLocation};

use super::sending::{assert_log, bodies, send, to};
use crate::Failure;
use crate::cases::cases;
use crate::world::{World, earliest, from, to_partition};

cases![
    receive_all_partitions_from_the_start,
    receive_from_a_sequence_number,
    receive_from_an_offset,
    receive_from_an_enqueued_time,
    receive_from_latest,
    receive_with_little_credit,
];

async fn receive_all_partitions_from_the_start(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    for partition in ["0", "1", "2", "3"] {
        let sent: Vec<String> = (0..25).map(|number| format!("{partition}/{number}")).collect();
        send(&producer, to_partition(partition), &sent).await?;
        let events = world.receive(25, partition, earliest()).await?;
        assert_eq!(bodies(&events), sent);
        assert_log(&events);
    }
    Ok(producer.close().await?)
}

/// Three events enqueued at three different milliseconds.
async fn three_events(world: &World) -> Result<Vec<Arc<ReceivedEventData>>, Failure> {
    let producer = world.producer().await?;
    for body in ["first", "second", "third"] {
        producer.send_event(body, to("0")).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    producer.close().await?;
    let events = world.receive(3, "0", earliest()).await?;
    assert!(events.windows(2).all(|pair| pair[0].enqueued_time() < pair[1].enqueued_time()));
    Ok(events)
}

/// Receives from a position, first without and then with the event there.
async fn from_both(world: &World, location: impl Fn() -> StartLocation) -> Result<(), Failure> {
    for (inclusive, expected) in [(false, 2), (true, 1)] {
        let events = world.receive(1, "0", from(location(), inclusive)).await?;
        assert_eq!(events[0].sequence_number(), Some(expected), "inclusive {inclusive}");
    }
    Ok(())
}

async fn receive_from_a_sequence_number(world: Arc<World>) -> Result<(), Failure> {
    three_events(&world).await?;
    from_both(&world, || StartLocation::SequenceNumber(1)).await
}

async fn receive_from_an_offset(world: Arc<World>) -> Result<(), Failure> {
    let offset = three_events(&world).await?[1].offset().clone().ok_or("no offset")?;
    from_both(&world, || StartLocation::Offset(offset.clone())).await
}

async fn receive_from_an_enqueued_time(world: Arc<World>) -> Result<(), Failure> {
    let time = three_events(&world).await?[1].enqueued_time().ok_or("no enqueued time")?;
    from_both(&world, || StartLocation::EnqueuedTime(time)).await
}

async fn receive_from_latest(world: Arc<World>) -> Result<(), Failure> {
    three_events(&world).await?;
    let producer = world.producer().await?;
    let mut receiving = world.receiving("0", from(StartLocation::Latest, false)).await?;
    // The link is attached at some time unknown to us: send until something arrives.
    for number in 0..100 {
        producer.send_event(format!("new {number}"), to("0")).await?;
        let soon = tokio::time::timeout(Duration::from_millis(200), receiving.wait(1));
        if soon.await.is_ok() {
            break;
        }
    }
    let events = receiving.wait(1).await?;
    assert!(bodies(&events)[0].starts_with("new "), "{:?}", bodies(&events));
    receiving.close().await?;
    Ok(producer.close().await?)
}

async fn receive_with_little_credit(world: Arc<World>) -> Result<(), Failure> {
    let sent: Vec<String> = (0..40).map(|number| format!("credited {number}")).collect();
    let producer = world.producer().await?;
    send(&producer, to_partition("3"), &sent).await?;
    let options = OpenReceiverOptions { prefetch: Some(5), ..earliest() };
    assert_eq!(bodies(&world.receive(40, "3", options).await?), sent);
    Ok(producer.close().await?)
}
