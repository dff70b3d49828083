//! What a hub keeps open, and when it makes it again: one connection, and links and a token on it.
//!
//! Inputs say what is wanted, what came of making it and what was lost; [`Machine::poll_action`]
//! says what to do about that. There is one making of a part at a time, whoever wants it; parts on
//! the connection wait for the connection, and go with it; a part that could not be made rests
//! before it is made again, however many want it meanwhile. News of a making that is not the
//! latest changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use eventhubs_protocol::PartitionId;

use super::backoff::Backoff;

/// Something that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The connection, open and authorized.
    Connection,
    /// A token that was put anew on the connection.
    Token,
    /// The links to the management node.
    Management,
    /// The sending link to the hub itself or to a partition.
    Sender(Option<PartitionId>),
}

/// Which making of a part; later ones are larger, across all parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// What came of a making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The part is there.
    Made,
    /// It failed, as it may while the service is in trouble.
    Failed,
    /// It was refused for a reason that no waiting mends: the next caller is told as soon.
    Refused,
}

/// What the owner has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make the part and report [`Machine::made`].
    Make(Part, Generation),
    /// The part is there: tell whoever waits for it.
    Ready(Part),
    /// The part could not be made, because of what came of making `cause`: tell whoever waits.
    Failed {
        /// The part.
        part: Part,
        /// The part whose making failed: itself or the connection.
        cause: Part,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Not there.
    Down,
    /// Being made.
    Making(Generation),
    /// There.
    Up(Generation),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    stand: Stand,
    /// Somebody waits for it.
    wanted: bool,
    /// Makings that failed since the last one that did not.
    failures: u32,
    /// When it may be made again.
    rested: Option<Instant>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { stand: Stand::Down, wanted: false, failures: 0, rested: None }
    }
}

/// The state of all parts.
#[derive(Debug)]
pub(crate) struct Machine {
    slots: BTreeMap<Part, Slot>,
    generation: u64,
    /// `None`: nothing rests.
    backoff: Option<Backoff>,
    actions: VecDeque<Action>,
    /// When the token wants to be renewed.
    renewal: Option<Instant>,
}

impl Machine {
    pub(crate) fn new(backoff: Option<Backoff>) -> Self {
        Self {
            slots: BTreeMap::new(),
            generation: 0,
            backoff,
            actions: VecDeque::new(),
            renewal: None,
        }
    }

    /// Somebody waits for the part. [`Action::Ready`] or [`Action::Failed`] follows.
    pub(crate) fn want(&mut self, part: Part, now: Instant) {
        self.slot(part).wanted = true;
        self.advance(part, now);
    }

    /// What came of a making.
    pub(crate) fn made(
        &mut self,
        part: Part,
        generation: Generation,
        ending: Ending,
        now: Instant,
        random: u64,
    ) {
        if !self.is_making(part, generation) {
            return;
        }
        let failures = self.slot(part).failures;
        match ending {
            Ending::Made => self.succeeded(part, generation, now),
            Ending::Failed => self.failed(part, failures.saturating_add(1), now, random),
            Ending::Refused => self.failed(part, 1, now, random),
        }
    }

    /// The part turned out to be gone, or is of no use any more. With the connection goes all that
    /// is on it.
    pub(crate) fn lost(&mut self, part: Part, generation: Generation, now: Instant) {
        if self.slot(part).stand != Stand::Up(generation) {
            return;
        }
        self.slot(part).stand = Stand::Down;
        if part == Part::Connection {
            self.renewal = None;
            self.drop_dependents();
        }
        self.advance_all(now);
    }

    /// The generation of a part that is there.
    pub(crate) fn up(&self, part: Part) -> Option<Generation> {
        match self.slots.get(&part)?.stand {
            Stand::Up(generation) => Some(generation),
            Stand::Down | Stand::Making(_) => None,
        }
    }

    /// Whether this making is the latest of its part, and its end is waited for.
    pub(crate) fn is_making(&self, part: Part, generation: Generation) -> bool {
        self.slots.get(&part).is_some_and(|slot| slot.stand == Stand::Making(generation))
    }

