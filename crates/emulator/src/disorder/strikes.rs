//! Strikes: what can happen nearly anywhere.

use std::collections::HashSet;
use std::time::Duration;

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::engine::{Connection, LinkId, SessionId};

use super::Later;
use crate::broker::producer::Granting;
use crate::broker::{Broker, Link};
use crate::fault::{Effect, Fault, FaultId, Reason, Struck};

/// What a strike is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Connection,
    Session(SessionId),
    Link(LinkId, SessionId),
}

impl Broker {
    /// Faults were injected or lifted.
    pub(crate) fn handle_faults(&mut self, engine: &mut Connection) {
        let news = self.namespace.faults.read(|registry| {
            let seen = std::mem::replace(&mut self.disorder.seen, registry.latest());
            registry.news(seen)
        });
        for struck in news {
            let targets = self.targets(&struck.fault);
            let strikes = u64::try_from(targets.len()).unwrap_or(u64::MAX);
            self.perform_on(engine, (struck.id, struck.effect()), targets);
            self.namespace.faults.count(struck.id, strikes);
        }
        self.align_line();
    }

    /// Everything on this connection that a fault is about.
    pub(super) fn targets(&self, fault: &Fault) -> Vec<Target> {
        let scope = &fault.scope;
        if !scope.matches_connection(&self.disorder.facts) {
            return Vec::new();
        }
        let standings = self.disorder.links.iter();
        let mut links: Vec<(LinkId, SessionId)> = standings
            .filter(|(link, standing)| {
                self.links.contains_key(link) && scope.matches_link(&standing.facts)
            })
            .map(|(link, standing)| (*link, standing.session))
            .collect();
        if scope.is_about_links() && links.is_empty() {
            return Vec::new();
        }
        match &fault.effect {
            effect @ (Effect::Detach(_) | Effect::WithdrawCredit(_) | Effect::Overrun(_)) => {
                links.retain(|(link, _)| self.suits(effect, *link));
                links.into_iter().map(|(link, session)| Target::Link(link, session)).collect()
            }
            Effect::End(_) | Effect::ShutWindow(_) => {
                let sessions: HashSet<SessionId> = match scope.is_about_links() {
                    true => links.into_iter().map(|(_, session)| session).collect(),
                    false => self.disorder.sessions.keys().copied().collect(),
                };
                sessions.into_iter().map(Target::Session).collect()
            }
            _ => vec![Target::Connection],
        }
    }

    /// Whether an effect means anything to a link.
    fn suits(&self, effect: &Effect, link: LinkId) -> bool {
        match effect {
            Effect::WithdrawCredit(_) => matches!(self.links.get(&link), Some(Link::Producer(_))),
            Effect::Overrun(_) => matches!(self.links.get(&link), Some(Link::Consumer(_))),
            _ => true,
        }
    }

    pub(super) fn perform_on(
        &mut self,
        engine: &mut Connection,
        fault: (FaultId, &Effect),
        targets: Vec<Target>,
    ) {
        for target in targets {
            match target {
                Target::Connection => self.perform_effect(engine, fault, None, None),
                Target::Session(session) => self.perform_effect(engine, fault, None, Some(session)),
                Target::Link(link, session) => {
                    self.perform_effect(engine, fault, Some(link), Some(session))
                }
            };
        }
    }

    /// Performs a strike at something that happens on this link or session. Answers whether that
    /// still happens.
    pub(super) fn perform(
        &mut self,
        engine: &mut Connection,
        struck: &Struck,
        link: Option<LinkId>,
        session: Option<SessionId>,
    ) -> bool {
        self.perform_effect(engine, (struck.id, struck.effect()), link, session)
    }

    fn perform_effect(
        &mut self,
        engine: &mut Connection,
        (id, effect): (FaultId, &Effect),
        link: Option<LinkId>,
        session: Option<SessionId>,
    ) -> bool {
        tracing::debug!(connection = self.number, fault = %id, "a fault strikes");
        match effect {
            Effect::Detach(reason) => {
                if let Some(link) = link {
                    self.links.remove(&link);
                    engine.detach(link, true, error(reason));
                }
                false
            }
            Effect::End(reason) => {
                if let Some(session) = session {
                    self.drop_links_of(session);
                    engine.end(session, error(reason));
                }
                false
            }
            Effect::Close(reason) => {
                self.links.clear();
                engine.close(error(reason));
                false
            }
            Effect::WithdrawCredit(by) => {
                self.withdraw(engine, link, *by);
                true
            }
            Effect::Overrun(extra) => {
                if let Some(link) = link {
                    engine.assume_credit(link, *extra);
                }
                true
            }
            Effect::ShutWindow(by) => {
                if let Some(session) = session {
                    engine.shut_window(session, true);
                    self.put_off(engine, *by, Later::Window(session));
                }
                true
            }
            effect => self.perform_on_line(id, effect),
        }
    }

    fn drop_links_of(&mut self, session: SessionId) {
        let Self { links, disorder, .. } = self;
        links.retain(|link, _| disorder.session_of(*link) != Some(session));
    }

    fn withdraw(&mut self, engine: &mut Connection, link: Option<LinkId>, by: Duration) {
        let Some(link) = link else { return };
        if let Some(Link::Producer(producer)) = self.links.get_mut(&link) {
            producer.granting = Granting::Withheld;
            engine.drain(link);
            self.put_off(engine, by, Later::Credit(link));
        }
    }
}

fn error(reason: &Option<Reason>) -> Option<AmqpError> {
    reason.clone().map(Into::into)
}
