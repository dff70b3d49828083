//! Records of a partition's files.
//!
//! A file is a row of records, the first of which says where the file begins. All numbers are big
//! endian:
//!
//! | Bytes | Field |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | CRC-32 of the body |
//! | 4 | CRC-32 of the two fields before and of the record's position in the file |
//! | .. | body; its first byte says what it is |
//!
//! A record whose head holds but which ends after the file was not written to its end. Anything
//! else that does not hold was damaged later. The position is in the head so that bytes which only
//! look like a record, in an event's body for example, are none.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes};

use crate::namespace::log::{Head, Last, Staged};
use crate::namespace::segment::{Segment, Slot};
use crate::namespace::sequencer::{Numbering, Producer};

/// Bytes before a body.
pub(crate) const HEAD_LEN: usize = 12;
/// Bytes that describe one event of a publication.
const SLOT_LEN: usize = 24;
const VERSION: u8 = 1;

const HEAD: u8 = 0;
const PUBLICATION: u8 = 1;
const TRIM: u8 = 2;
const NUMBERED: u8 = 3;
const PRODUCER: u8 = 4;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Where the file begins.
    Head(Head),
    /// The events of one publication: all of them were stored, or none. With the place among
    /// those of its producer, if that is an idempotent one.
    Publication(Staged, Option<Numbering>),
    /// The events before a sequence number were let go by hand.
    Trim(i64),
    /// An idempotent producer, when it was let in and at the beginning of each file.
    Producer(Producer),
}

impl Entry {
    /// The record at a position of a file, in two pieces to be written one after the other. `None`
    /// when it is longer than 4 GiB.
    pub(crate) fn encode(&self, position: u64) -> Option<(Vec<u8>, Bytes)> {
        let mut out = vec![0; HEAD_LEN];
        let mut data = Bytes::new();
        match self {
            Self::Head(head) => {
                out.put_slice(&[HEAD, VERSION]);
                out.put_i64(head.next);
                out.put_i64(head.next_offset);
                if let Some(last) = head.last {
                    out.put_i64(last.offset);
                    out.put_i64(last.enqueued);
                }
            }
            Self::Publication(Staged { segment, next_offset }, numbering) => {
                out.reserve(48 + segment.slots.len() * SLOT_LEN);
                match numbering {
                    Some(numbering) => {
                        out.put_u8(NUMBERED);
                        out.put_i64(numbering.id);
                        out.put_i16(numbering.epoch);
                        out.put_i32(numbering.first);
                        out.put_u32(numbering.count);
                    }
                    None => out.put_u8(PUBLICATION),
                }
                out.put_i64(segment.first);
                out.put_i64(*next_offset);
                out.put_u32(u32::try_from(segment.slots.len()).ok()?);
                for (index, slot) in segment.slots.iter().enumerate() {
                    out.put_i64(slot.offset);
                    out.put_i64(slot.enqueued);
                    out.put_u32(slot.header_len);
                    out.put_u32(u32::try_from(segment.len_at(index)).ok()?);
                }
                data = segment.data.clone();
            }
            Self::Trim(before) => {
                out.put_u8(TRIM);
                out.put_i64(*before);
            }
            Self::Producer(Producer { id, epoch, last, recent }) => {
                out.put_u8(PRODUCER);
                out.put_i64(*id);
                out.put_i16(*epoch);
                out.put_i32(*last);
                for (first, count) in recent {
                    out.put_i32(*first);
                    out.put_u32(*count);
                }
            }
        }
        let len = u32::try_from(out.len() - HEAD_LEN + data.len()).ok()?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&out[HEAD_LEN..]);
        crc.update(&data);
        let head = head(position, len, crc.finalize());
        out[..HEAD_LEN].copy_from_slice(&head);
        Some((out, data))
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        let entry = match body.byte()? {
            HEAD => {
                (body.byte()? == VERSION).then_some(())?;
                let (next, next_offset) = (body.long()?, body.long()?);
                let last = match body.0.is_empty() {
                    true => None,
                    false => Some(Last { offset: body.long()?, enqueued: body.long()? }),
                };
                (is_place(next) && is_place(next_offset)).then_some(())?;
                Self::Head(Head { next, next_offset, last })
            }
            PUBLICATION => Self::Publication(publication(&mut body)?, None),
            NUMBERED => {
                let numbering = Numbering {
                    id: body.long()?,
                    epoch: body.short()?,
                    first: body.int()?,
                    count: body.word()?,
                };
                Self::Publication(publication(&mut body)?, Some(numbering))
            }
            PRODUCER => {
                let (id, epoch, last) = (body.long()?, body.short()?, body.int()?);
                let mut recent = VecDeque::new();
                while !body.0.is_empty() {
                    recent.push_back((body.int()?, body.word()?));
                }
                Self::Producer(Producer { id, epoch, last, recent })
            }
            TRIM => Self::Trim(body.long()?),
            _ => return None,
        };
        body.0.is_empty().then_some(entry)
    }
}

