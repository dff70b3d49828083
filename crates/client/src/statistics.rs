//! What happened to a hub that its callers need not see one by one.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since a [`Hub`](crate::Hub) was made, from [`Hub::statistics`](crate::Hub::statistics).
/// All clones of a hub count together; nothing is ever counted down.
///
/// ```no_run
/// # fn example(hub: eventhubs_client::Hub) {
/// let statistics = hub.statistics();
/// println!("{} reconnects", statistics.connections.saturating_sub(1));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that were opened and authorized.
    pub connections: u64,
    /// Links that were attached, to send, to receive and to ask.
    pub links: u64,
    /// Tries after the first one, of any call.
    pub retries: u64,
    /// Events and batches that were sent again although the service may have had them: each may be
    /// stored twice.
    pub unknown_retried: u64,
    /// Events that arrived a second time and were not handed out again.
    pub duplicates_dropped: u64,
    /// Places where the service left events out.
    pub gaps: u64,
    /// Places where retention had removed events before they were received.
    pub trims: u64,
    /// Receivers that were attached again because nothing arrived although there was something.
    pub stalls: u64,
    /// Times a call waited because the service had asked for a rest.
    pub busy_waits: u64,
    /// Tokens put on a connection after its first one.
    pub token_renewals: u64,
}

macro_rules! counters {
    ($($name:ident),+ $(,)?) => {
        /// The counters behind [`Statistics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn read(&self) -> Statistics {
                Statistics { $($name: self.$name.read(),)+ }
            }
        }
    };
}

counters!(
    connections,
    links,
    retries,
    unknown_retried,
    duplicates_dropped,
    gaps,
    trims,
    stalls,
    busy_waits,
    token_renewals,
);

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        // Nothing is ordered by it.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
