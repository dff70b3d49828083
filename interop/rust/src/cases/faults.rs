//! Links, sessions and connections that end: the client goes on. Silence: it keeps the connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use azure_messaging_eventhubs::ProducerClient;
use serde_json::{Value, json};

use super::sending::{bodies, body, to};
use crate::Failure;
use crate::runner::Case;
use crate::world::{Login, World, earliest, quick_retry};

/// The service's own words for each.
fn endings() -> [(&'static str, Value); 4] {
    let detached = "The link is force detached. Code: publisher. Details: \
                    AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00.";
    let ended = "The service was unable to process the request; please retry the operation.";
    let closed = "The connection was inactive for more than the allowed 300000 milliseconds and is \
                  closed by the service.";
    let reason = |condition: &str, text: &str| json!({ "condition": condition, "text": text });
    [
        ("link_detach", json!({ "detach": reason("amqp:link:detach-forced", detached) })),
        ("session_end", json!({ "end": reason("amqp:internal-error", ended) })),
        ("connection_close", json!({ "close": reason("amqp:connection:forced", closed) })),
        ("tcp_drop", json!("reset")),
    ]
}

pub(crate) fn all() -> Vec<Case> {
    let mut all = vec![Case::new("idle_keep_alive", |world| Box::pin(idle_keep_alive(world)))];
    for (name, effect) in endings() {
        let fault = effect.clone();
        let in_flight = Case::new(format!("producer_in_flight_after_{name}"), move |world| {
            Box::pin(producer_in_flight(world, fault.clone()))
        });
        let fault = effect.clone();
        let between = Case::new(format!("producer_after_{name}"), move |world| {
            Box::pin(producer_between_sends(world, fault.clone()))
        });
        let consumer = Case::new(format!("consumer_after_{name}"), move |world| {
            Box::pin(consumer(world, effect.clone()))
        });
        all.push(in_flight.with_next(|world| Box::pin(sending_works(world))));
        all.push(between.with_next(|world| Box::pin(sending_works(world))));
        all.push(consumer.with_next(|world| Box::pin(receiving_works(world))));
    }
    all.push(Case::new("clean_close", |world| Box::pin(clean_close(world))));
    all
}

fn persistent(world: &World) -> Login {
    Login { retry: quick_retry(), ..world.login() }
}

async fn send(producer: &ProducerClient, body: &'static str) -> Result<(), Failure> {
    Ok(producer.send_event(body, to("0")).await?)
}

/// What arrived, without repetitions: a send whose outcome was lost is sent again.
async fn distinct(world: &World, expected: &[&str]) -> Result<(), Failure> {
    let mut receiving = world.receiving("0", earliest()).await?;
    let last = expected.last().copied().unwrap_or_default();
    receiving.until(last, |events| events.iter().any(|event| body(event) == last)).await?;
    let mut have = bodies(&receiving.events);
    have.dedup();
    assert_eq!(have, expected);
    receiving.close().await
}

/// A fault, and what it is to end.
struct Strike {
    fault: u64,
    connections: Option<BTreeSet<u64>>,
}

impl Strike {
    async fn inject(
        world: &World,
        effect: &Value,
        role: &str,
        point: &str,
    ) -> Result<Self, Failure> {
        let connections = world.connections_of(role).await?;
        assert!(!connections.is_empty(), "there is no {role}");
        let ends_connections = effect == "reset" || effect.get("close").is_some();
        let place = json!({ "at": point, "scope": { "role": role } });
        let fault = world.fault(effect.clone(), place).await?;
        Ok(Self { fault, connections: ends_connections.then_some(connections) })
    }

    /// Waits until the fault has struck.
    async fn wait(&self, world: &World) -> Result<(), Failure> {
        world.struck(self.fault).await
    }

    /// Once the client has gone on, what the fault was to end has ended.
    async fn check(&self, world: &World) -> Result<(), Failure> {
        self.wait(world).await?;
        match &self.connections {
            Some(connections) => world.are_gone(connections).await,
            None => Ok(()),
        }
    }
}

/// The link goes between two sends.
async fn producer_between_sends(world: Arc<World>, effect: Value) -> Result<(), Failure> {
    let producer = world.producer_as(persistent(&world)).await?;
    send(&producer, "before").await?;
    let strike = Strike::inject(&world, &effect, "producer", "now").await?;
    strike.wait(&world).await?;
    send(&producer, "after").await?;
    strike.check(&world).await?;
    distinct(&world, &["before", "after"]).await
}

/// The link goes when an event has arrived and before its outcome.
async fn producer_in_flight(world: Arc<World>, effect: Value) -> Result<(), Failure> {
    let producer = world.producer_as(persistent(&world)).await?;
    send(&producer, "before").await?;
    let strike = Strike::inject(&world, &effect, "producer", "publish").await?;
    send(&producer, "in flight").await?;
    send(&producer, "after").await?;
    strike.check(&world).await?;
    distinct(&world, &["before", "in flight", "after"]).await
}

/// A new producer sends, whatever became of the last one.
pub(super) async fn sending_works(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    send(&producer, "next").await?;
    producer.close().await?;
    let mut receiving = world.receiving("0", earliest()).await?;
    receiving.until("next", |events| events.iter().any(|event| body(event) == "next")).await?;
    receiving.close().await
}

/// The link goes between two events. The client begins anew where it began.
async fn consumer(world: Arc<World>, effect: Value) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let mut receiving = world.receiving_as(persistent(&world), "0", earliest()).await?;
    send(&producer, "before").await?;
    receiving.wait(1).await?;
    let strike = Strike::inject(&world, &effect, "consumer", "now").await?;
    strike.wait(&world).await?;
    send(&producer, "after").await?;
    receiving.until("after", |events| events.iter().any(|event| body(event) == "after")).await?;
    let mut have = bodies(&receiving.events);
    have.dedup();
    assert_eq!(have, ["before", "after"]);
    strike.check(&world).await
}

/// A new consumer receives, whatever became of the last one.
async fn receiving_works(world: Arc<World>) -> Result<(), Failure> {
    let mut receiving = world.receiving("0", earliest()).await?;
    receiving.wait(1).await?;
    receiving.close().await
}

/// More than twice the emulator's time-out without an event; heartbeats alone keep the connections.
async fn idle_keep_alive(world: Arc<World>) -> Result<(), Failure> {
    let idle = world.idle()?;
    let producer = idle.producer().await?;
    send(&producer, "before").await?;
    let mut receiving = idle.receiving("0", earliest()).await?;
    receiving.wait(1).await?;
    let before = idle.connections().await?;
    assert_eq!(before.len(), 2);
    tokio::time::sleep(Duration::from_secs(10)).await;
    send(&producer, "after").await?;
    receiving.wait(2).await?;
    assert_eq!(idle.connections().await?, before, "a connection was made anew");
    receiving.close().await?;
    Ok(producer.close().await?)
}

async fn clean_close(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    send(&producer, "one").await?;
    producer.get_eventhub_properties().await?;
    let mut receiving = world.receiving("0", earliest()).await?;
    receiving.wait(1).await?;
    let open = world.connections().await?;
    assert_eq!(open.len(), 2);
    producer.close().await?;
    receiving.close().await?;
    world.are_gone(&open).await
}
