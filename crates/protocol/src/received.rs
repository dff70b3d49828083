//! An event as it arrives.

use crate::error::EventError;
use crate::event::EventData;
use crate::names;
use crate::parts::{self, Parts};
use crate::system::{IotHub, LastEnqueued};
use crate::types::{Offset, SequenceNumber, Timestamp};
use bytes::Bytes;
use eventhubs_amqp::codec::message::{
    Body, BodyKind, Message, MessageId, Properties, Sections, Span, sections,
};
use eventhubs_amqp::codec::{
    DecodeError, DecodeErrorKind, ListView, Map, MapView, Value, ValueRef, scan,
};
use std::borrow::Cow;
use std::fmt;

/// An event that was received.
///
/// It is one reference to the bytes it came in, the places of its parts in them, and the values
/// every consumer needs. Making one copies and allocates nothing. Structure and lengths were
/// checked then; text is checked, and properties are decoded, when they are asked for.
///
/// An event keeps the bytes around it alive, up to a whole read from the socket. Who keeps a few
/// events of many for long should keep [compact](Self::to_compact) ones.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use eventhubs_protocol::ReceivedEvent;
///
/// let wire = b"\x00\x53\x72\xc1\x2f\x04\
///     \xa3\x15x-opt-sequence-number\x55\x07\
///     \xa3\x0cx-opt-offset\xa1\x0512345\
///     \x00\x53\x75\xa0\x05hello";
/// let event = ReceivedEvent::decode(Bytes::from_static(wire), 0)?;
/// assert_eq!(event.sequence_number().as_i64(), 7);
/// assert_eq!(event.offset(), "12345");
/// assert_eq!(event.body(), b"hello");
/// # Ok::<(), eventhubs_protocol::EventError>(())
/// ```
#[derive(Clone)]
pub struct ReceivedEvent {
    frame: Bytes,
    parts: Parts,
    start: u32,
}

impl ReceivedEvent {
    /// Finds the parts of the message that starts at `payload_start` of `frame` and goes on to its
    /// end.
    ///
    /// # Errors
    ///
    /// The message is broken, or lacks its sequence number or offset. The error keeps what could
    /// be read of it.
    #[inline]
    pub fn decode(frame: Bytes, payload_start: u32) -> Result<Self, EventError> {
        let mut event = Self { frame, parts: Parts::NOWHERE, start: payload_start };
        match parts::find(&event.frame, payload_start as usize, &mut event.parts) {
            Ok(()) => Ok(event),
            Err(cause) => Err(broken(event.frame, payload_start, cause)),
        }
    }

    /// Number of the event in its partition: the only value of an event to compare.
    #[must_use]
    #[inline]
    pub fn sequence_number(&self) -> SequenceNumber {
        self.parts.sequence_number.into()
    }

    /// When the service accepted the event; [`Timestamp::NEVER`] when it does not say.
    #[must_use]
    #[inline]
    pub const fn enqueued_time(&self) -> Timestamp {
        Timestamp::from_millis(self.parts.enqueued_time)
    }

    /// Position text of the event, opaque.
    #[must_use]
    pub fn offset(&self) -> &str {
        self.text(self.parts.offset)
    }

    /// Position text of the event, owned.
    #[must_use]
    pub fn to_offset(&self) -> Offset {
        Offset::checked(self.offset())
    }

    /// The key the event was sent with.
    #[must_use]
    pub fn partition_key(&self) -> Option<&str> {
        if self.parts.partition_key.is_empty() {
            None
        } else {
            Some(self.text(self.parts.partition_key))
        }
    }

