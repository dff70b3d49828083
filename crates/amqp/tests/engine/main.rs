//! The engine as its users see it: two of them wired together, and one facing bytes written by hand.
#![cfg(test)]

mod close;
mod hostile;
mod links;
mod misbehaving;
mod ordered;
mod owner;
mod raw;
mod referee;
mod rng;
mod startup;
mod timing;
mod tolerance;
mod transfers;
mod windows;
mod wire;
