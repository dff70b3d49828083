//! Events on their way to a client, and what may become of them.

use bytes::Bytes;
use eventhubs_amqp::engine::{Connection, LinkId};

use super::{Disorder, Later};
use crate::broker::consumer::{Consumer, Pumped};
use crate::broker::{Broker, Link};
use crate::fault::occurrence::{Occurrence, Place};
use crate::fault::{Effect, Point, Struck, Switchboard};
use crate::namespace::log::Stored;

/// What faults have done to a consumer link.
#[derive(Debug, Default)]
pub(crate) struct Disturbance {
    /// What happens to the next event, when that has been asked for already.
    decided: Option<Option<Struck>>,
    /// Nothing goes out.
    paused: bool,
}

/// What is done with one event.
#[derive(Debug)]
pub(crate) enum Delivering {
    /// These bytes go out.
    Send(Bytes),
    /// These bytes go out, and the event is taken once more.
    SendTwice(Bytes),
    /// Nothing goes out; the next event follows.
    Skip,
    /// The event is taken once more.
    Again,
    /// Nothing goes out now, perhaps because of a strike that concerns more than the event.
    Stop(Option<Struck>),
}

impl Disturbance {
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Decides about one event; `ask` finds the fault that strikes it.
    pub(crate) fn decide(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        payload: Bytes,
        ask: &mut dyn FnMut() -> Option<Struck>,
    ) -> Delivering {
        let struck = match self.decided.take() {
            Some(decided) => decided,
            // What cannot go out now does not happen, and is not counted.
            None if engine.can_send(link, payload.len()).is_err() => return Delivering::Stop(None),
            None => ask(),
        };
        let Some(struck) = struck else {
            return Delivering::Send(payload);
        };
        match struck.effect() {
            Effect::Drop => Delivering::Skip,
            Effect::Duplicate => {
                self.decided = Some(None);
                Delivering::SendTwice(payload)
            }
            Effect::Replace(bytes) => Delivering::Send(bytes.clone()),
            Effect::Abort => match engine.send_half(link, &payload, true) {
                Ok(()) => {
                    self.decided = Some(None);
                    Delivering::Again
                }
                Err(_) => {
                    self.decided = Some(Some(struck));
                    Delivering::Stop(None)
                }
            },
            Effect::Unfinished => {
                match engine.send_half(link, &payload, false) {
                    Ok(()) => self.paused = true,
                    Err(_) => self.decided = Some(Some(struck)),
                }
                Delivering::Stop(None)
            }
            effect => {
                self.paused = matches!(effect, Effect::Delay(_));
                self.decided = Some(None);
                Delivering::Stop(Some(struck))
            }
        }
    }
}

impl Disorder {
    /// Pumps a consumer with the faults there are.
    pub(crate) fn pump(
        &self,
        faults: &Switchboard,
        consumer: &mut Consumer,
        (engine, link): (&mut Connection, LinkId),
        now: i64,
        chunk: &mut Vec<Stored>,
    ) -> Pumped {
        let asked = consumer.disturbance.decided.is_some();
        if !asked && !faults.is_armed(Point::Deliver.bit()) {
            return consumer.pump((engine, link), now, chunk, None);
        }
        let standing = self.links.get(&link);
        let mut ask = || {
            let place = Place::Link(&self.facts, &standing?.facts);
            faults.strike(&Occurrence { point: Point::Deliver, place })
        };
        consumer.pump((engine, link), now, chunk, Some(&mut ask))
    }
}

impl Broker {
    /// A delivery on a link was struck by something that concerns more than the event.
    pub(crate) fn handle_struck_delivery(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        struck: &Struck,
    ) {
        if let Effect::Delay(by) = struck.effect() {
            return self.put_off(engine, *by, Later::Deliver(link));
        }
        let session = self.disorder.session_of(link);
        if self.perform(engine, struck, Some(link), session) {
            self.ready.push(link);
        }
    }

    pub(super) fn deliver_late(&mut self, link: LinkId) {
        if let Some(Link::Consumer(consumer)) = self.links.get_mut(&link) {
            consumer.disturbance.paused = false;
            self.ready.push(link);
        }
    }
}
