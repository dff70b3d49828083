//! The handle of one hub.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use eventhubs_amqp::net::{Endpoint, LinkClosed};
use eventhubs_auth::{Cloud, ConnectionString, Environment, TokenCache, TokenProvider};
use eventhubs_protocol::{
    EventData, HubName, HubProperties, PartitionId, PartitionProperties, ReceivedEvent, address,
    management,
};

use tokio::sync::Notify;

use crate::attachment::Attachment;
use crate::batch::EventBatch;
use crate::error::{Error, ErrorKind, Operation};
use crate::links::{SendLink, SendLinks};
use crate::listener::{HandlerError, ListenerHandle};
use crate::live::{Live, Target, audience};
use crate::options::{HubOptions, ReceiveOptions};
use crate::pacing::Pacing;
use crate::producer::{Destination, Producer};
use crate::recovery::call::{Call, Try, retrying};
use crate::recovery::owner::{Anew, Keeper};
use crate::rpc::Rpc;
use crate::sending::Sending;
use crate::statistics::{Counters, Statistics};
use crate::stream::EventStream;

/// What all clones of a hub share.
#[derive(Debug)]
pub(crate) struct Shared {
    target: Arc<Target>,
    keeper: Keeper,
    /// Links to the hub itself.
    any: Arc<SendLinks>,
    /// Links to partitions, by partition.
    partitions: Mutex<HashMap<PartitionId, Arc<SendLinks>>>,
    /// Tells those who wait to try again that the hub was closed.
    closing: Notify,
    pacing: Pacing,
    counters: Arc<Counters>,
}

impl Shared {
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Whether this program has closed the hub.
    pub(crate) fn is_closed(&self) -> bool {
        self.keeper.is_closed()
    }

    /// Waits until this program closes the hub.
    pub(crate) async fn closing(&self) {
        let mut told = pin!(self.closing.notified());
        told.as_mut().enable();
        if !self.keeper.is_closed() {
            told.await;
        }
    }

    /// The connection, opened now if there is none or `anew` asks for it.
    ///
    /// Cancel safe, like the two below: what is being made is made all the same.
    pub(crate) async fn live(&self, anew: Anew, operation: Operation) -> Result<Arc<Live>, Error> {
        self.keeper.live(anew, operation).await
    }

    /// The sending link to the hub itself or to a partition, made now if there is none.
    pub(crate) async fn sender(
        &self,
        partition: Option<PartitionId>,
        anew: Anew,
    ) -> Result<SendLink, Error> {
        self.keeper.sender(partition, anew, Operation::AttachProducer).await
    }

    /// The links to the management node, made now if there are none.
    pub(crate) async fn management(
        &self,
        anew: Anew,
        operation: Operation,
    ) -> Result<Arc<Rpc>, Error> {
        self.keeper.management(anew, operation).await
    }

    async fn hub_properties(&self, this: Try) -> Result<HubProperties, Error> {
        let (target, operation) = (self.target(), Operation::RuntimeInformation);
        let entity = target.hub.as_str();
        let rpc = self.management(this.anew(), operation).await?;
        let token = target.token().await?;
        let answer = rpc
            .request(operation, entity, |id, reply_to| {
                management::read_hub(id, reply_to, &target.hub, Some(token.secret().expose()))
            })
            .await?;
        HubProperties::read(answer).map_err(|error| Error::of_answer(error, operation, entity))
    }

    /// One question about a partition.
    pub(crate) async fn partition_properties(
        &self,
        this: Try,
        partition: PartitionId,
        entity: &str,
    ) -> Result<PartitionProperties, Error> {
        let (target, operation) = (self.target(), Operation::RuntimeInformation);
        let rpc = self.management(this.anew(), operation).await?;
        let token = target.token().await?;
        let answer = rpc
            .request(operation, entity, |id, reply_to| {
                let token = Some(token.secret().expose());
                management::read_partition(id, reply_to, &target.hub, partition, token)
            })
            .await?;
        PartitionProperties::read(answer)
            .map_err(|error| Error::of_answer(error, operation, entity))
    }

