//! Rules without state: bytes and text in, typed values out.

pub(crate) mod address;
pub(crate) mod calendar;
mod claims;
pub(crate) mod event;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod jwt;
pub(crate) mod plain;
pub(crate) mod sas;
mod section;
pub(crate) mod selector;
pub(crate) mod tier;
#[cfg(test)]
pub(crate) mod token;

pub use tier::Tier;
