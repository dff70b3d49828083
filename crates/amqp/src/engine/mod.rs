//! The AMQP 1.0 state machine (parts 2 and 5.3), without a socket, a clock or a task.
//!
//! # How to drive a [`Connection`]
//!
//! Bytes and time go in, bytes and facts come out. There are three kinds of method:
//!
//! * `handle_*` take what happened: bytes ([`handle_input`](Connection::handle_input)), the end of
//!   the stream, the passing of time. They never fail; a broken rule becomes an event.
//! * `poll_*`, [`touched`](Connection::touched), [`deliveries`](Connection::deliveries) and
//!   [`outcomes`](Connection::outcomes) give out what followed. After every `handle_*` take the
//!   touched links first, then events until there are none, then bytes to write.
//! * Everything else is a wish of the owner: attach, send, grant credit, settle, detach, close.
//!
//! Time is an argument. It must not run backwards; wishes count from the latest time seen.
//!
//! # What it answers by itself
//!
//! Only what the protocol leaves no choice about: headers, the dialler's SASL and open, the
//! detach, end and close that answer the peer's, flows that were asked to be echoed, heartbeats,
//! and the reopening of session windows. Attach, begin and open of a peer, credit and settlement
//! wait for a call, so that a broker built on it can refuse, withhold and lose.
//!
//! # What a broken rule costs
//!
//! The smallest scope that cannot be trusted any more: a transfer without credit costs the link, an
//! unknown handle the session, bytes that are no frame the connection. What real clients do
//! although the specification forbids it is tolerated where memory stays bounded; the list is in
//! `docs/wire.md`.
//!
//! ```
//! use std::time::Instant;
//! use eventhubs_amqp::engine::{Connection, Options};
//!
//! # fn now() -> Instant { tokio::time::Instant::now().into_std() }
//! let mut connection = Connection::new(Options::dialler("me"), now());
//! let mut slices = [std::io::IoSlice::new(&[]); 4];
//! let used = connection.poll_transmit(&mut slices);
//! assert_eq!(&slices[..used][0][..8], b"AMQP\x00\x01\x00\x00");
//! ```

mod blocked;
mod delivery;
mod event;
mod id;
mod input;
mod link;
mod linking;
mod misbehaving;
mod options;
mod output;
mod receiving;
mod ring;
mod sending;
mod serial;
mod session;
mod sessions;
mod startup;
mod timing;
#[cfg(feature = "wire-trace")]
mod trace;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

pub use self::delivery::Delivery;
pub use self::event::{CloseReason, Event, LinkError, Origin, Outcome, SendError, SessionError};
pub use self::id::{LinkId, SessionId};
pub use self::options::{Limits, Options, Sasl, SessionOptions, Side};
pub use self::sending::Outgoing;

use self::id::Slots;
use self::link::Link;
use self::output::Output;
use self::session::Session;
use self::timing::Timing;
pub(crate) use self::timing::later;
use crate::codec::performative::{Close, Open};
use crate::codec::{AmqpError, FieldList, Symbol, frame};

/// Events that may wait for the owner. When as many do, input is left unread until they are taken.
pub const EVENTS_MAX: usize = 1024;

/// What the next bytes of the peer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A protocol header.
    Header,
    /// SASL frames.
    Sasl,
    /// AMQP frames.
    Frames,
    /// Nothing that matters any more.
    Closed,
}

/// One AMQP connection, either end. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    phase: Phase,
    sasl_done: bool,
    /// Listener: a SASL frame of the peer waits for the owner's answer.
    sasl_waits: bool,
    /// Input waits behind that frame.
    withheld: bool,
    open_sent: bool,
    close_sent: bool,
    remote_open: Option<Box<Open>>,
    /// Why it will be over, once the peer has answered our close.
    reason: Option<CloseReason>,
    /// Why it is over.
    closed: Option<CloseReason>,
    /// Whole frames not yet looked at.
    pending: Bytes,
    output: Output,
    /// Bytes in `output` that are no transfers, less whatever was written since they were added.
    answers: usize,
    events: VecDeque<Event>,
    sessions: Vec<Option<Session>>,
    session_generation: u32,
    /// Session slot by the peer's channel number.
    remote_channels: Vec<Option<u16>>,
    links: Slots<Link>,
    touched: Vec<LinkId>,
    held: usize,
    wants_room: bool,
    timing: Timing,
}

impl Connection {
    /// A connection that has just got its transport at `now`.
    pub fn new(options: Options, now: Instant) -> Self {
        let timing = Timing::new(now, &options);
        let mut connection = Self {
            options,
            phase: Phase::Header,
            sasl_done: false,
            sasl_waits: false,
            withheld: false,
            open_sent: false,
            close_sent: false,
            remote_open: None,
            reason: None,
            closed: None,
            pending: Bytes::new(),
            output: Output::default(),
            answers: 0,
            events: VecDeque::new(),
            sessions: Vec::new(),
            session_generation: 0,
            remote_channels: Vec::new(),
            links: Slots::default(),
            touched: Vec::new(),
            held: 0,
            wants_room: false,
            timing,
        };
        connection.start();
        connection
    }

