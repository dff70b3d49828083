//! Just enough AMQP 1.0 to read and write frames: by hand, so that nothing of the engine under
//! measurement is on both ends of the wire.

use std::io;

/// Frame size this peer announces and accepts.
pub(crate) const MAX_FRAME: u32 = 65_536;
/// Most fields of any performative (attach).
const MAX_FIELDS: usize = 14;

/// The error for bytes which are not AMQP.
pub(crate) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads four big-endian bytes at `pos`.
pub(crate) fn u32_at(buf: &[u8], pos: usize) -> Option<u32> {
    let bytes = buf.get(pos..pos.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn length_at(buf: &[u8], pos: usize) -> Option<usize> {
    usize::try_from(u32_at(buf, pos)?).ok()
}

/// Where the value which starts at `pos` ends (part 1.6: the width is in the constructor).
pub(crate) fn skip(buf: &[u8], mut pos: usize) -> Option<usize> {
    let mut pending = 1_usize;
    while pending > 0 {
        pending -= 1;
        let constructor = *buf.get(pos)?;
        if constructor == 0 {
            // A described value is two values: the descriptor and what it describes.
            pending += 2;
            pos += 1;
            continue;
        }
        pos = pos.checked_add(match constructor >> 4 {
            4 => 1,
            5 => 2,
            6 => 3,
            7 => 5,
            8 => 9,
            9 => 17,
            0xa | 0xc | 0xe => 2 + usize::from(*buf.get(pos + 1)?),
            0xb | 0xd | 0xf => 5_usize.checked_add(length_at(buf, pos + 1)?)?,
            _ => return None,
        })?;
    }
    (pos <= buf.len()).then_some(pos)
}

/// The fields of a list, as the bytes of each value.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    values: [&'a [u8]; MAX_FIELDS],
}

impl<'a> Fields<'a> {
    /// Reads the list at `pos`; returns the fields and where the list ends.
    fn read(buf: &'a [u8], pos: usize) -> Option<(Self, usize)> {
        let (count, mut at) = match *buf.get(pos)? {
            0x45 => (0, pos + 1),
            0xc0 => (usize::from(*buf.get(pos + 2)?), pos + 3),
            0xd0 => (length_at(buf, pos + 5)?, pos + 9),
            _ => return None,
        };
        let end = skip(buf, pos)?;
        let mut values: [&[u8]; MAX_FIELDS] = [&[]; MAX_FIELDS];
        for slot in values.iter_mut().take(count) {
            let next = skip(buf.get(..end)?, at)?;
            *slot = &buf[at..next];
            at = next;
        }
        Some((Self { values }, end))
    }

    /// The list inside a described value, such as a source: its fields.
    pub(crate) fn described(value: &'a [u8]) -> Option<Self> {
        if *value.first()? != 0 {
            return None;
        }
        let list = skip(value, 1)?;
        Self::read(value, list).map(|(fields, _)| fields)
    }

    /// The encoded value of a field; null when it is missing.
    pub(crate) fn raw(&self, field: usize) -> &'a [u8] {
        match self.values.get(field) {
            Some(value) if !value.is_empty() => value,
            _ => &[0x40],
        }
    }

    /// A field of any unsigned width that fits 32 bits.
    pub(crate) fn uint(&self, field: usize) -> Option<u32> {
        match self.raw(field) {
            [0x43] => Some(0),
            [0x50 | 0x52, byte] => Some(u32::from(*byte)),
            [0x60, high, low] => Some(u32::from(u16::from_be_bytes([*high, *low]))),
            [0x70, rest @ ..] => u32_at(rest, 0),
            _ => None,
        }
    }

    /// A boolean field; null is false, as for every default used here.
    pub(crate) fn flag(&self, field: usize) -> bool {
        matches!(self.raw(field), [0x41] | [0x56, 1])
    }

    /// A string or symbol field.
    pub(crate) fn text(&self, field: usize) -> Option<&'a str> {
        text(self.raw(field))
    }
}

/// The text of an encoded string or symbol.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let bytes = match value {
        [0xa1 | 0xa3, _, rest @ ..] => rest,
        [0xb1 | 0xb3, _, _, _, _, rest @ ..] => rest,
        _ => return None,
    };
    std::str::from_utf8(bytes).ok()
}

