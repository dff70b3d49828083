//! Requests as they go out, answers in every spelling they come in.

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, MessageId, Properties};
use eventhubs_amqp::codec::{Map, Symbol, Value};
use eventhubs_protocol::cbs::{self, TokenKind};
use eventhubs_protocol::management;
use eventhubs_protocol::rpc::{Answer, AnswerError, RequestId};
use eventhubs_protocol::{
    HubName, HubProperties, PartitionId, PartitionProperties, SequenceNumber, Timestamp,
};
use proptest::prelude::*;

fn hub() -> HubName {
    HubName::new("hub").expect("a name")
}

fn wire(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// An answer with these application properties and this body.
fn answer(properties: Map, body: Body) -> Answer {
    let correlated =
        Properties { correlation_id: Some(MessageId::Ulong(1)), ..Properties::default() };
    let message = Message {
        properties: Some(correlated),
        application_properties: properties,
        body,
        ..Message::default()
    };
    Answer::read(&wire(&message)).expect("a message")
}

fn accepted(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Answer {
    let map = fields.into_iter().collect::<Map>();
    let status = [("status-code", Value::Int(200))].into_iter().collect();
    answer(status, Body::Value(Value::Map(map)))
}

#[test]
fn put_token_by_hand() {
    let request = cbs::put_token(
        RequestId::FIRST,
        "me",
        "amqps://h/hub",
        TokenKind::Sas,
        "token",
        Timestamp::from_millis(1_000),
    );
    let expected: &[u8] = b"\x00\x53\x73\xc0\x0a\x05\x53\x01\x40\x40\x40\xa1\x02me\
        \x00\x53\x74\xc1\x68\x08\
        \xa1\x09operation\xa1\x09put-token\
        \xa1\x04type\xa1\x1fservicebus.windows.net:sastoken\
        \xa1\x04name\xa1\x0damqps://h/hub\
        \xa1\x0aexpiration\x83\x00\x00\x00\x00\x00\x00\x03\xe8\
        \x00\x53\x77\xa1\x05token";
    assert_eq!(&request[..], expected);
}

#[test]
fn a_web_token_is_called_jwt() {
    let request =
        cbs::put_token(RequestId::FIRST, "me", "a", TokenKind::Jwt, "t", Timestamp::UNIX_EPOCH);
    let message = Message::decode(&request).expect("a message");
    assert_eq!(message.application_properties.get("type"), Some(&Value::from("jwt")));
}

#[test]
fn management_requests() {
    let request = management::read_hub(RequestId::FIRST, "me", &hub(), None);
    let message = Message::decode(&request).expect("a message");
    let properties = message.properties.expect("properties");
    assert_eq!(properties.message_id, Some(MessageId::Ulong(1)));
    assert_eq!(properties.to, None, "the link says where to");
    assert_eq!(properties.reply_to.as_deref(), Some("me"));
    let expected: Map =
        [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", "hub")]
            .into_iter()
            .collect();
    assert_eq!(message.application_properties, expected);

    let next = RequestId::FIRST.next();
    let request = management::read_partition(next, "me", &hub(), 3.into(), Some("token"));
    let message = Message::decode(&request).expect("a message");
    let properties = message.properties.expect("properties");
    assert_eq!(properties.message_id, Some(MessageId::Ulong(2)));
    let map = message.application_properties;
    assert_eq!(map.get("type"), Some(&Value::from("com.microsoft:partition")));
    assert_eq!(map.get("partition"), Some(&Value::from("3")));
    assert_eq!(map.get("security_token"), Some(&Value::from("token")));
}

#[test]
fn status_in_every_spelling() {
    let codes = [
        Value::Int(202),
        Value::Uint(202),
        Value::Long(202),
        Value::Ushort(202),
        Value::Ulong(202),
    ];
    for name in ["status-code", "statusCode"] {
        for code in codes.clone() {
            let map = [(name, code)].into_iter().collect();
            assert_eq!(cbs::read_answer(answer(map, Body::Value(Value::Null))), Ok(()));
        }
    }
    // Nothing at all in the body is as good as null.
    let map = [("status-code", Value::Int(200))].into_iter().collect();
    assert_eq!(cbs::read_answer(answer(map, Body::Empty)), Ok(()));
}

#[test]
fn refusals() {
    for (code_name, text_name) in
        [("status-code", "status-description"), ("statusCode", "statusDescription")]
    {
        let map: Map = [(code_name, Value::Int(401)), (text_name, Value::from("ExpiredToken"))]
            .into_iter()
            .collect();
        let Err(AnswerError::Refused(refusal)) = cbs::read_answer(answer(map, Body::Empty)) else {
            panic!("refused");
        };
        assert_eq!(refusal.status, 401);
        assert_eq!(refusal.condition, "amqp:unauthorized-access");
        assert_eq!(refusal.description, "ExpiredToken");
    }
    // A condition of its own goes before the one the code stands for.
    for condition in
        [Value::Symbol(Symbol::from_static("amqp:not-allowed")), Value::from("amqp:not-allowed")]
    {
        let map: Map = [("status-code", Value::Int(404)), ("error-condition", condition)]
            .into_iter()
            .collect();
        let Err(AnswerError::Refused(refusal)) = cbs::read_answer(answer(map, Body::Empty)) else {
            panic!("refused");
        };
        assert_eq!(refusal.condition, "amqp:not-allowed");
    }
}

#[test]
fn answers_without_a_usable_status() {
    let text = [("status-code", Value::from("200"))].into_iter().collect();
    for map in [Map::new(), text] {
        let error = cbs::read_answer(answer(map, Body::Empty));
        assert_eq!(error, Err(AnswerError::Field("status-code")));
    }
    assert!(Answer::read(&Bytes::from_static(b"\x00\x53")).is_err());
}

#[test]
fn correlation_ids() {
    let read = |id: Option<MessageId>| {
        let properties = Properties { correlation_id: id, ..Properties::default() };
        let message = Message { properties: Some(properties), ..Message::default() };
        Answer::read(&wire(&message)).expect("a message").request()
    };
    assert_eq!(read(Some(MessageId::Ulong(1))), Some(RequestId::FIRST));
    assert_eq!(read(Some(MessageId::String("2".to_owned()))), Some(RequestId::FIRST.next()));
    assert_eq!(read(Some(MessageId::String("x".to_owned()))), None);
    assert_eq!(read(Some(MessageId::Uuid([0; 16]))), None);
    assert_eq!(read(None), None);
}

#[test]
fn hub_properties() {
    let ids = vec![Value::from("0"), Value::from("1")];
    for ids in [Value::Array(ids.clone()), Value::List(ids)] {
        let properties = HubProperties::read(accepted([
            ("name", Value::from("Hub")),
            ("type", Value::from("com.microsoft:eventhub")),
            ("created_at", Value::Timestamp(5)),
            ("partition_count", Value::Int(2)),
            ("partition_ids", ids),
            ("georeplication_factor", Value::Int(3)),
        ]))
        .expect("whole");
        assert_eq!(properties.name, "Hub");
        assert_eq!(properties.created_at, Some(Timestamp::from_millis(5)));
        assert_eq!(properties.partition_ids, [PartitionId::from(0), PartitionId::from(1)]);
        assert_eq!(properties.georeplication_factor, 3);
    }
}

#[test]
fn hub_properties_as_far_as_they_go() {
    let by_count = HubProperties::read(accepted([("partition_count", Value::Int(3))]));
    let by_count = by_count.expect("the number is enough");
    assert_eq!(by_count.partition_ids.len(), 3);
    assert_eq!((by_count.name.as_str(), by_count.created_at), ("", None));
    assert_eq!(by_count.georeplication_factor, 0);

    let single = HubProperties::read(accepted([("partition_ids", Value::from("0"))]));
    assert_eq!(single.expect("one").partition_ids, [PartitionId::from(0)]);

    let wrong = Err(AnswerError::Field("partition_ids"));
    assert_eq!(HubProperties::read(accepted([])), wrong);
    assert_eq!(HubProperties::read(accepted([("partition_count", Value::Int(-1))])), wrong);
    assert_eq!(HubProperties::read(accepted([("partition_count", Value::Int(i32::MAX))])), wrong);
    let bad = Value::List(vec![Value::from("zero")]);
    assert_eq!(HubProperties::read(accepted([("partition_ids", bad)])), wrong);

    let status: Map = [("status-code", Value::Int(200))].into_iter().collect();
    let no_map = HubProperties::read(answer(status, Body::Value(Value::Null)));
    assert_eq!(no_map, Err(AnswerError::Field("body")));
}

#[test]
fn partition_properties() {
    let properties = PartitionProperties::read(accepted([
        ("name", Value::from("hub")),
        ("partition", Value::from("3")),
        ("begin_sequence_number", Value::Long(10)),
        ("last_enqueued_sequence_number", Value::Long(20)),
        ("last_enqueued_offset", Value::from("4294967296:8")),
        ("last_enqueued_time_utc", Value::Timestamp(7)),
        ("is_partition_empty", Value::Bool(false)),
        ("last_enqueued_sequence_number_epoch", Value::Int(-1)),
    ]))
    .expect("whole");
    assert_eq!(properties.partition_id, PartitionId::from(3));
    assert_eq!(properties.begin_sequence_number, SequenceNumber::from(10));
    assert_eq!(properties.last_enqueued_sequence_number, SequenceNumber::from(20));
    let offset = properties.last_enqueued_offset.expect("there is one");
    assert_eq!(offset.as_str(), "4294967296:8");
    assert_eq!(properties.last_enqueued_time, Some(Timestamp::from_millis(7)));
    assert!(!properties.is_empty);
}

#[test]
fn a_partition_nothing_was_written_to() {
    let never = PartitionProperties::read(accepted([
        ("partition", Value::from("0")),
        ("begin_sequence_number", Value::Long(0)),
        ("last_enqueued_sequence_number", Value::Long(-1)),
        ("last_enqueued_offset", Value::from("-1")),
        ("last_enqueued_time_utc", Value::Timestamp(-62_135_596_800_000)),
    ]))
    .expect("whole");
    assert_eq!(never.last_enqueued_sequence_number, SequenceNumber::BEFORE_FIRST);
    assert_eq!((never.last_enqueued_offset, never.last_enqueued_time), (None, None));
    assert!(never.is_empty);

    let missing = accepted([("last_enqueued_sequence_number", Value::Long(-1))]);
    assert_eq!(PartitionProperties::read(missing), Err(AnswerError::Field("partition")));
    let missing = accepted([("partition", Value::from("0"))]);
    let field = AnswerError::Field("last_enqueued_sequence_number");
    assert_eq!(PartitionProperties::read(missing), Err(field));
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(answer) = Answer::read(&Bytes::from(bytes)) {
            let _ = HubProperties::read(answer.clone());
            let _ = PartitionProperties::read(answer);
        }
    }

    #[test]
    fn any_body_is_read_or_refused(body in crate::strategy::value(), name in "[a-z_]{0,8}") {
        let fields = ["partition_ids", "partition", "name", "last_enqueued_sequence_number"];
        let mut map: Map = fields.into_iter().map(|name| (name, body.clone())).collect();
        map.push(name, body);
        let status: Map = [("status-code", Value::Int(200))].into_iter().collect();
        let answer = answer(status, Body::Value(Value::Map(map)));
        let _ = HubProperties::read(answer.clone());
        let _ = PartitionProperties::read(answer);
    }
}
