//! Requests on `$cbs` and `$management`, and the answers to them.

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, MessageId, Properties};
use eventhubs_amqp::codec::{Map, Symbol, Value};

use crate::names::request;

/// Largest request that is decoded, in bytes: a token, a few names and room to spare.
pub(crate) const MAX_REQUEST_LEN: usize = 64 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    message_id: Option<MessageId>,
    reply_to: Option<String>,
    properties: Map,
    body: Body,
}

impl Request {
    /// Reads a request; `None` when it is no message.
    pub(crate) fn decode(payload: &Bytes) -> Option<Self> {
        if payload.len() > MAX_REQUEST_LEN {
            return None;
        }
        let message = Message::decode(payload).ok()?;
        let properties = message.properties.unwrap_or_default();
        Some(Self {
            message_id: properties.message_id,
            reply_to: properties.reply_to,
            properties: message.application_properties,
            body: message.body,
        })
    }

    /// Where the answer shall go, if the request says so.
    pub(crate) fn reply_to(&self) -> Option<&str> {
        self.reply_to.as_deref()
    }

    /// A text among the application properties.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    /// The text of an `amqp-value` body.
    pub(crate) fn body_text(&self) -> Option<&str> {
        match &self.body {
            Body::Value(value) => value.as_str(),
            _ => None,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    status: i32,
    description: String,
    condition: Option<Symbol>,
    body: Value,
}

impl Answer {
    /// Status 202, `Accepted`: the answer to a token.
    pub(crate) fn accepted() -> Self {
        Self { status: 202, description: "Accepted".to_owned(), condition: None, body: Value::Null }
    }

    /// Status 200 with a body.
    pub(crate) fn ok(body: Map) -> Self {
        Self { status: 200, description: "OK".to_owned(), condition: None, body: Value::Map(body) }
    }

    /// A refusal.
    pub(crate) fn refused(status: i32, condition: Symbol, description: impl Into<String>) -> Self {
        Self::saying(status, Some(condition), description)
    }

    /// An answer without a body.
    pub(crate) fn saying(
        status: i32,
        condition: Option<Symbol>,
        description: impl Into<String>,
    ) -> Self {
        Self { status, description: description.into(), condition, body: Value::Null }
    }

    /// Status and words of a refusal; they quote no token.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.condition.as_ref().map(|_| format!("{} {}", self.status, self.description))
    }

    /// Status code of the answer.
    #[cfg(test)]
    pub(crate) fn status(&self) -> i32 {
        self.status
    }

    /// Condition of a refusal.
    #[cfg(test)]
    pub(crate) fn condition(&self) -> Option<&Symbol> {
        self.condition.as_ref()
    }

    /// Body of the answer.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    /// The answer to `request` as a message. The correlation id has the type of the request's
    /// message id: clients compare both.
    pub(crate) fn encode(self, request: &Request) -> Bytes {
        let mut out = BytesMut::new();
        self.message(request).encode(&mut out);
        out.freeze()
    }

    /// The same before it is encoded.
    pub(crate) fn message(self, request: &Request) -> Message {
        let mut properties = Map::default();
        properties.insert(request::STATUS_CODE, Value::Int(self.status));
        properties.insert(request::STATUS_DESCRIPTION, Value::String(self.description));
        if let Some(condition) = self.condition {
            properties.insert(request::ERROR_CONDITION, Value::Symbol(condition));
        }
        Message {
            properties: Some(Properties {
                correlation_id: request.message_id.clone(),
                ..Properties::default()
            }),
            application_properties: properties,
            body: Body::Value(self.body),
            ..Message::default()
        }
    }

    /// For tests of the nodes: a request with application properties and a text body.
    #[cfg(test)]
    pub(crate) fn request(properties: &[(&str, &str)], body: Option<&str>) -> Request {
        let properties = properties.iter().map(|(name, value)| {
            (Value::from((*name).to_owned()), Value::from((*value).to_owned()))
        });
        Request {
            message_id: None,
            reply_to: None,
            properties: properties.collect(),
            body: body.map_or(Body::Empty, |text| Body::Value(Value::String(text.to_owned()))),
        }
    }
}
