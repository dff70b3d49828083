//! Where frames begin and end in a stream of bytes, however the stream is cut.
//!
//! The walker jumps from size to size and looks no deeper than a frame's performative, except for
//! the few kinds of frame that it is asked to keep. It never fails: bytes that cannot be frames
//! make it lose its way, and from then on no frame is seen any more.

use crate::fault::Performative;

/// Fixed part of a frame, and length of a protocol header, in bytes.
pub(super) const HEADER: usize = 8;

/// What a protocol header begins with.
const PROTOCOL: [u8; 4] = *b"AMQP";
/// Longest symbolic name of a performative that is looked at, in bytes.
const NAME_MAX: usize = 32;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum FrameKind {
    /// Not a frame: the eight bytes that a layer begins with.
    ProtocolHeader,
    /// A step of the security layer.
    Sasl,
    /// Without a body: a sign of life.
    Empty,
    Open,
    Begin,
    Attach,
    Flow,
    Transfer,
    Disposition,
    Detach,
    End,
    Close,
    /// Anything else.
    Unknown,
}

impl FrameKind {
    /// By the number of the performative.
    fn by_code(code: u64) -> Self {
        match code {
            0x10 => Self::Open,
            0x11 => Self::Begin,
            0x12 => Self::Attach,
            0x13 => Self::Flow,
            0x14 => Self::Transfer,
            0x15 => Self::Disposition,
            0x16 => Self::Detach,
            0x17 => Self::End,
            0x18 => Self::Close,
            _ => Self::Unknown,
        }
    }

    fn by_name(name: &[u8]) -> Self {
        match name {
            b"amqp:open:list" => Self::Open,
            b"amqp:begin:list" => Self::Begin,
            b"amqp:attach:list" => Self::Attach,
            b"amqp:flow:list" => Self::Flow,
            b"amqp:transfer:list" => Self::Transfer,
            b"amqp:disposition:list" => Self::Disposition,
            b"amqp:detach:list" => Self::Detach,
            b"amqp:end:list" => Self::End,
            b"amqp:close:list" => Self::Close,
            _ => Self::Unknown,
        }
    }

    /// Whether it counts as a frame.
    pub(crate) fn is_frame(self) -> bool {
        self != Self::ProtocolHeader
    }
}

impl From<Performative> for FrameKind {
    fn from(performative: Performative) -> Self {
        match performative {
            Performative::Open => Self::Open,
            Performative::Begin => Self::Begin,
            Performative::Attach => Self::Attach,
            Performative::Flow => Self::Flow,
            Performative::Transfer => Self::Transfer,
            Performative::Disposition => Self::Disposition,
            Performative::Detach => Self::Detach,
            Performative::End => Self::End,
            Performative::Close => Self::Close,
            Performative::Empty => Self::Empty,
        }
    }
}

/// A frame that has gone by whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) kind: FrameKind,
    pub(crate) channel: u16,
    /// Bytes of the frame, header included.
    pub(crate) size: u32,
}

/// What the first bytes of a frame say.
enum Head {
    /// All that is looked for.
    Known(Passed),
    /// More bytes than there are; the frame has at least so many.
    Needs(usize),
    /// These bytes begin no frame.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a frame, or in its head.
    Head,
    /// In a frame, so many bytes before its end.
    Body(Passed, usize),
    /// Bytes that cannot be frames went by.
    Lost,
}

/// Follows one direction of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Walker {
    state: State,
    /// First bytes of the frame under way: its head when that comes in pieces, and as many as
    /// `keeps` says of its kind. Still there when the frame has ended.
    kept: Vec<u8>,
    /// What is kept is of a frame that has ended.
    ended: bool,
    /// The kinds of frame of which to keep so many bytes.
    keeps: &'static [(FrameKind, usize)],
}

impl Walker {
    /// At the beginning of a connection; keeps so many bytes of frames of these kinds.
    pub(crate) fn keeping(keeps: &'static [(FrameKind, usize)]) -> Self {
        Self { state: State::Head, kept: Vec::new(), ended: false, keeps }
    }

