//! Bytes written down by hand, from the specification and from what other clients were seen to send.

mod codec_notation;

use bytes::{Bytes, BytesMut};
use codec_notation::bytes;
use eventhubs_amqp::codec::frame::{self, Header, Kind, ProtocolHeader};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, ReceiverSettleMode,
    Role, SenderSettleMode, Transfer,
};
use eventhubs_amqp::codec::sasl::{self, Code, Init, Mechanisms, Outcome};
use eventhubs_amqp::codec::{
    AmqpError, DeliveryState, FieldList, Map, Source, Symbol, Target, Value, condition, transfer,
};

fn written(performative: &Performative, fields: FieldList) -> Vec<u8> {
    let mut out = BytesMut::new();
    performative.encode(fields, &mut out);
    out.to_vec()
}

/// Written like this, and read back.
fn full(performative: impl Into<Performative>, expected: &str) {
    let performative = performative.into();
    let expected = bytes(expected);
    assert_eq!(written(&performative, FieldList::Full), expected);
    assert_eq!(Performative::decode(&expected), Ok((performative, expected.len())));
}

fn trimmed(performative: impl Into<Performative>, expected: &str) {
    let performative = performative.into();
    let expected = bytes(expected);
    assert_eq!(written(&performative, FieldList::Trimmed), expected);
    assert_eq!(Performative::decode(&expected), Ok((performative, expected.len())));
}

