//! Primitives written one at a time, each in its smallest form, and the exact size each will have.
//!
//! For every `put_x` there is an `x_len` with the same argument. Sizes of whole messages are sums of them, so nothing
//! has to be encoded to be measured.
//!
//! Lengths beyond `u32::MAX`, which no frame can carry, are written as `u32::MAX`.

use bytes::{BufMut, BytesMut};

use super::{FieldList, Symbol, Value, code};

/// Longest body, in bytes, of a list or map whose size still fits one byte (the count takes one more).
pub(super) const SHORT_BODY: usize = 254;
/// Constructor, four-byte size and four-byte count.
const WIDE_HEAD: usize = 9;
/// Constructor, one-byte size and one-byte count.
const SHORT_HEAD: usize = 3;

/// Writes null.
#[inline]
pub fn put_null(out: &mut BytesMut) {
    out.put_u8(code::NULL);
}

/// Size of null.
#[must_use]
pub const fn null_len() -> usize {
    1
}

/// Writes a truth value.
#[inline]
pub fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_u8(if value { code::TRUE } else { code::FALSE });
}

/// Size of a truth value.
#[must_use]
pub const fn bool_len(_value: bool) -> usize {
    1
}

/// Writes an 8-bit unsigned integer.
#[inline]
pub fn put_ubyte(out: &mut BytesMut, value: u8) {
    out.put_slice(&[code::UBYTE, value]);
}

/// Size of an 8-bit unsigned integer.
#[must_use]
pub const fn ubyte_len(_value: u8) -> usize {
    2
}

/// Writes a 16-bit unsigned integer.
#[inline]
pub fn put_ushort(out: &mut BytesMut, value: u16) {
    let [a, b] = value.to_be_bytes();
    out.put_slice(&[code::USHORT, a, b]);
}

/// Size of a 16-bit unsigned integer.
#[must_use]
pub const fn ushort_len(_value: u16) -> usize {
    3
}

/// Writes a 32-bit unsigned integer.
#[inline]
pub fn put_uint(out: &mut BytesMut, value: u32) {
    match (value, value.to_be_bytes()) {
        (0, _) => out.put_u8(code::UINT0),
        (..=0xff, [.., low]) => out.put_slice(&[code::SMALL_UINT, low]),
        (_, [a, b, c, d]) => out.put_slice(&[code::UINT, a, b, c, d]),
    }
}

/// Size of a 32-bit unsigned integer.
#[must_use]
#[inline]
pub const fn uint_len(value: u32) -> usize {
    match value {
        0 => 1,
        1..=0xff => 2,
        _ => 5,
    }
}

/// Writes a 64-bit unsigned integer.
#[inline]
pub fn put_ulong(out: &mut BytesMut, value: u64) {
    match u8::try_from(value) {
        Ok(0) => out.put_u8(code::ULONG0),
        Ok(low) => out.put_slice(&[code::SMALL_ULONG, low]),
        Err(_) => put_fixed(out, code::ULONG, value.to_be_bytes()),
    }
}

/// Size of a 64-bit unsigned integer.
#[must_use]
#[inline]
pub const fn ulong_len(value: u64) -> usize {
    match value {
        0 => 1,
        1..=0xff => 2,
        _ => 9,
    }
}

/// Writes a 32-bit signed integer.
#[inline]
pub fn put_int(out: &mut BytesMut, value: i32) {
    match i8::try_from(value) {
        Ok(low) => put_fixed(out, code::SMALL_INT, low.to_be_bytes()),
        Err(_) => put_fixed(out, code::INT, value.to_be_bytes()),
    }
}

/// Size of a 32-bit signed integer.
#[must_use]
#[inline]
pub const fn int_len(value: i32) -> usize {
    if value >= -128 && value <= 127 { 2 } else { 5 }
}

