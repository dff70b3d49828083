//! Connections over real transports: one task owns the socket, handles talk to it.
//!
//! A [`Connection`] is dialled or accepted; [`Sender`]s and [`Receiver`]s are attached to it, each
//! on a session of its own, so that a stalled link never shuts the window of another. The handles
//! are cheap; the task behind them ends when the connection does, and the connection closes when the
//! last handle is dropped.
//!
//! Every step has a deadline. Dropping any future or handle leaves the connection usable: a link
//! whose attach nobody waits for any more is detached when the answer comes, a dropped receiver
//! drains silently.
//!
//! Brokers that want to decide more than "accept" use [`drive()`] with a [`Service`] of their own.
//!
//! ```
//! use eventhubs_amqp::net::{AcceptOptions, Connection, ConnectionOptions, SenderOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ours, theirs) = eventhubs_amqp::net::memory_pair(64 * 1024);
//! let broker = tokio::spawn(async move {
//!     let (_connection, mut incoming) =
//!         Connection::accept(theirs, AcceptOptions::new("broker")).await?;
//!     let mut receiver = incoming.next().await?.accept_receiver(Default::default())?;
//!     let delivery = receiver.recv().await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(delivery.payload().to_vec())
//! });
//!
//! let connection = Connection::dial_over(ours, ConnectionOptions::new("client")).await?;
//! let sender = connection.sender(SenderOptions::to("queue")).await?;
//! sender.send("an encoded message".into(), 0).await?;
//! assert_eq!(broker.await?.expect("the broker received it"), b"an encoded message");
//! # Ok(())
//! # }
//! ```

mod accepted;
mod addresses;
mod clock;
mod connection;
mod credit;
mod deadline;
mod drive;
mod endpoint;
mod error;
mod inbox;
mod incoming;
mod owner;
mod receiver;
mod resolver;
mod ring;
mod sender;
mod stall;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod turns;

pub use self::connection::{AcceptOptions, Connection, ConnectionOptions, Session};
pub use self::drive::{DriveOptions, Service, Stream, drive};
pub use self::endpoint::{Connecting, Connector, Endpoint, TlsOptions};
pub use self::error::{Error, ErrorKind, LinkClosed, Operation, SendFailure};
pub use self::incoming::{Incoming, IncomingLink};
pub use self::receiver::{Receiver, ReceiverOptions};
pub use self::resolver::{Resolver, Resolving};
pub use self::sender::{Sender, SenderOptions, Sending};
pub use self::tcp::TcpOptions;

/// Two ends of a stream in memory, each holding up to `capacity` bytes on their way to the other.
pub fn memory_pair(capacity: usize) -> (impl Stream, impl Stream) {
    tokio::io::duplex(capacity)
}