    /// Why a link is gone, in the caller's words: whatever came first, a hub that this program has
    /// closed is closed.
    pub(crate) fn ended(&self, closed: &LinkClosed, operation: Operation, entity: &str) -> Error {
        match self.keeper.is_closed() {
            true => Error::closed(operation, entity),
            false => Error::of_link(closed, operation, entity),
        }
    }

    /// The links to the hub itself, or to one partition.
    pub(crate) fn send_links(&self, partition: Option<PartitionId>) -> Arc<SendLinks> {
        let Some(id) = partition else {
            return Arc::clone(&self.any);
        };
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let links = partitions.entry(id);
        Arc::clone(links.or_insert_with(|| Arc::new(SendLinks::new(partition))))
    }
}

/// One hub of a namespace: sends, receives, inspects. Clones share one connection, which is opened
/// on first use and again after it was lost.
///
/// Making one needs no runtime and does no I/O; everything else runs on tokio.
///
/// ```no_run
/// use eventhubs_client::{EventData, Hub};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::from_connection_string(&std::env::var("EVENTHUB_CONNECTION_STRING")?)?;
/// hub.send(EventData::new("hello, world!")).await?;
/// hub.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

impl Hub {
    /// A hub of the namespace or host `namespace`, with tokens of `provider`. A bare namespace such
    /// as `my-namespace` is one of the public cloud.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the host or the hub's name cannot be one, or an option is out
    /// of its range.
    pub fn new(
        namespace: &str,
        hub: &str,
        provider: Arc<dyn TokenProvider>,
        options: HubOptions,
    ) -> Result<Self, Error> {
        let hub = HubName::new(hub).map_err(|error| Error::invalid("the hub", error))?;
        let host = if namespace.contains(['.', '[']) || namespace == "localhost" {
            namespace.to_owned()
        } else {
            Cloud::default().host(namespace)
        };
        let host = address::normalize_host(&host)
            .map_err(|error| Error::invalid("the namespace", error))?;
        let endpoint =
            Endpoint::tls(host, eventhubs_auth::connection_string::TLS_PORT, options.tls.clone());
        Self::over(endpoint, hub, provider, options)
    }

    /// The hub that the `EntityPath` of a connection string names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the text is no connection string or names no hub. No error
    /// shows a part of the text.
    pub fn from_connection_string(text: &str) -> Result<Self, Error> {
        Self::from_connection_string_with(text, None, HubOptions::default())
    }

    /// The hub `hub` of the namespace of a connection string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the text is no connection string, or its `EntityPath` names
    /// another hub.
    pub fn from_connection_string_for(text: &str, hub: &str) -> Result<Self, Error> {
        Self::from_connection_string_with(text, Some(hub), HubOptions::default())
    }

    /// As [`from_connection_string`](Self::from_connection_string) or, with a hub,
    /// [`from_connection_string_for`](Self::from_connection_string_for), with options.
    ///
    /// # Errors
    ///
    /// As they; also when an option is out of its range.
    pub fn from_connection_string_with(
        text: &str,
        hub: Option<&str>,
        options: HubOptions,
    ) -> Result<Self, Error> {
        let what = "the connection string";
        let parsed = ConnectionString::parse(text).map_err(|error| Error::invalid(what, error))?;
        let named = hub.map(HubName::new).transpose();
        let named = named.map_err(|error| Error::invalid("the hub", error))?;
        Self::of_connection_string(&parsed, named, options)
    }

    fn of_connection_string(
        parsed: &ConnectionString,
        named: Option<HubName>,
        options: HubOptions,
    ) -> Result<Self, Error> {
        let hub = match (named, parsed.hub().cloned()) {
            (Some(named), Some(path)) if named != path => {
                let detail = "EntityPath names another hub than the caller does";
                return Err(wrong(detail));
            }
            (Some(hub), _) | (None, Some(hub)) => hub,
            (None, None) => {
                return Err(wrong("no hub: add EntityPath, or name the hub beside the string"));
            }
        };
        let host = parsed.host().to_owned();
        let endpoint = if parsed.is_emulator() {
            Endpoint::plain(host, parsed.port())
        } else {
            Endpoint::tls(host, parsed.port(), options.tls.clone())
        };
        Self::over(endpoint, hub, parsed.credential().token_provider(), options)
    }

