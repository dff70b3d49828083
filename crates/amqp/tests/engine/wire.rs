//! Two engines and the bytes between them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use eventhubs_amqp::codec::performative::{Attach, Role};
use eventhubs_amqp::codec::sasl::Code;
use eventhubs_amqp::codec::{Source, Target};
use eventhubs_amqp::engine::{Connection, Delivery, Event, LinkId, Options, Outcome, SessionId};
use eventhubs_amqp::engine::{Outgoing, SessionOptions};

use crate::referee::Referee;

/// Some moment; the engine only ever counts from the one it was given.
pub(crate) fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Takes up to `max` bytes that `engine` wants to write.
pub(crate) fn take_output(engine: &mut Connection, max: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < max && engine.has_output() {
        let mut slices = [IoSlice::new(&[]); 3];
        let used = engine.poll_transmit(&mut slices);
        let joined: Vec<u8> = slices[..used].iter().flat_map(|s| s.iter().copied()).collect();
        let count = joined.len().min(max - taken.len());
        assert!(count > 0, "there is output, but no slice of it");
        taken.extend_from_slice(&joined[..count]);
        engine.wrote(count);
    }
    taken
}

/// One end: an engine, what has arrived for it, and what it told.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) engine: Connection,
    pub(crate) input: BytesMut,
    pub(crate) events: VecDeque<Event>,
}

impl End {
    pub(crate) fn new(options: Options, now: Instant) -> Self {
        let engine = Connection::new(options, now);
        Self { engine, input: BytesMut::new(), events: VecDeque::new() }
    }

    /// Bytes of the peer.
    pub(crate) fn feed(&mut self, now: Instant, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while self.engine.handle_input(now, &mut self.input) {
            self.collect();
        }
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            self.events.push_back(event);
        }
    }

    pub(crate) fn deliveries(&mut self, link: LinkId) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        self.engine.deliveries(link, &mut deliveries);
        deliveries
    }

    /// Takes what has arrived on a link and lets it go at once.
    pub(crate) fn payloads(&mut self, link: LinkId) -> Vec<Vec<u8>> {
        let deliveries = self.deliveries(link);
        let payloads = deliveries.iter().map(|delivery| delivery.payload().to_vec()).collect();
        let bytes = deliveries.iter().map(Delivery::held_bytes).sum();
        self.engine.consumed(link, bytes);
        payloads
    }

    pub(crate) fn outcomes(&mut self, link: LinkId) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.engine.outcomes(link, &mut outcomes);
        outcomes
    }

    /// The first event that `find` knows, which is taken out.
    pub(crate) fn find<T>(&mut self, find: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let place = self.events.iter().position(|event| find(event).is_some())?;
        self.events.remove(place).and_then(|event| find(&event))
    }

    pub(crate) fn send(&mut self, link: LinkId, payload: &[u8], settled: bool, token: u64) -> u32 {
        let payload = bytes::Bytes::copy_from_slice(payload);
        self.engine.send(link, Outgoing { payload, message_format: 0, settled, token }).unwrap()
    }
}

/// A dialler and a listener. Whatever they write is watched.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    referees: [Referee; 2],
    /// Everything each end wrote.
    pub(crate) log: [Vec<u8>; 2],
}

impl Pair {
    pub(crate) fn new(dialler: Options, listener: Options) -> Self {
        let now = start();
        let ends = [End::new(dialler, now), End::new(listener, now)];
        Self { now, ends, referees: Default::default(), log: Default::default() }
    }

    /// A pair that has opened.
    pub(crate) fn open() -> Self {
        Self::open_with(Options::dialler("a"), Options::listener("b"))
    }

    pub(crate) fn open_with(dialler: Options, listener: Options) -> Self {
        let mut pair = Self::new(dialler, listener);
        pair.exchange();
        pair.ends[1].engine.open();
        pair.exchange();
        pair.ends.iter_mut().for_each(|end| end.events.clear());
        assert!(pair.ends.iter().all(|end| end.engine.remote_open().is_some()), "not open");
        pair
    }

