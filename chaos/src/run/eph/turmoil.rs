//! Does to processes, handlers and the store what the plan says.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventhubs_eph::{FileStore, Leaser as _};
use futures_util::future::join_all;

use super::herd::Herd;
use super::{LEASE, NAMESPACE, STOP_MAX};
use crate::chronicle::{Span, Wipe};
use crate::order::Order;
use crate::run::clock::Clock;
use crate::run::site::{HUB, Site};
use crate::upheaval::{self, Upheaval, Upset};
use crate::violation::{Findings, Violation};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Wake {
    pub(super) troubles: Vec<Span>,
    pub(super) departures: Vec<Span>,
    pub(super) wipes: Vec<Wipe>,
    pub(super) findings: Findings,
}

/// Performs a plan.
#[derive(Debug)]
pub(super) struct Turmoil<'a> {
    pub(super) herd: &'a Herd,
    pub(super) site: &'a Site,
    pub(super) store: &'a FileStore,
    pub(super) folder: &'a Path,
    pub(super) clock: Clock,
    pub(super) wake: Mutex<Wake>,
}

impl Turmoil<'_> {
    /// Until every window has ended.
    pub(super) async fn run(&self, plan: &[Upheaval]) {
        let windows = (0..).zip(plan).map(|(id, window)| self.window(id, window));
        join_all(windows).await;
    }

    fn trouble(&self, from: u64, to: u64) {
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        wake.troubles.push(Span { from, to });
    }

    fn departed(&self, from: u64) {
        let span = Span { from, to: self.clock.micros() };
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        wake.departures.push(span);
    }

    async fn window(&self, id: u32, window: &Upheaval) {
        let Upheaval { at, until, ref upset } = *window;
        self.clock.reach(at).await;
        let from = self.clock.micros();
        match *upset {
            Upset::Kill { host } => self.kill(host, until).await,
            Upset::Halt { host } => {
                let _gate = self.herd.gate(host).await;
                self.herd.halt(host, until.saturating_sub(self.clock.elapsed())).await;
            }
            Upset::Replace { host } => self.replace(host, until).await,
            Upset::Cycle { host } => {
                let _gate = self.herd.gate(host).await;
                let pause = until.saturating_sub(at).min(LEASE / 5);
                if !self.herd.cycle(host, pause, pause + STOP_MAX * 2).await {
                    let who = format!("stop and start of host {host}");
                    self.stuck(who, pause + STOP_MAX * 2);
                }
                self.departed(from);
            }
            Upset::CutOff { host } => {
                let faults = upheaval::cut_off(host).into_iter();
                let faults: Vec<_> =
                    faults.filter_map(|fault| self.site.emulator.inject(fault).ok()).collect();
                self.clock.reach(until).await;
                for id in faults {
                    self.site.emulator.lift(id);
                }
                self.trouble(from, self.clock.micros());
            }
            Upset::Store { host, calls, percent, trouble } => {
                self.herd.stand(id, host, Order::Store { id, calls, percent, trouble });
                self.clock.reach(until).await;
                self.herd.lift(id);
                // What is on its way is given up by its deadline.
                self.trouble(from, self.clock.micros() + micros(LEASE / 4));
            }
            Upset::Handlers { host, slow, failing } => {
                self.herd.stand(id, Some(host), Order::Handlers { id, slow, failing });
                self.clock.reach(until).await;
                self.herd.lift(id);
                self.trouble(from, self.clock.micros());
            }
            Upset::Wipe => {
                // It may be gone already.
                let _ = self.store.delete_store().await;
                self.wipe(from, None);
            }
            Upset::Spoil { partition } => {
                let file = self.lease_file(partition);
                // Where there is no lease yet, none is spoilt.
                let _ =
                    tokio::task::spawn_blocking(move || std::fs::write(file, "{\"epoch\":")).await;
                self.wipe(from, Some(partition));
            }
        }
    }

    fn wipe(&self, from: u64, partition: Option<u16>) {
        let span = Span { from, to: self.clock.micros() };
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        wake.wipes.push(Wipe { span, partition });
    }

    fn lease_file(&self, partition: u16) -> PathBuf {
        self.folder.join(NAMESPACE).join(HUB).join("%24default").join(format!("{partition}.lease"))
    }

    async fn kill(&self, host: u16, until: Duration) {
        let _gate = self.herd.gate(host).await;
        self.herd.kill(host);
        self.clock.reach(until).await;
        self.begin(host);
    }

    async fn replace(&self, host: u16, until: Duration) {
        let _gate = self.herd.gate(host).await;
        let from = self.clock.micros();
        self.end(host).await;
        self.departed(from);
        self.clock.reach(until).await;
        self.begin(host);
    }

    /// A new process changes who owns what, as one that ends does.
    fn begin(&self, host: u16) {
        let now = self.clock.micros();
        self.trouble(now, now);
        if let Err(failure) = self.herd.spawn(host) {
            self.stuck(format!("host {host}: {failure}"), Duration::ZERO);
        }
    }

    fn stuck(&self, who: String, waited: Duration) {
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        wake.findings.add(Violation::Stuck { who, waited });
    }

    /// Asks a process to end, which it does in time.
    pub(super) async fn end(&self, host: u16) {
        let start = self.clock.elapsed();
        if !self.herd.end(host, STOP_MAX * 2).await {
            return self.stuck(format!("the end of host {host}"), STOP_MAX * 2);
        }
        let took = self.clock.elapsed() - start;
        if took > STOP_MAX {
            let (operation, limit) = ("end of a host", STOP_MAX);
            let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
            wake.findings.add(Violation::Late { operation, took, limit });
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
