//! What to do after something was lost, and whether, when and how a call is tried again: decided in
//! plain values, done by one owner task and by the calls themselves.
//!
//! [`backoff`] knows how long to wait, [`attempts`], [`budget`] and [`gate`] whether a call goes on;
//! [`call`] carries that out. [`machine`] decides what is made, when and for whom, and [`owner`] is
//! the task that makes it. [`resume`] knows where a receiver is, [`watchdog`] when to doubt its link.
//! No module here but [`clock`] reads the time or draws a random number.

pub(crate) mod attempts;
pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod call;
pub(crate) mod clock;
pub(crate) mod gate;
pub(crate) mod machine;
pub(crate) mod owner;
pub(crate) mod resume;
pub(crate) mod watchdog;
