//! The sections of a bare message, found without decoding them (AMQP 1.0, part 3.2).
//!
//! An emulator must hand events back byte for byte, whatever they hold, so messages are cut at
//! their section boundaries and never re-encoded. Nothing here recurses or allocates by a length
//! that the peer states.

use thiserror::Error;

/// Bytes do not hold the value or section that they announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the message cannot be decoded: {what} at byte {at}")]
pub(crate) struct Malformed {
    what: &'static str,
    at: usize,
}

/// Which section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Header = 0x70,
    DeliveryAnnotations = 0x71,
    MessageAnnotations = 0x72,
    Properties = 0x73,
    ApplicationProperties = 0x74,
    Data = 0x75,
    Sequence = 0x76,
    Value = 0x77,
    Footer = 0x78,
}

/// One section: all of `start..end`, its value in `value..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) value: usize,
    pub(crate) end: usize,
}

/// Walks the sections of `message`; ends after the first error.
pub(crate) fn sections(message: &[u8]) -> Sections<'_> {
    Sections { message, at: 0 }
}

/// Iterator over sections.
#[derive(Debug)]
pub(crate) struct Sections<'a> {
    message: &'a [u8],
    at: usize,
}

impl Iterator for Sections<'_> {
    type Item = Result<Section, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.len() {
            return None;
        }
        let section = section(self.message, self.at);
        self.at = section.map_or(self.message.len(), |section| section.end);
        Some(section)
    }
}

fn section(message: &[u8], start: usize) -> Result<Section, Malformed> {
    let fail = |what| Malformed { what, at: start };
    if message.get(start) != Some(&0x00) {
        return Err(fail("no section starts"));
    }
    let descriptor = message.get(start + 1..).unwrap_or_default();
    let (code, length) = match descriptor {
        [0x53, code, ..] => (*code, 2),
        [0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => (*code, 9),
        _ => return Err(fail("a section has an unknown descriptor")),
    };
    let kind = match code {
        0x70 => Kind::Header,
        0x71 => Kind::DeliveryAnnotations,
        0x72 => Kind::MessageAnnotations,
        0x73 => Kind::Properties,
        0x74 => Kind::ApplicationProperties,
        0x75 => Kind::Data,
        0x76 => Kind::Sequence,
        0x77 => Kind::Value,
        0x78 => Kind::Footer,
        _ => return Err(fail("a section has an unknown descriptor")),
    };
    let value = start + 1 + length;
    let end = skip(message, value)?;
    Ok(Section { kind, start, value, end })
}

/// End of the value that starts at `at`.
pub(crate) fn skip(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let fail = |what| Malformed { what, at };
    let short = fail("a value is cut short");
    let mut at = at;
    // A described value is a descriptor and a value; both are counted instead of recursed into.
    let mut pending = 1_usize;
    while pending > 0 {
        let constructor = *bytes.get(at).ok_or(short)?;
        at += 1;
        if constructor == 0x00 {
            pending += 1;
            continue;
        }
        let width = match constructor >> 4 {
            0x4 => 0,
            0x5 => 1,
            0x6 => 2,
            0x7 => 4,
            0x8 => 8,
            0x9 => 16,
            0xa | 0xc | 0xe => {
                let size = *bytes.get(at).ok_or(short)?;
                at += 1;
                usize::from(size)
            }
            0xb | 0xd | 0xf => {
                let size = word(bytes, at).ok_or(short)?;
                at += 4;
                usize::try_from(size).map_err(|_| short)?
            }
            _ => return Err(fail("a value has an unknown constructor")),
        };
        at = at.checked_add(width).filter(|end| *end <= bytes.len()).ok_or(short)?;
        pending -= 1;
    }
    Ok(at)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The content of a binary value that fills `start..end`.
pub(crate) fn binary(bytes: &[u8], start: usize, end: usize) -> Result<(usize, usize), Malformed> {
    let head = match bytes.get(start) {
        Some(0xa0) => 2,
        Some(0xb0) => 5,
        _ => {
            return Err(Malformed { what: "a data section holds no binary", at: start });
        }
    };
    Ok((start + head, end))
}

/// The pairs of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairs<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

/// One key and its value, encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Key and value together.
    pub(crate) both: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// No pairs.
    pub(crate) const EMPTY: Self = Self { bytes: &[], at: 0, left: 0 };

    /// The pairs of the map whose encoding is `bytes`; null counts as an empty map. Every pair is
    /// checked here once, so that walking them later cannot fail.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fail = |what| Malformed { what, at: 0 };
        let short = fail("annotations are cut short");
        let (count, at) = match bytes.first() {
            Some(0x40) => (0, 1),
            Some(0xc1) => (u32::from(*bytes.get(2).ok_or(short)?), 3),
            Some(0xd1) => (word(bytes, 5).ok_or(short)?, 9),
            _ => return Err(fail("annotations are not a map")),
        };
        if count % 2 != 0 {
            return Err(fail("annotations have a key without a value"));
        }
        let pairs = Self { bytes, at, left: count / 2 };
        let mut end = at;
        // Each item takes at least one byte, so a lying count ends at the last byte.
        for _ in 0..count {
            end = skip(bytes, end)?;
        }
        match end == bytes.len() {
            true => Ok(pairs),
            false => Err(fail("annotations are longer than their items")),
        }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (start, bytes) = (self.at, self.bytes);
        let middle = skip(bytes, start).ok()?;
        let end = skip(bytes, middle).ok()?;
        self.at = end;
        Some(Pair {
            key: &bytes[start..middle],
            value: &bytes[middle..end],
            both: &bytes[start..end],
        })
    }
}

