//! Runtime information of a hub and of its partitions.

use eventhubs_client::{ErrorKind, Operation, PartitionId, SequenceNumber};
use eventhubs_emulator::{Config, Limits};
use futures_util::future::{join_all, try_join_all};

use crate::support::{BOTH, Fixture, HUB, PARTITIONS, within};

#[tokio::test]
async fn a_hub_tells_its_partitions() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let hub = within(fixture.hub.runtime_information()).await.expect("answered");
        assert_eq!(hub.name, HUB);
        let expected: Vec<_> = (0..PARTITIONS).map(PartitionId::from).collect();
        assert_eq!(hub.partition_ids, expected, "{transport:?}");
        let created = hub.created_at.expect("the emulator says so");
        assert!(created.as_millis() > 1_700_000_000_000);
        assert_eq!(hub.georeplication_factor, 1);
    }
}

#[tokio::test]
async fn an_empty_partition_says_that_it_is() {
    let fixture = Fixture::memory().await;
    for number in 0..PARTITIONS {
        let asked = fixture.hub.partition_runtime_information(number);
        let partition = within(asked).await.expect("answered");
        assert_eq!((partition.hub.as_str(), partition.partition_id), (HUB, number.into()));
        assert!(partition.is_empty);
        assert_eq!(partition.last_enqueued_sequence_number, SequenceNumber::BEFORE_FIRST);
        assert_eq!((partition.last_enqueued_offset, partition.last_enqueued_time), (None, None));
    }
}

#[tokio::test]
async fn a_filled_partition_tells_its_first_and_last_event() {
    let limits = Limits { partition_events: 3, ..Limits::default() };
    for transport in BOTH {
        let config = Config::default().with_limits(limits.clone());
        let fixture = Fixture::with(transport, config, Default::default()).await;
        fixture.send(1, &["0", "1", "2", "3", "4"]).await;
        let asked = fixture.hub.partition_runtime_information(1);
        let partition = within(asked).await.expect("answered");
        assert!(!partition.is_empty);
        assert_eq!(partition.begin_sequence_number.as_i64(), 2, "three are kept");
        assert_eq!(partition.last_enqueued_sequence_number.as_i64(), 4);
        let last = fixture.stored_in(1).await.pop().expect("three");
        assert_eq!(partition.last_enqueued_offset, Some(last.to_offset()));
        assert_eq!(partition.last_enqueued_time, Some(last.enqueued_time()));
        let other = within(fixture.hub.partition_runtime_information(2)).await.expect("answered");
        assert!(other.is_empty);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let fixture = Fixture::memory().await;
    let asked = fixture.hub.partition_runtime_information(PARTITIONS);
    let error = within(asked).await.expect_err("0 to 3");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.operation(), Operation::RuntimeInformation);
    assert!(error.to_string().contains("Partitions/4"), "{error}");

    let nowhere = fixture.hub_from(&fixture.emulator.connection_string_for("nowhere"));
    let error = within(nowhere.runtime_information()).await.expect_err("no such hub");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.entity(), "nowhere");
}

#[tokio::test]
async fn many_questions_at_once_get_their_own_answers() {
    let fixture = Fixture::memory().await;
    for number in 0..PARTITIONS {
        let texts = vec!["x"; usize::from(number)];
        fixture.send(number, &texts).await;
    }
    let hub = &fixture.hub;
    let asked = (0..400_u16).map(|number| hub.partition_runtime_information(number % PARTITIONS));
    let answers = within(try_join_all(asked)).await.expect("all are answered");
    for (number, answer) in (0..400_u16).zip(answers) {
        let partition = number % PARTITIONS;
        assert_eq!(answer.partition_id, partition.into());
        assert_eq!(answer.last_enqueued_sequence_number.as_i64(), i64::from(partition) - 1);
    }
    assert_eq!(fixture.wire.dials(), 1);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_disturbs_no_other() {
    use futures_util::FutureExt;

    let fixture = Fixture::memory().await;
    within(fixture.hub.runtime_information()).await.expect("answered");
    for _ in 0..50 {
        assert!(fixture.hub.runtime_information().now_or_never().is_none());
    }
    let asked = (0..50).map(|_| fixture.hub.runtime_information());
    assert!(within(join_all(asked)).await.iter().all(Result::is_ok));
}
