//! A run of stored events in one piece of memory.
//!
//! Every publication becomes a segment; small ones are merged later. One piece of memory for many
//! events is what keeps the cost of a small event small: its bytes and 32 more.

use bytes::{Bytes, BytesMut};

use crate::rules::event::{Incoming, Stamp};

/// One stored event, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) message: Bytes,
    /// Where delivery annotations would be inserted.
    pub(crate) header_len: usize,
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) enqueued: i64,
}

/// One event of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where its message ends in the segment's data; it starts where the one before ends.
    pub(crate) end: usize,
    pub(crate) header_len: u32,
    pub(crate) offset: i64,
    pub(crate) enqueued: i64,
}

/// A run of events with successive sequence numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Sequence number of the first event.
    pub(crate) first: i64,
    pub(crate) data: Bytes,
    /// At least one.
    pub(crate) slots: Box<[Slot]>,
}

impl Segment {
    /// Bytes that an event of `len` bytes takes in memory.
    pub(crate) const fn weight(len: usize) -> usize {
        len + size_of::<Slot>()
    }

    /// Writes events with their places, the first of them at `first`. The second result is the
    /// offset of the event after them.
    pub(crate) fn write(events: &[Incoming], first: Stamp) -> (Self, i64) {
        let mut buffer = BytesMut::with_capacity(events.iter().map(Incoming::written_len).sum());
        let mut slots = Vec::with_capacity(events.len());
        let mut stamp = first;
        for event in events {
            let header_len = event.write(stamp, &mut buffer);
            slots.push(Slot {
                end: buffer.len(),
                header_len: u32::try_from(header_len).unwrap_or(u32::MAX),
                offset: stamp.offset,
                enqueued: stamp.enqueued,
            });
            stamp.sequence += 1;
            // Offsets are byte positions, as they were in the service for years: a client that
            // takes them for sequence numbers must not get away with it. An event without bytes
            // still moves on.
            stamp.offset += i64::try_from(event.len().max(1)).unwrap_or(i64::MAX);
        }
        // Many small events need less than was thought; room that stays unused is not kept.
        let unused = buffer.capacity() - buffer.len();
        let data = match unused > buffer.len() / 8 {
            true => Bytes::copy_from_slice(&buffer),
            false => buffer.freeze(),
        };
        let segment = Self { first: first.sequence, data, slots: slots.into() };
        (segment, stamp.offset)
    }

    /// Copies successive segments into one of exactly their size.
    pub(crate) fn merge<'a>(segments: impl Iterator<Item = &'a Self> + Clone) -> Option<Self> {
        let first = segments.clone().next()?.first;
        let bytes = segments.clone().map(|segment| segment.data.len()).sum();
        let mut data = Vec::with_capacity(bytes);
        let mut slots = Vec::with_capacity(segments.clone().map(|part| part.slots.len()).sum());
        for part in segments {
            let start = data.len();
            data.extend_from_slice(&part.data);
            slots.extend(part.slots.iter().map(|slot| Slot { end: start + slot.end, ..*slot }));
        }
        Some(Self { first, data: data.into(), slots: slots.into() })
    }

    /// Sequence number after the last event.
    pub(crate) fn end(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.slots.len()).unwrap_or(i64::MAX))
    }

    /// The event at an index.
    pub(crate) fn event(&self, index: usize) -> Option<Stored> {
        let slot = self.slots.get(index)?;
        Some(Stored {
            message: self.data.slice(self.start(index)..slot.end),
            header_len: usize::try_from(slot.header_len).unwrap_or(usize::MAX),
            sequence: self.first.saturating_add(i64::try_from(index).unwrap_or(i64::MAX)),
            offset: slot.offset,
            enqueued: slot.enqueued,
        })
    }

    /// Bytes of the message at an index; 0 beyond the last one.
    pub(crate) fn len_at(&self, index: usize) -> usize {
        self.slots.get(index).map_or(0, |slot| slot.end - self.start(index))
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|before| self.slots.get(before)).map_or(0, |slot| slot.end)
    }
}
