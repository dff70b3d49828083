//! Where values end, without building them.

use super::{DecodeError, DecodeErrorKind as Kind, code, limits};

/// Where the value that starts at `pos` ends.
///
/// Only sizes are followed, so what is inside a list, map or array is not looked at. Does not recurse.
///
/// # Errors
///
/// When there is no constructor at `pos`, or the value ends beyond `buf`.
///
/// ```
/// use eventhubs_amqp::codec::scan;
///
/// assert_eq!(scan::skip(&[0x40, 0xa1, 2, b'h', b'i', 0x40], 1), Ok(5));
/// ```
#[inline]
pub fn skip(buf: &[u8], pos: usize) -> Result<usize, DecodeError> {
    match buf.get(pos..).and_then(ordinary_len) {
        Some(len) if len <= buf.len() - pos => Ok(pos + len),
        _ => skip_rare(buf, pos),
    }
}

/// The size of the value `rest` begins with, which may be more than there is. `None` for what is rare: four-byte sizes,
/// descriptors, and everything broken.
#[inline]
fn ordinary_len(rest: &[u8]) -> Option<usize> {
    let [constructor, behind @ ..] = rest else {
        return None;
    };
    match width(*constructor) {
        fixed @ 0..=16 => Some(1 + usize::from(fixed)),
        code::SIZED8 => behind.first().map(|size| 2 + usize::from(*size)),
        _ => None,
    }
}

/// The value `rest` begins with, and what is behind it. `None` when it is broken.
#[inline]
pub(crate) fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match ordinary_len(rest) {
        Some(len) => rest.split_at_checked(len),
        None => rest.split_at_checked(rare_len(rest)?),
    }
}

#[cold]
#[inline(never)]
fn rare_len(rest: &[u8]) -> Option<usize> {
    skip_rare(rest, 0).ok()
}

/// Whether `items` are exactly `count` ordinary values. One that is not says `false`, however well it is formed.
#[inline]
pub(crate) fn are_ordinary(mut items: &[u8], count: usize) -> bool {
    for _ in 0..count {
        match ordinary_len(items).and_then(|len| items.get(len..)) {
            Some(behind) => items = behind,
            None => return false,
        }
    }
    items.is_empty()
}

/// The width class of a constructor.
#[inline]
fn width(constructor: u8) -> u8 {
    code::WIDTH[usize::from(constructor)]
}

/// Wide and described values, and whatever is none.
#[inline(never)]
fn skip_rare(buf: &[u8], start: usize) -> Result<usize, DecodeError> {
    let error = |kind, pos| DecodeError::new(kind, "value", pos);
    let (mut pos, mut due) = (start, 1_usize);
    while due > 0 {
        let constructor = *buf.get(pos).ok_or_else(|| error(Kind::Truncated, pos))?;
        let data = pos + 1;
        let end = match width(constructor) {
            code::UNKNOWN => return Err(error(Kind::UnknownConstructor(constructor), pos)),
            // A descriptor and a value in place of one value.
            code::PREFIXED if due > limits::MAX_DEPTH => return Err(error(Kind::Depth, pos)),
            code::PREFIXED => {
                due += 2;
                Some(data)
            }
            code::SIZED8 => buf.get(data).map(|size| data + 1 + usize::from(*size)),
            code::SIZED32 => size32(buf, data).and_then(|size| (data + 4).checked_add(size)),
            fixed => Some(data + usize::from(fixed)),
        };
        due -= 1;
        pos = end.filter(|end| *end <= buf.len()).ok_or_else(|| error(Kind::Truncated, pos))?;
    }
    Ok(pos)
}

