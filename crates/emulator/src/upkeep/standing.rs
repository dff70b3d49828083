//! What a link was let in for, and whether it is still in use.

use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, condition};

use crate::rules::address;

/// The part of a producer or consumer link that its time-outs go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What the client attached to, as it spelled it.
    pub(crate) address: String,
    /// What the client calls the link.
    name: String,
    /// When it was last used, in milliseconds since 1970.
    used: i64,
}

impl Standing {
    pub(crate) fn new(address: &str, name: &str, now: i64) -> Self {
        Self { address: address.to_owned(), name: name.to_owned(), used: now }
    }

    /// What a token has to cover.
    pub(crate) fn path(&self) -> &str {
        address::path(&self.address)
    }

    /// The link is in use at `now`.
    pub(crate) fn touch(&mut self, now: i64) {
        self.used = now;
    }

    /// When the link will have been idle for `millis`.
    pub(crate) fn idle_at(&self, millis: i64) -> i64 {
        self.used.saturating_add(millis)
    }

    /// What the client of an idle producer link is told. `number` is that of its connection.
    pub(crate) fn idle_producer(&self, number: u64, idle: Duration) -> AmqpError {
        let text = format!(
            "The link 'G0:{number}:{}' is force detached by the broker because of errors occurred \
             in publisher(link{number}). Detach origin: AmqpMessagePublisher.IdleTimerExpired: \
             Idle timeout: {}.",
            self.name,
            clock_face(idle)
        );
        AmqpError::new(condition::DETACH_FORCED, text)
    }

    /// What the client of an idle consumer link is told. `number` is that of its connection.
    pub(crate) fn idle_consumer(&self, number: u64, idle: Duration) -> AmqpError {
        let text = format!(
            "The link 'G0:{number}:{}' is force detached. Code: ServerError. Details: \
             AmqpEventHubConsumer.IdleTimerExpired: Idle timeout: {}.",
            self.name,
            clock_face(idle)
        );
        AmqpError::new(condition::DETACH_FORCED, text)
    }
}

/// `00:30:00`; parts of a second are not shown.
fn clock_face(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_the_services() {
        let standing = Standing::new("amqps://h/hub", "my-link", 5);
        let half_an_hour = Duration::from_secs(1800);
        let error = standing.idle_producer(7, half_an_hour);
        assert_eq!(error.condition, condition::DETACH_FORCED);
        assert_eq!(
            error.description.unwrap(),
            "The link 'G0:7:my-link' is force detached by the broker because of errors occurred in \
             publisher(link7). Detach origin: AmqpMessagePublisher.IdleTimerExpired: Idle timeout: \
             00:30:00."
        );
        let error = standing.idle_consumer(7, half_an_hour);
        assert_eq!(
            error.description.unwrap(),
            "The link 'G0:7:my-link' is force detached. Code: ServerError. Details: \
             AmqpEventHubConsumer.IdleTimerExpired: Idle timeout: 00:30:00."
        );
        assert_eq!(standing.path(), "hub");
        assert_eq!(clock_face(Duration::from_secs(100 * 3600 + 59)), "100:00:59");
    }

    #[test]
    fn use_puts_the_end_off() {
        let mut standing = Standing::new("hub", "l", 5);
        assert_eq!(standing.idle_at(10), 15);
        standing.touch(8);
        assert_eq!(standing.idle_at(10), 18);
        assert_eq!(standing.idle_at(i64::MAX), i64::MAX);
    }
}
