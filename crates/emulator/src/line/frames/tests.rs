use proptest::prelude::*;

use super::*;
use crate::line::craft;

const KEEPS: &[(FrameKind, usize)] = &[(FrameKind::Attach, 100), (FrameKind::Transfer, 16)];

/// What a walker sees in a stream: each frame with where it ends and what was kept of it.
type Seen = Vec<(Passed, usize, Vec<u8>)>;

/// Walks over `bytes` in the pieces that `next` wants, given what is certain.
fn walk(bytes: &[u8], mut next: impl FnMut(usize) -> usize) -> (Seen, Walker) {
    let mut walker = Walker::keeping(KEEPS);
    let (mut seen, mut at) = (Seen::new(), 0);
    while at < bytes.len() {
        let end = at.saturating_add(next(walker.certain()).max(1)).min(bytes.len());
        while at < end {
            let (used, passed) = walker.step(&bytes[at..end]);
            assert!(used > 0 && at + used <= end, "it goes on, and not beyond");
            at += used;
            if let Some(passed) = passed {
                // A head that came in pieces is kept whole, so there may be more.
                let most = KEEPS.iter().find(|(kind, _)| *kind == passed.kind);
                let most = most.map_or(0, |(_, most)| *most);
                let kept = walker.kept().iter().take(most).copied().collect();
                seen.push((passed, at, kept));
            }
        }
    }
    (seen, walker)
}

fn at_once(bytes: &[u8]) -> (Seen, Walker) {
    walk(bytes, |_| usize::MAX)
}

fn kinds(bytes: &[u8]) -> Vec<FrameKind> {
    at_once(bytes).0.iter().map(|(passed, ..)| passed.kind).collect()
}

#[test]
fn every_spelling_of_a_performative_is_known() {
    let body = |head: &[u8]| craft::frame(3, &[head, &[0x45]].concat());
    let name = [&[0x00, 0xa3, 16][..], b"amqp:attach:list"].concat();
    let other = [&[0x00, 0xa3, 3][..], b"abc"].concat();
    let stream = [
        b"AMQP\x03\x01\x00\x00".to_vec(),
        vec![0, 0, 0, 12, 2, 1, 0, 0, 0x00, 0x53, 0x41, 0x45],
        b"AMQP\x00\x01\x00\x00".to_vec(),
        body(&[0x00, 0x53, 0x10]),
        body(&[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x14]),
        body(&name),
        body(&other),
        body(&[0x00, 0x53, 0x99]),
        body(&[0x01]),
        craft::frame(7, &[]),
        // Data offset 4.
        vec![0, 0, 0, 20, 4, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0x00, 0x53, 0x16, 0x45],
        // Data offsets that lie.
        vec![0, 0, 0, 8, 1, 0, 0, 0],
        vec![0, 0, 0, 8, 200, 0, 0, 0],
        // No such layer.
        vec![0, 0, 0, 9, 2, 7, 0, 0, 1],
    ];
    use FrameKind as K;
    let expected = [
        K::ProtocolHeader,
        K::Sasl,
        K::ProtocolHeader,
        K::Open,
        K::Transfer,
        K::Attach,
        K::Unknown,
        K::Unknown,
        K::Unknown,
        K::Empty,
        K::Detach,
        K::Unknown,
        K::Unknown,
        K::Unknown,
    ];
    assert_eq!(kinds(&stream.concat()), expected);
    let (seen, walker) = at_once(&stream.concat());
    assert_eq!(seen[9].0.channel, 7);
    assert!(walker.is_between());
    assert!(!expected[0].is_frame() && expected[9].is_frame());
}

#[test]
fn a_size_that_cannot_be_is_the_end_of_all_frames() {
    for size in 0..8_u8 {
        let mut stream = craft::frame(0, &[]);
        stream.extend([0, 0, 0, size, 2, 0, 0, 0]);
        stream.extend(craft::frame(0, &[]));
        let (seen, walker) = at_once(&stream);
        assert_eq!(seen.len(), 1, "size {size}");
        assert!(walker.is_lost() && walker.is_between());
        assert_eq!(walker.certain(), usize::MAX);
    }
}

#[test]
fn a_frame_is_kept_up_to_its_limit() {
    let long = craft::composite(0x12, &[&craft::string(&"n".repeat(500))]);
    let frame = craft::frame(1, &long);
    let (seen, _) = at_once(&[frame.clone(), frame.clone()].concat());
    assert_eq!(seen[1].2, frame[..100]);
    let short = craft::frame(1, &craft::composite(0x12, &[]));
    let (seen, _) = at_once(&[frame, short.clone()].concat());
    assert_eq!(seen[1].2, short, "nothing of the frame before it");
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let body = (0x10..0x1a_u8, proptest::collection::vec(any::<u8>(), 0..300), any::<bool>())
        .prop_map(|(code, filler, wide)| {
            let fields = [&craft::binary(&filler)[..], &craft::uint(7)];
            let body = craft::composite(code, &fields);
            match wide {
                true => [&[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, code], &body[3..]].concat(),
                false => body,
            }
        });
    let extended = (body.clone(), 0..250_u8).prop_map(|(body, more)| {
        let frame = [vec![0xee; usize::from(more) * 4], body].concat();
        let mut frame = craft::frame(1, &frame);
        frame[4] += more;
        frame
    });
    prop_oneof![
        4 => (any::<u16>(), body).prop_map(|(channel, body)| craft::frame(channel, &body)),
        1 => extended,
        1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(|body| craft::frame(0, &body)),
        1 => Just(b"AMQP\x00\x01\x00\x00".to_vec()),
    ]
}

proptest! {
    /// However a stream is cut, the same frames are seen in it, and the same is kept of them.
    #[test]
    fn cuts_change_nothing(
        frames in proptest::collection::vec(frame(), 0..20),
        cuts in proptest::collection::vec(1..40_usize, 1..20),
    ) {
        let stream = frames.concat();
        let ends = frames.iter().scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        });
        let (whole, walker) = at_once(&stream);
        prop_assert_eq!(whole.iter().map(|(_, end, _)| *end).collect::<Vec<_>>(), ends.collect::<Vec<_>>());
        prop_assert!(walker.is_between());
        let mut cuts = cuts.iter().cycle().copied();
        prop_assert_eq!(&walk(&stream, |_| cuts.next().unwrap()).0, &whole);
        // What is certain never goes beyond the frame under way.
        let mut reads = Vec::new();
        let certain = walk(&stream, |certain| {
            reads.push(certain);
            certain
        });
        prop_assert_eq!(&certain.0, &whole);
        let read_ends: Vec<_> = reads.iter().scan(0, |end, read| {
            *end += read;
            Some(*end)
        }).collect();
        for (_, end, _) in &whole {
            prop_assert!(read_ends.contains(end), "a read ends at {}", end);
        }
    }

    /// Bytes that are no frames are gone over as well, and cuts change nothing there either.
    #[test]
    fn anything_can_be_walked_over(
        frames in proptest::collection::vec(frame(), 0..3),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(1..20_usize, 1..20),
    ) {
        let stream = [frames.concat(), rest].concat();
        let (whole, at_end) = at_once(&stream);
        let mut cuts = cuts.iter().cycle().copied();
        let (cut, cut_end) = walk(&stream, |_| cuts.next().unwrap());
        prop_assert_eq!(cut, whole);
        prop_assert_eq!(cut_end.is_between(), at_end.is_between());
        prop_assert_eq!(cut_end.is_lost(), at_end.is_lost());
        prop_assert!(at_end.certain() >= 1);
    }
}
