//! Which events of a partition may be handled at the same time: those of different keys.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::handler::LANES_MAX;

/// Events that may be taken ahead, for each lane.
const AHEAD: usize = 16;

/// A bounded number of lanes. Events of one key are always in the same lane, and a lane hands out one
/// at a time, in order. Events without a key are in the first lane.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: Box<[Lane<T>]>,
    /// Lanes that could hand out something, in the order in which they became so.
    ready: VecDeque<usize>,
    /// Events in all lanes, those that were handed out among them.
    held: usize,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    is_busy: bool,
}

impl<T> Lanes<T> {
    pub(crate) fn new(lanes: NonZeroUsize) -> Self {
        let lane = || Lane { waiting: VecDeque::new(), is_busy: false };
        let lanes = (0..lanes.get().min(LANES_MAX)).map(|_| lane()).collect();
        Self { lanes, ready: VecDeque::new(), held: 0 }
    }

    /// Number of lanes.
    pub(crate) fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Whether one more event may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.held < self.lanes.len() * AHEAD
    }

    /// Takes an event into [its lane](Self::lane_of).
    pub(crate) fn push(&mut self, at: usize, event: T) {
        let lane = &mut self.lanes[at];
        if lane.waiting.is_empty() && !lane.is_busy {
            self.ready.push_back(at);
        }
        lane.waiting.push_back(event);
        self.held += 1;
    }

    /// The next event whose lane is not busy; it is from now on.
    pub(crate) fn pop(&mut self) -> Option<(usize, T)> {
        let at = self.ready.pop_front()?;
        let lane = &mut self.lanes[at];
        let event = lane.waiting.pop_front()?;
        lane.is_busy = true;
        Some((at, event))
    }

    /// What this lane handed out has ended.
    pub(crate) fn ended(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        if lane.is_busy {
            lane.is_busy = false;
            self.held -= 1;
            if !lane.waiting.is_empty() {
                self.ready.push_back(at);
            }
        }
    }

    /// Drops what was not handed out.
    pub(crate) fn clear(&mut self) {
        for lane in &mut self.lanes {
            self.held -= lane.waiting.len();
            lane.waiting.clear();
        }
        self.ready.clear();
    }

    /// The lane of a key: by FNV-1a, mixed, because keys differ in their last letters only.
    pub(crate) fn lane_of(&self, key: Option<&str>) -> usize {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        const MIX: u64 = 0xff51_afd7_ed55_8ccd;
        let Some(key) = key else { return 0 };
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        let hash = key.bytes().fold(BASIS, step);
        let mixed = (hash ^ (hash >> 33)).wrapping_mul(MIX);
        usize::try_from(mixed >> 33).unwrap_or_default() % self.lanes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn lanes(count: usize) -> Lanes<(Option<u8>, u32)> {
        Lanes::new(NonZeroUsize::new(count).expect("not zero"))
    }

    fn key(key: Option<u8>) -> Option<String> {
        key.map(|key| format!("device-{key}"))
    }

    #[test]
    fn keys_spread_over_the_lanes() {
        let lanes = lanes(16);
        let mut used: Vec<usize> =
            (0..200_u8).map(|number| lanes.lane_of(key(Some(number)).as_deref())).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), 16);
        assert_eq!(lanes.lane_of(None), 0);
    }

    #[test]
    fn what_is_cleared_leaves_what_runs() {
        let mut lanes = lanes(1);
        for number in 0..3 {
            lanes.push(0, (None, number));
        }
        let (lane, _) = lanes.pop().expect("one is ready");
        lanes.clear();
        assert_eq!(lanes.held, 1);
        lanes.ended(lane);
        assert_eq!((lanes.held, lanes.pop()), (0, None));
    }

    proptest! {
        /// Whatever order calls end in: one at a time of each key, in order, each event once, no more
        /// held than the window, and no event stuck.
        #[test]
        fn events_of_a_key_stay_in_order_and_alone(
            count in 1_usize..9,
            keys in proptest::collection::vec(proptest::option::of(0_u8..12), 1..300),
            ends in proptest::collection::vec(0_usize..9, 300),
        ) {
            let mut lanes = lanes(count);
            let total = keys.len();
            let mut coming = keys.into_iter().zip(0_u32..);
            let mut running: Vec<(usize, (Option<u8>, u32))> = Vec::new();
            let mut last = BTreeMap::new();
            let mut handled = 0;
            for end in ends {
                while lanes.has_room() && let Some((of, number)) = coming.next() {
                    let lane = lanes.lane_of(key(of).as_deref());
                    lanes.push(lane, (of, number));
                }
                prop_assert!(lanes.held <= count * AHEAD);
                while let Some((lane, (of, number))) = lanes.pop() {
                    prop_assert!(running.iter().all(|(_, (other, _))| *other != of));
                    prop_assert!(last.insert(of, number).is_none_or(|before| before < number));
                    running.push((lane, (of, number)));
                }
                prop_assert!(running.len() <= count);
                if !running.is_empty() {
                    let (lane, _) = running.remove(end % running.len());
                    lanes.ended(lane);
                    handled += 1;
                }
            }
            prop_assert_eq!(handled, total);
        }
    }
}
