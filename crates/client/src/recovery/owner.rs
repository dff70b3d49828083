//! The one task that makes and keeps what a hub stands on. [`Machine`] decides; this performs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use eventhubs_auth::Token;
use eventhubs_protocol::PartitionId;
use eventhubs_protocol::condition::{Recovery, Retry};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

use super::clock;
use super::machine::{Action, Ending, Generation, Machine, Part};
use crate::error::{Error, ErrorKind, Operation};
use crate::links::SendLink;
use crate::live::{Live, Target};
use crate::rpc::Rpc;
use crate::statistics::Counters;

/// Requests that wait for the owner task; further callers wait for room.
const REQUESTS_MAX: usize = 256;

/// What has to be newer than a try that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anew {
    /// When that try began; `None`: there was none.
    pub(crate) since: Option<Instant>,
    /// What of the way to the service is of no use any more.
    pub(crate) recovery: Recovery,
    /// Whether the service did not take the token.
    pub(crate) fresh_token: bool,
    /// Whether that try was not answered at all, so that the connection may be one in name only.
    pub(crate) unanswered: bool,
}

impl Anew {
    /// Whether something made at `made` is too old.
    fn is_stale(self, recovery: Recovery, made: Instant) -> bool {
        self.recovery >= recovery && self.since.is_some_and(|since| made <= since)
    }
}

/// A part that is there.
#[derive(Clone, Debug)]
enum Value {
    Live(Arc<Live>),
    Token(Token),
    Rpc(Arc<Rpc>),
    Sender(SendLink),
}

impl Value {
    fn is_live(&self) -> bool {
        match self {
            Self::Live(live) => live.is_live(),
            Self::Rpc(rpc) => rpc.is_live(),
            Self::Sender(link) => link.is_live(),
            Self::Token(_) => true,
        }
    }

    /// Lets go of it, whoever else holds it.
    fn leave(&self) {
        match self {
            Self::Live(live) => live.connection.start_close(None),
            Self::Sender(link) => link.leave(),
            // They end with their last handle.
            Self::Rpc(_) | Self::Token(_) => {}
        }
    }
}

type Reply = oneshot::Sender<Result<Value, Error>>;

struct Request {
    part: Part,
    anew: Anew,
    reply: Reply,
}

/// What the owner task and the hub share.
#[derive(Debug)]
struct Kept {
    target: Arc<Target>,
    counters: Arc<Counters>,
    /// The latest connection, dead or alive.
    live: Mutex<Option<Arc<Live>>>,
    closed: AtomicBool,
}

/// Asks the owner task, which it starts on first use.
#[derive(Debug)]
pub(crate) struct Keeper {
    kept: Arc<Kept>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    pub(crate) fn new(target: Arc<Target>, counters: Arc<Counters>) -> Self {
        let closed = AtomicBool::new(false);
        let kept = Kept { target, counters, live: Mutex::default(), closed };
        Self { kept: Arc::new(kept), requests: Mutex::default() }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.kept.closed.load(Ordering::Acquire)
    }

    /// The latest connection, if there was one, alive or not.
    pub(crate) fn latest(&self) -> Option<Arc<Live>> {
        lock(&self.kept.live).clone()
    }

    /// Makes nothing any more and fails whoever waits.
    pub(crate) fn close(&self) {
        self.kept.closed.store(true, Ordering::Release);
        // The task ends when nobody can ask any more.
        lock(&self.requests).take();
    }

    /// The connection, open and authorized.
    pub(crate) async fn live(&self, anew: Anew, operation: Operation) -> Result<Arc<Live>, Error> {
        if self.is_closed() {
            return Err(self.refused(operation));
        }
        if anew.since.is_none()
            && let Some(live) = self.latest().filter(|live| live.is_live())
        {
            return Ok(live);
        }
        self.authorize(anew, operation).await?;
        match self.ask(Part::Connection, anew, operation).await? {
            Value::Live(live) => Ok(live),
            other => Err(self.confused(&other, operation)),
        }
    }

