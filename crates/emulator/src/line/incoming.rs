//! The way in: frames on their way to the engine, counted, and held back where a trip says so.
//!
//! Knows no stream and no clock.

use bytes::{Buf, BytesMut};

use super::fields::fields;
use super::frames::{FrameKind, Passed, Walker};
use super::verdict::Fate;

/// Of an open: container, host name and max-frame-size.
const KEPT: &[(FrameKind, usize)] = &[(FrameKind::Open, 4096)];
/// Frames larger than this come in unexamined.
const EXAMINED_MAX: usize = 1 << 20;

/// The way in of one line.
#[derive(Debug)]
pub(super) struct Incoming {
    walker: Walker,
    /// The frame under way, while frames are examined.
    frame: BytesMut,
    /// The frame under way is not examined.
    through: bool,
    /// The kind of the frame that stands still until its trip was heard.
    held: Option<FrameKind>,
    /// Bytes that the engine may have.
    ready: BytesMut,
    /// The peer's max-frame-size, when its open has come by since it was last taken.
    pub(super) max_frame_size: Option<u32>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            walker: Walker::keeping(KEPT),
            frame: BytesMut::new(),
            through: false,
            held: None,
            ready: BytesMut::new(),
            max_frame_size: None,
        }
    }
}

impl Incoming {
    /// Whether the stream's bytes can go to the engine as they are.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.ready.is_empty() && self.frame.is_empty()
    }

    /// Takes note of bytes that go to the engine as they are; returns the frames in them.
    #[inline]
    pub(super) fn passed(&mut self, mut bytes: &[u8]) -> u64 {
        let mut frames = 0;
        self.through = true;
        while !bytes.is_empty() {
            let (used, passed) = self.walker.step(bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            frames += self.count(passed);
        }
        frames
    }

    #[inline]
    fn count(&mut self, passed: Option<Passed>) -> u64 {
        let Some(passed) = passed else {
            return 0;
        };
        if passed.kind == FrameKind::Open {
            // Without one there is no limit.
            let field = fields(self.walker.kept()).nth(2);
            self.max_frame_size = Some(field.and_then(|size| size.uint()).unwrap_or(u32::MAX));
        }
        u64::from(passed.kind.is_frame())
    }

    /// Bytes that can be read without going beyond the frame under way.
    pub(super) fn certain(&self) -> usize {
        self.walker.certain()
    }

    /// Takes bytes from the stream, no more than were certain, while frames of these kinds stop
    /// before the engine sees them. Returns the frames that the engine may have.
    pub(super) fn take(&mut self, bytes: &[u8], kinds: &[FrameKind]) -> u64 {
        let (mut frames, mut rest) = (0, bytes);
        while !rest.is_empty() {
            if self.walker.is_between() {
                self.through = self.walker.is_lost() || kinds.is_empty();
            }
            let (used, passed) = self.walker.step(rest);
            let (taken, behind) = rest.split_at(used);
            rest = behind;
            self.frame.extend_from_slice(taken);
            let count = self.count(passed);
            let stops = passed.filter(|passed| kinds.contains(&passed.kind));
            if let Some(passed) = stops
                && !self.through
                && rest.is_empty()
            {
                self.held = Some(passed.kind);
                return frames;
            }
            frames += count;
            let too_large = self.frame.len() > EXAMINED_MAX || self.walker.is_lost();
            self.through |= too_large;
            if passed.is_some() || self.through {
                self.ready.extend_from_slice(&self.frame.split());
            }
        }
        frames
    }

    /// The kind of the frame that stands still.
    pub(super) fn held(&self) -> Option<FrameKind> {
        self.held
    }

    /// Goes on after a stop; returns the frames that the engine may now have.
    pub(super) fn resume(&mut self, fate: Fate) -> u64 {
        if self.held.take().is_none() {
            return 0;
        }
        let frame = self.frame.split();
        for _ in 0..fate.copies {
            self.ready.extend_from_slice(&frame);
        }
        fate.copies.into()
    }

    /// Gives up examining what is incomplete: no more is to come, or it is no longer wanted.
    pub(super) fn release(&mut self) {
        if self.held.is_none() {
            self.through = true;
            let frame = self.frame.split();
            self.ready.extend_from_slice(&frame);
        }
    }

    /// The bytes that the engine may have.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// The engine has so many of them.
    pub(super) fn gave(&mut self, count: usize) {
        self.ready.advance(count.min(self.ready.len()));
    }
}
