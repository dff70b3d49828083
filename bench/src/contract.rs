//! The limits of `report --check`: the one place to tighten them.

use crate::Workload;

/// The most a workload may cost; `None` where nothing is promised yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What is measured.
    pub workload: Workload,
    /// User-space instructions per event.
    pub instructions: Option<f64>,
    /// Heap allocations (`alloc`, `alloc_zeroed` and `realloc`) per event.
    pub allocations: Option<f64>,
    /// The most instructions in terms of another workload's.
    pub ratio: Option<Ratio>,
}

/// So many times what another workload costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// That workload.
    pub of: Workload,
    /// The factor.
    pub most: f64,
}

const fn limit(workload: Workload, instructions: f64, allocations: Option<f64>) -> Limit {
    Limit { workload, instructions: Some(instructions), allocations, ratio: None }
}

const fn unlimited(workload: Workload) -> Limit {
    Limit { workload, instructions: None, allocations: None, ratio: None }
}

/// What a host may add to receiving without one. The aim is 1.15 for both.
const fn hosted(workload: Workload, most: f64) -> Limit {
    let ratio = Ratio { of: Workload::Receive1k, most };
    Limit { workload, instructions: None, allocations: Some(0.1), ratio: Some(ratio) }
}

/// One row per workload, in the order of [`Workload::ALL`].
pub const CONTRACT: [Limit; 10] = [
    limit(Workload::Receive1k, 1_500.0, Some(0.1)),
    limit(Workload::Receive100, 1_500.0, Some(0.1)),
    unlimited(Workload::Receive1kProperties),
    unlimited(Workload::Receive32k),
    limit(Workload::Batch1k, 700.0, None),
    limit(Workload::Batch100, 700.0, Some(0.1)),
    unlimited(Workload::Send100Tasks),
    unlimited(Workload::Enqueue100),
    hosted(Workload::EphEach1k, 1.25),
    hosted(Workload::EphBatch1k, 1.15),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_its_row() {
        assert_eq!(CONTRACT.map(|limit| limit.workload), Workload::ALL);
    }
}
