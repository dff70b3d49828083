//! What is promised. Only the start is a promise to a person who waits; the others are so wide that
//! a busy machine keeps them, and catch what becomes slow or large by an order.

use std::time::Duration;

/// From the call that starts the process to the line that says it accepts, median of many.
const START_MAX: Duration = Duration::from_millis(50);
/// Events per second, accepted or delivered, of any workload on plaintext.
const EVENTS_PER_SECOND_MIN: f64 = 10_000.0;
/// Bytes of memory for one stored event of 100 bytes.
const BYTES_PER_EVENT_MAX: f64 = 400.0;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) start_median: Duration,
    /// Events per second of the slowest workload on plaintext.
    pub(crate) slowest: f64,
    pub(crate) bytes_per_event: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self { start_median: Duration::ZERO, slowest: f64::INFINITY, bytes_per_event: 0.0 }
    }
}

impl Figures {
    /// What is over its limit, as sentences.
    pub(crate) fn missed(&self) -> Vec<String> {
        let start = self.start_median >= START_MAX;
        let speed = self.slowest < EVENTS_PER_SECOND_MIN;
        let memory = self.bytes_per_event > BYTES_PER_EVENT_MAX;
        let sentences = [
            (start, format!("ready after {:?}, not below {START_MAX:?}", self.start_median)),
            (speed, format!("{:.0} events/s, below {EVENTS_PER_SECOND_MIN}", self.slowest)),
            (memory, format!("{:.0} B per event > {BYTES_PER_EVENT_MAX}", self.bytes_per_event)),
        ];
        sentences.into_iter().filter_map(|(missed, text)| missed.then_some(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_missed_alone() {
        let good = Figures {
            start_median: Duration::from_millis(49),
            slowest: 1e5,
            bytes_per_event: 240.0,
        };
        assert_eq!(good.missed(), Vec::<String>::new());
        for bad in [
            Figures { start_median: START_MAX, ..good },
            Figures { slowest: 9_999.0, ..good },
            Figures { bytes_per_event: 401.0, ..good },
        ] {
            assert_eq!(bad.missed().len(), 1, "{bad:?}");
        }
    }
}
