//! An event on its way out.

use crate::names;
use crate::types::PartitionKey;
use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, MessageId, Properties};
use eventhubs_amqp::codec::{Map, Symbol, Value, write};
use std::fmt;

/// Descriptor of message annotations (AMQP 1.0, 3.2.3).
const MESSAGE_ANNOTATIONS: u8 = 0x72;
/// Descriptor of a data section (AMQP 1.0, 3.2.6).
const DATA: u8 = 0x75;
/// Bytes before the value of a section: the descriptor.
const SECTION_HEAD: usize = 3;
/// Longest head of a data section: descriptor, constructor, length.
pub(crate) const MAX_DATA_HEAD: usize = SECTION_HEAD + 5;

/// An event to send.
///
/// The body is kept, and sent, without being copied or looked at. Everything else is optional, and
/// costs nothing while it is not used.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::EventData;
///
/// let event = EventData::new("21.5")
///     .with_content_type("text/plain")
///     .with_property("unit", "celsius")
///     .with_property("retries", 3_i32);
/// assert_eq!(event.body(), Some(&b"21.5"[..]));
/// ```
#[derive(Clone, Default)]
pub struct EventData {
    body: Bytes,
    /// What few events have, out of the way of those that have none.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default)]
struct Extra {
    key: Option<PartitionKey>,
    /// Header and delivery annotations.
    head: Option<Box<Message>>,
    annotations: Map,
    /// Everything after the annotations, except a body that is in [`EventData::body`].
    rest: Message,
    /// Whether the body is in `rest`: it is not one data section, or a footer follows it.
    body_in_rest: bool,
}

impl EventData {
    /// An event with a body of bytes, sent as one data section (AMQP 1.0, 3.2.6).
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), extra: None }
    }

    /// An event with a body of any kind the protocol has: data sections, sequences or a value.
    #[must_use]
    pub fn from_body(body: Body) -> Self {
        let mut event = Self::default();
        event.set_body(body);
        event
    }

    /// An event from a whole AMQP message, every section as it is.
    ///
    /// A partition key among its annotations is dropped; set it with
    /// [`EventData::with_partition_key`].
    #[must_use]
    pub fn from_message(mut message: Message) -> Self {
        let body = std::mem::take(&mut message.body);
        let head = Message {
            header: message.header.take(),
            delivery_annotations: std::mem::take(&mut message.delivery_annotations),
            ..Message::default()
        };
        let mut annotations = std::mem::take(&mut message.message_annotations);
        while annotations.remove(names::PARTITION_KEY).is_some() {}
        let extra = Extra {
            key: None,
            head: (head != Message::default()).then(|| Box::new(head)),
            annotations,
            rest: message,
            body_in_rest: false,
        };
        let mut event = Self { body: Bytes::new(), extra: Some(Box::new(extra)) };
        event.set_body(body);
        event
    }

    fn set_body(&mut self, body: Body) {
        let footed = self.extra.as_ref().is_some_and(|extra| !extra.rest.footer.is_empty());
        match body {
            Body::Data(mut sections) if sections.len() == 1 && !footed => {
                self.body = sections.pop().unwrap_or_default();
            }
            other => {
                let extra = self.extra();
                extra.rest.body = other;
                extra.body_in_rest = true;
            }
        }
    }

    /// Keeps this event together with others of the same key.
    #[must_use]
    pub fn with_partition_key(mut self, key: PartitionKey) -> Self {
        self.extra().key = Some(key);
        self
    }

    /// Sets the message id: a text, number, UUID or bytes.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<MessageId>) -> Self {
        self.properties_mut().message_id = Some(id.into());
        self
    }

    /// Sets the correlation id: a text, number, UUID or bytes.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<MessageId>) -> Self {
        self.properties_mut().correlation_id = Some(id.into());
        self
    }

    /// Sets the content type, for example `application/json`.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<Symbol>) -> Self {
        self.properties_mut().content_type = Some(content_type.into());
        self
    }

    /// Sets the content encoding, for example `gzip`.
    #[must_use]
    pub fn with_content_encoding(mut self, content_encoding: impl Into<Symbol>) -> Self {
        self.properties_mut().content_encoding = Some(content_encoding.into());
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.properties_mut().subject = Some(subject.into());
        self
    }

    /// Sets all standard properties at once (AMQP 1.0, 3.2.4).
    #[must_use]
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.extra().rest.properties = Some(properties);
        self
    }

    /// Sets an application property of any AMQP type; an earlier one of the same name is replaced.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra().rest.application_properties.insert(name.into(), value);
        self
    }

    /// Sets a message annotation; an earlier one of the same name is replaced.
    ///
    /// `x-opt-partition-key` is not settable here, see [`EventData::with_partition_key`].
    #[must_use]
    pub fn with_annotation(mut self, name: impl Into<Symbol>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if name != names::PARTITION_KEY {
            self.extra().annotations.insert(name, value);
        }
        self
    }

    /// The body, when it is one data section; otherwise see [`EventData::other_body`].
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.other_body().is_none().then_some(&self.body[..])
    }

    /// The body, when it is anything but one data section (or a footer follows it).
    #[must_use]
    pub fn other_body(&self) -> Option<&Body> {
        let extra = self.extra.as_ref()?;
        extra.body_in_rest.then_some(&extra.rest.body)
    }

    /// The partition key.
    #[must_use]
    pub fn partition_key(&self) -> Option<&PartitionKey> {
        self.extra.as_ref()?.key.as_ref()
    }

    /// The standard properties, when any was set.
    #[must_use]
    pub fn properties(&self) -> Option<&Properties> {
        self.extra.as_ref()?.rest.properties.as_ref()
    }

    /// An application property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.extra.as_ref()?.rest.application_properties.get(name)
    }

    /// Adds or replaces an application property in place, for example a trace context.
    pub fn set_property(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.extra().rest.application_properties.insert(name.into(), value);
    }

    /// Size in bytes of the event as a message of its own, by arithmetic.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.message_len(&KeySection::of(self.partition_key()))
    }

    /// Writes the event as a message of its own, to be sent with message format
    /// [`MESSAGE_FORMAT`](names::MESSAGE_FORMAT).
    pub fn encode(&self, out: &mut BytesMut) {
        let key = KeySection::of(self.partition_key());
        let len = self.message_len(&key);
        out.reserve(len);
        let start = out.len();
        self.write(&key, out);
        debug_assert_eq!(out.len() - start, len, "size by arithmetic");
    }

    /// The event as a message of its own, in one allocation of exactly its size.
    #[must_use]
    pub fn to_payload(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out.freeze()
    }

    /// Whether the event is a body and nothing else.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.extra.is_none()
    }

    /// The body of an event that [is plain](Self::is_plain).
    #[inline]
    pub(crate) fn plain_body(&self) -> &[u8] {
        &self.body
    }

    /// Size of the message with a key section of `key_len` bytes.
    pub(crate) fn message_len(&self, key: &KeySection) -> usize {
        let Some(extra) = &self.extra else {
            return key.len() + data_len(self.body.len());
        };
        let head = extra.head.as_ref().map_or(0, |head| head.encoded_len());
        let body = if extra.body_in_rest { 0 } else { data_len(self.body.len()) };
        head + extra.annotations_len(key) + extra.rest.encoded_len() + body
    }

    /// Writes the message.
    pub(crate) fn write(&self, key: &KeySection, out: &mut BytesMut) {
        let Some(extra) = &self.extra else {
            out.extend_from_slice(key.bytes());
            write_data(&self.body, out);
            return;
        };
        if let Some(head) = &extra.head {
            head.encode(out);
        }
        extra.write_annotations(key, out);
        extra.rest.encode(out);
        if !extra.body_in_rest {
            write_data(&self.body, out);
        }
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn properties_mut(&mut self) -> &mut Properties {
        self.extra().rest.properties.get_or_insert_default()
    }
}

