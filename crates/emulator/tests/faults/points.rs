//! Where and how often faults strike.

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::engine::CloseReason;
use eventhubs_emulator::{Direction, Effect, Fault, Performative, Point, Role, Scope};

use crate::client::{Client, FIRST, SECOND, What, emulator, event, to};

#[tokio::test(start_paused = true)]
async fn frames_of_the_client_are_counted_from_the_injection() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let fault = emulator.inject(Fault::at(Point::FramesIn(3), Effect::Reset)).unwrap();
    client.settle().await;
    client.publish(sender, "a").await;
    client.publish(sender, "b").await;
    assert_eq!(emulator.hits(fault), 0);
    client.send(sender, "c").await;
    client.until(|what| matches!(what, What::Failed(_))).await;
    assert_eq!((client.outcomes().len(), emulator.hits(fault)), (2, 1));
    assert_eq!(Client::stored(&emulator).await, ["a", "b", "c"], "the third was handed over");
}

#[tokio::test(start_paused = true)]
async fn on_a_later_connection_frames_are_counted_from_its_beginning() {
    let emulator = emulator().await;
    // Open, begin, attach, and not one transfer.
    let fault = Fault::at(Point::FramesOut(4), Effect::Eof).within(Scope::all().connection(2));
    let fault = emulator.inject(fault).unwrap();
    let mut first = Client::open(&emulator).await;
    let sender = first.sender("hub/Partitions/0").await;
    first.publish(sender, "a").await;
    let mut second = Client::silent(emulator.connect_memory(), "client");
    second.until(|what| matches!(what, What::Open)).await;
    second.begin().await;
    second.attach(to("hub/Partitions/0"));
    second.until(|what| matches!(what, What::Eof)).await;
    assert_eq!(emulator.hits(fault), 1);
    assert!(second.frames().len() < 4, "SASL frames are frames: {:?}", second.frames());
    first.publish(sender, "b").await;
}

#[tokio::test(start_paused = true)]
async fn not_one_byte_more_goes_out() {
    let emulator = emulator().await;
    for index in 0..20 {
        emulator.append("hub", 0, event(&"x".repeat(500 + index))).unwrap();
    }
    for bytes in [1, 7, 8, 9, 500, 3000] {
        let mut client = Client::open(&emulator).await;
        let link = client.receiver(FIRST).await;
        let silence = Effect::Silence(Direction::Out);
        let fault = emulator.inject(Fault::at(Point::BytesOut(bytes), silence)).unwrap();
        client.settle().await;
        let before = client.raw.len();
        client.engine.set_credit(link, 100);
        client.run(10 * SECOND).await;
        assert_eq!(((client.raw.len() - before) as u64, emulator.hits(fault)), (bytes, 1));
        emulator.lift(fault);
        client.settle().await;
        assert_eq!(client.payloads(link).len(), 20, "what was held back flows");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_of_the_client_are_counted() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let close = Effect::close("amqp:internal-error", "after so many bytes");
    let fault = emulator.inject(Fault::at(Point::BytesIn(5_000), close)).unwrap();
    client.settle().await;
    client.publish(sender, &"x".repeat(4_000)).await;
    assert_eq!(emulator.hits(fault), 0);
    client.send(sender, &"x".repeat(4_000)).await;
    assert!(matches!(client.closed().await, CloseReason::Remote(Some(_))));
}

#[tokio::test(start_paused = true)]
async fn one_count_serves_all_connections() {
    let emulator = emulator().await;
    let mut one = Client::named(&emulator, "one").await;
    let mut two = Client::named(&emulator, "two").await;
    let (first, second) = (one.sender("hub").await, two.sender("hub").await);
    let busy = Effect::reject("com.microsoft:server-busy", "wait");
    let fault = emulator.inject(Fault::at(Point::Publish, busy).after(2).times(2)).unwrap();
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(one.publish(first, "x").await == DeliveryState::Accepted);
        accepted.push(two.publish(second, "x").await == DeliveryState::Accepted);
    }
    assert_eq!(accepted, [true, true, false, false, true, true]);
    assert_eq!(emulator.hits(fault), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_chosen_by_a_part_of_its_name() {
    let emulator = emulator().await;
    let mut one = Client::named(&emulator, "service-a-1").await;
    let mut two = Client::named(&emulator, "service-b-1").await;
    let scope = Scope::all().container("service-a");
    emulator.inject(Fault::now(Effect::Reset).within(scope.clone())).unwrap();
    one.until(|what| matches!(what, What::Failed(_))).await;
    two.sender("hub").await;
    let shape = Effect::Latency { delay: 3 * SECOND, jitter: std::time::Duration::ZERO };
    emulator.inject(Fault::now(shape).within(scope)).unwrap();
    let start = two.age();
    two.sender("hub").await;
    assert_eq!(two.age(), start);
    // What the name is, is known with the open.
    let mut one = Client::silent(emulator.connect_memory(), "service-a-2");
    assert_eq!(one.until(|what| matches!(what, What::Open)).await, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn frames_are_swallowed_both_ways() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let point = |direction, performative| Point::Frame { direction, performative };
    let transfer = point(Direction::In, Performative::Transfer);
    emulator.inject(Fault::at(transfer, Effect::Swallow).after(1)).unwrap();
    let disposition = point(Direction::Out, Performative::Disposition);
    let fault = Fault::at(disposition, Effect::Swallow).after(1).times(2);
    let fault = emulator.inject(fault).unwrap();
    client.settle().await;
    for body in ["a", "swallowed", "b", "c", "d"] {
        client.send(sender, body).await;
        client.settle().await;
    }
    assert_eq!(Client::stored(&emulator).await, ["a", "b", "c", "d"]);
    assert_eq!(client.outcomes(), [0, 4], "two of four were swallowed");
    assert_eq!(emulator.hits(fault), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_lifted_strikes_no_more() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub").await;
    let scope = Scope::all().role(Role::Producer);
    let fault = Fault::at(Point::FramesIn(1), Effect::Close(None)).within(scope.clone());
    let fault = emulator.inject(fault).unwrap();
    let other = emulator.inject(Fault::at(Point::Publish, Effect::Reset).within(scope)).unwrap();
    client.settle().await;
    assert!(emulator.lift(fault) && emulator.lift(other));
    assert_eq!(client.publish(sender, "x").await, DeliveryState::Accepted);
    assert!(emulator.faults().is_empty());
}
