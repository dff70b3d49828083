//! The header of a message.

use bytes::BytesMut;

use crate::codec::read::{Fields, Reader};
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, FieldList, descriptor};

/// Delivery details of a message (AMQP 1.0 part 3.2.1).
///
/// ```
/// use eventhubs_amqp::codec::message::Header;
///
/// assert_eq!(Header::default().priority, 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Not to be lost even when a node goes down.
    pub durable: bool,
    /// Higher goes first. 4 by default.
    pub priority: u8,
    /// How long the message is of use, in milliseconds.
    pub ttl: Option<u32>,
    /// Nobody has had it before.
    pub first_acquirer: bool,
    /// How many attempts to deliver it have failed.
    pub delivery_count: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self { durable: false, priority: 4, ttl: None, first_acquirer: false, delivery_count: 0 }
    }
}

impl Header {
    /// Reads the list of a header section, such as [`sections`](super::sections()) finds.
    ///
    /// # Errors
    ///
    /// When it is no list, or a field has the wrong type.
    pub fn decode(list: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(list, "header").fields(0, Self::read)
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self {
            durable: fields.flag("header.durable")?,
            priority: fields.ubyte("header.priority")?.unwrap_or(4),
            ttl: fields.uint("header.ttl")?,
            first_acquirer: fields.flag("header.first-acquirer")?,
            delivery_count: fields.uint("header.delivery-count")?.unwrap_or(0),
        })
    }

    /// Appends the section.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::HEADER, FieldList::Trimmed);
        list.flag(self.durable);
        list.defaulted(self.priority, 4, write::put_ubyte);
        list.optional(self.ttl, write::put_uint);
        list.flag(self.first_acquirer);
        list.defaulted(self.delivery_count, 0, write::put_uint);
        list.finish();
    }

    /// How many bytes [`encode`](Self::encode) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut list = write::ListLen::new();
        list.optional(self.durable.then_some(1));
        list.optional((self.priority != 4).then_some(2));
        list.optional(self.ttl.map(write::uint_len));
        list.optional(self.first_acquirer.then_some(1));
        let count = self.delivery_count;
        list.optional((count != 0).then_some(write::uint_len(count)));
        write::descriptor_len(descriptor::HEADER) + list.finish()
    }
}
