//! The events of one partition as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use eventhubs_amqp::engine::Delivery;
use eventhubs_amqp::net::{LinkClosed, Receiver};
use eventhubs_protocol::{EventError, PartitionId, ReceivedEvent, StartPosition};
use futures_core::Stream;

use crate::attachment::{Attachment, Old};
use crate::error::{Error, ErrorKind, Operation};
use crate::lookout::{Finding, Lookout};
use crate::promise::Promise;
use crate::recovery::attempts::Attempts;
use crate::recovery::clock;
use crate::recovery::resume::{Arrival, Extent, Resume};

/// A link that stood for so long was a sound one, even if the partition had nothing for it.
const PROVEN: Duration = Duration::from_secs(60);

/// The events of one partition, in order, from [`Hub::events`](crate::Hub::events).
///
/// # Outages
///
/// A stream outlives its link, its session and its connection: it attaches again after the last
/// event it handed out, by the rules of [`ReceiveOptions::retry`](crate::ReceiveOptions::retry), so
/// that every event comes once and in order. Nothing else happens meanwhile than that the next event
/// takes its time; [`Hub::statistics`](crate::Hub::statistics) counts. The work is done while the
/// stream is polled, and goes on where it was when a `next` was dropped.
///
/// # Items that are errors
///
/// Three kinds are items like events: what follows them is next. [`Error::ends_stream`] is false.
///
/// * [`ErrorKind::Gap`]: the service left events out. They may come to another receiver, from
///   [`position`](Self::position) as it is before the next event is taken. Whoever can do without
///   them goes on.
/// * [`ErrorKind::Trimmed`]: retention removed them before they were received. They are gone: read
///   faster, or keep events for longer.
/// * [`ErrorKind::Undecodable`]: an event is broken. Its [source](std::error::Error::source) is an
///   [`EventError`] with its bytes. One whose sequence number cannot be read either comes again
///   after an outage that follows it at once, and stands for one of the numbers up to the next
///   event: no gap is told for it.
///
/// Any other error is the last item: the service refuses for good, or the retries are used up.
/// [`ErrorKind::Stolen`] tells that another receiver owns the partition. It is never tried again,
/// and with an owner level it is told at once: what has arrived and was not handed out yet belongs
/// to the new owner.
///
/// # Flow
///
/// Taking an event returns its credit to the service: whoever stops taking is sent no more than the
/// prefetch. Dropping the stream detaches the receiver.
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub) -> Result<(), eventhubs_client::Error> {
/// use eventhubs_client::{PartitionId, ReceiveOptions};
///
/// let mut events = hub.events(PartitionId::from(0), ReceiveOptions::default()).await?;
/// while let Some(event) = events.next().await {
///     match event {
///         Ok(event) => println!("{}: {} bytes", event.sequence_number(), event.body().len()),
///         Err(error) if !error.ends_stream() => eprintln!("going on: {error}"),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventStream {
    phase: Phase,
    /// Whether something has to be looked at before an event is handed out: the link is guarded, or
    /// something is aside.
    wary: bool,
    /// Whether the end of the link may be that of an owner: then nothing more is handed out.
    guarded: bool,
    /// What comes before anything else.
    aside: Option<Aside>,
    resume: Resume,
    /// None when a lost link is not made again.
    lookout: Option<Lookout>,
    /// When the latest link was attached.
    attached: Instant,
    /// Tries to attach again since an event arrived.
    attempts: Option<Attempts>,
    attachment: Arc<Attachment>,
}

#[derive(Debug)]
enum Phase {
    Live(Receiver),
    Recovering(Promise<Result<(Receiver, Attempts), Error>>),
    Ended,
}

/// Something that arrived and is not handed out yet.
#[derive(Debug)]
enum Aside {
    /// Not looked at yet.
    Arrived(Result<ReceivedEvent, EventError>),
    /// What arrived after missing events `from..=to`: why they are missing was asked for.
    Missing { item: Item, number: i64, from: i64, to: i64, asked: Promise<Option<Extent>> },
    /// What was missing is told.
    Told { item: Item, number: i64 },
}

