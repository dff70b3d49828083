//! Session windows, and what one end may make the other hold.

use eventhubs_amqp::codec::performative::{Flow, Performative, Role, Transfer};
use eventhubs_amqp::codec::{Symbol, condition};
use eventhubs_amqp::engine::{CloseReason, Event, Limits, LinkId, Options, SessionOptions};

use crate::raw::{
    Raw, attach_frame, begin, close_frame, delivery, detach_frame, flow, incoming_link,
    peer_attach, peer_attach_on, session_flow,
};
use crate::wire::answer;

fn ended_with(raw: &mut Raw) -> Option<Symbol> {
    raw.end.find(|event| match event {
        Event::End { error: Some(error), .. } => Some(error.condition.clone()),
        _ => None,
    })
}

fn detached_with(raw: &mut Raw) -> Option<Symbol> {
    raw.end.find(|event| match event {
        Event::Detach { error: Some(error), .. } => Some(error.condition.clone()),
        _ => None,
    })
}

/// The windows that the engine has advertised since the last look.
fn windows(raw: &mut Raw) -> Vec<(Option<u32>, u32)> {
    let flows = raw.performatives().into_iter().filter_map(|performative| match performative {
        Performative::Flow(flow) => Some((flow.next_incoming_id, flow.incoming_window)),
        _ => None,
    });
    flows.collect()
}

/// A receiving link with much credit on a session with a window of `incoming_window`.
fn receiver(limits: Limits, incoming_window: u32) -> (Raw, LinkId) {
    let mut raw = Raw::open_with(Options { limits, ..Options::listener("engine") });
    let options = SessionOptions { incoming_window, ..SessionOptions::default() };
    raw.session(begin(), options);
    let link = raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.set_credit(link, 1_000_000);
    raw.sent();
    (raw, link)
}

#[test]
fn the_window_opens_again_at_half() {
    let (mut raw, _) = receiver(Limits::default(), 10);
    for id in 0..4 {
        raw.transfer(delivery(id), b"x");
    }
    assert_eq!(windows(&mut raw), []);
    raw.transfer(delivery(4), b"x");
    assert_eq!(windows(&mut raw), [(Some(5), 10)]);
}

#[test]
fn the_window_stays_shut_while_the_owner_holds_too_much() {
    let limits = Limits { session_bytes_soft: 3000, ..Limits::default() };
    let (mut raw, link) = receiver(limits, 10);
    for id in 0..8 {
        raw.transfer(delivery(id), &[1; 1000]);
    }
    assert_eq!(windows(&mut raw), [], "3000 bytes are held before the window is half used");
    let deliveries = raw.end.deliveries(link);
    let bytes: usize = deliveries.iter().map(|delivery| delivery.held_bytes()).sum();
    raw.end.engine.consumed(link, bytes / 8 * 4);
    assert_eq!(windows(&mut raw), []);
    raw.end.engine.consumed(link, bytes / 8 * 2);
    assert_eq!(windows(&mut raw), [(Some(8), 10)]);
}

#[test]
fn a_transfer_beyond_the_window_ends_the_session_only() {
    let limits = Limits { session_bytes_soft: 1, ..Limits::default() };
    let (mut raw, _) = receiver(limits, 10);
    for id in 0..10 {
        raw.transfer(delivery(id), b"x");
    }
    assert_eq!(ended_with(&mut raw), None);
    raw.transfer(delivery(10), b"x");
    assert_eq!(ended_with(&mut raw), Some(condition::WINDOW_VIOLATION));
    assert!(!raw.end.engine.is_closed());
}

#[test]
fn deliveries_under_way_do_not_shut_the_window() {
    // Otherwise many halves could fill it, and none of them could ever be completed.
    let limits = Limits { session_bytes_soft: 1000, ..Limits::default() };
    let (mut raw, link) = receiver(limits, 4);
    for frame in 0..100 {
        raw.transfer(Transfer { more: frame < 99, ..delivery(0) }, &[1; 100]);
        raw.sent();
    }
    assert_eq!(ended_with(&mut raw), None);
    assert_eq!(raw.end.payloads(link)[0].len(), 10_000);
}

#[test]
fn a_flow_without_next_incoming_id_counts_from_the_start() {
    let mut raw = Raw::open();
    let options = SessionOptions { next_outgoing_id: u32::MAX - 1, ..SessionOptions::default() };
    raw.session(begin(), options);
    let link = raw.link(peer_attach(Role::Receiver), answer());
    raw.frame(
        0,
        flow(Flow {
            next_incoming_id: None,
            incoming_window: 3,
            handle: Some(0),
            link_credit: Some(10),
            ..session_flow(0)
        }),
    );
    for _ in 0..5 {
        raw.end.send(link, b"x", true, 0);
    }
    let transfers = raw.performatives().into_iter();
    let transfers = transfers.filter(|frame| matches!(frame, Performative::Transfer(_)));
    assert_eq!(transfers.count(), 3);
}

