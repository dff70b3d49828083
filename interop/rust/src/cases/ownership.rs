//! Epochs, which this client calls owner levels, and the bound on receivers without one.

use std::sync::Arc;

use azure_core_amqp::AmqpErrorCondition;
use azure_messaging_eventhubs::OpenReceiverOptions;

use super::sending::{bodies, to};
use crate::Failure;
use crate::cases::cases;
use crate::refusal::{condition, is_displaced};
use crate::world::{World, earliest};

cases![
    higher_owner_level_steals,
    equal_owner_level_steals,
    lower_owner_level_refused,
    sixth_receiver_refused,
];

fn owner(level: i64) -> OpenReceiverOptions {
    OpenReceiverOptions { owner_level: Some(level), ..earliest() }
}

async fn higher_owner_level_steals(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    producer.send_event("first", to("0")).await?;
    let mut low = world.receiving("0", owner(1)).await?;
    low.wait(1).await?;
    let mut high = world.receiving("0", owner(5)).await?;
    high.wait(1).await?;
    let error = low.error().await?;
    assert!(is_displaced(&error), "{error}");
    producer.send_event("second", to("0")).await?;
    assert_eq!(bodies(&high.wait(2).await?), ["first", "second"]);
    assert_eq!(low.events.len(), 1);
    assert!(low.is_quiet(), "the displaced receiver got more");
    high.close().await?;
    Ok(producer.close().await?)
}

async fn equal_owner_level_steals(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    producer.send_event("first", to("0")).await?;
    let mut older = world.receiving("0", owner(1)).await?;
    older.wait(1).await?;
    let mut newer = world.receiving("0", owner(1)).await?;
    newer.wait(1).await?;
    let error = older.error().await?;
    assert!(is_displaced(&error), "{error}");
    newer.close().await?;
    Ok(producer.close().await?)
}

async fn lower_owner_level_refused(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    producer.send_event("first", to("0")).await?;
    let mut high = world.receiving("0", owner(5)).await?;
    high.wait(1).await?;
    for options in [owner(2), earliest()] {
        let error = world.receiving("0", options).await?.error().await?;
        assert!(is_displaced(&error), "{error}");
    }
    producer.send_event("second", to("0")).await?;
    high.wait(2).await?;
    high.close().await?;
    Ok(producer.close().await?)
}

async fn sixth_receiver_refused(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    producer.send_event("first", to("0")).await?;
    let mut five = Vec::new();
    for _ in 0..5 {
        let mut receiving = world.receiving("0", earliest()).await?;
        receiving.wait(1).await?;
        five.push(receiving);
    }
    let error = world.receiving("0", earliest()).await?.error().await?;
    assert_eq!(condition(&error), Some(&AmqpErrorCondition::ResourceLimitExceeded), "{error}");
    for receiving in five {
        receiving.close().await?;
    }
    Ok(producer.close().await?)
}