/// One frame as read: descriptor code, fields and payload.
pub(crate) struct Frame<'a> {
    pub(crate) channel: u16,
    pub(crate) sasl: bool,
    pub(crate) code: u8,
    pub(crate) fields: Fields<'a>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a whole frame, size field included; `None` for an empty frame (a heartbeat).
    pub(crate) fn read(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        Self::parse(bytes).ok_or_else(|| malformed("a frame that cannot be read"))
    }

    fn parse(bytes: &'a [u8]) -> Option<Option<Self>> {
        let &[_, _, _, _, doff, kind, high, low, ..] = bytes else {
            return None;
        };
        let body = usize::from(doff) * 4;
        if body == bytes.len() {
            return Some(None);
        }
        let (code, list) = descriptor(bytes, body)?;
        let (fields, end) = Fields::read(bytes, list)?;
        Some(Some(Self {
            channel: u16::from_be_bytes([high, low]),
            sasl: kind == 1,
            code,
            fields,
            payload: &bytes[end..],
        }))
    }
}

/// Reads `00 53 code` or `00 80 ... code` at `pos`: the code and where the value starts.
pub(crate) fn descriptor(buf: &[u8], pos: usize) -> Option<(u8, usize)> {
    match buf.get(pos..)? {
        [0, 0x53, code, ..] => Some((*code, pos + 3)),
        [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => Some((*code, pos + 10)),
        _ => None,
    }
}

/// Writes one described list; sizes are filled in by [`Writer::end`].
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    frame: Option<usize>,
    list: usize,
    count: u8,
}

/// The head of a list with 8-bit sizes, and of one with 32-bit sizes, still empty.
const SHORT: &[u8] = &[0xc0, 0, 0];
const WIDE: &[u8] = &[0xd0, 0, 0, 0, 0, 0, 0, 0, 0];

impl<'a> Writer<'a> {
    /// Begins an AMQP frame with the performative `code`.
    pub(crate) fn amqp(out: &'a mut Vec<u8>, channel: u16, code: u8) -> Self {
        Self::frame(out, 0, channel, code, WIDE)
    }

    /// The same with 8-bit sizes, for fields that are known to be short.
    pub(crate) fn short(out: &'a mut Vec<u8>, channel: u16, code: u8) -> Self {
        Self::frame(out, 0, channel, code, SHORT)
    }

    /// Begins a SASL frame.
    pub(crate) fn sasl(out: &'a mut Vec<u8>, code: u8) -> Self {
        Self::frame(out, 1, 0, code, WIDE)
    }

    /// Begins a message section which is a list.
    pub(crate) fn section(out: &'a mut Vec<u8>, code: u8) -> Self {
        Self::list(out, None, code, WIDE)
    }

    fn frame(out: &'a mut Vec<u8>, kind: u8, channel: u16, code: u8, head: &[u8]) -> Self {
        let start = out.len();
        out.extend([0, 0, 0, 0, 2, kind]);
        out.extend(channel.to_be_bytes());
        Self::list(out, Some(start), code, head)
    }

    fn list(out: &'a mut Vec<u8>, frame: Option<usize>, code: u8, head: &[u8]) -> Self {
        out.extend([0, 0x53, code]);
        let list = out.len();
        out.extend(head);
        Self { out, frame, list, count: 0 }
    }

    /// Bytes written to the buffer so far: the place of the next field's constructor.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    /// A field that is encoded already.
    pub(crate) fn raw(mut self, value: &[u8]) -> Self {
        self.out.extend(value);
        self.count += 1;
        self
    }

    pub(crate) fn null(self) -> Self {
        self.raw(&[0x40])
    }

    pub(crate) fn nulls(mut self, count: usize) -> Self {
        for _ in 0..count {
            self = self.null();
        }
        self
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.raw(&[if value { 0x41 } else { 0x42 }])
    }

    pub(crate) fn ubyte(self, value: u8) -> Self {
        self.raw(&[0x50, value])
    }

    pub(crate) fn ushort(self, value: u16) -> Self {
        let [high, low] = value.to_be_bytes();
        self.raw(&[0x60, high, low])
    }

    pub(crate) fn uint(self, value: u32) -> Self {
        let [a, b, c, d] = value.to_be_bytes();
        self.raw(&[0x70, a, b, c, d])
    }

    pub(crate) fn ulong(self, value: u64) -> Self {
        let mut field = [0x80; 9];
        field[1..].copy_from_slice(&value.to_be_bytes());
        self.raw(&field)
    }

    pub(crate) fn text(self, value: &str) -> Self {
        let mut field = Vec::with_capacity(value.len() + 5);
        put_text(&mut field, value);
        self.raw(&field)
    }

    /// Ends the list and, when this is a frame, sets its size.
    pub(crate) fn end(self) {
        self.end_with(&[]);
    }

