//! The quick way finds what the thorough way finds.

use super::{Parts, quick, thorough};
use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Header, Message, Properties};
use eventhubs_amqp::codec::{Symbol, Value};

fn agree(bytes: &[u8], start: usize) -> bool {
    let mut parts = Parts::NOWHERE;
    let found = quick(bytes, start, &mut parts).is_some();
    if found {
        assert_eq!(Ok(parts), thorough(bytes, start), "{bytes:02x?} from {start}");
    }
    found
}

fn wire(message: &Message) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out
}

fn stamped() -> Message {
    let mut message = Message { body: Body::from(&b"body"[..]), ..Message::default() };
    let map = &mut message.message_annotations;
    map.push(Symbol::from_static("x-opt-sequence-number"), Value::Long(1_000_000));
    map.push(Symbol::from_static("x-opt-offset"), "4096");
    map.push(Symbol::from_static("x-opt-enqueued-time"), Value::Timestamp(1_700_000_000_000));
    message
}

/// Shapes that all senders and the service use.
fn ordinary() -> Vec<BytesMut> {
    let plain = stamped();
    let mut keyed = stamped();
    keyed.message_annotations.push(Symbol::from_static("x-opt-partition-key"), "key");
    keyed.message_annotations.push(Symbol::from_static("x-opt-publisher"), "p");
    let mut full = keyed.clone();
    full.header = Some(Header::default());
    full.properties = Some(Properties {
        message_id: Some("id".into()),
        content_type: Some(Symbol::from_static("text/plain")),
        ..Properties::default()
    });
    full.application_properties.push("n", 5_i64);
    full.application_properties.push("s", "text");
    full.delivery_annotations.push(Symbol::from_static("last_enqueued_offset"), "1");
    let large = Message { body: Body::from(Bytes::from(vec![7; 300])), ..stamped() };
    let mut long = stamped();
    long.message_annotations.push(Symbol::from_static("x"), "y".repeat(200));
    long.message_annotations.push(Symbol::from_static("z"), "y".repeat(200));
    let small = {
        let mut message = stamped();
        message
            .message_annotations
            .insert(Symbol::from_static("x-opt-sequence-number"), Value::Long(7));
        message
    };
    [plain, keyed, full, large, long, small].iter().map(wire).collect()
}

/// Shapes that are legal and rare.
fn rare() -> Vec<BytesMut> {
    let value = Message { body: Body::Value(Value::Null), ..stamped() };
    let many = Message {
        body: Body::Data(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]),
        ..stamped()
    };
    let sequence = Message { body: Body::Sequence(vec![vec![Value::Int(1)]]), ..stamped() };
    let mut footed = stamped();
    footed.footer.push(Symbol::from_static("f"), 1_u8);
    let mut described = stamped();
    described.application_properties.push("d", Value::described(1_u64, 2_u8));
    let mut unicode = stamped();
    unicode.message_annotations.push(Symbol::from_static("x-opt-partition-key"), "ключ");
    [value, many, sequence, footed, described, unicode].iter().map(wire).collect()
}

#[test]
fn ordinary_events_take_the_quick_way() {
    for bytes in ordinary() {
        assert!(agree(&bytes, 0), "{bytes:02x?}");
        let framed = [&[0_u8; 30][..], &bytes].concat();
        assert!(agree(&framed, 30));
    }
}

#[test]
fn rare_events_are_left_to_the_thorough_way() {
    for bytes in rare() {
        assert!(!agree(&bytes, 0), "{bytes:02x?}");
        assert!(thorough(&bytes, 0).is_ok(), "{bytes:02x?}");
    }
}

#[test]
fn both_ways_agree_on_every_cut() {
    for bytes in ordinary().into_iter().chain(rare()) {
        for len in 0..bytes.len() {
            agree(&bytes[..len], 0);
            agree(&bytes, len);
        }
    }
}

#[test]
fn both_ways_agree_on_every_wrong_byte() {
    for mut bytes in ordinary().into_iter().chain(rare()) {
        // A long body of equal bytes teaches nothing new.
        for at in 0..bytes.len().min(200) {
            let right = bytes[at];
            for wrong in 0..=u8::MAX {
                bytes[at] = wrong;
                agree(&bytes, 0);
            }
            bytes[at] = right;
        }
    }
}

#[test]
fn both_ways_agree_on_sections_in_any_order_and_number() {
    let sections: [&[u8]; 7] = [
        b"\x00\x53\x70\x45",
        b"\x00\x53\x71\xc1\x01\x00",
        b"\x00\x53\x72\xc1\x2a\x04\xa3\x15x-opt-sequence-number\x55\x07\xa3\x0cx-opt-offset\xa1\x00",
        b"\x00\x53\x72\xc1\x2b\x04\xa3\x15x-opt-sequence-number\x55\x07\xa3\x0cx-opt-offset\xa1\x011",
        b"\x00\x53\x73\xc0\x02\x01\x40",
        b"\x00\x53\x74\xd1\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x00\x53\x75\xa0\x00",
    ];
    let count = sections.len();
    let mut quickly = 0;
    for order in 0..count.pow(5) {
        let mut bytes = Vec::new();
        for place in 0..5 {
            bytes.extend_from_slice(sections[order / count.pow(place) % count]);
        }
        quickly += usize::from(agree(&bytes, 0));
    }
    assert!(quickly > 0);
}
