//! The table and the verdict.

use eventhubs_bench::contract::Limit;

use crate::run::Cost;

/// The first line of the table.
pub(crate) const HEADING: &str = "workload               instr/event   limit | allocs/event   limit \
                                  | for information: CPU ns/event    events/s";

/// One line of the table.
pub(crate) fn row(limit: &Limit, cost: &Cost) -> String {
    let instructions = cost.instructions.map_or_else(|| "-".to_owned(), |n| format!("{n:.0}"));
    format!(
        "{:<22} {:>11} {:>7} | {:>12.3} {:>7} | {:>29.0} {:>11.0}",
        limit.workload,
        instructions,
        bound(limit.instructions),
        cost.allocations,
        bound(limit.allocations),
        cost.cpu_nanoseconds,
        cost.events_per_second,
    )
}

fn bound(limit: Option<f64>) -> String {
    limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string())
}

/// The limit with its ratio in figures, once it is known what the other workload costs.
pub(crate) fn resolved(limit: &Limit, other: Option<&Cost>) -> Limit {
    let most = limit.ratio.and_then(|ratio| Some(ratio.most * other?.instructions?));
    let rounded = most.map(f64::floor);
    Limit { instructions: limit.instructions.or(rounded), ..*limit }
}

/// What is over its limit, as sentences.
pub(crate) fn missed(limit: &Limit, cost: &Cost) -> Vec<String> {
    let figures = [
        ("instructions", cost.instructions, limit.instructions),
        ("allocations", Some(cost.allocations), limit.allocations),
    ];
    let over = |(what, cost, most): (&str, Option<f64>, Option<f64>)| {
        let (cost, most) = (cost?, most?);
        let sentence = || format!("{} {what} {cost:.3} > {most}", limit.workload);
        (cost > most).then(sentence)
    };
    figures.into_iter().filter_map(over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventhubs_bench::{Workload, contract::Ratio};

    fn cost(instructions: f64, allocations: f64) -> Cost {
        Cost {
            instructions: Some(instructions),
            allocations,
            cpu_nanoseconds: 1.0,
            events_per_second: 1.0,
        }
    }

    #[test]
    fn only_what_is_over_is_missed() {
        let limit = Limit {
            workload: Workload::Receive1k,
            instructions: Some(1_500.0),
            allocations: Some(0.1),
            ratio: None,
        };
        assert!(missed(&limit, &cost(1_500.0, 0.1)).is_empty());
        assert_eq!(missed(&limit, &cost(1_501.0, 0.2)).len(), 2);
        let unlimited = Limit { instructions: None, allocations: None, ..limit };
        assert!(missed(&unlimited, &cost(9e9, 9e9)).is_empty());
    }

    #[test]
    fn a_ratio_is_a_limit_once_the_other_is_known() {
        let ratio = Some(Ratio { of: Workload::Receive1k, most: 1.15 });
        let limit =
            Limit { workload: Workload::EphEach1k, instructions: None, allocations: None, ratio };
        assert_eq!(resolved(&limit, None).instructions, None);
        let resolved = resolved(&limit, Some(&cost(1_000.0, 0.0)));
        assert!(missed(&resolved, &cost(1_149.0, 0.0)).is_empty());
        assert_eq!(missed(&resolved, &cost(1_151.0, 0.0)).len(), 1);
    }

    #[test]
    fn rows_stand_under_the_heading() {
        let limit = Limit {
            workload: Workload::Receive1kProperties,
            instructions: Some(1_500.0),
            allocations: Some(0.1),
            ratio: None,
        };
        assert_eq!(row(&limit, &cost(704.0, 0.02)).len(), HEADING.len());
    }
}
