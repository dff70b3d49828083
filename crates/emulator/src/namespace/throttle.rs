//! The share of a namespace or hub, used by all connections together.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventhubs_amqp::codec::{AmqpError, Symbol};

use super::meter::{self, Bucket, Meter, Throughput};
use crate::broker::request::Answer;
use crate::names::condition;

/// Keeps what comes in within its limits, if there are any.
#[derive(Debug)]
pub(crate) struct Throttle {
    limits: Option<Throughput>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By hub, or a single one under an empty name. Hubs are few: they are the owner's to create.
    meters: HashMap<String, Meter>,
    requests: Option<Bucket>,
}

impl Throttle {
    pub(crate) fn new(limits: Option<Throughput>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Whether a publication of so many bytes and events may be stored.
    pub(crate) fn publish(
        &self,
        hub: &str,
        bytes: usize,
        events: usize,
        now: i64,
    ) -> Result<(), AmqpError> {
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let name = if limits.per_hub { hub } else { "" };
        let mut state = self.lock();
        let meter = state.meters.entry(name.to_owned()).or_insert_with(|| Meter::new(limits, now));
        meter.admit(count(bytes), count(events), now).map_err(|seconds| {
            let text = match limits.per_hub {
                true => busy("the entity", "50002. Sub error : 102", seconds),
                false => busy("the namespace", "50009", seconds),
            };
            AmqpError::new(Symbol::from_static(condition::SERVER_BUSY), text)
        })
    }

    /// Whether a request for runtime information may be answered.
    pub(crate) fn request(&self, now: i64) -> Result<(), Answer> {
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        let mut state = self.lock();
        let bucket =
            state.requests.get_or_insert_with(|| Bucket::new(limits.requests_per_second, now));
        let wait = bucket.wait(now);
        if wait > 0 {
            let text = busy("the entity", "50002. Sub error : 102", meter::seconds(wait));
            return Err(Answer::refused(503, Symbol::from_static(condition::SERVER_BUSY), text));
        }
        bucket.take(1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service's words; clients read the seconds.
fn busy(what: &str, code: &str, seconds: u64) -> String {
    format!(
        "The request was terminated because {what} is being throttled. Error code : {code}. Please \
         wait {seconds} seconds and try again."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: AmqpError) -> String {
        assert_eq!(error.condition.as_str(), "com.microsoft:server-busy");
        error.description.unwrap_or_default()
    }

    #[test]
    fn without_limits_everything_comes_in() {
        let throttle = Throttle::new(None);
        for _ in 0..100 {
            assert!(throttle.publish("hub", usize::MAX, usize::MAX, 0).is_ok());
            assert!(throttle.request(0).is_ok());
        }
    }

    #[test]
    fn hubs_share_or_have_their_own() {
        let shared = Throttle::new(Some(Throughput::new(1000, 10)));
        assert!(shared.publish("a", 3000, 1, 0).is_ok());
        assert_eq!(
            text(shared.publish("b", 1, 1, 0).unwrap_err()),
            "The request was terminated because the namespace is being throttled. Error code : \
             50009. Please wait 3 seconds and try again."
        );
        let own = Throttle::new(Some(Throughput::new(1000, 10).per_hub()));
        assert!(own.publish("a", 3000, 1, 0).is_ok());
        assert!(own.publish("b", 1, 1, 0).is_ok());
        assert_eq!(
            text(own.publish("a", 1, 1, 0).unwrap_err()),
            "The request was terminated because the entity is being throttled. Error code : 50002. \
             Sub error : 102. Please wait 3 seconds and try again."
        );
    }

    #[test]
    fn requests_are_limited_by_themselves() {
        let throttle = Throttle::new(Some(Throughput::units(1)));
        assert!((0..50).all(|_| throttle.request(0).is_ok()));
        let refused = throttle.request(0).unwrap_err();
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.condition().unwrap().as_str(), "com.microsoft:server-busy");
        assert!(throttle.request(1000).is_ok());
    }
}
