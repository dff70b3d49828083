use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), max: Duration::from_secs(30) };
const SECOND: Duration = Duration::from_secs(1);
const LINK: Part = Part::Sender(None);

fn machine() -> (Machine, Instant) {
    (Machine::new(Some(BACKOFF)), tokio::time::Instant::now().into_std())
}

fn actions(machine: &mut Machine) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}

/// The one making that was asked for, of this part.
fn making(machine: &mut Machine, part: Part) -> Generation {
    match actions(machine).as_slice() {
        [Action::Make(made, generation)] if *made == part => *generation,
        other => panic!("{other:?} is not the making of {part:?} alone"),
    }
}

/// A machine whose connection is up.
fn connected() -> (Machine, Instant, Generation) {
    let (mut machine, now) = machine();
    machine.want(Part::Connection, now);
    let generation = making(&mut machine, Part::Connection);
    machine.made(Part::Connection, generation, Ending::Made, now, 0);
    actions(&mut machine);
    (machine, now, generation)
}

#[test]
fn a_part_waits_for_its_connection_and_many_wanters_make_one_making() {
    let (mut machine, now) = machine();
    for part in [LINK, LINK, Part::Management, LINK] {
        machine.want(part, now);
    }
    let connection = making(&mut machine, Part::Connection);
    machine.want(LINK, now);
    assert_eq!(actions(&mut machine), []);
    machine.made(Part::Connection, connection, Ending::Made, now, 0);
    let made = actions(&mut machine);
    let count = |wanted: Part| {
        made.iter()
            .filter(|action| matches!(action, Action::Make(part, _) if *part == wanted))
            .count()
    };
    assert_eq!(
        (count(LINK), count(Part::Management), count(Part::Connection)),
        (1, 1, 0),
        "{made:?}"
    );
    assert!(made.contains(&Action::Ready(Part::Connection)), "{made:?}");
}

