//! Delay of everything that the emulator writes, order kept.
//!
//! A server on loopback answers faster than any network could, and some clients have races that
//! only such a server finds. The delay sits between the connection's driver and its stream, so
//! that nothing else has to know of it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

/// Bytes on their way at a time; beyond that the driver has to wait, as on a full network.
const IN_FLIGHT_MAX: usize = 4 << 20;
/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// A stream that stands in for `stream` and delays what is written to it, and the future that
/// moves the bytes; it ends with the stream.
pub(crate) fn delayed<S>(
    stream: S,
    delay: Duration,
) -> (DuplexStream, impl Future<Output = ()> + Send)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (near, far) = tokio::io::duplex(CHUNK);
    let relay = async move {
        let (mut from_peer, to_peer) = tokio::io::split(stream);
        let (from_driver, mut to_driver) = tokio::io::split(far);
        let inwards = async {
            let copied = tokio::io::copy(&mut from_peer, &mut to_driver).await;
            // The driver reads the end of the stream; what it still writes goes out.
            let _ = to_driver.shutdown().await;
            copied.map(|_| ())
        };
        // When either side is gone for good, so is the connection.
        let _ = tokio::try_join!(inwards, outwards(from_driver, to_peer, delay));
    };
    (near, relay)
}

/// Moves bytes from the driver to the peer, each at least `delay` after it was written.
async fn outwards(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let mut queue: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let mut in_flight = 0;
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let mut open = true;
    while open || !queue.is_empty() {
        let due = queue.front().map(|(due, _)| *due);
        tokio::select! {
            read = from.read_buf(&mut buffer), if open && in_flight < IN_FLIGHT_MAX => {
                open = read? > 0;
                if open {
                    let chunk = buffer.split().freeze();
                    in_flight += chunk.len();
                    queue.push_back((Instant::now() + delay, chunk));
                    buffer.reserve(CHUNK);
                }
            }
            () = until(due), if due.is_some() => {
                if let Some((_, chunk)) = queue.pop_front() {
                    to.write_all(&chunk).await?;
                    to.flush().await?;
                    in_flight -= chunk.len();
                }
            }
        }
    }
    to.shutdown().await
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_late_and_in_order() {
        let (outside, inside) = tokio::io::duplex(1 << 16);
        let (mut near, relay) = delayed(inside, Duration::from_millis(5));
        let relay = tokio::spawn(relay);
        let (mut read, mut write) = tokio::io::split(outside);
        let start = Instant::now();
        near.write_all(b"one").await.unwrap();
        near.write_all(b"two").await.unwrap();
        let mut got = [0; 6];
        read.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"onetwo");
        assert_eq!(start.elapsed(), Duration::from_millis(5));
        write.write_all(b"back").await.unwrap();
        let mut got = [0; 4];
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(5), "the way in is not delayed");
        near.write_all(b"end").await.unwrap();
        drop(near);
        let mut rest = Vec::new();
        read.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"end", "what was written goes out before the end");
        drop((read, write));
        relay.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_network_holds_the_writer_back() {
        let (mut outside, inside) = tokio::io::duplex(1 << 16);
        let (mut near, relay) = delayed(inside, Duration::from_secs(1));
        let relay = tokio::spawn(relay);
        let everything = vec![7; 3 * IN_FLIGHT_MAX];
        let writer = tokio::spawn(async move {
            near.write_all(&everything).await.unwrap();
            Instant::now()
        });
        let start = Instant::now();
        let mut got = Vec::new();
        outside.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 3 * IN_FLIGHT_MAX);
        assert!(writer.await.unwrap() - start >= Duration::from_secs(1), "it had to wait");
        drop(outside);
        relay.await.unwrap();
    }
}
