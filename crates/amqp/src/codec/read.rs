//! A cursor over bytes that checks before it moves, and the fields of composite types on top of it.

use bytes::Bytes;

use super::{
    DecodeError, DecodeErrorKind as Kind, Map, Symbol, Value, code, descriptor, limits, scan,
};

/// Reads forward. Positions are those of the whole input even inside a compound value, so that errors can name them.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    /// Up to the end of the compound value being read.
    buf: &'a [u8],
    pos: usize,
    field: &'static str,
    /// How many more values may be built.
    budget: usize,
    /// What binary data may be sliced out of.
    owner: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(buf: &'a [u8], field: &'static str) -> Self {
        let budget =
            buf.len().saturating_mul(limits::EXPANSION_PER_BYTE) + limits::EXPANSION_ALLOWANCE;
        Self { buf, pos: 0, field, budget, owner: None }
    }

    /// Binary data will share `bytes` instead of being copied.
    pub(crate) fn shared(bytes: &'a Bytes, field: &'static str) -> Self {
        Self { owner: Some(bytes), ..Self::new(bytes, field) }
    }

    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    pub(crate) fn remaining(&self) -> usize {
        self.buf.len().saturating_sub(self.pos)
    }

    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    pub(crate) fn owner(&self) -> Option<&'a Bytes> {
        self.owner
    }

    pub(crate) fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::new(kind, self.field, self.pos)
    }

    /// What the next errors are about.
    pub(crate) fn about(&mut self, field: &'static str) {
        self.field = field;
    }

    pub(crate) fn charge(&mut self, values: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(values).ok_or_else(|| self.error(Kind::Count))?;
        Ok(())
    }

    /// One level further in.
    pub(crate) fn deeper(&self, depth: usize) -> Result<usize, DecodeError> {
        if depth < limits::MAX_DEPTH { Ok(depth + 1) } else { Err(self.error(Kind::Depth)) }
    }

    pub(crate) fn at_end(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error(Kind::Trailing)) }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.buf.get(self.pos).copied()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek().ok_or_else(|| self.error(Kind::Truncated))?;
        self.pos += 1;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.buf.get(self.pos..).and_then(<[u8]>::first_chunk);
        let bytes = *bytes.ok_or_else(|| self.error(Kind::Truncated))?;
        self.pos += N;
        Ok(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.pos.checked_add(len).filter(|end| *end <= self.buf.len());
        let end = end.ok_or_else(|| self.error(Kind::Truncated))?;
        let taken = self.buf.get(self.pos..end).unwrap_or_default();
        self.pos = end;
        Ok(taken)
    }

    pub(crate) fn truth(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error(Kind::InvalidValue)),
        }
    }

    /// A size, length or count of one or four bytes.
    fn number(&mut self, wide: bool) -> Result<usize, DecodeError> {
        let number = if wide { u32::from_be_bytes(self.array()?) } else { self.byte()?.into() };
        usize::try_from(number).map_err(|_| self.error(Kind::Length))
    }

    /// The content of a string, symbol or binary after its constructor.
    pub(crate) fn content(&mut self, wide: bool) -> Result<&'a [u8], DecodeError> {
        let len = self.number(wide)?;
        self.take(len)
    }

    /// Inside of a list, map or array after its constructor: `inside` sees nothing beyond its end and leaves nothing
    /// behind, for the position is set to the end afterwards.
    pub(crate) fn sized_and_counted<T>(
        &mut self,
        wide: bool,
        inside: impl FnOnce(&mut Self, usize) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let size = self.number(wide)?;
        let end = self.pos.checked_add(size).filter(|end| *end <= self.buf.len());
        let end = end.ok_or_else(|| self.error(Kind::Truncated))?;
        let outside = self.buf;
        self.buf = outside.get(..end).unwrap_or_default();
        // The count belongs to the size, so a size too small for it is caught here as well.
        let count = self.number(wide)?;
        let result = inside(self, count)?;
        self.buf = outside;
        self.pos = end;
        Ok(result)
    }

    /// The same for lists and maps, whose items all take at least a byte.
    pub(crate) fn compound<T>(
        &mut self,
        wide: bool,
        inside: impl FnOnce(&mut Self, usize) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.sized_and_counted(wide, |reader, count| {
            if count > reader.remaining() {
                return Err(reader.error(Kind::Count));
            }
            inside(reader, count)
        })
    }

    /// The number a descriptor stands for, whichever way it is written.
    pub(crate) fn descriptor(&mut self) -> Result<u64, DecodeError> {
        if self.byte()? != code::DESCRIBED {
            return Err(self.error(Kind::WrongType));
        }
        match self.byte()? {
            code::SMALL_ULONG => Ok(self.byte()?.into()),
            code::ULONG => Ok(u64::from_be_bytes(self.array()?)),
            code::ULONG0 => Ok(0),
            constructor @ (code::SYMBOL8 | code::SYMBOL32) => {
                let name = self.content(constructor == code::SYMBOL32)?;
                descriptor::by_name(name).ok_or_else(|| self.error(Kind::ForeignDescriptor))
            }
            _ => Err(self.error(Kind::ForeignDescriptor)),
        }
    }

    /// The list of a composite type, after its descriptor.
    pub(crate) fn fields<T>(
        &mut self,
        depth: usize,
        read: impl FnOnce(&mut Fields<'_, 'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let depth = self.deeper(depth)?;
        let about = self.field;
        let result = match self.byte()? {
            code::LIST0 => read(&mut Fields { left: 0, depth, reader: self }),
            wide @ (code::LIST8 | code::LIST32) => {
                self.compound(wide == code::LIST32, |reader, left| {
                    let mut fields = Fields { left, depth, reader };
                    let result = read(&mut fields)?;
                    fields.skip_rest()?;
                    Ok(result)
                })
            }
            _ => Err(self.error(Kind::WrongType)),
        };
        self.field = about;
        result
    }
}

