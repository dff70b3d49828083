//! Claims-based security: handing a token to the service.
//!
//! One request per token on the node [`CBS_NODE`](names::CBS_NODE), whose pair of links exists once
//! per connection. The service answers 200 or 202, or refuses.

use crate::names;
use crate::rpc::{self, Answer, AnswerError, RequestId};
use crate::types::Timestamp;
use bytes::Bytes;
use eventhubs_amqp::codec::{Map, Value};

/// How the service has to read a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// A shared access signature.
    Sas,
    /// A JSON web token, from Entra ID.
    Jwt,
}

impl TokenKind {
    /// What the kind is called on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sas => names::TYPE_SAS,
            Self::Jwt => names::TYPE_JWT,
        }
    }
}

/// A put-token request as a message.
///
/// The message holds the token: it must not be logged.
#[must_use]
pub fn put_token(
    id: RequestId,
    reply_to: &str,
    audience: &str,
    kind: TokenKind,
    token: &str,
    expires: Timestamp,
) -> Bytes {
    let mut map = Map::with_capacity(4);
    map.push(names::OPERATION, names::PUT_TOKEN);
    map.push(names::TYPE, kind.as_str());
    map.push(names::NAME, audience);
    map.push(names::EXPIRATION, Value::Timestamp(expires.as_millis()));
    rpc::request(id, reply_to, map, Value::from(token))
}

/// Whether the service took the token.
///
/// # Errors
///
/// [`AnswerError::Refused`] with the service's status code and text.
pub fn read_answer(answer: Answer) -> Result<(), AnswerError> {
    answer.into_body().map(drop)
}
