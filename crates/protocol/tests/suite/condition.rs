//! The condition table against the classification this library documents.

use eventhubs_protocol::OwnerLevel;
use eventhubs_protocol::condition::Meaning as M;
use eventhubs_protocol::condition::Outcome::{NotStored, Unknown};
use eventhubs_protocol::condition::Place::{Answer, Attach, Close, Delivery, Detach};
use eventhubs_protocol::condition::Recovery::{Connection, Fatal, Link, None as Keep};
use eventhubs_protocol::condition::Retry::{AtMost, No, Slowly, WithFreshToken, Yes};
use eventhubs_protocol::condition::{
    End, Meaning, Outcome, Place, Recovery, Retry, TABLE, busy_wait, classify, local,
    named_owner_level, of_status,
};
use std::collections::HashSet;
use std::time::Duration;

type Case = (&'static str, &'static str, Place, (Meaning, Retry, Recovery, Outcome));

const MISSING: &str = "The messaging entity 'sb://ns/hub' could not be found.";
const IDLE_CONNECTION: &str =
    "The connection was inactive for more than the allowed 300000 milliseconds";
const IDLE_LINK: &str = "Detach origin: AmqpMessagePublisher.IdleTimerExpired: Idle timeout";
const BAD_PARTITION: &str = "The specified partition is invalid for an EventHub partition sender \
     or receiver. It should be between 0 and 3.";
const BAD_OFFSET: &str = "The supplied offset '99' is invalid. The last offset is '7'";

