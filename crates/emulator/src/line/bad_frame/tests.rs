use eventhubs_amqp::codec::message::{Body, Message as Decoded};
use eventhubs_amqp::codec::performative::{Performative, Transfer};
use proptest::prelude::*;

use super::*;
use crate::line::frames::{FrameKind, Walker};
use crate::line::links;

/// What a connection has attached: on channel 3 a receiver of the client's with handle 7, and a
/// sender with handle 8; on channel 5 a receiver with handle 1.
fn links() -> Links {
    let attach = |name: &str, handle, is_receiver| {
        let role = craft::boolean(is_receiver);
        craft::composite(0x12, &[&craft::string(name), &craft::uint(handle), &role])
    };
    let begin = craft::composite(code::BEGIN, &[]);
    let frames = [
        craft::frame(3, &begin),
        craft::frame(3, &attach("one", 7, false)),
        craft::frame(3, &attach("two", 8, true)),
        craft::frame(5, &begin),
        craft::frame(5, &attach("three", 1, false)),
    ];
    let mut links = Links::default();
    let mut walker = Walker::keeping(links::KEPT);
    for frame in &frames {
        let (_, passed) = walker.step(frame);
        links.note(passed.expect("a whole frame"), walker.kept());
    }
    links
}

/// The parts of a bad frame, at most `most`.
fn parts(bad: &BadFrame, max_frame_size: u32, most: u64) -> Vec<Vec<u8>> {
    let mut links = links();
    let mut scene = Scene { links: &mut links, max_frame_size };
    (0..most).map_while(|index| bad.part(index, &mut scene)).collect()
}

/// The transfers that a bad frame is made of, and the message that they carry.
fn transfers(bad: &BadFrame, max_frame_size: u32) -> (Vec<(u16, Transfer)>, Vec<u8>) {
    let mut payload = Vec::new();
    let transfers = parts(bad, max_frame_size, 1000).into_iter().map(|frame| {
        let (performative, used) = Performative::decode(&frame[8..]).unwrap();
        let Performative::Transfer(transfer) = performative else { panic!("{performative:?}") };
        payload.extend_from_slice(&frame[8 + used..]);
        (u16::from_be_bytes([frame[6], frame[7]]), *transfer)
    });
    (transfers.collect(), payload)
}

#[test]
fn messages_go_to_the_link_that_was_named_and_are_numbered_on() {
    for (link, place) in [(None, (3, 7)), (Some("one"), (3, 7)), (Some("three"), (5, 1))] {
        let link = link.map(str::to_owned);
        let bad = BadFrame::Transfers { count: 3, bytes: 1000, link };
        let (transfers, _) = transfers(&bad, 512);
        let at = |(channel, transfer): &(u16, Transfer)| (*channel, transfer.handle);
        assert!(transfers.iter().all(|transfer| at(transfer) == place));
        let ids: Vec<_> =
            transfers.iter().filter_map(|(_, transfer)| transfer.delivery_id).collect();
        assert_eq!(ids, [0, 1, 2], "each delivery has one id, on its first frame");
        let ends = transfers.iter().filter(|(_, transfer)| !transfer.more).count();
        assert_eq!(ends, 3);
    }
    // The client's sender is no link to send on, and neither is one that does not exist.
    for name in ["two", "four"] {
        let bad = BadFrame::Aborted { link: Some(name.to_owned()) };
        let (transfers, _) = transfers(&bad, 512);
        assert!(transfers.iter().all(|(channel, transfer)| (*channel, transfer.handle) == (0, 0)));
    }
}

#[test]
fn a_message_arrives_whole_in_frames_that_fit() {
    for max in [0, 512, 1_000, 65_536, u32::MAX] {
        for bytes in [0, 1, 400, 407, 408, 409, 5_000, 70_000] {
            let bad = BadFrame::Transfers { count: 1, bytes, link: None };
            let most = max.clamp(512, 65_536) as usize;
            assert!(parts(&bad, max, 1000).iter().all(|frame| frame.len() <= most));
            let (_, payload) = transfers(&bad, max);
            let message = Decoded::decode(&payload.into()).expect("a message");
            let Body::Data(sections) = message.body else { panic!("{message:?}") };
            assert_eq!(sections.concat(), vec![0; bytes as usize], "{bytes} bytes, {max}");
        }
    }
}

#[test]
fn a_message_is_aborted_or_never_ends() {
    let (aborted, _) = transfers(&BadFrame::Aborted { link: None }, 512);
    let flags: Vec<_> = aborted.iter().map(|(_, t)| (t.more, t.aborted)).collect();
    assert_eq!(flags, [(true, false), (false, true)]);
    for bytes in [0, 100, 10_000] {
        let (unfinished, _) = transfers(&BadFrame::Unfinished { bytes, link: None }, 512);
        assert!(unfinished.iter().all(|(_, t)| t.more && !t.aborted), "{bytes}");
        assert!(!unfinished.is_empty());
    }
}

