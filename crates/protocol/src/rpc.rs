//! Questions and answers over a pair of links: what put-token and management have in common.

use crate::names;
use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, MessageId, Properties};
use eventhubs_amqp::codec::{DecodeError, Map, Value};

/// Number of a request on its pair of links; the answer's correlation id repeats it.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::rpc::RequestId;
///
/// let first = RequestId::FIRST;
/// assert_ne!(first, first.next());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// The number to begin with.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A request as a message: application properties, a body, and where the answer goes.
pub(crate) fn request(id: RequestId, reply_to: &str, map: Map, body: Value) -> Bytes {
    let properties = Properties {
        message_id: Some(MessageId::Ulong(id.0)),
        reply_to: Some(reply_to.to_owned()),
        ..Properties::default()
    };
    let message = Message {
        properties: Some(properties),
        application_properties: map,
        body: Body::Value(body),
        ..Message::default()
    };
    let mut payload = BytesMut::with_capacity(message.encoded_len());
    message.encode(&mut payload);
    payload.freeze()
}

/// An answer: to which request, with what result.
#[derive(Debug, Clone)]
pub struct Answer {
    request: Option<RequestId>,
    status: Option<i64>,
    condition: Option<String>,
    description: String,
    body: Value,
}

/// A request the service refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status {status}, {condition}: {description}")]
pub struct Refusal {
    /// The status code, as in HTTP.
    pub status: i64,
    /// The condition the answer names, or else the one the status code stands for.
    pub condition: String,
    /// The service's text.
    pub description: String,
}

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The service refused the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The answer is no AMQP message.
    #[error("the answer cannot be decoded: {0}")]
    Undecodable(#[from] DecodeError),
    /// A field the answer must have is missing or has the wrong type.
    #[error("the answer's field {0} is missing or has the wrong type")]
    Field(&'static str),
}

impl Answer {
    /// Reads an answer from the payload of a delivery.
    ///
    /// # Errors
    ///
    /// The payload is no AMQP message.
    pub fn read(payload: &Bytes) -> Result<Self, DecodeError> {
        let message = Message::decode(payload)?;
        let properties = &message.application_properties;
        let find = |names: [&str; 2]| names.iter().find_map(|name| properties.get(name));
        let text = |names| find(names).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            request: message.properties.and_then(|p| p.correlation_id).and_then(request_id),
            status: find(names::STATUS_CODE).and_then(Value::as_i64),
            condition: text(names::ERROR_CONDITION),
            description: text(names::STATUS_DESCRIPTION).unwrap_or_default(),
            body: match message.body {
                Body::Value(value) => value,
                _ => Value::Null,
            },
        })
    }

    /// The request this answers; `None` when it names none of ours.
    #[must_use]
    pub const fn request(&self) -> Option<RequestId> {
        self.request
    }

    /// The body of an answer whose status code is from 200 to 299.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Refused`] for any other code, [`AnswerError::Field`] when there is none.
    pub fn into_body(self) -> Result<Value, AnswerError> {
        let status = self.status.ok_or(AnswerError::Field(names::STATUS_CODE[0]))?;
        if (200..300).contains(&status) {
            return Ok(self.body);
        }
        let named = self.condition.filter(|condition| !condition.is_empty());
        let condition = named.unwrap_or_else(|| crate::condition::of_status(status).to_owned());
        Err(Refusal { status, condition, description: self.description }.into())
    }
}

/// Ids come back as they went out; a peer that turns numbers into text is understood as well.
fn request_id(id: MessageId) -> Option<RequestId> {
    match id {
        MessageId::Ulong(number) => Some(RequestId(number)),
        MessageId::String(text) => text.parse().ok().map(RequestId),
        _ => None,
    }
}
