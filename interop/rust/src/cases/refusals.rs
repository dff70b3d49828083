//! What does not exist or is not allowed is refused with the client's own error for it.

use std::sync::Arc;

use azure_core_amqp::AmqpErrorCondition;
use azure_messaging_eventhubs::EventHubsError;

use super::sending::to;
use crate::Failure;
use crate::cases::cases;
use crate::refusal::{condition, status};
use crate::world::{Login, World, earliest};

cases![
    unknown_hub_refused_for_properties,
    unknown_hub_refused_for_sending,
    unknown_hub_refused_for_receiving,
    unknown_partition_refused_for_properties,
    unknown_partition_refused_for_sending,
    unknown_partition_refused_for_receiving,
    wrong_key_refused_for_properties,
    wrong_key_refused_for_sending,
    wrong_key_refused_for_receiving,
    unknown_key_name_refused,
];

fn elsewhere(world: &World) -> Login {
    Login { hub: "nohub".to_owned(), ..world.login() }
}

fn with_wrong_key(world: &World) -> Login {
    let key = "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3JvbmchIQ==".to_owned();
    Login { key, ..world.login() }
}

async fn properties(world: &World, login: Login) -> Result<EventHubsError, Failure> {
    let producer = world.producer_as(login).await?;
    Ok(producer.get_eventhub_properties().await.err().ok_or("it was answered")?)
}

async fn sending(world: &World, login: Login, partition: &str) -> Result<EventHubsError, Failure> {
    let producer = world.producer_as(login).await?;
    Ok(producer.send_event("no", to(partition)).await.err().ok_or("it was taken")?)
}

async fn receiving(
    world: &World,
    login: Login,
    partition: &str,
) -> Result<EventHubsError, Failure> {
    world.receiving_as(login, partition, earliest()).await?.error().await
}

/// The error says that there is no such hub, whether it was the token or the link that was refused.
fn assert_not_found(error: &EventHubsError) {
    let told = (condition(error), status(error));
    assert!(matches!(told, (Some(AmqpErrorCondition::NotFound), _) | (_, Some(404))), "{error}");
}

async fn unknown_hub_refused_for_properties(world: Arc<World>) -> Result<(), Failure> {
    assert_not_found(&properties(&world, elsewhere(&world)).await?);
    Ok(())
}

async fn unknown_hub_refused_for_sending(world: Arc<World>) -> Result<(), Failure> {
    assert_not_found(&sending(&world, elsewhere(&world), "0").await?);
    Ok(())
}

async fn unknown_hub_refused_for_receiving(world: Arc<World>) -> Result<(), Failure> {
    assert_not_found(&receiving(&world, elsewhere(&world), "0").await?);
    Ok(())
}

async fn unknown_partition_refused_for_properties(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let error = producer.get_partition_properties("99").await.err().ok_or("it was answered")?;
    assert_eq!(status(&error), Some(400), "{error}");
    Ok(producer.close().await?)
}

async fn unknown_partition_refused_for_sending(world: Arc<World>) -> Result<(), Failure> {
    let error = sending(&world, world.login(), "99").await?;
    assert_eq!(condition(&error), Some(&AmqpErrorCondition::ArgumentOutOfRangeError), "{error}");
    Ok(())
}

async fn unknown_partition_refused_for_receiving(world: Arc<World>) -> Result<(), Failure> {
    let error = receiving(&world, world.login(), "99").await?;
    assert_eq!(condition(&error), Some(&AmqpErrorCondition::ArgumentOutOfRangeError), "{error}");
    Ok(())
}

async fn wrong_key_refused_for_properties(world: Arc<World>) -> Result<(), Failure> {
    let error = properties(&world, with_wrong_key(&world)).await?;
    assert_eq!(status(&error), Some(401), "{error}");
    Ok(())
}

async fn wrong_key_refused_for_sending(world: Arc<World>) -> Result<(), Failure> {
    let error = sending(&world, with_wrong_key(&world), "0").await?;
    assert_eq!(status(&error), Some(401), "{error}");
    Ok(())
}

async fn wrong_key_refused_for_receiving(world: Arc<World>) -> Result<(), Failure> {
    let error = receiving(&world, with_wrong_key(&world), "0").await?;
    assert_eq!(status(&error), Some(401), "{error}");
    Ok(())
}

async fn unknown_key_name_refused(world: Arc<World>) -> Result<(), Failure> {
    let login = Login { key_name: "Nobody".to_owned(), ..world.login() };
    let error = properties(&world, login).await?;
    assert_eq!(status(&error), Some(401), "{error}");
    Ok(())
}
