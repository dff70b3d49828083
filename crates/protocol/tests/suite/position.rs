//! Start positions as the service reads them.

use bytes::BytesMut;
use eventhubs_amqp::codec::Value;
use eventhubs_protocol::{
    Field, Offset, Problem, SequenceNumber, StartPosition, Timestamp, filter,
};
use proptest::prelude::*;

fn offset(text: &str) -> StartPosition {
    StartPosition::offset(Offset::new(text).expect("an offset"))
}

fn sequence_number(number: i64) -> StartPosition {
    StartPosition::sequence_number(number.into()).expect("in range")
}

fn enqueued_time(millis: i64) -> StartPosition {
    StartPosition::enqueued_time(Timestamp::from_millis(millis)).expect("in range")
}

#[test]
fn selectors() {
    for (position, text) in [
        (StartPosition::default(), "amqp.annotation.x-opt-offset > '-1'"),
        (StartPosition::earliest(), "amqp.annotation.x-opt-offset > '-1'"),
        (StartPosition::latest(), "amqp.annotation.x-opt-offset > '@latest'"),
        (StartPosition::latest().inclusive(), "amqp.annotation.x-opt-offset >= '@latest'"),
        (offset("8"), "amqp.annotation.x-opt-offset > '8'"),
        (offset("8").inclusive(), "amqp.annotation.x-opt-offset >= '8'"),
        (offset("4294967296:17"), "amqp.annotation.x-opt-offset > '4294967296:17'"),
        (sequence_number(0), "amqp.annotation.x-opt-sequence-number > '0'"),
        (sequence_number(-1), "amqp.annotation.x-opt-sequence-number > '-1'"),
        (
            sequence_number(i64::MAX).inclusive(),
            "amqp.annotation.x-opt-sequence-number >= '9223372036854775807'",
        ),
        (enqueued_time(1_700_000_000_123), "amqp.annotation.x-opt-enqueued-time > '1700000000123'"),
        (enqueued_time(0).inclusive(), "amqp.annotation.x-opt-enqueued-time >= '0'"),
    ] {
        assert_eq!(filter::selector(&position), text);
    }
}

#[test]
fn a_quote_cannot_end_the_text() {
    assert_eq!(
        filter::selector(&offset("0' OR amqp.annotation.x-opt-offset > '-1")),
        "amqp.annotation.x-opt-offset > '0'' OR amqp.annotation.x-opt-offset > ''-1'"
    );
}

#[test]
fn the_filter_by_hand() {
    let mut out = BytesMut::new();
    Value::Map(filter::source_filter(&StartPosition::latest())).encode(&mut out);
    assert_eq!(
        &out[..],
        b"\xc1\x58\x02\xa3\x21apache.org:selector-filter:string\
          \x00\x80\x00\x00\x46\x8c\x00\x00\x00\x04\
          \xa1\x28amqp.annotation.x-opt-offset > '@latest'"
    );
}

#[test]
fn positions_out_of_range() {
    for number in [-2, -5, i64::MIN] {
        let error = StartPosition::sequence_number(SequenceNumber::from(number));
        let error = error.expect_err("below -1");
        assert_eq!((error.field(), error.problem()), (Field::SequenceNumber, Problem::OutOfRange));
    }
    let year_1601 = -11_644_473_600_000;
    for millis in [-1, year_1601, Timestamp::NEVER.as_millis(), 253_402_300_800_000, i64::MAX] {
        let error = StartPosition::enqueued_time(Timestamp::from_millis(millis));
        let error = error.expect_err("no such time");
        assert_eq!((error.field(), error.problem()), (Field::EnqueuedTime, Problem::OutOfRange));
    }
    assert!(StartPosition::enqueued_time(Timestamp::from_millis(253_402_300_799_999)).is_ok());
}

proptest! {
    /// Read back the way SQL reads a string: quotes in pairs, one at either end.
    #[test]
    fn any_offset_stays_one_string(text in "[^\\p{Cc}]{1,60}") {
        let selector = filter::selector(&offset(&text));
        let quoted = selector.strip_prefix("amqp.annotation.x-opt-offset > '").expect("the start");
        let inner = quoted.strip_suffix('\'').expect("the end");
        prop_assert_eq!(inner.replace("''", "\0").find('\''), None);
        prop_assert_eq!(inner.replace("''", "'"), text);
    }
}