/// What a sender makes of each.
const CASES: &[Case] = &[
    ("com.microsoft:server-busy", "", Delivery, (M::ServerBusy, Yes, Keep, NotStored)),
    ("com.microsoft:server-busy", "", Answer, (M::ServerBusy, Yes, Keep, NotStored)),
    ("com.microsoft:server-busy", "", Detach, (M::ServerBusy, Yes, Link, Unknown)),
    ("com.microsoft:server-busy", "", Attach, (M::ServerBusy, Yes, Link, NotStored)),
    ("com.microsoft:server-busy", "", Close, (M::ServerBusy, Yes, Connection, Unknown)),
    ("com.microsoft:timeout", "", Delivery, (M::Timeout, Yes, Keep, Unknown)),
    ("com.microsoft:operation-cancelled", "", Delivery, (M::ServiceFault, Yes, Link, Unknown)),
    ("amqp:internal-error", "", Detach, (M::ServiceFault, Yes, Link, Unknown)),
    ("amqp:internal-error", "", Close, (M::ServiceFault, Yes, Connection, Unknown)),
    ("amqp:connection:forced", "", Close, (M::ConnectionLost, Yes, Connection, Unknown)),
    (
        "amqp:connection:forced",
        IDLE_CONNECTION,
        Close,
        (M::ConnectionLost, Yes, Connection, NotStored),
    ),
    ("amqp:connection:new-one", "", Close, (M::ConnectionLost, Yes, Connection, Unknown)),
    ("amqp:session:window-violation", "", Place::End, (M::SessionLost, Yes, Link, Unknown)),
    ("amqp:session:new-one", "", Place::End, (M::SessionLost, Yes, Link, Unknown)),
    ("amqp:link:detach-forced", "", Detach, (M::LinkLost, Yes, Link, Unknown)),
    ("amqp:link:transfer-limit-exceeded", "", Detach, (M::LinkLost, Yes, Link, Unknown)),
    ("amqp:link:message-size-exceeded", "", Delivery, (M::TooLarge, No, Fatal, NotStored)),
    ("amqp:link:message-size-exceeded", "", Detach, (M::TooLarge, No, Fatal, NotStored)),
    ("amqp:unauthorized-access", "", Attach, (M::Unauthorized, WithFreshToken, Link, NotStored)),
    ("com.microsoft:auth-failed", "", Answer, (M::Unauthorized, WithFreshToken, Link, NotStored)),
    ("amqp:resource-limit-exceeded", "", Attach, (M::QuotaExceeded, AtMost(2), Link, NotStored)),
    ("amqp:not-found", MISSING, Attach, (M::NotFound, No, Fatal, NotStored)),
    ("amqp:not-found", "status-code: 404", Attach, (M::NotFound, No, Fatal, NotStored)),
    ("amqp:not-found", "", Attach, (M::NotFound, AtMost(2), Link, NotStored)),
    ("com.microsoft:entity-disabled", "", Attach, (M::Disabled, No, Fatal, NotStored)),
    ("com.microsoft:publisher-revoked", "", Delivery, (M::Disabled, No, Fatal, NotStored)),
    ("amqp:not-allowed", "", Attach, (M::NotAllowed, No, Fatal, NotStored)),
    ("amqp:not-implemented", "", Answer, (M::NotAllowed, No, Fatal, NotStored)),
    ("amqp:invalid-field", "", Attach, (M::InvalidArgument, No, Fatal, NotStored)),
    ("com.microsoft:argument-error", "", Attach, (M::InvalidArgument, No, Fatal, NotStored)),
    (
        "com.microsoft:argument-error",
        BAD_OFFSET,
        Attach,
        (M::InvalidPosition, No, Fatal, NotStored),
    ),
    ("com.microsoft:argument-out-of-range", "", Attach, (M::InvalidArgument, No, Fatal, NotStored)),
    (
        "com.microsoft:argument-out-of-range",
        BAD_PARTITION,
        Attach,
        (M::NotFound, No, Fatal, NotStored),
    ),
    (
        "com.microsoft:georeplication:invalid-offset",
        "",
        Attach,
        (M::InvalidPosition, No, Fatal, NotStored),
    ),
    ("com.microsoft:partition-not-owned", "", Delivery, (M::Moved, Yes, Link, Unknown)),
    ("com.microsoft:store-lock-lost", "", Delivery, (M::Moved, Yes, Link, Unknown)),
    ("amqp:precondition-failed", "", Delivery, (M::PreconditionFailed, No, Fatal, NotStored)),
    ("com.microsoft:out-of-order-sequence", "", Delivery, (M::OutOfOrder, No, Fatal, NotStored)),
    ("com.microsoft:producer-epoch-stolen", "", Delivery, (M::Stolen, No, Fatal, NotStored)),
    ("amqp:decode-error", "", Close, (M::Protocol, AtMost(2), Connection, Unknown)),
    ("amqp:frame-size-too-small", "", Close, (M::Protocol, AtMost(2), Connection, Unknown)),
    ("com.microsoft:new-one", "", Delivery, (M::Unknown, AtMost(2), Link, Unknown)),
    ("amqp:new-one", "", Delivery, (M::Unknown, AtMost(2), Connection, Unknown)),
    ("", "", Delivery, (M::Unknown, AtMost(2), Connection, Unknown)),
];

#[test]
fn verdicts() {
    for &(condition, text, place, (meaning, retry, recovery, outcome)) in CASES {
        let verdict = classify(condition, text, place, End::Sender);
        let case = format!("{condition} at {place:?}");
        assert_eq!(verdict.meaning, meaning, "{case}");
        assert_eq!(verdict.retry, retry, "{case}");
        assert_eq!(verdict.recovery, recovery, "{case}");
        assert_eq!(verdict.outcome, outcome, "{case}");
        let idle = text == IDLE_CONNECTION;
        assert_eq!(verdict.at_once, idle, "{case}");
    }
}

#[test]
fn receivers_wait_for_a_quota_and_never_return_once_stolen() {
    let quota = classify("amqp:resource-limit-exceeded", "", Attach, End::Receiver);
    assert_eq!((quota.meaning, quota.retry), (M::QuotaExceeded, Slowly(5)));
    let stolen = classify("amqp:link:stolen", "", Detach, End::Receiver);
    assert_eq!((stolen.meaning, stolen.retry, stolen.recovery), (M::Stolen, No, Fatal));
}

#[test]
fn an_idle_link_comes_back_at_once() {
    let idle = classify("amqp:link:detach-forced", IDLE_LINK, Detach, End::Sender);
    assert!(idle.at_once);
    assert_eq!((idle.recovery, idle.outcome), (Link, Unknown));
}

