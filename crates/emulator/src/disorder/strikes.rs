//! Strikes: what can happen nearly anywhere.

use std::time::Duration;

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::engine::{Connection, LinkId, SessionId};

use super::Later;
use crate::broker::{Broker, Link};
use crate::fault::{Effect, FaultId, Reason, Struck};
use crate::producer::Granting;

impl Broker {
    /// Faults were injected or lifted.
    pub(crate) fn handle_faults(&mut self, engine: &mut Connection) {
        let news = self.namespace.faults.read(|registry| {
            let seen = std::mem::replace(&mut self.disorder.seen, registry.latest());
            registry.news(seen)
        });
        for struck in news {
            let strikes = self.strike_all(engine, &struck);
            self.namespace.faults.count(struck.id, strikes);
        }
    }

    /// Strikes everything on this connection that a fault is about; how much that was.
    fn strike_all(&mut self, engine: &mut Connection, struck: &Struck) -> u64 {
        let scope = &struck.fault.scope;
        if !scope.matches_connection(&self.disorder.facts) {
            return 0;
        }
        let live = self.links.keys().filter_map(|id| Some((*id, self.disorder.links.get(id)?)));
        let links: Vec<(LinkId, SessionId)> = live
            .filter(|(_, standing)| scope.matches_link(&standing.facts))
            .map(|(id, standing)| (id, standing.session))
            .collect();
        if scope.is_about_links() && links.is_empty() {
            return 0;
        }
        match struck.effect() {
            Effect::Detach(_) | Effect::WithdrawCredit(_) | Effect::Overrun(_) => {
                let mut strikes = 0;
                for (link, session) in links {
                    if self.suits(struck.effect(), link) {
                        self.perform(engine, struck, Some(link), Some(session));
                        strikes += 1;
                    }
                }
                strikes
            }
            Effect::End(_) | Effect::ShutWindow(_) => {
                let mut sessions: Vec<SessionId> = match scope.is_about_links() {
                    true => links.into_iter().map(|(_, session)| session).collect(),
                    false => self.disorder.sessions.keys().copied().collect(),
                };
                let mut done = Vec::with_capacity(sessions.len());
                sessions.retain(|session| match done.contains(session) {
                    true => false,
                    false => {
                        done.push(*session);
                        true
                    }
                });
                for session in &sessions {
                    self.perform(engine, struck, None, Some(*session));
                }
                u64::try_from(sessions.len()).unwrap_or(u64::MAX)
            }
            _ => {
                self.perform(engine, struck, None, None);
                1
            }
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

    /// Performs a strike. Answers whether what was struck still happens.
    pub(super) fn perform(
        &mut self,
        engine: &mut Connection,
        struck: &Struck,
        link: Option<LinkId>,
        session: Option<SessionId>,
    ) -> bool {
        tracing::debug!(connection = self.number, fault = %struck.id, "a fault strikes");
        match struck.effect() {
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
            effect => self.perform_on_line(struck.id, effect),
        }
    }

    /// What the byte layer does.
    fn perform_on_line(&mut self, _id: FaultId, effect: &Effect) -> bool {
        !matches!(effect, Effect::Eof | Effect::Reset)
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
