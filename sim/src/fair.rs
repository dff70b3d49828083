//! What is fair, reckoned otherwise than by those who share.

/// The fewest and the most partitions that each host should have, from its weight and its maximum:
/// its part rounded down and up, where what a host cannot take is shared by the others.
pub(crate) fn shares(partitions: usize, hosts: &[(u32, Option<u32>)]) -> Vec<(usize, usize)> {
    let mut closed: Vec<Option<usize>> =
        hosts.iter().map(|(weight, _)| if *weight == 0 { Some(0) } else { None }).collect();
    loop {
        let rest = partitions - closed.iter().flatten().sum::<usize>();
        let open = || (0..hosts.len()).filter(|&at| closed[at].is_none());
        let weights: usize = open().map(|at| hosts[at].0 as usize).sum();
        let part = |at: usize| (rest * hosts[at].0 as usize, weights.max(1));
        let maximum = |at: usize| hosts[at].1.map_or(usize::MAX, |maximum| maximum as usize);
        let full: Vec<usize> =
            open().filter(|&at| maximum(at) <= part(at).0 / part(at).1).collect();
        if full.is_empty() {
            let share = |at: usize| match closed[at] {
                Some(count) => (count, count),
                None => {
                    let (above, below) = part(at);
                    (above / below, above.div_ceil(below).min(maximum(at)))
                }
            };
            return (0..hosts.len()).map(share).collect();
        }
        full.into_iter().for_each(|at| closed[at] = Some(maximum(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rounded_both_ways() {
        let equal = |count| vec![(1, None); count];
        assert_eq!(shares(8, &equal(4)), [(2, 2); 4]);
        assert_eq!(shares(7, &equal(2)), [(3, 4); 2]);
        assert_eq!(shares(1, &equal(3)), [(0, 1); 3]);
    }

    #[test]
    fn weights_and_maxima_count() {
        assert_eq!(shares(8, &[(3, None), (1, None)]), [(6, 6), (2, 2)]);
        assert_eq!(shares(8, &[(0, None), (1, None)]), [(0, 0), (8, 8)]);
        assert_eq!(shares(9, &[(1, Some(1)), (1, None), (1, None)]), [(1, 1), (4, 4), (4, 4)]);
        // Nobody can take the rest.
        assert_eq!(shares(9, &[(1, Some(1)), (1, Some(2))]), [(1, 1), (2, 2)]);
        assert_eq!(shares(5, &[]), []);
    }
}