    /// Goes over `bytes` up to the end of the frame under way. Returns how many bytes that was
    /// and the frame that has ended, if one has.
    #[inline]
    pub(crate) fn step(&mut self, bytes: &[u8]) -> (usize, Option<Passed>) {
        let used = match self.state {
            State::Head => self.enter(bytes),
            State::Body(..) => 0,
            State::Lost => bytes.len(),
        };
        let State::Body(passed, left) = self.state else {
            return (bytes.len(), None);
        };
        let taken = left.min(bytes.len() - used);
        if let Some((_, most)) = self.keeps.iter().find(|(kind, _)| *kind == passed.kind) {
            let room = most.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&bytes[used..used + taken.min(room)]);
        }
        if taken < left {
            self.state = State::Body(passed, left - taken);
            return (used + taken, None);
        }
        self.state = State::Head;
        self.ended = true;
        (used + taken, Some(passed))
    }

    /// Reads the head of the next frame; returns how many of `bytes` had to be kept for it.
    #[inline]
    fn enter(&mut self, bytes: &[u8]) -> usize {
        if self.ended && !bytes.is_empty() {
            self.kept.clear();
            self.ended = false;
        }
        if self.kept.is_empty() {
            match head(bytes) {
                Head::Known(passed) => {
                    self.state = State::Body(passed, passed.size as usize);
                    return 0;
                }
                Head::Needs(_) => {}
                Head::Lost => {
                    self.state = State::Lost;
                    return 0;
                }
            }
        }
        self.collect(bytes)
    }

    /// Goes on with a head that comes in pieces.
    fn collect(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            match head(&self.kept) {
                Head::Known(passed) => {
                    let left = (passed.size as usize).saturating_sub(self.kept.len());
                    self.state = State::Body(passed, left);
                    return used;
                }
                Head::Needs(needed) => {
                    let missing = needed.saturating_sub(self.kept.len());
                    let taken = missing.min(bytes.len() - used);
                    if taken == 0 {
                        return used;
                    }
                    self.kept.extend_from_slice(&bytes[used..used + taken]);
                    used += taken;
                }
                Head::Lost => {
                    self.state = State::Lost;
                    return used;
                }
            }
        }
    }

    /// The first bytes of the frame that has just ended, when its kind is kept.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether the next byte begins a frame. Once the way is lost, any byte may.
    pub(crate) fn is_between(&self) -> bool {
        match self.state {
            State::Head => self.ended || self.kept.is_empty(),
            State::Body(..) => false,
            State::Lost => true,
        }
    }

    /// Whether bytes went by that cannot be frames.
    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// How many bytes can follow that do not go beyond the frame under way; at least one.
    pub(crate) fn certain(&self) -> usize {
        match self.state {
            State::Body(_, left) => left.max(1),
            State::Lost => usize::MAX,
            State::Head if self.ended => HEADER,
            State::Head => match head(&self.kept) {
                Head::Needs(needed) => needed.saturating_sub(self.kept.len()).max(1),
                Head::Known(_) | Head::Lost => 1,
            },
        }
    }
}

/// Reads what `bytes` say about the frame that they begin.
#[inline]
fn head(bytes: &[u8]) -> Head {
    let Some(&[a, b, c, d, doff, layer, e, f]) = bytes.first_chunk() else {
        return Head::Needs(HEADER);
    };
    let known =
        |kind, size| Head::Known(Passed { kind, channel: u16::from_be_bytes([e, f]), size });
    if [a, b, c, d] == PROTOCOL {
        return known(FrameKind::ProtocolHeader, HEADER as u32);
    }
    let size = u32::from_be_bytes([a, b, c, d]);
    let (body, end) = (usize::from(doff) * 4, size as usize);
    match layer {
        _ if end < HEADER => Head::Lost,
        _ if body < HEADER || body > end => known(FrameKind::Unknown, size),
        1 => known(FrameKind::Sasl, size),
        0 if body == end => known(FrameKind::Empty, size),
        0 => match performative(bytes.get(body..).unwrap_or_default(), end - body) {
            Ok(kind) => known(kind, size),
            Err(needed) => Head::Needs(body + needed),
        },
        _ => known(FrameKind::Unknown, size),
    }
}

/// The kind of the performative that begins with `body`, of which there will be `len` bytes, or
/// how many bytes of it are needed to tell.
#[inline]
fn performative(body: &[u8], len: usize) -> Result<FrameKind, usize> {
    match *body {
        [0x00, 0x53, code, ..] => Ok(FrameKind::by_code(code.into())),
        [0x00, 0x80, a, b, c, d, e, f, g, h, ..] => {
            Ok(FrameKind::by_code(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
        }
        _ if len < 3 => Ok(FrameKind::Unknown),
        _ if body.len() < 3 => Err(3),
        [0x00, 0x80, ..] if len >= 10 => Err(10),
        [0x00, 0xa3, size, ref name @ ..] if usize::from(size) <= NAME_MAX => {
            let size = usize::from(size);
            match name.get(..size) {
                Some(name) => Ok(FrameKind::by_name(name)),
                None if len < 3 + size => Ok(FrameKind::Unknown),
                None => Err(3 + size),
            }
        }
        _ => Ok(FrameKind::Unknown),
    }
}

#[cfg(test)]
mod tests;
