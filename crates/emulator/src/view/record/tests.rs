use bytes::{BufMut, Bytes, BytesMut};
use eventhubs_amqp::codec::frame::{self, Kind};
use eventhubs_amqp::codec::performative::{Attach, Performative, Role, Transfer};
use eventhubs_amqp::codec::{FieldList, Target, Value};
use eventhubs_amqp::engine::Sasl;
use proptest::prelude::*;

use super::frames::Frames;
use super::*;
use crate::config::Config;
use crate::names::{BATCH_FORMAT, request};
use crate::namespace::Namespace;
use crate::rules::token::sign;
use crate::wire::{LATER, Wire, batch, event};

const KEY: &str = "hidden-key-value";

/// What a client writes that does a bit of everything, its token, and its key by SASL.
fn client(sasl: Sasl) -> (Vec<u8>, String) {
    let config = Config::default().with_key("RootManageSharedAccessKey", KEY);
    let mut wire = Wire::with_sasl(&Arc::new(Namespace::new(&config)), sasl);
    let token = sign("sb://h", "RootManageSharedAccessKey", KEY, LATER);
    assert_eq!(wire.put_token("sb://h", &token).0, 202);
    let sender = wire.sender("hub/Partitions/1").unwrap();
    wire.send(sender, event("a body", Some("a key")), 0);
    let (payload, format) = batch(&["one", "two"], None);
    wire.send(sender, payload, format);
    (std::mem::take(&mut wire.written), token)
}

/// The record of what was written, read in pieces of these sizes.
fn record_in(bytes: &[u8], sizes: &[usize]) -> Json {
    let record = Record::new(true);
    let mut frames = Frames::new(record.begin(3, None).unwrap());
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        frames.feed(piece);
        rest = more;
    }
    serde_json::from_str(&record.to_json(None)).unwrap()
}

fn record(bytes: &[u8]) -> Vec<Json> {
    let told = record_in(bytes, &[usize::MAX]);
    told["connections"][0]["frames"].as_array().unwrap().clone()
}

/// The frames that have this performative.
fn find<'a>(frames: &'a [Json], name: &str) -> Vec<&'a Json> {
    frames.iter().filter(|frame| !frame[name].is_null()).collect()
}

