//! The partition-key hash of clients that choose the partition themselves.
//!
//! A plain producer leaves the choice to the service: it sends the key and nothing else. A
//! buffered producer keeps one queue per partition, so it has to know the partition beforehand.
//! This is the function the .NET, Java, JavaScript and Rust clients share: Bob Jenkins' lookup3
//! (`hashlittle2`, both seeds zero) over the UTF-8 bytes of the key, folded to 16 bits.

use std::num::NonZeroU16;

const SEED: u32 = 0xDEAD_BEEF;
/// Bytes one round of the hash consumes: three little-endian words.
const BLOCK: usize = 12;

/// Hash of a partition key; the empty key hashes to 0.
///
/// # Examples
///
/// ```
/// assert_eq!(eventhubs_protocol::hash::hash("FWfAT"), -22341);
/// ```
#[must_use]
pub fn hash(key: &str) -> i16 {
    if key.is_empty() {
        return 0;
    }
    let bytes = key.as_bytes();
    // The length enters the seed modulo 2^32, as the reference implementation has it.
    let seed = SEED.wrapping_add((bytes.len() & 0xFFFF_FFFF) as u32);
    let (mut a, mut b, mut c) = (seed, seed, seed);
    let mut rest = bytes;
    while rest.len() > BLOCK {
        let (block, tail) = rest.split_at(BLOCK);
        (a, b, c) = mix(add(block, a, b, c));
        rest = tail;
    }
    let mut last = [0_u8; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let (b, c) = finish(add(&last, a, b, c));
    ((b ^ c) & 0xFFFF) as u16 as i16
}

/// Index into the partition list, in the order the service reports it.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU16;
///
/// let count = NonZeroU16::new(4).expect("four is not zero");
/// assert_eq!(eventhubs_protocol::hash::partition_index("7", count), 3);
/// ```
#[must_use]
pub fn partition_index(key: &str, partition_count: NonZeroU16) -> u16 {
    hash(key).unsigned_abs() % partition_count.get()
}

fn add(block: &[u8], a: u32, b: u32, c: u32) -> (u32, u32, u32) {
    let word =
        |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    (a.wrapping_add(word(0)), b.wrapping_add(word(4)), c.wrapping_add(word(8)))
}

fn mix((mut a, mut b, mut c): (u32, u32, u32)) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

fn finish((mut a, mut b, mut c): (u32, u32, u32)) -> (u32, u32) {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    (b, c)
}
