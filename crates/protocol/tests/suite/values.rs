//! Values that are checked when they are made: what passes and what is refused, and how.

use eventhubs_protocol::{
    ConsumerGroup, Field, HubName, InvalidValue, Offset, OwnerLevel, PartitionId, PartitionKey,
    Problem, SequenceNumber, Timestamp, address,
};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

fn refused<T: std::fmt::Debug>(result: Result<T, InvalidValue>, field: Field, problem: Problem) {
    let error = result.expect_err("refused");
    assert_eq!((error.field(), error.problem()), (field, problem));
}

#[test]
fn hub_names() {
    for good in ["a", "Hub", "a.b-c_d", "0", &"h".repeat(256)] {
        assert_eq!(HubName::new(good).expect(good).as_str(), good);
    }
    let limit = 256;
    for (bad, problem) in [
        ("", Problem::Empty),
        ("a/b", Problem::Character),
        ("a b", Problem::Character),
        ("a\0", Problem::Character),
        ("häb", Problem::Character),
        ("-a", Problem::Edge),
        ("a.", Problem::Edge),
        ("_", Problem::Edge),
        ("..", Problem::Edge),
        (&"h".repeat(257), Problem::TooLong { limit }),
    ] {
        refused(HubName::new(bad), Field::HubName, problem);
    }
}

#[test]
fn consumer_groups() {
    assert_eq!(ConsumerGroup::default().as_str(), "$Default");
    for text in ["$Default", "$default", "$DEFAULT"] {
        assert_eq!(ConsumerGroup::new(text).expect(text), ConsumerGroup::default());
    }
    assert_eq!(ConsumerGroup::new(&"g".repeat(50)).expect("50").as_str().len(), 50);
    for (bad, problem) in [
        ("", Problem::Empty),
        ("a/b", Problem::Character),
        ("$other", Problem::Character),
        ("..", Problem::Edge),
        (&"g".repeat(51), Problem::TooLong { limit: 50 }),
    ] {
        refused(ConsumerGroup::new(bad), Field::ConsumerGroup, problem);
    }
}

#[test]
fn partition_ids() {
    for (good, id) in [("0", 0), ("7", 7), ("31", 31), ("65535", u16::MAX)] {
        assert_eq!(PartitionId::new(good).expect(good), PartitionId::from(id));
        assert_eq!(PartitionId::from(id).to_string(), good);
    }
    for (bad, problem) in [
        ("", Problem::Empty),
        ("-1", Problem::NotANumber),
        ("+1", Problem::NotANumber),
        ("0 ", Problem::NotANumber),
        ("00", Problem::NotANumber),
        ("01", Problem::NotANumber),
        ("../x", Problem::NotANumber),
        ("٣", Problem::NotANumber),
        ("0x1", Problem::NotANumber),
        ("65536", Problem::OutOfRange),
        ("99999", Problem::OutOfRange),
        ("18446744073709551616", Problem::OutOfRange),
    ] {
        refused(PartitionId::new(bad), Field::PartitionId, problem);
    }
}

#[test]
fn partition_keys() {
    for good in ["k", " ", "a/b'c", &"k".repeat(128), &"日".repeat(128), &"🙂".repeat(64)] {
        assert_eq!(PartitionKey::new(good).expect(good).as_str(), good);
    }
    let too_long = Problem::TooLong { limit: 128 };
    refused(PartitionKey::new(""), Field::PartitionKey, Problem::Empty);
    refused(PartitionKey::new(&"k".repeat(129)), Field::PartitionKey, too_long);
    // Two UTF-16 code units each.
    refused(PartitionKey::new(&"🙂".repeat(65)), Field::PartitionKey, too_long);
    refused(PartitionKey::new(&"k".repeat(1_000_000)), Field::PartitionKey, too_long);
}

#[test]
fn offsets() {
    for good in ["-1", "@latest", "0", "4294967296:17", "it's", "ключ", &"9".repeat(1024)] {
        assert_eq!(Offset::new(good).expect(good).as_str(), good);
    }
    refused(Offset::new(""), Field::Offset, Problem::Empty);
    refused(Offset::new("1\n2"), Field::Offset, Problem::Character);
    refused(Offset::new("1\u{85}2"), Field::Offset, Problem::Character);
    refused(Offset::new(&"9".repeat(1025)), Field::Offset, Problem::TooLong { limit: 1024 });
}

