//! What a broken or hostile client can do to the broker: nothing but lose its connection.

use std::sync::Arc;

use bytes::BytesMut;
use eventhubs_amqp::engine::Connection;
use eventhubs_amqp::net::Service;
use proptest::prelude::*;

use super::{Broker, CLIENT_BYTES_MAX, engine_options};
use crate::config::{Config, Limits};
use crate::namespace::Namespace;
use crate::wire::{Wire, batch, event, take};

const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";

/// Small logs, so that what mutated clients send stays small too.
fn namespace() -> Arc<Namespace> {
    let limits = Limits { partition_events: 100, ..Limits::default() };
    Arc::new(Namespace::new(&Config::default().with_limits(limits)))
}

/// The bytes of a client that uses everything there is.
fn conversation() -> Vec<u8> {
    let mut wire = Wire::trusted(&namespace());
    let sender = wire.sender("hub/Partitions/0").unwrap();
    wire.send(sender, event("a", Some("key")), 0);
    let (payload, format) = batch(&["b", "c", "d"], None);
    wire.send(sender, payload, format);
    wire.send(sender, event(&"x".repeat(100_000), None), 0);
    let receiver = wire.receiver(FIRST, "amqp.annotation.x-opt-offset > '-1'", |_| {}).unwrap();
    wire.client.set_credit(receiver, 3);
    wire.client.drain(receiver);
    wire.exchange();
    assert_eq!(wire.bodies(receiver).len(), 3);
    wire.client.detach(receiver, true, None);
    wire.client.close(None);
    wire.exchange();
    wire.written
}

/// Feeds bytes to a fresh connection in pieces, and takes whatever it answers.
fn feed(bytes: &[u8], piece: usize) {
    let namespace = namespace();
    let now = tokio::time::Instant::now().into_std();
    let mut broker = Broker::new(Arc::clone(&namespace));
    let mut server = Connection::new(engine_options(1, namespace.idle_time_out), now);
    let mut input = BytesMut::new();
    for piece in bytes.chunks(piece.max(1)) {
        input.extend_from_slice(piece);
        server.handle_input(now, &mut input);
        broker.turn(&mut server, now);
        take(&mut server);
        broker.turn(&mut server, now);
        assert!(server.held_bytes() <= CLIENT_BYTES_MAX);
    }
    server.handle_eof(now);
    broker.turn(&mut server, now);
    assert!(server.is_closed() && broker.links.is_empty());
}

#[test]
fn pieces_of_any_size_are_the_same_conversation() {
    let bytes = conversation();
    for piece in [1, 2, 3, 7, 100, 4096, usize::MAX] {
        feed(&bytes, piece);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flipped_bytes_cost_the_connection_at_most(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        piece in 1usize..5000,
    ) {
        let mut bytes = conversation();
        // The large body is of no interest; changes go where the frames are.
        let frames = bytes.len().min(3000);
        for (index, byte) in changes {
            bytes[index.index(frames)] = byte;
        }
        feed(&bytes, piece);
    }

    #[test]
    fn pieces_left_out_or_repeated_cost_the_connection_at_most(
        from in any::<prop::sample::Index>(),
        length in 0usize..400,
        repeat: bool,
        piece in 1usize..5000,
    ) {
        let mut bytes = conversation();
        let start = from.index(bytes.len().min(3000));
        let end = (start + length).min(bytes.len());
        let part = bytes[start..end].to_vec();
        if repeat {
            bytes.splice(end..end, part);
        } else {
            bytes.drain(start..end);
        }
        feed(&bytes, piece);
    }
}