    /// The links to the management node.
    pub(crate) async fn management(
        &self,
        anew: Anew,
        operation: Operation,
    ) -> Result<Arc<Rpc>, Error> {
        self.authorize(anew, operation).await?;
        match self.ask(Part::Management, anew, operation).await? {
            Value::Rpc(rpc) => Ok(rpc),
            other => Err(self.confused(&other, operation)),
        }
    }

    /// The sending link to the hub itself or to a partition.
    pub(crate) async fn sender(
        &self,
        partition: Option<PartitionId>,
        anew: Anew,
        operation: Operation,
    ) -> Result<SendLink, Error> {
        self.authorize(anew, operation).await?;
        match self.ask(Part::Sender(partition), anew, operation).await? {
            Value::Sender(link) => Ok(link),
            other => Err(self.confused(&other, operation)),
        }
    }

    /// Has a new token put if the service did not take the old one.
    async fn authorize(&self, anew: Anew, operation: Operation) -> Result<(), Error> {
        if anew.fresh_token {
            self.ask(Part::Token, anew, operation).await?;
        }
        Ok(())
    }

    async fn ask(&self, part: Part, anew: Anew, operation: Operation) -> Result<Value, Error> {
        if self.is_closed() {
            return Err(self.refused(operation));
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { part, anew, reply };
        // A failed send drops the request and with it the reply.
        let _ = self.requests().send(request).await;
        match answer.await {
            Ok(Ok(_)) | Err(_) if self.is_closed() => Err(self.refused(operation)),
            Ok(answer) => answer,
            Err(_) => {
                let detail = "the runtime that kept the connection has ended";
                Err(Error::new(ErrorKind::Disconnected, operation, self.hub(), detail))
            }
        }
    }

    /// The way to the owner task; a new one where there is none, or its runtime has ended.
    fn requests(&self) -> mpsc::Sender<Request> {
        let mut requests = lock(&self.requests);
        if let Some(requests) = requests.as_ref().filter(|requests| !requests.is_closed()) {
            return requests.clone();
        }
        let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
        if !self.is_closed() {
            *requests = Some(sender.clone());
            tokio::spawn(run(Arc::clone(&self.kept), receiver));
        }
        sender
    }

    fn hub(&self) -> &str {
        self.kept.target.hub.as_str()
    }

    fn refused(&self, operation: Operation) -> Error {
        Error::closed(operation, self.hub())
    }

    fn confused(&self, value: &Value, operation: Operation) -> Error {
        let detail = format!("the owner task answered with {value:?}");
        Error::new(ErrorKind::Protocol, operation, self.hub(), detail)
    }
}

/// A part that is there, and since when.
struct Holding {
    value: Value,
    made: Instant,
    generation: Generation,
}

struct Made {
    part: Part,
    generation: Generation,
    began: Instant,
    result: Result<Value, Error>,
}

struct Owner {
    kept: Arc<Kept>,
    machine: Machine,
    held: BTreeMap<Part, Holding>,
    waiting: BTreeMap<Part, Vec<Reply>>,
    /// What the latest making of a part failed with.
    errors: BTreeMap<Part, Error>,
    making: JoinSet<Made>,
    /// For those that end without a word.
    under_way: HashMap<Id, (Part, Generation)>,
    /// The latest token, and when the making of what it was put with began.
    token: Option<(Token, Instant)>,
}

/// Runs until nobody can ask any more.
async fn run(kept: Arc<Kept>, mut requests: mpsc::Receiver<Request>) {
    let backoff = kept.target.options.retry.rest();
    let mut owner = Owner {
        kept,
        machine: Machine::new(backoff),
        held: BTreeMap::new(),
        waiting: BTreeMap::new(),
        errors: BTreeMap::new(),
        making: JoinSet::new(),
        under_way: HashMap::new(),
        token: None,
    };
    loop {
        owner.act();
        let due = owner.machine.poll_timeout();
        tokio::select! {
            Some(made) = owner.making.join_next_with_id() => owner.take_made(made),
            request = requests.recv() => match request {
                Some(request) => owner.take_request(request),
                None => return,
            },
            () = clock::wait_until(due.unwrap_or_else(clock::now)), if due.is_some() => {
                owner.look(Part::Connection);
                owner.machine.handle_timeout(clock::now());
            }
        }
    }
}

impl Owner {
    fn take_request(&mut self, Request { part, anew, reply }: Request) {
        let now = clock::now();
        self.look(Part::Connection);
        self.look(part);
        if part == Part::Token {
            return self.take_token_request(anew, reply);
        }
        self.retire(Part::Connection, Recovery::Connection, anew, now);
        if part != Part::Connection {
            self.retire(part, Recovery::Link, anew, now);
        }
        if anew.unanswered {
            self.ask_for_a_sign_of_life(anew, now);
        }
        self.wait(part, reply);
        self.machine.want(part, now);
    }

