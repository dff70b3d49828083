//! The ways in: listens on sockets and in memory, and turns what was accepted into a stream of AMQP
//! bytes.

#[cfg(feature = "tls")]
mod authority;
pub(crate) mod door;
pub(crate) mod listen;
pub(crate) mod listener;
pub(crate) mod memory;
mod network;
pub(crate) mod socket;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod tls_config;
#[cfg(feature = "ws")]
mod web_socket;

pub use listener::{Listener, ListenerKind};
pub use network::Network;
pub use tls_config::{Identity, TlsConfig, TlsFault};
