//! Tests of the public interface, one module per part.

mod cache;
mod cloud;
mod connection_string;
mod environment;
mod renewal;
mod sas;
mod secrecy;
