//! A connection that is open and authorized, with its request links.

use std::sync::{Arc, Mutex, PoisonError};

use eventhubs_amqp::codec::{Map, Value};
use eventhubs_amqp::engine::{Options, Sasl};
use eventhubs_amqp::net::{Connection, ConnectionOptions, Endpoint};
use eventhubs_auth::{Token, TokenCache};
use eventhubs_protocol::{address, cbs, names};

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

impl Target {
    /// A token that serves.
    pub(crate) async fn token(&self) -> Result<Token, Error> {
        let Self { tokens, audience, hub, .. } = self;
        tokens.token(audience).await.map_err(|error| {
            // Until then the provider's failure is remembered, and nobody asks it.
            Error::of_token(error, hub.as_str()).with_wait(tokens.retry_due_in(audience))
        })
    }
}

/// One open connection. Dropping it closes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) connection: Connection,
    /// The one pair of links to the node for tokens.
    cbs: Mutex<Arc<Rpc>>,
    first_token: Token,
    target: Arc<Target>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.connection.start_close(None);
    }
}

impl Live {
    /// Connects, opens and puts the first token.
    ///
    /// Cancel safe: dropping the future closes what there is.
    pub(crate) async fn open(target: Arc<Target>) -> Result<Self, Error> {
        let host = target.endpoint.host().to_owned();
        let options = connection_options(&target, &host);
        let connection = Connection::dial(&target.endpoint, options)
            .await
            .map_err(|error| Error::of_net(&error, Operation::Connect, &host))?;
        let authorized = async {
            let cbs = attach_cbs(&connection, &target).await?;
            let first_token = put_token(&cbs, &target).await?;
            Ok((Mutex::new(Arc::new(cbs)), first_token))
        };
        match authorized.await {
            Ok((cbs, first_token)) => Ok(Self { connection, cbs, first_token, target }),
            Err(error) => {
                connection.start_close(None);
                Err(error)
            }
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// The token that was put when it was opened.
    pub(crate) fn first_token(&self) -> &Token {
        &self.first_token
    }

    /// Puts a token that serves, fetched anew if the one before is due or was refused. The service
    /// allows one pair of links for it, which is attached again if it was lost.
    pub(crate) async fn put_token(&self) -> Result<Token, Error> {
        let cbs = Arc::clone(&self.cbs.lock().unwrap_or_else(PoisonError::into_inner));
        if cbs.is_live() {
            return put_token(&cbs, &self.target).await;
        }
        let cbs = Arc::new(attach_cbs(&self.connection, &self.target).await?);
        *self.cbs.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&cbs);
        put_token(&cbs, &self.target).await
    }

    /// Attaches links to the management node.
    pub(crate) async fn management(&self) -> Result<Rpc, Error> {
        let entity = self.target.hub.as_str();
        let timeout = self.target.options.request_timeout;
        Rpc::attach(&self.connection, names::MANAGEMENT_NODE, timeout)
            .await
            .map_err(|error| Error::of_net(&error, Operation::RuntimeInformation, entity))
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

/// Attaches the pair of links to the node for tokens.
async fn attach_cbs(connection: &Connection, target: &Target) -> Result<Rpc, Error> {
    Rpc::attach(connection, names::CBS_NODE, target.options.request_timeout)
        .await
        .map_err(|error| Error::of_net(&error, Operation::Authorize, target.hub.as_str()))
}

/// Puts the token that serves now; one that the service refuses is forgotten.
async fn put_token(rpc: &Rpc, target: &Target) -> Result<Token, Error> {
    let entity = target.hub.as_str();
    let audience = &target.audience;
    let token = target.token().await?;
    let answer = rpc
        .request(Operation::Authorize, entity, |id, reply_to| {
            let secret = token.secret().expose();
            cbs::put_token(id, reply_to, audience, token.kind(), secret, token.expires())
        })
        .await?;
    match cbs::read_answer(answer) {
        Ok(()) => Ok(token),
        Err(error) => {
            target.tokens.invalidate(audience, &token);
            let skew = target.tokens.clock_skew(&token, &error.to_string());
            let error = Error::of_answer(error, Operation::Authorize, entity);
            let error = match skew {
                Some(skew) => error.with_hint(skew),
                None => error,
            };
            // Its provider has no other.
            Err(if token.is_renewable() { error } else { error.for_good() })
        }
    }
}

/// The audience of the one token a hub needs.
pub(crate) fn audience(host: &str, hub: &eventhubs_protocol::HubName) -> String {
    address::audience(host, hub)
}
