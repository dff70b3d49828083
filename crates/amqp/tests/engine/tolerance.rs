//! What real peers do although the specification forbids it (`docs/wire.md`), and where tolerance
//! ends.

use eventhubs_amqp::codec::performative::{Attach, Begin, Performative, Role};
use eventhubs_amqp::codec::{Source, Symbol, Target, condition};
use eventhubs_amqp::engine::{CloseReason, Options, SessionOptions};

use crate::raw::{
    Frame, Raw, attach_frame, begin, begin_frame, close_frame, delivery, detach_frame, disposition,
    encoded, end_frame, flow, frame_of, grant, incoming_link, peer_attach, session_flow,
};
use crate::wire::answer;

fn violation(raw: &mut Raw) -> Option<Symbol> {
    raw.frame(0, close_frame());
    match raw.end.engine.close_reason() {
        Some(CloseReason::Violation(error)) => Some(error.condition.clone()),
        _ => None,
    }
}

#[test]
fn sizes_that_are_no_frame() {
    for size in 0..8_u32 {
        let mut raw = Raw::open();
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend([2, 0, 0, 0, 0, 0]);
        raw.bytes(&bytes);
        let sent = raw.performatives();
        let [Performative::Close(close)] = &sent[..] else { panic!("{size}: {sent:?}") };
        assert_eq!(close.error.as_ref().unwrap().condition, condition::FRAMING_ERROR);
        // The peer gave up as well, and there is no frame to find its close in.
        raw.end.engine.handle_eof(raw.now);
        let reason = raw.end.engine.close_reason();
        assert!(matches!(reason, Some(CloseReason::Violation(_))), "{reason:?}");
    }
}

#[test]
fn frames_above_our_limit() {
    let limit = 1000;
    let options = Options { max_frame_size: limit, ..Options::listener("engine") };
    let padding = |size: u32| vec![0; size as usize - 8];
    for (size, fits) in [(limit, true), (limit + 1, false)] {
        let mut raw = Raw::open_with(options.clone());
        // An end on a channel that has no session is ignored, and so is what follows its fields.
        let mut body = padding(size);
        body[..4].copy_from_slice(&[0x00, 0x53, 0x17, 0x45]);
        raw.bytes(&frame_of(0, 7, &body)[..8]);
        assert_eq!(raw.performatives().is_empty(), fits, "told from the head of the frame");
        raw.bytes(&body);
        assert_eq!(violation(&mut raw).is_none(), fits);
    }
    // No frame that is announced is waited for in memory.
    let mut raw = Raw::open_with(options);
    raw.bytes(&[0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0]);
    raw.end.engine.handle_eof(raw.now);
    let Some(CloseReason::Violation(error)) = raw.end.engine.close_reason() else {
        panic!("{:?}", raw.end.engine.close_reason());
    };
    assert_eq!(error.condition, condition::FRAMING_ERROR);
}

#[test]
fn longer_frame_headers_are_skipped() {
    let extended = |performative: &Performative, payload: &[u8]| {
        let mut bytes = encoded(0, performative, payload);
        bytes.splice(8..8, [0xaa; 8]);
        bytes[4] = 4;
        let size = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        bytes
    };
    let mut raw = Raw::open();
    raw.bytes(&extended(&begin_frame(), &[]));
    let session = raw.end.find(|event| match event {
        eventhubs_amqp::engine::Event::Begin { session, .. } => Some(*session),
        _ => None,
    });
    raw.end.engine.accept_session(session.unwrap(), SessionOptions::default()).unwrap();
    let link = raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.set_credit(link, 1);
    raw.bytes(&extended(&Performative::Transfer(Box::new(delivery(0))), b"payload"));
    assert_eq!(raw.end.payloads(link), [b"payload"]);
}

#[test]
fn data_offsets_that_are_none() {
    for doff in [0, 1, 255] {
        let mut raw = Raw::open();
        let mut bytes = frame_of(0, 0, &[0x00, 0x53, 0x17, 0x45]);
        bytes[4] = doff;
        raw.bytes(&bytes);
        assert_eq!(violation(&mut raw), Some(condition::FRAMING_ERROR), "{doff}");
    }
}

#[test]
fn channels_above_the_limit() {
    let options = Options { channel_max: 3, ..Options::listener("engine") };
    let mut raw = Raw::open_with(options);
    raw.frame(3, begin_frame());
    assert!(!raw.end.events.is_empty());
    raw.frame(4, begin_frame());
    assert_eq!(violation(&mut raw), Some(condition::FRAMING_ERROR));
}

#[test]
fn a_begin_that_answers_nothing() {
    let mut raw = Raw::open();
    let begin = Begin { remote_channel: Some(9), ..begin() };
    raw.frame(0, Performative::Begin(Box::new(begin)));
    assert_eq!(violation(&mut raw), Some(condition::NOT_FOUND));
}

