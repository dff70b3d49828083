//! Partition-key hash: Bob Jenkins' lookup3, folded to 16 bits, as the service's clients do it.
//!
//! The service hashes keys itself and does not document how; an emulator only has to be stable.
//! Using the published client algorithm means that an event sent by key to the hub lands on the
//! partition which a client that resolves keys locally would have chosen.

/// Index of the partition that takes events with `key` in a hub of `partitions` partitions.
pub(crate) fn partition_for(key: &str, partitions: u32) -> u32 {
    let magnitude = u32::from(hash(key.as_bytes()).unsigned_abs());
    magnitude % partitions.max(1)
}

/// The 16-bit hash of a key.
fn hash(key: &[u8]) -> i16 {
    if key.is_empty() {
        return 0;
    }
    let (b, c) = lookup3(key);
    let low = (b ^ c).to_le_bytes();
    i16::from_le_bytes([low[0], low[1]])
}

/// `hashlittle2` with both seeds zero; the last two words of its state.
fn lookup3(key: &[u8]) -> (u32, u32) {
    // Only the low 32 bits of the length take part.
    let length = (key.len() & 0xffff_ffff) as u32;
    let start = 0xdead_beef_u32.wrapping_add(length);
    let mut state = [start; 3];
    let mut rest = key;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        add_block(&mut state, block);
        mix(&mut state);
        rest = after;
    }
    add_block(&mut state, rest);
    finish(&mut state);
    (state[1], state[2])
}

/// Adds up to twelve bytes as three little-endian words; missing bytes count as zero.
fn add_block(state: &mut [u32; 3], block: &[u8]) {
    for (word, bytes) in state.iter_mut().zip(block.chunks(4)) {
        let mut padded = [0; 4];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = word.wrapping_add(u32::from_le_bytes(padded));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    // Each line is `x -= z; x ^= rot(z, n); z += y` of the published algorithm.
    *a = a.wrapping_sub(*c) ^ c.rotate_left(4);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(6);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(8);
    *b = b.wrapping_add(*a);
    *a = a.wrapping_sub(*c) ^ c.rotate_left(16);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(19);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(4);
    *b = b.wrapping_add(*a);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_the_published_vectors() {
        let vectors: &[(&str, i16)] = &[
            ("", 0),
            ("7", -15263),
            ("131", 30562),
            ("7149583486996073602", 12977),
            ("FWfAT", -22341),
            ("sOdeEAsyQoEuEFPGerWO", -6503),
            (
                "FAyAIctPeCgmiwLKbJcyswoHglHVjQdvtBowLACDNORsYvOcLddNJYDmhAVkbyLOrHTKLneMNcbgWVlasVywOByANjs",
                5226,
            ),
            ("!c*_!I@1^c", 15372),
            ("p4*!jioeO/z-!-;w:dh", -3104),
            ("$0cb", 26269),
            ("-4189260826195535198", 453),
            ("a", -16220),
            ("xxxxxxxxxxxx", 332),
            ("xxxxxxxxxxxxx", 3742),
            ("xxxxxxxxxxxxxxxxxxxxxxxx", -20573),
            ("xxxxxxxxxxxxxxxxxxxxxxxxx", -26933),
            ("日本", 27948),
            ("🙂", 31368),
        ];
        for (key, expected) in vectors {
            assert_eq!(hash(key.as_bytes()), *expected, "key {key:?}");
        }
    }

    #[test]
    fn partitions_follow_the_magnitude_of_the_hash() {
        for (key, four, thirty_two) in
            [("7", 3, 31), ("131", 2, 2), ("FWfAT", 1, 5), ("p4*!jioeO/z-!-;w:dh", 0, 0)]
        {
            assert_eq!(partition_for(key, 4), four, "key {key:?}");
            assert_eq!(partition_for(key, 32), thirty_two, "key {key:?}");
        }
        assert_eq!(partition_for("anything", 0), 0, "no division by zero");
    }
}
