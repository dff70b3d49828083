//! A network that is slow, cuts bytes up, or goes quiet: rows N6, N7, N9 to N14 of
//! `docs/faults.md`. On the paused clock, in memory.

use std::time::Duration;

use eventhubs_client::{EventStream, HubOptions, PartitionId, ReceiveOptions};
use eventhubs_emulator::{Direction, Effect, Fault, Performative, Point};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::support::within_paused;
use crate::support::world::{SECOND, World, pass, seconds};

const PARTITION: u16 = 0;

async fn send(world: &World, numbers: std::ops::Range<u32>) {
    let producer = world.hub.producer(PartitionId::from(PARTITION));
    let sends = numbers.map(|number| producer.send(number.to_string()));
    for sent in within_paused(join_all(sends)).await {
        sent.expect("stored");
    }
}

async fn stream(world: &World) -> EventStream {
    let options = ReceiveOptions::default();
    within_paused(world.hub.events(PARTITION, options)).await.expect("attached")
}

async fn bodies(stream: &mut EventStream, count: u32) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let event = within_paused(stream.next()).await.expect("it goes on").expect("an event");
        bodies.push(String::from_utf8(event.body().to_vec()).expect("text"));
    }
    bodies
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn n06_n09_a_service_that_goes_quiet_is_left_within_twice_the_idle_timeout() {
    for direction in [Direction::Both, Direction::In, Direction::Out] {
        let world = World::new().await;
        send(&world, 0..3).await;
        let mut stream = stream(&world).await;
        assert_eq!(bodies(&mut stream, 3).await, texts(0..3));
        // Only the connection that is there: the next one works.
        world.emulator.inject(Fault::now(Effect::Silence(direction))).expect("it can strike");
        let start = Instant::now();
        let next = tokio::spawn(async move { (stream.next().await, stream) });
        pass(seconds(150)).await;
        send(&world, 3..4).await;
        let (event, _stream) = within_paused(next).await.expect("no panic");
        let event = event.expect("it goes on").expect("an event");
        assert_eq!(event.body(), b"3", "{direction:?}");
        assert!(start.elapsed() <= seconds(300), "{:?}", start.elapsed());
        assert_eq!(world.hub.statistics().connections, 2, "{direction:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn n07_a_peer_that_takes_no_bytes_is_left_after_the_write_timeout() {
    let world = World::new().await;
    send(&world, 0..1).await;
    world.emulator.inject(Fault::now(Effect::Silence(Direction::Both))).expect("it can strike");
    let producer = world.hub.producer(PartitionId::from(PARTITION));
    let start = Instant::now();
    // More than any buffer between the two takes.
    let large = vec![7_u8; 900_000];
    let sends = (0..8).map(|_| producer.send(large.clone()));
    for sent in within_paused(join_all(sends)).await {
        sent.expect("stored on the next connection");
    }
    assert!(start.elapsed() <= seconds(62), "{:?}", start.elapsed());
    assert_eq!(world.hub.statistics().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn n10_a_drip_of_bytes_ends_by_a_deadline() {
    let world = World::new().await;
    send(&world, 0..1).await;
    let drip = world.emulator.inject(Fault::now(Effect::Bandwidth(1))).expect("it can strike");
    let options = HubOptions::default();
    let total = options.retry.total;
    let start = Instant::now();
    let answer = within_paused(world.hub.runtime_information()).await;
    answer.expect_err("the answer takes hours");
    assert!(start.elapsed() <= total, "{:?}", start.elapsed());
    world.emulator.lift(drip);
    let start = Instant::now();
    within_paused(world.hub.runtime_information()).await.expect("answered");
    assert!(start.elapsed() <= seconds(60), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn n11_little_bandwidth_and_much_latency_slow_down_and_break_nothing() {
    let world = World::new().await;
    send(&world, 0..1).await;
    world.emulator.inject(Fault::now(Effect::Bandwidth(64_000))).expect("it can strike");
    let latency = Effect::Latency { delay: SECOND / 2, jitter: Duration::from_millis(100) };
    world.emulator.inject(Fault::now(latency)).expect("it can strike");
    let producer = world.hub.producer(PartitionId::from(PARTITION));
    let body = vec![7_u8; 10_000];
    let sends = (0..100).map(|_| producer.send(body.clone()));
    for sent in within_paused(join_all(sends)).await {
        sent.expect("stored");
    }
    let mut stream = stream(&world).await;
    let start = Instant::now();
    for _ in 0..101 {
        within_paused(stream.next()).await.expect("it goes on").expect("an event");
    }
    // A megabyte at 64 kB a second.
    let took = start.elapsed();
    assert!(took >= seconds(14) && took <= seconds(25), "{took:?}");
    let statistics = world.hub.statistics();
    assert_eq!((statistics.connections, statistics.retries), (1, 0), "{statistics:?}");
}

#[tokio::test(start_paused = true)]
async fn n12_bytes_that_come_in_any_portion_are_the_same_events() {
    for portion in 1..=7 {
        let world = World::new().await;
        let chunks = Fault::now(Effect::Chunks(portion));
        world.emulator.inject(chunks).expect("it can strike");
        send(&world, 0..20).await;
        let mut stream = stream(&world).await;
        assert_eq!(bodies(&mut stream, 20).await, texts(0..20), "{portion}");
        assert_eq!(world.hub.statistics().connections, 1, "{portion}");
    }
}

#[tokio::test(start_paused = true)]
async fn n13_an_end_in_the_middle_of_a_frame_costs_one_connection() {
    let world = World::new().await;
    send(&world, 0..3).await;
    let mut stream = stream(&world).await;
    assert_eq!(bodies(&mut stream, 3).await, texts(0..3));
    let truncate = Fault::at(Point::Stored, Effect::Truncate);
    world.emulator.inject(truncate).expect("it can strike");
    let producer = world.hub.producer(PartitionId::from(PARTITION));
    within_paused(producer.send("3")).await.expect("stored, and perhaps twice");
    assert_eq!(bodies(&mut stream, 1).await, texts(3..4));
    assert_eq!(world.hub.statistics().unknown_retried, 1);
    assert_eq!(world.hub.statistics().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn n14_signs_of_life_keep_an_idle_connection() {
    let world = World::new().await;
    let mut stream = stream(&world).await;
    let idle = tokio::time::timeout(seconds(20 * 60), stream.next()).await;
    assert!(idle.is_err(), "nothing came, and nothing ended");
    assert_eq!(world.hub.statistics().connections, 1);
    // A balancer that drops what is idle for 4 minutes never sees it idle for so long; when the
    // service's signs of life are lost, that is noticed.
    let point = Point::Frame { direction: Direction::Out, performative: Performative::Empty };
    world.emulator.inject(Fault::at(point, Effect::Swallow).times(10)).expect("it can strike");
    let next = tokio::spawn(async move { stream.next().await });
    pass(seconds(600)).await;
    send(&world, 0..1).await;
    let event = within_paused(next).await.expect("no panic");
    assert_eq!(event.expect("it goes on").expect("an event").body(), b"0");
}
