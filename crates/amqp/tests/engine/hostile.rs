//! Peers that send anything: nothing panics, what is held stays below its limits, and what the
//! engine writes stays AMQP.

use bytes::BytesMut;
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Detach, Disposition, End as EndFrame, Flow, Performative, ReceiverSettleMode,
    Role, Transfer,
};
use eventhubs_amqp::codec::{DeliveryState, Map, Symbol, condition, write};
use eventhubs_amqp::engine::{CloseReason, Limits, Options, Sasl, SessionOptions};

use crate::owner::Owner;
use crate::raw::{Raw, close_frame, encoded, frame_of, open, peer_attach_on};
use crate::referee::Referee;
use crate::rng::{Rng, for_seeds};
use crate::wire::{End, Pair, answer, attach, start, take_output};

const HELD_MAX: usize = 50_000;

fn tight(options: Options) -> Options {
    let limits = Limits {
        session_bytes_soft: 10_000,
        link_bytes_max: 30_000,
        connection_bytes_max: HELD_MAX,
        links_max: 8,
        ..Limits::default()
    };
    Options { limits, max_frame_size: 2048, channel_max: 3, ..options }
}

/// An engine and its owner before a hostile peer.
struct Victim {
    rng: Rng,
    end: End,
    owner: Owner,
    referee: Referee,
    lets_go: bool,
}

impl Victim {
    fn new(mut rng: Rng, options: Options) -> Self {
        let lets_go = rng.chance(50);
        let end = End::new(tight(options), start());
        Self { rng, end, owner: Owner::default(), referee: Referee::default(), lets_go }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.end.feed(start(), bytes);
        self.owner.turn(&mut self.rng, &mut self.end, self.lets_go);
        let held = self.end.engine.held_bytes();
        assert!(held <= HELD_MAX, "{held} bytes are held");
        let output = take_output(&mut self.end.engine, usize::MAX);
        self.referee.watch(&output);
    }

    /// In pieces of any size.
    fn take_cut(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + self.rng.below(rest.len().min(900)));
            self.take(piece);
            rest = behind;
        }
    }
}

/// What each end of an ordinary conversation wrote.
fn conversation(sasl: bool) -> [Vec<u8>; 2] {
    let sasl = if sasl { Sasl::Anonymous } else { Sasl::None };
    let dialler = Options { sasl, max_frame_size: 2048, ..Options::dialler("a") };
    let mut pair = Pair::open_with(dialler, Options::listener("b"));
    let options = SessionOptions::default();
    let [session, _] = pair.session(options, options);
    let out = pair.link(session, attach("out", Role::Sender), answer());
    let inward = pair.link(session, attach("in", Role::Receiver), answer());
    pair.ends[1].engine.set_credit(out[1], 20);
    pair.ends[0].engine.set_credit(inward[0], 20);
    pair.exchange();
    for number in 0..8_u32 {
        let payload = vec![number as u8; 700 * number as usize];
        pair.ends[0].send(out[0], &payload, number % 2 == 0, 0);
        pair.ends[1].send(inward[1], &payload, number % 2 == 1, 0);
    }
    pair.exchange();
    pair.ends[1].engine.settle(out[1], 0, 7, DeliveryState::Accepted, true);
    pair.ends[0].engine.settle(inward[0], 0, 7, DeliveryState::Released, false);
    pair.ends[0].engine.drain(inward[0]);
    pair.exchange();
    pair.ends[0].engine.detach(out[0], true, None);
    pair.exchange();
    pair.ends[0].engine.end(session, None);
    pair.ends[0].engine.close(None);
    pair.exchange();
    pair.log
}

#[test]
fn mutated_conversations() {
    let talks = [conversation(false), conversation(true)];
    for_seeds(0..2500, |seed| {
        let mut rng = Rng::new(seed);
        let (sasl, side) = (rng.below(2), rng.below(2));
        let mut bytes = talks[sasl][side].clone();
        for _ in 0..rng.below(8) {
            mutate(&mut rng, &mut bytes);
        }
        let options = match (side, sasl) {
            (0, _) => Options::listener("victim"),
            (_, 0) => Options::dialler("victim"),
            _ => Options { sasl: Sasl::Anonymous, ..Options::dialler("victim") },
        };
        Victim::new(rng, options).take_cut(&bytes);
    });
}

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.len() < 2 {
        return;
    }
    let at = rng.below(bytes.len());
    let len = 1 + rng.below((bytes.len() - at).min(300));
    match rng.below(5) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next() as u8,
        2 => drop(bytes.drain(at..at + len)),
        3 => {
            let again = bytes[at..at + len].to_vec();
            bytes.splice(at..at, again);
        }
        _ => {
            let len = rng.below(40);
            let new = rng.bytes(len);
            bytes.splice(at..at, new);
        }
    }
}

