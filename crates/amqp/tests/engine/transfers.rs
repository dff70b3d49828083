//! Deliveries frame by frame, aborted ones, and what becomes of them.

use bytes::Bytes;
use eventhubs_amqp::codec::performative::{Begin, Disposition, Flow, Performative, Role, Transfer};
use eventhubs_amqp::codec::{DeliveryState, Symbol, condition};
use eventhubs_amqp::engine::{Event, Limits, LinkId, Options, Outcome, SendError, SessionOptions};

use crate::raw::{Raw, begin, delivery, disposition, flow, grant, peer_attach, session_flow};
use crate::wire::{Pair, answer, take_output};

fn detached_with(raw: &mut Raw) -> Option<Symbol> {
    raw.end.find(|event| match event {
        Event::Detach { error: Some(error), .. } => Some(error.condition.clone()),
        _ => None,
    })
}

fn continuation(more: bool) -> Transfer {
    Transfer { handle: 0, more, ..Transfer::default() }
}

/// The transfers that the engine wrote.
fn transfers(raw: &mut Raw) -> Vec<Transfer> {
    let transfers = raw.performatives().into_iter().filter_map(|performative| match performative {
        Performative::Transfer(transfer) => Some(*transfer),
        _ => None,
    });
    transfers.collect()
}

#[test]
fn frames_are_joined_whatever_the_later_ones_repeat() {
    let mut raw = Raw::open();
    let link = raw.receiving(2);
    raw.transfer(Transfer { more: true, settled: None, ..delivery(0) }, b"on");
    raw.transfer(continuation(true), b"");
    raw.transfer(Transfer { settled: Some(true), ..continuation(false) }, b"ce");
    raw.transfer(Transfer { more: true, ..delivery(1) }, b"tw");
    raw.transfer(delivery(1), b"ice");
    let deliveries = raw.end.deliveries(link);
    for (number, payload) in [&b"once"[..], b"twice"].into_iter().enumerate() {
        let delivery = &deliveries[number];
        assert_eq!((delivery.id() as usize, delivery.payload()), (number, payload));
        assert_eq!(delivery.tag(), [0, 0, 0, number as u8]);
        assert!(delivery.settled() && delivery.message_format() == 0);
    }
    let payload = deliveries.into_iter().next().unwrap().into_payload();
    assert_eq!(payload, Bytes::from_static(b"once"));
}

#[test]
fn another_delivery_before_the_first_is_complete_detaches() {
    let mut raw = Raw::open();
    raw.receiving(5);
    raw.transfer(Transfer { more: true, ..delivery(0) }, b"half");
    raw.transfer(delivery(1), b"other");
    assert_eq!(detached_with(&mut raw), Some(condition::INVALID_FIELD));
    assert_eq!(raw.end.engine.held_bytes(), 0);
}

#[test]
fn a_first_frame_without_an_id_detaches() {
    let mut raw = Raw::open();
    raw.receiving(5);
    raw.transfer(continuation(false), b"which?");
    assert_eq!(detached_with(&mut raw), Some(condition::INVALID_FIELD));
}

#[test]
fn an_aborted_delivery_leaves_nothing_but_its_credit_used() {
    for begun in [false, true] {
        let mut raw = Raw::open();
        let link = raw.receiving(2);
        if begun {
            raw.transfer(Transfer { more: true, ..delivery(0) }, &[1; 500]);
            assert!(raw.end.engine.held_bytes() >= 500);
        }
        raw.transfer(Transfer { aborted: true, ..delivery(0) }, b"ignored");
        assert_eq!(raw.end.engine.held_bytes(), 0);
        // Its owner learns that there is credit to be returned.
        let mut touched = Vec::new();
        raw.end.engine.touched(&mut touched);
        assert_eq!((touched, raw.end.engine.credit(link)), (vec![link], 1));
        raw.transfer(delivery(1), b"next");
        assert_eq!(raw.end.payloads(link), [b"next"]);
        assert!(raw.end.events.is_empty(), "{:?}", raw.end.events);
    }
}

/// A sender with credit, whose peer has room for `window` frames of 512 bytes.
fn before_a_window(window: u32) -> (Raw, LinkId) {
    let mut raw = Raw::open_with(Options { max_frame_size: 512, ..Options::listener("engine") });
    raw.session(Begin { incoming_window: window, ..begin() }, SessionOptions::default());
    let link = raw.link(peer_attach(Role::Receiver), answer());
    raw.frame(0, window_flow(0, window));
    raw.sent();
    (raw, link)
}

