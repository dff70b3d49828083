//! Everything that is sent comes back as it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use azure_core_amqp::message::AmqpMessageBody;
use azure_core_amqp::{
    AmqpErrorCondition, AmqpList, AmqpMessage, AmqpSimpleValue, AmqpTimestamp, AmqpValue,
};
use azure_messaging_eventhubs::models::{EventData, MessageId, ReceivedEventData};
use azure_messaging_eventhubs::{
    EventDataBatchOptions, ProducerClient, SendEventOptions, SendMessageOptions,
};
use serde_json::json;

use super::faults::sending_works;
use crate::Failure;
use crate::cases::cases;
use crate::refusal::condition;
use crate::runner::Case;
use crate::world::{World, earliest, to_partition};

pub(super) fn all() -> Vec<Case> {
    let over = Case::new("event_over_the_limit_refused", |world| {
        Box::pin(event_over_the_limit_refused(world))
    });
    let mut all = plain();
    all.push(over.with_next(|world| Box::pin(sending_works(world))));
    all
}

cases![
    plain:
    ten_thousand_events_in_order,
    batch_filled_to_the_limit,
    event_of_200_kb,
    batch_to_a_partition,
    batch_by_key,
    single_event,
    single_events_anywhere,
    event_with_everything,
    value_body,
    sequence_body,
    rejected_send,
];

pub(super) fn body(event: &ReceivedEventData) -> String {
    String::from_utf8_lossy(event.event_data().body().unwrap_or_default()).into_owned()
}

pub(super) fn bodies(events: &[Arc<ReceivedEventData>]) -> Vec<String> {
    events.iter().map(|event| body(event)).collect()
}

pub(super) fn to(partition: &str) -> Option<SendEventOptions> {
    Some(SendEventOptions { partition_id: Some(partition.to_owned()) })
}

/// Sends one batch.
pub(super) async fn send(
    producer: &ProducerClient,
    options: Option<EventDataBatchOptions>,
    bodies: &[String],
) -> Result<(), Failure> {
    let batch = producer.create_batch(options).await?;
    for body in bodies {
        assert!(batch.try_add_event_data(&**body, None)?, "the batch is full");
    }
    Ok(producer.send_batch(batch, None).await?)
}

/// Sequence numbers without a gap, offsets present, times set and not decreasing.
pub(super) fn assert_log(events: &[Arc<ReceivedEventData>]) {
    for (expected, event) in (0..).zip(events) {
        assert_eq!(event.sequence_number(), Some(expected));
        assert!(event.enqueued_time().is_some(), "no enqueued time");
    }
    let offsets: BTreeSet<_> = events.iter().map(|event| event.offset().as_deref()).collect();
    assert!(offsets.len() == events.len() && !offsets.contains(&None), "offsets repeat");
    assert!(events.is_sorted_by_key(|event| event.enqueued_time()), "times go backwards");
}

fn numbered(count: usize, text: &str) -> Vec<String> {
    (0..count).map(|number| format!("{text} {number}")).collect()
}

async fn batch_to_a_partition(world: Arc<World>) -> Result<(), Failure> {
    let sent = numbered(10, "event");
    let producer = world.producer().await?;
    send(&producer, to_partition("1"), &sent).await?;
    let events = world.receive(10, "1", earliest()).await?;
    assert_eq!(bodies(&events), sent);
    assert!(events.iter().all(|event| event.partition_key().is_none()));
    assert_log(&events);
    Ok(producer.close().await?)
}

