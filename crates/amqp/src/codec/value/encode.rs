//! Values to bytes, and how many bytes that will be.

use bytes::{BufMut, BytesMut};

use crate::codec::{Map, Value, code, write};

pub(super) fn value(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => write::put_null(out),
        Value::Bool(b) => write::put_bool(out, *b),
        Value::Uint(n) => write::put_uint(out, *n),
        Value::Ulong(n) => write::put_ulong(out, *n),
        Value::Int(n) => write::put_int(out, *n),
        Value::Long(n) => write::put_long(out, *n),
        Value::Binary(bytes) => write::put_binary(out, bytes),
        Value::String(text) => write::put_str(out, text),
        Value::Symbol(name) => write::put_symbol(out, name),
        Value::List(items) => write::put_list(out, items),
        Value::Map(map) => write::put_map(out, map),
        Value::Array(items) => array(items, out),
        Value::Described(described) => {
            out.put_u8(code::DESCRIBED);
            self::value(&described.descriptor, out);
            self::value(&described.value, out);
        }
        fixed => {
            out.put_u8(fixed_constructor(fixed));
            put_fixed(fixed, out);
        }
    }
}

pub(super) fn value_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Uint(n) => write::uint_len(*n),
        Value::Ulong(n) => write::ulong_len(*n),
        Value::Int(n) => write::int_len(*n),
        Value::Long(n) => write::long_len(*n),
        Value::Binary(bytes) => write::binary_len(bytes),
        Value::String(text) => write::str_len(text),
        Value::Symbol(name) => write::symbol_len(name),
        Value::List(items) => list_len(items),
        Value::Map(map) => map.encoded_len(),
        Value::Array(items) => array_len(items),
        Value::Described(described) => {
            1 + value_len(&described.descriptor) + value_len(&described.value)
        }
        fixed => 1 + usize::from(code::WIDTH[usize::from(fixed_constructor(fixed))]),
    }
}

/// The size of a map's keys and values.
fn entries_len(map: &Map) -> usize {
    map.iter().map(|(key, value)| value_len(key) + value_len(value)).sum()
}

fn items_len(items: &[Value]) -> usize {
    items.iter().map(value_len).sum()
}

fn list_len(items: &[Value]) -> usize {
    write::list_len(items.len(), items_len(items))
}

fn array(items: &[Value], out: &mut BytesMut) {
    let Some(layout) = Layout::of(items) else {
        return write::put_list(out, items);
    };
    write::put_array_head(out, items.len(), layout.body);
    layout.put_body(out);
}

fn array_len(items: &[Value]) -> usize {
    let Some(layout) = Layout::of(items) else {
        return list_len(items);
    };
    let head = if write::short_array(items.len(), layout.body) { 3 } else { 9 };
    head + layout.body
}

/// How the elements of an array are written: what they share, then each one's data.
///
/// Everything is measured once on the way up, so that arrays inside of arrays do not multiply the work.
struct Layout<'a> {
    /// Outermost first. More than one when a described value is described again.
    descriptors: Vec<&'a Value>,
    elements: Vec<Element<'a>>,
    constructor: u8,
    /// The size of descriptors, constructor and data.
    body: usize,
}

/// One element of an array and its measures.
struct Element<'a> {
    value: &'a Value,
    /// The constructor with room for any value of this type.
    widest: u8,
    /// The size of the data without its length or size and count.
    content: usize,
    /// An array whose elements have a constructor in common.
    layout: Option<Layout<'a>>,
}

impl<'a> Element<'a> {
    fn of(value: &'a Value) -> Self {
        let layout = match value {
            Value::Array(items) => Layout::of(items),
            _ => None,
        };
        let (widest, content) = match (value, &layout) {
            (Value::Binary(bytes), _) => (code::BINARY32, bytes.len()),
            (Value::String(text), _) => (code::STRING32, text.len()),
            (Value::Symbol(name), _) => (code::SYMBOL32, name.len()),
            (Value::Map(map), _) => (code::MAP32, entries_len(map)),
            (Value::Array(_), Some(layout)) => (code::ARRAY32, layout.body),
            (Value::List(items) | Value::Array(items), _) => (code::LIST32, items_len(items)),
            (fixed, _) => (fixed_constructor(fixed), 0),
        };
        Self { value, widest, content, layout }
    }

    /// Whether its sizes can be written in one byte.
    fn is_short(&self) -> bool {
        match (self.value, &self.layout) {
            (Value::Array(items), Some(layout)) => write::short_array(items.len(), layout.body),
            (Value::List(_) | Value::Map(_) | Value::Array(_), _) => {
                self.content <= write::SHORT_BODY
            }
            _ => self.content <= 0xff,
        }
    }

    /// The size of its data behind `constructor`.
    fn len(&self, constructor: u8) -> usize {
        let width = match code::WIDTH[usize::from(constructor)] {
            code::SIZED8 => 1,
            code::SIZED32 => 4,
            fixed => return usize::from(fixed),
        };
        match self.value {
            // The size includes the count.
            Value::List(_) | Value::Map(_) | Value::Array(_) => 2 * width + self.content,
            _ => width + self.content,
        }
    }

