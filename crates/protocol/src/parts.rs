//! Where the parts of an event lie.
//!
//! Nearly all events have the same few shapes, which [`quick`] finds in one pass. Whatever it does
//! not know it leaves to [`thorough`], which knows all of AMQP and says what is wrong. Both find
//! the same where both find anything; a test holds them to it.

use crate::names;
use crate::types::{MAX_OFFSET, Timestamp};
use eventhubs_amqp::codec::message::{BodyKind, Span, sections};
use eventhubs_amqp::codec::{DecodeError, DecodeErrorKind, MapView, ValueRef};

/// Where the parts of an event lie, and the values every consumer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) sequence_number: i64,
    pub(crate) enqueued_time: i64,
    pub(crate) offset: Span,
    pub(crate) partition_key: Span,
    pub(crate) body: Span,
    pub(crate) properties: Span,
    pub(crate) application_properties: Span,
    pub(crate) annotations: Span,
    pub(crate) delivery_annotations: Span,
    pub(crate) body_kind: BodyKind,
}

/// Finds the parts of the message that begins at `start`.
#[inline]
pub(crate) fn find(buf: &[u8], start: usize, parts: &mut Parts) -> Result<(), DecodeError> {
    match quick(buf, start, parts) {
        Some(()) => Ok(()),
        None => thorough(buf, start).map(|found| *parts = found),
    }
}

impl Parts {
    /// No part found yet.
    pub(crate) const NOWHERE: Self = {
        const NONE: Span = Span { start: 0, end: 0 };
        Self {
            sequence_number: 0,
            enqueued_time: Timestamp::NEVER.as_millis(),
            offset: NONE,
            partition_key: NONE,
            body: NONE,
            properties: NONE,
            application_properties: NONE,
            annotations: NONE,
            delivery_annotations: NONE,
            body_kind: BodyKind::None,
        }
    };
}

// --- the ordinary shapes ---

const DESCRIBED: u8 = 0x00;
const SMALL_ULONG: u8 = 0x53;
const TIMESTAMP: u8 = 0x83;
const LONG: u8 = 0x81;
const SMALL_LONG: u8 = 0x55;
const BINARY8: u8 = 0xa0;
const BINARY32: u8 = 0xb0;
const STRING8: u8 = 0xa1;
const SYMBOL8: u8 = 0xa3;
const LIST0: u8 = 0x45;
const LIST8: u8 = 0xc0;
const LIST32: u8 = 0xd0;
const MAP8: u8 = 0xc1;
const MAP32: u8 = 0xd1;

/// The size follows in one byte.
const SIZED: u8 = 0xff;
/// Not an ordinary value.
const OTHER: u8 = 0;

/// Size of a value by its constructor, which counts (AMQP 1.0, 1.6). Arrays, wide and described
/// values are left to the thorough way.
static SIZE: [u8; 256] = {
    let mut table = [OTHER; 256];
    let known: [(u8, &[u8]); 6] = [
        (1, &[0x40, 0x41, 0x42, 0x43, 0x44, 0x45]),
        (2, &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56]),
        (3, &[0x60, 0x61]),
        (5, &[0x70, 0x71, 0x72, 0x73, 0x74]),
        (9, &[0x80, 0x81, 0x82, 0x83, 0x84]),
        (17, &[0x94, 0x98]),
    ];
    let mut class = 0;
    while class < known.len() {
        let (size, codes) = known[class];
        let mut at = 0;
        while at < codes.len() {
            table[codes[at] as usize] = size;
            at += 1;
        }
        class += 1;
    }
    let sized = [BINARY8, STRING8, SYMBOL8, LIST8, MAP8, 0xe0];
    let mut at = 0;
    while at < sized.len() {
        table[sized[at] as usize] = SIZED;
        at += 1;
    }
    table
};

/// What follows the value that `buf` begins with.
#[inline(always)]
fn skip(buf: &[u8]) -> Option<&[u8]> {
    let [constructor, rest @ ..] = buf else { return None };
    match SIZE[usize::from(*constructor)] {
        OTHER => None,
        SIZED => {
            let [size, rest @ ..] = rest else { return None };
            rest.get(usize::from(*size)..)
        }
        fixed => buf.get(usize::from(fixed)..),
    }
}

