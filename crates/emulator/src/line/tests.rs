//! A line over a stream in memory, on the paused clock.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

use super::craft::{self, code};
use super::{
    Abortable, Action, BadFrame, FrameKind, Line, LineControl, Remains, Ring, Rule, Shaping, Trip,
    Way,
};
use crate::memory::{self, MemoryStream};

/// A client's end, the line at the other, and what controls it.
struct Pair {
    client: MemoryStream,
    line: Line<MemoryStream>,
    control: Arc<LineControl>,
    remains: Remains,
}

fn pair_of(capacity: usize) -> Pair {
    let (client, far) = memory::pair(capacity);
    let control = Arc::new(LineControl::default());
    let far = far.with_abort(control.abort_handle());
    let (line, remains) = Line::new(far, Arc::clone(&control));
    Pair { client, line, control, remains }
}

fn pair() -> Pair {
    pair_of(1 << 20)
}

/// A frame with a list of its number, so that all differ.
fn frame(code: u8, channel: u16, number: u32) -> Vec<u8> {
    craft::frame(channel, &craft::composite(code, &[&craft::uint(number)]))
}

fn frames(code: u8, count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| frame(code, 0, number)).collect()
}

/// What comes until nothing comes for an hour.
async fn all(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(read) = timeout(Duration::from_secs(3600), from.read_buf(&mut bytes)).await {
        if read.expect("no reset") == 0 {
            break;
        }
    }
    bytes
}

/// Keeps the line polled as its driver would, and throws away what comes in.
async fn idle(line: &mut Line<MemoryStream>) {
    let mut sink = Vec::new();
    let _ = line.read_to_end(&mut sink).await;
}

#[tokio::test(start_paused = true)]
async fn latency_keeps_order_and_bounds_what_is_in_flight() {
    let Pair { mut client, mut line, control, remains } = pair();
    let jitter = Duration::from_millis(20);
    let delay = Duration::from_millis(5);
    control.apply(1, Shaping::Latency { delay, jitter, seed: 3 });
    let start = Instant::now();
    let sent = frames(code::FLOW, 100);
    for part in sent.chunks(7) {
        line.write_all(part).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "the writer does not wait");
    let mut got = vec![0; sent.len()];
    tokio::select! {
        read = client.read_exact(&mut got) => { read.unwrap(); }
        () = idle(&mut line) => panic!("the line ended"),
    }
    assert_eq!(got, sent);
    assert!(start.elapsed() > delay && start.elapsed() <= delay + jitter + 2 * delay / 5);
    client.write_all(b"back").await.unwrap();
    let before = Instant::now();
    let mut got = [0; 4];
    line.read_exact(&mut got).await.unwrap();
    assert_eq!(before, Instant::now(), "the way in is not late");
    line.write_all(b"end").await.unwrap();
    drop(line);
    let (rest, ()) = tokio::join!(all(&mut client), remains.finish());
    assert_eq!(rest, b"end", "what was written goes out before the end");
}
