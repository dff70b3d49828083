//! Where faults meet a connection: every hook of the broker asks here, and what is to go wrong
//! later waits here.

mod accepting;
mod agenda;
mod delivering;
mod lining;
mod opening;
mod publishing;
mod requesting;
mod strikes;

pub(crate) use accepting::accepted;
pub(crate) use delivering::{Delivering, Disturbance};
pub(crate) use opening::alter;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventhubs_amqp::codec::performative::Attach;
use eventhubs_amqp::codec::{AmqpError, DeliveryState};
use eventhubs_amqp::engine::{Connection, Delivery, Event, LinkId, SessionId};

use crate::broker::Broker;
use crate::fault::occurrence::{ConnectionFacts, LinkFacts, Occurrence, Place};
use crate::fault::{FaultId, Point, Struck};

use agenda::Agenda;

/// What faults have to know of one connection, and what they left behind on it.
#[derive(Debug)]
pub(crate) struct Disorder {
    pub(crate) facts: ConnectionFacts,
    links: HashMap<LinkId, Standing>,
    sessions: HashMap<SessionId, Answered>,
    agenda: Agenda<Later>,
    /// Events that wait for our open, while that is delayed or never comes.
    held: Option<VecDeque<Event>>,
    /// Faults up to this one have struck at [`Point::Now`], or had no reason to.
    seen: FaultId,
    /// Faults that are set in the byte layer.
    on_line: HashSet<FaultId>,
    /// When this turn began.
    now: Instant,
}

/// A link as faults see it.
#[derive(Debug)]
struct Standing {
    session: SessionId,
    facts: LinkFacts,
    /// Nothing that arrives on it is looked at: something before it is delayed.
    paused: bool,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Yes,
    /// The answer waits until then.
    At(Instant),
    Never,
}

/// What is to be done later.
#[derive(Debug)]
enum Later {
    /// Answer the client's open.
    Open,
    /// Answer the client's begin.
    Begin(SessionId),
    /// Look at an attach.
    Attach { link: LinkId, session: SessionId, attach: Box<Attach>, asked: bool },
    /// Detach a link.
    Detach(LinkId, AmqpError),
    /// Send an answer on this link.
    Reply(LinkId, Bytes),
    /// Tell the outcome of a message.
    Settle(LinkId, u32, DeliveryState),
    /// Look at messages; the first of them passes.
    Publish(LinkId, Vec<Delivery>),
    /// Go on with deliveries.
    Deliver(LinkId),
    /// Grant credit.
    Credit(LinkId),
    /// Open the incoming window.
    Window(SessionId),
}

impl Disorder {
    /// For connection `number`, when `seen` is the youngest fault.
    pub(crate) fn new(number: u64, seen: FaultId) -> Self {
        Self {
            facts: ConnectionFacts { number, container: String::new() },
            links: HashMap::new(),
            sessions: HashMap::new(),
            agenda: Agenda::default(),
            held: None,
            seen,
            on_line: HashSet::new(),
            now: tokio::time::Instant::now().into_std(),
        }
    }

    /// When something is to be done.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.agenda.due()
    }

    fn session_of(&self, link: LinkId) -> Option<SessionId> {
        self.links.get(&link).map(|standing| standing.session)
    }
}

impl Broker {
    /// A turn begins: what is due is done.
    pub(crate) fn handle_agenda(&mut self, engine: &mut Connection, now: Instant) {
        self.disorder.now = now;
        while let Some(later) = self.disorder.agenda.take(now) {
            self.do_later(engine, later);
        }
    }

    /// Puts something off. A full agenda does it at once.
    fn put_off(&mut self, engine: &mut Connection, by: Duration, later: Later) {
        let now = self.disorder.now;
        let due = now.checked_add(by).unwrap_or(now);
        if let Err(later) = self.disorder.agenda.enter(due, later) {
            self.do_later(engine, later);
        }
    }

    fn do_later(&mut self, engine: &mut Connection, later: Later) {
        match later {
            Later::Open => self.open_late(engine),
            Later::Begin(session) => self.begin_late(engine, session),
            Later::Attach { link, session, attach, asked } => match asked {
                true => self.handle_attach(engine, (link, session), *attach, None),
                false => self.handle_incoming_attach(engine, (link, session), *attach),
            },
            Later::Detach(link, error) => {
                self.links.remove(&link);
                engine.detach(link, true, Some(error));
            }
            Later::Reply(link, payload) => self.send_answer(engine, link, payload),
            Later::Settle(link, id, state) => engine.settle(link, id, id, state, true),
            Later::Publish(link, deliveries) => self.publish_late(engine, link, deliveries),
            Later::Deliver(link) => self.deliver_late(link),
            Later::Credit(link) => self.grant_late(engine, link),
            Later::Window(session) => engine.shut_window(session, false),
        }
    }

    /// What strikes something that happens on the connection as a whole.
    fn strike(&self, point: Point) -> Option<Struck> {
        let place = Place::Connection(&self.disorder.facts);
        self.namespace.faults.strike(&Occurrence { point, place })
    }

    /// What strikes something that happens on a link with these facts.
    fn strike_facts(&self, point: Point, facts: &LinkFacts) -> Option<Struck> {
        let place = Place::Link(&self.disorder.facts, facts);
        self.namespace.faults.strike(&Occurrence { point, place })
    }

    /// What strikes something that happens on a link.
    fn strike_link(&self, point: Point, link: LinkId) -> Option<Struck> {
        if !self.namespace.faults.is_armed(point.bit()) {
            return None;
        }
        self.strike_facts(point, &self.disorder.links.get(&link)?.facts)
    }

    /// Whether what arrives on a link has to wait.
    pub(crate) fn is_paused(&self, link: LinkId) -> bool {
        self.disorder.links.get(&link).is_some_and(|standing| standing.paused)
    }

    fn pause(&mut self, link: LinkId, paused: bool) {
        if let Some(standing) = self.disorder.links.get_mut(&link) {
            standing.paused = paused;
        }
    }

    /// A link is gone.
    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.disorder.links.remove(&link);
    }

    /// A session is gone.
    pub(crate) fn forget_session(&mut self, session: SessionId) {
        self.disorder.sessions.remove(&session);
    }

    /// The connection is over.
    pub(crate) fn forget_everything(&mut self) {
        self.disorder.agenda.clear();
        self.disorder.links.clear();
        self.disorder.sessions.clear();
        self.disorder.held = None;
    }
}
