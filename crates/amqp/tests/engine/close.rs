//! From every state that a walk can reach, a close comes to its end: with the peer's answer, or by
//! its deadline.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use eventhubs_amqp::codec::performative::Role;
use eventhubs_amqp::codec::sasl::Code;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Symbol, condition};
use eventhubs_amqp::engine::{
    CloseReason, Event, LinkId, Options, Outgoing, Sasl, SessionId, SessionOptions,
};

use crate::raw::{Frame, Raw, close_frame, open};
use crate::rng::{Rng, for_seeds};
use crate::wire::{Pair, answer, attach};

/// Owners that do anything, in any order, or nothing at all.
struct Walk {
    rng: Rng,
    pair: Pair,
    sessions: [Vec<SessionId>; 2],
    links: [Vec<LinkId>; 2],
    /// Events that an owner has not looked at.
    ignored: [VecDeque<Event>; 2],
    names: usize,
}

fn dialler(rng: &mut Rng) -> Options {
    let plain = Sasl::Plain { user: "user".to_owned(), password: "secret".to_owned() };
    let name = Symbol::from_static("TURNS");
    let turns = Sasl::Mechanism { name, initial_response: Some(Bytes::from_static(b"1")) };
    let sasl = rng.pick(&[Sasl::None, Sasl::Anonymous, Sasl::External, plain, turns]).clone();
    Options { sasl, max_frame_size: 512, ..Options::dialler("a") }
}

fn listener(rng: &mut Rng) -> Options {
    let mechanisms = ["ANONYMOUS", "PLAIN", "TURNS"].map(Symbol::from_static).to_vec();
    let sasl = Sasl::Offer { mechanisms, allow_bare: rng.chance(80) };
    Options { sasl, max_frame_size: 512, ..Options::listener("b") }
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (a, b) = (dialler(&mut rng), listener(&mut rng));
        Self {
            rng,
            pair: Pair::new(a, b),
            sessions: Default::default(),
            links: Default::default(),
            ignored: Default::default(),
            names: 0,
        }
    }

    fn carry(&mut self, from: usize, max: usize) {
        self.pair.carry(from, max);
        for end in 0..2 {
            let events = &mut self.pair.ends[end].events;
            self.ignored[end].append(events);
        }
    }

    fn step(&mut self) {
        let end = self.rng.below(2);
        match self.rng.below(10) {
            0..=3 => {
                let max = *self.rng.pick(&[1, 9, 80, 700, 10_000]);
                self.carry(end, max);
            }
            4 | 5 => {
                if let Some(event) = self.ignored[end].pop_front() {
                    self.answer(end, event);
                }
            }
            6 => self.begin_or_attach(end),
            7 | 8 => self.use_link(end),
            _ => self.leave(end),
        }
    }

    fn answer(&mut self, end: usize, event: Event) {
        let engine = &mut self.pair.ends[end].engine;
        match event {
            Event::SaslInit { mechanism, .. } if mechanism.as_str() == "TURNS" => {
                engine.sasl_challenge(Bytes::from_static(b"2"));
            }
            Event::SaslInit { .. } | Event::SaslResponse(_) => {
                let refused = self.rng.chance(10);
                engine.sasl_outcome(if refused { Code::Auth } else { Code::Ok });
            }
            Event::SaslChallenge(_) => engine.sasl_response(Bytes::from_static(b"3")),
            Event::Open(_) => engine.open(),
            Event::Begin { session, incoming, .. } => {
                if incoming {
                    let _ = engine.accept_session(session, SessionOptions::default());
                }
                self.sessions[end].push(session);
            }
            Event::Attach { link, incoming, .. } => {
                if incoming && self.rng.chance(30) {
                    engine.refuse(link, AmqpError::new(condition::NOT_FOUND, "nothing here"));
                } else if incoming {
                    let _ = engine.accept(link, answer());
                }
                self.links[end].push(link);
            }
            Event::Drain { link } => engine.drained(link),
            Event::Closed(_) => self.ignored[end].push_front(event),
            _ => {}
        }
    }

    fn begin_or_attach(&mut self, end: usize) {
        let engine = &mut self.pair.ends[end].engine;
        if self.sessions[end].is_empty() || self.rng.chance(30) {
            let incoming_window = self.rng.between(1, 4);
            let options = SessionOptions { incoming_window, ..SessionOptions::default() };
            self.sessions[end].extend(engine.begin(options));
            return;
        }
        let session = *self.rng.pick(&self.sessions[end]);
        let role = *self.rng.pick(&[Role::Sender, Role::Receiver]);
        self.names += 1;
        let name = format!("link-{}", self.names - self.rng.below(2));
        self.links[end].extend(engine.attach(session, attach(&name, role)));
    }

    fn use_link(&mut self, end: usize) {
        if self.links[end].is_empty() {
            return;
        }
        let link = *self.rng.pick(&self.links[end]);
        let engine = &mut self.pair.ends[end].engine;
        match self.rng.below(6) {
            0 | 1 => engine.set_credit(link, self.rng.between(0, 9)),
            2 => engine.drain(link),
            3 => {
                let settled = self.rng.chance(50);
                engine.settle(link, 0, self.rng.between(0, 9), DeliveryState::Released, settled);
            }
            4 => {
                let mut deliveries = Vec::new();
                engine.deliveries(link, &mut deliveries);
                let mut outcomes = Vec::new();
                engine.outcomes(link, &mut outcomes);
            }
            _ => {
                let len = *self.rng.pick(&[0, 100, 2000]);
                let payload = Bytes::from(vec![7; len]);
                let settled = self.rng.chance(50);
                let outgoing = Outgoing { payload, message_format: 0, settled, token: 0 };
                if let Ok(id) = engine.send(link, outgoing)
                    && self.rng.chance(30)
                {
                    engine.abort(link, id);
                }
            }
        }
    }

    fn leave(&mut self, end: usize) {
        let error = self.rng.chance(50).then(|| AmqpError::new(condition::DETACH_FORCED, "enough"));
        let engine = &mut self.pair.ends[end].engine;
        if !self.links[end].is_empty() && self.rng.chance(80) {
            let link = *self.rng.pick(&self.links[end]);
            engine.detach(link, self.rng.chance(80), error);
        } else if !self.sessions[end].is_empty() {
            let session = *self.rng.pick(&self.sessions[end]);
            engine.end(session, error);
        }
    }

    /// Closes at one end and carries on; answers whether it needed the deadline.
    fn close(mut self) -> bool {
        let end = self.rng.below(2);
        let error =
            self.rng.chance(50).then(|| AmqpError::new(condition::CONNECTION_FORCED, "out"));
        self.pair.ends[end].engine.close(error);
        if self.rng.chance(20) {
            self.pair.ends[1 - end].engine.close(None);
        }
        for _ in 0..64 {
            self.carry(0, usize::MAX);
            self.carry(1, usize::MAX);
            self.hang_up();
        }
        let timed = !self.pair.ends[end].engine.is_closed();
        if timed {
            self.pair.pass(Duration::from_secs(5));
            self.hang_up();
        }
        for (end, ignored) in self.pair.ends.iter_mut().zip(&mut self.ignored) {
            assert!(end.engine.is_closed(), "an end stays open: {:?}", end.engine);
            assert_eq!(end.engine.poll_timeout(), None, "a closed end wants to be called");
            end.collect();
            ignored.append(&mut end.events);
            let closed = ignored.iter().filter(|e| matches!(e, Event::Closed(_))).count();
            assert_eq!(closed, 1, "the end is told once");
            assert!(matches!(ignored.back(), Some(Event::Closed(_))), "and last: {ignored:?}");
        }
        timed
    }

    /// What a driver does: a transport whose one end is over is over for the other end too.
    fn hang_up(&mut self) {
        for end in 0..2 {
            let engine = &self.pair.ends[end].engine;
            if engine.is_closed() && !engine.has_output() {
                self.pair.ends[1 - end].engine.handle_eof(self.pair.now);
            }
        }
    }
}

