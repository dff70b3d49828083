//! Heartbeats, idle time-outs and the deadline of an open, to the millisecond.

use std::time::Duration;

use eventhubs_amqp::codec::condition;
use eventhubs_amqp::codec::performative::{Open, Performative};
use eventhubs_amqp::engine::{CloseReason, Options};

use crate::raw::{Frame, Raw, begin_frame, frame_of};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A listener without an idle time-out of its own, whose peer wants to hear from it.
fn peer_with_idle_time_out(milliseconds: u32) -> Raw {
    let mut raw = Raw::new(Options { idle_time_out: None, ..Options::listener("engine") });
    raw.bytes(b"AMQP\x00\x01\x00\x00");
    let idle_time_out = Some(milliseconds);
    let open = Open { container_id: "peer".to_owned(), idle_time_out, ..Open::default() };
    raw.frame(0, Performative::Open(Box::new(open)));
    raw.end.engine.open();
    raw.sent();
    raw
}

#[test]
fn heartbeats_leave_at_half_the_peers_period() {
    let mut raw = peer_with_idle_time_out(10_000);
    for _ in 0..3 {
        raw.pass(Duration::from_millis(4999));
        assert_eq!(raw.sent(), []);
        assert_eq!(raw.end.engine.poll_timeout(), Some(raw.now + MILLISECOND));
        raw.pass(MILLISECOND);
        assert_eq!(raw.sent(), [Frame::Empty]);
    }
}

#[test]
fn any_frame_is_as_good_as_a_heartbeat() {
    let mut raw = peer_with_idle_time_out(10_000);
    raw.pass(Duration::from_millis(4000));
    raw.frame(0, begin_frame());
    let session = raw.end.find(|event| match event {
        eventhubs_amqp::engine::Event::Begin { session, .. } => Some(*session),
        _ => None,
    });
    raw.end.engine.accept_session(session.unwrap(), Default::default()).unwrap();
    assert_eq!(raw.sent().len(), 1);
    raw.pass(Duration::from_millis(4999));
    assert_eq!(raw.sent(), []);
    raw.pass(MILLISECOND);
    assert_eq!(raw.sent(), [Frame::Empty]);
}

#[test]
fn a_peer_that_wants_too_many_heartbeats_gets_one_each_50_ms() {
    let mut raw = peer_with_idle_time_out(1);
    raw.pass(Duration::from_millis(49));
    assert_eq!(raw.sent(), []);
    raw.pass(MILLISECOND);
    assert_eq!(raw.sent(), [Frame::Empty]);
    let mut raw = peer_with_idle_time_out(0);
    assert_eq!(raw.end.engine.poll_timeout(), None, "no time-out is no heartbeat");
    raw.pass(Duration::from_secs(1000));
    assert_eq!(raw.sent(), []);
}

#[test]
fn a_peer_that_wants_hardly_any_heartbeats_gets_one_before_a_balancer_forgets_us() {
    let mut raw = peer_with_idle_time_out(u32::MAX);
    for _ in 0..3 {
        raw.pass(Duration::from_secs(110) - MILLISECOND);
        assert_eq!(raw.sent(), []);
        raw.pass(MILLISECOND);
        assert_eq!(raw.sent(), [Frame::Empty]);
    }
    // The service's own 4 minutes: with a margin.
    let mut raw = peer_with_idle_time_out(240_000);
    raw.pass(Duration::from_secs(110));
    assert_eq!(raw.sent(), [Frame::Empty]);
}

#[test]
fn a_frame_has_its_time_from_its_first_bytes_on() {
    let options = Options { idle_time_out: None, ..Options::listener("engine") };
    let frame_timeout = Duration::from_secs(7);
    let mut raw = Raw::open_with(Options { frame_timeout, ..options });
    raw.sent();
    assert_eq!(raw.end.engine.poll_timeout(), None, "between frames nothing is due");
    let beat = frame_of(0, 0, &[]);
    raw.pass(Duration::from_secs(100));
    raw.bytes(&beat[..5]);
    assert_eq!(raw.end.engine.poll_timeout(), Some(raw.now + frame_timeout));
    raw.pass(Duration::from_millis(6999));
    raw.bytes(&beat[5..7]);
    // What is left of it, and the beginning of the next, which has its own time.
    raw.bytes(&[&beat[7..], &beat[..7]].concat());
    assert_eq!(raw.end.engine.poll_timeout(), Some(raw.now + frame_timeout));
    raw.pass(Duration::from_millis(6999));
    raw.bytes(&beat[7..]);
    assert_eq!(raw.end.engine.poll_timeout(), None);
    raw.pass(Duration::from_secs(100));
    raw.bytes(&beat[..1]);
    for byte in &beat[1..7] {
        raw.pass(Duration::from_secs(1));
        raw.bytes(&[*byte]);
    }
    raw.pass(Duration::from_millis(999));
    assert!(!raw.end.engine.is_closed());
    raw.pass(MILLISECOND);
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::FrameTimeout));
    let Some(Performative::Close(close)) = raw.performatives().pop() else {
        panic!("the peer is told, should it still listen");
    };
    assert_eq!(close.error.unwrap().condition, condition::RESOURCE_LIMIT_EXCEEDED);
    assert_eq!(raw.end.engine.poll_timeout(), None);
}

