//! The properties of a message.

use bytes::{Bytes, BytesMut};

use crate::codec::read::{Fields, Reader};
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, DecodeErrorKind, FieldList, Symbol, Value, descriptor};

/// The id of a message, or of the message it answers (AMQP 1.0 parts 3.2.11 to 3.2.14).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageId {
    /// A number.
    Ulong(u64),
    /// A UUID, most significant byte first.
    Uuid([u8; 16]),
    /// Bytes.
    Binary(Bytes),
    /// Text.
    String(String),
}

impl From<u64> for MessageId {
    fn from(id: u64) -> Self {
        Self::Ulong(id)
    }
}

impl From<&str> for MessageId {
    fn from(id: &str) -> Self {
        Self::String(id.to_owned())
    }
}

impl From<String> for MessageId {
    fn from(id: String) -> Self {
        Self::String(id)
    }
}

impl From<Bytes> for MessageId {
    fn from(id: Bytes) -> Self {
        Self::Binary(id)
    }
}

impl From<MessageId> for Value {
    fn from(id: MessageId) -> Self {
        match id {
            MessageId::Ulong(id) => Self::Ulong(id),
            MessageId::Uuid(id) => Self::Uuid(id),
            MessageId::Binary(id) => Self::Binary(id),
            MessageId::String(id) => Self::String(id),
        }
    }
}

impl TryFrom<Value> for MessageId {
    type Error = Value;

    /// The other way round; gives a value back that cannot be an id.
    fn try_from(value: Value) -> Result<Self, Value> {
        match value {
            Value::Ulong(id) => Ok(Self::Ulong(id)),
            Value::Uuid(id) => Ok(Self::Uuid(id)),
            Value::Binary(id) => Ok(Self::Binary(id)),
            Value::String(id) => Ok(Self::String(id)),
            other => Err(other),
        }
    }
}

impl MessageId {
    /// Appends the id.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Ulong(id) => write::put_ulong(out, *id),
            Self::Uuid(id) => write::put_uuid(out, id),
            Self::Binary(id) => write::put_binary(out, id),
            Self::String(id) => write::put_str(out, id),
        }
    }

    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Ulong(id) => write::ulong_len(*id),
            Self::Uuid(id) => write::uuid_len(id),
            Self::Binary(id) => write::binary_len(id),
            Self::String(id) => write::str_len(id),
        }
    }
}

/// Immutable properties of a message (AMQP 1.0 part 3.2.4).
///
/// ```
/// use eventhubs_amqp::codec::message::{MessageId, Properties};
///
/// let properties = Properties { message_id: Some(7.into()), ..Properties::default() };
/// assert_eq!(properties.message_id, Some(MessageId::Ulong(7)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// The application's name for the message.
    pub message_id: Option<MessageId>,
    /// The user who made the message.
    pub user_id: Option<Bytes>,
    /// The node it is for.
    pub to: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// The node answers are to go to.
    pub reply_to: Option<String>,
    /// The message this one answers or belongs to.
    pub correlation_id: Option<MessageId>,
    /// The MIME type of the body.
    pub content_type: Option<Symbol>,
    /// What was done to the body, such as compression.
    pub content_encoding: Option<Symbol>,
    /// When it is of no more use, in milliseconds since 1970-01-01T00:00:00Z.
    pub absolute_expiry_time: Option<i64>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub creation_time: Option<i64>,
    /// The group it belongs to.
    pub group_id: Option<String>,
    /// Its place in the group.
    pub group_sequence: Option<u32>,
    /// The group answers belong to.
    pub reply_to_group_id: Option<String>,
}

impl Properties {
    /// Reads the list of a properties section, such as [`sections`](super::sections()) finds.
    ///
    /// # Errors
    ///
    /// When it is no list, or a field has the wrong type.
    pub fn decode(list: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(list, "properties").fields(0, Self::read)
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self {
            message_id: message_id(fields, "properties.message-id")?,
            user_id: fields.binary("properties.user-id")?,
            to: fields.text("properties.to")?,
            subject: fields.text("properties.subject")?,
            reply_to: fields.text("properties.reply-to")?,
            correlation_id: message_id(fields, "properties.correlation-id")?,
            content_type: fields.symbol("properties.content-type")?,
            content_encoding: fields.symbol("properties.content-encoding")?,
            absolute_expiry_time: fields.timestamp("properties.absolute-expiry-time")?,
            creation_time: fields.timestamp("properties.creation-time")?,
            group_id: fields.text("properties.group-id")?,
            group_sequence: fields.uint("properties.group-sequence")?,
            reply_to_group_id: fields.text("properties.reply-to-group-id")?,
        })
    }

    /// Appends the section.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::PROPERTIES, FieldList::Trimmed);
        list.optional(self.message_id.as_ref(), |out, id| id.encode(out));
        list.optional(self.user_id.as_deref(), write::put_binary);
        list.text(self.to.as_deref());
        list.text(self.subject.as_deref());
        list.text(self.reply_to.as_deref());
        list.optional(self.correlation_id.as_ref(), |out, id| id.encode(out));
        list.symbol(self.content_type.as_ref());
        list.symbol(self.content_encoding.as_ref());
        list.optional(self.absolute_expiry_time, write::put_timestamp);
        list.optional(self.creation_time, write::put_timestamp);
        list.text(self.group_id.as_deref());
        list.optional(self.group_sequence, write::put_uint);
        list.text(self.reply_to_group_id.as_deref());
        list.finish();
    }

    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let text = |text: &Option<String>| text.as_deref().map(write::str_len);
        let symbol = |name: &Option<Symbol>| name.as_deref().map(write::symbol_len);
        let mut list = write::ListLen::new();
        list.optional(self.message_id.as_ref().map(MessageId::encoded_len));
        list.optional(self.user_id.as_deref().map(write::binary_len));
        list.optional(text(&self.to));
        list.optional(text(&self.subject));
        list.optional(text(&self.reply_to));
        list.optional(self.correlation_id.as_ref().map(MessageId::encoded_len));
        list.optional(symbol(&self.content_type));
        list.optional(symbol(&self.content_encoding));
        list.optional(self.absolute_expiry_time.map(write::timestamp_len));
        list.optional(self.creation_time.map(write::timestamp_len));
        list.optional(text(&self.group_id));
        list.optional(self.group_sequence.map(write::uint_len));
        list.optional(text(&self.reply_to_group_id));
        write::descriptor_len(descriptor::PROPERTIES) + list.finish()
    }
}

fn message_id(
    fields: &mut Fields<'_, '_>,
    field: &'static str,
) -> Result<Option<MessageId>, DecodeError> {
    match fields.value(field)?.map(MessageId::try_from) {
        None => Ok(None),
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(_)) => Err(fields.error(DecodeErrorKind::WrongType)),
    }
}