/// Writes a 64-bit signed integer.
#[inline]
pub fn put_long(out: &mut BytesMut, value: i64) {
    match i8::try_from(value) {
        Ok(low) => put_fixed(out, code::SMALL_LONG, low.to_be_bytes()),
        Err(_) => put_fixed(out, code::LONG, value.to_be_bytes()),
    }
}

/// Size of a 64-bit signed integer.
#[must_use]
#[inline]
pub const fn long_len(value: i64) -> usize {
    if value >= -128 && value <= 127 { 2 } else { 9 }
}

/// Writes milliseconds since 1970-01-01T00:00:00Z.
#[inline]
pub fn put_timestamp(out: &mut BytesMut, milliseconds: i64) {
    put_fixed(out, code::TIMESTAMP, milliseconds.to_be_bytes());
}

/// Size of a timestamp.
#[must_use]
pub const fn timestamp_len(_milliseconds: i64) -> usize {
    9
}

/// Writes a UUID, most significant byte first.
#[inline]
pub fn put_uuid(out: &mut BytesMut, id: &[u8; 16]) {
    out.put_u8(code::UUID);
    out.put_slice(id);
}

/// Size of a UUID.
#[must_use]
pub const fn uuid_len(_id: &[u8; 16]) -> usize {
    17
}

/// Writes a string.
#[inline]
pub fn put_str(out: &mut BytesMut, text: &str) {
    put_variable(out, code::STRING8, code::STRING32, text.as_bytes());
}

/// Size of a string.
#[must_use]
#[inline]
pub const fn str_len(text: &str) -> usize {
    variable_len(text.len())
}

/// Writes a symbol.
#[inline]
pub fn put_symbol(out: &mut BytesMut, name: &str) {
    put_variable(out, code::SYMBOL8, code::SYMBOL32, name.as_bytes());
}

/// Size of a symbol.
#[must_use]
#[inline]
pub const fn symbol_len(name: &str) -> usize {
    variable_len(name.len())
}

/// Writes binary data.
#[inline]
pub fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    put_binary_head(out, bytes.len());
    out.put_slice(bytes);
}

/// Size of binary data.
#[must_use]
#[inline]
pub const fn binary_len(bytes: &[u8]) -> usize {
    variable_len(bytes.len())
}

/// Writes constructor and length of `len` bytes of binary data which the caller appends.
#[inline]
pub fn put_binary_head(out: &mut BytesMut, len: usize) {
    put_variable_head(out, code::BINARY8, code::BINARY32, len);
}

/// Size of a string, symbol or binary with `len` bytes of content.
#[must_use]
#[inline]
pub const fn variable_len(len: usize) -> usize {
    if len <= 0xff { 2 + len } else { 5 + len }
}

/// Writes the descriptor `number`, after which the described value follows.
#[inline]
pub fn put_descriptor(out: &mut BytesMut, number: u64) {
    out.put_u8(code::DESCRIBED);
    put_ulong(out, number);
}

/// Size of what [`put_descriptor`] writes.
#[must_use]
#[inline]
pub const fn descriptor_len(number: u64) -> usize {
    1 + ulong_len(number)
}

/// Size of a list of `count` items which take `body` bytes.
#[must_use]
#[inline]
pub const fn list_len(count: usize, body: usize) -> usize {
    if count == 0 { 1 } else { map_len(body) }
}

/// Size of a map whose keys and values take `body` bytes.
#[must_use]
#[inline]
pub const fn map_len(body: usize) -> usize {
    if body <= SHORT_BODY { SHORT_HEAD + body } else { WIDE_HEAD + body }
}

/// Writes the head of a map of `entries` entries whose keys and values take `body` bytes and follow.
#[inline]
pub fn put_map_head(out: &mut BytesMut, entries: usize, body: usize) {
    let items = entries.saturating_mul(2);
    if body <= SHORT_BODY {
        out.put_slice(&[code::MAP8, len8(body + 1), len8(items)]);
    } else {
        out.put_u8(code::MAP32);
        out.put_u32(len32(body.saturating_add(4)));
        out.put_u32(len32(items));
    }
}

