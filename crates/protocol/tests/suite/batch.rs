//! Batches: bytes written by hand, exact sizes, and what happens at the limit.

use crate::strategy;
use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{BodyKind, Message, sections};
use eventhubs_protocol::{Batch, Envelope, EventData, PartitionKey, TryAddError, names};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn key(text: &str) -> PartitionKey {
    PartitionKey::new(text).expect("a key")
}

fn of(events: impl IntoIterator<Item = EventData>, key: Option<PartitionKey>) -> Batch {
    let mut envelope = Envelope::new(1_048_576, key);
    for event in events {
        envelope.try_add(event).expect("there is room");
    }
    envelope.finish().expect("not empty")
}

/// The messages in a batch, each as the data section that holds it.
fn inside(batch: &Bytes) -> Vec<Bytes> {
    let found = sections(batch, 0).expect("a message");
    let inner: Vec<_> = found.body_sections(batch).collect();
    assert!(inner.iter().all(|(kind, _)| *kind == BodyKind::Data));
    inner.into_iter().map(|(_, span)| batch.slice(span.range())).collect()
}

#[test]
fn two_plain_events_by_hand() {
    let batch = of([EventData::new("hi"), EventData::new("")], None);
    assert_eq!(
        &batch.payload()[..],
        b"\x00\x53\x75\xa0\x07\x00\x53\x75\xa0\x02hi\x00\x53\x75\xa0\x05\x00\x53\x75\xa0\x00"
    );
    assert_eq!(batch.count(), 2);
    assert_eq!(batch.message_format(), 0x8001_3700);
}

#[test]
fn the_key_stands_on_the_batch_and_on_each_event() {
    let section = b"\x00\x53\x72\xc1\x19\x02\xa3\x13x-opt-partition-key\xa1\x01k";
    let batch = of([EventData::new("hi")], Some(key("k")));
    let mut expected = section.to_vec();
    expected.extend(b"\x00\x53\x75\xa0\x25");
    expected.extend(section);
    expected.extend(b"\x00\x53\x75\xa0\x02hi");
    assert_eq!(&batch.payload()[..], &expected[..]);
}

#[test]
fn an_event_with_properties_by_hand() {
    let event = EventData::new("hi").with_message_id("id").with_property("n", 1_i32);
    assert_eq!(
        &event.to_payload()[..],
        b"\x00\x53\x73\xc0\x05\x01\xa1\x02id\
          \x00\x53\x74\xc1\x06\x02\xa1\x01n\x54\x01\
          \x00\x53\x75\xa0\x02hi"
    );
    assert_eq!(event.encoded_len(), event.to_payload().len());
}

#[test]
fn heads_change_at_256_bytes() {
    // A body of 251 makes a message of 256, whose section needs the long head.
    for (len, expected) in
        [(250, 5 + 5 + 250), (251, 8 + 5 + 251), (255, 8 + 5 + 255), (256, 8 + 8 + 256)]
    {
        let batch = of([EventData::new(vec![7; len])], None);
        assert_eq!(batch.payload().len(), expected, "body of {len}");
        assert_eq!(inside(batch.payload()).len(), 1);
    }
}

#[test]
fn a_key_of_any_length_is_counted() {
    for len in [1, 120, 127, 128] {
        for letter in ["k", "é", "日"] {
            let key = key(&letter.repeat(len));
            for event in [EventData::new("hi"), EventData::new("hi").with_annotation("x-a", 1_u8)] {
                let mut envelope = Envelope::new(4096, Some(key.clone()));
                envelope.try_add(event).expect("there is room");
                let size = envelope.size();
                let batch = envelope.finish().expect("not empty");
                assert_eq!(size, batch.payload().len());
                let message = Message::decode(&inside(batch.payload())[0]).expect("a message");
                let found = message.message_annotations.get(names::PARTITION_KEY);
                assert_eq!(found.and_then(|value| value.as_str()), Some(key.as_str()));
            }
        }
    }
}

#[test]
fn a_full_batch_gives_the_event_back_and_stays_as_it_was() {
    let mut envelope = Envelope::new(30, None);
    envelope.try_add(EventData::new("first")).expect("15 bytes");
    let Err(TryAddError::Full(event)) = envelope.try_add(EventData::new("second")) else {
        panic!("16 bytes do not fit into the 15 that are left");
    };
    assert_eq!(event.body(), Some(&b"second"[..]));
    assert_eq!((envelope.count(), envelope.size()), (1, 15));
    envelope.try_add(EventData::new("third")).expect("exactly the limit");
    assert_eq!(envelope.size(), 30);
}

