//! The emulator as its owner holds it.

mod faults;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_amqp::engine::Connection;
use eventhubs_amqp::net::{DriveOptions, Stream, drive};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::{self, Broker};
use crate::config::{Config, ConfigError};
use crate::hub::Namespace;
use crate::latency;
use crate::listen;

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
    addresses: Vec<SocketAddr>,
    runtime: Handle,
}

/// What listeners and connections have in common.
struct Shared {
    namespace: Arc<Namespace>,
    latency: Duration,
    room: Arc<Semaphore>,
    /// Listeners and connections. Finished ones are taken out whenever one is added.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
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
        let mut listeners = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            let failed = |source| StartError::Listen { address: *address, source };
            let listener = listen::listen(*address).map_err(failed)?;
            listeners.push((listener.local_addr().map_err(failed)?, listener));
        }
        let shared = Arc::new(Shared {
            namespace: Arc::new(Namespace::new(&config)),
            latency: config.latency,
            room: Arc::new(Semaphore::new(config.limits.connections)),
            tasks: Mutex::default(),
            stopping: watch::Sender::new(false),
        });
        let runtime = Handle::current();
        let mut addresses = Vec::with_capacity(listeners.len());
        for (address, listener) in listeners {
            addresses.push(address);
            shared.spawn(&runtime, accept(Arc::clone(&shared), runtime.clone(), listener));
        }
        Ok(Self { shared, addresses, runtime })
    }

    /// The addresses that are listened on, in the order of the configuration; ports given as 0
    /// are resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A connection string for the namespace, with the first key. Clients reach the first
    /// listener with it; without a listener it names `localhost` and serves to make tokens.
    pub fn connection_string(&self) -> String {
        let endpoint = match self.addresses.first() {
            Some(address) => reachable(*address).to_string(),
            None => "localhost".to_owned(),
        };
        let key = self.shared.namespace.keys.first();
        let (name, key) = key.map_or(("", ""), |key| (key.name.as_str(), key.key.as_str()));
        format!(
            "Endpoint=sb://{endpoint};SharedAccessKeyName={name};SharedAccessKey={key};\
             UseDevelopmentEmulator=true"
        )
    }

    /// [`connection_string`](Self::connection_string) with an `EntityPath`, for clients that take
    /// the hub from there.
    pub fn connection_string_for(&self, hub: &str) -> String {
        format!("{};EntityPath={hub}", self.connection_string())
    }

    /// A connection without a socket: the client's end of a byte stream, on which the client
    /// speaks first. At the limit of connections, or after a shutdown, the stream is at its end.
    pub fn connect_memory(&self) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
        let (near, far) = tokio::io::duplex(MEMORY_STREAM_BYTES);
        if let Ok(permit) = Arc::clone(&self.shared.room).try_acquire_owned() {
            self.shared.serve(&self.runtime, far, permit);
        }
        near
    }

    /// Stops listening, closes every connection with `amqp:connection:forced`, and returns when
    /// all of them have ended; those that do not answer are cut off after 2 s. Nothing is left
    /// running. Idempotent; events are kept until the emulator is dropped.
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
        f.debug_struct("Emulator").field("addresses", &self.addresses).finish_non_exhaustive()
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

    /// Serves one connection in a task of its own.
    fn serve<S: Stream>(&self, runtime: &Handle, stream: S, permit: OwnedSemaphorePermit) {
        let broker = Broker::new(Arc::clone(&self.namespace));
        let engine =
            Connection::new(broker::engine_options(broker.number), Instant::now().into_std());
        let delay = self.latency;
        self.spawn(runtime, async move {
            let options = DriveOptions::default();
            if delay.is_zero() {
                drive(stream, engine, broker, options).await;
            } else {
                let (stream, relay) = latency::delayed(stream, delay);
                tokio::join!(drive(stream, engine, broker, options), relay);
            }
            drop(permit);
        });
    }
}

/// Accepts connections until the emulator stops.
async fn accept(shared: Arc<Shared>, runtime: Handle, listener: TcpListener) {
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
                shared.serve(&runtime, stream, permit);
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

/// An address that a client on this machine can dial: wildcards become loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

mod hubs;

pub use hubs::StoredEvent;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_dialled_on_loopback() {
        let text = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(text("0.0.0.0:5"), "127.0.0.1:5");
        assert_eq!(text("[::]:5"), "[::1]:5");
        assert_eq!(text("10.0.0.1:5"), "10.0.0.1:5");
    }

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
