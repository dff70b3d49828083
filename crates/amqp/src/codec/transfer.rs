//! Transfer as the hot path sees it: read and written without allocating.
//!
//! [`performative::Transfer`](super::performative::Transfer) is the same thing whole.

use bytes::{BufMut, BytesMut};

use super::performative::ReceiverSettleMode;
use super::read::Reader;
use super::{
    DecodeError, DecodeErrorKind as Kind, FieldList, code, descriptor, frame, limits, scan, write,
};

const FIELD: &str = "transfer";

/// What a transfer frame says, as numbers and places in the frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// The link.
    pub handle: u32,
    /// The delivery, `None` if this frame does not say.
    pub delivery_id: Option<u32>,
    /// Where in the frame the delivery tag starts, and its length, at most 32. Both 0 if there is none.
    pub tag: (u32, u8),
    /// How the message is to be read.
    pub message_format: Option<u32>,
    /// The sender has settled the delivery.
    pub settled: Option<bool>,
    /// More transfers of this delivery follow.
    pub more: bool,
    /// How the receiver is to settle, if not as negotiated.
    pub rcv_settle_mode: Option<ReceiverSettleMode>,
    /// An earlier delivery is resumed.
    pub resume: bool,
    /// The delivery is given up.
    pub aborted: bool,
    /// There is a state. [`Performative::decode`](super::performative::Performative::decode) tells which.
    pub has_state: bool,
    /// Where in the frame the payload starts; it goes on to the end.
    pub payload: u32,
}

/// Reads the transfer in `frame`, which starts with its size, and whose body starts at `body`.
///
/// Fields beyond the eleventh are skipped.
///
/// # Errors
///
/// When the body is not a transfer, a field has the wrong type, or there is no handle.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::{FieldList, transfer};
///
/// let head = transfer::Head { handle: 1, delivery_id: Some(7), tag: b"tag", ..Default::default() };
/// let mut frame = BytesMut::new();
/// transfer::write_head(&mut frame, 0, &head, FieldList::Full, 3);
/// frame.extend_from_slice(b"abc");
///
/// let view = transfer::decode(&frame, 8).unwrap();
/// assert_eq!((view.handle, view.delivery_id), (1, Some(7)));
/// assert_eq!(&frame[view.payload as usize..], b"abc");
/// ```
#[inline]
pub fn decode(frame: &[u8], body: usize) -> Result<View, DecodeError> {
    match ordinary(frame, body) {
        Some(view) => Ok(view),
        None => careful(frame, body),
    }
}

/// The first frame of a delivery as everybody writes it: a list8 with six or eleven fields, none of the first six null,
/// and all others null or false. Says nothing about why a frame is not like that.
#[inline]
fn ordinary(frame: &[u8], body: usize) -> Option<View> {
    let [code::DESCRIBED, code::SMALL_ULONG, 0x14, code::LIST8, size, count, behind @ ..] =
        frame.get(body..)?
    else {
        return None;
    };
    let (fields, payload) = behind.split_at_checked(usize::from(*size).checked_sub(1)?)?;
    let (handle, fields) = uint(fields)?;
    let (delivery_id, fields) = uint(fields)?;
    let [code::BINARY8, len, fields @ ..] = fields else {
        return None;
    };
    // What is behind the length, up to the end of the frame.
    let tag = frame.len() - payload.len() - fields.len();
    let fields = fields.get(usize::from(*len)..)?;
    let (message_format, fields) = uint(fields)?;
    let [settled @ (code::TRUE | code::FALSE), more @ (code::TRUE | code::FALSE), fields @ ..] =
        fields
    else {
        return None;
    };
    match (*count, fields) {
        (6, []) => {}
        (
            11,
            [
                code::NULL,
                code::NULL,
                code::NULL | code::FALSE,
                code::NULL | code::FALSE,
                // Batchable, as the service has it, changes nothing for us.
                code::NULL | code::FALSE | code::TRUE,
            ],
        ) => {}
        _ => return None,
    }
    if usize::from(*len) > limits::MAX_DELIVERY_TAG {
        return None;
    }
    Some(View {
        handle,
        delivery_id: Some(delivery_id),
        tag: (u32::try_from(tag).ok()?, *len),
        message_format: Some(message_format),
        settled: Some(*settled == code::TRUE),
        more: *more == code::TRUE,
        rcv_settle_mode: None,
        resume: false,
        aborted: false,
        has_state: false,
        payload: u32::try_from(frame.len() - payload.len()).ok()?,
    })
}

#[inline(always)]
fn uint(fields: &[u8]) -> Option<(u32, &[u8])> {
    match fields {
        [code::SMALL_UINT, value, fields @ ..] => Some(((*value).into(), fields)),
        [code::UINT, a, b, c, d, fields @ ..] => {
            Some((u32::from_be_bytes([*a, *b, *c, *d]), fields))
        }
        [code::UINT0, fields @ ..] => Some((0, fields)),
        _ => None,
    }
}

