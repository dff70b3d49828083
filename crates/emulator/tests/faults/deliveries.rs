//! Deliveries to a client (S20, S21, S24, S26, S27, S35).

use bytes::Bytes;
use eventhubs_amqp::codec::condition;
use eventhubs_amqp::codec::message::Message;
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::codec::performative::Transfer;
use eventhubs_amqp::engine::LinkId;
use eventhubs_emulator::{BadFrame, Effect, Emulator, Fault, Point, Role, Scope};

use crate::client::{Client, FIRST, SECOND, emulator, event, from};

/// An emulator whose first partition holds events with these bodies, and a client that receives
/// from there, without credit as yet.
async fn reading(bodies: &[&str]) -> (Emulator, Client, LinkId) {
    let emulator = emulator().await;
    for body in bodies {
        emulator.append("hub", 0, event(body)).unwrap();
    }
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    (emulator, client, link)
}

fn sequences(client: &Client, link: LinkId) -> Vec<i64> {
    let sequence = |payload: &Bytes| {
        let message = Message::decode(payload).unwrap();
        message.message_annotations.get("x-opt-sequence-number").unwrap().as_i64().unwrap()
    };
    client.payloads(link).iter().map(sequence).collect()
}

fn transfers(client: &Client) -> Vec<Transfer> {
    let each = client.frames().into_iter().filter_map(|(_, frame, _)| match frame {
        Performative::Transfer(transfer) => Some(*transfer),
        _ => None,
    });
    each.collect()
}

