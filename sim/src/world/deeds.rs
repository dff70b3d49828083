//! What is done to hosts, to the store and to the broker.

use std::time::Duration;

use eventhubs_protocol::PartitionId;

use super::host::Host;
use super::{Event, World};
use crate::plan::Deed;

impl World {
    pub(super) fn deed(&mut self, deed: Deed) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.deed(now, deed);
        }
        match deed {
            Deed::Start(role) => self.start(role),
            Deed::Stop(host) => self.stop(host),
            Deed::CutHub(host, long) => self.cut_hub(host, long),
            Deed::Crash(_)
            | Deed::Pause(..)
            | Deed::Suspend(..)
            | Deed::Cut(..)
            | Deed::Jump(..) => self.do_to_host(deed),
            Deed::Outage(long) => self.outage_until = now + long,
            Deed::AddPartitions(count) => self.partitions += count,
            Deed::DeleteStore(long) => {
                self.deleting_until = now + long;
                self.stores[0].delete();
                self.judge.deleted(None, now);
            }
            Deed::DeleteLease(partition) => {
                let partition = PartitionId::from(partition);
                self.stores[0].delete_lease(partition);
                self.judge.deleted(Some(partition), now);
            }
            Deed::BreakLease(partition) => {
                self.stores[0].break_lease(partition.into(), now);
            }
        }
    }

    /// What only one host notices.
    fn do_to_host(&mut self, deed: Deed) {
        let now = self.now;
        let (Deed::Crash(host)
        | Deed::Pause(host, _)
        | Deed::Suspend(host, _)
        | Deed::Cut(host, _)
        | Deed::Jump(host, _)) = deed
        else {
            return;
        };
        let Some(host) = self.hosts.get_mut(host) else { return };
        let lease = self.timing.lease;
        let is_awake = host.sleeps_until <= now;
        match deed {
            Deed::Crash(_) => host.is_alive = false,
            Deed::Pause(_, long) => host.sleeps_until = host.sleeps_until.max(now + long),
            // A day that is set back hides a suspension soon after from the host: neither of its
            // clocks shows it. What is left then is the store and the broker.
            Deed::Suspend(_, long) if is_awake && now >= host.clock.trusted_from => {
                host.sleeps_until = now + long;
                host.clock.suspended += long;
            }
            Deed::Cut(_, long) => host.cut_until = now + long,
            Deed::Jump(_, far) if is_awake => {
                host.clock.ahead += far;
                host.clock.trusted_from = now + 2 * lease;
            }
            _ => {}
        }
    }

    /// Nothing comes through any more, and the host notices some time later.
    fn cut_hub(&mut self, host: usize, long: Duration) {
        let now = self.now;
        let is_alive = |host: &&mut Host| host.is_alive;
        let Some(cut) = self.hosts.get_mut(host).filter(is_alive) else { return };
        cut.hub_cut_until = cut.hub_cut_until.max(now + long);
        for post in self.posts(host) {
            let noticed = self.random.millis(100, 30_000);
            self.agenda.put(now + noticed, Event::Unlinked(post));
        }
    }
}
