//! Names and connects without sockets, so that clients can lose their way on request.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_amqp::net::{Connecting, Connector, Stream};

use super::listener::ListenerKind;
use crate::emulator::{Emulator, Entrance};
use crate::fault::occurrence::{Occurrence, Place};
use crate::fault::{Effect, Fault, FaultError, FaultId, Point, Reason, Struck, Switchboard};

/// What resolvers say about a name that does not exist, and when they have no answer.
const UNKNOWN: &str = "failed to lookup address information: Name or service not known";
const NO_ANSWER: &str =
    "failed to lookup address information: Temporary failure in name resolution";
const REFUSED: &str = "Connection refused";

/// A network in memory: host names, and the emulators behind them.
///
/// It is a [`Connector`], so a client dials through it as it would dial TCP, and everything runs
/// on the runtime's clock, which a test may pause. Clones are the same network. An emulator that
/// was dropped or shut down refuses connections; the network does not keep it alive.
///
/// ```
/// use eventhubs_amqp::net::{Connection, ConnectionOptions, Endpoint};
/// use eventhubs_emulator::{Config, Effect, Emulator, Fault, Network, Point};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let emulator = Emulator::start(Config::default().in_memory()).await?;
/// let network = Network::new();
/// network.point("one.example", &emulator);
/// let endpoint = Endpoint::plain("one.example", 5672).with_connector(network.connector());
///
/// let refused = network.inject(Fault::at(Point::Connect, Effect::refuse("", "no way")))?;
/// let error = Connection::dial(&endpoint, ConnectionOptions::new("me")).await.unwrap_err();
/// assert!(error.to_string().contains("no way"));
/// assert_eq!(network.hits(refused), 1);
/// Connection::dial(&endpoint, ConnectionOptions::new("me")).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Network {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    hosts: Mutex<HashMap<String, Entrance>>,
    faults: Switchboard,
}

impl Network {
    /// A network without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `host` lead to an emulator from now on, on every port, for AMQP without TLS.
    /// Connections that are up stay where they are.
    pub fn point(&self, host: &str, emulator: &Emulator) {
        self.point_through(host, emulator, ListenerKind::Plain);
    }

    /// The same through another kind of listener. The emulator needs a listener of this kind in
    /// its configuration when the kind has TLS; it need not be reachable.
    pub fn point_through(&self, host: &str, emulator: &Emulator, kind: ListenerKind) {
        self.hosts().insert(host.to_ascii_lowercase(), emulator.entrance(kind));
    }

    /// Has `host` be a name that does not exist, as every name is at first.
    pub fn forget(&self, host: &str) {
        self.hosts().remove(&host.to_ascii_lowercase());
    }

    /// This network as a connector for clients.
    pub fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    /// Adds a fault at [`Point::Resolve`] or [`Point::Connect`]. A refusal there is an I/O error
    /// with the reason's text, or the usual text without one; its condition is not used.
    ///
    /// # Errors
    /// [`FaultError`] for a fault at another point, which an [`Emulator`] takes, for one that
    /// could never strike, or one too many.
    pub fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        if !matches!(fault.point, Point::Resolve | Point::Connect) {
            let point = fault.point.to_string();
            return Err(FaultError::Elsewhere { point, owner: "an emulator" });
        }
        self.inner.faults.inject(fault)
    }

    /// Takes a fault away; whether it was there. Who waits because of it, goes on waiting.
    pub fn lift(&self, id: FaultId) -> bool {
        self.inner.faults.lift(id)
    }

    /// Takes all faults away, as [`lift`](Self::lift) does.
    pub fn lift_all(&self) {
        self.inner.faults.lift_all();
    }

    /// How often a fault has struck; 0 for one that was lifted.
    pub fn hits(&self, id: FaultId) -> u64 {
        self.inner.faults.hits(id)
    }

    /// Waits until a fault has struck `count` times. `false` when it was lifted before.
    ///
    /// Cancel safe.
    pub async fn hit(&self, id: FaultId, count: u64) -> bool {
        self.inner.faults.hit(id, count).await
    }

    async fn dial(&self, host: &str) -> io::Result<Box<dyn Stream>> {
        self.suffer(Point::Resolve, host, |text| io::Error::other(text.unwrap_or(NO_ANSWER)))
            .await?;
        let entrance = self.hosts().get(&host.to_ascii_lowercase()).cloned();
        let entrance = entrance.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, UNKNOWN))?;
        let refused = |text: Option<&str>| {
            io::Error::new(io::ErrorKind::ConnectionRefused, text.unwrap_or(REFUSED))
        };
        self.suffer(Point::Connect, host, refused).await?;
        entrance.enter().ok_or_else(|| refused(None))
    }

    /// Waits for or fails with whatever strikes at `point`.
    async fn suffer(
        &self,
        point: Point,
        host: &str,
        error: impl Fn(Option<&str>) -> io::Error,
    ) -> io::Result<()> {
        let struck = self.inner.faults.strike(&Occurrence { point, place: Place::Host(host) });
        match struck.as_ref().map(Struck::effect) {
            Some(Effect::Refuse(Reason { text, .. })) => Err(error(text.as_deref())),
            Some(Effect::Delay(by)) => {
                wait(*by).await;
                Ok(())
            }
            Some(Effect::Ignore) => pending().await,
            _ => Ok(()),
        }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Entrance>> {
        self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(self.dial(host))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("hosts", &*self.hosts()).finish_non_exhaustive()
    }
}

async fn wait(by: Duration) {
    // Ends by the time-out, which is what waiting means.
    let _ = tokio::time::timeout(by, pending::<()>()).await;
}
