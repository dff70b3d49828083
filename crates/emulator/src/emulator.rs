//! The emulator as its owner holds it.

mod entrance;
mod faults;
mod watching;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use entrance::Entrance;
use eventhubs_amqp::engine::Connection;
use eventhubs_amqp::net::{DriveOptions, Stream, drive};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::broker::{self, Broker};
use crate::config::{Config, ConfigError};
use crate::disorder;
#[cfg(feature = "http")]
use crate::doors::door;
use crate::doors::door::Door;
use crate::doors::listen::{self, Bound};
use crate::doors::listener::{Listener, ListenerKind};
use crate::doors::memory;
use crate::doors::socket::Socket;
#[cfg(feature = "tls")]
use crate::doors::tls::Tls;
use crate::doors::tls_config::TlsFault;
#[cfg(feature = "http")]
use crate::http::{self, Greeting, Office};
use crate::line::{Abortable, Line, LineControl, Shaping};
use crate::namespace::Namespace;
use crate::namespace::journal::{DataError, Durability};
#[cfg(feature = "http")]
use crate::view::record::Tapped;

/// Time that connections get to answer our close before they are cut off.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a failed accept, for example when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes that an in-memory stream holds in each direction.
const MEMORY_STREAM_BYTES: usize = 256 * 1024;

/// Event Hubs in this process.
///
/// Runs on the tokio runtime that started it. Dropping it ends everything at once;
/// [`shutdown`](Self::shutdown) closes connections first.
///
/// ```
/// use eventhubs_emulator::{Config, Emulator};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let emulator = Emulator::start(Config::default().with_hub("orders", 2)).await?;
/// assert!(emulator.connection_string().contains("UseDevelopmentEmulator=true"));
/// emulator.shutdown().await;
/// # Ok::<(), eventhubs_emulator::StartError>(())
/// # }).unwrap();
/// ```
pub struct Emulator {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<Tls>>,
    runtime: Handle,
}

/// What listeners and connections have in common.
struct Shared {
    namespace: Arc<Namespace>,
    #[cfg(feature = "http")]
    office: Office,
    latency: Duration,
    room: Arc<Semaphore>,
    /// Listeners and connections. Finished ones are taken out whenever one is added.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
    /// Whether files are to be on disk in the end.
    synchronises: bool,
}

/// Why an emulator could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be served.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigError),
    /// A listening address could not be taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// This build was made without what a listener needs.
    #[error("cannot listen for {kind}: built without feature `{feature}`")]
    Feature {
        /// What the listener is for.
        kind: ListenerKind,
        /// The feature that serves it.
        feature: &'static str,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A certificate or key cannot be used.
    #[error("cannot serve TLS: {reason}")]
    Tls {
        /// What is wrong; never what stands in a key.
        reason: String,
    },
}

