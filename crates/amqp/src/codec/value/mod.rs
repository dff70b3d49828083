//! Any AMQP value, owned.

mod decode;
mod encode;

use bytes::{Bytes, BytesMut};

use super::{DecodeError, Map, Symbol};

/// Any value of the AMQP type system (part 1.6), owned.
///
/// Equality is by type and content: `Uint(1)` is not `Int(1)`, and a NaN equals nothing.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::Value;
///
/// let value = Value::from(vec![Value::from(7_u32), Value::from("text")]);
/// let mut out = BytesMut::new();
/// value.encode(&mut out);
/// assert_eq!(out.len(), value.encoded_len());
/// assert_eq!(Value::decode(&out).unwrap(), (value, out.len()));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// 8 bits, unsigned.
    Ubyte(u8),
    /// 16 bits, unsigned.
    Ushort(u16),
    /// 32 bits, unsigned.
    Uint(u32),
    /// 64 bits, unsigned.
    Ulong(u64),
    /// 8 bits, signed.
    Byte(i8),
    /// 16 bits, signed.
    Short(i16),
    /// 32 bits, signed.
    Int(i32),
    /// 64 bits, signed.
    Long(i64),
    /// IEEE 754 binary32.
    Float(f32),
    /// IEEE 754 binary64.
    Double(f64),
    /// IEEE 754 decimal32, as it is on the wire.
    Decimal32([u8; 4]),
    /// IEEE 754 decimal64, as it is on the wire.
    Decimal64([u8; 8]),
    /// IEEE 754 decimal128, as it is on the wire.
    Decimal128([u8; 16]),
    /// One Unicode character.
    Char(char),
    /// Milliseconds since 1970-01-01T00:00:00Z, negative before.
    Timestamp(i64),
    /// A UUID, most significant byte first.
    Uuid([u8; 16]),
    /// Bytes.
    Binary(Bytes),
    /// Text.
    String(String),
    /// A name.
    Symbol(Symbol),
    /// Values of any types.
    List(Vec<Self>),
    /// Pairs of values.
    Map(Map),
    /// Values of one type. Elements of differing types are written as a list, for an array cannot hold them.
    ///
    /// At most a few dozen nulls can be read back from an array: see [`EXPANSION_ALLOWANCE`](super::EXPANSION_ALLOWANCE).
    Array(Vec<Self>),
    /// A value with a descriptor.
    Described(Box<Described>),
}

/// A value and what says how to understand it (AMQP 1.0 part 1.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Described {
    /// By the specification an unsigned long or a symbol, though any value can be sent.
    pub descriptor: Value,
    /// What is described.
    pub value: Value,
}

impl Value {
    /// Reads the value `buf` begins with, and how many bytes it took.
    ///
    /// Binary data is copied. At most a small multiple of `buf` is allocated, whatever it contains.
    ///
    /// # Errors
    ///
    /// When the bytes are no well-formed value, or one beyond the [limits](super::MAX_DEPTH).
    pub fn decode(buf: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = super::read::Reader::new(buf, "value");
        let value = reader.value(0)?;
        Ok((value, reader.position()))
    }

    /// Writes the value in its smallest form.
    ///
    /// Values nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH) are written, but this library would not read them.
    pub fn encode(&self, out: &mut BytesMut) {
        encode::value(self, out);
    }

    /// How many bytes [`encode`](Self::encode) writes. Nothing is encoded to find out.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        encode::value_len(self)
    }

    /// Shorthand for a described value.
    pub fn described(descriptor: impl Into<Self>, value: impl Into<Self>) -> Self {
        Self::Described(Box::new(Described { descriptor: descriptor.into(), value: value.into() }))
    }

    /// Shorthand for a symbol known when the program is built.
    #[must_use]
    pub const fn symbol(name: &'static str) -> Self {
        Self::Symbol(Symbol::from_static(name))
    }

    /// Whether this is [`Null`](Self::Null).
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string or symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Symbol(name) => Some(name.as_str()),
            _ => None,
        }
    }

    /// The symbol, if it is one.
    #[must_use]
    pub const fn as_symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// An integer of any width and sign, if an `i64` can hold it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(n) => Some(n.into()),
            Self::Ushort(n) => Some(n.into()),
            Self::Uint(n) => Some(n.into()),
            Self::Ulong(n) => i64::try_from(n).ok(),
            Self::Byte(n) => Some(n.into()),
            Self::Short(n) => Some(n.into()),
            Self::Int(n) => Some(n.into()),
            Self::Long(n) => Some(n),
            _ => None,
        }
    }

    /// An integer of any width and sign, if a `u64` can hold it.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Ulong(n) => Some(n),
            _ => self.as_i64().and_then(|n| u64::try_from(n).ok()),
        }
    }

    /// A float or double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(n) => Some(n.into()),
            Self::Double(n) => Some(n),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z of a timestamp.
    #[must_use]
    pub const fn as_timestamp(&self) -> Option<i64> {
        match *self {
            Self::Timestamp(ms) => Some(ms),
            _ => None,
        }
    }

    /// The UUID, if it is one.
    #[must_use]
    pub const fn as_uuid(&self) -> Option<&[u8; 16]> {
        match self {
            Self::Uuid(id) => Some(id),
            _ => None,
        }
    }

    /// The bytes of binary data.
    #[must_use]
    pub const fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list or array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The descriptor and the value behind it.
    #[must_use]
    pub fn as_described(&self) -> Option<&Described> {
        match self {
            Self::Described(described) => Some(described),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool, u8 => Ubyte, u16 => Ushort, u32 => Uint, u64 => Ulong, i8 => Byte, i16 => Short, i32 => Int,
    i64 => Long, f32 => Float, f64 => Double, char => Char, &str => String, String => String, Symbol => Symbol,
    Bytes => Binary, Vec<u8> => Binary, Vec<Value> => List, Map => Map, Described => Described,
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<&Symbol> for Value {
    fn from(name: &Symbol) -> Self {
        Self::Symbol(name.clone())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    /// `None` is null.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
