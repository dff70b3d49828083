//! Azure Event Hubs: one hub, to send to, to receive from, to inspect.
//!
//! Send one event, or many in a batch:
//!
//! ```no_run
//! # async fn example(hub: eventhubs_client::Hub) -> Result<(), Box<dyn std::error::Error>> {
//! use eventhubs_client::Destination;
//!
//! hub.send("hello, world!").await?;
//!
//! let mut batch = hub.create_batch(Destination::Any).await?;
//! while batch.try_add("one of many").is_ok() {}
//! hub.send_batch(batch).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Receive a partition as a stream:
//!
//! ```no_run
//! # async fn example(hub: eventhubs_client::Hub) -> Result<(), Box<dyn std::error::Error>> {
//! use eventhubs_client::{PartitionId, ReceiveOptions, StartPosition};
//!
//! let options = ReceiveOptions::default().with_start(StartPosition::latest());
//! let mut events = hub.events(PartitionId::from(0), options).await?;
//! while let Some(event) = events.next().await {
//!     let event = event?;
//!     println!("{} {:?}", event.sequence_number(), event.body());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Authorize with a connection string, with a [`TokenProvider`] of your own or, with the feature `entra`,
//! with any `TokenCredential` of the Azure SDK: `Hub::from_credential`. Without that feature no crate of
//! that SDK is built.
//!
//! [`Hub`] is a cheap handle on one connection, opened on first use and made again after it was
//! lost. A send is `Ok` only when the service has accepted it; when nobody knows,
//! [`Error::may_have_been_sent`] says so. What fails and may succeed later is tried again as
//! [`RetryOptions`] say, a stream resumes after the last event it handed out, and every call ends by
//! a deadline of [`HubOptions`]. [`Hub::statistics`] counts what nobody had to see.

mod attachment;
mod batch;
mod bounds;
mod delivery;
#[cfg(feature = "entra")]
mod entra;
mod error;
mod hub;
mod links;
mod listener;
mod live;
mod lookout;
mod options;
mod ordered;
mod pacing;
mod producer;
mod promise;
mod recovery;
mod retry;
mod rpc;
mod sending;
mod statistics;
mod stream;

pub use self::batch::EventBatch;
pub use self::error::{Error, ErrorKind, Operation};
pub use self::hub::Hub;
pub use self::listener::ListenerHandle;
pub use self::options::{HubOptions, ReceiveOptions};
pub use self::pacing::Pacing;
pub use self::producer::{Destination, Producer};
pub use self::retry::{RetryOptions, RetryPolicy};
pub use self::sending::Sending;
pub use self::statistics::Statistics;
pub use self::stream::EventStream;
pub use eventhubs_amqp::codec::{DecodeError, Map, Symbol, Value, message};
pub use eventhubs_amqp::net::{
    Connecting, Connector, Resolver, Resolving, Stream, TcpOptions, TlsOptions,
};
pub use eventhubs_auth::{
    ConnectionString, Error as TokenError, SasKey, SasSignature, SasTokenProvider, Secret, Token,
    TokenKind, TokenProvider,
};
#[cfg(feature = "entra")]
pub use eventhubs_auth::{CredentialError, EntraTokenProvider};
pub use eventhubs_protocol::{
    ConsumerGroup, EventData, EventError, HubName, HubProperties, InvalidValue, IotHub,
    LastEnqueued, Offset, OwnerLevel, PartitionId, PartitionKey, PartitionProperties,
    ReceivedEvent, SequenceNumber, StartPosition, Timestamp, TryAddError,
};