/// Every transfer there can be, and what is wrong with those that cannot.
#[inline(never)]
fn careful(frame: &[u8], body: usize) -> Result<View, DecodeError> {
    let list = match frame.get(body..) {
        Some([code::DESCRIBED, code::SMALL_ULONG, 0x14, ..]) => body + 3,
        _ => other_descriptor(frame, body)?,
    };
    let extent = scan::list(frame, list, FIELD)?;
    let mut view = View { payload: place(extent.end)?, ..View::default() };
    // The end is known to lie within the frame. Nothing of the payload can be taken for a field.
    let mut cursor = Cursor { buf: frame.get(..extent.end).unwrap_or_default(), pos: extent.first };
    for field in 0..extent.count {
        match field {
            0 => match cursor.uint()? {
                Some(handle) => view.handle = handle,
                None => return Err(cursor.error(Kind::MissingField)),
            },
            1 => view.delivery_id = cursor.uint()?,
            2 => view.tag = cursor.tag()?,
            3 => view.message_format = cursor.uint()?,
            4 => view.settled = cursor.boolean()?,
            5 => view.more = cursor.boolean()? == Some(true),
            6 => view.rcv_settle_mode = cursor.settle_mode()?,
            7 => view.has_state = cursor.state()?,
            8 => view.resume = cursor.boolean()? == Some(true),
            9 => view.aborted = cursor.boolean()? == Some(true),
            // Whether it is batchable changes nothing.
            10 => drop(cursor.boolean()?),
            _ => cursor.pos = scan::skip(cursor.buf, cursor.pos)?,
        }
    }
    match cursor.rest() {
        [] if extent.count > 0 => Ok(view),
        [] => Err(cursor.error(Kind::MissingField)),
        _ => Err(cursor.error(Kind::Trailing)),
    }
}

fn place(pos: usize) -> Result<u32, DecodeError> {
    u32::try_from(pos).map_err(|_| DecodeError::new(Kind::Length, FIELD, pos))
}

/// Any spelling of the descriptor but the one everybody uses.
#[cold]
fn other_descriptor(frame: &[u8], body: usize) -> Result<usize, DecodeError> {
    let Some(rest) = frame.get(body..) else {
        return Err(DecodeError::new(Kind::Truncated, FIELD, body));
    };
    let mut reader = Reader::new(rest, FIELD);
    match reader.descriptor()? {
        descriptor::TRANSFER => Ok(body + reader.position()),
        other => Err(reader.error(Kind::UnknownDescriptor(other))),
    }
}

struct Cursor<'a> {
    /// Up to the end of the list.
    buf: &'a [u8],
    pos: usize,
}

impl Cursor<'_> {
    fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::new(kind, FIELD, self.pos)
    }

    fn rest(&self) -> &[u8] {
        self.buf.get(self.pos..).unwrap_or_default()
    }

    #[cold]
    fn wrong(&self) -> DecodeError {
        match scan::skip(self.buf, self.pos) {
            Ok(_) => self.error(Kind::WrongType),
            Err(error) => self.error(error.kind),
        }
    }

    fn uint(&mut self) -> Result<Option<u32>, DecodeError> {
        let (value, len) = match *self.rest() {
            [code::SMALL_UINT, value, ..] => (Some(value.into()), 2),
            [code::UINT, a, b, c, d, ..] => (Some(u32::from_be_bytes([a, b, c, d])), 5),
            [code::UINT0, ..] => (Some(0), 1),
            [code::NULL, ..] => (None, 1),
            _ => return Err(self.wrong()),
        };
        self.pos += len;
        Ok(value)
    }

    fn boolean(&mut self) -> Result<Option<bool>, DecodeError> {
        let (value, len) = match *self.rest() {
            [code::TRUE, ..] => (Some(true), 1),
            [code::FALSE, ..] => (Some(false), 1),
            [code::NULL, ..] => (None, 1),
            [code::BOOL, value @ (0 | 1), ..] => (Some(value == 1), 2),
            [code::BOOL, _, ..] => return Err(self.error(Kind::InvalidValue)),
            _ => return Err(self.wrong()),
        };
        self.pos += len;
        Ok(value)
    }

    fn tag(&mut self) -> Result<(u32, u8), DecodeError> {
        let (start, len) = match *self.rest() {
            [code::BINARY8, len, ..] => (self.pos + 2, len),
            [code::NULL, ..] => {
                self.pos += 1;
                return Ok((0, 0));
            }
            [code::BINARY32, 0, 0, 0, len, ..] => (self.pos + 5, len),
            [code::BINARY32, _, _, _, _, ..] => return Err(self.error(Kind::Length)),
            _ => return Err(self.wrong()),
        };
        let end = start + usize::from(len);
        if usize::from(len) > limits::MAX_DELIVERY_TAG {
            return Err(self.error(Kind::Length));
        }
        if end > self.buf.len() {
            return Err(self.error(Kind::Truncated));
        }
        self.pos = end;
        Ok((place(start)?, len))
    }

    fn settle_mode(&mut self) -> Result<Option<ReceiverSettleMode>, DecodeError> {
        let (mode, len) = match *self.rest() {
            [code::NULL, ..] => (None, 1),
            [code::UBYTE, mode, ..] => match ReceiverSettleMode::from_wire(mode) {
                Some(mode) => (Some(mode), 2),
                None => return Err(self.error(Kind::InvalidValue)),
            },
            _ => return Err(self.wrong()),
        };
        self.pos += len;
        Ok(mode)
    }

    /// Whether there is one. What it says is left for those who ask.
    fn state(&mut self) -> Result<bool, DecodeError> {
        let there = match *self.rest() {
            [code::NULL, ..] => false,
            [code::DESCRIBED, ..] => true,
            _ => return Err(self.wrong()),
        };
        self.pos = scan::skip(self.buf, self.pos)?;
        Ok(there)
    }
}