/// How many items the list or map has that `buf` begins with, their bytes, and what follows it.
#[inline(always)]
fn items(buf: &[u8], short: u8, long: u8) -> Option<(usize, &[u8], &[u8])> {
    match buf {
        [constructor, size, inside @ ..] if *constructor == short => {
            let (inside, rest) = inside.split_at_checked(usize::from(*size))?;
            let [count, items @ ..] = inside else { return None };
            Some((usize::from(*count), items, rest))
        }
        [constructor, a, b, c, d, inside @ ..] if *constructor == long => {
            let (inside, rest) = inside.split_at_checked(number([*a, *b, *c, *d])?)?;
            let (count, items) = inside.split_first_chunk()?;
            Some((number(*count)?, items, rest))
        }
        [LIST0, rest @ ..] if short == LIST8 => Some((0, &[], rest)),
        _ => None,
    }
}

/// What follows a list whose items fill it; no more is known of them.
#[inline(always)]
fn list(buf: &[u8]) -> Option<&[u8]> {
    let (count, items, rest) = items(buf, LIST8, LIST32)?;
    fill(count, items).then_some(rest)
}

/// The same for a map.
#[inline(always)]
fn map(buf: &[u8]) -> Option<&[u8]> {
    let (count, items, rest) = items(buf, MAP8, MAP32)?;
    (count % 2 == 0 && fill(count, items)).then_some(rest)
}

#[inline(always)]
fn fill(count: usize, items: &[u8]) -> bool {
    let mut pos = 0;
    for _ in 0..count {
        let Some(constructor) = items.get(pos) else { return false };
        pos += match SIZE[usize::from(*constructor)] {
            OTHER => return false,
            SIZED => match items.get(pos + 1) {
                Some(size) => 2 + usize::from(*size),
                None => return false,
            },
            fixed => usize::from(fixed),
        };
    }
    pos == items.len()
}

