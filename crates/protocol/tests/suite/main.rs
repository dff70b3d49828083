//! Tests of the public interface, one module per part.

mod batch;
mod condition;
mod hash;
mod link;
mod position;
mod received;
mod rpc;
mod strategy;
mod values;