#[test]
fn a_second_begin_on_a_channel_ends_its_session() {
    let mut raw = Raw::open();
    raw.receiving(1);
    raw.frame(0, begin_frame());
    let sent = raw.performatives();
    let [Performative::End(end)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(end.error.as_ref().unwrap().condition, condition::ILLEGAL_STATE);
    // Once more: the end is out already.
    raw.frame(0, begin_frame());
    assert_eq!(raw.performatives(), []);
}

/// Everything that can be said on a channel.
fn anything() -> Vec<Vec<u8>> {
    let transfer = Performative::Transfer(Box::new(delivery(0)));
    let frames = [
        attach_frame("late", 0, Role::Sender),
        flow(session_flow(0)),
        grant(0, 5),
        disposition(0, 10, true),
        detach_frame(0, None),
        transfer,
        end_frame(),
    ];
    frames.iter().map(|frame| encoded(0, frame, &[])).collect()
}

#[test]
fn frames_on_a_channel_without_a_session_are_ignored() {
    let mut raw = Raw::open();
    for bytes in anything() {
        raw.bytes(&bytes);
    }
    assert_eq!(raw.sent(), []);
    assert!(raw.end.events.is_empty(), "{:?}", raw.end.events);
}

#[test]
fn frames_after_the_end_of_their_session_are_ignored() {
    let mut raw = Raw::open();
    let session = raw.session(begin(), SessionOptions::default());
    raw.link(peer_attach(Role::Sender), answer());
    raw.end.engine.end(session, None);
    raw.sent();
    raw.end.collect();
    raw.end.events.clear();
    for bytes in anything() {
        raw.bytes(&bytes);
    }
    assert_eq!(raw.sent(), []);
    let [eventhubs_amqp::engine::Event::End { .. }] = &raw.end.events.make_contiguous()[..] else {
        panic!("the peer's end was among them: {:?}", raw.end.events);
    };
    raw.end.events.clear();
    for bytes in anything() {
        raw.bytes(&bytes);
    }
    assert_eq!(raw.sent(), []);
    assert!(raw.end.events.is_empty());
    raw.receiving(1);
}

#[test]
fn frames_after_our_close_are_ignored_and_after_the_peers_too() {
    let mut raw = Raw::open();
    raw.receiving(5);
    raw.end.engine.close(None);
    raw.sent();
    for bytes in anything() {
        raw.bytes(&bytes);
    }
    raw.bytes(&encoded(0, &begin_frame(), &[]));
    assert_eq!(raw.sent(), []);
    assert!(raw.end.events.is_empty());
    let mut all = encoded(0, &close_frame(), &[]);
    all.extend(anything().concat());
    all.extend([0; 64]);
    raw.bytes(&all);
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::Local));
    assert_eq!(raw.sent(), Vec::<Frame>::new());
}

#[test]
fn links_without_addresses_counts_or_new_names() {
    let mut raw = Raw::open();
    raw.session(begin(), SessionOptions::default());
    // A sender without initial-delivery-count, as on `$cbs`, and a receiver with one.
    let bare = |handle, role| Attach {
        name: "the same".to_owned(),
        handle,
        role,
        source: Some(Source::default()),
        target: Some(Target::default()),
        ..Attach::default()
    };
    let sender = raw.link(bare(0, Role::Sender), answer());
    let counted = Attach { initial_delivery_count: Some(77), ..bare(1, Role::Receiver) };
    raw.frame(0, Performative::Attach(Box::new(counted)));
    let receiver = raw.end.find(incoming_link).unwrap();
    raw.end.engine.accept(receiver, answer()).unwrap();
    // The name of a link that is open already.
    raw.frame(0, Performative::Attach(Box::new(bare(2, Role::Sender))));
    let again = raw.end.find(incoming_link).unwrap();
    raw.end.engine.accept(again, Attach::default()).unwrap();
    raw.end.engine.set_credit(sender, 1);
    raw.transfer(delivery(0), b"counts from 0");
    assert_eq!(raw.end.payloads(sender).len(), 1);
    raw.frame(
        0,
        flow(eventhubs_amqp::codec::performative::Flow {
            handle: Some(1),
            link_credit: Some(2),
            delivery_count: Some(0),
            ..session_flow(0)
        }),
    );
    assert_eq!(raw.end.engine.credit(receiver), 2);
    assert!(raw.end.events.is_empty(), "{:?}", raw.end.events);
}

#[test]
fn undecodable_frames_end_the_connection() {
    for body in [&[0x00, 0x53, 0x99, 0x45][..], &[0x00, 0x53, 0x11, 0xc0, 200, 4], &[0x40]] {
        let mut raw = Raw::open();
        raw.bytes(&frame_of(0, 0, body));
        assert_eq!(violation(&mut raw), Some(condition::DECODE_ERROR), "{body:02x?}");
    }
    let mut raw = Raw::open();
    raw.bytes(&frame_of(1, 0, &[0x00, 0x53, 0x44, 0x45]));
    assert_eq!(violation(&mut raw), Some(condition::FRAMING_ERROR), "a SASL frame");
}
