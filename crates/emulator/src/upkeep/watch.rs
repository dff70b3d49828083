//! What a connection has to do within a time: prove itself, and have a link.

use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, condition};

/// How long the service waits for its clients, on its own clock.
///
/// [`Emulator::advance_clock`](crate::Emulator::advance_clock) moves that clock, so that no test
/// has to sit through them. A time of [`Duration::MAX`] never comes.
///
/// ```
/// use std::time::Duration;
/// use eventhubs_emulator::{Config, Timers};
///
/// let timers = Timers { idle_link: Duration::from_secs(5), ..Timers::default() };
/// let config = Config::default().with_timers(timers);
/// assert_eq!(config.timers.token, Duration::from_secs(20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// From the open to the first token that is accepted; then the connection is closed. Default
    /// 20 s, as documented by the service.
    pub token: Duration,
    /// From the open to the first link; then the connection is closed. Links of `$cbs` do not
    /// count. Default 60 s, as documented by the service.
    pub first_link: Duration,
    /// Without a link after there was one; then the connection is closed. Default 5 min, as
    /// documented by the service.
    pub no_links: Duration,
    /// Without a message, and for a receiver without credit; then the link is detached. Default
    /// 30 min, as documented by the service.
    pub idle_link: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            token: Duration::from_secs(20),
            first_link: Duration::from_secs(60),
            no_links: Duration::from_secs(5 * 60),
            idle_link: Duration::from_secs(30 * 60),
        }
    }
}

impl Timers {
    /// None of them ever comes.
    pub const NEVER: Self = Self {
        token: Duration::MAX,
        first_link: Duration::MAX,
        no_links: Duration::MAX,
        idle_link: Duration::MAX,
    };
}

/// Whole milliseconds; longer than any clock counts when there are too many.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    timers: Timers,
    opened: Option<i64>,
    proved: bool,
    links: usize,
    /// Since when there is no link, and how long that may last.
    linkless: Option<(i64, Duration)>,
}

/// What a connection did not do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// It put no token.
    Token,
    /// It had no link for so many milliseconds.
    Links(i64),
}

impl Watch {
    pub(crate) fn new(timers: Timers) -> Self {
        Self { timers, opened: None, proved: false, links: 0, linkless: None }
    }

    /// The connection was opened.
    pub(crate) fn handle_open(&mut self, now: i64) {
        self.opened = Some(now);
        self.linkless = Some((now, self.timers.first_link));
    }

    /// A token was accepted, or the client proved itself in the SASL layer.
    pub(crate) fn handle_proof(&mut self) {
        self.proved = true;
    }

    /// Whether no proof has come yet.
    pub(crate) fn is_unproved(&self) -> bool {
        !self.proved
    }

    /// The connection is being closed: there is nothing left to watch.
    pub(crate) fn handle_closed(&mut self) {
        *self = Self::new(self.timers);
    }

    /// The connection has so many links now, those of `$cbs` not counted.
    pub(crate) fn handle_links(&mut self, links: usize, now: i64) {
        if links > 0 {
            self.linkless = None;
        } else if self.links > 0 && self.opened.is_some() {
            self.linkless = Some((now, self.timers.no_links));
        }
        self.links = links;
    }

    fn token_due(&self) -> Option<i64> {
        let opened = self.opened.filter(|_| !self.proved)?;
        Some(opened.saturating_add(millis(self.timers.token)))
    }

    fn links_due(&self) -> Option<i64> {
        self.linkless.map(|(since, allowed)| since.saturating_add(millis(allowed)))
    }

    /// When to look again.
    pub(crate) fn due(&self) -> Option<i64> {
        [self.token_due(), self.links_due()].into_iter().flatten().min()
    }

    /// What was not done in time, if anything.
    pub(crate) fn check(&self, now: i64) -> Option<Lapse> {
        if self.token_due().is_some_and(|due| due <= now) {
            return Some(Lapse::Token);
        }
        let allowed = self.linkless.map(|(_, allowed)| millis(allowed));
        allowed.filter(|_| self.links_due().is_some_and(|due| due <= now)).map(Lapse::Links)
    }
}

impl Lapse {
    /// With what the connection is closed.
    pub(crate) fn error(self) -> AmqpError {
        let text = match self {
            // The documentation says that the connection is dropped, and no more.
            Self::Token => "The connection was closed because no valid token was put on its \
                            '$cbs' node in time."
                .to_owned(),
            Self::Links(allowed) => format!(
                "The connection was inactive for more than the allowed {allowed} milliseconds and \
                 is closed by container 'LinkTracker'."
            ),
        };
        AmqpError::new(condition::CONNECTION_FORCED, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        let mut watch = Watch::new(Timers::default());
        assert_eq!((watch.due(), watch.check(i64::MAX)), (None, None), "not open yet");
        watch.handle_open(1000);
        watch
    }

    #[test]
    fn a_token_is_due_within_twenty_seconds() {
        let mut watch = watch();
        assert_eq!(watch.due(), Some(21_000));
        assert_eq!(watch.check(20_999), None);
        assert_eq!(watch.check(21_000), Some(Lapse::Token));
        watch.handle_links(1, 2000);
        assert_eq!(watch.check(21_000), Some(Lapse::Token), "a link is no proof");
        watch.handle_proof();
        assert_eq!((watch.due(), watch.check(i64::MAX)), (None, None));
    }

    #[test]
    fn the_first_link_is_due_within_a_minute() {
        let mut watch = watch();
        watch.handle_proof();
        assert_eq!(watch.due(), Some(61_000));
        watch.handle_links(0, 50_000);
        assert_eq!(watch.due(), Some(61_000), "no link is no news");
        assert_eq!((watch.check(60_999), watch.check(61_000)), (None, Some(Lapse::Links(60_000))));
    }

    #[test]
    fn without_links_a_connection_has_five_minutes() {
        let mut watch = watch();
        watch.handle_proof();
        watch.handle_links(2, 5000);
        watch.handle_links(1, 6000);
        assert_eq!(watch.due(), None);
        watch.handle_links(0, 7000);
        watch.handle_links(0, 200_000);
        assert_eq!(watch.due(), Some(307_000), "counted from the last link's end");
        assert_eq!(watch.check(306_999), None);
        let error = watch.check(307_000).map(Lapse::error).unwrap();
        assert_eq!(error.condition, condition::CONNECTION_FORCED);
        assert_eq!(
            error.description.unwrap(),
            "The connection was inactive for more than the allowed 300000 milliseconds and is \
             closed by container 'LinkTracker'."
        );
        watch.handle_links(1, 306_000);
        assert_eq!(watch.check(i64::MAX), None);
        watch.handle_closed();
        watch.handle_links(0, 307_000);
        assert_eq!(watch.due(), None, "a connection is closed once");
    }

    #[test]
    fn never_is_never() {
        let mut watch = Watch::new(Timers::NEVER);
        watch.handle_open(1000);
        assert_eq!(watch.check(i64::MAX - 1), None);
    }
}
