//! Frames and protocol headers (AMQP 1.0 parts 2.2 and 2.3).

use bytes::{BufMut, BytesMut};

/// Size of the fixed part of a frame, in bytes.
pub const HEADER_LEN: usize = 8;

/// The smallest maximum frame size a peer may ask for, in bytes (part 2.7.1). Before open no frame may be larger.
pub const MIN_MAX_FRAME_SIZE: u32 = 512;

/// Size of a protocol header, in bytes.
pub const PROTOCOL_HEADER_LEN: usize = 8;

/// What is inside a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A performative, or nothing.
    #[default]
    Amqp = 0,
    /// A step of the security layer.
    Sasl = 1,
}

/// Bytes that are no frame, or no protocol header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame smaller than its own header.
    #[error("frame of {0} bytes is smaller than its header")]
    TooSmall(u32),
    /// A frame larger than allowed.
    #[error("frame of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size of the frame in bytes.
        size: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// A data offset inside of the header or beyond the frame.
    #[error("frame data offset of {0} words is out of bounds")]
    DataOffset(u8),
    /// A frame type that is neither AMQP nor SASL.
    #[error("unknown frame type {0}")]
    UnknownKind(u8),
    /// Something other than an AMQP protocol header.
    #[error("not an AMQP protocol header")]
    NotAmqp,
}

/// The fixed part of a frame.
///
/// ```
/// use eventhubs_amqp::codec::frame::{Header, Kind};
///
/// let header = Header::decode(&[0, 0, 0, 8, 2, 0, 0, 3]).unwrap().unwrap();
/// assert_eq!(header, Header { size: 8, doff: 2, kind: Kind::Amqp, channel: 3 });
/// assert_eq!(header.body_start(), 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Size of the whole frame in bytes, this header included.
    pub size: u32,
    /// Where the body starts, in words of four bytes.
    pub doff: u8,
    /// What the body is.
    pub kind: Kind,
    /// The channel. Without meaning in a SASL frame.
    pub channel: u16,
}

impl Header {
    /// Reads the header `buf` begins with; `None` when it is not yet there in whole.
    ///
    /// The frame's maximum size is the caller's to check, with [`within`](Self::within).
    ///
    /// # Errors
    ///
    /// When the size is less than the header's, the data offset does not lie in the frame, or the type is unknown.
    #[inline]
    pub fn decode(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&[a, b, c, d, doff, kind, e, f]) = buf.first_chunk() else {
            return Ok(None);
        };
        let size = u32::from_be_bytes([a, b, c, d]);
        if size < 8 {
            return Err(FrameError::TooSmall(size));
        }
        if doff < 2 || u32::from(doff) * 4 > size {
            return Err(FrameError::DataOffset(doff));
        }
        let kind = match kind {
            0 => Kind::Amqp,
            1 => Kind::Sasl,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        };
        Ok(Some(Self { size, doff, kind, channel: u16::from_be_bytes([e, f]) }))
    }

    /// Checks the size against the largest frame that is taken.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLarge`].
    #[inline]
    pub fn within(&self, limit: u32) -> Result<(), FrameError> {
        if self.size <= limit {
            Ok(())
        } else {
            Err(FrameError::TooLarge { size: self.size, limit })
        }
    }

    /// Where the body starts, in bytes from the start of the frame.
    #[must_use]
    #[inline]
    pub fn body_start(&self) -> usize {
        usize::from(self.doff) * 4
    }
}

/// Appends a frame whose body `body` appends, and fills its size in.
///
/// ```
/// use bytes::BytesMut;
/// use eventhubs_amqp::codec::frame::{self, Kind};
///
/// let mut out = BytesMut::new();
/// frame::write(&mut out, Kind::Amqp, 1, |_| ());
/// assert_eq!(&out[..], [0, 0, 0, 8, 2, 0, 0, 1]);
/// ```
pub fn write<T>(
    out: &mut BytesMut,
    kind: Kind,
    channel: u16,
    body: impl FnOnce(&mut BytesMut) -> T,
) -> T {
    let start = out.len();
    let [a, b] = channel.to_be_bytes();
    out.put_slice(&[0, 0, 0, 0, 2, kind as u8, a, b]);
    let result = body(out);
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    result
}

/// The eight bytes each side of a layer begins with (part 2.2).
///
/// ```
/// use eventhubs_amqp::codec::frame::ProtocolHeader;
///
/// assert_eq!(ProtocolHeader::SASL.encode(), *b"AMQP\x03\x01\x00\x00");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolHeader {
    /// The layer: 0 AMQP, 2 TLS, 3 SASL.
    pub id: u8,
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Revision.
    pub revision: u8,
}

impl ProtocolHeader {
    /// AMQP 1.0.0 itself.
    pub const AMQP: Self = Self::version_1(0);
    /// The TLS layer.
    pub const TLS: Self = Self::version_1(2);
    /// The SASL layer.
    pub const SASL: Self = Self::version_1(3);

    const fn version_1(id: u8) -> Self {
        Self { id, major: 1, minor: 0, revision: 0 }
    }

    /// Reads the header `buf` begins with; `None` when it is not yet there in whole.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotAmqp`], as soon as the bytes there are can no longer become one.
    pub fn decode(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        if buf.iter().zip(b"AMQP").any(|(is, must)| is != must) {
            return Err(FrameError::NotAmqp);
        }
        Ok(buf.first_chunk().map(|&[_, _, _, _, id, major, minor, revision]| Self {
            id,
            major,
            minor,
            revision,
        }))
    }

    /// The header as it is sent.
    #[must_use]
    pub const fn encode(&self) -> [u8; PROTOCOL_HEADER_LEN] {
        [b'A', b'M', b'Q', b'P', self.id, self.major, self.minor, self.revision]
    }
}
