//! Tests of the public interface, one module per part.

mod cache;
mod cloud;
mod connection_string;
#[cfg(feature = "entra")]
mod entra;
mod environment;
mod once;
mod renewal;
mod sas;
mod secrecy;
mod skew;
