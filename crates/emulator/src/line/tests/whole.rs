//! A conversation of two engines passes unchanged, whatever the line is made to do to its timing
//! and its cuts.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Poll;

use proptest::prelude::*;
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadBuf};

use super::*;
use crate::config::Config;
use crate::line::{FrameKind, Shaping, Trip, Way};
use crate::namespace::Namespace;
use crate::wire::{self, Wire};

/// Everything that a client and the emulator write to each other: SASL, tokens, a batch, events
/// of several frames, a link that is refused, and the end.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let namespace = Arc::new(Namespace::new(&Config::default().with_hub("hub", 1)));
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").expect("a sender");
    let receiver =
        wire.receiver("hub/ConsumerGroups/$Default/Partitions/0", "", |_| {}).expect("a receiver");
    wire.client.set_credit(receiver, 100);
    for size in [0, 10, 5_000, 200_000] {
        wire.send(sender, wire::event(&"x".repeat(size), Some("key")), 0);
    }
    let (batch, format) = wire::batch(&["a", "b"], None);
    wire.send(sender, batch, format);
    assert_eq!(wire.received(receiver).len(), 6);
    wire.sender("nowhere").expect_err("there is no such hub");
    wire.client.detach(receiver, true, None);
    wire.exchange();
    wire.client.close(None);
    wire.exchange();
    (wire.written, wire.answered)
}

/// Moves bytes as a driver does: reads, hears what rings, writes vectored in slices of `cut` bytes.
/// Makes changes on the way. Ends when everything is written and everything is read.
async fn drive(line: &mut Line<MemoryStream>, control: &LineControl, job: Job<'_>) -> Vec<u8> {
    let Job { mut bytes, cut, changes } = job;
    let (mut got, mut ended) = (Vec::new(), false);
    let mut changes = changes.iter().peekable();
    let all = bytes.len();
    poll_fn(|cx| {
        loop {
            let mut room = [0; 1000];
            let mut buf = ReadBuf::new(&mut room);
            let read = Pin::new(&mut *line).poll_read(cx, &mut buf).is_ready();
            ended |= read && buf.filled().is_empty();
            got.extend_from_slice(buf.filled());
            let moved = got.len() + all - bytes.len();
            while let Some((_, change)) = changes.next_if(|(at, _)| *at <= moved) {
                change.make(control);
            }
            let heard = control.has_rung();
            if heard {
                control.take_rings(&mut Vec::new());
            }
            let mut wrote = false;
            while !bytes.is_empty() {
                let (one, other) = bytes.split_at(cut.min(bytes.len()));
                let slices = [IoSlice::new(one), IoSlice::new(&other[..cut.min(other.len())])];
                let Poll::Ready(count) = Pin::new(&mut *line).poll_write_vectored(cx, &slices)
                else {
                    break;
                };
                bytes = &bytes[count.unwrap()..];
                wrote = true;
            }
            if bytes.is_empty() && ended {
                return Poll::Ready(std::mem::take(&mut got));
            }
            if !(read || heard || wrote) || ended {
                return Poll::Pending;
            }
        }
    })
    .await
}

struct Job<'a> {
    bytes: &'a [u8],
    cut: usize,
    changes: &'a [(usize, Change)],
}

/// What is changed when so many bytes have moved both ways together.
#[derive(Debug, Clone)]
enum Change {
    Apply(Shaping),
    Trip(Trip),
    /// Everything ends.
    Heal,
}

impl Change {
    fn make(&self, control: &LineControl) {
        match self {
            Self::Apply(shaping) => control.apply(1, shaping.clone()),
            Self::Trip(trip) => control.trip(2, *trip),
            Self::Heal => control.heal(),
        }
    }
}

/// Both ways through a line at once: what the client and the emulator write, as it arrives.
async fn through(
    (written, answered): (&[u8], &[u8]),
    changes: &[(usize, Change)],
    cut: usize,
) -> (Vec<u8>, Vec<u8>) {
    let Pair { client, mut line, control, remains } = pair_of(cut.clamp(16, 1 << 16));
    let (mut from, mut to) = tokio::io::split(client);
    let driver = async {
        let came = drive(&mut line, &control, Job { bytes: answered, cut, changes }).await;
        drop(line);
        remains.finish().await;
        came
    };
    let writer = async {
        to.write_all(written).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (came, (), went) = tokio::join!(driver, writer, all(&mut from));
    (came, went)
}

fn shaping() -> impl Strategy<Value = Shaping> {
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    prop_oneof![
        (millis(50), millis(50), any::<u64>()).prop_map(|(delay, jitter, seed)| Shaping::Latency {
            delay,
            jitter,
            seed
        }),
        (10_000..100_000_000_u64).prop_map(|rate| Shaping::Bandwidth(Way::Out, rate)),
        (10_000..100_000_000_u64).prop_map(|rate| Shaping::Bandwidth(Way::In, rate)),
        (64..9_000_usize).prop_map(Shaping::Chunks),
    ]
}

/// From the beginning, or anywhere.
fn at() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 0..500_000_usize, 0..3_000_usize]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => shaping().prop_map(Change::Apply),
        3 => trip().prop_map(Change::Trip),
        1 => Just(Change::Heal),
    ]
}

fn trip() -> impl Strategy<Value = Trip> {
    prop_oneof![
        (0..60_u64).prop_map(Trip::FramesOut),
        (0..60_u64).prop_map(Trip::FramesIn),
        (0..300_000_u64).prop_map(Trip::BytesOut),
        (0..300_000_u64).prop_map(Trip::BytesIn),
        Just(Trip::Frame(Way::Out, FrameKind::Transfer)),
        Just(Trip::Frame(Way::In, FrameKind::Transfer)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_conversation_is_unchanged(
        mut changes in proptest::collection::vec((at(), change()), 0..8),
        cut in prop_oneof![60..3_000_usize, Just(1 << 20)],
    ) {
        let (written, answered) = conversation();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        changes.sort_by_key(|(at, _)| *at);
        let both = through((&written, &answered), &changes, cut);
        let (came, went) = runtime.block_on(soon(both));
        prop_assert!(went == answered, "{} of {} bytes out", went.len(), answered.len());
        prop_assert!(came == written, "{} of {} bytes in", came.len(), written.len());
    }
}

#[tokio::test(start_paused = true)]
async fn with_nothing_set_writes_stay_vectored_and_everything_is_counted() {
    let (written, answered) = conversation();
    let Pair { mut client, mut line, control, .. } = pair();
    let (one, other) = answered.split_at(answered.len() / 2);
    let slices = [IoSlice::new(one), IoSlice::new(other)];
    let wrote = line.write_vectored(&slices).await.unwrap();
    assert_eq!(wrote, answered.len(), "both slices in one write");
    client.write_all(&written).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(all(&mut line).await, written);
    let counts = control.counts();
    assert_eq!((counts.bytes_out, counts.bytes_in), (wrote as u64, written.len() as u64));
    let frames = |bytes: &[u8]| {
        let (mut frames, mut at) = (0, 0);
        while let Some(size) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let is_header = size == b"AMQP";
            at += if is_header { 8 } else { u32::from_be_bytes(*size) as usize };
            frames += u64::from(!is_header);
        }
        frames
    };
    assert_eq!((counts.frames_out, counts.frames_in), (frames(&answered), frames(&written)));
}
