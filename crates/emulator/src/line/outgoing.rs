//! The way out: frames taken from the engine, changed, held back and put in line for the stream.
//!
//! Knows no stream and no clock; the line asks it what to write and tells it the time.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use super::bad_frame::{BadFrame, Scene};
use super::craft;
use super::frames::{FrameKind, Passed, Walker};
use super::links::{self, Links};
use super::shape::Shape;
use super::verdict::Fate;

/// Bytes on their way at a time when they are late or held back; beyond that the engine has to
/// wait, as on a full network.
pub(super) const IN_FLIGHT_MAX: usize = 4 << 20;
/// Bytes that wait for bandwidth, or to be examined, at a time: as much as a socket would take.
pub(super) const WAITING_MAX: usize = 64 << 10;
/// Frames larger than this go out unexamined.
const EXAMINED_MAX: usize = 1 << 20;
/// Bad frames that may wait for a boundary.
const BAD_FRAMES_MAX: usize = 1024;
/// Longer delays are this long: longer than anybody waits, and no time overflows.
const DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// DOFF of an extended header: eight bytes more than usual.
const EXTENDED_DOFF: u8 = 4;
/// Max-frame-size of a peer whose open has not been seen.
const UNKNOWN_MAX_FRAME_SIZE: u32 = 512;

#[derive(Debug)]
struct Piece {
    due: Instant,
    bytes: Bytes,
}

/// Where the end of the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody has asked for it.
    Open,
    /// At the next boundary.
    Asked,
    /// In the middle of the next frame.
    AskedWithin,
    /// Behind what is queued. What the engine writes goes nowhere.
    Reached,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Write at most so many bytes of [`Outgoing::front`].
    Write(usize),
    /// Nothing before then.
    Wait(Instant),
    /// Everything is out.
    Idle,
    /// Everything is out, and the stream ends.
    End,
}

/// Stops for the line's trips.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Stops<'a> {
    /// Bytes that may be taken before the next stop.
    pub(super) bytes: Option<u64>,
    /// Frames that may be taken before the next stop.
    pub(super) frames: Option<u64>,
    /// Kinds of frames that stop before they go.
    pub(super) kinds: &'a [FrameKind],
}

impl Stops<'_> {
    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.bytes.is_none() && self.frames.is_none() && self.kinds.is_empty()
    }
}

/// What has been taken from the engine by one call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) bytes: usize,
    pub(super) frames: u64,
}

/// The way out of one line.
#[derive(Debug)]
pub(super) struct Outgoing {
    walker: Walker,
    links: Links,
    /// The frame under way, when frames are examined and it was whole from its first byte.
    frame: BytesMut,
    /// The frame under way is not examined.
    through: bool,
    /// A frame that stands still until its trip was heard.
    held: Option<(Bytes, Passed)>,
    /// What becomes of it.
    fate: Fate,
    stopped: bool,
    /// Bytes taken by this call that become one piece.
    stage: BytesMut,
    queue: VecDeque<Piece>,
    queued: usize,
    /// When the last piece of the queue is due.
    last_due: Option<Instant>,
    bad: VecDeque<(BadFrame, u64)>,
    end: End,
    /// The largest frame that the peer takes.
    pub(super) max_frame_size: u32,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            walker: Walker::keeping(links::KEPT),
            links: Links::default(),
            frame: BytesMut::new(),
            through: false,
            held: None,
            fate: Fate::default(),
            stopped: false,
            stage: BytesMut::new(),
            queue: VecDeque::new(),
            queued: 0,
            last_due: None,
            bad: VecDeque::new(),
            end: End::Open,
            max_frame_size: UNKNOWN_MAX_FRAME_SIZE,
        }
    }
}

