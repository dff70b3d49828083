//! What the service says of a send, and what the caller is told: only `accepted` is success.

use std::mem::discriminant;

use eventhubs_amqp::codec::{AmqpError, DeliveryState, Map, Symbol};
use eventhubs_client::{Error, ErrorKind, Operation, PartitionId};

use crate::support::peer::{Peer, Reply};
use crate::support::{bare, within};

/// The results of a send in each of its ways, to a peer that answers `state`.
async fn results(state: DeliveryState) -> Vec<Result<(), Error>> {
    let peer = Peer::replying(Reply::Outcome(state));
    let (hub, _wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    let mut results = vec![within(producer.send("x")).await, within(producer.enqueue("x")).await];
    for _ in 0..2 {
        let mut batch = within(producer.create_batch()).await.expect("attached");
        batch.try_add("x").expect("it fits");
        results.push(match results.len() {
            2 => within(producer.send_batch(batch)).await,
            _ => within(producer.enqueue_batch(batch)).await,
        });
    }
    assert_eq!(peer.events(), 4, "all of them reached the peer, once");
    within(hub.close()).await;
    results
}

/// Checks that nobody is told of success, and gives the one error that all ways end with.
async fn error_of(state: DeliveryState) -> Error {
    let mut errors: Vec<_> = results(state.clone())
        .await
        .into_iter()
        .map(|result| result.expect_err("only accepted is success"))
        .collect();
    let last = errors.pop().expect("four");
    for error in errors {
        assert_eq!(discriminant(&error.kind()), discriminant(&last.kind()), "{state:?}");
        assert_eq!(error.may_have_been_sent(), last.may_have_been_sent(), "{state:?}");
        assert_eq!(error.operation(), Operation::Send);
        assert_eq!(error.entity(), "hub/Partitions/0");
    }
    last
}

fn rejected(condition: &'static str) -> DeliveryState {
    DeliveryState::Rejected(Some(AmqpError::new(Symbol::from_static(condition), "why not")))
}

#[tokio::test]
async fn accepted_is_success() {
    assert!(results(DeliveryState::Accepted).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn released_and_modified_are_errors_and_nothing_was_stored() {
    let modified = |delivery_failed, undeliverable_here| DeliveryState::Modified {
        delivery_failed,
        undeliverable_here,
        message_annotations: Map::default(),
    };
    for state in [DeliveryState::Released, modified(false, false), modified(true, true)] {
        let error = error_of(state).await;
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.is_retryable() && !error.may_have_been_sent(), "{error}");
    }
}

#[tokio::test]
async fn rejected_says_why() {
    let table = [
        (DeliveryState::Rejected(None), ErrorKind::Rejected, true, false),
        (rejected("com.microsoft:server-busy"), ErrorKind::ServerBusy, true, false),
        (rejected("com.microsoft:timeout"), ErrorKind::Timeout, true, true),
        (rejected("amqp:internal-error"), ErrorKind::Disconnected, true, true),
        (rejected("amqp:resource-limit-exceeded"), ErrorKind::QuotaExceeded, true, false),
        (rejected("amqp:unauthorized-access"), ErrorKind::Unauthorized, true, false),
        (rejected("amqp:not-allowed"), ErrorKind::Rejected, false, false),
        (rejected("com.microsoft:argument-error"), ErrorKind::Rejected, false, false),
        (rejected("com.microsoft:entity-disabled"), ErrorKind::NotFound, false, false),
        (rejected("com.example:unheard-of"), ErrorKind::Protocol, true, true),
    ];
    for (state, kind, retryable, unknown) in table {
        let error = error_of(state.clone()).await;
        assert_eq!(error.kind(), kind, "{state:?}");
        assert_eq!(error.is_retryable(), retryable, "{state:?}");
        assert_eq!(error.may_have_been_sent(), unknown, "{state:?}");
        assert_eq!(error.to_string().contains("may have been stored"), unknown, "{error}");
        if let DeliveryState::Rejected(Some(said)) = state {
            let text = error.to_string();
            assert!(text.contains("why not") && text.contains(said.condition.as_str()), "{text}");
        }
    }
    let error = error_of(rejected("amqp:link:message-size-exceeded")).await;
    let ErrorKind::TooLarge { size, limit } = error.kind() else { panic!("{error:?}") };
    assert!(size > 0 && limit > size as u64, "what this end knows of it: {size} of {limit}");
    assert!(!error.is_retryable() && !error.may_have_been_sent());
}

#[tokio::test]
async fn what_is_no_outcome_tells_nothing() {
    let state = DeliveryState::Received { section_number: 0, section_offset: 0 };
    let error = error_of(state).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.may_have_been_sent(), "nobody knows");
}

#[tokio::test]
async fn a_link_that_goes_before_the_outcome_leaves_it_unknown() {
    let peer = Peer::replying(Reply::Detach);
    let (hub, wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    for round in 1..=3 {
        let error = within(producer.send("x")).await.expect_err("nobody answered");
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Disconnected, Operation::Send));
        assert!(error.may_have_been_sent() && error.is_retryable());
        assert_eq!(peer.events(), round, "the next send attaches the link again");
    }
    assert_eq!(wire.dials(), 1, "on the same connection");
}