#[inline(always)]
fn number(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

/// Largest buffer that is looked at the quick way, in bytes: every position in it fits a `u32`.
const MAX_QUICK: usize = 1 << 30;

/// The `len` bytes that end `after` bytes before the end of a buffer of `whole` bytes, which is at
/// most [`MAX_QUICK`].
#[inline(always)]
const fn span(whole: usize, after: usize, len: usize) -> Span {
    let end = whole - after;
    Span { start: (end - len) as u32, end: end as u32 }
}

/// Finds the parts of an event of ordinary shape, gives up on any other.
#[inline]
pub(crate) fn quick(buf: &[u8], start: usize, parts: &mut Parts) -> Option<()> {
    let whole = buf.len();
    if whole > MAX_QUICK {
        return None;
    }
    let mut header = Span::default();
    let mut rest = buf.get(start..)?;
    while let [DESCRIBED, SMALL_ULONG, section, value @ ..] = rest {
        let slot = match section {
            0x75 if parts.body_kind == BodyKind::None => {
                let (data, after) = data(value)?;
                parts.body = span(whole, after.len(), data.len());
                parts.body_kind = BodyKind::Data;
                rest = after;
                continue;
            }
            0x72 => {
                rest = annotations(whole, value, parts)?;
                &mut parts.annotations
            }
            0x73 => {
                rest = list(value)?;
                &mut parts.properties
            }
            0x74 => {
                rest = map(value)?;
                &mut parts.application_properties
            }
            0x71 => {
                rest = map(value)?;
                &mut parts.delivery_annotations
            }
            0x70 => {
                rest = list(value)?;
                &mut header
            }
            _ => return None,
        };
        if slot.end != 0 {
            return None;
        }
        *slot = span(whole, rest.len(), value.len() - rest.len());
    }
    // Without annotations there is no sequence number.
    (rest.is_empty() && parts.annotations.end != 0).then_some(())
}

/// The bytes of a data section, and what follows it.
#[inline(always)]
fn data(value: &[u8]) -> Option<(&[u8], &[u8])> {
    match value {
        [BINARY8, len, rest @ ..] => rest.split_at_checked(usize::from(*len)),
        [BINARY32, a, b, c, d, rest @ ..] => rest.split_at_checked(number([*a, *b, *c, *d])?),
        _ => None,
    }
}

/// The message annotations, and what follows them. A sequence number and an offset must be among
/// them; text must be ASCII, which needs no closer look.
#[inline(always)]
fn annotations<'a>(whole: usize, value: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let (count, mut items, rest) = items(value, MAP8, MAP32)?;
    if count % 2 != 0 {
        return None;
    }
    let (mut numbered, mut placed) = (false, false);
    let mut left = count / 2;
    if left >= 3
        && let Some(after) = stamps(whole, rest.len(), items, parts)
    {
        items = after;
        left -= 3;
        (numbered, placed) = (true, true);
    }
    for _ in 0..left {
        let [SYMBOL8, len, after @ ..] = items else { return None };
        let (name, value) = after.split_at_checked(usize::from(*len))?;
        // By length first: it tells all but two apart.
        items = match len {
            21 if name == SEQUENCE_NUMBER => {
                let (number, after) = long(value)?;
                parts.sequence_number = number;
                numbered = true;
                after
            }
            12 if name == OFFSET => {
                let (text, after) = text(value)?;
                if text.is_empty() {
                    return None;
                }
                parts.offset = span(whole, rest.len() + after.len(), text.len());
                placed = true;
                after
            }
            19 if name == ENQUEUED_TIME => {
                let [TIMESTAMP, after @ ..] = value else { return None };
                let (millis, after) = after.split_first_chunk()?;
                parts.enqueued_time = i64::from_be_bytes(*millis);
                after
            }
            19 if name == PARTITION_KEY => {
                let (text, after) = text(value)?;
                parts.partition_key = span(whole, rest.len() + after.len(), text.len());
                after
            }
            _ => skip(value)?,
        };
    }
    (numbered && placed && items.is_empty()).then_some(rest)
}

/// The three annotations the service puts on every event, in the order and the types it writes
/// them, and what follows them.
#[inline(always)]
fn stamps<'a>(whole: usize, behind: usize, items: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let (number, items) = items.strip_prefix(&NUMBER_STAMP)?.split_first_chunk()?;
    let (len, items) = items.strip_prefix(&OFFSET_STAMP)?.split_first()?;
    let (offset, items) = items.split_at_checked(usize::from(*len))?;
    let after_offset = items.len();
    let (millis, items) = items.strip_prefix(&TIME_STAMP)?.split_first_chunk()?;
    if offset.is_empty() || !is_ascii(offset) {
        return None;
    }
    parts.sequence_number = i64::from_be_bytes(*number);
    parts.offset = span(whole, behind + after_offset, offset.len());
    parts.enqueued_time = i64::from_be_bytes(*millis);
    Some(items)
}

const SEQUENCE_NUMBER: [u8; 21] = bytes(names::SEQUENCE_NUMBER);
const OFFSET: [u8; 12] = bytes(names::OFFSET);
const ENQUEUED_TIME: [u8; 19] = bytes(names::ENQUEUED_TIME);
const PARTITION_KEY: [u8; 19] = bytes(names::PARTITION_KEY);
const NUMBER_STAMP: [u8; 24] = stamp(&SEQUENCE_NUMBER, LONG);
const OFFSET_STAMP: [u8; 15] = stamp(&OFFSET, STRING8);
const TIME_STAMP: [u8; 22] = stamp(&ENQUEUED_TIME, TIMESTAMP);

/// A name as an array, so that comparing it needs no loop.
const fn bytes<const N: usize>(name: &str) -> [u8; N] {
    match name.as_bytes().first_chunk() {
        Some(bytes) if name.len() == N => *bytes,
        _ => panic!("the name has another length"),
    }
}