async fn batch_by_key(world: Arc<World>) -> Result<(), Failure> {
    let keys = numbered(12, "device");
    let producer = world.producer().await?;
    for turn in ["first", "second"] {
        for key in &keys {
            let options = EventDataBatchOptions {
                partition_key: Some(key.clone()),
                ..EventDataBatchOptions::default()
            };
            send(&producer, Some(options), &[format!("{key} {turn}")]).await?;
        }
    }
    let mut found = Vec::new();
    for partition in ["0", "1", "2", "3"] {
        let known = producer.get_partition_properties(partition).await?;
        let count = usize::try_from(known.last_enqueued_sequence_number + 1)?;
        if count > 0 {
            found.push(world.receive(count, partition, earliest()).await?);
        }
    }
    assert!(found.len() > 1, "12 keys went to one partition");
    for key in &keys {
        let is_mine = |event: &&Arc<ReceivedEventData>| event.partition_key().as_ref() == Some(key);
        let homes: Vec<_> =
            found.iter().filter(|events| events.iter().any(|e| is_mine(&e))).collect();
        assert_eq!(homes.len(), 1, "{key} went to several partitions");
        let mine: Vec<_> = homes[0].iter().filter(is_mine).map(|event| body(event)).collect();
        assert_eq!(mine, [format!("{key} first"), format!("{key} second")]);
    }
    Ok(producer.close().await?)
}

async fn single_event(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    producer.send_event("one", to("0")).await?;
    producer.send_event("", to("0")).await?;
    let events = world.receive(2, "0", earliest()).await?;
    assert_eq!(bodies(&events), ["one", ""]);
    Ok(producer.close().await?)
}

async fn single_events_anywhere(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    for number in 0..8 {
        producer.send_event(format!("single {number}"), None).await?;
    }
    let mut total = 0;
    for partition in ["0", "1", "2", "3"] {
        let known = producer.get_partition_properties(partition).await?;
        total += known.last_enqueued_sequence_number + 1;
    }
    assert_eq!(total, 8);
    Ok(producer.close().await?)
}

async fn event_with_everything(world: Arc<World>) -> Result<(), Failure> {
    let uuid = azure_core::Uuid::from_u128(7);
    let properties: Vec<(&str, AmqpSimpleValue)> = vec![
        ("text", "événement".into()),
        ("whole", i32::MAX.into()),
        ("large", i64::MIN.into()),
        ("unsigned", u64::MAX.into()),
        ("short", AmqpSimpleValue::Short(-5)),
        ("byte", AmqpSimpleValue::UByte(200)),
        ("float", 1.5f64.into()),
        ("flag", true.into()),
        ("letter", AmqpSimpleValue::Char('é')),
        ("binary", AmqpSimpleValue::Binary(vec![1, 2])),
        ("uuid", uuid.into()),
        ("when", AmqpTimestamp(Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123))).into()),
    ];
    let event = properties.iter().cloned().fold(
        EventData::builder()
            .with_body(b"\x00\xffbinary")
            .with_content_type("application/octet-stream".to_owned())
            .with_message_id("message-1")
            .with_correlation_id(uuid),
        |event, (key, value)| event.add_property(key.to_owned(), value),
    );
    let producer = world.producer().await?;
    producer.send_event(event.build(), to("0")).await?;
    let events = world.receive(1, "0", earliest()).await?;
    let got = events[0].event_data();
    assert_eq!(got.body(), Some(&b"\x00\xffbinary"[..]));
    assert_eq!(got.content_type(), Some("application/octet-stream"));
    assert_eq!(got.message_id(), Some(&MessageId::from("message-1")));
    assert_eq!(got.correlation_id(), Some(&MessageId::from(uuid)));
    let known = got.properties().ok_or("no properties")?;
    for (key, value) in &properties {
        assert_eq!(known.get(*key), Some(value), "{key}");
    }
    assert_eq!(known.len(), properties.len());
    Ok(producer.close().await?)
}

async fn value_body(world: Arc<World>) -> Result<(), Failure> {
    let list = AmqpList::from(vec![AmqpValue::from(1), AmqpValue::from("two")]);
    let values = [AmqpValue::from("text"), AmqpValue::from(7i64), AmqpValue::List(list)];
    round_trip(&world, values.map(AmqpMessageBody::Value).to_vec()).await
}