    /// A token the service did not take goes, unless it has been replaced since.
    fn take_token_request(&mut self, anew: Anew, reply: Reply) {
        let now = clock::now();
        if let Some((token, put)) = &self.token {
            let connected = self.machine.up(Part::Connection).is_some();
            if connected && anew.since.is_some_and(|since| *put > since) {
                let _ = reply.send(Ok(Value::Token(token.clone())));
                return;
            }
            self.kept.target.tokens.invalidate(&self.kept.target.audience, token);
        }
        self.wait(Part::Token, reply);
        self.machine.renew(Part::Token, now);
    }

    fn wait(&mut self, part: Part, reply: Reply) {
        let waiting = self.waiting.entry(part).or_default();
        // Who has gone must not be remembered for as long as a making takes.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|reply| !reply.is_closed());
        }
        waiting.push(reply);
    }

    /// Notices that a part has died.
    fn look(&mut self, part: Part) {
        let dead = self.held.get(&part).filter(|held| !held.value.is_live());
        if let Some(generation) = dead.map(|held| held.generation) {
            self.drop_part(part, generation);
        }
    }

    /// Leaves a part that was there when a try failed that needs another one.
    fn retire(&mut self, part: Part, recovery: Recovery, anew: Anew, now: Instant) {
        let stale = self.held.get(&part).filter(|held| anew.is_stale(recovery, held.made));
        if let Some(held) = stale {
            tracing::debug!(?part, age = ?now.saturating_duration_since(held.made), "left");
            held.value.leave();
            let generation = held.generation;
            self.drop_part(part, generation);
        }
    }

    /// Puts the token again, which a sound connection answers whatever else is wrong: one that
    /// does not is left when the answer is overdue.
    fn ask_for_a_sign_of_life(&mut self, anew: Anew, now: Instant) {
        let heard = self.token.as_ref().map(|(_, put)| *put);
        let is_older = heard.zip(anew.since).is_some_and(|(heard, since)| heard <= since);
        if is_older && self.machine.up(Part::Connection).is_some() {
            self.machine.renew(Part::Token, now);
        }
    }

    /// Leaves the connection: something on it that always has an answer had none.
    fn leave_connection(&mut self) {
        let Some(held) = self.held.get(&Part::Connection) else { return };
        held.value.leave();
        let generation = held.generation;
        self.drop_part(Part::Connection, generation);
    }

    fn drop_part(&mut self, part: Part, generation: Generation) {
        self.held.remove(&part);
        if part == Part::Connection {
            // The token stays known: one that was refused must not come back with the next one.
            self.held.clear();
        }
        self.machine.lost(part, generation, clock::now());
    }