#[test]
fn everybody_learns_that_the_connection_could_not_be_made() {
    let (mut machine, now) = machine();
    machine.want(LINK, now);
    machine.want(Part::Management, now);
    let connection = making(&mut machine, Part::Connection);
    machine.made(Part::Connection, connection, Ending::Failed, now, 0);
    let failed = |part| Action::Failed { part, cause: Part::Connection };
    let told = actions(&mut machine);
    for part in [Part::Connection, Part::Management, LINK] {
        assert!(told.contains(&failed(part)), "{part:?} in {told:?}");
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(machine.poll_timeout(), None, "nobody wants it any more");
}

#[test]
fn what_could_not_be_made_rests_whoever_wants_it() {
    let (mut machine, mut now) = machine();
    for failures in 1..10 {
        machine.want(LINK, now);
        assert_eq!(machine.poll_timeout().is_some(), failures > 1, "{} failures", failures - 1);
        if let Some(at) = machine.poll_timeout() {
            assert_eq!(actions(&mut machine), [], "it rests after {} failures", failures - 1);
            assert_eq!(at, now + BACKOFF.delay(failures - 1, u64::MAX));
            machine.handle_timeout(at - Duration::from_nanos(1));
            assert_eq!(actions(&mut machine), [], "it rests to the end");
            machine.handle_timeout(at);
            now = at;
        }
        let generation = making(&mut machine, Part::Connection);
        machine.made(Part::Connection, generation, Ending::Failed, now, u64::MAX);
        actions(&mut machine);
    }
}

#[test]
fn a_refusal_rests_but_never_longer_than_the_first() {
    let (mut machine, mut now) = machine();
    for refusals in 0..20 {
        machine.want(Part::Connection, now);
        assert_eq!(machine.poll_timeout().is_some(), refusals > 0);
        if let Some(at) = machine.poll_timeout() {
            assert_eq!(at, now + BACKOFF.base);
            machine.handle_timeout(at);
            now = at;
        }
        let generation = making(&mut machine, Part::Connection);
        machine.made(Part::Connection, generation, Ending::Refused, now, u64::MAX);
        actions(&mut machine);
    }
}

#[test]
fn without_a_backoff_nothing_rests() {
    let (mut machine, now) = (Machine::new(None), machine().1);
    for _ in 0..5 {
        machine.want(Part::Connection, now);
        let generation = making(&mut machine, Part::Connection);
        machine.made(Part::Connection, generation, Ending::Failed, now, 0);
        actions(&mut machine);
    }
}

#[test]
fn a_loss_costs_no_rest_and_success_forgets_failures() {
    let (mut machine, now, generation) = connected();
    machine.lost(Part::Connection, generation, now);
    machine.want(LINK, now);
    let generation = making(&mut machine, Part::Connection);
    machine.made(Part::Connection, generation, Ending::Failed, now, u64::MAX);
    actions(&mut machine);
    let now = now + SECOND;
    machine.want(Part::Connection, now);
    let generation = making(&mut machine, Part::Connection);
    machine.made(Part::Connection, generation, Ending::Made, now, u64::MAX);
    machine.lost(Part::Connection, generation, now);
    actions(&mut machine);
    machine.want(Part::Connection, now);
    making(&mut machine, Part::Connection);
}

#[test]
fn with_the_connection_goes_what_is_on_it() {
    let (mut machine, now, connection) = connected();
    machine.want(LINK, now);
    let link = making(&mut machine, LINK);
    machine.made(LINK, link, Ending::Made, now, 0);
    machine.want(Part::Management, now);
    let late = actions(&mut machine);
    let Some(Action::Make(_, management)) = late.last().copied() else { panic!("{late:?}") };
    machine.lost(Part::Connection, connection, now);
    assert_eq!((machine.up(LINK), machine.up(Part::Token)), (None, None));
    // Somebody waits for the management links; nobody for the sending link.
    let again = making(&mut machine, Part::Connection);
    machine.made(Part::Management, management, Ending::Made, now, 0);
    assert_eq!((actions(&mut machine), machine.up(Part::Management)), (vec![], None), "late news");
    machine.made(Part::Connection, again, Ending::Made, now, 0);
    let made = actions(&mut machine);
    assert!(
        made.iter().any(|action| matches!(action, Action::Make(Part::Management, _))),
        "{made:?}"
    );
    assert!(!made.iter().any(|action| matches!(action, Action::Make(LINK, _))), "{made:?}");
}

#[test]
fn late_news_of_a_connection_cannot_take_down_the_next_one() {
    let (mut machine, now, first) = connected();
    machine.lost(Part::Connection, first, now);
    machine.want(Part::Connection, now);
    let second = making(&mut machine, Part::Connection);
    machine.lost(Part::Connection, first, now);
    machine.made(Part::Connection, first, Ending::Failed, now, 0);
    assert_eq!(actions(&mut machine), []);
    machine.made(Part::Connection, second, Ending::Made, now, 0);
    machine.lost(Part::Connection, first, now);
    assert_eq!(machine.up(Part::Connection), Some(second));
}

#[test]
fn a_token_is_renewed_in_time_and_again_after_a_failure() {
    let (mut machine, now, _) = connected();
    let due = now + 60 * SECOND;
    machine.set_renewal(Some(due));
    assert_eq!(machine.poll_timeout(), Some(due));
    machine.handle_timeout(due - SECOND);
    assert_eq!(actions(&mut machine), []);
    machine.handle_timeout(due);
    let generation = making(&mut machine, Part::Token);
    machine.made(Part::Token, generation, Ending::Failed, due, u64::MAX);
    assert_eq!(actions(&mut machine), [Action::Failed { part: Part::Token, cause: Part::Token }]);
    let again = machine.poll_timeout().expect("nobody waits, and it is tried again");
    assert_eq!(again, due + BACKOFF.delay(1, u64::MAX));
    machine.handle_timeout(again);
    making(&mut machine, Part::Token);
}

#[test]
fn forced_renewals_at_one_time_are_one() {
    let (mut machine, now, _) = connected();
    machine.renew(Part::Token, now);
    let generation = making(&mut machine, Part::Token);
    machine.renew(Part::Token, now);
    machine.renew(Part::Token, now);
    assert_eq!(actions(&mut machine), []);
    machine.made(Part::Token, generation, Ending::Made, now, 0);
    assert_eq!(actions(&mut machine), [Action::Ready(Part::Token)]);
}

#[test]
fn without_a_connection_a_token_comes_with_the_next_one() {
    let (mut machine, now) = machine();
    machine.renew(Part::Token, now);
    let generation = making(&mut machine, Part::Connection);
    machine.made(Part::Connection, generation, Ending::Made, now, 0);
    let told = actions(&mut machine);
    assert!(told.contains(&Action::Ready(Part::Token)), "{told:?}");
    assert!(!told.iter().any(|action| matches!(action, Action::Make(..))), "{told:?}");
}

/// What happens in the simulated world.
#[derive(Clone, Copy, Debug)]
enum Step {
    Want(u8),
    /// The oldest making under way ends, well or not.
    End(bool),
    /// A part that is up is lost.
    Lose(u8),
    Renew,
    /// Time goes on.
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..5).prop_map(Step::Want),
        4 => any::<bool>().prop_map(Step::End),
        1 => (0_u8..5).prop_map(Step::Lose),
        1 => Just(Step::Renew),
        3 => (1_u32..40_000).prop_map(Step::Wait),
    ]
}

