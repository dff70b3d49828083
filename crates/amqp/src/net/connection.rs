//! The handle of a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::clock;
use super::drive::{DriveOptions, Stream, drive};
use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind, Operation};
use super::inbox::{AttachRequest, Attached, Command, Inbox, LinkOptions};
use super::incoming::{INCOMING_MAX, Incoming};
use super::owner::{Acceptor, Owner};
use super::receiver::{Receiver, ReceiverOptions};
use super::sender::{Sender, SenderOptions};
use crate::codec::AmqpError;
use crate::codec::performative::Open;
use crate::engine::{self, CloseReason, Options, Sasl, SessionId, SessionOptions};

/// Options of a dialled [`Connection`].
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// Options of the engine: names, sizes, SASL, idle time-out, deadlines, limits.
    pub engine: Options,
    /// Time for name resolution, TCP and TLS together. Default 20 s.
    pub connect_timeout: Duration,
    /// Options of the task that owns the socket.
    pub drive: DriveOptions,
}

impl ConnectionOptions {
    /// Options with SASL `ANONYMOUS`, as Event Hubs wants it before put-token.
    pub fn new(container_id: impl Into<String>) -> Self {
        let engine = Options { sasl: Sasl::Anonymous, ..Options::dialler(container_id) };
        Self::with_engine(engine)
    }

    /// Options around those of an engine.
    pub fn with_engine(engine: Options) -> Self {
        Self { engine, connect_timeout: Duration::from_secs(20), drive: DriveOptions::default() }
    }
}

/// Decides whether a peer may come in: mechanism and first response.
pub(crate) type Authenticate = Box<dyn Fn(&str, Option<&[u8]>) -> bool + Send>;

/// Options of an accepted [`Connection`].
pub struct AcceptOptions {
    /// Options of the engine.
    pub engine: Options,
    /// Options of the task that owns the socket.
    pub drive: DriveOptions,
    authenticate: Authenticate,
}

impl AcceptOptions {
    /// Options that let everybody in who chooses `ANONYMOUS` or no SASL layer.
    pub fn new(container_id: impl Into<String>) -> Self {
        Self {
            engine: Options::listener(container_id),
            drive: DriveOptions::default(),
            authenticate: Box::new(|mechanism, _| mechanism == "ANONYMOUS"),
        }
    }

    /// Lets a peer in when `decide` says so of its mechanism and first response.
    #[must_use]
    pub fn with_authentication(
        mut self,
        decide: impl Fn(&str, Option<&[u8]>) -> bool + Send + 'static,
    ) -> Self {
        self.authenticate = Box::new(decide);
        self
    }
}

impl std::fmt::Debug for AcceptOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptOptions").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// What all clones of a connection share. Dropping the last one closes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) entity: String,
    closed: watch::Receiver<Option<CloseReason>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inbox.close(None);
    }
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    remote_open: Box<Open>,
}

