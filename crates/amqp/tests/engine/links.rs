//! Attach, refuse, detach, credit and drain, seen from the other side.

use std::time::Duration;

use eventhubs_amqp::codec::performative::{Attach, Detach, Performative, Role, Transfer};
use eventhubs_amqp::codec::{AmqpError, Symbol, condition};
use eventhubs_amqp::engine::{
    CloseReason, Event, Limits, LinkError, LinkId, Options, Origin, SendError, SessionOptions,
};

use crate::raw::{
    Raw, attach_frame, begin, close_frame, delivery, detach_frame, end_frame, flow, grant,
    incoming_link, peer_attach, session_flow,
};
use crate::wire::{Pair, answer, attach};

/// The condition of the one detach that the engine wrote.
fn detached_with(raw: &mut Raw) -> Option<Symbol> {
    let detaches: Vec<_> = raw
        .performatives()
        .into_iter()
        .filter_map(|performative| match performative {
            Performative::Detach(detach) => Some(detach),
            _ => None,
        })
        .collect();
    let [Detach { closed: true, error, .. }] = &detaches[..] else {
        panic!("one closing detach was due, not {detaches:?}");
    };
    error.as_ref().map(|error| error.condition.clone())
}

/// The condition with which the engine ended the session on channel 0.
fn ended_with(raw: &mut Raw) -> Symbol {
    let ends = raw.performatives().into_iter().filter_map(|performative| match performative {
        Performative::End(end) => Some(end.error),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    let [Some(error)] = &ends[..] else { panic!("one end was due, not {ends:?}") };
    error.condition.clone()
}

fn told(raw: &mut Raw, link: LinkId) -> (Option<AmqpError>, Origin) {
    let detach = |event: &Event| match event {
        Event::Detach { link: id, error, origin, .. } if *id == link => {
            Some((error.clone(), *origin))
        }
        _ => None,
    };
    raw.end.find(detach).expect("the owner is told")
}

#[test]
fn a_refusal_is_an_empty_attach_and_a_detach_with_nothing_between() {
    let mut raw = Raw::open();
    raw.session(begin(), SessionOptions::default());
    raw.sent();
    for role in [Role::Sender, Role::Receiver] {
        raw.frame(0, Performative::Attach(Box::new(peer_attach(role))));
        let link = raw.end.find(incoming_link).unwrap();
        let error = AmqpError::new(condition::NOT_FOUND, "no such hub");
        raw.end.engine.refuse(link, error.clone());
        // A flow that crosses the refusal is not answered.
        raw.frame(0, grant(0, 10));
        let sent = raw.performatives();
        let [Performative::Attach(attach), Performative::Detach(detach)] = &sent[..] else {
            panic!("attach and detach were due, not {sent:?}");
        };
        assert_eq!((&attach.source, &attach.target, &attach.name[..]), (&None, &None, "link"));
        assert_eq!(attach.role, role.peer());
        assert_eq!(attach.initial_delivery_count.is_some(), attach.role == Role::Sender);
        assert_eq!(detach.handle, attach.handle);
        assert_eq!((detach.closed, &detach.error), (true, &Some(error)));
        assert!(raw.end.events.is_empty(), "its owner is not told what it did");
        // This peer does not answer the detach: it attaches anew on the same handle.
    }
    let link = raw.link(peer_attach(Role::Receiver), answer());
    raw.frame(0, grant(0, 1));
    raw.end.send(link, b"works", true, 0);
}

#[test]
fn a_refused_link_may_be_answered() {
    let mut raw = Raw::open();
    raw.session(begin(), SessionOptions::default());
    raw.frame(0, attach_frame("link", 3, Role::Sender));
    let link = raw.end.find(incoming_link).unwrap();
    raw.end.engine.refuse(link, AmqpError::new(condition::NOT_FOUND, "no such hub"));
    raw.sent();
    raw.frame(0, detach_frame(3, None));
    assert_eq!(raw.performatives(), []);
    raw.frame(0, detach_frame(3, None));
    assert_eq!(raw.performatives(), [], "a second one is tolerated");
}

#[test]
fn a_link_that_is_detached_before_it_is_accepted() {
    let mut raw = Raw::open();
    raw.session(begin(), SessionOptions::default());
    raw.frame(0, attach_frame("link", 0, Role::Sender));
    let link = raw.end.find(incoming_link).unwrap();
    raw.sent();
    raw.frame(0, detach_frame(0, None));
    let names: Vec<_> = raw.performatives().iter().map(|frame| frame.name()).collect();
    assert_eq!(names, ["attach", "detach"]);
    assert_eq!(told(&mut raw, link), (None, Origin::Peer));
    assert_eq!(raw.end.engine.accept(link, answer()), Err(LinkError::Unknown));
}

#[test]
fn credit_overrun_detaches_the_link_and_holds_no_more() {
    let mut raw = Raw::open();
    let link = raw.receiving(3);
    for id in 0..1000 {
        raw.transfer(delivery(id), &[7; 1000]);
    }
    assert_eq!(raw.end.deliveries(link).len(), 3);
    assert!(raw.end.engine.held_bytes() < 3 * 1200, "{} bytes", raw.end.engine.held_bytes());
    assert_eq!(detached_with(&mut raw), Some(condition::TRANSFER_LIMIT_EXCEEDED));
    let (error, origin) = told(&mut raw, link);
    assert_eq!(error.unwrap().condition, condition::TRANSFER_LIMIT_EXCEEDED);
    assert_eq!(origin, Origin::Us);
    raw.frame(0, detach_frame(0, None));
    assert_eq!(raw.end.engine.held_bytes(), 0);
    // Neither the session nor the connection suffers.
    let link = raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.set_credit(link, 1);
    raw.transfer(delivery(1000), b"fine");
    assert_eq!(raw.end.payloads(link), [b"fine"]);
}

#[test]
fn transfers_on_a_link_that_nobody_accepted_yet() {
    let mut raw = Raw::open();
    raw.session(begin(), SessionOptions::default());
    raw.frame(0, attach_frame("link", 0, Role::Sender));
    let link = raw.end.find(incoming_link).unwrap();
    raw.transfer(delivery(0), b"too early");
    assert_eq!(detached_with(&mut raw), Some(condition::TRANSFER_LIMIT_EXCEEDED));
    assert_eq!(raw.end.engine.accept(link, answer()), Err(LinkError::Unknown));
    assert_eq!(raw.end.engine.held_bytes(), 0);
}

#[test]
fn a_transfer_on_our_sending_link_detaches_it() {
    let mut raw = Raw::open();
    raw.sending(1);
    raw.transfer(delivery(0), b"wrong way");
    assert_eq!(detached_with(&mut raw), Some(condition::NOT_ALLOWED));
}

#[test]
fn an_unknown_handle_ends_the_session_only() {
    let mut raw = Raw::open();
    let link = raw.receiving(1);
    raw.transfer(Transfer { handle: 9, ..delivery(0) }, b"nowhere");
    assert_eq!(ended_with(&mut raw), condition::UNATTACHED_HANDLE);
    told(&mut raw, link);
    // What was on its way is ignored.
    raw.transfer(delivery(1), b"late");
    raw.frame(0, end_frame());
    assert_eq!(raw.performatives(), []);
    raw.receiving(1);
}

#[test]
fn a_handle_that_is_in_use_ends_the_session() {
    let mut raw = Raw::open();
    raw.receiving(1);
    raw.frame(0, attach_frame("another", 0, Role::Sender));
    assert_eq!(ended_with(&mut raw), condition::HANDLE_IN_USE);
}

#[test]
fn a_handle_above_the_limit_ends_the_connection() {
    let mut raw = Raw::open();
    let options = SessionOptions { handle_max: 4, ..SessionOptions::default() };
    raw.session(begin(), options);
    raw.frame(0, attach_frame("fits", 4, Role::Sender));
    assert!(raw.end.find(incoming_link).is_some());
    raw.frame(0, attach_frame("beyond", 5, Role::Sender));
    raw.frame(0, close_frame());
    let Some(CloseReason::Violation(error)) = raw.end.engine.close_reason() else {
        panic!("{:?}", raw.end.engine.close_reason());
    };
    assert_eq!(error.condition, condition::FRAMING_ERROR);
}

#[test]
fn more_links_than_the_limit_end_the_session_that_asked() {
    let limits = Limits { links_max: 2, ..Limits::default() };
    let mut raw = Raw::open_with(Options { limits, ..Options::listener("engine") });
    let session = raw.session(begin(), SessionOptions::default());
    raw.frame(0, attach_frame("one", 0, Role::Sender));
    raw.frame(0, attach_frame("two", 1, Role::Sender));
    let ours = raw.end.engine.attach(session, attach("ours", Role::Sender));
    assert_eq!(ours, Err(LinkError::TooMany(2)));
    raw.frame(0, attach_frame("three", 2, Role::Sender));
    assert_eq!(ended_with(&mut raw), condition::RESOURCE_LIMIT_EXCEEDED);
}

#[test]
fn messages_above_our_limit_detach_the_link() {
    for frames in [1, 5] {
        let mut raw = Raw::open();
        raw.session(begin(), SessionOptions::default());
        let answer = Attach { max_message_size: Some(1000), ..answer() };
        let link = raw.link(peer_attach(Role::Sender), answer);
        raw.end.engine.set_credit(link, 10);
        raw.transfer(delivery(0), &[1; 1000]);
        raw.sent();
        for frame in 0..frames {
            let more = frame + 1 < frames;
            raw.transfer(Transfer { more, ..delivery(1) }, &vec![1; 1001_usize.div_ceil(frames)]);
        }
        assert_eq!(detached_with(&mut raw), Some(condition::MESSAGE_SIZE_EXCEEDED));
        assert_eq!(raw.end.payloads(link).len(), 1, "what fits is kept");
        assert_eq!(raw.end.engine.held_bytes(), 0);
    }
}

#[test]
fn messages_above_the_peers_limit_are_not_sent() {
    for lax in [false, true] {
        let options = Options { exceed_peer_message_size: lax, ..Options::listener("engine") };
        let mut raw = Raw::open_with(options);
        raw.session(begin(), SessionOptions::default());
        let theirs = Attach { max_message_size: Some(10), ..peer_attach(Role::Receiver) };
        let link = raw.link(theirs, answer());
        raw.frame(0, grant(0, 5));
        assert_eq!(raw.end.engine.can_send(link, 10), Ok(()));
        let above = raw.end.engine.can_send(link, 11);
        let refused = Err(SendError::TooLarge { size: 11, limit: 10 });
        assert_eq!(above, if lax { Ok(()) } else { refused });
    }
}

#[test]
fn a_detach_is_answered_in_kind() {
    for closed in [true, false] {
        let mut raw = Raw::open();
        let link = raw.sending(5);
        raw.end.send(link, b"no outcome will come", false, 7);
        raw.sent();
        let error = Some(AmqpError::new(condition::DETACH_FORCED, "idle"));
        let detach = Detach { handle: 0, closed, error: error.clone() };
        raw.frame(0, Performative::Detach(detach));
        let answer = Detach { handle: 0, closed, error: None };
        assert_eq!(raw.performatives(), [Performative::Detach(answer)]);
        assert_eq!(told(&mut raw, link), (error, Origin::Peer));
        assert_eq!(raw.end.engine.can_send(link, 1), Err(SendError::Detached));
        assert_eq!(raw.end.outcomes(link), []);
    }
}

#[test]
fn our_detach_waits_for_the_peers() {
    let mut raw = Raw::open();
    let link = raw.receiving(5);
    raw.transfer(Transfer { more: true, ..delivery(0) }, &[1; 900]);
    raw.end.engine.detach(link, true, None);
    assert_eq!(raw.end.engine.held_bytes(), 0, "what was under way is dropped");
    // Still on its way when our detach left.
    raw.transfer(Transfer { more: true, ..delivery(0) }, &[1; 900]);
    raw.transfer(delivery(1), &[1; 900]);
    raw.frame(0, flow(session_flow(0)));
    assert!(raw.end.events.is_empty());
    raw.frame(0, detach_frame(0, None));
    assert_eq!(told(&mut raw, link), (None, Origin::Peer));
    assert_eq!(raw.end.engine.held_bytes(), 0);
    assert_eq!(raw.performatives().len(), 1, "our detach is all there is to write");
}

#[test]
fn the_end_of_a_session_is_the_end_of_its_links() {
    let mut raw = Raw::open();
    let link = raw.receiving(5);
    raw.transfer(delivery(0), b"kept");
    raw.frame(0, end_frame());
    assert_eq!(raw.performatives().len(), 1, "our end");
    told(&mut raw, link);
    // What had arrived can still be taken, and only then is it let go.
    assert!(raw.end.engine.held_bytes() > 0);
    assert_eq!(raw.end.deliveries(link).len(), 1);
    assert_eq!(raw.end.engine.held_bytes(), 0);
}

#[test]
fn a_drain_uses_up_credit_without_deliveries() {
    let mut pair = Pair::open();
    let [a, b] = pair.receiving();
    pair.ends[0].engine.set_credit(a, 10);
    pair.exchange();
    pair.ends[1].send(b, b"one", true, 0);
    pair.ends[0].engine.drain(a);
    pair.exchange();
    let asked = |event: &Event| matches!(event, Event::Drain { .. }).then_some(());
    assert!(pair.ends[1].find(asked).is_some(), "the sender is asked");
    pair.ends[1].send(b, b"two", true, 0);
    pair.ends[1].engine.drained(b);
    pair.exchange();
    let done = |event: &Event| matches!(event, Event::Drained { .. }).then_some(());
    assert!(pair.ends[0].find(done).is_some(), "the receiver is told");
    assert_eq!((pair.ends[0].engine.credit(a), pair.ends[1].engine.credit(b)), (0, 0));
    assert_eq!(pair.ends[0].payloads(a).len(), 2);
    // Both ends count the same from here on.
    pair.ends[0].engine.set_credit(a, 1);
    pair.exchange();
    pair.ends[1].send(b, b"three", true, 0);
    pair.exchange();
    assert_eq!(pair.ends[0].payloads(a), [b"three"]);
}

#[test]
fn a_drain_waits_for_what_the_session_window_holds_back() {
    let mut raw = Raw::open();
    let narrow = eventhubs_amqp::codec::performative::Begin { incoming_window: 1, ..begin() };
    raw.session(narrow, SessionOptions::default());
    let link = raw.link(peer_attach(Role::Receiver), answer());
    let credit = |drain, echo, seen| {
        flow(eventhubs_amqp::codec::performative::Flow {
            incoming_window: 1,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(5),
            drain,
            echo,
            ..session_flow(seen)
        })
    };
    raw.frame(0, credit(false, false, 0));
    raw.end.send(link, b"sent", true, 0);
    raw.end.send(link, b"waits", true, 0);
    raw.sent();
    raw.frame(0, credit(true, true, 0));
    raw.end.engine.drained(link);
    let counts = |raw: &mut Raw| {
        let flows = raw.performatives().into_iter().filter_map(|performative| match performative {
            Performative::Flow(flow) => Some((flow.delivery_count, flow.link_credit)),
            _ => None,
        });
        flows.collect::<Vec<_>>()
    };
    // The echo counts what the peer has seen, and the drain is not over.
    assert_eq!(counts(&mut raw), [(Some(1), Some(4))]);
    raw.frame(0, credit(true, false, 1));
    assert_eq!(counts(&mut raw), [(Some(5), Some(0))]);
}

#[test]
fn a_flow_of_a_receiver_that_knows_no_count_has_none() {
    let mut raw = Raw::open();
    let session = raw.session(begin(), SessionOptions::default());
    let link = raw.end.engine.attach(session, attach("in", Role::Receiver)).unwrap();
    raw.sent();
    raw.end.engine.set_credit(link, 5);
    let sent = raw.performatives();
    let [Performative::Flow(flow)] = &sent[..] else { panic!("a flow was due, not {sent:?}") };
    assert_eq!((flow.delivery_count, flow.link_credit), (None, Some(5)));
}

#[test]
fn echo_is_answered_for_sessions_and_links() {
    let mut raw = Raw::open();
    raw.sending(3);
    raw.frame(0, flow(eventhubs_amqp::codec::performative::Flow { echo: true, ..session_flow(0) }));
    raw.frame(
        0,
        flow(eventhubs_amqp::codec::performative::Flow {
            echo: true,
            handle: Some(0),
            ..session_flow(0)
        }),
    );
    let handles: Vec<_> = raw
        .performatives()
        .into_iter()
        .filter_map(|performative| match performative {
            Performative::Flow(flow) => Some(flow.handle),
            _ => None,
        })
        .collect();
    assert_eq!(handles, [None, Some(0)]);
    raw.pass(Duration::from_secs(1));
}
