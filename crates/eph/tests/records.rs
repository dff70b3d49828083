//! Bodies of leases and checkpoints, as this and other hosts write them.
#![cfg(test)]

use std::time::Duration;

use eventhubs_eph::{Checkpoint, InvalidRecord, Lease, MAX_BODY, MAX_DEPTH};
use eventhubs_protocol::{Offset, OwnerLevel, PartitionId, SequenceNumber, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lease(body: Value) -> Result<Lease, InvalidRecord> {
    Lease::from_json(body.to_string().as_bytes())
}

fn checkpoint(body: Value) -> Result<Option<Checkpoint>, InvalidRecord> {
    Checkpoint::from_json(body.to_string().as_bytes())
}

#[test]
fn leases_of_every_dialect_are_read() {
    let bodies = [
        json!({"partitionID": "3", "epoch": 7, "owner": "a", "checkpoint": null, "state": "leased", "token": "t"}),
        json!({"PartitionId": "3", "Owner": "a", "Token": "t", "Epoch": 7, "Offset": null, "SequenceNumber": 0}),
        json!({"partitionId": "3", "owner": "a", "token": "t", "epoch": 7}),
        json!({"partition_id": "3", "owner": "a", "token": "t", "epoch": 7, "offset": null}),
    ];
    for body in bodies {
        let lease = lease(body.clone()).unwrap();
        assert_eq!(lease.partition, PartitionId::from(3), "{body}");
        assert_eq!(lease.epoch, OwnerLevel::new(7).unwrap(), "{body}");
        assert_eq!(lease.owner.unwrap().as_str(), "a", "{body}");
        assert_eq!(lease.token.unwrap().as_str(), "t", "{body}");
        assert_eq!(lease.duration, Duration::from_secs(60), "{body}");
    }
    let initial = lease(json!({"partitionId": "3", "owner": "", "epoch": -1})).unwrap();
    assert_eq!((initial.epoch, initial.owner, initial.token), (OwnerLevel::ZERO, None, None));
}

#[test]
fn leases_are_written_with_the_classic_names_and_keep_what_is_unknown() {
    let body = json!({"PartitionId": "3", "Epoch": 7, "Owner": "a", "Token": "t", "Offset": "12", "x": {"y": [1]}});
    let written: Value = serde_json::from_slice(&lease(body).unwrap().to_json()).unwrap();
    let expected = json!({
        "partitionID": "3", "epoch": 7, "owner": "a", "token": "t", "leaseMilliseconds": 60_000,
        "Offset": "12", "x": {"y": [1]},
    });
    assert_eq!(written, expected);
}

#[test]
fn checkpoints_of_every_dialect_are_read() {
    let bodies = [
        json!({"offset": "4096", "sequenceNumber": 41, "enqueueTime": "2023-11-14T22:13:20.123Z"}),
        json!({"PartitionId": "3", "Offset": "4096", "SequenceNumber": 41}),
        json!({"offset": "4096", "sequence_number": 41}),
        json!({"offset": 4096, "sequencenumber": "41"}),
    ];
    for body in bodies {
        let read = checkpoint(body.clone()).unwrap().unwrap();
        assert_eq!(read.offset, Some(Offset::new("4096").unwrap()), "{body}");
        assert_eq!(read.sequence_number, SequenceNumber::from(41), "{body}");
    }
    let only_offset = checkpoint(json!({"offset": "4096"})).unwrap().unwrap();
    assert_eq!(only_offset.sequence_number, SequenceNumber::BEFORE_FIRST);
    let odd_time = json!({"offset": "1", "sequenceNumber": 2, "enqueueTime": "yesterday"});
    assert_eq!(checkpoint(odd_time).unwrap().unwrap().enqueued, None);
}

#[test]
fn where_nothing_was_processed_there_is_no_checkpoint() {
    for body in [
        json!({}),
        json!({"offset": null, "sequenceNumber": null}),
        json!({"offset": "", "sequenceNumber": ""}),
        json!({"Offset": null, "SequenceNumber": 0}),
        json!({"offset": "-1", "sequenceNumber": 0, "enqueueTime": "0001-01-01T00:00:00Z"}),
        json!({"offset": "@latest", "sequenceNumber": 5}),
        json!({"offset": "no offset"}),
    ] {
        assert_eq!(checkpoint(body.clone()), Ok(None), "{body}");
    }
}

#[test]
fn wrong_bodies_name_the_field() {
    let field = |result: Result<(), InvalidRecord>| match result {
        Err(InvalidRecord::Field { name }) => name,
        other => panic!("{other:?}"),
    };
    let of_lease = |body| field(lease(body).map(drop));
    assert_eq!(of_lease(json!({"epoch": 1})), "partitionID");
    assert_eq!(of_lease(json!({"partitionID": "03"})), "partitionID");
    assert_eq!(of_lease(json!({"partitionID": "3", "epoch": 1.5})), "epoch");
    assert_eq!(of_lease(json!({"partitionID": "3", "owner": ["a"]})), "owner");
    assert_eq!(of_lease(json!({"partitionID": "3", "token": "a\u{1}"})), "token");
    assert_eq!(of_lease(json!({"partitionID": "3", "leaseMilliseconds": -1})), "leaseMilliseconds");
    let of_checkpoint = |body| field(checkpoint(body).map(drop));
    assert_eq!(of_checkpoint(json!({"offset": "1", "sequenceNumber": -7})), "sequenceNumber");
    assert_eq!(of_checkpoint(json!({"offset": {}, "sequenceNumber": 7})), "offset");
    assert_eq!(of_checkpoint(json!({"offset": "a\n", "sequenceNumber": 7})), "offset");
}

#[test]
fn limits_hold_before_anything_is_built() {
    let deep = "[".repeat(MAX_BODY);
    assert_eq!(Lease::from_json(deep.as_bytes()), Err(InvalidRecord::TooDeep));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(Checkpoint::from_json(nested.as_bytes()), Err(InvalidRecord::TooDeep));
    let long = vec![b' '; MAX_BODY + 1];
    assert_eq!(Lease::from_json(&long), Err(InvalidRecord::TooLarge { size: MAX_BODY + 1 }));
}

#[test]
fn a_debug_text_shows_no_unknown_value() {
    let read = lease(json!({"partitionID": "3", "secret": "canary"})).unwrap();
    let text = format!("{read:?}");
    assert!(text.contains("secret") && !text.contains("canary"), "{text}");
}

proptest! {
    #[test]
    fn checkpoints_are_read_as_they_were_written(
        offset in "[^\\p{Cc}]{1,40}",
        number in 0_i64..,
        millis in proptest::option::of(0_i64..253_402_300_800_000),
    ) {
        prop_assume!(!offset.trim().is_empty());
        prop_assume!(!["-1", "@latest", "no offset"].contains(&offset.trim()));
        let enqueued = millis.map(Timestamp::from_millis);
        let written = Checkpoint::new(Offset::new(&offset).unwrap(), number.into(), enqueued);
        prop_assert_eq!(Checkpoint::from_json(&written.to_json()), Ok(Some(written)));
    }

    #[test]
    fn no_body_is_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Lease::from_json(&body);
        let _ = Checkpoint::from_json(&body);
    }

    #[test]
    fn no_shape_is_a_panic(
        fields in proptest::collection::vec(
            ("(partitionID|Epoch|owner|token|offset|Sequence_Number|enqueueTime|x)", "(null|-1|1e9|\"\"|\"7\"|\\[\\]|\\{\\}|true|\"\u{e9}\")"),
            0..8,
        ),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        let body = format!("{{{}}}", fields.join(","));
        let _ = Lease::from_json(body.as_bytes());
        let _ = Checkpoint::from_json(body.as_bytes());
    }
}