impl Emulator {
    /// Starts serving. Returns once every listener accepts connections.
    ///
    /// # Errors
    /// [`StartError`] when the configuration is not valid or an address is taken.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network drivers.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        for Listener { kind, .. } in config.listeners.iter().copied() {
            if let Some(feature) = kind.missing_feature() {
                return Err(StartError::Feature { kind, feature });
            }
        }
        let namespace = Arc::new(open(&config).await?);
        #[cfg(feature = "tls")]
        let tls = certificates(&config, &namespace)?;
        let mut all = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let failed = |(address, source)| StartError::Listen { address, source };
            all.push(listen::bind(*listener).map_err(failed)?);
        }
        let runtime = Handle::current();
        let listeners: Vec<_> = all.iter().map(|bound| bound.listener).collect();
        let stopping = watch::Sender::new(false);
        let shared = Arc::new(Shared {
            #[cfg(feature = "http")]
            office: Office {
                namespace: Arc::clone(&namespace),
                stopping: stopping.subscribe(),
                greeting: Arc::new(Greeting::new(&listeners, &namespace.keys)),
            },
            namespace,
            latency: config.latency,
            room: Arc::new(Semaphore::new(config.max_connections())),
            tasks: Mutex::default(),
            stopping,
            synchronises: config.data.is_some() && config.durability != Durability::None,
        });
        for Bound { listener, sockets } in all {
            let door = Door {
                kind: listener.kind,
                #[cfg(feature = "tls")]
                tls: tls.clone(),
            };
            for socket in sockets {
                let accepting = accept(Arc::clone(&shared), runtime.clone(), door.clone(), socket);
                shared.spawn(&runtime, accepting);
            }
        }
        if let (Some(_), Durability::Interval(every)) = (&config.data, config.durability) {
            shared.spawn(&runtime, synchronise(Arc::clone(&shared), every));
        }
        let plain = listeners.iter().filter(|listener| listener.kind == ListenerKind::Plain);
        let addresses = plain.map(|listener| listener.address).collect();
        Ok(Self {
            shared,
            listeners,
            addresses,
            #[cfg(feature = "tls")]
            tls,
            runtime,
        })
    }

    /// The addresses that are listened on for plaintext AMQP, in the order of the configuration;
    /// ports given as 0 are resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// All that is listened on, in the order of the configuration, with ports that were given as
    /// 0 resolved. `dual_stack` says whether both families are bound.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The certificate of the authority made at start, in PEM, for clients to trust. None without
    /// a listener that has TLS, and when the certificate was given.
    pub fn ca_pem(&self) -> Option<String> {
        #[cfg(feature = "tls")]
        return self.tls.as_ref()?.ca_pem();
        #[cfg(not(feature = "tls"))]
        None
    }

    /// Changes what is wrong with TLS on purpose, or puts it right, for connections accepted from
    /// now on. Connections in use stay as they are.
    ///
    /// # Errors
    /// [`StartError::Tls`] when no listener has TLS, or when a certificate that was given would
    /// have to be made wrong.
    pub fn set_tls_fault(&self, fault: Option<TlsFault>) -> Result<(), StartError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.set_fault(fault).map_err(|reason| StartError::Tls { reason });
        }
        let _ = fault;
        Err(StartError::Tls { reason: "no listener has it".to_owned() })
    }

    /// A connection string for the namespace, with the first key. Clients reach the first
    /// plaintext listener with it. Without one it names the first other one for AMQP, and when that
    /// one has TLS, it does not say `UseDevelopmentEmulator=true`, which means plaintext; without
    /// any it names `localhost` and serves to make tokens.
    pub fn connection_string(&self) -> String {
        let key = self.shared.namespace.keys.first();
        let (name, key) = key.map_or(("", ""), |key| (key.name.as_str(), key.key.as_str()));
        connection_string(&self.listeners, name, key)
    }

    /// [`connection_string`](Self::connection_string) with an `EntityPath`, for clients that take
    /// the hub from there.
    pub fn connection_string_for(&self, hub: &str) -> String {
        format!("{};EntityPath={hub}", self.connection_string())
    }

    /// A connection without a socket: the client's end of a byte stream, on which the client
    /// speaks first. At the limit of connections, or after a shutdown, the stream is at its end.
    pub fn connect_memory(&self) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
        let (near, far) = memory::pair(MEMORY_STREAM_BYTES);
        if let Ok(permit) = Arc::clone(&self.shared.room).try_acquire_owned() {
            let broker = Broker::new(Arc::clone(&self.shared.namespace));
            let far = far.with_abort(broker.line.abort_handle());
            self.shared.serve(&self.runtime, broker, far, permit);
        }
        near
    }

    /// Stops listening, closes every connection with `amqp:connection:forced`, and returns when
    /// all of them have ended; those that do not answer are cut off after 2 s. Nothing is left
    /// running. Idempotent; events are kept until the emulator is dropped, and in the data folder,
    /// if there is one: it can be used again once the emulator is dropped.
    ///
    /// Cancel safety: a cancelled shutdown has begun and can be called again.
    pub async fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        self.shared.room.close();
        self.shared.namespace.shut_down();
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        let mut tasks = std::mem::take(&mut *self.shared.tasks());
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, ended).await.is_err() {
            tasks.shutdown().await;
        }
        if self.shared.synchronises {
            self.shared.synchronise().await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        self.shared.tasks().abort_all();
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Shared {
    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        if !*self.stopping.borrow() {
            tasks.spawn_on(task, runtime);
        }
    }

    /// Waits until the disk has what was written.
    async fn synchronise(&self) {
        let namespace = Arc::clone(&self.namespace);
        let done = tokio::task::spawn_blocking(move || namespace.sync()).await;
        if let Err(error) = done {
            tracing::error!(%error, "events may not be on disk");
        }
    }

    /// Serves one connection in a task of its own, without a handshake before it.
    fn serve(
        self: &Arc<Self>,
        runtime: &Handle,
        mut broker: Broker,
        stream: impl Stream,
        permit: OwnedSemaphorePermit,
    ) {
        let shared = Arc::clone(self);
        self.spawn(runtime, async move {
            if let Some(stream) = shared.accepted(&mut broker, stream).await {
                shared.serving(broker, stream).await;
            }
            drop(permit);
        });
    }

    /// Lets faults strike a connection that was accepted; the stream if it is to be served.
    async fn accepted<S: Stream>(&self, broker: &mut Broker, stream: S) -> Option<S> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => None,
            stream = disorder::accepted(broker, stream) => stream,
        }
    }

    /// Lets one connection in through `door`, in a task of its own.
    fn admit(
        self: &Arc<Self>,
        runtime: &Handle,
        door: Door,
        (stream, peer): (impl Abortable, Option<SocketAddr>),
        permit: OwnedSemaphorePermit,
    ) {
        #[cfg(feature = "http")]
        if !door.kind.is_amqp() {
            return self.serve_http(runtime, door, stream, permit);
        }
        // Connections are numbered in the order in which they were accepted.
        let mut broker = Broker::new(Arc::clone(&self.namespace));
        broker.visit.transport = door.kind.name();
        broker.visit.peer = peer;
        let stream = stream.with_abort(broker.line.abort_handle());
        if door.kind == ListenerKind::Plain {
            return self.serve(runtime, broker, stream, permit);
        }
        let shared = Arc::clone(self);
        self.spawn(runtime, async move {
            let Some(stream) = shared.accepted(&mut broker, stream).await else {
                return;
            };
            let mut stopping = shared.stopping.subscribe();
            let entered = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                entered = door.enter(stream) => entered,
            };
            match entered {
                Ok(entered) => {
                    broker.certified = entered.certified;
                    shared.serving(broker, entered.stream).await;
                }
                Err(error) => tracing::debug!(kind = %door.kind, %error, "no handshake"),
            }
            drop(permit);
        });
    }

    /// Serves one connection of those that speak HTTP, in a task of its own.
    #[cfg(feature = "http")]
    fn serve_http(
        &self,
        runtime: &Handle,
        door: Door,
        stream: impl Stream,
        permit: OwnedSemaphorePermit,
    ) {
        let office = self.office.clone();
        self.spawn(runtime, async move {
            let deadline = Instant::now() + door::HANDSHAKE_TIMEOUT;
            match door.secure(stream, deadline).await {
                Ok(entered) => http::serve(entered.stream, door.kind, office).await,
                Err(error) => tracing::debug!(kind = %door.kind, %error, "no handshake"),
            }
            drop(permit);
        });
    }

    /// All that is done with one connection.
    async fn serving(&self, broker: Broker, stream: impl Stream) {
        #[cfg(feature = "http")]
        if let Some(page) = broker.namespace.record.begin(broker.number, broker.visit.peer) {
            let tapped: Box<dyn Stream> = Box::new(Tapped::new(stream, page));
            return self.driving(broker, tapped).await;
        }
        self.driving(broker, stream).await;
    }

    async fn driving(&self, broker: Broker, stream: impl Stream) {
        let options = broker::engine_options(broker.number, broker.namespace.idle_time_out);
        let engine = Connection::new(options, Instant::now().into_std());
        let control = Arc::clone(&broker.line);
        if !self.latency.is_zero() {
            let latency = Shaping::Latency { delay: self.latency, jitter: Duration::ZERO, seed: 0 };
            control.apply(LineControl::CONFIGURED, latency);
        }
        let (line, remains) = Line::new(stream, Arc::clone(&control));
        drive(line, engine, broker, DriveOptions::default()).await;
        let mut stopping = self.stopping.subscribe();
        let mut rest = std::pin::pin!(remains.finish());
        tokio::select! {
            () = &mut rest => return,
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        // Nobody lifts a silence any more.
        control.heal();
        rest.await;
    }
}

