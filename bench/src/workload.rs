use std::{error, fmt, str::FromStr};

/// One thing a client does all day, as it is measured.
///
/// ```
/// use eventhubs_bench::Workload;
///
/// let workload: Workload = "receive-1k".parse()?;
/// assert_eq!(workload.body(), 1_024);
/// # Ok::<(), eventhubs_bench::ParseWorkloadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Workload {
    /// Events of 1 KiB taken one by one from a stream; 1 partition, prefetch 1 000.
    Receive1k,
    /// The same with 100 bytes.
    Receive100,
    /// The same with 1 KiB, a partition key, properties and application properties.
    Receive1kProperties,
    /// The same with 32 KiB and prefetch 300.
    Receive32k,
    /// Batches filled to the link's limit with events of 1 KiB.
    Batch1k,
    /// Batches filled to the link's limit with events of 100 bytes.
    Batch100,
    /// 100 tasks, each awaiting one `send` of 1 KiB after the other.
    Send100Tasks,
    /// One task with 100 enqueued events of 1 KiB in flight.
    Enqueue100,
    /// As `receive-1k`, one by one through a host to a handler that is ready at once.
    EphEach1k,
    /// The same in batches of 100.
    EphBatch1k,
}

/// How many events the runs of a workload have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The shorter counted run.
    pub short: u64,
    /// The longer counted run; what is reported is the difference between the two.
    pub long: u64,
    /// The run against the clock.
    pub plain: u64,
}

impl Workload {
    /// Every workload, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Receive1k,
        Self::Receive100,
        Self::Receive1kProperties,
        Self::Receive32k,
        Self::Batch1k,
        Self::Batch100,
        Self::Send100Tasks,
        Self::Enqueue100,
        Self::EphEach1k,
        Self::EphBatch1k,
    ];

    /// The name on the command line and in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive1k => "receive-1k",
            Self::Receive100 => "receive-100",
            Self::Receive1kProperties => "receive-1k-properties",
            Self::Receive32k => "receive-32k",
            Self::Batch1k => "batch-1k",
            Self::Batch100 => "batch-100",
            Self::Send100Tasks => "send-100-tasks",
            Self::Enqueue100 => "enqueue-100",
            Self::EphEach1k => "eph-each-1k",
            Self::EphBatch1k => "eph-batch-1k",
        }
    }

    /// The hub to open at the raw peer: its name says what its events look like.
    #[must_use]
    pub const fn hub(self) -> &'static str {
        match self {
            Self::Receive100 => "body-100",
            Self::Receive1kProperties => "body-1024-properties",
            Self::Receive32k => "body-32768",
            _ => "body-1024",
        }
    }

    /// Bytes in the body of each event.
    #[must_use]
    pub const fn body(self) -> usize {
        match self {
            Self::Receive100 | Self::Batch100 => 100,
            Self::Receive32k => 32_768,
            _ => 1_024,
        }
    }

    /// Events the client asks for ahead of the consumer.
    #[must_use]
    pub const fn prefetch(self) -> u32 {
        match self {
            Self::Receive32k => 300,
            _ => 1_000,
        }
    }

    /// The lengths of its runs: long enough that what happens once per read, flow or batch is
    /// spread evenly, short enough for a machine that counts every instruction.
    #[must_use]
    pub const fn runs(self) -> Runs {
        match self {
            Self::Receive32k => Runs { short: 3_000, long: 23_000, plain: 60_000 },
            Self::Batch1k => Runs { short: 40_000, long: 240_000, plain: 2_000_000 },
            Self::Batch100 => Runs { short: 100_000, long: 600_000, plain: 8_000_000 },
            Self::Send100Tasks | Self::Enqueue100 => {
                Runs { short: 20_000, long: 120_000, plain: 1_000_000 }
            }
            _ => Runs { short: 40_000, long: 240_000, plain: 4_000_000 },
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseWorkloadError {
    text: String,
}

impl fmt::Display for ParseWorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no workload is called {:?}; there are", self.text)?;
        for workload in Workload::ALL {
            write!(f, " {workload}")?;
        }
        Ok(())
    }
}

impl error::Error for ParseWorkloadError {}

impl FromStr for Workload {
    type Err = ParseWorkloadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == text)
            .ok_or_else(|| ParseWorkloadError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for workload in Workload::ALL {
            assert_eq!(workload.name().parse(), Ok(workload));
        }
        assert!("receive".parse::<Workload>().is_err());
    }

    #[test]
    fn the_long_run_is_longer() {
        for workload in Workload::ALL {
            let runs = workload.runs();
            assert!(runs.short < runs.long && runs.long < runs.plain, "{workload}");
        }
    }
}
