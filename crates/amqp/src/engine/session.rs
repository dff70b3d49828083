//! One session: channels, handles, windows, and our unsettled deliveries.

use super::blocked::BlockedQueue;
use super::options::SessionOptions;
use super::ring::Ring;
use super::serial;
use crate::codec::performative::{Begin, Flow};

/// Where a session stands between begin and end (AMQP 1.0, 2.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    BeginSent,
    BeginReceived,
    Mapped,
    /// We ended it. Everything but the peer's end is ignored.
    EndSent {
        reported: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) generation: u32,
    pub(crate) state: SessionState,
    pub(crate) options: SessionOptions,
    pub(crate) remote_channel: Option<u16>,
    /// Slots of links by our handle and by the peer's.
    pub(crate) local_handles: Vec<Option<u32>>,
    pub(crate) remote_handles: Vec<Option<u32>>,
    pub(crate) remote_handle_max: u32,
    /// Receiving: id of the peer's next transfer frame.
    pub(crate) next_incoming_id: u32,
    /// Receiving: transfer frames the peer may still send before our next flow.
    pub(crate) incoming_window: u32,
    /// Advertised as 0 until its owner opens it again.
    pub(crate) shut: bool,
    /// Bytes of whole deliveries on this session not yet let go. Those under way do not count: a
    /// window that they shut could never open again.
    pub(crate) held: usize,
    /// Sending: id of our next transfer frame.
    pub(crate) next_outgoing_id: u32,
    /// Sending: transfer frames the peer still takes.
    pub(crate) remote_window: u32,
    pub(crate) next_delivery_id: u32,
    pub(crate) ring: Ring,
    pub(crate) blocked: BlockedQueue,
    /// A link of it has [`Link::drain_waits`](super::link::Link::drain_waits).
    pub(crate) drain_waits: bool,
}

/// Handles a session takes at most, whatever its options say: tables of links are dense.
const HANDLE_MAX: u32 = 65_535;

impl Session {
    pub(crate) fn new(generation: u32, state: SessionState, options: SessionOptions) -> Self {
        let options = SessionOptions { handle_max: options.handle_max.min(HANDLE_MAX), ..options };
        Self {
            generation,
            state,
            options,
            remote_channel: None,
            local_handles: Vec::new(),
            remote_handles: Vec::new(),
            remote_handle_max: u32::MAX,
            next_incoming_id: 0,
            incoming_window: options.incoming_window,
            shut: false,
            held: 0,
            next_outgoing_id: options.next_outgoing_id,
            remote_window: 0,
            next_delivery_id: options.first_delivery_id,
            ring: Ring::starting_at(options.first_delivery_id),
            blocked: BlockedQueue::default(),
            drain_waits: false,
        }
    }

    /// Takes the peer's begin over (AMQP 1.0, 2.7.2).
    pub(crate) fn handle_begin(&mut self, channel: u16, begin: &Begin) {
        self.remote_channel = Some(channel);
        self.remote_handle_max = begin.handle_max;
        self.next_incoming_id = begin.next_outgoing_id;
        self.remote_window = begin.incoming_window;
    }

    /// The session half of a flow (AMQP 1.0, 2.5.6). Without next-incoming-id the peer had not seen
    /// our begin, so it counts from our first id.
    pub(crate) fn handle_flow(&mut self, flow: &Flow) {
        let base = flow.next_incoming_id.unwrap_or(self.options.next_outgoing_id);
        self.remote_window = serial::left(base, flow.incoming_window, self.next_outgoing_id);
    }

    /// Counts a received transfer frame; `false` when the window was shut.
    #[inline]
    pub(crate) fn take_incoming(&mut self) -> bool {
        let Some(window) = self.incoming_window.checked_sub(1) else {
            return false;
        };
        self.incoming_window = window;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        true
    }

    /// Whether the window has shrunk to half and may be opened again.
    #[inline]
    pub(crate) fn window_is_due(&self, soft_bytes: usize) -> bool {
        let half = self.options.incoming_window / 2;
        self.incoming_window <= half && self.held < soft_bytes && !self.shut
    }

    /// The session half of a flow of ours, with the window opened as far as memory allows.
    pub(crate) fn flow(&mut self, soft_bytes: usize) -> Flow {
        if self.held < soft_bytes && !self.shut {
            self.incoming_window = self.options.incoming_window;
        }
        Flow {
            next_incoming_id: self.remote_channel.map(|_| self.next_incoming_id),
            incoming_window: if self.shut { 0 } else { self.incoming_window },
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: self.options.outgoing_window,
            ..Flow::default()
        }
    }

    /// Lowest free handle of ours, within what the peer allows.
    pub(crate) fn free_handle(&self) -> Option<u32> {
        let index = self.local_handles.iter().position(Option::is_none);
        let handle = u32::try_from(index.unwrap_or(self.local_handles.len())).ok()?;
        (handle <= self.remote_handle_max.min(self.options.handle_max)).then_some(handle)
    }

    pub(crate) fn set_local_handle(&mut self, handle: u32, link: Option<u32>) {
        set(&mut self.local_handles, handle, link);
    }

    pub(crate) fn set_remote_handle(&mut self, handle: u32, link: Option<u32>) {
        set(&mut self.remote_handles, handle, link);
    }
}

/// Handles are bounded by `SessionOptions::handle_max` before they come here.
fn set(table: &mut Vec<Option<u32>>, handle: u32, link: Option<u32>) {
    let index = handle as usize;
    if index >= table.len() {
        if link.is_none() {
            return;
        }
        table.resize(index + 1, None);
    }
    table[index] = link;
}
