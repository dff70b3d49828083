//! Where the sections of a message are, found without copying any.

use std::ops::Range;

use crate::codec::read::Reader;
use crate::codec::{DecodeError, DecodeErrorKind as Kind, code, descriptor, scan};

/// A piece of the bytes that were decoded. Empty when what it stands for is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

impl Span {
    /// Whether there is nothing.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// How many bytes it covers.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The same as a range.
    #[must_use]
    #[inline]
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes themselves. Nothing if `buf` is shorter than the bytes the span was found in.
    #[must_use]
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }
}

/// What a message's body is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum BodyKind {
    /// There is no body section, which part 3.2 does not allow, but peers send.
    #[default]
    None,
    /// Data sections: bytes.
    Data,
    /// Sequence sections: lists.
    Sequence,
    /// One value.
    Value,
}

/// The body of a message, as far as its first section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FirstBody {
    /// What the body is made of.
    pub kind: BodyKind,
    /// The bytes of the first data section, or the encoded list or value of another body.
    pub first: Span,
    /// How many body sections there are. All are of the same kind.
    pub count: u32,
}

/// Where the sections of a message are. Each span is the encoded value behind the section's descriptor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Sections {
    /// The header, a list.
    pub header: Span,
    /// Annotations for the next hop, a map.
    pub delivery_annotations: Span,
    /// Annotations for the whole way, a map.
    pub message_annotations: Span,
    /// The properties, a list.
    pub properties: Span,
    /// The application's properties, a map.
    pub application_properties: Span,
    /// The body.
    pub body: FirstBody,
    /// The footer, a map.
    pub footer: Span,
}

impl Sections {
    /// The body sections in the order they were sent: data as the bytes themselves, others as the encoded list or value.
    ///
    /// `buf` is what the sections were found in.
    #[must_use]
    pub fn body_sections<'a>(&self, buf: &'a [u8]) -> BodySections<'a> {
        // The first one is known; the walk to the others starts behind it.
        BodySections { buf, pos: self.body.first.end, first: self.body }
    }
}

/// Finds the sections of the message in `buf`, which starts at `start` and goes on to the end.
///
/// Lists and maps are checked one level deep: their items are as many as they should be and fill them, so that
/// [`MapView::found`](crate::codec::MapView::found) and [`ListView::found`](crate::codec::ListView::found) see all of them. What is deeper is
/// checked when it is decoded.
///
/// Sections may come in any order, though part 3.2 has one: senders get it wrong, and nothing is ambiguous.
///
/// # Errors
///
/// When a section is unknown, broken, or there twice; when body sections are of different kinds, or there is more than
/// one value.
///
/// ```
/// use eventhubs_amqp::codec::message::{BodyKind, sections};
///
/// let message = [0x00, 0x53, 0x75, 0xa0, 2, b'h', b'i'];
/// let found = sections(&message, 0).unwrap();
/// assert_eq!(found.body.kind, BodyKind::Data);
/// assert_eq!(found.body.first.of(&message), b"hi");
/// ```
#[inline]
pub fn sections(buf: &[u8], start: usize) -> Result<Sections, DecodeError> {
    match ordinary(buf, start) {
        Some(found) => Ok(found),
        None => careful(buf, start),
    }
}

