//! How many partitions each host should have.

use crate::owner::OwnerId;

/// A host that counts.
#[derive(Clone, Debug)]
pub(super) struct Host<'a> {
    pub(super) owner: &'a OwnerId,
    /// Partitions it holds.
    pub(super) count: usize,
    pub(super) weight: u32,
    pub(super) maximum: Option<u32>,
    /// Partitions it should hold.
    pub(super) share: usize,
}

impl Host<'_> {
    pub(super) fn deficit(&self) -> usize {
        self.share.saturating_sub(self.count)
    }

    pub(super) fn surplus(&self) -> usize {
        self.count.saturating_sub(self.share)
    }

    fn maximum(&self) -> usize {
        self.maximum.map_or(usize::MAX, |maximum| maximum as usize)
    }
}

/// Gives each host its share of so many partitions: in proportion to the weights, whole ones by the
/// largest remainder, and among equals to those who have more already and then by id, so that as
/// little as possible moves. What a host cannot take because of its maximum is shared by the others.
pub(super) fn divide(partitions: usize, hosts: &mut [Host<'_>]) {
    hosts.iter_mut().for_each(|host| host.share = 0);
    let mut rest = partitions;
    let mut open: Vec<usize> = (0..hosts.len()).filter(|&at| hosts[at].weight > 0).collect();
    // Each turn but the last closes a host, so there are at most as many turns as hosts.
    loop {
        let weights: u64 = open.iter().map(|&at| u64::from(hosts[at].weight)).sum();
        if weights == 0 {
            return;
        }
        let exact = |at: usize| rest as u64 * u64::from(hosts[at].weight);
        let whole = |at: usize| usize::try_from(exact(at) / weights).unwrap_or(usize::MAX);
        let full: Vec<usize> =
            open.iter().copied().filter(|&at| hosts[at].maximum() <= whole(at)).collect();
        if full.is_empty() {
            let shares: Vec<_> =
                open.iter().map(|&at| (at, whole(at), exact(at) % weights)).collect();
            return finish(rest, shares, hosts);
        }
        for at in full {
            hosts[at].share = hosts[at].maximum();
            rest -= hosts[at].share;
            open.retain(|&one| one != at);
        }
    }
}

/// Whole shares, and one more for as many hosts as there are partitions left: (host, whole share,
/// remainder).
fn finish(partitions: usize, mut shares: Vec<(usize, usize, u64)>, hosts: &mut [Host<'_>]) {
    use std::cmp::Reverse;
    let given: usize = shares.iter().map(|(_, whole, _)| whole).sum();
    // Who has more than a whole share keeps one more. Among the others the count must not matter:
    // who happens to scan first would get ahead, and the one it was meant for would be left waiting.
    shares.sort_by_key(|&(at, whole, remainder)| {
        let kept = hosts[at].count.saturating_sub(whole);
        (Reverse(remainder), Reverse(kept), hosts[at].owner)
    });
    for (place, (at, whole, _)) in shares.into_iter().enumerate() {
        hosts[at].share = whole + usize::from(place < partitions - given);
    }
}