#[test]
fn primitives() {
    let table: &[(&str, Value)] = &[
        ("40", Value::Null),
        ("41", Value::Bool(true)),
        ("42", Value::Bool(false)),
        ("50 ff", Value::Ubyte(255)),
        ("51 80", Value::Byte(-128)),
        ("60 01 02", Value::Ushort(0x0102)),
        ("61 ff fe", Value::Short(-2)),
        ("43", Value::Uint(0)),
        ("52 ff", Value::Uint(255)),
        ("70 00 00 01 00", Value::Uint(256)),
        ("44", Value::Ulong(0)),
        ("53 01", Value::Ulong(1)),
        ("80 00 00 00 00 00 00 01 00", Value::Ulong(256)),
        ("54 80", Value::Int(-128)),
        ("71 00 00 00 80", Value::Int(128)),
        ("55 7f", Value::Long(127)),
        ("81 ff ff ff ff ff ff ff 7f", Value::Long(-129)),
        ("72 3f 80 00 00", Value::Float(1.0)),
        ("82 bf f0 00 00 00 00 00 00", Value::Double(-1.0)),
        ("74 22 50 00 01", Value::Decimal32([0x22, 0x50, 0, 1])),
        ("84 22 38 00 00 00 00 00 01", Value::Decimal64([0x22, 0x38, 0, 0, 0, 0, 0, 1])),
        (
            "94 22 08 00 00 00 00 00 00 00 00 00 00 00 00 00 01",
            Value::Decimal128([0x22, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ),
        ("73 00 01 f6 00", Value::Char('\u{1f600}')),
        ("83 00 00 01 02 03 04 05 06", Value::Timestamp(0x0102_0304_0506)),
        ("83 ff ff c7 7c ed d3 28 00", Value::Timestamp(-62_135_596_800_000)),
        (
            "98 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
            Value::Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ),
        ("a0 02 00 ff", Value::Binary(Bytes::from_static(&[0, 0xff]))),
        ("a1 03 'a\u{e9}'", Value::from("a\u{e9}")),
        ("a3 03 'abc'", Value::symbol("abc")),
        ("45", Value::List(vec![])),
        ("c0 03 01 52 07", Value::List(vec![Value::Uint(7)])),
        ("c1 01 00", Value::Map(Map::new())),
        (
            "c1 06 02 a3 01 'k' 54 01",
            Value::Map([(Symbol::from_static("k"), 1)].into_iter().collect()),
        ),
        ("e0 02 00 40", Value::Array(vec![])),
        ("e0 06 02 a3 01 'a' 01 'b'", Value::Array(vec![Value::symbol("a"), Value::symbol("b")])),
        ("e0 0a 02 70 00 00 00 01 00 00 00 02", Value::Array(vec![Value::Uint(1), Value::Uint(2)])),
        ("e0 04 02 56 01 00", Value::Array(vec![Value::Bool(true), Value::Bool(false)])),
        ("00 53 24 45", Value::described(0x24_u64, Value::List(vec![]))),
        (
            "e0 07 02 00 53 07 50 01 02",
            Value::Array(vec![
                Value::described(7_u64, Value::Ubyte(1)),
                Value::described(7_u64, Value::Ubyte(2)),
            ]),
        ),
    ];
    for (text, value) in table {
        let expected = bytes(text);
        let mut out = BytesMut::new();
        value.encode(&mut out);
        assert_eq!(out, expected, "{value:?}");
        assert_eq!(value.encoded_len(), expected.len(), "{value:?}");
        assert_eq!(Value::decode(&expected), Ok((value.clone(), expected.len())));
    }
}

#[test]
fn other_spellings_of_primitives() {
    for (text, value) in [
        ("56 01", Value::Bool(true)),
        ("56 00", Value::Bool(false)),
        ("70 00 00 00 00", Value::Uint(0)),
        ("52 00", Value::Uint(0)),
        ("80 00 00 00 00 00 00 00 07", Value::Ulong(7)),
        ("53 00", Value::Ulong(0)),
        ("71 ff ff ff ff", Value::Int(-1)),
        ("81 00 00 00 00 00 00 00 01", Value::Long(1)),
        ("b0 00 00 00 01 09", Value::Binary(Bytes::from_static(&[9]))),
        ("b1 00 00 00 01 'x'", Value::from("x")),
        ("b3 00 00 00 01 'x'", Value::symbol("x")),
        ("c0 01 00", Value::List(vec![])),
        ("d0 00 00 00 04 00 00 00 00", Value::List(vec![])),
        ("d0 00 00 00 05 00 00 00 01 40", Value::List(vec![Value::Null])),
        ("d1 00 00 00 04 00 00 00 00", Value::Map(Map::new())),
        ("f0 00 00 00 06 00 00 00 01 50 05", Value::Array(vec![Value::Ubyte(5)])),
        ("e0 06 02 c0 01 00 01 00", Value::Array(vec![Value::List(vec![]), Value::List(vec![])])),
        ("e0 02 02 41", Value::Array(vec![Value::Bool(true), Value::Bool(true)])),
        ("e0 02 02 45", Value::Array(vec![Value::List(vec![]), Value::List(vec![])])),
    ] {
        let encoded = bytes(text);
        assert_eq!(Value::decode(&encoded), Ok((value, encoded.len())), "{text}");
    }
}

const CONTAINER: &str = "45a37281-e14b-4c0c-8fdb-a5f8139bd257";

/// pyamqp writes all fields and spells truth values with two bytes.
#[test]
fn open_of_the_python_client() {
    let open = Open {
        container_id: CONTAINER.into(),
        hostname: Some("localhost".into()),
        max_frame_size: 1_048_576,
        ..Open::default()
    };
    full(
        open,
        "00 53 10 c0 [0a a1 24 '45a37281-e14b-4c0c-8fdb-a5f8139bd257' a1 09 'localhost' \
         70 00 10 00 00 60 ff ff 40 40 40 40 40 40]",
    );
}

#[test]
fn begin_and_its_answer() {
    let begin = Begin { incoming_window: 65_536, outgoing_window: 65_536, ..Begin::default() };
    full(
        begin.clone(),
        "00 53 11 c0 [08 40 43 70 00 01 00 00 70 00 01 00 00 70 ff ff ff ff 40 40 40]",
    );
    trimmed(begin, "00 53 11 c0 [04 40 43 70 00 01 00 00 70 00 01 00 00]");
    let answer = Begin {
        remote_channel: Some(1),
        next_outgoing_id: 1,
        incoming_window: 5000,
        outgoing_window: 5000,
        handle_max: 255,
        ..Begin::default()
    };
    full(answer, "00 53 11 c0 [08 60 00 01 52 01 70 00 00 13 88 70 00 00 13 88 52 ff 40 40 40]");
}

#[test]
fn attach_of_the_python_client() {
    let read = bytes(
        "00 53 12 c0 [0e a1 24 '45a37281-e14b-4c0c-8fdb-a5f8139bd257' 52 02 56 01 50 00 50 00 \
         00 53 28 c0 [0b a1 04 '$cbs' 40 40 40 40 40 40 40 40 40 40] \
         00 53 29 c0 [07 a1 04 '$cbs' 40 40 40 40 40 40] \
         40 40 40 40 40 40 40]",
    );
    // With the frame's header this is the size it was seen with.
    assert_eq!(read.len() + 8, 107);
    let attach = Attach {
        name: CONTAINER.into(),
        handle: 2,
        role: Role::Receiver,
        snd_settle_mode: SenderSettleMode::Unsettled,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Source::new("$cbs")),
        target: Some(Target::new("$cbs")),
        ..Attach::default()
    };
    assert_eq!(Performative::decode(&read), Ok((attach.into(), read.len())));
}

#[test]
fn attach_that_refuses() {
    let attach = Attach { name: "l".into(), role: Role::Receiver, ..Attach::default() };
    full(attach.clone(), "00 53 12 c0 [0e a1 01 'l' 43 41 50 02 50 00 40 40 40 42 40 40 40 40 40]");
    trimmed(attach, "00 53 12 c0 06 03 a1 01 'l' 43 41");
}

#[test]
fn attach_with_everything() {
    let filter: Map = [(
        Symbol::from_static("apache.org:selector-filter:string"),
        Value::described(0x468c_0000_0004_u64, "amqp.annotation.x-opt-offset > '-1'"),
    )]
    .into_iter()
    .collect();
    let attach = Attach {
        name: "n".into(),
        handle: 1,
        role: Role::Receiver,
        snd_settle_mode: SenderSettleMode::Settled,
        rcv_settle_mode: ReceiverSettleMode::Second,
        source: Some(Source { filter, ..Source::new("a") }),
        target: Some(Target::default()),
        initial_delivery_count: Some(0),
        max_message_size: Some(1_048_576),
        desired_capabilities: vec![Symbol::from_static("c")],
        ..Attach::default()
    };
    let body = Performative::from(attach);
    // The quotes of the selector are written as numbers.
    let expected = "00 53 12 c0 [0e a1 01 'n' 52 01 41 50 01 50 01 \
         00 53 28 c0 [0b a1 01 'a' 43 40 43 42 40 40 \
         c1 [02 a3 21 'apache.org:selector-filter:string' \
         00 80 00 00 46 8c 00 00 00 04 a1 23 'amqp.annotation.x-opt-offset > ' 27 '-1' 27] \
         40 40 40] \
         00 53 29 c0 [07 40 43 40 43 42 40 40] \
         40 42 43 80 00 00 00 00 00 10 00 00 40 e0 04 01 a3 01 'c' 40]";
    assert_eq!(written(&body, FieldList::Full), bytes(expected));
    assert_eq!(Performative::decode(&bytes(expected)).unwrap().0, body);
}

#[test]
fn flow_of_both_sides() {
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 5000,
        next_outgoing_id: 1,
        outgoing_window: 5000,
        handle: Some(1),
        delivery_count: Some(0),
        link_credit: Some(1000),
        available: Some(0),
        ..Flow::default()
    };
    full(
        flow,
        "00 53 13 c0 [0b 43 70 00 00 13 88 52 01 70 00 00 13 88 52 01 43 70 00 00 03 e8 43 42 42 40]",
    );
    let session = Flow { incoming_window: 1, outgoing_window: u32::MAX, ..Flow::default() };
    trimmed(session, "00 53 13 c0 0a 04 40 52 01 43 70 ff ff ff ff");
}

