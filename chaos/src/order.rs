//! What the parent tells a process with a host, line by line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Which calls of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Every call.
    All,
    /// Those that keep or change leases.
    Leases,
    /// Lists of leases and of hosts, and presences.
    Lists,
    /// Those of checkpoints.
    Checkpoints,
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Calls take longer before they take effect, and after.
    Slow {
        /// Before.
        before: Duration,
        /// After.
        after: Duration,
    },
    /// Calls fail without an effect.
    Refuses,
    /// Calls take effect and fail.
    Forgets,
    /// Calls are never answered.
    Hangs,
    /// The store asks for less.
    Busy {
        /// When to come again.
        after: Duration,
    },
}

/// One order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From now on something is wrong with the store.
    Store {
        /// To be [lifted](Self::Lift).
        id: u32,
        /// Which calls.
        calls: Calls,
        /// Of a hundred of them.
        percent: u64,
        /// What.
        trouble: Trouble,
    },
    /// From now on handlers take longer and fail.
    Handlers {
        /// To be [lifted](Self::Lift).
        id: u32,
        /// How much longer.
        slow: Duration,
        /// Of a thousand calls.
        failing: u64,
    },
    /// This is right again.
    Lift {
        /// What was wrong.
        id: u32,
    },
    /// Stop the host and start it again.
    Cycle {
        /// The time in between.
        pause: Duration,
    },
    /// Close the host and end.
    End,
}

const CALLS: [(&str, Calls); 4] = [
    ("all", Calls::All),
    ("leases", Calls::Leases),
    ("lists", Calls::Lists),
    ("checkpoints", Calls::Checkpoints),
];

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CALLS.iter().find(|(_, calls)| calls == self).map_or("", |(name, _)| name))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow { before, after } => {
                write!(f, "slow {} {}", before.as_millis(), after.as_millis())
            }
            Self::Refuses => f.write_str("refuses"),
            Self::Forgets => f.write_str("forgets"),
            Self::Hangs => f.write_str("hangs"),
            Self::Busy { after } => write!(f, "busy {}", after.as_millis()),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { id, calls, percent, trouble } => {
                write!(f, "store {id} {calls} {percent} {trouble}")
            }
            Self::Handlers { id, slow, failing } => {
                write!(f, "handlers {id} {} {failing}", slow.as_millis())
            }
            Self::Lift { id } => write!(f, "lift {id}"),
            Self::Cycle { pause } => write!(f, "cycle {}", pause.as_millis()),
            Self::End => f.write_str("end"),
        }
    }
}

/// A line that is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoOrder(pub String);

impl fmt::Display for NoOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no order", self.0)
    }
}

impl std::error::Error for NoOrder {}

impl FromStr for Order {
    type Err = NoOrder;

    fn from_str(line: &str) -> Result<Self, NoOrder> {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        read(&words).ok_or_else(|| NoOrder(line.to_owned()))
    }
}

fn read(words: &[&str]) -> Option<Order> {
    let millis = |word: &str| word.parse().ok().map(Duration::from_millis);
    Some(match words {
        ["store", id, calls, percent, trouble @ ..] => {
            let calls = CALLS.iter().find(|(name, _)| name == calls)?.1;
            let trouble = match trouble {
                ["slow", before, after] => {
                    Trouble::Slow { before: millis(before)?, after: millis(after)? }
                }
                ["refuses"] => Trouble::Refuses,
                ["forgets"] => Trouble::Forgets,
                ["hangs"] => Trouble::Hangs,
                ["busy", after] => Trouble::Busy { after: millis(after)? },
                _ => return None,
            };
            Order::Store { id: id.parse().ok()?, calls, percent: percent.parse().ok()?, trouble }
        }
        ["handlers", id, slow, failing] => {
            let (id, failing) = (id.parse().ok()?, failing.parse().ok()?);
            Order::Handlers { id, slow: millis(slow)?, failing }
        }
        ["lift", id] => Order::Lift { id: id.parse().ok()? },
        ["cycle", pause] => Order::Cycle { pause: millis(pause)? },
        ["end"] => Order::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_understood() {
        let second = Duration::from_secs(1);
        let troubles = [
            Trouble::Slow { before: second, after: second * 2 },
            Trouble::Refuses,
            Trouble::Forgets,
            Trouble::Hangs,
            Trouble::Busy { after: second / 2 },
        ];
        let store = |(_, calls): &(&str, Calls)| {
            let calls = *calls;
            troubles.map(|trouble| Order::Store { id: 3, calls, percent: 50, trouble })
        };
        let mut orders: Vec<_> = CALLS.iter().flat_map(store).collect();
        orders.extend([
            Order::Handlers { id: 4, slow: second, failing: 20 },
            Order::Lift { id: 3 },
            Order::Cycle { pause: second },
            Order::End,
        ]);
        for order in orders {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for line in ["", "end now", "store 1 some 5 hangs", "store 1 all 5 slow 1", "lift x"] {
            assert_eq!(line.parse::<Order>(), Err(NoOrder(line.to_owned())));
        }
    }
}
