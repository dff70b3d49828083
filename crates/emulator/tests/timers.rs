//! The service's time-outs on a running emulator, on the paused clock: nothing but the passing of
//! time brings them about.

use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, condition};
use eventhubs_amqp::engine::{CloseReason, Options, Sasl};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, LinkClosed, ReceiverOptions, SenderOptions,
};
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, Timers};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// What a time-out may be late by: timers tick in milliseconds.
const LATE: Duration = Duration::from_millis(50);
/// What it may be early by: times of the service are whole milliseconds.
const EARLY: Duration = Duration::from_millis(50);

async fn emulator(config: Config) -> Emulator {
    Emulator::start(config.in_memory()).await.expect("no port is needed")
}

async fn dial(emulator: &Emulator, sasl: Sasl) -> Connection {
    let options = ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("test") });
    Connection::dial_over(emulator.connect_memory(), options).await.expect("the emulator answers")
}

fn plain() -> Sasl {
    Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() }
}

async fn closed(connection: &Connection) -> AmqpError {
    match connection.closed().await {
        CloseReason::Remote(Some(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn assert_took(taken: Duration, expected: Duration) {
    assert!(taken + EARLY >= expected && taken <= expected + LATE, "{taken:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_proves_nothing_ends_after_twenty_seconds() {
    let emulator = emulator(Config::default()).await;
    let start = Instant::now();
    let connection = dial(&emulator, Sasl::Anonymous).await;
    assert_eq!(closed(&connection).await.condition, condition::CONNECTION_FORCED);
    assert_took(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_links_ends_by_itself() {
    let emulator = emulator(Config::default()).await;
    let start = Instant::now();
    let idle = dial(&emulator, plain()).await;
    let used = dial(&emulator, plain()).await;
    let sender = used.sender(SenderOptions::to("hub")).await.expect("a sender");
    let text = closed(&idle).await.description.unwrap_or_default();
    assert!(text.contains("60000 milliseconds") && text.contains("'LinkTracker'"), "{text}");
    assert_took(start.elapsed(), MINUTE);
    sender.detach().await;
    let start = Instant::now();
    let text = closed(&used).await.description.unwrap_or_default();
    assert!(text.contains("300000 milliseconds"), "{text}");
    assert_took(start.elapsed(), 5 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_ends_and_its_connection_after_it() {
    let emulator = emulator(Config::default()).await;
    let connection = dial(&emulator, plain()).await;
    let start = Instant::now();
    let sender = connection.sender(SenderOptions::to("hub")).await.expect("a sender");
    let LinkClosed::Remote(Some(error)) = sender.closed().await else { panic!("no reason") };
    assert_eq!(error.condition, condition::DETACH_FORCED);
    assert_took(start.elapsed(), 30 * MINUTE);
    closed(&connection).await;
    assert_took(start.elapsed(), 35 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_with_credit_waits_as_long_as_it_likes() {
    let emulator = emulator(Config::default()).await;
    let connection = dial(&emulator, plain()).await;
    let source = "hub/ConsumerGroups/$Default/Partitions/0";
    let mut receiver = connection.receiver(ReceiverOptions::from(source)).await.expect("one");
    let waited = tokio::time::timeout(48 * 60 * MINUTE, receiver.recv()).await;
    assert!(waited.is_err(), "two days: {waited:?}");
    assert!(connection.close_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn moving_the_clock_is_enough() {
    let timers = Timers { idle_link: Duration::from_secs(3600), ..Timers::NEVER };
    let emulator = emulator(Config::default().with_timers(timers)).await;
    let connection = dial(&emulator, plain()).await;
    let sender = connection.sender(SenderOptions::to("hub")).await.expect("a sender");
    let start = Instant::now();
    emulator.advance_clock(59 * MINUTE);
    tokio::task::yield_now().await;
    assert!(sender.close_reason().is_none());
    emulator.advance_clock(MINUTE);
    sender.closed().await;
    assert!(start.elapsed() < MINUTE / 60, "the runtime's clock stood still");
    assert!(connection.close_reason().is_none(), "the other times never come");
}