#[test]
fn disposition_of_a_range() {
    let disposition = Disposition {
        role: Role::Receiver,
        first: 0,
        last: Some(0),
        settled: true,
        state: Some(DeliveryState::Accepted),
        batchable: false,
    };
    // With the frame's header it has the 23 bytes other clients were seen to take.
    assert_eq!(written(&disposition.clone().into(), FieldList::Full).len() + 8, 23);
    full(disposition.clone(), "00 53 15 c0 0a 06 41 43 43 41 00 53 24 45 42");
    trimmed(disposition, "00 53 15 c0 09 05 41 43 43 41 00 53 24 45");
}

#[test]
fn endings() {
    full(Detach { handle: 2, closed: true, error: None }, "00 53 16 c0 05 03 52 02 41 40");
    full(End { error: None }, "00 53 17 c0 02 01 40");
    full(Close { error: None }, "00 53 18 c0 02 01 40");
    trimmed(End { error: None }, "00 53 17 45");
    let error = AmqpError::new(condition::LINK_STOLEN, "new");
    full(
        Detach { handle: 2, closed: true, error: Some(error.clone()) },
        "00 53 16 c0 [03 52 02 41 00 53 1d c0 [03 a3 10 'amqp:link:stolen' a1 03 'new' 40]]",
    );
    trimmed(
        Close { error: Some(error) },
        "00 53 18 c0 [01 00 53 1d c0 [02 a3 10 'amqp:link:stolen' a1 03 'new']]",
    );
    // What the Python client sends to detach.
    let read = bytes("00 53 16 c0 06 03 52 02 56 01 40");
    assert_eq!(read.len() + 8, 19);
    let detach = Detach { handle: 2, closed: true, error: None };
    assert_eq!(Performative::decode(&read).unwrap().0, detach.into());
}

