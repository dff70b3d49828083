//! Tokens and management (S13, S36 to S38), and what the service does with time (S42 to S45).

use eventhubs_amqp::codec::condition;
use eventhubs_emulator::{Effect, Emulator, Fault, HubConfig, Point, Role, Scope};

use crate::client::{Client, FIRST, Node, SECOND, emulator, event, from, status, to};

const BUSY: &str = "com.microsoft:server-busy";

async fn management() -> (Emulator, Client, Node) {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let node = client.node("$management").await;
    (emulator, client, node)
}

async fn cbs() -> (Emulator, Client, Node) {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let node = client.node("$cbs").await;
    (emulator, client, node)
}

/// Puts something that is no token, which is answered with 401 unless a fault strikes.
async fn put_token(client: &mut Client, node: &Node) -> u64 {
    let kind = "servicebus.windows.net:sastoken";
    let properties = [("operation", "put-token"), ("type", kind), ("name", "sb://x/hub")];
    client.ask(node, &properties, "no token").await
}

#[tokio::test(start_paused = true)]
async fn s13_server_busy_on_attach_token_and_management() {
    let (emulator, mut client, node) = management().await;
    emulator.inject(Fault::at(Point::Attach, Effect::refuse(BUSY, "wait 4 seconds"))).unwrap();
    let link = client.attach(to("hub"));
    assert_eq!(client.detached(link).await.1.unwrap().condition.as_str(), BUSY);

    let busy = || Effect::answer(503, BUSY, "Please wait 4 seconds and try again.");
    emulator.inject(Fault::at(Point::Management, busy())).unwrap();
    let id = client.ask_hub(&node).await;
    let (_, answer) = client.answer(&node, id).await;
    assert_eq!(status(&answer), (Some(503), BUSY.to_owned()));
    let id = client.ask_hub(&node).await;
    assert_eq!(status(&client.answer(&node, id).await.1).0, Some(200));

    let (emulator, mut client, node) = cbs().await;
    emulator.inject(Fault::at(Point::PutToken, busy())).unwrap();
    let id = put_token(&mut client, &node).await;
    assert_eq!(status(&client.answer(&node, id).await.1), (Some(503), BUSY.to_owned()));
    let id = put_token(&mut client, &node).await;
    assert_eq!(status(&client.answer(&node, id).await.1).0, Some(401));
}

#[tokio::test(start_paused = true)]
async fn s37_a_token_is_refused_forgotten_answered_twice_or_costs_the_link() {
    for (code, condition) in
        [(401, "com.microsoft:auth-failed"), (404, "amqp:not-found"), (503, BUSY)]
    {
        let (emulator, mut client, node) = cbs().await;
        let scope = Scope::all().role(Role::Cbs).hub("hub");
        let effect = Effect::answer(code, condition, "text");
        emulator.inject(Fault::at(Point::PutToken, effect).within(scope)).unwrap();
        let id = put_token(&mut client, &node).await;
        let (_, answer) = client.answer(&node, id).await;
        assert_eq!(status(&answer), (Some(i64::from(code)), condition.to_owned()));
    }
    let (emulator, mut client, node) = cbs().await;
    emulator.inject(Fault::at(Point::PutToken, Effect::Ignore)).unwrap();
    emulator.inject(Fault::at(Point::PutToken, Effect::Twice)).unwrap();
    let silent = put_token(&mut client, &node).await;
    let twice = put_token(&mut client, &node).await;
    client.run(15 * SECOND).await;
    assert_eq!(client.answers(&node, silent).len(), 0);
    assert_eq!(client.answers(&node, twice).len(), 2);
    let gone = Effect::detach("amqp:link:detach-forced", "moved");
    emulator.inject(Fault::at(Point::PutToken, gone.clone())).unwrap();
    put_token(&mut client, &node).await;
    client.detached(node.requests).await;
    emulator.inject(Fault::now(gone).within(Scope::all().role(Role::Cbs))).unwrap();
    client.detached(node.answers).await;
}

