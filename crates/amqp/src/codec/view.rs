//! Values looked at where they lie, decoded only as far as someone asks.

use super::message::Span;
use super::{DecodeError, DecodeErrorKind as Kind, Value, code, descriptor, scan};

/// One value inside of someone else's bytes. The value's size was checked, what is inside was not.
///
/// Accessors return `None` for a value of another type, and for one that is broken inside.
///
/// ```
/// use eventhubs_amqp::codec::ValueRef;
///
/// let value = ValueRef::decode(&[0xa1, 2, b'h', b'i']).unwrap();
/// assert_eq!(value.as_str(), Some("hi"));
/// assert_eq!(value.as_i64(), None);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ValueRef<'a> {
    /// The value, its constructor first, and nothing else.
    raw: &'a [u8],
    at: u32,
}

impl<'a> ValueRef<'a> {
    /// The value `buf` begins with.
    ///
    /// # Errors
    ///
    /// When the value does not end within `buf`, or does not begin with a constructor.
    pub fn decode(buf: &'a [u8]) -> Result<Self, DecodeError> {
        let end = scan::skip(buf, 0)?;
        Ok(Self { raw: buf.get(..end).unwrap_or_default(), at: 0 })
    }

    /// The encoded value.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where the value lies in the bytes it was found in.
    #[must_use]
    pub fn span(&self) -> Span {
        self.inner(0)
    }

    /// From `skip` bytes into the value to its end.
    fn inner(&self, skip: usize) -> Span {
        let place = |add: usize| self.at.saturating_add(u32::try_from(add).unwrap_or(u32::MAX));
        Span { start: place(skip), end: place(self.raw.len()) }
    }

