//! A line over a stream in memory, on the paused clock.

mod shaping;
mod strikes;
mod trips;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::craft;
use super::remains::Remains;
use super::{Abortable, Line, LineControl};
use crate::doors::memory::{self, MemoryStream};

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

fn frames(code: u8, numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers.flat_map(|number| frame(code, 0, number)).collect()
}

/// What comes until nothing comes for an hour, or the stream ends.
async fn all(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(read) = timeout(Duration::from_secs(3600), from.read_buf(&mut bytes)).await {
        if read.expect("no reset") == 0 {
            break;
        }
    }
    bytes
}

/// What the client gets in an hour while the line is polled as its driver would.
async fn client_gets(pair: &mut Pair) -> Vec<u8> {
    let mut sink = Vec::new();
    let mut line = std::pin::pin!(pair.line.read_to_end(&mut sink));
    tokio::select! {
        biased;
        bytes = all(&mut pair.client) => bytes,
        ended = &mut line => {
            ended.expect("no reset");
            all(&mut pair.client).await
        }
    }
}

/// What a future gives, if it ever gives anything.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(24 * 3600), future).await.expect("it hangs")
}
