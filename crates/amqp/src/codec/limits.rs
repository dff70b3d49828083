//! Every bound the codec puts on what a peer sends.

/// Deepest nesting of lists, maps, arrays and described values that is read: 32 levels.
///
/// The body of a performative is level one. Nothing that is met in practice goes beyond eight.
pub const MAX_DEPTH: usize = 32;

/// Longest delivery tag, in bytes (AMQP 1.0 part 2.8.7).
pub const MAX_DELIVERY_TAG: usize = 32;

/// Values one decoding may build for each byte of its input; see [`EXPANSION_ALLOWANCE`].
///
/// Ordinary encodings stay below one. Arrays are the exception: their elements may be zero bytes wide, and each
/// element of an array of described values gets its own copy of the one descriptor.
pub const EXPANSION_PER_BYTE: usize = 2;

/// Values one decoding may build on top of [`EXPANSION_PER_BYTE`], so that small arrays of nulls still pass.
pub const EXPANSION_ALLOWANCE: usize = 64;

/// Items room is made for before the first one was read. More grows with what is really there.
pub(super) const PREALLOCATED_ITEMS: usize = 16;
