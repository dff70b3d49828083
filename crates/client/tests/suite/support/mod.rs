//! What many tests begin with: an emulator, a hub on it, and events read back.

pub(crate) mod peer;
#[cfg(feature = "tls-aws-lc-rs")]
pub(crate) mod tls;
pub(crate) mod wire;
pub(crate) mod world;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_client::message::{Body, Message};
use eventhubs_client::{
    Error, EventStream, Hub, HubOptions, PartitionId, ReceiveOptions, ReceivedEvent, RetryOptions,
    Statistics, Stream,
};
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator, HubConfig};
use tokio::runtime::Handle;

use self::wire::Wire;

/// Name of the hub of every fixture.
pub(crate) const HUB: &str = DEFAULT_HUB;
/// A consumer group of it besides `$Default`.
pub(crate) const SECOND_GROUP: &str = "second";
/// Its partitions.
pub(crate) const PARTITIONS: u16 = 4;
/// A key that must not be seen anywhere.
pub(crate) const CANARY: &str = "CANARYcanary0123456789==";

/// How the hub reaches the emulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transport {
    Tcp,
    Memory,
}

/// Both of them.
pub(crate) const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Memory];

/// Default options, and no second try of anything: what a single try does is seen as it is.
pub(crate) fn bare() -> HubOptions {
    HubOptions::default().with_retry(RetryOptions::none())
}

/// An emulator and a hub on it.
pub(crate) struct Fixture {
    pub(crate) emulator: Arc<Emulator>,
    /// What connects the hub, except over TCP.
    pub(crate) wire: Arc<Wire>,
    pub(crate) hub: Hub,
    /// Retries of its streams.
    pub(crate) retry: RetryOptions,
}

impl Fixture {
    /// In memory, with the defaults of everybody: what fails is tried again.
    pub(crate) async fn recovering() -> Self {
        Self::recovering_with(Config::default(), HubOptions::default()).await
    }

    /// In memory, with defaults and without retries.
    pub(crate) async fn memory() -> Self {
        Self::with(Transport::Memory, Config::default(), bare()).await
    }

    pub(crate) async fn recovering_with(config: Config, options: HubOptions) -> Self {
        let fixture = Self::with(Transport::Memory, config, options).await;
        Self { retry: RetryOptions::unlimited(), ..fixture }
    }

    pub(crate) async fn on(transport: Transport) -> Self {
        Self::with(transport, Config::default(), bare()).await
    }

    pub(crate) async fn with_config(config: Config) -> Self {
        Self::with(Transport::Memory, config, bare()).await
    }

    pub(crate) async fn with_options(options: HubOptions) -> Self {
        Self::with(Transport::Memory, Config::default(), options).await
    }

    pub(crate) async fn with(transport: Transport, config: Config, options: HubOptions) -> Self {
        let hub = HubConfig::new(HUB, u32::from(PARTITIONS)).with_consumer_group(SECOND_GROUP);
        let config = config.with_hub_config(hub);
        let config = if transport == Transport::Memory { config.in_memory() } else { config };
        let emulator = Arc::new(Emulator::start(config).await.expect("a free port"));
        let dialled = Arc::clone(&emulator);
        let wire = Wire::new(move || Ok(Box::new(dialled.connect_memory()) as Box<dyn Stream>));
        let options = match transport {
            Transport::Tcp => options,
            Transport::Memory => options.with_connector(wire.connector()),
        };
        let text = emulator.connection_string_for(HUB);
        let hub = Hub::from_connection_string_with(&text, None, options).expect("it is valid");
        Self { emulator, wire, hub, retry: RetryOptions::none() }
    }

    /// Another hub on the same emulator, in memory, from the connection string `text`.
    pub(crate) fn hub_from(&self, text: &str) -> Hub {
        let options = bare().with_connector(self.wire.connector());
        Hub::from_connection_string_with(text, None, options).expect("it is valid")
    }

    /// Every event of one partition, oldest first.
    pub(crate) async fn stored_in(&self, partition: u16) -> Vec<ReceivedEvent> {
        let information =
            within(self.hub.partition_runtime_information(partition)).await.expect("answered");
        if information.is_empty {
            return Vec::new();
        }
        let first = information.begin_sequence_number.as_i64();
        let last = information.last_enqueued_sequence_number.as_i64();
        let mut stream = self.stream(partition).await;
        let events = take(&mut stream, usize::try_from(last - first + 1).expect("few")).await;
        stream.close().await;
        events
    }

