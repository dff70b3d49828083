//! Why bytes could not be decoded.

/// Bytes that are not what AMQP 1.0 part 1 or the composite type they stand for allows.
///
/// Nothing of the bytes themselves is kept, so that the error can be logged.
///
/// ```
/// use eventhubs_amqp::codec::{DecodeErrorKind, Value};
///
/// let error = Value::decode(&[0xa1, 5, b'a']).unwrap_err();
/// assert_eq!(error.kind, DecodeErrorKind::Truncated);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (in {field}, at byte {offset})")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The field, section or value that was being read, by its name in the specification.
    pub field: &'static str,
    /// Where in the bytes handed to the decoder the trouble was noticed.
    pub offset: usize,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    #[error("the bytes end before the value does")]
    Truncated,
    /// A constructor byte which part 1.6 does not define.
    #[error("unknown constructor 0x{0:02x}")]
    UnknownConstructor(u8),
    /// Nesting deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("values are nested too deeply")]
    Depth,
    /// A count that cannot be true: more items than bytes, an odd number of map items, too many empty ones.
    #[error("the number of items cannot be true")]
    Count,
    /// A size or length that contradicts what surrounds it, or is over its limit.
    #[error("a size or length is out of bounds")]
    Length,
    /// Text that is not UTF-8.
    #[error("text is not valid UTF-8")]
    Utf8,
    /// A value of another type than the field has.
    #[error("the value has the wrong type")]
    WrongType,
    /// A numeric descriptor that has no business here.
    #[error("unexpected descriptor 0x{0:x}")]
    UnknownDescriptor(u64),
    /// A descriptor that is neither a number nor one of the symbols the specification defines.
    #[error("descriptor is not one the specification defines")]
    ForeignDescriptor,
    /// A mandatory field is null or missing.
    #[error("a mandatory field is missing")]
    MissingField,
    /// Bytes are left over where none may be.
    #[error("bytes are left over")]
    Trailing,
    /// A value outside what its field allows.
    #[error("the value is not allowed here")]
    InvalidValue,
}

impl DecodeError {
    /// Off the hot path on purpose: the caller's straight line stays free of it.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(kind: DecodeErrorKind, field: &'static str, offset: usize) -> Self {
        Self { kind, field, offset }
    }
}
