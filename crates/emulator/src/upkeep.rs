//! What a connection does by the service's clock: it watches tokens, links and itself.

pub(crate) mod clock;
pub(crate) mod standing;
pub(crate) mod watch;

pub use watch::Timers;

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::engine::Connection;

use crate::broker::cbs::{Grants, Need};
use crate::broker::{Broker, Link, Node};

impl Link {
    /// Whether `grants` still allow the link at `now`. Links of `$cbs` need no token.
    fn is_allowed(&self, grants: &Grants, now: i64) -> bool {
        match self {
            Self::Producer(producer) => grants.allow(producer.standing.path(), Need::Send, now),
            Self::Consumer(consumer) => grants.allow(consumer.standing.path(), Need::Listen, now),
            Self::Requests { node, .. } => *node == Node::Cbs || grants.any(now),
            Self::Answers(answers) => answers.node() == Node::Cbs || grants.any(now),
        }
    }

    /// The path and the claim that the link's client is told it misses.
    fn claim(&self) -> (&str, Need) {
        match self {
            Self::Producer(producer) => (producer.standing.path(), Need::Send),
            Self::Consumer(consumer) => (consumer.standing.path(), Need::Listen),
            Self::Requests { .. } | Self::Answers(_) => ("", Need::Read),
        }
    }

    /// The moment at which the link will have been idle for too long; `None` for links that never
    /// are. A receiver that waits with credit is in use.
    fn idle_at(&mut self, credit: u32, millis: i64, now: i64) -> Option<i64> {
        match self {
            Self::Producer(producer) => Some(producer.standing.idle_at(millis)),
            Self::Consumer(consumer) => {
                if credit > 0 {
                    consumer.standing.touch(now);
                }
                Some(consumer.standing.idle_at(millis))
            }
            Self::Requests { .. } | Self::Answers(_) => None,
        }
    }
}

impl Broker {
    /// Ends what has lasted too long, and sets the time of the next look.
    pub(crate) fn keep_time(&mut self, engine: &mut Connection) {
        let now = self.namespace.clock.now();
        if self.watch.is_unproved() && self.grants.any(now) {
            self.watch.handle_proof();
        }
        if self.grants.due().is_some_and(|due| due <= now) {
            self.detach_lapsed(engine, now);
        }
        if self.idle_due.is_some_and(|due| due <= now) {
            self.detach_idle(engine, now);
        }
        let cbs = self.cbs.iter().flatten().filter(|id| self.links.contains_key(id)).count();
        self.watch.handle_links(self.links.len() - cbs, now);
        if let Some(lapse) = self.watch.check(now) {
            tracing::debug!(connection = self.number, ?lapse, "the connection is closed");
            self.watch.handle_closed();
            engine.close(Some(lapse.error()));
        }
        let due = [self.watch.due(), self.grants.due(), self.idle_due];
        self.due = due.into_iter().flatten().min();
    }

    /// A link was attached at `now`: it will have to be looked at.
    pub(crate) fn expect_idle(&mut self, now: i64) {
        let due = now.saturating_add(watch::millis(self.namespace.timers.idle_link));
        self.idle_due = Some(self.idle_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Detaches the links whose token has lapsed and was not replaced.
    fn detach_lapsed(&mut self, engine: &mut Connection, now: i64) {
        let lapsed = self.grants.take_lapsed(now);
        let Self { links, grants, .. } = self;
        links.retain(|id, link| {
            let allowed = link.is_allowed(grants, now);
            if !allowed {
                let (path, need) = link.claim();
                engine.detach(*id, true, Some(lapsed.refusal(path, need)));
            }
            allowed
        });
    }

    /// Detaches the links that nobody has used for long.
    fn detach_idle(&mut self, engine: &mut Connection, now: i64) {
        let idle = self.namespace.timers.idle_link;
        let (number, millis) = (self.number, watch::millis(idle));
        let mut next: Option<i64> = None;
        self.links.retain(|id, link| {
            let Some(due) = link.idle_at(engine.credit(*id), millis, now) else {
                return true;
            };
            if due > now {
                next = Some(next.map_or(due, |earlier| earlier.min(due)));
                return true;
            }
            let error: Option<AmqpError> = match link {
                Link::Producer(producer) => Some(producer.standing.idle_producer(number, idle)),
                Link::Consumer(consumer) => Some(consumer.standing.idle_consumer(number, idle)),
                Link::Requests { .. } | Link::Answers(_) => None,
            };
            engine.detach(*id, true, error);
            false
        });
        self.idle_due = next;
    }
}

#[cfg(test)]
mod tests;
