//! The nine performatives (AMQP 1.0 part 2.7), owned and whole.
//!
//! Fields with a default value in the specification have it here, so that only `Option` means null. Decoders take the
//! descriptor as number or symbol, any width of an integer, null for anything that is not mandatory, and any number of
//! fields: what is missing is null, what is too much is skipped.

mod attach;
mod begin;
mod close;
mod detach;
mod disposition;
mod end;
mod flow;
mod open;
mod role;
mod settle_mode;
mod transfer;

use bytes::BytesMut;

use super::read::Reader;
use super::{DecodeError, DecodeErrorKind, FieldList, descriptor};

pub use attach::Attach;
pub use begin::Begin;
pub use close::Close;
pub use detach::Detach;
pub use disposition::Disposition;
pub use end::End;
pub use flow::Flow;
pub use open::Open;
pub use role::Role;
pub use settle_mode::{ReceiverSettleMode, SenderSettleMode};
pub use transfer::Transfer;

/// Any performative.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::FieldList;
/// use eventhubs_amqp::codec::performative::{End, Performative};
///
/// let mut out = BytesMut::new();
/// Performative::End(End::default()).encode(FieldList::Full, &mut out);
/// assert_eq!(&out[..], [0x00, 0x53, 0x17, 0xc0, 2, 1, 0x40]);
/// assert_eq!(Performative::decode(&out).unwrap(), (Performative::End(End::default()), out.len()));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Performative {
    /// Negotiates the connection.
    Open(Box<Open>),
    /// Begins a session.
    Begin(Box<Begin>),
    /// Attaches a link.
    Attach(Box<Attach>),
    /// Tells windows and credit.
    Flow(Box<Flow>),
    /// Carries a message, or a part of one.
    Transfer(Box<Transfer>),
    /// Tells what became of deliveries.
    Disposition(Disposition),
    /// Detaches a link.
    Detach(Detach),
    /// Ends a session.
    End(End),
    /// Closes the connection.
    Close(Close),
}

impl Performative {
    /// Reads the performative the body of a frame begins with, and how many bytes it took. The rest is the payload.
    ///
    /// # Errors
    ///
    /// When the bytes are no performative; see [`DecodeErrorKind`] for the ways to fail.
    pub fn decode(body: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(body, "performative");
        let performative = Self::read(&mut reader)?;
        Ok((performative, reader.position()))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.descriptor()? {
            descriptor::OPEN => Self::Open(Box::new(reader.fields(0, Open::read)?)),
            descriptor::BEGIN => Self::Begin(Box::new(reader.fields(0, Begin::read)?)),
            descriptor::ATTACH => Self::Attach(Box::new(reader.fields(0, Attach::read)?)),
            descriptor::FLOW => Self::Flow(Box::new(reader.fields(0, Flow::read)?)),
            descriptor::TRANSFER => Self::Transfer(Box::new(reader.fields(0, Transfer::read)?)),
            descriptor::DISPOSITION => Self::Disposition(reader.fields(0, Disposition::read)?),
            descriptor::DETACH => Self::Detach(reader.fields(0, Detach::read)?),
            descriptor::END => Self::End(reader.fields(0, End::read)?),
            descriptor::CLOSE => Self::Close(reader.fields(0, Close::read)?),
            other => return Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        })
    }

    /// Appends the performative with its descriptor, without a frame header.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        match self {
            Self::Open(open) => open.encode(fields, out),
            Self::Begin(begin) => begin.encode(fields, out),
            Self::Attach(attach) => attach.encode(fields, out),
            Self::Flow(flow) => flow.encode(fields, out),
            Self::Transfer(transfer) => transfer.encode(fields, out),
            Self::Disposition(disposition) => disposition.encode(fields, out),
            Self::Detach(detach) => detach.encode(fields, out),
            Self::End(end) => end.encode(fields, out),
            Self::Close(close) => close.encode(fields, out),
        }
    }

    /// The name of the performative in the specification.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Begin(_) => "begin",
            Self::Attach(_) => "attach",
            Self::Flow(_) => "flow",
            Self::Transfer(_) => "transfer",
            Self::Disposition(_) => "disposition",
            Self::Detach(_) => "detach",
            Self::End(_) => "end",
            Self::Close(_) => "close",
        }
    }
}

macro_rules! boxed {
    ($($name:ident),*) => {
        $(impl From<$name> for Performative {
            fn from(performative: $name) -> Self {
                Self::$name(performative.into())
            }
        })*
    };
}

boxed!(Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close);
