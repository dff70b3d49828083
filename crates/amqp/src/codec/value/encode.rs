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
            out.put_u8(widest(fixed));
            element(fixed, widest(fixed), out);
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
        fixed => 1 + element_len(fixed, widest(fixed)),
    }
}

/// The size of a map's keys and values.
fn entries_len(map: &Map) -> usize {
    map.iter()
        .map(|(key, value)| value_len(key) + value_len(value))
        .sum()
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
    let head = if write::short_array(items.len(), layout.body) {
        3
    } else {
        9
    };
    head + layout.body
}

/// How the elements of an array are written: what they share, then each one's data.
struct Layout<'a> {
    /// Outermost first. More than one when a described value is described again.
    descriptors: Vec<&'a Value>,
    elements: Vec<&'a Value>,
    constructor: u8,
    /// The size of descriptors, constructor and data.
    body: usize,
}

impl<'a> Layout<'a> {
    /// `None` when the values have no constructor in common.
    fn of(items: &'a [Value]) -> Option<Self> {
        let mut elements: Vec<&Value> = items.iter().collect();
        let mut descriptors = Vec::new();
        while let Some(Value::Described(first)) = elements.first().copied() {
            for element in &mut elements {
                match element {
                    Value::Described(next)
                        if std::ptr::eq(next, first) || next.descriptor == first.descriptor =>
                    {
                        *element = &next.value;
                    }
                    _ => return None,
                }
            }
            descriptors.push(&first.descriptor);
        }
        let constructor = match elements.first().copied() {
            None => code::NULL,
            Some(first) => shared(&elements, widest(first))?,
        };
        let body = descriptors
            .iter()
            .map(|descriptor| 1 + value_len(descriptor))
            .sum::<usize>()
            + 1
            + elements
                .iter()
                .map(|element| element_len(element, constructor))
                .sum::<usize>();
        Some(Self {
            descriptors,
            elements,
            constructor,
            body,
        })
    }

    fn put_body(&self, out: &mut BytesMut) {
        for descriptor in &self.descriptors {
            out.put_u8(code::DESCRIBED);
            value(descriptor, out);
        }
        out.put_u8(self.constructor);
        for each in &self.elements {
            element(each, self.constructor, out);
        }
    }
}

/// The constructor all elements can share: `wide`, or its one-byte form where every length allows it.
fn shared(elements: &[&Value], wide: u8) -> Option<u8> {
    if elements.iter().any(|element| widest(element) != wide) {
        return None;
    }
    if code::WIDTH[usize::from(wide)] != code::SIZED32 {
        return Some(wide);
    }
    let short = elements.iter().all(|element| fits_one_byte(element));
    Some(if short {
        wide - (code::BINARY32 - code::BINARY8)
    } else {
        wide
    })
}

/// Whether the size of this element can be written in one byte.
fn fits_one_byte(element: &Value) -> bool {
    match element {
        Value::List(items) => items_len(items) <= write::SHORT_BODY,
        Value::Map(map) => entries_len(map) <= write::SHORT_BODY,
        Value::Array(items) => match Layout::of(items) {
            Some(layout) => write::short_array(items.len(), layout.body),
            None => items_len(items) <= write::SHORT_BODY,
        },
        Value::Binary(bytes) => bytes.len() <= 0xff,
        Value::String(text) => text.len() <= 0xff,
        Value::Symbol(name) => name.len() <= 0xff,
        _ => true,
    }
}

/// The constructor with room for any value of the same type. For a value of fixed width it is the only one used in
/// arrays. A described value has none.
fn widest(value: &Value) -> u8 {
    match value {
        Value::Null => code::NULL,
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
        Value::Binary(_) => code::BINARY32,
        Value::String(_) => code::STRING32,
        Value::Symbol(_) => code::SYMBOL32,
        Value::List(_) => code::LIST32,
        Value::Map(_) => code::MAP32,
        Value::Array(items) if Layout::of(items).is_none() => code::LIST32,
        Value::Array(_) => code::ARRAY32,
        Value::Described(_) => code::DESCRIBED,
    }
}

/// Writes the data of `value` behind a constructor already written.
fn element(value: &Value, constructor: u8, out: &mut BytesMut) {
    let width = if code::WIDTH[usize::from(constructor)] == code::SIZED8 {
        1
    } else {
        4
    };
    let mut variable = |data: &[u8]| {
        write::put_len(out, data.len(), width);
        out.put_slice(data);
    };
    match value {
        Value::Null | Value::Described(_) => {}
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
        Value::Binary(bytes) => variable(bytes),
        Value::String(text) => variable(text.as_bytes()),
        Value::Symbol(name) => variable(name.as_bytes()),
        Value::List(items) => list_element(items, width, out),
        Value::Map(map) => {
            write::put_len(out, width + entries_len(map), width);
            write::put_len(out, map.len().saturating_mul(2), width);
            for (key, entry) in map {
                self::value(key, out);
                self::value(entry, out);
            }
        }
        Value::Array(items) => match Layout::of(items) {
            Some(layout) => {
                write::put_len(out, width + layout.body, width);
                write::put_len(out, items.len(), width);
                layout.put_body(out);
            }
            None => list_element(items, width, out),
        },
    }
}

fn list_element(items: &[Value], width: usize, out: &mut BytesMut) {
    write::put_len(out, width + items_len(items), width);
    write::put_len(out, items.len(), width);
    for item in items {
        value(item, out);
    }
}

/// The size of what [`element`] writes.
fn element_len(value: &Value, constructor: u8) -> usize {
    let width = match code::WIDTH[usize::from(constructor)] {
        code::SIZED8 => 1,
        code::SIZED32 => 4,
        fixed => return usize::from(fixed),
    };
    let content = match value {
        Value::Binary(bytes) => bytes.len(),
        Value::String(text) => text.len(),
        Value::Symbol(name) => name.len(),
        Value::List(items) => width + items_len(items),
        Value::Map(map) => width + entries_len(map),
        Value::Array(items) => {
            width + Layout::of(items).map_or_else(|| items_len(items), |l| l.body)
        }
        _ => 0,
    };
    width + content
}