    /// Ends the list, appends the payload and sets the frame size over both.
    pub(crate) fn end_with(self, payload: &[u8]) {
        let written = self.out.len() - self.list;
        if self.out[self.list] == SHORT[0] {
            let size = u8::try_from(written - 2).expect("short lists are written with few fields");
            self.out[self.list + 1..self.list + 3].copy_from_slice(&[size, self.count]);
        } else {
            let size = wire_len(written - 5);
            self.out[self.list + 1..self.list + 5].copy_from_slice(&size);
            self.out[self.list + 8] = self.count;
        }
        self.out.extend(payload);
        if let Some(frame) = self.frame {
            let size = wire_len(self.out.len() - frame);
            self.out[frame..frame + 4].copy_from_slice(&size);
        }
    }
}

fn wire_len(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("everything this peer writes is smaller than a frame").to_be_bytes()
}

/// Appends a string.
pub(crate) fn put_text(out: &mut Vec<u8>, value: &str) {
    put_variable(out, 0xa1, value.as_bytes());
}

/// Appends a symbol.
pub(crate) fn put_symbol(out: &mut Vec<u8>, value: &str) {
    put_variable(out, 0xa3, value.as_bytes());
}

/// Appends binary, always in its 32-bit form, as the service does for bodies.
pub(crate) fn put_body(out: &mut Vec<u8>, value: &[u8]) {
    out.push(0xb0);
    out.extend(wire_len(value.len()));
    out.extend(value);
}

fn put_variable(out: &mut Vec<u8>, short: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(len) => out.extend([short, len]),
        Err(_) => {
            out.push(short | 0x10);
            out.extend(wire_len(value.len()));
        }
    }
    out.extend(value);
}

/// Appends an 8-byte value under `constructor` (long `0x81`, timestamp `0x83`).
pub(crate) fn put_wide(out: &mut Vec<u8>, constructor: u8, value: i64) {
    out.push(constructor);
    out.extend(value.to_be_bytes());
}

/// Appends a 32-bit integer.
pub(crate) fn put_int(out: &mut Vec<u8>, value: i32) {
    out.push(0x71);
    out.extend(value.to_be_bytes());
}

/// Appends a map under a section descriptor; `entries` writes `pairs` keys and values.
pub(crate) fn put_map_section(
    out: &mut Vec<u8>,
    code: u8,
    pairs: u8,
    entries: impl FnOnce(&mut Vec<u8>),
) {
    out.extend([0, 0x53, code]);
    put_map(out, pairs, entries);
}

/// Appends a map: 8-bit sizes when it fits, as every known encoder does.
pub(crate) fn put_map(out: &mut Vec<u8>, pairs: u8, entries: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    entries(&mut body);
    let count = pairs * 2;
    match u8::try_from(body.len() + 1) {
        Ok(size) => out.extend([0xc1, size, count]),
        Err(_) => {
            out.push(0xd1);
            out.extend(wire_len(body.len() + 4));
            out.extend(u32::from(count).to_be_bytes());
        }
    }
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_frame_reads_back() {
        let mut out = Vec::new();
        Writer::amqp(&mut out, 7, 0x14).uint(300).null().flag(true).text("hub").end_with(b"rest");
        assert_eq!(u32_at(&out, 0), u32::try_from(out.len()).ok());
        let frame = Frame::read(&out).expect("readable").expect("not empty");
        assert_eq!((frame.channel, frame.code, frame.sasl), (7, 0x14, false));
        assert_eq!(frame.fields.uint(0), Some(300));
        assert_eq!(frame.fields.uint(1), None);
        assert!(frame.fields.flag(2));
        assert_eq!(frame.fields.text(3), Some("hub"));
        assert_eq!(frame.fields.raw(9), [0x40]);
        assert_eq!(frame.payload, b"rest");
    }

    #[test]
    fn a_short_frame_reads_back() {
        let mut out = Vec::new();
        Writer::short(&mut out, 1, 0x15).flag(true).uint(4).end();
        assert_eq!(out[8..14], [0, 0x53, 0x15, 0xc0, 7, 2]);
        let frame = Frame::read(&out).expect("readable").expect("not empty");
        assert_eq!((frame.fields.flag(0), frame.fields.uint(1)), (true, Some(4)));
    }

    #[test]
    fn no_prefix_of_a_frame_panics() {
        let mut out = Vec::new();
        Writer::amqp(&mut out, 0, 0x12).text("name").uint(1).flag(true).nulls(4).ulong(9).end();
        for end in 0..out.len() {
            let _outcome = Frame::read(&out[..end]);
        }
        let nested = vec![0_u8; 100_000];
        assert_eq!(skip(&nested, 0), None);
    }

    #[test]
    fn a_heartbeat_is_no_frame() {
        assert!(Frame::read(&[0, 0, 0, 8, 2, 0, 0, 0]).expect("readable").is_none());
    }
}