/// A connection string with this key, for the listener that clients are to use.
pub(crate) fn connection_string(listeners: &[Listener], name: &str, key: &str) -> String {
    let mut amqp = listeners.iter().filter(|listener| listener.kind.is_amqp());
    let plain = amqp.clone().find(|listener| listener.kind == ListenerKind::Plain);
    let listener = plain.or_else(|| amqp.next());
    let endpoint = listener.map(|listener| listener.reachable().to_string());
    let endpoint = endpoint.as_deref().unwrap_or("localhost");
    let development = match listener.is_some_and(|listener| listener.kind.is_tls()) {
        true => "",
        false => ";UseDevelopmentEmulator=true",
    };
    format!(
        "Endpoint=sb://{endpoint};SharedAccessKeyName={name};SharedAccessKey={key}{development}"
    )
}

/// Reads or makes the certificate of listeners with TLS, if there are any.
#[cfg(feature = "tls")]
fn certificates(config: &Config, namespace: &Namespace) -> Result<Option<Arc<Tls>>, StartError> {
    if !config.listeners.iter().any(|listener| listener.kind.is_tls()) {
        return Ok(None);
    }
    let now = u64::try_from(namespace.clock.now()).unwrap_or_default();
    match Tls::new(&config.tls, Duration::from_millis(now)) {
        Ok(tls) => Ok(Some(Arc::new(tls))),
        Err(reason) => Err(StartError::Tls { reason }),
    }
}