#[test]
fn unknown_numbers_are_unknown_and_known_ones_are_in_use() {
    let place = |bad: &BadFrame| {
        let frame = parts(bad, 512, 2).concat();
        let (performative, _) = Performative::decode(&frame[8..]).unwrap();
        let handle = match performative {
            Performative::Transfer(transfer) => Some(transfer.handle),
            Performative::Flow(flow) => flow.handle,
            Performative::Detach(detach) => Some(detach.handle),
            Performative::Begin(_) => None,
            other => panic!("{other:?}"),
        };
        (u16::from_be_bytes([frame[6], frame[7]]), handle)
    };
    for stray in [Stray::Transfer, Stray::Flow, Stray::Detach] {
        assert_eq!(place(&BadFrame::UnknownChannel(stray)), (4_999, Some(0)));
        assert_eq!(place(&BadFrame::UnknownHandle(stray)), (3, Some(255)));
    }
    assert_eq!(place(&BadFrame::BeginInUse), (3, None));
}

fn name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![Just("one".to_owned()), "[a-z]{0,9}"])
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::FlowProperties), Just(Place::MessageAnnotations), Just(Place::Body)]
}

fn stray() -> impl Strategy<Value = Stray> {
    prop_oneof![Just(Stray::Transfer), Just(Stray::Flow), Just(Stray::Detach)]
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        Just(Lie::HugeString),
        Just(Lie::HugeCount),
        Just(Lie::OddMap),
        Just(Lie::EmptyList),
        Just(Lie::ShortArray),
    ]
}

/// Bad frames of which every part is a frame.
fn framed() -> impl Strategy<Value = BadFrame> {
    prop_oneof![
        any::<u8>().prop_map(BadFrame::FrameType),
        any::<u8>().prop_map(BadFrame::DataOffset),
        any::<u64>().prop_map(BadFrame::UnknownPerformative),
        name().prop_map(|link| BadFrame::UnknownSection { link }),
        Just(BadFrame::SecondOpen),
        Just(BadFrame::BeginInUse),
        stray().prop_map(BadFrame::UnknownChannel),
        stray().prop_map(BadFrame::UnknownHandle),
        (place(), 0..30_000_u32, name()).prop_map(|(place, depth, link)| BadFrame::Nested {
            place,
            depth,
            link
        }),
        (place(), 0..30_000_u32, name()).prop_map(|(place, depth, link)| BadFrame::NestedLists {
            place,
            depth,
            link
        }),
        (lie(), place(), name()).prop_map(|(lie, place, link)| BadFrame::Lie { lie, place, link }),
        (any::<u32>(), any::<Option<u32>>())
            .prop_map(|(first, last)| BadFrame::Disposition { first, last }),
        (any::<u64>(), any::<u64>(), name()).prop_map(|(count, bytes, link)| BadFrame::Transfers {
            count,
            bytes,
            link
        }),
        name().prop_map(|link| BadFrame::Aborted { link }),
        (any::<u64>(), name()).prop_map(|(bytes, link)| BadFrame::Unfinished { bytes, link }),
    ]
}

fn any_bad() -> impl Strategy<Value = BadFrame> {
    prop_oneof![
        5 => framed(),
        1 => any::<u32>().prop_map(BadFrame::Size),
        1 => Just(BadFrame::SizeOverLimit),
        1 => proptest::collection::vec(any::<u8>(), 0..50).prop_map(|raw| BadFrame::Raw(raw.into())),
    ]
}

proptest! {
    /// What is bad about most of them is not their framing: whoever jumps by sizes gets past them.
    #[test]
    fn parts_are_frames_that_fit(bad in framed(), max in any::<u32>()) {
        for part in parts(&bad, max, 20) {
            prop_assert!(part.len() <= max.clamp(512, 65_536) as usize, "{}", part.len());
            let mut walker = Walker::keeping(&[]);
            let (used, passed) = walker.step(&part);
            prop_assert_eq!(used, part.len());
            prop_assert!(passed.is_some_and(|passed| passed.kind != FrameKind::ProtocolHeader));
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn all_come_back_from_json(bad in any_bad()) {
        let json = serde_json::to_string(&bad).unwrap();
        prop_assert_eq!(serde_json::from_str::<BadFrame>(&json).unwrap(), bad);
    }

    #[test]
    fn there_is_always_something_to_write(bad in any_bad(), max in any::<u32>()) {
        let some = !matches!(&bad, BadFrame::Transfers { count: 0, .. });
        prop_assert_eq!(!parts(&bad, max, 1).is_empty(), some);
    }
}

#[cfg(feature = "json")]
#[test]
fn json_is_as_documented() {
    for (json, bad) in [
        (r#""second-open""#, BadFrame::SecondOpen),
        (r#"{"size":3}"#, BadFrame::Size(3)),
        (r#"{"unknown-handle":"transfer"}"#, BadFrame::UnknownHandle(Stray::Transfer)),
        (
            r#"{"nested":{"place":"flow-properties","depth":9}}"#,
            BadFrame::Nested { place: Place::FlowProperties, depth: 9, link: None },
        ),
        (
            r#"{"lie":{"lie":"huge-count","place":"body","link":"l"}}"#,
            BadFrame::Lie { lie: Lie::HugeCount, place: Place::Body, link: Some("l".into()) },
        ),
        (
            r#"{"disposition":{"first":0,"last":4294967295}}"#,
            BadFrame::Disposition { first: 0, last: Some(u32::MAX) },
        ),
        (r#"{"raw":"AFM="}"#, BadFrame::Raw(b"\0\x53".as_slice().into())),
    ] {
        assert_eq!(serde_json::from_str::<BadFrame>(json).unwrap(), bad, "{json}");
    }
    assert!(serde_json::from_str::<BadFrame>(r#"{"aborted":{"lnk":"a"}}"#).is_err());
}
