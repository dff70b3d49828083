#![no_main]
//! A peer's bytes, in pieces, to either end of a connection whose owner goes along with everything.

use std::io::IoSlice;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::frame::{self, Kind, ProtocolHeader};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Flow, Open, Performative, ReceiverSettleMode, Role,
};
use eventhubs_amqp::codec::{DeliveryState, FieldList, Source, Target, sasl};
use eventhubs_amqp::engine::{
    Connection, Event, Limits, LinkId, Options, Outgoing, SessionOptions,
};
use eventhubs_fuzz::{BASE, PER_BYTE, peak};
use libfuzzer_sys::fuzz_target;

/// Small enough for the fuzzer to reach.
const LIMITS: Limits = Limits {
    session_bytes_soft: 16 << 10,
    link_bytes_max: 32 << 10,
    connection_bytes_max: 48 << 10,
    output_bytes_max: 64 << 10,
    links_max: 32,
    answers_bytes_max: 64 << 10,
};
/// Memory for tables, buffers and answers.
const ENGINE: usize = 4 << 20;

/// The first byte chooses how the rest is used.
struct Plan {
    listener: bool,
    /// The other end has already opened, begun and attached both ways when the fuzzer's bytes begin.
    introduced: bool,
    /// The owner lets go of what it receives.
    consumes: bool,
    /// Bytes per read; 0 is everything at once.
    chunk: usize,
    /// The owner detaches, ends and closes along the way.
    hasty: bool,
}

impl Plan {
    fn new(byte: u8) -> Self {
        Self {
            listener: byte & 1 != 0,
            introduced: byte & 2 != 0,
            consumes: byte & 4 != 0,
            hasty: byte & 8 != 0,
            chunk: [0, 1, 3, 7, 8, 13, 64, 511][usize::from(byte >> 4 & 7)],
        }
    }
}

/// One moment for all runs, so that they can be repeated.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

fn introduction() -> BytesMut {
    let mut out = BytesMut::from(&ProtocolHeader::AMQP.encode()[..]);
    let mut send = |channel, performative: Performative| {
        frame::write(&mut out, Kind::Amqp, channel, |out| {
            performative.encode(FieldList::Full, out);
        });
    };
    send(0, Open { container_id: "peer".into(), max_frame_size: 4096, ..Open::default() }.into());
    let begin = Begin { incoming_window: 100, outgoing_window: 100, ..Begin::default() };
    send(0, begin.into());
    for (handle, role) in [(0, Role::Sender), (1, Role::Receiver)] {
        let attach = Attach {
            name: format!("link-{handle}"),
            handle,
            role,
            source: Some(Source::new("a")),
            target: Some(Target::new("b")),
            rcv_settle_mode: ReceiverSettleMode::First,
            initial_delivery_count: Some(0),
            ..Attach::default()
        };
        send(0, attach.into());
    }
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 100,
        outgoing_window: 100,
        handle: Some(1),
        delivery_count: Some(0),
        link_credit: Some(10),
        ..Flow::default()
    };
    send(0, flow.into());
    out
}

/// The owner: says yes to everything, sends what it may.
struct Owner {
    plan: Plan,
    engine: Connection,
    links: Vec<LinkId>,
    turns: usize,
    over: bool,
}

impl Owner {
    fn turn(&mut self) {
        self.turns += 1;
        let mut touched = Vec::new();
        self.engine.touched(&mut touched);
        for link in touched {
            let mut deliveries = Vec::new();
            self.engine.deliveries(link, &mut deliveries);
            for delivery in deliveries {
                let (id, held) = (delivery.id(), delivery.held_bytes());
                assert!(delivery.tag().len() <= 32);
                if !delivery.settled() {
                    self.engine.settle(link, id, id, DeliveryState::Accepted, true);
                }
                drop(delivery);
                if self.plan.consumes {
                    self.engine.consumed(link, held);
                }
            }
            let mut outcomes = Vec::new();
            self.engine.outcomes(link, &mut outcomes);
            self.send(link);
        }
        while let Some(event) = self.engine.poll_event() {
            assert!(!self.over, "an event after the last one: {event:?}");
            self.event(event);
        }
        assert!(
            self.engine.held_bytes() <= LIMITS.connection_bytes_max,
            "more is held than allowed"
        );
        self.transmit();
    }

