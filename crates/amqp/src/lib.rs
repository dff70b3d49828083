//! AMQP 1.0 for both ends of a connection, with nothing about any service in it.
//!
//! Three layers, each usable without the one above it:
//!
//! * [`codec`]: bytes to values and back. Zero-copy, depth- and size-checked, never panics.
//! * [`engine`]: the protocol as a state machine without a socket or a clock.
//! * [`net`]: one task per connection over TCP, TLS or memory, and handles to talk to it.

pub mod codec;
pub mod engine;
pub mod net;
