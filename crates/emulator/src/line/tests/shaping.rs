use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::*;
use crate::line::craft::code;
use crate::line::outgoing::{IN_FLIGHT_MAX, WAITING_MAX};
use crate::line::{FrameKind, Shaping, Trip, Way};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn latency_keeps_order_and_is_for_the_way_out() {
    let mut pair = pair();
    let (delay, jitter) = (5 * MILLI, 20 * MILLI);
    pair.control.apply(1, Shaping::Latency { delay, jitter, seed: 3 });
    let start = Instant::now();
    let sent = frames(code::FLOW, 0..100);
    for part in sent.chunks(7) {
        pair.line.write_all(part).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "the writer does not wait");
    let mut got = vec![0; sent.len()];
    let mut sink = [0];
    tokio::select! {
        read = pair.client.read_exact(&mut got) => { read.unwrap(); }
        _ = pair.line.read(&mut sink) => panic!("nothing was sent"),
    }
    assert_eq!(got, sent);
    let took = start.elapsed();
    assert!(took > delay && took <= delay + jitter + MILLI, "{took:?}");
    pair.client.write_all(b"back").await.unwrap();
    let before = Instant::now();
    let mut got = [0; 4];
    pair.line.read_exact(&mut got).await.unwrap();
    assert_eq!(before, Instant::now(), "the way in is not late");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_goes_out_before_the_end() {
    let Pair { mut client, mut line, control, remains } = pair();
    control.apply(1, Shaping::Latency { delay: SECOND, jitter: Duration::ZERO, seed: 0 });
    let start = Instant::now();
    line.write_all(b"end").await.unwrap();
    drop(line);
    let (rest, ()) = tokio::join!(all(&mut client), remains.finish());
    assert_eq!((rest.as_slice(), start.elapsed()), (&b"end"[..], SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_waited_for_so_long_and_no_longer() {
    let Pair { client, mut line, control, remains } = pair_of(16);
    control.apply(1, Shaping::Latency { delay: MILLI, jitter: Duration::ZERO, seed: 0 });
    line.write_all(&[7; 100]).await.unwrap();
    drop(line);
    let start = Instant::now();
    remains.finish().await;
    assert_eq!(start.elapsed(), 30 * SECOND + MILLI);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_full_network_holds_the_writer_back() {
    let Pair { mut client, mut line, control, remains } = pair();
    control.apply(1, Shaping::Latency { delay: SECOND, jitter: Duration::ZERO, seed: 0 });
    let everything = vec![7; 3 * IN_FLIGHT_MAX];
    let start = Instant::now();
    let writer = async {
        line.write_all(&everything).await.unwrap();
        drop(line);
        let written = start.elapsed();
        remains.finish().await;
        written
    };
    let (written, got) = tokio::join!(writer, all(&mut client));
    assert_eq!(got.len(), 3 * IN_FLIGHT_MAX);
    assert!(written >= 2 * SECOND, "it had to wait: {written:?}");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_kept_each_way() {
    let mut pair = pair();
    pair.control.apply(1, Shaping::Bandwidth(Way::Out, 64_000));
    pair.control.apply(2, Shaping::Bandwidth(Way::In, 32_000));
    let bytes = vec![7; 320_000];
    let Pair { client, line, .. } = &mut pair;
    let start = Instant::now();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_line, mut to_line) = tokio::io::split(line);
    let out = async {
        let mut got = vec![0; bytes.len()];
        from_client.read_exact(&mut got).await.unwrap();
        start.elapsed()
    };
    let into = async {
        let mut got = vec![0; bytes.len()];
        from_line.read_exact(&mut got).await.unwrap();
        start.elapsed()
    };
    let send = async {
        to_client.write_all(&bytes).await.unwrap();
    };
    let answer = async {
        to_line.write_all(&bytes).await.unwrap();
        start.elapsed()
    };
    let (out, into, (), written) = tokio::join!(out, into, send, answer);
    // Less what may go at once at the beginning.
    assert!(out > 49 * SECOND / 10 && out <= 5 * SECOND, "{out:?}");
    assert!(into > 98 * SECOND / 10 && into <= 10 * SECOND, "{into:?}");
    let held = (out - written) * 64_000;
    assert!(held <= SECOND * (WAITING_MAX as u32 + 4096), "the writer feels it: {written:?}");
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_comes_a_byte_a_second() {
    let mut pair = pair();
    pair.control.apply(1, Shaping::Bandwidth(Way::Out, 1));
    pair.line.write_all(b"slow").await.unwrap();
    let start = Instant::now();
    let mut sink = [0];
    let reader = async {
        for second in 0..4 {
            let mut byte = [0; 4];
            assert_eq!(pair.client.read(&mut byte).await.unwrap(), 1);
            assert_eq!(start.elapsed(), second * SECOND);
        }
    };
    tokio::select! {
        () = reader => {}
        _ = pair.line.read(&mut sink) => panic!("nothing was sent"),
    }
}

/// A stream that counts how much is read and written at a time.
#[derive(Debug)]
struct Gauge(MemoryStream, Arc<std::sync::Mutex<usize>>);

impl Gauge {
    fn note(&self, bytes: usize) {
        let mut most = self.1.lock().unwrap();
        *most = bytes.max(*most);
    }
}

impl AsyncRead for Gauge {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.note(buf.remaining());
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Gauge {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.note(buf.len());
        std::pin::Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_are_small_both_ways() {
    for size in [1, 3, 7] {
        let (mut client, far) = memory::pair(1 << 20);
        let most = Arc::default();
        let control = Arc::new(LineControl::default());
        let (mut line, remains) = Line::new(Gauge(far, Arc::clone(&most)), Arc::clone(&control));
        control.apply(1, Shaping::Chunks(size));
        let sent = frames(code::FLOW, 0..20);
        line.write_all(&sent).await.unwrap();
        client.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        line.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent);
        drop(line);
        let (got, ()) = tokio::join!(all(&mut client), remains.finish());
        assert_eq!(got, sent);
        assert_eq!(*most.lock().unwrap(), size);
    }
}

#[tokio::test(start_paused = true)]
async fn extended_headers_are_legal_and_no_frame_grows_too_large() {
    use eventhubs_amqp::codec::frame::Header;
    let mut pair = pair();
    // The client takes frames of 600 bytes.
    let open = craft::composite(code::OPEN, &[&craft::string("c"), &[0x40], &craft::uint(600)]);
    pair.client.write_all(&craft::frame(0, &open)).await.unwrap();
    let mut sink = vec![0; 8 + open.len()];
    pair.line.read_exact(&mut sink).await.unwrap();
    pair.control.apply(1, Shaping::ExtendedHeaders);
    let bodies = [vec![1; 10], vec![2; 584], vec![3; 585], vec![]];
    pair.line.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
    for body in &bodies {
        pair.line.write_all(&craft::frame(5, body)).await.unwrap();
    }
    let got = client_gets(&mut pair).await;
    let (protocol, mut rest) = got.split_at(8);
    assert_eq!(protocol, b"AMQP\x00\x01\x00\x00", "a protocol header is no frame");
    for (body, doff) in bodies.iter().zip([4, 4, 2, 4]) {
        let header = Header::decode(rest).unwrap().unwrap();
        header.within(600).unwrap();
        assert_eq!((header.doff, header.channel), (doff, 5));
        let (frame, behind) = rest.split_at(header.size as usize);
        assert_eq!(&frame[header.body_start()..], body);
        rest = behind;
    }
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_has_begun_is_not_changed() {
    let mut pair = pair();
    let [one, two] = [1, 2].map(|number| frame(code::FLOW, 0, number));
    let (begun, rest) = one.split_at(12);
    pair.line.write_all(begun).await.unwrap();
    pair.control.apply(1, Shaping::ExtendedHeaders);
    pair.line.write_all(&[rest, &two, &one[..9]].concat()).await.unwrap();
    pair.control.lift(1);
    pair.line.write_all(&one[9..]).await.unwrap();
    let longer = |frame: &[u8]| {
        let head = craft::header(frame.len() as u32 + 8, 4, 0, 0);
        [&head, &[0; 8][..], &frame[8..]].concat()
    };
    // The last one began under the shape; it could go out either way, but in one piece.
    let got = client_gets(&mut pair).await;
    let expected = [&one[..], &longer(&two)].concat();
    assert_eq!(got[..expected.len()], expected);
    let last = &got[expected.len()..];
    assert!(last == one || last == longer(&one), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_has_begun_is_not_held() {
    let mut pair = pair();
    let [one, two] = [1, 2].map(|number| frame(code::FLOW, 0, number));
    pair.line.write_all(&one[..12]).await.unwrap();
    pair.control.trip(1, Trip::Frame(Way::Out, FrameKind::Flow));
    pair.line.write_all(&one[12..]).await.unwrap();
    assert_eq!(client_gets(&mut pair).await, one, "half of it is out");
    assert!(!pair.control.has_rung());
    pair.line.write_all(&two).await.unwrap();
    assert!(client_gets(&mut pair).await.is_empty() && pair.control.has_rung());
}

#[tokio::test(start_paused = true)]
async fn shapings_add_up_and_end_with_their_own_key() {
    let mut pair = pair();
    pair.control.apply(1, Shaping::Bandwidth(Way::Out, 100));
    pair.control.apply(2, Shaping::Bandwidth(Way::Out, 10));
    pair.control.apply(2, Shaping::Latency { delay: SECOND, jitter: Duration::ZERO, seed: 0 });
    let mut took = Vec::new();
    for lifted in [0, 2, 1] {
        pair.control.lift(lifted);
        pair.line.write_all(&[7; 41]).await.unwrap();
        let start = Instant::now();
        let mut got = [0; 41];
        let mut sink = [0];
        tokio::select! {
            read = pair.client.read_exact(&mut got) => { read.unwrap(); }
            _ = pair.line.read(&mut sink) => panic!("nothing was sent"),
        }
        took.push(start.elapsed());
        tokio::time::advance(SECOND).await;
    }
    // One byte may go at once at 10 bytes a second, and two at 100.
    assert_eq!(took, [5 * SECOND, 390 * MILLI, Duration::ZERO]);
}
