//! Where the events of a partition come from: a receiver, attached again and again.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{Error, ErrorKind, EventStream, ReceiveOptions, RetryOptions};
use eventhubs_protocol::position::Anchor;
use eventhubs_protocol::{SequenceNumber, StartPosition, condition};

use crate::checkpoint::Checkpoint;
use crate::clock;
use crate::host::Shared;
use crate::notice::HostEvent;

use super::post::Post;
use super::prefix::UNKNOWN;

/// The first and the longest wait after a receiver could not be attached.
const DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Attaches receivers of one partition, each where the last one ended.
pub(crate) struct Source<P> {
    shared: Arc<Shared>,
    post: Arc<P>,
    position: StartPosition,
    /// Tries in a row that came to nothing.
    failures: u32,
}

impl<P: Post> Source<P> {
    /// A checkpoint counts more than any start position, and its number more than its offset: on a
    /// geo-replicated hub an offset may mean nothing after a fail-over.
    pub(crate) fn new(shared: &Arc<Shared>, post: &Arc<P>, from: Option<&Checkpoint>) -> Self {
        let by_number = |number| StartPosition::sequence_number(number).ok();
        let position = from.and_then(|from| match &from.offset {
            Some(offset) if from.sequence_number == SequenceNumber::BEFORE_FIRST => {
                Some(StartPosition::offset(offset.clone()))
            }
            _ => by_number(from.sequence_number),
        });
        let position = position.unwrap_or_else(|| shared.options.start.of(post.partition()));
        let (shared, post) = (Arc::clone(shared), Arc::clone(post));
        Self { shared, post, position, failures: 0 }
    }

    /// Number of the event after which it begins, if that is known.
    pub(crate) fn after(&self) -> i64 {
        match self.position.anchor() {
            Anchor::SequenceNumber(number) if !self.position.is_inclusive() => number.as_i64(),
            Anchor::SequenceNumber(number) => number.as_i64().saturating_sub(1),
            _ => UNKNOWN,
        }
    }

    /// The next receiver begins after this event; unless none has come yet, where it began.
    pub(crate) fn go_on_after(&mut self, number: i64) {
        let number = SequenceNumber::from(number);
        if let Ok(position) = StartPosition::sequence_number(number) {
            self.position = position;
        }
    }

    /// A receiver was lost, or could not be attached.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.post.attach_failed(error);
        self.shared.notices.tell(HostEvent::HubFailed { error: error.clone() });
    }

    /// Attaches a receiver, for as long as it takes; whether it begins at another place than the
    /// last one ended. `None` when none may be attached in this ownership any more.
    pub(crate) async fn attach(&mut self) -> Option<(EventStream, bool)> {
        let mut is_anew = false;
        loop {
            self.rest().await;
            let level = self.post.attach_allowed().await.ok()?;
            let options = self.options().with_owner_level(level);
            let error = match self.shared.hub.events(self.post.partition(), options).await {
                Ok(stream) => {
                    self.failures = 0;
                    self.post.attached();
                    // The keeper was woken on this thread, where no other thread may take it from. It
                    // has to be gone from here before a handler might block.
                    tokio::task::yield_now().await;
                    // The end of the partition is pinned to the event that it was.
                    self.position = stream.position();
                    return Some((stream, is_anew));
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Stolen => {
                    let existing = condition::named_owner_level(&error.to_string());
                    self.post.level_refused(existing).await.ok()?;
                }
                ErrorKind::InvalidPosition if *self.position.anchor() != Anchor::Earliest => {
                    // The partition is not the one that it was. Whatever it has is new.
                    self.failed(&error);
                    self.position = StartPosition::earliest();
                    is_anew = true;
                }
                _ => self.failed(&error),
            }
        }
    }

    /// Waits longer after each failure, and not as long as others that failed with this one.
    async fn rest(&self) {
        if self.failures > 0 {
            let (first, longest) = DELAYS;
            let doublings = self.failures.saturating_sub(1).min(16);
            let bound = first.saturating_mul(1 << doublings).min(longest);
            let part = u32::try_from(clock::random() >> 32).unwrap_or_default();
            let spread = f64::from(part) / f64::from(u32::MAX);
            clock::pause(bound.mul_f64(0.5 + spread / 2.0)).await;
        }
    }

    fn options(&self) -> ReceiveOptions {
        let options = &self.shared.options;
        ReceiveOptions::default()
            .with_consumer_group(options.consumer_group.clone())
            .with_start(self.position.clone())
            .with_prefetch(options.prefetch)
            .with_last_enqueued_tracking()
            // A link that is lost is tried for once more by the stream. Then it is asked for again
            // here, where the lease is looked at first.
            .with_retry(RetryOptions::default().with_retries_max(1))
    }
}
