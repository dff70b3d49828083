//! The AMQP 1.0 type system, frames and message sections (parts 1, 2.3, 2.7, 3.2 and 5.3).

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
