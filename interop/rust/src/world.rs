//! What a case gets: a hub of its own, ways to reach it, and the emulator's control port.

use std::collections::BTreeSet;
use std::sync::Arc;

use azure_core::time::Duration;
use azure_messaging_eventhubs::models::{AmqpTransport, ReceivedEventData};
use azure_messaging_eventhubs::{
    ConsumerClient, EventDataBatchOptions, OpenReceiverOptions, ProducerClient, Result,
    RetryOptions, StartLocation, StartPosition,
};
use serde_json::{Value, json};

use crate::Failure;
use crate::assignment::{Assignment, Endpoint, Transport};
use crate::control;
use crate::cross::Cross;
use crate::receiving::Receiving;

/// The client takes its host from the connection string and dials the custom endpoint instead.
const HOST: &str = "localhost";

pub(crate) struct World {
    assignment: Arc<Assignment>,
    pub(crate) hub: String,
    emulator: Endpoint,
}

/// How a client is made.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) hub: String,
    pub(crate) key_name: String,
    pub(crate) key: String,
    pub(crate) retry: RetryOptions,
}

/// One attempt: an error is an error.
pub(crate) fn no_retry() -> RetryOptions {
    RetryOptions { max_retries: 0, ..RetryOptions::default() }
}

/// A few attempts in quick succession.
pub(crate) fn quick_retry() -> RetryOptions {
    RetryOptions {
        initial_delay: Duration::milliseconds(100),
        max_delay: Duration::seconds(1),
        ..RetryOptions::default()
    }
}

/// From the beginning of the log.
pub(crate) fn earliest() -> OpenReceiverOptions {
    from(StartLocation::Earliest, false)
}

pub(crate) fn from(location: StartLocation, inclusive: bool) -> OpenReceiverOptions {
    let start_position = Some(StartPosition { location, inclusive });
    OpenReceiverOptions { start_position, ..OpenReceiverOptions::default() }
}

pub(crate) fn to_partition(id: &str) -> Option<EventDataBatchOptions> {
    let partition_id = Some(id.to_owned());
    Some(EventDataBatchOptions { partition_id, ..EventDataBatchOptions::default() })
}

impl World {
    pub(crate) fn new(assignment: Arc<Assignment>, hub: String) -> Self {
        let emulator = assignment.emulator.clone();
        Self { assignment, hub, emulator }
    }

    /// The same hub on the emulator that expects a sign of life every 4 seconds.
    pub(crate) fn idle(&self) -> std::result::Result<Self, Failure> {
        let emulator = self.assignment.idle.clone().ok_or("there is no idle emulator")?;
        Ok(Self { assignment: Arc::clone(&self.assignment), hub: self.hub.clone(), emulator })
    }

    pub(crate) fn cross(&self) -> std::result::Result<Cross, Failure> {
        Ok(serde_json::from_value(self.assignment.cross.clone())?)
    }

    /// Who we are unless a case says otherwise.
    pub(crate) fn login(&self) -> Login {
        Login {
            hub: self.hub.clone(),
            key_name: self.assignment.key_name.clone(),
            key: self.assignment.key.clone(),
            retry: no_retry(),
        }
    }

    fn connection_string(&self, login: &Login) -> String {
        let Login { key_name, key, .. } = login;
        format!("Endpoint=sb://{HOST}/;SharedAccessKeyName={key_name};SharedAccessKey={key}")
    }

    fn custom_endpoint(&self) -> String {
        let scheme = match self.assignment.transport {
            Transport::Plaintext => "amqp",
            Transport::Tls | Transport::WebsocketTls => "amqps",
        };
        format!("{scheme}://{}/", self.emulator.address)
    }

    fn transport(&self) -> AmqpTransport {
        match self.assignment.transport {
            Transport::Plaintext | Transport::Tls => AmqpTransport::Tcp,
            Transport::WebsocketTls => AmqpTransport::WebSocket,
        }
    }

    pub(crate) async fn producer(&self) -> Result<ProducerClient> {
        self.producer_as(self.login()).await
    }

    pub(crate) async fn producer_to(&self, hub: &str) -> Result<ProducerClient> {
        self.producer_as(Login { hub: hub.to_owned(), ..self.login() }).await
    }

    pub(crate) async fn producer_as(&self, login: Login) -> Result<ProducerClient> {
        ProducerClient::builder()
            .with_custom_endpoint(self.custom_endpoint())
            .with_transport(self.transport())
            .with_retry_options(login.retry.clone())
            .open_with_connection_string(&self.connection_string(&login), Some(&login.hub))
            .await
    }

