//! The bytes of a connection: every accepted stream is wrapped in a [`Line`], and its
//! [`LineControl`] can hold them back, slow them down, cut them up, add to them, or end them.
//!
//! A line knows frames and nothing above them. With nothing set it passes reads and writes through
//! as they are, and costs a load of a version number and a walk from frame to frame.

mod abort;
mod bad_frame;
mod bucket;
mod control;
mod craft;
mod fields;
mod frames;
mod incoming;
mod jitter;
mod links;
mod message;
mod outgoing;
mod remains;
mod shape;
mod stream;
#[cfg(test)]
mod tests;
mod trips;
mod verdict;

pub use bad_frame::{BadFrame, Lie, Place, Stray};

pub(crate) use abort::{Abort, Abortable};
pub(crate) use control::{LineControl, Shaping, Trip, Way};
pub(crate) use frames::FrameKind;
pub(crate) use stream::Line;
pub(crate) use verdict::Verdict;