impl Extra {
    /// Size of the message annotations, the partition key among them.
    fn annotations_len(&self, key: &KeySection) -> usize {
        if self.annotations.is_empty() {
            return key.len();
        }
        SECTION_HEAD + write::map_len(self.entries_len() + key.entry().len())
    }

    fn entries_len(&self) -> usize {
        let entries = self.annotations.iter();
        entries.map(|(name, value)| name.encoded_len() + value.encoded_len()).sum()
    }

    fn write_annotations(&self, key: &KeySection, out: &mut BytesMut) {
        if self.annotations.is_empty() {
            out.extend_from_slice(key.bytes());
            return;
        }
        let entries = self.annotations.len() + usize::from(key.len() > 0);
        out.extend_from_slice(&section_head(MESSAGE_ANNOTATIONS));
        write::put_map_head(out, entries, self.entries_len() + key.entry().len());
        for (name, value) in &self.annotations {
            name.encode(out);
            value.encode(out);
        }
        out.extend_from_slice(key.entry());
    }
}

/// Message annotations that hold a partition key and nothing else, encoded once per batch; no bytes
/// at all without a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySection {
    bytes: Box<[u8]>,
    /// Where the one entry of the map begins.
    entry: usize,
}

impl KeySection {
    pub(crate) fn of(key: Option<&PartitionKey>) -> Self {
        let Some(key) = key else {
            return Self::default();
        };
        let entry = write::symbol_len(names::PARTITION_KEY) + write::str_len(key.as_str());
        let mut out = BytesMut::with_capacity(SECTION_HEAD + write::map_len(entry));
        out.extend_from_slice(&section_head(MESSAGE_ANNOTATIONS));
        write::put_map_head(&mut out, 1, entry);
        let entry = out.len();
        write::put_symbol(&mut out, names::PARTITION_KEY);
        write::put_str(&mut out, key.as_str());
        Self { bytes: out[..].into(), entry }
    }

