//! Strikes as the schedule says.

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_emulator::FaultId;

use super::clock::Clock;
use super::site::Site;
use crate::rows::Act;
use crate::schedule::Window;

/// What was struck.
#[derive(Debug, Clone, Default)]
pub(crate) struct Struck {
    /// By row: windows and strikes in them.
    pub(crate) rows: BTreeMap<&'static str, (u64, u64)>,
    /// Events that consumers may be told are missing or spoiled.
    pub(crate) withheld: u64,
}

impl Struck {
    pub(crate) fn windows(&self) -> u64 {
        self.rows.values().map(|(windows, _)| windows).sum()
    }

    pub(crate) fn strikes(&self) -> u64 {
        self.rows.values().map(|(_, strikes)| strikes).sum()
    }
}

/// Something that has to be undone.
#[derive(Debug)]
enum Open {
    Emulator(FaultId),
    Network(FaultId),
    Tls,
}

/// Performs a schedule.
#[derive(Debug)]
pub(crate) struct Disorder<'a> {
    site: &'a Site,
    windows: &'a [Window],
    open: BTreeMap<usize, Vec<Open>>,
    struck: Struck,
}

impl<'a> Disorder<'a> {
    pub(crate) fn new(site: &'a Site, windows: &'a [Window]) -> Self {
        Self { site, windows, open: BTreeMap::new(), struck: Struck::default() }
    }

    /// Strikes until every window has ended.
    pub(crate) async fn run(mut self, clock: Clock) -> Struck {
        for (at, begins, index) in self.edges() {
            clock.reach(at).await;
            match begins {
                true => self.begin(index),
                false => self.end(index),
            }
        }
        self.struck
    }

    /// Beginnings and ends in the order of time.
    fn edges(&self) -> Vec<(Duration, bool, usize)> {
        let mut edges = Vec::with_capacity(self.windows.len() * 2);
        for (index, window) in self.windows.iter().enumerate() {
            edges.push((window.at, true, index));
            edges.push((window.until, false, index));
        }
        edges.sort_by_key(|(at, ..)| *at);
        edges
    }

    fn begin(&mut self, index: usize) {
        let window = &self.windows[index];
        self.struck.rows.entry(window.row).or_default().0 += 1;
        for act in &window.acts {
            self.struck.withheld = self.struck.withheld.saturating_add(act.withholds());
            let open = match act {
                Act::Emulator(fault) => {
                    self.site.emulator.inject(fault.clone()).ok().map(Open::Emulator)
                }
                Act::Network(fault) => {
                    self.site.network.inject(fault.clone()).ok().map(Open::Network)
                }
                Act::Clock(by) => {
                    self.site.advance_clock(*by);
                    self.struck.rows.entry(window.row).or_default().1 += 1;
                    None
                }
                Act::Tls(fault) => {
                    self.struck.rows.entry(window.row).or_default().1 += 1;
                    self.site.emulator.set_tls_fault(Some(*fault)).ok().map(|()| Open::Tls)
                }
            };
            self.open.entry(index).or_default().extend(open);
        }
    }

    fn end(&mut self, index: usize) {
        let strikes = &mut self.struck.rows.entry(self.windows[index].row).or_default().1;
        for open in self.open.remove(&index).unwrap_or_default() {
            match open {
                Open::Emulator(id) => {
                    *strikes += self.site.emulator.hits(id);
                    self.site.emulator.lift(id);
                }
                Open::Network(id) => {
                    *strikes += self.site.network.hits(id);
                    self.site.network.lift(id);
                }
                // It was taken before, so it can be taken back.
                Open::Tls => drop(self.site.emulator.set_tls_fault(None)),
            }
        }
    }
}
