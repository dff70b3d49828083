//! Messages and their outcomes (S12 to S19, S22, S23, S25, S39, S46).

use std::time::Duration;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::engine::{SendError, SessionOptions};
use eventhubs_emulator::{Effect, Fault, Outcome, Point, Role, Scope};

use crate::client::{Client, FIRST, SECOND, What, emulator, event, to};

const BUSY: &str = "The request was terminated because the entity is being throttled. Error code \
                    : 50002. Sub error : 102. Please wait 4 seconds and try again.";

fn busy() -> Effect {
    Effect::reject("com.microsoft:server-busy", BUSY)
}

fn rejection(state: DeliveryState) -> (String, String) {
    let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
    (error.condition.as_str().to_owned(), error.description.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn s12_server_busy_is_the_outcome_once_for_a_while_or_for_ever() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, busy())).unwrap();
    let expected = ("com.microsoft:server-busy".to_owned(), BUSY.to_owned());
    assert_eq!(rejection(client.publish(sender, "refused").await), expected);
    assert_eq!(client.publish(sender, "a").await, DeliveryState::Accepted);
    let fault = emulator.inject(Fault::at(Point::Publish, busy()).always()).unwrap();
    for _ in 0..60 {
        assert_eq!(rejection(client.publish(sender, "refused").await), expected);
        client.run(SECOND).await;
    }
    assert_eq!(emulator.hits(fault), 60);
    emulator.lift(fault);
    assert_eq!(client.publish(sender, "b").await, DeliveryState::Accepted);
    assert_eq!(Client::stored(&emulator).await, ["a", "b"], "a refused message is not stored");
}

#[tokio::test(start_paused = true)]
async fn s14_a_message_is_rejected_for_its_size_and_the_link_lives_on() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let text = "The received message (delivery-id:0, size:9 bytes) exceeds the limit (8 bytes) \
                currently allowed on the link.";
    let effect = Effect::reject("amqp:link:message-size-exceeded", text);
    emulator.inject(Fault::at(Point::Publish, effect)).unwrap();
    assert_eq!(rejection(client.publish(sender, "large").await).1, text);
    assert_eq!(client.publish(sender, "small").await, DeliveryState::Accepted);
}

#[tokio::test(start_paused = true)]
async fn s15_a_detach_for_size_strikes_one_of_several_sends() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let effect = Effect::detach("amqp:link:message-size-exceeded", "too large");
    emulator.inject(Fault::at(Point::Publish, effect).after(2)).unwrap();
    let mut sent = Vec::new();
    for body in ["a", "b", "large", "d", "e"] {
        sent.push(client.send(sender, body).await);
    }
    let (_, error) = client.detached(sender).await;
    assert_eq!(error.unwrap().condition.as_str(), "amqp:link:message-size-exceeded");
    assert_eq!(client.outcomes(), sent[..2], "what came before has its outcome");
    assert_eq!(Client::stored(&emulator).await, ["a", "b"], "nothing behind it is stored");
}

#[tokio::test(start_paused = true)]
async fn s16_a_message_is_released_or_modified() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, Effect::Outcome(Outcome::Released))).unwrap();
    emulator.inject(Fault::at(Point::Publish, Effect::Outcome(Outcome::Modified))).unwrap();
    emulator.inject(Fault::at(Point::Publish, Effect::Outcome(Outcome::Rejected(None)))).unwrap();
    assert_eq!(client.publish(sender, "a").await, DeliveryState::Released);
    let modified = client.publish(sender, "b").await;
    assert!(matches!(modified, DeliveryState::Modified { delivery_failed: true, .. }));
    assert_eq!(client.publish(sender, "c").await, DeliveryState::Rejected(None));
    assert_eq!(client.publish(sender, "d").await, DeliveryState::Accepted);
    assert_eq!(Client::stored(&emulator).await, ["d"]);
}

#[tokio::test(start_paused = true)]
async fn s18_an_acknowledgement_comes_late_and_others_overtake_it() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let start = client.age();
    emulator.inject(Fault::at(Point::Publish, Effect::DelayAcknowledgement(90 * SECOND))).unwrap();
    let late = client.send(sender, "a").await;
    let quick = client.send(sender, "b").await;
    assert_eq!(client.outcome(sender, quick).await, (start, DeliveryState::Accepted));
    assert_eq!(Client::stored(&emulator).await, ["a", "b"], "it is stored meanwhile");
    let expected = (start + 90 * SECOND, DeliveryState::Accepted);
    assert_eq!(client.outcome(sender, late).await, expected);
}

#[tokio::test(start_paused = true)]
async fn s18_a_message_itself_waits_and_what_follows_on_its_link_with_it() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let other = client.sender("hub/Partitions/0").await;
    let start = client.age();
    emulator.inject(Fault::at(Point::Publish, Effect::Delay(10 * SECOND))).unwrap();
    let first = client.send(sender, "a").await;
    let second = client.send(sender, "b").await;
    client.settle().await;
    let third = client.send(sender, "c").await;
    client.publish(other, "overtakes").await;
    for id in [first, second, third] {
        let expected = (start + 10 * SECOND, DeliveryState::Accepted);
        assert_eq!(client.outcome(sender, id).await, expected);
    }
    assert_eq!(Client::stored(&emulator).await, ["overtakes", "a", "b", "c"], "in order");
}

