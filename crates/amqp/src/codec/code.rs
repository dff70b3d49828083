//! Constructor bytes of the primitive types (part 1.6) and how wide the data behind each one is.

pub(crate) const DESCRIBED: u8 = 0x00;
pub(crate) const NULL: u8 = 0x40;
pub(crate) const TRUE: u8 = 0x41;
pub(crate) const FALSE: u8 = 0x42;
pub(crate) const UINT0: u8 = 0x43;
pub(crate) const ULONG0: u8 = 0x44;
pub(crate) const LIST0: u8 = 0x45;
pub(crate) const UBYTE: u8 = 0x50;
pub(crate) const BYTE: u8 = 0x51;
pub(crate) const SMALL_UINT: u8 = 0x52;
pub(crate) const SMALL_ULONG: u8 = 0x53;
pub(crate) const SMALL_INT: u8 = 0x54;
pub(crate) const SMALL_LONG: u8 = 0x55;
pub(crate) const BOOL: u8 = 0x56;
pub(crate) const USHORT: u8 = 0x60;
pub(crate) const SHORT: u8 = 0x61;
pub(crate) const UINT: u8 = 0x70;
pub(crate) const INT: u8 = 0x71;
pub(crate) const FLOAT: u8 = 0x72;
pub(crate) const CHAR: u8 = 0x73;
pub(crate) const DECIMAL32: u8 = 0x74;
pub(crate) const ULONG: u8 = 0x80;
pub(crate) const LONG: u8 = 0x81;
pub(crate) const DOUBLE: u8 = 0x82;
pub(crate) const TIMESTAMP: u8 = 0x83;
pub(crate) const DECIMAL64: u8 = 0x84;
pub(crate) const DECIMAL128: u8 = 0x94;
pub(crate) const UUID: u8 = 0x98;
pub(crate) const BINARY8: u8 = 0xa0;
pub(crate) const STRING8: u8 = 0xa1;
pub(crate) const SYMBOL8: u8 = 0xa3;
pub(crate) const BINARY32: u8 = 0xb0;
pub(crate) const STRING32: u8 = 0xb1;
pub(crate) const SYMBOL32: u8 = 0xb3;
pub(crate) const LIST8: u8 = 0xc0;
pub(crate) const MAP8: u8 = 0xc1;
pub(crate) const LIST32: u8 = 0xd0;
pub(crate) const MAP32: u8 = 0xd1;
pub(crate) const ARRAY8: u8 = 0xe0;
pub(crate) const ARRAY32: u8 = 0xf0;

/// The data starts with a one-byte size.
pub(crate) const SIZED8: u8 = 0x20;
/// The data starts with a four-byte size.
pub(crate) const SIZED32: u8 = 0x21;
/// A descriptor and another constructor follow.
pub(crate) const PREFIXED: u8 = 0x22;
/// No constructor.
pub(crate) const UNKNOWN: u8 = 0x23;

/// For each constructor byte: the width of its data, or one of the four marks above.
pub(crate) static WIDTH: [u8; 256] = {
    let mut table = [UNKNOWN; 256];
    let known = [
        NULL,
        TRUE,
        FALSE,
        UINT0,
        ULONG0,
        LIST0,
        UBYTE,
        BYTE,
        SMALL_UINT,
        SMALL_ULONG,
        SMALL_INT,
        SMALL_LONG,
        BOOL,
        USHORT,
        SHORT,
        UINT,
        INT,
        FLOAT,
        CHAR,
        DECIMAL32,
        ULONG,
        LONG,
        DOUBLE,
        TIMESTAMP,
        DECIMAL64,
        DECIMAL128,
        UUID,
        BINARY8,
        STRING8,
        SYMBOL8,
        BINARY32,
        STRING32,
        SYMBOL32,
        LIST8,
        MAP8,
        LIST32,
        MAP32,
        ARRAY8,
        ARRAY32,
    ];
    let mut i = 0;
    while i < known.len() {
        // The upper half of the byte is the width class (figure 1.3 of part 1).
        table[known[i] as usize] = match known[i] >> 4 {
            0x4 => 0,
            0x5 => 1,
            0x6 => 2,
            0x7 => 4,
            0x8 => 8,
            0x9 => 16,
            0xa | 0xc | 0xe => SIZED8,
            _ => SIZED32,
        };
        i += 1;
    }
    table[DESCRIBED as usize] = PREFIXED;
    table
};
