use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use super::*;
use crate::line::craft::code;
use crate::line::{BadFrame, FrameKind, Shaping, Trip, Verdict, Way};

const SECOND: Duration = Duration::from_secs(1);

/// What one read of the line gives, if anything.
fn read(line: &mut Line<MemoryStream>) -> Option<Vec<u8>> {
    let mut room = [0; 4096];
    let mut buf = ReadBuf::new(&mut room);
    let mut cx = Context::from_waker(Waker::noop());
    match std::pin::Pin::new(line).poll_read(&mut cx, &mut buf) {
        Poll::Ready(result) => {
            result.unwrap();
            Some(buf.filled().to_vec())
        }
        Poll::Pending => None,
    }
}

/// How much of `bytes` the line takes in one write.
fn write(line: &mut Line<MemoryStream>, bytes: &[u8]) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    match std::pin::Pin::new(line).poll_write(&mut cx, bytes) {
        Poll::Ready(count) => count.unwrap(),
        Poll::Pending => 0,
    }
}

fn rings(pair: &Pair) -> Vec<u64> {
    let mut rings = Vec::new();
    if pair.control.has_rung() {
        pair.control.take_rings(&mut rings);
    }
    rings
}

#[tokio::test(start_paused = true)]
async fn frames_and_bytes_in_are_handed_over_up_to_the_trip_and_nothing_is_answered() {
    let sent = frames(code::FLOW, 0..5);
    let one = sent.len() / 5;
    for (trip, at) in [
        (Trip::FramesIn(3), 3 * one),
        (Trip::BytesIn(3), 3),
        (Trip::BytesIn(2 * one as u64 + 9), 2 * one + 9),
        (Trip::FramesIn(0), 0),
        (Trip::BytesIn(0), 0),
    ] {
        let mut pair = pair();
        pair.client.write_all(&[sent.clone(), sent.clone()].concat()).await.unwrap();
        // What went by before does not count.
        let mut first = vec![0; sent.len()];
        pair.line.read_exact(&mut first).await.unwrap();
        pair.control.trip(8, trip);
        let mut got = Vec::new();
        while got.len() < at {
            assert!(rings(&pair).is_empty(), "{trip:?}: not before");
            got.extend(read(&mut pair.line).expect("there is more before the trip"));
        }
        assert_eq!(got, sent[..at], "{trip:?}");
        if at > 0 {
            assert!(rings(&pair).is_empty(), "the driver acts on what it was given first");
            assert_eq!(write(&mut pair.line, b"answer"), 0, "and its answer waits");
        }
        assert_eq!(read(&mut pair.line), None);
        assert_eq!(write(&mut pair.line, b"answer"), 0);
        assert_eq!(rings(&pair), [8], "{trip:?}");
        assert_eq!(all(&mut pair.line).await, sent[at..], "{trip:?}: it goes on");
        assert!(rings(&pair).is_empty(), "once");
        assert_eq!(write(&mut pair.line, b"answer"), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_and_bytes_go_out_up_to_the_trip() {
    let sent = frames(code::FLOW, 0..5);
    let one = sent.len() / 5;
    let long = Shaping::Latency { delay: SECOND, jitter: Duration::ZERO, seed: 0 };
    for shaping in [None, Some(long), Some(Shaping::Chunks(3))] {
        for (trip, at) in [
            (Trip::FramesOut(3), 3 * one),
            (Trip::BytesOut(3), 3),
            (Trip::BytesOut(2 * one as u64 + 9), 2 * one + 9),
            (Trip::FramesOut(0), 0),
            (Trip::BytesOut(0), 0),
        ] {
            let mut pair = pair();
            pair.line.write_all(&sent).await.unwrap();
            assert_eq!(client_gets(&mut pair).await, sent);
            if let Some(shaping) = &shaping {
                pair.control.apply(1, shaping.clone());
            }
            pair.control.trip(8, trip);
            let mut written = write(&mut pair.line, &sent);
            written += write(&mut pair.line, &sent[written..]);
            assert_eq!(written, at, "{trip:?}");
            while !pair.control.has_rung() {
                assert!(read(&mut pair.line).is_none());
                tokio::time::advance(SECOND / 10).await;
            }
            let out = all(&mut pair.client).await;
            assert_eq!(out, sent[..at], "{trip:?}: no byte more");
            assert_eq!(write(&mut pair.line, &sent[at..]), 0, "{trip:?}: it stands still");
            assert_eq!(rings(&pair), [8]);
            pair.line.write_all(&sent[at..]).await.unwrap();
            assert_eq!(client_gets(&mut pair).await, sent[at..], "{trip:?}: it goes on");
            assert!(rings(&pair).is_empty(), "once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_of_a_kind_stop_before_they_are_seen_and_go_on_as_judged() {
    let [flow, detach] = [code::FLOW, code::DETACH].map(|code| frame(code, 1, 1));
    let sent = [&flow, &detach, &flow, &detach].map(Vec::as_slice).concat();
    for (verdict, copies) in [
        (None, 1),
        (Some(Verdict::Swallow), 0),
        (Some(Verdict::Duplicate), 2),
        (Some(Verdict::Delay(SECOND)), 1),
    ] {
        let mut pair = pair();
        pair.control.trip(8, Trip::Frame(Way::In, FrameKind::Detach));
        pair.control.trip(9, Trip::Frame(Way::Out, FrameKind::Detach));
        pair.client.write_all(&sent).await.unwrap();
        let (mut got, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            while !pair.control.has_rung() {
                got.extend(read(&mut pair.line).unwrap_or_default());
            }
            expected.extend_from_slice(&flow);
            assert_eq!(got, expected, "no byte of the frame");
            assert_eq!(rings(&pair), [8]);
            verdict.iter().for_each(|verdict| pair.control.judge(*verdict));
            expected.extend(detach.repeat(copies));
        }
        got.extend(all(&mut pair.line).await);
        assert_eq!(got, expected, "{verdict:?}");

        let (mut written, mut got, mut expected) = (0, Vec::new(), Vec::new());
        for _ in 0..2 {
            while !pair.control.has_rung() {
                // Cut anywhere, it comes to the same.
                let most = sent.len().min(written + 7);
                written += write(&mut pair.line, &sent[written..most]);
                assert_eq!(read(&mut pair.line), None);
            }
            got.extend(all(&mut pair.client).await);
            expected.extend_from_slice(&flow);
            assert_eq!(got, expected, "no byte of the frame");
            assert_eq!(rings(&pair), [9]);
            verdict.iter().for_each(|verdict| pair.control.judge(*verdict));
            expected.extend(detach.repeat(copies));
            let start = Instant::now();
            let late = matches!(verdict, Some(Verdict::Delay(_)));
            if late {
                assert_eq!(read(&mut pair.line), None);
                let mut first = [0; 1];
                let mut sink = [0];
                tokio::select! {
                    byte = pair.client.read_exact(&mut first) => { byte.unwrap(); }
                    _ = pair.line.read(&mut sink) => panic!("nothing was sent"),
                }
                assert_eq!(start.elapsed(), SECOND);
                got.push(first[0]);
            }
        }
        got.extend(client_gets(&mut pair).await);
        assert_eq!(got, expected, "{verdict:?}");
        assert_eq!(pair.control.counts().frames_out, 4, "as the engine wrote them");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_at_a_trip_comes_before_the_frame_that_waits() {
    let detach = frame(code::DETACH, 1, 1);
    let raw = BadFrame::Raw(b"bad".as_slice().into());
    type Strike = fn(&LineControl);
    let strikes: [(Strike, Vec<u8>); 3] = [
        (|control| control.eof(), Vec::new()),
        (|control| control.truncate(), detach[..detach.len() / 2].to_vec()),
        (|_| {}, [&b"bad"[..], &detach].concat()),
    ];
    for (strike, expected) in strikes {
        let mut pair = pair();
        pair.control.trip(9, Trip::Frame(Way::Out, FrameKind::Detach));
        assert_eq!(write(&mut pair.line, &detach), detach.len());
        assert_eq!(read(&mut pair.line), None);
        assert_eq!(rings(&pair), [9]);
        if expected.starts_with(b"bad") {
            pair.control.write(vec![raw.clone()]);
        }
        strike(&pair.control);
        assert_eq!(client_gets(&mut pair).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trip_does_not_ring_and_holds_nobody_up() {
    let flow = frame(code::FLOW, 1, 1);
    for trip in [
        Trip::FramesIn(1),
        Trip::FramesOut(1),
        Trip::Frame(Way::In, FrameKind::Flow),
        Trip::Frame(Way::Out, FrameKind::Flow),
    ] {
        let mut pair = pair();
        pair.control.trip(8, trip);
        // For a kind, the frame is under way when the trip is cancelled.
        let most = if matches!(trip, Trip::Frame(Way::In, _)) { 20 } else { flow.len() };
        pair.client.write_all(&flow[..most]).await.unwrap();
        let mut got = Vec::new();
        while trip == Trip::FramesIn(1) && got.len() < most {
            got.extend(read(&mut pair.line).expect("there is more before the trip"));
        }
        if matches!(trip, Trip::Frame(Way::In, _)) {
            assert_eq!(read(&mut pair.line), None);
        }
        assert_eq!(write(&mut pair.line, &flow), if got.is_empty() { flow.len() } else { 0 });
        let written = got.is_empty();
        pair.control.lift(8);
        pair.client.write_all(&flow[most..]).await.unwrap();
        soon(pair.line.write_all(&flow)).await.unwrap();
        got.extend(all(&mut pair.line).await);
        assert_eq!(got, flow, "{trip:?}");
        let expected = if written { flow.repeat(2) } else { flow.clone() };
        assert_eq!(all(&mut pair.client).await, expected, "{trip:?}");
        assert!(rings(&pair).is_empty(), "{trip:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_the_task_that_is_to_hear_it() {
    let mut pair = pair();
    pair.control.trip(8, Trip::FramesOut(1));
    pair.line.write_all(&frame(code::FLOW, 0, 0)).await.unwrap();
    let Pair { line, control, .. } = &mut pair;
    let heard = std::future::poll_fn(|cx| {
        let mut room = [0; 8];
        let _ = std::pin::Pin::new(&mut *line).poll_read(cx, &mut ReadBuf::new(&mut room));
        match control.has_rung() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    timeout(Duration::from_secs(1), heard).await.expect("it rings");
    assert_eq!(rings(&pair), [8]);
}
