//! What is wrong, from what is known: pure.

use std::collections::BTreeSet;
use std::time::Duration;

use eventhubs_client::Error;
use eventhubs_protocol::PartitionId;

use super::{Health, PartitionHealth, Problem};
use crate::error::StoreError;
use crate::host::{HostError, HostState};
use crate::ownership::Timing;

/// Failures in a row that are a problem: one or two happen.
const FAILURES: u32 = 3;

/// What is known of a host at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) state: HostState,
    pub(crate) since: Duration,
    pub(crate) timing: Timing,
    pub(crate) scan: Duration,
    pub(crate) failure: Option<HostError>,
    pub(crate) partitions: Vec<PartitionHealth>,
    pub(crate) scan_age: Option<Duration>,
    pub(crate) hub: Option<Error>,
    pub(crate) is_hub_silent: bool,
    pub(crate) store: Option<StoreError>,
    pub(crate) corrupt: Vec<(PartitionId, StoreError)>,
    pub(crate) stopped: BTreeSet<PartitionId>,
}

impl From<Snapshot> for Health {
    fn from(known: Snapshot) -> Self {
        let problems = known.problems();
        let Snapshot { state, since, partitions, scan_age, .. } = known;
        Self { state, since, partitions, scan_age, problems }
    }
}

impl Snapshot {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.failure.clone().map(|error| Problem::StartFailed { error }));
        if !matches!(self.state, HostState::Starting | HostState::Running | HostState::Paused) {
            // Nothing else is expected of it.
            return problems;
        }
        problems.extend(self.hub.clone().map(|error| Problem::Hub { error }));
        problems.extend(self.is_hub_silent.then_some(Problem::HubSilent));
        problems.extend(self.store.clone().map(|error| Problem::Store { error }));
        for (partition, error) in &self.corrupt {
            let (partition, error) = (*partition, error.clone());
            problems.push(Problem::CorruptLease { partition, error });
        }
        let late = self.scan_age.filter(|age| *age > 3 * self.scan);
        problems.extend(late.map(|age| Problem::ScanLate { age }));
        self.partitions.iter().for_each(|health| self.of(health, &mut problems));
        let stopped = self.stopped.iter();
        problems.extend(stopped.map(|&partition| Problem::PartitionStopped { partition }));
        problems
    }

    fn of(&self, health: &PartitionHealth, problems: &mut Vec<Problem>) {
        let partition = health.partition;
        let (ago, fence_in) = (health.last_renewed_ago, health.fence_in);
        if ago > 2 * self.timing.renewal {
            problems.push(Problem::RenewalLate { partition, ago, fence_in });
        }
        if health.failures >= FAILURES {
            problems.push(Problem::PartitionFailing { partition, failures: health.failures });
        }
        if let Some(running_for) = health.handler_running_for.filter(|at| *at > self.timing.lease) {
            problems.push(Problem::HandlerSlow { partition, running_for });
        }
    }
}

#[cfg(test)]
mod tests {
    use eventhubs_protocol::OwnerLevel;

    use super::*;
    use crate::error::{StoreErrorKind, StoreOperation};
    use crate::host::HostErrorKind;

    fn well() -> Snapshot {
        Snapshot {
            state: HostState::Running,
            since: Duration::from_secs(100),
            timing: Timing::default(),
            scan: Duration::from_secs(10),
            failure: None,
            partitions: vec![PartitionHealth::new(0.into(), OwnerLevel::ZERO)],
            scan_age: Some(Duration::from_secs(30)),
            hub: None,
            is_hub_silent: false,
            store: None,
            corrupt: Vec::new(),
            stopped: BTreeSet::new(),
        }
    }

    fn store_error() -> StoreError {
        StoreError::new(StoreErrorKind::Unauthorized, StoreOperation::List, "leases", "403")
    }

    fn texts(change: impl FnOnce(&mut Snapshot)) -> Vec<String> {
        let mut known = well();
        change(&mut known);
        let health = Health::from(known);
        assert_eq!(health.is_ok(), health.problems.is_empty());
        health.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_host_that_does_its_work_is_ok() {
        assert!(texts(|_| {}).is_empty());
        assert!(texts(|known| known.state = HostState::Paused).is_empty());
    }

    #[test]
    fn a_host_that_does_not_run_is_not_ok() {
        for state in [HostState::Idle, HostState::Starting, HostState::Stopping, HostState::Closed]
        {
            assert!(!Health::from(Snapshot { state, ..well() }).is_ok(), "{state}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_a_problem_of_its_own() {
        let one = |change: fn(&mut Snapshot), part: &str| {
            let texts = texts(change);
            assert!(texts.len() == 1 && texts[0].contains(part), "{part}: {texts:?}");
        };
        one(|known| known.is_hub_silent = true, "hub does not answer");
        one(|known| known.store = Some(store_error()), "a person must act");
        one(|known| known.corrupt = vec![(1.into(), store_error())], "partition 1");
        one(|known| known.scan_age = Some(Duration::from_secs(31)), "31s ago");
        one(|known| known.stopped = BTreeSet::from([2.into()]), "partition 2");
        one(|known| known.partitions[0].failures = 3, "3 times");
        one(
            |known| known.partitions[0].last_renewed_ago = Duration::from_secs(21),
            "renewed 21s ago",
        );
        one(
            |known| known.partitions[0].handler_running_for = Some(Duration::from_secs(61)),
            "at it for 61s",
        );
        let failure = HostError::new(HostErrorKind::Timeout, "test");
        let known = Snapshot { state: HostState::Idle, failure: Some(failure), ..well() };
        assert_eq!(Health::from(known).problems.len(), 1);
    }

    #[test]
    fn one_or_two_failures_and_one_late_renewal_happen() {
        let texts = texts(|known| {
            known.partitions[0].failures = 2;
            known.partitions[0].last_renewed_ago = Duration::from_secs(20);
            known.partitions[0].handler_running_for = Some(Duration::from_secs(60));
        });
        assert!(texts.is_empty(), "{texts:?}");
    }
}