    /// The bytes of the body: of its first data section, which for nearly all senders is the body.
    ///
    /// Empty for a body without data sections: [`ReceivedEvent::body_kind`] tells which it has,
    /// [`ReceivedEvent::to_body`] gives it whole.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &[u8] {
        match self.parts.body_kind {
            BodyKind::Data => self.parts.body.of(&self.frame),
            _ => &[],
        }
    }

    /// The same without a copy and independent of the event.
    #[must_use]
    pub fn body_bytes(&self) -> Bytes {
        match self.parts.body_kind {
            BodyKind::Data if !self.parts.body.is_empty() => {
                self.frame.slice(self.parts.body.range())
            }
            _ => Bytes::new(),
        }
    }

    /// All data sections in one: borrowed when there is one only.
    #[must_use]
    pub fn data(&self) -> Cow<'_, [u8]> {
        let mut spans = self
            .sections()
            .body_sections(&self.frame)
            .filter(|(kind, _)| *kind == BodyKind::Data)
            .map(|(_, span)| span.of(&self.frame));
        let first = spans.next().unwrap_or_default();
        let Some(second) = spans.next() else {
            return Cow::Borrowed(first);
        };
        let mut all = [first, second].concat();
        spans.for_each(|data| all.extend_from_slice(data));
        Cow::Owned(all)
    }

    /// What the body is made of.
    #[must_use]
    pub const fn body_kind(&self) -> BodyKind {
        self.parts.body_kind
    }

    /// The body of any kind, decoded.
    ///
    /// # Errors
    ///
    /// It is broken inside.
    pub fn to_body(&self) -> Result<Body, DecodeError> {
        Ok(self.raw_message()?.body)
    }

    /// The standard properties, decoded (AMQP 1.0, 3.2.4).
    ///
    /// # Errors
    ///
    /// They are broken inside.
    pub fn properties(&self) -> Result<Option<Properties>, DecodeError> {
        match self.parts.properties.of(&self.frame) {
            [] => Ok(None),
            list => Properties::decode(list).map(Some),
        }
    }

    /// The message id.
    ///
    /// # Errors
    ///
    /// It is of a type an id cannot have, or broken inside.
    pub fn message_id(&self) -> Result<Option<MessageId>, DecodeError> {
        self.id(0, "message-id")
    }

    /// The correlation id.
    ///
    /// # Errors
    ///
    /// It is of a type an id cannot have, or broken inside.
    pub fn correlation_id(&self) -> Result<Option<MessageId>, DecodeError> {
        self.id(5, "correlation-id")
    }

    /// The content type; `None` also when it is no valid text.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        ListView::found(&self.frame, self.parts.properties).get(6)?.as_str()
    }

    fn id(&self, field: usize, name: &'static str) -> Result<Option<MessageId>, DecodeError> {
        let Some(id) = ListView::found(&self.frame, self.parts.properties).get(field) else {
            return Ok(None);
        };
        if id.is_null() {
            return Ok(None);
        }
        let wrong = |_| DecodeError { kind: DecodeErrorKind::WrongType, field: name, offset: 0 };
        MessageId::try_from(id.to_value()?).map(Some).map_err(wrong)
    }

    /// The application properties, decoded.
    ///
    /// # Errors
    ///
    /// They are broken inside.
    pub fn application_properties(&self) -> Result<Map, DecodeError> {
        self.map(self.parts.application_properties).to_map()
    }

    /// One application property, decoded; the others are passed over.
    ///
    /// # Errors
    ///
    /// It is broken inside.
    pub fn property(&self, name: &str) -> Result<Option<Value>, DecodeError> {
        self.map(self.parts.application_properties)
            .get(name)
            .map(|value| value.to_value())
            .transpose()
    }

    /// One application property as text, without a copy; `None` also when it is no valid text.
    #[must_use]
    pub fn property_str(&self, name: &str) -> Option<&str> {
        self.map(self.parts.application_properties).get(name)?.as_str()
    }

    /// One message annotation, decoded.
    ///
    /// # Errors
    ///
    /// It is broken inside.
    pub fn annotation(&self, name: &str) -> Result<Option<Value>, DecodeError> {
        self.map(self.parts.annotations).get(name).map(|value| value.to_value()).transpose()
    }

    /// The message annotations that have no method of their own here: IoT Hub's, and whatever else
    /// the service or the sender added.
    ///
    /// # Errors
    ///
    /// They are broken inside.
    pub fn system_properties(&self) -> Result<Map, DecodeError> {
        const KNOWN: [&str; 4] =
            [names::SEQUENCE_NUMBER, names::OFFSET, names::ENQUEUED_TIME, names::PARTITION_KEY];
        let all = self.map(self.parts.annotations).to_map()?;
        let known = |name: &Value| name.as_str().is_some_and(|name| KNOWN.contains(&name));
        Ok(all.into_iter().filter(|(name, _)| !known(name)).collect())
    }

    /// What IoT Hub says of the sender; `None` when the event did not come through IoT Hub.
    ///
    /// What is not of the type IoT Hub gives it counts as not there.
    #[must_use]
    pub fn iot_hub(&self) -> Option<IotHub> {
        let map = self.map(self.parts.annotations);
        let text = |name| map.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let found = IotHub {
            device_id: text(names::IOTHUB_DEVICE_ID),
            module_id: text(names::IOTHUB_MODULE_ID),
            auth_generation_id: text(names::IOTHUB_AUTH_GENERATION_ID),
            auth_method: text(names::IOTHUB_AUTH_METHOD),
            enqueued_time: map.get(names::IOTHUB_ENQUEUED_TIME).and_then(moment),
            message_source: text(names::IOTHUB_MESSAGE_SOURCE),
        };
        (found != IotHub::default()).then_some(found)
    }

    /// The last event of the partition when this one was delivered; `None` unless the receiver
    /// asked for it.
    #[must_use]
    pub fn last_enqueued(&self) -> Option<LastEnqueued> {
        let map = self.map(self.parts.delivery_annotations);
        let number = map.get(names::LAST_ENQUEUED_SEQUENCE_NUMBER)?.as_i64()?;
        let offset = map.get(names::LAST_ENQUEUED_OFFSET).and_then(|value| value.as_str());
        Some(LastEnqueued {
            sequence_number: number.into(),
            offset: offset.map(str::to_owned),
            enqueued_time: map.get(names::LAST_ENQUEUED_TIME).and_then(moment),
            retrieval_time: map.get(names::RETRIEVAL_TIME).and_then(moment),
        })
    }

    /// The whole message, decoded. Its binary data share the event's bytes.
    ///
    /// # Errors
    ///
    /// It is broken inside.
    pub fn raw_message(&self) -> Result<Message, DecodeError> {
        Message::decode(&self.frame.slice(self.start as usize..))
    }

    /// The bytes of the whole message, as they came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.frame.get(self.start as usize..).unwrap_or_default()
    }

    /// An event with the same body, properties and application properties, to send on. What the
    /// service added (offset, sequence number and so on) and the partition key are left behind.
    ///
    /// # Errors
    ///
    /// Something is broken inside.
    pub fn to_event_data(&self) -> Result<EventData, DecodeError> {
        let message = self.raw_message()?;
        Ok(EventData::from_message(Message {
            properties: message.properties,
            application_properties: message.application_properties,
            body: message.body,
            ..Message::default()
        }))
    }

    /// The same event in bytes of its own, so that it keeps nothing else alive. Copies it.
    #[must_use]
    pub fn to_compact(&self) -> Self {
        Self { frame: Bytes::copy_from_slice(&self.frame), ..self.clone() }
    }

    fn map(&self, span: Span) -> MapView<'_> {
        MapView::found(&self.frame, span)
    }

    fn sections(&self) -> Sections {
        sections(&self.frame, self.start as usize).unwrap_or_default()
    }

    /// Text that was checked when the event was decoded.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.frame)).unwrap_or_default()
    }
}

