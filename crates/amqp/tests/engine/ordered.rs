//! Whatever the cuts, windows, credit, frame sizes and starting points: what goes in at one end comes
//! out at the other, once and in order, and every unsettled delivery gets its outcome once.

use std::collections::VecDeque;

use bytes::Bytes;
use eventhubs_amqp::codec::performative::Role;
use eventhubs_amqp::codec::{DeliveryState, FieldList};
use eventhubs_amqp::engine::{
    Delivery, Event, Limits, LinkId, Options, Outgoing, SendError, SessionId, SessionOptions,
};

use crate::rng::{Rng, for_seeds};
use crate::wire::{Pair, answer, attach};

/// One link of the plan, and how far it has come.
#[derive(Debug)]
struct Link {
    name: String,
    session: usize,
    /// Which end attaches, and which one sends.
    attacher: usize,
    sender: usize,
    settled: bool,
    /// Receiver settle mode second: the sender settles.
    second: bool,
    initial_delivery_count: u32,
    payloads: Vec<Vec<u8>>,
    ids: [Option<LinkId>; 2],
    attached: [bool; 2],
    sent: usize,
    /// Given up by the sender: these neither arrive nor have an outcome.
    aborted: Vec<bool>,
    /// Given up too late: these arrive, but nobody hears of their outcome.
    forgotten: Vec<bool>,
    outcomes: Vec<u32>,
    received: usize,
    unsettled: VecDeque<u32>,
    held: usize,
    draining: bool,
}

impl Link {
    /// Counts what the sender gave up as received.
    fn skip_aborted(&mut self) {
        while self.aborted.get(self.received) == Some(&true) {
            self.received += 1;
        }
    }

    /// Deliveries that have to have an outcome.
    fn due(&self) -> Vec<u32> {
        let lost = |number: &usize| self.aborted[*number] || self.forgotten[*number];
        let due = (0..self.payloads.len()).filter(|number| !self.settled && !lost(number));
        due.map(|number| u32::try_from(number).unwrap()).collect()
    }
}

#[derive(Debug)]
struct Session {
    beginner: usize,
    options: [SessionOptions; 2],
    ids: [Option<SessionId>; 2],
}

struct World {
    rng: Rng,
    pair: Pair,
    sessions: Vec<Session>,
    links: Vec<Link>,
    drains: usize,
    aborts: usize,
}

/// A number that wraps soon, or any small one.
fn near(rng: &mut Rng, wrap: bool) -> u32 {
    if wrap { u32::MAX - rng.between(0, 6) } else { rng.between(0, 100) }
}

fn options(rng: &mut Rng, mut options: Options) -> Options {
    options.max_frame_size = *rng.pick(&[512, 512, 513, 700, 1024, 4096, 65_536]);
    options.fields = if rng.chance(50) { FieldList::Full } else { FieldList::Trimmed };
    options.limits = Limits {
        output_bytes_max: *rng.pick(&[1, 3000, 8 << 20]),
        session_bytes_soft: *rng.pick(&[1, 2000, 64 << 20]),
        ..Limits::default()
    };
    options
}

impl World {
    fn new(seed: u64, wrap: bool) -> Self {
        let mut rng = Rng::new(seed);
        let a = options(&mut rng, Options::dialler("a"));
        let b = options(&mut rng, Options::listener("b"));
        let sessions = (0..rng.between(1, 3))
            .map(|_| Session {
                beginner: rng.below(2),
                options: [(); 2].map(|()| SessionOptions {
                    incoming_window: rng.between(1, 12),
                    next_outgoing_id: near(&mut rng, wrap),
                    first_delivery_id: near(&mut rng, wrap),
                    ..SessionOptions::default()
                }),
                ids: [None; 2],
            })
            .collect::<Vec<_>>();
        let links = (0..rng.between(1, 6))
            .map(|number| {
                let payloads = (0..rng.between(1, 30)).map(|_| {
                    let len = *rng.pick(&[0, 1, 40, 400, 480, 512, 1500, 4000]);
                    rng.bytes(len)
                });
                let payloads: Vec<_> = payloads.collect();
                Link {
                    name: format!("link-{number}"),
                    session: rng.below(sessions.len()),
                    attacher: rng.below(2),
                    sender: rng.below(2),
                    settled: rng.chance(40),
                    second: rng.chance(30),
                    initial_delivery_count: near(&mut rng, wrap),
                    aborted: vec![false; payloads.len()],
                    forgotten: vec![false; payloads.len()],
                    payloads,
                    ids: [None; 2],
                    attached: [false; 2],
                    sent: 0,
                    outcomes: Vec::new(),
                    received: 0,
                    unsettled: VecDeque::new(),
                    held: 0,
                    draining: false,
                }
            })
            .collect();
        Self { rng, pair: Pair::new(a, b), sessions, links, drains: 0, aborts: 0 }
    }

