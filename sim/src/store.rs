//! The store: leases, checkpoints and presence records, each call at one moment.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::{Presence, Standing};

use crate::bug::Bug;

/// How long a presence record counts: three scans.
const PRESENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    pub(crate) owner: Option<String>,
    pub(crate) epoch: i64,
    /// 0 before the first claim.
    pub(crate) token: u64,
    pub(crate) until: Duration,
    pub(crate) checkpoint: u64,
}

impl Lease {
    pub(crate) fn holder(&self, now: Duration) -> Option<&str> {
        self.owner.as_deref().filter(|_| self.until > now)
    }
}

/// A call of a host.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Announce,
    Withdraw,
    List,
    /// Take a lease that has the token `seen`, and is held by somebody only if it is a steal.
    Acquire {
        partition: u16,
        seen: u64,
        is_steal: bool,
        epoch: i64,
        token: u64,
    },
    Renew {
        partition: u16,
        token: u64,
    },
    Checkpoint {
        partition: u16,
        token: u64,
        value: u64,
    },
    Release {
        partition: u16,
        token: u64,
    },
}

/// What the store answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done,
    Listed {
        leases: Vec<Standing>,
        tokens: Vec<u64>,
        presence: Vec<Presence>,
        now: Duration,
    },
    /// The claim was won; the checkpoint to begin at.
    Won {
        checkpoint: u64,
    },
    /// Another one has it.
    Lost,
    /// Nothing is known: a fault.
    Failed,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) leases: Vec<Lease>,
    presence: BTreeMap<String, Duration>,
    lease: Duration,
    bug: Option<Bug>,
}

impl Store {
    pub(crate) fn new(partitions: u16, lease: Duration, bug: Option<Bug>) -> Self {
        let leases = vec![Lease::default(); usize::from(partitions)];
        Self { leases, presence: BTreeMap::new(), lease, bug }
    }

    pub(crate) fn perform(&mut self, owner: &str, call: &Call, now: Duration) -> Answer {
        match *call {
            Call::Announce => {
                self.presence.insert(owner.to_owned(), now + PRESENCE);
                Answer::Done
            }
            Call::Withdraw => {
                self.presence.remove(owner);
                Answer::Done
            }
            Call::List => self.list(now),
            Call::Acquire { partition, seen, is_steal, epoch, token } => {
                let until = now + self.lease;
                let is_blind = self.bug == Some(Bug::NoCompare);
                let lease = &mut self.leases[usize::from(partition)];
                let is_as_seen = lease.token == seen && (is_steal || lease.holder(now).is_none());
                if !is_as_seen && !is_blind {
                    return Answer::Lost;
                }
                let checkpoint = lease.checkpoint;
                *lease = Lease { owner: Some(owner.to_owned()), epoch, token, until, checkpoint };
                Answer::Won { checkpoint }
            }
            Call::Renew { partition, token } => {
                let until = now + self.lease;
                let is_blind = self.bug == Some(Bug::RenewWithoutToken);
                let lease = &mut self.leases[usize::from(partition)];
                if (lease.token != token || lease.owner.is_none()) && !is_blind {
                    return Answer::Lost;
                }
                lease.until = until;
                Answer::Done
            }
            Call::Checkpoint { partition, token, value } => {
                let is_blind = self.bug == Some(Bug::CheckpointWithoutToken);
                let lease = &mut self.leases[usize::from(partition)];
                if (lease.token != token || lease.owner.is_none()) && !is_blind {
                    return Answer::Lost;
                }
                if value > lease.checkpoint || self.bug == Some(Bug::CheckpointBackwards) {
                    lease.checkpoint = value;
                }
                Answer::Done
            }
            Call::Release { partition, token } => {
                let lease = &mut self.leases[usize::from(partition)];
                if lease.token != token {
                    return Answer::Lost;
                }
                lease.owner = None;
                Answer::Done
            }
        }
    }

    fn list(&self, now: Duration) -> Answer {
        let leases = (0..)
            .zip(&self.leases)
            .map(|(partition, lease): (u16, _)| Standing {
                owner: lease.owner.clone(),
                epoch: lease.epoch,
                until: UNIX_EPOCH + lease.until,
                ..Standing::free(partition.into())
            })
            .collect();
        let tokens = self.leases.iter().map(|lease| lease.token).collect();
        let presence = self
            .presence
            .iter()
            .map(|(owner, until)| Presence::new(owner, UNIX_EPOCH + *until))
            .collect();
        Answer::Listed { leases, tokens, presence, now }
    }
}
