//! Owners that the hub refuses, that are stolen from, or that are cut off: with real receivers.

use std::sync::Arc;

use eventhubs_client::{ErrorKind, EventStream, Hub, OwnerLevel, ReceiveOptions};
use eventhubs_emulator::{Effect, Fault};
use eventhubs_eph::{
    Checkpointer, CloseReason, EventProcessorHost, HostEvent, HostOptions, Leaser,
};

use crate::support::{HUB, World, drain, seconds, until};

/// Something else that reads a partition with an owner level.
async fn stranger(world: &World, partition: u16, level: i64) -> (Hub, EventStream) {
    let hub = world.hub();
    let level = OwnerLevel::new(level).expect("not negative");
    let options = ReceiveOptions::default().with_owner_level(level);
    let stream = hub.events(partition, options).await.expect("it attaches");
    (hub, stream)
}

async fn level(world: &World, partition: u16) -> i64 {
    let table = world.store.inner().leases().await.expect("it is there");
    table.lease(partition.into()).expect("it is there").epoch.as_i64()
}

fn lost(events: &[HostEvent]) -> Vec<(u16, CloseReason)> {
    let lost = events.iter().filter_map(|event| match event {
        HostEvent::Lost { partition, reason } => Some((partition.as_u16(), *reason)),
        _ => None,
    });
    lost.collect()
}

#[tokio::test(start_paused = true)]
async fn b04_a_level_that_the_store_forgot_is_passed_when_the_hub_refuses() {
    let world = World::new(2).await;
    world.append_all(50);
    // The store of leases is a new one, and the receiver of before is still attached.
    let (_hub, mut before) = stranger(&world, 1, 41).await;
    let host = world.host(HostOptions::default());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.handles_all(seconds(60)).await;
    assert_eq!((level(&world, 0).await, level(&world, 1).await), (1, 42));
    assert!(lost(&drain(&mut events)).is_empty(), "one ownership was enough");
    let end = loop {
        match before.next().await.expect("an error comes before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end.kind(), ErrorKind::Stolen);
    host.close().await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn what_was_stolen_is_not_handled_after_it_was_told_and_claimed_anew() {
    let world = World::new(1).await;
    let host = world.host(HostOptions::default());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.append_all(20);
    world.handles_all(seconds(60)).await;
    let (_hub, mut thief) = stranger(&world, 0, 9).await;
    world.append_all(20);
    until(seconds(20), || {
        let told = lost(&drain(&mut events));
        (told == [(0, CloseReason::Stolen)]).then_some(()).ok_or(told)
    })
    .await;
    let handled = world.record.len();
    assert_eq!(handled, 20, "they belong to the thief");
    // The only way back is a claim, with a level above the thief's.
    world.handles_all(seconds(60)).await;
    assert_eq!(level(&world, 0).await, 10);
    assert_eq!(world.record.of(0), (0..40).collect::<Vec<_>>(), "the flush of before counts");
    while let Some(Ok(_)) = thief.next().await {}
    host.close().await.expect("it closes");
}

/// A host whose hub has a name of its own, which can be taken away.
fn host_at(world: &World, name: &str) -> EventProcessorHost {
    world.network.point(name, &world.emulator);
    let text = format!(
        "Endpoint=sb://{name};SharedAccessKeyName=RootManageSharedAccessKey;\
         SharedAccessKey=SAS_KEY_VALUE;EntityPath={HUB};UseDevelopmentEmulator=true"
    );
    let options = eventhubs_client::HubOptions::default().with_connector(world.network.connector());
    let hub = Hub::from_connection_string_with(&text, None, options).expect("it is valid");
    let leaser: Arc<dyn Leaser> = Arc::new(world.store.clone());
    let checkpointer: Arc<dyn Checkpointer> = Arc::new(world.store.clone());
    let options = HostOptions::default().with_name(name);
    let host = EventProcessorHost::new(hub, leaser, checkpointer, options).expect("valid");
    host.register_handler(world.record.handler()).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    host
}

#[tokio::test(start_paused = true)]
async fn b11_a_host_that_sees_the_store_and_not_the_hub_gives_its_partitions_to_one_that_does() {
    let world = World::new(4).await;
    let (one, two) = (host_at(&world, "a.example"), host_at(&world, "b.example"));
    world.settles(&[&one, &two], seconds(60)).await;
    let mut events = one.host_events();
    world.network.forget("a.example");
    world.emulator.inject(Fault::now(Effect::Reset)).expect("it can strike");
    world.append_all(10);
    until(seconds(300), || {
        let owned = two.partition_ids_being_processed();
        (owned.len() == 4).then_some(()).ok_or(owned)
    })
    .await;
    world.append_all(10);
    world.handles_all(seconds(60)).await;
    let told = lost(&drain(&mut events));
    assert!(!told.is_empty());
    assert!(told.iter().all(|(_, reason)| *reason == CloseReason::NotReceiving), "{told:?}");
    // When it can reach the hub again it takes its share.
    world.network.point("a.example", &world.emulator);
    world.settles(&[&one, &two], seconds(900)).await;
    one.close().await.expect("it closes");
    two.close().await.expect("it closes");
}