/// Messages as they mostly are: short descriptors, no value inside of a map or list with a four-byte size. Says nothing
/// about why a message is not like that.
#[inline]
fn ordinary(buf: &[u8], start: usize) -> Option<Sections> {
    u32::try_from(buf.len()).ok()?;
    let mut found = Sections::default();
    let mut rest = buf.get(start..)?;
    while let [code::DESCRIBED, code::SMALL_ULONG, number, value @ ..] = rest {
        let (slot, short) = match u64::from(*number) {
            descriptor::DATA => {
                let content;
                (content, rest) = match value {
                    [code::BINARY8, len, behind @ ..] => {
                        behind.split_at_checked(usize::from(*len))?
                    }
                    [code::BINARY32, a, b, c, d, behind @ ..] => behind.split_at_checked(
                        usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?,
                    )?,
                    _ => return None,
                };
                let end = buf.len() - rest.len();
                match found.body {
                    FirstBody { kind: BodyKind::Data, .. } => found.body.count += 1,
                    FirstBody { count: 0, .. } => {
                        let first = span(end - content.len(), end);
                        found.body = FirstBody { kind: BodyKind::Data, first, count: 1 };
                    }
                    _ => return None,
                }
                continue;
            }
            descriptor::MESSAGE_ANNOTATIONS => (&mut found.message_annotations, code::MAP8),
            descriptor::PROPERTIES => (&mut found.properties, code::LIST8),
            descriptor::APPLICATION_PROPERTIES => (&mut found.application_properties, code::MAP8),
            descriptor::DELIVERY_ANNOTATIONS => (&mut found.delivery_annotations, code::MAP8),
            descriptor::HEADER => (&mut found.header, code::LIST8),
            descriptor::FOOTER => (&mut found.footer, code::MAP8),
            _ => return None,
        };
        if !slot.is_empty() {
            return None;
        }
        let (count, items);
        (count, items, rest) = match value {
            [constructor, size, count, behind @ ..] if *constructor == short => {
                let size = usize::from(*size).checked_sub(1)?;
                let (items, behind) = behind.split_at_checked(size)?;
                (usize::from(*count), items, behind)
            }
            [code::LIST0, behind @ ..] if short == code::LIST8 => (0, &[][..], behind),
            // A wide list or map, whose size includes four bytes of its count.
            [constructor, a, b, c, d, e, f, g, h, behind @ ..] if *constructor == short | 0x10 => {
                let size = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
                let (items, behind) = behind.split_at_checked(size.checked_sub(4)?)?;
                (usize::try_from(u32::from_be_bytes([*e, *f, *g, *h])).ok()?, items, behind)
            }
            _ => return None,
        };
        if (short == code::MAP8 && !count.is_multiple_of(2)) || !scan::are_ordinary(items, count) {
            return None;
        }
        *slot = span(buf.len() - value.len(), buf.len() - rest.len());
    }
    rest.is_empty().then_some(found)
}

/// Every message there can be, and what is wrong with those that cannot.
#[inline(never)]
fn careful(buf: &[u8], start: usize) -> Result<Sections, DecodeError> {
    if u32::try_from(buf.len()).is_err() {
        return Err(DecodeError::new(Kind::Length, "message", start));
    }
    let mut found = Sections::default();
    let mut pos = start;
    while pos < buf.len() {
        let (number, value) = match buf.get(pos..) {
            Some([code::DESCRIBED, code::SMALL_ULONG, number, ..]) => (u64::from(*number), pos + 3),
            _ => other_descriptor(buf, pos)?,
        };
        pos = match number {
            descriptor::MESSAGE_ANNOTATIONS => {
                map(buf, value, &mut found.message_annotations, "message-annotations")?
            }
            descriptor::DATA => data(buf, value, &mut found.body)?,
            descriptor::PROPERTIES => list(buf, value, &mut found.properties, "properties")?,
            descriptor::APPLICATION_PROPERTIES => {
                map(buf, value, &mut found.application_properties, "application-properties")?
            }
            descriptor::DELIVERY_ANNOTATIONS => {
                map(buf, value, &mut found.delivery_annotations, "delivery-annotations")?
            }
            descriptor::HEADER => list(buf, value, &mut found.header, "header")?,
            descriptor::FOOTER => map(buf, value, &mut found.footer, "footer")?,
            descriptor::SEQUENCE => sequence(buf, value, &mut found.body)?,
            descriptor::VALUE => whole_value(buf, value, &mut found.body)?,
            other => {
                return Err(DecodeError::new(Kind::UnknownDescriptor(other), "message", pos));
            }
        };
    }
    Ok(found)
}

/// Any spelling of a descriptor but the one everybody uses.
#[cold]
fn other_descriptor(buf: &[u8], pos: usize) -> Result<(u64, usize), DecodeError> {
    let mut reader = Reader::new(buf.get(pos..).unwrap_or_default(), "message");
    let number = reader.descriptor()?;
    Ok((number, pos + reader.position()))
}

/// A span within a buffer whose length is known to fit.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "sections() checked that buf.len() fits u32")]
const fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