    fn act(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Make(part, generation) => self.make(part, generation),
                Action::Ready(part) => {
                    let value = self.held.get(&part).map(|held| held.value.clone());
                    if let Some(value) = value {
                        self.tell(part, &Ok(value));
                    }
                }
                Action::Failed { part, cause } => {
                    if let Some(error) = self.errors.get(&cause).cloned() {
                        self.tell(part, &Err(error));
                    }
                }
            }
        }
    }

    fn tell(&mut self, part: Part, answer: &Result<Value, Error>) {
        for reply in self.waiting.remove(&part).unwrap_or_default() {
            // Whoever has gone does not need it.
            let _ = reply.send(answer.clone());
        }
    }

    fn make(&mut self, part: Part, generation: Generation) {
        let target = Arc::clone(&self.kept.target);
        let live = match self.held.get(&Part::Connection).map(|held| &held.value) {
            Some(Value::Live(live)) => Some(Arc::clone(live)),
            _ => None,
        };
        let began = clock::now();
        let task = self.making.spawn(async move {
            let result = make(part, target, live).await;
            Made { part, generation, began, result }
        });
        self.under_way.insert(task.id(), (part, generation));
    }

    fn take_made(&mut self, made: Result<(Id, Made), JoinError>) {
        let now = clock::now();
        let (id, made) = match made {
            Ok(made) => made,
            Err(error) => {
                let Some((part, generation)) = self.under_way.remove(&error.id()) else { return };
                let result = Err(abnormal(part, &self.kept.target, &error));
                (error.id(), Made { part, generation, began: now, result })
            }
        };
        self.under_way.remove(&id);
        let Made { part, generation, began, result } = made;
        if !self.machine.is_making(part, generation) {
            // For a connection that is gone; dropping the value lets go of it.
            return;
        }
        let ending = match &result {
            Ok(_) => Ending::Made,
            Err(error) => match error.verdict().retry {
                Retry::No | Retry::WithFreshToken => Ending::Refused,
                _ => Ending::Failed,
            },
        };
        let is_silent = part == Part::Token
            && result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout);
        match result {
            Ok(value) => self.hold(part, Holding { value, made: now, generation }, began),
            Err(error) => {
                if part == Part::Token {
                    tracing::warn!(%error, "a renewed token could not be put; trying again");
                } else {
                    tracing::debug!(%error, ?part, "not made");
                }
                self.errors.insert(part, error);
            }
        }
        self.machine.made(part, generation, ending, now, clock::random());
        if is_silent {
            self.leave_connection();
        }
        if ending == Ending::Made && matches!(part, Part::Connection | Part::Token) {
            let target = &self.kept.target;
            let due = target.tokens.renewal_due_in(&target.audience);
            self.machine.set_renewal(due.map(|due| now + due));
        }
    }

    fn hold(&mut self, part: Part, holding: Holding, began: Instant) {
        self.errors.remove(&part);
        let counters = &self.kept.counters;
        match &holding.value {
            Value::Live(live) => {
                counters.connections.add(1);
                let token = live.first_token().clone();
                // What a connection comes with is as old as the start of its making: a token that
                // was refused before that is another one.
                self.token = Some((token.clone(), began));
                let first = Holding { value: Value::Token(token), ..holding };
                self.held.insert(Part::Token, first);
                *lock(&self.kept.live) = Some(Arc::clone(live));
                if self.kept.closed.load(Ordering::Acquire) {
                    // Whoever closed the hub may have looked for a connection before this one.
                    live.connection.start_close(None);
                }
                let value = Value::Live(Arc::clone(live));
                self.held.insert(part, Holding { value, ..holding });
                return;
            }
            Value::Token(token) => {
                counters.token_renewals.add(1);
                self.token = Some((token.clone(), began));
            }
            Value::Rpc(_) | Value::Sender(_) => counters.links.add(1),
        }
        self.held.insert(part, holding);
    }
}

/// Makes one part, by its own deadlines.
async fn make(part: Part, target: Arc<Target>, live: Option<Arc<Live>>) -> Result<Value, Error> {
    if part == Part::Connection {
        return Ok(Value::Live(Arc::new(Live::open(target).await?)));
    }
    let Some(live) = live else {
        let (kind, operation) = (ErrorKind::Disconnected, Operation::Connect);
        return Err(Error::new(kind, operation, target.hub.as_str(), "the connection has gone"));
    };
    match part {
        Part::Token => Ok(Value::Token(live.put_token().await?)),
        Part::Sender(partition) => {
            Ok(Value::Sender(SendLink::attach(&live, &target, partition).await?))
        }
        Part::Management | Part::Connection => Ok(Value::Rpc(Arc::new(live.management().await?))),
    }
}

fn abnormal(part: Part, target: &Target, error: &JoinError) -> Error {
    let detail = format!("making the {part:?} ended abnormally: {error}");
    Error::new(ErrorKind::Disconnected, Operation::Connect, target.hub.as_str(), detail)
}
