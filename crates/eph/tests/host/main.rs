//! Whole hosts against the emulator in the same process: through bytes, in memory, on the paused
//! clock, with a store that can be made to fail.

mod blocking;
mod cancellation;
mod claiming;
mod closing;
mod cycles;
mod failures;
mod handlers;
mod parity;
mod pausing;
mod rolling;
mod sharing;
mod starting;
mod stopped;
mod support;
mod taken;