fn part(number: u8) -> Part {
    match number {
        0 => Part::Connection,
        1 => Part::Management,
        2 => LINK,
        _ => Part::Sender(Some(PartitionId::from(u16::from(number)))),
    }
}

/// A world around a machine that holds it to its rules.
struct World {
    machine: Machine,
    now: Instant,
    under_way: Vec<(Part, Generation)>,
    waiting: BTreeSet<Part>,
    /// Failures in a row and the end of the rest after the last one.
    resting: BTreeMap<Part, Instant>,
}

impl World {
    fn new() -> Self {
        let (machine, now) = machine();
        Self {
            machine,
            now,
            under_way: Vec::new(),
            waiting: BTreeSet::new(),
            resting: BTreeMap::new(),
        }
    }

    fn take(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Make(part, generation) => {
                    let live = self.under_way.iter().filter(|(other, generation)| {
                        *other == part && self.machine.is_making(*other, *generation)
                    });
                    assert_eq!(live.count(), 0, "{part:?} is made twice at one time");
                    let connected = self.machine.up(Part::Connection).is_some();
                    assert!(part == Part::Connection || connected, "{part:?} is made on nothing");
                    if let Some(at) = self.resting.get(&part) {
                        assert!(self.now >= *at, "{part:?} has not rested");
                    }
                    self.under_way.push((part, generation));
                }
                Action::Ready(part) => {
                    assert!(self.machine.up(part).is_some(), "{part:?} is not there");
                    self.waiting.remove(&part);
                }
                Action::Failed { part, .. } => {
                    self.waiting.remove(&part);
                }
            }
        }
    }

    fn end(&mut self, index: usize, succeeded: bool) {
        let (part, generation) = self.under_way.remove(index);
        if self.machine.is_making(part, generation) {
            match succeeded {
                true => self.resting.remove(&part),
                false => self.resting.insert(part, self.now + BACKOFF.base / 2),
            };
            if succeeded && part == Part::Connection {
                self.resting.remove(&Part::Token);
            }
        }
        let ending = if succeeded { Ending::Made } else { Ending::Failed };
        self.machine.made(part, generation, ending, self.now, 0);
        if succeeded && part == Part::Connection {
            self.machine.set_renewal(Some(self.now + 100 * SECOND));
        }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Want(number) => {
                self.waiting.insert(part(number));
                self.machine.want(part(number), self.now);
            }
            Step::End(succeeded) if !self.under_way.is_empty() => self.end(0, succeeded),
            Step::End(_) => {}
            Step::Lose(number) => {
                if let Some(generation) = self.machine.up(part(number)) {
                    self.machine.lost(part(number), generation, self.now);
                }
            }
            Step::Renew => {
                self.waiting.insert(Part::Token);
                self.machine.renew(Part::Token, self.now);
            }
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis.into());
                self.machine.handle_timeout(self.now);
            }
        }
        self.take();
    }

    /// Everything works from now on: whoever waits gets what it waits for.
    fn heal(&mut self) {
        for _ in 0..1_000 {
            if self.waiting.is_empty() {
                return;
            }
            if !self.under_way.is_empty() {
                self.end(0, true);
            } else {
                let at = self.machine.poll_timeout();
                let at = at.unwrap_or_else(|| panic!("{:?} wait for nothing", self.waiting));
                assert!(at <= self.now + BACKOFF.max, "a rest is longer than the longest");
                self.now = self.now.max(at);
                self.machine.handle_timeout(self.now);
            }
            self.take();
        }
        panic!("{:?} still wait: {:?}", self.waiting, self.machine);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_one_making_at_a_time_rests_and_everybody_is_answered(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut world = World::new();
        for step in steps {
            world.perform(step);
        }
        world.heal();
    }
}
