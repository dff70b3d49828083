//! A record of what clients sent: performatives and the heads of messages, decoded with the names
//! of their fields and the types of their values.
//!
//! For people who write a client, and for comparing one with another. Bodies are told as kind and
//! size only, and so is everything that may hold a secret: tokens, and what SASL carries. A
//! connection is recorded from its first byte or not at all; both its record and all of them
//! together are bounded.

mod composite;
mod frames;
mod message;
mod tap;
mod value;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value as Json, json};

pub(crate) use tap::Tapped;

/// Bytes of JSON kept of one connection.
const CONNECTION_BYTES_MAX: usize = 2 << 20;
/// Bytes of JSON kept of all connections; the oldest go first.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Connections kept.
const CONNECTIONS_MAX: usize = 2048;

/// The records of one emulator.
#[derive(Debug)]
pub(crate) struct Record {
    on: AtomicBool,
    connections: Mutex<VecDeque<Arc<Entry>>>,
}

/// The record of one connection.
#[derive(Debug)]
struct Entry {
    number: u64,
    peer: Option<SocketAddr>,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Frames as JSON objects, each as text.
    frames: Vec<String>,
    bytes: usize,
    /// Why there is no more of it.
    stopped: Option<&'static str>,
}

impl Record {
    pub(crate) fn new(on: bool) -> Self {
        Self { on: AtomicBool::new(on), connections: Mutex::default() }
    }

    /// Whether connections that come from now on are recorded.
    pub(crate) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Forgets what there is. Connections that are recorded go on with an empty page.
    pub(crate) fn clear(&self) {
        let connections = std::mem::take(&mut *self.lock());
        for entry in connections {
            *entry.lock() = Lines::default();
        }
    }

    /// A page for a connection, if it is to be recorded.
    pub(crate) fn begin(&self, number: u64, peer: Option<SocketAddr>) -> Option<Page> {
        if !self.is_on() {
            return None;
        }
        let entry = Arc::new(Entry { number, peer, lines: Mutex::default() });
        let mut connections = self.lock();
        let bytes = |connections: &VecDeque<Arc<Entry>>| -> usize {
            connections.iter().map(|one| one.lock().bytes).sum()
        };
        while connections.len() >= CONNECTIONS_MAX
            || (!connections.is_empty()
                && bytes(&connections) + CONNECTION_BYTES_MAX > RECORD_BYTES_MAX)
        {
            if let Some(oldest) = connections.pop_front() {
                oldest.lock().stop("forgotten");
            }
        }
        connections.push_back(Arc::clone(&entry));
        Some(Page { entry })
    }

    /// Everything that is kept, or what is kept of one connection, as a JSON object.
    pub(crate) fn to_json(&self, number: Option<u64>) -> String {
        let connections: Vec<_> = self.lock().iter().cloned().collect();
        let wanted = connections.iter().filter(|one| number.is_none_or(|it| it == one.number));
        let pages: Vec<_> = wanted.map(|one| one.to_json()).collect();
        format!("{{\"recording\":{},\"connections\":[{}]}}", self.is_on(), pages.join(","))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn to_json(&self) -> String {
        let lines = self.lock();
        let peer = json!(self.peer.map(|peer| peer.to_string()));
        let (number, stopped, frames) = (self.number, json!(lines.stopped), lines.frames.join(","));
        format!(
            "{{\"number\":{number},\"peer\":{peer},\"stopped\":{stopped},\"frames\":[{frames}]}}"
        )
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Adds a JSON object.
    fn add(&mut self, text: String) {
        if self.stopped.is_some() {
            return;
        }
        self.bytes += text.len();
        match self.bytes > CONNECTION_BYTES_MAX {
            true => self.stop("full"),
            false => self.frames.push(text),
        }
    }

    fn stop(&mut self, why: &'static str) {
        self.stopped.get_or_insert(why);
    }
}

/// Where the record of one connection is written.
#[derive(Debug)]
pub(crate) struct Page {
    entry: Arc<Entry>,
}

impl Page {
    /// Adds a frame; nothing after a stop.
    fn add(&self, frame: &Json) {
        self.entry.lock().add(frame.to_string());
    }

    /// Ends the record.
    fn stop(&self, why: &'static str) {
        self.entry.lock().stop(why);
    }

    fn is_stopped(&self) -> bool {
        self.entry.lock().stopped.is_some()
    }
}

#[cfg(test)]
mod tests;
