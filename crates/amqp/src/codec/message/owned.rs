//! A message, owned.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{Body, Header, Properties};
use crate::codec::read::Reader;
use crate::codec::{DecodeError, DecodeErrorKind, Map, Value, code, descriptor, write};

/// A message in the standard format (AMQP 1.0 part 3.2), decoded whole. The hot path uses [`sections`](super::sections()).
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::message::{Body, Message};
///
/// let mut message = Message { body: Body::from(&b"hi"[..]), ..Message::default() };
/// message.application_properties.insert("key", 1_i32);
/// let mut out = BytesMut::new();
/// message.encode(&mut out);
/// assert_eq!(out.len(), message.encoded_len());
/// assert_eq!(Message::decode(&out.freeze()).unwrap(), message);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Message {
    /// Delivery details.
    pub header: Option<Header>,
    /// Annotations for the next hop.
    pub delivery_annotations: Map,
    /// Annotations for the whole way.
    pub message_annotations: Map,
    /// Immutable properties.
    pub properties: Option<Properties>,
    /// The application's properties.
    pub application_properties: Map,
    /// The body.
    pub body: Body,
    /// Details about the message as a whole, such as a signature.
    pub footer: Map,
}

impl Message {
    /// Reads a message. Binary data shares `bytes` and keeps all of them in memory.
    ///
    /// An empty map and one that is not there are the same. Sections may come in any order, as for
    /// [`sections`](super::sections()).
    ///
    /// # Errors
    ///
    /// When a section is unknown, broken, or there twice; when body sections are of different kinds, or there is more
    /// than one value.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::shared(bytes, "message");
        let mut message = Self::default();
        // By the last digit of the descriptor, which the body may repeat.
        let mut seen = [false; 16];
        while reader.remaining() > 0 {
            reader.about("message");
            let number = reader.descriptor()?;
            if let Some(seen) = seen.get_mut((number & 0xf) as usize) {
                if *seen && !matches!(number, descriptor::DATA | descriptor::SEQUENCE) {
                    return Err(reader.error(DecodeErrorKind::InvalidValue));
                }
                *seen = true;
            }
            message.section(number, &mut reader)?;
        }
        Ok(message)
    }

    fn section(&mut self, number: u64, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match number {
            descriptor::HEADER => {
                reader.about("header");
                self.header = Some(reader.fields(0, Header::read)?);
            }
            descriptor::DELIVERY_ANNOTATIONS => {
                self.delivery_annotations = map(reader, "delivery-annotations")?;
            }
            descriptor::MESSAGE_ANNOTATIONS => {
                self.message_annotations = map(reader, "message-annotations")?;
            }
            descriptor::PROPERTIES => {
                reader.about("properties");
                self.properties = Some(reader.fields(0, Properties::read)?);
            }
            descriptor::APPLICATION_PROPERTIES => {
                self.application_properties = map(reader, "application-properties")?;
            }
            descriptor::FOOTER => self.footer = map(reader, "footer")?,
            descriptor::DATA | descriptor::SEQUENCE | descriptor::VALUE => {
                reader.about("body");
                let value = reader.value(0)?;
                self.body_section(number, value).map_err(|kind| reader.error(kind))?;
            }
            other => return Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        }
        Ok(())
    }

    fn body_section(&mut self, number: u64, value: Value) -> Result<(), DecodeErrorKind> {
        match (number, value, &mut self.body) {
            (descriptor::DATA, Value::Binary(data), Body::Data(sections)) => sections.push(data),
            (descriptor::DATA, Value::Binary(data), body @ Body::Empty) => {
                *body = Body::Data(vec![data]);
            }
            (descriptor::SEQUENCE, Value::List(items), Body::Sequence(sections)) => {
                sections.push(items);
            }
            (descriptor::SEQUENCE, Value::List(items), body @ Body::Empty) => {
                *body = Body::Sequence(vec![items]);
            }
            (descriptor::VALUE, value, body @ Body::Empty) => *body = Body::Value(value),
            (_, _, Body::Empty) => return Err(DecodeErrorKind::WrongType),
            _ => return Err(DecodeErrorKind::InvalidValue),
        }
        Ok(())
    }

    /// Appends the message, its sections in the order of part 3.2. Maps without entries are left out.
    pub fn encode(&self, out: &mut BytesMut) {
        let map = |out: &mut BytesMut, number, map: &Map| {
            if !map.is_empty() {
                write::put_descriptor(out, number);
                write::put_map(out, map);
            }
        };
        if let Some(header) = &self.header {
            header.encode(out);
        }
        map(out, descriptor::DELIVERY_ANNOTATIONS, &self.delivery_annotations);
        map(out, descriptor::MESSAGE_ANNOTATIONS, &self.message_annotations);
        if let Some(properties) = &self.properties {
            properties.encode(out);
        }
        map(out, descriptor::APPLICATION_PROPERTIES, &self.application_properties);
        self.body.encode(out);
        map(out, descriptor::FOOTER, &self.footer);
    }

    /// How many bytes [`encode`](Self::encode) writes. Nothing is encoded to find out.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        // All descriptors of sections are of the same length.
        let map = |map: &Map| match map.is_empty() {
            true => 0,
            false => write::descriptor_len(descriptor::FOOTER) + map.encoded_len(),
        };
        self.header.as_ref().map_or(0, Header::encoded_len)
            + map(&self.delivery_annotations)
            + map(&self.message_annotations)
            + self.properties.as_ref().map_or(0, Properties::encoded_len)
            + map(&self.application_properties)
            + self.body.encoded_len()
            + map(&self.footer)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.application_properties.iter().map(|(key, _)| key).collect();
        f.debug_struct("Message")
            .field("header", &self.header)
            .field("delivery_annotations", &self.delivery_annotations)
            .field("message_annotations", &self.message_annotations)
            .field("properties", &self.properties)
            .field("application_properties", &keys)
            .field("body", &self.body)
            .field("footer", &self.footer)
            .finish()
    }
}

fn map(reader: &mut Reader<'_>, field: &'static str) -> Result<Map, DecodeError> {
    reader.about(field);
    match reader.byte()? {
        code::MAP8 => reader.entries(false, 0),
        code::MAP32 => reader.entries(true, 0),
        _ => Err(reader.error(DecodeErrorKind::WrongType)),
    }
}