#[inline]
fn size32(buf: &[u8], at: usize) -> Option<usize> {
    let bytes = buf.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// The items of a list or map: how many, where the first one starts, and where the last one ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) count: usize,
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// The extent of the list at `pos`. The count is no more than there are bytes.
pub(crate) fn list(buf: &[u8], pos: usize, field: &'static str) -> Result<Extent, DecodeError> {
    extent(buf, pos, code::LIST8, code::LIST32, field)
}

/// The extent of the map at `pos`. The count is even and no more than there are bytes.
pub(crate) fn map(buf: &[u8], pos: usize, field: &'static str) -> Result<Extent, DecodeError> {
    let extent = extent(buf, pos, code::MAP8, code::MAP32, field)?;
    if !extent.count.is_multiple_of(2) {
        return Err(DecodeError::new(Kind::Count, field, pos));
    }
    Ok(extent)
}

fn extent(
    buf: &[u8],
    pos: usize,
    short: u8,
    wide: u8,
    field: &'static str,
) -> Result<Extent, DecodeError> {
    let error = |kind| DecodeError::new(kind, field, pos);
    let Some(rest) = buf.get(pos..) else {
        return Err(error(Kind::Truncated));
    };
    let (first, end, count) = match *rest {
        [constructor, size, count, ..] if constructor == short => {
            (pos + 3, pos + 2 + usize::from(size), usize::from(count))
        }
        [constructor, a, b, c, d, e, f, g, h, ..] if constructor == wide => {
            let size = usize::try_from(u32::from_be_bytes([a, b, c, d]));
            let count = usize::try_from(u32::from_be_bytes([e, f, g, h]));
            let (Ok(size), Ok(count)) = (size, count) else {
                return Err(error(Kind::Length));
            };
            (pos + 9, (pos + 5).saturating_add(size), count)
        }
        [code::LIST0, ..] if short == code::LIST8 => (pos + 1, pos + 1, 0),
        [] => return Err(error(Kind::Truncated)),
        [constructor, ..] if constructor == short || constructor == wide => {
            return Err(error(Kind::Truncated));
        }
        _ => return Err(error(Kind::WrongType)),
    };
    if end > buf.len() {
        return Err(error(Kind::Truncated));
    }
    if end < first {
        return Err(error(Kind::Length));
    }
    if count > end - first {
        return Err(error(Kind::Count));
    }
    Ok(Extent { count, first, end })
}

/// Checks that exactly `count` values lie between `first` and `end`, without looking inside them.
pub(crate) fn walk(buf: &[u8], extent: Extent, field: &'static str) -> Result<(), DecodeError> {
    let mut rest = buf.get(extent.first..extent.end).unwrap_or_default();
    for _ in 0..extent.count {
        match split(rest) {
            Some((_, behind)) => rest = behind,
            None => return Err(broken_item(buf, extent, rest.len())),
        }
    }
    match rest {
        [] => Ok(()),
        rest => Err(DecodeError::new(Kind::Trailing, field, extent.end - rest.len())),
    }
}

/// What is wrong with the item `left` bytes before the end.
#[cold]
fn broken_item(buf: &[u8], extent: Extent, left: usize) -> DecodeError {
    let pos = extent.end - left;
    match skip_rare(buf.get(..extent.end).unwrap_or_default(), pos) {
        Err(error) => error,
        Ok(_) => DecodeError::new(Kind::Truncated, "value", pos),
    }
}

/// Where the value that starts at `pos` ends, after everything inside it has been checked too, down to
/// [`MAX_DEPTH`](super::MAX_DEPTH). Text is not: that it is UTF-8 shows when it is read.
///
/// # Errors
///
/// When anything inside is no value, or sizes and counts do not agree.
///
/// ```
/// use eventhubs_amqp::codec::scan;
///
/// let list_of_a_broken_string = [0xc0, 3, 1, 0xa1, 9];
/// assert!(scan::skip(&list_of_a_broken_string, 0).is_ok());
/// assert!(scan::validate(&list_of_a_broken_string, 0).is_err());
/// ```
pub fn validate(buf: &[u8], pos: usize) -> Result<usize, DecodeError> {
    let constructor = byte(buf, pos)?;
    data(buf, pos + 1, constructor, 0)
}

fn byte(buf: &[u8], pos: usize) -> Result<u8, DecodeError> {
    buf.get(pos).copied().ok_or_else(|| DecodeError::new(Kind::Truncated, "value", pos))
}

fn deeper(depth: usize, pos: usize) -> Result<usize, DecodeError> {
    if depth < limits::MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(DecodeError::new(Kind::Depth, "value", pos))
    }
}

