//! What the service, or IoT Hub, adds to an event.

use crate::types::{SequenceNumber, Timestamp};

/// The last event of the partition at the moment an event was delivered.
///
/// Present when the receiver asked for it; tells how far behind the receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastEnqueued {
    /// Its sequence number.
    pub sequence_number: SequenceNumber,
    /// Its offset.
    pub offset: Option<String>,
    /// When the service accepted it.
    pub enqueued_time: Option<Timestamp>,
    /// When the service looked this up.
    pub retrieval_time: Option<Timestamp>,
}

/// What IoT Hub says of an event's sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IotHub {
    /// The device (`iothub-connection-device-id`).
    pub device_id: Option<String>,
    /// The module on the device (`iothub-connection-module-id`).
    pub module_id: Option<String>,
    /// The generation of the device's credentials (`iothub-connection-auth-generation-id`).
    pub auth_generation_id: Option<String>,
    /// How the device authenticated, a JSON text (`iothub-connection-auth-method`).
    pub auth_method: Option<String>,
    /// When IoT Hub took the event (`iothub-enqueuedtime`).
    pub enqueued_time: Option<Timestamp>,
    /// Where the event comes from, for example `Telemetry` (`iothub-message-source`).
    pub message_source: Option<String>,
}