    /// Size of the section.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole section.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entry of the map, without what stands before it.
    fn entry(&self) -> &[u8] {
        &self.bytes[self.entry..]
    }
}

/// Descriptor of a section.
const fn section_head(code: u8) -> [u8; SECTION_HEAD] {
    [0x00, 0x53, code]
}

/// Size of a data section with `len` bytes.
#[inline]
pub(crate) const fn data_len(len: usize) -> usize {
    SECTION_HEAD + write::variable_len(len)
}

/// Head of a data section with `len` bytes: the bytes, and how many of them count.
#[inline]
pub(crate) fn data_head(len: usize) -> ([u8; MAX_DATA_HEAD], usize) {
    match u8::try_from(len) {
        Ok(short) => ([0x00, 0x53, DATA, 0xa0, short, 0, 0, 0], MAX_DATA_HEAD - 3),
        Err(_) => {
            // A batch keeps its sizes below 2^32, and so does whoever sends a single event.
            let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
            ([0x00, 0x53, DATA, 0xb0, a, b, c, d], MAX_DATA_HEAD)
        }
    }
}

fn write_data(body: &[u8], out: &mut BytesMut) {
    let (head, len) = data_head(body.len());
    out.extend_from_slice(&head[..len]);
    out.extend_from_slice(body);
}

impl From<&str> for EventData {
    /// Copies the text.
    fn from(body: &str) -> Self {
        Self::new(Bytes::copy_from_slice(body.as_bytes()))
    }
}

impl From<String> for EventData {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

impl From<&[u8]> for EventData {
    /// Copies the bytes.
    fn from(body: &[u8]) -> Self {
        Self::new(Bytes::copy_from_slice(body))
    }
}

impl From<Vec<u8>> for EventData {
    fn from(body: Vec<u8>) -> Self {
        Self::new(body)
    }
}

impl From<Bytes> for EventData {
    fn from(body: Bytes) -> Self {
        Self::new(body)
    }
}

impl fmt::Debug for EventData {
    /// Sizes and names only: a body may be large, and may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("EventData");
        debug.field("body_len", &self.body().map(<[u8]>::len));
        debug.field("partition_key", &self.partition_key().is_some());
        debug.field("encoded_len", &self.encoded_len());
        debug.finish_non_exhaustive()
    }
}