    /// Moves up to `max` bytes from one end to the other; answers how many.
    pub(crate) fn carry(&mut self, from: usize, max: usize) -> usize {
        let bytes = take_output(&mut self.ends[from].engine, max);
        self.referees[from].watch(&bytes);
        self.log[from].extend_from_slice(&bytes);
        self.ends[1 - from].feed(self.now, &bytes);
        bytes.len()
    }

    /// Moves bytes both ways until there are none; SASL is answered with a welcome.
    pub(crate) fn exchange(&mut self) {
        let mut rounds = 0;
        while self.carry(0, usize::MAX) + self.carry(1, usize::MAX) > 0 {
            if self.ends[1].find(|e| matches!(e, Event::SaslInit { .. }).then_some(())).is_some() {
                self.ends[1].engine.sasl_outcome(Code::Ok);
            }
            rounds += 1;
            assert!(rounds < 10_000, "the two never stop");
        }
    }

    /// Lets time pass for both.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.engine.handle_timeout(self.now);
            end.collect();
        }
    }

    /// A session that the dialler begins, under its two ids.
    pub(crate) fn session(
        &mut self,
        ours: SessionOptions,
        theirs: SessionOptions,
    ) -> Ids<SessionId> {
        let a = self.ends[0].engine.begin(ours).unwrap();
        self.exchange();
        let incoming = |event: &Event| match event {
            Event::Begin { session, incoming: true, .. } => Some(*session),
            _ => None,
        };
        let b = self.ends[1].find(incoming).expect("the listener sees the begin");
        self.ends[1].engine.accept_session(b, theirs).unwrap();
        self.exchange();
        let answer = |event: &Event| match event {
            Event::Begin { session, incoming: false, .. } => Some(*session),
            _ => None,
        };
        assert_eq!(self.ends[0].find(answer), Some(a));
        [a, b]
    }

    /// A link that the dialler attaches, under its two ids; the listener answers with `answer`.
    pub(crate) fn link(&mut self, session: SessionId, ours: Attach, answer: Attach) -> Ids<LinkId> {
        let a = self.ends[0].engine.attach(session, ours).unwrap();
        self.exchange();
        let incoming = |event: &Event| match event {
            Event::Attach { link, incoming: true, .. } => Some(*link),
            _ => None,
        };
        let b = self.ends[1].find(incoming).expect("the listener sees the attach");
        self.ends[1].engine.accept(b, answer).unwrap();
        self.exchange();
        let answered = |event: &Event| match event {
            Event::Attach { link, incoming: false, .. } => Some(*link),
            _ => None,
        };
        assert_eq!(self.ends[0].find(answered), Some(a));
        [a, b]
    }

    /// A session and on it a link on which the dialler sends.
    pub(crate) fn sending(&mut self) -> Ids<LinkId> {
        let [session, _] = self.session(SessionOptions::default(), SessionOptions::default());
        self.link(session, attach("out", Role::Sender), answer())
    }

    /// A session and on it a link on which the dialler receives.
    pub(crate) fn receiving(&mut self) -> Ids<LinkId> {
        let [session, _] = self.session(SessionOptions::default(), SessionOptions::default());
        self.link(session, attach("in", Role::Receiver), answer())
    }
}

/// What the dialler calls something, and what the listener does.
pub(crate) type Ids<T> = [T; 2];

pub(crate) fn attach(name: &str, role: Role) -> Attach {
    Attach {
        name: name.to_owned(),
        role,
        source: Some(Source::new("from")),
        target: Some(Target::new("to")),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}

/// An answer that accepts; name, handle and role are filled in by the engine.
pub(crate) fn answer() -> Attach {
    Attach {
        source: Some(Source::new("from")),
        target: Some(Target::new("to")),
        ..Attach::default()
    }
}
