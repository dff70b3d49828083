//! The engine as its users see it: two of them wired together, and one facing bytes written by hand.

mod ordered;
mod raw;
mod rng;
mod wire;
