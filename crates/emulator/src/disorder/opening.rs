//! Opens, begins and attaches of a client, and what may become of them.

use std::collections::VecDeque;
use std::time::Duration;

use eventhubs_amqp::codec::performative::{Attach, Open};
use eventhubs_amqp::codec::{AmqpError, condition};
use eventhubs_amqp::engine::{Connection, EVENTS_MAX, Event, LinkId, SessionId, SessionOptions};

use super::{Answered, Later, Standing};
use crate::broker::producer::{CREDIT, Granting};
use crate::broker::{Broker, Link, SESSION};
use crate::fault::occurrence::LinkFacts;
use crate::fault::{Effect, Point};

impl Broker {
    /// The client opens.
    pub(crate) fn handle_open(&mut self, engine: &mut Connection, open: Open) {
        self.disorder.facts.container = open.container_id;
        self.shape();
        let Some(struck) = self.strike(Point::Open) else {
            return engine.open();
        };
        match struck.effect() {
            Effect::Refuse(reason) => {
                engine.open();
                engine.close(Some(reason.clone().into()));
            }
            Effect::Delay(by) => {
                self.disorder.held = Some(VecDeque::new());
                self.put_off(engine, *by, Later::Open);
            }
            Effect::Ignore => self.disorder.held = Some(VecDeque::new()),
            effect if effect.comes_after_the_answer() => {
                engine.open();
                self.perform(engine, &struck, None, None);
            }
            _ => {
                if self.perform(engine, &struck, None, None) {
                    engine.open();
                }
            }
        }
    }

    /// Keeps an event for later while our open is outstanding; gives it back otherwise.
    pub(crate) fn hold_event(&mut self, engine: &mut Connection, event: Event) -> Option<Event> {
        if matches!(event, Event::Closed(_)) {
            return Some(event);
        }
        let Some(held) = &mut self.disorder.held else {
            return Some(event);
        };
        match held.len() < EVENTS_MAX {
            true => held.push_back(event),
            false => {
                let text = "more was sent before our open than can be kept";
                engine.close(Some(AmqpError::new(condition::RESOURCE_LIMIT_EXCEEDED, text)));
            }
        }
        None
    }

    pub(super) fn open_late(&mut self, engine: &mut Connection) {
        engine.open();
        for event in self.disorder.held.take().unwrap_or_default() {
            self.handle_event(engine, event);
        }
    }

    /// The client begins a session.
    pub(crate) fn handle_begin(&mut self, engine: &mut Connection, session: SessionId) {
        let Some(struck) = self.strike(Point::Begin) else {
            return self.accept_session(engine, session, SESSION);
        };
        let target = Some(session);
        match struck.effect() {
            Effect::Refuse(reason) => engine.end(session, Some(reason.clone().into())),
            Effect::StartIds(first) => {
                let (next_outgoing_id, first_delivery_id) = (*first, *first);
                let options = SessionOptions { next_outgoing_id, first_delivery_id, ..SESSION };
                self.accept_session(engine, session, options);
            }
            Effect::Delay(by) => {
                let now = self.disorder.now;
                let due = now.checked_add(*by).unwrap_or(now);
                self.disorder.sessions.insert(session, Answered::At(due));
                self.put_off(engine, *by, Later::Begin(session));
            }
            Effect::Ignore => {
                self.disorder.sessions.insert(session, Answered::Never);
            }
            effect if effect.comes_after_the_answer() => {
                self.accept_session(engine, session, SESSION);
                self.perform(engine, &struck, None, target);
            }
            _ => {
                if self.perform(engine, &struck, None, target) {
                    self.accept_session(engine, session, SESSION);
                }
            }
        }
    }

    fn accept_session(
        &mut self,
        engine: &mut Connection,
        session: SessionId,
        options: SessionOptions,
    ) {
        match engine.accept_session(session, options) {
            Ok(()) => {
                self.disorder.sessions.insert(session, Answered::Yes);
            }
            Err(error) => {
                tracing::debug!(connection = self.number, %error, "a session went at once");
            }
        }
    }

    pub(super) fn begin_late(&mut self, engine: &mut Connection, session: SessionId) {
        // Not after the client has ended it.
        if self.disorder.sessions.contains_key(&session) {
            self.accept_session(engine, session, SESSION);
        }
    }