/// A flow with plenty of credit for a peer that has seen `seen` frames.
fn window_flow(seen: u32, incoming_window: u32) -> Performative {
    flow(Flow {
        incoming_window,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(10_000),
        ..session_flow(seen)
    })
}

#[test]
fn an_abort_is_told_when_the_window_lets_it() {
    let (mut raw, link) = before_a_window(1);
    let begun = raw.end.send(link, &[1; 1000], false, 1);
    let unbegun = raw.end.send(link, &[2; 1000], false, 2);
    let last = raw.end.send(link, b"last", false, 3);
    assert_eq!(transfers(&mut raw).len(), 1);
    assert!(raw.end.engine.abort(link, begun));
    assert!(raw.end.engine.abort(link, unbegun));
    assert_eq!(transfers(&mut raw), [], "the window is shut for these too");
    raw.frame(0, window_flow(1, 1));
    raw.frame(0, window_flow(2, 5));
    let seen: Vec<_> = transfers(&mut raw)
        .iter()
        .map(|transfer| (transfer.delivery_id, transfer.aborted, transfer.more))
        .collect();
    let expected = [(None, true, false), (Some(unbegun), true, false), (Some(last), false, false)];
    assert_eq!(seen, expected);
    // No outcome follows for what was given up, whatever the peer says.
    raw.frame(0, disposition(0, 2, true));
    let tokens: Vec<_> = raw.end.outcomes(link).iter().map(|outcome| outcome.token).collect();
    assert_eq!(tokens, [3]);
}

#[test]
fn a_delivery_that_is_all_on_its_way_cannot_be_aborted() {
    let mut raw = Raw::open();
    let link = raw.sending(5);
    let id = raw.end.send(link, b"gone", false, 1);
    assert!(!raw.end.engine.abort(link, id));
    raw.frame(0, disposition(id, id, true));
    assert_eq!(raw.end.outcomes(link), [], "its owner has given it up");
}

#[test]
fn outcomes_come_in_ranges_states_and_settlements() {
    let mut raw = Raw::open();
    let link = raw.sending(10);
    for token in 0..6 {
        raw.end.send(link, b"x", token == 2, token);
    }
    // 2 was settled from the start, so it is passed over.
    raw.frame(0, disposition(0, 3, true));
    let outcome =
        |token: u64, state, settled| Outcome { token, delivery_id: token as u32, state, settled };
    let accepted = Some(DeliveryState::Accepted);
    let expected = [0, 1, 3].map(|token| outcome(token, accepted.clone(), true));
    assert_eq!(raw.end.outcomes(link), expected);
    // Settled without a state, and a state that is no outcome.
    let bare = |state, settled, first| {
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first,
            last: None,
            settled,
            state,
            batchable: false,
        })
    };
    let received = DeliveryState::Received { section_number: 0, section_offset: 0 };
    raw.frame(0, bare(Some(received), false, 4));
    assert_eq!(raw.end.outcomes(link), []);
    raw.frame(0, bare(None, true, 4));
    assert_eq!(raw.end.outcomes(link), [outcome(4, None, true)]);
    // A sender's disposition is about the peer's own deliveries.
    let own = Disposition { role: Role::Sender, first: 5, settled: true, ..disposition_of(5) };
    raw.frame(0, Performative::Disposition(own));
    assert_eq!(raw.end.outcomes(link), []);
}

fn disposition_of(first: u32) -> Disposition {
    Disposition {
        role: Role::Receiver,
        first,
        last: None,
        settled: false,
        state: Some(DeliveryState::Accepted),
        batchable: false,
    }
}

#[test]
fn a_peer_that_repeats_itself_fills_no_memory() {
    let mut raw = Raw::open();
    let link = raw.sending(10);
    raw.end.send(link, b"x", false, 1);
    for _ in 0..1000 {
        raw.frame(0, disposition(0, 0, false));
    }
    let outcomes = raw.end.outcomes(link);
    assert_eq!(outcomes.len(), 1, "one outcome, told once");
    assert!(!outcomes[0].settled);
    for _ in 0..1000 {
        raw.frame(0, disposition(0, 0, true));
    }
    let outcomes = raw.end.outcomes(link);
    assert_eq!(outcomes.len(), 1, "and its settlement");
    assert!(outcomes[0].settled);
}

