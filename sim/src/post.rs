//! Which ownership something is about.

use eventhubs_eph::LeaseToken;
use eventhubs_protocol::PartitionId;

/// One ownership of a partition by a host. Hosts are numbered in the order in which they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) host: usize,
    pub(crate) partition: PartitionId,
    pub(crate) token: LeaseToken,
}
