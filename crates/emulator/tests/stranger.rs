//! The emulator against a client that shares no code with it: fe2o3-amqp.

use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator};
use fe2o3_amqp::link::{Receiver, Sender};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::Session;
use fe2o3_amqp::types::messaging::{Body, Message, Source};
use fe2o3_amqp::types::primitives::{Binary, Symbol, Value};
use fe2o3_amqp::{Connection, connection::ConnectionHandle};

const EVENTS: usize = 2_000;
const SELECTOR: &str = "apache.org:selector-filter:string";

async fn dial(emulator: &Emulator) -> ConnectionHandle<()> {
    let address = emulator.addresses()[0];
    Connection::builder()
        .container_id("stranger")
        .sasl_profile(SaslProfile::Plain {
            username: DEFAULT_KEY_NAME.into(),
            password: DEFAULT_KEY.into(),
        })
        .open(format!("amqp://{address}").as_str())
        .await
        .expect("the emulator answers")
}

fn source(address: &str, selector: &str) -> Source {
    Source::builder()
        .address(address)
        .add_to_filter_using_legacy_format(Symbol::from(SELECTOR), Value::String(selector.into()))
        .build()
}

#[tokio::test]
async fn a_stranger_sends_and_receives() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let mut connection = dial(&emulator).await;
    let mut session = Session::begin(&mut connection).await.unwrap();
    let mut sender = Sender::attach(&mut session, "s", "hub/Partitions/0").await.unwrap();
    for number in 0..EVENTS {
        let message =
            Message::builder().data(Binary::from(number.to_string().into_bytes())).build();
        let outcome = sender.send(message).await.unwrap();
        assert!(outcome.is_accepted(), "{outcome:?}");
    }
    let big = vec![7; 900_000];
    let message = Message::builder().data(Binary::from(big.clone())).build();
    assert!(sender.send(message).await.unwrap().is_accepted());

    let address = "amqps://anything:5671/hub/ConsumerGroups/$Default/Partitions/0";
    let mut receiver = Receiver::builder()
        .name("r")
        .source(source(address, "amqp.annotation.x-opt-sequence-number >= '10'"))
        .attach(&mut session)
        .await
        .unwrap();
    for number in 10..=EVENTS {
        let delivery = receiver.recv::<Body<Value>>().await.unwrap();
        receiver.accept(&delivery).await.unwrap();
        let annotations = delivery.message().message_annotations.as_ref().unwrap();
        let (_, sequence) = annotations
            .iter()
            .find(|(key, _)| format!("{key:?}").contains("x-opt-sequence-number\""))
            .unwrap();
        assert_eq!(*sequence, Value::Long(number as i64));
        let Body::Data(sections) = delivery.body() else { panic!("{:?}", delivery.body()) };
        let body: Vec<u8> = sections.iter().flat_map(|section| section.0.to_vec()).collect();
        let expected = if number == EVENTS { big.clone() } else { number.to_string().into_bytes() };
        assert_eq!(body, expected);
    }
    receiver.close().await.unwrap();
    sender.close().await.unwrap();
    session.end().await.unwrap();
    connection.close().await.unwrap();
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_stranger_is_told_what_does_not_exist() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let mut connection = dial(&emulator).await;
    let mut session = Session::begin(&mut connection).await.unwrap();
    let error = Sender::attach(&mut session, "s", "nohub").await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("NotFound") && text.contains("could not be found"), "{text}");
    // The client ends the session itself when a link of it is refused.
    let _ = session.end().await;
    let mut session = Session::begin(&mut connection).await.unwrap();
    let mut sender = Sender::attach(&mut session, "t", "hub").await.unwrap();
    let message = Message::builder().data(Binary::from(&b"still alive"[..])).build();
    assert!(sender.send(message).await.unwrap().is_accepted());
    connection.close().await.unwrap();
}