    fn step(&mut self) {
        match self.rng.below(7) {
            0 | 1 => {
                let from = self.rng.below(2);
                let max = *self.rng.pick(&[1, 7, 8, 60, 500, 3000, 100_000]);
                self.pair.carry(from, max);
                self.events();
            }
            2 => self.begin(),
            3 => self.attach(),
            4 | 5 => {
                let link = self.rng.below(self.links.len());
                self.send(link);
            }
            _ => {
                let link = self.rng.below(self.links.len());
                self.receive(link);
            }
        }
    }

    fn begin(&mut self) {
        let Some(session) = self.sessions.iter_mut().find(|s| s.ids[s.beginner].is_none()) else {
            return;
        };
        let end = session.beginner;
        // A listener has to open first; a dialler may go ahead.
        session.ids[end] = self.pair.ends[end].engine.begin(session.options[end]).ok();
    }

    fn attach(&mut self) {
        let number = self.rng.below(self.links.len());
        let link = &mut self.links[number];
        let end = link.attacher;
        let Some(session) = self.sessions[link.session].ids[end] else { return };
        if link.ids[end].is_some() {
            return;
        }
        let role = if link.sender == end { Role::Sender } else { Role::Receiver };
        let mut frame = attach(&link.name, role);
        if role == Role::Sender {
            frame.initial_delivery_count = Some(link.initial_delivery_count);
        }
        let engine = &mut self.pair.ends[end].engine;
        let id = engine.attach(session, frame);
        link.ids[end] = id.ok();
        if let Some(id) = link.ids[end]
            && role == Role::Receiver
            && self.rng.chance(50)
        {
            // Credit need not wait for the answer.
            engine.set_credit(id, 3);
        }
    }

    fn events(&mut self) {
        for end in 0..2 {
            while let Some(event) = self.pair.ends[end].events.pop_front() {
                self.event(end, event);
            }
        }
    }

    fn event(&mut self, end: usize, event: Event) {
        let engine = &mut self.pair.ends[end].engine;
        match event {
            Event::Open(_) => engine.open(),
            Event::Begin { session: id, incoming: true, .. } => {
                // They arrive in the order in which they were begun.
                let planned = self.sessions.iter_mut();
                let mut planned =
                    planned.filter(|s| s.beginner == 1 - end && s.ids[1 - end].is_some());
                let session = planned.find(|s| s.ids[end].is_none()).expect("one was begun");
                session.ids[end] = Some(id);
                engine.accept_session(id, session.options[end]).unwrap();
            }
            Event::Begin { .. } => {}
            Event::Attach { link: id, attach: frame, incoming, .. } => {
                let link = self.links.iter_mut().find(|link| link.name == frame.name).unwrap();
                link.attached[end] = true;
                if incoming {
                    link.ids[end] = Some(id);
                    let mut answer = answer();
                    answer.initial_delivery_count = Some(link.initial_delivery_count);
                    engine.accept(id, answer).unwrap();
                }
                assert_eq!(link.ids[end], Some(id));
            }
            Event::Drain { link } => engine.drained(link),
            Event::Drained { link: id } => {
                let link = self.links.iter_mut().find(|link| link.ids[end] == Some(id)).unwrap();
                assert!(link.draining, "nobody asked for a drain");
                assert_eq!(engine.credit(id), 0, "credit is left after a drain");
                link.draining = false;
                self.drains += 1;
            }
            other => panic!("end {end} saw {other:?}"),
        }
    }

