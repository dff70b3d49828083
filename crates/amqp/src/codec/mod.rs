//! The AMQP 1.0 type system, frames and message sections (parts 1, 2.3, 2.7, 3.2 and 5.3).
//!
//! Nothing here knows a connection: bytes go in, values come out, and the other way round.
//!
//! | what | whole and owned | in place |
//! |---|---|---|
//! | any value | [`Value`] | [`ValueRef`], [`ListView`], [`MapView`] |
//! | frame bodies | [`performative`], [`sasl`] | [`transfer`] |
//! | messages | [`message::Message`] | [`message::sections`] |
//! | where a value ends | | [`scan`] |
//!
//! # What is checked
//!
//! Every size, length and count is compared with the bytes that are there before anything is allocated or entered, and
//! nothing is nested deeper than [`MAX_DEPTH`]. So arbitrary bytes give a value or a [`DecodeError`], never a panic, and
//! cost no more than a small multiple of their length in memory and time. Whether text is UTF-8 is checked when it is
//! read.
//!
//! # What is tolerated
//!
//! Descriptors as numbers of either width or as symbols; integers of either width; null for every field that is not
//! mandatory; fewer fields than there could be, and more; a string where a symbol should be, and the reverse; one symbol
//! alone, or a list, where an array of them should be; an empty array without a constructor; sections of a message in
//! any order, and a message without a body.

mod amqp_error;
mod code;
pub mod condition;
mod delivery_state;
mod descriptor;
mod error;
mod fields;
pub mod frame;
mod limits;
mod map;
pub mod message;
pub mod performative;
mod read;
pub mod sasl;
pub mod scan;
mod symbol;
mod terminus;
pub mod transfer;
mod value;
mod view;
pub mod write;

pub use amqp_error::AmqpError;
pub use delivery_state::DeliveryState;
pub use error::{DecodeError, DecodeErrorKind};
pub use fields::FieldList;
pub use limits::{EXPANSION_ALLOWANCE, EXPANSION_PER_BYTE, MAX_DELIVERY_TAG, MAX_DEPTH};
pub use map::Map;
pub use symbol::Symbol;
pub use terminus::{Source, Target};
pub use value::{Described, Value};
pub use view::{ListItems, ListView, MapEntries, MapView, ValueRef};