#[test]
fn the_widest_ranges_cost_no_more_than_what_is_outstanding() {
    let mut raw = Raw::open();
    let link = raw.sending(10);
    // Were each id of these ranges looked at, this would take days.
    for _ in 0..1000 {
        raw.frame(0, disposition(0, u32::MAX, true));
        raw.frame(0, disposition(0, i32::MAX as u32, true));
        raw.frame(0, disposition(1 << 31, u32::MAX, true));
    }
    raw.end.send(link, b"x", false, 1);
    raw.frame(0, disposition(0, i32::MAX as u32, true));
    assert_eq!(raw.end.outcomes(link).len(), 1);
}

#[test]
fn a_receiver_that_settles_second() {
    let mut pair = Pair::open();
    let [a, b] = pair.sending();
    pair.ends[1].engine.set_credit(b, 1);
    pair.exchange();
    let id = pair.ends[0].send(a, b"x", false, 9);
    pair.exchange();
    pair.ends[1].engine.settle(b, id, id, DeliveryState::Accepted, false);
    pair.exchange();
    let outcomes = pair.ends[0].outcomes(a);
    assert_eq!((outcomes[0].token, outcomes[0].settled), (9, false));
    pair.ends[0].engine.settle(a, id, id, DeliveryState::Accepted, true);
    pair.exchange();
    pair.ends[1].engine.settle(b, id, id, DeliveryState::Accepted, true);
    pair.exchange();
    assert_eq!(pair.ends[0].outcomes(a), [], "it is settled already");
}

#[test]
fn a_send_is_refused_while_too_much_waits_to_be_written() {
    let limits = Limits { output_bytes_max: 10_000, ..Limits::default() };
    let mut raw = Raw::open_with(Options { limits, ..Options::listener("engine") });
    let link = raw.sending(1000);
    let mut sent = 0;
    while raw.end.engine.can_send(link, 1000).is_ok() {
        raw.end.send(link, &[1; 1000], true, 0);
        sent += 1;
    }
    assert_eq!(sent, 10);
    assert_eq!(raw.end.engine.can_send(link, 1000), Err(SendError::Full));
    let mut touched = Vec::new();
    raw.end.engine.touched(&mut touched);
    touched.clear();
    take_output(&mut raw.end.engine, 3000);
    raw.end.engine.touched(&mut touched);
    assert_eq!(touched, [], "a little room is not worth a call");
    take_output(&mut raw.end.engine, 3000);
    raw.end.engine.touched(&mut touched);
    assert_eq!(touched, [link]);
    assert_eq!(raw.end.engine.can_send(link, 1000), Ok(()));
}

#[test]
fn what_waits_for_the_session_window_waits_to_be_written() {
    let limits = Limits { output_bytes_max: 10_000, ..Limits::default() };
    let mut raw = Raw::open_with(Options { limits, ..Options::listener("engine") });
    raw.session(Begin { incoming_window: 0, ..begin() }, SessionOptions::default());
    let link = raw.link(peer_attach(Role::Receiver), answer());
    raw.frame(0, window_flow(0, 0));
    for _ in 0..10 {
        raw.end.send(link, &[1; 1000], true, 0);
    }
    assert_eq!(raw.end.engine.can_send(link, 1000), Err(SendError::Full));
    raw.frame(0, window_flow(0, 100));
    assert_eq!(transfers(&mut raw).len(), 10);
    let mut touched = Vec::new();
    raw.end.engine.touched(&mut touched);
    assert_eq!(touched, [link]);
}

#[test]
fn credit_is_what_the_peer_says_it_is() {
    let mut raw = Raw::open();
    let link = raw.sending(0);
    assert_eq!(raw.end.engine.can_send(link, 1), Err(SendError::NoCredit));
    raw.frame(0, grant(0, 3));
    raw.end.send(link, b"1", true, 0);
    raw.end.send(link, b"2", true, 0);
    // This flow left before the peer saw the two.
    raw.frame(0, grant(0, 3));
    assert_eq!(raw.end.engine.credit(link), 1);
    raw.frame(0, grant(2, 3));
    assert_eq!(raw.end.engine.credit(link), 3);
    // All of it, as some clients grant.
    raw.frame(0, grant(2, u32::MAX));
    assert_eq!(raw.end.engine.credit(link), u32::MAX);
    raw.frame(0, grant(2, 0));
    assert_eq!(raw.end.engine.credit(link), 0);
}
