//! The hubs of a run: one for each client, and a new one for a client that starts over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventhubs_client::{Hub, Statistics};

use super::Failure;
use super::site::{Manner, Site};

/// Every hub there was.
#[derive(Debug)]
pub(crate) struct Fleet {
    site: Arc<Site>,
    manner: Manner,
    /// Whether clients may start over: not when they share a hub with others.
    pub(crate) may_restart: bool,
    hubs: Mutex<Vec<Berth>>,
}

/// A hub and whose it is.
#[derive(Debug)]
struct Berth {
    role: &'static str,
    number: u16,
    hub: Hub,
}

impl Fleet {
    pub(crate) fn new(site: Arc<Site>, manner: Manner, may_restart: bool) -> Self {
        Self { site, manner, may_restart, hubs: Mutex::default() }
    }

    fn berths(&self) -> MutexGuard<'_, Vec<Berth>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new hub for the n-th client of a role; [`latest`](Self::latest) from now on.
    pub(crate) fn launch(&self, role: &'static str, number: u16) -> Result<Hub, Failure> {
        let hub = self.site.hub(role, number, self.manner)?;
        self.berths().push(Berth { role, number, hub: hub.clone() });
        Ok(hub)
    }

    /// The newest hub of a client.
    pub(crate) fn latest(&self, role: &str, number: u16) -> Option<Hub> {
        let berths = self.berths();
        let own = berths.iter().rfind(|berth| (berth.role, berth.number) == (role, number));
        own.map(|berth| berth.hub.clone())
    }

    pub(crate) fn hubs(&self) -> Vec<Hub> {
        self.berths().iter().map(|berth| berth.hub.clone()).collect()
    }

    pub(crate) fn statistics(&self) -> Vec<Statistics> {
        self.berths().iter().map(|berth| berth.hub.statistics()).collect()
    }
}
