//! Frames in the log, for people who look at a wire (feature `wire-trace`).
//!
//! Payloads appear as their length only, since put-token and management requests carry tokens; SASL
//! responses redact themselves.

use std::fmt::Debug;

pub(crate) fn sent(container: &str, channel: u16, performative: &dyn Debug) {
    tracing::trace!(target: "eventhubs_amqp::wire", container, channel, "-> {performative:?}");
}

pub(crate) fn received(container: &str, channel: u16, performative: &dyn Debug, payload: usize) {
    tracing::trace!(
        target: "eventhubs_amqp::wire", container, channel, payload_bytes = payload,
        "<- {performative:?}"
    );
}
