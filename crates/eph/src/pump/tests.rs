//! The pump between the emulator, in memory and on the paused clock, and handlers that are written
//! down, with an ownership that does what the test says. Some names are rows of `docs/faults.md`.

mod closing;
mod failing;
mod handling;
mod lanes;
mod marks;
mod rig;
mod several;
mod stream;