impl fmt::Debug for ReceivedEvent {
    /// Position and sizes only: a body may be large, and may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedEvent")
            .field("sequence_number", &self.parts.sequence_number)
            .field("offset", &self.offset())
            .field("enqueued_time", &self.enqueued_time())
            .field("body_len", &self.body().len())
            .finish_non_exhaustive()
    }
}

fn moment(value: ValueRef<'_>) -> Option<Timestamp> {
    value.as_timestamp().map(Timestamp::from_millis)
}

/// The error, with the sequence number if the message is sound as far as that.
#[cold]
fn broken(frame: Bytes, start: u32, cause: DecodeError) -> EventError {
    let raw = frame.get(start as usize..).unwrap_or_default();
    let number = salvage(raw).map(SequenceNumber::from);
    let payload = frame.slice(frame.len().min(start as usize)..);
    EventError::new(cause, number, payload)
}

/// Looks for the sequence number section by section, and gives up where the message breaks.
fn salvage(raw: &[u8]) -> Option<i64> {
    let mut pos = 0;
    loop {
        let value = scan::skip(raw, pos + 1).ok()?;
        let end = scan::skip(raw, value).ok()?;
        if raw.get(pos..value)? == [0x00, 0x53, 0x72] {
            let map = MapView::decode(&raw[value..end]).ok()?;
            return map.get(names::SEQUENCE_NUMBER)?.as_i64();
        }
        pos = end;
    }
}