fn once(found: &mut Span, new: Span, field: &'static str) -> Result<usize, DecodeError> {
    if !found.is_empty() {
        return Err(DecodeError::new(Kind::InvalidValue, field, new.start as usize));
    }
    *found = new;
    Ok(new.end as usize)
}

fn map(
    buf: &[u8],
    pos: usize,
    found: &mut Span,
    field: &'static str,
) -> Result<usize, DecodeError> {
    let extent = scan::map(buf, pos, field)?;
    scan::walk(buf, extent, field)?;
    once(found, span(pos, extent.end), field)
}

fn list(
    buf: &[u8],
    pos: usize,
    found: &mut Span,
    field: &'static str,
) -> Result<usize, DecodeError> {
    let extent = scan::list(buf, pos, field)?;
    scan::walk(buf, extent, field)?;
    once(found, span(pos, extent.end), field)
}

fn data(buf: &[u8], pos: usize, body: &mut FirstBody) -> Result<usize, DecodeError> {
    let content = data_content(buf, pos)?;
    if body.count == 0 {
        *body = FirstBody { kind: BodyKind::Data, first: content, count: 1 };
    } else {
        another(body, BodyKind::Data, pos)?;
    }
    Ok(content.end as usize)
}

fn data_content(buf: &[u8], pos: usize) -> Result<Span, DecodeError> {
    let head = match buf.get(pos..) {
        Some([code::BINARY8, ..]) => 2,
        Some([code::BINARY32, ..]) => 5,
        Some([_, ..]) => return Err(DecodeError::new(Kind::WrongType, "data", pos)),
        _ => return Err(DecodeError::new(Kind::Truncated, "data", pos)),
    };
    let end = scan::skip(buf, pos)?;
    Ok(span(pos + head, end))
}

fn sequence(buf: &[u8], pos: usize, body: &mut FirstBody) -> Result<usize, DecodeError> {
    let mut value = Span::default();
    let end = list(buf, pos, &mut value, "amqp-sequence")?;
    if body.count == 0 {
        *body = FirstBody { kind: BodyKind::Sequence, first: value, count: 1 };
    } else {
        another(body, BodyKind::Sequence, pos)?;
    }
    Ok(end)
}

fn whole_value(buf: &[u8], pos: usize, body: &mut FirstBody) -> Result<usize, DecodeError> {
    if body.count != 0 {
        return Err(DecodeError::new(Kind::InvalidValue, "amqp-value", pos));
    }
    let end = scan::skip(buf, pos)?;
    *body = FirstBody { kind: BodyKind::Value, first: span(pos, end), count: 1 };
    Ok(end)
}

/// A body section that is not the first.
fn another(body: &mut FirstBody, kind: BodyKind, pos: usize) -> Result<(), DecodeError> {
    if body.kind != kind {
        return Err(DecodeError::new(Kind::InvalidValue, "body", pos));
    }
    body.count = body.count.saturating_add(1);
    Ok(())
}

/// The body sections of a message.
#[derive(Debug, Clone)]
pub struct BodySections<'a> {
    buf: &'a [u8],
    pos: u32,
    /// Taken once handed out.
    first: FirstBody,
}

impl<'a> Iterator for BodySections<'a> {
    type Item = (BodyKind, Span);

    fn next(&mut self) -> Option<Self::Item> {
        self.first.count = self.first.count.checked_sub(1)?;
        if !matches!(self.first.first, Span { start: 0, end: 0 }) {
            let first = std::mem::take(&mut self.first.first);
            return Some((self.first.kind, first));
        }
        // What follows was checked when the first section was found. Sections that are no body may lie between.
        let buf: &'a [u8] = self.buf;
        loop {
            let mut reader = Reader::new(buf.get(self.pos as usize..)?, "body");
            let number = reader.descriptor().ok()?;
            let value = self.pos as usize + reader.position();
            let end = scan::skip(buf, value).ok()?;
            self.pos = u32::try_from(end).ok()?;
            match number {
                descriptor::DATA => return Some((BodyKind::Data, data_content(buf, value).ok()?)),
                descriptor::SEQUENCE => return Some((BodyKind::Sequence, span(value, end))),
                _ => {}
            }
        }
    }
}