/// Reads the data folder, if there is one, without keeping the runtime from its work.
async fn open(config: &Config) -> Result<Namespace, StartError> {
    if config.data.is_none() {
        return Ok(Namespace::new(config));
    }
    let owned = config.clone();
    let opened = tokio::task::spawn_blocking(move || Namespace::open(&owned)).await;
    Ok(opened.map_err(|error| DataError::Io {
        what: "read",
        path: config.data.clone().unwrap_or_default(),
        source: io::Error::other(error),
    })??)
}

/// Brings what was written to disk, at least every millisecond.
async fn synchronise(shared: Arc<Shared>, every: Duration) {
    let mut stopping = shared.stopping.subscribe();
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = ticks.tick() => {}
        }
        shared.synchronise().await;
    }
}

/// Accepts connections until the emulator stops.
async fn accept(shared: Arc<Shared>, runtime: Handle, door: Door, listener: TcpListener) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(permit) = Arc::clone(&shared.room).try_acquire_owned() else {
                    tracing::warn!(%peer, "refused: the limit of connections is reached");
                    continue;
                };
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "the connection went at once");
                    continue;
                }
                let entering = (Socket::new(stream), Some(peer));
                shared.admit(&runtime, door.clone(), entering, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let stopped = stopping.wait_for(|stopping| *stopping);
                if tokio::time::timeout(ACCEPT_PAUSE, stopped).await.is_ok() {
                    return;
                }
            }
        }
    }
}

mod hubs;

pub use hubs::StoredEvent;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let first = Emulator::start(Config::default()).await.unwrap();
        let address = first.addresses()[0];
        let error = Emulator::start(Config::default().with_listen([address])).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn connection_strings_carry_no_blanks() {
        let emulator = Emulator::start(Config::default()).await.unwrap();
        let port = emulator.addresses()[0].port();
        assert_eq!(
            emulator.connection_string_for("hub"),
            format!(
                "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=RootManageSharedAccessKey;\
                 SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;EntityPath=hub"
            )
        );
        let memory = Emulator::start(Config::default().in_memory()).await.unwrap();
        assert!(memory.connection_string().starts_with("Endpoint=sb://localhost;"));
    }
}
