//! Event Hubs on AMQP 1.0, without I/O: what is said, not how it travels.
//!
//! * [`HubName`], [`ConsumerGroup`], [`PartitionId`], [`PartitionKey`], [`Offset`],
//!   [`SequenceNumber`], [`OwnerLevel`], [`Timestamp`]: values, each checked when it is made.
//! * [`EventData`] to send, alone or in an [`Envelope`]; [`ReceivedEvent`] as it arrives.
//! * [`StartPosition`], and the [`filter`] that says it to the service.
//! * [`condition`]: what errors mean and what to do about them.
//! * [`cbs`], [`management`], [`link`], [`address`]: requests, answers, terms of links, addresses.
//! * [`hash`]: the partition of a key, for clients that choose it themselves.
//! * [`names`]: every string that goes on the wire.
//!
//! Nothing here knows a clock, a socket, a task or a random number.
//!
//! # Example
//!
//! An event into a batch and out of it again, as a service would hand it over:
//!
//! ```
//! use eventhubs_protocol::{Envelope, EventData, PartitionKey};
//!
//! let key = PartitionKey::new("device-17")?;
//! let mut envelope = Envelope::new(1_048_576, Some(key));
//! let event = EventData::new("21.5").with_property("unit", "celsius");
//! envelope.try_add(event).expect("an empty batch has room");
//! let batch = envelope.finish().expect("the batch has an event");
//! assert_eq!(batch.message_format(), 0x8001_3700);
//! # Ok::<(), eventhubs_protocol::InvalidValue>(())
//! ```

pub mod address;
pub mod batch;
pub mod cbs;
pub mod condition;
pub mod error;
pub mod event;
pub mod filter;
pub mod hash;
pub mod link;
pub mod management;
pub mod names;
mod parts;
pub mod position;
pub mod received;
pub mod rpc;
pub mod system;
pub mod types;

pub use batch::{Batch, Envelope, TryAddError};
pub use error::{EventError, Field, InvalidValue, Problem};
pub use event::EventData;
pub use management::{HubProperties, PartitionProperties};
pub use position::{Anchor, StartPosition};
pub use received::ReceivedEvent;
pub use system::{IotHub, LastEnqueued};
pub use types::{
    ConsumerGroup, HubName, Offset, OwnerLevel, PartitionId, PartitionKey, SequenceNumber,
    Timestamp,
};
