//! What an event may carry, by any means: rows U6 to U9 of the table "Input" in `docs/faults.md`.

use bytes::{BufMut, Bytes, BytesMut};
use eventhubs_client::message::{Body, BodyKind};
use eventhubs_client::{
    ErrorKind, EventData, HubOptions, Operation, PartitionId, ReceiveOptions, ReceivedEvent, Value,
};
use eventhubs_emulator::Config;

use crate::content::{round_trip, round_trip_in_batch, values};
use crate::support::peer::{Peer, Reply};
use crate::support::{Fixture, Transport, within};

const KIB: usize = 1024;

/// Sends `event` alone and in a batch, and finds its properties again.
async fn assert_round_trip(fixture: &Fixture, event: &EventData, names: &[(String, Value)]) {
    for received in [
        round_trip(fixture, event.clone()).await,
        round_trip_in_batch(fixture, event.clone()).await,
    ] {
        let found = received.application_properties().expect("sound");
        assert_eq!(found.len(), names.len());
        for ((name, value), (found_name, found_value)) in names.iter().zip(&found) {
            let is_same = found_name.as_str() == Some(name) && found_value == value;
            assert!(is_same, "{name:.40} became {found_name:.40?}");
        }
        let (name, value) = names.last().expect("some");
        assert_eq!(received.property(name).expect("sound").as_ref(), Some(value), "{name:.40}");
    }
}

fn event_with(properties: &[(String, Value)]) -> EventData {
    let event = EventData::new("body");
    properties.iter().fold(event, |event, (name, value)| event.with_property(name, value.clone()))
}

#[tokio::test(start_paused = true)]
async fn u06_properties_of_any_size_and_number_go_round_or_are_refused() {
    let lenient = Config::default().with_lenient(true);
    let lenient = Fixture::with(Transport::Memory, lenient, HubOptions::default()).await;
    let strict = Fixture::memory().await;
    let sizes = [32 * KIB - 1, 32 * KIB, 32 * KIB + 1];
    for size in sizes {
        for value in [Value::String("x".repeat(size)), Value::Binary(vec![1; size].into())] {
            let properties = [("large".to_owned(), value)];
            assert_round_trip(&lenient, &event_with(&properties), &properties).await;
            // The service counts the value with its head: all of these are above its limit, and
            // what it refuses is a typed error that says "not stored".
            let producer = strict.hub.producer(PartitionId::from(0));
            let error = producer.send(event_with(&properties)).await.expect_err("above the quota");
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{size}: {error}");
            assert_eq!(error.operation(), Operation::Send);
            assert!(!error.may_have_been_sent(), "{error}");
        }
    }
    let fits = [("fits".to_owned(), Value::String("x".repeat(32 * KIB - 5)))];
    assert_round_trip(&strict, &event_with(&fits), &fits).await;
    assert_eq!(strict.stored_in(0).await.len(), 1, "what was refused was not stored");

    let many: Vec<_> = (0..10_000).map(|n| (format!("property {n}"), Value::Int(n))).collect();
    assert_round_trip(&strict, &event_with(&many), &many).await;
    let keys = [0, 1, 255, 256, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1];
    let keys = keys.map(|len| ("k".repeat(len), Value::Int(i32::try_from(len).expect("small"))));
    assert_round_trip(&strict, &event_with(&keys), &keys).await;
}

/// A message as a service would send it, of sections written by hand.
struct Raw(BytesMut);

impl Raw {
    /// With the annotations that every event has.
    fn numbered(number: u8) -> Self {
        let mut annotations = BytesMut::new();
        annotations.put_u8(4);
        put_small(&mut annotations, 0xa3, b"x-opt-sequence-number");
        annotations.put_slice(&[0x55, number]);
        put_small(&mut annotations, 0xa3, b"x-opt-offset");
        put_small(&mut annotations, 0xa1, number.to_string().as_bytes());
        let mut out = BytesMut::new();
        out.put_slice(&[0x00, 0x53, 0x72]);
        put_small(&mut out, 0xc1, &annotations);
        Self(out)
    }

    /// The same with one annotation more, a text of these bytes.
    fn annotated(number: u8, name: &[u8], text: &[u8]) -> Self {
        let plain = Self::numbered(number).0;
        let mut annotations = BytesMut::from(&plain[5..]);
        annotations[0] += 2;
        put_small(&mut annotations, 0xa3, name);
        put_small(&mut annotations, 0xa1, text);
        let mut out = BytesMut::from(&plain[..3]);
        put_small(&mut out, 0xc1, &annotations);
        Self(out)
    }

    fn with(mut self, section: &[u8]) -> Self {
        self.0.put_slice(section);
        self
    }

    /// An application property `p`, a text of these bytes, and a body.
    fn with_property(self, text: &[u8]) -> Self {
        let mut map = BytesMut::from(&[2_u8][..]);
        put_small(&mut map, 0xa1, b"p");
        put_small(&mut map, 0xa1, text);
        let mut section = BytesMut::from(&[0x00, 0x53, 0x74][..]);
        put_small(&mut section, 0xc1, &map);
        self.with(&section).with(b"\x00\x53\x75\xa0\x04body")
    }