#[test]
fn one_link_cannot_hold_more_than_its_limit() {
    for frames in [1, 4] {
        let limits = Limits { link_bytes_max: 10_000, ..Limits::default() };
        let (mut raw, link) = receiver(limits, 5000);
        raw.end.engine.set_credit(link, 1_000_000);
        for id in 0..50 {
            for frame in 0..frames {
                let more = frame + 1 < frames;
                raw.transfer(Transfer { more, ..delivery(id) }, &[1; 300]);
                assert!(raw.end.engine.held_bytes() <= 10_000);
            }
        }
        assert_eq!(detached_with(&mut raw), Some(condition::RESOURCE_LIMIT_EXCEEDED));
        assert!(!raw.end.engine.is_closed());
        raw.frame(0, detach_frame(0, None));
        raw.end.deliveries(link);
        assert_eq!(raw.end.engine.held_bytes(), 0);
    }
}

#[test]
fn one_delivery_under_way_cannot_hold_more_than_its_limit() {
    let limits = Limits { link_bytes_max: 10_000, ..Limits::default() };
    let (mut raw, _) = receiver(limits, 5000);
    for _ in 0..50 {
        raw.transfer(Transfer { more: true, ..delivery(0) }, &[1; 300]);
        assert!(raw.end.engine.held_bytes() <= 10_000);
    }
    assert_eq!(detached_with(&mut raw), Some(condition::RESOURCE_LIMIT_EXCEEDED));
    assert_eq!(raw.end.engine.held_bytes(), 0);
}

#[test]
fn all_links_together_cannot_hold_more_than_the_connection_may() {
    let limits = Limits { link_bytes_max: 8000, connection_bytes_max: 10_000, ..Limits::default() };
    let (mut raw, _) = receiver(limits, 5000);
    let other = peer_attach_on("other", 1, Role::Sender);
    raw.frame(0, attach_frame(&other.name, 1, Role::Sender));
    let other = raw.end.find(incoming_link).unwrap();
    raw.end.engine.accept(other, answer()).unwrap();
    raw.end.engine.set_credit(other, 1000);
    for id in 0..20 {
        let handle = id % 2;
        raw.transfer(Transfer { handle, ..delivery(id) }, &[1; 1000]);
        assert!(raw.end.engine.held_bytes() <= 10_000);
    }
    assert_eq!(detached_with(&mut raw), Some(condition::RESOURCE_LIMIT_EXCEEDED));
}

#[test]
fn the_next_tenant_of_a_session_slot_owes_nothing() {
    let limits = Limits { session_bytes_soft: 2000, ..Limits::default() };
    let (mut raw, old) = receiver(limits, 10);
    raw.transfer(delivery(0), &[1; 2100]);
    raw.frame(0, crate::raw::end_frame());
    // The same slot again, with bytes of its own; then the old link's bytes are let go.
    let options = SessionOptions { incoming_window: 4, ..SessionOptions::default() };
    raw.session(begin(), options);
    let link = raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.set_credit(link, 100);
    raw.transfer(delivery(0), &[1; 2100]);
    assert_eq!(raw.end.payloads(old).len(), 1);
    raw.sent();
    raw.transfer(delivery(1), &[1; 2100]);
    assert_eq!(windows(&mut raw), [], "4200 bytes of this session are held");
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_let_go() {
    let limits = Limits { answers_bytes_max: 10_000, ..Limits::default() };
    let mut raw = Raw::open_with(Options { limits, ..Options::listener("engine") });
    raw.sending(1);
    let ask = || flow(Flow { echo: true, handle: Some(0), ..session_flow(0) });
    for _ in 0..10_000 {
        raw.frame(0, ask());
        raw.sent();
    }
    assert!(raw.end.events.is_empty(), "asking much is no crime for a peer that reads");
    for _ in 0..10_000 {
        raw.frame(0, ask());
    }
    let waiting = crate::wire::take_output(&mut raw.end.engine, usize::MAX).len();
    assert!(waiting < 12_000, "{waiting} bytes wait");
    raw.frame(0, close_frame());
    let Some(CloseReason::Violation(error)) = raw.end.engine.close_reason() else {
        panic!("{:?}", raw.end.engine.close_reason());
    };
    assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED);
}