    /// The content of a string, symbol or binary, whether or not it is UTF-8.
    #[must_use]
    #[inline]
    pub fn content(&self) -> Option<&'a [u8]> {
        match self.raw {
            [code::SYMBOL8 | code::STRING8 | code::BINARY8, _, content @ ..] => Some(content),
            [code::SYMBOL32 | code::STRING32 | code::BINARY32, _, _, _, _, content @ ..] => {
                Some(content)
            }
            _ => None,
        }
    }

    /// Where the content of a string, symbol or binary lies in the bytes the value was found in.
    #[must_use]
    #[inline]
    pub fn content_span(&self) -> Option<Span> {
        self.content().map(|content| self.inner(self.raw.len() - content.len()))
    }

    /// The text of a string or symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match *self.raw.first()? {
            code::BINARY8 | code::BINARY32 => None,
            _ => std::str::from_utf8(self.content()?).ok(),
        }
    }

    /// The text of a symbol.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&'a str> {
        match *self.raw.first()? {
            code::SYMBOL8 | code::SYMBOL32 => std::str::from_utf8(self.content()?).ok(),
            _ => None,
        }
    }

    /// The bytes of binary data.
    #[must_use]
    pub fn as_binary(&self) -> Option<&'a [u8]> {
        match *self.raw.first()? {
            code::BINARY8 | code::BINARY32 => self.content(),
            _ => None,
        }
    }

    /// Whether the value is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.raw, [code::NULL])
    }

    /// The truth value, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self.raw {
            [code::TRUE] | [code::BOOL, 1] => Some(true),
            [code::FALSE] | [code::BOOL, 0] => Some(false),
            _ => None,
        }
    }

    /// An integer of any width and sign, if an `i64` can hold it.
    #[must_use]
    #[inline]
    pub fn as_i64(&self) -> Option<i64> {
        match *self.raw {
            [code::LONG, a, b, c, d, e, f, g, h] => {
                Some(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => self.as_short_i64(),
        }
    }

    /// Any integer but a long in full width.
    fn as_short_i64(&self) -> Option<i64> {
        match *self.raw {
            [code::SMALL_LONG | code::SMALL_INT | code::BYTE, a] => {
                Some(i8::from_be_bytes([a]).into())
            }
            [code::INT, a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
            [code::SHORT, a, b] => Some(i16::from_be_bytes([a, b]).into()),
            _ => i64::try_from(self.as_unsigned()?).ok(),
        }
    }

    /// An integer of any width and sign, if a `u64` can hold it.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_unsigned().or_else(|| u64::try_from(self.as_i64()?).ok())
    }

    fn as_unsigned(&self) -> Option<u64> {
        match *self.raw {
            [code::UINT0 | code::ULONG0] => Some(0),
            [code::SMALL_UINT | code::SMALL_ULONG | code::UBYTE, a] => Some(a.into()),
            [code::USHORT, a, b] => Some(u16::from_be_bytes([a, b]).into()),
            [code::UINT, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d]).into()),
            [code::ULONG, a, b, c, d, e, f, g, h] => {
                Some(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => None,
        }
    }

    /// A float or double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self.raw {
            [code::FLOAT, a, b, c, d] => Some(f32::from_be_bytes([a, b, c, d]).into()),
            [code::DOUBLE, a, b, c, d, e, f, g, h] => {
                Some(f64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => None,
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z of a timestamp.
    #[must_use]
    #[inline]
    pub fn as_timestamp(&self) -> Option<i64> {
        match *self.raw {
            [code::TIMESTAMP, a, b, c, d, e, f, g, h] => {
                Some(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => None,
        }
    }

    /// The UUID, if it is one.
    #[must_use]
    pub fn as_uuid(&self) -> Option<[u8; 16]> {
        match self.raw {
            [code::UUID, id @ ..] => id.try_into().ok(),
            _ => None,
        }
    }

    /// The map, if it is one and its entries add up.
    #[must_use]
    pub fn as_map(&self) -> Option<MapView<'a>> {
        MapView::at(self.raw, self.at).ok()
    }

    /// The list, if it is one and its items add up.
    #[must_use]
    pub fn as_list(&self) -> Option<ListView<'a>> {
        ListView::at(self.raw, self.at).ok()
    }

    /// Descriptor and value of a described value.
    #[must_use]
    pub fn as_described(&self) -> Option<(Self, Self)> {
        if self.raw.first() != Some(&code::DESCRIBED) {
            return None;
        }
        let rest = self.raw.get(1..)?;
        let mut items = Items { rest, at: self.at.saturating_add(1), left: 2 };
        Some((items.next()?, items.next()?))
    }

    /// The number a descriptor stands for: itself, or what the specification pairs with its name.
    #[must_use]
    pub fn as_descriptor(&self) -> Option<u64> {
        match self.as_symbol() {
            Some(name) => descriptor::by_name(name.as_bytes()),
            None => self.as_unsigned(),
        }
    }

    /// The value, owned.
    ///
    /// # Errors
    ///
    /// When the value is broken inside.
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        Value::decode(self.raw).map(|(value, _)| value)
    }
}

impl PartialEq for ValueRef<'_> {
    /// By the bytes: the same number in two widths is not equal.
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

/// Values one behind the other. Stops early at a broken one, of which there are none after a walk.
#[derive(Debug, Clone, Copy)]
struct Items<'a> {
    rest: &'a [u8],
    /// Where the rest starts in the bytes everything was found in.
    at: u32,
    left: u32,
}

impl<'a> Items<'a> {
    #[inline]
    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (raw, rest) = scan::split(self.rest)?;
        let at = self.at;
        // A span's limits are u32, so this only wraps where no span exists.
        self.at = at.wrapping_add(raw.len() as u32);
        self.rest = rest;
        Some(ValueRef { raw, at })
    }

    /// The items of the list or map `raw`, none if it is neither. `short` is the constructor of its short form.
    #[inline]
    fn found(raw: &'a [u8], at: u32, short: u8) -> Self {
        match raw {
            [constructor, _, count, rest @ ..] if *constructor == short => {
                Self { rest, at: at.saturating_add(3), left: (*count).into() }
            }
            _ => Self::wide(raw, at, short),
        }
    }

    #[inline(never)]
    fn wide(raw: &'a [u8], at: u32, short: u8) -> Self {
        match raw {
            [constructor, _, _, _, _, a, b, c, d, rest @ ..] if *constructor == short | 0x10 => {
                let left = u32::from_be_bytes([*a, *b, *c, *d]);
                Self { rest, at: at.saturating_add(9), left }
            }
            _ => Self { rest: &[], at, left: 0 },
        }
    }
}

/// A list inside of someone else's bytes, or the fields of a composite type.
///
/// ```
/// use eventhubs_amqp::codec::ListView;
///
/// let list = ListView::decode(&[0xc0, 4, 2, 0x40, 0x52, 7]).unwrap();
/// assert_eq!(list.get(1).and_then(|item| item.as_i64()), Some(7));
/// assert!(list.get(2).is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ListView<'a> {
    raw: &'a [u8],
    items: Items<'a>,
}