impl Outgoing {
    /// Whether the engine's bytes can go to the stream as they are.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.queue.is_empty()
            && self.bad.is_empty()
            && self.end == End::Open
            && self.frame.is_empty()
            && self.held.is_none()
            && !self.stopped
    }

    /// Takes note of bytes that the stream has taken as they are; returns the frames in them.
    #[inline]
    pub(super) fn passed(&mut self, slices: &[IoSlice<'_>], mut count: usize) -> u64 {
        let mut frames = 0;
        self.through = true;
        for slice in slices {
            let mut rest = slice.get(..count).unwrap_or(slice);
            count -= rest.len();
            while !rest.is_empty() {
                let (used, passed) = self.walker.step(rest);
                rest = rest.get(used..).unwrap_or_default();
                if let Some(passed) = passed {
                    self.links.note(passed, self.walker.kept());
                    frames += u64::from(passed.kind.is_frame());
                }
            }
        }
        frames
    }

    /// Takes bytes from the engine, as many as there is room for.
    pub(super) fn take(
        &mut self,
        slices: &[IoSlice<'_>],
        shape: &mut Shape,
        stops: &Stops<'_>,
        now: Instant,
    ) -> Taken {
        let mut taken = Taken::default();
        for slice in slices {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                let limit = self.limit(shape, stops, &taken, rest.len(), now);
                if limit == 0 {
                    self.queue_stage(shape, now);
                    return taken;
                }
                if self.end == End::Reached {
                    taken.bytes += rest.len();
                    break;
                }
                let is_first = self.walker.is_between();
                let (used, passed) = self.walker.step(&rest[..limit]);
                if is_first {
                    self.through = !self.examines(shape, stops);
                }
                self.keep(&rest[..used]);
                if self.walker.is_lost() {
                    self.release_frame();
                }
                rest = &rest[used..];
                taken.bytes += used;
                if let Some(passed) = passed {
                    taken.frames += u64::from(passed.kind.is_frame());
                    self.finish_frame(passed, shape, stops, now);
                    self.stopped |= stops.frames.is_some_and(|most| taken.frames >= most);
                }
                self.stopped |= stops.bytes.is_some_and(|most| taken.bytes as u64 >= most);
                if self.stopped && self.held.is_none() {
                    // What is in hand has to be out before the line stands still.
                    self.release_frame();
                }
            }
        }
        self.queue_stage(shape, now);
        taken
    }

    /// How many of `len` bytes to take next.
    fn limit(
        &mut self,
        shape: &mut Shape,
        stops: &Stops<'_>,
        taken: &Taken,
        len: usize,
        now: Instant,
    ) -> usize {
        if self.stopped {
            return 0;
        }
        if self.walker.is_between() {
            self.act_at_boundary(shape, now);
        }
        if self.end == End::Reached {
            return len;
        }
        if self.walker.is_between() && !self.bad.is_empty() {
            return 0;
        }
        let room = self.room(shape).saturating_sub(self.queued + self.stage.len());
        let stop = stops.bytes.map_or(u64::MAX, |most| most.saturating_sub(taken.bytes as u64));
        len.min(room).min(usize::try_from(stop).unwrap_or(usize::MAX))
    }

    /// Bytes that may be queued.
    fn room(&self, shape: &Shape) -> usize {
        let late = !shape.latency.is_zero() || shape.jitter.is_some();
        match &shape.bucket_out {
            _ if shape.silence_out => IN_FLIGHT_MAX,
            Some(bucket) => {
                // What fills the way at that rate, and what waits before it.
                let on_the_way = u128::from(bucket.rate()) * shape.latency.as_millis() / 1000;
                let on_the_way = usize::try_from(on_the_way).unwrap_or(usize::MAX);
                on_the_way.saturating_add(WAITING_MAX).min(IN_FLIGHT_MAX)
            }
            None if late => IN_FLIGHT_MAX,
            None => WAITING_MAX,
        }
    }

    fn examines(&self, shape: &Shape, stops: &Stops<'_>) -> bool {
        shape.extended || !stops.kinds.is_empty() || self.end == End::AskedWithin
    }

    /// Keeps bytes of the frame under way until it is whole, or sends them on.
    fn keep(&mut self, bytes: &[u8]) {
        if self.through {
            return self.stage.extend_from_slice(bytes);
        }
        self.frame.extend_from_slice(bytes);
        if self.frame.len() > EXAMINED_MAX {
            self.release_frame();
        }
    }

    /// Sends on what there is of a frame; the rest of it is not examined.
    fn release_frame(&mut self) {
        self.through = true;
        self.stage.extend_from_slice(&self.frame.split());
    }

    /// The frame under way is whole.
    fn finish_frame(&mut self, passed: Passed, shape: &mut Shape, stops: &Stops<'_>, now: Instant) {
        self.links.note(passed, self.walker.kept());
        if self.through {
            return;
        }
        self.held = Some((self.frame.split().freeze(), passed));
        match self.end == End::Open && stops.kinds.contains(&passed.kind) {
            true => self.stopped = true,
            false => self.release_held(shape, now),
        }
    }

    /// Sends the frame on that is in hand, or half of it.
    fn release_held(&mut self, shape: &mut Shape, now: Instant) {
        let Some((frame, passed)) = self.held.take() else {
            return;
        };
        match self.end {
            End::Open | End::Asked => self.examine(&frame, passed, shape, now),
            End::AskedWithin => self.end_behind(&frame[..frame.len() / 2], shape, now),
            End::Reached => {}
        }
    }

    /// The last bytes there will be.
    fn end_behind(&mut self, bytes: &[u8], shape: &mut Shape, now: Instant) {
        self.stage.extend_from_slice(bytes);
        self.queue_stage(shape, now);
        self.end = End::Reached;
    }

    /// Puts a frame in line, with an extended header if need be.
    fn examine(&mut self, frame: &[u8], passed: Passed, shape: &mut Shape, now: Instant) {
        let Fate { copies, delay } = std::mem::take(&mut self.fate);
        if copies == 0 {
            return;
        }
        if !delay.is_zero() {
            self.queue_stage(shape, now);
            let due = later(now, delay);
            self.last_due = Some(self.last_due.map_or(due, |last| last.max(due)));
        }
        let extended = shape.extended && passed.kind != FrameKind::ProtocolHeader;
        for _ in 0..copies {
            match extended.then(|| extended_header(frame, self.max_frame_size)).flatten() {
                Some(header) => {
                    self.stage.extend_from_slice(&header);
                    self.stage.extend_from_slice(&frame[8..]);
                }
                None => self.stage.extend_from_slice(frame),
            }
        }
    }

    /// Makes a piece of what this call has taken so far.
    fn queue_stage(&mut self, shape: &mut Shape, now: Instant) {
        if !self.stage.is_empty() {
            let bytes = self.stage.split().freeze();
            let jitter = shape.jitter.as_mut().map_or(Duration::ZERO, |jitter| jitter.delay());
            self.push(bytes, later(now, shape.latency.saturating_add(jitter)));
        }
    }

    fn push(&mut self, bytes: Bytes, due: Instant) {
        let due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        self.queued += bytes.len();
        self.queue.push_back(Piece { due, bytes });
    }

    /// Bad frames and the end of the stream have their place between two frames. The frame that
    /// was held begins behind them.
    fn act_at_boundary(&mut self, shape: &mut Shape, now: Instant) {
        if self.bad.is_empty() && self.end != End::Asked && self.held.is_none() {
            return;
        }
        self.queue_stage(shape, now);
        while self.end != End::Reached
            && self.queued < WAITING_MAX
            && let Some((bad, index)) = self.bad.front_mut()
        {
            let mut scene = Scene { links: &mut self.links, max_frame_size: self.max_frame_size };
            match bad.part(*index, &mut scene) {
                Some(bytes) => {
                    *index += 1;
                    self.stage.extend_from_slice(&bytes);
                    self.queue_stage(shape, now);
                }
                None => {
                    self.bad.pop_front();
                }
            }
        }
        if self.bad.is_empty() {
            if self.end == End::Asked {
                self.end = End::Reached;
            }
            self.release_held(shape, now);
        }
    }

    /// Has bad frames written at the next boundary. Too many are left out.
    pub(super) fn write(&mut self, frames: Vec<BadFrame>) {
        let room = BAD_FRAMES_MAX.saturating_sub(self.bad.len());
        self.bad.extend(frames.into_iter().take(room).map(|frame| (frame, 0)));
    }

    /// Ends the stream at the next boundary.
    pub(super) fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::Asked;
        }
    }

    /// Ends the stream within a frame: the one that is under way, or the next.
    pub(super) fn end_within(&mut self) {
        match self.end {
            End::Reached => {}
            _ if self.walker.is_between() => self.end = End::AskedWithin,
            _ => {
                self.release_frame();
                self.end = End::Reached;
            }
        }
    }

    /// Does what does not need the engine to write anything. With `alone`, it will not write
    /// anything for now.
    pub(super) fn settle(&mut self, shape: &mut Shape, alone: bool, now: Instant) {
        if self.stopped || !self.walker.is_between() {
            return self.queue_stage(shape, now);
        }
        self.act_at_boundary(shape, now);
        self.queue_stage(shape, now);
        if alone && self.end == End::AskedWithin && self.bad.is_empty() {
            let frame = craft::frame(0, &[0; 56]);
            self.end_behind(&frame[..frame.len() / 2], shape, now);
        }
    }

    /// Goes on after a stop; this becomes of the frame that was held.
    pub(super) fn resume(&mut self, fate: Fate) {
        self.stopped = false;
        if self.held.is_some() {
            self.fate = fate;
        }
    }

    /// What the line has to do next.
    pub(super) fn next(&mut self, shape: &mut Shape, now: Instant) -> Next {
        let Some(piece) = self.queue.front() else {
            return match self.end {
                End::Reached => Next::End,
                _ => Next::Idle,
            };
        };
        if piece.due > now {
            return Next::Wait(piece.due);
        }
        let mut most = shape.chunk.unwrap_or(usize::MAX).min(piece.bytes.len());
        if let Some(bucket) = &mut shape.bucket_out {
            most = most.min(bucket.available(now));
            if most == 0 {
                return Next::Wait(bucket.ready_at(self.queued));
            }
        }
        Next::Write(most)
    }

    /// The bytes that are next in line.
    pub(super) fn front(&self) -> &[u8] {
        self.queue.front().map(|piece| &piece.bytes[..]).unwrap_or_default()
    }

    /// The stream has taken so many of them.
    pub(super) fn wrote(&mut self, count: usize, shape: &mut Shape) {
        if let Some(bucket) = &mut shape.bucket_out {
            bucket.take(count);
        }
        if let Some(piece) = self.queue.front_mut() {
            let count = count.min(piece.bytes.len());
            piece.bytes.advance(count);
            self.queued -= count;
            if piece.bytes.is_empty() {
                self.queue.pop_front();
            }
        }
        if self.queue.is_empty() {
            self.last_due = None;
        }
    }

    /// Whether a stop was reached: nothing more is taken before [`resume`](Self::resume).
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The kind of the frame that stands still.
    pub(super) fn held(&self) -> Option<FrameKind> {
        self.held.as_ref().map(|(_, passed)| passed.kind)
    }

    /// The engine writes no more.
    pub(super) fn finish(&mut self) {
        self.release_frame();
        self.bad.clear();
        self.held = None;
        self.stopped = false;
        self.end = End::Reached;
    }

    /// Whether nothing waits for the stream.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.stage.is_empty()
    }
}

/// `now` and `delay`, which may be anything.
fn later(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay.min(DELAY_MAX)).unwrap_or(now)
}

/// Bytes that an extended header is longer.
const EXTENSION: usize = (EXTENDED_DOFF as usize - 2) * 4;

/// The header of `frame` with a larger data offset; `None` when the peer would not take the frame
/// then, or it has such a header.
fn extended_header(frame: &[u8], max_frame_size: u32) -> Option<[u8; 8 + EXTENSION]> {
    let &[a, b, c, d, 2, layer, e, f] = frame.first_chunk()? else {
        return None;
    };
    let size = u32::from_be_bytes([a, b, c, d]).checked_add(EXTENSION as u32)?;
    let [a, b, c, d] = (size <= max_frame_size).then_some(size)?.to_be_bytes();
    let mut header = [0; 8 + EXTENSION];
    header[..8].copy_from_slice(&[a, b, c, d, EXTENDED_DOFF, layer, e, f]);
    Some(header)
}