    /// Every event of each partition.
    pub(crate) async fn stored(&self) -> Vec<Vec<ReceivedEvent>> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            all.push(self.stored_in(partition).await);
        }
        all
    }

    /// One partition from its beginning.
    pub(crate) async fn stream(&self, partition: u16) -> EventStream {
        self.stream_with(partition, ReceiveOptions::default()).await
    }

    pub(crate) async fn stream_with(&self, partition: u16, options: ReceiveOptions) -> EventStream {
        let options = options.with_retry(self.retry.clone());
        within(self.hub.events(partition, options)).await.expect("attached")
    }

    /// Has the partition hold `count` events more, which no connection carries. Each is the text of
    /// its sequence number.
    pub(crate) fn append(&self, partition: u16, count: usize) {
        let first = self.emulator.events(HUB, partition.into()).expect("it is there").len();
        for number in first..first + count {
            let message = encoded(&number.to_string());
            self.emulator.append(HUB, partition.into(), message).expect("it is there");
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.hub.statistics()
    }

    /// Sends texts to one partition, one after the other.
    pub(crate) async fn send(&self, partition: u16, texts: &[&str]) {
        let producer = self.hub.producer(PartitionId::from(partition));
        for text in texts {
            within(producer.send(*text)).await.expect("accepted");
        }
    }
}

/// A guard against a test that hangs; what has no deadline of its own is waited for through it.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    const LIMIT: Duration = Duration::from_secs(30);
    tokio::time::timeout(LIMIT, future).await.expect("it does not hang")
}

/// The same guard on the paused clock, where an hour is nothing.
pub(crate) async fn within_paused<F: Future>(future: F) -> F::Output {
    const LIMIT: Duration = Duration::from_secs(3600);
    tokio::time::timeout(LIMIT, future).await.expect("it ends by a deadline of its own")
}

/// The next `count` events.
pub(crate) async fn take(stream: &mut EventStream, count: usize) -> Vec<ReceivedEvent> {
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        let item = within(stream.next()).await;
        events.push(item.expect("the stream goes on").expect("an event"));
    }
    events
}

/// The error that a stream ends with, after whatever it still hands out; nothing follows it.
pub(crate) async fn end_of(stream: &mut EventStream) -> Error {
    loop {
        match within(stream.next()).await.expect("an error comes before the end") {
            Ok(_) => {}
            Err(error) => {
                assert!(within(stream.next()).await.is_none(), "the error is the last item");
                return error;
            }
        }
    }
}

/// Bodies as text.
pub(crate) fn texts(events: &[ReceivedEvent]) -> Vec<String> {
    let text = |event: &ReceivedEvent| String::from_utf8(event.body().to_vec()).expect("text");
    events.iter().map(text).collect()
}

/// A message with a body and nothing else.
pub(crate) fn encoded(body: &str) -> Bytes {
    let message = Message { body: Body::from(body.as_bytes()), ..Message::default() };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// The next item, whenever it comes: for the paused clock.
pub(crate) async fn item(stream: &mut EventStream) -> Result<ReceivedEvent, Error> {
    const LIMIT: Duration = Duration::from_secs(24 * 3600);
    let item = tokio::time::timeout(LIMIT, stream.next()).await.expect("something comes");
    item.expect("the stream goes on")
}

/// The sequence number of the next item, which is an event.
pub(crate) async fn number(stream: &mut EventStream) -> i64 {
    item(stream).await.expect("an event").sequence_number().as_i64()
}

/// The next events are those with these numbers, whenever they come.
pub(crate) async fn expect(stream: &mut EventStream, numbers: std::ops::Range<i64>) {
    for expected in numbers {
        assert_eq!(number(stream).await, expected);
    }
}

/// Nothing comes for so long.
pub(crate) async fn quiet(stream: &mut EventStream, time: Duration) {
    let item = tokio::time::timeout(time, stream.next()).await;
    assert!(item.is_err(), "{item:?}");
}

/// Lets every task run until nobody has anything to do without time or the test.
pub(crate) async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// Tasks of this runtime, besides the test itself.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more than `before` tasks are left. They may need a few turns to end, and no time:
/// in paused time nothing here moves the clock.
pub(crate) async fn only_tasks(before: usize) {
    for _ in 0..1000 {
        if tasks() <= before {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} tasks are left of {before}", tasks());
}
