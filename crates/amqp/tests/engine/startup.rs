//! From the first byte to a link in use: headers, SASL, opens, and what may run ahead of the answers.

use bytes::Bytes;
use eventhubs_amqp::codec::performative::{Begin, Open, Performative, Role};
use eventhubs_amqp::codec::{FieldList, Symbol, condition, sasl};
use eventhubs_amqp::engine::{
    CloseReason, Event, LinkError, Options, Sasl, SessionError, SessionOptions,
};

use crate::raw::{Frame, Raw, begin_frame, close_frame, encoded, open, sasl_frame};
use crate::wire::{Pair, answer, attach};

const AMQP: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
const SASL: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

fn offer(names: &[&'static str], allow_bare: bool) -> Options {
    let mechanisms = names.iter().map(|name| Symbol::from_static(name)).collect();
    Options { sasl: Sasl::Offer { mechanisms, allow_bare }, ..Options::listener("b") }
}

/// The SASL init of a dialler with `sasl`, when everything is offered.
fn init(sasl: Sasl) -> sasl::Init {
    let mut raw = Raw::new(Options { sasl, ..Options::dialler("a") });
    assert_eq!(raw.sent(), [Frame::Header(SASL)]);
    raw.bytes(&SASL);
    let mechanisms = ["ANONYMOUS", "PLAIN", "EXTERNAL", "OWN"].map(Symbol::from_static).to_vec();
    raw.bytes(&sasl_frame(&sasl::Frame::Mechanisms(sasl::Mechanisms { mechanisms })));
    match raw.sent().pop() {
        Some(Frame::Sasl(sasl::Frame::Init(init))) => init,
        other => panic!("an init was due, not {other:?}"),
    }
}

#[test]
fn each_mechanism_says_what_it_has_to() {
    let init_of = |sasl| {
        let init = init(sasl);
        (init.mechanism.as_str().to_owned(), init.initial_response)
    };
    assert_eq!(init_of(Sasl::Anonymous), ("ANONYMOUS".to_owned(), None));
    assert_eq!(init_of(Sasl::External), ("EXTERNAL".to_owned(), Some(Bytes::new())));
    let plain = Sasl::Plain { user: "user".to_owned(), password: "pass".to_owned() };
    assert_eq!(init_of(plain), ("PLAIN".to_owned(), Some(Bytes::from_static(b"\0user\0pass"))));
    let name = Symbol::from_static("OWN");
    let own = Sasl::Mechanism { name, initial_response: None };
    assert_eq!(init_of(own), ("OWN".to_owned(), None));
}

#[test]
fn a_mechanism_in_turns() {
    let name = Symbol::from_static("OWN");
    let own = Sasl::Mechanism { name, initial_response: Some(Bytes::from_static(b"1")) };
    let dialler = Options { sasl: own, ..Options::dialler("a") };
    let mut pair = Pair::new(dialler, offer(&["OWN"], false));
    pair.carry(0, usize::MAX);
    pair.carry(1, usize::MAX);
    pair.carry(0, usize::MAX);
    let first = pair.ends[1].find(|event| match event {
        Event::SaslInit { initial_response, .. } => initial_response.clone(),
        _ => None,
    });
    assert_eq!(first.as_deref(), Some(&b"1"[..]));
    pair.ends[1].engine.sasl_challenge(Bytes::from_static(b"2"));
    pair.exchange();
    let challenge = pair.ends[0].find(|event| match event {
        Event::SaslChallenge(challenge) => Some(challenge.clone()),
        _ => None,
    });
    assert_eq!(challenge.as_deref(), Some(&b"2"[..]));
    pair.ends[0].engine.sasl_response(Bytes::from_static(b"3"));
    pair.exchange();
    let response = pair.ends[1].find(|event| match event {
        Event::SaslResponse(response) => Some(response.clone()),
        _ => None,
    });
    assert_eq!(response.as_deref(), Some(&b"3"[..]));
    pair.ends[1].engine.sasl_outcome(sasl::Code::Ok);
    pair.exchange();
    assert!(pair.ends[1].engine.remote_open().is_some());
}

#[test]
fn what_runs_ahead_of_the_outcome_waits_for_it() {
    let mut raw = Raw::new(offer(&["ANONYMOUS"], false));
    let mechanism = Symbol::from_static("ANONYMOUS");
    let init = sasl::Init { mechanism, initial_response: None, hostname: None };
    let mut ahead = SASL.to_vec();
    ahead.extend(sasl_frame(&sasl::Frame::Init(init)));
    ahead.extend(AMQP);
    ahead.extend(encoded(0, &open(), &[]));
    raw.bytes(&ahead);
    let asked = |event: &Event| matches!(event, Event::SaslInit { .. }).then_some(());
    raw.end.find(asked).expect("the owner is asked");
    assert!(!raw.end.engine.input_is_due(), "not before the answer");
    raw.end.engine.sasl_outcome(sasl::Code::Ok);
    assert!(raw.end.engine.input_is_due());
    raw.bytes(&[]);
    let opened = |event: &Event| matches!(event, Event::Open(_)).then_some(());
    raw.end.find(opened).expect("the open was kept");
}

#[test]
fn a_refused_identity_ends_both_ends() {
    let dialler = Options { sasl: Sasl::Anonymous, ..Options::dialler("a") };
    let mut pair = Pair::new(dialler, offer(&["ANONYMOUS"], false));
    for _ in 0..2 {
        pair.carry(0, usize::MAX);
        pair.carry(1, usize::MAX);
    }
    pair.ends[1].engine.sasl_outcome(sasl::Code::Auth);
    pair.exchange();
    for end in &pair.ends {
        let reason = end.engine.close_reason();
        assert!(matches!(reason, Some(CloseReason::Sasl(_))), "{reason:?}");
    }
}

#[test]
fn a_mechanism_that_was_not_offered_is_refused() {
    let mut raw = Raw::new(offer(&["PLAIN"], false));
    raw.bytes(&SASL);
    let init = sasl::Init {
        mechanism: Symbol::from_static("ANONYMOUS"),
        initial_response: None,
        hostname: None,
    };
    raw.bytes(&sasl_frame(&sasl::Frame::Init(init)));
    let outcome = sasl::Outcome { code: sasl::Code::Auth, additional_data: None };
    assert_eq!(raw.sent().pop(), Some(Frame::Sasl(sasl::Frame::Outcome(outcome))));
    assert!(raw.end.engine.is_closed());
}

#[test]
fn headers_that_are_not_ours_are_answered_with_ours() {
    for (options, header, ours) in [
        (offer(&["PLAIN"], false), &AMQP[..], SASL),
        (offer(&["PLAIN"], true), b"GET / HTTP/1.1\r\n", AMQP),
        (offer(&["PLAIN"], true), b"AMQP\x00\x00\x09\x01", AMQP),
        // A TLS hello is told from a header before there are eight bytes of it.
        (offer(&["PLAIN"], true), b"\x16\x03\x01", AMQP),
    ] {
        let mut raw = Raw::new(options);
        raw.bytes(header);
        assert_eq!(raw.sent(), [Frame::Header(ours)], "{header:?}");
        let reason = raw.end.engine.close_reason();
        assert!(matches!(reason, Some(CloseReason::ProtocolHeader(_))), "{reason:?}");
    }
    let mut raw = Raw::new(offer(&["PLAIN"], true));
    raw.bytes(&AMQP[..5]);
    assert!(!raw.end.engine.is_closed(), "this may still become a header");
    raw.bytes(&AMQP[5..]);
    assert_eq!(raw.sent(), [Frame::Header(AMQP)]);
}

#[test]
fn a_peer_may_run_ahead_of_every_answer() {
    let mut raw = Raw::new(Options::listener("engine"));
    let mut all = AMQP.to_vec();
    all.extend(encoded(0, &open(), &[]));
    all.extend(encoded(0, &begin_frame(), &[]));
    all.extend(encoded(0, &crate::raw::attach_frame("in", 0, Role::Receiver), &[]));
    all.extend(encoded(0, &crate::raw::attach_frame("out", 1, Role::Sender), &[]));
    let early = eventhubs_amqp::codec::performative::Flow {
        next_incoming_id: None,
        handle: Some(0),
        link_credit: Some(3),
        ..crate::raw::session_flow(0)
    };
    all.extend(encoded(0, &crate::raw::flow(early), &[]));
    raw.bytes(&all);

    raw.end.engine.open();
    let mut links = Vec::new();
    for event in std::mem::take(&mut raw.end.events) {
        match event {
            Event::Open(_) => {}
            Event::Begin { session, incoming: true, .. } => {
                raw.end.engine.accept_session(session, SessionOptions::default()).unwrap();
            }
            Event::Attach { link, incoming: true, .. } => {
                raw.end.engine.accept(link, answer()).unwrap();
                links.push(link);
            }
            other => panic!("{other:?}"),
        }
    }
    // Credit that came before the link was accepted is there, and its owner is told.
    assert_eq!(raw.end.engine.credit(links[0]), 3);
    let mut touched = Vec::new();
    raw.end.engine.touched(&mut touched);
    assert_eq!(touched, [links[0]]);
    raw.end.send(links[0], b"hello", true, 0);
    raw.end.engine.set_credit(links[1], 1);
    raw.sent();
    raw.transfer(
        eventhubs_amqp::codec::performative::Transfer { handle: 1, ..crate::raw::delivery(0) },
        b"put",
    );
    assert_eq!(raw.end.payloads(links[1]), [b"put"]);
}

#[test]
fn a_dialler_runs_ahead_too() {
    let mut pair = Pair::new(Options::dialler("a"), Options::listener("b"));
    let session = pair.ends[0].engine.begin(SessionOptions::default()).unwrap();
    let out = pair.ends[0].engine.attach(session, attach("out", Role::Sender)).unwrap();
    let inward = pair.ends[0].engine.attach(session, attach("in", Role::Receiver)).unwrap();
    pair.ends[0].engine.set_credit(inward, 2);
    pair.carry(0, usize::MAX);
    let names: Vec<_> = pair.ends[1].events.iter().map(std::mem::discriminant).collect();
    assert_eq!(names.len(), 4, "open, begin and two attaches: {:?}", pair.ends[1].events);
    pair.ends[1].engine.open();
    let mut theirs = Vec::new();
    for event in std::mem::take(&mut pair.ends[1].events) {
        let engine = &mut pair.ends[1].engine;
        match event {
            Event::Begin { session, .. } => {
                engine.accept_session(session, SessionOptions::default()).unwrap();
            }
            Event::Attach { link, .. } => {
                let initial_delivery_count = Some(1000);
                engine
                    .accept(
                        link,
                        eventhubs_amqp::codec::performative::Attach {
                            initial_delivery_count,
                            ..answer()
                        },
                    )
                    .unwrap();
                theirs.push(link);
            }
            _ => {}
        }
    }
    // The credit was granted without knowing the count that deliveries start from.
    assert_eq!(pair.ends[1].engine.credit(theirs[1]), 2);
    pair.ends[1].engine.set_credit(theirs[0], 1);
    pair.ends[1].send(theirs[1], b"down", true, 0);
    pair.exchange();
    pair.ends[0].send(out, b"up", true, 0);
    pair.exchange();
    assert_eq!(pair.ends[0].payloads(inward), [b"down"]);
    assert_eq!(pair.ends[1].payloads(theirs[0]), [b"up"]);
}

#[test]
fn performatives_have_every_field_when_asked_for() {
    let full = |options: Options| Options { fields: FieldList::Full, ..options };
    let mut pair = Pair::open_with(full(Options::dialler("a")), full(Options::listener("b")));
    let out = pair.sending();
    pair.ends[1].engine.set_credit(out[1], 2);
    pair.exchange();
    pair.ends[0].send(out[0], b"x", false, 0);
    pair.exchange();
    pair.ends[1].deliveries(out[1]);
    pair.ends[1].engine.settle(out[1], 0, 0, eventhubs_amqp::codec::DeliveryState::Accepted, true);
    pair.exchange();
    let [session, _] = pair.session(SessionOptions::default(), SessionOptions::default());
    pair.ends[0].engine.detach(out[0], true, None);
    pair.ends[0].engine.end(session, None);
    pair.ends[0].engine.close(None);
    pair.exchange();
    let mut counts = std::collections::BTreeMap::new();
    for frame in pair.log.iter().flat_map(|log| crate::raw::frames(log)) {
        if let Frame::Amqp { performative, fields, .. } = frame {
            let before = *counts.entry(performative.name()).or_insert(fields);
            assert_eq!(before, fields, "{}", performative.name());
        }
    }
    let all = [
        ("attach", 14),
        ("begin", 8),
        ("close", 1),
        ("detach", 3),
        ("disposition", 6),
        ("end", 1),
        ("flow", 11),
        ("open", 10),
        ("transfer", 11),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn trimmed_performatives_leave_trailing_nulls_out() {
    let mut raw = Raw::open();
    raw.end.engine.close(None);
    let Some(Frame::Amqp { fields, .. }) = raw.sent().pop() else { panic!("a close") };
    assert_eq!(fields, 0);
}

/// The condition with which the engine closed the connection.
fn violation(raw: &mut Raw) -> Symbol {
    raw.frame(0, close_frame());
    match raw.end.engine.close_reason() {
        Some(CloseReason::Violation(error)) => error.condition.clone(),
        other => panic!("a violation was due, not {other:?}"),
    }
}

#[test]
fn there_is_one_open_and_it_comes_first() {
    let mut raw = Raw::open();
    raw.frame(0, open());
    assert_eq!(violation(&mut raw), condition::ILLEGAL_STATE);

    let mut raw = Raw::new(Options::dialler("engine"));
    raw.bytes(&AMQP);
    raw.frame(0, begin_frame());
    raw.frame(0, open());
    assert_eq!(violation(&mut raw), condition::ILLEGAL_STATE);
}

#[test]
fn no_more_channels_and_handles_than_both_ends_have() {
    let mut raw = Raw::new(Options::dialler("engine"));
    raw.bytes(&AMQP);
    let channel_max = 1;
    let container_id = "peer".to_owned();
    let narrow = Open { container_id, channel_max, ..Open::default() };
    raw.frame(0, Performative::Open(Box::new(narrow)));
    let session = raw.end.engine.begin(SessionOptions::default()).unwrap();
    raw.end.engine.begin(SessionOptions::default()).unwrap();
    let third = raw.end.engine.begin(SessionOptions::default());
    assert_eq!(third, Err(SessionError::NoChannel(1)));

    let narrow = Begin { handle_max: 1, remote_channel: Some(0), ..crate::raw::begin() };
    raw.frame(0, Performative::Begin(Box::new(narrow)));
    let engine = &mut raw.end.engine;
    engine.attach(session, attach("one", Role::Sender)).unwrap();
    engine.attach(session, attach("two", Role::Sender)).unwrap();
    let third = engine.attach(session, attach("three", Role::Sender));
    assert_eq!(third, Err(LinkError::NoHandle(1)));
}

#[test]
fn frames_are_no_larger_than_the_peer_takes() {
    let mut raw = Raw::new(Options::listener("engine"));
    raw.bytes(&AMQP);
    let small = Open { container_id: "peer".to_owned(), max_frame_size: 600, ..Open::default() };
    raw.frame(0, Performative::Open(Box::new(small)));
    raw.end.engine.open();
    raw.end.events.clear();
    let link = raw.sending(1);
    raw.end.send(link, &[7; 5000], true, 0);
    let bytes = crate::wire::take_output(&mut raw.end.engine, usize::MAX);
    let mut rest = &bytes[..];
    let mut sizes = Vec::new();
    while let Some(size) = rest.first_chunk::<4>() {
        let size = u32::from_be_bytes(*size) as usize;
        sizes.push(size);
        rest = &rest[size..];
    }
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == 600), "{sizes:?}");
    assert!(full.len() > 7 && *last <= 600, "{sizes:?}");
}
