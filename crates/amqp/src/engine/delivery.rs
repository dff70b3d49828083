//! A received delivery: one shared piece of the read buffer and where its parts lie in it.

use bytes::{Buf, Bytes, BytesMut};

use crate::codec::transfer::View;

/// A message as it arrived, whole.
///
/// A delivery of one frame is a slice of the read buffer, so holding it pins up to one read buffer;
/// one of several frames was copied once into a buffer of its own.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The frame, or the tag followed by the joined payload.
    bytes: Bytes,
    payload: u32,
    tag_start: u32,
    id: u32,
    message_format: u32,
    tag_len: u8,
    settled: bool,
}

impl Delivery {
    /// The sender's id of this delivery, for [`settle`](super::Connection::settle).
    #[inline]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether the sender has settled it already, so that no disposition is due.
    #[inline]
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// The message format; 0 is an AMQP message (AMQP 1.0, 2.8.11).
    #[inline]
    pub fn message_format(&self) -> u32 {
        self.message_format
    }

    /// The delivery tag, up to 32 bytes.
    pub fn tag(&self) -> &[u8] {
        let start = self.tag_start as usize;
        self.bytes.get(start..start + usize::from(self.tag_len)).unwrap_or_default()
    }

    /// The encoded message.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload as usize..).unwrap_or_default()
    }

    /// The encoded message, without copying and without touching the reference count.
    #[inline]
    pub fn into_payload(mut self) -> Bytes {
        let skip = (self.payload as usize).min(self.bytes.len());
        self.bytes.advance(skip);
        self.bytes
    }

    /// What this delivery counts against the limits, in bytes; say so with
    /// [`consumed`](super::Connection::consumed) when it is let go.
    #[inline]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }

    #[inline]
    pub(crate) fn of_frame(frame: Bytes, view: &View, id: u32) -> Self {
        Self {
            payload: view.payload,
            tag_start: view.tag.0,
            tag_len: view.tag.1,
            id,
            message_format: view.message_format.unwrap_or(0),
            settled: view.settled.unwrap_or(false),
            bytes: frame,
        }
    }
}

/// A delivery of which more frames are to come (AMQP 1.0, 2.6.14).
///
/// Its frames are copied as they arrive: a few bytes of a frame that stayed shared would pin a
/// whole read buffer for as long as the peer likes.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) id: u32,
    message_format: u32,
    settled: bool,
    /// The tag, then the payload so far.
    bytes: BytesMut,
    tag_len: usize,
}

impl Partial {
    pub(crate) fn new(frame: &Bytes, view: &View, id: u32) -> Self {
        let start = view.tag.0 as usize;
        let tag = frame.get(start..start + usize::from(view.tag.1)).unwrap_or_default();
        Self {
            id,
            message_format: view.message_format.unwrap_or(0),
            settled: false,
            bytes: BytesMut::from(tag),
            tag_len: tag.len(),
        }
    }

    /// Adds a frame; returns the payload bytes so far.
    pub(crate) fn push(&mut self, frame: &[u8], view: &View) -> usize {
        self.settled |= view.settled.unwrap_or(false);
        self.bytes.extend_from_slice(frame.get(view.payload as usize..).unwrap_or_default());
        self.bytes.len() - self.tag_len
    }

    /// What it counts against the limits so far.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(self) -> Delivery {
        Delivery {
            payload: u32::try_from(self.tag_len).unwrap_or(0),
            tag_start: 0,
            tag_len: u8::try_from(self.tag_len).unwrap_or(0),
            id: self.id,
            message_format: self.message_format,
            settled: self.settled,
            bytes: self.bytes.freeze(),
        }
    }
}