/// Writes a list field by field.
///
/// Nulls at the end are kept or dropped as [`FieldList`] says; a list without items is then `list0`.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::{FieldList, write::ListWriter};
///
/// let mut out = BytesMut::new();
/// let mut list = ListWriter::new(&mut out, FieldList::Trimmed);
/// list.uint(7);
/// list.null();
/// list.finish();
/// assert_eq!(&out[..], [0xc0, 3, 1, 0x52, 7]);
/// ```
#[derive(Debug)]
pub struct ListWriter<'a> {
    out: &'a mut BytesMut,
    start: usize,
    count: usize,
    nulls: usize,
    fields: FieldList,
}

impl<'a> ListWriter<'a> {
    /// Starts a list at the end of `out`.
    #[must_use]
    pub fn new(out: &'a mut BytesMut, fields: FieldList) -> Self {
        let start = open(out);
        Self { out, start, count: 0, nulls: 0, fields }
    }

    /// Starts the list of a composite type after its descriptor.
    #[must_use]
    pub fn composite(out: &'a mut BytesMut, descriptor: u64, fields: FieldList) -> Self {
        put_descriptor(out, descriptor);
        Self::new(out, fields)
    }

    /// Which fields are written.
    #[must_use]
    pub const fn fields(&self) -> FieldList {
        self.fields
    }

    /// The next field is null.
    pub fn null(&mut self) {
        self.nulls += 1;
    }

    /// The next field is what `write` appends: exactly one value, not null.
    pub fn field(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.flush_nulls();
        self.count += 1;
        write(self.out);
    }

    /// A field that is null when `value` is `None`.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut BytesMut, T)) {
        match value {
            Some(value) => self.field(|out| write(out, value)),
            None => self.null(),
        }
    }

    /// A field with a default: left null when trimmed, written out when full.
    pub fn defaulted<T: PartialEq>(
        &mut self,
        value: T,
        default: T,
        write: impl FnOnce(&mut BytesMut, T),
    ) {
        if self.fields == FieldList::Trimmed && value == default {
            self.null();
        } else {
            self.field(|out| write(out, value));
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u32) {
        self.field(|out| put_uint(out, value));
    }

    /// A truth value that is false by default.
    pub fn flag(&mut self, value: bool) {
        self.defaulted(value, false, put_bool);
    }

    /// An optional string.
    pub fn text(&mut self, text: Option<&str>) {
        self.optional(text, put_str);
    }

    /// An optional symbol.
    pub fn symbol(&mut self, name: Option<&Symbol>) {
        self.optional(name, |out, name| put_symbol(out, name));
    }

    /// A field that may hold several symbols: null when there are none, otherwise an array.
    pub fn symbols(&mut self, names: &[Symbol]) {
        self.optional((!names.is_empty()).then_some(names), put_symbols);
    }

    /// A map, null when it is empty.
    pub fn map(&mut self, map: &super::Map) {
        self.optional((!map.is_empty()).then_some(map), put_map);
    }

    /// Patches size and count. Without it the list is not readable.
    pub fn finish(mut self) {
        if self.fields == FieldList::Full {
            self.flush_nulls();
        }
        if self.count == 0 {
            self.out.truncate(self.start);
            self.out.put_u8(code::LIST0);
        } else {
            close(self.out, self.start, self.count, code::LIST8, code::LIST32);
        }
    }

    fn flush_nulls(&mut self) {
        self.out.put_bytes(code::NULL, self.nulls);
        self.count += self.nulls;
        self.nulls = 0;
    }
}

/// The size of a list whose trailing nulls are dropped, summed up field by field.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListLen {
    count: usize,
    body: usize,
    nulls: usize,
}