#[test]
fn times_beyond_all_reason_are_waited_for_and_zero_is_no_idle_timeout() {
    let long = Options {
        idle_time_out: Some(Duration::MAX),
        open_timeout: Duration::MAX,
        close_timeout: Duration::MAX,
        frame_timeout: Duration::MAX,
        ..Options::listener("engine")
    };
    let mut raw = Raw::open_with(long);
    raw.bytes(&[0]);
    raw.pass(Duration::from_secs(1_000_000));
    assert!(!raw.end.engine.is_closed());
    raw.end.engine.close(None);
    raw.pass(Duration::from_secs(1_000_000));
    assert!(!raw.end.engine.is_closed());

    let idle_time_out = Some(Duration::ZERO);
    let mut raw = Raw::new(Options { idle_time_out, ..Options::dialler("engine") });
    let Some(Performative::Open(open)) = raw.performatives().pop() else { panic!("an open") };
    assert_eq!(open.idle_time_out, None);
    let mut raw = Raw::open_with(Options { idle_time_out, ..Options::listener("engine") });
    raw.pass(Duration::from_secs(1_000_000));
    assert!(!raw.end.engine.is_closed());
    // Less than the wire can say is the least it can say, and not none.
    let idle_time_out = Some(Duration::from_micros(1));
    let mut raw = Raw::new(Options { idle_time_out, ..Options::dialler("engine") });
    let Some(Performative::Open(open)) = raw.performatives().pop() else { panic!("an open") };
    assert_eq!(open.idle_time_out, Some(1));
}

#[test]
fn a_silent_peer_is_cut_off_at_twice_our_idle_time_out() {
    let idle_time_out = Some(Duration::from_secs(10));
    let mut raw = Raw::open_with(Options { idle_time_out, ..Options::listener("engine") });
    raw.pass(Duration::from_millis(19_999));
    assert!(!raw.end.engine.is_closed());
    // Anything the peer sends counts, a heartbeat too.
    raw.bytes(&frame_of(0, 0, &[]));
    raw.pass(Duration::from_millis(19_999));
    assert!(!raw.end.engine.is_closed());
    raw.pass(MILLISECOND);
    assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::IdleTimeout));
    let Some(Performative::Close(close)) = raw.performatives().pop() else {
        panic!("the peer is told, should it still listen");
    };
    assert_eq!(close.error.unwrap().condition, condition::RESOURCE_LIMIT_EXCEEDED);
    assert_eq!(raw.end.engine.poll_timeout(), None);
}

#[test]
fn what_is_advertised_is_the_period_itself() {
    let idle_time_out = Some(Duration::from_millis(1234));
    let mut raw = Raw::new(Options { idle_time_out, ..Options::dialler("engine") });
    let Some(Performative::Open(open)) = raw.performatives().pop() else { panic!("an open") };
    assert_eq!(open.idle_time_out, Some(1234));
}

#[test]
fn an_open_has_its_deadline_at_either_end() {
    for options in [Options::dialler("engine"), Options::listener("engine")] {
        for answer in [&b""[..], b"AMQP", b"AMQP\x00\x01\x00\x00"] {
            let mut raw = Raw::new(options.clone());
            raw.bytes(answer);
            raw.pass(Duration::from_millis(29_999));
            assert!(!raw.end.engine.is_closed());
            raw.pass(MILLISECOND);
            assert_eq!(raw.end.engine.close_reason(), Some(&CloseReason::OpenTimeout));
            assert_eq!(raw.sent(), [], "nobody will read it");
        }
    }
    let mut raw = Raw::open_with(Options { idle_time_out: None, ..Options::listener("engine") });
    raw.pass(Duration::from_secs(31));
    assert!(!raw.end.engine.is_closed(), "the deadline was for the open");
}