#[tokio::test(start_paused = true)]
async fn s38_management_is_late_refused_malformed_incomplete_or_out_of_order() {
    let (emulator, mut client, node) = management().await;
    let inject = |effect| emulator.inject(Fault::at(Point::Management, effect)).unwrap();
    for (code, condition) in [(404, "amqp:not-found"), (503, BUSY), (408, "com.microsoft:timeout")]
    {
        inject(Effect::answer(code, condition, "text"));
        let id = client.ask_hub(&node).await;
        let (_, answer) = client.answer(&node, id).await;
        assert_eq!(status(&answer), (Some(i64::from(code)), condition.to_owned()));
    }
    inject(Effect::Ignore);
    let never = client.ask_hub(&node).await;
    inject(Effect::Delay(70 * SECOND));
    let start = client.age();
    let late = client.ask_hub(&node).await;
    let next = client.ask_hub(&node).await;
    assert_eq!(client.answer(&node, next).await.0, start, "out of order");
    assert_eq!(client.answer(&node, late).await.0, start + 70 * SECOND);
    assert!(client.answers(&node, never).is_empty());

    inject(Effect::Malformed);
    let id = client.ask_hub(&node).await;
    assert_eq!(status(&client.answer(&node, id).await.1).0, None, "no number");
    inject(Effect::Omit("status-code".to_owned()));
    let id = client.ask_hub(&node).await;
    let (_, answer) = client.answer(&node, id).await;
    assert!(answer.application_properties.get("status-code").is_none());
    inject(Effect::Omit("partition_ids".to_owned()));
    let id = client.ask_hub(&node).await;
    let (_, answer) = client.answer(&node, id).await;
    let eventhubs_amqp::codec::message::Body::Value(body) = &answer.body else { panic!() };
    let eventhubs_amqp::codec::Value::Map(map) = body else { panic!("{body:?}") };
    assert!(map.get("partition_ids").is_none() && map.get("partition_count").is_some());
}

#[tokio::test(start_paused = true)]
async fn s38_a_question_about_one_partition_can_be_chosen() {
    let (emulator, mut client, node) = management().await;
    let scope = Scope::all().hub("hub").partition("1");
    let fault = Fault::at(Point::Management, Effect::Ignore).within(scope).always();
    let fault = emulator.inject(fault).unwrap();
    for (partition, answers) in [("0", 1), ("1", 0), ("2", 1)] {
        let kind = "com.microsoft:partition";
        let properties =
            [("operation", "READ"), ("name", "hub"), ("type", kind), ("partition", partition)];
        let id = client.ask(&node, &properties, "").await;
        client.settle().await;
        assert_eq!(client.answers(&node, id).len(), answers, "partition {partition}");
    }
    assert_eq!(emulator.hits(fault), 1);
}

#[tokio::test(start_paused = true)]
async fn s43_a_hub_is_created_anew_and_positions_lie_beyond_its_end() {
    let emulator = emulator().await;
    for _ in 0..10 {
        emulator.append("hub", 0, event("old")).unwrap();
    }
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    emulator.delete_hub("hub").unwrap();
    assert_eq!(client.detached(link).await.1.unwrap().condition, condition::NOT_FOUND);
    emulator.create_hub(HubConfig::new("hub", 4)).unwrap();
    emulator.append("hub", 0, event("new")).unwrap();
    let mut attach = from(FIRST);
    let selector = "amqp.annotation.x-opt-sequence-number > '9'";
    let filter = &mut attach.source.as_mut().unwrap().filter;
    filter.insert("apache.org:selector-filter:string", selector);
    let link = client.attach(attach);
    let error = client.detached(link).await.1.unwrap();
    assert_eq!(error.condition.as_str(), "com.microsoft:argument-error");
    assert!(error.description.unwrap().contains("The supplied sequence number '9' is invalid."));
}

#[tokio::test(start_paused = true)]
async fn s44_retention_trims_past_a_position() {
    let emulator = emulator().await;
    for number in 0..10 {
        emulator.append("hub", 0, event(&number.to_string())).unwrap();
    }
    emulator.trim("hub", 0, 7).unwrap();
    assert_eq!(Client::stored(&emulator).await, ["7", "8", "9"]);
    // And under a reader that is slow.
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    client.engine.set_credit(link, 1);
    client.settle().await;
    emulator.trim("hub", 0, 9).unwrap();
    client.engine.set_credit(link, 10);
    client.settle().await;
    assert_eq!(client.bodies(link), ["7", "9"]);
}

#[tokio::test(start_paused = true)]
async fn s45_partitions_are_added_while_a_client_is_there() {
    let (emulator, mut client, node) = management().await;
    emulator.set_partitions("hub", 6).unwrap();
    let id = client.ask_hub(&node).await;
    let (_, answer) = client.answer(&node, id).await;
    let eventhubs_amqp::codec::message::Body::Value(body) = &answer.body else { panic!() };
    let eventhubs_amqp::codec::Value::Map(map) = body else { panic!("{body:?}") };
    assert_eq!(map.get("partition_count").and_then(|count| count.as_i64()), Some(6));
    let sender = client.sender("hub/Partitions/5").await;
    client.publish(sender, "x").await;
}