#[test]
fn owner_levels() {
    assert_eq!(OwnerLevel::new(i64::MAX).map(OwnerLevel::next), OwnerLevel::new(i64::MAX));
    assert_eq!(OwnerLevel::ZERO.next(), OwnerLevel::new(1).expect("one"));
    refused(OwnerLevel::new(-1), Field::OwnerLevel, Problem::OutOfRange);
    assert!(SequenceNumber::BEFORE_FIRST < SequenceNumber::from(0));
}

#[test]
fn no_message_repeats_the_value() {
    let canary = "CANARY'/;\n";
    let messages = [
        HubName::new(canary).expect_err("refused"),
        ConsumerGroup::new(canary).expect_err("refused"),
        PartitionId::new(canary).expect_err("refused"),
        Offset::new(canary).expect_err("refused"),
        address::normalize_host(canary).expect_err("refused"),
    ];
    for error in messages {
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        assert!(error.to_string().starts_with("invalid "), "{error}");
    }
}

#[test]
fn moments_as_text() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
        (Timestamp::NEVER.as_millis(), "0001-01-01T00:00:00.000Z"),
        (-62_167_219_200_001, "-0001-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Timestamp::from_millis(millis).to_string(), text);
    }
    for extreme in [i64::MIN, i64::MAX] {
        assert!(Timestamp::from_millis(extreme).to_string().ends_with('Z'));
    }
}

#[test]
fn moments_and_the_systems_clock() {
    let before = UNIX_EPOCH - Duration::from_nanos(1);
    assert_eq!(Timestamp::from(before), Timestamp::from_millis(-1));
    let after = UNIX_EPOCH + Duration::from_nanos(1_999_999);
    assert_eq!(Timestamp::from(after), Timestamp::from_millis(1));
    assert_eq!(
        Timestamp::from_millis(5).saturating_since(Timestamp::from_millis(-5)),
        Duration::from_millis(10)
    );
    assert_eq!(Timestamp::from_millis(-5).saturating_since(Timestamp::UNIX_EPOCH), Duration::ZERO);
    assert_eq!(
        Timestamp::from_millis(7).saturating_add(Duration::MAX),
        Timestamp::from_millis(i64::MAX)
    );
}

#[test]
fn hosts() {
    for (given, plain) in [
        ("NS.Servicebus.Windows.Net", "ns.servicebus.windows.net"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("host.", "host"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("event_hub-1", "event_hub-1"),
    ] {
        assert_eq!(address::normalize_host(given).as_deref(), Ok(plain));
    }
    for (bad, problem) in [
        ("", Problem::Empty),
        (".", Problem::Empty),
        ("a..b", Problem::Edge),
        ("host..", Problem::Edge),
        (".host", Problem::Edge),
        ("a b", Problem::Character),
        ("a/b", Problem::Character),
        ("a@b", Problem::Character),
        ("a:1", Problem::Character),
        ("[::1", Problem::Character),
        ("[x]", Problem::Character),
        ("::1", Problem::Character),
        ("bücher.example", Problem::Character),
        (&"h".repeat(300), Problem::TooLong { limit: 253 }),
    ] {
        refused(address::normalize_host(bad), Field::Host, problem);
    }
}

proptest! {
    #[test]
    fn moments_survive_the_systems_clock(millis in -10_000_000_000_000_i64..10_000_000_000_000) {
        let moment = Timestamp::from_millis(millis);
        prop_assert_eq!(moment.to_system_time().map(Timestamp::from), Some(moment));
    }

    #[test]
    fn any_text_is_taken_or_refused(text in ".{0,300}") {
        if let Ok(hub) = HubName::new(&text) {
            prop_assert_eq!(hub.to_string(), text.clone());
        }
        if let Ok(id) = text.parse::<PartitionId>() {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        if let Ok(host) = address::normalize_host(&text) {
            prop_assert_eq!(address::normalize_host(&host), Ok(host));
        }
        let _ = (ConsumerGroup::new(&text), PartitionKey::new(&text), Offset::new(&text));
    }
}
