use std::io::ErrorKind;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::*;
use crate::line::craft::code;
use crate::line::{BadFrame, Shaping, Way};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_silent_way_out_keeps_the_stream_open_and_heals() {
    let mut pair = pair();
    pair.control.apply(1, Shaping::Silence(Way::Out));
    let sent = frames(code::FLOW, 0..10);
    pair.line.write_all(&sent).await.unwrap();
    assert!(client_gets(&mut pair).await.is_empty(), "from before the first byte");
    pair.client.write_all(b"in").await.unwrap();
    let mut got = [0; 2];
    pair.line.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"in", "the other way is open");
    pair.control.lift(1);
    assert_eq!(client_gets(&mut pair).await, sent, "what was held back flows");
}

#[tokio::test(start_paused = true)]
async fn a_silent_way_in_is_not_read_and_heals() {
    let mut pair = pair_of(64);
    pair.control.apply(1, Shaping::Silence(Way::In));
    let Pair { client, line, control, .. } = &mut pair;
    let written = timeout(SECOND, client.write_all(&[7; 100])).await;
    assert!(written.is_err(), "what nobody reads fills the network");
    let mut got = [0; 64];
    assert!(timeout(SECOND, line.read(&mut got)).await.is_err());
    let start = Instant::now();
    let lifting = Arc::clone(control);
    let lift = tokio::spawn(async move { lifting.lift(1) });
    let read = soon(line.read_exact(&mut got)).await;
    lift.await.unwrap();
    assert_eq!((read.unwrap(), start.elapsed()), (64, Duration::ZERO), "lifting wakes who waits");
    assert_eq!(control.counts().bytes_in, 64);
}

#[tokio::test(start_paused = true)]
async fn a_silent_line_stays_open_when_its_driver_has_gone() {
    let Pair { mut client, mut line, control, remains } = pair();
    control.apply(1, Shaping::Silence(Way::Out));
    control.apply(1, Shaping::Silence(Way::In));
    line.write_all(b"last words").await.unwrap();
    drop(line);
    let finish = tokio::spawn(remains.finish());
    assert!(timeout(100 * SECOND, client.read_u8()).await.is_err(), "no end, and no byte");
    assert!(!finish.is_finished());
    control.lift(1);
    assert_eq!(all(&mut client).await, b"last words");
    finish.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_line_ends_when_the_peer_is_seen_to_go() {
    let Pair { client, line, control, remains } = pair();
    control.apply(1, Shaping::Silence(Way::Out));
    drop(line);
    let finish = tokio::spawn(remains.finish());
    tokio::task::yield_now().await;
    assert!(!finish.is_finished());
    drop(client);
    finish.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_at_both_ends_even_when_silent() {
    for silent in [false, true] {
        let Pair { mut client, mut line, control, .. } = pair();
        if silent {
            control.apply(1, Shaping::Silence(Way::Out));
            control.apply(1, Shaping::Silence(Way::In));
        }
        line.write_all(b"lost").await.unwrap();
        let mut sink = [0];
        let (read, ()) = tokio::join!(line.read(&mut sink), async {
            tokio::task::yield_now().await;
            control.reset();
        });
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let written = line.write_all(b"more").await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut got = Vec::new();
        let ended = client.read_to_end(&mut got).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(got.len(), if silent { 0 } else { 4 });
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_comes_between_frames_and_in_good_order() {
    let mut pair = pair();
    let frame = frame(code::FLOW, 0, 1);
    let (half, rest) = frame.split_at(9);
    pair.line.write_all(half).await.unwrap();
    pair.control.eof();
    let mut sink = [0];
    let read = timeout(SECOND, pair.line.read(&mut sink)).await;
    assert!(read.is_err(), "the frame under way is finished first");
    pair.line.write_all(rest).await.unwrap();
    pair.line.write_all(&frame).await.unwrap();
    assert_eq!(client_gets(&mut pair).await, frame, "what follows goes nowhere");
    assert_eq!(pair.line.read(&mut sink).await.unwrap(), 0, "the driver sees the end as well");
}

#[tokio::test(start_paused = true)]
async fn half_of_a_frame_and_the_end() {
    let whole = frame(code::FLOW, 3, 7);
    let half = &whole[..whole.len() / 2];
    // In the middle of a frame, before one, and when there is none.
    let mut pair = pair();
    pair.line.write_all(&whole[..9]).await.unwrap();
    pair.control.truncate();
    pair.line.write_all(&whole[9..]).await.unwrap();
    assert_eq!(client_gets(&mut pair).await, whole[..9]);

    let mut pair = super::pair();
    pair.control.truncate();
    pair.line.write_all(&whole).await.unwrap();
    assert_eq!(client_gets(&mut pair).await, half);

    let mut pair = super::pair();
    pair.control.truncate();
    let got = client_gets(&mut pair).await;
    let size = u32::from_be_bytes(*got.first_chunk().unwrap()) as usize;
    assert_eq!(got.len(), size / 2, "a frame of its own");
}

#[tokio::test(start_paused = true)]
async fn bad_frames_are_written_between_frames() {
    let raw = |text: &'static str| BadFrame::Raw(text.as_bytes().into());
    let whole = frame(code::FLOW, 0, 1);
    let mut pair = pair();
    // Without anything of the engine's.
    pair.control.write(vec![raw("one"), raw("two")]);
    assert_eq!(client_gets(&mut pair).await, b"onetwo");
    // Behind the frame under way, and before the next.
    pair.line.write_all(&whole[..9]).await.unwrap();
    pair.control.write(vec![raw("three")]);
    let rest = [&whole[9..], &whole].concat();
    pair.line.write_all(&rest).await.unwrap();
    let expected = [&whole, &b"three"[..], &whole].concat();
    assert_eq!(client_gets(&mut pair).await, expected);
    // Whatever they are, the line knows where its own frames begin.
    pair.control.write(vec![BadFrame::Size(1 << 31), raw("\0")]);
    pair.control.write(vec![raw("four")]);
    pair.control.eof();
    let got = client_gets(&mut pair).await;
    assert_eq!(&got[got.len() - 5..], b"\0four");
}

#[tokio::test(start_paused = true)]
async fn many_bad_frames_are_made_as_they_go_out() {
    let mut pair = pair_of(4096);
    pair.control.write(vec![BadFrame::Transfers { count: 1 << 40, bytes: 1 << 20, link: None }]);
    let mut got = vec![0; 32 << 20];
    let mut sink = [0];
    tokio::select! {
        read = pair.client.read_exact(&mut got) => { read.unwrap(); }
        _ = pair.line.read(&mut sink) => panic!("nothing was sent"),
    }
    pair.control.reset();
    assert!(pair.line.read(&mut sink).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_a_line_that_is_gone() {
    let Pair { line, control, .. } = pair();
    drop(line);
    control.write(vec![BadFrame::SecondOpen]);
    control.reset();
    assert!(!control.abort_handle().is_asked());
}
