//! What options may be: checked before anything else is done with them.
//!
//! The ranges stand in the documentation of each option too; a test holds the two together.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Operation};
use crate::options::{HubOptions, ReceiveOptions};
use crate::retry::RetryOptions;

/// Least and most that an option may be, both allowed, and how people read that.
#[derive(Clone, Copy, Debug)]
struct Range<T> {
    least: T,
    most: T,
    text: &'static str,
}

/// Above a day a time-out is a mistake: a unit, or a "never" that this library does not have.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time-outs of calls. Timers tick in milliseconds.
const TIMEOUT: Range<Duration> =
    Range { least: Duration::from_millis(1), most: DAY, text: "1 ms to 24 h" };
/// Time for a call with all its tries; without end is allowed.
const TOTAL: Range<Duration> =
    Range { least: Duration::from_millis(1), most: Duration::MAX, text: "1 ms to `Duration::MAX`" };
/// Half of the idle time-out is how often the peer has to say something.
const IDLE_TIMEOUT: Range<Duration> =
    Range { least: Duration::from_secs(1), most: DAY, text: "1 s to 24 h" };
/// Sends without an outcome. Each takes a slot of about 100 bytes, and the queue may grow sixteen
/// times beyond this.
const PENDING_SENDS: Range<usize> = Range { least: 1, most: 1_000_000, text: "1 to 1 000 000" };
/// Bytes that may be held for one link.
const BYTES: Range<usize> = Range { least: 1, most: 1 << 30, text: "1 byte to 1 GiB" };
/// Deliveries of one link. Its counters have 32 bits.
const LINK_DELIVERIES: Range<u64> = Range { least: 1, most: 1 << 31, text: "1 to 2 147 483 648" };
/// Silence that is suspicious. Shorter than this it would be no news that nothing came.
const WATCHDOG: Range<Duration> =
    Range { least: Duration::from_secs(1), most: DAY, text: "1 s to 24 h" };
/// Events that may wait in one receiver.
const PREFETCH: Range<u32> = Range { least: 1, most: 100_000, text: "1 to 100 000" };
/// Characters of an identifier. The container id adds 37, and the service's texts quote it.
const IDENTIFIER_MAX: usize = 128;

impl<T: PartialOrd + std::fmt::Debug> Range<T> {
    fn check(&self, field: &str, value: T) -> Result<(), Error> {
        if self.least <= value && value <= self.most {
            return Ok(());
        }
        Err(refused(field, &format!("{value:?} is out of range, which is {}", self.text)))
    }
}

/// An option that cannot be. The detail says what can, and shows no text of the caller's.
fn refused(field: &str, detail: &str) -> Error {
    let entity = format!("the option {field}");
    Error::new(ErrorKind::InvalidInput, Operation::Configure, entity, detail)
}

impl HubOptions {
    /// Finds the first option that cannot be.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if let Some(identifier) = &self.identifier {
            check_identifier(identifier)?;
        }
        TIMEOUT.check("connect_timeout", self.connect_timeout)?;
        TIMEOUT.check("open_timeout", self.open_timeout)?;
        TIMEOUT.check("attach_timeout", self.attach_timeout)?;
        TIMEOUT.check("send_timeout", self.send_timeout)?;
        TIMEOUT.check("request_timeout", self.request_timeout)?;
        TIMEOUT.check("close_timeout", self.close_timeout)?;
        IDLE_TIMEOUT.check("idle_timeout", self.idle_timeout)?;
        PENDING_SENDS.check("pending_sends_max", self.pending_sends_max)?;
        BYTES.check("pending_bytes_max", self.pending_bytes_max)?;
        LINK_DELIVERIES.check("link_deliveries_max", self.link_deliveries_max)?;
        self.retry.validate()
    }
}

impl ReceiveOptions {
    /// Finds the first option that cannot be. Position, group and owner level were checked when
    /// they were made.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        PREFETCH.check("prefetch", self.prefetch)?;
        BYTES.check("prefetch_bytes", self.prefetch_bytes)?;
        self.watchdog.map_or(Ok(()), |silence| WATCHDOG.check("watchdog", silence))?;
        self.retry.validate()
    }
}

impl RetryOptions {
    /// Finds the first option that cannot be, or that another one contradicts. A time for the whole
    /// call below that of one try is no contradiction: it ends the try.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        TIMEOUT.check("retry.delay_base", self.delay_base)?;
        TIMEOUT.check("retry.delay_max", self.delay_max)?;
        TOTAL.check("retry.total", self.total)?;
        if self.delay_max < self.delay_base {
            let (max, base) = (self.delay_max, self.delay_base);
            let detail = format!("{max:?} is below delay_base, which is {base:?}");
            return Err(refused("retry.delay_max", &detail));
        }
        let tries_again = self.retries_max != Some(0) && self.policy.is_none();
        if tries_again && self.total < self.delay_base {
            let (total, base) = (self.total, self.delay_base);
            let detail =
                format!("{total:?} is below delay_base, which is {base:?}: no retry has time");
            return Err(refused("retry.total", &detail));
        }
        Ok(())
    }
}

/// The identifier goes into the container id, into links, and into the service's error texts.
fn check_identifier(identifier: &str) -> Result<(), Error> {
    let field = "identifier";
    if identifier.is_empty() {
        return Err(refused(field, "it is empty; leave it out for one that is made up"));
    }
    if identifier.chars().count() > IDENTIFIER_MAX {
        return Err(refused(field, &format!("it is longer than {IDENTIFIER_MAX} characters")));
    }
    if identifier.chars().any(char::is_control) {
        return Err(refused(field, "it holds a control character"));
    }
    Ok(())
}
