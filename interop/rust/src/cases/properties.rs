//! What the client says about hubs and partitions.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Failure;
use crate::cases::cases;
use crate::world::{World, earliest, to_partition};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

cases![
    hub_properties,
    partition_properties_of_an_empty_partition,
    partition_properties_follow_the_log,
];

async fn hub_properties(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let properties = producer.get_eventhub_properties().await?;
    assert_eq!(properties.name, world.hub);
    assert_eq!(properties.partition_ids, ["0", "1", "2", "3"]);
    let age = SystemTime::now().duration_since(properties.created_on.ok_or("no creation time")?)?;
    assert!(age < DAY, "{age:?}");
    producer.close().await?;
    let consumer = world.consumer().await?;
    assert_eq!(consumer.get_eventhub_properties().await?.name, world.hub);
    Ok(consumer.close().await?)
}

async fn partition_properties_of_an_empty_partition(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let properties = producer.get_partition_properties("1").await?;
    assert_eq!((&*properties.eventhub, &*properties.id), (&*world.hub, "1"));
    assert!(properties.is_empty);
    assert_eq!(properties.last_enqueued_sequence_number, -1);
    assert_eq!(properties.last_enqueued_offset, "-1");
    assert_eq!(properties.last_enqueued_time_utc, None);
    Ok(producer.close().await?)
}

async fn partition_properties_follow_the_log(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let batch = producer.create_batch(to_partition("2")).await?;
    for body in ["a", "b", "c"] {
        assert!(batch.try_add_event_data(body, None)?);
    }
    producer.send_batch(batch, None).await?;
    let properties = producer.get_partition_properties("2").await?;
    assert!(!properties.is_empty);
    assert_eq!(properties.beginning_sequence_number, 0);
    assert_eq!(properties.last_enqueued_sequence_number, 2);
    let events = world.receive(3, "2", earliest()).await?;
    assert_eq!(events[2].offset().as_deref(), Some(&*properties.last_enqueued_offset));
    assert_eq!(events[2].enqueued_time(), properties.last_enqueued_time_utc);
    Ok(producer.close().await?)
}
