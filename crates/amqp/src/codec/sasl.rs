//! The frames of the security layer (AMQP 1.0 part 5.3.3).

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::read::{Fields, Reader};
use super::write::{self, ListWriter};
use super::{DecodeError, DecodeErrorKind, FieldList, Symbol, descriptor};

/// The server's list of mechanisms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// Mechanisms in the order the server prefers.
    pub mechanisms: Vec<Symbol>,
}

/// The client's choice. `Debug` shows the length of the response only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Init {
    /// The mechanism chosen.
    pub mechanism: Symbol,
    /// What the mechanism has the client say first.
    pub initial_response: Option<Bytes>,
    /// The host the connection is for.
    pub hostname: Option<String>,
}

/// A question of the server. `Debug` shows its length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The question.
    pub challenge: Bytes,
}

/// The client's answer. `Debug` shows its length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The answer.
    pub response: Bytes,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub code: Code,
    /// More from the mechanism.
    pub additional_data: Option<Bytes>,
}

/// The result of an authentication (part 5.3.3.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Code {
    /// It succeeded.
    #[default]
    Ok,
    /// The credentials are wrong.
    Auth,
    /// A system error.
    Sys,
    /// A system error which is not going away.
    SysPerm,
    /// A system error which may go away.
    SysTemp,
}

impl Code {
    const fn to_wire(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Auth => 1,
            Self::Sys => 2,
            Self::SysPerm => 3,
            Self::SysTemp => 4,
        }
    }

    const fn from_wire(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Ok),
            1 => Some(Self::Auth),
            2 => Some(Self::Sys),
            3 => Some(Self::SysPerm),
            4 => Some(Self::SysTemp),
            _ => None,
        }
    }
}

/// Any frame of the security layer.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::FieldList;
/// use eventhubs_amqp::codec::sasl::{Code, Frame, Outcome};
///
/// let frame = Frame::Outcome(Outcome { code: Code::Auth, additional_data: None });
/// let mut body = BytesMut::new();
/// frame.encode(FieldList::Trimmed, &mut body);
/// assert_eq!(Frame::decode(&body).unwrap(), frame);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The server's list of mechanisms.
    Mechanisms(Mechanisms),
    /// The client's choice.
    Init(Init),
    /// A question of the server.
    Challenge(Challenge),
    /// The client's answer.
    Response(Response),
    /// How it ended.
    Outcome(Outcome),
}

impl Frame {
    /// Reads the body of a SASL frame.
    ///
    /// # Errors
    ///
    /// When it is none of the five, or bytes are left over.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, "sasl");
        let frame = match reader.descriptor()? {
            descriptor::SASL_MECHANISMS => Self::Mechanisms(reader.fields(0, Mechanisms::read)?),
            descriptor::SASL_INIT => Self::Init(reader.fields(0, Init::read)?),
            descriptor::SASL_CHALLENGE => Self::Challenge(reader.fields(0, Challenge::read)?),
            descriptor::SASL_RESPONSE => Self::Response(reader.fields(0, Response::read)?),
            descriptor::SASL_OUTCOME => Self::Outcome(reader.fields(0, Outcome::read)?),
            other => return Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        };
        reader.at_end()?;
        Ok(frame)
    }

    /// Appends the frame's body, without a frame header.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let list = |out, descriptor| ListWriter::composite(out, descriptor, fields);
        match self {
            Self::Mechanisms(Mechanisms { mechanisms }) => {
                let mut list = list(out, descriptor::SASL_MECHANISMS);
                // Mandatory, so an empty array and not null.
                list.field(|out| write::put_symbols(out, mechanisms));
                list.finish();
            }
            Self::Init(init) => {
                let mut list = list(out, descriptor::SASL_INIT);
                list.field(|out| write::put_symbol(out, &init.mechanism));
                list.optional(init.initial_response.as_deref(), write::put_binary);
                list.text(init.hostname.as_deref());
                list.finish();
            }
            Self::Challenge(Challenge { challenge }) => {
                let mut list = list(out, descriptor::SASL_CHALLENGE);
                list.field(|out| write::put_binary(out, challenge));
                list.finish();
            }
            Self::Response(Response { response }) => {
                let mut list = list(out, descriptor::SASL_RESPONSE);
                list.field(|out| write::put_binary(out, response));
                list.finish();
            }
            Self::Outcome(outcome) => {
                let mut list = list(out, descriptor::SASL_OUTCOME);
                list.field(|out| write::put_ubyte(out, outcome.code.to_wire()));
                list.optional(outcome.additional_data.as_deref(), write::put_binary);
                list.finish();
            }
        }
    }
}

impl Frame {
    /// The name of the frame in the specification.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mechanisms(_) => "sasl-mechanisms",
            Self::Init(_) => "sasl-init",
            Self::Challenge(_) => "sasl-challenge",
            Self::Response(_) => "sasl-response",
            Self::Outcome(_) => "sasl-outcome",
        }
    }
}

impl Mechanisms {
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self { mechanisms: fields.symbols("sasl-mechanisms.sasl-server-mechanisms")? })
    }
}

impl Init {
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let mechanism = fields.symbol("sasl-init.mechanism")?;
        Ok(Self {
            mechanism: fields.required(mechanism)?,
            initial_response: fields.binary("sasl-init.initial-response")?,
            hostname: fields.text("sasl-init.hostname")?,
        })
    }
}

impl Challenge {
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let challenge = fields.binary("sasl-challenge.challenge")?;
        Ok(Self { challenge: fields.required(challenge)? })
    }
}

impl Response {
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let response = fields.binary("sasl-response.response")?;
        Ok(Self { response: fields.required(response)? })
    }
}

impl Outcome {
    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let code = fields.ubyte("sasl-outcome.code")?;
        let code = Code::from_wire(fields.required(code)?)
            .ok_or_else(|| fields.error(DecodeErrorKind::InvalidValue))?;
        Ok(Self { code, additional_data: fields.binary("sasl-outcome.additional-data")? })
    }
}

impl fmt::Debug for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Init")
            .field("mechanism", &self.mechanism)
            .field("initial_response_len", &self.initial_response.as_ref().map(Bytes::len))
            .field("hostname", &self.hostname)
            .finish()
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("challenge_len", &self.challenge.len()).finish()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("response_len", &self.response.len()).finish()
    }
}