    /// The hub that the environment names: `EVENTHUB_CONNECTION_STRING` (with `EVENTHUB_NAME` when
    /// it has no `EntityPath`), or else `EVENTHUB_NAMESPACE`, `EVENTHUB_NAME`, `EVENTHUB_KEY_NAME`
    /// and `EVENTHUB_KEY_VALUE`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] naming the variable that is missing or wrong.
    pub fn from_environment() -> Result<Self, Error> {
        let what = "the environment";
        let environment =
            Environment::from_process().map_err(|error| Error::invalid(what, error))?;
        if let Some(parsed) = &environment.connection_string {
            // The variable is there for strings without a hub of their own.
            let named = if parsed.hub().is_some() { None } else { environment.hub.clone() };
            return Self::of_connection_string(parsed, named, HubOptions::default());
        }
        let missing =
            |variable: &str| wrong(&format!("environment variable {variable} is not set"));
        let host = environment.host.as_ref();
        let host = host.ok_or_else(|| missing(eventhubs_auth::environment::CONNECTION_STRING))?;
        let hub = environment.hub.as_ref();
        let hub = hub.ok_or_else(|| missing(eventhubs_auth::environment::HUB))?;
        let credential = environment.credential();
        let credential =
            credential.ok_or_else(|| missing(eventhubs_auth::environment::KEY_NAME))?;
        Self::new(host, hub.as_str(), credential.token_provider(), HubOptions::default())
    }

    fn over(
        endpoint: Endpoint,
        hub: HubName,
        provider: Arc<dyn TokenProvider>,
        options: HubOptions,
    ) -> Result<Self, Error> {
        options.validate()?;
        let identifier = options
            .identifier
            .clone()
            .unwrap_or_else(|| format!("eventhubs-{}", uuid::Uuid::new_v4()));
        let endpoint = match &options.connector {
            Some(connector) => endpoint.with_connector(Arc::clone(connector)),
            None => endpoint,
        };
        let endpoint = match &options.resolver {
            Some(resolver) => endpoint.with_resolver(Arc::clone(resolver)),
            None => endpoint,
        };
        let endpoint = endpoint.with_tcp(options.tcp);
        let pacing = options.pacing.clone().unwrap_or_default();
        let target = Target {
            audience: audience(endpoint.host(), &hub),
            endpoint,
            hub,
            tokens: Arc::new(TokenCache::new(provider)),
            identifier,
            options,
        };
        let (target, counters) = (Arc::new(target), Arc::new(Counters::default()));
        let shared = Shared {
            keeper: Keeper::new(Arc::clone(&target), Arc::clone(&counters)),
            target,
            any: Arc::new(SendLinks::new(None)),
            partitions: Mutex::default(),
            closing: Notify::new(),
            pacing,
            counters,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &HubName {
        &self.shared.target.hub
    }

    /// The host it is reached at.
    #[must_use]
    pub fn host(&self) -> &str {
        self.shared.target.endpoint.host()
    }

    /// What happened since the hub was made: connections, retries, events dropped as duplicates.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.counters().read()
    }

    /// A producer for one destination: a partition, a key, or [`Destination::Any`].
    #[must_use]
    pub fn producer(&self, destination: impl Into<Destination>) -> Producer {
        Producer::new(Arc::clone(&self.shared), destination.into())
    }

    /// Sends one event to wherever the service likes, or where its partition key belongs; see
    /// [`Producer::send`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send`].
    pub async fn send(&self, event: impl Into<EventData>) -> Result<(), Error> {
        self.producer(Destination::Any).send(event).await
    }

    /// Queues one event at once; see [`Producer::enqueue`].
    pub fn enqueue(&self, event: impl Into<EventData>) -> Sending {
        self.producer(Destination::Any).enqueue(event)
    }

    /// An empty batch for a destination; see [`Producer::create_batch`].
    ///
    /// # Errors
    ///
    /// As [`Producer::create_batch`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn create_batch(
        &self,
        destination: impl Into<Destination>,
    ) -> Result<EventBatch, Error> {
        self.producer(destination).create_batch().await
    }