    pub(crate) async fn consumer(&self) -> Result<ConsumerClient> {
        self.consumer_as(self.login()).await
    }

    pub(crate) async fn consumer_as(&self, login: Login) -> Result<ConsumerClient> {
        ConsumerClient::builder()
            .with_custom_endpoint(self.custom_endpoint())
            .with_transport(self.transport())
            .with_retry_options(login.retry.clone())
            .open_with_connection_string(&self.connection_string(&login), Some(&login.hub))
            .await
    }

    /// A receiver on a client of its own.
    pub(crate) async fn receiving(
        &self,
        partition: &str,
        options: OpenReceiverOptions,
    ) -> std::result::Result<Receiving, Failure> {
        self.receiving_as(self.login(), partition, options).await
    }

    pub(crate) async fn receiving_as(
        &self,
        login: Login,
        partition: &str,
        options: OpenReceiverOptions,
    ) -> std::result::Result<Receiving, Failure> {
        Ok(Receiving::start(self.consumer_as(login).await?, partition, options).await?)
    }

    /// The next `count` events.
    pub(crate) async fn receive(
        &self,
        count: usize,
        partition: &str,
        options: OpenReceiverOptions,
    ) -> std::result::Result<Vec<Arc<ReceivedEventData>>, Failure> {
        let mut receiving = self.receiving(partition, options).await?;
        let events = receiving.wait(count).await?;
        receiving.close().await?;
        Ok(events)
    }

    /// Makes the emulator misbehave on this hub and gives the fault's id. `more` is merged into the
    /// fault; its scope is completed by the hub.
    pub(crate) async fn fault(
        &self,
        effect: Value,
        more: Value,
    ) -> std::result::Result<u64, Failure> {
        let mut fault = json!({ "at": "now", "effect": effect });
        if let (Some(fault), Some(more)) = (fault.as_object_mut(), more.as_object()) {
            fault.extend(more.clone());
            let scope = fault.entry("scope").or_insert_with(|| json!({}));
            scope["hub"] = json!(self.hub);
        }
        let answer = self.control("POST", "/faults", Some(&fault)).await?;
        Ok(answer["id"].as_u64().ok_or_else(|| format!("no id in {answer}"))?)
    }

    /// Waits until a fault has struck.
    pub(crate) async fn struck(&self, fault: u64) -> std::result::Result<(), Failure> {
        self.control("GET", &format!("/faults/{fault}?hits=1&wait-ms=5000"), None).await?;
        Ok(())
    }

    /// The numbers of the connections that are there for this hub.
    pub(crate) async fn connections(&self) -> std::result::Result<BTreeSet<u64>, Failure> {
        let texts = |list: &Value, key: &str| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(|one| Some(one[key].as_str()?.to_owned())).collect()
        };
        let is_ours = |connection: &&Value| {
            let audiences = texts(&connection["audiences"], "audience");
            let addresses = texts(&connection["links"], "address");
            let mut paths = audiences.iter().chain(&addresses);
            paths.any(|path| path.split('/').any(|part| part == self.hub))
        };
        self.connections_where(is_ours).await
    }

    /// The numbers of the connections that have a link of this role to this hub.
    pub(crate) async fn connections_of(
        &self,
        role: &str,
    ) -> std::result::Result<BTreeSet<u64>, Failure> {
        let has_link = |connection: &&Value| {
            let mut links = connection["links"].as_array().into_iter().flatten();
            links.any(|link| link["role"] == role && link["hub"] == *self.hub)
        };
        self.connections_where(has_link).await
    }

    async fn connections_where(
        &self,
        wanted: impl Fn(&&Value) -> bool,
    ) -> std::result::Result<BTreeSet<u64>, Failure> {
        let state = self.control("GET", "/state", None).await?;
        let all = state["connections"].as_array().ok_or("no connections in the state")?;
        Ok(all.iter().filter(wanted).filter_map(|one| one["number"].as_u64()).collect())
    }

    /// Waits until none of these connections is there any more.
    pub(crate) async fn are_gone(
        &self,
        numbers: &BTreeSet<u64>,
    ) -> std::result::Result<(), Failure> {
        let gone = async {
            while !self.connections().await?.is_disjoint(numbers) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Ok(())
        };
        let limit = std::time::Duration::from_secs(5);
        let late = |_| format!("some of connections {numbers:?} are still there");
        tokio::time::timeout(limit, gone).await.map_err(late)?
    }

    async fn control(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Value, Failure> {
        control::call(&self.emulator.control, method, path, body).await
    }
}