#[test]
fn transfer_heads() {
    let head = transfer::Head {
        handle: 1,
        delivery_id: Some(0),
        tag: &[0, 0, 0, 1],
        message_format: Some(0x8001_3700),
        settled: Some(false),
        more: false,
        aborted: false,
    };
    let mut out = BytesMut::new();
    transfer::write_head(&mut out, 1, &head, FieldList::Full, 4);
    let expected = "00 00 00 27 02 00 00 01 00 53 14 c0 [0b \
         52 01 43 a0 04 00 00 00 01 70 80 01 37 00 42 42 40 40 42 42 42]";
    assert_eq!(out, bytes(expected));
    out.extend_from_slice(b"data");
    assert_eq!(Header::decode(&out).unwrap().unwrap().size as usize, out.len());

    out.clear();
    let rest = transfer::Head { handle: 1, settled: Some(false), more: true, ..Default::default() };
    transfer::write_head(&mut out, 1, &rest, FieldList::Trimmed, 0);
    assert_eq!(out, bytes("00 00 00 15 02 00 00 01 00 53 14 c0 [06 52 01 40 40 40 42 41]"));
    out.clear();
    let aborted = transfer::Head { handle: 1, aborted: true, ..Default::default() };
    transfer::write_head(&mut out, 1, &aborted, FieldList::Trimmed, 0);
    let expected = "00 00 00 19 02 00 00 01 00 53 14 c0 [0a 52 01 40 40 40 40 42 40 40 42 41]";
    assert_eq!(out, bytes(expected));
    assert!(transfer::decode(&out, 8).unwrap().aborted);
}

#[test]
fn transfers_of_every_length_and_spelling() {
    let whole = Transfer {
        handle: 3,
        delivery_id: Some(300),
        delivery_tag: Some(Bytes::from_static(b"t")),
        message_format: Some(0),
        settled: Some(true),
        ..Transfer::default()
    };
    for text in [
        "00 53 14 c0 [05 52 03 70 00 00 01 2c a0 01 't' 43 41]",
        "00 53 14 c0 [05 70 00 00 00 03 70 00 00 01 2c a0 01 't' 43 41]",
        "00 53 14 c0 [06 52 03 70 00 00 01 2c a0 01 't' 43 41 40]",
        "00 53 14 c0 [06 52 03 70 00 00 01 2c a0 01 't' 43 41 56 00]",
        "00 53 14 d0 00 00 00 13 00 00 00 06 52 03 70 00 00 01 2c a0 01 't' 52 00 41 56 00",
        "00 80 00 00 00 00 00 00 00 14 c0 [06 52 03 70 00 00 01 2c a0 01 't' 43 41 42]",
        "00 a3 ['amqp:transfer:list'] c0 [06 52 03 70 00 00 01 2c a0 01 't' 43 41 42]",
        "00 53 14 c0 [0b 52 03 70 00 00 01 2c a0 01 't' 43 41 42 40 40 42 42 42]",
        "00 53 14 c0 [0b 52 03 70 00 00 01 2c a0 01 't' 43 41 40 40 40 40 40 40]",
        "00 53 14 c0 [0b 52 03 70 00 00 01 2c a0 01 't' 43 41 40 40 40 56 00 40 40]",
        "00 53 14 c0 [09 52 03 70 00 00 01 2c a0 01 't' 43 41 40 40 40 42]",
        // Two fields which later revisions may add.
        "00 53 14 c0 [0d 52 03 70 00 00 01 2c a0 01 't' 43 41 40 40 40 40 40 40 a1 00 52 09]",
        "00 53 14 c0 [06 52 03 70 00 00 01 2c b0 00 00 00 01 't' 70 00 00 00 00 41 56 00]",
    ] {
        let mut body = bytes(text);
        let len = body.len();
        body.extend(b"payload");
        let cold = Performative::decode(&body);
        assert_eq!(cold, Ok((whole.clone().into(), len)), "{text}");
        let view = transfer::decode(&body, 0).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(view.handle, 3);
        assert_eq!(view.delivery_id, Some(300));
        assert_eq!(&body[view.tag.0 as usize..][..usize::from(view.tag.1)], b"t");
        assert_eq!(view.message_format, Some(0));
        assert_eq!(view.settled, Some(true));
        assert!(!view.more && !view.aborted && !view.resume && !view.has_state);
        assert_eq!(view.payload as usize, len);
    }
}