/// The fields of a composite type, one after the other. What is missing at the end counts as null, and fields beyond
/// those that are asked for are skipped (part 1.4 allows the first; the second keeps later revisions readable).
#[derive(Debug)]
pub(crate) struct Fields<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
    depth: usize,
}

impl<'a> Fields<'_, 'a> {
    pub(crate) fn error(&self, kind: Kind) -> DecodeError {
        self.reader.error(kind)
    }

    /// The constructor of the next field, `None` when it is null or missing.
    fn next(&mut self, field: &'static str) -> Result<Option<u8>, DecodeError> {
        self.reader.about(field);
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let constructor = self.reader.byte()?;
        Ok((constructor != code::NULL).then_some(constructor))
    }

    /// Like [`next`](Self::next), but the constructor can be read again.
    fn present(&mut self, field: &'static str) -> Result<Option<&mut Reader<'a>>, DecodeError> {
        self.reader.about(field);
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.reader.peek() == Some(code::NULL) {
            self.reader.byte()?;
            return Ok(None);
        }
        Ok(Some(self.reader))
    }

    /// Fields nobody asked for must be values all the same, and the last thing in the list.
    fn skip_rest(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.left {
            self.reader.pos = scan::skip(self.reader.buf, self.reader.pos)?;
        }
        self.reader.at_end()
    }

    fn wrong<T>(&self) -> Result<T, DecodeError> {
        Err(self.error(Kind::WrongType))
    }

    /// What a mandatory field must not be.
    pub(crate) fn required<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| self.error(Kind::MissingField))
    }

    pub(crate) fn boolean(&mut self, field: &'static str) -> Result<Option<bool>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::TRUE) => Ok(Some(true)),
            Some(code::FALSE) => Ok(Some(false)),
            Some(code::BOOL) => self.reader.truth().map(Some),
            Some(_) => self.wrong(),
        }
    }

    /// A truth value that is false by default.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.boolean(field)?.unwrap_or(false))
    }

    pub(crate) fn ubyte(&mut self, field: &'static str) -> Result<Option<u8>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::UBYTE) => self.reader.byte().map(Some),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn ushort(&mut self, field: &'static str) -> Result<Option<u16>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::USHORT) => Ok(Some(u16::from_be_bytes(self.reader.array()?))),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn uint(&mut self, field: &'static str) -> Result<Option<u32>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::UINT0) => Ok(Some(0)),
            Some(code::SMALL_UINT) => Ok(Some(self.reader.byte()?.into())),
            Some(code::UINT) => Ok(Some(u32::from_be_bytes(self.reader.array()?))),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn ulong(&mut self, field: &'static str) -> Result<Option<u64>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::ULONG0) => Ok(Some(0)),
            Some(code::SMALL_ULONG) => Ok(Some(self.reader.byte()?.into())),
            Some(code::ULONG) => Ok(Some(u64::from_be_bytes(self.reader.array()?))),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn timestamp(&mut self, field: &'static str) -> Result<Option<i64>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::TIMESTAMP) => Ok(Some(i64::from_be_bytes(self.reader.array()?))),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn binary(&mut self, field: &'static str) -> Result<Option<Bytes>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(wide @ (code::BINARY8 | code::BINARY32)) => {
                self.reader.binary_content(wide == code::BINARY32).map(Some)
            }
            Some(_) => self.wrong(),
        }
    }

    /// A string. A symbol passes for one, and the other way round in [`symbol`](Self::symbol): peers mix them up.
    fn str(&mut self, field: &'static str) -> Result<Option<&'a str>, DecodeError> {
        match self.next(field)? {
            None => Ok(None),
            Some(code::STRING8 | code::SYMBOL8) => self.reader.text_content(false).map(Some),
            Some(code::STRING32 | code::SYMBOL32) => self.reader.text_content(true).map(Some),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<Option<String>, DecodeError> {
        Ok(self.str(field)?.map(str::to_owned))
    }

    pub(crate) fn symbol(&mut self, field: &'static str) -> Result<Option<Symbol>, DecodeError> {
        Ok(self.str(field)?.map(Symbol::new))
    }

    /// A field that may hold several symbols: nothing, one symbol, an array or a list of them.
    pub(crate) fn symbols(&mut self, field: &'static str) -> Result<Vec<Symbol>, DecodeError> {
        let one = |value: Value| match value {
            Value::Symbol(name) => Some(name),
            Value::String(name) => Some(name.into()),
            _ => None,
        };
        let symbols = match self.value(field)? {
            None => Some(Vec::new()),
            Some(Value::Array(names) | Value::List(names)) => names.into_iter().map(one).collect(),
            Some(name) => one(name).map(|name| vec![name]),
        };
        match symbols {
            Some(symbols) => Ok(symbols),
            None => self.wrong(),
        }
    }

    pub(crate) fn map(&mut self, field: &'static str) -> Result<Map, DecodeError> {
        let depth = self.depth;
        match self.next(field)? {
            None => Ok(Map::new()),
            Some(code::MAP8) => self.reader.entries(false, depth),
            Some(code::MAP32) => self.reader.entries(true, depth),
            Some(_) => self.wrong(),
        }
    }

    pub(crate) fn value(&mut self, field: &'static str) -> Result<Option<Value>, DecodeError> {
        let depth = self.depth;
        self.present(field)?.map(|reader| reader.value(depth)).transpose()
    }

    /// A field of a composite type: `read` starts at its descriptor.
    pub(crate) fn nested<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Reader<'a>, usize) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let depth = self.depth;
        self.present(field)?.map(|reader| read(reader, depth)).transpose()
    }
}