#[test]
fn each_condition_has_one_row() {
    let names: HashSet<_> = TABLE.iter().map(|row| row.condition).collect();
    assert_eq!(names.len(), TABLE.len());
    for row in TABLE {
        // Who must not retry needs nothing rebuilt, and who may retry does not need a miracle.
        assert_eq!(row.verdict.retry == No, row.verdict.recovery == Fatal, "{}", row.condition);
    }
}

#[test]
fn status_codes() {
    for (status, condition, meaning, retry) in [
        (400, "com.microsoft:argument-error", M::InvalidArgument, No),
        (401, "amqp:unauthorized-access", M::Unauthorized, WithFreshToken),
        (403, "amqp:resource-limit-exceeded", M::QuotaExceeded, AtMost(2)),
        (404, "amqp:not-found", M::NotFound, AtMost(2)),
        (408, "com.microsoft:timeout", M::Timeout, Yes),
        (410, "amqp:link:stolen", M::Moved, Yes),
        (429, "com.microsoft:server-busy", M::ServerBusy, Yes),
        (500, "amqp:internal-error", M::ServiceFault, Yes),
        (501, "amqp:not-implemented", M::NotAllowed, No),
        (503, "com.microsoft:server-busy", M::ServerBusy, Yes),
        (504, "com.microsoft:timeout", M::Timeout, Yes),
        (0, "amqp:internal-error", M::ServiceFault, Yes),
        (-7, "amqp:internal-error", M::ServiceFault, Yes),
    ] {
        assert_eq!(of_status(status), condition, "{status}");
        let verdict = classify(of_status(status), "", Answer, End::Sender);
        assert_eq!((verdict.meaning, verdict.retry), (meaning, retry), "{status}");
    }
}

#[test]
fn what_this_side_notices() {
    assert_eq!(local::NO_CREDIT.outcome, NotStored);
    assert_eq!(local::NO_OUTCOME.outcome, Unknown);
    assert_eq!(local::NO_OUTCOME.recovery, Link);
    assert_eq!(local::CONNECTION_LOST.recovery, Connection);
    assert_eq!((local::RELEASED.recovery, local::RELEASED.outcome), (Keep, NotStored));
    assert_eq!(local::REJECTED.retry, AtMost(1));
    assert_eq!(local::UNTRUSTED.retry, No);
}

#[test]
fn waits_in_texts() {
    for (text, seconds) in [
        ("Please wait 4 seconds and try again. TrackingId:x", Some(4)),
        ("Error code : 50009. Please WAIT 2 Seconds.", Some(2)),
        ("wait 1 second", Some(1)),
        ("wait for it; wait 3  seconds", Some(3)),
        ("wait 999999999999999999999 seconds", None),
        ("wait 86400 seconds", Some(300)),
        ("wait 4 minutes", None),
        ("wait 4 of the 10 seconds", None),
        ("wait", None),
        ("", None),
        ("日wait 5 seconds", Some(5)),
    ] {
        assert_eq!(busy_wait(text), seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn owner_levels_in_texts() {
    let level = |n| OwnerLevel::new(n).expect("not negative");
    for (text, expected) in [
        (
            "At least one receiver for the endpoint is created with epoch of '5', and so \
             non-epoch receiver is not allowed.",
            Some(level(5)),
        ),
        (
            "Receiver 'nil' with a higher epoch '1' already exists. Receiver 'x' with epoch 0 \
             cannot be created.",
            Some(level(1)),
        ),
        (
            "New receiver 'a' with higher epoch of '0' is created hence current receiver 'b' with \
             epoch '0' is getting disconnected.",
            Some(level(0)),
        ),
        ("Receiver with epoch 0 cannot be created.", None),
        ("epoch '-1'", None),
        ("epoch '99999999999999999999'", None),
        ("epoch '1", None),
        ("", None),
    ] {
        assert_eq!(named_owner_level(text), expected, "{text}");
    }
}
