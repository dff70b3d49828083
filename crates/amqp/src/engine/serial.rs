//! Serial-number arithmetic (RFC 1982) for 32-bit counters that wrap (AMQP 1.0, 2.8.10).
//!
//! Transfer ids, delivery ids and delivery counts are points on a circle: they are only ever
//! advanced and subtracted, never compared as integers.

/// How far `to` lies ahead of `from`, or `None` when it lies behind.
pub(crate) fn ahead(from: u32, to: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

/// What is left of a `grant` that counts from `base`, for somebody who already stands at `position`.
///
/// A peer that claims to be ahead of us has seen nothing in flight: the whole grant is left.
/// Grants of 2^32-1 are real (`docs/wire.md`), so the subtraction saturates.
pub(crate) fn left(base: u32, grant: u32, position: u32) -> u32 {
    match ahead(base, position) {
        Some(in_flight) => grant.saturating_sub(in_flight),
        None => grant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_cross_the_wrap() {
        assert_eq!(ahead(u32::MAX, 4), Some(5));
        assert_eq!(ahead(4, u32::MAX), None);
        assert_eq!(ahead(7, 7), Some(0));
    }

    #[test]
    fn a_grant_shrinks_by_what_is_in_flight() {
        assert_eq!(left(u32::MAX - 1, 10, 3), 5);
        assert_eq!(left(0, 10, 11), 0);
        assert_eq!(left(0, u32::MAX, 5), u32::MAX - 5);
        assert_eq!(left(5, 10, 4), 10);
    }
}
