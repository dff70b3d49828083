//! The trips of a line: which are set, and which have been reached.

use super::control::{Counts, Trip, Way};
use super::frames::FrameKind;
use super::outgoing::Stops;

/// Trips set at a time; more are left out.
const TRIPS_MAX: usize = 1024;

/// The trips that are set.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// With the count at which they ring.
    counted: Vec<(u64, Meter, u64)>,
    kinds_in: Kinds,
    kinds_out: Kinds,
}

/// What the trips were about that have been reached.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Reached {
    /// The way out.
    pub(super) out: bool,
    /// Bytes on the way in.
    pub(super) bytes_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meter {
    FramesIn,
    FramesOut,
    BytesIn,
    BytesOut,
}

impl Meter {
    fn read(self, counts: &Counts) -> u64 {
        match self {
            Self::FramesIn => counts.frames_in,
            Self::FramesOut => counts.frames_out,
            Self::BytesIn => counts.bytes_in,
            Self::BytesOut => counts.bytes_out,
        }
    }
}

#[derive(Debug, Default)]
struct Kinds {
    keys: Vec<u64>,
    /// In the same order.
    kinds: Vec<FrameKind>,
}

impl Kinds {
    fn keys(&self, kind: FrameKind) -> impl Iterator<Item = u64> {
        let pairs = self.keys.iter().zip(&self.kinds);
        pairs.filter(move |(_, other)| **other == kind).map(|(key, _)| *key)
    }

    fn cancel(&mut self, key: u64) {
        let mut index = 0;
        while let Some(other) = self.keys.get(index) {
            if *other == key {
                self.keys.remove(index);
                self.kinds.remove(index);
            } else {
                index += 1;
            }
        }
    }
}

impl Trips {
    /// Sets a trip that counts from `counts`.
    pub(super) fn set(&mut self, key: u64, trip: Trip, counts: &Counts) {
        if self.counted.len() + self.kinds_in.keys.len() + self.kinds_out.keys.len() >= TRIPS_MAX {
            return;
        }
        let (meter, after) = match trip {
            Trip::FramesIn(after) => (Meter::FramesIn, after),
            Trip::FramesOut(after) => (Meter::FramesOut, after),
            Trip::BytesIn(after) => (Meter::BytesIn, after),
            Trip::BytesOut(after) => (Meter::BytesOut, after),
            Trip::Frame(way, kind) => {
                let kinds = match way {
                    Way::In => &mut self.kinds_in,
                    Way::Out => &mut self.kinds_out,
                };
                kinds.keys.push(key);
                kinds.kinds.push(kind);
                return;
            }
        };
        self.counted.push((key, meter, meter.read(counts).saturating_add(after)));
    }

    pub(super) fn cancel(&mut self, key: u64) {
        self.counted.retain(|(other, ..)| *other != key);
        self.kinds_in.cancel(key);
        self.kinds_out.cancel(key);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counted.is_empty() && self.kinds_in.keys.is_empty() && self.kinds_out.keys.is_empty()
    }

    /// Takes the trips out that `counts` have reached.
    pub(super) fn reached(&mut self, counts: &Counts, keys: &mut Vec<u64>) -> Reached {
        let mut reached = Reached::default();
        self.counted.retain(|(key, meter, at)| {
            let is_due = meter.read(counts) >= *at;
            if is_due {
                keys.push(*key);
                reached.out |= matches!(meter, Meter::FramesOut | Meter::BytesOut);
                reached.bytes_in |= *meter == Meter::BytesIn;
            }
            !is_due
        });
        reached
    }

    /// The keys of trips for frames of this kind.
    pub(super) fn of_kind(&self, way: Way, kind: FrameKind, keys: &mut Vec<u64>) {
        match way {
            Way::In => keys.extend(self.kinds_in.keys(kind)),
            Way::Out => keys.extend(self.kinds_out.keys(kind)),
        }
    }

    fn left(&self, meter: Meter, counts: &Counts) -> Option<u64> {
        let of_meter = self.counted.iter().filter(|(_, other, _)| *other == meter);
        of_meter.map(|(_, _, at)| at.saturating_sub(meter.read(counts))).min()
    }

    /// Where the way out has to stop.
    pub(super) fn stops(&self, counts: &Counts) -> Stops<'_> {
        Stops {
            bytes: self.left(Meter::BytesOut, counts),
            frames: self.left(Meter::FramesOut, counts),
            kinds: &self.kinds_out.kinds,
        }
    }

    /// Bytes that the engine may have before the next trip.
    pub(super) fn bytes_in(&self, counts: &Counts) -> Option<u64> {
        self.left(Meter::BytesIn, counts)
    }

    /// Whether bytes have to come in frame by frame.
    pub(super) fn by_frame_in(&self) -> bool {
        !self.kinds_in.kinds.is_empty()
            || self.counted.iter().any(|(_, meter, _)| *meter == Meter::FramesIn)
    }

    pub(super) fn kinds_in(&self) -> &[FrameKind] {
        &self.kinds_in.kinds
    }
}
