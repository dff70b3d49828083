//! Whatever is sent in whatever cuts arrives whole, once, and in order.

use bytes::Bytes;
use eventhubs_client::message::MessageId;
use eventhubs_client::{
    EventBatch, EventData, PartitionId, Producer, ReceiveOptions, ReceivedEvent, Symbol, Value,
};
use eventhubs_emulator::{Config, Limits};
use futures_util::future::try_join_all;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::support::{Fixture, take, within};

/// An event as a user describes it.
#[derive(Clone, Debug)]
struct Plan {
    body: Vec<u8>,
    id: Option<MessageId>,
    properties: Vec<(String, Value)>,
    annotation: Option<i64>,
    /// Whether it goes alone; else it is put into the batch that is being filled.
    alone: bool,
}

impl Plan {
    fn event(&self) -> EventData {
        let mut event = EventData::new(self.body.clone());
        if let Some(id) = &self.id {
            event = event.with_message_id(id.clone());
        }
        for (name, value) in &self.properties {
            event = event.with_property(name.clone(), value.clone());
        }
        if let Some(number) = self.annotation {
            event = event.with_annotation(Symbol::from_static("x-opt-mine"), number);
        }
        event
    }

    fn assert_is(&self, received: &ReceivedEvent) {
        assert!(received.body() == self.body, "another body");
        assert_eq!(received.message_id().expect("sound"), self.id);
        let properties = received.application_properties().expect("sound");
        assert_eq!(properties.len(), self.properties.len());
        for (name, value) in &self.properties {
            assert_eq!(properties.get(name), Some(value));
        }
        let annotation = received.annotation("x-opt-mine").expect("sound");
        assert_eq!(annotation, self.annotation.map(Value::Long));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Long),
        any::<u32>().prop_map(Value::Uint),
        any::<String>().prop_map(Value::String),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(Bytes::from(bytes))),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        any::<i64>().prop_map(Value::Timestamp),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| vec(inner, 0..4).prop_map(Value::List))
}

fn id() -> impl Strategy<Value = MessageId> {
    prop_oneof![
        any::<u64>().prop_map(MessageId::Ulong),
        any::<[u8; 16]>().prop_map(MessageId::Uuid),
        any::<String>().prop_map(MessageId::String),
        vec(any::<u8>(), 0..40).prop_map(|bytes| MessageId::Binary(Bytes::from(bytes))),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let size = prop_oneof![8 => 0..300_usize, 1 => 300..9_000_usize];
    let body = size.prop_flat_map(|size| vec(any::<u8>(), size));
    let properties = btree_map("[a-z]{1,8}", value(), 0..4);
    let rest = (proptest::option::of(id()), properties, proptest::option::of(any::<i64>()));
    (body, rest, any::<bool>()).prop_map(|(body, (id, properties, annotation), alone)| Plan {
        body,
        id,
        properties: properties.into_iter().collect(),
        annotation,
        alone,
    })
}

async fn empty(producer: &Producer) -> EventBatch {
    within(producer.create_batch()).await.expect("attached")
}

/// Sends the plans in order, all in flight at once, and reads them back.
async fn round(plans: Vec<Plan>, prefetch: u32) {
    // Small enough that batches fill up, and large enough for each event.
    let limits = Limits { max_message_size: 16 * 1024, ..Limits::default() };
    let fixture = Fixture::with_config(Config::default().with_limits(limits)).await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let mut pending = Vec::new();
    let mut batch = empty(&producer).await;
    for plan in &plans {
        let event = plan.event();
        if plan.alone {
            let filled = std::mem::replace(&mut batch, empty(&producer).await);
            pending.push(producer.enqueue_batch(filled));
            pending.push(producer.enqueue(event));
        } else if let Err(refused) = batch.try_add(event) {
            let filled = std::mem::replace(&mut batch, empty(&producer).await);
            pending.push(producer.enqueue_batch(filled));
            batch.try_add(refused.into_event()).expect("an empty batch takes it");
        }
    }
    pending.push(producer.enqueue_batch(batch));
    within(try_join_all(pending)).await.expect("accepted");
    let options = ReceiveOptions::default().with_prefetch(prefetch);
    let mut stream = fixture.stream_with(0, options).await;
    for (number, plan) in (0..).zip(&plans) {
        let event = take(&mut stream, 1).await.remove(0);
        assert_eq!(event.sequence_number().as_i64(), number);
        plan.assert_is(&event);
    }
    let information = within(fixture.hub.partition_runtime_information(0)).await.expect("answered");
    let last = information.last_enqueued_sequence_number.as_i64();
    assert_eq!(usize::try_from(last + 1), Ok(plans.len()), "and nothing else");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sent_arrives_whole_once_and_in_order(
        plans in vec(plan(), 0..40),
        prefetch in 1..64_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round(plans, prefetch));
    }
}