    fn bytes(self) -> Bytes {
        self.0.freeze()
    }
}

/// A constructor, a length in one byte, and the bytes.
fn put_small(out: &mut BytesMut, constructor: u8, bytes: &[u8]) {
    out.put_u8(constructor);
    out.put_u8(u8::try_from(bytes.len()).expect("short"));
    out.put_slice(bytes);
}

/// What a receiver of these messages gets.
async fn received(messages: Vec<Bytes>) -> Vec<Result<ReceivedEvent, eventhubs_client::Error>> {
    let count = messages.len();
    let peer = Peer::replying(Reply::Silence).with_outbox(messages);
    let (hub, _wire) = peer.hub(HubOptions::default());
    let mut stream = within(hub.events(0, ReceiveOptions::default())).await.expect("attached");
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(within(stream.next()).await.expect("the stream goes on"));
    }
    items
}

/// Bytes that are no UTF-8: a lone continuation, an overlong `/`, half of a surrogate pair, both
/// halves, a start without an end, above the last character, no start at all.
const NO_TEXT: [&[u8]; 7] = [
    b"a\x80b",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xe2\x82",
    b"\xf4\x90\x80\x80",
    b"\xff\xfe",
];

#[tokio::test(start_paused = true)]
async fn u07_text_that_is_none_harms_its_event_alone() {
    // Where the event itself needs the text, it is an item of its own kind.
    let mut messages = Vec::new();
    for (number, text) in (0_u8..).zip(NO_TEXT) {
        messages.push(Raw::annotated(2 * number, b"x-opt-partition-key", text).bytes());
        messages.push(Raw::numbered(2 * number + 1).with_property(b"sound").bytes());
    }
    for (index, item) in received(messages).await.into_iter().enumerate() {
        match index % 2 {
            0 => {
                let error = item.expect_err("no text");
                assert_eq!(error.kind(), ErrorKind::Undecodable, "{index}: {error}");
                assert!(!error.is_retryable());
            }
            _ => assert_eq!(item.expect("sound").property_str("p"), Some("sound"), "{index}"),
        }
    }

    // Elsewhere it is an error for whoever asks for it, and nobody else.
    let numbered = |(number, text): (u8, &[u8])| Raw::numbered(number).with_property(text).bytes();
    let messages = (0..).zip(NO_TEXT).map(numbered);
    for item in received(messages.collect()).await {
        let event = item.expect("it can be read without its properties");
        assert_eq!(event.body(), b"body");
        assert!(event.property("p").is_err() && event.application_properties().is_err());
        assert_eq!(event.property_str("p"), None);
    }

    // NUL and other odd characters are text.
    let odd = ["\0", "a\0b", "\u{FFFF}\u{10FFFF}", "\u{202E}\u{FEFF}", "\r\n"];
    let messages = (0..).zip(odd.map(str::as_bytes)).map(numbered);
    for (text, item) in odd.iter().zip(received(messages.collect()).await) {
        assert_eq!(item.expect("sound").property_str("p"), Some(*text));
    }
}