#[test]
fn descriptors_in_three_spellings() {
    for descriptor in [
        "00 53 17",
        "00 80 00 00 00 00 00 00 00 17",
        "00 a3 0d 'amqp:end:list'",
        "00 b3 00 00 00 0d 'amqp:end:list'",
    ] {
        for list in ["45", "c0 01 00", "c0 02 01 40", "d0 00 00 00 04 00 00 00 00"] {
            let body = bytes(&format!("{descriptor} {list}"));
            let end = Performative::from(End { error: None });
            assert_eq!(Performative::decode(&body), Ok((end, body.len())), "{descriptor} {list}");
        }
    }
    let body = bytes("00 a3 ['amqp:sasl-init:list'] c0 06 01 a3 03 'ANY'");
    let init = sasl::Frame::decode(&body).unwrap();
    assert_eq!(init.name(), "sasl-init");
}

#[test]
fn symbols_alone_in_an_array_or_a_list() {
    for symbols in ["a3 01 'x'", "e0 04 01 a3 01 'x'", "c0 04 01 a3 01 'x'", "a1 01 'x'"] {
        let body = bytes(&format!("00 53 10 c0 [09 a1 01 'c' 40 40 40 40 40 40 40 {symbols}]"));
        let Ok((Performative::Open(open), _)) = Performative::decode(&body) else {
            panic!("{symbols} is not an open");
        };
        assert_eq!(open.desired_capabilities, [Symbol::from_static("x")], "{symbols}");
    }
}

#[test]
fn security_layer() {
    let check = |frame: sasl::Frame, fields: FieldList, expected: &str| {
        let mut out = BytesMut::new();
        frame.encode(fields, &mut out);
        assert_eq!(out, bytes(expected));
        assert_eq!(sasl::Frame::decode(&out), Ok(frame));
    };
    let mechanisms = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"].map(Symbol::from_static);
    let frame = sasl::Frame::Mechanisms(Mechanisms { mechanisms: mechanisms.to_vec() });
    check(
        frame.clone(),
        FieldList::Full,
        "00 53 40 c0 [01 e0 [04 a3 07 'MSSBCBS' 05 'PLAIN' 09 'ANONYMOUS' 08 'EXTERNAL']]",
    );
    let mut out = BytesMut::new();
    frame::write(&mut out, Kind::Sasl, 0, |out| frame.encode(FieldList::Full, out));
    assert_eq!(out[..8], bytes("00 00 00 33 02 01 00 00"));
    check(
        sasl::Frame::Init(Init {
            mechanism: Symbol::from_static("ANONYMOUS"),
            initial_response: Some(Bytes::new()),
            hostname: Some("localhost".into()),
        }),
        FieldList::Full,
        "00 53 41 c0 [03 a3 09 'ANONYMOUS' a0 00 a1 09 'localhost']",
    );
    check(
        sasl::Frame::Outcome(Outcome { code: Code::Ok, additional_data: None }),
        FieldList::Full,
        "00 53 44 c0 04 02 50 00 40",
    );
    check(
        sasl::Frame::Outcome(Outcome { code: Code::Auth, additional_data: None }),
        FieldList::Trimmed,
        "00 53 44 c0 03 01 50 01",
    );
    assert_eq!(ProtocolHeader::SASL.encode().to_vec(), bytes("'AMQP' 03 01 00 00"));
    assert_eq!(ProtocolHeader::AMQP.encode().to_vec(), bytes("'AMQP' 00 01 00 00"));
}