impl<'a> ListView<'a> {
    /// The list `buf` begins with. Its items are counted, not looked into.
    ///
    /// # Errors
    ///
    /// When it is no list, or size and count do not agree with the items.
    pub fn decode(buf: &'a [u8]) -> Result<Self, DecodeError> {
        Self::at(buf, 0)
    }

    fn at(raw: &'a [u8], at: u32) -> Result<Self, DecodeError> {
        let extent = scan::list(raw, 0, "list")?;
        scan::walk(raw, extent, "list")?;
        let raw = raw.get(..extent.end).unwrap_or_default();
        Ok(Self { raw, items: Items::found(raw, at, code::LIST8) })
    }

    /// The list that [`sections`](super::message::sections) found at `span` of `buf`, not checked again.
    ///
    /// Empty when there is none.
    #[must_use]
    #[inline]
    pub fn found(buf: &'a [u8], span: Span) -> Self {
        let raw = span.of(buf);
        Self { raw, items: Items::found(raw, span.start, code::LIST8) }
    }

    /// The encoded list, nothing if there is none.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.left as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.left == 0
    }

    /// The item at `index`, unless it is null or missing, which means the same in a composite type.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ValueRef<'a>> {
        self.iter().nth(index).filter(|item| !item.is_null())
    }

    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ListItems<'a> {
        ListItems(self.items)
    }
}

impl<'a> IntoIterator for ListView<'a> {
    type Item = ValueRef<'a>;
    type IntoIter = ListItems<'a>;

    fn into_iter(self) -> ListItems<'a> {
        self.iter()
    }
}

/// The items of a [`ListView`].
#[derive(Debug, Clone)]
pub struct ListItems<'a>(Items<'a>);

impl<'a> Iterator for ListItems<'a> {
    type Item = ValueRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.0.next()
    }
}

/// A map inside of someone else's bytes.
///
/// ```
/// use eventhubs_amqp::codec::MapView;
///
/// let map = MapView::decode(&[0xc1, 6, 2, 0xa3, 1, b'k', 0x55, 9]).unwrap();
/// assert_eq!(map.get("k").and_then(|value| value.as_i64()), Some(9));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MapView<'a> {
    raw: &'a [u8],
    items: Items<'a>,
}

impl<'a> MapView<'a> {
    /// The map `buf` begins with. Its entries are counted, not looked into.
    ///
    /// # Errors
    ///
    /// When it is no map, or size and count do not agree with the entries.
    pub fn decode(buf: &'a [u8]) -> Result<Self, DecodeError> {
        Self::at(buf, 0)
    }

    fn at(raw: &'a [u8], at: u32) -> Result<Self, DecodeError> {
        let extent = scan::map(raw, 0, "map")?;
        scan::walk(raw, extent, "map")?;
        let raw = raw.get(..extent.end).unwrap_or_default();
        Ok(Self { raw, items: Items::found(raw, at, code::MAP8) })
    }

    /// The map that [`sections`](super::message::sections) found at `span` of `buf`, not checked again.
    ///
    /// Empty when there is none.
    #[must_use]
    #[inline]
    pub fn found(buf: &'a [u8], span: Span) -> Self {
        let raw = span.of(buf);
        Self { raw, items: Items::found(raw, span.start, code::MAP8) }
    }

    /// The encoded map, nothing if there is none.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.left as usize / 2
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.left == 0
    }

    /// The value of the first entry whose key is the string or symbol `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The entries in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> MapEntries<'a> {
        MapEntries(self.items)
    }

    /// The map, owned.
    ///
    /// # Errors
    ///
    /// When a key or value is broken inside.
    pub fn to_map(&self) -> Result<super::Map, DecodeError> {
        if self.is_empty() {
            return Ok(super::Map::new());
        }
        match Value::decode(self.raw)? {
            (Value::Map(map), _) => Ok(map),
            _ => Err(DecodeError::new(Kind::WrongType, "map", 0)),
        }
    }
}

impl<'a> IntoIterator for MapView<'a> {
    type Item = (ValueRef<'a>, ValueRef<'a>);
    type IntoIter = MapEntries<'a>;

    fn into_iter(self) -> MapEntries<'a> {
        self.iter()
    }
}

/// The entries of a [`MapView`].
#[derive(Debug, Clone)]
pub struct MapEntries<'a>(Items<'a>);

impl<'a> Iterator for MapEntries<'a> {
    type Item = (ValueRef<'a>, ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}
