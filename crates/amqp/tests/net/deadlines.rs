//! A peer that is there and of no use: it reads nothing, or next to nothing, or never finishes what
//! it began to say. Bytes of its own, such as heartbeats, do not make up for it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eventhubs_amqp::codec::performative::{Flow, Open, Performative};
use eventhubs_amqp::engine::{self, CloseReason, Options};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, DriveOptions, LinkClosed, ReceiverOptions, SendFailure,
    SenderOptions, Service, drive,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::Instant;

use crate::peer::{Peer, assert_usable, connected, connected_with, receiver, sender, soon};

const SECOND: Duration = Duration::from_secs(1);
const HEARTBEAT: [u8; 8] = [0, 0, 0, 8, 2, 0, 0, 0];

fn options() -> ConnectionOptions {
    ConnectionOptions::with_engine(Options::dialler("client"))
}

/// Options of a sender whose sends wait for as long as it takes.
fn patient() -> SenderOptions {
    SenderOptions { send_timeout: Duration::MAX, ..SenderOptions::to("queue") }
}

/// Lets so much time pass.
async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// Writes a heartbeat every second, and reads `bytes` of what the client writes.
async fn beat(peer: &mut DuplexStream, bytes: usize) {
    let mut taken = vec![0; bytes];
    loop {
        pass(SECOND).await;
        if peer.write_all(&HEARTBEAT).await.is_err() {
            return;
        }
        if bytes > 0 {
            let _ = tokio::time::timeout(SECOND / 2, peer.read_exact(&mut taken)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn n09_a_peer_that_reads_nothing_is_given_up_though_it_beats() {
    let (connection, mut peer) = connected_with(options(), 1000).await;
    let (sender, _) = sender(&connection, &mut peer, patient(), 100).await;
    let start = Instant::now();
    let stuck = sender.send(vec![0; 100_000].into(), 0);
    let reason = tokio::select! {
        reason = soon(connection.closed()) => reason,
        () = beat(&mut peer.stream, 0) => panic!("the client hung up without a reason"),
    };
    assert_eq!((reason, start.elapsed()), (CloseReason::WriteTimeout, 30 * SECOND));
    let gone = LinkClosed::Connection(CloseReason::WriteTimeout);
    assert_eq!(stuck.await, Err(SendFailure::Unknown(gone)));
}

#[tokio::test(start_paused = true)]
async fn n10_a_peer_that_reads_a_byte_a_second_is_given_up() {
    let (connection, mut peer) = connected_with(options(), 1000).await;
    let (sender, _) = sender(&connection, &mut peer, patient(), 100).await;
    let start = Instant::now();
    let stuck = sender.send(vec![0; 100_000].into(), 0);
    let reason = tokio::select! {
        reason = soon(connection.closed()) => reason,
        () = beat(&mut peer.stream, 1) => panic!("the client hung up without a reason"),
    };
    assert_eq!((reason, start.elapsed()), (CloseReason::WriteTimeout, 30 * SECOND));
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn n11_a_peer_that_is_slow_and_steady_is_kept() {
    let (connection, mut peer) = connected_with(options(), 1000).await;
    let (sender, _) = sender(&connection, &mut peer, patient(), 100).await;
    let sent = sender.send(vec![0; 1_000_000].into(), 0);
    let over = tokio::time::timeout(250 * SECOND, async {
        tokio::select! {
            reason = connection.closed() => reason,
            () = beat(&mut peer.stream, 4000) => CloseReason::Eof,
        }
    });
    assert!(over.await.is_err(), "{:?}", connection.close_reason());
    drop(sent);
}

/// Takes writes at once and passes them on when it is flushed, as TLS does.
#[derive(Debug)]
struct Buffering {
    inner: DuplexStream,
    kept: VecDeque<u8>,
}

impl Buffering {
    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let (front, _) = self.kept.as_slices();
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, front))?;
            self.kept.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Buffering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Buffering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let passed_on = self.poll_pass_on(cx)?;
        let room = (64 << 10) - self.kept.len();
        if room == 0 && passed_on.is_pending() {
            return Poll::Pending;
        }
        let count = bytes.len().min(room);
        self.kept.extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_pass_on(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn n07_a_stream_that_keeps_small_writes_does_not_hide_a_vanished_peer() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let stream = Buffering { inner: ours, kept: VecDeque::new() };
    let (connection, peer) =
        tokio::join!(Connection::dial_over(stream, options()), Peer::open(theirs, Open::default()));
    let (connection, mut peer) = (connection.unwrap(), peer);
    let (sender, _) = sender(&connection, &mut peer, patient(), 1000).await;
    let start = Instant::now();
    let mut sends = Vec::new();
    // The pipe takes the first few; from then on the stream keeps what it is given.
    while connection.close_reason().is_none() && start.elapsed() < 300 * SECOND {
        sends.push(sender.send(vec![0; 700].into(), 0));
        pass(5 * SECOND).await;
    }
    assert_eq!(connection.close_reason(), Some(CloseReason::WriteTimeout));
    assert!(start.elapsed() <= 45 * SECOND, "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn n10_a_frame_that_drips_in_is_not_waited_for() {
    let (connection, mut peer) = connected().await;
    let start = Instant::now();
    let drip = async {
        let mut frame = vec![0, 0, 4, 0, 2, 0, 0, 0];
        frame.resize(1024, 0);
        for byte in frame {
            peer.stream.write_all(&[byte]).await.unwrap();
            pass(SECOND).await;
        }
    };
    let reason = tokio::select! {
        reason = soon(connection.closed()) => reason,
        () = drip => panic!("a frame may take as long as it likes"),
    };
    assert_eq!((reason, start.elapsed()), (CloseReason::FrameTimeout, 60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn n10_heartbeats_that_drip_in_are_good_enough() {
    let (connection, mut peer) = connected().await;
    for _ in 0..100 {
        for byte in HEARTBEAT {
            peer.stream.write_all(&[byte]).await.unwrap();
            pass(SECOND).await;
        }
    }
    assert_eq!(connection.close_reason(), None, "each of them is whole after 8 s");
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn n14_heartbeats_leave_whatever_waits_for_the_peer_or_its_reader() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let open = Open { idle_time_out: Some(10_000), ..Open::default() };
    let (connection, peer) =
        tokio::join!(Connection::dial_over(ours, options()), Peer::open(theirs, open));
    let (connection, mut peer) = (connection.unwrap(), peer);
    // A reader that takes nothing, and a message of which the session's window lets no half out.
    let options = ReceiverOptions { prefetch: 2, ..ReceiverOptions::from("queue") };
    let (reader, channel) = receiver(&connection, &mut peer, options).await;
    for id in 0..2 {
        peer.deliver(channel, id, true, b"not read").await;
    }
    let answer = async {
        let channel = peer.begin_with(2).await;
        let attach = peer.attached().await;
        peer.accept(channel, &attach).await;
        let flow = Flow {
            next_incoming_id: Some(0),
            incoming_window: 2,
            outgoing_window: 5000,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(10),
            ..Flow::default()
        };
        peer.write(channel, Performative::Flow(Box::new(flow))).await;
    };
    let (sender, ()) = tokio::join!(connection.sender(patient()), answer);
    let sender = sender.unwrap();
    let stuck = sender.send(vec![0; 300_000].into(), 0);
    pass(SECOND).await;
    let mut start = Instant::now();
    let mut wire = vec![0; 1 << 20];
    let count = peer.stream.read(&mut wire).await.unwrap();
    assert!(count > 512, "the window let something out");
    for beat in 1..=20 {
        let mut frame = [0; 8];
        let read = peer.stream.read_exact(&mut frame);
        tokio::time::timeout(6 * SECOND, read).await.expect("a sign of life").unwrap();
        assert_eq!(frame, HEARTBEAT);
        let took = start.elapsed();
        assert!(took <= 5 * SECOND, "heartbeat {beat} after {took:?}");
        start = Instant::now();
        peer.stream.write_all(&HEARTBEAT).await.unwrap();
    }
    assert_eq!(connection.close_reason(), None);
    drop((reader, stuck));
}

/// A peer that never stops beating; it reads everything.
#[derive(Debug)]
struct Chatter(Arc<AtomicUsize>);

/// Reads after which a driver that never yields is a failure and not a hang.
const READS_MAX: usize = 100_000;

impl AsyncRead for Chatter {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(read < READS_MAX, "nobody else gets a turn");
        buffer.put_slice(match read {
            0 => b"AMQP\x00\x01\x00\x00",
            // An open with an empty container id.
            1 => &[0, 0, 0, 15, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 3, 1, 0xa1, 0][..15],
            _ => &HEARTBEAT,
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Chatter {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Takes whatever comes.
struct Nobody;

impl Service for Nobody {
    fn turn(&mut self, engine: &mut engine::Connection, _: std::time::Instant) {
        while engine.poll_event().is_some() {}
    }

    fn poll_wake(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn timeout(&self) -> Option<std::time::Instant> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_always_ready_leaves_turns_to_others() {
    let reads = Arc::new(AtomicUsize::new(0));
    let engine = engine::Connection::new(Options::listener("broker"), Instant::now().into_std());
    let chatter = Chatter(Arc::clone(&reads));
    let mut driver = Box::pin(drive(chatter, engine, Nobody, DriveOptions::default()));
    for _ in 0..10 {
        let polled = std::future::poll_fn(|cx| Poll::Ready(driver.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    assert!(reads.load(Ordering::Relaxed) >= 10, "it comes back for more");
}