#[tokio::test(start_paused = true)]
async fn s22_a_producer_never_gets_credit() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let scope = Scope::all().role(Role::Producer).partition("0");
    emulator.inject(Fault::at(Point::Attach, Effect::WithholdCredit).within(scope)).unwrap();
    let starved = client.sender("hub/Partitions/0").await;
    client.run(600 * SECOND).await;
    assert_eq!(client.engine.can_send(starved, 1), Err(SendError::NoCredit));
    let fed = client.sender("hub/Partitions/0").await;
    client.publish(fed, "a").await;
}

#[tokio::test(start_paused = true)]
async fn s23_credit_comes_one_at_a_time_or_is_taken_back() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let trickle = Effect::TrickleCredit { each: 1, every: 2 * SECOND };
    emulator.inject(Fault::at(Point::Attach, trickle)).unwrap();
    let sender = client.sender("hub/Partitions/0").await;
    let start = client.age();
    for sent in 0..5 {
        let id = client.send(sender, "x").await;
        assert_eq!(client.outcome(sender, id).await.0, start + sent * 2 * SECOND);
    }

    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "before").await;
    assert!(client.engine.credit(sender) > 100);
    let start = client.age();
    let fault = emulator.inject(Fault::now(Effect::WithdrawCredit(30 * SECOND))).unwrap();
    client.until(|what| matches!(what, What::Drain(link) if *link == sender)).await;
    client.engine.drained(sender);
    client.settle().await;
    assert_eq!(client.engine.can_send(sender, 1), Err(SendError::NoCredit));
    let id = client.send(sender, "after").await;
    assert_eq!(client.outcome(sender, id).await.0, start + 30 * SECOND);
    assert_eq!(emulator.hits(fault), 2, "both producers");
    assert!(client.engine.credit(sender) > 100);
}

#[tokio::test(start_paused = true)]
async fn s25_the_session_window_is_shut_and_opened_after_10_s() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "before").await;
    let start = client.age();
    emulator.inject(Fault::now(Effect::ShutWindow(10 * SECOND))).unwrap();
    client.settle().await;
    let windows = |client: &Client| -> Vec<u32> {
        let windows = client.frames().into_iter().filter_map(|(_, frame, _)| match frame {
            Performative::Flow(flow) if flow.handle.is_none() => Some(flow.incoming_window),
            _ => None,
        });
        windows.collect()
    };
    assert_eq!(windows(&client), [0]);
    let id = client.send(sender, "waits").await;
    assert!(client.engine.is_blocked(sender), "the client may not send");
    assert_eq!(client.outcome(sender, id).await.0, start + 10 * SECOND);
    assert_eq!(windows(&client), [0, 5000]);
}

#[tokio::test(start_paused = true)]
async fn s46_ids_and_counts_start_near_their_wrap() {
    let emulator = emulator().await;
    let last = u32::MAX - 2;
    emulator.inject(Fault::at(Point::Begin, Effect::StartIds(last)).times(2)).unwrap();
    let scope = Scope::all().role(Role::Consumer);
    emulator.inject(Fault::at(Point::Attach, Effect::StartIds(last)).within(scope)).unwrap();
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let receiver = client.receiver(FIRST).await;
    let (_, answer) = client.attached(receiver).await;
    assert_eq!(answer.initial_delivery_count, Some(last));
    client.engine.set_credit(receiver, 10);
    let bodies: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    for body in &bodies {
        client.publish(sender, body).await;
    }
    client.settle().await;
    assert_eq!(client.bodies(receiver), bodies);
    let begun = client.frames().into_iter().find_map(|(_, frame, _)| match frame {
        Performative::Begin(begin) => Some(begin.next_outgoing_id),
        _ => None,
    });
    assert_eq!(begun, Some(last));
    let ids: Vec<u32> = client
        .seen
        .iter()
        .filter_map(|seen| match seen.what {
            What::Delivery(_, id, _) => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [last, last + 1, u32::MAX, 0, 1, 2]);
    // The client's own numbers near the wrap are the client's to choose.
    let first = SessionOptions {
        next_outgoing_id: last,
        first_delivery_id: last,
        ..SessionOptions::default()
    };
    let session = client.engine.begin(first).unwrap();
    client.session = Some(session);
    let mut attach = to("hub/Partitions/1");
    attach.initial_delivery_count = Some(last);
    let sender = client.attach(attach);
    client.attached(sender).await;
    for _ in 0..6 {
        assert_eq!(client.publish(sender, "x").await, DeliveryState::Accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_ignored_on_request() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, Effect::Ignore)).unwrap();
    let ignored = client.send_raw(sender, event("ignored")).await;
    client.publish(sender, "a").await;
    client.run(Duration::from_secs(600)).await;
    assert!(!client.outcomes().contains(&ignored));
    assert_eq!(Client::stored(&emulator).await, ["a"]);
}