    /// Sends a batch to the destination it was made for; see [`Producer::send_batch`].
    ///
    /// # Errors
    ///
    /// As [`Producer::send_batch`].
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send_batch`].
    pub async fn send_batch(&self, batch: EventBatch) -> Result<(), Error> {
        let destination = match (batch.partition(), batch.partition_key()) {
            (Some(partition), _) => Destination::Partition(partition),
            (None, Some(key)) => Destination::Key(key.clone()),
            (None, None) => Destination::Any,
        };
        self.producer(destination).send_batch(batch).await
    }

    /// The events of one partition as a stream, from where the options say. To begin at the latest
    /// event, its number is asked for first: what comes after this call began is not missed.
    ///
    /// # Errors
    ///
    /// When an option is out of its range, before the network; when the receiver cannot be attached,
    /// after the retries of [`HubOptions::retry`]: no such partition or group, a start position that
    /// does not exist, another receiver with a higher owner level, no right to listen.
    ///
    /// # Cancel safety
    ///
    /// A receiver that nobody waits for any more is detached.
    pub async fn events(
        &self,
        partition: impl Into<PartitionId>,
        options: ReceiveOptions,
    ) -> Result<EventStream, Error> {
        options.validate()?;
        EventStream::open(Attachment::new(self.clone(), partition.into(), options)).await
    }

    /// Gives the events of one partition to `handler`, one by one, in a task of its own. The first
    /// error of the handler ends the receiver; [`ListenerHandle::err`] returns it.
    ///
    /// # Errors
    ///
    /// As [`events`](Self::events).
    ///
    /// # Cancel safety
    ///
    /// As [`events`](Self::events).
    pub async fn receive<H, F, E>(
        &self,
        partition: impl Into<PartitionId>,
        options: ReceiveOptions,
        mut handler: H,
    ) -> Result<ListenerHandle, Error>
    where
        H: FnMut(ReceivedEvent) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError>,
    {
        let stream = self.events(partition, options).await?;
        Ok(ListenerHandle::start(stream, move |event| {
            let handled = handler(event);
            async move { handled.await.map_err(Into::into) }
        }))
    }

    /// What the service says of the hub: its partitions and when it was created.
    ///
    /// # Errors
    ///
    /// When the service refuses or does not answer within `request_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn runtime_information(&self) -> Result<HubProperties, Error> {
        let target = self.shared.target();
        let call = Call {
            operation: Operation::RuntimeInformation,
            entity: target.hub.as_str(),
            retry: &target.options.retry,
            patient: false,
        };
        retrying(&self.shared, call, |this| self.shared.hub_properties(this)).await
    }

    /// What the service says of one partition: its first and last event, and when that came.
    ///
    /// # Errors
    ///
    /// As [`runtime_information`](Self::runtime_information).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn partition_runtime_information(
        &self,
        partition: impl Into<PartitionId>,
    ) -> Result<PartitionProperties, Error> {
        let partition = partition.into();
        let target = self.shared.target();
        let entity = address::producer(&target.hub, Some(partition));
        let call = Call {
            operation: Operation::RuntimeInformation,
            entity: &entity,
            retry: &target.options.retry,
            patient: false,
        };
        let ask = |this| self.shared.partition_properties(this, partition, &entity);
        retrying(&self.shared, call, ask).await
    }

    /// Closes: sends that are queued get `close_timeout` for their outcome, then the service gets as
    /// much to answer. Streams and listeners end with kind [`ErrorKind::Closed`], and so does every
    /// later call. May be called any number of times, from any clone; each call waits for the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the hub counts as closed from the first call on.
    pub async fn close(&self) {
        self.shared.keeper.close();
        self.shared.closing.notify_waiters();
        let links: Vec<_> = {
            let partitions = self.shared.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            let links = partitions.values().chain([&self.shared.any]);
            links.filter_map(|links| links.sender()).collect()
        };
        for sender in &links {
            sender.start_detach();
        }
        let detached = async {
            for sender in &links {
                sender.closed().await;
            }
        };
        let timeout = self.shared.target.options.close_timeout;
        // What has no outcome by then ends with the connection, as unknown.
        let _ = tokio::time::timeout(timeout, detached).await;
        if let Some(live) = self.shared.keeper.latest() {
            live.connection.close(None).await;
        }
    }
}

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Operation::Configure, "the connection string", detail)
}
