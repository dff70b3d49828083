//! The broker: who receives from which partition.

use std::collections::BTreeMap;

use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::post::Post;

/// A receiver.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) post: Post,
    pub(crate) epoch: OwnerLevel,
}

/// What came of attaching a receiver.
#[derive(Debug)]
pub(crate) enum Attached {
    /// It is there, and these were put out.
    Done(Vec<Link>),
    /// There is one with this higher epoch.
    Refused(OwnerLevel),
}

/// Keeps receivers until they are detached or put out, also those of hosts that are gone: nobody
/// tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broker(BTreeMap<PartitionId, Vec<Link>>);

impl Broker {
    /// A receiver puts out all with a lower epoch and with the same one.
    pub(crate) fn attach(&mut self, post: &Post, epoch: OwnerLevel) -> Attached {
        let links = self.0.entry(post.partition).or_default();
        let highest = links.iter().filter(|link| link.post != *post).map(|link| link.epoch).max();
        if let Some(highest) = highest.filter(|highest| *highest > epoch) {
            return Attached::Refused(highest);
        }
        let put_out = std::mem::replace(links, vec![Link { post: post.clone(), epoch }]);
        Attached::Done(put_out.into_iter().filter(|link| link.post != *post).collect())
    }

    pub(crate) fn detach(&mut self, post: &Post) {
        self.0.entry(post.partition).or_default().retain(|link| link.post != *post);
    }

    pub(crate) fn links(&self, partition: PartitionId) -> &[Link] {
        self.0.get(&partition).map_or(&[], Vec::as_slice)
    }
}
