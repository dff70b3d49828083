//! The client against the emulator in the same process, and against peers that misbehave: always
//! through bytes, over TCP or in memory. What has to do with time runs on the paused clock, in
//! memory.

mod authorization;
mod batch;
mod bounds;
mod cancellation;
mod closing;
mod content;
mod deadlines;
mod defaults;
mod deliveries;
#[cfg(all(feature = "entra", feature = "tls-aws-lc-rs"))]
mod entra;
mod environment;
mod hostile;
mod information;
mod input;
mod input_content;
mod input_crowd;
mod input_rows;
mod listener;
mod loss;
mod names;
mod ordered;
mod outcome;
mod parity;
mod position;
mod property;
mod receive;
mod reconnect;
#[cfg(feature = "tls-aws-lc-rs")]
mod renewal;
mod resume;
mod retry_limits;
mod retry_send;
mod send;
mod slow;
mod stolen;
mod support;
#[cfg(feature = "tls-aws-lc-rs")]
mod tls;
mod watchdog;