/// An entry of a map up to the constructor of its value.
const fn stamp<const N: usize>(name: &[u8], constructor: u8) -> [u8; N] {
    assert!(N == name.len() + 3, "the name has another length");
    let mut stamp = [constructor; N];
    stamp[0] = SYMBOL8;
    stamp[1] = name.len() as u8;
    let mut at = 0;
    while at < name.len() {
        stamp[at + 2] = name[at];
        at += 1;
    }
    stamp
}

/// Like the method of slices, which is made for longer text than offsets and keys are.
#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = text.last_chunk() else {
        return text.iter().all(u8::is_ascii);
    };
    let chunks = text.as_chunks::<8>().0.iter();
    let all = chunks.fold(u64::from_ne_bytes(*last), |all, chunk| all | u64::from_ne_bytes(*chunk));
    all & HIGH == 0
}

#[inline(always)]
fn long(value: &[u8]) -> Option<(i64, &[u8])> {
    match value {
        [LONG, rest @ ..] => {
            let (number, rest) = rest.split_first_chunk()?;
            Some((i64::from_be_bytes(*number), rest))
        }
        [SMALL_LONG, number, rest @ ..] => Some((i64::from(*number as i8), rest)),
        _ => None,
    }
}

#[inline(always)]
fn text(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let [STRING8, len, rest @ ..] = value else { return None };
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    is_ascii(text).then_some((text, rest))
}

// --- all shapes ---

/// Finds the parts of any event, or says what is wrong with it.
#[cold]
#[inline(never)]
pub(crate) fn thorough(buf: &[u8], start: usize) -> Result<Parts, DecodeError> {
    let found = sections(buf, start)?;
    let mut parts = Parts {
        body: found.body.first,
        properties: found.properties,
        application_properties: found.application_properties,
        annotations: found.message_annotations,
        delivery_annotations: found.delivery_annotations,
        body_kind: found.body.kind,
        ..Parts::NOWHERE
    };
    let mut sequence_number = None;
    for (name, value) in MapView::found(buf, found.message_annotations) {
        let Some(name) = name.content() else { continue };
        if name == names::SEQUENCE_NUMBER.as_bytes() {
            let number = value.as_i64().ok_or_else(|| wrong_type(names::SEQUENCE_NUMBER));
            sequence_number = Some(number?);
        } else if name == names::OFFSET.as_bytes() {
            parts.offset = text_span(value, names::OFFSET)?;
        } else if name == names::ENQUEUED_TIME.as_bytes() {
            let time = value.as_timestamp().or_else(|| value.as_i64());
            parts.enqueued_time = time.ok_or_else(|| wrong_type(names::ENQUEUED_TIME))?;
        } else if name == names::PARTITION_KEY.as_bytes() && !value.is_null() {
            parts.partition_key = text_span(value, names::PARTITION_KEY)?;
        }
    }
    let missing = |field| error(DecodeErrorKind::MissingField, field);
    parts.sequence_number = sequence_number.ok_or_else(|| missing(names::SEQUENCE_NUMBER))?;
    let offset = parts.offset.of(buf);
    if offset.is_empty() {
        return Err(missing(names::OFFSET));
    }
    if offset.len() > MAX_OFFSET {
        return Err(error(DecodeErrorKind::Length, names::OFFSET));
    }
    check_text(offset, names::OFFSET)?;
    check_text(parts.partition_key.of(buf), names::PARTITION_KEY)?;
    Ok(parts)
}

fn text_span(value: ValueRef<'_>, field: &'static str) -> Result<Span, DecodeError> {
    match value.as_binary() {
        None => value.content_span().ok_or_else(|| wrong_type(field)),
        Some(_) => Err(wrong_type(field)),
    }
}

fn check_text(text: &[u8], field: &'static str) -> Result<(), DecodeError> {
    std::str::from_utf8(text).map(drop).map_err(|_| error(DecodeErrorKind::Utf8, field))
}

fn wrong_type(field: &'static str) -> DecodeError {
    error(DecodeErrorKind::WrongType, field)
}

const fn error(kind: DecodeErrorKind, field: &'static str) -> DecodeError {
    DecodeError { kind, field, offset: 0 }
}

#[cfg(test)]
mod tests;