    /// The next event, in the order things happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Moves the links with new deliveries, outcomes, credit or room into `links`.
    pub fn touched(&mut self, links: &mut Vec<LinkId>) {
        for id in &self.touched {
            if let Some(link) = self.links.get_mut(id.slot, id.generation) {
                link.touched = false;
            }
        }
        links.append(&mut self.touched);
    }

    /// Fills `slices` with bytes to write, from the front; returns how many are in use.
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.output.slices(slices)
    }

    /// Whether there are bytes to write.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// The transport took `count` bytes at the latest time seen.
    pub fn wrote(&mut self, count: usize) {
        self.output.wrote(count);
        self.answers = self.answers.saturating_sub(count);
        self.timing.wrote();
        self.offer_room();
    }

    /// Touches the links that were refused for want of room, once there is some again.
    fn offer_room(&mut self) {
        if !self.wants_room || self.output.len() > self.options.limits.output_bytes_max / 2 {
            return;
        }
        self.wants_room = false;
        for slot in self.links.slots() {
            let wanted =
                self.links.at_mut(slot).is_some_and(|link| std::mem::take(&mut link.wants_room));
            if wanted {
                self.touch(slot);
            }
        }
    }

    /// Received bytes that are held on behalf of the owner, with what the owner has taken and not
    /// yet reported as [`consumed`](Self::consumed).
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Whether [`Event::Closed`] has been given or is waiting.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Why the connection is over, once it is.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Whether [`touched`](Self::touched) has something to give.
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The peer's open, once it has arrived.
    pub fn remote_open(&self) -> Option<&Open> {
        self.remote_open.as_deref()
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Closes the connection (AMQP 1.0, 2.4.6). [`Event::Closed`] follows when the peer has answered
    /// or [`Options::close_timeout`] has passed. Does nothing the second time.
    ///
    /// Before the headers and the SASL layer are through there is no close to send: the connection
    /// is over at once and the transport should be dropped.
    pub fn close(&mut self, error: Option<AmqpError>) {
        if self.close_sent || self.phase == Phase::Closed {
            return;
        }
        let reason = self.reason.take().unwrap_or(CloseReason::Local);
        if self.phase != Phase::Frames && !self.open_sent {
            self.finish(reason);
            return;
        }
        self.send_close(error);
        self.reason = Some(reason);
    }

    /// Ends everything because the peer broke a rule of the connection.
    fn violate(&mut self, condition: Symbol, description: impl Into<String>) {
        if self.close_sent || self.phase == Phase::Closed {
            // Our close is out already; frames that break rules change nothing any more.
            return;
        }
        let error = AmqpError::new(condition, description);
        self.pending = Bytes::new();
        if self.phase != Phase::Frames && !self.open_sent {
            self.finish(CloseReason::Violation(error));
            return;
        }
        self.reason = Some(CloseReason::Violation(error.clone()));
        self.send_close(Some(error));
    }

    fn send_close(&mut self, error: Option<AmqpError>) {
        if !self.open_sent {
            // A close needs an open before it (AMQP 1.0, 2.4.3).
            self.send_open(self.default_open());
        }
        self.timing.close_sent(self.options.close_timeout);
        let fields = self.options.fields;
        let close = Close { error };
        self.trace_out(0, &close);
        self.write_frame(0, |out| close.encode(fields, out));
        self.close_sent = true;
    }

    /// Whether our last frame is out.
    fn is_closing(&self) -> bool {
        self.close_sent || self.phase == Phase::Closed
    }

    /// The last transition.
    fn finish(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.pending = Bytes::new();
        self.timing.stop();
        self.closed = Some(reason.clone());
        self.events.push_back(Event::Closed(reason));
    }

    fn fields(&self) -> FieldList {
        self.options.fields
    }

    fn write_frame(&mut self, channel: u16, body: impl FnOnce(&mut BytesMut)) {
        if self.is_closing() {
            return;
        }
        let before = self.output.len();
        self.output.gather(|out| frame::write(out, frame::Kind::Amqp, channel, body));
        self.answers += self.output.len() - before;
    }

    fn touch(&mut self, slot: u32) {
        let generation = self.links.generation(slot);
        if let Some(link) = self.links.at_mut(slot)
            && !link.touched
        {
            link.touched = true;
            self.touched.push(LinkId { slot, generation });
        }
    }

    #[cfg(feature = "wire-trace")]
    fn trace_out(&self, channel: u16, performative: &dyn std::fmt::Debug) {
        trace::sent(&self.options.container_id, channel, performative);
    }

    #[cfg(not(feature = "wire-trace"))]
    #[inline(always)]
    fn trace_out(&self, _channel: u16, _performative: &dyn std::fmt::Debug) {}
}