    fn send(&mut self, number: usize) {
        let link = &mut self.links[number];
        let end = &mut self.pair.ends[link.sender];
        let Some(id) = link.ids[link.sender].filter(|_| link.attached[link.sender]) else {
            return;
        };
        for outcome in end.outcomes(id) {
            assert_eq!(outcome.state, Some(DeliveryState::Accepted));
            assert_eq!(outcome.settled, !link.second, "{outcome:?}");
            link.outcomes.push(u32::try_from(outcome.token).unwrap());
            if !outcome.settled {
                let delivery = outcome.delivery_id;
                end.engine.settle(id, delivery, delivery, DeliveryState::Accepted, true);
            }
        }
        let Some(payload) = link.payloads.get(link.sent) else { return };
        let payload = Bytes::copy_from_slice(payload);
        let settled = link.settled;
        let outgoing = Outgoing { payload, message_format: 0, settled, token: link.sent as u64 };
        match end.engine.send(id, outgoing) {
            Ok(delivery_id) => {
                if self.rng.chance(10) {
                    let aborted = end.engine.abort(id, delivery_id);
                    link.aborted[link.sent] = aborted;
                    link.forgotten[link.sent] = !aborted;
                    self.aborts += usize::from(aborted);
                }
                link.sent += 1;
            }
            Err(SendError::NoCredit | SendError::Full) => {}
            Err(other) => panic!("a send was refused: {other}"),
        }
    }

    fn receive(&mut self, number: usize) {
        let link = &mut self.links[number];
        let receiver = 1 - link.sender;
        let end = &mut self.pair.ends[receiver];
        let Some(id) = link.ids[receiver].filter(|_| link.attached[receiver]) else { return };
        let deliveries = end.deliveries(id);
        for delivery in &deliveries {
            link.skip_aborted();
            assert_eq!(delivery.settled(), link.settled);
            assert!(delivery.payload() == link.payloads[link.received], "another payload");
            assert_eq!(delivery.tag(), delivery.id().to_be_bytes());
            link.received += 1;
            if !link.settled {
                link.unsettled.push_back(delivery.id());
            }
        }
        link.skip_aborted();
        link.held += deliveries.iter().map(Delivery::held_bytes).sum::<usize>();
        if self.rng.chance(60) {
            end.engine.consumed(id, std::mem::take(&mut link.held));
        }
        if self.rng.chance(70)
            && let Some(first) = link.unsettled.pop_front()
        {
            let mut last = first;
            while link.unsettled.front() == Some(&last.wrapping_add(1)) && self.rng.chance(80) {
                last = link.unsettled.pop_front().unwrap();
            }
            end.engine.settle(id, first, last, DeliveryState::Accepted, !link.second);
        }
        if link.draining {
            return;
        }
        if self.rng.chance(10) {
            link.draining = true;
            end.engine.drain(id);
        } else if self.rng.chance(60) {
            let credit = self.rng.between(1, 8).max(end.engine.credit(id));
            end.engine.set_credit(id, credit);
        }
    }

    fn is_done(&self) -> bool {
        self.links.iter().all(|link| {
            link.sent == link.payloads.len()
                && link.received == link.payloads.len()
                && link.outcomes.len() == link.due().len()
        })
    }

    fn check_end(mut self) {
        self.pair.exchange();
        self.events();
        for link in &mut self.links {
            let mut outcomes = link.outcomes.clone();
            outcomes.sort_unstable();
            assert_eq!(outcomes, link.due(), "an outcome for each, once");
            let receiver = 1 - link.sender;
            let id = link.ids[receiver].unwrap();
            let end = &mut self.pair.ends[receiver];
            assert!(end.deliveries(id).is_empty(), "more arrived than was sent");
            end.engine.consumed(id, std::mem::take(&mut link.held));
        }
        for end in &self.pair.ends {
            assert_eq!(end.engine.held_bytes(), 0, "bytes are held that nobody has");
        }
    }
}

/// Answers how many drains and aborts there were.
fn run(seed: u64, wrap: bool) -> [usize; 2] {
    let mut world = World::new(seed, wrap);
    for _ in 0..400_000 {
        world.step();
        if world.is_done() {
            let seen = [world.drains, world.aborts];
            world.check_end();
            return seen;
        }
    }
    let left = world.links.iter().map(|link| {
        let (all, received, outcomes) = (link.payloads.len(), link.received, link.outcomes.len());
        format!("{}: {}/{received} of {all}, {outcomes} outcomes", link.name, link.sent)
    });
    panic!("no end in sight: {:?}", left.collect::<Vec<_>>());
}

#[test]
fn deliveries_arrive_once_and_in_order() {
    let seen = std::cell::Cell::new([0, 0]);
    for_seeds(0..60, |seed| {
        let [drains, aborts] = run(seed, false);
        seen.set([seen.get()[0] + drains, seen.get()[1] + aborts]);
    });
    let [drains, aborts] = seen.get();
    assert!(drains > 100 && aborts > 100, "too little happened: {drains} drains, {aborts} aborts");
}

#[test]
fn counters_wrap_at_2_to_the_32() {
    for_seeds(1000..1060, |seed| {
        run(seed, true);
    });
}
