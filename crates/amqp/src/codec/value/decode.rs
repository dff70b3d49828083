//! Bytes to values, with every count, size and depth checked first.

use bytes::Bytes;

use crate::codec::read::Reader;
use crate::codec::{
    DecodeError, DecodeErrorKind as Kind, Described, Map, Symbol, Value, code, limits,
};

impl<'a> Reader<'a> {
    /// The next value. `depth` is how many compound values it is inside of.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let constructor = self.byte()?;
        self.data(constructor, depth)
    }

    /// The value whose constructor was already read. Kept small: it is what recursion goes through.
    fn data(&mut self, constructor: u8, depth: usize) -> Result<Value, DecodeError> {
        self.charge(1)?;
        let wide = constructor & 0x10 != 0;
        match constructor {
            code::DESCRIBED => self.described(depth),
            // It may have to be written as a longer list, so it counts as one.
            code::LIST0 => self.deeper(depth).map(|_| Value::List(Vec::new())),
            code::LIST8 | code::LIST32 => self.items(wide, depth).map(Value::List),
            code::MAP8 | code::MAP32 => self.entries(wide, depth).map(Value::Map),
            code::ARRAY8 | code::ARRAY32 => self.elements(wide, depth).map(Value::Array),
            scalar => self.scalar(scalar),
        }
    }

    fn described(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let depth = self.deeper(depth)?;
        let descriptor = self.value(depth)?;
        let value = self.value(depth)?;
        Ok(Value::Described(Box::new(Described { descriptor, value })))
    }

    /// Values without others inside.
    fn scalar(&mut self, constructor: u8) -> Result<Value, DecodeError> {
        Ok(match constructor {
            code::NULL => Value::Null,
            code::TRUE => Value::Bool(true),
            code::FALSE => Value::Bool(false),
            code::UINT0 => Value::Uint(0),
            code::ULONG0 => Value::Ulong(0),
            code::UBYTE => Value::Ubyte(self.byte()?),
            code::BYTE => Value::Byte(i8::from_be_bytes(self.array()?)),
            code::SMALL_UINT => Value::Uint(self.byte()?.into()),
            code::SMALL_ULONG => Value::Ulong(self.byte()?.into()),
            code::SMALL_INT => Value::Int(i8::from_be_bytes(self.array()?).into()),
            code::SMALL_LONG => Value::Long(i8::from_be_bytes(self.array()?).into()),
            code::BOOL => Value::Bool(self.truth()?),
            code::USHORT => Value::Ushort(u16::from_be_bytes(self.array()?)),
            code::SHORT => Value::Short(i16::from_be_bytes(self.array()?)),
            code::UINT => Value::Uint(u32::from_be_bytes(self.array()?)),
            code::INT => Value::Int(i32::from_be_bytes(self.array()?)),
            code::FLOAT => Value::Float(f32::from_be_bytes(self.array()?)),
            code::CHAR => {
                let point = u32::from_be_bytes(self.array()?);
                Value::Char(char::from_u32(point).ok_or_else(|| self.error(Kind::InvalidValue))?)
            }
            code::DECIMAL32 => Value::Decimal32(self.array()?),
            code::ULONG => Value::Ulong(u64::from_be_bytes(self.array()?)),
            code::LONG => Value::Long(i64::from_be_bytes(self.array()?)),
            code::DOUBLE => Value::Double(f64::from_be_bytes(self.array()?)),
            code::TIMESTAMP => Value::Timestamp(i64::from_be_bytes(self.array()?)),
            code::DECIMAL64 => Value::Decimal64(self.array()?),
            code::DECIMAL128 => Value::Decimal128(self.array()?),
            code::UUID => Value::Uuid(self.array()?),
            code::BINARY8 | code::BINARY32 => {
                Value::Binary(self.binary_content(constructor == code::BINARY32)?)
            }
            code::STRING8 | code::STRING32 => {
                Value::String(self.text_content(constructor == code::STRING32)?.to_owned())
            }
            code::SYMBOL8 | code::SYMBOL32 => {
                Value::Symbol(Symbol::new(self.text_content(constructor == code::SYMBOL32)?))
            }
            unknown => return Err(self.error(Kind::UnknownConstructor(unknown))),
        })
    }

    fn items(&mut self, wide: bool, depth: usize) -> Result<Vec<Value>, DecodeError> {
        let depth = self.deeper(depth)?;
        self.compound(wide, |reader, count| {
            let mut items = Vec::with_capacity(count.min(limits::PREALLOCATED_ITEMS));
            for _ in 0..count {
                items.push(reader.value(depth)?);
            }
            reader.at_end()?;
            Ok(items)
        })
    }

    /// The entries of a map whose constructor was already read.
    pub(crate) fn entries(&mut self, wide: bool, depth: usize) -> Result<Map, DecodeError> {
        let depth = self.deeper(depth)?;
        self.compound(wide, |reader, count| {
            if !count.is_multiple_of(2) {
                return Err(reader.error(Kind::Count));
            }
            let mut map = Map::with_capacity((count / 2).min(limits::PREALLOCATED_ITEMS));
            for _ in 0..count / 2 {
                let key = reader.value(depth)?;
                map.push(key, reader.value(depth)?);
            }
            reader.at_end()?;
            Ok(map)
        })
    }

    fn elements(&mut self, wide: bool, depth: usize) -> Result<Vec<Value>, DecodeError> {
        let depth = self.deeper(depth)?;
        self.sized_and_counted(wide, |reader, count| {
            if count == 0 && reader.remaining() == 0 {
                return Ok(Vec::new());
            }
            let mut depth = depth;
            let mut descriptors = Vec::new();
            let mut constructor = reader.byte()?;
            while constructor == code::DESCRIBED {
                depth = reader.deeper(depth)?;
                let before = reader.budget();
                let descriptor = reader.value(depth)?;
                // What is in it, and its text.
                let cost = before - reader.budget() + descriptor.encoded_len() / 8;
                descriptors.push((descriptor, cost));
                constructor = reader.byte()?;
            }
            reader.plausible(count, constructor)?;
            let mut items = Vec::with_capacity(count.min(limits::PREALLOCATED_ITEMS));
            for _ in 0..count {
                let mut value = reader.data(constructor, depth)?;
                for (descriptor, cost) in descriptors.iter().rev() {
                    reader.charge(*cost)?;
                    value = Value::described(descriptor.clone(), value);
                }
                items.push(value);
            }
            reader.at_end()?;
            Ok(items)
        })
    }

    /// Whether `count` elements behind one constructor can be in what is left, before one of them is read.
    fn plausible(&self, count: usize, constructor: u8) -> Result<(), DecodeError> {
        let least = match code::WIDTH[usize::from(constructor)] {
            code::UNKNOWN => return Err(self.error(Kind::UnknownConstructor(constructor))),
            code::SIZED8 | code::PREFIXED => 1,
            code::SIZED32 => 4,
            fixed => usize::from(fixed),
        };
        let possible = match least {
            0 => count <= self.budget(),
            _ => count.checked_mul(least).is_some_and(|bytes| bytes <= self.remaining()),
        };
        if possible { Ok(()) } else { Err(self.error(Kind::Count)) }
    }

    /// Binary data: shared with the input where that is reference-counted, copied otherwise.
    pub(crate) fn binary_content(&mut self, wide: bool) -> Result<Bytes, DecodeError> {
        let owner = self.owner();
        let content = self.content(wide)?;
        Ok(match owner {
            Some(owner) => owner.slice_ref(content),
            None => Bytes::copy_from_slice(content),
        })
    }

    pub(crate) fn text_content(&mut self, wide: bool) -> Result<&'a str, DecodeError> {
        let content = self.content(wide)?;
        std::str::from_utf8(content).map_err(|_| self.error(Kind::Utf8))
    }
}