#[tokio::test(start_paused = true)]
async fn performatives_and_messages_have_names_and_types() {
    let (bytes, token) = client(Sasl::Anonymous);
    let frames = record(&bytes);
    assert_eq!(frames[0], json!({ "protocol-header": [3, 1, 0, 0] }));
    let open = find(&frames, "open");
    assert_eq!(open[0]["open"]["container-id"], json!({ "string": "client" }));
    assert_eq!(open[0]["fields"], 5, "as it was written, without the nulls at the end");
    let attach = find(&frames, "attach");
    let producer = attach.last().unwrap();
    assert_eq!(
        producer["attach"]["target"],
        json!({ "target": { "address": { "string": "hub/Partitions/1" } } })
    );
    assert_eq!(producer["attach"]["role"], json!({ "boolean": false }));
    let transfers = find(&frames, "transfer");
    let put = &transfers[0]["message"];
    assert_eq!(transfers[0]["address"], "$cbs");
    assert_eq!(put["amqp-value"], json!({ "string": { "bytes": token.len() } }));
    let operation = json!([{ "string": "operation" }, { "string": "put-token" }]);
    assert!(put["application-properties"].as_array().unwrap().contains(&operation), "{put}");
    let single = &transfers[1];
    assert_eq!(single["address"], "hub/Partitions/1");
    assert_eq!(single["transfer"]["message-format"], json!({ "uint": 0 }));
    assert_eq!(single["message"]["data"], json!({ "binary": { "bytes": 6 } }));
    assert_eq!(
        single["message"]["message-annotations"],
        json!([[{ "symbol": "x-opt-partition-key" }, { "string": "a key" }]])
    );
    let batch = &transfers[2];
    assert_eq!(batch["transfer"]["message-format"], json!({ "uint": BATCH_FORMAT }));
    assert_eq!(batch["message"]["sections"], json!(["data", "data"]));
    assert_eq!(batch["message"]["events"].as_array().unwrap().len(), 2);
    assert_eq!(batch["message"]["events"][1]["sections"], json!(["data"]));
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_told() {
    let plain = Sasl::Plain { user: "RootManageSharedAccessKey".into(), password: KEY.into() };
    for sasl in [Sasl::Anonymous, plain] {
        let (bytes, token) = client(sasl);
        let told = record_in(&bytes, &[usize::MAX]).to_string();
        let hidden_in_hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
        for secret in [KEY, hidden_in_hex.as_str(), "SharedAccessSignature", token.as_str()] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
    let mut map = eventhubs_amqp::codec::Map::new();
    map.insert(request::SECURITY_TOKEN, "secret");
    map.insert("name", "hub");
    let told = value::typed(&Value::Map(map), value::Show::Values).to_string();
    assert!(!told.contains("secret\"") && told.contains("{\"bytes\":6}"), "{told}");
    assert!(told.contains("{\"string\":\"hub\"}"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn how_it_is_read_changes_nothing(sizes in prop::collection::vec(1..200_usize, 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        let (bytes, _) = client(Sasl::Anonymous);
        prop_assert_eq!(record_in(&bytes, &sizes), record_in(&bytes, &[usize::MAX]));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        sizes in prop::collection::vec(1..50_usize, 1..5),
    ) {
        record_in(&bytes, &sizes);
        let mut framed = BytesMut::new();
        frame::write(&mut framed, Kind::Amqp, 0, |out| out.put_slice(&bytes));
        record_in(&framed, &sizes);
    }
}

/// A frame with this performative and payload.
fn framed(performative: impl Into<Performative>, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::write(&mut out, Kind::Amqp, 0, |out| {
        performative.into().encode(FieldList::Trimmed, out);
        out.put_slice(payload);
    });
    out.to_vec()
}

fn attach(handle: u32) -> Attach {
    Attach {
        name: "link".into(),
        handle,
        role: Role::Sender,
        target: Some(Target { address: Some("hub".into()), ..Target::default() }),
        ..Attach::default()
    }
}

#[test]
fn a_message_in_many_frames_is_told_once() {
    let message = event(&"x".repeat(1000), None);
    let mut bytes = framed(attach(0), &[]);
    let mut pieces = message.chunks(100).peekable();
    while let Some(piece) = pieces.next() {
        let transfer = Transfer { more: pieces.peek().is_some(), ..Transfer::default() };
        bytes.extend(framed(transfer, piece));
    }
    let frames = record(&bytes);
    let told = find(&frames, "message");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["message"]["data"], json!({ "binary": { "bytes": 1000 } }));
    assert_eq!(told[0]["message-bytes"], message.len());
    let aborted = Transfer { aborted: true, ..Transfer::default() };
    bytes.extend(framed(Transfer { more: true, ..Transfer::default() }, &message));
    bytes.extend(framed(aborted, &[]));
    bytes.extend(framed(Transfer::default(), &message));
    assert_eq!(find(&record(&bytes), "message").len(), 2, "an aborted one is forgotten");
}

#[test]
fn unfinished_messages_are_bounded() {
    let record = Record::new(true);
    let mut frames = Frames::new(record.begin(1, None).unwrap());
    let payload = vec![0; 60_000];
    for handle in 0..100 {
        frames.feed(&framed(attach(handle), &[]));
        let transfer = Transfer { handle, more: true, ..Transfer::default() };
        frames.feed(&framed(transfer, &payload));
    }
    assert!(frames.held_bytes() <= 1 << 20, "{}", frames.held_bytes());
}

#[test]
fn what_are_no_frames_ends_a_record() {
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 4, 2, 0, 0, 0], &[9; 64]] {
        let told = record_in(bytes, &[usize::MAX]);
        assert!(told["connections"][0]["stopped"].is_string(), "{told}");
    }
}

#[test]
fn records_are_bounded() {
    let record = Record::new(true);
    let page = record.begin(1, None).unwrap();
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let fill = |page: Page| (0..3).for_each(|_| page.entry.lock().add(long.clone()));
    fill(page);
    let told: Json = serde_json::from_str(&record.to_json(Some(1))).unwrap();
    assert_eq!(told["connections"][0]["stopped"], "full");
    assert!(record.to_json(None).len() <= CONNECTION_BYTES_MAX + 1000);
    for number in 2..100 {
        fill(record.begin(number, None).unwrap());
    }
    assert!(record.to_json(None).len() <= RECORD_BYTES_MAX + 100_000);
    assert!(record.to_json(Some(1)).ends_with("\"connections\":[]}"), "the oldest went");
    assert!(record.to_json(Some(99)).contains("\"number\":99"));
    for number in 100..3000 {
        record.begin(number, None).unwrap();
    }
    assert!(record.to_json(None).matches("\"number\"").count() <= CONNECTIONS_MAX);
}

#[test]
fn only_what_begins_while_it_is_on_is_recorded() {
    let record = Record::new(false);
    assert!(record.begin(1, None).is_none());
    record.switch(true);
    let page = record.begin(2, None).unwrap();
    record.switch(false);
    page.add(&json!({ "open": {} }));
    assert!(record.begin(3, None).is_none());
    assert!(record.to_json(None).contains("\"open\""), "one that has begun goes on");
    record.clear();
    assert_eq!(record.to_json(None), "{\"recording\":false,\"connections\":[]}");
}

#[test]
fn every_type_has_its_name() {
    let told = |value: Value| value::typed(&value, value::Show::Values).to_string();
    assert_eq!(told(Value::Ulong(u64::MAX)), "{\"ulong\":18446744073709551615}");
    assert_eq!(told(Value::Uuid([1; 16])), format!("{{\"uuid\":\"{}\"}}", "01".repeat(16)));
    assert_eq!(told(Value::Binary(Bytes::from_static(b"ab"))), "{\"binary\":\"6162\"}");
    assert_eq!(told(Value::from(&[0; 65][..])), "{\"binary\":{\"bytes\":65}}");
    let filter = Value::described(Value::Ulong(0x0000_468C_0000_0004), "x > '1'");
    assert_eq!(
        told(filter),
        "{\"described\":{\"descriptor\":{\"ulong\":77567109365764},\
         \"value\":{\"string\":\"x > '1'\"}}}"
    );
    let accepted = Value::described(Value::symbol("amqp:accepted:list"), Vec::<Value>::new());
    assert_eq!(told(accepted), "{\"accepted\":{}}");
}