type Item = Result<ReceivedEvent, Error>;

impl EventStream {
    /// Attaches for the first time.
    pub(crate) async fn open(attachment: Attachment) -> Result<Self, Error> {
        let resume = attachment.begin().await?;
        let receiver = attachment.open(&resume.position()).await?;
        let lookout = attachment.is_kept().then(|| Lookout::new(&attachment));
        let guarded = attachment.options.owner_level.is_some();
        Ok(Self {
            phase: Phase::Live(receiver),
            wary: guarded,
            guarded,
            aside: None,
            resume,
            lookout,
            attached: clock::now(),
            attempts: None,
            attachment: Arc::new(attachment),
        })
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.attachment.partition
    }

    /// Where another receiver would go on: after the last event that was handed out. Before the
    /// first one it is where this stream began, with [`StartPosition::latest`] as the number that
    /// was the last one then.
    #[must_use]
    pub fn position(&self) -> StartPosition {
        self.resume.position()
    }

    pub(crate) fn entity(&self) -> &str {
        &self.attachment.entity
    }

    /// The next event; `None` after the stream has ended with an error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken together with being returned.
    #[inline]
    pub async fn next(&mut self) -> Option<Result<ReceivedEvent, Error>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event if it has arrived, without waiting and without a look at anything else. Nothing
    /// is said by `None`, neither that there is none nor why: ask [`next`](Self::next) then.
    ///
    /// ```no_run
    /// # async fn example(hub: eventhubs_client::Hub) -> Result<(), eventhubs_client::Error> {
    /// use eventhubs_client::{PartitionId, ReceiveOptions};
    ///
    /// let mut events = hub.events(PartitionId::from(0), ReceiveOptions::default()).await?;
    /// while let Some(event) = events.next().await.transpose()? {
    ///     println!("{} and what came with it:", event.sequence_number());
    ///     while let Some(event) = events.try_next() {
    ///         println!("{}", event.sequence_number());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)]
    pub fn try_next(&mut self) -> Option<ReceivedEvent> {
        self.take_next()
    }

    /// The events that have arrived, `events_max` at most (0 means 1), as soon as there is one; none
    /// when there is none within `max_wait`. An error is told on its own; `None` follows the error
    /// that ends the stream.
    ///
    /// ```no_run
    /// # async fn example(hub: eventhubs_client::Hub) -> Result<(), eventhubs_client::Error> {
    /// use std::time::Duration;
    ///
    /// use eventhubs_client::{PartitionId, ReceiveOptions};
    ///
    /// let mut events = hub.events(PartitionId::from(0), ReceiveOptions::default()).await?;
    /// while let Some(batch) = events.next_batch(100, Duration::from_secs(5)).await {
    ///     println!("{} events, then {:?}", batch?.len(), events.position());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: events are only taken together with being returned.
    pub async fn next_batch(
        &mut self,
        events_max: usize,
        max_wait: Duration,
    ) -> Option<Result<Vec<ReceivedEvent>, Error>> {
        let first = match tokio::time::timeout(max_wait, self.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Some(Err(error)),
            Ok(None) => return None,
            Err(_) => return Some(Ok(Vec::new())),
        };
        let mut batch = vec![first];
        while batch.len() < events_max {
            let Some(event) = self.take_next() else { break };
            batch.push(event);
        }
        Some(Ok(batch))
    }

    /// Ends the stream and waits until the service knows, by a deadline. Events that have not been
    /// taken are dropped; they come again to the next receiver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the receiver is detached all the same.
    pub async fn close(self) {
        if let Phase::Live(receiver) = self.phase {
            receiver.detach().await;
        }
    }