    /// The client attaches a link.
    pub(crate) fn handle_incoming_attach(
        &mut self,
        engine: &mut Connection,
        (link, session): (LinkId, SessionId),
        attach: Attach,
    ) {
        match self.disorder.sessions.get(&session) {
            Some(Answered::Never) => return,
            Some(Answered::At(due)) => {
                // The session's answer is entered before this and comes first.
                let by = due.saturating_duration_since(self.disorder.now);
                if !by.is_zero() {
                    let attach = Box::new(attach);
                    let later = Later::Attach { link, session, attach, asked: false };
                    return self.put_off(engine, by, later);
                }
            }
            Some(Answered::Yes) | None => {}
        }
        let facts = LinkFacts::of(&attach);
        let struck = self.strike_facts(Point::Attach, &facts);
        self.disorder.links.insert(link, Standing { session, facts, paused: false });
        self.shape();
        let Some(struck) = struck else {
            return self.handle_attach(engine, (link, session), attach, None);
        };
        match struck.effect() {
            Effect::Refuse(reason) => {
                self.forget_link(link);
                engine.refuse(link, reason.clone().into());
            }
            Effect::Delay(by) => {
                let later = Later::Attach { link, session, attach: Box::new(attach), asked: true };
                self.put_off(engine, *by, later);
            }
            Effect::Ignore => {}
            Effect::RefuseLate { error, after } => {
                if engine.accept(link, Attach::default()).is_ok()
                    && let Some(after) = after
                {
                    self.put_off(engine, *after, Later::Detach(link, error.clone().into()));
                }
            }
            effect @ (Effect::WithholdCredit
            | Effect::TrickleCredit { .. }
            | Effect::StartIds(_)) => {
                self.handle_attach(engine, (link, session), attach, Some(effect));
            }
            effect if effect.comes_after_the_answer() => {
                self.handle_attach(engine, (link, session), attach, None);
                self.perform(engine, &struck, Some(link), Some(session));
            }
            _ => {
                if self.perform(engine, &struck, Some(link), Some(session)) {
                    self.handle_attach(engine, (link, session), attach, None);
                }
            }
        }
    }
}

/// What an effect changes of a link that is let in, and of the answer to its attach.
pub(crate) fn alter(effect: Option<&Effect>, link: &mut Link, answer: &mut Attach) {
    match (effect, link) {
        (Some(Effect::WithholdCredit), Link::Producer(producer)) => {
            producer.granting = Granting::Withheld;
        }
        (Some(Effect::TrickleCredit { each, every }), Link::Producer(producer)) => {
            producer.granting = Granting::Trickle { each: *each, every: *every, waits: false };
        }
        (Some(Effect::StartIds(first)), _) => answer.initial_delivery_count = Some(*first),
        _ => {}
    }
}

impl Broker {
    /// Grants a producer credit again if that is how it is to be done now.
    pub(crate) fn grant(&mut self, engine: &mut Connection, link: LinkId) {
        let Some(Link::Producer(producer)) = self.links.get_mut(&link) else {
            return;
        };
        let credit = engine.credit(link);
        let wait = match &mut producer.granting {
            Granting::Full if credit <= CREDIT / 2 => Duration::ZERO,
            Granting::Trickle { every, waits, .. } if credit == 0 && !*waits => {
                *waits = true;
                *every
            }
            Granting::Full | Granting::Trickle { .. } | Granting::Withheld => return,
        };
        match wait.is_zero() {
            true => self.grant_late(engine, link),
            false => self.put_off(engine, wait, Later::Credit(link)),
        }
    }

    /// Grants a producer what it gets at a time; one whose credit was withdrawn gets all again.
    pub(super) fn grant_late(&mut self, engine: &mut Connection, link: LinkId) {
        let Some(Link::Producer(producer)) = self.links.get_mut(&link) else {
            return;
        };
        match &mut producer.granting {
            Granting::Trickle { waits, .. } => *waits = false,
            Granting::Full | Granting::Withheld => producer.granting = Granting::Full,
        }
        engine.set_credit(link, producer.granting.first());
    }
}