/// The text of an encoded string or symbol.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let content = match value.first()? {
        0xa1 | 0xa3 => value.get(2..)?,
        0xb1 | 0xb3 => value.get(5..)?,
        _ => return None,
    };
    std::str::from_utf8(content).ok()
}

/// The value of an encoded integer of any width.
pub(crate) fn integer(value: &[u8]) -> Option<i64> {
    match *value {
        [0x43 | 0x44] => Some(0),
        [0x50 | 0x52 | 0x53, byte] => Some(i64::from(byte)),
        [0x51 | 0x54 | 0x55, byte] => Some(i64::from(byte.cast_signed())),
        [0x60, a, b] => Some(i64::from(u16::from_be_bytes([a, b]))),
        [0x61, a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        [0x70, a, b, c, d] => Some(i64::from(u32::from_be_bytes([a, b, c, d]))),
        [0x71, a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [0x80, a, b, c, d, e, f, g, h] => {
            i64::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h])).ok()
        }
        [0x81, a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventhubs_amqp::codec::Value;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = bytes::BytesMut::new();
        value.encode(&mut out);
        out.to_vec()
    }

    #[test]
    fn integers_are_read_in_every_width() {
        for number in [0_i64, 1, 5, 127, 128, 255, 256, 32_767, 65_536, i64::from(i32::MAX)] {
            let short = i16::try_from(number).map(Value::Short).ok();
            let int = i32::try_from(number).map(Value::Int).ok();
            let uint = u32::try_from(number).map(Value::Uint).ok();
            let byte = u8::try_from(number).map(Value::Ubyte).ok();
            let ulong = u64::try_from(number).map(Value::Ulong).ok();
            let ushort = u16::try_from(number).map(Value::Ushort).ok();
            let long = Some(Value::Long(number));
            for value in [short, int, uint, byte, ulong, ushort, long].into_iter().flatten() {
                assert_eq!(integer(&encoded(&value)), Some(number), "{value:?}");
            }
        }
        for value in [Value::Short(-2), Value::Int(-2), Value::Long(-2), Value::Byte(-2)] {
            assert_eq!(integer(&encoded(&value)), Some(-2), "{value:?}");
        }
        for value in [Value::Ulong(u64::MAX), Value::Null, Value::from("1".to_owned())] {
            assert_eq!(integer(&encoded(&value)), None, "{value:?}");
        }
    }

    #[test]
    fn sections_are_found_at_their_bounds() {
        let message = [
            &[0x00, 0x53, 0x70, 0xc0, 0x02, 0x01, 0x41][..],
            &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x72, 0xc1, 0x01, 0x00],
            &[0x00, 0x53, 0x75, 0xa0, 0x02, 7, 8],
        ]
        .concat();
        let found: Vec<_> = sections(&message).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            found.iter().map(|s| s.kind).collect::<Vec<_>>(),
            [Kind::Header, Kind::MessageAnnotations, Kind::Data]
        );
        assert_eq!(found.iter().map(|s| s.end).collect::<Vec<_>>(), [7, 20, 27]);
        let data = found[2];
        assert_eq!(binary(&message, data.value, data.end), Ok((25, 27)));
    }

    #[test]
    fn lies_are_refused() {
        for bytes in [
            &[0x00][..],
            &[0x01, 0x53, 0x75],
            &[0x00, 0x53, 0x75],
            &[0x00, 0x53, 0x79, 0x40],
            &[0x00, 0x53, 0x75, 0xa0, 0x05, 1],
            &[0x00, 0x53, 0x75, 0xb0, 0xff, 0xff, 0xff, 0xff],
            &[0x00, 0x53, 0x75, 0x10],
        ] {
            assert!(sections(bytes).any(|section| section.is_err()), "{bytes:?}");
        }
        let nested = vec![0x00; 200_000];
        assert!(skip(&nested, 0).is_err(), "deep nesting costs no stack");
    }

    #[test]
    fn maps_are_checked_once() {
        let pairs = |bytes: &'static [u8]| Pairs::parse(bytes).map(Iterator::count);
        assert_eq!(pairs(&[0x40]), Ok(0));
        assert_eq!(pairs(&[0xc1, 0x05, 0x02, 0xa3, 0x01, b'k', 0x41]), Ok(1));
        assert!(pairs(&[0xc1, 0x01, 0x01]).is_err(), "odd");
        assert!(pairs(&[0xc1, 0x01, 0x02]).is_err(), "lying count");
        assert!(pairs(&[0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe]).is_err(), "huge count");
        assert!(pairs(&[0xc1, 0x03, 0x00, 0x40, 0x40]).is_err(), "trailing");
        assert!(pairs(&[0xa0, 0x00]).is_err(), "not a map");
        assert!(pairs(&[]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for section in sections(&bytes).flatten() {
                prop_assert!(section.start < section.value && section.value < section.end);
                prop_assert!(section.end <= bytes.len());
            }
            if let Ok(pairs) = Pairs::parse(&bytes) {
                for pair in pairs {
                    let _ = text(pair.key);
                    prop_assert_eq!(pair.both.len(), pair.key.len() + pair.value.len());
                }
            }
        }
    }
}
