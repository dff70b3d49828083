//! Calls for brokers that do wrong on purpose: the wrong thing is on the wire, and no other.

use bytes::Bytes;
use eventhubs_amqp::codec::condition;
use eventhubs_amqp::codec::performative::{Performative, Role, Transfer};
use eventhubs_amqp::engine::{Event, SendError, SessionOptions};

use crate::raw::{Raw, begin, delivery, peer_attach};
use crate::wire::{Pair, answer};

/// Transfers that the engine has written since the last look.
fn transfers(raw: &mut Raw) -> Vec<Transfer> {
    let transfers = raw.performatives().into_iter().filter_map(|performative| match performative {
        Performative::Transfer(transfer) => Some(*transfer),
        _ => None,
    });
    transfers.collect()
}

#[test]
fn assumed_credit_is_sent_on_and_costs_the_link() {
    let mut pair = Pair::open();
    let [receiver, sender] = pair.receiving();
    pair.ends[0].engine.set_credit(receiver, 1);
    pair.exchange();
    pair.ends[1].send(sender, b"granted", true, 0);
    assert_eq!(pair.ends[1].engine.can_send(sender, 1), Err(SendError::NoCredit));
    pair.ends[1].engine.assume_credit(sender, 1);
    pair.ends[1].send(sender, b"beyond", true, 0);
    assert_eq!(pair.ends[1].engine.can_send(sender, 1), Err(SendError::NoCredit));
    pair.exchange();
    assert_eq!(pair.ends[0].payloads(receiver), [b"granted"]);
    let detached = pair.ends[0].find(|event| match event {
        Event::Detach { error: Some(error), .. } => Some(error.condition.clone()),
        _ => None,
    });
    assert_eq!(detached, Some(condition::TRANSFER_LIMIT_EXCEEDED));
}

#[test]
fn an_aborted_half_leaves_nothing_but_a_used_credit() {
    let mut pair = Pair::open();
    let [receiver, sender] = pair.receiving();
    pair.ends[0].engine.set_credit(receiver, 3);
    pair.exchange();
    let payload = Bytes::from_static(b"never seen");
    pair.ends[1].engine.send_half(sender, &payload, true).unwrap();
    pair.ends[1].send(sender, b"whole", true, 0);
    pair.exchange();
    assert_eq!(pair.ends[0].payloads(receiver), [b"whole"]);
    assert_eq!((pair.ends[0].engine.credit(receiver), pair.ends[1].engine.credit(sender)), (1, 1));
}

#[test]
fn an_unfinished_half_says_that_more_follows() {
    let mut raw = Raw::open();
    let link = raw.sending(2);
    raw.sent();
    raw.end.engine.send_half(link, &Bytes::from_static(b"1234"), false).unwrap();
    let [only] = transfers(&mut raw).try_into().unwrap();
    assert_eq!((only.delivery_id, only.more, only.aborted), (Some(0), true, false));
    raw.end.engine.send_half(link, &Bytes::from_static(b"1234"), true).unwrap();
    let [first, last] = transfers(&mut raw).try_into().unwrap();
    assert_eq!(
        (first.delivery_id, first.more, last.more, last.aborted),
        (Some(1), true, false, true)
    );
    let refused = raw.end.engine.send_half(link, &Bytes::from_static(b"1234"), true);
    assert_eq!(refused, Err(SendError::NoCredit));
}

#[test]
fn a_shut_window_stays_shut_until_it_is_opened() {
    let mut raw = Raw::open();
    let options = SessionOptions { incoming_window: 10, ..SessionOptions::default() };
    let session = raw.session(begin(), options);
    let link = raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.set_credit(link, 100);
    raw.sent();
    let windows = |raw: &mut Raw| {
        let flows = raw.performatives().into_iter().filter_map(|performative| match performative {
            Performative::Flow(flow) => Some(flow.incoming_window),
            _ => None,
        });
        flows.collect::<Vec<_>>()
    };
    raw.end.engine.shut_window(session, true);
    assert_eq!(windows(&mut raw), [0]);
    raw.end.engine.shut_window(session, true);
    for id in 0..8 {
        raw.transfer(delivery(id), b"sent before it knew");
    }
    assert_eq!(raw.end.payloads(link).len(), 8);
    raw.end.engine.set_credit(link, 100);
    assert_eq!(windows(&mut raw), [0], "a flow for the link opens nothing");
    raw.end.engine.shut_window(session, false);
    assert_eq!(windows(&mut raw), [10]);
}