    fn send(&mut self, link: LinkId) {
        for token in 0..4 {
            let outgoing = Outgoing {
                payload: Bytes::from_static(&[0; 900]),
                message_format: 0,
                settled: token % 2 == 0,
                token,
            };
            if self.engine.send(link, outgoing).is_err() {
                return;
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::SaslInit { .. } => self.engine.sasl_outcome(sasl::Code::Ok),
            Event::SaslChallenge(challenge) => self.engine.sasl_response(challenge),
            Event::SaslResponse(_) => self.engine.sasl_outcome(sasl::Code::Auth),
            Event::Open(_) => {
                if self.plan.listener {
                    self.engine.open();
                }
                let _ = self.engine.begin(SessionOptions::default());
            }
            Event::Begin { session, incoming, .. } => {
                if incoming {
                    let _ = self.engine.accept_session(session, SessionOptions::default());
                }
                for role in [Role::Sender, Role::Receiver] {
                    let name = format!("own-{role:?}-{}", self.links.len());
                    let attach = Attach { name, role, ..Attach::default() };
                    self.links.extend(self.engine.attach(session, attach));
                }
                if self.plan.hasty {
                    self.engine.end(session, None);
                }
            }
            Event::Attach { link, attach, incoming, .. } => {
                if incoming {
                    let answer = Attach {
                        source: attach.source,
                        target: attach.target,
                        max_message_size: Some(8 << 10),
                        ..Attach::default()
                    };
                    let _ = self.engine.accept(link, answer);
                }
                self.engine.set_credit(link, 50);
                self.send(link);
                if self.plan.hasty {
                    self.engine.detach(link, true, None);
                }
            }
            Event::Drain { link } => self.engine.drained(link),
            Event::Drained { link } => self.engine.set_credit(link, 5),
            Event::Closed(_) => self.over = true,
            _ => {}
        }
    }

    fn transmit(&mut self) {
        loop {
            let mut slices = [IoSlice::new(&[]); 8];
            let used = self.engine.poll_transmit(&mut slices);
            let bytes: usize = slices[..used].iter().map(|slice| slice.len()).sum();
            if bytes == 0 {
                return;
            }
            self.engine.wrote(bytes);
        }
    }
}

fn run(plan: Plan, data: &[u8]) {
    let start = beginning();
    let mut options = match plan.listener {
        true => Options::listener("us"),
        false => Options::dialler("us"),
    };
    options.limits = LIMITS;
    options.max_frame_size = 4096;
    let engine = Connection::new(options, start);
    let mut owner = Owner { plan, engine, links: Vec::new(), turns: 0, over: false };
    let mut all = if owner.plan.introduced { introduction() } else { BytesMut::new() };
    all.extend_from_slice(data);
    let chunk = if owner.plan.chunk == 0 { all.len().max(1) } else { owner.plan.chunk };
    let mut input = BytesMut::new();
    for (index, piece) in all.chunks(chunk).enumerate() {
        let now = start + Duration::from_millis(index as u64);
        input.extend_from_slice(piece);
        // Input is only ever left over because events wait, and those are taken here.
        while owner.engine.handle_input(now, &mut input) {
            owner.turn();
        }
        owner.turn();
    }
    let end = start + Duration::from_secs(3600);
    for step in 1..=4 {
        if let Some(due) = owner.engine.poll_timeout() {
            owner.engine.handle_timeout(due.max(start + Duration::from_secs(step)));
            owner.turn();
        }
    }
    owner.engine.close(None);
    owner.turn();
    owner.engine.handle_eof(end);
    owner.turn();
    assert!(owner.over && owner.engine.is_closed(), "the last event is missing");
    assert!(owner.engine.poll_timeout().is_none(), "a deadline after the end");
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let ((), used) = peak(|| run(Plan::new(first), rest));
    assert!(used <= ENGINE + BASE + PER_BYTE * data.len(), "{used} bytes for {}", data.len());
});