    #[inline]
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match self.take_next() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => self.poll_slowly(cx),
        }
    }

    /// The next event, if it is here and as it should be: what nearly every call finds.
    // Else every consumer but the first pays for the call and for moving the event through memory.
    #[inline(always)]
    fn take_next(&mut self) -> Option<ReceivedEvent> {
        if self.wary && !self.may_take() {
            return None;
        }
        let Phase::Live(receiver) = &mut self.phase else { return None };
        let delivery = receiver.try_recv()?;
        self.examine(delivery)
    }

    /// Whether nothing comes before the next event.
    fn may_take(&self) -> bool {
        let Phase::Live(receiver) = &self.phase else { return false };
        self.aside.is_none() && !(self.guarded && receiver.is_closed())
    }

    /// Whatever is not the event that has to come next is put aside.
    #[inline]
    fn examine(&mut self, delivery: Delivery) -> Option<ReceivedEvent> {
        match ReceivedEvent::decode(delivery.into_payload(), 0) {
            Ok(event) if self.resume.is_next(event.sequence_number().as_i64()) => Some(event),
            other => {
                self.put_aside(Aside::Arrived(other));
                None
            }
        }
    }

    #[cold]
    fn put_aside(&mut self, aside: Aside) {
        self.aside = Some(aside);
        self.wary = true;
    }

    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        loop {
            if let Some(stolen) = self.stolen() {
                self.end();
                return Poll::Ready(Some(Err(stolen)));
            }
            if let Some(aside) = self.aside.take() {
                self.wary = self.guarded;
                match self.poll_aside(cx, aside) {
                    Poll::Ready(None) => continue,
                    item => return item,
                }
            }
            if let Some(event) = self.take_next() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.aside.is_some() {
                continue;
            }
            if let Phase::Ended = self.phase {
                return Poll::Ready(None);
            }
            if let Some(item) = std::task::ready!(self.poll_link(cx)) {
                return Poll::Ready(Some(item));
            }
        }
    }

    /// Whether a receiver with a higher owner level has taken the partition.
    fn stolen(&mut self) -> Option<Error> {
        let Phase::Live(receiver) = &self.phase else { return None };
        if !self.guarded || !receiver.is_closed() {
            return None;
        }
        let closed = receiver.close_reason()?;
        let error = self.ended(&closed);
        if error.kind() == ErrorKind::Stolen {
            return Some(error);
        }
        // The link is lost, the partition is not: what has arrived is handed out.
        self.guarded = false;
        self.wary = self.aside.is_some();
        None
    }

    /// What to make of something that is aside; `None` when it was handed out before.
    fn poll_aside(&mut self, cx: &mut Context<'_>, aside: Aside) -> Poll<Option<Item>> {
        match aside {
            Aside::Arrived(decoded) => Poll::Ready(self.judge(decoded)),
            Aside::Missing { item, number, from, to, mut asked } => match asked.poll(cx) {
                Poll::Ready(extent) => {
                    self.put_aside(Aside::Told { item, number });
                    Poll::Ready(Some(Err(self.missing(from, to, extent.as_ref()))))
                }
                Poll::Pending => {
                    self.put_aside(Aside::Missing { item, number, from, to, asked });
                    Poll::Pending
                }
            },
            Aside::Told { item, number } => {
                self.resume.pass(number);
                Poll::Ready(Some(item))
            }
        }
    }

    fn judge(&mut self, decoded: Result<ReceivedEvent, EventError>) -> Option<Item> {
        let (number, item) = match decoded {
            Ok(event) => (Some(event.sequence_number()), Ok(event)),
            Err(error) => (error.sequence_number(), Err(self.undecodable(error))),
        };
        let Some(number) = number.map(|number| number.as_i64()) else {
            self.resume.unreadable();
            return Some(item);
        };
        match self.resume.arrived(number) {
            Arrival::Next => Some(item),
            Arrival::Duplicate => {
                self.attachment.shared().counters().duplicates_dropped.add(1);
                None
            }
            Arrival::Jump { from, to } => {
                let asked = Promise::new(Arc::clone(&self.attachment).extent());
                self.put_aside(Aside::Missing { item, number, from, to, asked });
                None
            }
        }
    }

    /// Why events are missing. Without an answer nothing excuses the service.
    fn missing(&self, from: i64, to: i64, extent: Option<&Extent>) -> Error {
        let counters = self.attachment.shared().counters();
        let trimmed = extent.is_some_and(|extent| extent.has_trimmed(from));
        let (first, last) = (from.into(), to.into());
        let (kind, detail) = match trimmed {
            true => {
                counters.trims.add(1);
                let kind = ErrorKind::Trimmed { from: first, to: last };
                (kind, format!("retention removed the sequence numbers {from} to {to} unread"))
            }
            false => {
                counters.gaps.add(1);
                let kind = ErrorKind::Gap { from: first, to: last };
                (kind, format!("the service left out the sequence numbers {from} to {to}"))
            }
        };
        Error::new(kind, Operation::Receive, self.entity(), detail)
    }

    fn undecodable(&self, error: EventError) -> Error {
        let detail = error.to_string();
        Error::new(ErrorKind::Undecodable, Operation::Receive, self.entity(), detail)
            .with_source(error)
    }

    /// Waits for the link, or for a new one; `None` when there is something to look at.
    fn poll_link(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match &mut self.phase {
            Phase::Live(receiver) => {
                // Everything that had arrived is handed out: this is not done at every event.
                if self.lookout.as_ref().is_some_and(|lookout| lookout.is_worn(receiver)) {
                    self.leave(None);
                    return Poll::Ready(None);
                }
                match receiver.poll_recv(cx) {
                    Poll::Ready(Ok(delivery)) => Poll::Ready(self.examine(delivery).map(Ok)),
                    Poll::Ready(Err(closed)) => {
                        // One fault may have struck many links, and attaching again is no retry of
                        // anything: nobody pays for it.
                        let paid = Arc::new(AtomicBool::new(true));
                        let error = self.ended(&closed).with_fault(&paid);
                        self.leave(Some(error));
                        Poll::Ready(None)
                    }
                    Poll::Pending => self.poll_lookout(cx),
                }
            }
            Phase::Recovering(recovery) => match std::task::ready!(recovery.poll(cx)) {
                Ok((receiver, attempts)) => {
                    self.attached(receiver, attempts);
                    Poll::Ready(None)
                }
                Err(error) => {
                    self.end();
                    Poll::Ready(Some(Err(error)))
                }
            },
            Phase::Ended => Poll::Ready(None),
        }
    }

    fn poll_lookout(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let (Phase::Live(receiver), Some(lookout)) = (&self.phase, &mut self.lookout) else {
            return Poll::Pending;
        };
        let finding = lookout.poll(cx, receiver, &self.resume, &self.attachment);
        if std::task::ready!(finding) == Finding::Stalled {
            self.attachment.shared().counters().stalls.add(1);
            let (entity, position) = (self.entity(), self.position());
            tracing::warn!(entity, ?position, "events do not arrive; attaching again");
        }
        self.leave(None);
        Poll::Ready(None)
    }

    /// Gives the link up, or takes leave of a lost one, and begins to attach again.
    fn leave(&mut self, error: Option<Error>) {
        let Phase::Live(receiver) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        if receiver.handed_out() > 0 || clock::now() >= self.attached + PROVEN {
            self.attempts = None;
        }
        if let Some(error) = &error {
            tracing::debug!(%error, "a receiver was lost");
        }
        self.resume.rewind();
        let attachment = Arc::clone(&self.attachment);
        let (attached, attempts) = (self.attached, self.attempts.take());
        let old = Old { receiver, attached, error, attempts };
        let reopening = attachment.reopen(old, self.position());
        self.phase = Phase::Recovering(Promise::new(reopening));
    }

    fn attached(&mut self, receiver: Receiver, attempts: Attempts) {
        self.phase = Phase::Live(receiver);
        (self.attached, self.attempts) = (clock::now(), Some(attempts));
        self.guarded = self.attachment.options.owner_level.is_some();
        self.wary = self.guarded;
        if let Some(lookout) = &mut self.lookout {
            lookout.attached();
        }
    }

    fn end(&mut self) {
        (self.phase, self.aside, self.lookout) = (Phase::Ended, None, None);
    }

    fn ended(&self, closed: &LinkClosed) -> Error {
        self.attachment.shared().ended(closed, Operation::Receive, self.entity())
    }
}

impl Stream for EventStream {
    type Item = Result<ReceivedEvent, Error>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}