async fn sequence_body(world: Arc<World>) -> Result<(), Failure> {
    let list = |text: &str| AmqpList::from(vec![AmqpValue::from(text), AmqpValue::from(4)]);
    round_trip(&world, vec![AmqpMessageBody::Sequence(vec![list("one"), list("two")])]).await
}

async fn round_trip(world: &World, bodies: Vec<AmqpMessageBody>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    for body in &bodies {
        let message = AmqpMessage::builder().with_body(body.clone()).build();
        let options = SendMessageOptions { partition_id: Some("0".to_owned()) };
        producer.send_message(message, Some(options)).await?;
    }
    let events = world.receive(bodies.len(), "0", earliest()).await?;
    for (sent, event) in bodies.iter().zip(events) {
        assert_eq!(&event.raw_amqp_message().body, sent);
    }
    Ok(producer.close().await?)
}

async fn event_of_200_kb(world: Arc<World>) -> Result<(), Failure> {
    let body: Vec<u8> = (0..200_000u32).map(|number| (number * 7 % 251) as u8).collect();
    let producer = world.producer().await?;
    producer.send_event(body.clone(), to("0")).await?;
    let batch = producer.create_batch(to_partition("0")).await?;
    assert!(batch.try_add_event_data(body.clone(), None)?);
    producer.send_batch(batch, None).await?;
    for event in world.receive(2, "0", earliest()).await? {
        assert!(event.event_data().body() == Some(&body), "the body came back changed");
    }
    Ok(producer.close().await?)
}

async fn batch_filled_to_the_limit(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let batch = producer.create_batch(to_partition("0")).await?;
    let filler = "x".repeat(1018);
    let mut count = 0;
    while batch.try_add_event_data(format!("{count:06}{filler}"), None)? {
        count += 1;
    }
    assert!(batch.size() > 1_040_000, "the limit is not that of the link: {}", batch.size());
    producer.send_batch(batch, None).await?;
    let events = world.receive(count, "0", earliest()).await?;
    for (number, event) in events.iter().enumerate() {
        assert!(body(event).starts_with(&format!("{number:06}")));
    }
    Ok(producer.close().await?)
}

async fn event_over_the_limit_refused(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let error =
        producer.send_event(vec![0; 1_100_000], to("0")).await.err().ok_or("it was taken")?;
    assert_eq!(condition(&error), Some(&AmqpErrorCondition::LinkPayloadSizeExceeded), "{error}");
    producer.send_event("still works", to("0")).await?;
    assert_eq!(bodies(&world.receive(1, "0", earliest()).await?), ["still works"]);
    Ok(producer.close().await?)
}

async fn ten_thousand_events_in_order(world: Arc<World>) -> Result<(), Failure> {
    let sent: Vec<String> = (0..10_000).map(|number: u32| number.to_string()).collect();
    let producer = world.producer().await?;
    for thousand in sent.chunks(1_000) {
        send(&producer, to_partition("0"), thousand).await?;
    }
    let events = world.receive(10_000, "0", earliest()).await?;
    assert!(bodies(&events) == sent, "order or loss");
    assert_log(&events);
    Ok(producer.close().await?)
}

async fn rejected_send(world: Arc<World>) -> Result<(), Failure> {
    let producer = world.producer().await?;
    let busy = json!({ "condition": "com.microsoft:server-busy", "text": "The server is busy." });
    let effect = json!({ "outcome": { "rejected": busy } });
    let fault = world.fault(effect, json!({ "at": "publish" })).await?;
    let error = producer.send_event("rejected", to("0")).await.err().ok_or("it was taken")?;
    assert_eq!(condition(&error), Some(&AmqpErrorCondition::ServerBusyError), "{error}");
    world.struck(fault).await?;
    producer.send_event("accepted", to("0")).await?;
    assert_eq!(bodies(&world.receive(1, "0", earliest()).await?), ["accepted"]);
    Ok(producer.close().await?)
}