/// A connection. Clones share it; when the last clone, link and session is dropped it closes.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(crate) fn new(handle: Handle, remote_open: Box<Open>) -> Self {
        Self { shared: Arc::new(Shared { handle, remote_open }) }
    }

    /// Dials `endpoint` and opens.
    ///
    /// # Errors
    ///
    /// When the transport or TLS fails, the peer refuses SASL or closes, or a step passes its
    /// deadline: `connect_timeout` for the transport, `engine.open_timeout` for the rest.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what there is.
    pub async fn dial(endpoint: &Endpoint, options: ConnectionOptions) -> Result<Self, Error> {
        let stream = endpoint.connect(options.connect_timeout).await?;
        let entity = format!("{}:{}", endpoint.host(), endpoint.port());
        Self::open(stream, entity, options.engine, options.drive, None).await
    }

    /// Opens over a stream that exists already.
    ///
    /// # Errors
    ///
    /// As [`dial`](Self::dial), without the transport.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what there is.
    pub async fn dial_over<S: Stream>(
        stream: S,
        options: ConnectionOptions,
    ) -> Result<Self, Error> {
        let entity = options.engine.hostname.clone().unwrap_or_else(|| "the peer".to_owned());
        Self::open(stream, entity, options.engine, options.drive, None).await
    }

    /// Answers a peer that dialled us over `stream`. Its links come out of [`Incoming`].
    ///
    /// # Errors
    ///
    /// When the peer does not open in time, is refused by SASL, or goes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what there is.
    pub async fn accept<S: Stream>(
        stream: S,
        options: AcceptOptions,
    ) -> Result<(Self, Incoming), Error> {
        let (sender, receiver) = mpsc::channel(INCOMING_MAX);
        let acceptor = Acceptor { incoming: sender, authenticate: options.authenticate };
        let entity = "the dialler".to_owned();
        let connection =
            Self::open(stream, entity, options.engine, options.drive, Some(acceptor)).await?;
        let incoming = Incoming::new(receiver, connection.clone());
        Ok((connection, incoming))
    }

    async fn open<S: Stream>(
        stream: S,
        entity: String,
        options: Options,
        drive_options: DriveOptions,
        acceptor: Option<Acceptor>,
    ) -> Result<Self, Error> {
        let (opening, opened) = oneshot::channel();
        let (closed_sender, closed) = watch::channel(None);
        let inbox = Arc::new(Inbox::default());
        let handle = Handle { inbox, entity: entity.clone(), closed };
        let owner = Owner::new(handle, opening, closed_sender, acceptor);
        let engine = engine::Connection::new(options, clock::now());
        tokio::spawn(drive(stream, engine, owner, drive_options));
        match opened.await {
            Ok(result) => result,
            Err(_) => Err(Error::new(Operation::Open, entity, ErrorKind::Closed(CloseReason::Eof))),
        }
    }

    /// The peer's open.
    pub fn remote_open(&self) -> &Open {
        &self.shared.remote_open
    }

    /// Begins a session for several links. Links attached without one get a session of their own.
    ///
    /// # Errors
    ///
    /// When the connection is over or has no channel left.
    ///
    /// # Cancel safety
    ///
    /// A session that nobody waits for any more is ended.
    pub async fn session(&self, options: SessionOptions) -> Result<Session, Error> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Begin(options, reply), Operation::Attach)?;
        let id = answer.await.map_err(|_| self.gone(Operation::Attach))??;
        Ok(Session { id, connection: self.clone() })
    }

    /// Attaches a sender on a session of its own.
    ///
    /// # Errors
    ///
    /// When the peer refuses, does not answer within `attach_timeout`, or the connection is over.
    ///
    /// # Cancel safety
    ///
    /// A link that nobody waits for any more is detached when the peer's answer comes.
    pub async fn sender(&self, options: SenderOptions) -> Result<Sender, Error> {
        self.attach_sender(None, options).await
    }

    /// Attaches a receiver on a session of its own.
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    ///
    /// # Cancel safety
    ///
    /// As [`sender`](Self::sender).
    pub async fn receiver(&self, options: ReceiverOptions) -> Result<Receiver, Error> {
        self.attach_receiver(None, options).await
    }

    async fn attach_sender(
        &self,
        session: Option<SessionId>,
        options: SenderOptions,
    ) -> Result<Sender, Error> {
        let (reply, answer) = oneshot::channel();
        let options = LinkOptions::Sender(options);
        let request = Box::new(AttachRequest { session, options, reply });
        self.command(Command::Attach(request), Operation::Attach)?;
        match answer.await.map_err(|_| self.gone(Operation::Attach))?? {
            Attached::Sender(link, remote) => Ok(Sender::new(link, remote, self.clone())),
            Attached::Receiver(..) => Err(self.gone(Operation::Attach)),
        }
    }

    async fn attach_receiver(
        &self,
        session: Option<SessionId>,
        options: ReceiverOptions,
    ) -> Result<Receiver, Error> {
        let (reply, answer) = oneshot::channel();
        let request =
            AttachRequest { session, options: LinkOptions::Receiver(options.clone()), reply };
        self.command(Command::Attach(Box::new(request)), Operation::Attach)?;
        match answer.await.map_err(|_| self.gone(Operation::Attach))?? {
            Attached::Receiver(link, remote) => {
                Ok(Receiver::new(link, remote, &options, self.clone()))
            }
            Attached::Sender(..) => Err(self.gone(Operation::Attach)),
        }
    }

    fn command(&self, command: Command, operation: Operation) -> Result<(), Error> {
        self.shared.handle.inbox.command(command).map_err(|_| self.gone(operation))
    }

    pub(crate) fn gone(&self, operation: Operation) -> Error {
        let kind = match self.close_reason() {
            Some(reason) => ErrorKind::Closed(reason),
            None => ErrorKind::Exhausted("too many requests wait for the connection".to_owned()),
        };
        Error::new(operation, self.shared.handle.entity.clone(), kind)
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.shared.handle.inbox
    }

    /// Why the connection is over, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.handle.closed.borrow().clone()
    }

    /// Waits until the connection is over.
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.shared.handle.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(CloseReason::Eof),
            Err(_) => CloseReason::Eof,
        }
    }

    /// Asks for a close without waiting for it; what [`close`](Self::close) does first.
    pub fn start_close(&self, error: Option<AmqpError>) {
        self.shared.handle.inbox.close(error);
    }

    /// Closes, with or without an error, and waits until the connection is over: at the latest when
    /// `engine.close_timeout` (default 5 s) has passed without an answer. Links end with it. May be
    /// called any number of times.
    ///
    /// Cancel safe: the close goes on.
    pub async fn close(&self, error: Option<AmqpError>) -> CloseReason {
        self.start_close(error);
        self.closed().await
    }
}

/// A session that several links share. Dropping it ends it, and them.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    connection: Connection,
}

impl Session {
    /// Attaches a sender.
    ///
    /// # Errors
    ///
    /// As [`Connection::sender`].
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::sender`].
    pub async fn sender(&self, options: SenderOptions) -> Result<Sender, Error> {
        self.connection.attach_sender(Some(self.id), options).await
    }

    /// Attaches a receiver.
    ///
    /// # Errors
    ///
    /// As [`Connection::sender`].
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::sender`].
    pub async fn receiver(&self, options: ReceiverOptions) -> Result<Receiver, Error> {
        self.connection.attach_receiver(Some(self.id), options).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.connection.inbox().command(Command::End(self.id));
    }
}