#[tokio::test(start_paused = true)]
async fn s20_a_delivery_comes_twice_whatever_the_credit() {
    for credit in [1, 10] {
        let (emulator, mut client, link) = reading(&["a", "b", "c"]).await;
        let fault = Fault::at(Point::Deliver, Effect::Duplicate).after(1).times(2);
        let fault = emulator.inject(fault).unwrap();
        for _ in 0..6 {
            client.engine.set_credit(link, credit);
            client.settle().await;
        }
        assert_eq!(client.bodies(link), ["a", "b", "b", "c", "c"]);
        assert_eq!(sequences(&client, link), [0, 1, 1, 2, 2]);
        assert_eq!(emulator.hits(fault), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s21_events_are_left_out_on_a_chosen_link() {
    let (emulator, mut client, link) = reading(&["a", "b", "c", "d", "e"]).await;
    let other = client.receiver(FIRST).await;
    let scope = Scope::all().link("link-1").role(Role::Consumer);
    emulator
        .inject(Fault::at(Point::Deliver, Effect::Drop).within(scope).after(1).times(2))
        .unwrap();
    client.engine.set_credit(link, 10);
    client.engine.set_credit(other, 10);
    client.settle().await;
    assert_eq!(sequences(&client, link), [0, 3, 4]);
    assert_eq!(sequences(&client, other), [0, 1, 2, 3, 4]);
    assert_eq!(client.engine.credit(link), 7, "what is left out takes no credit");
}

#[tokio::test(start_paused = true)]
async fn s21_deliveries_wait_in_order_and_only_on_their_link() {
    let (emulator, mut client, link) = reading(&["a", "b", "c"]).await;
    let other = client.receiver(FIRST).await;
    let scope = Scope::all().link("link-1");
    let fault = Fault::at(Point::Deliver, Effect::Delay(20 * SECOND)).within(scope).after(1);
    emulator.inject(fault).unwrap();
    client.engine.set_credit(link, 10);
    client.engine.set_credit(other, 10);
    client.settle().await;
    assert_eq!(client.bodies(other), ["a", "b", "c"]);
    assert_eq!(client.bodies(link), ["a"]);
    client.run(19 * SECOND).await;
    assert_eq!(client.bodies(link), ["a"]);
    client.run(SECOND).await;
    assert_eq!(client.bodies(link), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn s24_more_is_sent_than_there_is_credit_for() {
    let (emulator, mut client, link) = reading(&["a", "b", "c", "d"]).await;
    client.engine.set_credit(link, 1);
    client.settle().await;
    assert_eq!(client.bodies(link), ["a"]);
    let fault = emulator.inject(Fault::now(Effect::Overrun(2))).unwrap();
    let (_, error) = client.detached(link).await;
    assert_eq!(error.unwrap().condition, condition::TRANSFER_LIMIT_EXCEEDED);
    client.settle().await;
    assert_eq!((transfers(&client).len(), emulator.hits(fault)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn s24_a_flood_of_messages_comes_on_one_credit() {
    let (emulator, mut client, link) = reading(&[]).await;
    client.engine.set_credit(link, 1);
    client.settle().await;
    let flood = BadFrame::Transfers { count: 200, bytes: 60_000, link: None };
    emulator.inject(Fault::now(Effect::Write(flood))).unwrap();
    let (_, error) = client.detached(link).await;
    assert_eq!(error.unwrap().condition, condition::TRANSFER_LIMIT_EXCEEDED);
    client.run(SECOND).await;
    assert!(client.engine.held_bytes() < 1 << 20);
    assert!(client.raw.len() > 200 * 60_000, "{} bytes came", client.raw.len());
}

#[tokio::test(start_paused = true)]
async fn s26_a_delivery_is_aborted_and_comes_again() {
    let (emulator, mut client, link) = reading(&["a", "b", "c"]).await;
    emulator.inject(Fault::at(Point::Deliver, Effect::Abort).after(1)).unwrap();
    client.engine.set_credit(link, 10);
    client.settle().await;
    assert_eq!(client.bodies(link), ["a", "b", "c"]);
    let flags: Vec<_> =
        transfers(&client).iter().map(|transfer| (transfer.more, transfer.aborted)).collect();
    let (whole, begun, aborted) = ((false, false), (true, false), (false, true));
    assert_eq!(flags, [whole, begun, aborted, whole, whole]);
}

#[tokio::test(start_paused = true)]
async fn s26_a_delivery_is_never_finished() {
    let (emulator, mut client, link) = reading(&["a", "b", "c"]).await;
    emulator.inject(Fault::at(Point::Deliver, Effect::Unfinished).after(1)).unwrap();
    client.engine.set_credit(link, 10);
    client.run(600 * SECOND).await;
    assert_eq!(client.bodies(link), ["a"]);
    assert!(transfers(&client).last().unwrap().more);
    assert_eq!(transfers(&client).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn s27_a_delivery_is_larger_than_the_client_takes() {
    let emulator = emulator().await;
    emulator.append("hub", 0, event("a")).unwrap();
    let mut client = Client::open(&emulator).await;
    let mut attach = from(FIRST);
    attach.max_message_size = Some(10_000);
    let link = client.attach(attach);
    client.attached(link).await;
    let large = event(&"x".repeat(200_000));
    emulator.inject(Fault::at(Point::Deliver, Effect::Replace(large))).unwrap();
    client.engine.set_credit(link, 10);
    let (_, error) = client.detached(link).await;
    assert_eq!(error.unwrap().condition, condition::MESSAGE_SIZE_EXCEEDED);
    assert!(client.bodies(link).is_empty());
}

#[tokio::test(start_paused = true)]
async fn s35_a_poison_event_stands_in_the_log_or_in_place_of_one() {
    let emulator = emulator().await;
    let poison = Bytes::from_static(b"\x00\x53\x75\xb0\xff\xff\xff\xff");
    emulator.append("hub", 0, event("a")).unwrap();
    emulator.append("hub", 0, poison.clone()).unwrap();
    emulator.append("hub", 0, event("b")).unwrap();
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    client.engine.set_credit(link, 10);
    client.settle().await;
    let payloads = client.payloads(link);
    assert_eq!(payloads.len(), 3, "the link lives and the partition goes on");
    assert!(Message::decode(&payloads[1]).is_err());
    assert!(Message::decode(&payloads[2]).is_ok());

    emulator.inject(Fault::at(Point::Deliver, Effect::Replace(poison.clone())).after(1)).unwrap();
    let link = client.receiver(FIRST).await;
    client.engine.set_credit(link, 10);
    client.settle().await;
    assert_eq!(client.payloads(link)[1], poison);
}
