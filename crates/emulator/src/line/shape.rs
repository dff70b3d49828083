//! All shapings of a line at once.

use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::control::{Shaping, Way};
use super::jitter::Jitter;

/// Shapings in force at a time; more are left out.
const SHAPINGS_MAX: usize = 1024;

/// What is in force, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Shape {
    entries: Vec<(u64, Shaping)>,
    pub(super) silence_in: bool,
    pub(super) silence_out: bool,
    pub(super) latency: Duration,
    pub(super) jitter: Option<Jitter>,
    pub(super) bucket_in: Option<Bucket>,
    pub(super) bucket_out: Option<Bucket>,
    pub(super) chunk: Option<usize>,
    pub(super) extended: bool,
}

impl Shape {
    pub(super) fn apply(&mut self, key: u64, shaping: Shaping, now: Instant) {
        if self.entries.len() >= SHAPINGS_MAX {
            return;
        }
        self.entries.push((key, shaping));
        self.derive(now);
    }

    pub(super) fn lift(&mut self, key: u64, now: Instant) {
        self.entries.retain(|(other, _)| *other != key);
        self.derive(now);
    }

    pub(super) fn heal(&mut self) {
        *self = Self::default();
    }

    /// Whether bytes go in as they come.
    pub(super) fn is_plain_in(&self) -> bool {
        !self.silence_in && self.bucket_in.is_none() && self.chunk.is_none()
    }

    /// Whether bytes go out as they come.
    pub(super) fn is_plain_out(&self) -> bool {
        !self.silence_out
            && self.latency.is_zero()
            && self.jitter.is_none()
            && self.bucket_out.is_none()
            && self.chunk.is_none()
            && !self.extended
    }

    /// Works out what the entries amount to. What has a state keeps it unless it has changed.
    fn derive(&mut self, now: Instant) {
        let (mut latency, mut jitter) = (Duration::ZERO, None);
        let (mut rate_in, mut rate_out, mut chunk) = (None, None, None);
        (self.silence_in, self.silence_out, self.extended) = (false, false, false);
        for (_, shaping) in &self.entries {
            match shaping {
                Shaping::Silence(Way::In) => self.silence_in = true,
                Shaping::Silence(Way::Out) => self.silence_out = true,
                Shaping::Latency { delay, jitter: most, seed } => {
                    if jitter.is_none() || *delay >= latency {
                        (latency, jitter) = (*delay, Some((*most, *seed)));
                    }
                }
                Shaping::Bandwidth(Way::In, rate) => rate_in = least(rate_in, *rate),
                Shaping::Bandwidth(Way::Out, rate) => rate_out = least(rate_out, *rate),
                Shaping::Chunks(size) => chunk = least(chunk, (*size).max(1)),
                Shaping::ExtendedHeaders => self.extended = true,
            }
        }
        (self.latency, self.chunk) = (latency, chunk);
        refill(&mut self.bucket_in, rate_in, now);
        refill(&mut self.bucket_out, rate_out, now);
        let jitter = jitter.filter(|(most, _)| !most.is_zero());
        let same = |known: &Jitter| Some(known.origin()) == jitter;
        if !self.jitter.as_ref().is_some_and(same) {
            self.jitter = jitter.map(|(most, seed)| Jitter::new(most, seed));
        }
    }
}

fn least<T: Ord>(known: Option<T>, other: T) -> Option<T> {
    match known {
        Some(known) if known <= other => Some(known),
        _ => Some(other),
    }
}

fn refill(bucket: &mut Option<Bucket>, rate: Option<u64>, now: Instant) {
    let rate = rate.map(|rate| rate.max(1));
    if bucket.as_ref().map(Bucket::rate) != rate {
        *bucket = rate.map(|rate| Bucket::new(rate, now));
    }
}