#[test]
fn an_event_no_batch_can_hold_says_size_and_limit() {
    for event in [EventData::new(vec![0; 100]), EventData::new(vec![0; 100]).with_subject("")] {
        let mut envelope = Envelope::new(90, Some(key("k")));
        envelope.try_add(EventData::new("")).expect("there is room");
        let error = envelope.try_add(event).expect_err("too large");
        let TryAddError::TooLarge { event, size, limit } = error else {
            panic!("{error:?}");
        };
        assert_eq!(limit, 90);
        // The size it gives is the size such a batch has.
        assert_eq!(of([event], Some(key("k"))).payload().len(), size);
        assert_eq!(envelope.count(), 1);
    }
}

#[test]
fn an_event_with_another_key_comes_back() {
    let event = || EventData::new("x").with_partition_key(key("a"));
    for other in [None, Some(key("b"))] {
        let mut envelope = Envelope::new(1000, other);
        assert!(matches!(envelope.try_add(event()), Err(TryAddError::OtherKey(_))));
        assert!(envelope.is_empty());
    }
    assert_eq!(of([event()], Some(key("a"))).count(), 1);
}

#[test]
fn an_empty_batch_is_never_finished() {
    assert!(Envelope::new(1000, None).finish().is_none());
    assert!(Envelope::new(1000, Some(key("k"))).finish().is_none());
}

#[test]
fn a_limit_of_nothing_holds_nothing_and_the_largest_is_bounded() {
    let mut envelope = Envelope::new(0, None);
    assert!(matches!(
        envelope.try_add(EventData::new("")),
        Err(TryAddError::TooLarge { size: 10, limit: 0, .. })
    ));
    assert_eq!(Envelope::new(u64::MAX, None).limit(), u32::MAX as usize);
}

#[test]
fn a_buffer_serves_again() {
    let first = of([EventData::new("one")], None);
    let clone = first.clone();
    assert!(first.into_buffer().is_none(), "a clone still needs the bytes");
    let buffer = clone.into_buffer().expect("nobody else has the bytes");
    let capacity = buffer.capacity();
    let mut envelope = Envelope::with_buffer(1_048_576, None, buffer);
    envelope.try_add(EventData::new("two")).expect("there is room");
    let batch = envelope.finish().expect("not empty");
    assert_eq!(&inside(batch.payload())[0][..], b"\x00\x53\x75\xa0\x03two");
    assert!(batch.into_buffer().expect("alone").capacity() >= capacity);
}

#[test]
fn debug_shows_no_content() {
    let event = EventData::new("private").with_partition_key(key("private"));
    let mut envelope = Envelope::new(1000, Some(key("private")));
    let shown = format!("{event:?} {envelope:?}");
    envelope.try_add(event).expect("there is room");
    let shown = format!("{shown} {:?}", envelope.finish());
    assert!(!shown.contains("private"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// At every count the size is what was announced, and each event comes out as it went in.
    #[test]
    fn sizes_are_exact_at_every_count(
        events in vec(strategy::event(), 1..12),
        key in option::of(strategy::partition_key()),
    ) {
        let mut envelope = Envelope::new(1_048_576, key.clone());
        let mut sizes = vec![envelope.size()];
        for event in &events {
            envelope.try_add(event.clone()).expect("there is room");
            sizes.push(envelope.size());
        }
        let whole = envelope.finish().expect("not empty");
        prop_assert_eq!(*sizes.last().expect("one per event"), whole.payload().len());

        let expected: Vec<_> = events.iter().cloned().map(|event| match &key {
            Some(key) => event.with_partition_key(key.clone()).to_payload(),
            None => event.to_payload(),
        }).collect();
        prop_assert_eq!(inside(whole.payload()), expected);

        // With any of these sizes as the limit, exactly that many events fit.
        for (count, &limit) in sizes.iter().enumerate().skip(1) {
            for (limit, fit) in [(limit, count), (limit - 1, count - 1)] {
                let mut envelope = Envelope::new(limit as u64, key.clone());
                let added = events.iter().take_while(|event| {
                    envelope.try_add((*event).clone()).is_ok()
                }).count();
                prop_assert_eq!(added, fit);
                prop_assert!(envelope.size() <= limit.max(sizes[0]));
            }
        }
    }

    /// A single event is as long as announced, wherever it is written.
    #[test]
    fn single_events_are_exact(
        event in strategy::event(),
        key in option::of(strategy::partition_key()),
    ) {
        let event = match key {
            Some(key) => event.with_partition_key(key),
            None => event,
        };
        let payload = event.to_payload();
        prop_assert_eq!(event.encoded_len(), payload.len());
        let mut out = BytesMut::from(&b"before"[..]);
        event.encode(&mut out);
        prop_assert_eq!(&out[6..], &payload[..]);
        let again = EventData::from_message(Message::decode(&payload).expect("a message"));
        let again = match event.partition_key() {
            Some(key) => again.with_partition_key(key.clone()),
            None => again,
        };
        prop_assert_eq!(again.to_payload(), payload);
    }
}