/// The end of the data at `pos` behind `constructor`. Recursion is bounded by `depth`.
fn data(buf: &[u8], pos: usize, constructor: u8, depth: usize) -> Result<usize, DecodeError> {
    let error = |kind| DecodeError::new(kind, "value", pos);
    let sized = |head: usize, size: Option<usize>| {
        let end = size.and_then(|size| (pos + head).checked_add(size));
        end.filter(|end| *end <= buf.len()).ok_or_else(|| error(Kind::Truncated))
    };
    let (head, end) = match width(constructor) {
        code::UNKNOWN => return Err(error(Kind::UnknownConstructor(constructor))),
        code::PREFIXED => {
            let depth = deeper(depth, pos)?;
            let value = data(buf, pos + 1, byte(buf, pos)?, depth)?;
            return data(buf, value + 1, byte(buf, value)?, depth);
        }
        code::SIZED8 => (1, sized(1, buf.get(pos).map(|size| usize::from(*size)))?),
        code::SIZED32 => (4, sized(4, size32(buf, pos))?),
        fixed => {
            if constructor == code::LIST0 {
                deeper(depth, pos)?;
            }
            return sized(0, Some(usize::from(fixed)));
        }
    };
    // Strings, symbols and binaries hold anything.
    if constructor & 0xe0 == 0xa0 {
        return Ok(end);
    }
    let inside = buf.get(..end).unwrap_or_default();
    let first = pos + 2 * head;
    let count = match head {
        1 => inside.get(pos + head).map(|count| usize::from(*count)),
        _ => size32(inside, pos + head),
    };
    // A size without room for the count.
    let count = count.filter(|_| first <= end).ok_or_else(|| error(Kind::Truncated))?;
    let depth = deeper(depth, pos)?;
    match constructor {
        code::ARRAY8 | code::ARRAY32 => elements(inside, first, count, depth)?,
        map => items(inside, first, count, depth, matches!(map, code::MAP8 | code::MAP32))?,
    }
    Ok(end)
}

/// Checks that `buf` ends where the last of `count` values does.
fn items(
    buf: &[u8],
    first: usize,
    count: usize,
    depth: usize,
    pairs: bool,
) -> Result<(), DecodeError> {
    if count > buf.len() - first || (pairs && !count.is_multiple_of(2)) {
        return Err(DecodeError::new(Kind::Count, "value", first));
    }
    let mut pos = first;
    for _ in 0..count {
        pos = data(buf, pos + 1, byte(buf, pos)?, depth)?;
    }
    if pos == buf.len() { Ok(()) } else { Err(DecodeError::new(Kind::Trailing, "value", pos)) }
}

/// Checks that `buf` ends where the last of `count` array elements does.
fn elements(buf: &[u8], first: usize, count: usize, depth: usize) -> Result<(), DecodeError> {
    if count == 0 && first == buf.len() {
        return Ok(());
    }
    let (mut pos, mut depth) = (first, depth);
    let mut constructor = byte(buf, pos)?;
    while constructor == code::DESCRIBED {
        depth = deeper(depth, pos)?;
        pos = data(buf, pos + 2, byte(buf, pos + 1)?, depth)?;
        constructor = byte(buf, pos)?;
    }
    pos += 1;
    let fixed = match width(constructor) {
        code::UNKNOWN => {
            return Err(DecodeError::new(Kind::UnknownConstructor(constructor), "value", pos));
        }
        code::SIZED8 | code::SIZED32 => None,
        fixed => Some(usize::from(fixed)),
    };
    let possible = match fixed {
        // Nothing but the count says how many there are; see the limits.
        Some(0) => limits::EXPANSION_ALLOWANCE,
        Some(width) => (buf.len() - pos) / width,
        None => buf.len() - pos,
    };
    if count > possible {
        return Err(DecodeError::new(Kind::Count, "value", pos));
    }
    if constructor == code::LIST0 && count > 0 {
        deeper(depth, pos)?;
    }
    match fixed {
        Some(width) => pos += count * width,
        None => {
            for _ in 0..count {
                pos = data(buf, pos, constructor, depth)?;
            }
        }
    }
    if pos == buf.len() { Ok(()) } else { Err(DecodeError::new(Kind::Trailing, "value", pos)) }
}
