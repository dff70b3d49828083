//! The body of a message.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::codec::{Value, descriptor, write};

/// The body of a message (AMQP 1.0 parts 3.2.6 to 3.2.8). `Debug` tells kind and size only, for tokens travel in bodies.
///
/// ```
/// use eventhubs_amqp::codec::message::Body;
///
/// assert_eq!(Body::from(&b"hi"[..]).encoded_len(), 7);
/// ```
#[derive(Clone, Default, PartialEq)]
pub enum Body {
    /// Bytes in one or more sections.
    Data(Vec<Bytes>),
    /// Lists in one or more sections.
    Sequence(Vec<Vec<Value>>),
    /// One value.
    Value(Value),
    /// No section at all, as it is read from peers that send none. So is a body of no data or sequence section.
    #[default]
    Empty,
}

impl From<&[u8]> for Body {
    fn from(data: &[u8]) -> Self {
        Self::Data(vec![Bytes::copy_from_slice(data)])
    }
}

impl From<Bytes> for Body {
    fn from(data: Bytes) -> Self {
        Self::Data(vec![data])
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl Body {
    /// Appends the sections.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Data(sections) => {
                for bytes in sections {
                    write::put_descriptor(out, descriptor::DATA);
                    write::put_binary(out, bytes);
                }
            }
            Self::Sequence(sections) => {
                for items in sections {
                    write::put_descriptor(out, descriptor::SEQUENCE);
                    write::put_list(out, items);
                }
            }
            Self::Value(value) => {
                write::put_descriptor(out, descriptor::VALUE);
                value.encode(out);
            }
            Self::Empty => {}
        }
    }

    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        // All three descriptors are of the same length.
        let head = write::descriptor_len(descriptor::DATA);
        match self {
            Self::Data(sections) => sections.iter().map(|s| head + write::binary_len(s)).sum(),
            Self::Sequence(sections) => sections
                .iter()
                .map(|items| {
                    let body = items.iter().map(Value::encoded_len).sum();
                    head + write::list_len(items.len(), body)
                })
                .sum(),
            Self::Value(value) => head + value.encoded_len(),
            Self::Empty => 0,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Data(_) => "Data",
            Self::Sequence(_) => "Sequence",
            Self::Value(_) => "Value",
            Self::Empty => return f.write_str("Empty"),
        };
        f.debug_struct(kind).field("encoded_len", &self.encoded_len()).finish()
    }
}