    /// Makes a part again that is there, unless that is under way.
    pub(crate) fn renew(&mut self, part: Part, now: Instant) {
        if let Some(generation) = self.up(part) {
            self.slot(part).wanted = true;
            self.lost(part, generation, now);
        } else {
            self.want(part, now);
        }
    }

    /// When the token of the connection wants to be renewed; `None` when there is no other token.
    pub(crate) fn set_renewal(&mut self, at: Option<Instant>) {
        self.renewal = at;
    }

    /// The next moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let resting = self.slots.iter().filter(|(part, slot)| {
            slot.wanted && slot.stand == Stand::Down && self.stands_on(**part)
        });
        let rested = resting.filter_map(|(_, slot)| slot.rested);
        rested.chain(self.renewal).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.renewal.is_some_and(|at| at <= now) {
            self.renewal = None;
            if self.up(Part::Connection).is_some() {
                self.renew(Part::Token, now);
            }
        }
        self.advance_all(now);
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn slot(&mut self, part: Part) -> &mut Slot {
        self.slots.entry(part).or_default()
    }

    /// Whether what the part is made on is there.
    fn stands_on(&self, part: Part) -> bool {
        part == Part::Connection || self.up(Part::Connection).is_some()
    }

    fn succeeded(&mut self, part: Part, generation: Generation, now: Instant) {
        let slot = self.slot(part);
        *slot = Slot { stand: Stand::Up(generation), ..Slot::default() };
        self.actions.push_back(Action::Ready(part));
        if part == Part::Connection {
            // A connection comes with a token.
            *self.slot(Part::Token) = Slot { stand: Stand::Up(generation), ..Slot::default() };
            self.actions.push_back(Action::Ready(Part::Token));
            self.advance_all(now);
        }
    }

    fn failed(&mut self, part: Part, failures: u32, now: Instant, random: u64) {
        let backoff = self.backoff;
        let slot = self.slot(part);
        slot.stand = Stand::Down;
        slot.wanted = false;
        slot.failures = failures;
        slot.rested = backoff.map(|backoff| now + backoff.delay(failures, random));
        let rested = slot.rested;
        self.actions.push_back(Action::Failed { part, cause: part });
        match part {
            // Nobody may wait for a renewal, and it has to come about all the same.
            Part::Token => self.renewal = Some(rested.unwrap_or(now + RENEWAL_RETRY)),
            Part::Connection => {
                for (part, slot) in &mut self.slots {
                    if std::mem::take(&mut slot.wanted) {
                        let (part, cause) = (*part, Part::Connection);
                        self.actions.push_back(Action::Failed { part, cause });
                    }
                }
            }
            Part::Management | Part::Sender(_) => {}
        }
    }

    /// What was on a connection that is gone. What is being made on it fails by itself, and is news
    /// of a making that is not the latest.
    fn drop_dependents(&mut self) {
        for (part, slot) in &mut self.slots {
            if *part != Part::Connection {
                // Whoever waited for it still does, and gets it on the next connection.
                slot.wanted |= matches!(slot.stand, Stand::Making(_));
                slot.stand = Stand::Down;
            }
        }
    }

    fn advance_all(&mut self, now: Instant) {
        let wanted: Vec<Part> =
            self.slots.iter().filter(|(_, slot)| slot.wanted).map(|(part, _)| *part).collect();
        for part in wanted {
            self.advance(part, now);
        }
    }

    /// Takes a wanted part one step further.
    fn advance(&mut self, part: Part, now: Instant) {
        let slot = *self.slot(part);
        match slot.stand {
            Stand::Up(_) if slot.wanted => {
                self.slot(part).wanted = false;
                self.actions.push_back(Action::Ready(part));
            }
            Stand::Up(_) | Stand::Making(_) => {}
            Stand::Down if !self.stands_on(part) => {
                if !self.slot(Part::Connection).wanted {
                    self.want(Part::Connection, now);
                }
            }
            Stand::Down if slot.rested.is_some_and(|at| now < at) => {}
            Stand::Down => {
                self.generation += 1;
                let generation = Generation(self.generation);
                self.slot(part).stand = Stand::Making(generation);
                self.actions.push_back(Action::Make(part, generation));
            }
        }
    }
}

/// Time until the next try when the service did not take a renewed token and nothing rests.
const RENEWAL_RETRY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
