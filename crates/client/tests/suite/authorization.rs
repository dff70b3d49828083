//! Who may do what: keys, rights, signatures, and hubs that do not exist.

use std::error::Error as _;
use std::time::Duration;

use eventhubs_client::{
    Error, ErrorKind, Hub, Operation, PartitionId, ReceiveOptions, SasKey, Timestamp,
};
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Rights, SasKey as EmulatorKey};

use crate::support::peer::{Peer, Reply};
use crate::support::{BOTH, CANARY, Fixture, HUB, Transport, bare, take, texts, within};

const MINUTE: Duration = Duration::from_secs(60);

/// The error of each thing that can be done with a hub.
async fn errors(hub: &Hub) -> Vec<Error> {
    let producer = hub.producer(PartitionId::from(0));
    vec![
        within(hub.send("x")).await.expect_err("refused"),
        within(hub.enqueue("x")).await.expect_err("refused"),
        within(producer.create_batch()).await.expect_err("refused"),
        within(hub.events(0, ReceiveOptions::default())).await.expect_err("refused"),
        within(hub.runtime_information()).await.expect_err("refused"),
        within(hub.partition_runtime_information(0)).await.expect_err("refused"),
    ]
}

fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(" {source} {source:?}"));
        next = source.source();
    }
    text
}

/// A connection string with another credential than the emulator's own.
pub(crate) fn with_credential(fixture: &Fixture, credential: &str) -> String {
    let own = format!("SharedAccessKeyName={DEFAULT_KEY_NAME};SharedAccessKey={DEFAULT_KEY}");
    let text = fixture.emulator.connection_string_for(HUB);
    assert!(text.contains(&own), "{text}");
    text.replace(&own, credential)
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_said_to_be() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        for credential in [
            format!("SharedAccessKeyName={DEFAULT_KEY_NAME};SharedAccessKey={CANARY}"),
            format!("SharedAccessKeyName=nobody;SharedAccessKey={CANARY}"),
        ] {
            let text = with_credential(&fixture, &credential);
            let hub = match transport {
                Transport::Tcp => {
                    Hub::from_connection_string_with(&text, None, bare()).expect("it is valid")
                }
                Transport::Memory => fixture.hub_from(&text),
            };
            for error in errors(&hub).await {
                assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
                assert_eq!(error.operation(), Operation::Authorize);
                assert_eq!(error.entity(), HUB);
                assert!(error.to_string().contains("401"), "{error}");
                assert!(!error.may_have_been_sent());
                let text = shown(&error).to_ascii_lowercase();
                assert!(!text.contains("canary") && !text.contains("sig="), "{text}");
            }
            within(hub.close()).await;
        }
        fixture.send(0, &["with the right key"]).await;
        assert_eq!(fixture.stored().await.iter().map(Vec::len).sum::<usize>(), 1);
    }
}

#[tokio::test]
async fn a_hub_that_does_not_exist_is_not_found() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let text = fixture.emulator.connection_string_for("nowhere");
        let hub = match transport {
            Transport::Tcp => Hub::from_connection_string(&text).expect("it is valid"),
            Transport::Memory => fixture.hub_from(&text),
        };
        for error in errors(&hub).await {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("nowhere"), "{error}");
            assert!(!error.is_retryable() && !error.may_have_been_sent());
        }
    }
}

#[tokio::test]
async fn a_key_may_do_what_its_rights_say() {
    let config = Config::default()
        .with_sas_key(EmulatorKey::new(DEFAULT_KEY_NAME, DEFAULT_KEY))
        .with_sas_key(EmulatorKey::new("reader", "k1").with_rights(Rights::LISTEN))
        .with_sas_key(EmulatorKey::new("writer", "k2").with_rights(Rights::SEND));
    let fixture = Fixture::with_config(config).await;
    let hub_of = |name, key| {
        let credential = format!("SharedAccessKeyName={name};SharedAccessKey={key}");
        fixture.hub_from(&with_credential(&fixture, &credential))
    };
    let writer = hub_of("writer", "k2");
    within(writer.producer(PartitionId::from(0)).send("written")).await.expect("accepted");
    within(writer.runtime_information()).await.expect("any right will do");
    let error = within(writer.events(0, ReceiveOptions::default())).await.expect_err("may not");
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Unauthorized, Operation::AttachConsumer)
    );

    let reader = hub_of("reader", "k1");
    let mut stream =
        within(reader.events(0, ReceiveOptions::default())).await.expect("it may listen");
    assert_eq!(texts(&take(&mut stream, 1).await), ["written"]);
    let error = within(reader.send("x")).await.expect_err("may not");
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Unauthorized, Operation::AttachProducer)
    );
    assert!(!error.may_have_been_sent());
    assert_eq!(texts(&fixture.stored_in(0).await), ["written"]);
}

#[tokio::test]
async fn a_signature_serves_until_it_ends() {
    let fixture = Fixture::memory().await;
    let key = SasKey::new(DEFAULT_KEY_NAME, DEFAULT_KEY).expect("it is valid");
    let signed = |expires| {
        let token = key.sign("amqps://localhost/hub", expires);
        let credential = format!("SharedAccessSignature={}", token.secret().expose());
        fixture.hub_from(&with_credential(&fixture, &credential))
    };
    let hub = signed(Timestamp::from_millis(4_102_444_800_000));
    within(hub.producer(PartitionId::from(0)).send("signed")).await.expect("accepted");
    assert_eq!(texts(&fixture.stored_in(0).await), ["signed"]);

    let ended = signed(Timestamp::from_millis(1_500_000_000_000));
    for error in errors(&ended).await {
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(error.to_string().contains("2017-07-14"), "it says when it ended: {error}");
        assert!(!shown(&error).contains("sig="), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_signs_anew_after_half_an_hour() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, wire) = peer.hub(bare());
    let mut stream = hub.events(0, ReceiveOptions::default()).await.expect("attached");
    let quiet = tokio::time::timeout(5 * 60 * MINUTE, stream.next()).await;
    assert!(quiet.is_err(), "the stream has ended: {quiet:?}");
    let puts = peer.puts();
    assert!((10..=11).contains(&puts.len()), "{} in five hours", puts.len());
    for pair in puts.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!((28 * MINUTE..=30 * MINUTE + MINUTE / 60).contains(&between), "{between:?}");
    }
    assert_eq!(wire.dials(), 1);
}