/// What is said in front of a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The link.
    pub handle: u32,
    /// The delivery. Needed in its first frame only.
    pub delivery_id: Option<u32>,
    /// The delivery tag, of which no more than 32 bytes are sent. Null when it is empty and there is no delivery id.
    pub tag: &'a [u8],
    /// How the message is to be read. Needed in the first frame only.
    pub message_format: Option<u32>,
    /// The delivery is settled.
    pub settled: Option<bool>,
    /// More frames of this delivery follow.
    pub more: bool,
    /// The delivery is given up.
    pub aborted: bool,
}

impl Head<'_> {
    fn tag(&self) -> &[u8] {
        self.tag.get(..limits::MAX_DELIVERY_TAG).unwrap_or(self.tag)
    }

    /// The fields in front of the flags. They never fill more than a list8 holds.
    #[inline]
    fn body_len(&self, count: u8) -> usize {
        let optional = |value: Option<u32>| value.map_or(1, write::uint_len);
        let tag = match self.tag() {
            [] if self.delivery_id.is_none() => 1,
            tag => write::binary_len(tag),
        };
        let flags = usize::from(count) - 4;
        write::uint_len(self.handle)
            + optional(self.delivery_id)
            + tag
            + optional(self.message_format)
            + flags
    }

    fn count(&self, fields: FieldList) -> u8 {
        match fields {
            FieldList::Full => 11,
            FieldList::Trimmed if self.aborted => 10,
            FieldList::Trimmed => 6,
        }
    }
}

/// Frame header, descriptor and the head of a list8.
const FIXED: usize = frame::HEADER_LEN + 6;

/// How many bytes [`write_head`] writes. Does not depend on [`Head::more`].
#[must_use]
#[inline]
pub fn head_len(head: &Head<'_>, fields: FieldList) -> usize {
    FIXED + head.body_len(head.count(fields))
}

/// Appends a frame header and a transfer. The size in the header includes `payload_len` bytes, which the caller lets
/// follow; that this stays below the peer's maximum frame size is his to see to.
///
/// [`FieldList::Trimmed`] writes the first six fields, or ten when the delivery is aborted.
#[inline]
pub fn write_head(
    out: &mut BytesMut,
    channel: u16,
    head: &Head<'_>,
    fields: FieldList,
    payload_len: usize,
) {
    let count = head.count(fields);
    let body = head.body_len(count);
    let size = u32::try_from((FIXED + body).saturating_add(payload_len)).unwrap_or(u32::MAX);
    let list = u8::try_from(body + 1).unwrap_or(u8::MAX);
    let ([s, t, u, v], [a, b]) = (size.to_be_bytes(), channel.to_be_bytes());
    out.reserve(FIXED + body);
    out.put_slice(&[s, t, u, v, 2, 0, a, b, 0x00, 0x53, 0x14, code::LIST8, list, count]);
    write::put_uint(out, head.handle);
    match head.delivery_id {
        Some(id) => write::put_uint(out, id),
        None => write::put_null(out),
    }
    match head.tag() {
        [] if head.delivery_id.is_none() => write::put_null(out),
        tag => write::put_binary(out, tag),
    }
    match head.message_format {
        Some(format) => write::put_uint(out, format),
        None => write::put_null(out),
    }
    let flag = |value| if value { code::TRUE } else { code::FALSE };
    let settled = head.settled.map_or(code::NULL, flag);
    let flags = [
        settled,
        flag(head.more),
        code::NULL,
        code::NULL,
        code::FALSE,
        flag(head.aborted),
        code::FALSE,
    ];
    // Fields five and up, as many as there are.
    out.put_slice(flags.get(..usize::from(count) - 4).unwrap_or_default());
}
