//! A connection that is open and authorized, with its request links.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::codec::{Map, Value};
use eventhubs_amqp::engine::{Options, Sasl};
use eventhubs_amqp::net::{Connection, ConnectionOptions, Endpoint};
use eventhubs_auth::TokenCache;
use eventhubs_protocol::{address, cbs, names};
use tokio::task::JoinHandle;

use crate::cell::Cell;
use crate::error::{Error, Operation};
use crate::options::HubOptions;
use crate::rpc::Rpc;

/// Where to, as whom, and how: what never changes while a hub lives.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) hub: eventhubs_protocol::HubName,
    pub(crate) tokens: Arc<TokenCache>,
    pub(crate) audience: String,
    pub(crate) identifier: String,
    pub(crate) options: HubOptions,
}

/// One open connection. Dropping it closes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) connection: Connection,
    management: Cell<Arc<Rpc>>,
    target: Arc<Target>,
    renewal: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.renewal.abort();
        self.connection.start_close(None);
    }
}

impl Live {
    /// Connects, opens and puts the first token.
    pub(crate) async fn open(target: Arc<Target>) -> Result<Self, Error> {
        let host = target.endpoint.host().to_owned();
        let options = connection_options(&target, &host);
        let connection = Connection::dial(&target.endpoint, options)
            .await
            .map_err(|error| Error::of_net(&error, Operation::Connect, &host))?;
        let cbs = match authorized(&connection, &target).await {
            Ok(cbs) => cbs,
            Err(error) => {
                connection.start_close(None);
                return Err(error);
            }
        };
        let renewal = tokio::spawn(renew(connection.clone(), cbs, Arc::clone(&target)));
        Ok(Self { connection, management: Cell::default(), target, renewal })
    }

    pub(crate) fn is_live(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// The links to the management node.
    pub(crate) async fn management(&self) -> Result<Arc<Rpc>, Error> {
        let entity = self.target.hub.as_str();
        self.management
            .get_or_make(
                |rpc| rpc.is_live(),
                || async {
                    let timeout = self.target.options.request_timeout;
                    let node = names::MANAGEMENT_NODE;
                    match Rpc::attach(&self.connection, node, timeout).await {
                        Ok(rpc) => Ok(Arc::new(rpc)),
                        Err(error) => {
                            Err(Error::of_net(&error, Operation::RuntimeInformation, entity))
                        }
                    }
                },
            )
            .await
    }
}

fn connection_options(target: &Target, host: &str) -> ConnectionOptions {
    let options = &target.options;
    let mut properties = Map::default();
    let agent = concat!("eventhubs-rust/", env!("CARGO_PKG_VERSION"));
    for (key, value) in [
        ("product", "eventhubs-rust"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("platform", std::env::consts::OS),
        ("user-agent", agent),
    ] {
        properties
            .push(eventhubs_amqp::codec::Symbol::from_static(key), Value::String(value.to_owned()));
    }
    let engine = Options {
        hostname: Some(host.to_owned()),
        sasl: Sasl::Anonymous,
        idle_time_out: Some(options.idle_timeout),
        open_timeout: options.open_timeout,
        close_timeout: options.close_timeout,
        properties,
        // The service wants container ids unique per connection.
        ..Options::dialler(format!("{}-{}", target.identifier, uuid::Uuid::new_v4()))
    };
    ConnectionOptions {
        connect_timeout: options.connect_timeout,
        ..ConnectionOptions::with_engine(engine)
    }
}

/// Attaches the one pair of links to the node for tokens and puts the first token.
async fn authorized(connection: &Connection, target: &Target) -> Result<Rpc, Error> {
    let entity = target.hub.as_str();
    let rpc = Rpc::attach(connection, names::CBS_NODE, target.options.request_timeout)
        .await
        .map_err(|error| Error::of_net(&error, Operation::Authorize, entity))?;
    put_token(&rpc, target).await?;
    Ok(rpc)
}

async fn put_token(rpc: &Rpc, target: &Target) -> Result<(), Error> {
    let entity = target.hub.as_str();
    let audience = &target.audience;
    let token =
        target.tokens.token(audience).await.map_err(|error| Error::of_token(error, entity))?;
    let answer = rpc
        .request(Operation::Authorize, entity, |id, reply_to| {
            let secret = token.secret().expose();
            cbs::put_token(id, reply_to, audience, token.kind(), secret, token.expires())
        })
        .await?;
    cbs::read_answer(answer).map_err(|error| {
        target.tokens.invalidate(audience, &token);
        Error::of_answer(error, Operation::Authorize, entity)
    })
}

/// Time until the next try when the service did not take a renewed token.
const RENEWAL_RETRY: Duration = Duration::from_secs(30);

/// Puts a new token before the old one ends, as long as the connection lives.
async fn renew(connection: Connection, rpc: Rpc, target: Arc<Target>) {
    let mut failed = false;
    loop {
        let due = match target.tokens.renewal_due_in(&target.audience) {
            Some(_) if failed => RENEWAL_RETRY,
            Some(due) => due,
            // There is no other token: the connection ends with this one.
            None if !failed => {
                connection.closed().await;
                return;
            }
            None => RENEWAL_RETRY,
        };
        if tokio::time::timeout(due, connection.closed()).await.is_ok() {
            return;
        }
        failed = match put_token(&rpc, &target).await {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "a renewed token could not be put; trying again");
                true
            }
        };
    }
}

/// The audience of the one token a hub needs.
pub(crate) fn audience(host: &str, hub: &eventhubs_protocol::HubName) -> String {
    address::audience(host, hub)
}