#[test]
fn a_close_ends_from_every_state() {
    let timed = std::cell::Cell::new(0);
    for_seeds(0..1500, |seed| {
        let mut walk = Walk::new(seed);
        for _ in 0..walk.rng.below(250) {
            walk.step();
        }
        timed.set(timed.get() + usize::from(walk.close()));
    });
    assert!(timed.get() < 200, "the deadline is for peers that do not answer: {}", timed.get());
}

#[test]
fn a_silent_peer_is_given_up_at_the_deadline() {
    let mut raw = Raw::open();
    raw.end.engine.close(None);
    assert_eq!(raw.performatives(), [close_frame()]);
    raw.pass(Duration::from_millis(4999));
    assert!(!raw.end.engine.is_closed());
    raw.pass(Duration::from_millis(1));
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::CloseTimeout));
}

#[test]
fn the_peers_close_is_answered_at_once_and_its_reason_kept() {
    let mut raw = Raw::open();
    let error = AmqpError::new(condition::CONNECTION_FORCED, "maintenance");
    let close = eventhubs_amqp::codec::performative::Close { error: Some(error.clone()) };
    raw.frame(0, eventhubs_amqp::codec::performative::Performative::Close(close));
    assert_eq!(raw.performatives(), [close_frame()]);
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::Remote(Some(error))));
}

#[test]
fn a_close_before_our_open_brings_the_open_first() {
    let mut raw = Raw::new(Options::listener("engine"));
    raw.bytes(b"AMQP\x00\x01\x00\x00");
    raw.frame(0, open());
    raw.sent();
    raw.end.engine.close(None);
    let names: Vec<_> = raw.performatives().iter().map(|frame| frame.name()).collect();
    assert_eq!(names, ["open", "close"]);
    raw.frame(0, close_frame());
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::Local));
}

#[test]
fn nothing_follows_a_close() {
    let mut raw = Raw::open();
    let link = raw.sending(10);
    raw.end.engine.close(None);
    raw.sent();
    let outgoing = Outgoing { payload: Bytes::new(), message_format: 0, settled: false, token: 0 };
    assert!(raw.end.engine.send(link, outgoing).is_err());
    raw.end.engine.detach(link, true, None);
    assert!(raw.end.engine.begin(SessionOptions::default()).is_err());
    raw.end.engine.close(None);
    assert_eq!(raw.sent(), Vec::<Frame>::new());
}

#[test]
fn the_end_of_the_transport_is_the_end() {
    let mut raw = Raw::open();
    raw.sending(10);
    raw.end.engine.handle_eof(raw.now);
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::Eof));
    assert_eq!(raw.sent(), Vec::<Frame>::new());
}