/// Whether a number can be a sequence number or offset: half of the range is left to go on.
fn is_place(number: i64) -> bool {
    (0..=i64::MAX / 2).contains(&number)
}

fn publication(body: &mut Reader<'_>) -> Option<Staged> {
    let (first, next_offset) = (body.long()?, body.long()?);
    let count = usize::try_from(body.word()?).ok()?;
    let mut heads = Reader(body.take(count.checked_mul(SLOT_LEN)?)?);
    let mut slots = Vec::with_capacity(count);
    let mut end = 0_usize;
    for _ in 0..count {
        let (offset, enqueued) = (heads.long()?, heads.long()?);
        let (header_len, len) = (heads.word()?, heads.word()?);
        (header_len <= len).then_some(())?;
        end = end.checked_add(usize::try_from(len).ok()?)?;
        slots.push(Slot { end, header_len, offset, enqueued });
    }
    let data = Bytes::copy_from_slice(body.take(end)?);
    let valid = count > 0 && is_place(first) && is_place(next_offset);
    valid.then(|| Staged { segment: Segment { first, data, slots: slots.into() }, next_offset })
}

fn head(position: u64, len: u32, body_crc: u32) -> [u8; HEAD_LEN] {
    let mut head = [0; HEAD_LEN];
    head[..4].copy_from_slice(&len.to_be_bytes());
    head[4..8].copy_from_slice(&body_crc.to_be_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..8]);
    crc.update(&position.to_be_bytes());
    head[8..].copy_from_slice(&crc.finalize().to_be_bytes());
    head
}

/// What stands at a position of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record, and where it ends.
    Record(Entry, usize),
    /// The beginning of a record; the rest was never written.
    Beginning,
    /// No record.
    Nothing,
}

/// Looks at a position of a file.
pub(crate) fn find(file: &[u8], position: usize) -> Found {
    let rest = file.get(position..).unwrap_or_default();
    let Some((start, rest)) = rest.split_at_checked(HEAD_LEN) else { return Found::Beginning };
    let mut fields = Reader(start);
    let (Some(len), Some(body_crc)) = (fields.word(), fields.word()) else {
        return Found::Beginning;
    };
    if head(position as u64, len, body_crc) != *start {
        return Found::Nothing;
    }
    let body = usize::try_from(len).ok().and_then(|len| rest.get(..len));
    let Some(body) = body else { return Found::Beginning };
    match crc32fast::hash(body) == body_crc {
        true => Entry::decode(body)
            .map_or(Found::Nothing, |entry| Found::Record(entry, position + HEAD_LEN + body.len())),
        false => Found::Nothing,
    }
}

/// Takes fields off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// For tests: a record with any body and the right checksums.
#[cfg(test)]
pub(crate) fn seal(position: u64, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&head(position, len, crc32fast::hash(body))[..], body].concat()
}