    fn put(&self, constructor: u8, out: &mut BytesMut) {
        let width = match code::WIDTH[usize::from(constructor)] {
            code::SIZED8 => 1,
            code::SIZED32 => 4,
            _ => return put_fixed(self.value, out),
        };
        let mut compound = |count: usize| {
            write::put_len(out, width + self.content, width);
            write::put_len(out, count, width);
        };
        match (self.value, &self.layout) {
            (Value::Map(map), _) => {
                compound(map.len().saturating_mul(2));
                for (key, entry) in map {
                    value(key, out);
                    value(entry, out);
                }
            }
            (Value::Array(items), Some(layout)) => {
                compound(items.len());
                layout.put_body(out);
            }
            (Value::List(items) | Value::Array(items), _) => {
                compound(items.len());
                for item in items {
                    value(item, out);
                }
            }
            (text, _) => {
                write::put_len(out, self.content, width);
                out.put_slice(content(text));
            }
        }
    }
}

impl<'a> Layout<'a> {
    /// `None` when the values have no constructor in common.
    fn of(items: &'a [Value]) -> Option<Self> {
        let mut values: Vec<&Value> = items.iter().collect();
        let mut descriptors = Vec::new();
        while let Some(Value::Described(first)) = values.first().copied() {
            for value in &mut values {
                match value {
                    Value::Described(next)
                        if std::ptr::eq(next, first) || next.descriptor == first.descriptor =>
                    {
                        *value = &next.value;
                    }
                    _ => return None,
                }
            }
            descriptors.push(&first.descriptor);
        }
        let elements: Vec<_> = values.into_iter().map(Element::of).collect();
        let wide = elements.first().map_or(code::NULL, |first| first.widest);
        if elements.iter().any(|element| element.widest != wide) {
            return None;
        }
        let sized = code::WIDTH[usize::from(wide)] == code::SIZED32;
        let constructor = match sized && elements.iter().all(Element::is_short) {
            true => wide - (code::BINARY32 - code::BINARY8),
            false => wide,
        };
        let body = descriptors.iter().map(|descriptor| 1 + value_len(descriptor)).sum::<usize>()
            + 1
            + elements.iter().map(|element| element.len(constructor)).sum::<usize>();
        Some(Self { descriptors, elements, constructor, body })
    }

    fn put_body(&self, out: &mut BytesMut) {
        for descriptor in &self.descriptors {
            out.put_u8(code::DESCRIBED);
            value(descriptor, out);
        }
        out.put_u8(self.constructor);
        for element in &self.elements {
            element.put(self.constructor, out);
        }
    }
}

/// The bytes of a string, symbol or binary.
fn content(value: &Value) -> &[u8] {
    match value {
        Value::Binary(bytes) => bytes,
        Value::String(text) => text.as_bytes(),
        Value::Symbol(name) => name.as_bytes(),
        _ => &[],
    }
}

/// The constructor of a value whose width its type alone decides, as arrays have it. Described values, which have
/// none, get their mark.
fn fixed_constructor(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => code::BOOL,
        Value::Ubyte(_) => code::UBYTE,
        Value::Ushort(_) => code::USHORT,
        Value::Uint(_) => code::UINT,
        Value::Ulong(_) => code::ULONG,
        Value::Byte(_) => code::BYTE,
        Value::Short(_) => code::SHORT,
        Value::Int(_) => code::INT,
        Value::Long(_) => code::LONG,
        Value::Float(_) => code::FLOAT,
        Value::Double(_) => code::DOUBLE,
        Value::Decimal32(_) => code::DECIMAL32,
        Value::Decimal64(_) => code::DECIMAL64,
        Value::Decimal128(_) => code::DECIMAL128,
        Value::Char(_) => code::CHAR,
        Value::Timestamp(_) => code::TIMESTAMP,
        Value::Uuid(_) => code::UUID,
        Value::Described(_) => code::DESCRIBED,
        _ => code::NULL,
    }
}

/// Writes the data behind a [`fixed_constructor`].
fn put_fixed(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Bool(b) => out.put_u8((*b).into()),
        Value::Ubyte(n) => out.put_u8(*n),
        Value::Ushort(n) => out.put_u16(*n),
        Value::Uint(n) => out.put_u32(*n),
        Value::Ulong(n) => out.put_u64(*n),
        Value::Byte(n) => out.put_i8(*n),
        Value::Short(n) => out.put_i16(*n),
        Value::Int(n) => out.put_i32(*n),
        Value::Long(n) | Value::Timestamp(n) => out.put_i64(*n),
        Value::Float(n) => out.put_f32(*n),
        Value::Double(n) => out.put_f64(*n),
        Value::Decimal32(bytes) => out.put_slice(bytes),
        Value::Decimal64(bytes) => out.put_slice(bytes),
        Value::Decimal128(bytes) | Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Char(c) => out.put_u32((*c).into()),
        _ => {}
    }
}