#[test]
fn random_bytes() {
    for_seeds(0..500, |seed| {
        let mut rng = Rng::new(seed);
        let mut bytes = match rng.below(4) {
            0 => b"AMQP\x00\x01\x00\x00".to_vec(),
            1 => b"AMQP\x03\x01\x00\x00".to_vec(),
            _ => Vec::new(),
        };
        for _ in 0..rng.below(20) {
            // Random bodies in frames, or all random.
            let len = rng.below(200);
            let body = rng.bytes(len);
            let (kind, channel) = (rng.below(2) as u8, rng.below(4) as u16);
            if rng.chance(90) {
                bytes.extend(frame_of(kind, channel, &body));
            } else {
                bytes.extend(body);
            }
        }
        let options = match rng.below(3) {
            0 => Options::listener("victim"),
            1 => Options::dialler("victim"),
            _ => Options { sasl: Sasl::Anonymous, ..Options::dialler("victim") },
        };
        Victim::new(rng, options).take_cut(&bytes);
    });
}

/// A frame that is well-formed, whatever it means here.
fn any_performative(rng: &mut Rng) -> Performative {
    let handle = rng.between(0, 4);
    let small = rng.between(0, 12);
    let role = *rng.pick(&[Role::Sender, Role::Receiver]);
    match rng.below(20) {
        0 => Performative::Begin(Box::new(Begin {
            remote_channel: rng.chance(50).then_some(rng.below(4) as u16),
            next_outgoing_id: *rng.pick(&[0, 5, u32::MAX]),
            incoming_window: *rng.pick(&[0, 1, 3, u32::MAX]),
            handle_max: *rng.pick(&[0, 2, u32::MAX]),
            ..Begin::default()
        })),
        1..=3 => {
            let name = format!("link-{}", rng.below(4));
            let mut attach = peer_attach_on(&name, handle, role);
            attach.max_message_size = rng.chance(30).then_some(1000);
            attach.initial_delivery_count = rng.chance(70).then(|| rng.next() as u32);
            if rng.chance(20) {
                (attach.source, attach.target) = (None, None);
            }
            Performative::Attach(Box::new(attach))
        }
        4..=7 => Performative::Flow(Box::new(Flow {
            next_incoming_id: rng.chance(80).then_some(small),
            incoming_window: *rng.pick(&[0, 1, 20, u32::MAX]),
            next_outgoing_id: small,
            outgoing_window: *rng.pick(&[0, 20, u32::MAX]),
            handle: rng.chance(80).then_some(handle),
            delivery_count: rng
                .chance(80)
                .then(|| *rng.pick(&[0, small, rng.clone().next() as u32])),
            link_credit: rng.chance(80).then(|| *rng.pick(&[0, 1, 10, u32::MAX])),
            drain: rng.chance(20),
            echo: rng.chance(20),
            ..Flow::default()
        })),
        8..=14 => Performative::Transfer(Box::new(Transfer {
            handle,
            delivery_id: rng.chance(80).then_some(small),
            delivery_tag: rng.chance(80).then(|| bytes::Bytes::from_static(b"tag")),
            message_format: rng.chance(80).then_some(0),
            settled: rng.chance(50).then(|| rng.chance(50)),
            more: rng.chance(40),
            rcv_settle_mode: rng.chance(10).then_some(ReceiverSettleMode::Second),
            state: rng.chance(10).then_some(DeliveryState::Accepted),
            aborted: rng.chance(10),
            ..Transfer::default()
        })),
        15 | 16 => Performative::Disposition(Disposition {
            role,
            first: *rng.pick(&[0, small, u32::MAX]),
            last: rng.chance(70).then(|| *rng.pick(&[small, 1 << 30, u32::MAX])),
            settled: rng.chance(50),
            state: rng.chance(70).then_some(DeliveryState::Released),
            batchable: false,
        }),
        17 => Performative::Detach(Detach { handle, closed: rng.chance(50), error: None }),
        18 if rng.chance(30) => Performative::End(EndFrame::default()),
        19 if rng.chance(5) => close_frame(),
        _ => Performative::Flow(Box::default()),
    }
}

