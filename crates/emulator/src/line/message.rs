//! Messages for bad frames: cut into transfers, made as they go out.

use super::bad_frame::Scene;
use super::craft::{self, NULL, code};

/// Bytes of a transfer frame besides its payload, at most.
const TRANSFER_HEAD: u64 = 96;
/// Bytes of a message that is aborted.
const ABORTED_BYTES: u64 = 100;

/// What is written on a link: one message, or the same message several times.
#[derive(Debug)]
pub(super) struct Message<'a> {
    payload: Payload<'a>,
    times: u64,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum Payload<'a> {
    Bytes(&'a [u8]),
    /// A message with a body of so many zeros.
    Filler(u64),
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// With a transfer that takes all back.
    Aborted,
    /// Not at all.
    Missing,
}

impl<'a> Message<'a> {
    pub(super) fn whole(bytes: &'a [u8], times: u64) -> Self {
        Self { payload: Payload::Bytes(bytes), times, end: End::Whole }
    }

    pub(super) fn filler(body: u64, times: u64) -> Self {
        Self { payload: Payload::Filler(body), times, end: End::Whole }
    }

    pub(super) fn aborted() -> Self {
        Self { payload: Payload::Filler(ABORTED_BYTES), times: 1, end: End::Aborted }
    }

    pub(super) fn unfinished(body: u64) -> Self {
        Self { payload: Payload::Filler(body), times: 1, end: End::Missing }
    }

    /// Transfer frame number `index` of all that are needed; `None` behind the last one.
    pub(super) fn part(
        &self,
        index: u64,
        link: Option<&str>,
        scene: &mut Scene<'_>,
    ) -> Option<Vec<u8>> {
        let room = u64::from(scene.frame_max()) - TRANSFER_HEAD;
        let filled = self.payload.len().div_ceil(room).max(1);
        let frames = filled + u64::from(self.end == End::Aborted);
        if index / frames >= self.times {
            return None;
        }
        let nth = index % frames;
        let (channel, handle) = scene.link(link);
        let id = (nth == 0).then(|| scene.links.next_delivery(channel));
        let last = nth + 1 == frames;
        let more = !last || self.end == End::Missing;
        let aborted = last && self.end == End::Aborted;
        let body = [
            transfer(handle, id, more, aborted),
            self.payload.slice(nth.saturating_mul(room), room),
        ];
        Some(craft::frame(channel, &body.concat()))
    }
}

impl Payload<'_> {
    fn len(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Filler(body) => body.saturating_add(filler_head(body).len() as u64),
        }
    }

    /// At most `len` bytes from `start` on.
    fn slice(self, start: u64, len: u64) -> Vec<u8> {
        let end = start.saturating_add(len).min(self.len());
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        match self {
            Self::Bytes(bytes) => bytes.iter().skip(start).take(len).copied().collect(),
            Self::Filler(body) => {
                let mut slice: Vec<u8> =
                    filler_head(body).iter().skip(start).take(len).copied().collect();
                slice.resize(len, 0);
                slice
            }
        }
    }
}

/// The beginning of a data section of so many bytes.
fn filler_head(body: u64) -> [u8; 8] {
    let [a, b, c, d] = u32::try_from(body).unwrap_or(u32::MAX).to_be_bytes();
    [0x00, 0x53, code::DATA, 0xb0, a, b, c, d]
}

/// The performative of a settled transfer; only the first of a delivery has an id.
fn transfer(handle: u32, id: Option<u32>, more: bool, aborted: bool) -> Vec<u8> {
    let (number, tag, format) = match id {
        Some(id) => (craft::uint(id), craft::binary(&id.to_be_bytes()), craft::uint(0)),
        None => (NULL.to_vec(), NULL.to_vec(), NULL.to_vec()),
    };
    let fields: [&[u8]; 10] = [
        &craft::uint(handle),
        &number,
        &tag,
        &format,
        &craft::boolean(true),
        &craft::boolean(more),
        &NULL,
        &NULL,
        &NULL,
        &craft::boolean(aborted),
    ];
    craft::composite(code::TRANSFER, &fields)
}
