//! Frames that break rules (S19, S28 to S34), written by the byte layer between two good ones.

use eventhubs_amqp::codec::condition;
use eventhubs_amqp::codec::message::Message;
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::engine::{CloseReason, LinkId};
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Emulator, Fault, Lie, Performative as Kind, Place, Point, Scope,
    Stray,
};

use crate::client::{Client, FIRST, SECOND, What, emulator, event};

/// A client that receives with plenty of credit, and has just met a bad frame.
struct Struck {
    emulator: Emulator,
    client: Client,
    link: LinkId,
}

async fn struck(frame: BadFrame) -> Struck {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    client.engine.set_credit(link, 100);
    client.settle().await;
    client.raw.clear();
    let fault = emulator.inject(Fault::now(Effect::Write(frame))).unwrap();
    client.settle().await;
    assert_eq!(emulator.hits(fault), 1);
    assert!(!client.raw.is_empty(), "nothing came");
    Struck { emulator, client, link }
}

impl Struck {
    /// The frame cost the connection; the condition that the client gave.
    async fn cost_the_connection(mut self) -> String {
        match self.client.closed().await {
            CloseReason::Violation(error) => error.condition.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The frame cost nothing: events go on.
    async fn cost_nothing(mut self) -> Client {
        self.emulator.append("hub", 0, event("goes on")).unwrap();
        self.client.settle().await;
        let last = self.client.payloads(self.link).pop();
        assert!(!self.client.engine.is_closed(), "{:?}", self.client.seen.last());
        assert_eq!(last.map(|payload| crate::client::text(&payload)), Some("goes on".to_owned()));
        self.client
    }
}

const FRAMING: &str = "amqp:connection:framing-error";

#[tokio::test(start_paused = true)]
async fn s19_outcomes_of_unknown_deliveries_and_endless_ranges() {
    for (first, last) in [(7, None), (9, Some(3)), (0, Some(u32::MAX)), (u32::MAX, Some(u32::MAX))]
    {
        let client = struck(BadFrame::Disposition { first, last }).await.cost_nothing().await;
        let dispositions: Vec<_> = client
            .frames()
            .into_iter()
            .filter_map(|(_, frame, _)| match frame {
                Performative::Disposition(disposition) => Some(disposition),
                _ => None,
            })
            .collect();
        assert_eq!((dispositions[0].first, dispositions[0].last), (first, last));
    }
}

#[tokio::test(start_paused = true)]
async fn s28_frames_smaller_than_their_header() {
    for size in 0..8 {
        assert_eq!(struck(BadFrame::Size(size)).await.cost_the_connection().await, FRAMING);
    }
}

#[tokio::test(start_paused = true)]
async fn s29_frames_larger_than_agreed() {
    for frame in [BadFrame::SizeOverLimit, BadFrame::Size(1 << 31), BadFrame::Size(u32::MAX)] {
        assert_eq!(struck(frame).await.cost_the_connection().await, FRAMING);
    }
}

#[tokio::test(start_paused = true)]
async fn s30_extended_headers_are_legal_and_other_offsets_are_not() {
    struck(BadFrame::DataOffset(4)).await.cost_nothing().await;
    for offset in [0, 1, 5, 255] {
        let condition = struck(BadFrame::DataOffset(offset)).await.cost_the_connection().await;
        assert_eq!(condition, FRAMING, "{offset}");
    }
    // All frames of a connection, from its first on.
    let emulator = emulator().await;
    emulator.inject(Fault::now(Effect::ExtendedHeaders)).unwrap();
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "a").await;
    let last = client.raw.len() - client.frames().len();
    assert!(last > 0);
    let mut bytes = client.raw.as_slice();
    let mut extended = 0;
    while bytes.len() >= 8 {
        if bytes.starts_with(b"AMQP") {
            bytes = &bytes[8..];
            continue;
        }
        let size = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        extended += usize::from(bytes[4] > 2);
        bytes = &bytes[size..];
    }
    assert!(extended >= 4, "open, begin, attach, disposition: {extended}");
}

#[tokio::test(start_paused = true)]
async fn s31_unknown_performatives_sections_and_frame_types() {
    let unknown = struck(BadFrame::UnknownPerformative(0x99)).await;
    assert_eq!(unknown.cost_the_connection().await, condition::DECODE_ERROR.as_str());
    assert_eq!(struck(BadFrame::FrameType(7)).await.cost_the_connection().await, FRAMING);
    let client = struck(BadFrame::UnknownSection { link: None }).await.cost_nothing().await;
    let payload = client.seen.iter().find_map(|seen| match &seen.what {
        What::Delivery(_, _, payload) => Some(payload.clone()),
        _ => None,
    });
    assert!(Message::decode(&payload.unwrap()).is_err());
}

#[tokio::test(start_paused = true)]
async fn s32_a_second_open_a_begin_in_use_and_unknown_numbers() {
    struck(BadFrame::SecondOpen).await.cost_the_connection().await;
    let mut ended = struck(BadFrame::BeginInUse).await;
    ended.client.until(|what| matches!(what, What::End(_, Some(_)) | What::Closed(_))).await;
    for stray in [Stray::Transfer, Stray::Flow, Stray::Detach] {
        struck(BadFrame::UnknownChannel(stray)).await.cost_nothing().await;
    }
    let mut ended = struck(BadFrame::UnknownHandle(Stray::Transfer)).await;
    ended.client.until(|what| matches!(what, What::End(_, Some(_)))).await;
    for stray in [Stray::Flow, Stray::Detach] {
        struck(BadFrame::UnknownHandle(stray)).await.cost_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn s33_values_10_000_levels_deep() {
    for nested in [false, true] {
        let frame = |place| match nested {
            true => BadFrame::NestedLists { place, depth: 10_000, link: None },
            false => BadFrame::Nested { place, depth: 10_000, link: None },
        };
        let condition = struck(frame(Place::FlowProperties)).await.cost_the_connection().await;
        assert_eq!(condition, condition::DECODE_ERROR.as_str());
        for place in [Place::MessageAnnotations, Place::Body] {
            let client = struck(frame(place)).await.cost_nothing().await;
            let payload = client.seen.iter().find_map(|seen| match &seen.what {
                What::Delivery(_, _, payload) => Some(payload.clone()),
                _ => None,
            });
            let payload = payload.unwrap();
            assert!(payload.len() >= 20_000 && Message::decode(&payload).is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s34_lengths_and_counts_that_lie() {
    // An array that is too short is one of the tolerances of `docs/wire.md`.
    for place in [Place::FlowProperties, Place::MessageAnnotations, Place::Body] {
        let short = BadFrame::Lie { lie: Lie::ShortArray, place, link: None };
        let client = struck(short).await.cost_nothing().await;
        assert!(client.raw.windows(2).any(|bytes| bytes == [0xe0, 1]));
    }
    for lie in [Lie::HugeString, Lie::HugeCount, Lie::OddMap, Lie::EmptyList] {
        let frame = |place| BadFrame::Lie { lie, place, link: None };
        let condition = struck(frame(Place::FlowProperties)).await.cost_the_connection().await;
        assert_eq!(condition, condition::DECODE_ERROR.as_str(), "{lie:?}");
        for place in [Place::MessageAnnotations, Place::Body] {
            let client = struck(frame(place)).await.cost_nothing().await;
            let payload = client.seen.iter().find_map(|seen| match &seen.what {
                What::Delivery(_, _, payload) => Some(payload.clone()),
                _ => None,
            });
            assert!(Message::decode(&payload.unwrap()).is_err(), "{lie:?} {place:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bad_frames_strike_at_any_point() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let effect = Effect::Write(BadFrame::Disposition { first: 0, last: Some(u32::MAX) });
    let scope = Scope::all().partition("0");
    emulator.inject(Fault::at(Point::Stored, effect).within(scope)).unwrap();
    client.publish(sender, "a").await;
    client.settle().await;
    let dispositions = client.frames().into_iter().filter_map(|(_, frame, _)| match frame {
        Performative::Disposition(disposition) => Some(disposition.last),
        _ => None,
    });
    let mut last: Vec<_> = dispositions.collect();
    last.sort_unstable();
    assert_eq!(last, [None, Some(u32::MAX)], "the bad one and its own");
}

#[tokio::test(start_paused = true)]
async fn single_frames_go_on_twice_late_or_not_at_all() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let frame = |direction, performative| Point::Frame { direction, performative };
    let disposition = frame(Direction::Out, Kind::Disposition);
    emulator.inject(Fault::at(disposition, Effect::Duplicate)).unwrap();
    client.publish(sender, "a").await;
    client.settle().await;
    let dispositions = |client: &Client| {
        let frames = client.frames().into_iter();
        frames.filter(|(_, frame, _)| matches!(frame, Performative::Disposition(_))).count()
    };
    assert_eq!(dispositions(&client), 2);
    emulator.inject(Fault::at(disposition, Effect::Delay(5 * SECOND))).unwrap();
    let start = client.age();
    client.publish(sender, "b").await;
    assert_eq!((client.age() - start).as_secs(), 5);
    // On the way in: the message never arrives, and the next one twice.
    let transfer = frame(Direction::In, Kind::Transfer);
    emulator.inject(Fault::at(transfer, Effect::Swallow)).unwrap();
    client.settle().await;
    let lost = client.send(sender, "lost").await;
    client.run(60 * SECOND).await;
    assert!(!client.outcomes().contains(&lost));
    emulator.inject(Fault::at(transfer, Effect::Duplicate)).unwrap();
    client.settle().await;
    client.publish(sender, "c").await;
    client.settle().await;
    assert_eq!(Client::stored(&emulator).await, ["a", "b", "c", "c"]);
}