#[test]
fn any_frames_in_any_order() {
    for_seeds(0..1200, |seed| {
        let mut rng = Rng::new(seed);
        let dialler = rng.chance(50);
        let options =
            if dialler { Options::dialler("victim") } else { Options::listener("victim") };
        let mut victim = Victim::new(rng, options);
        victim.take(b"AMQP\x00\x01\x00\x00");
        victim.take(&encoded(0, &open(), &[]));
        for _ in 0..100 {
            if dialler && victim.rng.chance(10) {
                let session = victim.end.engine.begin(SessionOptions::default());
                victim.owner.sessions.extend(session);
            }
            if !victim.owner.sessions.is_empty() && victim.rng.chance(10) {
                let session = *victim.rng.pick(&victim.owner.sessions);
                let role = *victim.rng.pick(&[Role::Sender, Role::Receiver]);
                let name = format!("link-{}", victim.rng.below(4));
                victim.owner.links.extend(victim.end.engine.attach(session, attach(&name, role)));
            }
            let performative = any_performative(&mut victim.rng);
            let len = *victim.rng.pick(&[0, 5, 1500]);
            let payload = if matches!(performative, Performative::Transfer(_)) {
                vec![3; len]
            } else {
                Vec::new()
            };
            let channel = victim.rng.below(4) as u16;
            victim.take(&encoded(channel, &performative, &payload));
        }
    });
}

/// An attach whose properties hold lists `levels` deep.
fn deep_attach(levels: usize) -> Vec<u8> {
    let mut lists = BytesMut::new();
    for level in (0..levels).rev() {
        // A list of one item, which is all that follows.
        let size = u32::try_from(4 + level * 9 + 1).unwrap();
        lists.extend_from_slice(&[0xd0]);
        lists.extend_from_slice(&size.to_be_bytes());
        lists.extend_from_slice(&1_u32.to_be_bytes());
    }
    lists.extend_from_slice(&[0x40]);
    let mut map = BytesMut::new();
    write::put_symbol(&mut map, "deep");
    map.extend_from_slice(&lists);

    let attach = Attach { properties: Map::new(), ..peer_attach_on("deep", 0, Role::Sender) };
    let mut fields = BytesMut::new();
    attach.encode(eventhubs_amqp::codec::FieldList::Full, &mut fields);
    // Without descriptor, constructor, sizes and the null of the properties.
    let fields = &fields[6..fields.len() - 1];
    let mut body = vec![0x00, 0x53, 0x12, 0xd0];
    let map_size = u32::try_from(4 + map.len()).unwrap();
    let size = 4 + fields.len() + 9 + map.len();
    body.extend(u32::try_from(size).unwrap().to_be_bytes());
    body.extend(14_u32.to_be_bytes());
    body.extend_from_slice(fields);
    body.push(0xd1);
    body.extend(map_size.to_be_bytes());
    body.extend(2_u32.to_be_bytes());
    body.extend_from_slice(&map);
    frame_of(0, 0, &body)
}

#[test]
fn deep_nesting_is_refused() {
    let options = Options { max_frame_size: 2 << 20, ..Options::listener("engine") };
    for (levels, fits) in [(3, true), (100_000, false)] {
        let mut raw = Raw::open_with(options.clone());
        raw.session(crate::raw::begin(), SessionOptions::default());
        raw.bytes(&deep_attach(levels));
        let seen = raw.end.find(crate::raw::incoming_link);
        assert_eq!(seen.is_some(), fits, "{levels} levels");
        if !fits {
            raw.frame(0, close_frame());
            let reason = raw.end.engine.close_reason().cloned();
            let Some(CloseReason::Violation(error)) = reason else {
                panic!("a violation was due, not {reason:?}");
            };
            assert_eq!(error.condition, condition::DECODE_ERROR);
        }
    }
}

#[test]
fn a_sasl_peer_cannot_fill_memory_with_mechanisms() {
    let mechanisms = (0..50).map(|n| Symbol::new(format!("MECHANISM-{n}"))).collect();
    let offer =
        eventhubs_amqp::codec::sasl::Frame::Mechanisms(eventhubs_amqp::codec::sasl::Mechanisms {
            mechanisms,
        });
    let mut raw = Raw::new(Options { sasl: Sasl::Anonymous, ..Options::dialler("engine") });
    raw.bytes(b"AMQP\x03\x01\x00\x00");
    raw.bytes(&crate::raw::sasl_frame(&offer));
    let Some(CloseReason::Sasl(text)) = raw.end.engine.close_reason() else {
        panic!("{:?}", raw.end.engine.close_reason());
    };
    assert!(text.len() < 300, "{text}");
}