impl ListLen {
    /// A list without fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, body: 0, nulls: 0 }
    }

    /// The next field takes `len` bytes, or is null.
    pub const fn optional(&mut self, len: Option<usize>) {
        match len {
            Some(len) => {
                self.count += self.nulls + 1;
                self.body += self.nulls + len;
                self.nulls = 0;
            }
            None => self.nulls += 1,
        }
    }

    /// The size of the whole list.
    #[must_use]
    pub const fn finish(self) -> usize {
        list_len(self.count, self.body)
    }
}

/// Writes a map.
pub fn put_map(out: &mut BytesMut, map: &super::Map) {
    let start = open(out);
    for (key, value) in map {
        key.encode(out);
        value.encode(out);
    }
    close(out, start, map.len().saturating_mul(2), code::MAP8, code::MAP32);
}

/// Writes a list of values.
pub fn put_list(out: &mut BytesMut, items: &[Value]) {
    if items.is_empty() {
        return out.put_u8(code::LIST0);
    }
    let start = open(out);
    for item in items {
        item.encode(out);
    }
    close(out, start, items.len(), code::LIST8, code::LIST32);
}

/// Writes an array of symbols.
pub fn put_symbols(out: &mut BytesMut, names: &[Symbol]) {
    let short = names.iter().all(|name| name.len() <= 0xff);
    let width = if short { 1 } else { 4 };
    let data: usize = names.iter().map(|name| width + name.len()).sum();
    put_array_head(out, names.len(), 1 + data);
    out.put_u8(if short { code::SYMBOL8 } else { code::SYMBOL32 });
    for name in names {
        put_len(out, name.len(), width);
        out.put_slice(name.as_bytes());
    }
}

/// `body` is everything after the count: the constructor of the elements and their data.
pub(super) fn put_array_head(out: &mut BytesMut, count: usize, body: usize) {
    if short_array(count, body) {
        out.put_slice(&[code::ARRAY8, len8(body + 1), len8(count)]);
    } else {
        out.put_u8(code::ARRAY32);
        put_len(out, body.saturating_add(4), 4);
        put_len(out, count, 4);
    }
}

/// Whether size and count fit a byte each. The count alone may not, for elements can be zero bytes wide.
pub(super) const fn short_array(count: usize, body: usize) -> bool {
    count <= 0xff && body <= SHORT_BODY
}

/// A length in `width` bytes, one or four.
pub(super) fn put_len(out: &mut BytesMut, len: usize, width: usize) {
    if width == 1 { out.put_u8(len8(len)) } else { out.put_u32(len32(len)) }
}

#[inline]
pub(super) fn put_fixed<const N: usize>(out: &mut BytesMut, constructor: u8, data: [u8; N]) {
    out.put_u8(constructor);
    out.put_slice(&data);
}

#[inline]
fn put_variable(out: &mut BytesMut, short: u8, wide: u8, data: &[u8]) {
    put_variable_head(out, short, wide, data.len());
    out.put_slice(data);
}

#[inline]
fn put_variable_head(out: &mut BytesMut, short: u8, wide: u8, len: usize) {
    match u8::try_from(len) {
        Ok(len) => out.put_slice(&[short, len]),
        Err(_) => put_fixed(out, wide, len32(len).to_be_bytes()),
    }
}

/// Leaves room for the widest head of a list or map and says where it is.
fn open(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_bytes(0, WIDE_HEAD);
    start
}

/// Fills the head in, and moves a short body down to the short head.
fn close(out: &mut BytesMut, start: usize, count: usize, short: u8, wide: u8) {
    let body = start + WIDE_HEAD;
    let len = out.len() - body;
    if len <= SHORT_BODY {
        out[start..start + SHORT_HEAD].copy_from_slice(&[short, len8(len + 1), len8(count)]);
        out.copy_within(body.., start + SHORT_HEAD);
        out.truncate(start + SHORT_HEAD + len);
    } else {
        out[start] = wide;
        out[start + 1..start + 5].copy_from_slice(&len32(len.saturating_add(4)).to_be_bytes());
        out[start + 5..body].copy_from_slice(&len32(count).to_be_bytes());
    }
}

/// For lengths already known to fit.
fn len8(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