/// A value bit by bit: NaN is not equal to itself.
fn bits(value: &Value) -> String {
    match value {
        Value::Float(number) => format!("float {:x}", number.to_bits()),
        Value::Double(number) => format!("double {:x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn u08_a_value_of_every_type_arrives_bit_by_bit() {
    const YEAR_275760: i64 = 8_640_000_000_000_000;
    let special = [
        Value::Float(f32::NAN),
        Value::Float(f32::from_bits(0x7fa0_0001)),
        Value::Float(-0.0),
        Value::Float(f32::MIN_POSITIVE / 2.0),
        Value::Double(f64::NAN),
        Value::Double(f64::from_bits(0xfff4_0000_0000_0001)),
        Value::Double(f64::NEG_INFINITY),
        Value::Decimal32([0x7c, 0, 0, 0]),
        Value::Decimal64([0x78; 8]),
        Value::Decimal128([0xff; 16]),
        Value::Decimal128([0; 16]),
        Value::Timestamp(-1),
        Value::Timestamp(-62_135_596_800_001),
        Value::Timestamp(YEAR_275760),
        Value::Timestamp(YEAR_275760 + 1),
        Value::Timestamp(i64::MIN),
        Value::Timestamp(i64::MAX),
        Value::Char('\0'),
        Value::Char('\u{10FFFF}'),
        Value::described(Value::from("name:text"), Value::described(Value::Ulong(1), Value::Null)),
    ];
    let config = Config::default().with_lenient(true);
    let fixture = Fixture::with(Transport::Memory, config, HubOptions::default()).await;
    let all = values().into_iter().map(|(_, value)| value).chain(special);
    let all: Vec<_> = (0..).zip(all).map(|(number, value)| (format!("v{number}"), value)).collect();
    for received in [
        round_trip(&fixture, event_with(&all)).await,
        round_trip_in_batch(&fixture, event_with(&all)).await,
    ] {
        for (name, value) in &all {
            let found = received.property(name).expect("sound").expect("it is there");
            assert_eq!(bits(&found), bits(value));
        }
        assert_eq!(received.application_properties().expect("sound").len(), all.len());
    }
}

/// A body as others write it: what it is, its sections, and what they say.
type Written = (&'static str, Vec<u8>, BodyKind, Body);

/// The one with sections on both sides of the body.
const WHOLE: &str = "header and properties before, a footer after";

fn written_bodies() -> Vec<Written> {
    let data = |bytes: &'static [u8]| Body::Data(vec![Bytes::from_static(bytes)]);
    vec![
        ("data", b"\x00\x53\x75\xa0\x02ab".to_vec(), BodyKind::Data, data(b"ab")),
        ("long data", b"\x00\x53\x75\xb0\x00\x00\x00\x02ab".to_vec(), BodyKind::Data, data(b"ab")),
        (
            "a descriptor of 8 bytes",
            b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xa0\x02ab".to_vec(),
            BodyKind::Data,
            data(b"ab"),
        ),
        (
            "a descriptor by name",
            b"\x00\xa3\x10amqp:data:binary\xa0\x02ab".to_vec(),
            BodyKind::Data,
            data(b"ab"),
        ),
        ("empty data", b"\x00\x53\x75\xa0\x00".to_vec(), BodyKind::Data, data(b"")),
        (
            "several data",
            b"\x00\x53\x75\xa0\x01a\x00\x53\x75\xb0\x00\x00\x00\x01b".to_vec(),
            BodyKind::Data,
            Body::Data(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]),
        ),
        (
            "a value",
            b"\x00\x53\x77\xb1\x00\x00\x00\x01a".to_vec(),
            BodyKind::Value,
            Body::Value(Value::from("a")),
        ),
        ("null", b"\x00\x53\x77\x40".to_vec(), BodyKind::Value, Body::Value(Value::Null)),
        (
            "a map as a value",
            b"\x00\x53\x77\xd1\x00\x00\x00\x09\x00\x00\x00\x02\xa1\x01k\x54\x07".to_vec(),
            BodyKind::Value,
            Body::Value(Value::Map([("k", 7_i32)].into_iter().collect())),
        ),
        (
            "sequences",
            b"\x00\x53\x76\x45\x00\x53\x76\xc0\x03\x01\x54\x01\x00\x53\x76\xd0\x00\x00\x00\x05\x00\x00\x00\x01\x40"
                .to_vec(),
            BodyKind::Sequence,
            Body::Sequence(vec![Vec::new(), vec![Value::Int(1)], vec![Value::Null]]),
        ),
        ("none", Vec::new(), BodyKind::None, Body::Empty),
        // Python writes a header and all thirteen properties, most of them null.
        (
            WHOLE,
            b"\x00\x53\x70\xc0\x07\x05\x42\x50\x04\x40\x42\x43".to_vec(),
            BodyKind::None,
            Body::Empty,
        ),
    ]
}

#[tokio::test]
async fn u09_a_body_of_every_kind_is_read_however_it_was_written() {
    let table = written_bodies();
    let messages: Vec<_> = (0_u8..)
        .zip(&table)
        .map(|(number, (name, section, ..))| match *name {
            WHOLE => {
                let mut message = BytesMut::from(&section[..]);
                message.put_slice(&Raw::numbered(number).0);
                message.put_slice(b"\x00\x53\x73\xc0\x11\x0d\xa1\x02id\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40");
                message.put_slice(b"\x00\x53\x75\xa0\x02ab\x00\x53\x78\xc1\x01\x00");
                message.freeze()
            }
            _ => Raw::numbered(number).with(section).bytes(),
        })
        .collect();
    for ((name, _, kind, body), item) in table.iter().zip(received(messages).await) {
        let event = item.unwrap_or_else(|error| panic!("{name}: {error}"));
        if *name == WHOLE {
            assert_eq!(event.message_id().expect("sound"), Some("id".into()));
            assert_eq!(event.body(), b"ab");
            continue;
        }
        assert_eq!(event.body_kind(), *kind, "{name}");
        assert_eq!(&event.to_body().expect("sound"), body, "{name}");
    }

    // Our own, through the service.
    let fixture = Fixture::memory().await;
    for (name, _, kind, body) in table {
        let event = EventData::from_body(body.clone()).with_property("n", 1_i32);
        for received in
            [round_trip(&fixture, event.clone()).await, round_trip_in_batch(&fixture, event).await]
        {
            assert_eq!(
                (received.body_kind(), received.to_body().expect("sound")),
                (kind, body.clone()),
                "{name}"
            );
        }
    }
}
